//! An event's way through the gate: looked up, let in, locked, decided, recorded, applied, and on its way out.

use std::sync::atomic::Ordering;
use std::time::Instant;

use engine::apply::Applied;
use engine::decide::{self, Case, Moment};
use engine::decision::Fallback;
use engine::event::{Event, FieldValue};
use engine::history::Key;
use engine::position::Position;
use engine::words::When;
use rules::past::Outcome;
use rules::schema::{Derivation, Schema};
use rules::time::Micros;
use smallvec::SmallVec;

use super::{Deadline, Gate, Refused, Ticket, Worker};
use crate::journal::{Entry, RecordKind, Reservation};
use crate::record::write::{self, Ending};
use crate::record::{Original, RowPlace, Stamp};
use crate::state::apply;
use crate::state::recent::{Flight, Remembered, Seen};

/// What is wanted of an event.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// A decision.
    Decide,
    /// No decision any more: the deadline has passed, and this is the outcome.
    FallBack(Outcome),
    /// To be recorded without a verdict.
    Record,
}

impl Way {
    /// What its record is.
    fn kind(self) -> RecordKind {
        match self {
            Self::Decide | Self::FallBack(_) => RecordKind::Decided,
            Self::Record => RecordKind::Event,
        }
    }
}

/// An event on its way in.
#[derive(Clone, Copy, Debug)]
struct Incoming<'a> {
    event: &'a Event,
    /// The hash of its id.
    id: u128,
    /// Of its body as received.
    digest: &'a [u8; 16],
    way: Way,
    /// Until when it must be answered.
    deadline: Deadline,
    /// How many fallbacks had been given before.
    fallbacks: u64,
}

impl Gate {
    /// Takes an event if its id is new.
    pub(super) fn once(
        &self,
        event: &Event,
        way: Way,
        deadline: Deadline,
        worker: &mut Worker,
    ) -> Result<Ticket, Refused> {
        let id = self.key.hash128(&event.id);
        self.in_force_with(worker);
        let schema = &worker.in_force.rules.typed.schema;
        let digest = write::begin_new(event, schema, self.key, &mut worker.record);
        // Before it is known what the event's other callers get.
        let fallbacks = self.fallbacks.load(Ordering::SeqCst);
        let incoming = Incoming { event, id, digest: &digest, way, deadline, fallbacks };
        // With this event in it, as its record will have it: an id of long ago is a new one, whoever came in between.
        let clock = self.now().max(event.time);
        match self.seen(id, &digest, clock, worker)? {
            Seen::Repeat { position, newest } => {
                if worker.record.is_empty() {
                    let found = self.find_record(id, worker)?;
                    let gone = || Refused::Unreadable(format!("the record of event `{}` is gone", event.id));
                    found.ok_or_else(gone)?;
                }
                let mut ticket = self.repeat(incoming, position, newest, worker);
                // A record that was pruned is as its decision was made: what its caller got instead may stand behind it.
                if position < self.journal.oldest() {
                    worker.may_read()?;
                    let instead = self.fallback_given(&event.id, position)?;
                    instead.into_iter().for_each(|outcome| ticket.ruling.fall_back(outcome));
                }
                Ok(ticket)
            }
            Seen::Reused => Err(Refused::IdReused(event.id.clone())),
            Seen::New { flight, .. } => match &event.recheck_of {
                None => self.take(incoming, None, flight, worker),
                Some(original) => self.recheck(incoming, original, flight, worker),
            },
        }
    }

