//! Admission: what would wait too long for the disk is refused before it takes a lock, and whoever is let in has its
//! room in the journal's buffer. So nobody waits for a disk under a lock.

use std::time::{Duration, Instant};

use engine::event::Event;
use engine::rule_set::RuleSet;
use engine::words::policy_of;
use rules::past::Outcome;

use super::{Deadline, Gate, Poisoned, Refused, Worker};
use crate::journal::Reservation;
use crate::record::Stamp;

/// How much may wait for the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Admission {
    /// The longest wait for the disk that an event may expect; none = half its deadline, and without one
    /// [`QUEUE_MAX`].
    pub queue_max: Option<Duration>,
}

/// The longest wait of an event that has no deadline.
const QUEUE_MAX: Duration = Duration::from_secs(1);
/// Room for an amendment: ids of at most 128 bytes, a place, a few words.
const AMEND_BYTES_MAX: usize = 1_024;
/// Bytes of a message beside its event, its values and its hits.
const FRAME_BYTES: usize = 256;
/// Bytes of one value under its definition's hash, of a recorded feature, and of a hit, an alert or an action.
const CAPTURED_BYTES: usize = 33;
const FEATURE_BYTES: usize = 19;
const EFFECT_BYTES: usize = 16;
/// Bytes of a field beside its text.
const FIELD_BYTES: usize = 12;

impl Deadline {
    /// When an event must be answered, and the declared fallback: a challenge where none is declared.
    pub(super) fn due(self, rules: &RuleSet, event: &Event) -> Option<(Instant, Outcome)> {
        let declared = || policy_of(rules, event).and_then(|policy| policy.deadline);
        match self {
            Self::Never => None,
            Self::Policy { since } => {
                let (span, outcome) = declared()?;
                Some((since + Duration::from_micros(span.try_into().unwrap_or(0)), outcome))
            }
            Self::By(at) => Some((at, declared().map_or(Outcome::Challenge, |(_, outcome)| outcome))),
        }
    }
}

impl Gate {
    /// Lets an event in, with room for its record and for the amendment that a passed deadline needs.
    pub(super) fn admit(
        &self,
        event: &Event,
        due: Option<(Instant, Outcome)>,
        worker: &Worker,
    ) -> Result<Reservation, Refused> {
        let Some(admission) = self.admission else { return Ok(Reservation::unbounded()) };
        self.not_poisoned()?;
        if worker.only_repeats {
            return Err(Refused::OnlyRepeats);
        }
        let wait = self.journal.load().wait;
        let left = due.map(|(at, _)| at.saturating_duration_since(Instant::now()));
        // Whoever is late already gets the fallback and waits for nothing.
        let half = left.filter(|left| !left.is_zero()).map(|left| left / 2);
        if admission.queue_max.or(half).unwrap_or(QUEUE_MAX) < wait {
            return Err(Refused::Overloaded { retry_after: wait });
        }
        let records = if due.is_some() { 2 } else { 1 };
        let bytes = record_bytes_max(event, &worker.in_force.rules).max(AMEND_BYTES_MAX);
        self.journal.reserve(records, bytes).map_err(|_| Refused::Overloaded { retry_after: wait.max(RETRY) })
    }

    /// Lets a small record of no event in.
    pub(super) fn admit_one(&self) -> Result<Reservation, Refused> {
        if self.admission.is_none() {
            return Ok(Reservation::unbounded());
        }
        self.not_poisoned()?;
        let full = |_| Refused::Overloaded { retry_after: self.journal.load().wait.max(RETRY) };
        self.journal.reserve(1, AMEND_BYTES_MAX).map_err(full)
    }

    fn not_poisoned(&self) -> Result<(), Poisoned> {
        if self.progress.borrow().poisoned { Err(Poisoned) } else { Ok(()) }
    }
}

/// When to try again where nothing is known of how fast the disk is.
const RETRY: Duration = Duration::from_millis(100);

/// The most bytes that the record of an event may have.
fn record_bytes_max(event: &Event, rules: &RuleSet) -> usize {
    let typed = &rules.typed;
    Stamp::BYTES
        + FRAME_BYTES
        + event.text_bytes()
        + event.len() * FIELD_BYTES
        + rules.plan.captured.len() * CAPTURED_BYTES
        + typed.features.len() * FEATURE_BYTES
        + typed.rules.len() * 3 * EFFECT_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Amend;
    use prost::Message as _;

    /// With the longest ids, sixteen entities, and the longest kind of fraud that intake takes.
    #[test]
    fn an_amendment_has_room() {
        let amend = Amend {
            id: "a".repeat(128),
            event_id: "e".repeat(128),
            time: i64::MIN,
            time_given: true,
            column: 4,
            value: 6,
            label_kind: Some("k".repeat(128)),
            body_digest: vec![1; 16],
            cause: 1,
            at: i64::MIN,
            position: u64::MAX,
            kinds: vec![u32::from(u16::MAX); 16],
            hashes: vec![255; 256],
        };
        assert!(Stamp::BYTES + amend.encoded_len() <= AMEND_BYTES_MAX);
    }
}
