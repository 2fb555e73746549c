//! Rows in columns: the whole of a short history, and each block of a long one.

use std::ops::Range;

use rules::time::Micros;

use super::Key;
use super::column::{ColumnId, ConditionId};
use super::layout::{Bit, Layout};
use crate::near::{LINE_BYTES, prefetch};

/// Up to 65,535 rows in (time, position) order, column after column in one allocation of `capacity` words each.
///
/// Column 0 holds the times; column 1 the position (upper 32 bits), the state (16) and the first 16 member bits;
/// then come the other member words, then the values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    words: Box<[u64]>,
    /// The rows stand at `start..end` of each column, so that the oldest leave without moving the others.
    start: u16,
    end: u16,
    /// INVARIANT (columns): `words.len()` is a multiple of `capacity`, and `start <= end <= capacity`.
    capacity: u16,
}

/// Where the times stand.
const TIME: usize = 0;
/// Where position, state and the first members stand.
pub(crate) const PACKED: usize = 1;
/// How many member bits column 1 has.
pub(crate) const PACKED_BITS: usize = 16;
const STATE_SHIFT: u32 = 16;
const POSITION_SHIFT: u32 = 32;

/// Words of a cache line.
const WORDS_PER_LINE: usize = LINE_BYTES / size_of::<u64>();

/// In time order an edge moves by a row or two: so many are looked at before it is searched.
const FEW: usize = 4;

/// How many of some times, ascending, are at or before a threshold, where nearly none or nearly all are newer: of a
/// short history's edges, gone through from the newest row back.
#[inline]
pub(crate) fn rank_from_end(times: &[u64], threshold: Micros) -> usize {
    let newer = |time: &u64| threshold < time.cast_signed();
    if let Some(back) = times.iter().rev().take(FEW).position(|time| !newer(time)) {
        return times.len() - back;
    }
    if times.first().is_none_or(newer) { 0 } else { times.partition_point(|time| !newer(time)) }
}

/// The words of one row, in the order of the columns.
pub(crate) fn pack_head(words: &mut [u64], key: Key, state: u16) {
    if let [time, packed, ..] = words {
        *time = key.time.cast_unsigned();
        *packed = pack(key.position, state) | *packed & ((1 << STATE_SHIFT) - 1);
    }
}

/// Position and state, as they stand beside the first members.
#[inline]
pub(crate) fn pack(position: u32, state: u16) -> u64 {
    u64::from(position) << POSITION_SHIFT | u64::from(state) << STATE_SHIFT
}

