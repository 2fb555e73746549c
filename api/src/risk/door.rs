//! The way from the routes to the gate and its journal. No route has either: what they may ask stands here, and a change of
//! the gate ends here.

mod state;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use engine::decide::Moment;
use engine::decision::{Decision, number_of_decision};
use engine::event::{Amendment, Event};
use engine::rates::Rates;
use engine::rule_set::RuleSet;
use engine::words::{Ruling, When};
use parking_lot::Mutex;
use prost::Message as _;
use rules::program::EffectRef;
use rules::schema::KindId;
use rules::time::Micros;
use stream::gate::{Amended, Deadline, Gate, Poisoned, Refused, Settled, Ticket, Worker};
use stream::in_force::InForce;
use stream::intake::{self, JsonError};
use stream::journal::{Cursor, JournalError, Progress, RecordKind};
use stream::record::{Amend, Cause, Decided, Stamp};
use thread_local::ThreadLocal;
use tokio::sync::watch;

use crate::clock::now;

/// Buffers that a seat keeps for the next requests: as many as wait for the disk at once, mostly.
const USED_MAX: usize = 256;
/// Of what was in force formerly, how much is kept ready.
const FORMER_MAX: usize = 64;
/// How many of an entity's newest records are searched for its events, or for what became of one; tried in turn.
const RECORDS_LOOKED_AT: [usize; 3] = [512, 4_096, 32_768];

/// The gate, with what its callers use again and again.
#[derive(Debug)]
pub(crate) struct Door {
    gate: Arc<Gate>,
    /// One of each thread, so that what it touches at every decision stays in its processor's cache.
    seats: ThreadLocal<RefCell<Option<Box<Seat>>>>,
    /// What was in force at records that were looked at, by number: of those that the gate has forgotten; none where nobody
    /// knows it any more.
    former: Mutex<BTreeMap<u32, Option<Arc<InForce>>>>,
}

/// What deciding an event needs: used by one request after the other, each until it waits for the disk.
#[derive(Debug)]
pub(crate) struct Seat {
    worker: Worker,
    /// Buffers of those that were answered.
    used: Vec<(Event, Ruling)>,
    /// The event that was read into it.
    pub(crate) event: Event,
}

/// What may be read for what is done in a seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reads {
    /// What is in memory: a thread that others wait for.
    Memory,
    /// The journal too.
    Journal,
}

impl Seat {
    /// Says whether of what is decided next only repeats are answered.
    pub(crate) fn set_only_repeats(&mut self, only: bool) {
        self.worker.only_repeats = only;
    }
}

/// A decision, made and recorded.
#[derive(Debug)]
pub(crate) struct Answer {
    settled: Settled,
    /// The event.
    pub(crate) event: Event,
    /// The rule set that it was made by, which has its words.
    pub(crate) rules: Arc<RuleSet>,
}

impl Answer {
    /// In words.
    pub(crate) fn decision(&self) -> Decision<'_> {
        let Settled { ruling, when, durable, .. } = &self.settled;
        ruling.say(&self.rules, &self.event, *when, *durable)
    }
}

/// A decision or an event as the journal has it.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// The record's offset.
    pub(crate) offset: u64,
    /// The engine clock that was sampled.
    pub(crate) clock: Micros,
    /// As it was sent.
    pub(crate) event: Event,
    /// Whether it was decided, or recorded only.
    pub(crate) decided: bool,
    /// Of a recheck: the offset of its original's record.
    original: Option<u64>,
    /// What was decided.
    ruling: Ruling,
    /// The number of what was in force.
    in_force: u32,
    /// By what it was decided; what is in force, for the schema's words, where nobody knows that any more.
    pub(crate) rules: Arc<RuleSet>,
    /// Whether somebody does.
    pub(crate) rules_known: bool,
}

