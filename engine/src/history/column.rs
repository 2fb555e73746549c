//! What columns, conditions and windows are called, and how a column is read.

use rules::indices;

indices! {
    /// A column of a row, in the order of [`super::PlanInput::columns`].
    ColumnId;
    /// A condition that a row satisfies or not: its bit among the row's members.
    ConditionId;
    /// A window, in the order of [`super::PlanInput::windows`].
    WindowId;
}

/// How the 64 bits of a column are read by sums, means and extremes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ColumnType {
    /// An i64: an amount, a duration, a hash, a packed place.
    Integer,
    /// The bits of an f64: a captured feature.
    Real,
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
