//! Events and amendments in the one shape in which they are sent: what `stream::intake::parse_json` reads, written.

use engine::event::{Amendment, Event, FieldValue};
use rules::place::Place;
use rules::schema::{FieldType, Schema};
use rules::time::{MILLISECOND, Micros};
use rust_decimal::Decimal;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// Which of the two something is that is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    /// An event, to be decided.
    Event,
    /// An amendment, to be known.
    Amendment,
}

impl Sent {
    /// Where the server takes it.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Event => "/v1/decisions",
            Self::Amendment => "/v1/amendments",
        }
    }
}

/// An event as JSON. Derived fields stay out: intake derives them again.
pub(crate) fn event(event: &Event, schema: &Schema) -> Vec<u8> {
    let declared = event.declared(schema);
    let mut members = Map::new();
    members.insert("id".to_owned(), json!(event.id));
    members.insert("type".to_owned(), json!(declared.map(|it| &it.name)));
    members.insert("time".to_owned(), time(event.time));
    if let Some(original) = &event.recheck_of {
        members.insert("recheck_of".to_owned(), json!(original));
    }
    for (at, of_type) in event.fields(schema).filter(|(_, it)| it.derived.is_none()) {
        let Some(field) = schema.field(of_type.field) else { continue };
        if let Some(value) = value(event.value(at), field.ty, schema) {
            members.insert(field.name.clone(), value);
        }
    }
    with_extra(&members, &event.extra)
}

/// An amendment as JSON.
pub(crate) fn amendment(amendment: &Amendment) -> Vec<u8> {
    let mut members = Map::new();
    members.insert("id".to_owned(), json!(amendment.id));
    members.insert("event_id".to_owned(), json!(amendment.event_id));
    if amendment.time_given {
        members.insert("time".to_owned(), time(amendment.time));
    }
    let (column, to, kind) = amendment.change.words();
    members.extend(kind.map(|it| ("kind".to_owned(), json!(it))));
    members.insert(column.to_owned(), json!(to));
    Value::Object(members).to_string().into_bytes()
}

/// What the caller added for itself goes out byte for byte: it is part of the body's digest.
fn with_extra(members: &Map<String, Value>, extra: &str) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Body<'a> {
        #[serde(flatten)]
        members: &'a Map<String, Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        extra: Option<&'a RawValue>,
    }
    let extra = serde_json::from_str::<&RawValue>(extra).ok();
    // Texts and numbers can always be written.
    serde_json::to_vec(&Body { members, extra }).unwrap_or_default()
}

/// A field's value; none if it is missing.
fn value(value: FieldValue<'_>, ty: FieldType, schema: &Schema) -> Option<Value> {
    Some(match (value, ty) {
        (FieldValue::Missing, _) => return None,
        (FieldValue::Text(text), _) => json!(text),
        (FieldValue::Money { minor, currency }, _) => json!({ "value": minor, "currency": currency.code() }),
        (FieldValue::Number(flag), FieldType::Flag) => json!(flag != 0),
        (FieldValue::Number(number), FieldType::Decimal { scale }) => {
            json!(Decimal::new(number, u32::from(scale)).to_string())
        }
        (FieldValue::Number(packed), FieldType::Place) => {
            let Place { latitude_e7, longitude_e7 } = Place::unpack(packed);
            // Whole numbers of 10⁻⁷ degrees divide into the nearest double, which prints with at most seven digits.
            json!({ "lat": f64::from(latitude_e7) / 1e7, "lon": f64::from(longitude_e7) / 1e7 })
        }
        (FieldValue::Number(micros), FieldType::Time) => time(micros),
        // No intake takes a unit below the millisecond.
        (FieldValue::Number(micros), FieldType::Duration) => json!(format!("{}ms", micros / MILLISECOND)),
        (FieldValue::Number(at), FieldType::Enum(id)) => {
            let values = schema.enum_type(id).map(|it| it.values.as_slice()).unwrap_or_default();
            json!(values.get(usize::try_from(at).ok()?)?)
        }
        (FieldValue::Number(number), _) => json!(number),
    })
}

fn time(micros: Micros) -> Value {
    jiff::Timestamp::from_microsecond(micros).map_or(Value::Null, |it| json!(it.to_string()))
}

#[cfg(test)]
mod tests {
    use stream::intake::{Body, parse_json};

    use super::*;

    fn schema() -> Schema {
        let text = "schema s 1\nzone \"UTC\"\ncurrency CNY\nentity user\nenum channel = app, web\n\
                    event payment\n  user: user\n  amount: money\n  share: decimal(2)?\n  channel: channel?\n\
                    \x20 place: place?\n  held: duration?\n  vip: flag?\n  n: int?\n  at: time?\n  note: text(40)?\n";
        rules::testing::schema(text)
    }

    /// Read, written and read again it is the same.
    #[track_caller]
    fn check(sent: &str) {
        let schema = schema();
        let [mut first, mut second] = [Event::default(), Event::default()];
        let read = parse_json(sent.as_bytes(), &schema, &mut first).unwrap();
        let written = match &read {
            Body::Event => event(&first, &schema),
            Body::Amendment(it) => amendment(it),
        };
        let shown = String::from_utf8_lossy(&written).into_owned();
        assert_eq!(parse_json(&written, &schema, &mut second), Ok(read), "{shown}");
        if first.event_type.is_some() {
            assert_eq!(first.extra, second.extra);
            let texts = |it: &Event| (it.id.clone(), it.time, it.recheck_of.clone());
            assert_eq!(texts(&first), texts(&second));
            for at in 0..first.len() {
                assert_eq!(first.value(at), second.value(at), "{shown}");
            }
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let payment = |rest: &str| {
            format!(
                r#"{{"id":"p\"1","type":"payment","time":"2026-01-05T00:00:00.250001+08:00","user":"ü\n","amount":{{"value":1250,"currency":"JPY"}}{rest}}}"#
            )
        };
        for rest in [
            "",
            r#","share":"0.05""#,
            r#","share":"-12.5","channel":"web","vip":false,"n":-9999999999999"#,
            r#","place":{"lat":-29.5612345,"lon":106.0000001}"#,
            r#","held":"90m","at":"1970-01-01T00:00:00Z","note":"a\\b \u0007""#,
            r#","held":"7ms","recheck_of":"p0","extra":{"z":1.50,"a":[ {"b":1e3} ]}"#,
        ] {
            check(&payment(rest));
        }
        for change in [
            r#""label":"fraud","kind":"card_stolen","time":"2026-01-05T00:00:00Z""#,
            r#""label":"legitimate""#,
            r#""challenge":"passed""#,
            r#""result":"reversed""#,
        ] {
            check(&format!(r#"{{"id":"a1","event_id":"p1",{change}}}"#));
        }
    }
}
