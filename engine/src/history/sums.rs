//! What some rows add up to: their totals, in all lanes or in those that are tapped, and their extremes.

use std::ops::Range;

use super::plan::{ExtremeLane, HistoryPlan, Tap};
use super::table::Table;
use super::{Extremes, exact};

/// The totals of some rows in all lanes, added to `totals`.
pub(crate) fn totals_of(plan: &HistoryPlan, table: &Table, rows: Range<usize>, totals: &mut [i128]) {
    for lane in &plan.lanes {
        if let Some(to) = totals.get_mut(lane.at..lane.at + lane.words()) {
            lane.add_to(table, rows.clone(), to);
        }
    }
}

/// Adds the lanes that are tapped, out of the totals of all.
pub(crate) fn add_taps(plan: &HistoryPlan, taps: &[Tap], totals: &[i128], below: &mut [i128]) {
    for tap in taps {
        let Some(lane) = plan.lanes.get(tap.lane) else { continue };
        let from = totals.get(lane.at..lane.at + lane.words()).unwrap_or(&[]);
        if let Some(to) = below.get_mut(tap.at..tap.at + lane.words()) {
            exact::add(to, from);
        }
    }
}

/// Adds some rows in the lanes that are tapped.
pub(crate) fn add_rows(
    plan: &HistoryPlan,
    taps: &[Tap],
    table: &Table,
    rows: Range<usize>,
    below: &mut [i128],
) {
    for tap in taps {
        let Some(lane) = plan.lanes.get(tap.lane) else { continue };
        if let Some(to) = below.get_mut(tap.at..tap.at + lane.words()) {
            lane.add_to(table, rows.clone(), to);
        }
    }
}

/// Takes rows out again, as [`add_rows`] put them in.
pub(crate) fn subtract_rows(
    plan: &HistoryPlan,
    taps: &[Tap],
    table: &Table,
    rows: Range<usize>,
    below: &mut [i128],
) {
    for tap in taps {
        let Some(lane) = plan.lanes.get(tap.lane) else { continue };
        if let Some(to) = below.get_mut(tap.at..tap.at + lane.words()) {
            exact::subtract(to, &lane.total(table, rows.clone()));
        }
    }
}

/// Joins two optional extremes.
pub(crate) fn join(lane: &ExtremeLane, a: Option<Extremes>, b: Option<Extremes>) -> Option<Extremes> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.with(lane.ty, b.min).with(lane.ty, b.max)),
        (a, b) => a.or(b),
    }
}

/// The extremes of some rows.
pub(crate) fn extremes_of(lane: &ExtremeLane, table: &Table, rows: Range<usize>) -> Option<Extremes> {
    let values = table.part(lane.column, rows.clone());
    let ranks = values.iter().map(|value| lane.ty.rank(value.cast_signed()));
    let (min, max) = match lane.bit {
        None => least_and_greatest(ranks),
        Some(bit) => {
            let members = table.part(bit.column, rows).iter().map(|word| word >> bit.shift & 1 == 1);
            least_and_greatest(ranks.zip(members).filter(|(_, member)| *member).map(|(rank, _)| rank))
        }
    };
    // A rank's rank is the value again.
    (min <= max).then(|| Extremes { min: lane.ty.rank(min), max: lane.ty.rank(max) })
}

/// Of no ranks the least is above the greatest.
#[inline]
fn least_and_greatest(ranks: impl Iterator<Item = i64>) -> (i64, i64) {
    ranks.fold((i64::MAX, i64::MIN), |(min, max), rank| (min.min(rank), max.max(rank)))
}
