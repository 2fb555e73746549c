//! Expressions, walked.

use std::cmp::Ordering;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{Event, World};
use crate::past::Mutable;
use crate::place::Place;
use crate::schema::FieldId;
use crate::typed::{Comparison, Expr, ExprKind, Function, ListId, MutableColumn, Operator};
use crate::value::{Form, Value};

/// An event as an expression sees it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) event: &'a Event,
    /// Of a past event: what is known of it.
    pub(super) mutable: Mutable,
    /// By id: of the event being decided all smaller features, of a past one those captured.
    pub(super) features: &'a [Value],
    /// The score so far, in millionths.
    pub(super) score_e6: i64,
    /// From a past event: the one being decided.
    pub(super) this: Option<&'a View<'a>>,
}

impl<'a> View<'a> {
    /// The event being decided.
    pub(super) fn current(world: &'a World<'a>, event: &'a Event, features: &'a [Value]) -> Self {
        Self { world, event, mutable: Mutable::default(), features, score_e6: 0, this: None }
    }

    pub(super) fn eval(&self, expr: &Expr) -> Value {
        match &expr.kind {
            ExprKind::Const(value) => *value,
            ExprKind::Text(text) | ExprKind::EntityId(_, text) => exact((self.world.texts)(text)),
            ExprKind::Field(id) => Value::from_slot(self.event.field(*id), expr.ty.form()),
            ExprKind::EventType => exact(self.event.event_type.0),
            ExprKind::Time => exact(self.event.time),
            ExprKind::Mutable(column) => column_of(self.mutable, *column),
            ExprKind::Feature(id) => self.features.get(id.index()).copied().unwrap_or_default(),
            ExprKind::This(it) => self.this.unwrap_or(self).eval(it),
            ExprKind::Score => exact(self.score_e6),
            ExprKind::Not(it) => flag(self.eval(it).flag().map(|it| !it)),
            ExprKind::And(a, b) => flag(and(self.eval(a).flag(), self.eval(b).flag())),
            ExprKind::Or(a, b) => flag(or(self.eval(a).flag(), self.eval(b).flag())),
            ExprKind::Compare(comparison, a, b) => {
                flag(order(self.eval(a), self.eval(b)).map(|ordering| compares(*comparison, ordering)))
            }
            ExprKind::Between { operand, low, high, wraps } => {
                let (it, low, high) = (self.eval(operand), self.eval(low), self.eval(high));
                Value::Flag(between(it, low, high, *wraps).unwrap_or(false))
            }
            ExprKind::OneOf(operand, items) => {
                let it = self.eval(operand);
                Value::Flag(items.iter().any(|item| order(it, self.eval(item)) == Some(Ordering::Equal)))
            }
            ExprKind::Listed(list, role) => Value::Flag(self.listed(*list, self.decided().field(*role))),
            ExprKind::ListedValue(list, it) => Value::Flag(self.listed(*list, self.eval(it).to_slot())),
            ExprKind::TableValue(list, role) => self.table_value(*list, *role, expr.ty.form()),
            ExprKind::IsMissing(it) => Value::Flag(self.eval(it) == Value::Missing),
            ExprKind::Coalesce(it, otherwise) => match self.eval(it) {
                Value::Missing => self.eval(otherwise),
                known => known,
            },
            ExprKind::Arithmetic(operator, a, b) => arithmetic(*operator, self.eval(a), self.eval(b)),
            ExprKind::Negate(it) => arithmetic(Operator::Subtract, zero_like(self.eval(it)), self.eval(it)),
            ExprKind::Rescale(it, digits) => arithmetic(
                Operator::Multiply,
                self.eval(it),
                power_of_ten(*digits).map_or(Value::Missing, Value::Exact),
            ),
            ExprKind::ToReal(it, scale) => to_real(self.eval(it), *scale),
            ExprKind::Call(function, arguments) => {
                let arguments: Vec<_> = arguments.iter().map(|it| self.eval(it)).collect();
                call(function, &arguments)
            }
        }
    }

    /// Whether a condition's whole value is true; missing is not.
    pub(super) fn holds(&self, condition: &Expr) -> bool {
        self.eval(condition) == Value::Flag(true)
    }

    /// The event being decided.
    pub(super) fn decided(&self) -> &Event {
        self.this.unwrap_or(self).event
    }

    /// A missing value is in no list.
    fn listed(&self, list: ListId, slot: Option<i64>) -> bool {
        slot.is_some_and(|slot| self.world.lists.items.contains(&(list, slot)))
    }

    fn table_value(&self, list: ListId, role: FieldId, form: Form) -> Value {
        let beside = |slot| self.world.lists.tables.get(&(list, slot)).copied();
        Value::from_slot(self.decided().field(role).and_then(beside), form)
    }
}

fn exact(number: impl Into<i128>) -> Value {
    Value::Exact(number.into())
}

fn flag(flag: Option<bool>) -> Value {
    flag.map_or(Value::Missing, Value::Flag)
}

fn column_of(mutable: Mutable, column: MutableColumn) -> Value {
    match column {
        MutableColumn::Outcome => exact(mutable.outcome as u8),
        MutableColumn::Challenge => exact(mutable.challenge as u8),
        MutableColumn::Result => exact(mutable.result as u8),
        MutableColumn::Label => exact(mutable.label as u8),
        MutableColumn::Accepted => Value::Flag(mutable.accepted()),
    }
}

