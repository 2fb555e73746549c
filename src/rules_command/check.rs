//! `weir rules check`: all errors and warnings with their places, and what the rule set holds.

use std::io::IsTerminal as _;

use rules::diagnostic::{Colour, Diagnostic, Severity, line_column};
use rules::span::Span;
use serde::Serialize;

use super::{Error, RulesPath, print, print_json};
use crate::figures::plainly_counted;
use crate::load::{self, LoadError, Report};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    rules: RulesPath,
    /// As JSON, for machines
    #[arg(long)]
    json: bool,
}

/// Whether there was no error.
pub(super) fn run(options: &Options) -> Result<bool, Error> {
    let (report, holds) = match load::rule_set(&options.rules.path) {
        Ok(loaded) => {
            let holds = Holds::of(&loaded.rules);
            (loaded.report, Some(holds))
        }
        Err(LoadError::Rules(report)) => (report, None),
        Err(other) => return Err(other.into()),
    };
    if options.json {
        print_json(&Answer::of(&report, holds.as_ref()))?;
    } else {
        let colour = if std::io::stdout().is_terminal() { Colour::Always } else { Colour::Never };
        let rendered = report.render(colour);
        print(&rendered)?;
        if !rendered.is_empty() {
            print("\n")?;
        }
        print(&summary(&report, holds.as_ref()))?;
    }
    Ok(holds.is_some())
}

fn count(report: &Report, severity: Severity) -> usize {
    report.diagnostics.iter().filter(|it| it.severity() == severity).count()
}

fn summary(report: &Report, holds: Option<&Holds>) -> String {
    let errors = plainly_counted(count(report, Severity::Error), "error");
    let warnings = plainly_counted(count(report, Severity::Warning), "warning");
    match holds {
        None => format!("{errors}, {warnings}\n"),
        Some(holds) => format!(
            "{errors}, {warnings}: {}, {}, {}, {}, {}\n",
            plainly_counted(holds.features, "feature"),
            plainly_counted(holds.rules, "rule"),
            plainly_counted(holds.lists, "list"),
            plainly_counted(holds.policy_lines, "policy line"),
            plainly_counted(holds.tests, "test"),
        ),
    }
}

/// What a rule set holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Holds {
    features: usize,
    rules: usize,
    lists: usize,
    policy_lines: usize,
    tests: usize,
}

impl Holds {
    fn of(rules: &rules::typed::RuleSet) -> Self {
        Self {
            features: rules.feature_order.len(),
            rules: rules.rules.len(),
            lists: rules.lists.len(),
            policy_lines: rules.policies.iter().map(|it| it.lines.len()).sum(),
            tests: rules.tests.len(),
        }
    }
}

/// The answer for machines.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    errors: usize,
    warnings: usize,
    /// Absent where there are errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<&'a Holds>,
    diagnostics: Vec<Said<'a>>,
}

#[derive(Debug, Serialize)]
struct Said<'a> {
    code: &'static str,
    severity: &'static str,
    message: &'a str,
    #[serde(flatten)]
    place: Place<'a>,
    labels: Vec<SaidThere<'a>>,
    help: &'a [String],
}

#[derive(Debug, Serialize)]
struct SaidThere<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    text: &'a str,
}

/// As editors count: lines and columns from 1, columns in characters, the end excluded.
#[derive(Debug, Serialize)]
struct Place<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
}

impl<'a> Answer<'a> {
    fn of(report: &'a Report, holds: Option<&'a Holds>) -> Self {
        Self {
            errors: count(report, Severity::Error),
            warnings: count(report, Severity::Warning),
            holds,
            diagnostics: report.diagnostics.iter().map(|it| Said::of(report, it)).collect(),
        }
    }
}

impl<'a> Said<'a> {
    fn of(report: &'a Report, diagnostic: &'a Diagnostic) -> Self {
        let labels = diagnostic.labels.iter();
        Self {
            code: diagnostic.code.number(),
            severity: match diagnostic.severity() {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message: &diagnostic.message,
            place: Place::of(report, diagnostic.file, diagnostic.span),
            labels: labels
                .map(|it| SaidThere { place: Place::of(report, it.file, it.span), text: &it.text })
                .collect(),
            help: &diagnostic.help,
        }
    }
}

impl<'a> Place<'a> {
    fn of(report: &'a Report, file: u32, span: Span) -> Self {
        let source = usize::try_from(file).ok().and_then(|it| report.sources.get(it));
        let (file, text) = source.map_or(("", ""), |it| (it.name.as_str(), it.text.as_str()));
        let (start, end) = (line_column(text, span.start), line_column(text, span.end));
        Self { file, line: start.line, column: start.column, end_line: end.line, end_column: end.column }
    }
}
