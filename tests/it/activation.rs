//! A journal under a rule set, tried on it or put in force over it: `weir replay DIR --history recorded` decides as the
//! server did, and sees what the server sees whose state was built while it answered.
//!
//! `WEIR_ACTIVATION_RECORDS=1000000` says how many records there are when a rule set with new features is put in force.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::hands::{Answers, Client, HANDS, Hand, Told, put_in_force};
use crate::journal::{copied, refuses, says};
use crate::program::output;
use crate::serve::Server;
use crate::tables::column;

const RULES: &str = include_str!("../../fixtures/wallet/wallet.weir");

/// The wallet's rules with features that nobody has kept: windows of what was accepted and of sums, first sightings, and
/// counts of what was a first sighting then, of new ones and of one that was never asked for of the past.
fn with_new_features() -> String {
    RULES.replace(
        "record unusual,",
        "feature accepted_2h = count(payment) by merchant over 2h before where accepted\n\
         feature shop_sum_3h = sum(payment.amount) by merchant over 3h\n\
         feature new_shop    = first_seen(merchant) by device\n\
         feature new_shops   = count(payment) by user over 2h where new_shop\n\
         feature newcomers   = count(payment) by merchant over 2h where first_seen_here\n\
         record accepted_2h, shop_sum_3h, new_shop, new_shops, newcomers, first_seen_here, unusual,",
    )
}

/// How many records, if the environment says; else a few.
fn records() -> u64 {
    std::env::var("WEIR_ACTIVATION_RECORDS").ok().and_then(|it| it.parse().ok()).unwrap_or(3_000)
}

/// A server, what is in force there, and the folder.
fn served(folder: &Path, durability: &str) -> (Server, String) {
    let arguments = ["--rules", "fixtures/wallet", "--durability", durability];
    let server = Server::start(&folder.join("data"), &arguments);
    let key = server.key().unwrap();
    (server, key)
}

/// Lets all hands work while `meanwhile` runs, which is told how many requests were made so far; what they were told.
fn load(server: &Server, key: &str, meanwhile: impl FnOnce(&AtomicU64)) -> Answers {
    let (made, done) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let (made, done) = (&made, &done);
        let hands = (0..HANDS).map(|hand| {
            let mut hand = Hand::new(Client::connect(&server.address, key).unwrap(), 0, hand, hand);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    hand.one().unwrap();
                    made.fetch_add(1, Ordering::Relaxed);
                }
                hand.answers
            })
        });
        let hands: Vec<_> = hands.collect();
        meanwhile(made);
        done.store(true, Ordering::Relaxed);
        let mut answers = Answers::default();
        hands.into_iter().for_each(|it| answers.add(it.join().unwrap()));
        answers
    })
}

