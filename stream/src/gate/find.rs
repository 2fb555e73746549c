//! Finding a past event and its place, by its id.

use engine::decide::Moment;

use super::{Gate, Place, REPEAT_FOR, Refused, Worker};
use crate::journal::RecordKind;
use crate::record::Stamp;

impl Gate {
    /// Finds the event of an id and its place: of a recheck, where its original stands. The event is left in
    /// `worker.original`, its message in `worker.message`.
    pub(super) fn find(&self, event_id: &str, worker: &mut Worker) -> Result<Place, Refused> {
        let id = self.key.hash128(event_id);
        let unknown = || Refused::EventUnknown(event_id.to_owned());
        let position = self.find_record(id, worker)?.ok_or_else(unknown)?;
        self.place_of_record(position, worker)?.ok_or_else(unknown)
    }

    /// Puts the newest record of an event's id into `worker.record` and gives its offset.
    pub(super) fn find_record(&self, id: u128, worker: &mut Worker) -> Result<Option<u64>, Refused> {
        // What lingers in the table beyond its time must not be found: nobody knows how long it will.
        let since = self.now().saturating_sub(REPEAT_FOR);
        if let Some(found) = self.recent.find(id, &mut worker.record).filter(|it| since < it.clock) {
            return Ok(Some(found.position));
        }
        let unreadable = |it: crate::journal::JournalError| Refused::Unreadable(it.to_string());
        let Some(offset) = self.journal.find(id).map_err(unreadable)? else { return Ok(None) };
        let kind = self.journal.read(offset, &mut worker.record).map_err(unreadable)?;
        Ok(kind.filter(|it| matches!(it, RecordKind::Decided | RecordKind::Event)).map(|_| offset))
    }

    /// The place of the event whose record is in `worker.record`; none if that is no record of an event.
    pub(super) fn place_of_record(
        &self,
        position: u64,
        worker: &mut Worker,
    ) -> Result<Option<Place>, Refused> {
        let Worker { in_force, scratch, message, record, original, .. } = worker;
        let Some((stamp, bytes)) = Stamp::split(record) else { return Ok(None) };
        if message.read(bytes).is_err() || message.event(original).is_none() {
            return Ok(None);
        }
        let then = self.current.of(stamp.rule_set);
        let rates = then.as_ref().map_or(&in_force.rates, |it| &it.rates);
        let schema = &in_force.rules.typed.schema;
        scratch.facts.load(original, schema, self.key, rates)?;
        let moment = Moment::of(original.time, stamp.clock, schema);
        let own = (moment.at, position);
        let (at, position) = message.original.map_or(own, |it| (it.at, it.position));
        let entities = scratch.facts.roles.entities.iter().copied().collect();
        Ok(Some(Place { at, position, entities }))
    }
}
