//! The three functions of the contract: [`capture`] and [`decide`] read the states of an event's entities,
//! [`crate::apply::apply`] writes them. Nothing here knows how states are found or locked.

use std::ops::DerefMut;

use rules::program::Frame;
use rules::schema::Schema;
use rules::time::Micros;
use rules::typed::FeatureId;
use rules::value::Value;

use crate::decision::Flags;
use crate::event::Event;
use crate::facts::Facts;
use crate::history::{Edges, Key};
use crate::past::Past;
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
    /// How many features were computed from the past, of all events so far.
    pub features_computed: u64,
    /// By entity: where the edges of its windows lie.
    pub(crate) edges: Vec<Edges>,
    /// A frame for past events.
    pub(crate) row: Frame,
    pub(crate) members: Vec<u64>,
    pub(crate) values: Vec<i64>,
}

impl Scratch {
    /// For a rule set.
    pub fn new(rules: &RuleSet) -> Self {
        Self {
            facts: Facts::new(&rules.typed.schema, rules.typed.features.len()),
            ruling: Ruling::default(),
            captured: Vec::new(),
            features_computed: 0,
            edges: Vec::new(),
            row: rules.program.frame(),
            members: Vec::new(),
            values: Vec::new(),
        }
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

/// Computes the captured features of the event in `scratch.facts`. Runs for every event that is applied, decided or
/// not.
///
/// `states` are those of `scratch.facts.roles.entities`, in that order; `exclude` is the place of a recheck's
/// original, which is left out.
pub fn capture<S: DerefMut<Target = EntityState>>(
    rules: &RuleSet,
    event: &Event,
    moment: Moment,
    exclude: Option<Key>,
    states: &mut [S],
    scratch: &mut Scratch,
) {
    let Scratch { facts, captured, edges, row, features_computed: computed, .. } = scratch;
    if edges.len() < states.len() {
        edges.resize_with(states.len(), Edges::new);
    }
    edges.iter_mut().for_each(Edges::begin);
    facts.frame.time = moment.at;
    captured.clear();
    let mut past =
        Past { rules, event, roles: &facts.roles, states, at: moment.at, exclude, edges, row, computed };
    for id in &rules.plan.captured {
        let feature = rules.typed.features.get(id.index());
        if !feature.is_some_and(|it| it.domain.contains(&facts.frame.event_type)) {
            continue;
        }
        captured.push((*id, rules.program.feature(*id, &mut facts.frame, &mut past)));
    }
}

/// Decides the event in `scratch.facts`, of which [`capture`] has run: features, rules, policy. The decision is left
/// in `scratch.ruling`. It reads; that cursors of windows move is a cache, which no value shows.
pub fn decide<S: DerefMut<Target = EntityState>>(
    rules: &RuleSet,
    event: &Event,
    moment: Moment,
    exclude: Option<Key>,
    states: &mut [S],
    scratch: &mut Scratch,
) {
    let Scratch { facts, ruling, edges, row, features_computed: computed, .. } = scratch;
    ruling.clear();
    ruling.flags = moment.flags;
    let frame = &mut facts.frame;
    let mut past =
        Past { rules, event, roles: &facts.roles, states, at: moment.at, exclude, edges, row, computed };
    rules.program.run(frame, &mut past, &mut ruling.verdict);
    ruling.verdict.alerts.retain(|alert| past.alert_is_due(alert.effect));
    let read_by_hits = ruling.verdict.hits.iter().flat_map(|hit| rules.program.rule_reads(hit.rule));
    for id in rules.typed.record.iter().chain(read_by_hits) {
        let known = ruling.recorded.iter().any(|(known, _)| known == id);
        let feature = rules.typed.features.get(id.index());
        if !known && feature.is_some_and(|it| it.domain.contains(&frame.event_type)) {
            ruling.recorded.push((*id, rules.program.feature(*id, frame, &mut past)));
        }
    }
    ruling.recorded.sort_unstable_by_key(|(id, _)| *id);
}

/// The value of any feature for the event in `scratch.facts`, of which [`capture`] has run.
pub fn feature<S: DerefMut<Target = EntityState>>(
    rules: &RuleSet,
    event: &Event,
    moment: Moment,
    exclude: Option<Key>,
    id: FeatureId,
    states: &mut [S],
    scratch: &mut Scratch,
) -> Value {
    let Scratch { facts, edges, row, features_computed: computed, .. } = scratch;
    let mut past =
        Past { rules, event, roles: &facts.roles, states, at: moment.at, exclude, edges, row, computed };
    rules.program.feature(id, &mut facts.frame, &mut past)
}
