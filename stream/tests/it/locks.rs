//! Two threads that decide for the same entities never miss each other; and the test of it notices when they do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use engine::event::Event;
use engine::rule_set::RuleSet;
use rules::past::Outcome;
use stream::gate::{Deadline, Gate};

use crate::support::{event, gate, rule_set};

const SCHEMA: &str = r#"
schema pay 1
zone "UTC"
currency EUR
entity user
entity device shared
entity merchant shared
event payment
  user: user
  device: device
  merchant: merchant
  amount: money
event transfer
  user: user
  payee: user
  amount: money
"#;

/// Payments of one euro that pass until somebody's limit of 25 is reached.
const LIMIT: usize = 25;

/// A limit on what has been accepted `by` somebody in a day.
fn limited(by: &str, of: &str) -> Arc<RuleSet> {
    let rules = format!(
        "use schema pay
         feature spent_24h = sum({of}.amount) by {by} over 24h before where accepted
         rule over_limit \"More than 25 euros a day\" on {of} when spent_24h + amount > 25.00 EUR then block"
    );
    rule_set(SCHEMA, &rules)
}

/// How long all threads together may take before a deadlock is assumed.
const WATCHDOG: Duration = Duration::from_secs(120);

/// Submits the events of each thread at once and counts those allowed, by what `whose` says of them.
fn allowed(gate: &Arc<Gate>, feeds: Vec<Vec<(String, Event)>>) -> BTreeMap<String, usize> {
    let (done, all) = mpsc::channel();
    let start = Arc::new(std::sync::Barrier::new(feeds.len()));
    let threads = feeds.len();
    for feed in feeds {
        let (gate, done, start) = (Arc::clone(gate), done.clone(), Arc::clone(&start));
        thread::spawn(move || {
            let mut worker = gate.worker(Vec::new());
            start.wait();
            let passed: Vec<String> = feed
                .into_iter()
                .filter(|(_, event)| {
                    let ticket = gate.submit(event, Deadline::Never, &mut worker).unwrap();
                    ticket.ruling.verdict.outcome == Outcome::Allow
                })
                .map(|(whose, _)| whose)
                .collect();
            done.send(passed).unwrap();
        });
    }
    let mut counts = BTreeMap::new();
    for _ in 0..threads {
        let passed = all.recv_timeout(WATCHDOG).expect("no deadlock: every thread ends");
        passed.into_iter().for_each(|whose| *counts.entry(whose).or_insert(0) += 1);
    }
    counts
}

/// Payments of two threads for the same few users, devices and merchants, told apart by `key`.
fn payments(rules: &RuleSet, key: fn(usize, usize, usize) -> String) -> Vec<Vec<(String, Event)>> {
    let feed = |thread: usize| {
        let payment = |n: usize| {
            let (user, device, merchant) = (n % 3, n / 3 % 2, n / 6 % 2);
            let fields = format!("user=u{user} device=d{device} merchant=m{merchant} amount=100");
            let id = format!("{thread}-{n}");
            (key(user, device, merchant), event(&rules.typed.schema, "payment", &id, 1_000_000, &fields))
        };
        (0..600).map(payment).collect()
    };
    (0..2).map(feed).collect()
}

/// Transfers A→B, B→A and A→A of two threads, told apart by who sends.
fn transfers(rules: &RuleSet) -> Vec<Vec<(String, Event)>> {
    let feed = |thread: usize| {
        let transfer = |n: usize| {
            let (from, to) = [("a", "b"), ("b", "a"), ("a", "a")][(n + thread) % 3];
            let fields = format!("user={from} payee={to} amount=100");
            let id = format!("{thread}-{n}");
            (from.to_owned(), event(&rules.typed.schema, "transfer", &id, 1_000_000, &fields))
        };
        (0..600).map(transfer).collect()
    };
    (0..2).map(feed).collect()
}

/// Exactly the allowed number passes, for everybody.
#[track_caller]
fn check(rules: &Arc<RuleSet>, feeds: Vec<Vec<(String, Event)>>) {
    let counts = allowed(&Arc::new(gate(rules)), feeds);
    assert!(!counts.is_empty() && counts.values().all(|count| *count == LIMIT), "{counts:?}");
}

#[test]
fn exactly_the_allowed_number_passes() {
    for _ in 0..5 {
        let rules = limited("user", "payment");
        check(&rules, payments(&rules, |user, _, _| format!("u{user}")));
        let rules = limited("device", "payment");
        check(&rules, payments(&rules, |_, device, _| format!("d{device}")));
        let rules = limited("(user, merchant)", "payment");
        check(&rules, payments(&rules, |user, _, merchant| format!("u{user} m{merchant}")));
        let rules = limited("user", "transfer");
        check(&rules, transfers(&rules));
    }
}

/// A test that cannot fail proves nothing: with one kind's lock released between decide and apply, more pass.
#[test]
fn a_lock_released_early_is_noticed() {
    for (by, kind) in [("user", "user"), ("device", "device"), ("(user, merchant)", "user")] {
        let rules = limited(by, "payment");
        let noticed = (0..50).any(|_| {
            let mut gate = gate(&rules);
            gate.release_early(rules.typed.schema.kind(kind).unwrap());
            let feeds = payments(
                &rules,
                match by {
                    "user" => |user, _, _| format!("u{user}"),
                    "device" => |_, device, _| format!("d{device}"),
                    _ => |user, _, merchant| format!("u{user} m{merchant}"),
                },
            );
            allowed(&Arc::new(gate), feeds).values().any(|count| *count != LIMIT)
        });
        assert!(noticed, "by {by}: fifty runs without the lock of `{kind}` and nothing amiss");
    }
}
