//! Values as JSON: whole numbers and flags as such, decimals as texts, money in minor units beside its currency, times
//! as RFC 3339, durations as the rule language writes them. What stands in memory as a hash is nobody's to see.

use engine::event::{Event, FieldValue};
use engine::rates::Rates;
use rules::notation::{decimal, duration};
use rules::place::Place;
use rules::schema::{Currency, FieldType, Schema};
use rules::time::Micros;
use rules::typed::Type;
use rules::value::Value;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A value of a feature or a field.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Value)]
pub(crate) enum Json {
    /// Missing.
    Missing(()),
    /// A flag.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// A computed number.
    Real(f64),
    /// A decimal number, a time, a duration, a text, an id or the name of an enum's value.
    Text(String),
    /// An amount.
    Money {
        /// In minor units: a whole number, or a decimal as text.
        value: Minor,
        /// Three capitals.
        #[schema(value_type = String)]
        currency: Code,
    },
    /// A place, in degrees.
    Place {
        /// Latitude.
        lat: f64,
        /// Longitude.
        lon: f64,
    },
    /// Something that is only known by its hash.
    Hidden {
        /// Always true.
        present: bool,
    },
    /// What the caller added for itself: the text of an object.
    #[schema(value_type = serde_json::Value)]
    Extra(#[serde(serialize_with = "raw")] String),
}

fn raw<S: Serializer>(json: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serde_json::from_str::<&RawValue>(json).map_err(S::Error::custom)?.serialize(serializer)
}

/// Minor units.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Minor {
    /// So many.
    Whole(i64),
    /// A decimal number.
    Text(String),
}

/// A currency by its code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Code(Currency);

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.code())
    }
}

/// Millionths as a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Score(pub i64);

impl Serialize for Score {
    #[expect(
        clippy::cast_precision_loss,
        reason = "scores are far below 2^53 millionths; shown, never summed"
    )]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % 1_000_000 {
            0 => serializer.serialize_i64(self.0 / 1_000_000),
            _ => serializer.serialize_f64(self.0 as f64 / 1e6),
        }
    }
}

/// A time as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Time(pub Micros);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(time) => serializer.collect_str(&time),
            Err(_) => serializer.serialize_i64(self.0),
        }
    }
}

/// A map that keeps its order.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Ordered<T>(pub Vec<(String, T)>);

impl<T: Serialize> Serialize for Ordered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A feature's value.
pub(crate) fn of_feature(value: Value, ty: Type, schema: &Schema) -> Json {
    match (value, ty) {
        (Value::Missing, _) => Json::Missing(()),
        (Value::Flag(flag), _) => Json::Flag(flag),
        (Value::Real(real), Type::Money(currency, _)) => money(Minor::Text(real.to_string()), currency),
        (Value::Real(real), Type::Duration(_)) => Json::Text(format!("{}s", real / 1e6)),
        (Value::Real(real), _) => Json::Real(real),
        (Value::Exact(exact), Type::Number(numeric)) => number(exact, numeric.scale().into()),
        (Value::Exact(exact), Type::Money(currency, numeric)) => {
            money(minor(exact, numeric.scale().into()), currency)
        }
        (Value::Exact(exact), other) => match i64::try_from(exact) {
            Ok(slot) => of_slot(slot, other, schema),
            Err(_) => Json::Text(exact.to_string()),
        },
    }
}

fn of_slot(slot: i64, ty: Type, schema: &Schema) -> Json {
    match ty {
        Type::Duration(_) => Json::Text(duration(slot)),
        Type::Time => time(slot),
        Type::Place => place(slot),
        Type::Enum(id) => named(schema.enum_type(id).map(|it| it.values.as_slice()), slot),
        Type::EventType => {
            let found = usize::try_from(slot).ok().and_then(|at| schema.events.get(at));
            found.map_or(Json::Missing(()), |it| Json::Text(it.name.clone()))
        }
        Type::Text | Type::Entity(_) => Json::Hidden { present: true },
        _ => Json::Whole(slot),
    }
}

