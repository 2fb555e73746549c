//! What goes out of the gate: tickets, and why there is none.

use std::time::{Duration, Instant};

use engine::event::Event;
use engine::facts::Incomparable;
use engine::position::Position;
use engine::words::{Ruling, When};
use rules::past::Outcome;
use rules::schema::{Derivation, FieldType, Schema};

use crate::journal::{JournalError, Reservation};
use crate::record::RowPlace;

/// Until when a decision must be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deadline {
    /// It may take its time: replay, and callers that say so.
    Never,
    /// As the policy of the event's type says, counted from when the request came in.
    Policy {
        /// When it came in.
        since: Instant,
    },
    /// As the caller says.
    By(Instant),
}

/// What a submitted event gets: its decision, and where its record stands. It is no answer yet:
/// [`super::Gate::settle`] makes one of it, when the record is durable or the deadline has passed.
#[derive(Debug)]
pub struct Ticket {
    /// Of the event's record.
    pub position: Position,
    /// What was decided, in numbers; [`Ruling::say`] puts words to it.
    pub ruling: Ruling,
    /// The number of the rule set that it was decided by, which has the words ([`super::Gate::in_force_at`]).
    pub rule_set: u32,
    /// Where the event stands in its entities' histories: what an amendment needs to find it. Of a recheck: where its
    /// original stands. Of a repeat: nowhere.
    pub place: RowPlace,
    /// When the event happened as recorded: of a repeat, when the first did; the caller may have sent none.
    pub when: When,
    /// The offset of the record that must be durable before it is answered: its own, or that of a repeat's fallback.
    pub(super) newest: u64,
    /// The hash of the event's id.
    pub(super) id: u128,
    /// When the caller will have waited long enough, and what it is told then.
    pub(super) due: Option<(Instant, Outcome)>,
    /// How many fallbacks had been given when it was submitted.
    pub(super) fallbacks: u64,
    /// Room in the journal's buffer for the amendment that a passed deadline needs.
    pub(super) room: Reservation,
}

/// A decision as it may be answered.
#[derive(Debug)]
pub struct Settled {
    /// What is answered, in numbers.
    pub ruling: Ruling,
    /// Of the event's record.
    pub position: Position,
    /// The number of the rule set that it was decided by.
    pub rule_set: u32,
    /// When the event happened as recorded.
    pub when: When,
    /// Whether the record is durable. If not, the deadline has passed, and the ruling is the declared fallback.
    pub durable: bool,
}

/// What a submitted amendment gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Amended {
    /// Offset of the amendment's record.
    pub position: u64,
    /// Offset of the event's record; none where the amendment had been made before.
    pub event: Option<u64>,
}

/// The journal can write no more: what it holds from here on is lost with this process, so nothing is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the journal cannot be written any more: nothing is answered until the process has started again")]
pub struct Poisoned;

/// Why nothing was decided and nothing recorded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// An amount cannot be compared with others.
    #[error(transparent)]
    Incomparable(#[from] Incomparable),
    /// The id belongs to another event.
    #[error(
        "event id `{0}` was used within the last 24 hours with another body: send a new id for a new event"
    )]
    IdReused(String),
    /// The id belongs to another amendment.
    #[error(
        "amendment id `{0}` was used within the last 24 hours with another body: send a new id for a new amendment"
    )]
    AmendmentIdReused(String),
    /// An amendment or a recheck names an event that is not known.
    #[error(
        "event `{0}` is not known: it was never submitted, or too long ago to find without a journal (use `--data`)"
    )]
    EventUnknown(String),
    /// A recheck names a recheck.
    #[error("event `{0}` is a recheck itself: name the event that it decided again")]
    OfRecheck(String),
    /// A recheck is about somebody else than its original.
    #[error("the recheck of `{original}` has another `{field}` than the event itself: roles may not change")]
    RolesChanged {
        /// The event that it names.
        original: String,
        /// The field by which it is about somebody else, as it is sent.
        field: String,
    },
    /// A recheck is something else than its original.
    #[error("the recheck of `{0}` is of another type than the event itself: send its type")]
    TypeChanged(String),
    /// A recheck that asks for no decision.
    #[error("an event that rechecks `{0}` is there to be decided: submit it for a decision")]
    RecheckRecorded(String),
    /// The disk does not keep up.
    #[error("too much is waiting for the disk: send again in {} ms", retry_after.as_millis())]
    Overloaded {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// It is no repeat, and its caller wants only those answered.
    #[error("nothing new is taken now, only what was decided before is answered")]
    OnlyRepeats,
    /// What it speaks of is not in memory, and its caller does not want the journal read.
    #[error("the journal must be read for it")]
    InJournal,
    /// The disk failed.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
    /// The journal cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

impl Refused {
    /// Of a recheck in one of whose roles stands somebody else than in its original's; none if there is no such role.
    pub(super) fn of_other_roles(recheck: &Event, original: &Event, schema: &Schema) -> Option<Self> {
        let is_other = |at: usize| recheck.value(at) != original.value(at);
        let field = recheck.fields(schema).filter(|(at, _)| is_other(*at)).find_map(|(_, it)| {
            schema.field(it.field).filter(|field| matches!(field.ty, FieldType::Entity(_)))?;
            let Some(Derivation::Prefix { of, .. }) = it.derived else { return schema.field(it.field) };
            // What is derived is not sent, and the original's schema may not have derived it yet.
            let (source, _) = recheck.fields(schema).find(|(_, source)| source.field == of)?;
            schema.field(of).filter(|_| is_other(source))
        })?;
        let original = original.id.clone();
        Some(Self::RolesChanged { original, field: field.name.clone() })
    }
}

impl From<JournalError> for Refused {
    fn from(error: JournalError) -> Self {
        Self::Unreadable(error.to_string())
    }
}
