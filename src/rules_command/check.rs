//! `weir rules check`: all errors and warnings with their places, those of the files beside the rules among them, and what
//! the rule set holds.

use std::io::IsTerminal as _;
use std::path::Path;

use rules::diagnostic::{Colour, Diagnostic, Severity, line_column};
use rules::span::Span;
use serde::Serialize;
use stream::bundle::{Problems, Wrong};

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
    let found = Found::at(&options.rules.path)?;
    if options.json {
        print_json(&Answer::of(&found))?;
    } else {
        let colour = if std::io::stdout().is_terminal() { Colour::Always } else { Colour::Never };
        for said in [found.report.render(colour), found.beside.said("error: ")] {
            if !said.is_empty() {
                print(&format!("{}\n\n", said.trim_end_matches('\n')))?;
            }
        }
        print(&summary(&found))?;
    }
    Ok(found.holds.is_some())
}

/// What there is at a path.
struct Found {
    /// What was said about the rules.
    report: Report,
    /// What is wrong with the files beside them.
    beside: Problems,
    /// None where there are errors.
    holds: Option<Holds>,
}

impl Found {
    fn at(path: &Path) -> Result<Self, LoadError> {
        let (report, beside, holds) = match load::rule_set(path) {
            Ok(loaded) => (loaded.report, Problems::default(), Some(Holds::of(&loaded.rules))),
            Err(LoadError::Rules(report)) => (report, Problems::default(), None),
            Err(LoadError::Contents(beside, report)) => (report, beside, None),
            Err(other) => return Err(other),
        };
        Ok(Self { report, beside, holds })
    }

    fn errors(&self) -> usize {
        self.count(Severity::Error) + self.beside.count()
    }

    fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.report.diagnostics.iter().filter(|it| it.severity() == severity).count()
    }
}

fn summary(found: &Found) -> String {
    let errors = plainly_counted(found.errors(), "error");
    let warnings = plainly_counted(found.warnings(), "warning");
    match &found.holds {
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
    /// How many errors in files beside the rules are counted and not among them; absent where all are.
    #[serde(skip_serializing_if = "is_zero")]
    more: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "so serde asks")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[derive(Debug, Serialize)]
struct Said<'a> {
    /// Absent for what stands in a file beside the rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    severity: &'static str,
    message: &'a str,
    #[serde(flatten)]
    place: Somewhere<'a>,
    labels: Vec<SaidThere<'a>>,
    help: &'a [String],
}

#[derive(Debug, Serialize)]
struct SaidThere<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    text: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Somewhere<'a> {
    InRules(Place<'a>),
    Beside {
        file: &'a str,
        /// Absent for the file as a whole.
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<usize>,
    },
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
    fn of(found: &'a Found) -> Self {
        let Found { report, beside, holds } = found;
        let in_rules = report.diagnostics.iter().map(|it| Said::of(report, it));
        Self {
            errors: found.errors(),
            warnings: found.warnings(),
            holds: holds.as_ref(),
            diagnostics: in_rules.chain(beside.shown().iter().map(Said::beside)).collect(),
            more: beside.more(),
        }
    }
}

impl<'a> Said<'a> {
    fn of(report: &'a Report, diagnostic: &'a Diagnostic) -> Self {
        let labels = diagnostic.labels.iter();
        Self {
            code: Some(diagnostic.code.number()),
            severity: match diagnostic.severity() {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message: &diagnostic.message,
            place: Somewhere::InRules(Place::of(report, diagnostic.file, diagnostic.span)),
            labels: labels
                .map(|it| SaidThere { place: Place::of(report, it.file, it.span), text: &it.text })
                .collect(),
            help: &diagnostic.help,
        }
    }

    fn beside(wrong: &'a Wrong) -> Self {
        let Wrong { file, line, problem, .. } = wrong;
        let place = Somewhere::Beside { file, line: *line };
        Self { code: None, severity: "error", message: problem, place, labels: Vec::new(), help: &[] }
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
