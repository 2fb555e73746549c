//! Writing: an event that was decided or recorded, and what becomes known of it, into one entity's state.
//!
//! `apply` reads nothing but the record and the state it writes: recovery and standby only apply.

use std::ops::Deref;

use rules::past::Mutable;
use rules::program::Frame;
use rules::schema::FieldId;
use rules::time::Micros;
use rules::typed::Effect;

use crate::decide::Scratch;
use crate::event::Change;
use crate::facts::Facts;
use crate::history::{ConditionId, Key, NewRow};
use crate::lists::Membership;
use crate::plan::{ColumnSource, Condition, KindPlan, Test};
use crate::rule_set::RuleSet;
use crate::state::EntityState;
use crate::touch::Touch;
use crate::words::{Ruling, effect};

/// Prefetches most of what applying an event in time order will touch of its entities, the ends of their histories, before
/// any of it is needed, as [`crate::decide::prefetch`] does for whoever decides first.
pub fn prefetch<S: Deref<Target = EntityState>>(states: &[S]) {
    states.iter().for_each(|state| state.history.prefetch_end());
}

/// Where and when a record is applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Applied {
    /// The record's position.
    pub position: u64,
    /// When the event stands in the windows: [`crate::decide::Moment::at`].
    pub at: Micros,
    /// The engine clock with this event in it: the greatest event time so far.
    pub clock: Micros,
}

/// Writes the event in `scratch.facts`, its captured values and its ruling into the state of the event's entity
/// number `entity`. A state that has seen the record stays as it is. Where a snapshot took it in pieces, the piece in which
/// the event stands and what is no row are looked at each for itself.
pub fn apply(
    rules: &RuleSet,
    applied: Applied,
    mutable: Mutable,
    entity: usize,
    state: &mut EntityState,
    scratch: &mut Scratch,
) {
    let at = Key::new(applied.at, applied.position);
    let new = state.sees(applied.position);
    if !new && !state.lacks(at, applied.position) {
        return;
    }
    let Some(mut target) = Target::of_event(rules, entity, state, &scratch.facts) else { return };
    scratch.facts.frame.mutable = mutable;
    if target.plan.has_history {
        target.insert_row(entity, at, mutable, scratch);
        target.trim(applied.clock);
    }
    if !new {
        return;
    }
    target.record_occurrences(entity, at, applied.clock, &mut scratch.facts);
    target.state.last_event = target.state.last_event.max(applied.at);
    target.take_effect(entity, applied.at, scratch);
}

/// Writes the ruling of a recheck, whose own event stands in no window: its effects, and its outcome into the row of the
/// event at `original`, which it decides again.
pub fn apply_recheck(
    rules: &RuleSet,
    applied: Applied,
    original: Key,
    entity: usize,
    state: &mut EntityState,
    scratch: &mut Scratch,
) {
    let new = state.sees(applied.position);
    if new {
        // Whom it alerts about is remembered from here on, as with an event.
        state.last_event = state.last_event.max(applied.at);
    }
    let Some(mut target) = Target::of_event(rules, entity, state, &scratch.facts) else { return };
    if new {
        target.take_effect(entity, applied.at, scratch);
    }
    if new || target.state.lacks(original, applied.position) {
        let change = Change::Outcome(scratch.ruling.verdict.outcome);
        target.amend_row(original, &change, scratch);
    }
}

/// Sets a mutable column of the event at `original` in the state of one of its entities, as the record at `position` says.
/// If the event has left all windows, nothing changes.
pub fn amend(
    rules: &RuleSet,
    original: Key,
    change: &Change,
    position: u64,
    plan: &KindPlan,
    state: &mut EntityState,
    scratch: &mut Scratch,
) {
    if state.sees(position) || state.lacks(original, position) {
        Target { rules, plan, state }.amend_row(original, change, scratch);
    }
}

/// One entity's state as it is written: under which rules, and as they plan it.
struct Target<'a> {
    rules: &'a RuleSet,
    /// Of the entity's kind.
    plan: &'a KindPlan,
    state: &'a mut EntityState,
}

impl<'a> Target<'a> {
    /// The state of an event's entity number `entity`; none if there is no such entity.
    fn of_event(
        rules: &'a RuleSet,
        entity: usize,
        state: &'a mut EntityState,
        facts: &Facts,
    ) -> Option<Self> {
        let kind = facts.roles.stateful.get(entity)?.kind;
        Some(Self { rules, plan: rules.plan.kind(kind)?, state })
    }

    /// The row of an event, which is in this history as its entity number `entity`.
    fn insert_row(&mut self, entity: usize, key: Key, mutable: Mutable, scratch: &mut Scratch) {
        let Self { rules, plan, .. } = *self;
        let Scratch { facts, members, values, .. } = scratch;
        members.clear();
        members.resize(plan.conditions.len().div_ceil(64), 0);
        for (id, condition) in ConditionId::all().zip(&plan.conditions) {
            let holds = holds(rules, condition, entity, facts);
            set_bit(members, id, holds);
        }
        values.clear();
        let columns = plan.columns.iter();
        values.extend(columns.map(|it| slot(rules, &it.source, &mut facts.frame).unwrap_or(0)));
        self.state.history.insert(&plan.history, NewRow { key, members, state: mutable.pack(), values });
    }

