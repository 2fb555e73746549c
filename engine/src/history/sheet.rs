//! What all windows of a history add up to at one moment, worked out together: a total per edge and lane, of which a
//! window is one or the difference of two.
//!
//! Features of one entity are asked for one after the other, and nearly all of them in the end. So the first question
//! pays for a single pass over the rows (or one move of the cursors), and each of the others for two loads.

use rules::time::Micros;

use super::edges::{Edges, Spot};
use super::exact;
use super::lane::{Lane, Limbs, Value};
use super::long::Long;
use super::plan::{HistoryPlan, Part};
use super::table::{Table, rank_from_end};

/// The totals of the rows newer than each edge, in the lanes that are tapped there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sheet {
    newer: Vec<i128>,
    /// Whether they are those of this entity and event.
    pub(crate) known: bool,
}

impl Sheet {
    /// Room for the totals of a plan's edges.
    fn begin(&mut self, plan: &HistoryPlan) -> &mut [i128] {
        self.known = true;
        if self.newer.len() != plan.below {
            self.newer.resize(plan.below, 0);
        }
        &mut self.newer
    }

    /// The total of a window's part that is one word: a count, or the sum of integers.
    #[inline]
    pub(crate) fn word(&self, part: Part) -> i128 {
        let at = |at: usize| self.newer.get(at).copied().unwrap_or(0);
        at(part.lower).wrapping_sub(part.upper.map_or(0, at))
    }

    /// The total of a window's part.
    pub(crate) fn limbs(&self, plan: &HistoryPlan, part: Part) -> Limbs {
        let mut limbs = Limbs::default();
        let words = plan.lanes.get(part.lane).map_or(0, Lane::words);
        let at = |at: usize| self.newer.get(at..at + words).unwrap_or(&[]);
        exact::add(&mut limbs, at(part.lower));
        if let Some(upper) = part.upper {
            exact::subtract(&mut limbs, at(upper));
        }
        limbs
    }
}

/// Fills the sheet of a short history: one pass from the newest row back finds the edges, and one over each lane's
/// column makes its totals, each row looked at once.
pub(crate) fn of_short(table: &Table, plan: &HistoryPlan, edges: &mut Edges, at: Micros) {
    edges.room(plan);
    let mut times = table.times();
    for (edge, distance) in &plan.nearest {
        let row = rank_from_end(times, at.saturating_sub(*distance));
        times = times.get(..row).unwrap_or(times);
        edges.remember(*edge, Spot::at(0, row));
    }
    let Edges { spots, sheet, .. } = edges;
    let newer = sheet.begin(plan);
    let rows = table.len();
    for tapped in plan.tapped.iter().filter(|it| !it.flags) {
        let (lane, mut end) = (&tapped.lane, rows);
        if lane.bit.is_none() && lane.value == Value::Count {
            for (edge, at) in &tapped.taps {
                let start = spots.get(*edge).map_or(rows, |spot| spot.row);
                if let Some(to) = newer.get_mut(*at) {
                    *to = count_of_rows(rows - start);
                }
            }
            continue;
        }
        let mut total = Limbs::default();
        let total = total.get_mut(..lane.words()).unwrap_or_default();
        for (edge, at) in &tapped.taps {
            let start = spots.get(*edge).map_or(rows, |spot| spot.row);
            if start < end {
                lane.add_to(table, start..end, total);
                end = start;
            }
            if let Some(to) = newer.get_mut(*at..at + total.len()) {
                to.copy_from_slice(total);
            }
        }
    }
}

/// Fills the sheet of a long history: its cursors are moved to the edges.
pub(crate) fn of_long(long: &mut Long, plan: &HistoryPlan, edges: &mut Edges, at: Micros) {
    edges.room(plan);
    for edge in 0..plan.edges.len() {
        long.spot(plan, edges, edge, at);
    }
    let Edges { spots, apart, sheet, .. } = edges;
    let newer = sheet.begin(plan);
    for ((to, of), below) in newer.iter_mut().zip(&plan.tapped_words).zip(long.below_all()) {
        *to = long.total.get(*of).copied().unwrap_or(0).wrapping_sub(*below);
    }
    for (edge, _) in plan.edges.iter().zip(spots).filter(|(_, spot)| spot.apart) {
        let words = edge.below.clone();
        let (Some(to), Some(below)) = (newer.get_mut(words.clone()), apart.get(words.clone())) else {
            continue;
        };
        for ((to, of), below) in to.iter_mut().zip(plan.tapped_words.iter().skip(words.start)).zip(below) {
            *to = long.total.get(*of).copied().unwrap_or(0).wrapping_sub(*below);
        }
    }
}

/// A number of rows as a total.
fn count_of_rows(rows: usize) -> i128 {
    i128::try_from(rows).unwrap_or(i128::MAX)
}
