//! Checking: syntax trees in, a [`RuleSet`] in which nothing can fail at run time out, or every error at once.
//!
//! Reading order: [`schema`] (what there is), [`names`] (what rule files add), [`scope`] (what a name means where it
//! stands), [`quantity`] and [`expr`] with [`operators`] and [`calls`] (types, units, missing; [`advice`] where they do
//! not fit, [`later`] what is to come), [`aggregate`] (looks into the past) and [`features`] (their order and domain), [`rules`], [`policy`] and [`examples`] (tests in
//! the language), [`warnings`] with [`shadowed`] and [`implies`], [`canonical`] (hashes), [`twins`] (what has one hash).
//!
//! **Errors do not cascade.** What failed has been reported and is `None` from then on: whoever needs it fails in
//! silence. **Nor does one hide another.** What does not need it is looked at all the same: where it is not known which
//! event types are meant (an empty list of them), wrong is what would be so on every type. [`unread`] knows the names
//! that stand in what could not be read.

mod advice;
mod aggregate;
mod bounds;
mod calls;
mod canonical;
mod constant;
mod domain;
mod effects;
mod example_event;
mod examples;
mod expr;
mod features;
mod implies;
mod later;
mod missing;
mod names;
mod operators;
mod past_of;
mod policy;
mod quantity;
mod reports;
mod rules;
mod schema;
mod scope;
mod shadowed;
#[cfg(test)]
mod tests;
mod twins;
mod unread;
mod warnings;
mod words;

use crate::diagnostic::{self, Diagnostic, Source};
use crate::schema::Schema;
use crate::syntax::{self, ast};
use crate::typed::RuleSet;
use reports::Reports;

/// What checking gave.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The rule set, if there was no error.
    pub rule_set: Option<RuleSet>,
    /// Errors and warnings, by file and place. Their `file` is the index of the source.
    pub diagnostics: Vec<Diagnostic>,
}

/// Checks a schema file and rule files together; which is which is told by content (a `schema` item), not by name.
pub fn check(sources: &[Source<'_>]) -> Checked {
    let mut reports = Reports::new(sources.iter().map(|it| it.text).collect());
    let files = parse(sources, &mut reports);
    unread::items(&files, &mut reports);
    let (rule_set, diagnostics) = match schema::check(&files, &mut reports) {
        Some(schema) => check_rules(schema, &files, reports),
        None => (None, reports.sorted()),
    };
    Checked { rule_set, diagnostics }
}

/// Checks a schema file by itself.
pub fn check_schema(source: Source<'_>) -> (Option<Schema>, Vec<Diagnostic>) {
    let mut reports = Reports::new(vec![source.text]);
    let files = parse(&[source], &mut reports);
    unread::items(&files, &mut reports);
    let schema = schema::check(&files, &mut reports);
    let diagnostics = reports.sorted();
    (schema.filter(|_| !diagnostic::has_errors(&diagnostics)), diagnostics)
}

fn parse(sources: &[Source<'_>], reports: &mut Reports<'_>) -> Vec<ast::File> {
    let mut files = Vec::with_capacity(sources.len());
    for (index, source) in (0..).zip(sources) {
        reports.enter(index);
        let parse = syntax::parse(source.text);
        for diagnostic in parse.diagnostics {
            reports.add(diagnostic);
        }
        files.push(parse.ast);
    }
    files
}

fn check_rules(
    schema: Schema,
    files: &[ast::File],
    mut reports: Reports<'_>,
) -> (Option<RuleSet>, Vec<Diagnostic>) {
    unread::fields(&schema, files, &mut reports);
    let mut checker = names::Checker::new(&schema, files, reports);
    let feature_order = features::check(&mut checker);
    let record = features::check_record(&mut checker);
    let rules = rules::check(&mut checker);
    let policies = policy::check(&mut checker, &rules);
    let tests = examples::check(&mut checker);
    warnings::check(&mut checker, files, &rules);
    let files_of_features: Vec<u32> = checker.feature_items.iter().map(|it| it.file).collect();
    let (lists, features, reports) = checker.finish();
    let mut diagnostics = reports.sorted();
    if diagnostic::has_errors(&diagnostics) {
        return (None, diagnostics);
    }
    let rules = rules.into_iter().flatten().collect();
    let mut rule_set =
        RuleSet { schema, lists, features, feature_order, record, rules, policies, tests, hash: [0; 32] };
    canonical::seal(&mut rule_set);
    diagnostics.extend(twins::warnings(&rule_set, &files_of_features));
    diagnostic::sort(&mut diagnostics);
    twins::unite(&mut rule_set);
    (Some(rule_set), diagnostics)
}
