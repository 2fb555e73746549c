//! What comes in: events, and what becomes known of them later.

use rules::past::{Challenge, Label, Mutable, OperationResult, Outcome};
use rules::schema::{Currency, EventField, EventType, EventTypeId, FieldId, KindId, Schema};
use rules::time::Micros;

pub use rules::schema::ENTITY_ID_BYTES_MAX;

use crate::entity::HashKey;

/// Longest event id, in bytes.
pub const EVENT_ID_BYTES_MAX: usize = 128;
/// Greatest magnitude of a number or an amount (of minor units, or scaled) at any intake, so that no sum can fail
/// inside `apply`.
pub const AMOUNT_MAX: i64 = 10_000_000_000_000;

/// Something that happened at an event time, as the caller sent it.
///
/// Fields stand in the order of their event type (`schema.events[t].fields`); texts lie in one buffer, so that an
/// `Event` used for row after row allocates nothing. Whoever fills one has checked it: numbers are within
/// [`AMOUNT_MAX`], ids and texts within their lengths, required fields present.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Event {
    /// The caller's id, 1 to [`EVENT_ID_BYTES_MAX`] bytes.
    pub id: String,
    /// Its type.
    pub event_type: Option<EventTypeId>,
    /// When it happened.
    pub time: Micros,
    /// Whether the caller said when; otherwise `time` was stamped on arrival and is no part of the body's digest.
    pub time_given: bool,
    /// The event that this one decides again.
    pub recheck_of: Option<String>,
    /// What the caller added for itself: JSON text, kept and read by no rule. Empty = nothing.
    pub extra: String,
    values: Vec<Stored>,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stored {
    #[default]
    Missing,
    Number(i64),
    Money {
        minor: i64,
        currency: Currency,
    },
    Text {
        start: u32,
        end: u32,
    },
}

/// A field's value as the caller sent it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldValue<'a> {
    /// Not sent.
    Missing,
    /// Of a flag, int, decimal, place, time, duration or enum: as in a slot (see [`rules::schema::FieldType`]).
    Number(i64),
    /// An amount as sent, before any conversion.
    Money {
        /// In minor units of `currency`.
        minor: i64,
        /// As sent.
        currency: Currency,
    },
    /// A text, or an entity's id.
    Text(&'a str),
}

impl Event {
    /// Empties this event for the next one, keeping its buffers: `fields` is the number that the type has.
    pub fn begin(&mut self, event_type: EventTypeId, fields: usize) {
        self.id.clear();
        self.event_type = Some(event_type);
        self.time = 0;
        self.time_given = false;
        self.recheck_of = None;
        self.extra.clear();
        self.text.clear();
        self.values.clear();
        self.values.resize(fields, Stored::Missing);
    }

    /// Sets the field at this place of the event type to a number; a place that the type has not is ignored.
    pub fn set_number(&mut self, at: usize, number: i64) {
        self.set(at, Stored::Number(number));
    }

    /// Sets the field at this place to an amount.
    pub fn set_money(&mut self, at: usize, minor: i64, currency: Currency) {
        self.set(at, Stored::Money { minor, currency });
    }

    /// Sets the field at this place to a text or an entity's id.
    pub fn set_text(&mut self, at: usize, text: &str) {
        let start = offset(self.text.len());
        self.text.push_str(text);
        let end = offset(self.text.len());
        self.set(at, Stored::Text { start, end });
    }

    /// Takes a field out again.
    pub fn unset(&mut self, at: usize) {
        self.set(at, Stored::Missing);
    }

    fn set(&mut self, at: usize, stored: Stored) {
        if let Some(value) = self.values.get_mut(at) {
            *value = stored;
        }
    }

