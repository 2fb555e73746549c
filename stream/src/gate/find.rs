//! Finding what was recorded before, by its id: repeats, and the events that amendments and rechecks speak of. First in
//! the table of recent ids, then in the journal. And what was in force, by its number.

use std::sync::Arc;

use engine::decide::Moment;
use engine::entity::EntityKey;
use prost::Message as _;
use rules::past::Outcome;
use rules::schema::KindId;
use rules::time::{HOUR, Micros};

use super::{Gate, REPEAT_FOR, Refused, Worker};
use crate::in_force::InForce;
use crate::journal::{JournalError, RecordKind};
use crate::record::{Amend, Cause, RatesRecord, RowPlace, RuleSetRecord, Stamp};
use crate::state::recent::{Asked, Seen};

/// Where in the journal repeats may be found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeats {
    /// Of records with a clock above this …
    since: Micros,
    /// … none stands below this offset.
    from: u64,
}

impl Repeats {
    /// Where they begin, if that need not be looked for again.
    fn lately(self, since: Micros) -> Option<u64> {
        (since.saturating_sub(self.since) < LOOK_AGAIN_AFTER).then_some(self.from)
    }
}

/// By the engine clock, how long it is not looked again from where on records may be repeats.
const LOOK_AGAIN_AFTER: Micros = HOUR;
/// The clock is sampled before a record has its offset: so many records, at most, may have overtaken it.
const OVERTAKEN_MAX: u64 = 4_096;
/// What records that put a rule set or rates in force name, as others name the entities that they are about: so they are
/// found. No kind has this number.
pub(super) const IN_FORCE: EntityKey = EntityKey::new(KindId(u16::MAX), 0);
/// Among so many newest changes it is looked for what was in force at a decision.
const CHANGES_MAX: usize = 10_000;

