//! What one record does to one entity: the same for the gate, which has just decided it, and for whoever folds it.

use engine::apply::{self, Applied};
use engine::decide::Scratch;
use engine::event::Change;
use engine::history::Key;
use engine::rule_set::RuleSet;
use engine::state::EntityState;
use rules::past::Mutable;

/// Applies the event in `scratch.facts` and its ruling to the event's entity number `entity`: a row of its own, or of a
/// recheck (`original` is where the event stands that it decides again) its effects and the original's outcome.
pub(crate) fn event(
    rules: &RuleSet,
    applied: Applied,
    original: Option<Key>,
    entity: usize,
    state: &mut EntityState,
    scratch: &mut Scratch,
) {
    let outcome = scratch.ruling.verdict.outcome;
    let Some(original) = original else {
        let mutable = Mutable { outcome, ..Mutable::default() };
        return apply::apply(rules, applied, mutable, entity, state, scratch);
    };
    // Both halves or none: a state that has seen the record has seen what came after it as well.
    if state.applied().is_some_and(|seen| applied.position <= seen) {
        return;
    }
    apply::apply_recheck(rules, applied, entity, state, scratch);
    let kind = scratch.facts.roles.entities.get(entity).map(|key| key.kind);
    if let Some(plan) = kind.and_then(|kind| rules.plan.kinds.get(kind.index())) {
        apply::amend(rules, original, &Change::Outcome(outcome), None, plan, state, scratch);
    }
}