    /// The value of the field at this place of the event type.
    pub fn value(&self, at: usize) -> FieldValue<'_> {
        match self.values.get(at).copied().unwrap_or_default() {
            Stored::Missing => FieldValue::Missing,
            Stored::Number(number) => FieldValue::Number(number),
            Stored::Money { minor, currency } => FieldValue::Money { minor, currency },
            Stored::Text { start, end } => {
                FieldValue::Text(self.text.get(start as usize..end as usize).unwrap_or_default())
            }
        }
    }

    /// Its type, under the schema that it is of.
    pub fn declared<'a>(&self, schema: &'a Schema) -> Option<&'a EventType> {
        schema.events.get(self.event_type?.index())
    }

    /// The fields of its type, in their places.
    pub fn fields_declared<'a>(&self, schema: &'a Schema) -> &'a [EventField] {
        self.declared(schema).map_or(&[], |it| &it.fields)
    }

    /// The fields of its type, each with its place.
    pub fn fields<'a>(&self, schema: &'a Schema) -> impl Iterator<Item = (usize, &'a EventField)> + use<'a> {
        self.declared(schema).into_iter().flat_map(|it| it.fields.iter().enumerate())
    }

    /// The roles that are filled: each with the kind and the id of who stands in it.
    pub fn roles<'a>(&'a self, schema: &'a Schema) -> impl Iterator<Item = (FieldId, KindId, &'a str)> {
        self.fields(schema).filter_map(|(at, it)| match (schema.role_kind(it.field), self.value(at)) {
            (Some(kind), FieldValue::Text(id)) => Some((it.field, kind, id)),
            _ => None,
        })
    }

    /// The bytes of the text at this place; empty if something else is there.
    pub fn text_bytes_at(&self, at: usize) -> &[u8] {
        match self.values.get(at) {
            Some(Stored::Text { start, end }) => {
                self.text.as_bytes().get(*start as usize..*end as usize).unwrap_or_default()
            }
            _ => &[],
        }
    }

    /// How many fields there are up to the last that is not missing.
    pub fn present(&self) -> usize {
        self.values.iter().rposition(|it| *it != Stored::Missing).map_or(0, |last| last + 1)
    }

    /// Takes from another event of the same type the fields that this one lacks: what a recheck does not change.
    pub fn fill_from(&mut self, original: &Self) {
        if self.event_type != original.event_type {
            return;
        }
        for at in 0..self.values.len() {
            if self.value(at) != FieldValue::Missing {
                continue;
            }
            match original.value(at) {
                FieldValue::Missing => {}
                FieldValue::Number(number) => self.set_number(at, number),
                FieldValue::Money { minor, currency } => self.set_money(at, minor, currency),
                FieldValue::Text(text) => self.set_text(at, text),
            }
        }
    }

    /// How many fields the event's type has.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Bytes of its texts: ids, fields, and what the caller added.
    pub fn text_bytes(&self) -> usize {
        let recheck = self.recheck_of.as_ref().map_or(0, String::len);
        self.id.len() + self.text.len() + self.extra.len() + recheck
    }

    /// Whether the event's type has no fields.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value of a field by name, for people and tests.
    pub fn get<'a>(&'a self, schema: &Schema, name: &str) -> FieldValue<'a> {
        let named = |it: &EventField| schema.field(it.field).is_some_and(|it| it.name == name);
        let field = self.fields(schema).find(|(_, it)| named(it));
        field.map_or(FieldValue::Missing, |(at, _)| self.value(at))
    }
}

/// A body as bytes that no other body has: every number is fixed in width, every text stands behind its length.
struct Body(Vec<u8>);

impl Body {
    fn number(&mut self, number: i64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.0.extend_from_slice(&offset(text.len()).to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }
}

/// INVARIANT (event size): intake bounds an event to far less than 4 GiB of text.
fn offset(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Something that became known of an event after it was decided. It sets one column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Amendment {
    /// An id of its own, under the rules of event ids.
    pub id: String,
    /// The event that it speaks of.
    pub event_id: String,
    /// When it became known.
    pub time: Micros,
    /// Whether the caller said when.
    pub time_given: bool,
    /// What is known now.
    pub change: Change,
}

/// What an amendment sets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// What turned out to be true, with the kind of fraud in the caller's words (such as `card_stolen`).
    Label(Label, Option<String>),
    /// The result of the challenge.
    Challenge(Challenge),
    /// What became of the operation.
    Result(OperationResult),
    /// What a missed deadline made of the outcome.
    Outcome(Outcome),
}

impl Change {
    /// The column that it sets, what to, and of a label the kind: as they are sent and shown.
    pub fn words(&self) -> (&'static str, &'static str, Option<&str>) {
        match self {
            Self::Label(label, kind) => ("label", label.name(), kind.as_deref()),
            Self::Challenge(challenge) => ("challenge", challenge.name(), None),
            Self::Result(result) => ("result", result.name(), None),
            Self::Outcome(outcome) => ("outcome", outcome.name(), None),
        }
    }

