//! Values known at compile time: literals with their units, and what `const` may name.

use jiff::civil::Date;
use rust_decimal::Decimal;

use super::quantity::{Dimension, exact_const, negate, present};
use super::reports::Reports;
use super::words;
use crate::diagnostic::Code;
use crate::place::Place;
use crate::schema::Schema;
use crate::span::Span;
use crate::syntax::ast;
use crate::time::{Micros, TIME_MAX, TIME_MIN};
use crate::typed::{Expr, ExprKind, Type};
use crate::value::Value;

/// The value of a `const`: a literal, with a sign if it likes, or a place.
pub(super) fn check(schema: &Schema, reports: &mut Reports<'_>, expr: &ast::Expr) -> Option<Expr> {
    match &expr.kind {
        ast::ExprKind::Error => None,
        ast::ExprKind::Negate(operand) => negate(check(schema, reports, operand)?),
        ast::ExprKind::Call(call) if call.name.text == "place" => place(call, reports),
        _ if is_literal(expr) => literal(schema, reports, expr),
        _ => {
            reports.error_with_help(
                Code::NotConstant,
                expr.span,
                "a constant is a value written out",
                "write it out, or make it a feature",
            );
            None
        }
    }
}

/// Whether [`literal`] knows what to do.
pub(super) fn is_literal(expr: &ast::Expr) -> bool {
    use ast::ExprKind as K;
    matches!(expr.kind, K::Flag(_) | K::Quantity(_) | K::Duration(_) | K::Text(_) | K::Date(_))
}

/// The value of a literal; a day is its first moment in the schema's zone.
pub(super) fn literal(schema: &Schema, reports: &mut Reports<'_>, expr: &ast::Expr) -> Option<Expr> {
    match &expr.kind {
        ast::ExprKind::Flag(flag) => Some(present(ExprKind::Const(Value::Flag(*flag)), Type::Flag)),
        ast::ExprKind::Quantity(it) => quantity(it, reports),
        ast::ExprKind::Duration(it) => Some(exact_const(i128::from(it.micros), 0, Dimension::Duration)),
        ast::ExprKind::Text(it) => Some(present(ExprKind::Text(it.clone()), Type::Text)),
        ast::ExprKind::Date(it) => {
            let time = start_of_day(schema, it.day, it.span, reports)?;
            Some(present(ExprKind::Const(Value::Exact(i128::from(time))), Type::Time))
        }
        _ => None,
    }
}

fn quantity(it: &ast::Quantity, reports: &mut Reports<'_>) -> Option<Expr> {
    match &it.unit {
        ast::Unit::None => number(it.value, 0, it.span, reports),
        ast::Unit::Percent => number(it.value, 2, it.span, reports),
        ast::Unit::Kilometres => real(it.value, Type::Distance),
        ast::Unit::Metres => real(it.value.checked_mul(Decimal::new(1, 3))?, Type::Distance),
        ast::Unit::KilometresPerHour => real(it.value, Type::Speed),
        ast::Unit::Currency(name) => money(it, name, reports),
    }
}

/// A number at the coarsest scale that holds it; `shift` places further right.
fn number(value: Decimal, shift: u32, span: Span, reports: &mut Reports<'_>) -> Option<Expr> {
    let value = value.normalize();
    let Ok(scale) = u8::try_from(value.scale() + shift) else {
        let message = "a number has at most 28 digits after the point";
        reports.error_with_help(Code::TooManyDigits, span, message, "leave the other digits out");
        return None;
    };
    let (mut mantissa, mut scale) = (value.mantissa(), scale);
    while 0 < scale && mantissa % 10 == 0 {
        mantissa /= 10;
        scale -= 1;
    }
    Some(exact_const(mantissa, scale, Dimension::Number))
}

fn real(value: Decimal, ty: Type) -> Option<Expr> {
    // By way of the decimal text, which rounds once and correctly.
    let value: f64 = value.to_string().parse().ok()?;
    Some(present(ExprKind::Const(Value::Real(value)), ty))
}

fn money(it: &ast::Quantity, name: &ast::Name, reports: &mut Reports<'_>) -> Option<Expr> {
    let currency = words::currency(name, reports)?;
    let value = it.value.normalize();
    let exponent = u32::from(currency.exponent());
    let minor = exponent
        .checked_sub(value.scale())
        .and_then(|more| value.mantissa().checked_mul(10_i128.checked_pow(more)?));
    let Some(minor) = minor else {
        let digits = match exponent {
            0 => "no digits".to_owned(),
            1 => "1 digit".to_owned(),
            more => format!("{more} digits"),
        };
        let message = format!("`{}` has {digits} after the point", currency.code());
        reports.error_with_help(Code::TooManyDigits, it.span, message, "leave the other digits out");
        return None;
    };
    Some(exact_const(minor, 0, Dimension::Money(currency)))
}

/// `place(29.56, 106.55)`: latitude and longitude in degrees, each written out.
pub(super) fn place(call: &ast::Call, reports: &mut Reports<'_>) -> Option<Expr> {
    let degrees: Option<Vec<i64>> = call.args.iter().map(|it| degrees_e7(&it.expr)).collect();
    let found = match degrees.as_deref() {
        Some([latitude, longitude]) => Place::new(*latitude, *longitude),
        _ => None,
    };
    if found.is_none() {
        reports.error_with_help(
            Code::ValueOutOfRange,
            call.span,
            "no place on Earth",
            "write `place(LATITUDE, LONGITUDE)` in degrees with at most 7 digits after the point, up to 90 and 180",
        );
    }
    Some(present(ExprKind::Const(Value::Exact(i128::from(found?.pack()))), Type::Place))
}

fn degrees_e7(expr: &ast::Expr) -> Option<i64> {
    match &expr.kind {
        ast::ExprKind::Negate(operand) => Some(-degrees_e7(operand)?),
        ast::ExprKind::Quantity(it) if it.unit == ast::Unit::None => {
            let e7 = it.value.checked_mul(Decimal::from(10_000_000))?.normalize();
            if e7.scale() == 0 { i64::try_from(e7.mantissa()).ok() } else { None }
        }
        _ => None,
    }
}

/// The first moment of a day in the schema's zone, or a report where that is beyond all event times.
pub(super) fn start_of_day(
    schema: &Schema,
    day: Date,
    span: Span,
    reports: &mut Reports<'_>,
) -> Option<Micros> {
    let start = schema.zone.to_timestamp(day.at(0, 0, 0, 0)).ok().map(|it| it.as_microsecond());
    let start = start.filter(|it| (TIME_MIN..TIME_MAX).contains(it));
    if start.is_none() {
        let help = "name a day of these years, such as `2027-03-31`";
        reports.error_with_help(Code::ValueOutOfRange, span, "times are from 1970 until 2200", help);
    }
    start
}
