//! Running the built program from the root of the repository.

use std::process::{Command, Output};

/// Runs `weir` to its end.
pub(crate) fn output(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

/// The same, of what must go well.
#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> Output {
    let output = output(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}
