//! A journal whose oldest records are gone: what is left is decided again, tried under other rules and recovered as if
//! they were there, wherever the pruning stopped.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use engine::lists::Membership;
use prost::Message as _;
use rules::past::Outcome;
use rules::reference::generate::Choices;
use rules::time::SECOND;
use rules::typed::ListId;
use rules::value::Value;
use stream::disk::Folder as Disk;
use stream::fold::{Fold, Outcomes, Report, verify};
use stream::gate::{Deadline, Gate};
use stream::journal::{
    Cursor, Forgetful, Journal, JournalError, Memory, OnDisk, Options, Record, RecordKind,
};
use stream::prune::{prune, rebase};
use stream::record::{Decided, Stamp};
use stream::recover::{Recovered, recover};
use stream::snapshot::{self, Base, DataDir, Extra};

use crate::replay::{compared, rule_sets};
use crate::support::{PATIENT, begin, bundle, check_same, damage, event, folded, key, snapshots};
use crate::verify::{RULES, SCHEMA, World, events, play, world};

/// Drops the records below an offset; gives what those that are left stand on.
fn dropped(world: &World, below: u64) -> Base {
    rebase(&world.dir, &world.journal, key(), below, &Extra::new()).unwrap();
    world.journal.prune(below);
    let base = Base::beneath(&world.dir, below).unwrap().unwrap();
    assert_eq!(base.start(), below);
    base
}

/// Every decision that is left, derived again from the base, is the one that was recorded.
#[track_caller]
fn check_left(journal: &dyn Journal, base: Option<&Base>) -> Report {
    let report = verify(&|from| journal.cursor(from), key(), base).unwrap();
    assert_eq!(report.different, 0, "{:?}", report.differences.first());
    assert_eq!(report.records, journal.next() - Base::start_of(base));
    report
}

/// What is recovered where no snapshot is left but the base.
fn from_base_alone(base: &Base, journal: &Memory) -> Recovered {
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    fs::copy(base.file(), folder.path().join("snapshots/base.snapshot")).unwrap();
    recovered(&dir, journal.clone())
}

/// Damages every snapshot but the base; gives how many.
fn damage_all(folder: &Path) -> usize {
    let all = snapshots(folder);
    all.iter().for_each(|it| damage(it, 500));
    all.len()
}

fn recovered(dir: &DataDir, journal: impl Journal + 'static) -> Recovered {
    recover(dir, key(), Box::new(journal), PATIENT).unwrap().unwrap()
}

/// Eight threads, everything that can happen to a decision, five rule sets, two of which brought new features: pruned again
/// and again, before and behind each.
#[test]
fn what_is_left_is_as_if_all_were_there() {
    let folder = tempfile::tempdir().unwrap();
    // Beyond a hundred thousand, more ids are left to the journal than the fold of all leaves.
    let world = world(folder.path(), events(20_000).min(100_000), None);
    play(&world, 8);
    let (journal, records) = (&world.journal, world.journal.next());
    let (all, tested) = (folded(journal, key()), rule_sets(journal));
    for tenth in [1, 3, 5, 7, 9] {
        let base = dropped(&world, tenth * records / 10);
        // Those that nobody speaks of any more are forgotten, after days of silence.
        let (known, of) = (base.in_force(key()).unwrap().len(), world.gate.in_force().number);
        assert!(tenth < 9 || known < of as usize / 2, "{known} of {of} behind {tenth}");
        let report = check_left(journal, Some(&base));
        assert!(report.records / 2 < report.derived, "{report:?}");
        let mut fold = Fold::of(&|from| journal.cursor(from), key(), Some(&base)).unwrap();
        let mut left = journal.cursor(base.start()).unwrap();
        while let Some(record) = left.next().unwrap() {
            fold.apply(&record).unwrap();
        }
        check_same(&fold.into_gate(Box::new(Forgetful::starting_at(records)), None).unwrap(), &all);
        let found = from_base_alone(&base, journal);
        assert_eq!((found.tail, found.notes), (records - base.start(), Vec::new()));
        check_same(&found.gate, &all);
        let sums = tested.iter().map(|it| compared(journal, Some(&base), it.clone(), Outcomes::Recorded));
        let (decisions, differ) = sums.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        assert!(records / 20 < decisions && differ == 0, "{differ} of {decisions} differ behind {tenth}");
    }
    let damaged = damage_all(folder.path());
    let found = recovered(&world.dir, journal.clone());
    assert_eq!(found.notes.len(), damaged, "{:?}", found.notes);
    assert_eq!(found.tail, records - 9 * records / 10);
    check_same(&found.gate, &all);
}

