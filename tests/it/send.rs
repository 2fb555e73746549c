//! `weir send` from outside: what a server decides of a file is what replay decides of it, byte for byte; and how it goes
//! about a server that is overloaded, away or refuses.
//!
//! `WEIR_ROWS=100000` says how many rows of the Handbook are sent; so many without it.

mod stub;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::handbook::handbook;
use crate::program::output;
use crate::serve::Server;
use stub::{Reply, Seen, Stub};

/// Sends files to a server; the key is the server's.
fn send(server: &Server, more: &[&str]) -> Output {
    send_to(&format!("http://{}", server.address), &server.key().unwrap(), more)
}

fn send_to(url: &str, key: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["send", "--to", url])
        .args(more)
        .env("WEIR_API_KEY", key)
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
        assert!(!second.contains("amendment"), "{second}");
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

/// It needs no rule set of its own to read the files by.
#[test]
fn the_key_of_a_service_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--rules", "fixtures/wallet", "--durability", "os"]);
    let create = ["keys", "create", "--data", text(folder.path()), "--role", "service", "--name", "feed"];
    let key = String::from_utf8(output(&create).stdout).unwrap();
    let rejects = folder.path().join("rejects.csv");
    let more = ["fixtures/wallet/day.jsonl", "--rejects", text(&rejects)];
    let said = said(send_to(&format!("http://{}", server.address), key.trim(), &more));
    assert!(said.contains("204 events decided") && said.contains("26 amendments sent"), "{said}");
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

/// A row whose id is another's takes its label along: that event did not become fraud.
#[test]
fn a_refused_row_takes_its_label_along() {
    let folder = tempfile::tempdir().unwrap();
    let [file, rejects] = ["rows.csv", "rejects.csv"].map(|it| folder.path().join(it));
    let header = "transaction_id,tx_datetime,customer_id,terminal_id,amount,fraud\n";
    let rows = "p,2018-04-01T00:00:00,c,t,10.00,0\np,2018-04-01T00:00:01,c,t,11.00,1\nq,2018-04-09T00:00:00,c,t,10.00,0\n";
    fs::write(&file, format!("{header}{rows}")).unwrap();
    let server = Server::start(
        &folder.path().join("data"),
        &["--rules", "fixtures/handbook/rules.weir", "--durability", "os"],
    );
    let more = [text(&file), "--map", "fixtures/handbook/map.toml", "--rejects", text(&rejects)];
    let said = said(send(&server, &more));
    assert!(said.contains("2 events decided") && said.contains("1 rejected"), "{said}");
    assert!(!said.contains("amendment"), "{said}");
}

/// So many rows of the Handbook, with labels that become known a week later: thousands of decisions by windows of days.
#[test]
fn the_handbook_that_is_sent_is_decided_as_in_replay() {
    let Some(transactions) = handbook("tx_2018-04_2018-07.csv.zst") else { return };
    let rows = std::env::var("WEIR_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.csv");
    let unpacked = BufReader::new(zstd::Decoder::new(File::open(transactions).unwrap()).unwrap());
    let mut out = File::create(&file).unwrap();
    for line in unpacked.lines().take(1 + rows) {
        writeln!(out, "{}", line.unwrap()).unwrap();
    }
    drop(out);
    let start = Instant::now();
    let map = ["--map", "fixtures/handbook/map.toml"];
    check(text(&file), &map, "fixtures/handbook/rules.weir", &["events decided", "amendments sent"], false);
    println!("{rows} rows replayed, sent, exported and compared in {:?}", start.elapsed());
}

/// Lines of the wallet's day, as they are sent to a stub; what the stub saw and what was said.
#[track_caller]
fn check_stub(lines: usize, replies: &'static [Reply], more: &[&str]) -> (Vec<Seen>, Output) {
    let folder = tempfile::tempdir().unwrap();
    let [file, rejects] = ["day.jsonl", "rejects.csv"].map(|it| folder.path().join(it));
    let day = include_str!("../../fixtures/wallet/day.jsonl");
    fs::write(&file, day.lines().take(lines).map(|it| format!("{it}\n")).collect::<String>()).unwrap();
    let stub = Stub::start(replies);
    let arguments = [text(&file), "--rules", "fixtures/wallet", "--rejects", text(&rejects)];
    let ended = send_to(&stub.url, "key", &[&arguments[..], more].concat());
    (stub.seen(), ended)
}

