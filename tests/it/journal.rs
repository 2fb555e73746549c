//! `weir replay --data` and `weir journal` from outside: what a replay writes down is what it decides, a server goes on
//! from it, and a changed byte or decision is named.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rules::past::Outcome;
use serde_json::{Value, json};
use stream::disk::{Disk, Folder};
use stream::journal::{self, Cursor as _, Entry, Journal as _, OnDisk, Options, Reader, RecordKind};
use stream::record::{Decided, Stamp};

use crate::data::{base, files, snapshots};
use crate::program::{output, unread};
use crate::serve::Server;

/// What a run says on standard output; it must end well.
#[track_caller]
pub(crate) fn says(arguments: &[&str]) -> String {
    let output = output(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a run says on both; it must fail.
#[track_caller]
pub(crate) fn refuses(arguments: &[&str]) -> String {
    let output = output(arguments);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(!output.status.success(), "it went through: {said}");
    said
}

/// Simulated traffic, a line each.
fn traffic(folder: &Path) -> Vec<String> {
    let file = folder.join("traffic.jsonl");
    says(&["simulate", "--seed", "5", "--users", "60", "--days", "2", "--out", file.to_str().unwrap()]);
    fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

/// Replays lines; gives the decisions.
fn replay(folder: &Path, lines: &[String], data: Option<&str>) -> String {
    let data: Vec<_> = data.into_iter().flat_map(|data| ["--data", data]).collect();
    replay_with(folder, lines, &data)
}

fn replay_with(folder: &Path, lines: &[String], more: &[&str]) -> String {
    let [file, out, rejects] = ["part.jsonl", "out.csv", "rejects.csv"].map(|name| folder.join(name));
    fs::write(&file, lines.join("\n") + "\n").unwrap();
    let [file, out, rejects] = [&file, &out, &rejects].map(|it| it.to_str().unwrap());
    let mut arguments =
        vec!["replay", file, "--rules", "fixtures/wallet", "--rejects", rejects, "--out", out];
    arguments.extend(more);
    says(&arguments);
    fs::read_to_string(out).unwrap()
}

fn journal_of(data: &Path) -> Arc<dyn Disk> {
    Arc::new(Folder::new(data.join("journal")))
}

/// The records of a journal in another data directory, one of them by way of `change`, in segments of this size.
pub(crate) fn copied(
    from: &Path,
    to: &Path,
    segment_bytes: u64,
    change: impl Fn(u64, RecordKind, &mut Vec<u8>),
) {
    let source = journal_of(from);
    let key = journal::key(&source).unwrap().unwrap();
    let disk = Folder::create(to.join("journal")).unwrap();
    let copy = OnDisk::open(Arc::new(disk), Options { segment_bytes, ..Options::new(key) }).unwrap();
    let mut records = Reader::open(source, 0, 0).unwrap().unwrap();
    while let Some(record) = records.next().unwrap() {
        let mut body = record.body.to_vec();
        change(record.offset, record.kind, &mut body);
        copy.append(&Entry { kind: record.kind, body: &body, id: record.id, entities: &[], received_at: 0 });
        // Each is a batch of its own, so that segments can end between them.
        while segment_bytes < 1 << 20 && copy.durable() < copy.next() {
            std::thread::yield_now();
        }
    }
    copy.close();
    assert_eq!(copy.fault(), None);
}

#[test]
fn a_replay_is_written_down_as_it_decides_and_a_server_goes_on_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let lines = traffic(folder.path());
    let whole = replay(folder.path(), &lines, None);
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    // In two runs, as one.
    let (first, second) = lines.split_at(lines.len() / 2);
    let first = replay(folder.path(), first, Some(data));
    assert_eq!(says(&["journal", "export", "--decisions", "--data", data]), first);
    let second = replay(folder.path(), second, Some(data));
    assert_eq!(first + second.split_once('\n').unwrap().1, whole);
    let exported = folder.path().join("exported.csv");
    let out = exported.to_str().unwrap();
    says(&["journal", "export", "--decisions", "--out", out, "--data", data]);
    assert!(fs::read_to_string(exported).unwrap() == whole, "exported decisions are those of the replay");

    let verified = says(&["journal", "verify", "--decide", "--data", data]);
    let records = says(&["journal", "export", "--data", data]);
    check_lines(&records, &lines);
    let count = records.lines().count().to_string();
    let stat = says(&["journal", "stat", "--data", data]);
    assert!(verified.starts_with(&stat), "{verified}");
    assert!(verified.contains("derived again, and none differs"), "{verified}");
    assert!(stat.contains(&format!("to below {count}\n")), "{stat}");

    let user = lines.iter().find_map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["user"].as_str().map(str::to_owned)
    });
    let server = Server::start(Path::new(data), &[]);
    let key = server.key().unwrap();
    let (status, known) = server.send("GET", &format!("/v1/entities/user/{}", user.unwrap()), &key, "");
    assert_eq!(status, 200, "{known}");
    assert!(known["recent"].as_array().is_some_and(|it| !it.is_empty()), "{known}");
    let said = refuses(&["journal", "stat", "--data", data]);
    assert!(said.contains("is in use by process"), "{said}");
    server.stop();
    let again = says(&["journal", "verify", "--decide", "--data", data]);
    assert!(again.contains("none differs") && again.lines().next() == verified.lines().next(), "{again}");
}

