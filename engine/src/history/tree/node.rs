//! A node of the tree: its children, and of each what the tree must know without going down to it.

use super::KEY_MAX;
use crate::history::plan::HistoryPlan;
use crate::history::{Extremes, Key};

/// Up to `fan` children, each with its greatest key, totals and extremes.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) children: Vec<u32>,
    pub(super) last: Vec<Key>,
    /// Child after child, the totals of all lanes.
    pub(super) totals: Vec<i128>,
    /// Child after child, the extremes of all extreme lanes.
    pub(super) extremes: Vec<Option<Extremes>>,
}

impl Node {
    pub(super) fn insert(&mut self, plan: &HistoryPlan, at: usize, child: u32) {
        self.children.insert(at, child);
        self.last.insert(at, KEY_MAX);
        open_gap(&mut self.totals, at * plan.totals, plan.totals, 0);
        open_gap(&mut self.extremes, at * plan.extremes.len(), plan.extremes.len(), None);
    }

    pub(super) fn remove(&mut self, plan: &HistoryPlan, at: usize) {
        self.children.remove(at);
        self.last.remove(at);
        self.totals.drain(at * plan.totals..(at + 1) * plan.totals);
        self.extremes.drain(at * plan.extremes.len()..(at + 1) * plan.extremes.len());
    }

    pub(super) fn move_tail(&mut self, plan: &HistoryPlan, at: usize, to: &mut Self) {
        to.children.extend(self.children.drain(at..));
        to.last.extend(self.last.drain(at..));
        to.totals.extend(self.totals.drain(at * plan.totals..));
        to.extremes.extend(self.extremes.drain(at * plan.extremes.len()..));
    }

    pub(super) fn totals(&self, plan: &HistoryPlan, child: usize) -> &[i128] {
        self.totals.get(child * plan.totals..(child + 1) * plan.totals).unwrap_or(&[])
    }

    pub(super) fn extremes(&self, plan: &HistoryPlan, child: usize) -> &[Option<Extremes>] {
        let lanes = plan.extremes.len();
        self.extremes.get(child * lanes..(child + 1) * lanes).unwrap_or(&[])
    }

    pub(super) fn bytes(&self) -> usize {
        self.children.capacity() * size_of::<u32>()
            + self.last.capacity() * size_of::<Key>()
            + self.totals.capacity() * size_of::<i128>()
            + self.extremes.capacity() * size_of::<Option<Extremes>>()
    }
}

/// Makes room for `count` items at a place.
fn open_gap<T: Copy>(items: &mut Vec<T>, at: usize, count: usize, filler: T) {
    let end = items.len();
    items.resize(end + count, filler);
    items.copy_within(at..end, at + count);
    if let Some(gap) = items.get_mut(at..at + count) {
        gap.fill(filler);
    }
}
