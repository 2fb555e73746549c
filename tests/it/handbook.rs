//! The Handbook's published features, row by row: `weir replay` must give the same numbers.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};

use crate::program::output;

/// The data set, if it is there; it is not part of the repository.
pub(crate) fn handbook(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/handbook").join(file);
    if path.exists() {
        return Some(path);
    }
    // Straight to the terminal: what a test prints is shown only where it fails.
    let _ = writeln!(io::stderr(), "skipped: `{}` is not there", path.display());
    None
}

/// Runs `weir` and gives what it says on standard error.
#[track_caller]
pub(crate) fn weir(arguments: &[&str]) -> String {
    let output = output(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// Rows of a zstd-packed CSV file, split at commas; the first is the header.
fn packed_rows(path: &Path) -> impl Iterator<Item = Vec<String>> {
    let unpacked = zstd::Decoder::new(File::open(path).unwrap()).unwrap();
    rows(BufReader::new(unpacked))
}

fn rows(text: impl BufRead) -> impl Iterator<Item = Vec<String>> {
    text.lines().map(|line| line.unwrap().split(',').map(str::to_owned).collect())
}

/// Pairs of one customer in one second that the reference counted in the other order.
fn flagged(path: &Path) -> HashSet<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let pairs = text.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    pairs.filter(|pair| pair[3] == "1").flat_map(|pair| [pair[1].to_owned(), pair[2].to_owned()]).collect()
}

#[test]
fn every_published_feature_of_every_row() {
    let (Some(transactions), Some(published), Some(pairs)) = (
        handbook("tx_2018-04_2018-07.csv.zst"),
        handbook("features_2018-04_2018-07.csv.zst"),
        handbook("same_second_customer_pairs.csv"),
    ) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let computed = folder.path().join("features.csv");
    weir(&[
        "replay",
        transactions.to_str().unwrap(),
        "--map",
        "fixtures/handbook/map.toml",
        "--rules",
        "fixtures/handbook/rules.weir",
        "--features",
        computed.to_str().unwrap(),
    ]);
    let flagged = flagged(&pairs);
    let mut expected = packed_rows(&published);
    let mut got = rows(BufReader::new(File::open(computed).unwrap()));
    let names = expected.next().unwrap();
    let places: HashMap<String, usize> =
        got.next().unwrap().into_iter().enumerate().map(|(at, it)| (it, at)).collect();
    let (mut count, mut excused) = (0, 0);
    for expected in expected {
        let got = got.next().expect("a row of features for every transaction");
        assert_eq!(got[0], expected[0], "rows stand in the file's order");
        count += 1;
        for (name, value) in names.iter().zip(&expected).skip(1) {
            let ours = &got[places[name]];
            if ours != value {
                assert!(
                    name.starts_with("cust_") && flagged.contains(&expected[0]),
                    "{name} of {}: {ours}, published {value}",
                    expected[0]
                );
                excused += 1;
            }
        }
    }
    assert_eq!(count, 1_169_723);
    assert!(got.next().is_none() && excused > 0, "no row too many; the flagged pairs do differ");
}
