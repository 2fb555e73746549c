//! `weir rules`: what an analyst does with rule files before they decide anything.
//!
//! [`check`] says what is wrong, [`fmt`] lays out, [`mod@test`] runs the tests of the language, [`cost`] says what state
//! the features need. All take a folder of rule files or one rule file, as [`crate::load`] reads them.

mod check;
mod cost;
mod fmt;
mod story;
mod test;
mod value;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use crate::load::{self, LoadError, Loaded};
use crate::stderr;
use crate::stdout::{self, Stdout};
pub(crate) use test::run_tests;

/// Check, format, test and price rule files.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say everything that is wrong, with its place and what to do.
    Check(check::Options),
    /// Lay rule files out.
    Fmt(fmt::Options),
    /// Run the tests that stand in the rule files.
    Test(test::Options),
    /// Say what memory and work the features and rules need.
    Cost(cost::Options),
}

/// The rule set to look at.
#[derive(Debug, clap::Args)]
struct RulesPath {
    /// A folder of rule files with their schema, or one rule file
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
}

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Plan(#[from] engine::history::PlanError),
    #[error("cannot {what} `{path}`: {cause}")]
    File { what: &'static str, path: String, cause: std::io::Error },
    #[error("cannot write to standard output: {0}")]
    Output(std::io::Error),
    #[error("{0}")]
    Argument(String),
}

/// Runs the command; its own findings (an error in a rule, a failed test) go to standard output, all else to standard
/// error. Success only if there is nothing to mend.
pub(crate) fn run(command: &Command) -> ExitCode {
    let clean = match command {
        Command::Check(options) => check::run(options),
        Command::Fmt(options) => fmt::run(options),
        Command::Test(options) => test::run(options),
        Command::Cost(options) => cost::run(options),
    };
    match clean {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Whoever reads our output has seen enough (`weir rules cost | head`).
        Err(Error::Output(cause)) if stdout::is_left(&cause) => ExitCode::SUCCESS,
        // The diagnostics of rule files say `error` themselves.
        Err(Error::Load(LoadError::Rules(report))) => {
            stderr::show(report.render(rules::diagnostic::Colour::Never));
            ExitCode::FAILURE
        }
        Err(error) => {
            stderr::error(error);
            ExitCode::FAILURE
        }
    }
}

/// A rule set without errors; warnings are `check`'s to say.
fn load(path: &Path) -> Result<Loaded, Error> {
    Ok(load::rule_set(path)?)
}

/// Writes to standard output.
fn print(text: &str) -> Result<(), Error> {
    use std::io::Write as _;
    Stdout.write_all(text.as_bytes()).map_err(Error::Output)
}

/// Writes as JSON to standard output.
fn print_json(value: &impl serde::Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|it| Error::Output(it.into()))?;
    print(&text)?;
    print("\n")
}