/// A walk on which one decision is another one.
struct Changed {
    records: Box<dyn Cursor>,
    at: u64,
    body: Vec<u8>,
}

impl Cursor for Changed {
    fn next(&mut self) -> Result<Option<Record<'_>>, JournalError> {
        let Some(record) = self.records.next()? else { return Ok(None) };
        if record.offset != self.at {
            return Ok(Some(record));
        }
        let (stamp, message) = Stamp::split(record.body).unwrap();
        let mut message = Decided::decode(message).unwrap();
        let blocked = message.outcome() == Some(Outcome::Block);
        message.outcome = if blocked { Outcome::Allow } else { Outcome::Block } as u32;
        stamp.write(&message, &mut self.body);
        Ok(Some(Record { body: &self.body, ..record }))
    }
}

#[test]
fn a_changed_decision_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let world = world(folder.path(), 2_000, None);
    play(&world, 2);
    let base = dropped(&world, world.journal.next() / 2);
    let mut records = world.journal.cursor(world.journal.next() * 3 / 4).unwrap();
    let at = loop {
        let record = records.next().unwrap().unwrap();
        if record.kind == RecordKind::Decided && fallback(record.body).is_none() {
            break record.offset;
        }
    };
    let changed = |from| {
        let records = world.journal.cursor(from)?;
        Ok(Box::new(Changed { records, at, body: Vec::new() }) as Box<dyn Cursor>)
    };
    let report = verify(&changed, key(), Some(&base)).unwrap();
    assert!(report.differences.iter().any(|it| it.offset == at), "{report:?}");
}

fn fallback(body: &[u8]) -> Option<engine::decision::Fallback> {
    let (_, message) = Stamp::split(body).unwrap();
    Decided::decode(message).unwrap().fallback()
}

/// Payments, the last of them labelled or on a list; gives how many decisions were warming.
fn pay(gate: &Gate, name: &str, count: i64) -> usize {
    let (rules, mut dice) = (gate.rules(), Choices::from_seed(count.unsigned_abs()));
    let (start, mut warming) = (gate.clock().unwrap_or(1_767_600_000 * SECOND), 0);
    let mut worker = gate.worker(Vec::new());
    for number in 0..count {
        let (user, shop) = (dice.below(20), dice.below(4));
        let fields = format!("user=u{user} card=c{user} device=d{shop} merchant=m{shop} amount=700");
        let payment = event(
            &rules.typed.schema,
            "payment",
            &format!("{name}-{number}"),
            start + number * SECOND,
            &fields,
        );
        let ticket = gate.submit(&payment, Deadline::Never, &mut worker).unwrap();
        warming += usize::from(ticket.ruling.flags.warming);
        if dice.chance(20) {
            let user = rules.typed.schema.kind("user").unwrap();
            let entity = engine::entity::EntityKey::new(user, key().hash128("u1"));
            let until = Some(start + (number + 9) * SECOND);
            gate.put_on_list(entity, Membership { list: ListId(0), until, value: None }).unwrap();
        }
    }
    warming
}

/// Four hundred payments, of whose records those below 300 are gone.
fn pruned(folder: &Path, rules: &str) -> (DataDir, Memory, Gate) {
    let (dir, journal) = (DataDir::open(folder).unwrap(), Memory::default());
    let gate = begin(SCHEMA, rules, Box::new(journal.clone()));
    pay(&gate, "a", 400);
    rebase(&dir, &journal, key(), 300, &Extra::new()).unwrap();
    journal.prune(300);
    (dir, journal, gate)
}

