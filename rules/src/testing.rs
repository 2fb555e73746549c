//! Checked schemas and rule sets, for the tests of this crate and of those above it.
#![expect(
    clippy::panic,
    reason = "for tests only: what does not check ends them, and says all that is wrong"
)]

use crate::check::{check, check_schema};
use crate::diagnostic::{Colour, Diagnostic, Source, render};
use crate::schema::Schema;
use crate::typed::RuleSet;

/// The schema of a text.
///
/// # Panics
/// With everything that the checker says of it, if it has an error.
#[track_caller]
pub fn schema(text: &str) -> Schema {
    let source = Source { name: "s.schema.weir", text };
    let (schema, said) = check_schema(source);
    schema.unwrap_or_else(|| fail(&said, &[source]))
}

/// The rule set of two texts.
///
/// # Panics
/// With everything that the checker says of them, if they have an error.
#[track_caller]
pub fn rule_set(schema: &str, rules: &str) -> RuleSet {
    let sources = [Source { name: "s.schema.weir", text: schema }, Source { name: "s.weir", text: rules }];
    let checked = check(&sources);
    checked.rule_set.unwrap_or_else(|| fail(&checked.diagnostics, &sources))
}

#[track_caller]
fn fail(said: &[Diagnostic], sources: &[Source<'_>]) -> ! {
    panic!("{}", render(said, sources, Colour::Never))
}
