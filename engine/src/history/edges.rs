//! Scratch of one (entity, event): where the edges of its windows lie.

use std::ops::Range;

use foldhash::fast::FixedState;
use hashbrown::HashSet;

use super::plan::HistoryPlan;
use super::sheet::Sheet;
use super::tree::NONE;

/// Scratch of one (entity, event): where the edges of the windows lie in its history. [`Edges::begin`] before the
/// first view of every event, and again after the history has changed. Reused, it allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Edges {
    pub(crate) spots: Vec<Spot>,
    /// Totals below those edges that lie apart from their cursors.
    pub(crate) apart: Vec<i128>,
    pub(crate) sheet: Sheet,
    values: HashSet<i64, FixedState>,
    pair: Option<Box<Self>>,
}

/// Where an edge lies: the first row newer than it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Spot {
    /// The block; 0 in a short history.
    pub(crate) block: u32,
    pub(crate) row: usize,
    /// Whether it was found apart from its cursor.
    pub(crate) apart: bool,
}

impl Spot {
    pub(crate) const UNKNOWN: Self = Self { block: NONE, row: 0, apart: false };

    pub(crate) fn at(block: u32, row: usize) -> Self {
        Self { block, row, apart: false }
    }
}

impl Edges {
    /// Scratch for any history.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets what was found for another event or entity.
    #[inline]
    pub fn begin(&mut self) {
        self.spots.clear();
        self.sheet.known = false;
    }

    /// Room for the edges of a plan.
    #[inline]
    pub(crate) fn room(&mut self, plan: &HistoryPlan) {
        if self.spots.len() != plan.edges.len() {
            self.spots.clear();
            self.spots.resize(plan.edges.len(), Spot::UNKNOWN);
        }
    }

    /// Where an edge lies, if that is known.
    #[inline]
    pub(crate) fn found(&mut self, plan: &HistoryPlan, edge: usize) -> Option<Spot> {
        self.room(plan);
        self.spots.get(edge).copied().filter(|spot| spot.block != NONE)
    }

    pub(crate) fn remember(&mut self, edge: usize, spot: Spot) {
        if let Some(to) = self.spots.get_mut(edge) {
            *to = spot;
        }
    }

    /// Room for the totals below an edge.
    pub(crate) fn apart(&mut self, plan: &HistoryPlan, below: Range<usize>) -> &mut [i128] {
        if self.apart.len() < plan.below {
            self.apart.resize(plan.below, 0);
        }
        self.apart.get_mut(below).unwrap_or(&mut [])
    }

    pub(crate) fn totals(&self) -> &[i128] {
        &self.apart
    }

    /// An empty set to collect values in; to be given back.
    pub(crate) fn take_values(&mut self) -> HashSet<i64, FixedState> {
        std::mem::take(&mut self.values)
    }

    pub(crate) fn return_values(&mut self, mut values: HashSet<i64, FixedState>) {
        values.clear();
        self.values = values;
    }

    /// Scratch for the history of a pair, begun.
    pub(crate) fn of_pair(&mut self) -> &mut Self {
        let edges = self.pair.get_or_insert_default();
        edges.begin();
        edges
    }
}
