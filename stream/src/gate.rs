//! The one door: every event, whichever way it comes, is submitted here and leaves with a ticket.
//!
//! ```text
//! repeat? → admission → slots of all its entities → locks, in key order → clock, rule set → capture → decide → encode
//!   → position → apply → (unlocked) ticket → durable → answer
//! ```
//!
//! The locks of all entities that an event names are held from reading to applying, so that two payments of one user
//! in flight always see each other. They are not held until the record is durable.

mod activate;
mod admission;
mod amend;
mod current;
mod find;
mod lists;
mod look;
mod passage;
#[cfg(feature = "test-support")]
mod released;
mod settle;
mod submit;
mod ticket;
pub(crate) mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use engine::entity::{EntityKey, HashKey};
use engine::event::Event;
use engine::rates::Rates;
use engine::rule_set::RuleSet;
use engine::state::EntityState;
use parking_lot::Mutex;
use rules::time::Micros;
use rules::typed::FeatureId;
use tokio::sync::watch;

use crate::bundle::{Bundle, BundleError};
use crate::in_force::InForce;
use crate::journal::{Entry, Journal, Progress, RecordKind};
use crate::record::{RuleSetRecord, Stamp};
pub use crate::state::REPEAT_FOR;
use crate::state::directory::Directory;
use crate::state::recent::{Most, Recent};
use crate::state::{State, may_leave};
pub use activate::{MayFollow, NotAtOnce, OtherState};
pub use admission::Admission;
use current::Current;
use find::Repeats;
pub use lists::NoChange;
pub(crate) use lists::with_value;
use passage::Passage;
use submit::Way;
pub use ticket::{Amended, Deadline, Poisoned, Refused, Settled, Ticket};
pub use worker::Worker;

/// The one door.
pub struct Gate {
    pub(crate) current: Current,
    key: HashKey,
    pub(crate) journal: Box<dyn Journal>,
    pub(crate) progress: watch::Receiver<Progress>,
    /// How much may wait for the journal; none where it keeps nothing.
    admission: Option<Admission>,
    /// Of whoever changes the states of entities.
    pub(crate) passage: Passage,
    /// Held by whoever builds state from the journal.
    pub(crate) building: Mutex<()>,
    /// Whether whoever builds is to leave off.
    pub(crate) builds_stopped: AtomicBool,
    recent: Recent,
    /// From which offset on ids that are not in the table may be repeats.
    repeats: Mutex<Option<Repeats>>,
    /// The engine clock: the greatest event time so far; `i64::MIN` before the first.
    clock: AtomicI64,
    /// For what it does itself, one at a time: fallbacks when a deadline has passed, changes of lists.
    own: Mutex<Worker>,
    /// Twice the number of callers that got the fallback behind the decision, and one more, an odd number, while one is being
    /// given it (`Gate::fall_back`).
    fallbacks: AtomicU64,
    #[cfg(feature = "test-support")]
    release_early: Option<rules::schema::KindId>,
}

impl Gate {
    /// A gate with nothing in memory, over a journal that keeps nothing.
    pub fn new(rules: Arc<RuleSet>, rates: Arc<Rates>, journal: Box<dyn Journal>) -> Self {
        Self::of(InForce::first(rules, rates, None), journal)
    }

    /// A gate with nothing in memory, over a journal, with this in force.
    pub fn of(first: InForce, journal: Box<dyn Journal>) -> Self {
        Self::over(Current::new(Arc::new(first)), nothing(), journal, None)
    }

    /// A gate with nothing in memory, over a journal that is empty: its first record is the rule set.
    ///
    /// # Errors
    /// If the bundle's texts have errors.
    pub fn begin(
        bundle: Arc<Bundle>,
        key: HashKey,
        journal: Box<dyn Journal>,
        admission: Admission,
    ) -> Result<Self, BundleError> {
        let first = Current::new(Arc::new(InForce::compile(0, bundle, key)?));
        let gate = Self::over(first, nothing(), journal, Some(admission));
        gate.record_rule_set(&gate.in_force());
        Ok(gate)
    }

