//! `weir bench`: how fast this machine decides.
//!
//! Everything is decided through the gate, over a journal that keeps nothing, from events that lie in memory: reading
//! and parsing are no part of what is measured.

mod file;
mod timing;

/// Measure how fast events are decided.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    File(file::Options),
}

/// Runs the bench and prints what it measured.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    match &options.what {
        What::File(options) => file::run(options),
    }
}