/// An event in the shape in which it is sent: what is derived at intake is not.
pub(super) fn of_event(event: &Event, schema: &Schema) -> Ordered<Json> {
    let declared = event.declared(schema);
    let mut members = vec![
        ("id".to_owned(), Json::Text(event.id.clone())),
        ("type".to_owned(), declared.map_or(Json::Missing(()), |it| Json::Text(it.name.clone()))),
        ("time".to_owned(), time(event.time)),
    ];
    if let Some(original) = &event.recheck_of {
        members.push(("recheck_of".to_owned(), Json::Text(original.clone())));
    }
    for (at, field) in event.fields(schema).filter(|(_, it)| it.derived.is_none()) {
        let Some(declared) = schema.field(field.field) else { continue };
        match of_field(event.value(at), declared.ty, schema) {
            Json::Missing(()) => {}
            value => members.push((declared.name.clone(), value)),
        }
    }
    if !event.extra.is_empty() {
        members.push(("extra".to_owned(), Json::Extra(in_one_line(&event.extra))));
    }
    Ordered(members)
}

/// JSON without the space between its parts.
fn in_one_line(json: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    let says = |it: &char| {
        match it {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            _ => {}
        }
        in_text || !it.is_ascii_whitespace()
    };
    json.chars().filter(says).collect()
}

/// What the amounts of an event came to that rules saw in another currency than they were sent in, by field: as the rates
/// say, and missing where those are not known.
pub(super) fn converted(event: &Event, schema: &Schema, rates: Option<&Rates>) -> Ordered<Json> {
    let amounts = event.fields(schema).filter_map(|(at, field)| match event.value(at) {
        FieldValue::Money { minor, currency } if currency != schema.currency => {
            let declared = schema.field(field.field)?;
            // An amount whose field names a currency stays in that.
            let any = matches!(declared.ty, FieldType::Money { currency: None });
            any.then(|| (declared.name.clone(), worth(minor, currency, schema.currency, rates)))
        }
        _ => None,
    });
    Ordered(amounts.collect())
}

fn worth(amount: i64, from: Currency, into: Currency, rates: Option<&Rates>) -> Json {
    let worth = rates.and_then(|it| it.convert(amount, from, into).ok());
    worth.map_or(Json::Missing(()), |it| money(Minor::Whole(it), into))
}

fn of_field(value: FieldValue<'_>, ty: FieldType, schema: &Schema) -> Json {
    match (value, ty) {
        (FieldValue::Missing, _) => Json::Missing(()),
        (FieldValue::Text(text), _) => Json::Text(text.to_owned()),
        (FieldValue::Money { minor, currency }, _) => money(Minor::Whole(minor), currency),
        (FieldValue::Number(number), FieldType::Flag) => Json::Flag(number != 0),
        (FieldValue::Number(slot), FieldType::Decimal { scale }) => {
            Json::Text(decimal(i128::from(slot), u32::from(scale)))
        }
        (FieldValue::Number(slot), FieldType::Place) => place(slot),
        (FieldValue::Number(slot), FieldType::Time) => time(slot),
        (FieldValue::Number(slot), FieldType::Duration) => Json::Text(duration(slot)),
        (FieldValue::Number(slot), FieldType::Enum(id)) => {
            named(schema.enum_type(id).map(|it| it.values.as_slice()), slot)
        }
        (FieldValue::Number(slot), _) => Json::Whole(slot),
    }
}

fn named(names: Option<&[String]>, slot: i64) -> Json {
    let name = names.and_then(|it| it.get(usize::try_from(slot).ok()?));
    name.map_or(Json::Missing(()), |it| Json::Text(it.clone()))
}

fn money(value: Minor, currency: Currency) -> Json {
    Json::Money { value, currency: Code(currency) }
}

fn time(micros: Micros) -> Json {
    let time = jiff::Timestamp::from_microsecond(micros);
    time.map_or(Json::Whole(micros), |it| Json::Text(it.to_string()))
}

fn place(packed: i64) -> Json {
    let Place { latitude_e7, longitude_e7 } = Place::unpack(packed);
    Json::Place { lat: f64::from(latitude_e7) / 1e7, lon: f64::from(longitude_e7) / 1e7 }
}

fn number(exact: i128, scale: u32) -> Json {
    match minor(exact, scale) {
        Minor::Whole(whole) => Json::Whole(whole),
        Minor::Text(text) => Json::Text(text),
    }
}

fn minor(exact: i128, scale: u32) -> Minor {
    match i64::try_from(exact) {
        Ok(whole) if scale == 0 => Minor::Whole(whole),
        _ => Minor::Text(decimal(exact, scale)),
    }
}

#[cfg(test)]
mod tests {
    use rules::typed::Numeric;

    use super::*;

    fn schema() -> Schema {
        let text = "schema s 1\nzone \"UTC\"\ncurrency CNY\nentity user\nentity bin shared\n\
                    enum channel = app, web\nevent payment\n  user: user\n  amount: money\n  share: decimal(2)?\n\
                    \x20 channel: channel?\n  place: place?\n  held: duration?\n  vip: flag?\n  n: int?\n\
                    \x20 at: time?\n  pan6: text(6)?\n  bin: bin? = prefix(pan6, 4)\n";
        rules::testing::schema(text)
    }

