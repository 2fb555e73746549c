//! From when on features are complete whose state was built from a journal that does not reach back far enough.
//!
//! The journal that was built from holds every event later than `since`. A feature over a window is complete for an event
//! at `t` once all of its window is: `t − (over + delay) ≥ since`. One without a window looks back as far as the schema's
//! `keep`. One that looks at features as they were at past events needs these complete, from the journal alone, at the
//! oldest of them. What the journal's base has kept rows of, but not what a feature looks for in them, is no part of its
//! window: until it is complete the feature is blind, and only the event being decided counts. A decision is warming if
//! anything that it may read is not complete at its event: a rule of its type that is not `off`, its policy, or a feature
//! that is always recorded, directly or through other features.

use std::collections::BTreeMap;

use rules::schema::EventTypeId;
use rules::time::Micros;
use rules::typed::{Aggregate, Definition, Effect, Expr, ExprKind, Feature, FeatureId, Rule, RuleSet};

use crate::record::Lacking;

/// From which time on aggregates are complete, by definition hash; those that are not named always are.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Warming(BTreeMap<Vec<u8>, Until>);

/// What one aggregate lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Until {
    time: Micros,
    /// As of [`Lacking::blind`].
    blind: bool,
}

impl Warming {
    /// As records and snapshots have it.
    pub(crate) fn of(lacking: &[Lacking]) -> Self {
        let until = |it: &Lacking| Until { time: it.until, blind: it.blind };
        Self(lacking.iter().map(|it| (it.feature.clone(), until(it))).collect())
    }

    /// For records and snapshots.
    pub(crate) fn to_records(&self) -> Vec<Lacking> {
        let lacking = |(feature, Until { time, blind }): (&Vec<u8>, &Until)| Lacking {
            feature: feature.clone(),
            until: *time,
            blind: *blind,
        };
        self.0.iter().map(lacking).collect()
    }

    /// Whether all is complete.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What this one and what another one names.
    pub(crate) fn and(&self, other: Self) -> Self {
        let mut all = self.0.clone();
        all.extend(other.0);
        Self(all)
    }

    /// What is new in a rule set beside an old one, built from a journal that holds every event later than `since`; `blind`
    /// says which of its features are until they are complete.
    pub(crate) fn built(
        old: &RuleSet,
        new: &RuleSet,
        since: Micros,
        blind: impl Fn(FeatureId) -> bool,
    ) -> Self {
        // What a past event saw is computed on the way, and then even old features have only the journal.
        let mut from_journal = Vec::new();
        for feature in &new.features {
            let read = latest(reads(feature), &from_journal).unwrap_or(since);
            let reach = feature.aggregate().map_or(0, |it| reach(it, new));
            from_journal.push(Some(read.saturating_add(reach)));
        }
        let is_new = |it: &Feature| !old.features.iter().any(|known| known.hash == it.hash);
        let new = FeatureId::all().zip(&new.features).zip(from_journal);
        let new = new.filter(|((_, it), _)| it.aggregate().is_some() && is_new(it));
        let until = |id, time| Until { time, blind: blind(id) };
        Self(new.filter_map(|((id, it), from)| Some((it.hash.to_vec(), until(id, from?)))).collect())
    }

    /// From when on each feature of a rule set is complete, by number; none: always.
    pub(crate) fn by_feature(&self, rules: &RuleSet) -> Vec<Option<Micros>> {
        let mut complete = Vec::new();
        for feature in &rules.features {
            complete.push(self.complete_from(feature, &complete));
        }
        complete
    }

    /// Of a feature whose earlier ones are known.
    fn complete_from(&self, feature: &Feature, earlier: &[Option<Micros>]) -> Option<Micros> {
        match feature.aggregate() {
            Some(_) => self.0.get(&feature.hash[..]).map(|it| it.time),
            None => latest(reads(feature), earlier),
        }
    }

    /// Until when each feature is blind, by number; empty if none is.
    pub(crate) fn blind_by_feature(&self, rules: &RuleSet) -> Vec<Micros> {
        if !self.0.values().any(|it| it.blind) {
            return Vec::new();
        }
        let until =
            |it: &Feature| self.0.get(&it.hash[..]).filter(|it| it.blind).map_or(Micros::MIN, |it| it.time);
        rules.features.iter().map(until).collect()
    }

    /// Until when decisions are warming, by event type; empty if none is.
    pub(crate) fn by_event(&self, rules: &RuleSet) -> Vec<Micros> {
        if self.is_empty() {
            return Vec::new();
        }
        let complete = self.by_feature(rules);
        let events = EventTypeId::all().take(rules.schema.events.len());
        let until = |it| latest(seen(rules, it), &complete).unwrap_or(Micros::MIN);
        events.map(until).collect()
    }
}

/// When the last of some features is complete; none if they always are.
pub(crate) fn latest(
    features: impl IntoIterator<Item = FeatureId>,
    complete: &[Option<Micros>],
) -> Option<Micros> {
    features.into_iter().filter_map(|it| complete.get(it.index()).copied().flatten()).max()
}

/// How far back an aggregate looks.
fn reach(it: &Aggregate, rules: &RuleSet) -> Micros {
    it.over.unwrap_or(rules.schema.keep).saturating_add(it.delay.unwrap_or(0))
}

/// The features that a decision about an event of this type may read.
fn seen(rules: &RuleSet, event: EventTypeId) -> Vec<FeatureId> {
    let running = rules.rules.iter().filter(|it| it.runs_on(event));
    let policy = rules.policy_for(event).and_then(|at| rules.policies.get(at));
    let lines = policy.into_iter().flat_map(|it| &it.lines);
    let is_seen = |id: &FeatureId| rules.feature(*id).is_some_and(|it| it.domain.contains(&event));
    let recorded = rules.record.iter().copied().filter(is_seen);
    running.flat_map(read_by_rule).chain(recorded).chain(named_in(lines.map(|it| &it.when))).collect()
}

/// The features that a rule reads itself.
pub(crate) fn read_by_rule(rule: &Rule) -> Vec<FeatureId> {
    let scores =
        rule.effects.iter().filter_map(|it| if let Effect::Score(expr) = it { Some(expr) } else { None });
    named_in(std::iter::once(&rule.when).chain(scores))
}

/// The features that a feature reads itself, of the event or of past ones.
fn reads(feature: &Feature) -> impl Iterator<Item = FeatureId> {
    match &feature.definition {
        Definition::Expr(expr) => named_in([expr]),
        Definition::Aggregate(it) => named_in(it.argument.iter().chain(&it.condition).chain(&it.numerator)),
    }
    .into_iter()
}

fn named_in<'a>(exprs: impl IntoIterator<Item = &'a Expr>) -> Vec<FeatureId> {
    let mut named = Vec::new();
    for expr in exprs {
        expr.visit(&mut |it| {
            if let ExprKind::Feature(id) = it.kind {
                named.push(id);
            }
        });
    }
    named
}
