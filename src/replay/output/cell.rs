//! One cell of a row: what stands in it, and of what kind all cells of its column are.

use std::fmt::Write as _;

use engine::rule_set::RuleSet;
use rules::place::Place;
use rules::schema::{EnumId, Schema};
use rules::time::Micros;
use rules::typed::{Numeric, Type};
use rules::value::Value;

use super::super::text::{push_exact, push_place, push_time};
use super::super::texts::Texts;

/// What stands in a cell.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Cell<'a> {
    /// Nothing.
    Missing,
    Text(&'a str),
    /// Words with `;` between them; none if empty.
    Words(&'a str),
    Time(Micros),
    Flag(bool),
    /// An integer that counts units of 10⁻ˢᶜᵃˡᵉ, and the scale.
    Exact(i128, u8),
    Real(f64),
}

/// Of what kind the cells of a column are, where they are not missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Text,
    Words,
    Time,
    Flag,
    /// With the scale.
    Exact(u8),
    Real,
}

/// A column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

impl Kind {
    /// Of a feature's values: amounts count minor units, durations microseconds; enums, places, texts and ids are
    /// texts.
    pub(super) fn of(ty: Type) -> Self {
        match ty {
            Type::Flag => Self::Flag,
            Type::Number(numeric) | Type::Money(_, numeric) | Type::Duration(numeric) => match numeric {
                Numeric::Exact { scale, .. } => Self::Exact(scale),
                Numeric::Real => Self::Real,
            },
            Type::Distance | Type::Speed => Self::Real,
            Type::Time => Self::Time,
            Type::Place | Type::Text | Type::Entity(_) | Type::Enum(_) | Type::EventType => Self::Text,
        }
    }
}

impl<'a> Cell<'a> {
    /// A feature's value. What stands in a slot for a text or an id is a hash, which appears in no output: `texts`
    /// knows what was hashed. `room` is for what is put together.
    pub(super) fn of(
        value: Value,
        ty: Type,
        rules: &'a RuleSet,
        texts: &'a Texts,
        room: &'a mut String,
    ) -> Self {
        let exact = match value {
            Value::Missing => return Self::Missing,
            Value::Flag(flag) => return Self::Flag(flag),
            Value::Real(real) => return Self::Real(real),
            Value::Exact(exact) => exact,
        };
        let schema = &rules.typed.schema;
        let text = |text: Option<&'a str>| text.map_or(Self::Missing, Self::Text);
        match (ty, Kind::of(ty)) {
            (_, Kind::Exact(scale)) => Self::Exact(exact, scale),
            (Type::Enum(id), _) => text(enum_name(schema, id, exact)),
            (Type::EventType, _) => text(index(exact).and_then(|at| Some(&*schema.events.get(at)?.name))),
            (Type::Text | Type::Entity(_), _) => text(slot(exact).and_then(|slot| texts.get(slot))),
            (Type::Place, _) => {
                room.clear();
                push_place(room, Place::unpack(slot(exact).unwrap_or_default()));
                Self::Text(room)
            }
            (Type::Time, _) => slot(exact).map_or(Self::Missing, Self::Time),
            // INVARIANT (forms): what is a flag or a real is no exact number.
            _ => Self::Missing,
        }
    }

    /// The cell as text: nothing where it is missing, flags as 0 and 1, times as RFC 3339 in UTC.
    pub(super) fn push(self, text: &mut String) {
        match self {
            Self::Missing => {}
            Self::Text(it) | Self::Words(it) => text.push_str(it),
            Self::Time(time) => push_time(text, time),
            Self::Flag(flag) => text.push(if flag { '1' } else { '0' }),
            Self::Exact(exact, scale) => push_exact(text, exact, scale),
            Self::Real(real) => {
                // Writing to a String cannot fail.
                let _ = write!(text, "{real}");
            }
        }
    }
}

fn slot(exact: i128) -> Option<i64> {
    i64::try_from(exact).ok()
}

fn index(exact: i128) -> Option<usize> {
    usize::try_from(exact).ok()
}

fn enum_name(schema: &Schema, id: EnumId, value: i128) -> Option<&str> {
    let name = schema.enum_type(id)?.values.get(index(value)?)?;
    Some(name)
}
