//! The way from the routes to the gate and its journal. The routes know nothing of either: what they may ask stands
//! here, and a change of the gate ends here.

use std::sync::Arc;

use engine::decision::{Decision, number_of_decision};
use engine::entity::EntityKey;
use engine::event::{Amendment, Event, FieldValue};
use engine::rule_set::RuleSet;
use engine::words::Ruling;
use parking_lot::Mutex;
use prost::Message as _;
use rules::schema::{KindId, Schema};
use rules::time::Micros;
use stream::gate::{Amended, Deadline, Gate, Poisoned, Refused, Settled, Ticket, Worker};
use stream::in_force::InForce;
use stream::journal::{JournalError, RecordKind};
use stream::record::{Amend, Decided, Stamp};

use crate::app::now;

/// Seats that are kept for the next request: more than there are threads, so that none is made anew.
const SEATS_MAX: usize = 256;
/// Newest records about an entity among which what became known of an event is looked for.
const RECORDS_LOOKED_AT: usize = 512;

/// The gate, with what its callers use again and again.
#[derive(Debug)]
pub struct Door {
    gate: Arc<Gate>,
    seats: Mutex<Vec<Seat>>,
    /// Buffers of those that were answered.
    used: Mutex<Vec<(Event, Ruling)>>,
}

/// What deciding one event needs: taken for a request, given back for the next. A decision runs to its end on the
/// thread that began it, so there are never more in use than threads, but for events that wait for the disk.
#[derive(Debug)]
pub struct Seat {
    worker: Worker,
    /// The event, to be filled by whoever reads the body.
    pub event: Event,
}

/// A decision, made and recorded.
#[derive(Debug)]
pub struct Answer {
    settled: Settled,
    /// The event.
    pub event: Event,
    /// The rule set that it was made by, which has its words.
    pub rules: Arc<RuleSet>,
}

impl Answer {
    /// In words.
    pub fn decision(&self) -> Decision<'_> {
        let Settled { ruling, time, durable, .. } = &self.settled;
        ruling.say(&self.rules, &self.event, *time, *durable)
    }
}

/// A decision or an event as the journal has it.
#[derive(Debug)]
pub struct Recorded {
    /// The record's offset.
    pub offset: u64,
    /// The engine clock that was sampled.
    pub clock: Micros,
    /// As it was sent.
    pub event: Event,
    /// Whether it was decided, or recorded only.
    pub decided: bool,
    /// What was decided.
    ruling: Ruling,
    /// By what.
    pub rules: Arc<RuleSet>,
}

impl Recorded {
    /// What was decided, in words.
    pub fn decision(&self) -> Decision<'_> {
        self.ruling.say(&self.rules, &self.event, self.event.time, true)
    }
}

/// Why a record cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It can, but this version does not understand what it says.
    #[error("the record at offset {0} cannot be read by this version")]
    Record(u64),
}

impl Door {
    /// In front of a gate.
    pub fn new(gate: Arc<Gate>) -> Self {
        Self { gate, seats: Mutex::default(), used: Mutex::default() }
    }

    /// The gate behind it.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// What is in force.
    pub fn in_force(&self) -> Arc<InForce> {
        self.gate.in_force()
    }

    /// The engine clock; none before the first event.
    pub fn clock(&self) -> Option<Micros> {
        self.gate.clock()
    }

    /// A seat for one request.
    pub fn seat(&self) -> Seat {
        let kept = self.seats.lock().pop();
        let mut seat =
            kept.unwrap_or_else(|| Seat { worker: self.gate.worker(Vec::new()), event: Event::default() });
        if let Some((event, ruling)) = self.used.lock().pop() {
            seat.event = event;
            seat.worker.reuse(ruling);
        }
        seat
    }

    /// Gives a seat back.
    pub fn leave(&self, seat: Seat) {
        let mut seats = self.seats.lock();
        if seats.len() < SEATS_MAX {
            seats.push(seat);
        }
    }

    /// Decides the event in the seat and records it. It is no answer yet.
    ///
    /// # Errors
    /// If nothing was decided, and nothing recorded.
    pub fn decide(&self, seat: &mut Seat, deadline: Deadline) -> Result<Ticket, Refused> {
        seat.worker.received_at = now();
        self.gate.submit(&seat.event, deadline, &mut seat.worker)
    }

    /// Records the event in the seat without a verdict.
    ///
    /// # Errors
    /// If it was not recorded.
    pub fn record(&self, seat: &mut Seat) -> Result<Ticket, Refused> {
        seat.worker.received_at = now();
        self.gate.record(&seat.event, &mut seat.worker)
    }

    /// Waits until a decision is durable, or its deadline has passed. The event is the ticket's.
    ///
    /// # Errors
    /// If the journal has failed.
    pub async fn settle(&self, ticket: Ticket, event: Event) -> Result<Answer, Poisoned> {
        let settled = self.gate.settle(ticket).await?;
        Ok(Answer { rules: self.rules_at(settled.rule_set), settled, event })
    }

