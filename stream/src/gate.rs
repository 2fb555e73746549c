//! The one door: every event, whichever way it comes, is submitted here and leaves with a ticket.
//!
//! ```text
//! repeat? → slots of all its entities → locks, in key order → clock → capture → decide → encode → position → apply
//! ```
//!
//! The locks of all entities that an event names are held from reading to applying, so that two payments of one user
//! in flight always see each other. They are not held until the record is durable.

pub(crate) mod directory;
pub(crate) mod recent;
mod renew;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use engine::apply::{self, Applied};
use engine::decide::{self, Case, Moment, Scratch};
use engine::entity::EntityKey;
use engine::event::{Amendment, Change, Event};
use engine::facts::NoRate;
use engine::history::Key;
use engine::lists::Membership;
use engine::position::Position;
use engine::rates::Rates;
use engine::rule_set::RuleSet;
use engine::state::EntityState;
use engine::words::Ruling;
use rules::past::Mutable;
use rules::time::{DAY, Micros};
use rules::typed::FeatureId;
use rules::value::Value;
use smallvec::SmallVec;

use crate::journal::{Entry, Journal, RecordKind};
use crate::record::Decided;
use directory::{Directory, Locks};
use recent::{Recent, Seen};
pub use renew::OtherState;

/// How long an event id is remembered, by the engine clock.
pub const REPEAT_FOR: Micros = DAY;

/// The one door.
pub struct Gate {
    rules: Arc<RuleSet>,
    rates: Arc<Rates>,
    journal: Box<dyn Journal>,
    directory: Directory,
    recent: Recent,
    /// The engine clock: the greatest event time so far; `i64::MIN` before the first.
    clock: AtomicI64,
    #[cfg(feature = "test-support")]
    release_early: Option<rules::schema::KindId>,
}

/// What one thread needs to submit event after event without allocating.
#[derive(Debug)]
pub struct Worker {
    scratch: Scratch,
    locks: Locks,
    message: Decided,
    record: Vec<u8>,
    original: Event,
    /// Features to compute of every event, whether or not a rule asks for them.
    observe: Vec<FeatureId>,
    /// Their values for the last event, in the same order.
    pub observed: Vec<Value>,
}

/// What a submitted event gets: its decision, and where its record stands. Awaiting durability is the journal's matter.
#[derive(Debug)]
pub struct Ticket {
    /// Of the event's record.
    pub position: Position,
    /// What was decided, in numbers; [`Ruling::say`] puts words to it.
    pub ruling: Ruling,
    /// Where the event stands in its entities' histories: what an amendment needs to find it.
    pub place: Place,
}

/// Where an event stands in the histories of its entities.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// When it stands there: its own time, or the edge of the allowed lateness.
    pub at: Micros,
    /// Of its record.
    pub position: u64,
    /// Its entities.
    pub entities: SmallVec<[EntityKey; 4]>,
}

/// What a submitted amendment gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Amended {
    /// Offset of the amendment's record.
    pub position: u64,
    /// Offset of the event's record; none where the amendment had been made before.
    pub event: Option<u64>,
}

/// Why nothing was decided and nothing recorded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// An amount cannot be compared with others.
    #[error(transparent)]
    NoRate(#[from] NoRate),
    /// The id belongs to another event.
    #[error(
        "event id `{0}` was used within the last 24 hours with another body: send a new id for a new event"
    )]
    IdReused(String),
    /// An amendment or a recheck names an event that is not known.
    #[error(
        "event `{0}` is not known: it was never submitted, or too long ago to find without a journal (use `--data`)"
    )]
    EventUnknown(String),
    /// A recheck names a recheck.
    #[error("event `{0}` is a recheck itself: name the event that it decided again")]
    OfRecheck(String),
    /// A recheck is about somebody else than its original.
    #[error("the recheck of `{0}` names other entities than the event itself: roles may not change")]
    RolesChanged(String),
}

impl Worker {
    /// How many features were computed from the past for all events so far.
    pub fn features_computed(&self) -> u64 {
        self.scratch.features_computed()
    }
}

impl Gate {
    /// A gate with nothing in memory, over a journal.
    pub fn new(rules: Arc<RuleSet>, rates: Arc<Rates>, journal: Box<dyn Journal>) -> Self {
        Self {
            rules,
            rates,
            journal,
            directory: Directory::default(),
            recent: Recent::new(REPEAT_FOR),
            clock: AtomicI64::new(Micros::MIN),
            #[cfg(feature = "test-support")]
            release_early: None,
        }
    }

