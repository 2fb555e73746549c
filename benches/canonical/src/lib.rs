//! The canonical workload: payments of a million users, decided by fifty rules that read thirty features.
//!
//! [`traffic`] draws the payments, [`measure`] times what is done with each, [`steps`] takes a decision apart.
//! `benches/README.md` says what the workload is and why; the rule set is `benches/canonical.weir`.

pub mod measure;
pub mod steps;
pub mod traffic;

use std::sync::Arc;

use engine::entity::HashKey;
use engine::lists::ValueLists;
use engine::rates::Rates;
use engine::rule_set::RuleSet;
use rules::diagnostic::{Colour, Source, render};
use stream::bundle::Bundle;
use stream::gate::Gate;
use stream::journal::Forgetful;

const SCHEMA: Source<'static> =
    Source { name: "canonical.schema.weir", text: include_str!("../../canonical.schema.weir") };
const RULES: Source<'static> = Source { name: "canonical.weir", text: include_str!("../../canonical.weir") };
const FLAT: Source<'static> = Source { name: "flat.weir", text: include_str!("../../flat.weir") };

/// A rule set of the benches is not in order: somebody changed it, or the language.
#[derive(Debug, thiserror::Error)]
#[error("a rule set of the benches cannot be used: {0}")]
pub struct Broken(String);

/// A gate with nothing in memory, over a journal that keeps nothing, and the workload's rules in force. Every gate has
/// the same key of hashes: two runs do the same work.
///
/// # Errors
/// If the rule set does not pass its check.
pub fn gate() -> Result<Gate, Broken> {
    gate_of(RULES)
}

/// The workload's rules as texts, for a gate over a journal that keeps them.
pub fn bundle() -> Bundle {
    Bundle::of(&[SCHEMA, RULES].map(|it| (it.name, it.text)))
}

/// A gate as [`gate`] gives it, with rules that ask of a merchant only, over its whole day.
///
/// # Errors
/// If the rule set does not pass its check.
pub fn flat_gate() -> Result<Gate, Broken> {
    gate_of(FLAT)
}

fn gate_of(rules: Source<'static>) -> Result<Gate, Broken> {
    let sources = [SCHEMA, rules];
    let checked = rules::check::check(&sources);
    let Some(typed) = checked.rule_set else {
        return Err(Broken(render(&checked.diagnostics, &sources, Colour::Never)));
    };
    let currency = typed.schema.currency;
    let rules = RuleSet::new(typed, HashKey::new([0; 16]), ValueLists::default());
    let rules = rules.map_err(|error| Broken(error.to_string()))?;
    Ok(Gate::new(Arc::new(rules), Arc::new(Rates::new(currency)), Box::new(Forgetful::default())))
}

#[cfg(test)]
mod tests {
    use engine::plan::FeaturePlan;

    use super::*;

    #[test]
    fn the_rule_sets_pass_their_check_and_are_of_the_size_they_say() {
        for (gate, rules_there, features) in [(gate().unwrap(), 50, 30), (flat_gate().unwrap(), 1, 8)] {
            let rules = gate.rules();
            let typed = &rules.typed;
            assert_eq!((typed.rules.len(), typed.features.len()), (rules_there, features));
            let windows = rules.plan.features.iter();
            assert!(windows.clone().all(|it| matches!(it, FeaturePlan::Window(_))));
        }
    }
}
