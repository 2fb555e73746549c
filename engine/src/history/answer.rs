//! What a long history answers: differences of totals, and what lies between two places.

use std::ops::Range;

use super::edges::Edges;
use super::exact;
use super::lane::Limbs;
use super::long::Long;
use super::plan::{HistoryPlan, Part, Resolved};
use super::sums;
use super::table::Table;
use super::tree::{NONE, Tree};
use super::{Extremes, Key, Viewpoint};

/// One window at one moment.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) plan: &'a HistoryPlan,
    pub(crate) window: &'a Resolved,
    pub(crate) edges: &'a mut Edges,
    pub(crate) viewpoint: Viewpoint,
}

impl Question<'_> {
    fn reborrow(&mut self) -> Question<'_> {
        Question { plan: self.plan, window: self.window, edges: self.edges, viewpoint: self.viewpoint }
    }
}

impl Long {
    /// The total of a lane over a window.
    pub(crate) fn total(&mut self, question: &mut Question<'_>, part: Option<Part>) -> Limbs {
        let mut limbs = Limbs::default();
        let Some(part) = part else { return limbs };
        let (plan, window, viewpoint) = (question.plan, question.window, question.viewpoint);
        let Some(lane) = plan.lanes.get(part.lane) else { return limbs };
        let words = lane.words();
        let Some(limbs_used) = limbs.get_mut(..words) else { return limbs };
        match window.upper.zip(part.upper) {
            None => limbs_used.copy_from_slice(self.total.get(lane.at..lane.at + words).unwrap_or(&[0; 4])),
            Some((upper, at)) => self.add_below(question, upper, at, limbs_used, exact::add),
        }
        self.add_below(question, window.lower, part.lower, limbs_used, exact::subtract);
        if let Some((block, row)) =
            viewpoint.exclude.and_then(|key| self.inside(plan, window, viewpoint, key))
        {
            exact::subtract(limbs_used, &lane.total(&self.tree.block(block).table, row..row + 1));
        }
        limbs
    }

    fn add_below(
        &mut self,
        question: &mut Question<'_>,
        edge: usize,
        at: usize,
        limbs: &mut [i128],
        add: fn(&mut [i128], &[i128]),
    ) {
        let spot = self.spot(question.plan, question.edges, edge, question.viewpoint.at);
        let below = self.below(question.edges, spot);
        add(limbs, below.get(at..at + limbs.len()).unwrap_or(&[]));
    }

    /// The place of a row, if it lies between a window's edges.
    fn inside(
        &self,
        plan: &HistoryPlan,
        window: &Resolved,
        viewpoint: Viewpoint,
        key: Key,
    ) -> Option<(u32, usize)> {
        let bound = |edge: usize| plan.edges.get(edge).map(|it| viewpoint.at.saturating_sub(it.distance));
        let lower = bound(window.lower)?;
        let upper = window.upper.and_then(bound);
        if key.time <= lower || upper.is_some_and(|upper| upper < key.time) {
            return None;
        }
        self.tree.find(key).map(|(_, block, row)| (block, row))
    }

    /// The places between which a window's rows stand.
    fn span(&mut self, question: &mut Question<'_>) -> ((u32, usize), (u32, usize)) {
        let (plan, window, at) = (question.plan, question.window, question.viewpoint.at);
        let lower = self.spot(plan, question.edges, window.lower, at);
        let upper = match window.upper {
            Some(upper) => {
                let spot = self.spot(plan, question.edges, upper, at);
                (spot.block, spot.row)
            }
            None => (self.tree.tail(), self.tree.block(self.tree.tail()).table.len()),
        };
        ((lower.block, lower.row), upper)
    }

    /// The least and the greatest of a window.
    pub(crate) fn extremes(&mut self, question: &mut Question<'_>) -> Option<Extremes> {
        let (plan, window, viewpoint) = (question.plan, question.window, question.viewpoint);
        let lane = window.extremes?;
        let (from, to) = self.span(question);
        let excluded = viewpoint.exclude.and_then(|key| self.inside(plan, window, viewpoint, key));
        match excluded {
            None => self.tree.extremes(plan, lane, from, to),
            Some((block, row)) => sums::join(
                plan.extremes.get(lane)?,
                self.tree.extremes(plan, lane, from, (block, row)),
                self.tree.extremes(plan, lane, (block, row + 1), to),
            ),
        }
    }

