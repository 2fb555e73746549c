//! A rule set that needs state which nobody has kept: built from the journal, it is as if it had been kept from the
//! beginning; and a crash finds it.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use engine::event::{Amendment, Change};
use rules::past::Label;
use rules::reference::generate::Choices;
use rules::time::{MINUTE, SECOND};
use rules::value::Value;
use stream::build::BuildError;
use stream::bundle::Bundle;
use stream::fold::{Outcomes, verify};
use stream::gate::{Deadline, Gate, NotAtOnce, Worker};
use stream::in_force::InForce;
use stream::journal::{Entry, Journal as _, Memory, Record, RecordKind};
use stream::prune::rebase;
use stream::recover::recover;
use stream::snapshot::{self, Base, DataDir, Extra};

use crate::replay::compared;
use crate::support::{
    PATIENT, begin, bundle, check_same, check_verified, damage, event, folded, key, snapshots,
};

pub(crate) const SCHEMA: &str = r#"
schema pay 1
zone "UTC"
currency EUR
entity user
entity device shared
event payment
  user: user
  device: device
  amount: money
"#;
const OLD: &str = "use schema pay\nlist watched : user\nfeature n = count(payment) by user over 1h\nrecord n\n\
    rule many \"Many\" on payment when n > 3 then challenge, add user to watched for 1h\n";
const NEW: &str = "use schema pay\nlist watched : user\nfeature n = count(payment) by user over 1h\n\
    feature wide = sum(payment.amount) by device over 3h\n\
    feature known = first_seen(device) by user\n\
    feature often = n > 2\n\
    feature bad = ratio(payment where label == fraud) by device over 1d delay 1s\n\
    feature odd = count(payment) by device over 6h where often\n\
    record n, wide, known, bad, odd\n\
    rule many \"Many\" on payment when n > 4 or odd > 9 then challenge\n";

/// A gate with a folder for its snapshots.
pub(crate) struct World {
    pub(crate) gate: Gate,
    pub(crate) journal: Memory,
    pub(crate) dir: DataDir,
    pub(crate) worker: Worker,
    dice: Choices,
    pub(crate) number: i64,
}

impl World {
    pub(crate) fn new(folder: &Path, rules: &str) -> Self {
        Self::new_in(folder, SCHEMA, rules)
    }

    fn new_in(folder: &Path, schema: &str, rules: &str) -> Self {
        let journal = Memory::default();
        let gate = begin(schema, rules, Box::new(journal.clone()));
        let worker = gate.worker(Vec::new());
        let dir = DataDir::open(folder).unwrap();
        Self { gate, journal, dir, worker, dice: Choices::from_seed(7), number: 0 }
    }

    /// Payments of few users with few devices, some of which turn out to be fraud.
    pub(crate) fn pay(&mut self, count: i64) {
        let schema = self.gate.rules();
        for _ in 0..count {
            self.number += 1;
            let (user, device) = (self.dice.below(20), self.dice.below(8));
            let fields = format!("user=u{user} device=d{device} amount={}", 100 + self.dice.below(900));
            let (id, time) = (format!("p{}", self.number), self.number * 20 * SECOND);
            let payment = event(&schema.typed.schema, "payment", &id, time, &fields);
            self.gate.submit(&payment, Deadline::Never, &mut self.worker).unwrap();
            if self.dice.below(10) == 0 {
                let change = Change::Label(Label::Fraud, None);
                let id = format!("a{}", self.number);
                let amendment = Amendment { id, event_id: payment.id, time, time_given: true, change };
                self.gate.amend(&amendment, None, &mut self.worker).unwrap();
            }
        }
    }

    /// Puts rules in force; gives how many records new state was built from.
    pub(crate) fn activate(&self, bundle: &Arc<Bundle>) -> Result<u64, BuildError> {
        let mut built = 0;
        self.gate.activate_built(bundle, None, (&self.dir, &Extra::new()), &mut |it| built = it.records)?;
        Ok(built)
    }

