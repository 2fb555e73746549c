//! Quantities: what has a unit, at which scale, and how two of them are brought together.
//!
//! Nothing here looks at names or reports anything: operands go in, and the node that computes them comes out, or
//! none where the units do not fit. Every rule about exactness stands in this file.

use crate::schema::{Currency, FieldType, KindId};
use crate::typed::{Comparison, EXACT_DIGITS_MAX, Expr, ExprKind, Numeric, Operator, Type};
use crate::value::Value;

/// Decimal digits of an amount as intake takes it: at most 10¹³ in magnitude.
pub(super) const FIELD_DIGITS: u8 = 14;
/// Decimal digits of any `i64`: a duration from outside.
pub(super) const DURATION_DIGITS: u8 = 19;
/// Decimal digits of the difference of two times between 1970 and 2200, in microseconds.
pub(super) const TIME_DIFFERENCE_DIGITS: u8 = 17;
/// Decimal digits of a count of events.
pub(super) const COUNT_DIGITS: u8 = 13;
/// A sum of so many terms as can be counted has this many digits more than a term.
pub(super) const SUM_DIGITS_MORE: u8 = 14;
/// An exact value of at most so many decimal digits always fits a slot, an `i64`.
pub(super) const SLOT_DIGITS_MAX: u8 = 18;

/// What is measured: only like is compared with like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dimension {
    Number,
    Money(Currency),
    Duration,
    Distance,
    Speed,
}

/// A quantity's dimension and how it is held; none for what is not a quantity.
pub(super) fn dimension(ty: Type) -> Option<(Dimension, Numeric)> {
    Some(match ty {
        Type::Number(numeric) => (Dimension::Number, numeric),
        Type::Money(currency, numeric) => (Dimension::Money(currency), numeric),
        Type::Duration(numeric) => (Dimension::Duration, numeric),
        Type::Distance => (Dimension::Distance, Numeric::Real),
        Type::Speed => (Dimension::Speed, Numeric::Real),
        _ => return None,
    })
}

/// The type of a quantity; distance and speed are always computed.
pub(super) fn quantity(dimension: Dimension, numeric: Numeric) -> Type {
    match dimension {
        Dimension::Number => Type::Number(numeric),
        Dimension::Money(currency) => Type::Money(currency, numeric),
        Dimension::Duration => Type::Duration(numeric),
        Dimension::Distance => Type::Distance,
        Dimension::Speed => Type::Speed,
    }
}

/// The type of what a field holds.
pub(super) fn field_type(ty: FieldType, currency: Currency) -> Type {
    let exact = |scale, digits| Numeric::Exact { scale, digits };
    match ty {
        FieldType::Flag => Type::Flag,
        FieldType::Int => Type::Number(exact(0, FIELD_DIGITS)),
        FieldType::Decimal { scale } => Type::Number(exact(scale, FIELD_DIGITS)),
        FieldType::Money { currency: own } => Type::Money(own.unwrap_or(currency), exact(0, FIELD_DIGITS)),
        FieldType::Place => Type::Place,
        FieldType::Time => Type::Time,
        FieldType::Duration => Type::Duration(exact(0, DURATION_DIGITS)),
        FieldType::Text { .. } => Type::Text,
        FieldType::Enum(id) => Type::Enum(id),
        FieldType::Entity(kind) => Type::Entity(kind),
    }
}

/// A node that is never missing.
pub(super) fn present(kind: ExprKind, ty: Type) -> Expr {
    Expr { kind, ty, optional: false }
}

/// An exact constant of a quantity.
pub(super) fn exact_const(value: i128, scale: u8, dimension: Dimension) -> Expr {
    let digits = decimal_digits(value);
    present(ExprKind::Const(Value::Exact(value)), quantity(dimension, Numeric::Exact { scale, digits }))
}

/// Digits of a number as written in decimal, at least one.
fn decimal_digits(value: i128) -> u8 {
    let digits = value.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
    u8::try_from(digits).unwrap_or(u8::MAX)
}

/// Two operands as one type: of one dimension at one scale, or of one type that is no quantity. A text that is
/// known at compile time is an entity's id where it meets an entity. None where they do not fit.
pub(super) fn unify(left: Expr, right: Expr) -> Option<(Expr, Expr)> {
    match (left.ty, right.ty) {
        (Type::Text, Type::Entity(kind)) => Some((entity_id(left, kind)?, right)),
        (Type::Entity(kind), Type::Text) => {
            let right = entity_id(right, kind)?;
            Some((left, right))
        }
        (one, other) => match (dimension(one), dimension(other)) {
            (Some((one, _)), Some((other, _))) if one == other => {
                let [left, right] = align([left, right]);
                Some((left, right))
            }
            (None, None) if one == other => Some((left, right)),
            _ => None,
        },
    }
}

