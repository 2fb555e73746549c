//! What the histories of one entity kind hold and answer: columns, conditions and windows, as plain data.

use rules::time::Micros;

/// A column of a row, in the order of [`PlanInput::columns`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ColumnId(pub u16);
/// A condition that a row satisfies or not: its bit among the row's members.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConditionId(pub u16);
/// A window, in the order of [`PlanInput::windows`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WindowId(pub u16);

impl ColumnId {
    /// The index as a number to look up with.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}
impl ConditionId {
    /// The index as a number to look up with.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}
impl WindowId {
    /// The index as a number to look up with.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// How the 64 bits of a column are read by sums, means and extremes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ColumnType {
    /// An i64: an amount, a duration, a hash, a packed place.
    Integer,
    /// The bits of an f64: a captured feature.
    Real,
}

/// What a window is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Need {
    /// How many rows.
    Count,
    /// The sum of a column.
    Sum,
    /// Count and sum of a column.
    Mean,
    /// Count, sum and sum of squares of a column.
    Variance,
    /// The least and the greatest of a column.
    Extremes,
    /// How many different values a column has.
    Distinct,
    /// The oldest row.
    First,
    /// The newest row.
    Last,
    /// Every row, for conditions that read the current event.
    Scan,
}

/// A window over the rows of one entity, or of one pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Which rows belong to it; none: every row.
    pub condition: Option<ConditionId>,
    /// Which column is looked at; none for count and scan.
    pub column: Option<ColumnId>,
    /// What is asked.
    pub need: Need,
    /// Its width.
    pub over: Micros,
    /// How far its upper edge lies in the past; none: no upper edge, later rows included.
    pub delay: Option<Micros>,
    /// Only rows that hold the pair's second entity in this column ([`super::View::among`]).
    pub pair: Option<ColumnId>,
}

/// What a plan is made of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PlanInput {
    /// The columns of a row beside its key, members and state.
    pub columns: Vec<ColumnType>,
    /// By condition: whether an amendment may change it.
    pub conditions: Vec<bool>,
    /// All windows.
    pub windows: Vec<Window>,
}

/// Why a plan cannot be made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    /// A window names a column that the plan lacks, or none where one is needed.
    #[error("window {window} has no column to look at: name one of the plan's")]
    Column {
        /// Which window.
        window: usize,
    },
    /// A window names a condition that the plan lacks.
    #[error("window {window} names a condition that the plan lacks")]
    Condition {
        /// Which window.
        window: usize,
    },
    /// A window of no width, of negative delay, or wider than ten years.
    #[error("window {window} has an impossible width or delay")]
    Span {
        /// Which window.
        window: usize,
    },
    /// More columns, conditions or windows than fit an id.
    #[error("too many columns, conditions or windows: at most 65,535 of each")]
    Many,
}

/// The plan: immutable, shared by all histories of a kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    input: PlanInput,
}

impl Plan {
    /// Checks the input and derives what is kept.
    ///
    /// # Errors
    /// If a window names what the input lacks, or its span is impossible.
    pub fn new(input: PlanInput) -> Result<Self, PlanError> {
        let sizes = [input.columns.len(), input.conditions.len(), input.windows.len()];
        if sizes.iter().any(|size| u16::try_from(*size).is_err()) {
            return Err(PlanError::Many);
        }
        for (at, window) in input.windows.iter().enumerate() {
            check(&input, at, window)?;
        }
        Ok(Self { input })
    }

    /// What it was made of.
    pub fn input(&self) -> &PlanInput {
        &self.input
    }

    /// A window.
    pub(crate) fn window(&self, window: WindowId) -> Option<&Window> {
        self.input.windows.get(window.index())
    }

    /// How a column is read; an unknown one as integers.
    pub(crate) fn column_type(&self, column: Option<ColumnId>) -> ColumnType {
        column
            .and_then(|column| self.input.columns.get(column.index()))
            .copied()
            .unwrap_or(ColumnType::Integer)
    }

    /// The farthest that any window reaches back from the current event; 0 without windows.
    pub fn reach(&self) -> Micros {
        let reaches = self.input.windows.iter().map(|it| it.over + it.delay.unwrap_or(0));
        reaches.max().unwrap_or(0)
    }
}

fn check(input: &PlanInput, at: usize, window: &Window) -> Result<(), PlanError> {
    let columns = input.columns.len();
    let known = |column: ColumnId| column.index() < columns;
    let needs_column = !matches!(window.need, Need::Count | Need::Scan);
    if (needs_column && window.column.is_none()) || !window.column.is_none_or(known) {
        return Err(PlanError::Column { window: at });
    }
    if !window.pair.is_none_or(known) {
        return Err(PlanError::Column { window: at });
    }
    if window.condition.is_some_and(|it| input.conditions.len() <= it.index()) {
        return Err(PlanError::Condition { window: at });
    }
    let spans = 0 < window.over
        && window.over <= rules::time::SPAN_MAX
        && (0..=rules::time::SPAN_MAX).contains(&window.delay.unwrap_or(0));
    if spans { Ok(()) } else { Err(PlanError::Span { window: at }) }
}
