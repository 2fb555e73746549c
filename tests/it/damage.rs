//! A data directory of which something was lost, from outside: what snapshots know of is missed by every command.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::journal::{refuses, says};

/// The files of a folder that end so, by name.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let mut found: Vec<PathBuf> = all.filter(|it| it.to_str().unwrap().ends_with(ending)).collect();
    found.sort();
    found
}

/// A directory in which a day was decided, with two snapshots beside its journal.
fn day(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    let shown = data.to_str().unwrap();
    says(&["replay", "fixtures/wallet/day.jsonl", "--rules", "fixtures/wallet", "--data", shown]);
    says(&["journal", "checkpoint", "--data", shown]);
    assert_eq!(files(&data.join("snapshots"), ".snapshot").len(), 2);
    data
}

/// Every command that reads a journal by itself refuses it with these words, and changes nothing.
#[track_caller]
fn check_missed(lose: impl Fn(&Path), expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let data = day(folder.path());
    let journal = data.join("journal");
    let segment = files(&journal, ".segment").remove(0);
    lose(&segment);
    let bytes = || fs::read(&segment).ok().map(|it| it.len());
    let (shown, before) = (data.to_str().unwrap(), bytes());
    for command in [
        &["journal", "stat", "--data", shown][..],
        &["journal", "verify", "--data", shown],
        &["journal", "verify", "--decide", "--data", shown],
        &["journal", "export", "--data", shown],
        &["journal", "export", "--decisions", "--data", shown],
        &["journal", "checkpoint", "--data", shown],
        &["replay", shown, "--rules", "fixtures/wallet"],
        &["serve", "--listen", "127.0.0.1:0", "--data", shown],
    ] {
        let said = refuses(command);
        assert!(said.contains(expected), "{command:?}: `{expected}` is not in: {said}");
        assert_eq!(bytes(), before, "{command:?}");
    }
}

#[test]
fn records_that_a_snapshot_goes_on_from_are_missed() {
    let cut = |length: fn(u64) -> u64| {
        move |segment: &Path| {
            let file = File::options().write(true).open(segment).unwrap();
            file.set_len(length(file.metadata().unwrap().len())).unwrap();
        }
    };
    check_missed(cut(|it| it / 2), "this was durable, so it is not cut");
    check_missed(cut(|_| 0), "this was durable, so it is not cut");
    let missing = "holds no journal, but the snapshots beside it go on from one";
    check_missed(|segment| fs::remove_file(segment).unwrap(), missing);
}