fn wait(made: &AtomicU64, requests: u64) {
    while made.load(Ordering::Relaxed) < requests {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Replays a journal; gives what is written under `--out` or `--features`, and what is said at the end.
fn replay(folder: &Path, rules: &str, history: &str, what: &str) -> (String, String) {
    let (data, file) = (folder.join("data"), folder.join("replayed.csv"));
    let [data, file] = [&data, &file].map(|it| it.to_str().unwrap());
    let ended = output(&["replay", data, "--rules", rules, "--history", history, what, file]);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{said}");
    (fs::read_to_string(file).unwrap(), said)
}

/// Pays twice for one user. The first time the deadline passes while the body is read, so that the caller gets the fallback,
/// a challenge, where the rules allow; at the second time nothing of it is spent.
fn fall_back_and_pay(client: &mut Client<'_>) {
    let payment = |id: &str| {
        json!({
            "id": id, "type": "payment", "channel": "app", "user": "late", "merchant": "m1",
            "amount": { "value": 100_000, "currency": "CNY" },
        })
    };
    let long = " ".repeat(3 << 20) + &json!({ "events": [payment("late-1")] }).to_string();
    let (_, first) = client.ask("POST", "/v1/decisions/batch", "1ms", &long).unwrap();
    let decision = &first["results"][0]["decision"];
    assert_eq!(
        (&decision["outcome"], &decision["fallback"]),
        (&json!("challenge"), &json!("deadline")),
        "{first}"
    );
    let (_, second) = client.ask("POST", "/v1/decisions", "none", &payment("late-2").to_string()).unwrap();
    assert_eq!(second["outcome"], json!("allow"), "{second}");
}

/// The ids of those decisions of a journal whose callers got the fallback, and what else is in it.
fn fallbacks(lines: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut fallbacks, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let kind = line["kind"].as_str().unwrap();
        let sets = ["label", "result", "challenge", "outcome"];
        let set = sets.into_iter().find(|it| line["amendment"].get(it).is_some());
        kinds.insert(set.unwrap_or(kind).to_owned());
        if line["event"].get("recheck_of").is_some() {
            kinds.insert("recheck".to_owned());
        }
        if line["fallback"] == json!(true) {
            fallbacks.insert(line["event"]["id"].as_str().unwrap().to_owned());
        }
        if line["cause"] == "deadline" {
            fallbacks.insert(line["amendment"]["event_id"].as_str().unwrap().to_owned());
        }
    }
    (fallbacks, kinds)
}

#[test]
fn with_what_was_recorded_every_decision_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (server, key) = served(folder.path(), "fsync");
    load(&server, &key, |made| wait(made, records() / 3));
    fall_back_and_pay(&mut Client::connect(&server.address, &key).unwrap());
    server.stop();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let (fallbacks, mut kinds) = fallbacks(&says(&["journal", "export", "--data", data]));
    // Whether a disk is ever too slow for a deadline is the disk's matter.
    kinds.remove("outcome");
    let expected = ["challenge", "decided", "event", "label", "list", "recheck", "result", "rule_set"];
    assert!(kinds.iter().eq(expected), "{kinds:?}");
    let exported = says(&["journal", "export", "--decisions", "--data", data]);
    let (recorded, said) = replay(folder.path(), "fixtures/wallet", "recorded", "--out");
    let (mut differ, mut late) = (BTreeSet::new(), 0);
    assert_eq!(exported.lines().count(), recorded.lines().count());
    for (was, is) in exported.lines().zip(recorded.lines()) {
        late += usize::from(is.ends_with("late"));
        if was != is {
            differ.insert(is.split(',').next().unwrap().to_owned());
        }
    }
    assert!(0 < late && !differ.is_empty() && differ.is_subset(&fallbacks), "{differ:?} of {fallbacks:?}");
    assert!(said.contains("history    recorded: outcomes as the journal says; "), "{said}");
    assert!(said.contains(" missed deadline"), "{said}");
    let features = |history| replay(folder.path(), "fixtures/wallet", history, "--features");
    let (own, said) = features("own");
    let spent = |rows: &str| {
        let at = column(rows, "event_id").iter().position(|it| it == "late-2").unwrap();
        column(rows, "spent_24h").swap_remove(at)
    };
    assert_eq!(spent(&own), "100000", "by these rules the first was allowed");
    assert_eq!(spent(&features("recorded").0), "0", "and it was not");
    assert!(said.contains("history    own: outcomes of these rules; "), "{said}");
    assert!(said.contains("detection  "), "labels count: {said}");
}

#[test]
fn features_built_under_load_are_those_of_a_replay() {
    let folder = tempfile::tempdir().unwrap();
    let (server, key) = served(folder.path(), "os");
    let rules = with_new_features();
    // Each is explained, which takes its time.
    let more = records().min(20_000) / 2;
    let answers = load(&server, &key, |made| {
        wait(made, records());
        put_in_force(&server, &key, &rules);
        wait(made, made.load(Ordering::Relaxed) + more);
    });
    assert_eq!(answers.shed, 0, "requests were refused");
    let (_, in_force) = server.send("GET", "/v1/rules", &key, "");
    let new = explained(&server, &key, &answers, &in_force["hash"]);
    server.stop();

    let tested = folder.path().join("rules");
    write_rules(&tested, &rules);
    let (features, _) = replay(folder.path(), tested.to_str().unwrap(), "recorded", "--features");
    let mut rows = features.lines().map(|it| it.split(',').collect::<Vec<_>>());
    let names = rows.next().unwrap();
    let rows: BTreeMap<&str, Vec<&str>> = rows.map(|row| (row[0], row)).collect();
    assert!(more / 4 < new.len() as u64, "{} events under the new rules", new.len());
    for (id, seen) in &new {
        for (name, value) in seen.as_object().unwrap() {
            let cell = rows[id.as_str()][names.iter().position(|it| it == name).unwrap()];
            assert!(same(value, cell), "event {id}, feature {name}: {value} and {cell:?}");
        }
    }
    for name in ["accepted_2h", "new_shops", "newcomers"] {
        let some = new.values().filter(|it| it[name].as_u64().is_some_and(|it| 0 < it)).count();
        println!("{name}: not 0 at {some} of {} events", new.len());
        assert!(0 < some, "{name} is always 0");
    }
}

/// The features of all decisions that were made by a rule set, by event id, as their explanations say.
fn explained(server: &Server, key: &str, answers: &Answers, hash: &Value) -> BTreeMap<String, Value> {
    let mut client = Client::connect(&server.address, key).unwrap();
    let decided = answers.told.iter().filter_map(|told| match told {
        Told::Decided { body, answer } if answer["rule_set"] == *hash => body["id"].as_str(),
        _ => None,
    });
    let mut all = BTreeMap::new();
    for id in decided.chain(answers.fallen_back.iter().map(String::as_str)) {
        let (status, mut it) = client.ask("GET", &format!("/v1/decisions/{id}"), "none", "").unwrap();
        assert_eq!(status, 200, "{it}");
        let decision = &mut it["decision"];
        // Of a fallback at the door nothing was evaluated.
        if decision["rule_set"] == *hash && decision["fallback"].is_null() {
            all.insert(id.to_owned(), decision["features"].take());
        }
    }
    all
}

