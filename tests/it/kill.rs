//! `weir serve`, killed under load again and again: whatever was answered as durable is there afterwards.
//!
//! `WEIR_KILLS=20` says how often; with `--nocapture` each round says what it did.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::hands::{Answers, Client, HANDS, Hand, Told, put_in_force};
use crate::program::output;
use crate::serve::Server;

/// The round that ends right after other thresholds came into force.
const ROUND_OF_THRESHOLDS: u64 = 1;
/// The round that ends right after a feature came into force whose state had to be built.
const ROUND_OF_FEATURES: u64 = 3;

/// What a server no longer knows of all that it had answered, if the explanations of decisions are asked for too.
fn missing(server: &Server, key: &str, answers: &Answers, explained: bool) -> Vec<String> {
    let mut client = Client::connect(&server.address, key).unwrap();
    let mut ask = |method: &str, path: &str, body: &str| client.ask(method, path, "none", body).unwrap();
    let mut missing = Vec::new();
    let mut expect = |what: &Value, got: &(u16, Value), expected: Value| {
        if *got != (200, expected.clone()) {
            missing.push(format!("{what}: {got:?} in the place of {expected}"));
        }
    };
    for told in &answers.told {
        match told {
            Told::Decided { body, answer } => {
                let again = ask("POST", "/v1/decisions", &body.to_string());
                let mut expected = answer.clone();
                expected["flags"].as_array_mut().unwrap().push(json!("repeated"));
                expect(body, &again, expected);
                if explained {
                    let path = format!("/v1/decisions/{}", body["id"].as_str().unwrap());
                    let (status, mut explained) = ask("GET", &path, "");
                    expect(body, &(status, explained["decision"].take()), answer.clone());
                }
            }
            Told::Recorded { body } => {
                let (status, answer) = ask("POST", "/v1/events", &body.to_string());
                let repeated = answer["flags"].as_array().is_some_and(|it| it.contains(&json!("repeated")));
                expect(body, &(status, json!(repeated)), json!(true));
            }
            Told::Amended { body } => {
                let (status, answer) = ask("POST", "/v1/amendments", &body.to_string());
                expect(body, &(status, answer["repeated"].clone()), json!(true));
            }
        }
    }
    for (device, listed) in &answers.listed {
        let Some(listed) = listed else { continue };
        let (status, entry) = ask("GET", &format!("/v1/lists/blocked_devices/{device}"), "");
        expect(&json!(device), &(status, entry["member"].clone()), json!(listed));
    }
    missing
}

#[track_caller]
fn check_known(server: &Server, key: &str, answers: &Answers, explained: bool) {
    let missing = missing(server, key, answers, explained);
    let count = missing.len();
    assert!(missing.is_empty(), "{count} of {}, such as {:#?}", answers.told.len(), &missing[..count.min(3)]);
}

/// Sends until the server is killed, at a moment that the dice choose, or right after other rules came into force.
fn load(server: Server, key: &str, round: u64, dice: &mut ChaCha8Rng, swap: Option<&str>) -> Answers {
    let address = server.address.clone();
    let moment = Duration::from_millis(20 + dice.next_u64() % 400);
    let seeds: Vec<_> = (0..HANDS).map(|_| dice.next_u64()).collect();
    thread::scope(|scope| {
        let hands = (0..HANDS).zip(seeds).map(|(hand, seed)| {
            let client = Client::connect(&address, key).unwrap();
            let hand = Hand::new(client, round, hand, seed);
            scope.spawn(move || hand.work())
        });
        let hands: Vec<_> = hands.collect();
        thread::sleep(moment);
        if let Some(rules) = swap {
            put_in_force(&server, key, rules);
        }
        drop(server); // SIGKILL
        let mut answers = Answers::default();
        hands.into_iter().for_each(|it| answers.add(it.join().unwrap()));
        answers
    })
}

const RULES: &str = include_str!("../../fixtures/wallet/wallet.weir");

/// The rules that are put in force before a round's kill, if any.
fn swap(round: u64) -> Option<String> {
    let thresholds = RULES.replace("then score +50, alert medium", "then score +45, alert medium");
    let features = "feature shop_2h = count(payment) by merchant over 2h\nrecord shop_2h, unusual,";
    match round {
        ROUND_OF_THRESHOLDS => Some(thresholds),
        ROUND_OF_FEATURES => Some(thresholds.replace("record unusual,", features)),
        _ => None,
    }
}

#[test]
fn whatever_was_durable_is_there_after_the_process_is_killed() {
    let kills = std::env::var("WEIR_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(5);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // Under `os` too an answer outlives the process.
    let start = |round: u64| {
        let durability = if round.is_multiple_of(2) { "fsync" } else { "os" };
        Server::start(&data, &["--rules", "fixtures/wallet", "--durability", durability])
    };
    let mut dice = ChaCha8Rng::seed_from_u64(u64::from(std::process::id()));
    let (mut server, mut all) = (start(0), Answers::default());
    let key = server.key().unwrap();
    for round in 0..kills {
        let swap = swap(round);
        let answers = load(server, &key, round, &mut dice, swap.as_deref());
        let began = Instant::now();
        server = start(round + 1);
        let took = began.elapsed();
        println!(
            "kill {round}: {} durable answers, {} rechecks, {} fell back; up again in {took:?}",
            answers.told.len(),
            answers.rechecks,
            answers.fallen_back.len()
        );
        check_known(&server, &key, &answers, true);
        if let Some(rules) = &swap {
            let (_, in_force) = server.send("GET", "/v1/rules", &key, "");
            assert_eq!(in_force["files"]["wallet.weir"], json!(rules), "kill {round}");
        }
        all.add(answers);
    }
    check_known(&server, &key, &all, false);
    assert!(kills < all.told.len() as u64, "hardly anything was answered");
    server.stop();
    let verified = output(&["journal", "verify", "--decide", "--data", data.to_str().unwrap()]);
    let said = String::from_utf8([verified.stdout, verified.stderr].concat()).unwrap();
    println!("{said}");
    assert!(verified.status.success() && said.contains("derived again, and none differs"), "{said}");
}

/// A test that cannot fail proves nothing: with the second half of the journal cut off, as if it had never been on the
/// disk, answers are missing.
#[test]
fn without_the_end_of_the_journal_answers_are_missing() {
    let lost = |seed| {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path(), &["--rules", "fixtures/wallet"]);
        let key = server.key().unwrap();
        let answers = load(server, &key, 0, &mut ChaCha8Rng::seed_from_u64(seed), None);
        let names = fs::read_dir(folder.path().join("journal")).unwrap().map(|it| it.unwrap().path());
        let segment = names.max().unwrap();
        // Behind what is written there is room for more.
        let written = fs::read(&segment).unwrap().iter().rposition(|it| *it != 0).unwrap() as u64;
        fs::OpenOptions::new().write(true).open(segment).unwrap().set_len(written / 2).unwrap();
        let server = Server::start(folder.path(), &[]);
        !missing(&server, &key, &answers, true).is_empty()
    };
    // A kill may come before the first answer.
    assert!((1..=5).any(lost));
}
