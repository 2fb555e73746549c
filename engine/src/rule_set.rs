//! A rule set ready to decide: checked, compiled and planned; immutable and shared by all threads.

use rules::program::Program;

use crate::entity::HashKey;
use crate::history::PlanError;
use crate::lists::ValueLists;
use crate::plan::Plan;

/// A rule set ready to decide.
#[derive(Debug)]
pub struct RuleSet {
    /// As checked.
    pub typed: rules::typed::RuleSet,
    /// As compiled.
    pub program: Program,
    /// The state that it needs.
    pub plan: Plan,
    /// What its lists of plain values hold.
    pub values: ValueLists,
    /// The key under which its texts were hashed.
    pub key: HashKey,
}

impl RuleSet {
    /// Compiles and plans a checked rule set. `values` are the contents of its lists of plain values.
    ///
    /// # Errors
    /// If the plan needs more of anything than there are numbers for.
    pub fn new(typed: rules::typed::RuleSet, key: HashKey, values: ValueLists) -> Result<Self, PlanError> {
        let program = Program::compile(&typed, &|text| key.slot(text));
        let plan = Plan::of(&typed)?;
        Ok(Self { program, plan, values, key, typed })
    }
}