/// False beats missing beats true.
fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (None, _) | (_, None) => None,
        (Some(true), Some(true)) => Some(true),
    }
}

/// True beats missing beats false.
fn or(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (None, _) | (_, None) => None,
        (Some(false), Some(false)) => Some(false),
    }
}

/// How two values of one form stand to each other; none where one is missing.
pub(super) fn order(a: Value, b: Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Flag(a), Value::Flag(b)) => Some(a.cmp(&b)),
        (Value::Exact(a), Value::Exact(b)) => Some(a.cmp(&b)),
        (Value::Real(a), Value::Real(b)) => a.partial_cmp(&b),
        _ => None,
    }
}

fn compares(comparison: Comparison, ordering: Ordering) -> bool {
    match comparison {
        Comparison::Equal => ordering == Ordering::Equal,
        Comparison::NotEqual => ordering != Ordering::Equal,
        Comparison::Less => ordering == Ordering::Less,
        Comparison::LessOrEqual => ordering != Ordering::Greater,
        Comparison::Greater => ordering == Ordering::Greater,
        Comparison::GreaterOrEqual => ordering != Ordering::Less,
    }
}

fn between(it: Value, low: Value, high: Value, wraps: bool) -> Option<bool> {
    let from_low = order(low, it)?.is_le();
    let to_high = order(it, high)?.is_le();
    let over_midnight = wraps && order(low, high)?.is_gt();
    Some(if over_midnight { from_low || to_high } else { from_low && to_high })
}

fn arithmetic(operator: Operator, a: Value, b: Value) -> Value {
    match (a, b) {
        (Value::Exact(a), Value::Exact(b)) => {
            // The checker bounds the digits; what it bounds never overflows.
            let result = match operator {
                Operator::Add => a.checked_add(b),
                Operator::Subtract => a.checked_sub(b),
                Operator::Multiply => a.checked_mul(b),
                Operator::Divide => None,
            };
            result.map_or(Value::Missing, Value::Exact)
        }
        (Value::Real(a), Value::Real(b)) => Value::finite(match operator {
            Operator::Add => a + b,
            Operator::Subtract => a - b,
            Operator::Multiply => a * b,
            Operator::Divide => a / b,
        }),
        _ => Value::Missing,
    }
}

fn zero_like(value: Value) -> Value {
    match value {
        Value::Exact(_) => Value::Exact(0),
        Value::Real(_) => Value::Real(0.0),
        _ => Value::Missing,
    }
}

fn power_of_ten(exponent: u8) -> Option<i128> {
    10_i128.checked_pow(exponent.into())
}

/// An exact number at a scale as a real: rounded to the nearest, then divided.
pub(super) fn to_real(number: Value, scale: u8) -> Value {
    let (Value::Exact(number), Ok(unit)) = (number, format!("1e{scale}").parse::<f64>()) else {
        return Value::Missing;
    };
    Value::finite(number as f64 / unit)
}

fn call(function: &Function, arguments: &[Value]) -> Value {
    match (function, arguments) {
        (Function::Hour(zone), [time]) => civil(zone, *time).map_or(Value::Missing, |it| exact(it.hour())),
        (Function::Weekday(zone), [time]) => {
            civil(zone, *time).map_or(Value::Missing, |it| exact(weekday(it)))
        }
        (Function::Weekend(zone), [time]) => flag(civil(zone, *time).map(|it| 5 <= weekday(it))),
        (Function::Night(zone), [time]) => flag(civil(zone, *time).map(|it| it.hour() <= 6)),
        (Function::Min, _) => extreme(arguments, Ordering::Less),
        (Function::Max, _) => extreme(arguments, Ordering::Greater),
        (Function::Abs, [Value::Exact(it)]) => it.checked_abs().map_or(Value::Missing, Value::Exact),
        (Function::Abs, [Value::Real(it)]) => Value::Real(it.abs()),
        (Function::Distance, [from, to]) => distance_km(*from, *to),
        _ => Value::Missing,
    }
}

/// The clock on the wall of a zone.
fn civil(zone: &TimeZone, time: Value) -> Option<DateTime> {
    let time = i64::try_from(time.exact()?).ok()?;
    Some(zone.to_datetime(Timestamp::from_microsecond(time).ok()?))
}

/// Monday = 0.
fn weekday(it: DateTime) -> i8 {
    it.weekday().to_monday_zero_offset()
}

/// The least or the greatest; missing if one is.
fn extreme(values: &[Value], wanted: Ordering) -> Value {
    let mut values = values.iter().copied();
    let first = values.next().unwrap_or_default();
    values.fold(first, |best, value| match order(value, best) {
        None => Value::Missing,
        Some(ordering) if ordering == wanted => value,
        Some(_) => best,
    })
}

/// Great-circle distance of two places.
pub(super) fn distance_km(from: Value, to: Value) -> Value {
    let place = |value: Value| value.to_slot().map(Place::unpack);
    match (place(from), place(to)) {
        (Some(from), Some(to)) => Value::finite(from.distance_km(to)),
        _ => Value::Missing,
    }
}
