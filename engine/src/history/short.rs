//! The short form: one table, no running state; every answer is a pass over a part of its columns.

use std::ops::Range;

use super::edges::{Edges, Spot};
use super::exact::{self, SUM_LIMBS, Totals};
use super::lane::{self, Lane, Value};
use super::layout::Layout;
use super::plan::{ExtremeLane, HistoryPlan, Need, Resolved};
use super::sums::{extremes_of, join};
use super::table::{Row, Table};
use super::{Extremes, Key, Viewpoint};

/// How many rows a short history has room for when `rows` stand in it: at most a quarter is spare.
pub(crate) fn capacity_for(plan: &HistoryPlan, rows: usize) -> usize {
    (rows + rows / 4 + 1).clamp(2, plan.sizes.short)
}

/// Makes room for one more row: moves the rows to the front where that frees an eighth, and grows otherwise. What had
/// room for more than twice of what is left of a burst shrinks. There must be fewer rows than the short form's most.
pub(crate) fn make_room(plan: &HistoryPlan, table: &mut Table) {
    if !table.is_full() {
        return;
    }
    let (spare, wanted) = (table.capacity() - table.len(), capacity_for(plan, table.len()));
    if 2 * wanted < table.capacity() {
        *table = table.resized(plan.layout.width(), wanted);
    } else if 0 < spare && (table.capacity() <= 8 * spare || table.capacity() == plan.sizes.short) {
        table.compact();
    } else {
        *table = table.resized(plan.layout.width(), wanted);
    }
}

/// Makes room for so many rows to come, which the short form must be able to hold.
pub(crate) fn make_room_for(plan: &HistoryPlan, table: &mut Table, rows: usize) {
    if table.spare() < rows {
        *table = table.resized(plan.layout.width(), capacity_for(plan, table.len() + rows));
    }
}

/// The rows of a window, before its condition.
#[derive(Debug)]
pub(crate) struct Span<'a> {
    table: &'a Table,
    layout: &'a Layout,
    window: &'a Resolved,
    /// Around the row that is left out, if there is one.
    rows: [Range<usize>; 2],
    /// Only rows with this value in this column.
    pair: Option<(usize, u64)>,
}

impl<'a> Span<'a> {
    #[inline]
    pub(crate) fn new(
        table: &'a Table,
        plan: &'a HistoryPlan,
        window: &'a Resolved,
        edges: &mut Edges,
        viewpoint: Viewpoint,
    ) -> Self {
        let start = rank(table, plan, edges, window.lower, viewpoint);
        let end = match window.upper {
            Some(upper) => rank(table, plan, edges, upper, viewpoint).max(start),
            None => table.len(),
        };
        let out = viewpoint.exclude.and_then(|key| table.find(key)).filter(|row| (start..end).contains(row));
        let rows = match out {
            None => [start..end, end..end],
            Some(out) => [start..out, out + 1..end],
        };
        Self { table, layout: &plan.layout, window, rows, pair: None }
    }

    /// Only the rows of a pair.
    pub(crate) fn among(self, column: usize, value: i64) -> Self {
        Self { pair: Some((column, value.cast_unsigned())), ..self }
    }

    /// The matching rows, oldest first.
    pub(crate) fn matching(&self) -> impl DoubleEndedIterator<Item = usize> + use<'_, 'a> {
        let [before, after] = self.rows.clone();
        let in_pair =
            |row: usize| self.pair.is_none_or(|(column, value)| self.table.word(column, row) == value);
        before.chain(after).filter(move |row| self.table.has(self.window.bit, *row) && in_pair(*row))
    }

