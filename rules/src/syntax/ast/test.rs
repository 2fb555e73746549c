//! Tests in the language.

use super::{Duration, Expr, Integer, Name, Text};
use crate::past::Outcome;
use crate::span::Span;
use crate::typed::MutableColumn;

/// A test.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Test {
    /// What it says.
    pub name: Text,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// What must then be true.
    pub expectations: Vec<Expectation>,
    /// The whole item.
    pub span: Span,
}

/// `given payment user u1 amount 1.00 CNY, 4 times every 5s`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Whether it is a `given` or the `when`.
    pub role: StepRole,
    /// What happens.
    pub kind: StepKind,
    /// How often.
    pub repeat: Option<Repeat>,
    /// When; none = right away.
    pub at: Option<Moment>,
    /// All of it.
    pub span: Span,
}

/// The word before a step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StepRole {
    /// `given`: what went before.
    Given,
    /// `when`: what is looked at.
    When,
}

/// What happens in a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StepKind {
    /// `payment as p5 user u1 amount 1.00 CNY`
    Event {
        /// The event type.
        event_type: Name,
        /// `as p5`
        id: Option<Name>,
        /// Field and value. An id or an enum's value is a bare name or a text.
        fields: Vec<(Name, Expr)>,
    },
    /// `label fraud on p`
    Amendment {
        /// Never [`MutableColumn::Accepted`].
        column: MutableColumn,
        /// The new value's name.
        value: Name,
        /// The id of the event.
        event: Name,
    },
    /// `d1 in blocked_devices`, `m1 in shop_limit = 500.00 CNY`
    Listed {
        /// The entity's id, or the value.
        item: Name,
        /// A list or a table.
        list: Name,
        /// Of a table.
        value: Option<Expr>,
    },
    /// Did not parse.
    Error,
}

/// `4 times every 5s`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Repeat {
    /// How often.
    pub count: Integer,
    /// How far apart.
    pub every: Duration,
    /// All of it.
    pub span: Span,
}

/// When a step happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Moment {
    /// `after 5s`: so long after the one before.
    After(Duration),
    /// `at "2026-01-06 02:30"`: in the schema's zone; what is a time is the checker's to say.
    At(Text),
}

/// What must be true at the end of a test.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expectation {
    /// What.
    pub kind: ExpectationKind,
    /// All of it.
    pub span: Span,
}

/// What a test expects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExpectationKind {
    /// `challenge because card_testing and shop`
    Outcome {
        /// Never [`Outcome::None`].
        outcome: Outcome,
        /// Rules without which it would be weaker.
        because: Vec<Name>,
    },
    /// `hit shop`, `not hit shop`
    Hit {
        /// `not`
        negated: bool,
        /// Which.
        rule: Name,
    },
    /// `tiny_1m == 5`, `score >= 40`: a condition.
    Holds(Expr),
    /// Did not parse.
    Error,
}
