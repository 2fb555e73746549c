//! What a condition says whatever the data: bounds of exact values, and conditions that are always one thing.

use crate::schema::{EnumType, Schema};
use crate::typed::{AggregateFunction, Comparison, Definition, Expr, ExprKind, Feature, Function, Type};
use crate::value::Value;

/// Least and greatest, where known.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    least: Option<i128>,
    greatest: Option<i128>,
}

/// What is known of each feature whatever the data.
pub(super) struct Known<'a> {
    enums: &'a [EnumType],
    /// By [`crate::typed::FeatureId`]: whether a condition always holds, where it does not depend.
    always: Vec<Option<bool>>,
    /// Likewise: values that are never below nothing.
    counts: Vec<bool>,
}

impl<'a> Known<'a> {
    /// Of features that read only those before them. Each is looked at once, however many read it.
    pub(super) fn of(schema: &'a Schema, features: &[Feature]) -> Self {
        let mut known = Self { enums: &schema.enums, always: Vec::new(), counts: Vec::new() };
        for feature in features {
            let (always, counts) = match &feature.definition {
                Definition::Expr(inner) => (known.always(inner), false),
                Definition::Aggregate(it) => (None, is_count(it.function)),
            };
            known.always.push(always);
            known.counts.push(counts);
        }
        known
    }

    /// Whether a condition always holds (true) or never does (false); none where it depends.
    pub(super) fn always(&self, condition: &Expr) -> Option<bool> {
        match &condition.kind {
            ExprKind::Const(Value::Flag(flag)) => Some(*flag),
            ExprKind::Not(operand) => self.always(operand).map(|it| !it),
            ExprKind::And(left, right) => match (self.always(left), self.always(right)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), other) | (other, Some(true)) => other,
                (None, None) => None,
            },
            ExprKind::Or(left, right) => match (self.always(left), self.always(right)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), other) | (other, Some(false)) => other,
                (None, None) => None,
            },
            ExprKind::IsMissing(operand) if !operand.optional => Some(false),
            ExprKind::Compare(comparison, left, right) if !condition.optional => {
                compare(*comparison, self.bounds(left), self.bounds(right))
            }
            ExprKind::Feature(id) if !condition.optional => *self.always.get(id.index())?,
            _ => None,
        }
    }

    /// The least and the greatest that an exact value can be.
    pub(super) fn range(&self, expr: &Expr) -> (i128, i128) {
        let bounds = self.bounds(expr);
        (bounds.least.unwrap_or(i128::MIN), bounds.greatest.unwrap_or(i128::MAX))
    }

    fn bounds(&self, expr: &Expr) -> Bounds {
        let unknown = Bounds { least: None, greatest: None };
        let at_least_zero = Bounds { least: Some(0), greatest: None };
        match &expr.kind {
            ExprKind::Const(Value::Exact(value)) => Bounds { least: Some(*value), greatest: Some(*value) },
            ExprKind::Call(Function::Hour(_), _) => Bounds { least: Some(0), greatest: Some(23) },
            ExprKind::Call(Function::Abs, _) => at_least_zero,
            ExprKind::Field(_) | ExprKind::TableValue(..) if matches!(expr.ty, Type::Money(..)) => {
                at_least_zero
            }
            ExprKind::Rescale(operand, by) => {
                let inner = self.bounds(operand);
                let scaled = |it: Option<i128>| it?.checked_mul(10_i128.checked_pow(u32::from(*by))?);
                Bounds { least: scaled(inner.least), greatest: scaled(inner.greatest) }
            }
            ExprKind::Coalesce(value, other) => {
                let (value, other) = (self.bounds(value), self.bounds(other));
                Bounds {
                    least: value.least.zip(other.least).map(|(a, b)| a.min(b)),
                    greatest: value.greatest.zip(other.greatest).map(|(a, b)| a.max(b)),
                }
            }
            ExprKind::Feature(id) if self.counts.get(id.index()) == Some(&true) => at_least_zero,
            _ if let Type::Enum(id) = expr.ty => {
                let count = self.enums.get(id.index()).and_then(|it| i128::try_from(it.values.len()).ok());
                Bounds { least: Some(0), greatest: count.and_then(|it| it.checked_sub(1)) }
            }
            _ => unknown,
        }
    }
}

fn compare(comparison: Comparison, left: Bounds, right: Bounds) -> Option<bool> {
    let below = |a: Option<i128>, b: Option<i128>| a.zip(b).is_some_and(|(a, b)| a < b);
    let up_to = |a: Option<i128>, b: Option<i128>| a.zip(b).is_some_and(|(a, b)| a <= b);
    let decided = |yes: bool, no: bool| match (yes, no) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let apart = below(left.greatest, right.least) || below(right.greatest, left.least);
    let same = up_to(left.greatest, right.least) && up_to(right.greatest, left.least);
    match comparison {
        Comparison::Less => decided(below(left.greatest, right.least), up_to(right.greatest, left.least)),
        Comparison::LessOrEqual => {
            decided(up_to(left.greatest, right.least), below(right.greatest, left.least))
        }
        Comparison::Greater => decided(below(right.greatest, left.least), up_to(left.greatest, right.least)),
        Comparison::GreaterOrEqual => {
            decided(up_to(right.greatest, left.least), below(left.greatest, right.least))
        }
        Comparison::Equal => decided(same, apart),
        Comparison::NotEqual => decided(apart, same),
    }
}

fn is_count(function: AggregateFunction) -> bool {
    matches!(function, AggregateFunction::Count | AggregateFunction::Distinct | AggregateFunction::TimeSince)
}