impl Recorded {
    /// What was decided, in words; without names where nobody knows the rule set any more.
    pub(crate) fn decision(&self) -> Decision<'_> {
        let time = self.event.time;
        let when = When { time, at: Moment::of(time, self.clock, &self.rules.typed.schema).at };
        let said = self.ruling.say(&self.rules, &self.event, when, true);
        if self.rules_known {
            said
        } else {
            Decision { rule_set: "", valid_until: None, factors_any_of: &[], ..said }
        }
    }
}

/// Takes out what has a name only in the rule set that decided: under another one the numbers would name something else.
/// Alerts stay, raised by nobody knows whom.
fn nameless(ruling: &mut Ruling) {
    let Ruling { verdict, recorded, .. } = ruling;
    recorded.clear();
    verdict.hits.clear();
    verdict.actions.clear();
    verdict.factors = None;
    verdict.alerts.iter_mut().for_each(|it| it.effect = EffectRef::Policy(0, 0, 0));
}

/// What became of an event.
#[derive(Debug, Default)]
pub(crate) struct Aftermath {
    /// What became known of it, oldest first, each with why.
    pub(crate) amendments: Vec<(Amendment, Cause)>,
    /// Its rechecks, oldest first.
    pub(crate) rechecks: Vec<Recorded>,
    /// Whether this is all; otherwise only what is among the newest records about its entities.
    pub(crate) complete: bool,
}

/// Why a record cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It can, but this version does not understand what it says.
    #[error("the record at offset {0} cannot be read by this version")]
    Record(u64),
}