    /// The decision of an id that was decided before, whose record is in the worker.
    fn repeat(&self, incoming: Incoming<'_>, position: u64, newest: u64, worker: &mut Worker) -> Ticket {
        let Incoming { event, id, deadline, fallbacks, .. } = incoming;
        let mut ruling = std::mem::take(&mut worker.scratch.ruling);
        ruling.clear();
        let (mut rule_set, mut when) = (worker.in_force.number, When { time: event.time, at: event.time });
        if let Some((stamp, first)) = Stamp::split(&worker.record)
            && worker.message.read(first).is_ok()
        {
            worker.message.ruling(&mut ruling);
            if event.recheck_of.is_some() {
                worker.message.event(&mut worker.original);
            }
            let (time, schema) = (worker.message.time(), &worker.in_force.rules.typed.schema);
            (rule_set, when) = (stamp.rule_set, When { time, at: Moment::of(time, stamp.clock, schema).at });
        }
        ruling.flags.repeated = true;
        let due = deadline.due(&worker.in_force.rules, event);
        let position = Position { partition: 0, offset: position };
        let room = Reservation::unbounded();
        Ticket {
            position,
            newest,
            ruling,
            rule_set,
            place: RowPlace::default(),
            when,
            id,
            due,
            fallbacks,
            room,
        }
    }

    /// Decides an event again, with the fields that the recheck changes.
    fn recheck(
        &self,
        incoming: Incoming<'_>,
        original: &str,
        flight: Flight<'_>,
        worker: &mut Worker,
    ) -> Result<Ticket, Refused> {
        let place = self.find(original, worker)?;
        if worker.original.recheck_of.is_some() {
            return Err(Refused::OfRecheck(original.to_owned()));
        }
        if worker.original.event_type != incoming.event.event_type {
            return Err(Refused::TypeChanged(original.to_owned()));
        }
        let mut merged = incoming.event.clone();
        merged.fill_from(&worker.original);
        let schema = &worker.in_force.rules.typed.schema;
        forget_stale(&mut merged, incoming.event, schema);
        if let Some(refused) = Refused::of_other_roles(&merged, &worker.original, schema) {
            return Err(refused);
        }
        self.take(Incoming { event: &merged, ..incoming }, Some(&place), flight, worker)
    }

    /// Takes an event whose id is new, and remembers it; a recheck, against the state without `original`.
    fn take(
        &self,
        mut incoming: Incoming<'_>,
        original: Option<&RowPlace>,
        flight: Flight<'_>,
        worker: &mut Worker,
    ) -> Result<Ticket, Refused> {
        self.in_force_with(worker);
        let due = incoming.deadline.due(&worker.in_force.rules, incoming.event);
        if let (Way::Decide, Some((at, outcome))) = (incoming.way, due)
            && at <= Instant::now()
        {
            incoming.way = Way::FallBack(outcome);
        }
        let mut room = self.admit(incoming.event, due, worker)?;
        let lock = |worker: &mut Worker| lock(incoming.event, worker);
        let decide = |worker: &mut Worker| self.decide(incoming, original, worker);
        let (clock, offset, at) = self.change_locked(worker, lock, decide)?;
        room.spend();
        let Incoming { event, id, digest, way, fallbacks, .. } = incoming;
        flight.land(Remembered::of(id, *digest, clock, offset, &worker.record), self.journal.durable());
        // A ticket is large: it is made where it goes.
        Ok(Ticket {
            position: Position { partition: 0, offset },
            newest: offset,
            ruling: std::mem::take(&mut worker.scratch.ruling),
            rule_set: worker.in_force.number,
            place: original.cloned().unwrap_or_else(|| {
                let entities = SmallVec::from_slice(&worker.scratch.facts.roles.entities);
                RowPlace { at, position: offset, entities }
            }),
            when: When { time: event.time, at },
            id,
            // What was a fallback from the beginning has no deadline to miss.
            due: due.filter(|_| matches!(way, Way::Decide)),
            fallbacks,
            room,
        })
    }

