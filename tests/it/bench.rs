//! `weir bench`: what it decides is what is known of the file, on however many threads; what it prints.

use std::collections::HashMap;

use crate::handbook::handbook;
use crate::program::{output, run};

/// Hits of the twenty rules on the open Handbook file, in the order of the rules.
const HITS: [u64; 20] = [
    35_682, 11_937, 92_944, 8_032, 15_251, 147_060, 123_303, 125, 2_659, 12_614, 3_764, 38_215, 33_331,
    145_444, 83_250, 1_280, 862, 226_026, 24_912, 131_413,
];

/// What stands behind the first word of each line, up to the first blank.
fn bench(arguments: &[&str]) -> HashMap<String, String> {
    let output = run(&[&["bench"], arguments].concat());
    let words = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        words.next().zip(words.next())
    };
    String::from_utf8(output.stdout).unwrap().lines().filter_map(words).collect()
}

#[test]
fn twenty_rules_hit_the_handbook_as_often_as_known() {
    let Some(file) = handbook("tx_2018-04_2018-07.csv.zst") else { return };
    for threads in ["1", "2"] {
        let said = bench(&[
            "file",
            file.to_str().unwrap(),
            "--map",
            "fixtures/handbook/map.toml",
            "--rules",
            "fixtures/handbook/twenty.weir",
            "--threads",
            threads,
        ]);
        let number = |name: &str| said[name].replace(',', "").parse::<u64>().unwrap();
        assert_eq!(number("decisions"), 1_169_723, "on {threads} thread(s)");
        assert_eq!(number("hits"), 1_138_104, "on {threads} thread(s)");
        for (rule, hits) in (1..).zip(HITS) {
            assert_eq!(number(&format!("r{rule:02}")), hits, "r{rule:02} on {threads} thread(s)");
        }
        assert!(!said.contains_key("rejected") && !said.contains_key("refused"));
    }
}

#[test]
fn a_replay_stands_beside_a_bare_loop() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("day.csv.gz");
    let file = file.to_str().unwrap();
    run(&["simulate", "--seed", "3", "--users", "200", "--days", "1", "--out", file]);
    let said =
        bench(&["replay", file, "--map", "fixtures/wallet/wallet.map.toml", "--rules", "fixtures/wallet"]);
    for line in ["rows", "replay", "bare", "ratio", "written", "hit"] {
        assert!(said.contains_key(line), "{line} is not in {said:?}");
    }
    assert!(said["rows"].parse::<u64>().unwrap_or(1_000) > 100, "{said:?}");
    assert!(!said.contains_key("rejected"), "{said:?}");
    let lines =
        ["bench", "replay", "fixtures/wallet/day.jsonl", "--map", "m.toml", "--rules", "fixtures/wallet"];
    assert!(String::from_utf8_lossy(&output(&lines).stderr).contains("day.jsonl` is no CSV"));
}

/// A workload as small as it may be: what each row of the table is called.
#[test]
fn a_decision_stands_beside_its_steps_and_the_floor() {
    let said = bench(&["--users", "500", "--draw", "uniform", "--events", "500"]);
    for row in ["floor", "windows", "program", "decision"] {
        assert!(said[row].parse::<f64>().unwrap() > 0.0, "{row} of {said:?}");
    }
}

/// Merchants as small as they may be: every kind of event is there, and none was refused.
#[test]
fn an_event_of_a_busy_merchant_stands_beside_one_of_a_quiet_merchant() {
    let said = bench(&["flat", "--few", "1000", "--many", "2000", "--events", "200"]);
    for (row, next) in [("in", "order"), ("1", "%"), ("2", "%"), ("after", "an")] {
        assert_eq!(said[row], next, "{said:?}");
    }
}

/// A data directory as small as it may be: what was written is recovered, and every line is there.
#[test]
fn a_recovery_stands_beside_the_bare_reading_of_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let said = bench(&["recovery", "--users", "300", "--tail", "2000", "--rate", "1000", "--data", data]);
    for line in ["snapshot", "tail", "bare", "warm", "bound", "cold", "os", "fsync"] {
        assert!(said.contains_key(line), "{line} is not in {said:?}");
    }
    assert_eq!(said["tail"], "2,000");
    // Users, their cards and devices, and three merchants; some of them new or gone.
    let entities = said["snapshot"].replace(',', "").parse::<u64>().unwrap();
    assert!((903..1_100).contains(&entities), "{entities} entities");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing is left behind");
}

/// A journal as small as it may be: state is built, and every change comes into force with nobody refused.
#[test]
fn a_rule_set_comes_into_force_while_payments_are_decided() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let small = ["--records", "3000", "--users", "300", "--seconds", "1", "--rate", "200"];
    let ran = output(&[&["bench", "activation", "--data", data], &small[..]].concat());
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    for (line, end) in [
        ("calm", "200 answers in"),
        ("built", "answers in"),
        ("thresholds", "answers in"),
        ("back", "answers in"),
    ] {
        let found = said.lines().find(|it| it.starts_with(line));
        assert!(found.is_some_and(|it| it.contains(end)), "{line} is not in: {said}");
    }
    // The first record is the rule set, and some of the calm came behind it.
    let build = said.lines().find(|it| it.starts_with("build ")).unwrap().replace(',', "");
    let from = build.split_whitespace().filter_map(|it| it.parse::<u64>().ok()).next();
    assert!(from.is_some_and(|it| (3_201..10_000).contains(&it)), "{said}");
    assert!(said.contains("holds  refused 0, none"), "{said}");
    let bounds = said.lines().filter(|it| it.starts_with("holds ") || it.starts_with("missed "));
    assert_eq!(bounds.count(), 4, "{said}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing is left behind");
}
