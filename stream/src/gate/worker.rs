//! What one thread needs to submit event after event without allocating.

use std::ops::DerefMut;
use std::sync::Arc;

use engine::decide::{self, Case, Scratch};
use engine::entity::EntityKey;
use engine::event::Event;
use engine::facts::Roles;
use engine::rule_set::RuleSet;
use engine::state::EntityState;
use engine::words::Ruling;
use rules::time::Micros;
use rules::typed::FeatureId;
use rules::value::Value;

use super::passage::Inside;
use crate::in_force::InForce;
use crate::record::{Amend, Decided};
use crate::state::directory::{Directory, Locks, Slot};

/// What one thread needs to submit event after event without allocating.
#[derive(Debug)]
pub struct Worker {
    /// What it decides by, until the gate says that something else is in force.
    pub(super) in_force: Arc<InForce>,
    /// The entities whose states are laid out as that says.
    pub(super) directory: Arc<Directory>,
    /// Whether it is on its way to them.
    pub(super) inside: Arc<Inside>,
    pub(super) scratch: Scratch,
    pub(super) locks: Locks,
    pub(super) message: Decided,
    pub(super) amend: Amend,
    /// The body of a record.
    pub(super) record: Vec<u8>,
    /// The body of a record that was read from the journal.
    pub(super) found: Vec<u8>,
    pub(super) original: Event,
    pub(super) ahead: Ahead,
    /// Features to compute of every decided event, whether or not a rule asks for them; none where the rule set in
    /// force has it no more.
    observe: Vec<Option<FeatureId>>,
    /// Their values for the last event, in the same order; empty if it was not decided.
    pub observed: Vec<Value>,
    /// When what is submitted next came in by the wall clock, microseconds UTC; 0 = not known. For people only.
    pub received_at: Micros,
    /// Whether of what is submitted next only repeats are answered, and all else is refused.
    pub only_repeats: bool,
    /// Whether the journal may be read for what is submitted next: a thread that must not wait for the disk says no, and is
    /// told by [`Refused::InJournal`](super::Refused::InJournal) where it would have to be.
    pub reads_journal: bool,
}

/// Whose memory was asked for, in two steps: an entity's state says where its history is.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// Those with a state in the event that comes next, in the order of locking …
    next: Vec<EntityKey>,
    /// … and their slots, if all were found.
    near: Vec<Slot>,
    /// Those with a state in the event behind it.
    then: Vec<EntityKey>,
}

impl Ahead {
    /// Asks for the histories of those whose states were asked for before, and for the states of those in this event.
    pub(super) fn expect(&mut self, event: &Event, rules: &RuleSet, directory: &Directory) {
        let Self { next, near, then } = self;
        std::mem::swap(next, then);
        directory.bring_near(next, near, |states| decide::prefetch(states));
        Roles::stateful_in(event, rules, then);
        directory.prefetch(then);
    }

    /// The slots of these keys if they were found, to be taken; none if others came than were expected.
    pub(super) fn near(&mut self, keys: &[EntityKey]) -> &mut Vec<Slot> {
        if self.next != keys {
            self.near.clear();
        }
        &mut self.near
    }
}

impl Worker {
    pub(super) fn new(
        (in_force, directory): (Arc<InForce>, Arc<Directory>),
        inside: Arc<Inside>,
        observe: Vec<FeatureId>,
    ) -> Self {
        Self {
            scratch: Scratch::new(&in_force.rules),
            in_force,
            directory,
            inside,
            locks: Locks::default(),
            message: Decided::default(),
            amend: Amend::default(),
            record: Vec::new(),
            found: Vec::new(),
            original: Event::default(),
            ahead: Ahead::default(),
            observed: Vec::with_capacity(observe.len()),
            observe: observe.into_iter().map(Some).collect(),
            received_at: 0,
            only_repeats: false,
            reads_journal: true,
        }
    }

    /// How many features were computed from the past for all events since the rule set came into force.
    pub fn features_computed(&self) -> u64 {
        self.scratch.features_computed()
    }

    /// Gives a recheck that was just submitted what it did not say, as it was decided and recorded.
    pub fn complete(&self, event: &mut Event) {
        if event.recheck_of.is_some() {
            event.fill_from(&self.original);
        }
    }

    /// Takes the buffers of a ruling that has gone its way.
    pub fn reuse(&mut self, ruling: Ruling) {
        self.scratch.ruling = ruling;
    }

    /// Goes over to what is in force now.
    pub(super) fn follow(&mut self, (now, directory): (Arc<InForce>, Arc<Directory>)) {
        self.directory = directory;
        self.ahead = Ahead::default();
        let before = std::mem::replace(&mut self.in_force, now);
        let (old, new) = (&before.rules, &self.in_force.rules);
        if Arc::ptr_eq(old, new) {
            return;
        }
        self.scratch = Scratch::new(new);
        for id in &mut self.observe {
            let name = id.and_then(|id| old.typed.feature(id)).map(|it| it.name.as_str());
            let at = name.and_then(|name| new.typed.features.iter().position(|it| it.name == name));
            *id = at.and_then(|at| u16::try_from(at).ok()).map(FeatureId);
        }
    }

    /// Computes the features that the worker is asked to compute of every event.
    pub(super) fn observe(
        &mut self,
        event: &Event,
        moment: decide::Moment,
        exclude: Option<engine::history::Key>,
    ) {
        let Self { in_force, scratch, locks, observe: asked, observed, .. } = self;
        let case = Case { rules: &in_force.rules, event, moment, exclude };
        observed.clear();
        observe(case, asked.iter().copied(), &mut locks.guards, scratch, observed);
    }
}

/// Adds to `into` the values of features for an event that was decided, whether or not a rule asked for them. Of an event
/// that it does not speak of a feature has no value: and none may be left in the frame, where `apply` looks for captured
/// ones.
pub(crate) fn observe<S: DerefMut<Target = EntityState>>(
    case: Case<'_>,
    asked: impl Iterator<Item = Option<FeatureId>>,
    states: &mut [S],
    scratch: &mut Scratch,
    into: &mut Vec<Value>,
) {
    let features = &case.rules.typed.features;
    let speaks = |id: &FeatureId| {
        let domain = features.get(id.index()).map(|it| &it.domain);
        domain.zip(case.event.event_type).is_some_and(|(domain, of)| domain.contains(&of))
    };
    into.extend(asked.map(|id| {
        let id = id.filter(speaks);
        id.map(|id| decide::feature(case, id, states, scratch)).unwrap_or_default()
    }));
}
