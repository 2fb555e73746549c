//! One value of a field from its text.

use engine::event::{ENTITY_ID_BYTES_MAX, EVENT_ID_BYTES_MAX, Event};
use jiff::tz::TimeZone;
use rules::place::Place;
use rules::schema::{Currency, FieldType, Schema};

use super::{number, shown, suggestion, time};

/// A checked value by itself, such as a constant of a mapping.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Parsed {
    /// Of a flag, int, decimal, place, time, duration or enum.
    Number(i64),
    /// An amount.
    Money {
        /// In minor units of `currency`.
        minor: i64,
        /// As sent.
        currency: Currency,
    },
    /// A text, or an entity's id.
    Text(String),
}

impl Parsed {
    /// Sets the field at this place of the event's type.
    pub fn set(&self, event: &mut Event, at: usize) {
        match self {
            Self::Number(number) => event.set_number(at, *number),
            Self::Money { minor, currency } => event.set_money(at, *minor, *currency),
            Self::Text(text) => event.set_text(at, text),
        }
    }
}

/// The value that a text says for a field of a type. An amount is in major units of `currency`; a time without an
/// offset is in the schema's zone.
///
/// # Errors
/// In words that follow the value: `is not …`.
pub fn parse(ty: FieldType, schema: &Schema, currency: Currency, text: &str) -> Result<Parsed, String> {
    let bytes = text.as_bytes();
    let number = match ty {
        FieldType::Text { max_bytes } => {
            return text_of(bytes, max_bytes).map(|it| Parsed::Text(it.to_owned()));
        }
        FieldType::Entity(_) => return entity_id(bytes).map(|it| Parsed::Text(it.to_owned())),
        FieldType::Money { .. } => {
            let minor = number::amount(bytes, currency.exponent()).map_err(|it| it.to_string())?;
            return Ok(Parsed::Money { minor, currency });
        }
        FieldType::Flag => parse_flag(bytes)?,
        FieldType::Int => number::scaled(bytes, 0).map_err(|it| it.to_string())?,
        FieldType::Decimal { scale } => number::scaled(bytes, scale).map_err(|it| it.to_string())?,
        FieldType::Place => place(bytes)?,
        FieldType::Time => iso_time(bytes, &schema.zone)?,
        FieldType::Duration => time::duration(bytes, None)?,
        FieldType::Enum(id) => {
            let values = schema.enum_type(id).map_or(&[][..], |it| &it.values);
            let at = values.iter().position(|it| it == text).and_then(|at| i64::try_from(at).ok());
            let suggestion = || suggestion(text, values.iter().map(String::as_str));
            at.ok_or_else(|| format!("is no value of the enum{}", suggestion()))?
        }
    };
    Ok(Parsed::Number(number))
}

fn iso_time(text: &[u8], zone: &TimeZone) -> Result<i64, String> {
    time::TimeFormat::Iso(zone.clone()).parse(text)
}

/// `1`, `0`, `true` or `false`.
///
/// # Errors
/// For anything else.
pub fn parse_flag(text: &[u8]) -> Result<i64, String> {
    match text {
        b"1" | b"true" => Ok(1),
        b"0" | b"false" => Ok(0),
        _ => Err("is no flag: write `1` or `0`, `true` or `false`".to_owned()),
    }
}

/// A currency by its three capitals.
///
/// # Errors
/// If ISO 4217 has no such currency with a minor unit.
pub fn parse_currency(text: &[u8]) -> Result<Currency, String> {
    let code = str::from_utf8(text).ok().and_then(Currency::from_code);
    code.ok_or_else(|| "is no currency: write three capitals of ISO 4217, such as `EUR`".to_owned())
}

/// `latitude, longitude` in degrees.
pub(crate) fn place(text: &[u8]) -> Result<i64, String> {
    let comma = text.iter().position(|it| *it == b',').and_then(|at| text.split_at_checked(at));
    let (latitude, longitude) = comma.ok_or("is no place: write `latitude, longitude` in degrees")?;
    let longitude = longitude.strip_prefix(b",").unwrap_or(longitude);
    place_of(latitude.trim_ascii(), longitude.trim_ascii())
}

/// A packed place from two texts in degrees.
pub(crate) fn place_of(latitude: &[u8], longitude: &[u8]) -> Result<i64, String> {
    let degrees = |text: &[u8]| number::degrees_e7(text).map_err(|it| it.to_string());
    let place = Place::new(degrees(latitude)?, degrees(longitude)?);
    place
        .map(Place::pack)
        .ok_or_else(|| "is no place: latitude is within ±90, longitude within ±180".to_owned())
}

pub(crate) fn text_of(text: &[u8], bytes_max: u16) -> Result<&str, String> {
    bounded(text, usize::from(bytes_max))
}

pub(crate) fn entity_id(text: &[u8]) -> Result<&str, String> {
    named(text, ENTITY_ID_BYTES_MAX)
}

pub(crate) fn event_id(text: &[u8]) -> Result<&str, String> {
    named(text, EVENT_ID_BYTES_MAX)
}

fn named(text: &[u8], bytes_max: usize) -> Result<&str, String> {
    if text.is_empty() {
        return Err("is empty, and an id has at least one byte".to_owned());
    }
    bounded(text, bytes_max)
}

fn bounded(text: &[u8], bytes_max: usize) -> Result<&str, String> {
    if bytes_max < text.len() {
        return Err(format!("is too long: {} bytes, at most {bytes_max}", text.len()));
    }
    str::from_utf8(text).map_err(|it| format!("is not UTF-8 from byte {}", it.valid_up_to() + 1))
}

/// A refusal behind the value that it is about.
pub(crate) fn about(value: &[u8], problem: &str) -> String {
    format!("{} {problem}", shown(value))
}