/// New features are built from the base on: what they lack is the same for the server, for whoever decides again, and
/// behind the next base.
#[test]
fn features_that_are_newer_than_the_base_lack_the_same_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, journal, gate) = pruned(folder.path(), RULES);
    let more = "feature wide = count(payment) by merchant over 3h\nfeature known = first_seen(merchant) by user\n\
                feature fast = user_1h > 4\nfeature fast_here = count(payment) by merchant over 2h where fast\n\
                record wide, known, fast_here\npolicy\n";
    let new = bundle(SCHEMA, &RULES.replace("policy\n", more));
    gate.activate_built(&new, None, (&dir, &Extra::new()), &mut |_| ()).unwrap();
    assert_eq!(pay(&gate, "b", 400), 400, "all of them are warming");
    // The second base knows of them before their first record comes.
    for below in [None, Some(350), Some(600), Some(750)] {
        if let Some(below) = below {
            rebase(&dir, &journal, key(), below, &Extra::new()).unwrap();
            journal.prune(below);
        }
        let base = Base::beneath(&dir, below.unwrap_or(300)).unwrap().unwrap();
        check_left(&journal, Some(&base));
        check_same(&from_base_alone(&base, &journal).gate, &gate);
        let (decisions, differ) = compared(&journal, Some(&base), (*new).clone(), Outcomes::Recorded);
        assert!(50 < decisions && differ == 0, "{differ} of {decisions} differ behind {below:?}");
    }
    damage_all(folder.path());
    let found = recovered(&dir, journal.clone());
    check_same(&found.gate, &gate);
    assert_eq!(pay(&found.gate, "c", 50), 50);
    check_left(&journal, Base::beneath(&dir, 750).unwrap().as_ref());
}

/// What a user paid is no payment to that user, though of the payments in the base nobody knows to whom they were. Nor does
/// anybody know what cards paid: what looks for that finds the event that is decided, and nothing before.
#[test]
fn what_nobody_had_asked_of_rows_in_the_base_they_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let received = "feature received_1h = count(payment) by user via payee over 1h\n";
    let (dir, journal, gate) = pruned(folder.path(), &RULES.replace(received, ""));
    let more = "feature typical = mean(payment.amount) by card over 1d\n\
                feature newest = last(payment.amount) by card over 1d\n\
                feature paid = sum(payment.amount) by card over 1d\n\
                feature alike = count(payment) by card over 1d where amount == this.amount\n\
                record received_1h, typical, newest, paid, alike\npolicy\n";
    let new = bundle(SCHEMA, &RULES.replace("policy\n", more));
    gate.activate_built(&new, None, (&dir, &Extra::new()), &mut |_| ()).unwrap();
    let rules = gate.rules();
    let asked = ["received_1h", "newest", "alike", "paid", "typical"];
    let features = asked.map(|name| rules.typed.features.iter().position(|it| it.name == name).unwrap());
    let mut worker = gate.worker(Vec::new());
    let mut seen = |user: u32, number: i64| {
        let fields = format!("user=u{user} card=c{user} device=d1 merchant=m1 amount=700");
        let (id, time) = (format!("b-{user}-{number}"), gate.clock().unwrap() + 1);
        let payment = event(&rules.typed.schema, "payment", &id, time, &fields);
        let ticket = gate.submit(&payment, Deadline::Never, &mut worker).unwrap();
        let value = |of: usize| ticket.ruling.recorded.iter().find(|(id, _)| id.index() == of).unwrap().1;
        features.map(value)
    };
    let first = seen(0, 0);
    assert_eq!(first[..4], [Value::Exact(0), Value::Missing, Value::Exact(1), Value::Exact(700)]);
    for user in 1..20 {
        assert_eq!(seen(user, 0), first, "u{user}");
    }
    // A feature that is not complete is blind to all that lies before.
    assert_eq!(seen(0, 1), first);
    let base = Base::beneath(&dir, 300).unwrap().unwrap();
    check_left(&journal, Some(&base));
    check_same(&from_base_alone(&base, &journal).gate, &gate);
    let (decisions, differ) = compared(&journal, Some(&base), (*new).clone(), Outcomes::Recorded);
    assert!(20 < decisions && differ == 0, "{differ} of {decisions} differ");
}

