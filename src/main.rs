//! The command line `weir`.

use std::process::ExitCode;

use clap::Parser;

mod bench;
mod load;
mod progress;
mod replay;
mod rules_command;
mod simulate;

/// A real-time fraud-risk engine.
#[derive(Debug, Parser)]
#[command(name = "weir", version)]
enum Command {
    Bench(bench::Options),
    Replay(replay::Options),
    #[command(subcommand)]
    Rules(rules_command::Command),
    Simulate(simulate::Options),
}

fn main() -> ExitCode {
    let done: anyhow::Result<()> = match Command::parse() {
        Command::Bench(options) => bench::run(&options),
        Command::Replay(options) => replay::run(&options),
        Command::Rules(command) => return rules_command::run(&command),
        Command::Simulate(options) => simulate::run(&options).map_err(Into::into),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
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
