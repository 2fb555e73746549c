//! The formatter: the same tokens and comments, laid out in the one way.
//!
//! Only white space changes. Items, fields, a rule's parts, a policy's lines and a test's steps have lines of their
//! own; what repeats from line to line stands in columns, see [`page`]. Line breaks that the author put inside an
//! expression or a list, and single blank lines between lines, are kept.

mod gap;
mod page;

use super::kind::{SyntaxKind as K, SyntaxToken};
use crate::diagnostic::Diagnostic;
use gap::{Gap, gap, keeps_break};
use page::{Line, Page};

/// What goes on from the line above stands further in by this much.
const CONTINUATION_INDENT: usize = 4;
/// A comment that its author set below an item stays with the item.
const COMMENT_INDENT: usize = 2;

/// The text in the one layout. Of a text with errors, the errors: what was not understood is not moved.
pub fn format(text: &str) -> Result<String, Vec<Diagnostic>> {
    let parse = super::parse(text);
    if !parse.diagnostics.is_empty() {
        return Err(parse.diagnostics);
    }
    let mut formatter = Formatter::default();
    let tokens = parse.tree().descendants_with_tokens().filter_map(rowan::NodeOrToken::into_token);
    tokens.for_each(|token| formatter.token(&token));
    Ok(formatter.finish())
}

#[derive(Default)]
struct Formatter {
    page: Page,
    before: Option<SyntaxToken>,
    /// Line breaks since the last token or comment.
    breaks: usize,
    /// Whether the last piece of white space ended in one, so that what follows stands at the margin.
    at_margin: bool,
    /// Comments on lines of their own that wait for the next token, which says how far in they stand.
    waiting: Vec<Waiting>,
    /// Whether a comment closed the current line.
    closed: bool,
    /// How far in the current line stands, continuations aside.
    indent: usize,
}

struct Waiting {
    text: String,
    blank_before: bool,
    at_margin: bool,
}

impl Formatter {
    fn token(&mut self, token: &SyntaxToken) {
        match token.kind() {
            K::Whitespace => {
                self.breaks = token.text().matches('\n').count();
                self.at_margin = token.text().ends_with('\n');
            }
            K::Comment => self.comment(token.text().trim_end()),
            _ => self.visible(token),
        }
    }

    fn comment(&mut self, text: &str) {
        if self.breaks == 0 && self.before.is_some() && self.waiting.is_empty() {
            self.page.comment(text);
            self.closed = true;
        } else {
            let at_margin = self.at_margin || (self.before.is_none() && self.waiting.is_empty());
            self.waiting.push(Waiting { text: text.to_owned(), blank_before: 2 <= self.breaks, at_margin });
        }
        self.breaks = 0;
    }

    fn visible(&mut self, token: &SyntaxToken) {
        let gap = gap(self.before.as_ref(), token);
        let broken = 0 < self.breaks || !self.waiting.is_empty();
        if let Gap::Line { indent, group } = gap {
            let blank_before = 2 <= self.breaks;
            self.flush_comments(indent);
            self.indent = indent;
            self.page.line(Line::new(indent, blank_before, group, token.text()));
        } else if self.closed
            || !self.waiting.is_empty()
            || (broken && gap == Gap::Space && keeps_break(token))
        {
            let indent = self.indent + CONTINUATION_INDENT;
            self.waiting.iter_mut().for_each(|comment| comment.blank_before = false);
            self.flush_comments(indent);
            self.page.line(Line::continuation(indent, token.text()));
        } else {
            match gap {
                Gap::None => self.page.append("", token.text()),
                Gap::Column => self.page.column(token.text()),
                Gap::Space | Gap::Line { .. } => self.page.append(" ", token.text()),
            }
        }
        self.before = Some(token.clone());
        self.breaks = 0;
        self.closed = false;
    }

    fn flush_comments(&mut self, indent: usize) {
        for comment in self.waiting.drain(..) {
            let indent = if indent == 0 && !comment.at_margin { COMMENT_INDENT } else { indent };
            self.page.line(Line::comment(indent, comment.blank_before, &comment.text));
        }
    }

    fn finish(mut self) -> String {
        self.flush_comments(0);
        self.page.render()
    }
}

#[cfg(test)]
mod tests;
