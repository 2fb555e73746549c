//! `weir bench http` at a glance: every row is there, and what was answered is in the journals.

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
