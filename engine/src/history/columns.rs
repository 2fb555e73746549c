//! Rows in columns on their way in, as a snapshot has them: a short history takes them column by column, where row by row
//! each costs as much as an event.

use std::iter;

use smallvec::SmallVec;

use super::layout::Layout;
use super::table::{self, Table};
use super::{Form, History, HistoryPlan, Key, NewRow, short};

/// Rows to be inserted, in columns: each has one value per row, and one that is empty is all zeros.
#[derive(Clone, Copy, Debug)]
pub struct NewRows<'a> {
    /// Their event times.
    pub times: &'a [i64],
    /// The lower 32 bits of their records' positions.
    pub positions: &'a [u32],
    /// Their mutable columns, packed.
    pub states: &'a [u16],
    /// By member word, as [`NewRow::members`] has them.
    pub members: &'a [Vec<u64>],
    /// By column of values.
    pub values: &'a [Vec<i64>],
}

impl NewRows<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    fn key(&self, row: usize) -> Key {
        Key { time: of(self.times, row), position: of(self.positions, row) }
    }

    /// Of so many of them from the first on, whether each stands behind the one before, and the first behind this.
    fn are_behind(&self, newest: Option<Key>, rows: usize) -> bool {
        let all = newest.into_iter().chain((0..rows).map(|row| self.key(row)));
        all.is_sorted_by(|before, row| before < row)
    }

    /// The words of the first rows in a column of a table.
    fn fill(&self, layout: &Layout, column: usize, into: &mut [u64]) {
        let copy = |from: &[i64], into: &mut [u64]| {
            let values = from.iter().map(|value| value.cast_unsigned());
            into.iter_mut().zip(values.chain(iter::repeat(0))).for_each(|(word, value)| *word = value);
        };
        if let Some(value) = column.checked_sub(layout.value_columns().start) {
            copy(self.values.get(value).map_or(&[], Vec::as_slice), into);
        } else if layout.member_columns().contains(&column) {
            for (row, word) in into.iter_mut().enumerate() {
                *word =
                    layout.pack_members(column, |at| self.members.get(at).map_or(0, |word| of(word, row)));
            }
            if column == table::PACKED {
                let beside = self.positions.iter().zip(self.states);
                into.iter_mut().zip(beside).for_each(|(word, (position, state))| {
                    *word |= table::pack(*position, *state);
                });
            }
        } else {
            copy(self.times, into);
        }
    }

    /// Inserts those from one on row by row.
    fn insert_from(&self, first: usize, history: &mut History, plan: &HistoryPlan) {
        let (mut members, mut values) = (SmallVec::<[u64; 4]>::new(), SmallVec::<[i64; 8]>::new());
        for row in first..self.len() {
            members.clear();
            members.extend(self.members.iter().map(|word| of(word, row)));
            values.clear();
            values.extend(self.values.iter().map(|column| of(column, row)));
            let (key, state) = (self.key(row), of(self.states, row));
            history.insert(plan, NewRow { key, members: &members, state, values: &values });
        }
    }
}

/// What a column has of a row.
fn of<T: Copy + Default>(column: &[T], row: usize) -> T {
    column.get(row).copied().unwrap_or_default()
}

impl History {
    /// Inserts rows as [`History::insert`] would, one after the other.
    pub fn insert_all(&mut self, plan: &HistoryPlan, rows: NewRows<'_>) {
        let taken = match &mut self.form {
            Form::Short(table) => take(plan, table, &rows),
            Form::Long(_) => 0,
        };
        rows.insert_from(taken, self, plan);
    }
}

/// Puts as many of the rows as there is room for behind those of a short history, if that is their place; gives how many.
fn take(plan: &HistoryPlan, table: &mut Table, rows: &NewRows<'_>) -> usize {
    let taken = rows.len().min(plan.sizes.short.saturating_sub(table.len()));
    if !rows.are_behind(table.last_key(), taken) {
        return 0;
    }
    short::make_room_for(plan, table, taken);
    table.append(taken, |column, into| rows.fill(&plan.layout, column, into));
    taken
}
