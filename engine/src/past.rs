//! The past of the entities that one event names, as the program's [`Source`]: where features get their values.
//!
//! The event being decided is not in the histories yet. Where an aggregate counts it, its own contribution is merged
//! with what the window holds, so that the answer is as if it were in.

use std::ops::DerefMut;

use rules::place::Place;
use rules::program::{AggregateProgram, EffectRef, Frame, Source};
use rules::schema::{FieldId, KindId};
use rules::time::{Micros, SECOND};
use rules::typed::{Aggregate, AggregateFunction, Effect, FeatureId, ListId, RuleId};
use rules::value::{Form, Value};

use crate::event::Event;
use crate::facts::Roles;
use crate::history::{Edges, Key, View, Viewpoint};
use crate::plan::{FeaturePlan, Own, WindowPlan};
use crate::rollout::place_e6;
use crate::rule_set::RuleSet;
use crate::scan::{Matches, form, from_totals, ratio, with_own};
use crate::state::EntityState;
use crate::words::{effect, id_in};

/// The states of an event's entities, in the order of [`Roles::stateful`].
pub(crate) struct Past<'a, S> {
    pub(crate) rules: &'a RuleSet,
    pub(crate) event: &'a Event,
    pub(crate) roles: &'a Roles,
    pub(crate) states: &'a mut [S],
    /// The time at which the event is evaluated.
    pub(crate) at: Micros,
    /// Of a recheck: the row of its original, which is left out.
    pub(crate) exclude: Option<Key>,
    pub(crate) looks: &'a mut Looks,
}

/// What looking into the past needs room for; reused from event to event.
#[derive(Clone, Debug)]
pub(crate) struct Looks {
    /// By entity of the event: where the edges of its windows lie.
    pub(crate) edges: Vec<Edges>,
    /// A frame for past events.
    pub(crate) row: Frame,
    /// How many features were computed from the past, of all events so far.
    pub(crate) computed: u64,
}

impl Looks {
    /// Forgets where the edges lay for another event; there is room for so many entities.
    pub(crate) fn begin(&mut self, entities: usize) {
        if self.edges.len() < entities {
            self.edges.resize_with(entities, Edges::new);
        }
        self.edges.iter_mut().for_each(Edges::begin);
    }
}

impl<S: DerefMut<Target = EntityState>> Source for Past<'_, S> {
    fn aggregate(&mut self, feature: FeatureId, frame: &mut Frame) -> Value {
        self.looks.computed += 1;
        let rules = self.rules;
        let Some(plan) = rules.plan.feature(feature) else { return Value::Missing };
        let Some(whose) = plan.role().and_then(|role| self.whose(role, plan.pair(), frame)) else {
            return Value::Missing;
        };
        match plan {
            FeaturePlan::Window(window) if window.batched && self.exclude.is_none() => {
                self.batch(whose, window.role, frame);
                frame.known(feature).unwrap_or_default()
            }
            FeaturePlan::Window(window) if !rules.is_blind(feature, self.at) => {
                self.window(feature, whose, window, frame).unwrap_or_default()
            }
            FeaturePlan::Window(window) | FeaturePlan::Scan(window) => {
                self.scan(feature, whose, window, frame).unwrap_or_default()
            }
            FeaturePlan::Occurrence { at, .. } => {
                self.occurrence(feature, whose, *at, frame).unwrap_or_default()
            }
            FeaturePlan::Computed => Value::Missing,
        }
    }

    fn listed(&mut self, list: ListId, role: FieldId) -> bool {
        let at = self.at;
        self.state_in(role).is_some_and(|state| state.lists.contains(list, at))
    }

    fn listed_value(&mut self, list: ListId, slot: i64) -> bool {
        self.rules.values.contains(list, slot)
    }

    fn table_value(&mut self, list: ListId, role: FieldId) -> Option<i64> {
        let at = self.at;
        self.state_in(role)?.lists.value(list, at)
    }

    fn in_share(&mut self, rule: RuleId, role: FieldId, share_e6: u32) -> bool {
        let name = self.rules.typed.rule(rule).map(|it| it.name.as_str());
        let id = id_in(self.rules, self.event, role);
        name.zip(id).is_some_and(|(name, id)| place_e6(name, id) < u64::from(share_e6))
    }
}

