//! Where the state that a plan needs stands among what a snapshot's rule set kept, found by their names.

use std::collections::{BTreeMap, BTreeSet};

use engine::plan::KindPlan;

use crate::state::layout::{KindLayout, Names, while_alone};

/// Where the state that a plan needs stands in a snapshot.
#[derive(Debug, Default)]
pub(super) struct KindFit {
    /// How many columns of values the snapshot has.
    pub(super) columns_stored: usize,
    /// How many words of membership bits.
    pub(super) words_stored: usize,
    /// By column of the plan: which of the snapshot's, if it has it.
    pub(super) columns: Vec<Option<usize>>,
    /// By condition of the plan; none where the bits are taken as they stand.
    pub(super) members: Option<Vec<Member>>,
    /// By occurrence of the snapshot: which of the plan's, if it needs it.
    pub(super) occurrences: Vec<Option<usize>>,
}

/// Where a membership bit comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Member {
    /// This bit of the snapshot's.
    Bit(usize),
    /// Every row has it: the snapshot's rule set asked for it, and kept no bit for what was always so.
    Always,
    /// No row has it: nobody had asked.
    Never,
}

impl KindFit {
    /// Finds what `ours` needs in `theirs`; none if something is not there.
    pub(super) fn new(ours: &KindLayout, plan: &KindPlan, theirs: &KindLayout) -> Option<Self> {
        let fit = Self::part(ours, plan, theirs, |_| true);
        let complete = (0..ours.occurrences.len()).all(|at| fit.occurrences.contains(&Some(at)));
        let never = fit.members.iter().flatten().any(|it| *it == Member::Never);
        (complete && !never && fit.columns.iter().all(Option::is_some)).then_some(fit)
    }

    /// Finds what there is in `theirs` of what `ours` needs; `asked` says which of our conditions `theirs` had asked for too.
    pub(super) fn part(
        ours: &KindLayout,
        plan: &KindPlan,
        theirs: &KindLayout,
        asked: impl Fn(usize) -> bool,
    ) -> Self {
        let columns = index(theirs.columns.iter().enumerate());
        let conditions = index(named(&theirs.conditions));
        let members = plan.conditions.iter().zip(&ours.conditions).enumerate();
        let members = members.map(|(at, (condition, names))| {
            let known = names.names.iter().find_map(|name| find(&conditions, name));
            let plain = condition.test.is_none() && condition.present.is_none();
            known.map_or(if plain && asked(at) { Member::Always } else { Member::Never }, Member::Bit)
        });
        let members: Vec<Member> = members.collect();
        let same = |members: &Vec<Member>| {
            members.len() == theirs.conditions.len()
                && members.iter().enumerate().all(|(at, it)| *it == Member::Bit(at))
        };
        let needed = index(named(&ours.occurrences));
        // Snapshots of old have the same thing as often as features asked for it.
        let mut found = BTreeSet::new();
        let occurrences = theirs.occurrences.iter().map(|names| {
            let at = names.names.iter().find_map(|name| needed.get(name.as_str())).copied();
            at.filter(|at| found.insert(*at))
        });
        Self {
            columns_stored: theirs.columns.len(),
            words_stored: theirs.conditions.len().div_ceil(64),
            columns: ours.columns.iter().map(|name| find(&columns, name)).collect(),
            members: Some(members).filter(|it| !same(it)),
            occurrences: occurrences.collect(),
        }
    }
}

/// Whether a layout has a column of a name.
pub(super) fn has_column(layout: &KindLayout, name: &str) -> bool {
    find(&index(layout.columns.iter().enumerate()), name).is_some()
}

/// The place of a name. What has become several things was one, which had what each of them needs.
fn find(places: &BTreeMap<&str, usize>, name: &str) -> Option<usize> {
    places.get(name).or_else(|| places.get(while_alone(name)?)).copied()
}

fn named(things: &[Names]) -> impl Iterator<Item = (usize, &String)> {
    things.iter().enumerate().flat_map(|(at, it)| it.names.iter().map(move |name| (at, name)))
}

fn index<'a>(names: impl Iterator<Item = (usize, &'a String)>) -> BTreeMap<&'a str, usize> {
    names.map(|(at, name)| (name.as_str(), at)).collect()
}

#[cfg(test)]
mod tests {
    use engine::plan::Plan;

    use super::*;

    #[test]
    fn what_a_snapshot_has_twice_is_taken_once() {
        let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Names>();
        let layout = |occurrences: &[&[&str]]| KindLayout {
            columns: Vec::new(),
            conditions: Vec::new(),
            occurrences: occurrences.iter().map(|it| names(it)).collect(),
        };
        let rules = rules::testing::rule_set(
            "schema s 1\nzone \"UTC\"\ncurrency EUR\nentity user\nevent payment\n  user: user\n",
            "use schema s\n",
        );
        let plan = Plan::of(&rules).unwrap();
        let fit = |ours, theirs| {
            KindFit::new(&layout(ours), &plan.kinds[0], &layout(theirs)).map(|it| it.occurrences)
        };
        assert_eq!(fit(&[&["a"], &["b"]], &[&["b"], &["a"], &["b"]]), Some(vec![Some(1), Some(0), None]));
        assert_eq!(fit(&[&["a", "c"]], &[&["c"], &["a"]]), Some(vec![Some(0), None]));
        assert_eq!(fit(&[&["a"], &["b"]], &[&["a"]]), None);
    }
}
