//! Whether a rule set can go on with what another one remembers, and read what was recorded under it.

use engine::plan::FeaturePlan;
use engine::rule_set::RuleSet;
use rules::typed::{List, ListKind};

use super::layout::{Layout, Namer, Names};
use super::schema;

/// Why a rule set cannot go on with the state of another one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Misfit {
    /// Its ids are hashed under another key.
    #[error("its ids are hashed under another key")]
    Key,
    /// Its schema is another one.
    #[error("{0}")]
    Schema(String),
    /// Its schema is another one under no higher version.
    #[error(
        "its schema has other {what} than the one in force, and version {ours}: a changed schema has a version above {theirs}"
    )]
    Version {
        /// The first difference.
        what: &'static str,
        /// The version of its own.
        ours: u32,
        /// The version in force.
        theirs: u32,
    },
    /// It needs state that is not kept.
    #[error("{} is not remembered", crate::intake::listed(.0.iter().map(String::as_str)))]
    Lacking(Vec<String>),
    /// Lists are other ones, or in another order.
    #[error("its lists do not begin with those in force, in their order: add new ones behind them")]
    Lists,
    /// A new list of entities would have to be filled.
    #[error(
        "its new list `{0}` is filled from a file, which happens before the first event only: leave `from` out, and \
         put its entities on the list once it is there"
    )]
    Filled(String),
    /// Its entities of a kind have other columns, or in another order, and these features look at them.
    #[error("{} would be kept in another form", crate::intake::listed(.0.iter().map(String::as_str)))]
    Order(Vec<String>),
}

/// Whether a rule set can take over every state as it is: the same columns, conditions, windows and lists under the
/// same numbers, whatever its rules, policies and computed features say.
pub(crate) fn same_state(old: &RuleSet, new: &RuleSet) -> Result<(), Misfit> {
    if old.key != new.key {
        return Err(Misfit::Key);
    }
    let (before, after) = (Layout::of(old), Layout::of(new));
    if old.typed.schema.name != new.typed.schema.name {
        return Err(Misfit::Schema("its schema has another name".to_owned()));
    }
    if let Some(what) = after.difference(&before) {
        return Err(Misfit::Schema(what));
    }
    if !after.lists.starts_with(&before.lists) {
        return Err(Misfit::Lists);
    }
    let added = new.typed.lists.iter().skip(old.typed.lists.len());
    let filled = |it: &&List| !matches!(it.of, ListKind::Values(_)) && it.file.is_some();
    if let Some(list) = added.into_iter().find(filled) {
        return Err(Misfit::Filled(list.name.clone()));
    }
    // What could be built is said last.
    let lacking = after.missing_in(&before);
    if !lacking.is_empty() {
        return Err(Misfit::Lacking(lacking));
    }
    let plans = old.plan.kinds.iter().zip(&new.plan.kinds);
    let layouts = before.kinds.iter().zip(&after.kinds);
    for ((at, (old_plan, new_plan)), (before, after)) in plans.enumerate().zip(layouts) {
        let same = before.columns == after.columns
            && same_things(&before.conditions, &after.conditions)
            && same_things(&before.occurrences, &after.occurrences)
            && old_plan.has_history == new_plan.has_history
            && old_plan.history == new_plan.history;
        if !same {
            return Err(Misfit::Order(features_of(new, at)));
        }
    }
    Ok(())
}

/// The names of the features that look at the entities of a kind.
fn features_of(rules: &RuleSet, kind: usize) -> Vec<String> {
    let namer = Namer(rules);
    let features = rules.typed.features.iter().zip(&rules.plan.features);
    let looks = |plan: &FeaturePlan| namer.kind_of(plan).is_some_and(|it| it.index() == kind);
    features.filter(|(_, plan)| looks(plan)).map(|(it, _)| it.name.clone()).collect()
}

/// Whether a schema that changes does so as a schema may, in a rule set that knows all that the one in force knows.
pub(crate) fn grows_rightly(old: &RuleSet, new: &RuleSet) -> Result<(), Misfit> {
    let (theirs, ours) = (&old.typed.schema, &new.typed.schema);
    if let Some(what) = schema::misread(theirs, ours) {
        return Err(Misfit::Schema(what));
    }
    // States are trimmed by them, and what came too late stands where they say.
    let times = schema::other_times(theirs, ours);
    if !times.is_empty() {
        return Err(Misfit::Schema(format!(
            "its {times}, and every feature means something else by it: set it back, or begin a new data directory"
        )));
    }
    match schema::unversioned(theirs, ours) {
        None => Ok(()),
        Some(what) => Err(Misfit::Version { what, ours: ours.version, theirs: theirs.version }),
    }
}

/// Whether a rule set can read the events of another one's records, and what they say of lists. It may have more event
/// types, more values of enums and, behind the others, more fields.
pub(crate) fn same_history(recorded: &RuleSet, tested: &RuleSet) -> Result<(), Misfit> {
    let (theirs, ours) = (&recorded.typed.schema, &tested.typed.schema);
    if let Some(what) = Layout::of(tested).difference(&Layout::of(recorded)) {
        return Err(Misfit::Schema(what));
    }
    if let Some(what) = schema::misread(theirs, ours) {
        return Err(Misfit::Schema(what));
    }
    // What was too late stands at the edge of the allowed lateness, where amendments name it.
    if theirs.lateness != ours.lateness {
        return Err(Misfit::Schema(format!("its {}", schema::other_times(theirs, ours))));
    }
    let kind = |of: &RuleSet, list: &List| Namer(of).list_kind(list.of);
    let other = tested.typed.lists.iter().find(|ours| {
        let theirs = recorded.typed.lists.iter().find(|it| it.name == ours.name);
        theirs.is_some_and(|theirs| kind(recorded, theirs) != kind(tested, ours))
    });
    match other {
        Some(list) => Err(Misfit::Schema(format!("list `{}` does not hold what it held", list.name))),
        None => Ok(()),
    }
}

/// Whether things stand in the same order: of two that are the same, some name is the same.
fn same_things(before: &[Names], after: &[Names]) -> bool {
    let same = |(a, b): (&Names, &Names)| a.names.iter().any(|name| b.names.contains(name));
    before.len() == after.len() && before.iter().zip(after).all(same)
}
