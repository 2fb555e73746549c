//! The exact sliding windows of one entity: rows in (time, position) order, and what every window over them holds.
//!
//! It knows no rule language: a [`Plan`] says which columns a row has, which conditions it may satisfy and which
//! windows are asked for; the caller computes both. **A window** of width `over` at time `at` holds every row newer
//! than `at − over`, rows newer than `at` included; with `delay` it holds `at − delay − over < time ≤ at − delay`.
//! The event being decided is not among the rows yet: the caller adds its share ([`Totals::add`],
//! [`Extremes::with`], [`View::distinct`]).
//!
//! Queries are admissible down to the horizon of the last [`History::trim`]: no window may reach below it.

mod exact;
mod plain;
mod plan;

pub use exact::Totals;
pub use plain::{History, Row};
pub use plan::{ColumnId, ColumnType, ConditionId, Need, Plan, PlanError, PlanInput, Window, WindowId};
use rules::time::Micros;

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

/// At which moment windows are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
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

impl ColumnType {
    /// A number in the order of the values; reals in IEEE 754's total order, in which −0 stands before 0.
    pub(crate) fn rank(self, value: i64) -> i64 {
        match self {
            Self::Integer => value,
            Self::Real => value ^ ((value >> 63).cast_unsigned() >> 1).cast_signed(),
        }
    }
}

/// Scratch of one (entity, event): where the edges of the windows lie in its history. [`Edges::begin`] before the
/// first view of every event, and again after the history has changed. Reused, it allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Edges {}

impl Edges {
    /// Scratch for any history.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets what was found for another event or entity.
    pub fn begin(&mut self) {}
}

/// The windows of one history at one moment. Made for each question or once for many; making it costs nothing.
#[derive(Debug)]
pub struct View<'a> {
    history: &'a mut History,
    plan: &'a Plan,
    moment: Moment,
    among: Option<i64>,
}

impl History {
    /// Looks at the windows at a moment. It needs the history mutably to move its cursors, which is a cache: no answer
    /// depends on it.
    pub fn view<'a>(&'a mut self, plan: &'a Plan, edges: &'a mut Edges, moment: Moment) -> View<'a> {
        let _ = edges;
        View { history: self, plan, moment, among: None }
    }
}

impl View<'_> {
    /// For windows over pairs: the pair's second entity, as it stands in its column. Without it such a window is empty.
    #[must_use]
    pub fn among(mut self, second: i64) -> Self {
        self.among = Some(second);
        self
    }

    /// How many rows the window holds.
    pub fn count(&mut self, window: WindowId) -> u64 {
        self.rows(window).count() as u64
    }

    /// The sum of an integer column, at its scale.
    pub fn sum(&mut self, window: WindowId) -> i128 {
        self.totals(window).sum()
    }

    /// Count, sum and sum of squares, as far as the window's need asks for them.
    pub fn totals(&mut self, window: WindowId) -> Totals {
        let mut totals = Totals::new(self.column_type(window));
        self.values(window).for_each(|value| totals.add(value));
        totals
    }

    /// The least and the greatest; none of no rows.
    pub fn extremes(&mut self, window: WindowId) -> Option<Extremes> {
        let ty = self.column_type(window);
        self.values(window).fold(None, |extremes, value| {
            Some(extremes.map_or(Extremes::of(value), |it: Extremes| it.with(ty, value)))
        })
    }

    /// How many different values, `current` counted as if it were a row of the window.
    pub fn distinct(&mut self, window: WindowId, current: Option<i64>) -> u64 {
        let mut values: Vec<i64> = self.values(window).chain(current).collect();
        values.sort_unstable();
        values.dedup();
        values.len() as u64
    }

    /// The oldest row's key and value.
    pub fn first(&mut self, window: WindowId) -> Option<(Key, i64)> {
        let column = self.plan.window(window)?.column?;
        self.rows(window).next().map(|row| (row.key(), row.value(column)))
    }

    /// The newest row's key and value.
    pub fn last(&mut self, window: WindowId) -> Option<(Key, i64)> {
        let column = self.plan.window(window)?.column?;
        self.rows(window).last().map(|row| (row.key(), row.value(column)))
    }

    /// Shows every row of the window, oldest first.
    pub fn scan(&mut self, window: WindowId, mut each: impl FnMut(Row<'_>)) {
        self.rows(window).for_each(&mut each);
    }

    fn rows(&self, window: WindowId) -> impl Iterator<Item = Row<'_>> {
        self.history.window(self.plan, window, self.moment, self.among)
    }

    fn values(&self, window: WindowId) -> impl Iterator<Item = i64> {
        let column = self.plan.window(window).and_then(|it| it.column).unwrap_or(ColumnId(0));
        self.rows(window).map(move |row| row.value(column))
    }

    fn column_type(&self, window: WindowId) -> ColumnType {
        self.plan.column_type(self.plan.window(window).and_then(|it| it.column))
    }
}
