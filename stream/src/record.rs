//! Records: what is written down of everything that changes the state, so that state and decisions can be derived again.
//!
//! A body is a [`Stamp`], then a protobuf message: [`Decided`], [`Amend`], [`RuleSetRecord`], [`ListRecord`],
//! [`RatesRecord`] or [`WarmRecord`]. Fields are added, never renumbered, and unknown ones are skipped. Lists of small
//! things are packed into one field each, so that a message used for record after record allocates nothing.

mod amend;
mod change;
mod decided;
mod row;
mod value;
pub(crate) mod write;

use engine::entity::EntityKey;
use prost::Message;
use rules::time::Micros;
use smallvec::SmallVec;

pub(crate) use amend::id_of_amendment;
pub use amend::{Amend, Cause};
pub use change::{Lacking, ListRecord, RatesRecord, RuleSetRecord, SEMANTICS, WarmRecord};
pub use decided::{Decided, Original};

/// What was sampled under the locks of a record's entities: what re-derivation takes from the record, and what may
/// differ between live and replay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// The engine clock, with the record's own event in it; `i64::MIN` before the first event.
    pub clock: Micros,
    /// Which rule set, rates and lists were in force; of a record that swaps one of them: those from here on.
    pub rule_set: u32,
}

impl Stamp {
    /// Of a stamp in a body.
    pub const BYTES: usize = 12;

    /// As it stands before the message.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (clock, rule_set) = bytes.split_at_mut(8);
        clock.copy_from_slice(&self.clock.to_le_bytes());
        rule_set.copy_from_slice(&self.rule_set.to_le_bytes());
        bytes
    }

    /// Writes a body over what the buffer holds.
    pub fn write(self, message: &impl Message, body: &mut Vec<u8>) {
        body.clear();
        body.extend_from_slice(&self.to_bytes());
        // A vector always has room.
        let _ = message.encode(body);
    }

    /// Takes a body apart; none if it is too short to be one.
    pub fn split(body: &[u8]) -> Option<(Self, &[u8])> {
        let (clock, rest) = body.split_first_chunk()?;
        let (rule_set, message) = rest.split_first_chunk()?;
        let stamp = Self { clock: Micros::from_le_bytes(*clock), rule_set: u32::from_le_bytes(*rule_set) };
        Some((stamp, message))
    }
}

/// Where an event stands in the histories of its entities.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RowPlace {
    /// When it stands there: its own time, or the edge of the allowed lateness.
    pub at: Micros,
    /// Of its record.
    pub position: u64,
    /// Its entities.
    pub entities: SmallVec<[EntityKey; 4]>,
}

#[cfg(test)]
mod tests;
