//! A gate that goes on from a snapshot is the gate that went on without.

mod damage;
mod feed;
mod other_rules;

use std::sync::Arc;

use engine::event::{Amendment, Change, Event};
use engine::rates::Rates;
use engine::rule_set::RuleSet;
use engine::words::Ruling;
use proptest::prelude::*;
use rules::past::Label;
use rules::value::Value;

use super::*;
use crate::gate::{Amended, Deadline, Refused, Worker};
use crate::journal::Forgetful;
use feed::{Item, SCHEMA, compile, feeds, rule_set};

/// A gate with nothing in memory.
fn new_gate(rules: &Arc<RuleSet>) -> Gate {
    let rates = Arc::new(Rates::new(rules.typed.schema.currency));
    Gate::new(Arc::clone(rules), rates, Box::new(Forgetful::default()))
}

/// The files of its snapshots, newest first.
fn files(dir: &DataDir) -> Vec<PathBuf> {
    dir.snapshots().unwrap().iter().map(|it| it.path().to_owned()).collect()
}

/// What a data directory's newest snapshot holds for a rule set.
fn restore(dir: &DataDir, rules: &Arc<RuleSet>) -> Result<Option<Restored>, SnapshotError> {
    let rates = Arc::new(Rates::new(rules.typed.schema.currency));
    read(dir, &InForce::first(Arc::clone(rules), rates, None), &|next| Box::new(Forgetful::starting_at(next)))
}

/// All that a caller can see of one item.
#[derive(PartialEq, Debug)]
enum Answer {
    Decided { position: u64, ruling: Ruling, features: Vec<Value> },
    Amended(Amended),
    Refused(Refused),
}

fn submit(gate: &Gate, event: &Event, worker: &mut Worker) -> Answer {
    match gate.submit(event, Deadline::Never, worker) {
        Err(refused) => Answer::Refused(refused),
        Ok(ticket) => {
            let repeated = ticket.ruling.flags.repeated;
            let features = if repeated { Vec::new() } else { worker.observed.clone() };
            Answer::Decided { position: ticket.position.offset, ruling: ticket.ruling, features }
        }
    }
}

fn amend(gate: &Gate, amendment: &Amendment, worker: &mut Worker) -> Answer {
    match gate.amend(amendment, None, worker) {
        Err(refused) => Answer::Refused(refused),
        Ok(amended) => Answer::Amended(amended),
    }
}

/// Runs items through a gate with a worker of its own.
fn run(gate: &Gate, items: &[Item]) -> Vec<Answer> {
    let mut worker = gate.worker(gate.rules().typed.feature_order.clone());
    items
        .iter()
        .map(|item| match item {
            Item::Event(event) => submit(gate, event, &mut worker),
            Item::Amendment(amendment) => amend(gate, amendment, &mut worker),
        })
        .collect()
}

