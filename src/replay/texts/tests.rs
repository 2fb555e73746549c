//! Which texts are remembered, for how long, and from run to run.

use engine::lists::ValueLists;
use rules::schema::EventTypeId;
use rules::time::{DAY, HOUR};

use super::*;

const SCHEMA: &str = "schema s 1\nzone \"UTC\"\ncurrency EUR\nlateness 0m\nkeep 30d\n\
    entity user\nentity device shared\n\
    event pay\n  user: user\n  device: device?\n  shop: text(9)?\n";
/// The fields of a payment, in its order.
const FIELDS: [&str; 3] = ["user", "device", "shop"];

fn compiled(features: &str) -> RuleSet {
    let rules = format!("use schema s\ntable home : user -> text(9)\n{features}");
    let typed = rules::testing::rule_set(SCHEMA, &rules);
    RuleSet::new(typed, HashKey::new([7; 16]), ValueLists::default()).unwrap()
}

fn begin(rules: &RuleSet, extra: &Extra) -> Texts {
    Texts::begin(rules, &[], extra).unwrap()
}

fn paid(time: Micros, device: &str) -> Event {
    let mut event = Event::default();
    event.begin(EventTypeId(0), FIELDS.len());
    event.time = time;
    event.set_text(0, "ann");
    event.set_text(1, device);
    event
}

#[test]
fn what_is_remembered_and_for_how_long() {
    #[rustfmt::skip]
    let rows: [(&str, &[&str], Micros); 9] = [
        ("feature n = count(pay) by user over 1h",                                &[],                 0),
        ("feature d = last(pay.device) by user over 1h",                          &["device"],         HOUR),
        ("feature d = last(pay.device) by user",                                  &["device"],         30 * DAY),
        ("feature d = first(pay.device) by user over 2h delay 3h",                &["device"],         5 * HOUR),
        ("feature d = last(pay.shop) by user over 1h where device is not missing", &["shop"],          HOUR),
        ("feature d = shop ?? \"none\"",                                          &["shop"],           0),
        ("feature d = device",                                                    &["device"],         0),
        ("feature d = last(pay.device) by user over 2d\nfeature e = last(pay.d) by user over 1d",
                                                                                  &["device"],         3 * DAY),
        ("feature d = last(pay.device) by user over 2d\nfeature e = shop",        &["device", "shop"], 2 * DAY),
    ];
    for (features, fields, reach) in rows {
        let texts = begin(&compiled(features), &Extra::new());
        let named: Vec<_> = texts.fields[0].iter().map(|at| FIELDS[*at]).collect();
        assert_eq!(named, fields, "{features}");
        assert_eq!(texts.reach, reach.max(REPEAT_FOR), "{features}");
    }
}

#[test]
fn constants_and_tables_are_known_from_the_beginning() {
    let rules = compiled("feature d = shop ?? \"none\"\nfeature h = home[user] ?? \"nowhere\"");
    let items = [ListItem {
        list: ListId(0),
        item: Item::Text("ann".to_owned()),
        value: Some(Item::Text("Oslo".to_owned())),
    }];
    let texts = Texts::begin(&rules, &items, &Extra::new()).unwrap();
    for text in ["none", "nowhere", "Oslo"] {
        assert_eq!(texts.get(rules.key.slot(text)), Some(text));
    }
    assert_eq!(texts.get(rules.key.slot("ann")), None);
}

#[test]
fn what_no_window_can_give_any_more_leaves() {
    let rules = compiled("feature d = last(pay.device) by user over 2d");
    let mut texts = begin(&rules, &Extra::new());
    let mut most = 0;
    for minute in 0..60_000 {
        texts.note(&paid(minute * 60_000_000, &format!("d{minute}")));
        texts.note(&paid(minute * 60_000_000, "always"));
        most = most.max(texts.known.len());
    }
    // Two days are 2,880 minutes.
    assert!(most <= 2 * LOOK_FROM, "{most} texts");
    let get = |text: &str| texts.get(rules.key.slot(text)).is_some();
    assert_eq!(["d0", "d57120", "d59999", "always"].map(get), [false, true, true, true]);
}

#[test]
fn a_later_run_knows_what_an_earlier_one_knew() {
    let rules = compiled("feature d = last(pay.device) by user over 2d");
    let mut texts = begin(&rules, &Extra::new());
    texts.note(&paid(0, "old"));
    texts.note(&paid(3 * DAY, "new"));
    let mut extra = Extra::new();
    texts.save(&mut extra);
    let later = begin(&rules, &extra);
    assert_eq!(later.get(rules.key.slot("new")), Some("new"));
    assert_eq!(later.get(rules.key.slot("old")), None, "no window can give it");
    extra.insert(NAME.to_owned(), vec![255]);
    assert!(Texts::begin(&rules, &[], &extra).is_err());
}