    /// What is recovered behind a crash that damaged so many of the newest snapshots, and what is said of it.
    pub(crate) fn crashed(self, folder: &Path, damaged: usize) -> (Self, String) {
        for newest in snapshots(folder).iter().rev().take(damaged) {
            damage(newest, 500);
        }
        let Self { gate, journal, dir, number, .. } = self;
        drop(gate);
        let recovered = recover(&dir, key(), Box::new(journal.clone()), PATIENT).unwrap().unwrap();
        let worker = recovered.gate.worker(Vec::new());
        let (gate, dice) = (recovered.gate, Choices::from_seed(8));
        (Self { gate, journal, dir, worker, dice, number: number + 5_000 }, recovered.notes.join("\n"))
    }
}

#[test]
fn built_state_is_as_if_it_had_always_been_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path(), OLD);
    world.pay(2_000);
    let at_once = world.activate(&bundle(SCHEMA, &OLD.replace("n > 3", "n > 2"))).unwrap();
    assert_eq!(at_once, 0, "thresholds need no new state");
    world.pay(100);
    let records = world.journal.len() as u64;
    assert_eq!(world.activate(&bundle(SCHEMA, NEW)).unwrap(), records);
    world.pay(1_000);
    check_same(&world.gate, &folded(&world.journal, key()));
    assert_eq!(world.activate(&bundle(SCHEMA, OLD)).unwrap(), 0, "back is at once");
    world.pay(500);
    assert_eq!(world.activate(&bundle(SCHEMA, NEW)).unwrap(), 0, "and forth again");
    world.pay(500);
    check_same(&world.gate, &folded(&world.journal, key()));
    let report = check_verified(&world.journal, key());
    assert!(report.derived >= 4_100, "{report:?}");
}

/// Who sent it was told that it is in force. What was built is there all the same: sent again, the other is at once.
#[test]
fn what_comes_into_force_meanwhile_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path(), OLD);
    world.pay(2_000);
    let before = world.gate.in_force();
    // Nor is what only people read lost.
    let urgent = bundle(SCHEMA, &format!("{OLD}// asked for by the bank\n"));
    let mut comes = Some(Arc::clone(&urgent));
    let mut tell = |_| comes.take().into_iter().for_each(|it| _ = world.gate.activate(it).unwrap());
    let ended = world.gate.activate_built(&bundle(SCHEMA, NEW), None, (&world.dir, &Extra::new()), &mut tell);
    assert!(matches!(ended, Err(BuildError::NotAtOnce(NotAtOnce::Overtaken))), "{ended:?}");
    assert_eq!(world.gate.in_force().bundle.as_ref(), Some(&urgent));
    let behind = |last: &InForce| {
        let is_last = |it: &InForce| it.bundle == last.bundle;
        world.gate.activate_behind(bundle(SCHEMA, NEW), Some(&is_last))
    };
    assert_eq!(
        behind(&before).unwrap_err(),
        NotAtOnce::Overtaken,
        "nor at once behind what is in force no more"
    );
    assert!(matches!(behind(&world.gate.in_force()), Ok(it) if it.number == before.number + 3));
    world.pay(300);
    assert_eq!(world.activate(&bundle(SCHEMA, NEW)).unwrap(), 0);
    world.pay(300);
    check_same(&world.gate, &folded(&world.journal, key()));
    check_verified(&world.journal, key());
}

