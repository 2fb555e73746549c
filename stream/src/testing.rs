//! Schemas for the tests of this crate, written by hand in a few lines.

use std::sync::Arc;

use jiff::tz::TimeZone;
use rules::schema::{
    Currency, Derivation, EnumId, EnumType, EventField, EventType, Field, FieldId, FieldType, Kind, KindId,
    Ownership, Schema,
};
use rules::time::{DAY, MINUTE};

/// A schema in EUR and UTC: kinds, enums, and event types with their fields, such as `user: user`,
/// `amount: money`, `mcc: text(4)?`, `bin: bin? = prefix(pan6, 6)`.
pub(crate) fn schema(kinds: &[&str], enums: &[(&str, &[&str])], events: &[(&str, &str)]) -> Arc<Schema> {
    let kind = |name: &&str| Kind { name: (*name).to_owned(), ownership: Ownership::Shared };
    let enum_type = |(name, values): &(&str, &[&str])| EnumType {
        name: (*name).to_owned(),
        values: values.iter().map(|it| (*it).to_owned()).collect(),
    };
    let mut schema = Schema {
        name: "test".into(),
        version: 1,
        zone_name: "UTC".into(),
        zone: TimeZone::UTC,
        currency: Currency::from_code("EUR").unwrap(),
        lateness: 10 * MINUTE,
        keep: 400 * DAY,
        rates_file: None,
        kinds: kinds.iter().map(kind).collect(),
        enums: enums.iter().map(enum_type).collect(),
        events: Vec::new(),
        fields: Vec::new(),
    };
    for (name, fields) in events {
        let fields = split(fields).map(|it| event_field(&mut schema, it)).collect();
        schema.events.push(EventType { name: (*name).to_owned(), fields });
    }
    Arc::new(schema)
}

/// The parts between semicolons.
fn split(fields: &str) -> impl Iterator<Item = &str> {
    fields.split(';').map(str::trim).filter(|it| !it.is_empty())
}

fn event_field(schema: &mut Schema, text: &str) -> EventField {
    let (name, rest) = text.split_once(": ").unwrap();
    let (ty, derivation) = rest.split_once(" = ").map_or((rest, None), |(ty, it)| (ty, Some(it)));
    let ty_name = ty.trim_end_matches('?');
    let ty_of = field_type(schema, ty_name);
    let derived = derivation.map(|it| {
        let (of, characters) =
            it.strip_prefix("prefix(").unwrap().strip_suffix(')').unwrap().split_once(", ").unwrap();
        let of = schema.fields.iter().position(|it| it.name == of).unwrap();
        Derivation::Prefix { of: field_id(of), characters: characters.parse().unwrap() }
    });
    let field = Field { name: name.to_owned(), ty: ty_of };
    let at = schema.fields.iter().position(|it| *it == field).unwrap_or_else(|| {
        schema.fields.push(field);
        schema.fields.len() - 1
    });
    EventField { field: field_id(at), optional: ty.ends_with('?'), derived }
}

fn field_id(at: usize) -> FieldId {
    FieldId(u16::try_from(at).unwrap())
}

fn field_type(schema: &Schema, name: &str) -> FieldType {
    let argument = |prefix: &str| name.strip_prefix(prefix).and_then(|it| it.strip_suffix(')'));
    match name {
        "flag" => FieldType::Flag,
        "int" => FieldType::Int,
        "money" => FieldType::Money { currency: None },
        "place" => FieldType::Place,
        "time" => FieldType::Time,
        "duration" => FieldType::Duration,
        _ if name.starts_with("money ") => FieldType::Money { currency: Currency::from_code(&name[6..]) },
        _ if argument("text(").is_some() => {
            FieldType::Text { max_bytes: argument("text(").unwrap().parse().unwrap() }
        }
        _ if argument("decimal(").is_some() => {
            FieldType::Decimal { scale: argument("decimal(").unwrap().parse().unwrap() }
        }
        _ => match schema.enums.iter().position(|it| it.name == name) {
            Some(at) => FieldType::Enum(EnumId(u16::try_from(at).unwrap())),
            None => FieldType::Entity(schema.kind(name).unwrap_or(KindId(u16::MAX))),
        },
    }
}
