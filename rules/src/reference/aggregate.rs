//! Aggregates: the whole past, looked through for what matches.

use std::collections::BTreeSet;
use std::str::FromStr;

use bnum::types::I512;

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

/// The arguments as integers, so that no order of adding matters: exact ones at their scale, reals as the nearest
/// multiples of 2⁻¹⁰⁰, halves away from zero, at most 2⁹¹ in magnitude.
fn integers(members: &[Member]) -> Vec<I512> {
    let number = |it: &Member| match it.argument {
        Value::Exact(exact) => exact.to_string(),
        Value::Real(real) => format!("{:.0}", (real.clamp(-REAL_MAX, REAL_MAX) * REAL_UNITS).round()),
        Value::Flag(_) | Value::Missing => String::new(),
    };
    members.iter().filter_map(|it| number(it).parse().ok()).collect()
}

/// The greatest magnitude with which a real is summed: 2⁹¹.
const REAL_MAX: f64 = (1_u128 << 91) as f64;
/// A real is summed in units of 2⁻¹⁰⁰.
const REAL_UNITS: f64 = (1_u128 << 100) as f64;

/// How many of the integers make one.
fn units(aggregate: &Aggregate) -> f64 {
    let power_of_ten = |scale: u8| format!("1e{scale}").parse().unwrap_or(f64::INFINITY);
    if is_real(aggregate) { REAL_UNITS } else { power_of_ten(scale(aggregate)) }
}

fn sum_of(integers: &[I512]) -> I512 {
    integers.iter().fold(I512::default(), |sum, it| sum + *it)
}

/// The nearest real: parsing rounds once, half-even.
fn real_of(integer: I512) -> f64 {
    integer.to_string().parse().unwrap_or(f64::INFINITY)
}

fn real_of_count(count: usize) -> f64 {
    count as f64
}

/// The sum, exact at the argument's scale or real.
fn sum(members: &[Member], aggregate: &Aggregate) -> Value {
    let sum = sum_of(&integers(members));
    if is_real(aggregate) {
        return Value::finite(real_of(sum) / REAL_UNITS);
    }
    sum.to_string().parse().map_or(Value::Missing, Value::Exact)
}

/// The sum of the integers, divided by their scale, then by the count.
fn mean(members: &[Member], aggregate: &Aggregate) -> Value {
    let sum = real_of(sum_of(&integers(members))) / units(aggregate);
    Value::finite(sum / real_of_count(members.len()))
}

/// Of the sample: the root of (n·Σx² − (Σx)²) / (n·(n − 1)) of the integers, above and below the line exact and each
/// rounded once; then divided by their scale.
fn stddev(members: &[Member], aggregate: &Aggregate) -> Value {
    if members.len() < 2 {
        return Value::Missing;
    }
    let integers = integers(members);
    let squares: Vec<_> = integers.iter().map(|it| *it * *it).collect();
    let (n, sum) = (members.len(), sum_of(&integers));
    let above = real_of(I512::from_str(&n.to_string()).unwrap_or_default() * sum_of(&squares) - sum * sum);
    let below = real_of_count(n * (n - 1));
    Value::finite(libm::sqrt(above / below) / units(aggregate))
}

/// The least or greatest argument: the first that is not `beaten` by another.
fn extreme(members: &[Member], beats: fn(std::cmp::Ordering) -> bool) -> Value {
    let values = members.iter().map(|it| it.argument);
    values.reduce(|best, it| if order(it, best).is_some_and(beats) { it } else { best }).unwrap_or_default()
}
