//! The long form: blocks under a tree, and for every edge a cursor with the totals below it.
//!
//! Totals count from the beginning of the history and never shrink by trimming: a window is the difference of two of
//! them, so what left by age cancels. A cursor knows the time that it was moved to, and INVARIANT (below): its totals
//! are those of exactly the rows, kept or dropped, with `time <= threshold`, and it stands at the first kept row
//! newer than that, or at the end of the tail.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use rules::time::Micros;
use smallvec::SmallVec;

use super::distinct::Values;
use super::edges::{Edges, Spot};
use super::exact;
use super::lane::Lane;
use super::plan::{DistinctLane, Edge, HistoryPlan};
use super::sums;
use super::table::{Row, Table};
use super::tree::{Change, NONE, Path, Tree};
use super::{History, Key, NewRow};

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Long {
    pub(super) tree: Tree,
    /// Totals of all rows ever, in all lanes.
    pub(super) total: Box<[i128]>,
    /// Of those dropped.
    dropped: Box<[i128]>,
    /// Of those below each edge's cursor, in the lanes that the edge taps.
    below: Box<[i128]>,
    cursors: Box<[Cursor]>,
    pub(super) distincts: Box<[Values]>,
    /// By pair plan: a history for each value of its column.
    pairs: Box<[HashMap<i64, History, FixedState>]>,
    horizon: Micros,
    /// The time of the first block's newest row, or an earlier one: until the horizon is there, nothing leaves, and
    /// that block, which nobody else asks for, need not be fetched to see it.
    stays_until: Micros,
    /// Scratch: one row's totals in all lanes, and its words.
    delta: Box<[i128]>,
    words: Box<[u64]>,
}

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cursor {
    threshold: Micros,
    /// The time of the row that it stands at; at the end of the tail the greatest of all. Until an edge is there, the
    /// block need not be fetched to see that nothing moves.
    next: Micros,
    block: u32,
    row: usize,
}

/// What is left of a long history after trimming.
#[derive(Debug)]
pub(crate) enum Trimmed {
    /// It stays long.
    Long,
    /// So few rows that they stand in the short form.
    Short(Table),
}

impl DistinctLane {
    /// Flags the newest row of each value among some rows. Gives where the values last occurred.
    fn flag_newest(&self, rows: &mut Table) -> Values {
        let mut values = Values::new(self.mutable);
        for row in 0..rows.len() {
            if !rows.has(self.bit, row) {
                continue;
            }
            let newest = values.insert(rows.word(self.column, row).cast_signed(), rows.key(row));
            if let Some(before) = newest.and_then(|newest| rows.find(newest)) {
                rows.set_bit(self.flag, before, false);
            }
            rows.set_bit(self.flag, row, true);
        }
        values
    }
}

impl Long {
    /// Of the rows of a short history.
    pub(crate) fn new(plan: &HistoryPlan, rows: &mut Table) -> Self {
        let distincts = plan.distincts.iter().map(|lane| lane.flag_newest(rows)).collect();
        let tree = Tree::new(plan, rows);
        let head = tree.head();
        let cursor = Cursor { threshold: Micros::MIN, next: tree.time_at(head, 0), block: head, row: 0 };
        let mut long = Self {
            total: tree.totals_of_root(plan).into(),
            tree,
            dropped: vec![0; plan.totals].into(),
            below: vec![0; plan.below].into(),
            cursors: vec![cursor; plan.edges.len()].into(),
            distincts,
            pairs: plan.pairs.iter().map(|_| HashMap::default()).collect(),
            horizon: Micros::MIN,
            stays_until: Micros::MIN,
            delta: vec![0; plan.totals].into(),
            words: vec![0; plan.layout.width()].into(),
        };
        if !plan.pairs.is_empty() {
            (0..rows.len()).for_each(|row| long.insert_in_pairs(plan, head, row));
        }
        long
    }

    /// Rows that are kept and newer than the horizon.
    pub(crate) fn len(&self) -> usize {
        self.tree.rows() - self.tree.rank(self.total.len(), self.horizon).2
    }

    /// Prefetches what an event in time order reads: the rows at the cursors, and behind the newest.
    pub(crate) fn prefetch(&self) {
        self.cursors.iter().for_each(|it| self.tree.block(it.block).table.prefetch_row(it.row));
        self.prefetch_end();
    }