/// What may be gone back to is kept up for a day. Then the next build leaves it out, and what was recorded under it is read
/// as ever: by that build, by whoever decides again, and by a start on any snapshot.
#[test]
fn what_nobody_goes_back_to_is_left_out_of_the_next_build() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path(), NEW);
    // Another window, and another feature that is captured for a third.
    let version = |n: u32| {
        let rules = NEW.replace("over 3h", &format!("over {}h", 3 + n));
        bundle(SCHEMA, &rules.replace("= n > 2", &format!("= n > {}", 2 + n)))
    };
    let with_state = |world: &World| {
        let rules = world.gate.rules();
        let aggregates =
            |it: &&rules::typed::Feature| matches!(it.definition, rules::typed::Definition::Aggregate(_));
        rules.typed.features.iter().filter(aggregates).count()
    };
    let (a_day, one, two) = (5_000, 5, 7);
    assert_eq!(with_state(&world), one);
    world.pay(300);
    world.activate(&version(1)).unwrap();
    world.pay(300);
    assert_eq!(with_state(&world), two, "the first may be gone back to");
    world.number += a_day;
    world.pay(300);
    world.activate(&version(2)).unwrap();
    world.pay(300);
    assert_eq!(with_state(&world), two, "and now the second, but not the first");
    assert_eq!(world.activate(&version(1)).unwrap(), 0, "what was in force a moment ago");
    world.pay(300);
    assert_ne!(world.activate(&bundle(SCHEMA, NEW)).unwrap(), 0, "what was left out is built again");
    world.pay(300);
    check_verified(&world.journal, key());
    // The newest snapshot, the one before, of which the last build came later, and none at all.
    for damaged in [0, 1, 2] {
        world.number += a_day;
        world.pay(1);
        world.activate(&version(3 + damaged)).unwrap();
        world.pay(300);
        let said;
        (world, said) = world.crashed(folder.path(), damaged as usize);
        assert_eq!(said.contains("were built from"), 0 < damaged, "{said}");
        assert_eq!(with_state(&world), two, "whatever was kept up long ago");
        world.pay(300);
        check_verified(&world.journal, key());
    }
    // And over a journal that begins upon a base.
    let oldest = world.journal.next() - 400;
    rebase(&world.dir, &world.journal, key(), oldest, &Extra::new()).unwrap();
    world.journal.prune(oldest);
    world.number += a_day;
    world.pay(1);
    world.activate(&version(9)).unwrap();
    world.pay(300);
    assert_eq!(with_state(&world), two);
    let base = Base::beneath(&world.dir, oldest).unwrap();
    let report = verify(&|from| world.journal.cursor(from), key(), base.as_ref()).unwrap();
    assert_eq!(report.different, 0, "{:?}", report.differences.first());
}

/// Of devices nothing is remembered, until alerts are raised `once per` one: that begins, ends and begins again at once.
#[test]
fn entities_of_a_kind_that_nothing_asks_about_have_no_state() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path(), OLD);
    let devices = |world: &World| {
        let (mut count, rules) = (0, world.gate.rules());
        let device = rules.typed.schema.kind("device").unwrap();
        world.gate.for_each_entity(|key, _| count += usize::from(key.kind == device));
        count
    };
    world.pay(200);
    assert_eq!(devices(&world), 0);
    let alerting = OLD.replace("challenge,", "challenge, alert low once per device 10m,");
    for _ in 0..2 {
        assert_eq!(
            world.activate(&bundle(SCHEMA, &alerting)).unwrap(),
            0,
            "an alert needs no state of the past"
        );
        world.pay(200);
        assert_eq!(devices(&world), 8);
        assert_eq!(world.activate(&bundle(SCHEMA, OLD)).unwrap(), 0);
        world.pay(200);
    }
    check_same(&world.gate, &folded(&world.journal, key()));
    check_verified(&world.journal, key());
}

