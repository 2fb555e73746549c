//! Text → tokens. Every byte is in exactly one token; what is wrong is reported here and handed on as what it most
//! resembles, so that one slip is one diagnostic.

use logos::Logos;

use super::kind::SyntaxKind;
use crate::diagnostic::{Code, Diagnostic};
use crate::span::Span;

/// A token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token {
    pub(super) kind: SyntaxKind,
    pub(super) span: Span,
    /// Something was reported here: no more is said about this token.
    pub(super) reported: bool,
}

/// The tokens of a text shorter than 4 GiB, in order, and what was wrong with them.
pub(super) fn tokens(text: &str) -> (Vec<Token>, Vec<Diagnostic>) {
    let mut tokens: Vec<Token> = Vec::new();
    let mut diagnostics = Vec::new();
    for (kind, range) in SyntaxKind::lexer(text).spanned() {
        let source = text.get(range.clone()).unwrap_or_default();
        let span = Span { start: offset(range.start), end: offset(range.end) };
        let (kind, problem) = match kind {
            Ok(kind) => repair(kind, source, span),
            Err(()) => (SyntaxKind::Unknown, Some(unknown(source, span))),
        };
        // A run of characters without meaning is one slip.
        let goes_on = kind == SyntaxKind::Unknown && tokens.last().is_some_and(|last| last.kind == kind);
        tokens.push(Token { kind, span, reported: problem.is_some() });
        diagnostics.extend(problem.filter(|_| !goes_on));
    }
    (tokens, diagnostics)
}

/// What a token is taken for, and what is said about it if it is malformed.
fn repair(kind: SyntaxKind, source: &str, span: Span) -> (SyntaxKind, Option<Diagnostic>) {
    let (kind, problem) = match kind {
        SyntaxKind::ForeignWord => {
            let message = format!("`{source}` has letters that a name cannot have");
            let problem = Diagnostic::new(Code::UnknownCharacter, span, message)
                .help("names are written with the letters a to z and A to Z, digits and `_`");
            (SyntaxKind::Word, problem)
        }
        SyntaxKind::UnclosedText => {
            let problem = Diagnostic::new(Code::UnclosedText, span, "this text has no closing quote")
                .help("close it with `\"` on the same line; a quote inside a text is written `\"\"`");
            (SyntaxKind::Text, problem)
        }
        SyntaxKind::GluedNumber => glued_number(source, span),
        SyntaxKind::ForeignOperator => {
            let (kind, ours) = operator(source);
            let message = format!("`{source}` is not an operator of this language");
            (kind, Diagnostic::new(Code::ForeignOperator, span, message).help(format!("write `{ours}`")))
        }
        kind => return (kind, None),
    };
    (kind, Some(problem))
}

fn unknown(source: &str, span: Span) -> Diagnostic {
    let shown = source.escape_debug().to_string().replace("\\'", "'");
    let message = format!("`{shown}` has no meaning here");
    let diagnostic = Diagnostic::new(Code::UnknownCharacter, span, message);
    match source {
        "“" | "”" | "„" | "«" | "»" | "'" | "‘" | "’" => {
            diagnostic.help("texts are written in straight quotes: \"text\"")
        }
        ";" => diagnostic.help("leave it out: nothing ends with `;`"),
        "，" | "、" => diagnostic.help("write `,`"),
        "（" | "）" => diagnostic.help("write `(` and `)`"),
        "#" => diagnostic.help("a comment begins with `//`"),
        "&" => diagnostic.help("write `and`"),
        "|" => diagnostic.help("write `or`"),
        "$" | "€" | "£" | "¥" => diagnostic.help("a currency stands behind its amount: `5.00 EUR`"),
        "{" | "}" => diagnostic.help("leave it out: nothing stands in braces"),
        _ => diagnostic.help("leave it out, or put what it belongs to in quotes: \"text\""),
    }
}

fn glued_number(source: &str, span: Span) -> (SyntaxKind, Diagnostic) {
    let digits = source.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = source.split_at(digits);
    if is_currency(unit) || matches!(unit, "km" | "metres") {
        let message = format!("`{source}` lacks a space before its unit");
        let diagnostic =
            Diagnostic::new(Code::BadNumber, span, message).help(format!("write `{number} {unit}`"));
        return (SyntaxKind::Number, diagnostic);
    }
    if matches!(unit, "ms" | "s" | "m" | "h" | "d" | "w") {
        let message = format!("`{source}` is not a whole number of its unit");
        let diagnostic = Diagnostic::new(Code::BadDuration, span, message);
        return (SyntaxKind::Duration, diagnostic.help("use a smaller unit: `90m` in the place of `1.5h`"));
    }
    if unit.starts_with('_') || unit.trim_start_matches(['e', 'E']).bytes().all(|byte| byte.is_ascii_digit())
    {
        let message = format!("`{source}` is not a number");
        let diagnostic = Diagnostic::new(Code::BadNumber, span, message);
        return (
            SyntaxKind::Number,
            diagnostic.help("write all digits, with a point before the fraction: `1000.50`"),
        );
    }
    let message = format!("`{unit}` is not a unit of time");
    let diagnostic = Diagnostic::new(Code::BadDuration, span, message);
    (
        SyntaxKind::Duration,
        diagnostic.help("durations are written as `500ms`, `30s`, `10m`, `1h`, `7d` or `2w`"),
    )
}

fn operator(source: &str) -> (SyntaxKind, &'static str) {
    match source {
        "&&" => (SyntaxKind::AndKw, "and"),
        "||" => (SyntaxKind::OrKw, "or"),
        "!" => (SyntaxKind::NotKw, "not"),
        "=>" | "≥" => (SyntaxKind::GreaterEquals, ">="),
        "=<" | "≤" => (SyntaxKind::LessEquals, "<="),
        "===" => (SyntaxKind::EqualsEquals, "=="),
        _ => (SyntaxKind::NotEquals, "!="),
    }
}

/// Whether a word is written as currencies are: three capitals.
pub(super) fn is_currency(word: &str) -> bool {
    word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