    /// Prefetches what is behind the newest row.
    pub(crate) fn prefetch_end(&self) {
        let tail = &self.tree.block(self.tree.tail()).table;
        tail.prefetch_row(tail.len());
    }

    pub(crate) fn newest(&self) -> Option<Key> {
        self.tree.block(self.tree.tail()).table.last_key()
    }

    pub(crate) fn bytes(&self) -> usize {
        let pairs: usize = self.pairs.iter().map(HashMap::allocation_size).sum();
        let inner: usize = self.pairs.iter().flat_map(HashMap::values).map(History::bytes).sum();
        let totals = [&self.total, &self.dropped, &self.below, &self.delta];
        size_of::<Self>()
            + self.tree.bytes()
            + totals.into_iter().map(|it| size_of_val::<[i128]>(it)).sum::<usize>()
            + size_of_val::<[Cursor]>(&self.cursors)
            + size_of_val::<[u64]>(&self.words)
            + self.distincts.iter().map(|it| size_of::<Values>() + it.bytes()).sum::<usize>()
            + pairs
            + inner
    }

    /// Inserts a row at its place.
    pub(crate) fn insert(&mut self, plan: &HistoryPlan, row: NewRow<'_>) {
        plan.layout.pack(row, &mut self.words);
        self.insert_words(plan, row.key);
    }

    /// Inserts the row in `words`, whose hidden bits are zero.
    fn insert_words(&mut self, plan: &HistoryPlan, key: Key) {
        self.flag_new(plan, key);
        let (path, block, row, change) = self.tree.insert(plan, key, &self.words);
        if let Change::Split { left, at, right } = change {
            self.stays_until = Micros::MIN;
            for cursor in self.cursors.iter_mut().filter(|it| it.block == left && at <= it.row) {
                *cursor = Cursor { block: right, row: cursor.row - at, ..*cursor };
            }
        }
        for cursor in &mut self.cursors {
            if cursor.threshold < key.time {
                // A row between a cursor and the row that it stood at takes that row's place.
                cursor.next = cursor.next.min(key.time);
            } else if cursor.block == block {
                cursor.row += 1;
            }
        }
        self.delta.fill(0);
        for lane in &plan.lanes {
            if let Some(to) = self.delta.get_mut(lane.at..lane.at + lane.words()) {
                lane.add_row(&self.words, to);
            }
        }
        self.add_delta(plan, &path, key.time);
        self.tree.raise_extremes(plan, &path, block, row);
        if !plan.pairs.is_empty() {
            self.insert_in_pairs(plan, block, row);
        }
    }

    /// Inserts a row into the histories of its pairs.
    fn insert_in_pairs(&mut self, plan: &HistoryPlan, block: u32, row: usize) {
        let table = &self.tree.block(block).table;
        let whole = Row::new(table, &plan.layout, row);
        let values: SmallVec<[i64; 8]> = whole.values().collect();
        let members: SmallVec<[u64; 4]> = whole.member_words().collect();
        let row = NewRow { key: whole.key(), members: &members, state: whole.state(), values: &values };
        for (pair, histories) in plan.pairs.iter().zip(&mut self.pairs) {
            let second = table.word(pair.column, whole.index()).cast_signed();
            histories.entry(second).or_default().insert(&pair.plan, row);
        }
    }

    /// Flags the row in `words` in each distinct lane in which it is the newest of its value, in place of the one
    /// that was.
    fn flag_new(&mut self, plan: &HistoryPlan, key: Key) {
        for (at, lane) in plan.distincts.iter().enumerate() {
            let word = |column: usize| self.words.get(column).copied().unwrap_or(0);
            if lane.bit.is_some_and(|bit| word(bit.column) >> bit.shift & 1 == 0) {
                continue;
            }
            let value = word(lane.column).cast_signed();
            let horizon = self.horizon.saturating_add(lane.beyond);
            let newest = self.distincts.get_mut(at).and_then(|values| {
                values.forget(horizon);
                values.insert(value, key)
            });
            if newest.is_some_and(|newest| key < newest) {
                continue;
            }
            if let Some(newest) = newest {
                self.set_flag(plan, lane, newest, false);
            }
            if let Some(word) = self.words.get_mut(lane.flag.column) {
                *word |= 1 << lane.flag.shift;
            }
        }
    }