/// Rules over the wallet's schema in a folder.
fn write_rules(folder: &Path, rules: &str) {
    fs::create_dir_all(folder).unwrap();
    fs::copy("fixtures/wallet/wallet.schema.weir", folder.join("wallet.schema.weir")).unwrap();
    fs::write(folder.join("wallet.weir"), rules).unwrap();
}

/// Whether a feature as an answer has it is what stands in a cell.
#[track_caller]
fn same(value: &Value, cell: &str) -> bool {
    match value {
        Value::Null => cell.is_empty(),
        Value::Bool(flag) => cell == ["0", "1"][usize::from(*flag)],
        // Both are read in the same way, which is not exact to the last digit.
        Value::Number(number) => {
            let cell: Option<Value> = serde_json::from_str(cell).ok();
            cell.is_some_and(|it| it.as_f64() == number.as_f64())
        }
        Value::Object(money) => same(&money["value"], cell),
        other => panic!("how is {other} compared?"),
    }
}

/// What is older than the journal's oldest record stays known when state is built from the journal.
#[test]
fn a_device_that_was_known_before_the_journal_begins_stays_known() {
    let folder = tempfile::tempdir().unwrap();
    let (server, key) = served(&folder.path().join("first"), "os");
    let pay = |server: &Server, key: &str, id: &str, device: &str| {
        let body = json!({
            "id": id, "type": "payment", "channel": "app", "merchant": "m1", "user": "u1", "device": device,
            "amount": { "value": 100, "currency": "CNY" },
        });
        let (status, answer) = server.send("POST", "/v1/decisions", key, &body.to_string());
        assert_eq!(status, 200, "{answer}");
        answer
    };
    pay(&server, &key, "first", "old");
    for number in 0..300 {
        pay(&server, &key, &format!("p{number}"), "usual");
    }
    server.stop();
    let data = folder.path().join("data");
    copied(&folder.path().join("first/data"), &data, 1 << 13, |_, _, _| {});
    let text = data.to_str().unwrap();
    let dropped = says(&["journal", "prune", "--before", "301", "--data", text]);
    assert!(dropped.contains("segments dropped, records 0 to below"), "{dropped}");

    let server = Server::start(&data, &[]);
    let key = server.key().unwrap();
    put_in_force(&server, &key, &with_new_features());
    for (id, device, new) in [("a", "old", false), ("b", "usual", false), ("c", "new", true)] {
        let answer = pay(&server, &key, id, device);
        assert_eq!(answer["features"]["first_seen_here"], json!(new), "{answer}");
    }
    server.stop();
    let verified = says(&["journal", "verify", "--decide", "--data", text]);
    assert!(verified.contains("none differs"), "{verified}");
}

#[test]
fn what_does_not_go_with_a_journal_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let server = Server::start(Path::new(data), &["--rules", "fixtures/wallet"]);
    let day = "fixtures/wallet/day.jsonl";
    let alone = "does not go with the data directory";
    let rows: [(&[&str], &str); 10] = [
        (&[data, day], "is replayed alone"),
        (&[data, "--map", "fixtures/wallet/wallet.map.toml"], alone),
        (&[data, "--merge"], alone),
        (&[data, "--state", "s"], alone),
        (&[data, "--data", "d"], alone),
        (&[data, "--rejects", "r.csv"], alone),
        (&[data, "--jump-max", "1d"], alone),
        (&[day, "--history", "recorded"], "files hold no outcomes"),
        (&[data], "is in use by process"),
        (&["src"], "`src` holds no journal"),
    ];
    for (arguments, expected) in rows {
        let said = refuses(&[&["replay", "--rules", "fixtures/wallet"], arguments].concat());
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    server.stop();
    // What was only to be compared keeps nobody from starting again.
    let server = Server::start(Path::new(data), &["--rules", "fixtures/gone"]);
    assert!(server.said.contains("as the journal has them"), "{}", server.said);
    server.stop();
    let said = refuses(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        data,
        "--rules",
        "fixtures/gone",
        "--activate",
    ]);
    assert!(said.contains("cannot read `fixtures/gone`"), "{said}");
    let said = refuses(&["replay", data, "--rules", "fixtures/handbook/rules.weir"]);
    assert!(
        said.contains("the rules do not fit the journal: the list of kinds is not as it was: `user` is gone"),
        "{said}"
    );
}
