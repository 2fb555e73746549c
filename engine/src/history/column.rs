//! What columns, conditions and windows are called, and how a column is read.

/// A column of a row, in the order of [`super::PlanInput::columns`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ColumnId(pub u16);
/// A condition that a row satisfies or not: its bit among the row's members.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConditionId(pub u16);
/// A window, in the order of [`super::PlanInput::windows`].
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

impl ColumnType {
    /// A number in the order of the values; reals in IEEE 754's total order, in which −0 stands before 0.
    pub(crate) fn rank(self, value: i64) -> i64 {
        match self {
            Self::Integer => value,
            Self::Real => value ^ ((value >> 63).cast_unsigned() >> 1).cast_signed(),
        }
    }
}