/// What the past is asked for now it was never asked for: whether a device was new is told as it was at each payment, and
/// not as it is now that all are known.
#[test]
fn a_first_sighting_is_counted_as_it_was_then() {
    let old = OLD.replace("record n", "feature known = first_seen(device) by user\nrecord n, known");
    let new =
        old.replace("record n", "feature newcomers = count(payment) by device over 6h where known\nrecord n");
    for damaged in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path(), &old);
        world.pay(300);
        snapshot::write(&world.dir, &world.gate, &Extra::new()).unwrap();
        world.activate(&bundle(SCHEMA, &new)).unwrap();
        world.pay(30);
        let expected = folded(&world.journal, key());
        check_same(&world.gate, &expected);
        // A crash behind the record that puts it in force, of which only the first snapshot knows nothing.
        if damaged {
            damage(snapshots(folder.path()).last().unwrap(), 500);
        }
        let World { gate, journal, dir, .. } = world;
        drop(gate);
        let recovered = recover(&dir, key(), Box::new(journal), PATIENT).unwrap().unwrap();
        assert_eq!(recovered.notes.iter().any(|it| it.contains("were built from")), damaged);
        check_same(&recovered.gate, &expected);
    }
}

/// Whichever snapshot a crash leaves: that behind the swap, or only one that never heard of the new features.
#[test]
fn a_crash_right_behind_the_swap_finds_the_state() {
    for damaged in [0, 1] {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path(), OLD);
        world.pay(1_500);
        snapshot::write(&world.dir, &world.gate, &Extra::new()).unwrap();
        world.activate(&bundle(SCHEMA, NEW)).unwrap();
        world.pay(30);
        let expected = folded(&world.journal, key());
        let (mut world, said) = world.crashed(folder.path(), damaged);
        assert_eq!(said.contains("were built from"), damaged == 1, "{said}");
        check_same(&world.gate, &expected);
        world.pay(300);
        check_verified(&world.journal, key());
    }
}

/// What was alerted about is not forgotten because the rule set in force asks for less of it than one that comes later.
#[test]
fn alerts_are_remembered_for_rules_of_later() {
    let rules = |once: &str| {
        let rule = format!("rule large \"Large\" on payment when amount > 1.00 EUR then alert high {once}");
        bundle(SCHEMA, &format!("use schema pay\n{rule}\n"))
    };
    for in_force in [["once per user 1h", "once per user 10h"], ["once per user 10h", ""]] {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path(), OLD);
        let alerts = |world: &mut World, user: &str, minute: i64| {
            let fields = format!("user={user} device=d1 amount=500");
            let id = format!("{user}-{minute}");
            let payment = event(&world.gate.rules().typed.schema, "payment", &id, minute * MINUTE, &fields);
            let ticket = world.gate.submit(&payment, Deadline::Never, &mut world.worker).unwrap();
            world.gate.evict_idle();
            ticket.ruling.verdict.alerts.len()
        };
        for once in in_force {
            world.activate(&rules(once)).unwrap();
            alerts(&mut world, "u1", 0);
            alerts(&mut world, "u2", 200);
        }
        world.activate(&rules("once per user 10h")).unwrap();
        assert_eq!(alerts(&mut world, "u1", 210), 0, "{in_force:?}");
        assert_eq!(alerts(&mut world, "u1", 600), 1, "{in_force:?}: its time is over");
        check_same(&world.gate, &folded(&world.journal, key()));
        check_verified(&world.journal, key());
    }
}

/// Where no event but a payment had a user, and no payment two, it was not kept which rows are those of payments by their
/// user: as the schema grows the same features need that.
#[test]
fn a_schema_that_grows_brings_its_rows_along() {
    let refund = SCHEMA.to_owned() + "event refund\n  user: user\n  device: device\n";
    let payee = SCHEMA.replace("  amount: money", "  amount: money\n  payee: user?");
    for grown in [refund, payee] {
        for damaged in [0, 1] {
            let folder = tempfile::tempdir().unwrap();
            let mut world = World::new(folder.path(), OLD);
            world.pay(300);
            let older =
                std::fs::read(snapshot::write(&world.dir, &world.gate, &Extra::new()).unwrap()).unwrap();
            let grown = bundle(&grown.replace("schema pay 1", "schema pay 2"), OLD);
            let records = world.journal.next();
            assert_eq!(world.activate(&grown).unwrap(), records, "built from all of them");
            check_recovered(&older, &without_last_rules(&world.journal));
            world.pay(100);
            check_recovered(&older, &world.journal);
            check_same(&world.gate, &folded(&world.journal, key()));
            let (mut world, _) = world.crashed(folder.path(), damaged);
            world.pay(100);
            check_same(&world.gate, &folded(&world.journal, key()));
            check_verified(&world.journal, key());
            let tried = compared(&world.journal, None, (*grown).clone(), Outcomes::Recorded);
            assert_eq!(tried, (200, 0), "decided as they were under the grown schema, and none differs");
        }
    }
}

