//! Expressions, and the aggregates inside them.

use super::{Date, Duration, Integer, Name, Quantity};
use crate::span::Span;
use crate::typed::Comparison;

/// An expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// All of it, without parentheses around it.
    pub span: Span,
}

/// What an expression is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExprKind {
    /// Did not parse.
    Error,
    /// `true`, `false`
    Flag(bool),
    /// `5`, `10%`, `900 km/h`, `2.00 CNY`
    Quantity(Quantity),
    /// `10m`
    Duration(Duration),
    /// `"text"`
    Text(String),
    /// `2027-03-31`
    Date(Date),
    /// `amount`, `payment.amount`, `this.amount`
    Path(Path),
    /// `shop_limit[merchant]`
    Lookup {
        /// The table.
        table: Name,
        /// What is looked up in it.
        key: Box<Expr>,
    },
    /// `hour(time)`: a function, or an aggregate that lacks its `by`.
    Call(Call),
    /// `count(payment) by user over 1h`: a call with at least one clause.
    Aggregate(Box<Aggregate>),
    /// `[app, web]`
    Set(Vec<Expr>),
    /// `-x`
    Negate(Box<Expr>),
    /// `not x`
    Not(Box<Expr>),
    /// `a + b`, `a ?? b`, `a and b`, `a < b`, `a contains b`
    Binary {
        /// Which.
        op: BinaryOp,
        /// Where it stands.
        op_span: Span,
        /// The left side.
        left: Box<Expr>,
        /// The right side.
        right: Box<Expr>,
    },
    /// `a in b`, `a not in 1 .. 5`
    In {
        /// `not in`
        negated: bool,
        /// What is looked at.
        operand: Box<Expr>,
        /// In what.
        range: Range,
    },
    /// `a is missing`, `a is not missing`
    IsMissing {
        /// `is not missing`
        negated: bool,
        /// What is looked at.
        operand: Box<Expr>,
    },
}

/// What stands right of `in`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Range {
    /// A list's name, or a set in brackets.
    Of(Box<Expr>),
    /// `low .. high`, both included.
    Between {
        /// The lower end.
        low: Box<Expr>,
        /// The upper end.
        high: Box<Expr>,
    },
}

/// `amount`, `payment.amount`, `any.device`, `this.amount`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    /// `this.` and where it stands.
    pub this: Option<Span>,
    /// At least one; at most two mean something today.
    pub names: Vec<Name>,
}

/// `name(a, not b, c where d)`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// What is called.
    pub name: Name,
    /// With what.
    pub args: Vec<Arg>,
    /// All of it.
    pub span: Span,
}

/// An argument of a call. Only a sequence's steps have `not` and `within`, only event types `where`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arg {
    /// A `not` before it, and where: a step that must be absent, or an ordinary negation if `expr` is a flag.
    pub not: Option<Span>,
    /// The argument.
    pub expr: Expr,
    /// `where …`
    pub where_: Option<Expr>,
    /// `within 5m`
    pub within: Option<Duration>,
    /// All of it.
    pub span: Span,
}

/// A call and its clauses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Aggregate {
    /// What is computed.
    pub call: Call,
    /// At least one, in any order; twice the same is the checker's to refuse.
    pub clauses: Vec<Clause>,
    /// All of it, without parentheses around it.
    pub span: Span,
}

/// Between two operands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BinaryOp {
    /// `or`
    Or,
    /// `and`
    And,
    /// `==`, `!=`, `<`, `<=`, `>`, `>=`
    Compare(Comparison),
    /// `contains`
    Contains,
    /// `starts`
    Starts,
    /// `matches`
    Matches,
    /// `??`
    Coalesce,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

/// What narrows an aggregate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Clause {
    /// What it says.
    pub kind: ClauseKind,
    /// All of it.
    pub span: Span,
}

/// What a clause says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClauseKind {
    /// `by user`, `by (user, device)`, `by user via payee`
    By {
        /// One role or a pair.
        roles: Vec<Name>,
        /// As many, or none at all.
        via: Vec<Name>,
    },
    /// `over …`
    Over(Window),
    /// `where …`
    Where(Expr),
    /// `before`: without the current event.
    Before,
    /// `delay 7d`
    Delay(Duration),
    /// `within 15m`
    Within(Duration),
    /// `step 1h`: a declared approximation.
    Step(Duration),
    /// `group by card having count(payment) >= 2`
    GroupBy {
        /// By what the window is divided.
        role: Name,
        /// What must hold in a group.
        having: Call,
        /// How it compares.
        op: Comparison,
        /// With what: a quantity or a duration.
        value: Expr,
    },
    /// Did not parse.
    Error,
}

/// What an `over` spans.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Window {
    /// `over 1h`
    Sliding(Duration),
    /// `over today`
    Today,
    /// `over this month`
    This(CalendarUnit),
    /// `over last 20 payment`, `over last 5 any`
    Last {
        /// How many.
        count: Integer,
        /// Of which type; `any` is a name.
        of: Name,
    },
}

/// A stretch of the calendar.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CalendarUnit {
    /// From the full hour.
    Hour,
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first.
    Month,
    /// From 1 January.
    Year,
}