fn entity_id(text: Expr, kind: KindId) -> Option<Expr> {
    match text.kind {
        ExprKind::Text(id) => Some(present(ExprKind::EntityId(kind, id), Type::Entity(kind))),
        _ => None,
    }
}

/// Quantities of one dimension at one scale; as reals where one is, or where an integer could grow too long.
pub(super) fn align<const N: usize>(operands: [Expr; N]) -> [Expr; N] {
    match common_scale(operands.iter()) {
        Some(scale) => operands.map(|it| rescale(it, scale)),
        None => operands.map(to_real),
    }
}

/// [`align`] for any number of operands.
pub(super) fn align_all(operands: Vec<Expr>) -> Vec<Expr> {
    match common_scale(operands.iter()) {
        Some(scale) => operands.into_iter().map(|it| rescale(it, scale)).collect(),
        None => operands.into_iter().map(to_real).collect(),
    }
}

/// The finest scale, if every operand is exact and none grows too long at it.
fn common_scale<'e>(operands: impl Iterator<Item = &'e Expr> + Clone) -> Option<u8> {
    let exact = |it: &Expr| match dimension(it.ty)?.1 {
        Numeric::Exact { scale, digits } => Some((scale, digits)),
        Numeric::Real => None,
    };
    let mut finest = 0;
    for it in operands.clone() {
        finest = finest.max(exact(it)?.0);
    }
    for it in operands {
        let (scale, digits) = exact(it)?;
        if EXACT_DIGITS_MAX < digits + (finest - scale) {
            return None;
        }
    }
    Some(finest)
}

/// An exact quantity at a scale that is no coarser; a constant is multiplied out at once.
pub(super) fn rescale(expr: Expr, to: u8) -> Expr {
    let Some((dimension, Numeric::Exact { scale, digits })) = dimension(expr.ty) else { return expr };
    let by = to.saturating_sub(scale);
    if by == 0 {
        return expr;
    }
    let ty = quantity(dimension, Numeric::Exact { scale: to, digits: digits + by });
    let factor = 10_i128.checked_pow(u32::from(by));
    if let (ExprKind::Const(Value::Exact(value)), Some(factor)) = (&expr.kind, factor)
        && let Some(value) = value.checked_mul(factor)
    {
        return Expr { kind: ExprKind::Const(Value::Exact(value)), ty, optional: false };
    }
    let optional = expr.optional;
    Expr { kind: ExprKind::Rescale(Box::new(expr), by), ty, optional }
}

/// A quantity as a real.
pub(super) fn to_real(expr: Expr) -> Expr {
    let Some((dimension, Numeric::Exact { scale, .. })) = dimension(expr.ty) else { return expr };
    let optional = expr.optional;
    let ty = quantity(dimension, Numeric::Real);
    Expr { kind: ExprKind::ToReal(Box::new(expr), scale), ty, optional }
}

/// A number at exactly this scale, or real where it is finer or could grow too long.
pub(super) fn to_scale_or_real(expr: Expr, to: u8) -> Expr {
    match dimension(expr.ty) {
        Some((_, Numeric::Exact { scale, digits }))
            if scale <= to && digits + (to - scale) <= EXACT_DIGITS_MAX =>
        {
            rescale(expr, to)
        }
        _ => to_real(expr),
    }
}

/// `left op right`; none where the units do not go together.
pub(super) fn arithmetic(op: Operator, left: Expr, right: Expr) -> Option<Expr> {
    match op {
        Operator::Add | Operator::Subtract => add(op, left, right),
        Operator::Multiply => multiply(left, right),
        Operator::Divide => divide(left, right),
    }
}

fn node(op: Operator, left: Expr, right: Expr, ty: Type) -> Expr {
    let optional = left.optional || right.optional;
    Expr { kind: ExprKind::Arithmetic(op, Box::new(left), Box::new(right)), ty, optional }
}

fn add(op: Operator, left: Expr, right: Expr) -> Option<Expr> {
    let whole_micros = |ty: Type| matches!(ty, Type::Duration(Numeric::Exact { scale: 0, .. }));
    match (left.ty, right.ty) {
        (Type::Time, Type::Time) if op == Operator::Subtract => {
            let numeric = Numeric::Exact { scale: 0, digits: TIME_DIFFERENCE_DIGITS };
            return Some(node(op, left, right, Type::Duration(numeric)));
        }
        (Type::Time, it) if whole_micros(it) => return Some(node(op, left, right, Type::Time)),
        (it, Type::Time) if whole_micros(it) && op == Operator::Add => {
            return Some(node(op, left, right, Type::Time));
        }
        _ => {}
    }
    let (one, _) = dimension(left.ty)?;
    let (other, _) = dimension(right.ty)?;
    if one != other {
        return None;
    }
    let [left, right] = align([left, right]);
    let longest = |it: &Expr| match dimension(it.ty) {
        Some((_, Numeric::Exact { digits, .. })) => Some(digits),
        _ => None,
    };
    let (Some(a), Some(b)) = (longest(&left), longest(&right)) else {
        return Some(node(op, left, right, quantity(one, Numeric::Real)));
    };
    let Some((_, Numeric::Exact { scale, .. })) = dimension(left.ty) else { return None };
    let digits = a.max(b) + 1;
    if EXACT_DIGITS_MAX < digits {
        return Some(node(op, to_real(left), to_real(right), quantity(one, Numeric::Real)));
    }
    Some(node(op, left, right, quantity(one, Numeric::Exact { scale, digits })))
}

