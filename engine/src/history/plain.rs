//! The meaning, as plainly as it can be said: a sorted list of rows, scanned for every question.

use rules::time::Micros;

use super::{ColumnId, ConditionId, Key, Moment, NewRow, Plan, WindowId};

/// The rows of one entity.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History {
    rows: Vec<Stored>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Stored {
    key: Key,
    members: Vec<u64>,
    state: u16,
    values: Vec<i64>,
}

/// A row, as it stands in a history.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a>(&'a Stored);

impl Row<'_> {
    /// Where it stands.
    pub fn key(self) -> Key {
        self.0.key
    }

    /// The mutable columns, packed.
    pub fn state(self) -> u16 {
        self.0.state
    }

    /// Whether it satisfies a condition.
    pub fn member(self, condition: ConditionId) -> bool {
        self.members(condition.index() / 64) >> (condition.index() % 64) & 1 == 1
    }

    /// Conditions `64·word` to `64·word + 63`, as [`NewRow::members`] has them.
    pub fn members(self, word: usize) -> u64 {
        self.0.members.get(word).copied().unwrap_or(0)
    }

    /// Its value in a column.
    pub fn value(self, column: ColumnId) -> i64 {
        self.0.values.get(column.index()).copied().unwrap_or(0)
    }
}

impl History {
    /// Without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rows it holds.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it holds no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Where the newest row stands.
    pub fn newest(&self) -> Option<Key> {
        self.rows.last().map(|row| row.key)
    }

    /// Inserts a row at its place. Its key must be new.
    pub fn insert(&mut self, plan: &Plan, row: NewRow<'_>) {
        let _ = plan;
        let at = self.rows.partition_point(|it| it.key < row.key);
        let NewRow { key, members, state, values } = row;
        let stored = Stored { key, members: members.to_vec(), state, values: values.to_vec() };
        self.rows.insert(at, stored);
    }

    /// Gives the row at a key other members and another state; says whether there is such a row.
    pub fn amend(&mut self, plan: &Plan, key: Key, members: &[u64], state: u16) -> bool {
        let _ = plan;
        let Ok(at) = self.rows.binary_search_by(|it| it.key.cmp(&key)) else { return false };
        if let Some(row) = self.rows.get_mut(at) {
            row.members = members.to_vec();
            row.state = state;
        }
        true
    }

    /// The row at a key.
    pub fn row<'a>(&'a self, plan: &'a Plan, key: Key) -> Option<Row<'a>> {
        let _ = plan;
        let at = self.rows.binary_search_by(|it| it.key.cmp(&key)).ok()?;
        self.rows.get(at).map(Row)
    }

    /// Drops the rows with `time <= horizon`.
    pub fn trim(&mut self, plan: &Plan, horizon: Micros) {
        let _ = plan;
        self.rows.retain(|row| row.key.time > horizon);
    }

    /// All rows, oldest first.
    pub fn rows<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = Row<'a>> {
        let _ = plan;
        self.rows.iter().map(Row)
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Stored>()
    }

    pub(super) fn window<'a>(
        &'a self,
        plan: &'a Plan,
        window: WindowId,
        moment: Moment,
        among: Option<i64>,
    ) -> impl Iterator<Item = Row<'a>> {
        let window = plan.window(window);
        self.rows.iter().map(Row).filter(move |row| {
            window.is_some_and(|it| {
                let upper = it.delay.map(|delay| moment.at - delay);
                let lower = upper.unwrap_or(moment.at) - it.over;
                let time = row.key().time;
                lower < time
                    && upper.is_none_or(|upper| time <= upper)
                    && it.condition.is_none_or(|condition| row.member(condition))
                    && it.pair.is_none_or(|column| Some(row.value(column)) == among)
                    && Some(row.key()) != moment.exclude
            })
        })
    }
}
