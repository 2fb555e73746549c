//! The reference itself, on cases small enough to be judged by eye.

use super::agree::in_share;
use crate::past::{Label, Mutable, Outcome};
use crate::place::Place;
use crate::reference::{Event, Lists, PastEvent, World};
use crate::schema::EventTypeId;
use crate::testing;
use crate::time::{HOUR, MINUTE, SECOND};
use crate::typed::RuleSet;
use crate::value::Value;

const SCHEMA: &str = "schema demo 1\nzone \"UTC\"\ncurrency CNY\nlateness 10m\nkeep 10d\n\
    entity user\nenum channel = app, web\n\
    event payment\n  user: user?\n  payee: user?\n  amount: money?\n  place: place?\n\
    event login\n  user: user?\n";
/// 2026-01-05 12:00 UTC, a Monday.
const NOW: i64 = 1_767_614_400 * SECOND;

fn rule_set(rules: &str) -> RuleSet {
    let text = format!("use schema demo\n{rules}");
    testing::rule_set(SCHEMA, &text)
}

/// A payment of user 1 to user 2, so long after [`NOW`].
fn payment(position: u64, after: i64, amount: i64) -> Event {
    let fields = vec![Some(1), Some(2), Some(amount), None];
    Event { position, event_type: EventTypeId(0), time: NOW + after, fields }
}

fn past(event: Event) -> PastEvent {
    PastEvent { changes: vec![(event.position, Mutable::default())], event, captured: Vec::new() }
}

/// The value of a feature for a payment of 9.00 at [`NOW`], position 100.
#[track_caller]
fn check_feature(feature: &str, past: &[PastEvent], excluded: Option<u64>, expected: Value) {
    check_for(&payment(100, 0, 900), feature, past, excluded, expected);
}

#[track_caller]
fn check_for(event: &Event, feature: &str, past: &[PastEvent], excluded: Option<u64>, expected: Value) {
    let rules = rule_set(&format!("feature f = {feature}\n"));
    let world =
        World { rules: &rules, texts: &|_| 0, past, excluded, lists: &Lists::default(), in_share: &in_share };
    assert_eq!(world.feature(event, rules.feature_order[0]), expected, "{feature}");
}

#[test]
fn windows_open_after_their_lower_edge_and_have_no_upper_one() {
    let count = |n| Value::Exact(n);
    let at = |after| vec![past(payment(1, after, 100))];
    for (feature, after, expected) in [
        ("count(payment) by user over 1h", -HOUR, 1),
        ("count(payment) by user over 1h", -HOUR + 1, 2),
        ("count(payment) by user over 1h", 0, 2),
        ("count(payment) by user over 1h", 5 * MINUTE, 2),
        ("count(payment) by user over 1h before", -HOUR + 1, 1),
        ("count(payment) by user over 1h before", -HOUR, 0),
        ("count(payment) by user over 1h before", MINUTE, 1),
        ("count(payment) by user over 1h delay 10m", -70 * MINUTE, 0),
        ("count(payment) by user over 1h delay 10m", -70 * MINUTE + 1, 1),
        ("count(payment) by user over 1h delay 10m", -10 * MINUTE, 1),
        ("count(payment) by user over 1h delay 10m", -10 * MINUTE + 1, 0),
        ("count(payment) by payee over 1h", -MINUTE, 2),
        ("count(payment) by payee via user over 1h", -MINUTE, 0),
        ("count(payment) by (user, payee) over 1h", -MINUTE, 2),
        ("count(login) by user over 1h", -MINUTE, 0),
        ("count(any) by user over 1h", -MINUTE, 2),
        ("count(payment) by user over 1h where amount < 2.00 CNY", -MINUTE, 1),
        ("count(payment) by user over 1h where amount == this.amount", -MINUTE, 1),
    ] {
        check_feature(feature, &at(after), None, count(expected));
    }
}

#[test]
fn knowledge_goes_by_position() {
    let feature = "count(payment) by user over 1h before where label == fraud";
    let labelled = |position| {
        let mut it = past(payment(1, -MINUTE, 100));
        it.changes.push((position, Mutable { label: Label::Fraud, ..Mutable::default() }));
        vec![it]
    };
    check_feature(feature, &labelled(99), None, Value::Exact(1));
    check_feature(feature, &labelled(100), None, Value::Exact(0));
    // What stands at a greater position is not seen, whatever its time; a recheck does not see its original.
    let plain = "count(payment) by user over 1h";
    check_feature(plain, &[past(payment(101, -MINUTE, 100))], None, Value::Exact(1));
    check_feature(plain, &[past(payment(1, -MINUTE, 100))], Some(1), Value::Exact(1));
}

#[test]
fn accepted_follows_outcome_challenge_and_result() {
    let of = |outcome| {
        let mut it = past(payment(1, -MINUTE, 100));
        it.changes = vec![(1, Mutable { outcome, ..Mutable::default() })];
        vec![it]
    };
    let feature = "sum(payment.amount) by user over 1h before where accepted";
    for (outcome, sum) in [(Outcome::Allow, 100), (Outcome::Challenge, 0), (Outcome::Block, 0)] {
        check_feature(feature, &of(outcome), None, Value::Exact(sum));
    }
}