    /// Sets or clears a row's flag in a distinct lane, in the totals too.
    fn set_flag(&mut self, plan: &HistoryPlan, lane: &DistinctLane, key: Key, on: bool) {
        let Some((path, block, row)) = self.tree.find(key) else { return };
        let table = &mut self.tree.block_mut(block).table;
        if table.has(Some(lane.flag), row) == on {
            return;
        }
        table.set_bit(lane.flag, row, on);
        let by = [if on { 1 } else { -1 }];
        let counts = |it: &&Lane| it.bit == Some(lane.flag);
        let Some(at) = plan.lanes.iter().find(counts).map(|it| it.at) else { return };
        self.delta.fill(0);
        if let Some(to) = self.delta.get_mut(at..=at) {
            exact::add(to, &by);
        }
        self.add_delta(plan, &path, key.time);
    }

    /// Adds `delta`, of a row of this time, wherever it counts.
    fn add_delta(&mut self, plan: &HistoryPlan, path: &Path, time: Micros) {
        exact::add(&mut self.total, &self.delta);
        self.tree.add(plan, path, 0, &self.delta);
        for (edge, cursor) in plan.edges.iter().zip(&self.cursors) {
            if time <= cursor.threshold
                && let Some(below) = self.below.get_mut(edge.below.clone())
            {
                sums::add_taps(plan, &edge.taps, &self.delta, below);
            }
        }
    }

    /// Gives the row at a key other mutable members and another state; says whether there is such a row.
    pub(crate) fn amend(&mut self, plan: &HistoryPlan, key: Key, members: &[u64], state: u16) -> bool {
        if key.time <= self.horizon {
            return false;
        }
        let Some((path, block, row)) = self.tree.find(key) else { return false };
        let table = &mut self.tree.block_mut(block).table;
        self.delta.fill(0);
        sums::totals_of(plan, table, row..row + 1, &mut self.delta);
        self.delta.iter_mut().for_each(|word| *word = word.wrapping_neg());
        let was: SmallVec<[bool; 8]> = plan.distincts.iter().map(|it| table.has(it.bit, row)).collect();
        let matched: SmallVec<[bool; 8]> = plan.extremes.iter().map(|it| table.has(it.bit, row)).collect();
        amend_row(plan, table, row, members, state);
        sums::totals_of(plan, table, row..row + 1, &mut self.delta);
        let extremes_change =
            plan.extremes.iter().zip(matched).any(|(it, matched)| table.has(it.bit, row) != matched);
        self.add_delta(plan, &path, key.time);
        if extremes_change {
            self.tree.refresh_path(plan, &path);
        }
        for ((at, lane), was) in plan.distincts.iter().enumerate().zip(was) {
            let table = &self.tree.block(block).table;
            let value = table.word(lane.column, row).cast_signed();
            match (was, table.has(lane.bit, row)) {
                (false, true) => self.flag_amended(plan, at, lane, value, key),
                (true, false) => {
                    let newest = self.distincts.get_mut(at).and_then(|values| values.remove(value, key));
                    self.set_flag(plan, lane, key, false);
                    if let Some(newest) = newest {
                        self.set_flag(plan, lane, newest, true);
                    }
                }
                _ => {}
            }
        }
        for (pair, histories) in plan.pairs.iter().zip(&mut self.pairs) {
            let value = self.tree.block(block).table.word(pair.column, row).cast_signed();
            if let Some(history) = histories.get_mut(&value) {
                history.amend(&pair.plan, key, members, state);
            }
        }
        true
    }

    /// Takes a row that now matches into a distinct lane.
    fn flag_amended(&mut self, plan: &HistoryPlan, at: usize, lane: &DistinctLane, value: i64, key: Key) {
        let newest = self.distincts.get_mut(at).and_then(|values| values.insert(value, key));
        if newest.is_some_and(|newest| key < newest) {
            return;
        }
        if let Some(newest) = newest {
            self.set_flag(plan, lane, newest, false);
        }
        self.set_flag(plan, lane, key, true);
    }

    /// The row at a key.
    pub(crate) fn row<'a>(&'a self, plan: &'a HistoryPlan, key: Key) -> Option<Row<'a>> {
        let (_, block, row) = self.tree.find(key).filter(|_| self.horizon < key.time)?;
        Some(Row::new(&self.tree.block(block).table, &plan.layout, row))
    }