/// A state that was saved without a journal is the ground of one: of whoever replays on, and of a server, which still
/// knows what came within a day.
#[test]
fn a_journal_is_begun_upon_the_state_of_a_replay() {
    let folder = tempfile::tempdir().unwrap();
    let lines = traffic(folder.path());
    let whole = replay(folder.path(), &lines, None);
    let (first, second) = lines.split_at(lines.len() / 2);
    let events = first.iter().rev().filter(|it| !it.contains("event_id"));
    let [last, before]: [&String; 2] = events.take(2).collect::<Vec<_>>().try_into().unwrap();
    for way in ["replay", "serve"] {
        let data = folder.path().join(way);
        let data = data.to_str().unwrap();
        let decided = replay_with(folder.path(), first, &["--state", data]);
        if way == "replay" {
            let rest = replay(folder.path(), second, Some(data));
            assert_eq!(decided + rest.split_once('\n').unwrap().1, whole);
        } else {
            // One that decides nothing stops as well.
            let server = Server::start(Path::new(data), &[]);
            let key = server.key().unwrap();
            server.stop();
            let server = Server::start(Path::new(data), &[]);
            let decide = |body: &str| server.send("POST", "/v1/decisions", &key, body);
            let (status, known) = decide(last);
            assert_eq!((status, &known["flags"]), (200, &json!(["repeated"])), "{known}");
            let (status, other) = decide(&before.replacen("\"id\":", "\"extra\":{},\"id\":", 1));
            assert_eq!((status, &other["code"]), (409, &json!("event_id_reused")), "{other}");
            let next = second.iter().find(|it| !it.contains("event_id")).unwrap();
            let (status, new) = decide(next);
            assert_eq!((status, &new["flags"]), (200, &json!([])), "{new}");
            server.stop();
        }
        let stat = says(&["journal", "stat", "--data", data]);
        assert!(stat.contains("base"), "{stat}");
        let verified = says(&["journal", "verify", "--decide", "--data", data]);
        assert!(verified.contains("none differs"), "{verified}");
        let said = refuses(&["replay", "x.jsonl", "--rules", "fixtures/wallet", "--state", data]);
        assert!(said.contains("holds a journal: go on with it by `--data`"), "{said}");
    }
}

/// Before its first record comes, too.
#[test]
fn other_rules_come_into_force_upon_the_state_of_a_replay() {
    let folder = tempfile::tempdir().unwrap();
    let lines = traffic(folder.path());
    let (first, second) = lines.split_at(lines.len() / 2);
    let [rules, data, file, rejects] =
        ["rules", "data", "rest.jsonl", "rejects.csv"].map(|name| folder.path().join(name));
    fs::create_dir(&rules).unwrap();
    fs::copy("fixtures/wallet/wallet.schema.weir", rules.join("wallet.schema.weir")).unwrap();
    let more = "\nfeature payments_2h = count(payment) by user over 2h\nrecord payments_2h\n";
    let text = fs::read_to_string("fixtures/wallet/wallet.weir").unwrap() + more;
    fs::write(rules.join("wallet.weir"), text).unwrap();
    fs::write(&file, second.join("\n") + "\n").unwrap();
    let [rules, data, file, rejects] = [&rules, &data, &file, &rejects].map(|it| it.to_str().unwrap());
    replay_with(folder.path(), first, &["--state", data]);
    says(&["replay", file, "--rules", rules, "--data", data, "--rejects", rejects]);
    let verified = says(&["journal", "verify", "--decide", "--data", data]);
    assert!(verified.contains("none differs"), "{verified}");
}

