//! Questions to the windows of one history at one moment.

use super::answer::Question;
use super::column::{ColumnType, WindowId};
use super::edges::Edges;
use super::exact::{SQUARE_LIMBS, SUM_LIMBS, Totals};
use super::long::Long;
use super::plan::{HistoryPlan, Part, Resolved};
use super::sheet::{self, Sheet};
use super::short::Span;
use super::table::Row;
use super::{Extremes, Form, History, Key, Viewpoint};

/// The windows of one history at one moment. Made for each question or once for many; making it costs nothing.
#[derive(Debug)]
pub struct View<'a> {
    history: &'a mut History,
    plan: &'a HistoryPlan,
    edges: &'a mut Edges,
    viewpoint: Viewpoint,
    among: Option<i64>,
}

/// The form of history in which a question is answered.
enum Asked<'a> {
    Short(Span<'a>),
    Long(&'a mut Long, Question<'a>),
}

impl History {
    /// Looks at the windows at a moment. It needs the history mutably to move its cursors, which are a cache: no
    /// answer depends on them.
    #[inline]
    pub fn view<'a>(
        &'a mut self,
        plan: &'a HistoryPlan,
        edges: &'a mut Edges,
        viewpoint: Viewpoint,
    ) -> View<'a> {
        View { history: self, plan, edges, viewpoint, among: None }
    }
}