    /// A gate that goes on with what a snapshot holds, over a journal that goes on behind it.
    pub(crate) fn resumed(
        rules: Arc<RuleSet>,
        rates: Arc<Rates>,
        journal: Box<dyn Journal>,
        clock: Option<Micros>,
        (directory, recent): (Directory, Recent),
    ) -> Self {
        let clock = AtomicI64::new(clock.unwrap_or(Micros::MIN));
        Self { directory, recent, clock, ..Self::new(rules, rates, journal) }
    }

    /// What is in force.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// The engine clock: the greatest event time so far; none before the first event.
    pub fn clock(&self) -> Option<Micros> {
        Some(self.clock.load(Ordering::Acquire)).filter(|clock| *clock != Micros::MIN)
    }

    /// What a thread needs to submit. `observe` names features to compute of every event.
    pub fn worker(&self, observe: Vec<FeatureId>) -> Worker {
        Worker {
            scratch: Scratch::new(&self.rules),
            locks: Locks::default(),
            message: Decided::default(),
            record: Vec::new(),
            original: Event::default(),
            observed: Vec::with_capacity(observe.len()),
            observe,
        }
    }

    /// Decides an event, records it and applies it. A repeated id gets its first decision and changes nothing.
    ///
    /// # Errors
    /// If nothing could be decided; then nothing is recorded either.
    pub fn submit(&self, event: &Event, worker: &mut Worker) -> Result<Ticket, Refused> {
        let id = self.rules.key.hash128(&event.id);
        let digest = event.digest_in(&mut worker.record);
        match self.recent.begin(id, &digest, self.clock.load(Ordering::Acquire), &mut worker.record) {
            Seen::Repeat { position } => Ok(self.repeat(position, worker)),
            Seen::Reused => Err(Refused::IdReused(event.id.clone())),
            Seen::New => {
                let decided = match &event.recheck_of {
                    None => self.decide(event, None, &digest, worker),
                    Some(original) => self.recheck(event, original, &digest, worker),
                };
                match &decided {
                    Ok((clock, ticket)) => {
                        self.recent.finish(id, digest, *clock, ticket.position.offset, &worker.record);
                    }
                    Err(_) => self.recent.give_up(id),
                }
                decided.map(|(_, ticket)| ticket)
            }
        }
    }

    /// Sets a column of a past event. `place` is where the event stands, if the caller knows; otherwise its record is
    /// looked for.
    ///
    /// # Errors
    /// If the event is not known, or the amendment's id is another amendment's.
    pub fn amend(
        &self,
        amendment: &Amendment,
        place: Option<&Place>,
        worker: &mut Worker,
    ) -> Result<Amended, Refused> {
        let id = self.rules.key.hash128(&amendment.id) ^ AMENDMENT_IDS;
        let digest = amendment.digest();
        let clock = self.clock.load(Ordering::Acquire);
        match self.recent.begin(id, &digest, clock, &mut worker.record) {
            Seen::Reused => Err(Refused::IdReused(amendment.id.clone())),
            Seen::Repeat { position } => Ok(Amended { position, event: None }),
            Seen::New => {
                let found = match place {
                    Some(place) => Ok(place.clone()),
                    None => self.find(&amendment.event_id, worker),
                };
                let amended = found.map(|place| Amended {
                    position: self.amend_at(&place, &amendment.change, worker),
                    event: Some(place.position),
                });
                match &amended {
                    Ok(amended) => self.recent.finish(id, digest, clock, amended.position, &[]),
                    Err(_) => self.recent.give_up(id),
                }
                amended
            }
        }
    }

    /// Gives a ticket's buffers back to the worker that it came from.
    pub fn recycle(worker: &mut Worker, ticket: Ticket) {
        worker.scratch.ruling = ticket.ruling;
    }

    /// Puts an entity on a list, in the place of what was there: a record of its own.
    pub fn put_on_list(&self, entity: EntityKey, membership: Membership) -> Position {
        let mut locks = Locks::default();
        self.directory.lock(&[entity], &|key| self.new_state(key), &mut locks);
        let offset = self.append(RecordKind::List, &[], None, &[entity]);
        if let Some(state) = locks.guards.first_mut() {
            state.put_on_list(offset, membership);
        }
        Position { partition: 0, offset }
    }

    /// Takes the idle out of memory, those of whom nothing that is remembered could still be asked. Nobody can tell.
    /// Gives how many left.
    pub fn evict_idle(&self) -> usize {
        self.directory.keys().into_iter().filter(|key| self.evict(*key)).count()
    }

    /// Takes one entity out of memory if it is idle.
    pub fn evict(&self, key: EntityKey) -> bool {
        let Some(plan) = self.rules.plan.kinds.get(key.kind.index()) else { return false };
        self.directory.evict(key, |state| state.may_leave(plan, self.clock.load(Ordering::Acquire)))
    }