/// Every record is a line, and events stand in them as they were sent.
#[track_caller]
fn check_lines(records: &str, sent: &[String]) {
    let lines: Vec<Value> = records.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert!(lines.iter().zip(0_u64..).all(|(line, offset)| line["offset"] == json!(offset)));
    assert_eq!((&lines[0]["kind"], &lines[0]["clock"]), (&json!("rule_set"), &Value::Null));
    let of = |kind: &str| lines.iter().filter(|it| it["kind"] == json!(kind)).collect::<Vec<_>>();
    let sent: Vec<Value> = sent.iter().map(|it| serde_json::from_str(it).unwrap()).collect();
    let (amendments, events): (Vec<_>, Vec<_>) = sent.iter().partition(|it| it.get("event_id").is_some());
    let (decided, amended) = (of("decided"), of("amend"));
    assert_eq!((decided.len(), amended.len()), (events.len(), amendments.len()));
    for (line, event) in decided.iter().zip(&events) {
        for member in ["id", "type", "user", "amount"] {
            assert_eq!(line["event"].get(member), event.get(member), "{line}");
        }
        assert!(["allow", "challenge", "block"].contains(&line["outcome"].as_str().unwrap()), "{line}");
    }
    for (line, amendment) in amended.iter().zip(&amendments) {
        for member in ["id", "event_id", "label", "kind", "result", "challenge"] {
            assert_eq!(line["amendment"].get(member), amendment.get(member), "{line}");
        }
    }
}

#[test]
fn who_has_seen_enough_may_leave() {
    let folder = tempfile::tempdir().unwrap();
    let lines = traffic(folder.path());
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    replay(folder.path(), &lines, Some(data));
    for command in [
        &["export"][..],
        &["export", "--decisions"],
        &["stat"],
        &["verify"],
        &["verify", "--decide"],
        &["checkpoint"],
    ] {
        let arguments = [&["journal"], command, &["--data", data]].concat();
        assert_eq!(unread(&arguments), (true, String::new()), "{command:?}");
    }
}

/// Other rules, tried on what a replay has written down and on the file that it came from, are the same in both, to what
/// is said of them at the end. With the recorded outcomes they are not.
#[test]
fn a_journal_by_itself_is_replayed_as_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let lines = traffic(folder.path());
    let [data, rules, file] = ["data", "rules", "part.jsonl"].map(|name| folder.path().join(name));
    replay(folder.path(), &lines, data.to_str());
    let rule =
        "rule dear \"Not cheap\"\n  on payment\n  when amount >= 50.00 CNY\n  then block\n\npolicy\n  block";
    let strict = fs::read_to_string("fixtures/wallet/wallet.weir").unwrap();
    let strict = strict.replace("policy\n  block", rule);
    fs::create_dir(&rules).unwrap();
    fs::write(rules.join("wallet.weir"), strict).unwrap();
    fs::copy("fixtures/wallet/wallet.schema.weir", rules.join("wallet.schema.weir")).unwrap();
    let [out, features, rejects] =
        ["out.csv", "features.csv", "rejects.csv"].map(|name| folder.path().join(name));
    let tried = |of: &Path, more: &[&str]| {
        let [of, rules, out, features] = [of, &rules, &out, &features].map(|it| it.to_str().unwrap());
        let arguments = ["replay", of, "--rules", rules, "--out", out, "--features", features];
        let ended = output(&[&arguments[..], more].concat());
        assert!(ended.status.success(), "{ended:?}");
        let said = String::from_utf8(ended.stderr).unwrap();
        // But for the time that it took, and whose history it was.
        let said: Vec<_> =
            said.lines().skip(1).filter(|it| !it.starts_with("history")).map(str::to_owned).collect();
        (fs::read_to_string(out).unwrap(), fs::read_to_string(features).unwrap(), said)
    };
    // Labels come after days, by the id alone: without a journal of its own a replay does not find whose they are.
    let other = folder.path().join("other");
    let [other, rejects] = [&other, &rejects].map(|it| it.to_str().unwrap());
    let (of_file, of_journal) = (tried(&file, &["--data", other, "--rejects", rejects]), tried(&data, &[]));
    assert!(of_file.0 == of_journal.0 && of_file.1 == of_journal.1, "rows differ");
    assert_eq!(of_file.2, of_journal.2);
    assert!(tried(&data, &["--history", "own"]) == of_journal);
    assert!(tried(&data, &["--history", "recorded"]).1 != of_journal.1, "outcomes make no difference");
}

