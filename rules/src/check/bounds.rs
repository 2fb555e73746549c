//! What a condition says whatever the data: bounds of exact values, and conditions that are always one thing.

use crate::typed::{AggregateFunction, Comparison, Definition, Expr, ExprKind, Feature, Function};
use crate::value::Value;

/// Least and greatest, where known.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    least: Option<i128>,
    greatest: Option<i128>,
}

/// Whether a condition always holds (true) or never does (false); none where it depends.
pub(super) fn always(condition: &Expr, features: &[Feature]) -> Option<bool> {
    let known = |it: &Expr| always(it, features);
    match &condition.kind {
        ExprKind::Const(Value::Flag(flag)) => Some(*flag),
        ExprKind::Not(operand) => known(operand).map(|it| !it),
        ExprKind::And(left, right) => match (known(left), known(right)) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), other) | (other, Some(true)) => other,
            (None, None) => None,
        },
        ExprKind::Or(left, right) => match (known(left), known(right)) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), other) | (other, Some(false)) => other,
            (None, None) => None,
        },
        ExprKind::IsMissing(operand) if !operand.optional => Some(false),
        ExprKind::Compare(comparison, left, right) if !condition.optional => {
            compare(*comparison, bounds(left, features), bounds(right, features))
        }
        ExprKind::Feature(id) if !condition.optional => match &features.get(id.index())?.definition {
            Definition::Expr(inner) => known(inner),
            Definition::Aggregate(_) => None,
        },
        _ => None,
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

fn bounds(expr: &Expr, features: &[Feature]) -> Bounds {
    let unknown = Bounds { least: None, greatest: None };
    let at_least_zero = Bounds { least: Some(0), greatest: None };
    match &expr.kind {
        ExprKind::Const(Value::Exact(value)) => Bounds { least: Some(*value), greatest: Some(*value) },
        ExprKind::Call(Function::Hour(_), _) => Bounds { least: Some(0), greatest: Some(23) },
        ExprKind::Call(Function::Abs, _) => at_least_zero,
        ExprKind::Rescale(operand, by) => {
            let inner = bounds(operand, features);
            let scaled = |it: Option<i128>| it?.checked_mul(10_i128.checked_pow(u32::from(*by))?);
            Bounds { least: scaled(inner.least), greatest: scaled(inner.greatest) }
        }
        ExprKind::Feature(id) => match features.get(id.index()).map(|it| &it.definition) {
            Some(Definition::Aggregate(it)) if is_count(it.function) => at_least_zero,
            _ => unknown,
        },
        _ => unknown,
    }
}

fn is_count(function: AggregateFunction) -> bool {
    matches!(function, AggregateFunction::Count | AggregateFunction::Distinct | AggregateFunction::TimeSince)
}
