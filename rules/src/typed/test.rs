//! Tests: what happens, and what must then be true.

use super::{Expr, ListId, MutableColumn, RuleId};
use crate::past::Outcome;
use crate::schema::{EventTypeId, FieldId};
use crate::span::Span;
use crate::time::Micros;

/// A test in the language.
#[derive(Clone, PartialEq, Debug)]
pub struct Test {
    /// As written.
    pub name: String,
    /// What happens, in order; the last is the event that is looked at, the last of the last `when`.
    pub steps: Vec<TestStep>,
    /// What must then be true.
    pub expectations: Vec<Expectation>,
    /// Where its name stands.
    pub span: Span,
}

/// One thing that happens in a test. Times are absolute: the checker has moved the cursor.
#[derive(Clone, PartialEq, Debug)]
pub enum TestStep {
    /// An event.
    Event(TestEvent),
    /// Something became known of an earlier event.
    Amend {
        /// When.
        time: Micros,
        /// Id of the event.
        event: String,
        /// The column and its new value's number.
        column: MutableColumn,
        /// As the enum counts.
        value: u8,
    },
    /// An entity was put on a list, with its value if it is a table.
    List {
        /// When.
        time: Micros,
        /// Which.
        list: ListId,
        /// The entity's id, or the value's text.
        item: String,
        /// Of a table.
        value: Option<TestValue>,
    },
}

/// An event of a test.
#[derive(Clone, PartialEq, Debug)]
pub struct TestEvent {
    /// Its own, or made up.
    pub id: String,
    /// Which type.
    pub event_type: EventTypeId,
    /// When.
    pub time: Micros,
    /// Fields that are present, texts and ids as text.
    pub fields: Vec<(FieldId, TestValue)>,
}

/// The value of a field or of a table in a test.
#[derive(Clone, PartialEq, Debug)]
pub enum TestValue {
    /// As it stands in a slot.
    Slot(i64),
    /// A text or an entity's id.
    Text(String),
}

/// What must be true after a test's last event.
#[derive(Clone, PartialEq, Debug)]
pub enum Expectation {
    /// Its outcome, and the rules without which it would be weaker.
    Outcome(Outcome, Vec<RuleId>, Span),
    /// A rule hits, or does not.
    Hit {
        /// Which.
        rule: RuleId,
        /// `not hit` expects false.
        hits: bool,
        /// Where it is written.
        span: Span,
    },
    /// A condition over the event, its features and the score; must be true.
    Holds(Expr, Span),
}
