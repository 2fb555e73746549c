//! `weir journal`: what an operator does with the journal of a data directory while no server holds it.
//!
//! [`stat`] says what it holds, [`verify`] proves that it is whole, [`export`] writes it out; [`checkpoint`] and
//! [`prune`] shorten what a start must read and what the disk must keep. A journal that is being written cannot be told
//! from a torn one, so each of them takes the directory for itself.

mod checkpoint;
mod export;
mod known;
mod line;
mod prune;
mod stat;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::directory::DATA_DEFAULT;

/// Look after the journal of a data directory.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say how much it holds.
    Stat(Data),
    /// Prove that no byte of it has changed, and that its decisions follow from it.
    Verify(verify::Options),
    /// Write its records as JSON lines, or its decisions as `weir replay --out` does.
    Export(export::Options),
    /// Write a snapshot of what it comes to, so that the next start reads no records.
    Checkpoint(Data),
    /// Drop old segments, once a snapshot holds what they left behind.
    Prune(prune::Options),
}

/// Where the journal is.
#[derive(Debug, Args)]
pub(crate) struct Data {
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = DATA_DEFAULT)]
    data: PathBuf,
}

/// Does what the command says.
pub(crate) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Stat(data) => stat::run(data),
        Command::Verify(options) => verify::run(options),
        Command::Export(options) => export::run(options),
        Command::Checkpoint(data) => checkpoint::run(data),
        Command::Prune(options) => prune::run(options),
    }
}