    #[test]
    fn features_as_json() {
        let schema = schema();
        let exact = |scale| Numeric::Exact { scale, digits: 20 };
        let cny = schema.currency;
        let place = Place::new(295_600_000, -1_065_500_000).unwrap().pack();
        #[rustfmt::skip]
        let rows = [
            (Value::Missing,                  Type::Flag,                     "null"),
            (Value::Flag(true),               Type::Flag,                     "true"),
            (Value::Exact(7),                 Type::Number(exact(0)),         "7"),
            (Value::Exact(i128::MAX),         Type::Number(exact(0)),         "\"170141183460469231731687303715884105727\""),
            (Value::Exact(12_500),            Type::Number(exact(3)),         "\"12.5\""),
            (Value::Real(0.1),                Type::Number(Numeric::Real),    "0.1"),
            (Value::Exact(500),               Type::Money(cny, exact(0)),     r#"{"value":500,"currency":"CNY"}"#),
            (Value::Real(250.5),              Type::Money(cny, Numeric::Real), r#"{"value":"250.5","currency":"CNY"}"#),
            (Value::Exact(5_400_000_000),     Type::Duration(exact(0)),       "\"90m\""),
            (Value::Exact(1_000_001),         Type::Duration(exact(0)),       "\"1.000001s\""),
            (Value::Exact(0),                 Type::Time,                     "\"1970-01-01T00:00:00Z\""),
            (Value::Exact(i128::from(place)), Type::Place,                    r#"{"lat":29.56,"lon":-106.55}"#),
            (Value::Exact(1),                 Type::Enum(rules::schema::EnumId(5)), "\"web\""),
            (Value::Exact(0),                 Type::EventType,                "\"payment\""),
            (Value::Exact(99),                Type::Text,                     r#"{"present":true}"#),
        ];
        for (value, ty, expected) in rows {
            let json = serde_json::to_string(&of_feature(value, ty, &schema)).unwrap();
            assert_eq!(json, expected, "{value:?}");
        }
    }

    #[test]
    fn an_event_goes_out_as_it_came_in() {
        let schema = schema();
        let sent = r#"{"id":"p1","type":"payment","time":"2026-01-05T00:00:00.25Z","user":"u1","amount":{"value":1250,"currency":"CNY"},"share":"0.5","channel":"web","place":{"lat":29.56,"lon":106.55},"held":"90m","vip":true,"n":-3,"at":"2026-01-05T00:00:00Z","pan6":"411111","extra":{"a":[1]}}"#;
        let mut event = Event::default();
        stream::intake::parse_json(sent.as_bytes(), &schema, &mut event).unwrap();
        assert_eq!(serde_json::to_string(&of_event(&event, &schema)).unwrap(), sent);
    }

    /// Whatever JSON that is: numbers that nobody here can hold, names that stand there twice, halves of characters.
    #[test]
    fn what_the_caller_added_goes_out_as_it_came_in() {
        let schema = schema();
        let check = |extra: &str, expected: &str| {
            let sent = |extra: &str| {
                format!(
                    r#"{{"id":"p1","type":"payment","time":"2026-01-05T00:00:00Z","user":"u1","amount":{{"value":1,"currency":"CNY"}},"extra":{extra}}}"#
                )
            };
            let mut event = Event::default();
            stream::intake::parse_json(sent(extra).as_bytes(), &schema, &mut event).unwrap();
            assert_eq!(serde_json::to_string(&of_event(&event, &schema)).unwrap(), sent(expected));
        };
        for it in [
            r#"{}"#,
            r#"{"b":1.10,"a":1e400,"b":-0}"#,
            r#"{"k":123456789012345678901}"#,
            r#"{"s":"\ud800 \" {"}"#,
        ] {
            check(it, it);
        }
        // Never more than a line: an export has one for each event.
        check("{ \"a b\" :\r\n\t[1, \"\\\\\" ] }", r#"{"a b":[1,"\\"]}"#);
    }

    #[test]
    fn scores_and_times() {
        let check = |score: i64, expected: &str| {
            assert_eq!(serde_json::to_string(&Score(score)).unwrap(), expected);
        };
        check(0, "0");
        check(55_000_000, "55");
        check(-12_500_000, "-12.5");
        check(1, "1e-6");
        check(123_456_789_012_345, "123456789.012345");
    }
}