impl Door {
    /// In front of a gate.
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self { gate, seats: ThreadLocal::new(), former: Mutex::default() }
    }

    /// What is in force.
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        self.gate.in_force()
    }

    /// The engine clock; none before the first event.
    pub(crate) fn clock(&self) -> Option<Micros> {
        self.gate.clock()
    }

    /// Does something in the seat of this thread, which may read the journal or not. Nothing can be awaited there, and a
    /// panic takes the seat along.
    pub(super) fn seated<T>(&self, reads: Reads, work: impl FnOnce(&mut Seat) -> T) -> T {
        let own = self.seats.get_or_default();
        let mut seat = own.take().unwrap_or_else(|| {
            let worker = self.gate.worker(Vec::new());
            Box::new(Seat { worker, used: Vec::new(), event: Event::default() })
        });
        if let Some((event, ruling)) = seat.used.pop() {
            seat.event = event;
            seat.worker.reuse(ruling);
        }
        seat.worker.reads_journal = reads == Reads::Journal;
        let done = work(&mut seat);
        own.replace(Some(seat));
        done
    }

    /// Reads an event into the seat, in the words of what is in force. Gives when it was received, which is now.
    ///
    /// # Errors
    /// If the text is none; what is in the seat then is of no use.
    pub(crate) fn receive(&self, text: &[u8], seat: &mut Seat) -> Result<Micros, JsonError> {
        let in_force = self.gate.in_force_with(&mut seat.worker);
        intake::parse_event(text, &in_force.rules.typed.schema, &mut seat.event)?;
        seat.worker.received_at = now();
        Ok(seat.worker.received_at)
    }

    /// Decides the event in the seat and records it; a recheck is then whole there. It is no answer yet.
    ///
    /// # Errors
    /// If nothing was decided, and nothing recorded.
    pub(crate) fn decide(&self, seat: &mut Seat, deadline: Deadline) -> Result<Ticket, Refused> {
        let Seat { worker, event, .. } = seat;
        let ticket = self.gate.submit(event, deadline, worker)?;
        worker.complete(event);
        Ok(ticket)
    }

    /// Records the event in the seat without a verdict.
    ///
    /// # Errors
    /// If it was not recorded.
    pub(crate) fn record(&self, seat: &mut Seat) -> Result<Ticket, Refused> {
        self.gate.record(&seat.event, &mut seat.worker)
    }

    /// Waits until a decision is durable, or its deadline has passed. The event is the ticket's.
    ///
    /// # Errors
    /// If the journal has failed.
    pub(crate) fn settle(
        &self,
        ticket: Ticket,
        event: Event,
    ) -> impl Future<Output = Result<Answer, Poisoned>> + Send + use<'_> {
        let settled = self.gate.settle(ticket);
        async move {
            let settled = settled.await?;
            // What decided a moment ago, or a repeat's first, is known.
            let (rules, _) = self.rules_at(settled.rule_set);
            Ok(Answer { rules, settled, event })
        }
    }

    /// Takes back what the next request can use.
    pub(crate) fn done(&self, answer: Answer) {
        if let Some(seat) = &mut *self.seats.get_or_default().borrow_mut()
            && seat.used.len() < USED_MAX
        {
            seat.used.push((answer.event, answer.settled.ruling));
        }
    }

    /// Sets a column of a past event. It is no answer yet.
    ///
    /// # Errors
    /// If nothing was recorded.
    pub(crate) fn amend(&self, amendment: &Amendment, seat: &mut Seat) -> Result<Amended, Refused> {
        seat.worker.received_at = now();
        self.gate.amend(amendment, None, &mut seat.worker)
    }

    /// Waits until a record is durable.
    ///
    /// # Errors
    /// If the journal has failed.
    pub(crate) async fn durable(&self, offset: u64) -> Result<(), Poisoned> {
        self.gate.durable(offset).await
    }

    /// Whether the journal has failed: then nothing is answered any more.
    pub(crate) fn poisoned(&self) -> bool {
        self.progress().borrow().poisoned
    }

    /// How far the journal is durable.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.gate.journal().watch()
    }

    /// How many records wait for the disk.
    pub(crate) fn records_ahead(&self) -> u64 {
        self.gate.journal().load().records_ahead
    }

    /// The offset of the newest record, durable or not; 0 where there is none.
    pub(crate) fn last_record(&self) -> u64 {
        self.gate.journal().next().saturating_sub(1)
    }

    /// Whether an offset is that of a record, or of one that was dropped since.
    pub(crate) fn is_recorded(&self, offset: u64) -> bool {
        offset < self.gate.journal().next()
    }

    /// Walks over the durable records from an offset on, or from the oldest that is kept if that is greater.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub(crate) fn records_from(&self, offset: u64) -> Result<Box<dyn Cursor>, JournalError> {
        self.gate.journal().cursor(offset)
    }

    /// The words of a rule-set number, and whether they are: they are those of what is in force where nobody knows it any
    /// more.
    fn rules_at(&self, number: u32) -> (Arc<RuleSet>, bool) {
        let known = self.in_force_at(number);
        let is_known = known.is_some();
        (Arc::clone(&known.unwrap_or_else(|| self.gate.in_force()).rules), is_known)
    }

    /// The rates by which the amounts of an event were converted; none where nobody knows them any more.
    pub(crate) fn rates_of(&self, of: &Recorded) -> Option<Arc<Rates>> {
        self.in_force_at(of.in_force).map(|it| Arc::clone(&it.rates))
    }

    /// What was in force under a number.
    fn in_force_at(&self, number: u32) -> Option<Arc<InForce>> {
        if let Some(known) = self.gate.in_force_at(number) {
            return Some(known);
        }
        if let Some(known) = self.former.lock().get(&number) {
            return known.clone();
        }
        // What is wrong with the journal is said of the record that names the number.
        let found = self.gate.in_force_then(number).ok()?;
        let mut former = self.former.lock();
        // One copy of all that differ in what lists held: the words are the same.
        let found = found.map(|new| {
            let same =
                |it: &&Arc<InForce>| it.rules.typed.hash == new.rules.typed.hash && it.rates == new.rates;
            former.values().flatten().find(same).cloned().unwrap_or(new)
        });
        if FORMER_MAX <= former.len() {
            former.clear();
        }
        former.insert(number, found.clone());
        found
    }

    /// The newest durable record of an event's id.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub(crate) fn find(&self, event_id: &str) -> Result<Option<Recorded>, Unreadable> {
        match self.gate.find_event(event_id)? {
            Some(offset) => self.read(offset),
            None => Ok(None),
        }
    }

    /// The newest durable record of an event, by its decision's id or by its own.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub(crate) fn explained(&self, id: &str) -> Result<Option<Recorded>, Unreadable> {
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
    pub(crate) fn about(&self, kind: KindId, id: &str, most: usize) -> Result<Vec<Recorded>, Unreadable> {
        let (mut events, mut offsets, mut below) = (Vec::new(), Vec::new(), u64::MAX);
        for records in RECORDS_LOOKED_AT {
            offsets.clear();
            self.gate.journal().about(self.entity(kind, id), records, &mut offsets)?;
            for offset in offsets.iter().copied().filter(|it| *it < below) {
                // What became of an event names the entity too.
                events.extend(self.read(offset)?);
                if events.len() == most {
                    return Ok(events);
                }
            }
            if offsets.len() < records {
                break;
            }
            below = offsets.last().copied().unwrap_or(below);
        }
        Ok(events)
    }

    /// What became of an event.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub(crate) fn aftermath(&self, of: &Recorded) -> Result<Aftermath, Unreadable> {
        let (offsets, complete) = self.records_behind(of)?;
        let (mut body, mut found) = (Vec::new(), Aftermath { complete, ..Aftermath::default() });
        for offset in offsets {
            match self.gate.journal().read(offset, &mut body)? {
                Some(RecordKind::Amend) => {
                    let read = Stamp::split(&body).and_then(|(_, message)| Amend::decode(message).ok());
                    let amend = read.ok_or(Unreadable::Record(offset))?;
                    // What is said of a recheck is said of its original, in whose place it stands.
                    let about_it = match of.event.recheck_of {
                        None => amend.position == of.offset,
                        Some(_) => amend.event_id == of.event.id,
                    };
                    found
                        .amendments
                        .extend(amend.amendment().filter(|_| about_it).map(|it| (it, amend.cause())));
                }
                Some(kind @ RecordKind::Decided) => {
                    let read = self.recorded(offset, kind, &body).ok_or(Unreadable::Record(offset))?;
                    if read.original == Some(of.offset) {
                        found.rechecks.push(self.answered(read)?);
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// The records behind that of an event which name an entity that it names too, oldest first: of the entity that has
    /// the fewest, for what is about the event is about all of its entities. And whether these are all.
    fn records_behind(&self, of: &Recorded) -> Result<(Vec<u64>, bool), Unreadable> {
        let mut offsets = Vec::new();
        for most in RECORDS_LOOKED_AT {
            for (_, kind, id) in of.event.roles(&of.rules.typed.schema) {
                offsets.clear();
                self.gate.journal().about(self.entity(kind, id), most, &mut offsets)?;
                if offsets.len() < most || offsets.last().is_some_and(|oldest| *oldest <= of.offset) {
                    offsets.retain(|it| of.offset < *it);
                    offsets.reverse();
                    return Ok((offsets, true));
                }
            }
        }
        offsets.reverse();
        // An event without entities is spoken of nowhere.
        let complete = offsets.is_empty();
        Ok((offsets, complete))
    }

    /// A decided or recorded event from the body of its record, as it was written.
    pub(crate) fn recorded(&self, offset: u64, kind: RecordKind, body: &[u8]) -> Option<Recorded> {
        let (stamp, message) = Stamp::split(body)?;
        let mut said = Decided::default();
        said.read(message).ok()?;
        let mut event = Event::default();
        said.event(&mut event)?;
        let mut ruling = Ruling::default();
        said.ruling(&mut ruling);
        let (rules, rules_known) = self.rules_at(stamp.rule_set);
        if !rules_known {
            nameless(&mut ruling);
        }
        let (clock, decided) = (stamp.clock, kind == RecordKind::Decided);
        let (original, in_force) = (said.original.map(|it| it.position), stamp.rule_set);
        Some(Recorded { offset, clock, event, decided, original, ruling, in_force, rules, rules_known })
    }

    /// The event or decision at an offset, as its caller was answered; none if what stands there is something else.
    fn read(&self, offset: u64) -> Result<Option<Recorded>, Unreadable> {
        let mut body = Vec::new();
        let Some(kind @ (RecordKind::Decided | RecordKind::Event)) =
            self.gate.journal().read(offset, &mut body)?
        else {
            return Ok(None);
        };
        let read = self.recorded(offset, kind, &body).ok_or(Unreadable::Record(offset))?;
        self.answered(read).map(Some)
    }

    /// What was recorded, with what its caller was answered where the deadline came first.
    fn answered(&self, mut read: Recorded) -> Result<Recorded, Unreadable> {
        if let Some(outcome) = self.gate.fallback_given(&read.event.id, read.offset)? {
            read.ruling.fall_back(outcome);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use engine::entity::HashKey;
    use rules::schema::EventTypeId;
    use rules::time::HOUR;
    use stream::bundle::Bundle;
    use stream::journal::{Journal as _, Memory};

    use super::*;

    const SCHEMA: &str = "schema s 1\nzone \"UTC\"\ncurrency CNY\nentity user\nevent login\n  user: user\n";
    const RULES: &str = "use schema s\nfeature n = count(login) by user over 1h\n\
                         rule often \"often\"\n  on login\n  when n >= 1\n  then block, score +5, alert high\n";

    /// A decision says the names of its rule set, and none where that is not known any more; the rest stays.
    #[test]
    fn names_are_those_of_the_rule_set_that_decided_or_none() {
        let bundle = Arc::new(Bundle::of(&[("s.schema.weir", SCHEMA), ("s.weir", RULES)]));
        let first = InForce::compile(0, bundle, HashKey::new([1; 16])).unwrap();
        let journal = Memory::default();
        let door = Door::new(Arc::new(Gate::of(first, Box::new(journal.clone()))));
        let ticket = door.seated(Reads::Memory, |seat| {
            seat.event.begin(EventTypeId(0), 1);
            seat.event.id.push_str("l1");
            seat.event.time = HOUR;
            seat.event.set_text(0, "u1");
            door.decide(seat, Deadline::Never)
        });
        let offset = ticket.unwrap().position.offset;
        let mut body = Vec::new();
        let kind = journal.read(offset, &mut body).unwrap().unwrap();
        // Decided under the first, and as if under another whose record is gone.
        let (stamp, message) = Stamp::split(&body).unwrap();
        let under = |rule_set: u32| {
            let mut moved = Vec::new();
            Stamp { rule_set, ..stamp }.write(&Decided::decode(message).unwrap(), &mut moved);
            door.recorded(offset, kind, &moved).unwrap()
        };
        let check = |rule_set: u32, rules: &[&str], features: usize, raised_by: Option<&str>| {
            let read = under(rule_set);
            let said = read.decision();
            assert_eq!(said.hits.iter().map(|it| it.rule).collect::<Vec<_>>(), rules);
            assert_eq!((said.features.len(), said.alerts[0].rule), (features, raised_by));
            assert_eq!((read.rules_known, said.rule_set.is_empty()), (!rules.is_empty(), rules.is_empty()));
            assert_eq!((said.outcome.name(), said.score_e6, said.alerts.len()), ("block", 5_000_000, 1));
        };
        check(0, &["often"], 1, Some("often"));
        check(7, &[], 0, None);
        // It is not looked for again.
        check(7, &[], 0, None);
        assert!(door.former.lock()[&7].is_none());
    }
}
