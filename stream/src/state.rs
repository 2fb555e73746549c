//! What is remembered, and what records are folded into: entities, recent ids, the engine clock.
//!
//! The gate has just decided what it applies here, and the fold reads it from the journal: both go through [`apply`], so
//! that a gate's state is the fold of its records. Another rule set can go on with a state if it asks for the same
//! ([`misfit`]).

pub(crate) mod apply;
pub(crate) mod directory;
pub(crate) mod layout;
pub(crate) mod misfit;
pub(crate) mod recent;
pub(crate) mod schema;

use std::sync::Arc;

use engine::entity::EntityKey;
use engine::rule_set::RuleSet;
use engine::state::EntityState;
use rules::time::{DAY, Micros};

use directory::Directory;
use recent::Recent;

/// How long an event id is remembered, by the engine clock.
pub const REPEAT_FOR: Micros = DAY;

/// The memory of a gate: what records are folded into.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) directory: Arc<Directory>,
    pub(crate) recent: Recent,
    /// The engine clock; `i64::MIN` before the first event.
    pub(crate) clock: Micros,
}

impl State {
    pub(crate) fn new() -> Self {
        Self { directory: Arc::default(), recent: Recent::new(REPEAT_FOR), clock: Micros::MIN }
    }
}

/// Of an entity that no record has named.
pub(crate) fn new_state(rules: &RuleSet, key: EntityKey) -> EntityState {
    // INVARIANT (kinds): keys are made from the schema that the plan was made from.
    EntityState::new(rules.plan.kind(key.kind))
}

/// Whether nobody could tell if this entity left memory at this engine clock. What is late looks at lists as they were.
pub(crate) fn may_leave(rules: &RuleSet, key: EntityKey, state: &EntityState, clock: Micros) -> bool {
    let schema = &rules.typed.schema;
    let plan = rules.plan.kind(key.kind);
    plan.is_some_and(|plan| state.may_leave(plan, schema.keep + schema.lateness, clock))
        && !state.lists().any_holds(clock.saturating_sub(schema.lateness))
}
