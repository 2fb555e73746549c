//! What intake adds once the sent fields are in: derived fields, and the check that nothing required is missing.

use engine::event::{Event, FieldValue};
use rules::schema::{Derivation, EventType, EventTypeId, FieldId, Schema};

use super::FieldError;

/// Fills the derived fields of an event whose sent fields are set, and checks that none is missing that its type
/// requires: a recheck has from its original what it does not say. `place_of` says where a field should have stood.
///
/// # Errors
/// One per missing field.
pub fn finish(
    event: &mut Event,
    schema: &Schema,
    place_of: impl Fn(&str) -> String,
) -> Result<(), Vec<FieldError>> {
    let mut errors = Vec::new();
    let event_type = event.event_type.unwrap_or(EventTypeId(0));
    let Some(declared) = schema.event(event_type) else { return Ok(()) };
    for (at, field) in declared.fields.iter().enumerate() {
        if let Some(derivation) = field.derived {
            derive(event, schema, event_type, at, derivation);
        }
        let required = !field.optional && event.recheck_of.is_none();
        if required && event.value(at) == FieldValue::Missing {
            let name = schema.field(field.field).map_or("", |it| it.name.as_str());
            errors.push(FieldError { place: place_of(name), message: missing(declared) });
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// What is said of a field that is missing and that every event of this type has.
pub(super) fn missing(of: &EventType) -> String {
    format!("missing, and every `{}` has one", of.name)
}

fn derive(event: &mut Event, schema: &Schema, of: EventTypeId, at: usize, derivation: Derivation) {
    let Derivation::Prefix { of: source, characters } = derivation;
    let Some(source) = place_in_type(schema, of, source) else { return };
    let FieldValue::Text(text) = event.value(source) else { return };
    let characters = usize::from(characters);
    // The end of the last character that is wanted; none if the text is shorter.
    let end = match text.char_indices().nth(characters) {
        Some((end, _)) => end,
        None if text.chars().count() == characters => text.len(),
        None => return,
    };
    let declared = schema.event(of).and_then(|it| it.fields.get(at)).and_then(|it| schema.field(it.field));
    let room = declared.and_then(|it| it.ty.text_bytes_max()).unwrap_or(0);
    if let Some(prefix) = text.get(..end).filter(|it| !it.is_empty() && it.len() <= room).map(str::to_owned) {
        event.set_text(at, &prefix);
    }
}

fn place_in_type(schema: &Schema, of: EventTypeId, field: FieldId) -> Option<usize> {
    schema.event(of)?.fields.iter().position(|it| it.field == field)
}
