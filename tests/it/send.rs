//! `weir send` from outside: what a server decides of a file is what replay decides of it, byte for byte.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::program::output;
use crate::serve::Server;

/// Sends files to a server; the key is the server's.
fn send(server: &Server, more: &[&str]) -> Output {
    let url = server.said.split_whitespace().find(|it| it.starts_with("http://")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["send", "--to", url])
        .args(more)
        .env("WEIR_API_KEY", server.key().unwrap())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

/// What a run said, which must have gone well.
#[track_caller]
fn said(output: Output) -> String {
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Replays and sends the same file, perhaps twice; compares what was decided.
#[track_caller]
fn check(file: &str, more: &[&str], rules: &str, expected: &[&str], again: bool) {
    let folder = tempfile::tempdir().unwrap();
    let [data, out, exported, rejects] =
        ["data", "out.csv", "exported.csv", "rejects.csv"].map(|it| folder.path().join(it));
    let replay = ["replay", file, "--rules", rules, "--out", text(&out), "--rejects", text(&rejects)];
    said(output(&[&replay[..], more].concat()));
    let refused = fs::read_to_string(&rejects).unwrap_or_default();
    let _ = fs::remove_file(&rejects);

    let server = Server::start(&data, &["--rules", rules, "--durability", "os"]);
    let arguments = [&[file, "--rejects", text(&rejects)], more].concat();
    let first = said(send(&server, &arguments));
    for words in expected {
        assert!(first.contains(words), "`{words}` is not in: {first}");
    }
    assert_eq!(fs::read_to_string(&rejects).unwrap_or_default(), refused, "rejects");
    if again {
        let second = said(send(&server, &arguments));
        assert!(second.starts_with("0 events decided") && second.contains("sent before"), "{second}");
    }
    server.stop();
    said(output(&["journal", "export", "--decisions", "--data", text(&data), "--out", text(&exported)]));
    assert!(fs::read_to_string(&exported).unwrap() == fs::read_to_string(&out).unwrap(), "decisions differ");
}

#[test]
fn a_day_that_is_sent_is_decided_as_in_replay() {
    let expected = ["204 events decided", "26 amendments sent", "allow 186, challenge 12, block 6", "p99"];
    check("fixtures/wallet/day.jsonl", &[], "fixtures/wallet", &expected, true);
}

/// Labels stand in a column: they become known while the file goes on, or after its end.
#[test]
fn labels_of_a_mapping_are_merged_and_bad_rows_rejected_as_in_replay() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.csv");
    let mut rows = "transaction_id,tx_datetime,customer_id,terminal_id,amount,fraud\n".to_owned();
    for n in 0..60 {
        let (day, fraud) = (1 + n / 2, u32::from(n % 3 == 0));
        rows += &format!("{n},2018-04-{day:02}T12:00:{:02},{},{},10.00,{fraud}\n", n % 2, n % 5, n % 4);
    }
    rows += "bad,2018-05-01T00:00:00,1,1,ten,0\n";
    fs::write(&file, rows).unwrap();
    let expected =
        ["60 events decided", "amendments sent", "labels not known yet, and not sent", "1 rejected: see"];
    let map = ["--map", "fixtures/handbook/map.toml"];
    check(text(&file), &map, "fixtures/handbook/rules.weir", &expected, false);
}

#[test]
fn who_cannot_send_is_told_why() {
    let missing = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["send", "x.jsonl"])
        .env_remove("WEIR_API_KEY")
        .output()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--durability", "os"]);
    let rows = [
        (missing, "`export WEIR_API_KEY=…`"),
        (send(&server, &["nowhere.jsonl"]), "`nowhere.jsonl` cannot be opened"),
        (send(&server, &["x.jsonl", "--deadline", "soon"]), "is not a duration"),
        (send(&server, &["x.jsonl", "--connections", "0"]), "--connections"),
    ];
    for (ended, expected) in rows {
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success() && said.contains(expected), "`{expected}` is not in: {said}");
    }
}