impl Table {
    /// Room for so many rows.
    pub(crate) fn new(width: usize, capacity: usize) -> Self {
        let capacity = u16::try_from(capacity).unwrap_or(u16::MAX);
        Self { words: vec![0; width * usize::from(capacity)].into(), start: 0, end: 0, capacity }
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.end - self.start)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.end == self.capacity
    }

    pub(crate) fn capacity(&self) -> usize {
        usize::from(self.capacity)
    }

    /// How many rows have room behind the last.
    pub(crate) fn spare(&self) -> usize {
        usize::from(self.capacity - self.end)
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val::<[u64]>(&self.words)
    }

    /// Prefetches every cache line.
    pub(crate) fn prefetch(&self) {
        self.words.iter().step_by(WORDS_PER_LINE).for_each(prefetch);
    }

    /// Prefetches a row.
    pub(crate) fn prefetch_row(&self, row: usize) {
        let at = usize::from(self.start) + row;
        self.words.iter().skip(at).step_by(usize::from(self.capacity).max(1)).for_each(prefetch);
    }

    /// Prefetches the oldest time, and where the next row will stand.
    pub(crate) fn prefetch_end(&self) {
        self.times().first().into_iter().for_each(prefetch);
        self.prefetch_row(self.len());
    }

    /// Forgets all rows, and keeps the room.
    pub(crate) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// A column of the rows.
    #[inline]
    pub(crate) fn column(&self, column: usize) -> &[u64] {
        let at = column * usize::from(self.capacity);
        self.words.get(at + usize::from(self.start)..at + usize::from(self.end)).unwrap_or(&[])
    }

    /// A column of some of the rows.
    #[inline]
    pub(crate) fn part(&self, column: usize, rows: Range<usize>) -> &[u64] {
        self.column(column).get(rows).unwrap_or(&[])
    }

    #[inline]
    pub(crate) fn word(&self, column: usize, row: usize) -> u64 {
        self.column(column).get(row).copied().unwrap_or(0)
    }

    pub(crate) fn set_word(&mut self, column: usize, row: usize, word: u64) {
        let at = column * usize::from(self.capacity) + usize::from(self.start) + row;
        if let Some(to) = self.words.get_mut(at) {
            *to = word;
        }
    }

    /// Whether a row has a member bit.
    #[inline]
    pub(crate) fn has(&self, bit: Option<Bit>, row: usize) -> bool {
        bit.is_none_or(|bit| self.word(bit.column, row) >> bit.shift & 1 == 1)
    }

    pub(crate) fn set_bit(&mut self, bit: Bit, row: usize, on: bool) {
        let word = self.word(bit.column, row);
        self.set_word(bit.column, row, word & !(1 << bit.shift) | u64::from(on) << bit.shift);
    }

    #[inline]
    pub(crate) fn time(&self, row: usize) -> Micros {
        self.word(TIME, row).cast_signed()
    }

    pub(crate) fn key(&self, row: usize) -> Key {
        Key { time: self.time(row), position: (self.word(PACKED, row) >> POSITION_SHIFT) as u32 }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the state's 16 bits of the word")]
    pub(crate) fn state(&self, row: usize) -> u16 {
        (self.word(PACKED, row) >> STATE_SHIFT) as u16
    }

    pub(crate) fn set_state(&mut self, row: usize, state: u16) {
        let others = self.word(PACKED, row) & !(u64::from(u16::MAX) << STATE_SHIFT);
        self.set_word(PACKED, row, others | u64::from(state) << STATE_SHIFT);
    }

    /// The newest row's key.
    pub(crate) fn last_key(&self) -> Option<Key> {
        self.len().checked_sub(1).map(|last| self.key(last))
    }

    /// The newest row's time.
    #[inline]
    pub(crate) fn last_time(&self) -> Option<Micros> {
        self.times().last().map(|time| time.cast_signed())
    }

    /// The times of the rows, as they stand in their column.
    #[inline]
    pub(crate) fn times(&self) -> &[u64] {
        self.column(TIME)
    }

    /// Whether no row has `time <= threshold`.
    #[inline]
    pub(crate) fn is_newer(&self, threshold: Micros) -> bool {
        self.column(TIME).first().is_none_or(|time| threshold < time.cast_signed())
    }

    /// How many rows have `time <= threshold`: where the rows newer than it begin.
    #[inline]
    pub(crate) fn rank(&self, threshold: Micros) -> usize {
        self.column(TIME).partition_point(|time| time.cast_signed() <= threshold)
    }

    /// From a row on, the first that is newer than a time, if it is one of the next few.
    #[inline]
    pub(crate) fn newer_soon(&self, from: usize, threshold: Micros) -> Option<usize> {
        let next = self.times().get(from..)?.iter().take(FEW);
        next.enumerate().find(|(_, time)| threshold < time.cast_signed()).map(|(ahead, _)| from + ahead)
    }

    /// How many rows stand before a key.
    pub(crate) fn place(&self, key: Key) -> usize {
        // In time order it comes last.
        if self.last_key().is_none_or(|last| last < key) {
            return self.len();
        }
        let first = self.rank(key.time.saturating_sub(1));
        let same = self.rank(key.time);
        if first == same {
            return first;
        }
        let packed = self.part(PACKED, first..same);
        let before = |packed: &u64| {
            let position = u32::try_from(packed >> POSITION_SHIFT).unwrap_or(0);
            Key { time: key.time, position } < key
        };
        first + packed.partition_point(before)
    }

    /// How many rows do not stand behind a key.
    pub(crate) fn place_behind(&self, key: Key) -> usize {
        let at = self.place(key);
        at + usize::from(at < self.len() && self.key(at) == key)
    }

    /// The row at a key.
    pub(crate) fn find(&self, key: Key) -> Option<usize> {
        let at = self.place(key);
        (at < self.len() && self.key(at) == key).then_some(at)
    }

    /// Puts a row's words in at a place; there must be room.
    pub(crate) fn insert(&mut self, at: usize, row: &[u64]) {
        if self.is_full() {
            return;
        }
        let capacity = usize::from(self.capacity);
        let (place, end) = (usize::from(self.start) + at, usize::from(self.end));
        self.end += 1;
        if place == end {
            for (column, word) in row.iter().enumerate() {
                if let Some(to) = self.words.get_mut(column * capacity + place) {
                    *to = *word;
                }
            }
            return;
        }
        for (column, word) in self.words.chunks_exact_mut(capacity).zip(row) {
            column.copy_within(place..end, place + 1);
            if let Some(to) = column.get_mut(place) {
                *to = *word;
            }
        }
    }

    /// Copies a row's words out.
    pub(crate) fn copy_row(&self, row: usize, to: &mut [u64]) {
        for (column, to) in to.iter_mut().enumerate() {
            *to = self.word(column, row);
        }
    }

    /// Moves the rows from `at` on to the end of another table with room for them.
    pub(crate) fn move_tail(&mut self, at: usize, to: &mut Self) {
        self.copy_rows(at..self.len(), to);
        self.end = self.start + u16::try_from(at).unwrap_or(0);
    }

    /// Copies rows to the end of another table with room for them.
    pub(crate) fn copy_rows(&self, rows: Range<usize>, to: &mut Self) {
        to.append(rows.len(), |column, into| into.copy_from_slice(self.part(column, rows.clone())));
    }

    /// Adds so many rows, column by column, at the end; there must be room.
    pub(crate) fn append(&mut self, rows: usize, fill: impl Fn(usize, &mut [u64])) {
        let (capacity, end) = (usize::from(self.capacity), usize::from(self.end));
        debug_assert!(end + rows <= capacity, "{rows} rows behind {end} of {capacity}");
        if capacity < end + rows {
            return;
        }
        for (column, words) in self.words.chunks_exact_mut(capacity.max(1)).enumerate() {
            if let Some(into) = words.get_mut(end..end + rows) {
                fill(column, into);
            }
        }
        self.end += u16::try_from(rows).unwrap_or(0);
    }

    /// Drops the oldest rows.
    pub(crate) fn drop_oldest(&mut self, rows: usize) {
        self.start = self.end.min(self.start + u16::try_from(rows).unwrap_or(u16::MAX));
        if self.start == self.end {
            self.clear();
        }
    }

    /// Moves the rows to the front of their columns, so that there is room behind them.
    pub(crate) fn compact(&mut self) {
        let (start, end) = (usize::from(self.start), usize::from(self.end));
        for column in self.words.chunks_exact_mut(usize::from(self.capacity).max(1)) {
            column.copy_within(start..end, 0);
        }
        self.end -= self.start;
        self.start = 0;
    }

    /// A copy with another capacity, which must be enough for its rows.
    pub(crate) fn resized(&self, width: usize, capacity: usize) -> Self {
        let mut table = Self::new(width, capacity);
        self.copy_rows(0..self.len(), &mut table);
        table
    }
}

