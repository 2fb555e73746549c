//! `weir bench http` at a glance: every row is there, and what was answered is in the journals.

use std::process::Command;

use crate::program::output;

#[test]
fn every_row_is_measured_and_every_answer_is_in_a_journal() {
    let folder = tempfile::tempdir().unwrap();
    let ran =
        output(&["bench", "http", "--quick", "--rate", "1000", "--data", folder.path().to_str().unwrap()]);
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    let rows: Vec<Vec<&str>> = said.lines().map(|it| it.split_whitespace().collect()).collect();
    for policy in ["echo", "os", "fsync"] {
        for connections in ["1", "32", "64"] {
            let rate = if connections == "1" { "200" } else { "1,000" };
            for expected in [&[policy, "closed", connections][..], &[policy, "open", connections, rate]] {
                let row = rows.iter().find(|it| it.starts_with(expected));
                let row = row.unwrap_or_else(|| panic!("{expected:?} is not in: {said}"));
                assert!(row[expected.len()].parse::<u64>().unwrap() > 0, "nothing was answered: {said}");
                assert_eq!(row.last(), Some(&"0"), "none is refused: {said}");
            }
        }
    }
    assert!(said.contains("a sync of the disk's own"), "{said}");
    let bounds = said.lines().filter(|it| it.starts_with("holds ") || it.starts_with("missed "));
    assert_eq!(bounds.count(), 3, "{said}");
    let ended = said.lines().last().unwrap().replace(',', "");
    let counts: Vec<u64> = ended.split_whitespace().filter_map(|it| it.parse().ok()).collect();
    // Three days of a thousand users were decided twice before.
    assert!(
        matches!(counts[..], [answered, recorded] if answered == recorded && 2 * 3_600 < answered),
        "{said}"
    );
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing is left behind");
}

/// A disk that is full, as far as the process can tell: its files may not grow over half a megabyte, and none of those that
/// are written before the journal does.
#[test]
fn a_server_that_fails_meanwhile_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let narrow = "trap '' XFSZ; ulimit -f 512; exec \"$0\" bench http --quick --data \"$1\"";
    let ran =
        Command::new("bash").args(["-c", narrow, env!("CARGO_BIN_EXE_weir")]).arg(folder.path()).output();
    let ran = ran.unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && said.contains("the journal could not be written"), "{said}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing is left behind");
}