    /// The matching rows to be looked at, oldest first.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'a>> + use<'_, 'a> {
        self.matching().map(|row| Row::new(self.table, self.layout, row))
    }

    #[inline]
    pub(crate) fn count(&self) -> u64 {
        if self.pair.is_some() {
            return self.matching().count() as u64;
        }
        let [before, after] = self.rows.clone();
        lane::count(self.table, self.window.bit, before) + lane::count(self.table, self.window.bit, after)
    }

    /// The sum of an integer column.
    #[inline]
    pub(crate) fn sum(&self) -> i128 {
        let (bit, column) = (self.window.bit, self.window.column);
        if self.pair.is_some() {
            let values = self.matching().map(|row| i128::from(self.table.word(column, row).cast_signed()));
            return values.fold(0, i128::wrapping_add);
        }
        let [before, after] = self.rows.clone();
        lane::sum(self.table, bit, column, before).wrapping_add(lane::sum(self.table, bit, column, after))
    }

    pub(crate) fn totals(&self) -> Totals {
        let Resolved { need, ty, column, .. } = *self.window;
        let count = if need.counts() { self.count() } else { 0 };
        let (mut sum, mut squares) = ([0; SUM_LIMBS], [0; 4]);
        if need.sums() {
            self.add(Value::Sum(ty, column), &mut sum);
        }
        if need == Need::Variance {
            self.add(Value::Squares(ty, column), &mut squares);
        }
        Totals::from_parts(ty, count, sum, squares)
    }

    fn add(&self, value: Value, to: &mut [i128]) {
        let lane = Lane { bit: self.window.bit, value, at: 0 };
        if self.pair.is_some() {
            self.matching().for_each(|row| exact::add(to, &lane.total(self.table, row..row + 1)));
        } else {
            self.rows.iter().for_each(|rows| exact::add(to, &lane.total(self.table, rows.clone())));
        }
    }

    pub(crate) fn extremes(&self) -> Option<Extremes> {
        let Resolved { bit, column, ty, .. } = *self.window;
        let lane = ExtremeLane { bit, column, ty };
        let of = |rows: Range<usize>| extremes_of(&lane, self.table, rows);
        if self.pair.is_some() {
            return self.matching().fold(None, |found, row| join(&lane, found, of(row..row + 1)));
        }
        let [before, after] = self.rows.clone();
        join(&lane, of(before), of(after))
    }

    /// How many different values, `current` counted in.
    pub(crate) fn distinct(&self, current: Option<i64>) -> u64 {
        if self.rows.iter().all(Range::is_empty) {
            return u64::from(current.is_some());
        }
        let column = self.table.column(self.window.column);
        let value = |row: usize| column.get(row).copied().unwrap_or(0);
        let current = current.map(i64::cast_unsigned);
        let mut seen = Seen([0; SLOTS]);
        let (mut count, mut known) = (0, current.is_none());
        for row in self.matching() {
            known |= current == Some(value(row));
            count += u64::from(seen.insert(row, value));
        }
        count + u64::from(!known)
    }

    pub(crate) fn first(&self) -> Option<(Key, i64)> {
        self.matching().next().map(|row| self.entry(row))
    }

    pub(crate) fn last(&self) -> Option<(Key, i64)> {
        self.matching().next_back().map(|row| self.entry(row))
    }

    fn entry(&self, row: usize) -> (Key, i64) {
        (self.table.key(row), self.table.word(self.window.column, row).cast_signed())
    }
}

/// Where an edge lies.
#[inline]
fn rank(table: &Table, plan: &HistoryPlan, edges: &mut Edges, edge: usize, viewpoint: Viewpoint) -> usize {
    if let Some(spot) = edges.found(plan, edge) {
        return spot.row;
    }
    let distance = plan.edges.get(edge).map_or(0, |it| it.distance);
    let row = table.rank(viewpoint.at.saturating_sub(distance));
    edges.remember(edge, Spot::at(0, row));
    row
}

/// Slots of [`Seen`], as a power of two: four times the rows of a short history, so that probing is short.
const SLOT_BITS: u32 = 9;
const SLOTS: usize = 1 << SLOT_BITS;

/// A set of rows with different values, without allocation: open addressing, in the slots a row's number from 1.
struct Seen([u8; SLOTS]);

impl Seen {
    /// Puts a row in; says whether it is the first with its value. INVARIANT (few rows): a short history has at most
    /// 128, so that slots stay free and a row's number fits.
    #[expect(clippy::indexing_slicing, reason = "so many bits are below the number of slots")]
    fn insert(&mut self, row: usize, value: impl Fn(usize) -> u64) -> bool {
        // Fibonacci hashing: the upper bits of a product with 2⁶⁴ divided by the golden ratio.
        let hash = value(row).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut slot = (hash >> (u64::BITS - SLOT_BITS)) as usize;
        loop {
            match self.0[slot] {
                0 => {
                    self.0[slot] = u8::try_from(row + 1).unwrap_or(u8::MAX);
                    return true;
                }
                other if value(usize::from(other) - 1) == value(row) => return false,
                _ => slot = (slot + 1) % SLOTS,
            }
        }
    }
}
