//! Small parts that stand in several items: built-in types, zones, currencies, durations; and how types are called in
//! messages.

use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use super::reports::Reports;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::schema::{Currency, EnumId, FieldType, KindId, Schema};
use crate::syntax::ast;
use crate::time::{MINUTE, SECOND};
use crate::typed::{Numeric, Type};

/// The built-in types of fields.
pub(super) const TYPES: &[&str] = &["flag", "int", "decimal", "money", "place", "time", "duration", "text"];
/// What every event has, or what is known of every past one: no field may be called so.
pub(super) const RESERVED_FIELDS: &[&str] =
    &["id", "type", "time", "outcome", "challenge", "result", "label", "accepted", "score"];

/// What else an event's JSON holds beside its fields.
pub(super) const JSON_MEMBERS: &[&str] = &["recheck_of", "extra"];

const TEXT_BYTES_MAX: u32 = 4_096;
const DECIMAL_SCALE_MAX: u32 = 9;

/// What a type's name is found to be.
pub(super) enum Resolved {
    /// Of the language.
    BuiltIn(FieldType),
    /// Not of the language: an entity kind or an enum, if there is one.
    Declared,
    /// Reported.
    Failed,
}

/// A type as written, as far as the language knows it.
pub(super) fn field_type(ty: &ast::TypeRef, reports: &mut Reports<'_>) -> Resolved {
    let name = ty.name.text.as_str();
    if !TYPES.contains(&name) {
        return Resolved::Declared;
    }
    if !fits(ty, reports) {
        return Resolved::Failed;
    }
    let built_in = match name {
        "flag" => FieldType::Flag,
        "int" => FieldType::Int,
        "place" => FieldType::Place,
        "time" => FieldType::Time,
        "duration" => FieldType::Duration,
        "money" => {
            let currency = ty.currency.as_ref().map(|it| self::currency(it, reports));
            match currency {
                Some(None) => return Resolved::Failed,
                other => FieldType::Money { currency: other.flatten() },
            }
        }
        "text" => match sized(ty, 1, TEXT_BYTES_MAX, "greatest length in bytes", reports) {
            Some(max_bytes) => FieldType::Text { max_bytes },
            None => return Resolved::Failed,
        },
        "decimal" => {
            let scale = sized(ty, 0, DECIMAL_SCALE_MAX, "digits after the point", reports);
            match scale.and_then(|it| u8::try_from(it).ok()) {
                Some(scale) => FieldType::Decimal { scale },
                None => return Resolved::Failed,
            }
        }
        _ => return Resolved::Declared,
    };
    Resolved::BuiltIn(built_in)
}

/// Whether a type that there is has no size or currency that it does not take, or a report.
pub(super) fn fits(ty: &ast::TypeRef, reports: &mut Reports<'_>) -> bool {
    let name = ty.name.text.as_str();
    let size = ty.size.filter(|_| !matches!(name, "text" | "decimal"));
    if let Some(size) = size {
        let message = format!("`{name}` takes no size");
        let help = "only `text(BYTES)` and `decimal(DIGITS)` do";
        reports.error_with_help(Code::TypeSize, size.span, message, help);
    }
    let currency = ty.currency.as_ref().filter(|_| name != "money");
    if let Some(currency) = currency {
        let message = format!("`{name}` takes no currency");
        reports.error_with_help(Code::TypeSize, currency.span, message, "only `money` does");
    }
    size.is_none() && currency.is_none()
}

fn sized(ty: &ast::TypeRef, min: u32, max: u32, what: &str, reports: &mut Reports<'_>) -> Option<u16> {
    let size = ty.size.filter(|it| (min..=max).contains(&it.value));
    if size.is_none() && !reports.did_not_parse(ty.span) {
        reports.error_with_help(
            Code::TypeSize,
            ty.span,
            format!("`{}` needs its {what}, {min} to {max}", ty.name.text),
            format!("such as `{}({})`", ty.name.text, if min == 0 { 4 } else { 16 }),
        );
    }
    u16::try_from(size?.value).ok()
}

