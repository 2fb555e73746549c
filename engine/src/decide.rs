//! What is read of the states of an event's entities: [`capture`] takes what later events will want to know of this one,
//! [`decide`] decides, [`feature`] computes one feature alone, and [`prefetch`] asks for their memory ahead. What is written
//! stands in [`crate::apply`]. Nothing here knows how states are found or locked.

use std::ops::{Deref, DerefMut};

use rules::schema::Schema;
use rules::time::Micros;
use rules::typed::FeatureId;
use rules::value::Value;

use crate::decision::Flags;
use crate::event::Event;
use crate::facts::{Facts, Roles};
use crate::history::Key;
use crate::past::{Looks, Past};
use crate::rule_set::RuleSet;
use crate::state::EntityState;
use crate::words::Ruling;

/// What one thread needs to decide event after event without allocating.
#[derive(Clone, Debug)]
pub struct Scratch {
    /// The event being decided.
    pub facts: Facts,
    /// What was decided.
    pub ruling: Ruling,
    /// The captured values, in the plan's order.
    pub captured: Vec<(FeatureId, Value)>,
    pub(crate) looks: Looks,
    pub(crate) members: Vec<u64>,
    pub(crate) values: Vec<i64>,
}

impl Scratch {
    /// For a rule set.
    pub fn new(rules: &RuleSet) -> Self {
        Self {
            facts: Facts::new(rules),
            ruling: Ruling::default(),
            captured: Vec::new(),
            looks: Looks { edges: Vec::new(), row: rules.program.frame(), computed: 0 },
            members: Vec::new(),
            values: Vec::new(),
        }
    }

    /// How many features were computed from the past, of all events so far.
    pub fn features_computed(&self) -> u64 {
        self.looks.computed
    }
}

/// When an event is evaluated and applied, and what is unusual about that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// Its own time, or the edge of the allowed lateness if that is later.
    pub at: Micros,
    /// Late, too late.
    pub flags: Flags,
}

impl Moment {
    /// Of an event at this time, when the engine clock (the greatest event time so far, with or without this one)
    /// stands at `clock`.
    pub fn of(time: Micros, clock: Micros, schema: &Schema) -> Self {
        let edge = clock.saturating_sub(schema.lateness);
        let flags = Flags { late: time < clock, too_late: time < edge, ..Flags::default() };
        Self { at: time.max(edge), flags }
    }
}

/// An event to be decided: under which rules, when, and as if what had never been.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// What is in force.
    pub rules: &'a RuleSet,
    /// The event, which `Scratch::facts` has been loaded with.
    pub event: &'a Event,
    /// When it is evaluated.
    pub moment: Moment,
    /// Of a recheck: the place of its original, which is left out.
    pub exclude: Option<Key>,
}

impl<'a> Case<'a> {
    fn past<'b, S>(&self, roles: &'b Roles, states: &'b mut [S], looks: &'b mut Looks) -> Past<'b, S>
    where
        'a: 'b,
    {
        let Self { rules, event, moment, exclude } = *self;
        Past { rules, event, roles, states, at: moment.at, exclude, looks }
    }

    /// Whether a feature may be asked for of this event.
    fn has(&self, id: FeatureId) -> bool {
        let feature = self.rules.typed.feature(id);
        feature.zip(self.event.event_type).is_some_and(|(it, event)| it.domain.contains(&event))
    }
}

/// Prefetches what deciding and applying an event will read of its entities, before any of it is needed: where one cache
/// line after the other is waited for, a decision is mostly waiting.
pub fn prefetch<S: Deref<Target = EntityState>>(states: &[S]) {
    states.iter().for_each(|state| state.history.prefetch());
}

/// Computes the captured features of an event. Runs for every event that is applied, decided or not.
///
/// `states` are those of `scratch.facts.roles.stateful`, in that order.
pub fn capture<S: DerefMut<Target = EntityState>>(case: Case<'_>, states: &mut [S], scratch: &mut Scratch) {
    let Scratch { facts, captured, looks, .. } = scratch;
    looks.begin(states.len());
    facts.frame.time = case.moment.at;
    captured.clear();
    let mut past = case.past(&facts.roles, states, looks);
    for id in case.rules.plan.captured.iter().filter(|id| case.has(**id)) {
        captured.push((*id, case.rules.program.feature(*id, &mut facts.frame, &mut past)));
    }
}

/// Decides an event of which [`capture`] has run: features, rules, policy. The decision is left in `scratch.ruling`. It
/// reads; that cursors of windows move is a cache, which no value shows.
pub fn decide<S: DerefMut<Target = EntityState>>(case: Case<'_>, states: &mut [S], scratch: &mut Scratch) {
    let Scratch { facts, ruling, looks, .. } = scratch;
    let rules = case.rules;
    ruling.clear();
    let warming = rules.is_warming(case.event.event_type, case.moment.at);
    ruling.flags = Flags { warming, ..case.moment.flags };
    let frame = &mut facts.frame;
    let mut past = case.past(&facts.roles, states, looks);
    rules.program.run(frame, &mut past, &mut ruling.verdict);
    ruling.verdict.alerts.retain(|alert| past.alert_is_due(alert.effect));
    let read_by_hits = ruling.verdict.hits.iter().flat_map(|hit| rules.program.rule_reads(hit.rule));
    for id in rules.typed.record.iter().chain(read_by_hits) {
        let known = ruling.recorded.iter().any(|(known, _)| known == id);
        if !known && case.has(*id) {
            ruling.recorded.push((*id, rules.program.feature(*id, frame, &mut past)));
        }
    }
    ruling.recorded.sort_unstable_by_key(|(id, _)| *id);
}

/// The value of any feature for an event of which [`capture`] has run.
pub fn feature<S: DerefMut<Target = EntityState>>(
    case: Case<'_>,
    id: FeatureId,
    states: &mut [S],
    scratch: &mut Scratch,
) -> Value {
    let Scratch { facts, looks, .. } = scratch;
    let mut past = case.past(&facts.roles, states, looks);
    case.rules.program.feature(id, &mut facts.frame, &mut past)
}