    /// A gate that goes on with a state, over a journal that goes on behind it; none if nothing is in force.
    pub(crate) fn resumed(
        in_force: BTreeMap<u32, Arc<InForce>>,
        state: State,
        journal: Box<dyn Journal>,
        admission: Option<Admission>,
    ) -> Option<Self> {
        let State { directory, recent, clock } = state;
        let current = Current::of_all(in_force, directory, clock)?;
        Some(Self::over(current, (recent, clock), journal, admission))
    }

    fn over(
        current: Current,
        (recent, clock): (Recent, Micros),
        journal: Box<dyn Journal>,
        admission: Option<Admission>,
    ) -> Self {
        // What a journal keeps need not be remembered here too.
        let recent = if admission.is_some() { recent.at_most(Most::USUAL) } else { recent };
        let passage = Passage::default();
        let own = Worker::new(current.with_directory(), passage.pass(), Vec::new());
        Self {
            key: own.in_force.rules.key,
            own: Mutex::new(own),
            fallbacks: AtomicU64::new(0),
            current,
            passage,
            building: Mutex::default(),
            builds_stopped: AtomicBool::new(false),
            progress: journal.watch(),
            journal,
            admission,
            recent,
            repeats: Mutex::default(),
            clock: AtomicI64::new(clock),
            #[cfg(feature = "test-support")]
            release_early: None,
        }
    }

    /// This gate, remembering so many ids and bytes of records itself: for tests of what is found in the journal.
    #[cfg(feature = "test-support")]
    pub fn remembering(self, ids: usize, record_bytes: usize) -> Self {
        Self { recent: self.recent.at_most(Most::of(ids, record_bytes)), ..self }
    }

    /// The rule set in force.
    pub fn rules(&self) -> Arc<RuleSet> {
        Arc::clone(&self.current.get().rules)
    }

    /// All that is in force.
    pub fn in_force(&self) -> Arc<InForce> {
        self.current.get()
    }

