//! What comes in: events, and what becomes known of them later.

use rules::past::{Challenge, Label, Mutable, OperationResult, Outcome};
use rules::schema::{Currency, EventTypeId, FieldType, Schema};
use rules::time::Micros;

/// Longest event id, in bytes.
pub const EVENT_ID_BYTES_MAX: usize = 128;
/// Longest id of an entity, in bytes.
pub const ENTITY_ID_BYTES_MAX: usize = 256;
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
    /// Of a flag, int, decimal, place, time, duration or enum: as in a slot (see [`FieldType`]).
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

    /// How many fields the event's type has.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether the event's type has no fields.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value of a field by name, for people and tests.
    pub fn get<'a>(&'a self, schema: &Schema, name: &str) -> FieldValue<'a> {
        let Some(fields) = self.event_type.and_then(|it| schema.events.get(it.index())).map(|it| &it.fields)
        else {
            return FieldValue::Missing;
        };
        let named = |it: &rules::schema::EventField| schema.field(it.field).is_some_and(|it| it.name == name);
        fields.iter().position(named).map_or(FieldValue::Missing, |at| self.value(at))
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

/// Whether a field's values are texts in an event (and hashes in a slot).
pub fn is_textual(ty: FieldType) -> bool {
    matches!(ty, FieldType::Text { .. } | FieldType::Entity(_))
}
