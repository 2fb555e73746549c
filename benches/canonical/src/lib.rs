//! The canonical workload: payments of a million users, decided by fifty rules that read thirty features.
//!
//! [`traffic`] draws the payments, [`measure`] times what is done with each. `benches/README.md` says what the
//! workload is and why; the rule set is `benches/canonical.weir`.

pub mod measure;
pub mod traffic;

use std::sync::Arc;

use engine::entity::HashKey;
use engine::lists::ValueLists;
use engine::rates::Rates;
use engine::rule_set::RuleSet;
use rules::diagnostic::{Colour, Source, render};
use stream::gate::Gate;
use stream::journal::Forgetful;

/// The schema and the rules, each with its file's name.
const SOURCES: [Source<'static>; 2] = [
    Source { name: "canonical.schema.weir", text: include_str!("../../canonical.schema.weir") },
    Source { name: "canonical.weir", text: include_str!("../../canonical.weir") },
];

/// The rule set of the workload is not in order: somebody changed it, or the language.
#[derive(Debug, thiserror::Error)]
#[error("the canonical rule set cannot be used: {0}")]
pub struct Broken(String);

/// A gate with nothing in memory, over a journal that keeps nothing, and the workload's rules in force. Every gate has
/// the same key of hashes: two runs do the same work.
///
/// # Errors
/// If the rule set does not pass its check.
pub fn gate() -> Result<Gate, Broken> {
    let checked = rules::check::check(&SOURCES);
    let Some(typed) = checked.rule_set else {
        return Err(Broken(render(&checked.diagnostics, &SOURCES, Colour::Never)));
    };
    let currency = typed.schema.currency;
    let rules = RuleSet::new(typed, HashKey::new([0; 16]), ValueLists::default());
    let rules = rules.map_err(|error| Broken(error.to_string()))?;
    Ok(Gate::new(Arc::new(rules), Arc::new(Rates::new(currency)), Box::new(Forgetful::default())))
}