/// A base is of an older schema than what is built on it, again and again. (Of a feature that is kept up in several forms the
/// order may differ, so that none is here.)
#[test]
fn a_schema_grows_on_a_base() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, journal, gate) = pruned(folder.path(), RULES);
    let (mut schema, mut rules) = (SCHEMA.to_owned(), RULES.to_owned());
    for version in 2..4 {
        let before = format!("schema pay {}", version - 1);
        schema = schema.replace(&before, &format!("schema pay {version}"));
        schema += &format!("event refund_{version}\n  user: user\n");
        let more = format!(
            "feature more_{version} = count(refund_{version}) by user over {version}h\nrecord more_{version}\npolicy\n"
        );
        rules = rules.replace("policy\n", &more);
        gate.activate_built(&bundle(&schema, &rules), None, (&dir, &Extra::new()), &mut |_| ()).unwrap();
        pay(&gate, &format!("b{version}"), 100);
        let base = Base::beneath(&dir, 300).unwrap().unwrap();
        check_left(&journal, Some(&base));
        check_same(&from_base_alone(&base, &journal).gate, &gate);
    }
}

fn open(folder: &Path) -> OnDisk {
    let disk = Disk::create(folder.join("journal")).unwrap();
    OnDisk::open(Arc::new(disk), Options { segment_bytes: 1 << 14, ..Options::new(key()) }).unwrap()
}

/// Where pruning stopped.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Stopped {
    /// The base is written, and all records are there.
    BeforeDropping,
    Between,
    Never,
}

#[track_caller]
fn check_stopped(stopped: Stopped) {
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let mut answers = 0;
    // A second time, from the base of the first.
    for round in ["first", "second"] {
        let journal = Arc::new(open(folder.path()));
        let gate = match journal.next() {
            0 => begin(SCHEMA, RULES, Box::new(Arc::clone(&journal))),
            _ => recovered(&dir, Arc::clone(&journal)).gate,
        };
        for part in 0..40 {
            pay(&gate, &format!("{round}-{part}"), 10);
            while journal.synced() < journal.next() {
                std::thread::yield_now();
            }
            answers += 10;
        }
        snapshot::write(&dir, &gate, &Extra::from([("kept".to_owned(), vec![7])])).unwrap();
        drop(gate);
        journal.close();

        let (journal, before) = (open(folder.path()), answers * 3 / 4);
        let (oldest, first) = (journal.oldest(), journal.oldest_without(before));
        let between = journal.oldest_without(u64::midpoint(oldest, first));
        assert!(oldest < between && between < first, "{oldest} {between} {first}");
        let extra = Extra::from([("kept".to_owned(), vec![7])]);
        match stopped {
            Stopped::Never => assert!(2 < prune(&dir, &journal, before, &extra).unwrap()),
            _ => rebase(&dir, &journal, key(), first, &extra).unwrap(),
        }
        if stopped == Stopped::Between {
            journal.prune(between).unwrap();
        }
        let base = Base::beneath(&dir, journal.oldest()).unwrap();
        let from = if journal.oldest() == 0 { 0 } else { first };
        assert_eq!(Base::start_of(base.as_ref()), from, "{stopped:?}");
        check_left(&journal, base.as_ref());
        assert_eq!(prune(&dir, &journal, before, &extra).unwrap() == 0, stopped == Stopped::Never);
        assert_eq!(journal.oldest(), first);
        check_left(&journal, Base::beneath(&dir, first).unwrap().as_ref());
        journal.close();
    }
    let newest = recovered(&dir, open(folder.path()));
    damage_all(folder.path());
    let from_base = recovered(&dir, open(folder.path()));
    assert!(newest.tail < from_base.tail && from_base.extra.contains_key("kept"));
    check_same(&newest.gate, &from_base.gate);
}