impl<S: DerefMut<Target = EntityState>> Past<'_, S> {
    /// Whether an alert is not held back by its `once per`.
    pub(crate) fn alert_is_due(&mut self, alert: EffectRef) -> bool {
        let Some(Effect::Alert { once: Some((role, span)), .. }) = effect(self.rules, alert) else {
            return true;
        };
        let at = self.at;
        let name = self.rules.alert_name(alert);
        let last = self.state_in(*role).zip(name).and_then(|(state, name)| state.last_alerted(name));
        last.is_none_or(|last| at.saturating_sub(last) >= *span)
    }

    fn state_in(&mut self, role: FieldId) -> Option<&mut EntityState> {
        let at = self.roles.entity_in(role)?;
        self.states.get_mut(at).map(|it| &mut **it)
    }

    /// Which entity an aggregate looks at, and the slot of a pair's second; none if a role is missing.
    fn whose(&self, role: FieldId, pair: Option<FieldId>, frame: &Frame) -> Option<Whose> {
        let entity = self.roles.entity_in(role)?;
        let second = match pair {
            Some(pair) => Some(frame.field(pair)?),
            None => None,
        };
        let kind = self.roles.stateful.get(entity)?.kind;
        Some(Whose { entity, kind, second })
    }

    /// Whether the event being decided counts in a window over itself.
    #[inline]
    fn counts_itself(&self, feature: FeatureId, own: &Own, frame: &mut Frame) -> bool {
        let same = |(by, via): &(FieldId, FieldId)| {
            frame.field(*via).is_some() && self.roles.key_in(*by) == self.roles.key_in(*via)
        };
        own.of.contains(&frame.event_type)
            && own.same.iter().all(same)
            && (!own.tested
                || self.rules.program.aggregate(feature).is_some_and(|program| program.matches(frame)))
    }

    /// The argument of an aggregate over the event being decided.
    #[inline]
    fn argument(&self, feature: FeatureId, own: &Own, frame: &mut Frame) -> Option<i64> {
        match own.field {
            Some(field) => frame.field(field),
            None => self.rules.program.aggregate(feature)?.argument(frame).to_slot(),
        }
    }

    /// Of a ratio: whether the event being decided is counted above the line.
    fn is_above(&self, feature: FeatureId, frame: &mut Frame) -> bool {
        self.rules.program.aggregate(feature).is_some_and(|program| program.above(frame))
    }

    /// The windows of an entity at this moment.
    fn view(&mut self, whose: Whose) -> Option<View<'_>> {
        let viewpoint = Viewpoint { at: self.at, exclude: self.exclude };
        view(self.rules, self.states, &mut self.looks.edges, viewpoint, whose)
    }

    /// All features of a role that are answered together.
    fn batch(&mut self, whose: Whose, role: FieldId, frame: &mut Frame) -> Option<()> {
        let (rules, at) = (self.rules, self.at);
        let batch = rules.plan.batches.get(role.index())?;
        self.looks.computed += (batch.len() as u64).saturating_sub(1);
        let mut view = self.view(whose)?;
        let totals = view.totals_together()?;
        for item in batch {
            let own = if !item.of.contains(&frame.event_type) {
                0
            } else if let Some(field) = item.sum {
                frame.field(field).unwrap_or(0)
            } else {
                1
            };
            let past = if rules.is_blind(item.feature, at) { 0 } else { totals.word(item.part) };
            frame.set_feature(item.feature, Value::Exact(past + i128::from(own)));
        }
        Some(())
    }

    /// A feature over a window whose rows are told by a bit; none = missing.
    fn window(
        &mut self,
        feature: FeatureId,
        whose: Whose,
        plan: &WindowPlan,
        frame: &mut Frame,
    ) -> Option<Value> {
        use AggregateFunction as F;
        let counts = self.counts_itself(feature, &plan.own, frame);
        // An event without the argument is none of those that are summed or told apart.
        let own = if counts { self.argument(feature, &plan.own, frame) } else { None };
        let aggregate = aggregate(self.rules, feature)?;
        Some(match plan.function {
            F::Ratio => {
                let own_above = counts && self.is_above(feature, frame);
                let mut view = self.view(whose)?;
                let above = plan.above.map_or(0, |it| view.count(it)) + u64::from(own_above);
                ratio(above, view.count(plan.window) + u64::from(counts))
            }
            F::Count => {
                let count = self.view(whose)?.count(plan.window);
                Value::Exact(i128::from(count) + i128::from(counts))
            }
            F::Sum if plan.form == Form::Exact => {
                Value::Exact(self.view(whose)?.sum(plan.window) + i128::from(own.unwrap_or(0)))
            }
            F::Sum | F::Mean | F::Stddev => {
                let mut totals = self.view(whose)?.totals(plan.window);
                own.into_iter().for_each(|value| totals.add(value));
                from_totals(aggregate, &totals)
            }
            F::Min | F::Max => {
                let extremes = with_own(self.view(whose)?.extremes(plan.window), own, plan.form);
                let end = extremes.map(|it| if plan.function == F::Min { it.min } else { it.max });
                Value::from_slot(end, plan.form)
            }
            F::Distinct => Value::Exact(i128::from(self.view(whose)?.distinct(plan.window, own))),
            F::First => {
                Value::from_slot(self.view(whose)?.first(plan.window).map(|(_, value)| value), plan.form)
            }
            F::FirstSeen => {
                let value = self.argument(feature, &plan.own, frame)?;
                let mut view = self.view(whose)?;
                // A value that adds one to the number of different ones was not there.
                let (without, with) =
                    (view.distinct(plan.window, None), view.distinct(plan.window, Some(value)));
                Value::Flag(with != without)
            }
            F::Last | F::TimeSince | F::Speed => {
                let last = self.view(whose)?.last(plan.window);
                self.since(aggregate, self.rules.program.aggregate(feature)?, last, frame)
            }
        })
    }

    /// A feature whose condition reads the event being decided: every row of the window is looked at. Of one that is blind none
    /// is.
    fn scan(
        &mut self,
        feature: FeatureId,
        whose: Whose,
        plan: &WindowPlan,
        frame: &mut Frame,
    ) -> Option<Value> {
        let rules = self.rules;
        let (aggregate, program) = (aggregate(rules, feature)?, rules.program.aggregate(feature)?);
        let mut this = std::mem::take(&mut self.looks.row.this);
        program.prepare(&rules.program, frame, self, &mut this);
        frame.this.clone_from(&this);
        self.looks.row.this = this;
        let own = self.counts_itself(feature, &plan.own, frame);
        let kind = rules.plan.kind(whose.kind)?;
        let viewpoint = Viewpoint { at: self.at, exclude: self.exclude };
        let Looks { edges, row: row_frame, .. } = &mut *self.looks;
        let mut view = view(rules, self.states, edges, viewpoint, whose)?;
        let mut found = Matches::new(aggregate);
        if !rules.is_blind(feature, self.at) {
            view.scan(plan.window, |row| {
                kind.load(row, row_frame);
                if program.matches(row_frame) {
                    let value = program.argument(row_frame).to_slot();
                    found.add(row.key(), value, aggregate.numerator.is_none() || program.above(row_frame));
                }
            });
        }
        let last = found.last;
        Some(match aggregate.function {
            AggregateFunction::FirstSeen => Value::Flag(!found.has(program.argument(frame).to_slot()?)),
            AggregateFunction::Last | AggregateFunction::TimeSince | AggregateFunction::Speed => {
                self.since(aggregate, program, last, frame)
            }
            _ => {
                if own {
                    found.add_own(program.argument(frame).to_slot(), program.above(frame));
                }
                found.value(aggregate)
            }
        })
    }

    /// A feature that keeps the last two occurrences.
    fn occurrence(&self, feature: FeatureId, whose: Whose, at: usize, frame: &mut Frame) -> Option<Value> {
        let rules = self.rules;
        let (aggregate, program) = (aggregate(rules, feature)?, rules.program.aggregate(feature)?);
        let kept = self.states.get(whose.entity)?.occurrences.get(at)?;
        let horizon = self.at.saturating_sub(self.rules.typed.schema.keep);
        let second = whose.second.unwrap_or(0);
        if aggregate.function == AggregateFunction::FirstSeen {
            let value = program.argument(frame).to_slot()?;
            return Some(Value::Flag(!kept.seen(second, value, self.exclude, horizon)));
        }
        let last = kept.last(second, self.exclude, horizon);
        Some(self.since(aggregate, program, last, frame))
    }

    /// What `last`, `time_since` and `speed` make of the newest matching event.
    fn since(
        &self,
        aggregate: &Aggregate,
        program: &AggregateProgram,
        last: Option<(Key, i64)>,
        frame: &mut Frame,
    ) -> Value {
        let Some((key, value)) = last else { return Value::Missing };
        let since = self.at.saturating_sub(key.time).max(0);
        match aggregate.function {
            AggregateFunction::TimeSince => Value::Exact(i128::from(since)),
            AggregateFunction::Speed => {
                let Some(here) = program.argument(frame).to_slot().map(Place::unpack) else {
                    return Value::Missing;
                };
                let km = Place::unpack(value).distance_km(here);
                Value::finite(km / hours(since.max(SECOND)))
            }
            _ => Value::from_slot(Some(value), form(aggregate)),
        }
    }
}

