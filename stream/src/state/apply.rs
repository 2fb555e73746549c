//! What one record does to its entities, which are locked: the same for the gate, which has just decided it, and for
//! whoever folds it.

use engine::apply::{self, Applied};
use engine::decide::Scratch;
use engine::decision::Flags;
use engine::event::Change;
use engine::history::Key;
use engine::rule_set::RuleSet;
use engine::state::EntityState;
use rules::past::Mutable;
use rules::typed::ListId;

use crate::journal::RecordKind;
use crate::record::ListRecord;
use crate::record::RowPlace;
use crate::state::directory::{Guard, Locks};

/// Whether an event stands in windows: one that came too late only if it was decided.
pub(crate) fn stands(kind: RecordKind, flags: Flags) -> bool {
    kind == RecordKind::Decided || !flags.too_late
}

/// Applies the event in `scratch.facts` and its ruling to its entities: a row of its own, or of a recheck (`original` is
/// where the event stands that it decides again) its effects and the original's outcome.
pub(crate) fn event(
    rules: &RuleSet,
    applied: Applied,
    original: Option<Key>,
    states: &mut [Guard],
    scratch: &mut Scratch,
) {
    for (entity, state) in states.iter_mut().enumerate() {
        event_of(rules, applied, original, entity, state, scratch);
    }
}

/// Applies as [`event`] does, to the event's entity number `entity` alone.
pub(crate) fn event_of(
    rules: &RuleSet,
    applied: Applied,
    original: Option<Key>,
    entity: usize,
    state: &mut EntityState,
    scratch: &mut Scratch,
) {
    match original {
        Some(original) => apply::apply_recheck(rules, applied, original, entity, state, scratch),
        None => {
            let mutable = Mutable { outcome: scratch.ruling.verdict.outcome, ..Mutable::default() };
            apply::apply(rules, applied, mutable, entity, state, scratch);
        }
    }
}

/// Applies the amendment of a record at an offset to those entities of its event that have a state, and unlocks them.
pub(crate) fn amendment(
    rules: &RuleSet,
    place: &RowPlace,
    change: &Change,
    offset: u64,
    locks: &mut Locks,
    scratch: &mut Scratch,
) {
    let original = Key::new(place.at, place.position);
    for (key, state) in rules.plan.stateful(&place.entities).iter().zip(&mut locks.guards) {
        if let Some(plan) = rules.plan.kind(key.kind) {
            apply::amend(rules, original, change, offset, plan, state, scratch);
        }
    }
    locks.guards.clear();
}

/// Applies what a record at an offset says of an entity and a list of this number, and unlocks the entity.
pub(crate) fn list(message: &ListRecord, list: ListId, offset: u64, locks: &mut Locks) {
    for state in &mut locks.guards {
        match message.removed {
            false => state.put_on_list(offset, message.membership(list)),
            true => state.take_off_list(offset, list),
        }
    }
    locks.guards.clear();
}
