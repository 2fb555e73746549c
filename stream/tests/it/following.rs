//! A rule set that follows another: what it says nothing of stays as it is, and a schema that has grown is gone back from
//! and forth to, because the journal holds events of all that was ever known.

use std::sync::Arc;

use engine::event::FieldValue;
use engine::rates::Rates;
use rules::schema::Currency;
use rules::time::SECOND;
use stream::bundle::{Bundle, File, ListFile};
use stream::gate::Deadline;
use stream::snapshot::{self, Extra};

use crate::build::{SCHEMA, World};
use crate::support::{bundle, check_same, check_verified, event, folded, key};

const LISTS: &str = "use schema pay\nlist risky : text(4)\nlist watched : user\n\
    rule shop \"A risky shop\" on payment when user in watched then score +10\n";

/// Rates and contents of lists, which change while a rule set is in force.
fn contents(of: &Bundle) -> (Option<&str>, Vec<(&str, &str)>) {
    let lists = of.lists.iter().map(|it| (it.list.as_str(), it.text.as_str()));
    (of.rates.as_ref().map(|it| it.text.as_str()), lists.collect())
}

#[test]
fn rates_and_lists_stay_where_the_next_rule_set_says_nothing_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path(), LISTS);
    let in_force = |world: &World| world.gate.in_force().bundle.clone().unwrap();
    let rates = Rates::parse("currency,rate\nUSD,0.9\n", Currency::from_code("EUR").unwrap()).unwrap();
    world.gate.put_rates(&rates).unwrap();
    world.gate.put_value("risky", "6051", true).unwrap();
    let expected = (Some("currency,rate\nUSD,0.9\n"), vec![("risky", "6051\n")]);
    assert_eq!(contents(&in_force(&world)), expected);
    // Other rules; without the list, and with it again.
    for rules in [LISTS.replace("+10", "+20"), "use schema pay\n".to_owned(), LISTS.to_owned()] {
        world.activate(&bundle(SCHEMA, &rules)).unwrap();
        assert_eq!(contents(&in_force(&world)), expected, "{rules}");
    }
    let values = &world.gate.rules().values;
    assert_eq!(values, &folded(&world.journal, key()).rules().values);
    // What it does say is from then on so.
    let text = "4829\n".to_owned();
    let list = ListFile { list: "risky".to_owned(), name: "risky.txt".to_owned(), text };
    let table = File::new("rates.csv", "currency,rate\nUSD,0.8\n");
    let said = Bundle { lists: vec![list], rates: Some(table), ..(*bundle(SCHEMA, LISTS)).clone() };
    world.activate(&Arc::new(said)).unwrap();
    assert_eq!(contents(&in_force(&world)), (Some("currency,rate\nUSD,0.8\n"), vec![("risky", "4829\n")]));
    check_verified(&world.journal, key());
}

const OLD: &str = "use schema pay\nlist watched : user\n\
    feature n = count(payment) by user over 1h\n\
    feature all = count(any) by user over 1d\n\
    record n, all\n\
    rule many \"Many\" on payment when n > 3 or all > 90 then challenge, add user to watched for 1h\n";

/// A rule set over a schema that has grown takes the place of the old one, is gone back from, and comes again; events of
/// what is new are known throughout, whatever a crash leaves.
#[track_caller]
fn check_grown(schema: &str, rules: &str, of_new: (&str, &str)) {
    for damaged in [0, 1] {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::new(folder.path(), OLD);
        let new_event = |world: &mut World| {
            let (event_type, fields) = of_new;
            world.number += 1;
            let id = format!("new{}", world.number);
            let rules = world.gate.rules();
            let new = event(&rules.typed.schema, event_type, &id, world.number * 20 * SECOND, fields);
            world.gate.submit(&new, Deadline::Never, &mut world.worker).unwrap();
        };
        let [old, grown] = [bundle(SCHEMA, OLD), bundle(schema, rules)];
        for _ in 0..2 {
            world.pay(250);
            snapshot::write(&world.dir, &world.gate, &Extra::new()).unwrap();
        }
        world.activate(&grown).unwrap();
        world.pay(100);
        new_event(&mut world);
        assert_eq!(world.activate(&old).unwrap(), 0, "back is at once");
        assert_eq!(world.gate.rules().typed.hash, old.check().unwrap().rules.hash);
        world.pay(100);
        new_event(&mut world);
        check_same(&world.gate, &folded(&world.journal, key()));
        let (mut world, _) = world.crashed(folder.path(), damaged);
        world.pay(100);
        new_event(&mut world);
        assert_eq!(world.activate(&grown).unwrap(), 0, "and forth again");
        world.pay(100);
        check_same(&world.gate, &folded(&world.journal, key()));
        check_verified(&world.journal, key());
    }
}

#[test]
fn a_schema_that_has_grown_is_gone_back_from() {
    let new = OLD.replace("n > 3", "n > 4");
    let next = SCHEMA.replace("schema pay 1", "schema pay 2");
    let field = next.replace("amount: money", "amount: money\n  shop: text(8)?");
    check_grown(&field, &new, ("payment", "user=u1 device=d1 amount=5 shop=s1"));
    // A field that a new feature reads.
    let shops =
        new.replace("record n", "feature shops = distinct(payment.shop) by user over 1d\nrecord n, shops");
    check_grown(&field, &shops, ("payment", "user=u1 device=d1 amount=5 shop=s1"));
    // A new event type, which `any` means too from then on.
    let bind = format!("{next}event bind\n  user: user\n  device: device\n");
    check_grown(&bind, &new, ("bind", "user=u1 device=d1"));
    // A new kind, with a list of its own.
    let bank =
        bind.replace("entity device shared", "entity device shared\nentity bank shared") + "  bank: bank\n";
    let banks = new
        .replace(
            "feature n",
            "list known : bank\nfeature banks = distinct(bind.bank) by user over 1d\nfeature n",
        )
        .replace("record n", "record n, banks");
    let banks = banks
        + "rule new_bank \"A bank\" on bind when banks > 1 and not (bank in known) then add bank to known\n";
    check_grown(&bank, &banks, ("bind", "user=u1 device=d1 bank=b1"));
}

/// What was added stays: another field cannot come into its place.
#[test]
fn what_a_schema_has_once_had_keeps_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path(), OLD);
    let with = |version: u32, fields: &str| {
        let schema = SCHEMA.replace("schema pay 1", &format!("schema pay {version}"));
        bundle(&schema.replace("amount: money", &format!("amount: money\n  {fields}")), OLD)
    };
    world.activate(&with(2, "shop: text(8)?")).unwrap();
    world.activate(&bundle(SCHEMA, OLD)).unwrap();
    let refused = world.activate(&with(3, "note: text(8)?")).unwrap_err().to_string();
    assert!(refused.contains("event type `payment`"), "{refused}");
    world.activate(&with(3, "shop: text(8)?\n  note: text(8)?")).unwrap();
    let rules = world.gate.rules();
    let paid = event(&rules.typed.schema, "payment", "p1", 0, "user=u1 device=d1 amount=5 note=hello");
    assert_eq!(paid.value(4), FieldValue::Text("hello"));
    check_verified(&world.journal, key());
}
