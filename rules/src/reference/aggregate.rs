//! Aggregates: the whole past, looked through for what matches.

use std::collections::BTreeSet;

use ethnum::I256;

use super::PastEvent;
use super::expr::{View, distance_km, order, to_real};
use crate::time::{Micros, SECOND};
use crate::typed::{Aggregate, AggregateFunction, Numeric, Type};
use crate::value::{Form, Value};

/// An event that an aggregate speaks of.
struct Member {
    time: Micros,
    position: u64,
    /// Of an aggregate that takes none: missing.
    argument: Value,
    /// Of a ratio: whether it is counted above the line.
    above: bool,
}

/// The value of an aggregate for the event being decided.
pub(super) fn compute(current: &View<'_>, aggregate: &Aggregate) -> Value {
    // An event without a role named in `by` belongs to no group.
    if aggregate.by.iter().any(|role| current.event.field(*role).is_none()) {
        return Value::Missing;
    }
    let members = members(current, aggregate);
    let now = current.event.time;
    let own_argument = || aggregate.argument.as_ref().map_or(Value::Missing, |it| current.eval(it));
    match aggregate.function {
        AggregateFunction::Count => count(members.len()),
        AggregateFunction::Sum => sum(&members, aggregate),
        AggregateFunction::Mean => mean(&members, aggregate),
        AggregateFunction::Stddev => stddev(&members, aggregate),
        AggregateFunction::Min => extreme(&members, |ordering| ordering.is_lt()),
        AggregateFunction::Max => extreme(&members, |ordering| ordering.is_gt()),
        AggregateFunction::Distinct => {
            count(members.iter().map(|it| it.argument.to_slot()).collect::<BTreeSet<_>>().len())
        }
        AggregateFunction::Ratio => {
            let above = members.iter().filter(|it| it.above).count();
            divide(count(above), count(members.len()))
        }
        AggregateFunction::First => members.first().map_or(Value::Missing, |it| it.argument),
        AggregateFunction::Last => members.last().map_or(Value::Missing, |it| it.argument),
        AggregateFunction::FirstSeen => match own_argument().to_slot() {
            None => Value::Missing,
            own => Value::Flag(members.iter().all(|it| it.argument.to_slot() != own)),
        },
        AggregateFunction::TimeSince => {
            members.last().map_or(Value::Missing, |it| Value::Exact(elapsed(it.time, now).into()))
        }
        AggregateFunction::Speed => members.last().map_or(Value::Missing, |it| {
            speed_kmh(distance_km(it.argument, own_argument()), elapsed(it.time, now))
        }),
    }
}

/// Every event that matches, in order of time, then position.
fn members(current: &View<'_>, aggregate: &Aggregate) -> Vec<Member> {
    let (now, world) = (current.event, current.world);
    let earlier = world.past.iter().filter(|past| {
        past.event.position < now.position
            && Some(past.event.position) != world.excluded
            && in_window(past, now.time, aggregate, world.rules.schema.keep)
    });
    let mut members: Vec<_> = earlier
        .filter_map(|past| {
            let mutable = past.known_at(now.position);
            let view = View {
                event: &past.event,
                mutable,
                features: &past.captured,
                this: Some(current),
                ..*current
            };
            member(&view, aggregate)
        })
        .collect();
    if counts_itself(aggregate) {
        members.extend(member(&View { this: Some(current), ..*current }, aggregate));
    }
    members.sort_by_key(|it| (it.time, it.position));
    members
}

/// Whether the event being decided belongs to its own window, if it matches.
fn counts_itself(aggregate: &Aggregate) -> bool {
    let looks_back = matches!(
        aggregate.function,
        AggregateFunction::First
            | AggregateFunction::Last
            | AggregateFunction::FirstSeen
            | AggregateFunction::TimeSince
            | AggregateFunction::Speed
    );
    !looks_back && !aggregate.before && aggregate.delay.is_none()
}

/// Newer than `t − w`, later times included; with `delay d`, from there on back: `(t − d − w, t − d]`.
fn in_window(past: &PastEvent, now: Micros, aggregate: &Aggregate, keep: Micros) -> bool {
    let edge = now - aggregate.delay.unwrap_or(0);
    let newer = edge - aggregate.over.unwrap_or(keep) < past.event.time;
    newer && (aggregate.delay.is_none() || past.event.time <= edge)
}

/// The event in view, if its type, its roles and its `where` match and what is asked of it is there.
fn member(view: &View<'_>, aggregate: &Aggregate) -> Option<Member> {
    let event = view.event;
    let roles_match = aggregate
        .by
        .iter()
        .zip(&aggregate.via)
        .all(|(by, via)| view.decided().field(*by) == event.field(*via));
    let condition_holds = aggregate.condition.as_ref().is_none_or(|it| view.holds(it));
    let argument = aggregate.argument.as_ref().map(|it| view.eval(it));
    // Arguments are kept in 64 bits.
    let argument_there = argument.is_none_or(|it| it.to_slot().is_some());
    (aggregate.of.contains(&event.event_type) && roles_match && condition_holds && argument_there).then(
        || Member {
            time: event.time,
            position: event.position,
            argument: argument.unwrap_or_default(),
            above: aggregate.numerator.as_ref().is_none_or(|it| view.holds(it)),
        },
    )
}

fn count(number: usize) -> Value {
    Value::Exact(i128::try_from(number).unwrap_or(i128::MAX))
}

/// Differences of time below zero count as zero.
fn elapsed(then: Micros, now: Micros) -> Micros {
    (now - then).max(0)
}

