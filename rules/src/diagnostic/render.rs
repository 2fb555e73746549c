//! Diagnostics for people: the place underlined, in the manner of a compiler.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Diagnostic, Severity};
use crate::span::Span;

/// A file as it was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source<'a> {
    /// Shown before the place.
    pub name: &'a str,
    /// All of it.
    pub text: &'a str,
}

/// Whether terminal colours are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colour {
    /// Plain text.
    Never,
    /// ANSI escapes.
    Always,
}

/// A place as editors count: both from 1, columns in characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LineColumn {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

impl std::fmt::Display for LineColumn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The place of a byte offset; beyond the end of the text, the end.
pub fn line_column(text: &str, offset: u32) -> LineColumn {
    let before = &text[..boundary(text, offset)];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    LineColumn {
        line: count(before.bytes().filter(|byte| *byte == b'\n').count()).saturating_add(1),
        column: count(before[line_start..].chars().count()).saturating_add(1),
    }
}

/// All diagnostics, in the order given, with the lines they speak of. A diagnostic in a file that is not among
/// `sources` is shown without its place. Empty if there are none; else it ends with a newline.
pub fn render(diagnostics: &[Diagnostic], sources: &[Source<'_>], colour: Colour) -> String {
    let renderer = match colour {
        Colour::Never => Renderer::plain(),
        Colour::Always => Renderer::styled(),
    }
    .decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for diagnostic in diagnostics {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&renderer.render(&[group(diagnostic, sources)]));
        out.push('\n');
    }
    out
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &[Source<'a>]) -> Group<'a> {
    let level = match diagnostic.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code.number());
    let mut files: Vec<u32> = diagnostic.labels.iter().map(|label| label.file).collect();
    files.sort_unstable();
    files.dedup();
    files.retain(|file| *file != diagnostic.file);
    files.insert(0, diagnostic.file);
    let snippets = files.into_iter().filter_map(|file| snippet(diagnostic, file, sources));
    let help = diagnostic.help.iter().map(|help| Level::HELP.message(help.as_str()));
    title.elements(snippets).elements(help)
}

fn snippet<'a>(
    diagnostic: &'a Diagnostic,
    file: u32,
    sources: &[Source<'a>],
) -> Option<Snippet<'a, Annotation<'a>>> {
    let source = sources.get(usize::try_from(file).ok()?)?;
    let range = |span: Span| {
        let start = boundary(source.text, span.start);
        start..boundary(source.text, span.end).max(start)
    };
    let mut labels = diagnostic.labels.iter().filter(|label| label.file == file).peekable();
    let mut annotations = Vec::new();
    if file == diagnostic.file {
        let own = labels.next_if(|label| label.span == diagnostic.span);
        let primary = AnnotationKind::Primary.span(range(diagnostic.span));
        annotations.push(primary.label(own.map(|label| label.text.as_str())));
    }
    annotations.extend(
        labels.map(|label| AnnotationKind::Context.span(range(label.span)).label(label.text.as_str())),
    );
    Some(Snippet::source(source.text).path(source.name).annotations(annotations))
}

/// The nearest place at or before `offset` that lies in the text and between two characters.
fn boundary(text: &str, offset: u32) -> usize {
    text.floor_char_boundary(usize::try_from(offset).unwrap_or(usize::MAX))
}