    /// Takes back what the next request can use.
    pub fn done(&self, answer: Answer) {
        let mut used = self.used.lock();
        if used.len() < SEATS_MAX {
            used.push((answer.event, answer.settled.ruling));
        }
    }

    /// Sets a column of a past event. It is no answer yet.
    ///
    /// # Errors
    /// If nothing was recorded.
    pub fn amend(&self, amendment: &Amendment, seat: &mut Seat) -> Result<Amended, Refused> {
        seat.worker.received_at = now();
        self.gate.amend(amendment, None, &mut seat.worker)
    }

    /// Waits until a record is durable.
    ///
    /// # Errors
    /// If the journal has failed.
    pub async fn durable(&self, offset: u64) -> Result<(), Poisoned> {
        self.gate.durable(offset).await
    }

    /// Whether the journal has failed: then nothing is answered any more.
    pub fn poisoned(&self) -> bool {
        self.gate.journal().watch().borrow().poisoned
    }

    /// The words of a rule-set number; of what is in force where the number is not remembered.
    fn rules_at(&self, number: u32) -> Arc<RuleSet> {
        let known = self.gate.in_force_at(number).unwrap_or_else(|| self.gate.in_force());
        Arc::clone(&known.rules)
    }

    /// The newest durable record of an event's id.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn find(&self, event_id: &str) -> Result<Option<Recorded>, Unreadable> {
        match self.gate.find_event(event_id)? {
            Some(offset) => self.read(offset),
            None => Ok(None),
        }
    }

    /// The newest durable record of an event, by its decision's id or by its own.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn explained(&self, id: &str) -> Result<Option<Recorded>, Unreadable> {
        let decision = match number_of_decision(id) {
            Some(decision) => self.gate.journal().find_decision(decision)?,
            None => None,
        };
        match decision {
            Some(offset) => self.read(offset),
            None => self.find(id),
        }
    }

    /// The newest events that name an entity, newest first.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn about(&self, kind: KindId, id: &str, most: usize) -> Result<Vec<Recorded>, Unreadable> {
        let key = EntityKey::new(kind, self.gate.key().hash128(id));
        let mut offsets = Vec::new();
        self.gate.journal().about(key, u64::MAX, most, &mut offsets)?;
        offsets.into_iter().filter_map(|offset| self.read(offset).transpose()).collect()
    }

    /// What became known of a decision since, as far as its newest records tell; oldest first.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn amendments_of(&self, of: &Recorded) -> Result<Vec<Amendment>, Unreadable> {
        let schema = &of.rules.typed.schema;
        let Some((kind, id)) = first_entity(&of.event, schema) else { return Ok(Vec::new()) };
        let key = EntityKey::new(kind, self.gate.key().hash128(id));
        let (mut offsets, mut body, mut found) = (Vec::new(), Vec::new(), Vec::new());
        let journal = self.gate.journal();
        journal.about(key, u64::MAX, RECORDS_LOOKED_AT, &mut offsets)?;
        for offset in offsets.into_iter().rev().filter(|it| of.offset < *it) {
            if journal.read(offset, &mut body)? != Some(RecordKind::Amend) {
                continue;
            }
            let read = Stamp::split(&body).and_then(|(_, message)| Amend::decode(message).ok());
            let amend = read.ok_or(Unreadable::Record(offset))?;
            // A passed deadline names no event: the place says which.
            if amend.event_id == of.event.id || (amend.event_id.is_empty() && amend.position == of.offset) {
                found.extend(amend.amendment());
            }
        }
        Ok(found)
    }

    /// The event or decision at an offset; none if what stands there is something else.
    fn read(&self, offset: u64) -> Result<Option<Recorded>, Unreadable> {
        let mut body = Vec::new();
        match self.gate.journal().read(offset, &mut body)? {
            Some(kind @ (RecordKind::Decided | RecordKind::Event)) => {
                let read = recorded(offset, kind, &body, |number| self.rules_at(number));
                read.map(Some).ok_or(Unreadable::Record(offset))
            }
            _ => Ok(None),
        }
    }
}

/// Any entity that an event names, by which its records are found.
fn first_entity<'a>(event: &'a Event, schema: &Schema) -> Option<(KindId, &'a str)> {
    let declared = schema.events.get(event.event_type?.index())?;
    declared.fields.iter().enumerate().find_map(|(at, it)| {
        match (schema.role_kind(it.field), event.value(at)) {
            (Some(kind), FieldValue::Text(id)) => Some((kind, id)),
            _ => None,
        }
    })
}

/// A decided or recorded event from the body of its record.
pub(crate) fn recorded(
    offset: u64,
    kind: RecordKind,
    body: &[u8],
    rules_at: impl FnOnce(u32) -> Arc<RuleSet>,
) -> Option<Recorded> {
    let (stamp, message) = Stamp::split(body)?;
    let mut decided = Decided::default();
    decided.read(message).ok()?;
    let mut event = Event::default();
    decided.event(&mut event)?;
    let mut ruling = Ruling::default();
    decided.ruling(&mut ruling);
    let rules = rules_at(stamp.rule_set);
    Some(Recorded { offset, clock: stamp.clock, event, decided: kind == RecordKind::Decided, ruling, rules })
}