fn speed_kmh(distance_km: Value, elapsed: Micros) -> Value {
    const HOUR_MICROS: f64 = 3_600_000_000.0;
    distance_km
        .real()
        .map_or(Value::Missing, |km| Value::finite(km / (elapsed.max(SECOND) as f64 / HOUR_MICROS)))
}

/// Both exact at scale 0.
fn divide(a: Value, b: Value) -> Value {
    match (to_real(a, 0), to_real(b, 0)) {
        (Value::Real(a), Value::Real(b)) => Value::finite(a / b),
        _ => Value::Missing,
    }
}

/// Digits after the point of the argument.
fn scale(aggregate: &Aggregate) -> u8 {
    match aggregate.argument.as_ref().map(|it| it.ty) {
        Some(Type::Number(Numeric::Exact { scale, .. }))
        | Some(Type::Money(_, Numeric::Exact { scale, .. }))
        | Some(Type::Duration(Numeric::Exact { scale, .. })) => scale,
        _ => 0,
    }
}

fn is_real(aggregate: &Aggregate) -> bool {
    aggregate.argument.as_ref().is_some_and(|it| it.ty.form() == Form::Real)
}

fn exact_arguments(members: &[Member]) -> impl Iterator<Item = i128> {
    members.iter().filter_map(|it| it.argument.exact())
}

/// The sum at the argument's scale.
fn sum(members: &[Member], aggregate: &Aggregate) -> Value {
    if is_real(aggregate) {
        return Value::finite(sum_of_reals(members.iter().filter_map(|it| it.argument.real())));
    }
    Value::Exact(exact_arguments(members).sum())
}

/// The sum as a real, divided by the count.
fn mean(members: &[Member], aggregate: &Aggregate) -> Value {
    let sum = match sum(members, aggregate) {
        exact @ Value::Exact(_) => to_real(exact, scale(aggregate)),
        real => real,
    };
    match (sum, to_real(count(members.len()), 0)) {
        (Value::Real(sum), Value::Real(count)) => Value::finite(sum / count),
        _ => Value::Missing,
    }
}

/// The least or greatest argument: the first that is not `beaten` by another.
fn extreme(members: &[Member], beats: fn(std::cmp::Ordering) -> bool) -> Value {
    let values = members.iter().map(|it| it.argument);
    values.reduce(|best, it| if order(it, best).is_some_and(beats) { it } else { best }).unwrap_or_default()
}

/// Of the sample, n − 1 below the line: n·Σx² − (Σx)² is taken exactly and rounded once.
fn stddev(members: &[Member], aggregate: &Aggregate) -> Value {
    let n = members.len();
    if n < 2 {
        return Value::Missing;
    }
    let pairs = count(n * (n - 1));
    let (above, scale) = match is_real(aggregate) {
        true => (squares_of_reals(members), 0),
        false => (squares(exact_arguments(members)), scale(aggregate)),
    };
    let Value::Real(pairs) = to_real(pairs, 0) else { return Value::Missing };
    let root = libm::sqrt(above / pairs);
    format!("1e{scale}").parse::<f64>().map_or(Value::Missing, |unit| Value::finite(root / unit))
}

/// n·Σx² − (Σx)², rounded once: parsing rounds correctly.
fn squares(values: impl Iterator<Item = i128>) -> f64 {
    let (mut n, mut sum, mut sum_squares) = (I256::ZERO, I256::ZERO, I256::ZERO);
    for value in values.map(I256::from) {
        n += 1;
        sum += value;
        sum_squares += value * value;
    }
    (n * sum_squares - sum * sum).to_string().parse().unwrap_or(f64::INFINITY)
}

/// The same of reals: each square is rounded, their sum is not until it is complete.
fn squares_of_reals(members: &[Member]) -> f64 {
    let values = || members.iter().filter_map(|it| it.argument.real());
    let n = members.len() as f64;
    let (sum, sum_squares) = (sum_of_reals(values()), sum_of_reals(values().map(|it| it * it)));
    (n * sum_squares - sum * sum).max(0.0)
}

/// The exact sum, rounded once, so that no order matters: partial sums that do not overlap are kept, each with what
/// the larger ones could not hold (Shewchuk, 1997).
fn sum_of_reals(values: impl Iterator<Item = f64>) -> f64 {
    let mut partials: Vec<f64> = Vec::new();
    for mut value in values {
        let mut kept = Vec::new();
        for mut partial in partials {
            if value.abs() < partial.abs() {
                (value, partial) = (partial, value);
            }
            let high = value + partial;
            let low = partial - (high - value);
            if low != 0.0 {
                kept.push(low);
            }
            value = high;
        }
        kept.push(value);
        partials = kept;
    }
    round(&partials)
}

/// The sum of partials that do not overlap, the least first.
fn round(partials: &[f64]) -> f64 {
    let mut rest = partials.iter().rev().copied();
    let mut high = rest.next().unwrap_or(0.0);
    while let Some(partial) = rest.next() {
        let before = high;
        high = before + partial;
        let low = partial - (high - before);
        if low != 0.0 {
            // Half of a last digit was lost: whether that half rounds away or back, what is smaller still decides.
            let same_side = rest.next().is_some_and(|next| (next < 0.0) == (low < 0.0));
            let rounded_away = high + low * 2.0;
            if same_side && (low * 2.0).to_bits() == (rounded_away - high).to_bits() {
                high = rounded_away;
            }
            break;
        }
    }
    high
}