    /// What is in force, as a worker holds it, so that whoever asks all the time shares nothing with other threads.
    pub fn in_force_with<'a>(&self, worker: &'a mut Worker) -> &'a InForce {
        if worker.in_force.number != self.current.number() {
            worker.follow(self.current.with_directory());
        }
        &worker.in_force
    }

    /// What was in force under a number, as tickets name it; none if that was before this process and nothing that is
    /// remembered speaks of it.
    pub fn in_force_at(&self, number: u32) -> Option<Arc<InForce>> {
        self.current.of(number)
    }

    /// The key under which ids are hashed.
    pub fn key(&self) -> HashKey {
        self.key
    }

    /// The engine clock: the greatest event time so far; none before the first event.
    pub fn clock(&self) -> Option<Micros> {
        Some(self.now()).filter(|clock| *clock != Micros::MIN)
    }

    /// The journal behind the gate, to be read.
    pub fn journal(&self) -> &dyn Journal {
        &*self.journal
    }

    /// What a thread needs to submit. `observe` names features to compute of every event.
    pub fn worker(&self, observe: Vec<FeatureId>) -> Worker {
        Worker::new(self.current.with_directory(), self.passage.pass(), observe)
    }

    /// Decides an event, records it and applies it. A repeated id gets its first decision and changes nothing. If the
    /// deadline has passed already, the decision is the declared fallback.
    ///
    /// # Errors
    /// If nothing could be decided; then nothing is recorded either.
    pub fn submit(&self, event: &Event, deadline: Deadline, worker: &mut Worker) -> Result<Ticket, Refused> {
        self.once(event, Way::Decide, deadline, worker)
    }

    /// Asks for the memory that deciding an event will touch: for whoever knows which comes behind the one that it is about
    /// to submit. Nothing changes by it, and the event need not come.
    pub fn expect(&self, event: &Event, worker: &mut Worker) {
        let Worker { in_force, directory, ahead, .. } = worker;
        ahead.expect(event, &in_force.rules, directory);
    }

    /// Records an event without a verdict and applies it, with outcome none. One that is too late is kept and not
    /// applied. A repeated id changes nothing.
    ///
    /// # Errors
    /// If it could not be recorded.
    pub fn record(&self, event: &Event, worker: &mut Worker) -> Result<Ticket, Refused> {
        if let Some(original) = &event.recheck_of {
            return Err(Refused::RecheckRecorded(original.clone()));
        }
        self.once(event, Way::Record, Deadline::Never, worker)
    }

    /// Gives a ticket's buffers back to the worker that it came from.
    pub fn recycle(worker: &mut Worker, ticket: Ticket) {
        worker.reuse(ticket.ruling);
    }

    /// Takes the idle out of memory, those of whom nothing that is remembered could still be asked. Nobody can tell.
    /// Gives how many left.
    pub fn evict_idle(&self) -> usize {
        let (in_force, directory) = self.current.with_directory();
        directory.evict_all(|key, state| may_leave(&in_force.rules, key, state, self.now()))
    }

    /// How many entities are in memory.
    pub fn entities(&self) -> usize {
        self.directory().len()
    }

    /// Takes one entity out of memory if it is idle.
    pub fn evict(&self, key: EntityKey) -> bool {
        let (in_force, directory) = self.current.with_directory();
        directory.evict(key, |state| may_leave(&in_force.rules, key, state, self.now()))
    }

    /// Looks at every entity in memory, one lock at a time, in no order.
    pub fn for_each_entity(&self, look: impl FnMut(EntityKey, &EntityState)) {
        self.directory().for_each(look);
    }

    /// Bytes that the table of ids and repeats takes; it grows with the events of [`REPEAT_FOR`].
    pub fn bytes_of_ids(&self) -> usize {
        self.recent.bytes()
    }

    /// Offset of the next record.
    pub(crate) fn next_position(&self) -> u64 {
        self.journal.next()
    }

    /// Everything that was in force and is still spoken of, oldest first, and the entities. Changes and fallbacks that are under way are
    /// waited for, so that nothing of them is missing whose record stands below the position before this was called.
    pub(crate) fn quiet_in_force(&self) -> (Vec<Arc<InForce>>, Arc<Directory>) {
        drop(self.own.lock());
        self.current.all_when_quiet()
    }

    /// Whether nothing but its state is kept: the journal writes nothing down.
    pub(crate) fn stands_alone(&self) -> bool {
        self.admission.is_none()
    }

    /// The table of ids and repeats.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The entities in memory, by key.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        self.current.directory()
    }

    pub(crate) fn now(&self) -> Micros {
        self.clock.load(Ordering::Acquire)
    }

    /// Records what has come into force.
    fn record_rule_set(&self, new: &InForce) {
        let Some(bundle) = &new.bundle else { return };
        let message = RuleSetRecord::new(bundle, &new.rules.typed.hash);
        self.append_change(RecordKind::RuleSet, new.number, &message, &[find::IN_FORCE]);
    }

    /// Appends a record of no event; gives its offset.
    pub(crate) fn append_change(
        &self,
        kind: RecordKind,
        rule_set: u32,
        message: &impl prost::Message,
        entities: &[EntityKey],
    ) -> u64 {
        let mut body = Vec::new();
        Stamp { clock: self.now(), rule_set }.write(message, &mut body);
        self.journal.append(&Entry { kind, body: &body, id: None, entities, received_at: 0 })
    }
}

/// The recent ids and the clock of a gate that has seen nothing.
fn nothing() -> (Recent, Micros) {
    let State { recent, clock, .. } = State::new();
    (recent, clock)
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("clock", &self.clock()).finish_non_exhaustive()
    }
}