/// The windows of an entity at a moment; `edges` belong to the entities like `states`.
#[inline]
fn view<'a, S: DerefMut<Target = EntityState>>(
    rules: &'a RuleSet,
    states: &'a mut [S],
    edges: &'a mut [Edges],
    viewpoint: Viewpoint,
    whose: Whose,
) -> Option<View<'a>> {
    let plan = rules.plan.kind(whose.kind)?;
    let (state, edges) = (states.get_mut(whose.entity)?, edges.get_mut(whose.entity)?);
    let view = state.history.view(&plan.history, edges, viewpoint);
    Some(match whose.second {
        Some(second) => view.among(second),
        None => view,
    })
}

/// The aggregate that a feature is.
fn aggregate(rules: &RuleSet, feature: FeatureId) -> Option<&Aggregate> {
    rules.typed.feature(feature)?.aggregate()
}

/// Which entity an aggregate looks at.
#[derive(Clone, Copy, Debug)]
struct Whose {
    /// Its place among the event's.
    entity: usize,
    kind: KindId,
    /// The slot of a pair's second entity.
    second: Option<i64>,
}

/// A duration in hours.
#[expect(
    clippy::cast_precision_loss,
    reason = "a duration within 600 years keeps its microseconds up to 285 years"
)]
fn hours(span: Micros) -> f64 {
    span as f64 / 3_600_000_000.0
}
