//! Running the built program from the root of the repository.

use std::process::{Command, Output, Stdio};

/// Runs `weir` to its end.
pub(crate) fn output(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

/// Runs `weir` to its end, which must be a good one.
#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> Output {
    let output = output(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Runs `weir` with nobody who reads what it writes: gives whether that is a success, and what it says of it.
pub(crate) fn unread(arguments: &[&str]) -> (bool, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    let output = command.args(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Runs `weir` with nobody who hears what it says beside its output: gives its exit code.
fn unheard(arguments: &[&str]) -> Option<i32> {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).stdout(Stdio::null()).stderr(writer);
    command.status().unwrap().code()
}

#[track_caller]
fn check_unheard(arguments: &[&str], exit: i32) {
    assert_eq!(unheard(arguments), Some(exit), "{arguments:?}");
}

#[test]
fn whether_anybody_hears_it_changes_nothing() {
    check_unheard(&["replay", "nowhere.csv", "--rules", "fixtures/wallet", "--map", "nowhere.toml"], 1);
    check_unheard(&["rules", "check", "nowhere"], 1);
    check_unheard(&["rules", "test", "fixtures/wallet"], 0);
    check_unheard(&["replay", "fixtures/wallet/day.jsonl", "--rules", "fixtures/wallet/wallet.weir"], 0);
    check_unheard(&["serve", "--data", "/dev/null/nowhere"], 1);
    check_unheard(&["serve", "--no-such-option"], 2);
}

/// A journal has two files for each of its segments, and a shell lets its programs open few.
#[test]
fn as_many_files_may_be_open_as_the_system_allows() {
    let folder = tempfile::tempdir().unwrap();
    let few = "ulimit -Sn 5; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", few, env!("CARGO_BIN_EXE_weir"), "replay", "fixtures/wallet/day.jsonl"]);
    command.args(["--rules", "fixtures/wallet/wallet.weir", "--data"]).arg(folder.path());
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