    /// Drops the rows that no window reaches at an engine clock.
    fn trim(&mut self, clock: Micros) {
        self.state.history.trim(&self.plan.history, clock.saturating_sub(self.plan.keep_rows));
    }

    fn amend_row(&mut self, original: Key, change: &Change, scratch: &mut Scratch) {
        let Self { rules, plan, .. } = *self;
        let Some(row) = self.state.history.row(&plan.history, original) else { return };
        let mutable = change.applied_to(Mutable::unpack(row.state()));
        plan.load(row, &mut scratch.looks.row);
        scratch.looks.row.mutable = mutable;
        scratch.members.clear();
        scratch.members.resize(plan.conditions.len().div_ceil(64), 0);
        for (id, condition) in ConditionId::all().zip(&plan.conditions) {
            let holds = match &condition.test {
                // Type, role and presence stay: that they hold is in the base's bit.
                Some(test) if test.mutable => {
                    test.base.is_none_or(|base| row.member(base))
                        && passes(rules, test, &mut scratch.looks.row)
                }
                _ => row.member(id),
            };
            set_bit(&mut scratch.members, id, holds);
        }
        self.state.history.amend(&plan.history, original, &scratch.members, mutable.pack());
    }

    fn record_occurrences(&mut self, entity: usize, key: Key, clock: Micros, facts: &mut Facts) {
        let Self { rules, plan, .. } = *self;
        for (planned, kept) in plan.occurrences.iter().zip(&mut self.state.occurrences) {
            if !holds(rules, &planned.condition, entity, facts) {
                continue;
            }
            let second = planned.beside.and_then(|role| facts.frame.field(role)).unwrap_or(0);
            let value = planned.value.as_ref().and_then(|source| slot(rules, source, &mut facts.frame));
            kept.trim_if_full(clock.saturating_sub(planned.keep));
            kept.record(key, second, value.unwrap_or(0));
        }
    }

    /// The effects of a ruling on entity number `entity`, at a time: lists, and when it was last alerted about.
    fn take_effect(&mut self, entity: usize, at: Micros, scratch: &Scratch) {
        let Scratch { facts, ruling, .. } = scratch;
        for (role, touch) in touches(self.rules, ruling, at) {
            if facts.roles.entity_in(role) == Some(entity) {
                self.state.touch(touch);
            }
        }
    }
}

/// Whether the event in `facts` satisfies a condition in the history of its entity number `entity`.
fn holds(rules: &RuleSet, condition: &Condition, entity: usize, facts: &mut Facts) -> bool {
    let Facts { frame, roles } = facts;
    (condition.of.is_empty() || condition.of.contains(&frame.event_type))
        && condition.via.is_none_or(|via| roles.entity_in(via) == Some(entity))
        && condition.beside.is_none_or(|role| frame.field(role).is_some())
        && condition.present.as_ref().is_none_or(|source| slot(rules, source, frame).is_some())
        && condition.test.as_ref().is_none_or(|test| passes(rules, test, frame))
}

/// Whether the past event in the frame passes a test.
fn passes(rules: &RuleSet, test: &Test, frame: &mut Frame) -> bool {
    rules
        .program
        .aggregate(test.feature)
        .is_some_and(|it| it.matches(frame) && (!test.above || it.above(frame)))
}

/// What stands in a column for the event in the frame; none = missing.
fn slot(rules: &RuleSet, source: &ColumnSource, frame: &mut Frame) -> Option<i64> {
    match *source {
        ColumnSource::Field(field) => frame.field(field),
        ColumnSource::Captured(feature, _) => frame.known(feature)?.to_slot(),
        ColumnSource::EventType => Some(i64::from(frame.event_type.0)),
        ColumnSource::Argument(feature, _) => rules.program.aggregate(feature)?.argument(frame).to_slot(),
    }
}

/// What a ruling of a rule set does, about an event that stands at this time: in which role, and what.
pub fn touches<'a>(
    rules: &'a RuleSet,
    ruling: &'a Ruling,
    at: Micros,
) -> impl Iterator<Item = (FieldId, Touch)> + 'a {
    let lists = ruling.verdict.actions.iter().filter_map(move |action| match effect(rules, *action)? {
        Effect::Add { role, list, span } => {
            let until = span.map(|span| at.saturating_add(span));
            Some((*role, Touch::Enters(Membership { list: *list, until, value: None })))
        }
        Effect::Remove { role, list } => Some((*role, Touch::Leaves(*list))),
        _ => None,
    });
    let alerts = ruling.verdict.alerts.iter().filter_map(move |alert| match effect(rules, alert.effect)? {
        Effect::Alert { once: Some((role, _)), .. } => {
            Some((*role, Touch::Alerted(rules.alert_name(alert.effect)?, at)))
        }
        _ => None,
    });
    lists.chain(alerts)
}

fn set_bit(words: &mut [u64], id: ConditionId, set: bool) {
    if let Some(word) = words.get_mut(id.index() / 64) {
        *word |= u64::from(set) << (id.index() % 64);
    }
}