fn multiply(left: Expr, right: Expr) -> Option<Expr> {
    let (one, one_numeric) = dimension(left.ty)?;
    let (other, other_numeric) = dimension(right.ty)?;
    let of = match (one, other) {
        (it, Dimension::Number) | (Dimension::Number, it) => it,
        _ => return None,
    };
    if let (Numeric::Exact { scale: a, digits: m }, Numeric::Exact { scale: b, digits: n }) =
        (one_numeric, other_numeric)
        && m + n <= EXACT_DIGITS_MAX
        && a + b <= EXACT_DIGITS_MAX
    {
        let numeric = Numeric::Exact { scale: a + b, digits: m + n };
        return Some(node(Operator::Multiply, left, right, quantity(of, numeric)));
    }
    Some(node(Operator::Multiply, to_real(left), to_real(right), quantity(of, Numeric::Real)))
}

fn divide(left: Expr, right: Expr) -> Option<Expr> {
    let (one, _) = dimension(left.ty)?;
    let (other, _) = dimension(right.ty)?;
    let of = match (one, other) {
        (it, Dimension::Number) => it,
        (one, other) if one == other => Dimension::Number,
        _ => return None,
    };
    let never_zero = is_nonzero_const(&right);
    let mut quotient = node(Operator::Divide, to_real(left), to_real(right), quantity(of, Numeric::Real));
    quotient.optional |= !never_zero;
    Some(quotient)
}

/// Whether it is a constant by which can be divided.
pub(super) fn is_nonzero_const(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Const(Value::Exact(value)) => *value != 0,
        ExprKind::Const(Value::Real(value)) => value.abs() > 0.0,
        ExprKind::ToReal(of, _) => is_nonzero_const(of),
        _ => false,
    }
}

/// `-operand`; none where it is not a quantity. A constant changes its sign at once.
pub(super) fn negate(operand: Expr) -> Option<Expr> {
    dimension(operand.ty)?;
    let (ty, optional) = (operand.ty, operand.optional);
    let kind = match operand.kind {
        ExprKind::Const(Value::Exact(value)) => ExprKind::Const(Value::Exact(-value)),
        ExprKind::Const(Value::Real(value)) => ExprKind::Const(Value::Real(-value)),
        kind => ExprKind::Negate(Box::new(Expr { kind, ty, optional })),
    };
    Some(Expr { kind, ty, optional })
}

/// The operand of `min`, `max` or `abs`, brought to one scale; none where one is not a quantity of that dimension.
/// Times have an order too.
pub(super) fn comparable(operands: Vec<Expr>) -> Option<Vec<Expr>> {
    let first = operands.first()?.ty;
    if operands.iter().all(|it| it.ty == Type::Time) {
        return Some(operands);
    }
    let (one, _) = dimension(first)?;
    let alike = operands.iter().all(|it| dimension(it.ty).is_some_and(|(other, _)| one == other));
    alike.then(|| align_all(operands))
}

/// The type that can hold every operand, which have been aligned.
pub(super) fn widest(operands: &[Expr]) -> Option<Type> {
    let first = operands.first()?.ty;
    let Some((of, Numeric::Exact { scale, .. })) = dimension(first) else { return Some(first) };
    let digits = operands.iter().filter_map(|it| match dimension(it.ty) {
        Some((_, Numeric::Exact { digits, .. })) => Some(digits),
        _ => None,
    });
    Some(quantity(of, Numeric::Exact { scale, digits: digits.max()? }))
}

/// Whether values of a type have an order.
pub(super) fn is_ordered(ty: Type) -> bool {
    dimension(ty).is_some() || ty == Type::Time
}

/// Whether a comparison asks for an order, and not only whether two values are the same.
pub(super) fn asks_order(comparison: Comparison) -> bool {
    !matches!(comparison, Comparison::Equal | Comparison::NotEqual)
}

/// A value that fits a slot of a history: exact where it always does, else real.
pub(super) fn for_slot(expr: Expr) -> Expr {
    match dimension(expr.ty) {
        Some((_, Numeric::Exact { digits, .. })) if SLOT_DIGITS_MAX < digits => to_real(expr),
        _ => expr,
    }
}