#[test]
fn who_is_overloaded_or_away_is_asked_again() {
    let start = Instant::now();
    let busy = &[
        Reply::Problem(429, "overloaded", Some(0)),
        Reply::Problem(503, "out_of_memory", Some(1)),
        Reply::Broken,
        Reply::Well,
        Reply::Broken,
    ];
    let (seen, ended) = check_stub(3, busy, &[]);
    let said = said(ended);
    assert!(said.contains("3 events decided") && said.contains("4 sent again"), "{said}");
    // The same again, until it is answered; then the next.
    let ids: Vec<_> = seen.iter().map(|it| it.body["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["e1", "e1", "e1", "e1", "e2", "e2", "e3"]);
    assert!(seen[..4].iter().all(|it| it.body == seen[0].body && it.deadline == "none"));
    // As long as the server said, and as long as it seems right where nobody said so.
    assert!(Duration::from_secs(3) <= start.elapsed());
    assert!(Duration::from_secs(1) <= seen[2].at - seen[1].at, "{:?}", seen[2].at - seen[1].at);
}

#[test]
fn who_refuses_a_row_gets_the_next_and_who_refuses_the_sender_nothing_more() {
    let row = &[Reply::Problem(422, "invalid_fields", None)];
    let (seen, ended) = check_stub(3, row, &[]);
    let said = said(ended);
    assert!(said.contains("2 events decided") && said.contains("1 rejected"), "{said}");
    assert_eq!(seen.len(), 3);
    let key = &[Reply::Well, Reply::Problem(401, "unauthorized", None)];
    let (seen, ended) = check_stub(10, key, &[]);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && said.contains("a key stands in WEIR_API_KEY"), "{said}");
    assert!(said.starts_with("1 event decided") && seen.len() == 2, "{said}");
}

#[test]
fn no_event_is_sent_before_it_is_due() {
    let start = Instant::now();
    let (seen, ended) = check_stub(21, &[], &["--rate", "40", "--deadline", "10ms"]);
    said(ended);
    let mut events = 0;
    for it in &seen {
        assert_eq!(it.deadline, "10ms");
        if it.path == "/v1/decisions" {
            assert!(Duration::from_millis(25) * events <= it.at - start, "event {events}");
            events += 1;
        }
    }
    assert!(events > 10);
}

/// What is about one event goes over one connection, the event first; different events go over different ones.
#[test]
fn over_many_connections_no_label_overtakes_its_event() {
    let (seen, ended) = check_stub(230, &[], &["--connections", "4"]);
    let said = said(ended);
    assert!(said.contains("204 events decided") && said.contains("26 amendments sent"), "{said}");
    let mut by_event = BTreeMap::<&str, Vec<&Seen>>::new();
    for it in &seen {
        let of = |member: &str| it.body.get(member).and_then(Value::as_str);
        by_event.entry(of("event_id").or(of("id")).unwrap()).or_default().push(it);
    }
    for (event, about) in by_event {
        let (first, rest) = about.split_first().unwrap();
        assert_eq!(first.path, "/v1/decisions", "{event}");
        assert!(rest.iter().all(|it| it.path == "/v1/amendments"), "{event}");
        assert!(rest.iter().all(|it| it.connection == first.connection), "{event}");
    }
    assert_eq!(seen.iter().map(|it| it.connection).collect::<BTreeSet<_>>().len(), 4);

    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--rules", "fixtures/wallet", "--durability", "os"]);
    let rejects = folder.path().join("rejects.csv");
    let more = ["fixtures/wallet/day.jsonl", "--connections", "4", "--rejects", text(&rejects)];
    let said = self::said(send(&server, &more));
    assert!(said.contains("204 events decided") && said.contains("26 amendments sent"), "{said}");
    assert!(!rejects.exists());
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
        (
            send_to(&format!("http://{}", server.address), "other", &["x.jsonl"]),
            "the server refuses the key: ",
        ),
        (send_to(&format!("http://{}", server.address), "", &["x.jsonl"]), "a key stands in WEIR_API_KEY"),
        (send(&server, &["nowhere.jsonl"]), "`nowhere.jsonl` cannot be opened"),
        (send(&server, &["x.jsonl", "--deadline", "soon"]), "is not a duration"),
        (send(&server, &["x.jsonl", "--connections", "0"]), "--connections"),
    ];
    for (ended, expected) in rows {
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success() && said.contains(expected), "`{expected}` is not in: {said}");
    }
}
