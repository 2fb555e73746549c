//! The exact sliding windows of one entity: rows in (time, position) order, and what every window over them holds.
//!
//! It knows no rule language: a [`HistoryPlan`] says which columns a row has, which conditions it may satisfy and which
//! windows are asked for; the caller computes both. **A window** of width `over` at time `at` holds every row newer
//! than `at − over`, rows newer than `at` included; with `delay` it holds `at − delay − over < time ≤ at − delay`.
//! The event being decided is not among the rows yet: the caller adds its share ([`Totals::add`],
//! [`Extremes::with`], [`View::distinct`]).
//!
//! Queries are admissible down to the horizon of the last [`History::trim`]: no window may reach below it.

mod answer;
mod column;
mod columns;
mod cost;
mod distinct;
mod edges;
mod exact;
mod lane;
mod layout;
mod long;
#[cfg(test)]
mod plain;
pub(crate) mod plan;
mod sheet;
mod short;
mod sums;
mod table;
mod tree;
mod view;

pub use column::{ColumnId, ColumnType, ConditionId, WindowId};
pub use columns::NewRows;
pub use edges::Edges;
pub use exact::Totals;
use long::{Long, Trimmed};
pub(crate) use plan::Part;
pub use plan::{HistoryPlan, Need, PlanError, PlanInput, Window};
use rules::time::Micros;
use smallvec::SmallVec;
pub use table::Row;
use table::Table;
pub use view::View;

/// Where a row stands: its event time, then its record's position.
///
/// Of the position only the lower 32 bits are kept. INVARIANT (close positions): rows of one entity with one and the
/// same time have positions less than 2³¹ apart, because a row is inserted while the clock is within `lateness` of
/// its time; so their order is that of the wrapped difference.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    /// Event time.
    pub time: Micros,
    /// The lower 32 bits of the record's position.
    pub position: u32,
}

impl Key {
    /// Of an event time and a position's offset.
    #[expect(clippy::cast_possible_truncation, reason = "INVARIANT (close positions)")]
    pub fn new(time: Micros, offset: u64) -> Self {
        Self { time, position: offset as u32 }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let apart = self.position.wrapping_sub(other.position).cast_signed();
        self.time.cmp(&other.time).then(apart.cmp(&0))
    }
}
impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A row to be inserted.
#[derive(Clone, Copy, Debug)]
pub struct NewRow<'a> {
    /// Where it stands.
    pub key: Key,
    /// Bit `i % 64` of word `i / 64`: whether it satisfies condition `i`; words left out are zero.
    pub members: &'a [u64],
    /// The mutable columns, packed; not read here.
    pub state: u16,
    /// By column, its 64 bits; values left out are zero.
    pub values: &'a [i64],
}

/// From where windows are looked at: a moment, and perhaps a row that is not to be seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Viewpoint {
    /// The time of the event being decided, as the engine clamped it.
    pub at: Micros,
    /// Answer as if this row had never been inserted: the original of a recheck.
    pub exclude: Option<Key>,
}

/// The least and the greatest of some values, as they stand in their column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extremes {
    /// The least.
    pub min: i64,
    /// The greatest.
    pub max: i64,
}

impl Extremes {
    /// Of one value.
    pub fn of(value: i64) -> Self {
        Self { min: value, max: value }
    }

    /// With one more value.
    pub fn with(self, ty: ColumnType, value: i64) -> Self {
        Self {
            min: if ty.rank(value) < ty.rank(self.min) { value } else { self.min },
            max: if ty.rank(value) > ty.rank(self.max) { value } else { self.max },
        }
    }
}

/// All rows of one entity that some window may still hold.
///
/// Up to 128 rows stand in one table without running state, and an answer is a pass over it. Beyond, they stand in
/// blocks under a tree of totals, with a cursor for every edge; back at 96 rows they return.
#[derive(Clone, Debug, Default)]
pub struct History {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Short(Table),
    Long(Box<Long>),
}

impl Default for Form {
    fn default() -> Self {
        Self::Short(Table::default())
    }
}