/// A prefix of another length leads to other entities, under features whose definitions read the same; and a text that was
/// taken is not refused from then on without anybody having said so.
#[test]
fn what_a_field_means_stays() {
    let derives = "schema pay 1\nzone \"UTC\"\ncurrency EUR\nentity bin\nevent payment\n  pan: text(6)\n  \
                   bin: bin? = prefix(pan, 4)\n";
    let rules = "use schema pay\nfeature n = count(payment) by bin over 1h\nrecord n\n";
    let gate = begin(derives, rules, Box::new(Memory::default()));
    let refused = |schema: String| gate.activate(bundle(&schema, rules)).unwrap_err().to_string();
    let longer = derives.replace("pan, 4", "pan, 6");
    let otherwise = "field `bin` of event type `payment` is derived otherwise than it was";
    for schema in [longer.clone(), longer.replace("pay 1", "pay 2")] {
        let said = refused(schema);
        assert!(said.contains(otherwise), "{said}");
    }
    // Where another event type grows, fields have other numbers, and mean what they meant.
    let login = "event login\n  bin: bin?\n";
    let grown = |more: &str| derives.replace("event payment", &format!("{login}{more}event payment"));
    let with_login = begin(&grown(""), rules, Box::new(Memory::default()));
    let more = grown("  ip: text(40)?\n").replace("pay 1", "pay 2");
    with_login.activate(bundle(&more, rules)).unwrap();
    let shorter = derives.replace("text(6)", "text(5)");
    let said = refused(shorter.clone());
    assert!(said.contains("other text lengths than the one in force"), "{said}");
    gate.activate(bundle(&shorter.replace("pay 1", "pay 2"), rules)).unwrap();
}

#[test]
fn what_cannot_take_over_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path(), OLD);
    world.pay(100);
    let same = SCHEMA.replace("amount: money", "amount: money\n  shop: text(8)?");
    let wide = same.replace("schema pay 1", "schema pay 2");
    let refused = |bundle: Arc<Bundle>, part: &str| {
        let error = world.activate(&bundle).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert_eq!(world.gate.in_force().number, 0);
    };
    refused(
        bundle(SCHEMA, &NEW.replace("list watched", "list others")),
        "its lists do not begin with those in force",
    );
    refused(bundle(SCHEMA, "use schema pay\nrule"), "the rules have errors");
    refused(bundle(&same, OLD), "a changed schema has a version above 1");
    let required = wide.replace("text(8)?", "text(8)");
    refused(bundle(&required, OLD), "field `shop` of event type `payment` is new: make it optional");
    for (other, says) in
        [("lateness 5m", "`lateness` was 10m and is 5m"), ("keep 1d", "`keep` was 400d and is 1d")]
    {
        let other = wide.replace("currency EUR", &format!("currency EUR\n{other}"));
        refused(bundle(&other, OLD), &format!("its {says}, and every feature means something else by it"));
    }
    let between = wide.replace("  amount: money\n  shop: text(8)?", "  shop: text(8)?\n  amount: money");
    refused(bundle(&between, OLD), "event type `payment` is not as it was: `amount` has moved");
    let at_once = world.gate.activate(bundle(SCHEMA, NEW)).unwrap_err();
    assert!(matches!(at_once, NotAtOnce::NeedsBuild { ref features } if features.len() == 4), "{at_once}");
    world.activate(&bundle(SCHEMA, NEW)).unwrap();
    world.pay(100);
    assert!(world.gate.clock().unwrap() > MINUTE);
    check_verified(&world.journal, key());
}

