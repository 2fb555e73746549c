//! What to write where types and units do not go together, as far as that can be told from what was written.

use rust_decimal::Decimal;

use super::quantity::dimension;
use super::words;
use crate::schema::{EnumId, FieldType, KindId, Schema};
use crate::typed::{Operator, Type};

/// An operand: its type, and how it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand<'t> {
    pub(super) ty: Type,
    pub(super) written: &'t str,
}

/// How to compare what is not of one type.
pub(super) fn compared(schema: &Schema, one: Operand<'_>, other: Operand<'_>) -> String {
    match (dimension(one.ty), dimension(other.ty)) {
        (Some(_), Some(_)) => alike(one, other),
        (Some(_), None) => beside_quantity(schema, other, one),
        (None, Some(_)) => beside_quantity(schema, one, other),
        // A text says less of what was meant than what it is compared with.
        (None, None) if one.ty == Type::Text => held_against(schema, other, one),
        (None, None) => held_against(schema, one, other),
    }
}

/// How to bring together two quantities of different units.
fn alike(one: Operand<'_>, other: Operand<'_>) -> String {
    let literal = |it: &str| -> Option<Decimal> {
        let (number, unit) = it.split_once(' ')?;
        if unit.contains(' ') { None } else { number.parse().ok() }
    };
    match (literal(other.written), literal(one.written)) {
        (Some(number), _) => format!("write `{}`", with_unit(one.ty, number)),
        (None, Some(number)) => format!("write `{}`", with_unit(other.ty, number)),
        (None, None) => format!(
            "divide each by its like, which gives plain numbers: `{} / {}`",
            grouped(one.written),
            words::example(one.ty)
        ),
    }
}

/// What stands beside a quantity and is none; a number in quotes is meant as one.
fn beside_quantity(schema: &Schema, it: Operand<'_>, quantity: Operand<'_>) -> String {
    match it.written.trim_matches('"').parse() {
        Ok(number) => format!("write `{}`", with_unit(quantity.ty, number)),
        Err(_) => held_against(schema, it, quantity),
    }
}

/// What stands beside an operand that is no quantity.
fn held_against(schema: &Schema, it: Operand<'_>, other: Operand<'_>) -> String {
    let Operand { ty, written } = it;
    match ty {
        Type::Flag => {
            format!("a flag is a condition by itself: write `{written}` or `not {}`", grouped(written))
        }
        Type::Enum(id) => values(schema, id),
        Type::EventType => {
            format!("event types are {}", words::listing(schema.events.iter().map(|it| it.name.as_str())))
        }
        Type::Entity(kind) if other.ty == Type::Text => format!(
            "`{}` can be compared with `{written}` where the schema gives it the type `{}`",
            other.written,
            schema.kind_name(kind)
        ),
        Type::Entity(kind) => {
            format!("compare it with an id in quotes, or with its like: {}", roles(schema, kind))
        }
        Type::Text if written.starts_with('"') => {
            format!("write what the other side can be: `{}`, say", words::example(other.ty))
        }
        Type::Text => format!("compare it with a text in quotes: `{} == \"5732\"`", grouped(written)),
        Type::Place => format!("ask how far it is: `distance({written}, place(48.85, 2.35)) < 5 km`"),
        _ => "compare it with another time, such as the day `2027-03-31` or `time - 1h`".to_owned(),
    }
}

/// A value of a type as it could be written.
pub(super) fn example(schema: &Schema, ty: Type) -> String {
    let first = match ty {
        Type::Enum(id) => schema.enum_type(id).and_then(|it| it.values.first()),
        Type::EventType => schema.events.first().map(|it| &it.name),
        _ => None,
    };
    first.map_or_else(|| words::example(ty), Clone::clone)
}

/// The values of an enum.
pub(super) fn values(schema: &Schema, id: EnumId) -> String {
    let values = schema.enum_type(id).into_iter().flat_map(|it| &it.values);
    format!("its values are {}", words::listing(values.map(String::as_str)))
}

/// The roles of a kind.
pub(super) fn roles(schema: &Schema, kind: KindId) -> String {
    let roles = schema.fields.iter().filter(|it| it.ty == FieldType::Entity(kind));
    let name = schema.kind_name(kind);
    match words::listing(roles.map(|it| it.name.as_str())) {
        none if none.is_empty() => format!("no field of the schema is a `{name}` yet"),
        all => format!("of kind `{name}` {} {all}", if all.contains(' ') { "are" } else { "is" }),
    }
}

/// What can be computed with operands that an operator does not take.
pub(super) fn computed(op: Operator, one: Operand<'_>, other: Operand<'_>) -> String {
    let quantities = dimension(one.ty).is_some() && dimension(other.ty).is_some();
    match (op, one.ty, other.ty) {
        (Operator::Multiply, ..) if quantities => {
            format!("one of the two must be a plain number: `{} * 1.5`", grouped(one.written))
        }
        (Operator::Divide, ..) if quantities => format!(
            "divide by a plain number, or by its like: `{} / {}`",
            grouped(one.written),
            words::example(one.ty)
        ),
        (Operator::Add, Type::Time, Type::Time) => {
            format!("how long lies between two times is `{} - {}`", one.written, grouped(other.written))
        }
        (Operator::Add | Operator::Subtract, Type::Time, Type::Duration(_))
        | (Operator::Add, Type::Duration(_), Type::Time) => {
            "write the duration out: `30m` in the place of `0.5 * 1h`".to_owned()
        }
        (Operator::Add | Operator::Subtract, Type::Time, _)
        | (Operator::Add | Operator::Subtract, _, Type::Time) => {
            "what is added to a time, or taken from it, is a duration: `time - 1h`".to_owned()
        }
        (_, Type::Time, _) | (_, _, Type::Time) => {
            "compute with how long lies between two times: `time - due`".to_owned()
        }
        (_, Type::Place, _) | (_, _, Type::Place) => {
            "how far two places are from each other is `distance(a, b)`".to_owned()
        }
        _ => {
            "only numbers and quantities are computed with: ask about anything else in a condition".to_owned()
        }
    }
}

/// A number as it would be written with the unit that was meant.
pub(super) fn with_unit(unit: Type, number: Decimal) -> String {
    match unit {
        Type::Money(currency, _) => {
            let mut number = number;
            number.rescale(number.scale().max(u32::from(currency.exponent())));
            format!("{number} {}", currency.code())
        }
        Type::Duration(_) => match number.checked_mul(Decimal::from(1000)) {
            Some(whole) if !number.fract().is_zero() && whole.fract().is_zero() => {
                format!("{}ms", whole.normalize())
            }
            _ => format!("{}s", number.ceil().normalize()),
        },
        Type::Distance => format!("{number} km"),
        Type::Speed => format!("{number} km/h"),
        _ => number.to_string(),
    }
}

/// What is written without a unit as it would be with one.
pub(super) fn given_unit(unit: Type, written: &str) -> String {
    match written.parse() {
        Ok(number) => format!("write `{}`", with_unit(unit, number)),
        Err(_) => format!("give it a unit: `{} * {}`", grouped(written), with_unit(unit, Decimal::ONE)),
    }
}

/// A part of an expression, in parentheses where it is more than one word.
fn grouped(written: &str) -> String {
    let one_word = written.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'.'));
    if one_word { written.to_owned() } else { format!("({written})") }
}
