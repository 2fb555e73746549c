//! Amendments: what became known later about an event, under the locks of its entities.

use std::convert::Infallible;

use engine::event::{Amendment, Change};
use rules::time::Micros;

use super::{Amended, Gate, Refused, Worker};
use crate::journal::{Entry, RecordKind};
use crate::record::{RowPlace, Stamp, id_of_amendment};
use crate::state::apply;
use crate::state::recent::{Remembered, Seen};

impl Gate {
    /// Sets a column of a past event. `place` is where the event stands, if the caller knows; otherwise its record is
    /// looked for. It is answered when the journal's durable position has passed the amendment's.
    ///
    /// # Errors
    /// If the event is not known, or the amendment's id is another amendment's.
    pub fn amend(
        &self,
        amendment: &Amendment,
        place: Option<&RowPlace>,
        worker: &mut Worker,
    ) -> Result<Amended, Refused> {
        let id = id_of_amendment(self.key, &amendment.id);
        let digest = amendment.digest(self.key);
        // It moves no clock.
        match self.seen(id, &digest, self.now(), worker)? {
            Seen::Reused => Err(Refused::AmendmentIdReused(amendment.id.clone())),
            Seen::Repeat { position, .. } => Ok(Amended { position, event: None }),
            Seen::New { flight, .. } => {
                let (clock, amended) = self.amend_new(amendment, place, (id, &digest), worker)?;
                flight.land(Remembered::of(id, digest, clock, amended.position, &[]), self.journal.durable());
                Ok(amended)
            }
        }
    }

    fn amend_new(
        &self,
        amendment: &Amendment,
        place: Option<&RowPlace>,
        (id, digest): (u128, &[u8; 16]),
        worker: &mut Worker,
    ) -> Result<(Micros, Amended), Refused> {
        let place = match place {
            Some(place) => place.clone(),
            None => self.find(&amendment.event_id, worker)?,
        };
        let mut room = self.admit_one()?;
        worker.amend.set(amendment, digest, &place);
        let (clock, position) = self.amend_at(&place, &amendment.change, Some(id), worker);
        room.spend();
        Ok((clock, Amended { position, event: Some(place.position) }))
    }

    /// Records the amendment in `worker.amend` and applies it; gives its clock and its offset.
    pub(super) fn amend_at(
        &self,
        place: &RowPlace,
        change: &Change,
        id: Option<u128>,
        worker: &mut Worker,
    ) -> (Micros, u64) {
        let lock = |worker: &mut Worker| {
            let Worker { in_force, directory, locks, .. } = worker;
            let rules = &*in_force.rules;
            directory.lock(&rules.plan.stateful(&place.entities), rules, locks);
            Ok(())
        };
        let Ok(changed) = self.change_locked::<_, Infallible>(worker, lock, |worker| {
            let Worker { in_force, scratch, locks, amend, record, received_at, .. } = worker;
            let clock = self.now();
            Stamp { clock, rule_set: in_force.number }.write(amend, record);
            let entities = &place.entities;
            let entry =
                Entry { kind: RecordKind::Amend, body: record, id, entities, received_at: *received_at };
            let offset = self.journal.append(&entry);
            apply::amendment(&in_force.rules, place, change, offset, locks, scratch);
            (clock, offset)
        });
        changed
    }
}