    /// Hides the rows with `time <= horizon`, and drops one block if it holds no others: a row comes with each call and
    /// a block goes, so that none stays for long, and no event pays for all that left in a silent hour.
    pub(crate) fn trim(&mut self, plan: &HistoryPlan, horizon: Micros) -> Trimmed {
        self.horizon = self.horizon.max(horizon);
        let head = self.tree.head();
        let single = head == self.tree.tail();
        if !single && self.horizon < self.stays_until {
            return Trimmed::Long;
        }
        let table = &self.tree.block(head).table;
        let newest = table.last_key();
        if single {
            // The newest row of which so few follow that they would be a short history.
            let decides = table.len().checked_sub(plan.sizes.back + 1);
            if decides.is_some_and(|row| self.horizon < table.time(row)) {
                return Trimmed::Long;
            }
        }
        let leaves = newest.is_some_and(|newest| newest.time <= self.horizon);
        self.stays_until = newest.filter(|_| !single).map_or(Micros::MIN, |newest| newest.time);
        if !leaves && !single {
            return Trimmed::Long;
        }
        if self.len() <= plan.sizes.back {
            return Trimmed::Short(self.to_short(plan));
        }
        if leaves && !single {
            for at in 0..self.cursors.len() {
                self.advance(plan, at, self.horizon);
            }
            self.drop_head(plan);
        }
        Trimmed::Long
    }

    /// Drops the first block, which holds no row newer than the horizon.
    fn drop_head(&mut self, plan: &HistoryPlan) {
        self.stays_until = Micros::MIN;
        let head = self.tree.pop_head(plan);
        let table = &self.tree.block(head).table;
        sums::totals_of(plan, table, 0..table.len(), &mut self.dropped);
        for (pair, histories) in plan.pairs.iter().zip(&mut self.pairs) {
            for word in table.column(pair.column) {
                let value = word.cast_signed();
                let Some(history) = histories.get_mut(&value) else { continue };
                history.trim(&pair.plan, self.horizon);
                if history.is_empty() {
                    histories.remove(&value);
                }
            }
        }
        self.tree.recycle(plan, head);
    }

    fn to_short(&self, plan: &HistoryPlan) -> Table {
        let mut table = Table::new(plan.layout.width(), super::short::capacity_for(plan, self.len()));
        let mut words: SmallVec<[u64; 16]> = SmallVec::from_elem(0, plan.layout.width());
        for (from, row) in self.places(None) {
            from.copy_row(row, &mut words);
            for column in plan.layout.member_columns() {
                if let Some(word) = words.get_mut(column) {
                    *word &= plan.layout.visible(column);
                }
            }
            table.insert(table.len(), &words);
        }
        table
    }

    /// The rows newer than the horizon that stand behind a key, oldest first, as places in tables.
    fn places(&self, behind: Option<Key>) -> impl Iterator<Item = (&Table, usize)> {
        let (block, row) = match behind.filter(|key| self.horizon < key.time) {
            Some(key) => {
                let (_, block) = self.tree.descend(key);
                (block, self.tree.block(block).table.place_behind(key))
            }
            None => {
                let (block, row, _) = self.tree.rank(self.total.len(), self.horizon);
                (block, row)
            }
        };
        let blocks = std::iter::successors(Some((block, row)), |(block, _)| {
            let next = self.tree.block(*block).next;
            (next != NONE).then_some((next, 0))
        });
        blocks.flat_map(|(block, first)| {
            let table = &self.tree.block(block).table;
            (first..table.len()).map(move |row| (table, row))
        })
    }

