//! `weir bench`: how fast this machine decides.
//!
//! Everything is decided through the gate, over a journal that keeps nothing, from events that lie in memory: reading
//! and parsing are no part of what is measured. Only [`replay`] measures these too, [`http`] the server as a whole, with
//! its disk, [`activation`] the same while another rule set comes into force, and [`recovery`] how it opens what it left on
//! the disk.

mod activation;
mod bound;
mod file;
mod flat;
mod http;
mod memory;
mod payments;
mod recovery;
mod replay;
mod served;
mod timing;
mod workload;

use std::path::Path;

use anyhow::Context as _;
use floor::Population;
use tempfile::TempDir;

/// Measure how fast events are decided: those of the canonical workload, or of a file.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    workload: workload::Options,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Activation(activation::Options),
    File(file::Options),
    /// Measure what an event costs one merchant with few and with many events in its window
    Flat(flat::Options),
    Http(http::Options),
    Recovery(recovery::Options),
    Replay(replay::Options),
}

/// Runs the bench and prints what it measured.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    match &options.what {
        None => workload::run(&options.workload),
        Some(What::Activation(options)) => activation::run(options),
        Some(What::File(options)) => file::run(options),
        Some(What::Flat(options)) => flat::run(options),
        Some(What::Http(options)) => http::run(options),
        Some(What::Recovery(options)) => recovery::run(options),
        Some(What::Replay(options)) => replay::run(options),
    }
}

/// A folder of a run's own on the disk that is measured; it is removed with what is in it.
fn folder_in(disk: &Path) -> anyhow::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("weir-bench-").tempdir_in(disk);
    folder.with_context(|| format!("cannot write in `{}`", disk.display()))
}

/// So many users, and a merchant for each hundred of them.
fn population(users: u32) -> Population {
    Population { users, merchants: (users / 100).max(1) }
}
