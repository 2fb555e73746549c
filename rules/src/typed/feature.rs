//! Features, and the looks into the past of which they are made.

use super::{Expr, Numeric, Type};
use crate::schema::{EventTypeId, FieldId};
use crate::span::Span;
use crate::time::Micros;

/// A feature: a value computed from windows, or from fields and other features.
#[derive(Clone, PartialEq, Debug)]
pub struct Feature {
    /// As declared; a nameless one is called after where it stands, such as `far.1`.
    pub name: String,
    /// Of its value.
    pub ty: Type,
    /// Whether it may be missing.
    pub optional: bool,
    /// The event types on which it may be used, in order.
    pub domain: Vec<EventTypeId>,
    /// What it computes.
    pub definition: Definition,
    /// Whether some aggregate reads it of past events, so that it is kept with each event.
    pub captured: Captured,
    /// Whether the rule set itself declares it. Otherwise nothing of it shows: it is kept up for another rule set.
    pub own: bool,
    /// Names the meaning: BLAKE3 over the canonical form of the definition, those that it reaches, and the parts of
    /// the schema that it reads. State is kept under it.
    pub hash: [u8; 16],
    /// Where it is declared.
    pub span: Span,
}

impl Feature {
    /// Its look into the past; none if it is an expression over the event being decided.
    pub fn aggregate(&self) -> Option<&Aggregate> {
        match &self.definition {
            Definition::Aggregate(aggregate) => Some(aggregate),
            Definition::Expr(_) => None,
        }
    }
}

/// Whether a feature is kept with each event, as it was then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Captured {
    /// No aggregate reads it of past events.
    No,
    /// One of the rule set's own does.
    Own,
    /// Only one that is kept up for another rule set does.
    ForOthers,
}

/// What a feature computes.
#[derive(Clone, PartialEq, Debug)]
pub enum Definition {
    /// An expression over the event being decided.
    Expr(Expr),
    /// A look into the past.
    Aggregate(Box<Aggregate>),
}

/// A look into the past of one entity, or of one pair.
#[derive(Clone, PartialEq, Debug)]
pub struct Aggregate {
    /// What is computed of the matching events.
    pub function: AggregateFunction,
    /// The types of past events that match, in order.
    pub of: Vec<EventTypeId>,
    /// What is summed, counted apart, looked at: over a past event. For `first_seen`, `speed` the same expression is
    /// evaluated over the current event too. None for count, ratio and time_since.
    pub argument: Option<Expr>,
    /// Roles of the event being decided: one, or a pair.
    pub by: Vec<FieldId>,
    /// The roles on which past events are matched, paired with `by`; the same unless `via` says otherwise.
    pub via: Vec<FieldId>,
    /// The width of the window; none: all that is remembered (`keep`).
    pub over: Option<Micros>,
    /// How far the window's upper edge lies in the past; none: it has no upper edge.
    pub delay: Option<Micros>,
    /// Whether the current event is left out.
    pub before: bool,
    /// Which past events match, beside their type and roles; whole value missing = does not match.
    pub condition: Option<Expr>,
    /// Of a ratio: which of the matching events are counted above the line.
    pub numerator: Option<Expr>,
    /// Whether condition, numerator or argument reads a mutable column.
    pub reads_mutable: bool,
    /// Whether condition or numerator reads the event being decided.
    pub reads_this: bool,
}

impl Aggregate {
    /// Whether the window's rows are looked at one by one, each with what is known of it now: for that belongs to the event
    /// being decided, or what is looked at becomes known later.
    pub fn is_scanned(&self) -> bool {
        self.reads_this || self.argument.as_ref().is_some_and(Expr::reads_mutable)
    }

    /// Digits after the point of the argument; 0 where it is real or there is none.
    pub fn argument_scale(&self) -> u8 {
        match self.argument.as_ref().map(|it| it.ty) {
            Some(
                Type::Number(Numeric::Exact { scale, .. })
                | Type::Money(_, Numeric::Exact { scale, .. })
                | Type::Duration(Numeric::Exact { scale, .. }),
            ) => scale,
            _ => 0,
        }
    }
}

/// What an aggregate computes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AggregateFunction {
    /// How many; exact, scale 0.
    Count,
    /// Their exact sum, at the argument's scale; a real argument's sum is real.
    Sum,
    /// Sum divided by count; real.
    Mean,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// Of the sample; real.
    Stddev,
    /// How many different values.
    Distinct,
    /// Matching events above the line, divided by all matching; real.
    Ratio,
    /// The oldest event's value.
    First,
    /// The newest event's value; never the current event's.
    Last,
    /// Whether no earlier event had the value that the current event has; a flag.
    FirstSeen,
    /// Duration since the newest matching event before the current one; exact.
    TimeSince,
    /// Speed from the newest matching event's place to the current one's.
    Speed,
}