    /// Looks at every entity in memory, one lock at a time, in no order.
    pub fn for_each_entity(&self, look: impl FnMut(EntityKey, &EntityState)) {
        self.directory.for_each(look);
    }

    /// Bytes that the table of ids and repeats takes; it grows with the events of [`REPEAT_FOR`].
    pub fn bytes_of_ids(&self) -> usize {
        self.recent.bytes()
    }

    /// Offset of the next record.
    pub(crate) fn next_position(&self) -> u64 {
        self.journal.next()
    }

    /// The table of ids and repeats.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The entities in memory, by key.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The decision of an id that was decided before.
    fn repeat(&self, position: u64, worker: &mut Worker) -> Ticket {
        let mut ruling = std::mem::take(&mut worker.scratch.ruling);
        ruling.clear();
        if let Ok(first) = Decided::read(&worker.record) {
            first.ruling(&mut ruling);
        }
        ruling.flags.repeated = true;
        Ticket { position: Position { partition: 0, offset: position }, ruling, place: Place::default() }
    }

    /// Decides an event against the state without `original`, if it is a recheck, and gives its clock and ticket.
    fn decide(
        &self,
        event: &Event,
        original: Option<&Place>,
        digest: &[u8; 16],
        worker: &mut Worker,
    ) -> Result<(Micros, Ticket), Refused> {
        let rules = &*self.rules;
        worker.scratch.facts.load(event, &rules.typed.schema, rules.key, &self.rates)?;
        if original.is_some_and(|it| *it.entities != *worker.scratch.facts.roles.entities) {
            return Err(Refused::RolesChanged(event.recheck_of.clone().unwrap_or_default()));
        }
        let Worker { scratch, locks, .. } = worker;
        self.directory.lock(&scratch.facts.roles.entities, &|key| self.new_state(key), locks);
        // With this event in it: what is late is the same, and an event at rest for long is no less a repeat.
        let clock = self.clock.fetch_max(event.time, Ordering::AcqRel).max(event.time);
        let moment = Moment::of(event.time, clock, &rules.typed.schema);
        let exclude = original.map(|it| Key::new(it.at, it.position));
        let case = Case { rules, event, moment, exclude };
        decide::capture(case, &mut locks.guards, scratch);
        decide::decide(case, &mut locks.guards, scratch);
        observe(case, worker);
        #[cfg(feature = "test-support")]
        self.release(worker);
        self.encode(event, digest, worker);
        let id = Some(rules.key.hash128(&event.id));
        let entities = &worker.scratch.facts.roles.entities;
        let offset = self.append(RecordKind::Decided, &worker.record, id, entities);
        let applied = Applied { position: offset, at: moment.at, clock };
        let Worker { scratch, locks, .. } = &mut *worker;
        for (entity, state) in locks.guards.iter_mut().enumerate() {
            self.apply(applied, original, entity, state, scratch);
        }
        worker.locks.guards.clear();
        #[cfg(feature = "test-support")]
        self.apply_released(applied, original, worker);
        let entities = worker.scratch.facts.roles.entities.iter().copied().collect();
        let place = Place { at: moment.at, position: offset, entities };
        let ruling = std::mem::take(&mut worker.scratch.ruling);
        Ok((clock, Ticket { position: Position { partition: 0, offset }, ruling, place }))
    }

    /// Decides an event again, with the fields that the recheck changes.
    fn recheck(
        &self,
        event: &Event,
        original: &str,
        digest: &[u8; 16],
        worker: &mut Worker,
    ) -> Result<(Micros, Ticket), Refused> {
        let place = self.find(original, worker)?;
        if worker.original.recheck_of.is_some() {
            return Err(Refused::OfRecheck(original.to_owned()));
        }
        let mut merged = event.clone();
        merged.fill_from(&worker.original);
        self.decide(&merged, Some(&place), digest, worker)
    }

    /// Finds the event of an id and its place; the event is left in `worker.original`.
    fn find(&self, event_id: &str, worker: &mut Worker) -> Result<Place, Refused> {
        let unknown = || Refused::EventUnknown(event_id.to_owned());
        let Worker { scratch, record, original, .. } = worker;
        let found = self.recent.find(self.rules.key.hash128(event_id), record).ok_or_else(unknown)?;
        let decided = Decided::read(record).map_err(|_| unknown())?;
        *original = decided.event().ok_or_else(unknown)?;
        let rules = &*self.rules;
        scratch.facts.load(original, &rules.typed.schema, rules.key, &self.rates)?;
        let moment = Moment::of(original.time, found.clock, &rules.typed.schema);
        let entities = scratch.facts.roles.entities.iter().copied().collect();
        Ok(Place { at: moment.at, position: found.position, entities })
    }

