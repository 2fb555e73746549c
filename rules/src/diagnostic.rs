//! What the language says about a file: numbered errors and warnings with their place, and how they are shown.
//!
//! Messages are one lower-case sentence without a full stop: what was wrong. A label stands at the place and says
//! why there; a help says what to do. What the author wrote is in backticks.

mod code;
mod render;

pub use code::Code;
pub use render::{Colour, LineColumn, Source, line_column, render};

use crate::span::Span;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// The rule set cannot be used.
    Error,
    /// It can, but probably does not do what was meant.
    Warning,
}

/// An error or a warning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// Which kind.
    pub code: Code,
    /// Index of the file in the order in which files were given.
    pub file: u32,
    /// Where.
    pub span: Span,
    /// What was wrong.
    pub message: String,
    /// What is written at the place itself, and at others. The first without a place of its own belongs to `span`.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Vec<String>,
}

/// A word at a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// Index of the file.
    pub file: u32,
    /// Where.
    pub span: Span,
    /// What is said there.
    pub text: String,
}

impl Diagnostic {
    /// A diagnostic in file 0; the code says whether it is an error or a warning.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { code, file: 0, span, message: message.into(), labels: Vec::new(), help: Vec::new() }
    }

    /// Says in which file it is, and with it what stands there so far: labels in other files come after.
    #[must_use]
    pub fn in_file(mut self, file: u32) -> Self {
        self.file = file;
        for label in &mut self.labels {
            label.file = file;
        }
        self
    }

    /// Says something at the place itself.
    #[must_use]
    pub fn label(self, text: impl Into<String>) -> Self {
        let span = self.span;
        self.label_at(span, text)
    }

    /// Says something at another place of the same file.
    #[must_use]
    pub fn label_at(self, span: Span, text: impl Into<String>) -> Self {
        let file = self.file;
        self.label_in(file, span, text)
    }

    /// Says something at a place in any file. Its own is known by now, see [`Diagnostic::in_file`].
    #[must_use]
    pub fn label_in(mut self, file: u32, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { file, span, text: text.into() });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Asks "did you mean …?" if there is something near, see [`nearest`].
    #[must_use]
    pub fn suggest(self, nearest: Option<&str>) -> Self {
        match nearest {
            Some(nearest) => self.help(format!("did you mean `{nearest}`?")),
            None => self,
        }
    }

    /// Whether it is an error or a warning.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

/// Whether one of them is an error.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|it| it.severity() == Severity::Error)
}

/// Sorts by file and place, errors before warnings of the same place; equal ones stand together.
pub fn sort(diagnostics: &mut [Diagnostic]) {
    let key = |it: &Diagnostic| (it.file, it.span.start, it.severity(), it.code, it.span.end);
    diagnostics.sort_by(|a, b| key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message)));
}

/// A longer name nobody mistyped: what it costs to compare two grows with the product of their lengths.
const MISTYPED_BYTES_MAX: usize = 64;

/// The candidate that a mistyped name most probably meant; none if none is near. The earliest wins a tie.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if MISTYPED_BYTES_MAX < name.len() {
        return None;
    }
    let name = name.to_lowercase();
    // A third of the letters may be wrong: `amuont` finds `amount`, `id` does not find `to`.
    let distance_max = name.chars().count().div_ceil(3);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= 2 * MISTYPED_BYTES_MAX)
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= distance_max && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests;