/// Runs a feed through one gate, and through gates that each go on from the snapshot of the one before, cut at these
/// places; all answers must be equal, and each snapshot's copy must have its bytes.
#[track_caller]
fn check_cut(rules: &Arc<RuleSet>, items: &[Item], cuts: &[usize]) {
    let straight = run(&new_gate(rules), items);
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let (mut gate, mut answers, mut done) = (new_gate(rules), Vec::new(), 0);
    for cut in cuts.iter().copied().chain([items.len()]) {
        answers.extend(run(&gate, &items[done..cut]));
        done = cut;
        let extra = Extra::from([("done".to_owned(), done.to_le_bytes().to_vec())]);
        let first = write(&dir, &gate, &extra).unwrap();
        let restored = restore(&dir, rules).unwrap().unwrap();
        assert_eq!(restored.extra, extra);
        gate = restored.gate;
        let second = write(&dir, &gate, &extra).unwrap();
        let bytes = |path| std::fs::read(path).unwrap();
        assert!(bytes(&first) == bytes(&second), "the copy of the snapshot at {cut} differs");
    }
    for (at, (straight, cut)) in straight.iter().zip(&answers).enumerate() {
        assert_eq!(straight, cut, "item {at} of {}, cut at {cuts:?}", items.len());
    }
    assert_eq!(straight.len(), answers.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_gate_goes_on_from_a_snapshot(
        items in feeds(120),
        mut cuts in proptest::collection::vec(0..120_usize, 1..4),
    ) {
        cuts.sort_unstable();
        cuts.iter_mut().for_each(|cut| *cut = (*cut).min(items.len()));
        check_cut(&rule_set(), &items, &cuts);
    }

    #[test]
    fn wherever_it_is_cut(items in feeds(12)) {
        for cut in 0..=items.len() {
            check_cut(&rule_set(), &items, &[cut]);
        }
    }
}

/// Histories in their long form, entities in several blocks, and a blob of more than one.
#[test]
fn what_is_larger_than_a_block_comes_back() {
    let rules = rule_set();
    let payment = |at: i64| {
        let fields = [("user", at % 3), ("merchant", 0), ("device", at % 700), ("amount", at)];
        feed::event(&rules.typed.schema, "payment", &format!("big-{at}"), at * 1_000_000, &fields)
    };
    let items: Vec<Item> = (0..20_000).map(payment).map(Item::Event).collect();
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let gate = new_gate(&rules);
    run(&gate, &items);
    let blob: Vec<u8> = (0..3_000_000_u32).map(|it| it.wrapping_mul(it).to_le_bytes()[1]).collect();
    let extra = Extra::from([("blob".to_owned(), blob), ("none".to_owned(), Vec::new())]);
    let first = write(&dir, &gate, &extra).unwrap();
    let blocks = damage::blocks(&first);
    assert!(8 < blocks.len(), "{} blocks", blocks.len());
    let restored = restore(&dir, &rules).unwrap().unwrap();
    assert!(restored.extra == extra);
    let second = write(&dir, &restored.gate, &extra).unwrap();
    assert!(std::fs::read(first).unwrap() == std::fs::read(second).unwrap());
    let after: Vec<Item> = (20_000..20_200).map(payment).map(Item::Event).collect();
    assert_eq!(run(&gate, &after), run(&restored.gate, &after));
}

/// A block has the columns that something was put into: entities without rows come back from one that has none of those
/// of rows, or fewer than a wider kind behind it.
#[test]
fn entities_of_which_no_event_is_remembered_come_back() {
    #[track_caller]
    fn check(rules: &str) {
        let rules = compile(SCHEMA, &format!("use schema pay\n{rules}"));
        let payment = |at: i64| {
            let mut fields = vec![("user", at % 3), ("merchant", at % 2), ("amount", at)];
            // A device comes late: at first no kind has rows.
            fields.extend((10 <= at).then_some(("device", 0)));
            feed::event(&rules.typed.schema, "payment", &format!("p-{at}"), at * 1_000_000, &fields)
        };
        let items: Vec<Item> = (0..20).map(payment).map(Item::Event).collect();
        check_cut(&rules, &items, &[0, 1, 5, 12]);
    }
    let large = "rule large \"Large\" on payment when amount > 0.03 EUR then score +1";
    let watch = "list watched : user\nrule watch \"Watch\" on payment when amount > 0.03 EUR then add user to watched for 1h";
    check(large);
    check(&format!("feature at_shop = count(payment) by merchant over 1h\n{large}"));
    check(&format!("feature new_shop = first_seen(merchant) by user\n{large}"));
    check(watch);
    check(&format!(
        "feature largest = max(payment.amount) by device over 7d before\n\
         feature users = distinct(payment.user) by device over 7d\n{watch}"
    ));
}

/// Labels that wait with the caller are in the blobs, and find their events behind the cut.
#[test]
fn labels_that_are_pending_go_on() {
    let rules = rule_set();
    let payment = |at: i64, day: i64| {
        let fields = [("user", 1), ("merchant", 1), ("amount", 100)];
        let time = day * rules::time::DAY + at;
        Item::Event(feed::event(&rules.typed.schema, "payment", &format!("p-{day}-{at}"), time, &fields))
    };
    let label = |of: &str| {
        let (id, event_id) = (format!("label of {of}"), of.to_owned());
        let change = Change::Label(Label::Fraud, None);
        Item::Amendment(Amendment { id, event_id, time: rules::time::DAY, time_given: true, change })
    };
    let before: Vec<Item> = (0..4).map(|at| payment(at, 0)).collect();
    let after = |known: &[&str]| {
        let labels = known.iter().map(|of| label(of));
        labels.chain([payment(0, 1), payment(9, 1)]).collect::<Vec<_>>()
    };
    let straight = new_gate(&rules);
    run(&straight, &before);
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    write(&dir, &straight, &Extra::from([("labels".into(), b"p-0-1 p-0-2".to_vec())])).unwrap();
    let restored = restore(&dir, &rules).unwrap().unwrap();
    let pending = str::from_utf8(&restored.extra["labels"]).unwrap();
    let pending: Vec<&str> = pending.split(' ').collect();
    let answers = run(&restored.gate, &after(&pending));
    assert_eq!(answers, run(&straight, &after(&["p-0-1", "p-0-2"])));
    let risk =
        rules.typed.feature_order.iter().position(|id| rules.typed.features[id.index()].name == "shop_risk");
    let Some(Answer::Decided { features, .. }) = answers.last() else { panic!("{answers:?}") };
    assert_eq!(features[risk.unwrap()], Value::Real(0.5), "two of the four of a day ago");
}

#[test]
fn one_process_owns_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let error = DataDir::open(folder.path()).unwrap_err().to_string();
    let expected = format!(
        "data directory `{}` is in use by process {}: stop it, or name another directory",
        folder.path().display(),
        std::process::id()
    );
    assert_eq!(error, expected);
    drop(dir);
    DataDir::open(folder.path()).unwrap();
}

#[test]
fn an_empty_directory_holds_nothing_and_two_snapshots_are_kept() {
    let rules = rule_set();
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    assert!(newest(&dir).unwrap().is_none());
    assert!(restore(&dir, &rules).unwrap().is_none());
    let names: Vec<PathBuf> =
        (0..4).map(|_| write(&dir, &new_gate(&rules), &Extra::new()).unwrap()).collect();
    assert_eq!(files(&dir), [names[3].clone(), names[2].clone()]);
    assert_eq!(newest(&dir).unwrap().map(|it| it.key), Some(rules.key));
    // The file of the one that left is written over by the next, of which nothing else is left in it.
    let length = std::fs::metadata(dir.draft().path()).unwrap().len();
    std::fs::write(dir.draft().path(), vec![7; 1 << 20]).unwrap();
    let next = write(&dir, &new_gate(&rules), &Extra::new()).unwrap();
    assert_eq!(std::fs::metadata(next).unwrap().len(), length);
    assert!(restore(&dir, &rules).unwrap().is_some());
}
