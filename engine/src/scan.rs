//! The rows that match while a window is scanned, and what an aggregate makes of them.

use rules::typed::{Aggregate, AggregateFunction};
use rules::value::{Form, Value};

use crate::history::{ColumnType, Extremes, Key, Totals};

/// What has matched so far.
#[derive(Debug)]
pub(crate) struct Matches {
    form: Form,
    count: u64,
    above: u64,
    totals: Totals,
    extremes: Option<Extremes>,
    first: Option<i64>,
    /// The newest match and its argument.
    pub(crate) last: Option<(Key, i64)>,
    /// The arguments, where they must be told apart.
    values: Option<Vec<i64>>,
}

impl Matches {
    pub(crate) fn new(aggregate: &Aggregate) -> Self {
        let apart = matches!(aggregate.function, AggregateFunction::Distinct | AggregateFunction::FirstSeen);
        let form = form(aggregate);
        Self {
            form,
            count: 0,
            above: 0,
            totals: Totals::new(column_type(form)),
            extremes: None,
            first: None,
            last: None,
            values: apart.then(Vec::new),
        }
    }

    /// Adds a row that matches; rows come oldest first.
    pub(crate) fn add(&mut self, key: Key, argument: Option<i64>, above: bool) {
        self.first = self.first.or(argument);
        self.last = Some((key, argument.unwrap_or(0)));
        self.add_own(argument, above);
    }

    /// Adds the event being decided, which is neither the first nor the last.
    pub(crate) fn add_own(&mut self, argument: Option<i64>, above: bool) {
        self.count += 1;
        self.above += u64::from(above);
        let Some(value) = argument else { return };
        self.totals.add(value);
        self.extremes = with_own(self.extremes, Some(value), self.form);
        if let Some(values) = &mut self.values {
            values.push(value);
        }
    }

    pub(crate) fn has(&self, value: i64) -> bool {
        self.values.as_ref().is_some_and(|values| values.contains(&value))
    }

    /// The value of an aggregate that counts the event being decided.
    pub(crate) fn value(mut self, aggregate: &Aggregate) -> Value {
        use AggregateFunction as F;
        match aggregate.function {
            F::Count => Value::Exact(i128::from(self.count)),
            F::Ratio => ratio(self.above, self.count),
            F::Min => Value::from_slot(self.extremes.map(|it| it.min), self.form),
            F::Max => Value::from_slot(self.extremes.map(|it| it.max), self.form),
            F::Distinct => {
                let values = self.values.get_or_insert_default();
                values.sort_unstable();
                values.dedup();
                Value::Exact(i128::try_from(values.len()).unwrap_or(i128::MAX))
            }
            F::First => Value::from_slot(self.first, self.form),
            F::Sum | F::Mean | F::Stddev => from_totals(aggregate, &self.totals),
            F::Last | F::TimeSince | F::Speed | F::FirstSeen => Value::Missing,
        }
    }
}

/// Sum, mean or standard deviation of values.
pub(crate) fn from_totals(aggregate: &Aggregate, totals: &Totals) -> Value {
    let unit = power_of_ten(aggregate.argument_scale());
    let real = |value: Option<f64>| value.map_or(Value::Missing, Value::finite);
    match (aggregate.function, form(aggregate)) {
        (AggregateFunction::Sum, Form::Real) => Value::finite(totals.sum_real()),
        (AggregateFunction::Sum, _) => Value::Exact(totals.sum()),
        (AggregateFunction::Mean, _) => real(mean(totals, unit)),
        _ => real(totals.stddev_of_sample().map(|it| it / unit)),
    }
}

/// The sum as a real, then divided by the count.
#[expect(clippy::cast_precision_loss, reason = "a count is far below 2⁵³")]
fn mean(totals: &Totals, unit: f64) -> Option<f64> {
    (0 < totals.count()).then(|| totals.sum_real() / unit / totals.count() as f64)
}

/// One count divided by another; missing of nothing.
#[expect(clippy::cast_precision_loss, reason = "a count is far below 2⁵³")]
pub(crate) fn ratio(above: u64, all: u64) -> Value {
    if all == 0 { Value::Missing } else { Value::finite(above as f64 / all as f64) }
}

/// Extremes with the event being decided among them.
pub(crate) fn with_own(extremes: Option<Extremes>, own: Option<i64>, form: Form) -> Option<Extremes> {
    match (extremes, own) {
        (Some(extremes), Some(own)) => Some(extremes.with(column_type(form), own)),
        (None, Some(own)) => Some(Extremes::of(own)),
        (extremes, None) => extremes,
    }
}

/// The form of an aggregate's argument.
pub(crate) fn form(aggregate: &Aggregate) -> Form {
    aggregate.argument.as_ref().map_or(Form::Exact, |it| it.ty.form())
}

fn column_type(form: Form) -> ColumnType {
    if form == Form::Real { ColumnType::Real } else { ColumnType::Integer }
}

/// 10 to a scale, exactly: a scale has at most 18 digits.
fn power_of_ten(scale: u8) -> f64 {
    (0..scale).fold(1.0, |unit, _| unit * 10.0)
}
