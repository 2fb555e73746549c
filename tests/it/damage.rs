//! A data directory of which something was lost, from outside: what snapshots know of is missed by every command, and
//! what the journal knows is built again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::data::{damage, files, snapshots};
use crate::journal::{copied, refuses, says};
use crate::program::output;

/// A directory in which a day was decided, with two snapshots beside its journal.
fn day(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    let shown = data.to_str().unwrap();
    says(&["replay", "fixtures/wallet/day.jsonl", "--rules", "fixtures/wallet", "--data", shown]);
    says(&["journal", "checkpoint", "--data", shown]);
    assert_eq!(snapshots(&data).len(), 2);
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

#[test]
fn a_journal_that_is_gone_as_a_whole_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("snapshots")).unwrap();
    let shown = folder.path().to_str().unwrap();
    for command in
        [&["journal", "stat", "--data", shown][..], &["replay", shown, "--rules", "fixtures/wallet"]]
    {
        let said = refuses(command);
        assert!(said.contains(&format!("put `{shown}/journal` back")), "{command:?}: {said}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "and nothing is made");
}

/// Whatever happened to the snapshots, the state is the same, and the next start has whole ones.
#[track_caller]
fn check_built(data: &Path, damaged: &[PathBuf]) {
    let shown = data.to_str().unwrap();
    let before = says(&["journal", "export", "--data", shown]);
    let ended = output(&["journal", "checkpoint", "--data", shown]);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{said}");
    for file in damaged {
        let aside = file.with_extension("damaged");
        assert!(said.contains(&format!("it is now `{}`", aside.display())) && aside.exists(), "{said}");
    }
    assert!(says(&["journal", "export", "--data", shown]) == before, "records differ");
    says(&["journal", "verify", "--decide", "--data", shown]);
    let again = output(&["journal", "checkpoint", "--data", shown]);
    assert_eq!(String::from_utf8(again.stderr).unwrap(), "", "nothing is wrong any more");
}

#[test]
fn where_all_snapshots_are_damaged_the_state_is_built_from_the_journal() {
    for part in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let data = day(folder.path());
        let all = snapshots(&data);
        all.iter().for_each(|it| damage(it, part));
        check_built(&data, &all);
    }
}

#[test]
fn where_the_journal_does_not_make_up_for_them_all_are_named() {
    for part in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let (whole, data) = (day(folder.path()), folder.path().join("pruned"));
        copied(&whole, &data, 1 << 12, |_, _, _| {});
        let shown = data.to_str().unwrap();
        says(&["journal", "prune", "--before", "100", "--data", shown]);
        says(&["journal", "checkpoint", "--data", shown]);
        let others = snapshots(&data);
        others.iter().for_each(|it| damage(it, part));
        check_built(&data, &others);

        let every = || files(&data.join("snapshots"), ".snapshot");
        let all = every();
        assert!(2 < all.len(), "{all:?}");
        all.iter().for_each(|it| damage(it, part));
        let said = refuses(&["journal", "checkpoint", "--data", shown]);
        for file in &all {
            assert!(said.contains(&format!("snapshot `{}` is damaged", file.display())), "{file:?}: {said}");
        }
        for words in ["no snapshot is whole", "from a copy", "the journal begins at"] {
            assert!(said.contains(words), "`{words}` is not in: {said}");
        }
        assert_eq!(every(), all, "nothing is renamed");
    }
}

/// Neither is whole: both are named.
#[test]
fn a_damaged_journal_does_not_make_up_for_damaged_snapshots() {
    let folder = tempfile::tempdir().unwrap();
    let data = day(folder.path());
    let all = snapshots(&data);
    let segment = files(&data.join("journal"), ".segment").remove(0);
    all.iter().chain([&segment]).for_each(|it| damage(it, 1));
    let said = refuses(&["journal", "checkpoint", "--data", data.to_str().unwrap()]);
    assert!(said.contains(segment.to_str().unwrap()) && said.contains("this was durable"), "{said}");
    assert_eq!(snapshots(&data), all, "nothing is renamed");
}