    /// How many different values a window has, `current` counted in. Without an upper edge by the flags; with one by
    /// a pass over its rows.
    pub(crate) fn distinct(&mut self, question: &mut Question<'_>, current: Option<i64>) -> u64 {
        let (plan, window, viewpoint) = (question.plan, question.window, question.viewpoint);
        let Some(lane) = window.distinct else { return self.distinct_by_pass(question, current) };
        let unexcluded = Viewpoint { exclude: None, ..viewpoint };
        let [flags, ..] =
            self.total(&mut Question { viewpoint: unexcluded, ..question.reborrow() }, window.count);
        let count = u64::try_from(flags).unwrap_or(0);
        let (Some(lane), Some(values)) = (plan.distincts.get(lane), self.distincts.get(lane)) else {
            return count;
        };
        let lower = plan.edges.get(window.lower).map_or(0, |it| viewpoint.at.saturating_sub(it.distance));
        let newer = |key: Option<Key>| key.is_some_and(|key| lower < key.time);
        let mut count = count;
        if let Some((block, row)) =
            viewpoint.exclude.and_then(|key| self.inside(plan, window, viewpoint, key))
        {
            let table = &self.tree.block(block).table;
            let value = table.word(lane.column, row).cast_signed();
            if table.has(Some(lane.flag), row) && !newer(values.newest(value, viewpoint.exclude)) {
                count -= 1;
            }
        }
        let known = current.is_none_or(|value| newer(values.newest(value, viewpoint.exclude)));
        count + u64::from(!known)
    }

    fn distinct_by_pass(&mut self, question: &mut Question<'_>, current: Option<i64>) -> u64 {
        let mut values = question.edges.take_values();
        values.extend(current);
        let column = question.window.column;
        self.each(question, |table, row| {
            values.insert(table.word(column, row).cast_signed());
        });
        let count = values.len() as u64;
        question.edges.return_values(values);
        count
    }

    /// Shows every row of a window, oldest first.
    pub(crate) fn each(&mut self, question: &mut Question<'_>, mut each: impl FnMut(&Table, usize)) {
        let (window, exclude) = (question.window, question.viewpoint.exclude);
        let (from, to) = self.span(question);
        let mut at = from;
        loop {
            let block = self.tree.block(at.0);
            let end = if at.0 == to.0 { to.1 } else { block.table.len() };
            for row in at.1..end {
                let out = || exclude.is_some_and(|key| block.table.key(row) == key);
                if block.table.has(window.bit, row) && !out() {
                    each(&block.table, row);
                }
            }
            if at.0 == to.0 || block.next == NONE {
                return;
            }
            at = (block.next, 0);
        }
    }

    /// The oldest row of a window: its key and value. Blocks without a matching row are passed over by their counts.
    pub(crate) fn first(&mut self, question: &mut Question<'_>) -> Option<(Key, i64)> {
        let (from, to) = self.span(question);
        let mut place = from;
        loop {
            let table = &self.tree.block(place.0).table;
            let end = if place.0 == to.0 { to.1 } else { table.len() };
            let found = matching(question, table, place.1..end).next();
            if let Some(row) = found {
                return Some((table.key(row), table.word(question.window.column, row).cast_signed()));
            }
            if place.0 == to.0 {
                return None;
            }
            let block = self.block_beside(question, table.last_key()?, true)?;
            if table_is_behind(&self.tree, block, to.0) {
                return None;
            }
            place = (block, 0);
        }
    }

    /// The newest row of a window: its key and value.
    pub(crate) fn last(&mut self, question: &mut Question<'_>) -> Option<(Key, i64)> {
        let (from, to) = self.span(question);
        let mut place = to;
        loop {
            let table = &self.tree.block(place.0).table;
            let start = if place.0 == from.0 { from.1 } else { 0 };
            let found = matching(question, table, start..place.1).next_back();
            if let Some(row) = found {
                return Some((table.key(row), table.word(question.window.column, row).cast_signed()));
            }
            if place.0 == from.0 {
                return None;
            }
            let block = self.block_beside(question, table.last_key()?, false)?;
            if table_is_behind(&self.tree, from.0, block) {
                return None;
            }
            place = (block, self.tree.block(block).table.len());
        }
    }

    /// The next block, or the one before, with a row that matches a window's condition.
    fn block_beside(&self, question: &Question<'_>, key: Key, behind: bool) -> Option<u32> {
        let part = question.window.count?;
        let lane = question.plan.lanes.get(part.lane)?;
        self.tree.block_with(question.plan, lane.at, key, behind)
    }
}

/// The rows among some that match a window's condition and are not left out.
fn matching<'a>(
    question: &'a Question<'_>,
    table: &'a Table,
    rows: Range<usize>,
) -> impl DoubleEndedIterator<Item = usize> + 'a {
    let (bit, exclude) = (question.window.bit, question.viewpoint.exclude);
    rows.filter(move |row| table.has(bit, *row) && exclude.is_none_or(|exclude| table.key(*row) != exclude))
}

/// Whether a block stands behind another.
fn table_is_behind(tree: &Tree, block: u32, other: u32) -> bool {
    tree.block(other).table.last_key() < tree.block(block).table.last_key()
}