/// Payments until the journal goes back to one of minute 60 only, then rules with features that nobody has kept, whose
/// decisions are warming for so many minutes of events more.
#[track_caller]
fn check_warming(rules: &str, minutes: i64) {
    let folder = tempfile::tempdir().unwrap();
    let schema = SCHEMA.replace("currency EUR", "currency EUR\nkeep 1d");
    let mut world = World::new_in(folder.path(), &schema, OLD);
    let pay = |world: &mut World, id: &str, minute: i64| {
        let payment = event(
            &world.gate.rules().typed.schema,
            "payment",
            id,
            minute * MINUTE,
            "user=u9 device=d9 amount=5",
        );
        let ticket = world.gate.submit(&payment, Deadline::Never, &mut world.worker).unwrap();
        ticket.ruling.flags.warming
    };
    world.pay(10);
    assert!(!pay(&mut world, "pruned", 60));
    let oldest = world.journal.len() as u64;
    assert!(!pay(&mut world, "oldest", 60));
    for _ in 0..2 {
        snapshot::write(&world.dir, &world.gate, &Extra::new()).unwrap();
    }
    rebase(&world.dir, &world.journal, key(), oldest, &Extra::new()).unwrap();
    world.journal.prune(oldest);
    let new = bundle(&schema, &format!("use schema pay\nlist watched : user\n{rules}\n"));
    world.activate(&new).unwrap();
    let end = 60 + minutes;
    assert_eq!(pay(&mut world, "just behind", 61), 1 < minutes, "{rules}");
    // It is in the newest snapshot, and where that is lost in the journal.
    for lost in [0, 1] {
        (world, _) = world.crashed(folder.path(), lost);
        let id = format!("before {lost}");
        assert_eq!(
            pay(&mut world, &id, (end - 1).max(62)),
            2 < minutes,
            "{rules}, {lost} snapshots are lost"
        );
    }
    assert_eq!(world.activate(&new).unwrap(), 0, "nothing is new");
    assert_eq!(pay(&mut world, "last", (end - 1).max(62)), 2 < minutes, "{rules}");
    assert!(!pay(&mut world, "behind", end.max(63)), "{rules}");
    world.journal.prune(0);
    check_verified(&world.journal, key());
}

#[test]
fn decisions_are_warming_until_all_that_they_may_read_is_complete() {
    let wide = "feature wide = count(payment) by user over 3h\n";
    let rule = |when: &str, mode: &str| {
        format!("{wide}rule r \"R\" {mode}\n  on payment\n  when {when}\n  then block\n")
    };
    check_warming(&rule("wide > 99", ""), 180);
    check_warming(&rule("wide > 99", "shadow"), 180);
    check_warming(&rule("wide > 99", "off"), 0);
    check_warming(&rule("amount > 100.00 EUR", ""), 0);
    check_warming(&format!("{wide}record wide\n"), 180);
    check_warming(&format!("{wide}policy\n  block when wide > 99\n"), 180);
    let more = |feature: &str| format!("{feature}\n{}", rule("x", ""));
    check_warming(&more(&format!("{wide}feature x = wide > 99")).replacen(wide, "", 1), 180);
    check_warming(
        &more("feature late = count(payment) by user over 1h delay 30m\nfeature x = late > 99"),
        90,
    );
    check_warming(&more("feature x = first_seen(device) by user"), 24 * 60);
    // What a payment of six hours ago saw was three hours old.
    let often = format!(
        "{wide}feature often = wide > 2\nfeature odd = count(payment) by user over 6h where often\nfeature x = odd > 99"
    );
    check_warming(&more(&often).replacen(wide, "", 1), 540);
    // Old state is complete, and what past events saw of it is computed from the journal.
    let of_old = "feature n = count(payment) by user over 1h\nfeature often = n > 2\n\
                  feature odd = count(payment) by user over 2h where often\nfeature x = odd > 99";
    check_warming(&more(of_old), 180);
    check_warming(
        "feature n = count(payment) by user over 1h\nrule r \"R\" on payment when n > 99 then block\n",
        0,
    );
}

