//! Lanes: what is summed over rows, of which condition and column.

use std::ops::Range;

use super::column::ColumnType;
use super::exact::{INTEGER_SQUARE_LIMBS, SQUARE_LIMBS, SUM_LIMBS, add, square_limbs, sum_limbs};
use super::layout::Bit;
use super::table::Table;

/// Something that is summed over the rows that have a bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lane {
    pub(crate) bit: Option<Bit>,
    pub(crate) value: Value,
    /// Where its total stands among those of all lanes.
    pub(crate) at: usize,
}

/// What is summed; columns are a table's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    /// One for each row.
    Count,
    /// The values of a column.
    Sum(ColumnType, usize),
    /// Their squares.
    Squares(ColumnType, usize),
}

/// A total as limbs, of which a lane uses the first [`Lane::words`].
pub(crate) type Limbs = [i128; SQUARE_LIMBS];

impl Lane {
    /// Words of its total.
    pub(crate) fn words(&self) -> usize {
        match self.value {
            Value::Count | Value::Sum(ColumnType::Integer, _) => 1,
            Value::Sum(ColumnType::Real, _) => SUM_LIMBS,
            Value::Squares(ColumnType::Integer, _) => INTEGER_SQUARE_LIMBS,
            Value::Squares(ColumnType::Real, _) => SQUARE_LIMBS,
        }
    }

    /// Adds one row, given by its words, to a total of as many words.
    #[inline]
    pub(crate) fn add_row(&self, row: &[u64], to: &mut [i128]) {
        let word = |column: usize| row.get(column).copied().unwrap_or(0);
        if self.bit.is_some_and(|bit| word(bit.column) >> bit.shift & 1 == 0) {
            return;
        }
        match (self.value, to) {
            (Value::Count, [to]) => *to = to.wrapping_add(1),
            (Value::Sum(ColumnType::Integer, column), [to]) => {
                *to = to.wrapping_add(word(column).cast_signed().into());
            }
            (Value::Count, to) => add(to, &[1]),
            (Value::Sum(ty, column), to) => add(to, &sum_limbs(ty, word(column).cast_signed())),
            (Value::Squares(ty, column), to) => add(to, &square_limbs(ty, word(column).cast_signed())),
        }
    }

    /// Its total over some rows, if it is of one word.
    #[inline]
    pub(crate) fn word(&self, table: &Table, rows: Range<usize>) -> i128 {
        match self.value {
            Value::Count => i128::from(count(table, self.bit, rows)),
            Value::Sum(ColumnType::Integer, column) => sum(table, self.bit, column, rows),
            _ => {
                let [low, ..] = self.total_of_limbs(table, rows);
                low
            }
        }
    }

    /// Adds its total over some rows to one of as many words.
    #[inline]
    pub(crate) fn add_to(&self, table: &Table, rows: Range<usize>, to: &mut [i128]) {
        if let [to] = to {
            *to = to.wrapping_add(self.word(table, rows));
        } else {
            add(to, &self.total(table, rows));
        }
    }

    /// Its total over some rows.
    #[inline]
    pub(crate) fn total(&self, table: &Table, rows: Range<usize>) -> Limbs {
        if self.words() == 1 { [self.word(table, rows), 0, 0, 0] } else { self.total_of_limbs(table, rows) }
    }

    fn total_of_limbs(&self, table: &Table, rows: Range<usize>) -> Limbs {
        let mut total = [0; SQUARE_LIMBS];
        for row in rows.filter(|row| table.has(self.bit, *row)) {
            match self.value {
                Value::Count => add(&mut total, &[1]),
                Value::Sum(ty, column) => {
                    add(&mut total, &sum_limbs(ty, table.word(column, row).cast_signed()))
                }
                Value::Squares(ty, column) => {
                    add(&mut total, &square_limbs(ty, table.word(column, row).cast_signed()));
                }
            }
        }
        total
    }
}

/// How many rows have a bit.
#[inline]
pub(crate) fn count(table: &Table, bit: Option<Bit>, rows: Range<usize>) -> u64 {
    match bit {
        None => rows.len() as u64,
        Some(bit) => {
            let words = table.part(bit.column, rows);
            words.iter().fold(0, |count: u64, word| count.wrapping_add(word >> bit.shift & 1))
        }
    }
}

/// The sum of an integer column over the rows that have a bit.
#[inline]
pub(crate) fn sum(table: &Table, bit: Option<Bit>, column: usize, rows: Range<usize>) -> i128 {
    let values = table.part(column, rows.clone());
    match bit {
        // What an edge passes in time order.
        None if let [value] = values => value.cast_signed().into(),
        None => sum_of(values.iter().copied()),
        Some(bit) => {
            let members = table.part(bit.column, rows);
            sum_of(
                values
                    .iter()
                    .zip(members)
                    .map(|(value, word)| value & (word >> bit.shift & 1).wrapping_neg()),
            )
        }
    }
}

/// Of so many values below [`SMALL_BITS`] bits in magnitude the sum fits 64 bits.
const SMALL_ROWS: usize = 512;
const SMALL_BITS: u32 = 54;

/// The sum of values, each given as the bits of an i64. Amounts are small: they are added in 64 bits, several at a
/// time, while it is watched that none is large; then the sum is made again in 128.
#[inline]
fn sum_of(values: impl ExactSizeIterator<Item = u64> + Clone) -> i128 {
    let few = values.len() <= SMALL_ROWS;
    let (sum, seen) = values.clone().fold((0_u64, 0_u64), |(sum, seen), value| {
        (sum.wrapping_add(value), seen | value.wrapping_add(1 << SMALL_BITS))
    });
    if few && seen >> (SMALL_BITS + 1) == 0 {
        return i128::from(sum.cast_signed());
    }
    values.fold(0, |sum: i128, value| sum.wrapping_add(i128::from(value.cast_signed())))
}
