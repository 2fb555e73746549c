//! Random cases for tests, of this crate and of the engine: well-typed rule sets as text.
//!
//! [`rule_set`] writes schema and rules in the language, so that whoever uses them goes through parser and checker.
//! Every construct turns up in at least one of a hundred cases: a test of this crate counts.

mod aggregates;
mod choices;
mod exprs;
mod rules;
mod schema;

pub use choices::Choices;
pub use rules::rule_set;

/// A schema file and a rule file that go together and have no errors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Generated {
    /// `demo.schema.weir`
    pub schema: String,
    /// `demo.weir`
    pub rules: String,
}
