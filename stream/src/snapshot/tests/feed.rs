//! A rule set with every kind of state, and random feeds for it.

use std::sync::{Arc, LazyLock};

use engine::entity::HashKey;
use engine::event::{Amendment, Change, Event};
use engine::lists::ValueLists;
use engine::rule_set::RuleSet;
use proptest::prelude::*;
use rules::past::{Challenge, Label, OperationResult};
use rules::place::Place;
use rules::schema::{FieldType, Schema};
use rules::time::{DAY, HOUR, MINUTE, Micros, SECOND};

pub(super) const SCHEMA: &str = r#"
schema pay 1
zone "UTC"
currency EUR
lateness 10m
keep 60d
entity user
entity device shared
entity merchant shared
event payment
  user: user
  merchant: merchant
  device: device?
  amount: money
  place: place?
event transfer
  user: user
  payee: user
  amount: money
"#;

/// Windows of all functions, with and without `delay`, mutable and `this.` conditions, captured features, pairs, roles
/// by `via`, features without a window, a list that rules fill, an alert that is held back.
pub(super) const FEATURES: &str = r#"
use schema pay
list watched : user
feature n_1h       = count(payment) by user over 1h
feature tiny_1d    = count(payment) by user over 1d where amount < 2.00 EUR
feature spent_24h  = sum(payment.amount) by user over 24h before where accepted
feature usual      = mean(payment.amount) by user over 30d before
feature spread     = stddev(payment.amount) by user over 30d before
feature unusual    = (amount - usual) / max(spread, 1.00 EUR) ?? 0
feature odd_7d     = count(payment) by merchant over 7d where unusual > 1
feature again      = count(payment) by user over 1h before where amount == this.amount
feature shop_risk  = ratio(payment where label == fraud) by merchant over 2d delay 1d
feature senders    = distinct(transfer.user) by user via payee over 6h
feature devices    = distinct(payment.device) by user over 1d
feature users_of   = distinct(payment.user) by device over 7d
feature new_device = first_seen(device) by user
feature largest    = max(payment.amount) by device over 7d before
feature oldest     = first(payment.amount) by user over 1d
feature here_last  = last(payment.amount) by (user, merchant)
feature here_1d    = count(payment) by (user, merchant) over 1d
feature fast       = speed(place) by user
feature idle       = time_since(transfer) by user
"#;

pub(super) const DECISIONS: &str = r#"
record unusual, here_1d
rule many "Many payments" on payment when n_1h > 2
  then score +40, alert high once per user 2h, add user to watched for 1h
rule seen "Watched" on payment when user in watched then challenge
rule spent "Spends much" on payment when spent_24h + amount > 9.00 EUR then block
policy
  alert medium when score >= 30
"#;

/// A schema, features and rules as text, checked and compiled.
#[track_caller]
pub(super) fn compile(schema: &str, rules: &str) -> Arc<RuleSet> {
    let typed = rules::testing::rule_set(schema, rules);
    Arc::new(RuleSet::new(typed, HashKey::new([7; 16]), ValueLists::default()).unwrap())
}

/// The rule set with every kind of state.
pub(super) fn rule_set() -> Arc<RuleSet> {
    static RULES: LazyLock<Arc<RuleSet>> =
        LazyLock::new(|| compile(SCHEMA, &format!("{FEATURES}{DECISIONS}")));
    Arc::clone(&RULES)
}

/// What comes in.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Event(Event),
    Amendment(Amendment),
}

/// An event: its type, its id, its time, and its fields as (name, value).
pub(super) fn event(schema: &Schema, name: &str, id: &str, time: Micros, fields: &[(&str, i64)]) -> Event {
    let of = schema.event_type(name).unwrap();
    let declared = &schema.events[of.index()].fields;
    let mut event = Event::default();
    event.begin(of, declared.len());
    event.id.push_str(id);
    (event.time, event.time_given) = (time, true);
    for (name, value) in fields {
        let at = declared.iter().position(|it| schema.field(it.field).unwrap().name == *name).unwrap();
        match schema.field(declared[at].field).unwrap().ty {
            FieldType::Entity(_) => event.set_text(at, &format!("e{value}")),
            FieldType::Money { .. } => event.set_money(at, *value, schema.currency),
            _ => event.set_number(at, *value),
        }
    }
    event
}