    /// The rows newer than the horizon that stand behind a key, oldest first.
    pub(crate) fn rows<'a>(
        &'a self,
        plan: &'a HistoryPlan,
        behind: Option<Key>,
    ) -> impl Iterator<Item = Row<'a>> {
        self.places(behind).map(|(table, row)| Row::new(table, &plan.layout, row))
    }

    /// Moves an edge's cursor forward to a time: row by row within its block and into the next one; beyond, by the
    /// totals of the tree.
    fn advance(&mut self, plan: &HistoryPlan, at: usize, threshold: Micros) {
        let (Some(edge), Some(cursor)) = (plan.edges.get(at), self.cursors.get_mut(at)) else { return };
        if threshold <= cursor.threshold {
            return;
        }
        cursor.threshold = threshold;
        if threshold < cursor.next {
            return;
        }
        let Some(below) = self.below.get_mut(edge.below.clone()) else { return };
        let block = self.tree.block(cursor.block);
        // In time order the edge moves by a row or two: look there before anywhere else.
        if let Some(row) = block.table.newer_soon(cursor.row, threshold) {
            sums::add_rows(plan, &edge.taps, &block.table, cursor.row..row, below);
            cursor.row = row;
            cursor.next = block.table.time(row);
            return;
        }
        let last = |table: &Table| table.last_time().unwrap_or(Micros::MAX);
        if threshold < last(&block.table) || block.next == NONE {
            cursor.row = pass(plan, edge, &block.table, cursor.row, threshold, below);
        } else {
            let next = self.tree.block(block.next);
            if threshold < last(&next.table) || next.next == NONE {
                sums::add_rows(plan, &edge.taps, &block.table, cursor.row..block.table.len(), below);
                cursor.block = block.next;
                cursor.row = pass(plan, edge, &next.table, 0, threshold, below);
            } else {
                below.fill(0);
                sums::add_taps(plan, &edge.taps, &self.dropped, below);
                (cursor.block, cursor.row) = self.tree.seek(plan, threshold, &edge.taps, below);
            }
        }
        cursor.next = self.tree.time_at(cursor.block, cursor.row);
    }

    /// Where an edge lies for an event at a time. A cursor is moved forward, or back within its block; farther back,
    /// for a late event, it stays and the place is found apart.
    pub(super) fn spot(&mut self, plan: &HistoryPlan, edges: &mut Edges, at: usize, time: Micros) -> Spot {
        if let Some(spot) = edges.found(plan, at) {
            return spot;
        }
        let (Some(edge), Some(cursor)) = (plan.edges.get(at), self.cursors.get_mut(at)) else {
            return Spot::UNKNOWN;
        };
        let threshold = time.saturating_sub(edge.distance);
        let table = &self.tree.block(cursor.block).table;
        let spot = if cursor.threshold <= threshold && threshold < cursor.next {
            cursor.threshold = threshold;
            Spot::at(cursor.block, cursor.row)
        } else if cursor.threshold <= threshold {
            self.advance(plan, at, threshold);
            self.cursors.get(at).map(|it| Spot::at(it.block, it.row)).unwrap_or(Spot::UNKNOWN)
        } else if 0 < cursor.row && table.time(0) <= threshold {
            let row = table.rank(threshold);
            if let Some(below) = self.below.get_mut(edge.below.clone()) {
                sums::subtract_rows(plan, &edge.taps, table, row..cursor.row, below);
            }
            *cursor = Cursor { threshold, next: self.tree.time_at(cursor.block, row), row, ..*cursor };
            Spot::at(cursor.block, row)
        } else {
            let below = edges.apart(plan, edge.below.clone());
            below.fill(0);
            sums::add_taps(plan, &edge.taps, &self.dropped, below);
            let (block, row) = self.tree.seek(plan, threshold, &edge.taps, below);
            Spot { apart: true, ..Spot::at(block, row) }
        };
        edges.remember(at, spot);
        spot
    }

    /// Totals below all edges' cursors.
    pub(super) fn below_all(&self) -> &[i128] {
        &self.below
    }

    /// Totals below all edges, of which that of this spot is right.
    pub(super) fn below<'a>(&'a self, edges: &'a Edges, spot: Spot) -> &'a [i128] {
        if spot.apart { edges.totals() } else { &self.below }
    }

    /// The history of a pair.
    pub(crate) fn pair(&mut self, pair: usize, value: i64) -> Option<&mut History> {
        self.pairs.get_mut(pair)?.get_mut(&value)
    }
}

/// Moves a cursor over the rows of one table up to a time; gives where it stands then.
fn pass(
    plan: &HistoryPlan,
    edge: &Edge,
    table: &Table,
    from: usize,
    threshold: Micros,
    below: &mut [i128],
) -> usize {
    let to = table.newer_soon(from, threshold).unwrap_or_else(|| table.rank(threshold));
    if from < to {
        sums::add_rows(plan, &edge.taps, table, from..to, below);
    }
    to
}

/// Writes a row's mutable member bits and its state.
pub(crate) fn amend_row(plan: &HistoryPlan, table: &mut Table, row: usize, members: &[u64], state: u16) {
    let word = |at: usize| members.get(at).copied().unwrap_or(0);
    for column in plan.layout.member_columns() {
        let mutable = plan.layout.mutable(column);
        let kept = table.word(column, row) & !mutable;
        table.set_word(column, row, kept | plan.layout.pack_members(column, word) & mutable);
    }
    table.set_state(row, state);
}
