//! The command line `weir`.
#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic where nobody reads: see `stdout` and `stderr`"
)]

use std::process::ExitCode;

use clap::Parser;
use tikv_jemallocator::Jemalloc;

mod bench;
mod demo;
mod directory;
mod figures;
mod interrupt;
mod journal_command;
mod keys;
mod load;
mod packed;
mod patience;
mod progress;
mod replay;
mod rules_command;
mod send;
mod serve;
mod simulate;
mod stderr;
mod stdout;

/// States of entities are many small pieces that grow, on all threads at once.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// A real-time fraud-risk engine.
#[derive(Debug, Parser)]
#[command(name = "weir", version)]
enum Command {
    Bench(bench::Options),
    Demo(demo::Options),
    #[command(subcommand)]
    Journal(journal_command::Command),
    #[command(subcommand)]
    Keys(keys::Command),
    Replay(replay::Options),
    #[command(subcommand)]
    Rules(rules_command::Command),
    Send(send::Options),
    Serve(serve::Options),
    Simulate(simulate::Options),
}

fn main() -> ExitCode {
    let done: anyhow::Result<()> = match Command::parse() {
        Command::Bench(options) => bench::run(&options),
        Command::Demo(options) => demo::run(&options),
        Command::Journal(command) => journal_command::run(&command),
        Command::Keys(command) => keys::run(&command),
        Command::Replay(options) => replay::run(&options),
        Command::Rules(command) => return rules_command::run(&command),
        Command::Send(options) => send::run(&options),
        Command::Serve(options) => serve::run(&options),
        Command::Simulate(options) => simulate::run(&options).map_err(Into::into),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if stdout::reader_left(&error) => ExitCode::SUCCESS,
        Err(error) => {
            stderr::error(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Command::command().debug_assert();
    }
}
