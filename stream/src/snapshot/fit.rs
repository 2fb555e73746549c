//! Where the state that a plan needs stands among what a snapshot's rule set kept, found by their names.

use std::collections::BTreeMap;

use engine::plan::KindPlan;

use crate::state::layout::{KindLayout, Names};

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
    /// Every row has it: the snapshot's rule set kept no bit for what was always so.
    Always,
    /// No row has it: nobody had asked.
    Never,
}

impl KindFit {
    /// Finds what `ours` needs in `theirs`; none if something is not there.
    pub(super) fn new(ours: &KindLayout, plan: &KindPlan, theirs: &KindLayout) -> Option<Self> {
        let fit = Self::part(ours, plan, theirs);
        let complete = (0..ours.occurrences.len()).all(|at| fit.occurrences.contains(&Some(at)));
        let never = fit.members.iter().flatten().any(|it| *it == Member::Never);
        (complete && !never && fit.columns.iter().all(Option::is_some)).then_some(fit)
    }

    /// Finds what there is in `theirs` of what `ours` needs.
    pub(super) fn part(ours: &KindLayout, plan: &KindPlan, theirs: &KindLayout) -> Self {
        let columns = index(theirs.columns.iter().enumerate());
        let conditions = index(named(&theirs.conditions));
        let members = plan.conditions.iter().zip(&ours.conditions).map(|(condition, names)| {
            let known = names.names.iter().find_map(|name| conditions.get(name.as_str()));
            let plain = condition.test.is_none() && condition.present.is_none();
            known.map_or(if plain { Member::Always } else { Member::Never }, |at| Member::Bit(*at))
        });
        let members: Vec<Member> = members.collect();
        let same = |members: &Vec<Member>| {
            members.len() == theirs.conditions.len()
                && members.iter().enumerate().all(|(at, it)| *it == Member::Bit(at))
        };
        let needed = index(named(&ours.occurrences));
        let occurrences: Vec<Option<usize>> = theirs
            .occurrences
            .iter()
            .map(|names| names.names.iter().find_map(|name| needed.get(name.as_str())).copied())
            .collect();
        Self {
            columns_stored: theirs.columns.len(),
            words_stored: theirs.conditions.len().div_ceil(64),
            columns: ours.columns.iter().map(|name| columns.get(name.as_str()).copied()).collect(),
            members: Some(members).filter(|it| !same(it)),
            occurrences,
        }
    }
}

fn named(things: &[Names]) -> impl Iterator<Item = (usize, &String)> {
    things.iter().enumerate().flat_map(|(at, it)| it.names.iter().map(move |name| (at, name)))
}

fn index<'a>(names: impl Iterator<Item = (usize, &'a String)>) -> BTreeMap<&'a str, usize> {
    names.map(|(at, name)| (name.as_str(), at)).collect()
}