/// One step of a feed; `of` counts events backwards.
#[derive(Clone, Debug)]
enum Step {
    Payment {
        after: Micros,
        user: i64,
        merchant: i64,
        device: Option<i64>,
        amount: i64,
        degrees: Option<i32>,
    },
    Transfer {
        after: Micros,
        user: i64,
        payee: i64,
        amount: i64,
    },
    Amend {
        of: usize,
        change: Change,
    },
    Recheck {
        of: usize,
        amount: i64,
    },
    Again {
        of: usize,
    },
    SameId {
        of: usize,
    },
}

fn after() -> impl Strategy<Value = Micros> {
    prop_oneof![
        6 => (0..600_i64).prop_map(|it| it * SECOND),
        2 => (0..30_i64).prop_map(|it| it * HOUR),
        1 => Just(0),
        2 => (-900..0_i64).prop_map(|it| it * SECOND),
        1 => (1..70_i64).prop_map(|it| it * DAY),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Label(Label::Fraud, None)),
        Just(Change::Challenge(Challenge::Passed)),
        Just(Change::Result(OperationResult::Reversed)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let payment = (
        after(),
        0..3_i64,
        0..2_i64,
        proptest::option::of(0..3_i64),
        50..400_i64,
        proptest::option::of(0..3_i32),
    );
    let payment = payment.prop_map(|(after, user, merchant, device, amount, degrees)| Step::Payment {
        after,
        user,
        merchant,
        device,
        amount,
        degrees,
    });
    let transfer = (after(), 0..3_i64, 0..3_i64, 1..400_i64);
    prop_oneof![
        8 => payment,
        2 => transfer.prop_map(|(after, user, payee, amount)| Step::Transfer { after, user, payee, amount }),
        3 => (0..10_usize, change()).prop_map(|(of, change)| Step::Amend { of, change }),
        1 => (0..6_usize, 50..400_i64).prop_map(|(of, amount)| Step::Recheck { of, amount }),
        1 => (0..10_usize).prop_map(|of| Step::Again { of }),
        1 => (0..10_usize).prop_map(|of| Step::SameId { of }),
    ]
}

/// Random feeds of at most so many items: late, repeated, amended and rechecked events among them.
pub(super) fn feeds(items: usize) -> impl Strategy<Value = Vec<Item>> {
    proptest::collection::vec(step(), 1..=items).prop_map(|steps| play(&steps))
}

fn play(steps: &[Step]) -> Vec<Item> {
    let rules = rule_set();
    let schema = &rules.typed.schema;
    let (mut items, mut events, mut clock) = (Vec::new(), Vec::<Event>::new(), 400 * DAY);
    for (n, step) in steps.iter().enumerate() {
        let back = |of: &usize| events.len().checked_sub(1 + of).map(|at| events[at].clone());
        let id = format!("i-{n}");
        let event = match step {
            Step::Payment { after, user, merchant, device, amount, degrees } => {
                let mut fields = vec![("user", *user), ("merchant", *merchant), ("amount", *amount)];
                fields.extend(device.map(|it| ("device", it)));
                let place = |it: i32| Place::new(i64::from(it) * 10_000_000, 0).unwrap().pack();
                fields.extend(degrees.map(|it| ("place", place(it))));
                clock = clock.max(clock + after);
                Some(event(schema, "payment", &id, clock + after.min(&0), &fields))
            }
            Step::Transfer { after, user, payee, amount } => {
                let fields = [("user", *user), ("payee", *payee), ("amount", *amount)];
                clock = clock.max(clock + after);
                Some(event(schema, "transfer", &id, clock + after.min(&0), &fields))
            }
            Step::Amend { of, change } => {
                let amended = back(of).map(|it| it.id).unwrap_or_default();
                let change = change.clone();
                let amendment = Amendment { id, event_id: amended, time: clock, time_given: true, change };
                items.push(Item::Amendment(amendment));
                None
            }
            Step::Recheck { of, amount } => back(of).map(|original| {
                let mut again =
                    event(schema, schema_name(schema, &original), &id, clock, &[("amount", *amount)]);
                again.fill_from(&original);
                again.recheck_of = Some(original.id);
                again
            }),
            Step::Again { of } => back(of),
            Step::SameId { of } => back(of).map(|mut it| {
                it.time += MINUTE;
                it
            }),
        };
        if let Some(event) = event {
            events.push(event.clone());
            items.push(Item::Event(event));
        }
    }
    items
}

fn schema_name<'a>(schema: &'a Schema, event: &Event) -> &'a str {
    &schema.events[event.event_type.unwrap().index()].name
}