    /// Decides an event whose entities are locked, records and applies it. Gives the clock, the record's offset, and when the
    /// event stands in the windows.
    fn decide(
        &self,
        incoming: Incoming<'_>,
        original: Option<&RowPlace>,
        worker: &mut Worker,
    ) -> (Micros, u64, Micros) {
        let Incoming { event, way, .. } = incoming;
        decide::prefetch(&worker.locks.guards);
        // With this event in it: what is late is the same, and an event at rest for long is no less a repeat.
        let clock = self.clock.fetch_max(event.time, Ordering::AcqRel).max(event.time);
        let moment = Moment::of(event.time, clock, &worker.in_force.rules.typed.schema);
        let exclude = original.map(|it| Key::new(it.at, it.position));
        let stands = apply::stands(way.kind(), moment.flags);
        worker.observed.clear();
        let Worker { in_force, scratch, locks, .. } = &mut *worker;
        let case = Case { rules: &in_force.rules, event, moment, exclude };
        scratch.captured.clear();
        if stands {
            decide::capture(case, &mut locks.guards, scratch);
        }
        match way {
            Way::Decide => {
                decide::decide(case, &mut locks.guards, scratch);
                worker.observe(event, moment, exclude);
            }
            Way::FallBack(outcome) => {
                scratch.ruling.undecided(outcome, Some(Fallback::Deadline), moment.flags);
            }
            Way::Record => scratch.ruling.undecided(Outcome::None, None, moment.flags),
        }
        #[cfg(feature = "test-support")]
        self.release(worker);
        let offset = self.write(incoming, original, clock, worker);
        let applied = Applied { position: offset, at: moment.at, clock };
        let Worker { in_force, scratch, locks, .. } = &mut *worker;
        if stands {
            apply::event(&in_force.rules, applied, exclude, &mut locks.guards, scratch);
        }
        #[cfg(feature = "test-support")]
        self.apply_released(applied, exclude, worker);
        (clock, offset, moment.at)
    }

    /// Ends the record of an event, which was begun in `worker.record`; gives its offset.
    fn write(
        &self,
        incoming: Incoming<'_>,
        original: Option<&RowPlace>,
        clock: Micros,
        worker: &mut Worker,
    ) -> u64 {
        let Worker { in_force, scratch, record, received_at, .. } = worker;
        if original.is_some() {
            // A recheck is recorded with what it did not change.
            write::begin(incoming.event, record);
        }
        let ending = Ending {
            stamp: Stamp { clock, rule_set: in_force.number },
            event: incoming.event,
            rules: &in_force.rules.typed,
            captured: &scratch.captured,
            ruling: &scratch.ruling,
            original: original.map(|it| Original { at: it.at, position: it.position }),
            digest: incoming.digest,
        };
        ending.write(record);
        self.journal.append(&Entry {
            kind: incoming.way.kind(),
            body: record,
            id: Some(incoming.id),
            entities: &scratch.facts.roles.entities,
            received_at: *received_at,
        })
    }
}

/// Locks the entities of an event, which is loaded under what the worker takes to be in force.
fn lock(event: &Event, worker: &mut Worker) -> Result<(), Refused> {
    let Worker { in_force, directory, scratch, locks, ahead, .. } = worker;
    let rules = &*in_force.rules;
    scratch.facts.load(event, rules, &in_force.rates)?;
    let stateful = &scratch.facts.roles.stateful;
    let near = ahead.near(stateful);
    directory.lock_near(stateful, near, rules, locks);
    Ok(())
}

/// Takes out of a recheck what its original computed from a field that the recheck itself has.
fn forget_stale(merged: &mut Event, recheck: &Event, schema: &Schema) {
    let declared = recheck.event_type.and_then(|it| schema.event(it));
    let fields = declared.map_or(&[][..], |it| &it.fields);
    for (at, field) in fields.iter().enumerate() {
        let Some(Derivation::Prefix { of, .. }) = field.derived else { continue };
        let source = fields.iter().position(|it| it.field == of);
        let has = |at: usize| recheck.value(at) != FieldValue::Missing;
        if source.is_some_and(has) && !has(at) {
            merged.unset(at);
        }
    }
}