/// A zone of the bundled database.
pub(super) fn zone(text: &ast::Text, reports: &mut Reports<'_>) -> Option<TimeZone> {
    let found = TimeZone::get(&text.text).ok();
    if found.is_none() {
        let names: Vec<String> = jiff::tz::db().available().map(|it| it.to_string()).collect();
        let all = || names.iter().map(String::as_str);
        // Whoever writes `Berlin` means `Europe/Berlin`.
        let city = |name: &'_ str| name.rsplit('/').next().unwrap_or_default().to_owned();
        let cities: Vec<String> = all().map(city).collect();
        let near = nearest(&text.text, all()).or_else(|| {
            let near = nearest(&text.text, cities.iter().map(String::as_str))?;
            all().zip(&cities).find(|(_, city)| *city == near).map(|(name, _)| name)
        });
        let message = format!("unknown time zone `{}`", text.text);
        let diagnostic = Diagnostic::new(Code::UnknownZone, text.span, message);
        reports.add(match near {
            Some(_) => diagnostic.suggest(near),
            None => diagnostic.help("zones are named after a city: `Europe/Paris`, or `UTC`"),
        });
    }
    found
}

/// A currency of ISO 4217.
pub(super) fn currency(name: &ast::Name, reports: &mut Reports<'_>) -> Option<Currency> {
    let found = Currency::from_code(&name.text);
    if found.is_none() {
        reports.error_with_help(
            Code::UnknownCurrency,
            name.span,
            format!("unknown currency `{}`", name.text),
            "three capitals of ISO 4217, such as EUR",
        );
    }
    found
}

/// As many `m` may be months; more are minutes.
const MONTHS_MAX: i64 = 12;

/// `3m` where months were meant. Whoever writes `keep` means no minutes.
pub(super) fn warn_minutes(duration: &ast::Duration, place: &str, reports: &mut Reports<'_>) {
    let unit = duration.text.trim_start_matches(|it: char| it.is_ascii_digit());
    if unit == "m" && (place == "keep" || duration.micros <= MONTHS_MAX * MINUTE) {
        reports.warn(
            Code::MinutesMeant,
            duration.span,
            format!("`{}` in `{place}` is minutes, not months", duration.text),
            format!("write `{}s` if minutes are meant, or days", duration.micros / SECOND),
        );
    }
}

/// A type as messages call it.
pub(super) fn type_name(schema: &Schema, ty: Type) -> String {
    match ty {
        Type::Flag => "a flag".to_owned(),
        Type::Number(_) => "a number".to_owned(),
        Type::Money(currency, _) => format!("money in {}", currency.code()),
        Type::Duration(Numeric::Exact { scale: 0, .. }) => "a duration".to_owned(),
        Type::Duration(_) => "a computed duration".to_owned(),
        Type::Time => "a time".to_owned(),
        Type::Place => "a place".to_owned(),
        Type::Distance => "a distance".to_owned(),
        Type::Speed => "a speed".to_owned(),
        Type::Text => "a text".to_owned(),
        Type::Entity(kind) => format!("an entity of kind `{}`", schema.kind_name(kind)),
        Type::Enum(id) => format!("a value of enum `{}`", schema.enum_name(id)),
        Type::EventType => "an event type".to_owned(),
    }
}

/// A value of a type as it could be written, for suggestions.
pub(super) fn example(ty: Type) -> String {
    match ty {
        Type::Flag => "true".to_owned(),
        Type::Number(_) => "5".to_owned(),
        Type::Money(currency, _) => {
            let mut amount = Decimal::from(5);
            amount.rescale(u32::from(currency.exponent()));
            format!("{amount} {}", currency.code())
        }
        Type::Duration(_) => "5m".to_owned(),
        Type::Time => "\"2026-01-06 02:30\"".to_owned(),
        Type::Place => "place(29.56, 106.55)".to_owned(),
        Type::Distance => "5 km".to_owned(),
        Type::Speed => "5 km/h".to_owned(),
        Type::Text | Type::Entity(_) | Type::Enum(_) | Type::EventType => "\"…\"".to_owned(),
    }
}

/// Names in a sentence: `a`, `b` and `c`.
pub(super) fn listing<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|it| format!("`{it}`")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// A type that a schema declares, or a built-in enum.
pub(super) fn declared_type(schema: &Schema, name: &str) -> Option<FieldType> {
    let place = |at: usize| u16::try_from(at).ok();
    let kind = schema.kinds.iter().position(|it| it.name == name).and_then(place);
    let of_enum = || schema.enums.iter().position(|it| it.name == name).and_then(place);
    kind.map(|it| FieldType::Entity(KindId(it))).or_else(|| of_enum().map(|it| FieldType::Enum(EnumId(it))))
}

/// The verb for so many.
pub(super) fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}
