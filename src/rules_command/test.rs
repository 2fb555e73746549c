//! `weir rules test`: the tests of the language, each in an empty world of its own.

use std::fmt::Write as _;
use std::time::Instant;

use rules::diagnostic::line_column;
use rules::past::Outcome;
use rules::span::Span;
use rules::syntax::{self, ast};
use rules::typed::{Expectation, Mode, RuleId, RuleSet, Test};

use super::story::{self, Ending};
use super::{Error, RulesPath, load, print, value};
use crate::load::{Loaded, SourceFile};
use crate::stderr;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    rules: RulesPath,
    /// Only tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

/// Whether every test that ran passed.
pub(super) fn run(options: &Options) -> Result<bool, Error> {
    let loaded = load(&options.rules.path)?;
    // A rule set that cannot be planned fails here, and not in each test.
    loaded.compile(engine::entity::HashKey::new([0; 16]))?;
    let start = Instant::now();
    let chosen = |test: &&Test| options.filter.as_ref().is_none_or(|it| test.name.contains(it.as_str()));
    let (mut passed, mut failures) = (0, Vec::new());
    for test in loaded.rules.tests.iter().filter(chosen) {
        let failure = failure(&loaded, test);
        print(&format!("test {} ... {}\n", test.name, if failure.is_none() { "ok" } else { "FAILED" }))?;
        passed += usize::from(failure.is_none());
        failures.extend(failure);
    }
    if !failures.is_empty() {
        print(&format!("\nfailures:\n\n{}", failures.join("\n")))?;
    }
    let left_out = loaded.rules.tests.len() - passed - failures.len();
    print(&format!(
        "\ntest result: {}. {passed} passed; {} failed; {left_out} filtered out\n",
        if failures.is_empty() { "ok" } else { "FAILED" },
        failures.len(),
    ))?;
    stderr::say(format_args!("finished in {:.2?}", start.elapsed()));
    Ok(failures.is_empty())
}

/// Runs all tests: how many passed, and what is said of each that failed.
pub(crate) fn run_tests(loaded: &Loaded) -> (usize, Vec<String>) {
    let tests = &loaded.rules.tests;
    let failures: Vec<String> = tests.iter().filter_map(|it| failure(loaded, it)).collect();
    (tests.len() - failures.len(), failures)
}

/// What was expected and did not come.
struct Complaint {
    /// Where it is written.
    span: Span,
    /// What came instead.
    came: String,
}

/// Runs a test; none if all came as expected, otherwise what is said of it.
fn failure(loaded: &Loaded, test: &Test) -> Option<String> {
    let ending = match story::tell(loaded, test) {
        Ok(ending) => ending,
        Err(error) => {
            let headline = headline(source_of(loaded, test), test);
            return Some(format!("{headline}  the test could not be run to its end: {error}\n"));
        }
    };
    let expected = test.expectations.iter().zip(&ending.held);
    let complaints: Vec<Complaint> =
        expected.filter_map(|(it, held)| complaint(loaded, it, *held, &ending)).collect();
    (!complaints.is_empty()).then(|| describe(loaded, test, &complaints, &ending))
}

fn complaint(
    loaded: &Loaded,
    expected: &Expectation,
    held: Option<bool>,
    ending: &Ending,
) -> Option<Complaint> {
    let (span, why) = match expected {
        Expectation::Outcome(outcome, because, span) => {
            let mut why = Vec::new();
            if *outcome != ending.ruling.verdict.outcome {
                why.push(format!("the outcome is `{}`", ending.ruling.verdict.outcome.name()));
            } else {
                why.extend(because.iter().filter_map(|it| no_reason(&loaded.rules, *it, ending)));
            }
            (*span, why)
        }
        Expectation::Hit { rule, hits, span } => {
            let hit = hits_rule(ending, *rule);
            let verb = if hit { "hits" } else { "does not hit" };
            let why = (hit != *hits).then(|| format!("`{}` {verb}", rule_name(&loaded.rules, *rule)));
            (*span, why.into_iter().collect())
        }
        Expectation::Holds(_, span) => {
            let why = match held {
                Some(true) => None,
                Some(false) => Some("it does not hold".to_owned()),
                None => Some("its value is missing".to_owned()),
            };
            (*span, why.into_iter().collect())
        }
    };
    (!why.is_empty()).then(|| Complaint { span, came: why.join("; ") })
}