/// Who was busy elsewhere while the schema grew finds the entities of an event of a type that is new to it.
#[test]
fn what_becomes_known_of_an_event_of_a_new_type_reaches_its_entities() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path(), OLD);
    let mut before = world.gate.worker(Vec::new());
    let grown =
        SCHEMA.replace("schema pay 1", "schema pay 2") + "event bind\n  user: user\n  bank: text(4)\n";
    let rules = "use schema pay\nlist watched : user\nfeature n = count(payment) by user over 1h\n\
                 feature bad = count(bind where label == fraud) by user over 1h before\nrecord n\n";
    world.activate(&bundle(&grown, rules)).unwrap();
    let typed = world.gate.rules();
    let bad = typed.typed.features.iter().position(|it| it.name == "bad").unwrap();
    let mut worker = world.gate.worker(vec![rules::typed::FeatureId(u16::try_from(bad).unwrap())]);
    let mut bind = |id: &str| {
        let bind = event(&typed.typed.schema, "bind", id, MINUTE, "user=u1 bank=b");
        world.gate.submit(&bind, Deadline::Never, &mut worker).unwrap();
        worker.observed.clone()
    };
    bind("b1");
    let change = Change::Label(Label::Fraud, None);
    let amendment =
        Amendment { id: "a1".into(), event_id: "b1".into(), time: MINUTE, time_given: true, change };
    world.gate.amend(&amendment, None, &mut before).unwrap();
    assert_eq!(bind("b2"), [Value::Exact(1)], "the label is known");
    check_verified(&world.journal, key());
}

/// A snapshot that was begun before new state took over, and ends behind that, has lost nobody: a crash before the rule
/// set comes into force may leave no newer one.
#[test]
fn a_snapshot_under_way_while_new_state_takes_over_loses_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path(), OLD);
    world.pay(200);
    let World { gate, journal, dir, .. } = &world;
    let (mut first, (is_locked, locked)) = (None, channel());
    gate.for_each_entity(|key, _| first = first.min(Some(key)).or(Some(key)));
    let snapshot = thread::scope(|scope| {
        scope.spawn(|| {
            gate.look(first.unwrap(), |_, _| {
                is_locked.send(()).unwrap();
                // Until new state has taken over, and its own snapshot waits for the one that waits here.
                while gate.in_force().number == 0 {
                    thread::yield_now();
                }
                thread::sleep(Duration::from_millis(100));
            })
        });
        locked.recv().unwrap();
        let snapshot =
            scope.spawn(|| std::fs::read(snapshot::write(dir, gate, &Extra::new()).unwrap()).unwrap());
        thread::sleep(Duration::from_millis(100));
        gate.activate_built(&bundle(SCHEMA, NEW), None, (dir, &Extra::new()), &mut |_| ()).unwrap();
        snapshot.join().unwrap()
    });
    let before = without_last_rules(journal);
    assert_eq!(before.next(), journal.next() - 1);
    check_recovered(&snapshot, &before);
}