#[test]
fn values_of_what_matches() {
    let payments = [
        past(payment(1, -30 * MINUTE, 100)),
        past(payment(2, -20 * MINUTE, 400)),
        // Position 4 stands before 3 in time.
        past(payment(4, -15 * MINUTE, 400)),
        past(payment(3, -10 * MINUTE, 600)),
    ];
    let minutes = |n: i64| Value::Exact((n * MINUTE).into());
    for (feature, expected) in [
        ("sum(payment.amount) by user over 1h", Value::Exact(2_400)),
        ("mean(payment.amount) by user over 1h", Value::Real(480.0)),
        ("mean(payment.amount) by user over 1h before", Value::Real(375.0)),
        ("min(payment.amount) by user over 1h", Value::Exact(100)),
        ("max(payment.amount) by user over 1h before", Value::Exact(600)),
        ("distinct(payment.amount) by user over 1h", Value::Exact(4)),
        ("ratio(payment where amount > 1.00 CNY) by user over 1h before", Value::Real(0.75)),
        ("first(payment.amount) by user over 25m", Value::Exact(400)),
        ("last(payment.amount) by user", Value::Exact(600)),
        ("time_since(payment) by user", minutes(10)),
        ("first_seen(amount) by user", Value::Flag(true)),
        ("first_seen(payee) by user", Value::Flag(false)),
        // Of 1, 4, 4, 6: squares of the distances from 3.75 add up to 12.75, over three.
        (
            "stddev(payment.amount) by user over 1h before",
            Value::Real((51.0_f64 * 4.0 / 48.0).sqrt() * 100.0),
        ),
    ] {
        check_feature(feature, &payments, None, expected);
    }
}

#[test]
fn nothing_is_missing_or_none_as_the_language_says() {
    for (feature, expected) in [
        ("count(payment) by user over 1h before", Value::Exact(0)),
        ("sum(payment.amount) by user over 1h before", Value::Exact(0)),
        ("distinct(payment.amount) by user over 1h before", Value::Exact(0)),
        ("mean(payment.amount) by user over 1h before", Value::Missing),
        ("min(payment.amount) by user over 1h before", Value::Missing),
        ("stddev(payment.amount) by user over 1h", Value::Missing),
        ("ratio(payment where amount > 1.00 CNY) by user over 1h before", Value::Missing),
        ("last(payment.amount) by user", Value::Missing),
        ("time_since(payment) by user", Value::Missing),
        ("first_seen(payee) by user", Value::Flag(true)),
        ("first_seen(place) by user", Value::Missing),
        ("speed(place) by user", Value::Missing),
        ("1 / (count(payment) by user over 1h before)", Value::Missing),
    ] {
        check_feature(feature, &[], None, expected);
    }
    // An event without the role belongs to no group; a past one without the argument adds nothing.
    let nobody = Event { fields: vec![None; 4], ..payment(100, 0, 0) };
    check_for(&nobody, "count(payment) by user over 1h", &[], None, Value::Missing);
    let no_amount = past(Event { fields: vec![Some(1), None, None, None], ..payment(1, -MINUTE, 0) });
    check_feature("distinct(payment.amount) by user over 1h before", &[no_amount], None, Value::Exact(0));
}

#[test]
fn without_a_window_it_is_remembered_for_keep() {
    let days = |days: i64| vec![past(payment(1, -days * 24 * HOUR, 100))];
    let nearly = vec![past(payment(1, -240 * HOUR + 1, 100))];
    check_feature("first_seen(payee) by user", &days(9), None, Value::Flag(false));
    check_feature("first_seen(payee) by user", &days(10), None, Value::Flag(true));
    check_feature("first_seen(payee) by user", &nearly, None, Value::Flag(false));
    check_feature("last(payment.amount) by user", &days(10), None, Value::Missing);
}

#[test]
fn speed_is_over_at_least_a_second_and_backwards_counts_as_none() {
    let at = |position, after, degrees: i64| {
        let mut it = payment(position, after, 100);
        it.fields[3] = Some(Place::new(degrees * 10_000_000, 0).unwrap().pack());
        it
    };
    // A degree of latitude.
    let km = Place::new(0, 0).unwrap().distance_km(Place::new(10_000_000, 0).unwrap());
    for (after, expected) in [(-HOUR, km), (-30 * MINUTE, km / 0.5), (-1, km / (1.0 / 3_600.0))] {
        let past = [past(at(1, after, 0))];
        check_for(&at(100, 0, 1), "speed(place) by user", &past, None, Value::Real(expected));
    }
    let later = [past(at(1, MINUTE, 1))];
    check_for(&at(100, 0, 1), "speed(place) by user", &later, None, Value::Real(0.0));
    check_for(&at(100, 0, 1), "time_since(payment) by user", &later, None, Value::Exact(0));
}