/// Why a rule is no reason for the outcome; none if it is one.
fn no_reason(rules: &RuleSet, rule: RuleId, ending: &Ending) -> Option<String> {
    let name = rule_name(rules, rule);
    let mode = rules.rule(rule).map(|it| it.mode);
    if mode != Some(Mode::Live) {
        let mode = if mode == Some(Mode::Shadow) { "shadow" } else { "off" };
        return Some(format!("`{name}` is {mode}, so it decides nothing"));
    }
    if !hits_rule(ending, rule) {
        return Some(format!("`{name}` does not hit"));
    }
    let (_, without) = ending.without.iter().find(|(it, _)| *it == rule)?;
    (strength(*without) >= strength(ending.ruling.verdict.outcome))
        .then(|| format!("without `{name}` the outcome is `{}` all the same", without.name()))
}

/// Block > challenge > allow.
fn strength(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::None => 0,
        Outcome::Allow => 1,
        Outcome::Challenge => 2,
        Outcome::Block => 3,
    }
}

fn hits_rule(ending: &Ending, rule: RuleId) -> bool {
    ending.ruling.verdict.hits.iter().any(|it| it.rule == rule)
}

fn rule_name(rules: &RuleSet, rule: RuleId) -> &str {
    rules.rule(rule).map_or("?", |it| &it.name)
}

/// A failed test: where, what was expected, what came.
fn describe(loaded: &Loaded, test: &Test, complaints: &[Complaint], ending: &Ending) -> String {
    let source = source_of(loaded, test);
    let mut text = headline(source, test);
    for complaint in complaints {
        let written = source.map_or("", |it| written(&it.text, complaint.span));
        // Writing to a text cannot fail.
        let _ = writeln!(text, "  expected  {written}  ({})", place(source, complaint.span));
        let _ = writeln!(text, "  but       {}", complaint.came);
    }
    text.push_str(&came(&loaded.rules, ending));
    text
}

fn headline(source: Option<&SourceFile>, test: &Test) -> String {
    format!("{}\n  --> {}\n", test.name, place(source, test.span))
}

fn place(source: Option<&SourceFile>, span: Span) -> String {
    source.map_or_else(String::new, |it| format!("{}:{}", it.name, line_column(&it.text, span.start)))
}

/// All that came: outcome, score, hits, and the features that the test names.
fn came(rules: &RuleSet, ending: &Ending) -> String {
    let verdict = &ending.ruling.verdict;
    let mut text =
        format!("  came      {}, score {}\n", verdict.outcome.name(), value::score(verdict.score_e6));
    for hit in &verdict.hits {
        let shadow = rules.rule(hit.rule).is_some_and(|it| it.mode == Mode::Shadow);
        let _ = writeln!(
            text,
            "  hit       {}, score {}{}",
            rule_name(rules, hit.rule),
            value::score(hit.contribution_e6),
            if shadow { ", shadow" } else { "" },
        );
    }
    if verdict.hits.is_empty() {
        text.push_str("  hit       none\n");
    }
    for (id, seen) in &ending.seen {
        if let Some(feature) = rules.feature(*id) {
            let shown = value::show(*seen, feature.ty, &rules.schema);
            let _ = writeln!(text, "  feature   {} = {shown}", feature.name);
        }
    }
    text
}

/// What stands at a place, on one line.
fn written(text: &str, span: Span) -> &str {
    let (start, end) = (usize::try_from(span.start), usize::try_from(span.end));
    let range = start.ok().zip(end.ok());
    range.and_then(|(start, end)| text.get(start..end)).unwrap_or_default().trim()
}

/// The file that a test stands in: the one with a test of this name at this place.
fn source_of<'a>(loaded: &'a Loaded, test: &Test) -> Option<&'a SourceFile> {
    let is_it = |item: &ast::Item| matches!(item, ast::Item::Test(it) if it.name.span == test.span && it.name.text == test.name);
    loaded.report.sources.iter().find(|it| syntax::parse(&it.text).ast.items.iter().any(is_it))
}