/// Where the rule set for which state was built never came into force, what is captured for it is in the records all the
/// same; and where it drove another one's features out, these are not, so that no older snapshot goes on with them.
#[test]
fn what_was_built_for_nobody_is_captured_and_what_is_gone_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new(folder.path(), NEW);
    let other = NEW.replace("= n > 2", "= n > 3");
    world.pay(200);
    world.activate(&bundle(SCHEMA, OLD)).unwrap();
    world.pay(200);
    world.number += 5_000;
    world.pay(1);
    snapshot::write(&world.dir, &world.gate, &Extra::new()).unwrap();
    let before = std::fs::read(snapshots(folder.path()).last().unwrap()).unwrap();
    world.activate(&bundle(SCHEMA, &other)).unwrap();
    let built = snapshots(folder.path()).last().map(|it| std::fs::read(it).unwrap()).unwrap();
    // The process ends before its rule set is recorded, on the snapshot of behind the build or on the one of before.
    for (snapshot, is_older) in [(&built, false), (&before, true)] {
        let journal = without_rules_behind(&world.journal, 2);
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();
        std::fs::write(folder.path().join("snapshots/0000000000.snapshot"), snapshot).unwrap();
        let recovered = recover(&dir, key(), Box::new(journal.clone()), PATIENT).unwrap().unwrap();
        assert_eq!(!recovered.notes.is_empty(), is_older, "{:?}", recovered.notes);
        let worker = recovered.gate.worker(Vec::new());
        let (gate, dice, number) = (recovered.gate, Choices::from_seed(9), world.number);
        let mut world = World { gate, journal, dir, worker, dice, number };
        world.pay(300);
        check_verified(&world.journal, key());
        for rules in [NEW, &other] {
            world.activate(&bundle(SCHEMA, rules)).unwrap();
            world.pay(300);
            check_verified(&world.journal, key());
        }
    }
}

/// A journal as a crash leaves it before its second rule set is recorded.
fn without_last_rules(journal: &Memory) -> Memory {
    without_rules_behind(journal, 1)
}

/// A journal as a crash leaves it when so many rule sets are recorded, before the next one is.
fn without_rules_behind(journal: &Memory, mut rule_sets: usize) -> Memory {
    let (before, mut records) = (Memory::default(), journal.cursor(0).unwrap());
    while let Some(record) = records.next().unwrap() {
        if record.kind == RecordKind::RuleSet {
            if rule_sets == 0 {
                break;
            }
            rule_sets -= 1;
        }
        let Record { kind, body, id, received_at, .. } = record;
        before.append(&Entry { kind, body, id, entities: &[], received_at });
    }
    before
}

/// What is recovered from this snapshot and the journal behind it is what is recovered from the journal alone.
#[track_caller]
fn check_recovered(snapshot: &[u8], journal: &Memory) {
    let [of_it, of_nothing] = [Some(snapshot), None].map(|snapshot| {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();
        if let Some(it) = snapshot {
            std::fs::write(folder.path().join("snapshots/0000000000.snapshot"), it).unwrap();
        }
        recover(&dir, key(), Box::new(journal.clone()), PATIENT).unwrap().unwrap().gate
    });
    check_same(&of_it, &of_nothing);
}

/// What holds an alert back is the rule's name, not its place.
#[test]
fn an_alert_once_per_user_is_the_same_one_when_rules_move() {
    let folder = tempfile::tempdir().unwrap();
    let head = "use schema pay\n";
    let old = "rule b \"B\" on payment when amount > 1.00 EUR then alert high once per user 1h\n";
    let new = "rule a \"A\" on payment when amount > 1.00 EUR then alert low once per user 1h\n";
    let mut world = World::new(folder.path(), &format!("{head}{old}"));
    let alerts = |world: &mut World, id: &str, minute: i64| {
        let fields = "user=u1 device=d1 amount=500";
        let payment = event(&world.gate.rules().typed.schema, "payment", id, minute * MINUTE, fields);
        let ticket = world.gate.submit(&payment, Deadline::Never, &mut world.worker).unwrap();
        ticket.ruling.verdict.alerts.iter().map(|it| it.severity.name()).collect::<Vec<_>>()
    };
    assert_eq!(alerts(&mut world, "p1", 0), ["high"]);
    assert!(alerts(&mut world, "p2", 1).is_empty());
    world.activate(&bundle(SCHEMA, &format!("{head}{new}{old}"))).unwrap();
    assert_eq!(alerts(&mut world, "p3", 2), ["low"], "the new rule's; the old one's hour is not over");
    assert_eq!(alerts(&mut world, "p4", 61), ["high"], "now it is");
    check_verified(&world.journal, key());
}
