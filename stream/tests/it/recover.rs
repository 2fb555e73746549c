//! The gate over its journal and its snapshots, on disks that crash, by seed: whatever was answered as durable is there
//! afterwards, and what is recovered, from the newest snapshot or from nothing, is the fold of what the journal holds. A
//! snapshot that was damaged meanwhile is said, and survived.
//!
//! `WEIR_SEEDS` sets how many seeds are run (200 without it).

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use engine::event::{Amendment, Change, Event};
use engine::rates::Rates;
use rules::past::{Label, Outcome};
use rules::reference::generate::Choices;
use rules::time::SECOND;
use stream::disk::Disk as _;
use stream::disk::simulated::{Faults, Simulated};
use stream::fold::{Fold, verify};
use stream::gate::{Deadline, Gate, Refused};
use stream::journal::{Forgetful, Journal as _, Memory, OnDisk, Options};
use stream::recover::recover;
use stream::snapshot::{self, DataDir, Extra};

use crate::support::{PATIENT, begin, check_same, event, key};
use crate::verify::{RULES, SCHEMA};

/// Crashes of one seed.
const ROUNDS: u64 = 3;

/// An answer that was given as durable.
struct Told {
    payment: Event,
    outcome: Outcome,
    offset: u64,
}

/// What has happened over all seeds: that the test has seen what it is about.
#[derive(Default, Debug)]
struct Seen {
    told: usize,
    lost: u64,
    poisoned: u64,
    from_snapshots: u64,
    damaged: u64,
    tail: u64,
}

/// The disks of a machine, which crash together.
struct Disks {
    journal: Simulated,
    snapshots: Simulated,
}

impl Disks {
    fn new(seed: u64) -> Self {
        Self { journal: Simulated::new(seed), snapshots: Simulated::new(!seed) }
    }

    fn set_faults(&self, faults: Faults) {
        self.journal.set_faults(faults);
        self.snapshots.set_faults(faults);
    }

    fn crash(&self) {
        self.journal.crash();
        self.snapshots.crash();
    }

    /// The directory as a process finds it that has just begun.
    fn dir(&self) -> DataDir {
        DataDir::on(Arc::new(self.snapshots.clone()))
    }

    /// Turns over a bit somewhere in the newest snapshot; gives whether there is one.
    fn damage_newest(&self, choices: &mut Choices) -> bool {
        let names = self.snapshots.list().unwrap();
        let newest = names.iter().filter(|it| it.ends_with(".snapshot")).max();
        newest.is_some_and(|name| {
            let at = choices.below(self.snapshots.contents(name).len());
            self.snapshots.flip(name, at as u64, u8::try_from(choices.below(8)).unwrap())
        })
    }
}

fn open(disk: &Simulated) -> OnDisk {
    let options = Options { segment_bytes: 1 << 16, ..Options::new(key()) };
    OnDisk::open(Arc::new(disk.clone()), options).unwrap()
}

/// The gate of what is there, or a first one.
fn gate(disks: &Disks, damaged: bool, seen: &mut Seen) -> Gate {
    let journal = Box::new(open(&disks.journal));
    if journal.next() == 0 {
        let gate = begin(SCHEMA, RULES, journal);
        while gate.journal().durable() == 0 {
            thread::yield_now();
        }
        return gate;
    }
    let recovered = recover(&disks.dir(), key(), journal, PATIENT).unwrap().unwrap();
    // Nothing that a crash alone leaves is a snapshot that is not whole.
    assert_eq!(recovered.notes.len(), usize::from(damaged), "{:?}", recovered.notes);
    seen.damaged += recovered.notes.len() as u64;
    seen.tail += recovered.tail;
    seen.from_snapshots += u64::from(recovered.extra.contains_key("made"));
    recovered.gate
}

/// Takes payments until there are enough or the journal fails; what was answered as durable.
fn work(gate: &Gate, seed: u64) -> (Vec<Told>, bool) {
    let (rules, mut choices) = (gate.rules(), Choices::from_seed(seed));
    let (mut worker, mut told) = (gate.worker(Vec::new()), Vec::<Told>::new());
    let start = gate.clock().unwrap_or(1_767_600_000 * SECOND);
    for number in 0..80 {
        let (user, card, device, merchant) =
            (choices.below(9), choices.below(5), choices.below(3), choices.below(2));
        let fields = format!("user=u{user} card=c{card} device=d{device} merchant=m{merchant} amount=700");
        let (id, time) = (format!("p-{seed}-{number}"), start + number * SECOND);
        let payment = event(&rules.typed.schema, "payment", &id, time, &fields);
        let deadline = match choices.below(4) {
            0 => Deadline::By(Instant::now() + Duration::from_micros(100)),
            _ => Deadline::Never,
        };
        let settled = match gate.submit(&payment, deadline, &mut worker) {
            Ok(ticket) => gate.settle_blocking(ticket),
            Err(Refused::Overloaded { .. }) => continue,
            Err(_) => return (told, true),
        };
        let Ok(settled) = settled else { return (told, true) };
        if settled.durable {
            let (outcome, offset) = (settled.ruling.verdict.outcome, settled.position.offset);
            told.push(Told { payment, outcome, offset });
        }
        if let Some(it) = told.last().filter(|_| choices.chance(20)) {
            let (id, event_id) = (format!("a-{seed}-{number}"), it.payment.id.clone());
            let change = Change::Label(Label::Fraud, None);
            let amendment = Amendment { id, event_id, time, time_given: true, change };
            if gate.amend(&amendment, None, &mut worker).is_err() {
                return (told, true);
            }
        }
    }
    (told, false)
}

