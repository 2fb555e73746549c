//! Text → lossless tree and plain tree, and the formatter. Knows no types and no names.
//!
//! Parsing never fails: it gives trees for what it understood and a diagnostic for each slip. The lossless tree
//! holds every byte of the text and serves the formatter and editors; the plain one ([`ast`]) serves the checker.
//! Both are built in one pass, by one grammar.

pub mod ast;
mod format;
mod grammar;
mod kind;
mod lexer;
mod parser;
mod written;

pub use format::format;
pub use kind::{SyntaxKind, SyntaxNode, SyntaxToken, Weir};

use rowan::GreenNode;

use crate::diagnostic::{self, Code, Diagnostic};
use crate::span::Span;

/// The largest file that is read, in bytes; offsets fit in a [`Span`] with room to spare.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// What a text says.
#[derive(Clone, Debug)]
pub struct Parse {
    green: GreenNode,
    /// The plain tree.
    pub ast: ast::File,
    /// What was wrong, in order of the text; all are errors.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parse {
    /// The lossless tree: its text is the text that was parsed.
    pub fn tree(&self) -> SyntaxNode {
        SyntaxNode::new_root(self.green.clone())
    }
}

/// Parses a schema or rule file.
pub fn parse(text: &str) -> Parse {
    let (text, too_large) = if FILE_BYTES_MAX < text.len() { ("", true) } else { (text, false) };
    let (tokens, diagnostics) = lexer::tokens(text);
    let mut parser = parser::Parser::new(text, tokens, diagnostics);
    let ast = grammar::file(&mut parser);
    let (green, mut diagnostics) = parser.finish();
    if too_large {
        let message = format!("the file is larger than {FILE_BYTES_MAX} bytes");
        let diagnostic = Diagnostic::new(Code::FileTooLarge, Span::default(), message);
        diagnostics.push(diagnostic.help("split it into several files, or keep lists in files of their own"));
    }
    diagnostic::sort(&mut diagnostics);
    Parse { green, ast, diagnostics }
}

#[cfg(test)]
mod tests;