    fn amend_at(&self, place: &Place, change: &Change, worker: &mut Worker) -> u64 {
        let rules = &*self.rules;
        let Worker { scratch, locks, .. } = worker;
        self.directory.lock(&place.entities, &|key| self.new_state(key), locks);
        let offset = self.append(RecordKind::Amend, &[], None, &place.entities);
        for (key, state) in place.entities.iter().zip(&mut locks.guards) {
            if let Some(plan) = rules.plan.kinds.get(key.kind.index()) {
                let original = Key::new(place.at, place.position);
                apply::amend(rules, original, change, Some(offset), plan, state, scratch);
            }
        }
        locks.guards.clear();
        offset
    }

    /// Applies a decision to one of its entities.
    fn apply(
        &self,
        applied: Applied,
        original: Option<&Place>,
        entity: usize,
        state: &mut EntityState,
        scratch: &mut Scratch,
    ) {
        let rules = &*self.rules;
        let outcome = scratch.ruling.verdict.outcome;
        let Some(original) = original else {
            let mutable = Mutable { outcome, ..Mutable::default() };
            apply::apply(rules, applied, mutable, entity, state, scratch);
            return;
        };
        apply::apply_recheck(rules, applied, entity, state, scratch);
        let kind = original.entities.get(entity).map_or(usize::MAX, |key| key.kind.index());
        if let Some(plan) = rules.plan.kinds.get(kind) {
            let key = Key::new(original.at, original.position);
            apply::amend(rules, key, &Change::Outcome(outcome), None, plan, state, scratch);
        }
    }

    fn encode(&self, event: &Event, digest: &[u8; 16], worker: &mut Worker) {
        let typed = &self.rules.typed;
        let Worker { scratch, message, record, .. } = worker;
        message.set_event(event, typed.schema.version);
        message.set_digest(digest);
        message.captured.clear();
        for (id, value) in &scratch.captured {
            if let Some(feature) = typed.features.get(id.index()) {
                message.push_captured(&feature.hash, *value);
            }
        }
        message.set_ruling(&scratch.ruling, &typed.hash);
        message.write(record);
    }

    fn append(&self, kind: RecordKind, body: &[u8], id: Option<u128>, entities: &[EntityKey]) -> u64 {
        self.journal.append(&Entry { kind, body, id, entities, received_at: 0 })
    }

    fn new_state(&self, key: EntityKey) -> EntityState {
        // INVARIANT (kinds): keys are made from the schema that the plan was made from.
        EntityState::new(self.rules.plan.kinds.get(key.kind.index()))
    }
}

/// Computes the features that the worker is asked to compute of every event.
fn observe(case: Case<'_>, worker: &mut Worker) {
    let Worker { scratch, locks, observe, observed, .. } = worker;
    observed.clear();
    for id in observe {
        observed.push(decide::feature(case, *id, &mut locks.guards, scratch));
    }
}

/// Sets the ids of amendments apart from those of events.
const AMENDMENT_IDS: u128 = 0x616d_656e_646d_656e_7473_0000_0000_0000;

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("clock", &self.clock()).finish_non_exhaustive()
    }
}

#[cfg(feature = "test-support")]
impl Gate {
    /// For the proof of the lock protocol only: the locks of this kind are released between decide and apply, with a
    /// yield there, so that a test that counts on them must fail.
    pub fn release_early(&mut self, kind: rules::schema::KindId) {
        self.release_early = Some(kind);
    }

    /// Puts a state that nobody looks at in the place of each of the kind's: who holds other locks must not wait for
    /// one that stands before them.
    fn release(&self, worker: &mut Worker) {
        let Worker { scratch, locks, .. } = worker;
        for (key, guard) in scratch.facts.roles.entities.iter().zip(&mut locks.guards) {
            if Some(key.kind) == self.release_early {
                let nobody = Arc::new(parking_lot::Mutex::new(EntityState::new(None)));
                *guard = parking_lot::Mutex::lock_arc(&nobody);
                std::thread::yield_now();
            }
        }
    }

    fn apply_released(&self, applied: Applied, original: Option<&Place>, worker: &mut Worker) {
        if self.release_early.is_none() {
            return;
        }
        let keys = worker.scratch.facts.roles.entities.clone();
        for (entity, key) in
            keys.into_iter().enumerate().filter(|(_, it)| Some(it.kind) == self.release_early)
        {
            let Worker { scratch, locks, .. } = &mut *worker;
            self.directory.lock(&[key], &|key| self.new_state(key), locks);
            if let Some(state) = locks.guards.first_mut() {
                self.apply(applied, original, entity, state, scratch);
            }
            locks.guards.clear();
        }
    }
}