/// Two threads, a snapshot or two, and a crash in the midst of it.
fn round(disks: &Disks, gate: &Gate, seed: u64, seen: &mut Seen) -> Vec<Told> {
    thread::scope(|scope| {
        let hands = [seed << 1, seed << 1 | 1].map(|seed| scope.spawn(move || work(gate, seed)));
        thread::sleep(Duration::from_millis(seed % 5));
        let (dir, extra) = (disks.dir(), Extra::from([("made".to_owned(), Vec::new())]));
        // Where a disk fails first, there is none.
        let write = move |_| snapshot::write_beside_decisions(&dir, gate, &extra).is_ok();
        let snapshots = scope.spawn(move || (0..=seed % 3).map(write).filter(|made| *made).count());
        if seed.is_multiple_of(2) {
            // Else the crash comes while one is written.
            snapshots.join().unwrap();
        }
        thread::sleep(Duration::from_millis(seed % 3));
        disks.crash();
        let mut told = Vec::new();
        for hand in hands {
            let (answers, poisoned) = hand.join().unwrap();
            told.extend(answers);
            seen.poisoned += u64::from(poisoned);
        }
        told
    })
}

/// The gate is the fold of its journal, and every decision derived again is the one that was recorded.
#[track_caller]
fn check_recovered(gate: &Gate) {
    let mut fold = Fold::new(key());
    let mut records = gate.journal().cursor(0).unwrap();
    while let Some(record) = records.next().unwrap() {
        fold.apply(&record).unwrap();
    }
    let next = gate.journal().next();
    check_same(gate, &fold.into_gate(Box::new(Forgetful::starting_at(next)), None).unwrap());
    let report = verify(&|from| gate.journal().cursor(from), key(), None).unwrap();
    assert_eq!(report.different, 0, "{:?}", report.differences.first());
}

/// Every answer that was durable is given again.
#[track_caller]
fn check_told(gate: &Gate, told: &[Told]) {
    let mut worker = gate.worker(Vec::new());
    for it in told {
        assert!(it.offset < gate.journal().next(), "`{}` is lost", it.payment.id);
        let again = gate.submit(&it.payment, Deadline::Never, &mut worker).unwrap();
        assert!(again.ruling.flags.repeated, "`{}` is not known any more", it.payment.id);
        assert_eq!((again.ruling.verdict.outcome, again.position.offset), (it.outcome, it.offset));
    }
}

fn check(seed: u64, seen: &mut Seen) {
    let (disks, mut choices) = (Disks::new(seed), Choices::from_seed(!seed));
    let (mut told, mut appended, mut damaged) = (Vec::new(), 0, false);
    for number in 0..ROUNDS {
        disks.set_faults(Faults::default());
        let gate = gate(&disks, damaged, seen);
        seen.lost += u64::saturating_sub(appended, gate.journal().next());
        check_recovered(&gate);
        check_told(&gate, &told);
        let syncs_failing_in_1000 = 30 * (seed % 2);
        disks.set_faults(Faults { syncs_failing_in_1000, ..Faults::default() });
        told.extend(round(&disks, &gate, seed << 8 | number, seen));
        appended = gate.journal().next();
        damaged = choices.chance(30) && disks.damage_newest(&mut choices);
    }
    disks.set_faults(Faults::default());
    let gate = gate(&disks, damaged, seen);
    check_recovered(&gate);
    check_told(&gate, &told);
    seen.told += told.len();
}

#[test]
fn whatever_was_durable_is_there_after_a_crash() {
    let seeds = std::env::var("WEIR_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(200);
    let mut seen = Seen::default();
    for seed in 0..seeds {
        check(seed, &mut seen);
    }
    println!("{seeds} seeds: {seen:?}");
    let all = [seen.lost, seen.poisoned, seen.from_snapshots, seen.damaged, seen.tail];
    assert!(!all.contains(&0), "{seen:?}");
}

/// A test that cannot fail proves nothing: on a disk that only says that it synced, answers are lost, or the journal
/// sees that what it had on the disk is gone.
#[test]
fn without_syncing_what_was_told_is_lost() {
    let lost = |seed| {
        let disk = Simulated::new(seed);
        disk.set_faults(Faults { syncs_do_nothing: true, ..Faults::default() });
        let journal = Box::new(open(&disk));
        let gate = begin(SCHEMA, RULES, journal);
        let (told, _) = work(&gate, seed);
        disk.crash();
        drop(gate);
        match OnDisk::open(Arc::new(disk), Options::new(key())) {
            Ok(journal) => told.iter().any(|it| journal.next() <= it.offset),
            Err(_) => true,
        }
    };
    assert!((0..20).any(lost));
}

/// What was converted under a number is told by the rates of that number, on this side of a start too.
#[test]
fn rates_that_were_in_force_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, journal) = (DataDir::open(folder.path()).unwrap(), Memory::default());
    let gate = begin(SCHEMA, RULES, Box::new(journal.clone()));
    let base = gate.in_force().rates.base();
    let tables =
        ["0.9", "0.8"].map(|usd| Rates::parse(&format!("currency,rate\nUSD,{usd}\n"), base).unwrap());
    // Without a clock nobody knows for how long they may be spoken of.
    let payment = "user=u1 card=c1 device=d1 merchant=m1 amount=100";
    let payment = event(&gate.rules().typed.schema, "payment", "p1", 1_767_600_000 * SECOND, payment);
    gate.submit(&payment, Deadline::Never, &mut gate.worker(Vec::new())).unwrap();
    for rates in &tables {
        gate.put_rates(rates).unwrap();
    }
    snapshot::write(&dir, &gate, &Extra::new()).unwrap();
    drop(gate);
    let gate = recover(&dir, key(), Box::new(journal), PATIENT).unwrap().unwrap().gate;
    for (number, rates) in (1..).zip(&tables) {
        assert_eq!(*gate.in_force_at(number).unwrap().rates, *rates, "number {number}");
    }
}
