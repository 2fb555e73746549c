//! The JSON Schema of events, as the schema of the rule set declares them: one object per event type.

use engine::event::AMOUNT_MAX;
use rules::past::{Challenge, Label, OperationResult, Outcome};
use rules::schema::{EventType, FieldType, Schema};
use serde_json::{Map, Value, json};

use crate::risk::value::Ordered;

/// The components `Event`, and one for each event type.
pub(super) fn schemas(schema: &Schema) -> Vec<(String, Value)> {
    let of = |it: &EventType| (component(it), event_type(it, schema));
    let mut all: Vec<(String, Value)> = schema.events.iter().map(of).collect();
    let mapping: Map<String, Value> =
        schema.events.iter().map(|it| (it.name.clone(), reference(&component(it)))).collect();
    let one_of: Vec<Value> = mapping.values().map(|it| json!({ "$ref": it })).collect();
    let event = json!({
        "title": "Event",
        "description": format!("Something that happened, of a type of the schema `{}`.", schema.name),
        "oneOf": one_of,
        "discriminator": { "propertyName": "type", "mapping": mapping },
    });
    all.push(("Event".to_owned(), event));
    all
}

fn component(it: &EventType) -> String {
    format!("Event.{}", it.name)
}

fn reference(component: &str) -> Value {
    format!("#/components/schemas/{component}").into()
}

/// An event of the first type, with all that is required, in the order of the schema: a document's example.
pub(crate) fn example(schema: &Schema) -> Ordered<Value> {
    let mut members = vec![("id".to_owned(), json!("p-1"))];
    let Some(first) = schema.events.first() else { return Ordered(members) };
    members.push(("type".to_owned(), json!(first.name)));
    for field in first.fields.iter().filter(|it| !it.optional && it.derived.is_none()) {
        if let Some(declared) = schema.field(field.field) {
            members.push((declared.name.clone(), field_example(&declared.name, declared.ty, schema)));
        }
    }
    Ordered(members)
}

/// The schema of amendments: what is known of an event, and exactly one thing of it.
pub(super) fn amendment() -> Value {
    let text =
        |said: &str| json!({ "type": "string", "minLength": 1, "maxLength": 128, "description": said });
    let columns = [
        ("label", Label::NAMES),
        ("challenge", Challenge::NAMES),
        ("result", OperationResult::NAMES),
        ("outcome", Outcome::NAMES),
    ];
    let mut properties = Map::new();
    properties.insert("id".to_owned(), text("Its own, under the rules of event ids."));
    properties.insert("event_id".to_owned(), text("The event that it is about."));
    let time = json!({ "type": "string", "format": "date-time", "description": "When it became known; left out: now." });
    properties.insert("time".to_owned(), time);
    properties.insert("kind".to_owned(), text("Of a label: the kind of fraud, in the caller's words."));
    properties.extend(columns.map(|(name, values)| (name.to_owned(), json!({ "enum": values }))));
    json!({
        "title": "Amendment", "type": "object", "properties": properties, "required": ["id", "event_id"],
        "oneOf": columns.map(|(name, _)| json!({ "required": [name] })), "dependentRequired": { "kind": ["label"] },
        "additionalProperties": false,
    })
}

fn event_type(it: &EventType, schema: &Schema) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    let id = |says: &str| json!({ "type": "string", "minLength": 1, "maxLength": 128, "description": says });
    properties.insert("id".to_owned(), id("The caller's own; sent again, it gets the first answer."));
    properties.insert("type".to_owned(), json!({ "const": it.name }));
    let time = json!({ "type": "string", "format": "date-time", "description": "RFC 3339 with an offset; left out: the time of arrival." });
    properties.insert("time".to_owned(), time);
    properties.insert("recheck_of".to_owned(), id("The event that this one decides again."));
    let extra = json!({ "type": "object", "description": "The caller's own: kept, and read by no rule." });
    properties.insert("extra".to_owned(), extra);
    for field in it.fields.iter().filter(|it| it.derived.is_none()) {
        let Some(declared) = schema.field(field.field) else { continue };
        properties.insert(declared.name.clone(), field_type(declared.ty, schema));
        if !field.optional {
            required.push(declared.name.clone());
        }
    }
    // A recheck says what has changed only.
    json!({
        "title": it.name, "type": "object", "properties": properties, "required": ["id", "type"],
        "anyOf": [{ "required": required }, { "required": ["recheck_of"] }], "additionalProperties": false,
    })
}

fn field_type(ty: FieldType, schema: &Schema) -> Value {
    match ty {
        FieldType::Flag => json!({ "type": "boolean" }),
        FieldType::Int => json!({ "type": "integer", "minimum": -AMOUNT_MAX, "maximum": AMOUNT_MAX }),
        FieldType::Decimal { scale } => {
            json!({ "type": "string", "description": format!("A decimal number of at most {scale} digits behind the point."), "examples": ["12.5"] })
        }
        FieldType::Money { currency } => {
            let currency = match currency {
                Some(fixed) => json!({ "const": fixed.code() }),
                None => json!({ "type": "string", "pattern": "^[A-Z]{3}$" }),
            };
            let value = json!({ "type": "integer", "minimum": 0, "maximum": AMOUNT_MAX, "description": "In minor units." });
            json!({
                "type": "object", "properties": { "value": value, "currency": currency },
                "required": ["value", "currency"], "additionalProperties": false,
            })
        }
        FieldType::Place => {
            let degrees = |most: i32| json!({ "type": "number", "minimum": -most, "maximum": most });
            json!({
                "type": "object", "properties": { "lat": degrees(90), "lon": degrees(180) },
                "required": ["lat", "lon"], "additionalProperties": false,
            })
        }
        FieldType::Time => json!({ "type": "string", "format": "date-time" }),
        FieldType::Duration => json!({ "type": "string", "examples": ["90m"] }),
        FieldType::Text { max_bytes } => {
            let description = format!("At most {max_bytes} bytes in UTF-8.");
            json!({ "type": "string", "maxLength": max_bytes, "description": description })
        }
        FieldType::Enum(id) => json!({ "enum": schema.enum_type(id).map_or(&[][..], |it| &it.values) }),
        FieldType::Entity(kind) => {
            let description = format!("The id of a {}.", schema.kind_name(kind));
            json!({ "type": "string", "minLength": 1, "maxLength": 256, "description": description })
        }
    }
}

fn field_example(name: &str, ty: FieldType, schema: &Schema) -> Value {
    match ty {
        FieldType::Flag => json!(true),
        FieldType::Int => json!(1),
        FieldType::Decimal { .. } => json!("1"),
        FieldType::Money { currency } => {
            json!({ "value": 1250, "currency": currency.unwrap_or(schema.currency).code() })
        }
        FieldType::Place => json!({ "lat": 29.56, "lon": 106.55 }),
        FieldType::Time => json!("2026-01-05T08:00:00+08:00"),
        FieldType::Duration => json!("90m"),
        FieldType::Enum(id) => json!(schema.enum_type(id).and_then(|it| it.values.first())),
        FieldType::Text { .. } => json!("5732"),
        FieldType::Entity(_) => json!(format!("{name}-1")),
    }
}