impl Gate {
    /// What is known of an id with this body, whose record would have this clock now. If it is a repeat, the bytes of its
    /// first record are in `worker.record`; of an amendment's there are none.
    pub(super) fn seen(
        &self,
        id: u128,
        digest: &[u8; 16],
        clock: Micros,
        worker: &mut Worker,
    ) -> Result<Seen<'_>, Refused> {
        let asked = Asked { id, digest, clock, now: self.now(), durable: self.journal.durable() };
        match self.recent.begin(asked, &mut worker.record) {
            Seen::New { certain: false, flight } => {
                Ok(self.seen_in_journal(asked, worker)?.unwrap_or(Seen::New { certain: true, flight }))
            }
            known => Ok(known),
        }
    }

    /// What the journal says of an id that is not in the table; none if it is new.
    fn seen_in_journal(
        &self,
        asked: Asked<'_>,
        worker: &mut Worker,
    ) -> Result<Option<Seen<'static>>, Refused> {
        let since = asked.now.saturating_sub(REPEAT_FOR);
        if !worker.reads_journal {
            // Mostly the filters in memory know.
            let is_new =
                self.known_repeats_from(since).is_some_and(|from| self.journal.surely_lacks(asked.id, from));
            return if is_new { Ok(None) } else { Err(Refused::InJournal) };
        }
        let from = self.repeats_from(since)?;
        let Some(Newest { position, kind }) = self.newest(asked.id, from, worker)? else { return Ok(None) };
        let recent = |stamp: &Stamp| asked.clock.saturating_sub(REPEAT_FOR) < stamp.clock;
        let Some((_, bytes)) = Stamp::split(&worker.found).filter(|(stamp, _)| recent(stamp)) else {
            return Ok(None);
        };
        let same = match kind {
            RecordKind::Amend => worker.amend.body_digest == asked.digest,
            _ => worker.message.read(bytes).is_ok() && worker.message.digest().as_ref() == Some(asked.digest),
        };
        std::mem::swap(&mut worker.record, &mut worker.found);
        Ok(Some(if same { Seen::Repeat { position, newest: position } } else { Seen::Reused }))
    }

    /// As of [`Gate::repeats_from`], if that was looked for lately and nobody is looking.
    fn known_repeats_from(&self, since: Micros) -> Option<u64> {
        (*self.repeats.try_lock()?)?.lately(since)
    }

    /// The offset below which no record's clock is above `since`.
    fn repeats_from(&self, since: Micros) -> Result<u64, JournalError> {
        let mut known = self.repeats.lock();
        if let Some(from) = known.and_then(|it| it.lately(since)) {
            return Ok(from);
        }
        let (mut low, mut high) = (known.map_or(0, |it| it.from), self.journal.durable());
        let mut record = Vec::new();
        while low < high {
            let middle = low + (high - low) / 2;
            // What was pruned is no repeat.
            let kept = self.journal.read(middle, &mut record)?.is_some();
            match kept && Stamp::split(&record).is_some_and(|(stamp, _)| since < stamp.clock) {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        let from = low.saturating_sub(OVERTAKEN_MAX);
        *known = Some(Repeats { since, from });
        Ok(from)
    }

    /// The offsets of the durable records of an id from an offset on, and what they are, newest first.
    fn newest_first(
        &self,
        id: u128,
        from: u64,
    ) -> impl Iterator<Item = Result<(u64, RecordKind), JournalError>> {
        let mut below = u64::MAX;
        std::iter::from_fn(move || {
            let found = self.journal.find(id, from..below).transpose();
            if let Some(Ok((offset, _))) = found {
                below = offset;
            }
            found
        })
    }

    /// Puts the newest durable record of an id that stands at an offset or behind it into `worker.found`: of an event as
    /// its caller was answered, with the fallback if that came first. An amendment is in `worker.amend` too.
    fn newest(&self, id: u128, from: u64, worker: &mut Worker) -> Result<Option<Newest>, JournalError> {
        let mut fallback = None;
        for found in self.newest_first(id, from) {
            let (position, kind) = found?;
            self.journal.read(position, &mut worker.found)?;
            if kind == RecordKind::Amend {
                if let Some((_, bytes)) = Stamp::split(&worker.found) {
                    worker.amend = Amend::decode(bytes).unwrap_or_default();
                }
                if worker.amend.cause() == Cause::Deadline {
                    fallback = worker.amend.outcome();
                    continue;
                }
            } else if let Some(outcome) = fallback {
                answered(outcome, worker);
            }
            return Ok(Some(Newest { position, kind }));
        }
        Ok(None)
    }

    /// The offset of the newest durable event with an id, decided or recorded.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn find_event(&self, event_id: &str) -> Result<Option<u64>, JournalError> {
        let mut found = self.newest_first(self.key.hash128(event_id), 0);
        let event = found.find(|it| it.as_ref().map_or(true, |(_, kind)| kind.is_event()));
        Ok(event.transpose()?.map(|(offset, _)| offset))
    }

    /// The fallback that the caller of the event at an offset has got because the deadline passed before that was durable;
    /// none if it got what was decided.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn fallback_given(&self, event_id: &str, offset: u64) -> Result<Option<Outcome>, JournalError> {
        let (mut given, mut record) = (None, Vec::new());
        for found in self.newest_first(self.key.hash128(event_id), offset.saturating_add(1)) {
            let (at, kind) = found?;
            if kind.is_event() {
                // The id was used again: what stands behind that is not this event's.
                given = None;
            } else if self.journal.read(at, &mut record)? == Some(RecordKind::Amend) {
                let amend = Stamp::split(&record).and_then(|(_, bytes)| Amend::decode(bytes).ok());
                let of_deadline = amend.filter(|it| it.cause() == Cause::Deadline);
                given = of_deadline.and_then(|it| it.outcome()).or(given);
            }
        }
        Ok(given)
    }

    /// The rule set and the rates that decided under a number, however long ago; the rule set knows the schema as it has
    /// grown since. None if its record is pruned, or was written by a version that did not index it.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn in_force_then(&self, number: u32) -> Result<Option<Arc<InForce>>, JournalError> {
        if let Some(known) = self.in_force_at(number) {
            return Ok(Some(known));
        }
        let (mut offsets, mut body, mut rates) = (Vec::new(), Vec::new(), None);
        self.journal.about(IN_FORCE, CHANGES_MAX, &mut offsets)?;
        for offset in offsets {
            let kind = self.journal.read(offset, &mut body)?;
            let Some((stamp, bytes)) = Stamp::split(&body).filter(|(stamp, _)| stamp.rule_set <= number)
            else {
                continue;
            };
            if kind == Some(RecordKind::Rates) {
                rates = rates.or(RatesRecord::decode(bytes).ok().map(|it| it.rates));
                continue;
            }
            let Ok(RuleSetRecord { mut bundle, .. }) = RuleSetRecord::decode(bytes) else { return Ok(None) };
            bundle.rates = rates.or(bundle.rates);
            let kept = &self.in_force().kept;
            return Ok(InForce::keeping(stamp.rule_set, Arc::new(bundle), self.key, kept).ok().map(Arc::new));
        }
        Ok(None)
    }

    /// Finds the event of an id and its place: of a recheck, where its original stands. The event is left in
    /// `worker.original`, its message in `worker.message`.
    pub(super) fn find(&self, event_id: &str, worker: &mut Worker) -> Result<RowPlace, Refused> {
        let id = self.key.hash128(event_id);
        let unknown = || Refused::EventUnknown(event_id.to_owned());
        let position = self.find_record(id, worker)?.ok_or_else(unknown)?;
        self.place_of_record(position, worker).ok_or_else(unknown)
    }

    /// Puts the newest record of an event's id into `worker.record` and gives its offset.
    pub(super) fn find_record(&self, id: u128, worker: &mut Worker) -> Result<Option<u64>, Refused> {
        // Without a journal, what lingers in the table beyond its time must not be found: nobody knows how long it will.
        let keeps_all = self.admission.is_some();
        let since = if keeps_all { Micros::MIN } else { self.now().saturating_sub(REPEAT_FOR) };
        if let Some(found) = self.recent.find(id, &mut worker.record).filter(|it| since < it.clock)
            && !worker.record.is_empty()
        {
            return Ok(Some(found.position));
        }
        worker.may_read()?;
        let newest = self.newest(id, 0, worker)?.filter(|it| it.kind.is_event());
        if newest.is_none() {
            worker.found.clear();
        }
        std::mem::swap(&mut worker.record, &mut worker.found);
        Ok(newest.map(|it| it.position))
    }

    /// The place of the event whose record is in `worker.record`; none if that is no record of an event.
    pub(super) fn place_of_record(&self, position: u64, worker: &mut Worker) -> Option<RowPlace> {
        // The event may be of a schema that the worker has not heard of yet.
        self.in_force_with(worker);
        let Worker { in_force, scratch, message, record, original, .. } = worker;
        let (stamp, bytes) = Stamp::split(record)?;
        message.read(bytes).ok()?;
        message.event(original)?;
        let (rules, roles) = (&*in_force.rules, &mut scratch.facts.roles);
        roles.load(original, rules);
        let moment = Moment::of(original.time, stamp.clock, &rules.typed.schema);
        let own = (moment.at, position);
        let (at, position) = message.original.map_or(own, |it| (it.at, it.position));
        Some(RowPlace { at, position, entities: roles.entities.iter().copied().collect() })
    }
}

impl Worker {
    /// Looks whether the journal may be read.
    pub(super) fn may_read(&self) -> Result<(), Refused> {
        if self.reads_journal { Ok(()) } else { Err(Refused::InJournal) }
    }
}

/// The newest record of an id.
struct Newest {
    position: u64,
    kind: RecordKind,
}

/// Makes the record of a decision in `worker.found` what its caller was answered: the fallback.
fn answered(outcome: Outcome, worker: &mut Worker) {
    let Worker { message, found, .. } = worker;
    if let Some((stamp, bytes)) = Stamp::split(found)
        && message.read(bytes).is_ok()
    {
        message.fall_back(outcome);
        stamp.write(message, found);
    }
}