    /// The numbers of the column and of what it is set to, as they stand in records.
    pub fn numbers(&self) -> (u32, u32) {
        match self {
            Self::Label(label, _) => (1, *label as u32),
            Self::Challenge(challenge) => (2, *challenge as u32),
            Self::Result(result) => (3, *result as u32),
            Self::Outcome(outcome) => (4, *outcome as u32),
        }
    }

    /// The change of these numbers, with the kind of a label; none if there is none in this version.
    pub fn from_numbers((column, value): (u32, u32), kind: Option<String>) -> Option<Self> {
        let value = u8::try_from(value).ok()?;
        Some(match column {
            1 => Self::Label(Label::from_number(value)?, kind),
            2 => Self::Challenge(Challenge::from_number(value)?),
            3 => Self::Result(OperationResult::from_number(value)?),
            4 => Self::Outcome(Outcome::from_number(value)?),
            _ => return None,
        })
    }

    /// The mutable columns after this change.
    pub fn applied_to(&self, columns: Mutable) -> Mutable {
        match *self {
            Self::Label(label, _) => Mutable { label, ..columns },
            Self::Challenge(challenge) => Mutable { challenge, ..columns },
            Self::Result(result) => Mutable { result, ..columns },
            Self::Outcome(outcome) => Mutable { outcome, ..columns },
        }
    }
}

impl Amendment {
    /// The body's digest: 128 bits of a keyed hash over what was received. Two bodies are the same body exactly if their
    /// digests are equal.
    pub fn digest(&self, key: HashKey) -> [u8; 16] {
        let mut body = Body(Vec::new());
        body.text(&self.id);
        body.text(&self.event_id);
        body.option(self.time_given.then_some(self.time), Body::number);
        let (column, value, kind) = self.change.words();
        body.text(column);
        body.text(value);
        body.option(kind, Body::text);
        key.hash128_of(&body.0).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_differ_have_digests_that_differ() {
        let amendment = |change| Amendment {
            id: "a-1".into(),
            event_id: "p-2".into(),
            time: 5,
            time_given: true,
            change,
        };
        let label = |kind: Option<&str>| amendment(Change::Label(Label::Fraud, kind.map(str::to_owned)));
        let bodies = [
            label(None),
            label(Some("")),
            label(Some("stolen")),
            Amendment { id: "a-2".into(), ..label(None) },
            Amendment { id: "a-1p".into(), event_id: "-2".into(), ..label(None) },
            Amendment { time: 6, ..label(None) },
            Amendment { time_given: false, ..label(None) },
            amendment(Change::Label(Label::Legitimate, None)),
            amendment(Change::Challenge(Challenge::None)),
            amendment(Change::Result(OperationResult::None)),
            amendment(Change::Outcome(Outcome::None)),
        ];
        let digests = bodies.map(|body| body.digest(HashKey::new([7; 16])));
        for (at, digest) in digests.iter().enumerate() {
            assert!(!digests[..at].contains(digest), "body {at} is told from the others");
        }
        let stamped = Amendment { time: 9, time_given: false, ..label(None) };
        assert_eq!(stamped.digest(HashKey::new([7; 16])), digests[6], "a stamped time was not received");
        assert_ne!(stamped.digest(HashKey::new([8; 16])), digests[6], "and another key is another hash");
    }
}
