//! Expressions: what is computed of one event.

use super::{FeatureId, ListId, Type};
use crate::schema::{FieldId, KindId};
use crate::value::Value;

/// A typed expression.
#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    /// What it computes.
    pub kind: ExprKind,
    /// Of what type.
    pub ty: Type,
    /// Whether it may be missing.
    pub optional: bool,
}

/// What an expression computes. Operands have been brought to one form and scale, so no node looks at types.
#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    /// A value known at compile time; [`Value::Missing`] only in the place of a feature whose state is gone.
    Const(Value),
    /// A text known at compile time: its hash under the engine's key, once there is one.
    Text(String),
    /// An entity's id known at compile time, likewise.
    EntityId(KindId, String),
    /// A field of the event in scope.
    Field(FieldId),
    /// The type of the event in scope, as the exact number of its [`EventTypeId`](crate::schema::EventTypeId).
    EventType,
    /// The time of the event in scope.
    Time,
    /// A mutable column of the past event in scope.
    Mutable(MutableColumn),
    /// A feature of the event in scope; of a past event: as captured at its time.
    Feature(FeatureId),
    /// Inside an aggregate: an expression over the event being decided.
    This(Box<Expr>),
    /// The score so far, in millionths (policy lines only).
    Score,
    /// Three-valued not.
    Not(Box<Expr>),
    /// Three-valued and: false as soon as one side is false.
    And(Box<Expr>, Box<Expr>),
    /// Three-valued or: true as soon as one side is true.
    Or(Box<Expr>, Box<Expr>),
    /// Both sides of one form and, if exact, of one scale.
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// `low <= operand <= high`; with `wraps`, outside (high, low): for hour and weekday. Never missing.
    Between {
        /// What is looked at.
        operand: Box<Expr>,
        /// Included.
        low: Box<Expr>,
        /// Included.
        high: Box<Expr>,
        /// Whether low > high means "over midnight".
        wraps: bool,
    },
    /// Whether the operand equals one of the items. Never missing.
    OneOf(Box<Expr>, Vec<Expr>),
    /// Whether the entity in this role of the event being decided is in a list. Never missing.
    Listed(ListId, FieldId),
    /// Whether a value is in a list of values. Never missing.
    ListedValue(ListId, Box<Expr>),
    /// The value beside the entity in this role in a table.
    TableValue(ListId, FieldId),
    /// Never missing itself.
    IsMissing(Box<Expr>),
    /// The left side, or the right one where the left is missing.
    Coalesce(Box<Expr>, Box<Expr>),
    /// Exact or real, as the operands are; exact `Multiply` adds scales, `Divide` is always real.
    Arithmetic(Operator, Box<Expr>, Box<Expr>),
    /// The operand with its sign changed.
    Negate(Box<Expr>),
    /// Exact → exact at a finer scale: times 10 to this power.
    Rescale(Box<Expr>, u8),
    /// Exact at this scale → real: divided by 10 to this power.
    ToReal(Box<Expr>, u8),
    /// A function of the language.
    Call(Function, Vec<Expr>),
}

/// `a ? b`
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// The comparison that says the same with its sides exchanged.
    pub(crate) fn mirrored(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }
}

/// Arithmetic of two operands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`: real; missing where the divisor is zero.
    Divide,
}

/// What the language computes from plain values.
#[derive(Clone, PartialEq, Debug)]
pub enum Function {
    /// Hour of a time in a zone, 0 to 23 (a number).
    Hour(jiff::tz::TimeZone),
    /// Day of the week of a time in a zone (the built-in enum, Monday = 0).
    Weekday(jiff::tz::TimeZone),
    /// Whether it is Saturday or Sunday there.
    Weekend(jiff::tz::TimeZone),
    /// Whether the hour there is 0 to 6.
    Night(jiff::tz::TimeZone),
    /// The least of the arguments; missing if one is.
    Min,
    /// The greatest of the arguments; missing if one is.
    Max,
    /// Without its sign.
    Abs,
    /// Great-circle distance of two places.
    Distance,
}

/// A column of a past event that may change after it was decided.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MutableColumn {
    /// Enum `outcome`.
    Outcome,
    /// Enum `challenge`.
    Challenge,
    /// Enum `result`.
    Result,
    /// Enum `label`.
    Label,
    /// [`crate::past::Mutable::accepted`], a flag.
    Accepted,
}