impl History {
    /// Without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rows it holds.
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Short(table) => table.len(),
            Form::Long(long) => long.len(),
        }
    }

    /// Whether it holds no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Prefetches what an event in time order reads, all at once.
    pub(crate) fn prefetch(&self) {
        match &self.form {
            Form::Short(table) => table.prefetch(),
            Form::Long(long) => long.prefetch(),
        }
    }

    /// Prefetches where a row in time order will be inserted, all at once.
    pub(crate) fn prefetch_end(&self) {
        match &self.form {
            Form::Short(table) => table.prefetch_end(),
            Form::Long(long) => long.prefetch_end(),
        }
    }

    /// Where the newest row stands.
    pub fn newest(&self) -> Option<Key> {
        match &self.form {
            Form::Short(table) => table.last_key(),
            Form::Long(long) => long.newest(),
        }
    }

    /// Inserts a row at its place, in time order at the end. Its key must be new, its time above the horizon.
    pub fn insert(&mut self, plan: &HistoryPlan, row: NewRow<'_>) {
        let table = match &mut self.form {
            Form::Long(long) => return long.insert(plan, row),
            Form::Short(table) => table,
        };
        if table.len() == plan.sizes.short {
            let mut long = Box::new(Long::new(plan, table));
            long.insert(plan, row);
            self.form = Form::Long(long);
            return;
        }
        short::make_room(plan, table);
        let mut words: SmallVec<[u64; 16]> = SmallVec::from_elem(0, plan.layout.width());
        plan.layout.pack(row, &mut words);
        table.insert(table.place(row.key), &words);
    }

    /// Gives the row at a key other members and another state; says whether there is such a row. Members of conditions
    /// that the plan calls immutable stay as they are.
    pub fn amend(&mut self, plan: &HistoryPlan, key: Key, members: &[u64], state: u16) -> bool {
        match &mut self.form {
            Form::Long(long) => long.amend(plan, key, members, state),
            Form::Short(table) => {
                let Some(row) = table.find(key) else { return false };
                long::amend_row(plan, table, row, members, state);
                true
            }
        }
    }

    /// The row at a key.
    pub fn row<'a>(&'a self, plan: &'a HistoryPlan, key: Key) -> Option<Row<'a>> {
        match &self.form {
            Form::Short(table) => table.find(key).map(|row| Row::new(table, &plan.layout, row)),
            Form::Long(long) => long.row(plan, key),
        }
    }

    /// Drops the rows with `time <= horizon`. No window may reach below the horizon afterwards, so that nobody can see
    /// it: of an event at `at`, `horizon <= at − plan.reach()`.
    pub fn trim(&mut self, plan: &HistoryPlan, horizon: Micros) {
        match &mut self.form {
            Form::Short(table) if table.is_newer(horizon) => {}
            Form::Short(table) => table.drop_oldest(table.rank(horizon)),
            Form::Long(long) => {
                if let Trimmed::Short(table) = long.trim(plan, horizon) {
                    self.form = Form::Short(table);
                }
            }
        }
    }

    /// All rows, oldest first. Inserted into an empty history in any order they make an equal one.
    pub fn rows<'a>(&'a self, plan: &'a HistoryPlan) -> impl Iterator<Item = Row<'a>> {
        self.rows_behind(plan, None)
    }

    /// The rows that stand behind a key, oldest first; behind none, all.
    pub fn rows_behind<'a>(
        &'a self,
        plan: &'a HistoryPlan,
        key: Option<Key>,
    ) -> impl Iterator<Item = Row<'a>> {
        let (short, long) = match &self.form {
            Form::Short(table) => (Some(table), None),
            Form::Long(long) => (None, Some(long)),
        };
        let short = short.into_iter().flat_map(move |table| {
            let first = key.map_or(0, |key| table.place_behind(key));
            (first..table.len()).map(move |row| Row::new(table, &plan.layout, row))
        });
        short.chain(long.into_iter().flat_map(move |long| long.rows(plan, key)))
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        match &self.form {
            Form::Short(table) => table.bytes(),
            Form::Long(long) => long.bytes(),
        }
    }
}

#[cfg(test)]
mod tests;