impl View<'_> {
    /// For windows over pairs: the pair's second entity, as it stands in its column. Without it such a window is empty.
    #[must_use]
    #[inline]
    pub fn among(mut self, second: i64) -> Self {
        self.among = Some(second);
        self
    }

    /// How many rows a window with need [`super::Need::Count`] holds.
    #[inline]
    pub fn count(&mut self, window: WindowId) -> u64 {
        if let Some((window, sheet)) = self.sheet(window) {
            return window.count.map_or(0, |part| u64::try_from(sheet.word(part)).unwrap_or(0));
        }
        match self.ask(window) {
            Some(Asked::Short(span)) => span.count(),
            Some(Asked::Long(long, mut question)) => {
                let part = question.window.count;
                count_of(long.total(&mut question, part))
            }
            None => 0,
        }
    }

    /// The sum of an integer column over a window with need [`super::Need::Sum`], at the column's scale.
    #[inline]
    pub fn sum(&mut self, window: WindowId) -> i128 {
        if let Some((window, sheet)) = self.sheet(window) {
            return window.sum.map_or(0, |part| sheet.word(part));
        }
        match self.ask(window) {
            Some(Asked::Short(span)) => span.sum(),
            Some(Asked::Long(long, mut question)) => {
                let part = question.window.sum;
                let [sum, ..] = long.total(&mut question, part);
                sum
            }
            None => 0,
        }
    }

    /// Count, sum and sum of squares, as far as the window's need asks for them.
    pub fn totals(&mut self, window: WindowId) -> Totals {
        let (plan, ty) = (self.plan, self.plan.resolved(window).map_or(ColumnType::Integer, |it| it.ty));
        if let Some((window, sheet)) = self.sheet(window) {
            let limbs = |part: Option<Part>| part.map_or([0; SQUARE_LIMBS], |part| sheet.limbs(plan, part));
            let [low, high, ..] = limbs(window.sum);
            let count = count_of(limbs(window.count.filter(|_| window.need.counts())));
            return Totals::from_parts(ty, count, [low, high], limbs(window.squares));
        }
        match self.ask(window) {
            Some(Asked::Short(span)) => span.totals(),
            Some(Asked::Long(long, mut question)) => {
                let window = question.window;
                let count = if window.need.counts() { window.count } else { None };
                let count = count_of(long.total(&mut question, count));
                let [low, high, ..] = long.total(&mut question, window.sum);
                let sum: [i128; SUM_LIMBS] = [low, high];
                let squares: [i128; SQUARE_LIMBS] = long.total(&mut question, window.squares);
                Totals::from_parts(ty, count, sum, squares)
            }
            None => Totals::new(ty),
        }
    }

    /// The least and the greatest of a window with need [`super::Need::Extremes`]; none of no rows.
    pub fn extremes(&mut self, window: WindowId) -> Option<Extremes> {
        match self.ask(window)? {
            Asked::Short(span) => span.extremes(),
            Asked::Long(long, mut question) => long.extremes(&mut question),
        }
    }

    /// How many different values a window with need [`super::Need::Distinct`] has, `current` counted as if it were the
    /// value of one more row. In a long history O(1) without a delay; with one, a pass over the window's rows.
    pub fn distinct(&mut self, window: WindowId, current: Option<i64>) -> u64 {
        match self.ask(window) {
            Some(Asked::Short(span)) => span.distinct(current),
            Some(Asked::Long(long, mut question)) => long.distinct(&mut question, current),
            None => u64::from(current.is_some()),
        }
    }

    /// The oldest row's key and value, of a window with need [`super::Need::First`].
    pub fn first(&mut self, window: WindowId) -> Option<(Key, i64)> {
        match self.ask(window)? {
            Asked::Short(span) => span.first(),
            Asked::Long(long, mut question) => long.first(&mut question),
        }
    }

    /// The newest row's key and value, of a window with need [`super::Need::Last`].
    pub fn last(&mut self, window: WindowId) -> Option<(Key, i64)> {
        match self.ask(window)? {
            Asked::Short(span) => span.last(),
            Asked::Long(long, mut question) => long.last(&mut question),
        }
    }

    /// Shows every row of the window, oldest first.
    pub fn scan(&mut self, window: WindowId, mut each: impl FnMut(Row<'_>)) {
        match self.ask(window) {
            Some(Asked::Short(span)) => span.rows().for_each(each),
            Some(Asked::Long(long, mut question)) => {
                let layout = &question.plan.layout;
                long.each(&mut question, |table, row| each(Row::new(table, layout, row)));
            }
            None => {}
        }
    }

    /// The totals of all windows together, and this one's parts of them; none of a window over pairs, and where a row is
    /// left out.
    #[inline]
    fn sheet(&mut self, window: WindowId) -> Option<(&Resolved, &Sheet)> {
        let window = self.plan.resolved(window).filter(|it| it.pair.is_none())?;
        Some((window, self.totals_together()?))
    }

    /// The totals of all windows together; none where a row is left out.
    #[inline]
    pub(crate) fn totals_together(&mut self) -> Option<&Sheet> {
        if self.viewpoint.exclude.is_some() {
            return None;
        }
        if !self.edges.sheet.known {
            match &mut self.history.form {
                Form::Short(table) => sheet::of_short(table, self.plan, self.edges, self.viewpoint.at),
                Form::Long(long) => sheet::of_long(long, self.plan, self.edges, self.viewpoint.at),
            }
        }
        Some(&self.edges.sheet)
    }

    /// Where a window is answered; none for one over pairs without rows.
    #[inline]
    fn ask(&mut self, window: WindowId) -> Option<Asked<'_>> {
        let (plan, viewpoint) = (self.plan, self.viewpoint);
        let window = plan.resolved(window)?;
        let long = match &mut self.history.form {
            Form::Short(table) => {
                let span = Span::new(table, plan, window, self.edges, viewpoint);
                return Some(Asked::Short(match window.pair {
                    None => span,
                    Some(pair) => span.among(pair.column, self.among?),
                }));
            }
            Form::Long(long) => long,
        };
        let Some(pair) = window.pair else {
            return Some(Asked::Long(long, Question { plan, window, edges: self.edges, viewpoint }));
        };
        let history = long.pair(pair.index, self.among?)?;
        let plan = plan.pairs.get(pair.index)?.plan.as_ref();
        let window = plan.resolved(pair.window)?;
        let edges = self.edges.of_pair();
        Some(match &mut history.form {
            Form::Short(table) => Asked::Short(Span::new(table, plan, window, edges, viewpoint)),
            Form::Long(long) => Asked::Long(long, Question { plan, window, edges, viewpoint }),
        })
    }
}

/// A count lane's total as a number of rows.
fn count_of([count, ..]: [i128; SQUARE_LIMBS]) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