/// A row, as it stands in a history.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    table: &'a Table,
    layout: &'a Layout,
    row: usize,
}

impl<'a> Row<'a> {
    pub(crate) fn new(table: &'a Table, layout: &'a Layout, row: usize) -> Self {
        Self { table, layout, row }
    }

    /// Where it stands.
    pub fn key(self) -> Key {
        self.table.key(self.row)
    }

    /// The mutable columns, packed.
    pub fn state(self) -> u16 {
        self.table.state(self.row)
    }

    /// Whether it satisfies a condition.
    pub fn member(self, condition: ConditionId) -> bool {
        let known = condition.index() < self.layout.conditions;
        known && self.table.has(Some(Bit::new(condition.index())), self.row)
    }

    /// Conditions `64·word` to `64·word + 63`, as [`super::NewRow::members`] has them.
    pub fn members(self, word: usize) -> u64 {
        self.layout.members(word, |column| self.table.word(column, self.row))
    }

    /// Its value in a column.
    pub fn value(self, column: ColumnId) -> i64 {
        self.table.word(self.layout.value(column), self.row).cast_signed()
    }

    /// Its values, in the order of the columns.
    pub fn values(self) -> impl Iterator<Item = i64> + use<'a> {
        self.layout.value_columns().map(move |column| self.table.word(column, self.row).cast_signed())
    }

    /// Its members, as [`super::NewRow::members`] has them.
    pub fn member_words(self) -> impl Iterator<Item = u64> + use<'a> {
        (0..self.layout.conditions.div_ceil(64)).map(move |word| self.members(word))
    }

    /// Its place in its table.
    pub(crate) fn index(self) -> usize {
        self.row
    }
}