#[test]
fn a_changed_byte_and_a_changed_decision_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let lines = traffic(folder.path());
    let data = folder.path().join("data");
    replay(folder.path(), &lines[..200], data.to_str());

    // A decision that the rules did not make, in a journal that is whole.
    let other = folder.path().join("other");
    copied(&data, &other, 1 << 28, |offset, kind, body| {
        if offset == 100 {
            assert_eq!(kind, RecordKind::Decided);
            let (stamp, message) = Stamp::split(body).unwrap();
            let mut message: Decided = prost::Message::decode(message).unwrap();
            assert_eq!(message.outcome(), Some(Outcome::Allow));
            message.outcome = Outcome::Block as u32;
            stamp.write(&message, body);
        }
    });
    let other = other.to_str().unwrap();
    says(&["journal", "verify", "--data", other]);
    let said = refuses(&["journal", "verify", "--decide", "--data", other]);
    for words in ["record 100, event `", "outcome was \"block\" and is \"allow\"", " of 201 records differ"] {
        assert!(said.contains(words), "{words}: {said}");
    }

    let segment = files(&data.join("journal"), ".segment").remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    bytes[5_000] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let said = refuses(&["journal", "verify", "--data", data.to_str().unwrap()]);
    assert!(said.contains(segment.to_str().unwrap()) && said.contains("is damaged at byte"), "{said}");
}

/// What is left of a pruned journal is exported, decided again and replayed as the end of what the whole one gives; and
/// pruned again.
#[test]
fn old_segments_go_and_what_they_left_behind_stays() {
    let folder = tempfile::tempdir().unwrap();
    let lines = traffic(folder.path());
    let (whole, data) = (folder.path().join("whole"), folder.path().join("data"));
    replay(folder.path(), &lines, whole.to_str());
    copied(&whole, &data, 1 << 14, |_, _, _| {});
    let all = says(&["journal", "export", "--decisions", "--data", whole.to_str().unwrap()]);
    let data = data.to_str().unwrap();
    let prune = |before: &str| says(&["journal", "prune", "--before", before, "--data", data]);
    assert!(prune("2000-01-01T00:00:00Z").contains("nothing dropped"), "nothing is as old as that");
    // What was not reached yet is a slip, such as a time as a number.
    for (before, why) in
        [("1767571200", "the journal ends below record"), ("2030-01-01T00:00:00Z", "the newest is of 20")]
    {
        let said = refuses(&["journal", "prune", "--before", before, "--data", data]);
        assert!(said.contains(why), "{said}");
    }
    let stat = || says(&["journal", "stat", "--data", data]);
    assert!(!stat().contains("base"), "{}", stat());
    let mut left = all.len();
    let decisions = all.lines().count() - 1;
    for before in ["200", &decisions.to_string()] {
        let dropped = prune(before);
        let oldest = dropped.split(" to below ").nth(1).and_then(|it| it.split_once(':')).unwrap().0;
        assert!(stat().contains(&format!("base       the state before record {oldest}, in `")), "{}", stat());
        let verified = says(&["journal", "verify", "--decide", "--data", data]);
        assert!(verified.starts_with(&stat()) && verified.contains("none differs"), "{verified}");
        let kept = says(&["journal", "export", "--decisions", "--data", data]);
        let is_end = |of: &str| {
            let (header, rows) = of.split_once('\n').unwrap();
            all.starts_with(header) && all.ends_with(rows) && !rows.is_empty()
        };
        assert!(is_end(&kept) && kept.len() < left, "{kept}");
        left = kept.len();
        for history in ["own", "recorded"] {
            let out = folder.path().join("left.csv");
            let out = out.to_str().unwrap();
            says(&["replay", data, "--rules", "fixtures/wallet", "--history", history, "--out", out]);
            assert!(fs::read_to_string(out).unwrap() == kept, "{history}");
        }
    }
    // A start needs nothing but the base.
    snapshots(Path::new(data)).iter().for_each(|it| fs::remove_file(it).unwrap());
    says(&["journal", "checkpoint", "--data", data]);
    says(&["journal", "verify", "--decide", "--data", data]);
    fs::remove_file(base(Path::new(data))).unwrap();
    let missing = "bring back `snapshots/base.snapshot`";
    let said = refuses(&["journal", "verify", "--decide", "--data", data]);
    assert!(said.contains(missing) && stat().contains(missing), "{said}");
}

#[test]
fn slips_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let rows: [(&[&str], &str); 4] = [
        (&["journal", "stat", "--data", data], "holds no journal"),
        (&["journal", "checkpoint", "--data", data], "holds no journal"),
        (&["journal", "prune", "--before", "yesterday", "--data", data], "neither an offset nor a time"),
        (
            &["replay", "x.jsonl", "--rules", "fixtures/wallet", "--data", data, "--state", data],
            "cannot be used with",
        ),
    ];
    for (arguments, expected) in rows {
        let said = refuses(arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "and nothing is made");
}
