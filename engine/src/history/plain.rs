//! The meaning, as plainly as it can be said: a list of rows, looked through again for every question. Tests hold the
//! histories against it.

use rules::time::Micros;

use super::{ColumnId, Extremes, HistoryPlan, Key, Need, NewRow, Totals, Viewpoint, Window, WindowId};

/// A row as it was inserted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Plain {
    pub(super) key: Key,
    pub(super) members: Vec<u64>,
    pub(super) state: u16,
    pub(super) values: Vec<i64>,
}

/// The rows of one entity, sorted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct PlainHistory {
    pub(super) rows: Vec<Plain>,
}

impl PlainHistory {
    pub(super) fn insert(&mut self, NewRow { key, members, state, values }: NewRow<'_>) {
        self.rows.push(Plain { key, members: members.to_vec(), state, values: values.to_vec() });
        self.rows.sort_by_key(|row| row.key);
    }

    /// Bits that no condition, or an immutable one, stands in stay as they are.
    pub(super) fn amend(&mut self, plan: &HistoryPlan, key: Key, members: &[u64], state: u16) -> bool {
        let Some(row) = self.rows.iter_mut().find(|row| row.key == key) else { return false };
        for (at, _) in plan.input().conditions.iter().enumerate().filter(|(_, mutable)| **mutable) {
            let (word, bit) = (at / 64, 1 << (at % 64));
            row.members[word] = row.members[word] & !bit | members[word] & bit;
        }
        row.state = state;
        true
    }

    pub(super) fn trim(&mut self, horizon: Micros) {
        self.rows.retain(|row| row.key.time > horizon);
    }

    pub(super) fn window(
        &self,
        window: &Window,
        viewpoint: Viewpoint,
        among: Option<i64>,
    ) -> impl Iterator<Item = &Plain> {
        let upper = window.delay.map(|delay| viewpoint.at - delay);
        let lower = upper.unwrap_or(viewpoint.at) - window.over;
        self.rows.iter().filter(move |row| {
            lower < row.key.time
                && upper.is_none_or(|upper| row.key.time <= upper)
                && window
                    .condition
                    .is_none_or(|it| row.members[it.index() / 64] >> (it.index() % 64) & 1 == 1)
                && window.pair.is_none_or(|column| Some(row.values[column.index()]) == among)
                && Some(row.key) != viewpoint.exclude
        })
    }

    /// Everything that a window may be asked, by its need.
    pub(super) fn answer(
        &self,
        plan: &HistoryPlan,
        id: WindowId,
        viewpoint: Viewpoint,
        among: Option<i64>,
        current: Option<i64>,
    ) -> Answer {
        let window = &plan.input().windows[id.index()];
        let ty = plan.column_type(window.column);
        let column = window.column.unwrap_or(ColumnId(0)).index();
        let rows: Vec<&Plain> = self.window(window, viewpoint, among).collect();
        let values = rows.iter().map(|row| row.values[column]);
        let entry = |row: &&Plain| (row.key, row.values[column]);
        match window.need {
            Need::Count => Answer::Count(rows.len() as u64),
            Need::Sum => Answer::Sum(values.map(i128::from).sum()),
            Need::Mean | Need::Variance => {
                let mut totals = Totals::new(ty);
                values.for_each(|value| totals.add(value));
                Answer::Totals(
                    totals.mean(),
                    (window.need == Need::Variance).then(|| totals.stddev_of_sample()),
                )
            }
            Need::Extremes => Answer::Extremes(values.fold(None, |found: Option<Extremes>, value| {
                Some(found.map_or(Extremes::of(value), |it| it.with(ty, value)))
            })),
            Need::Distinct => {
                let mut values: Vec<i64> = values.chain(current).collect();
                values.sort_unstable();
                values.dedup();
                Answer::Count(values.len() as u64)
            }
            Need::First => Answer::Entry(rows.first().map(entry)),
            Need::Last => Answer::Entry(rows.last().map(entry)),
            Need::Scan => Answer::Rows(rows.into_iter().cloned().collect()),
        }
    }
}

/// An answer of any kind, to be compared.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Answer {
    Count(u64),
    Sum(i128),
    Totals(Option<f64>, Option<Option<f64>>),
    Extremes(Option<Extremes>),
    Entry(Option<(Key, i64)>),
    Rows(Vec<Plain>),
}
