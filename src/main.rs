//! The command line `weir`.

use std::process::ExitCode;

use clap::Parser;

mod load;
mod simulate;

/// A real-time fraud-risk engine.
#[derive(Debug, Parser)]
#[command(name = "weir", version)]
enum Command {
    Simulate(simulate::Options),
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Simulate(options) => simulate::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