#[test]
fn wherever_pruning_stops_the_journal_is_good() {
    check_stopped(Stopped::BeforeDropping);
    check_stopped(Stopped::Between);
    check_stopped(Stopped::Never);
}

/// A crash between the base and the end of what it makes useless: the snapshots that begin before it are not needed any
/// more, and do not stand in the way once the records behind them are gone.
#[test]
fn a_snapshot_that_outlived_the_base_is_of_no_use() {
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let journal = Memory::default();
    let gate = begin(SCHEMA, RULES, Box::new(journal.clone()));
    pay(&gate, "a", 100);
    let older = snapshot::write(&dir, &gate, &Extra::new()).unwrap();
    let bytes = fs::read(&older).unwrap();
    pay(&gate, "b", 100);
    let below = journal.next() - 50;
    rebase(&dir, &journal, key(), below, &Extra::new()).unwrap();
    fs::write(older, bytes).unwrap();
    rebase(&dir, &journal, key(), below, &Extra::new()).unwrap();
    journal.prune(below);
    let found = recovered(&dir, journal.clone());
    assert_eq!(found.tail, 50);
    check_same(&found.gate, &gate);
}

/// What was pruned within the last day is a repeat however little the server itself had remembered of it.
#[test]
fn what_was_pruned_a_moment_ago_is_still_a_repeat() {
    for (ids, record_bytes) in [(usize::MAX, usize::MAX), (usize::MAX, 0), (64, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();
        let journal = Arc::new(open(folder.path()));
        let gate = begin(SCHEMA, RULES, Box::new(Arc::clone(&journal)));
        let gate = gate.remembering(ids, record_bytes);
        let payment = |number: i64| {
            let fields = format!("user=u{number} card=c1 device=d1 merchant=m1 amount={}", 100 * number);
            let time = (1_767_600_000 + number) * SECOND;
            event(&gate.rules().typed.schema, "payment", &format!("p-{number}"), time, &fields)
        };
        let mut worker = gate.worker(Vec::new());
        let first: Vec<_> = (0..400)
            .map(|number| {
                let ticket = gate.submit(&payment(number), Deadline::Never, &mut worker).unwrap();
                while number % 10 == 0 && journal.synced() < journal.next() {
                    std::thread::yield_now();
                }
                (ticket.position, ticket.when, ticket.ruling.verdict.outcome)
            })
            .collect();
        let sent: Vec<_> = (0..400).map(payment).collect();
        snapshot::write(&dir, &gate, &Extra::new()).unwrap();
        drop((gate, worker));
        journal.close();
        let journal = open(folder.path());
        assert!(2 < prune(&dir, &journal, 300, &Extra::new()).unwrap());
        let gate = recovered(&dir, journal).gate;
        let mut worker = gate.worker(Vec::new());
        for (payment, first) in sent.iter().zip(first) {
            let ticket = gate.submit(payment, Deadline::Never, &mut worker).unwrap();
            assert!(ticket.ruling.flags.repeated, "{} with {ids} ids, {record_bytes} bytes", payment.id);
            assert_eq!((ticket.position, ticket.when, ticket.ruling.verdict.outcome), first);
        }
    }
}

/// Who dropped records and kept nothing of what they left behind is told so, and nothing is made up.
#[test]
fn without_a_base_nothing_is_derived() {
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let journal = Memory::default();
    let gate = begin(SCHEMA, RULES, Box::new(journal.clone()));
    pay(&gate, "p", 20);
    journal.prune(10);
    let said = [
        Base::beneath(&dir, 10).unwrap_err().to_string(),
        rebase(&dir, &journal, key(), 15, &Extra::new()).unwrap_err().to_string(),
    ];
    for said in said {
        assert!(said.starts_with("the journal begins at record 10, and no snapshot holds what"), "{said}");
    }
}
