//! The machine that the grammar drives: it looks at tokens, builds the lossless tree, and reports.
//!
//! **No cascades.** After a report nothing more is said at the same token. Recovery skips to a place where the
//! grammar can go on, and that place counts as reported.

use rowan::{Checkpoint, GreenNode, GreenNodeBuilder, Language};

use super::ast::Name;
use super::kind::{SyntaxKind, Weir};
use super::lexer::Token;
use super::written;
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::span::Span;

/// Expressions nest at most so deep, operators in a row included, so that whoever walks a tree may recurse.
pub(super) const DEPTH_MAX: u32 = 128;

/// Whose a clause is that stands behind a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ClauseOwner {
    /// The call's: an aggregate may stand here.
    Call,
    /// An aggregate's, in whose `where` the call stands.
    Around,
    /// Nobody's: an aggregate would need parentheses here.
    Nobody,
}

/// Clauses that an aggregate has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Said {
    pub(super) by: bool,
    pub(super) over: bool,
}

/// Where the grammar stands in a text.
pub(super) struct Parser<'t> {
    text: &'t str,
    /// All tokens, trivia too.
    tokens: Vec<Token>,
    /// Indices of those that are not trivia.
    seen: Vec<usize>,
    /// Index into `seen` of the current token; its length at the end of the text.
    at: usize,
    /// Index into `tokens` of the first that is not in the tree yet.
    built: usize,
    builder: GreenNodeBuilder<'static>,
    diagnostics: Vec<Diagnostic>,
    /// Index into `seen` of the token about which something was said last.
    reported_at: Option<usize>,
    /// How deep the current expression lies in its item.
    pub(super) depth: u32,
    /// How deep the deepest expression lies in the one that is being parsed.
    pub(super) deepest: u32,
    /// Whose a clause is that stands here.
    pub(super) clauses: ClauseOwner,
    /// What the aggregate said whose clauses are being parsed.
    pub(super) said: Said,
    /// The place of the last expression, if that is an aggregate without parentheses.
    pub(super) bare: Option<Span>,
    /// How many parentheses, and how many brackets, are open here.
    unclosed: (u32, u32),
    /// What the current token stands in, outermost first.
    within: Vec<Within>,
}

/// What a token stands in, for those who ask how it is written.
#[derive(Clone, Copy, Debug)]
enum Within {
    /// A node that begins at this index into [`Parser::seen`].
    Node(SyntaxKind, usize),
    /// A part of a node that is written like this.
    Part(&'static str),
}

/// A node that is being built.
#[must_use]
pub(super) struct Open {
    start: u32,
}

/// A place from which a node may turn out to begin.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    start: u32,
    at: usize,
    checkpoint: Checkpoint,
}

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t str, tokens: Vec<Token>, diagnostics: Vec<Diagnostic>) -> Self {
        let seen =
            (0..tokens.len()).filter(|at| tokens.get(*at).is_some_and(|it| !it.kind.is_trivia())).collect();
        Self {
            text,
            tokens,
            seen,
            at: 0,
            built: 0,
            builder: GreenNodeBuilder::new(),
            diagnostics,
            reported_at: None,
            depth: 0,
            deepest: 0,
            clauses: ClauseOwner::Nobody,
            said: Said::default(),
            bare: None,
            unclosed: (0, 0),
            within: Vec::new(),
        }
    }

    /// The tree and what was reported.
    pub(super) fn finish(self) -> (GreenNode, Vec<Diagnostic>) {
        (self.builder.finish(), self.diagnostics)
    }

    // Looking.

    /// The current token's kind.
    pub(super) fn current(&self) -> SyntaxKind {
        self.nth(0)
    }

    /// The kind of the token `n` further on.
    pub(super) fn nth(&self, n: usize) -> SyntaxKind {
        self.token(self.at + n).map_or(SyntaxKind::End, |token| token.kind)
    }

    pub(super) fn at(&self, kind: SyntaxKind) -> bool {
        self.current() == kind
    }

    pub(super) fn at_end(&self) -> bool {
        self.at(SyntaxKind::End)
    }

    /// Whether the current token is this word, where it has a meaning.
    pub(super) fn at_word(&self, word: &str) -> bool {
        self.nth_word(0) == Some(word)
    }

    /// The word `n` further on, if it is not a reserved one.
    pub(super) fn nth_word(&self, n: usize) -> Option<&'t str> {
        (self.nth(n) == SyntaxKind::Word).then(|| self.nth_text(n))
    }

    /// The text of the current token.
    pub(super) fn current_text(&self) -> &'t str {
        self.nth_text(0)
    }

    fn nth_text(&self, n: usize) -> &'t str {
        self.token(self.at + n).map_or("", |token| self.slice(token.span))
    }

    /// Whether the current token follows the one before it without a space.
    pub(super) fn nth_is_glued(&self, n: usize) -> bool {
        let before = (self.at + n).checked_sub(1).and_then(|at| self.token(at));
        before.zip(self.token(self.at + n)).is_some_and(|(before, token)| before.span.end == token.span.start)
    }

    /// Whether the current token is the first of its line.
    pub(super) fn at_line_start(&self) -> bool {
        let before = self.at.checked_sub(1).and_then(|at| self.token(at)).map_or(0, |token| token.span.end);
        self.at == 0 || self.slice(Span { start: before, end: self.place() }).contains('\n')
    }

    /// Whether the current token is the first of its line, without a space before it.
    pub(super) fn at_margin(&self) -> bool {
        let start = usize::try_from(self.place()).unwrap_or(usize::MAX);
        self.text.get(..start).is_some_and(|before| before.is_empty() || before.ends_with('\n'))
    }

    /// The current token's place; at the end of the text an empty one.
    pub(super) fn span(&self) -> Span {
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.token(self.at).map_or(Span { start: end, end }, |token| token.span)
    }

    fn place(&self) -> u32 {
        self.span().start
    }

    fn token(&self, at: usize) -> Option<&Token> {
        self.tokens.get(*self.seen.get(at)?)
    }

    /// The text at a place.
    pub(super) fn slice(&self, span: Span) -> &'t str {
        let at = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
        self.text.get(at(span.start)..at(span.end)).unwrap_or_default()
    }

    fn end_of_last(&self) -> u32 {
        self.at.checked_sub(1).and_then(|at| self.token(at)).map_or(0, |token| token.span.end)
    }

    /// Goes on in a place where clauses are another's.
    pub(super) fn with_clauses<T>(&mut self, of: ClauseOwner, parse: impl FnOnce(&mut Self) -> T) -> T {
        let around = std::mem::replace(&mut self.clauses, of);
        let parsed = parse(self);
        self.clauses = around;
        parsed
    }

    /// Goes on in a part that is no node of its own and is written like this.
    pub(super) fn in_part<T>(&mut self, written: &'static str, parse: impl FnOnce(&mut Self) -> T) -> T {
        self.within.push(Within::Part(written));
        let parsed = parse(self);
        self.within.pop();
        parsed
    }

    /// The innermost node in which the current token stands, and what of it has been taken.
    pub(super) fn innermost(&self) -> Option<(SyntaxKind, Span)> {
        let node = self.within.iter().rev().find_map(|it| match it {
            Within::Node(kind, at) => Some((*kind, *at)),
            Within::Part(_) => None,
        });
        node.map(|(kind, at)| {
            let start = self.token(at).map_or(0, |token| token.span.start);
            (kind, Span { start, end: self.end_of_last().max(start) })
        })
    }

    /// How the innermost part or node is written of which that can be told.
    fn how_written(&self) -> &'static str {
        let text = |at: usize| self.token(at).map_or("", |token| self.slice(token.span));
        let known = self.within.iter().rev().find_map(|it| match it {
            Within::Node(kind, at) => written::node(*kind, text(*at)),
            Within::Part(written) => Some(*written),
        });
        known.unwrap_or(written::ITEMS)
    }

    // Building.

    /// Opens a node at the current token.
    pub(super) fn open(&mut self, kind: SyntaxKind) -> Open {
        // The file's node is the first, and holds the trivia before the first token.
        if kind != SyntaxKind::File {
            self.build_trivia();
        }
        self.builder.start_node(Weir::kind_to_raw(kind));
        self.within.push(Within::Node(kind, self.at));
        Open { start: self.place() }
    }

    /// Remembers the current token as one at which a node may begin.
    pub(super) fn mark(&mut self) -> Mark {
        self.build_trivia();
        Mark { start: self.place(), at: self.at, checkpoint: self.builder.checkpoint() }
    }

    /// Opens a node at a mark.
    pub(super) fn open_at(&mut self, mark: Mark, kind: SyntaxKind) -> Open {
        self.builder.start_node_at(mark.checkpoint, Weir::kind_to_raw(kind));
        self.within.push(Within::Node(kind, mark.at));
        Open { start: mark.start }
    }

    /// Closes the node behind the last token.
    pub(super) fn close(&mut self, open: Open) -> Span {
        self.builder.finish_node();
        self.within.pop();
        Span { start: open.start, end: self.end_of_last().max(open.start) }
    }

    /// Closes the file's node behind everything.
    pub(super) fn close_file(&mut self, open: Open) {
        self.build_trivia();
        let _ = self.close(open);
    }

    /// From a mark to the last token.
    pub(super) fn since(&self, mark: Mark) -> Span {
        Span { start: mark.start, end: self.end_of_last().max(mark.start) }
    }

    /// Takes the current token into the tree.
    pub(super) fn bump(&mut self) -> Span {
        let span = self.span();
        if !self.at_end() {
            self.count_unclosed();
            self.build_trivia();
            self.build_token();
            self.at += 1;
        }
        span
    }

    fn count_unclosed(&mut self) {
        let current = self.current();
        let (parentheses, brackets) = &mut self.unclosed;
        match current {
            SyntaxKind::OpenParen => *parentheses += 1,
            SyntaxKind::CloseParen => *parentheses = parentheses.saturating_sub(1),
            SyntaxKind::OpenBracket => *brackets += 1,
            SyntaxKind::CloseBracket => *brackets = brackets.saturating_sub(1),
            _ => {}
        }
    }

    /// Takes the current token if it is of this kind.
    pub(super) fn eat(&mut self, kind: SyntaxKind) -> bool {
        let here = self.at(kind);
        if here {
            self.bump();
        }
        here
    }

    /// Takes the current token if it is this word.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let here = self.at_word(word);
        if here {
            self.bump();
        }
        here
    }

    fn build_trivia(&mut self) {
        let until = self.seen.get(self.at).copied().unwrap_or(self.tokens.len());
        while self.built < until {
            self.build_token();
        }
    }

    fn build_token(&mut self) {
        if let Some(token) = self.tokens.get(self.built).copied() {
            self.builder.token(Weir::kind_to_raw(token.kind), self.slice(token.span));
        }
        self.built += 1;
    }

    // Reporting.

    /// Reports a diagnostic about the current token, unless something was said about it.
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        let known = self.token(self.at).is_some_and(|token| token.reported);
        if self.reported_at != Some(self.at) && !known {
            self.diagnostics.push(diagnostic);
        }
        self.reported_at = Some(self.at);
    }

    /// Reports something about tokens already taken; what stands here is another matter.
    pub(super) fn report_behind(&mut self, diagnostic: Diagnostic) {
        let before = self.at.checked_sub(1).and_then(|at| self.token(at));
        if !before.is_some_and(|token| token.reported) {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Whether comparisons in a row were reported at a place.
    pub(super) fn has_chain(&self, span: Span) -> bool {
        let within = |it: &Diagnostic| span.start <= it.span.start && it.span.end <= span.end;
        self.diagnostics.iter().any(|it| it.code == Code::ComparisonChain && within(it))
    }

    /// Reports that something else was expected here, and shows how what stands around it is written.
    pub(super) fn expected(&mut self, what: &str) {
        self.expected_with(what, self.how_written());
    }

    /// Reports that something else was expected here, and what to do.
    pub(super) fn expected_with(&mut self, what: &str, help: impl Into<String>) {
        let diagnostic = self.expectation(what);
        // What is known of the very token says more.
        let told = !diagnostic.help.is_empty();
        self.report(if told { diagnostic } else { diagnostic.help(help) });
    }

    /// Reports that a mark or word of the language is missing here: between what stands on both sides, if that could be.
    fn expected_between(&mut self, what: &str) {
        let before = self.at.checked_sub(1).and_then(|at| self.token(at)).map(|token| self.slice(token.span));
        let is_mark = what.matches('`').count() == 2 && what.starts_with('`') && what.ends_with('`');
        let word = what.trim_matches('`');
        let mistyped = nearest(self.current_text(), [word]).is_some();
        match before.filter(|_| is_mark && !mistyped && self.at_something_written() && !self.at_line_start())
        {
            Some(before) => {
                let help = format!("put {what} between `{before}` and `{}`", self.current_text());
                self.expected_with(what, help);
            }
            None => self.expected(what),
        }
    }

    /// Whether a name or a literal stands here, which is no mark of the language.
    pub(super) fn at_something_written(&self) -> bool {
        use SyntaxKind as K;
        matches!(self.current(), K::Word | K::Number | K::Duration | K::Date | K::Text)
    }

    /// The diagnostic that something else was expected here: where a line ends too early, it points there.
    pub(super) fn expectation(&self, what: &str) -> Diagnostic {
        let before = self.at.checked_sub(1).and_then(|at| self.token(at)).copied();
        if let Some(before) = before
            && (self.at_end() || self.at_line_start())
        {
            let place = Span { start: before.span.end, end: before.span.end };
            let message = format!("expected {what} after `{}`", self.slice(before.span));
            return Diagnostic::new(Code::Unexpected, place, message);
        }
        let found =
            if self.at_end() { "the end of the file".into() } else { format!("`{}`", self.current_text()) };
        let message = format!("expected {what}, found {found}");
        let diagnostic = Diagnostic::new(Code::Unexpected, self.span(), message);
        // A part that is known by itself has no units.
        let in_part = matches!(self.within.last(), Some(Within::Part(_)));
        match (before.map(|token| token.kind), self.current(), self.unclosed) {
            (Some(SyntaxKind::Number), SyntaxKind::Word, _) if !in_part => diagnostic
                .help("the units of a number are `%`, `km`, `metres`, `km/h` and currencies such as `CNY`"),
            (_, SyntaxKind::CloseParen, (0, _)) | (_, SyntaxKind::CloseBracket, (_, 0)) => {
                diagnostic.help("it closes nothing that is open here")
            }
            _ => diagnostic,
        }
    }

    /// Reports that one of some words was expected here.
    pub(super) fn expected_word(&mut self, what: &str, words: &[&str]) {
        let diagnostic = match self.nth_word(0).filter(|_| !super::grammar::at_item(self)) {
            Some(word) => {
                let message = format!("`{word}` is not {what}");
                Diagnostic::new(Code::UnknownWord, self.span(), message)
                    .suggest(nearest(word, words.iter().copied()))
            }
            None => self.expectation(what),
        };
        self.report(diagnostic.help(format!("it is one of {}", list(words))));
    }

    /// Takes a token of this kind, or reports that it is missing.
    pub(super) fn expect(&mut self, kind: SyntaxKind, what: &str) -> bool {
        let here = self.eat(kind);
        if !here {
            self.expected_between(what);
        }
        here
    }

    /// Takes this word, or reports that it is missing.
    pub(super) fn expect_word(&mut self, word: &str) -> bool {
        let here = self.eat_word(word);
        if !here {
            self.expected_between(&format!("`{word}`"));
        }
        here
    }

    /// Takes a name, or reports that it is missing.
    pub(super) fn name(&mut self, what: &str) -> Option<Name> {
        if self.at(SyntaxKind::Word) && !(self.at_margin() && super::grammar::at_item(self)) {
            return Some(self.bump_name());
        }
        // A reserved word on the same line was meant as a name; one at the start of a line begins what comes next.
        if self.current().is_reserved() && !self.at_line_start() {
            return self.reserved_name();
        }
        match unquoted(self.current_text()) {
            Some(name) if self.at(SyntaxKind::Text) && !self.at_line_start() => {
                self.expected_with(what, format!("write it without quotes: `{name}`"));
            }
            _ => self.expected(what),
        }
        None
    }

    /// Takes a reserved word where a name was meant, and reports it.
    pub(super) fn reserved_name(&mut self) -> Option<Name> {
        let message = format!("`{}` is a word of the language and cannot be a name", self.current_text());
        let help = match self.innermost() {
            // Here a name is used that is declared elsewhere: the word may belong to what comes next.
            Some((SyntaxKind::Clause | SyntaxKind::Effect | SyntaxKind::Step, _)) => self.how_written(),
            _ => "choose another name",
        };
        self.report(Diagnostic::new(Code::ReservedWord, self.span(), message).help(help));
        self.bump();
        None
    }

    /// Takes the current token as a name, whatever it is.
    pub(super) fn bump_name(&mut self) -> Name {
        let text = self.current_text().to_owned();
        let open = self.open(SyntaxKind::Name);
        self.bump();
        Name { text, span: self.close(open) }
    }

    /// The grammar knows again where it is: what is wrong from here on is news, and what is open before it stays so.
    pub(super) fn synchronised(&mut self) {
        self.reported_at = None;
        self.unclosed = (0, 0);
    }

    /// Skips to a place where the grammar can go on: `stop`, the next item, or the end. Nothing more is said there.
    /// A comma or a closing bracket inside brackets that are skipped is no such place.
    pub(super) fn recover(&mut self, stop: impl Fn(&Self) -> bool) {
        let mut skipped: Option<Open> = None;
        let mut brackets = 0u32;
        while !self.at_end() && !self.at_next_item() {
            let current = self.current();
            let closes = matches!(current, SyntaxKind::CloseParen | SyntaxKind::CloseBracket);
            let is_inside = 0 < brackets && (closes || current == SyntaxKind::Comma);
            if !is_inside && stop(self) {
                break;
            }
            if closes {
                brackets = brackets.saturating_sub(1);
            } else if matches!(current, SyntaxKind::OpenParen | SyntaxKind::OpenBracket) {
                brackets += 1;
            }
            skipped = skipped.or_else(|| Some(self.open(SyntaxKind::Error)));
            self.bump();
        }
        if let Some(open) = skipped {
            let _ = self.close(open);
        }
        self.reported_at = Some(self.at);
    }

    /// Whether the next item begins here, wherever the grammar is.
    fn at_next_item(&self) -> bool {
        let begins = super::grammar::at_item(self) || super::grammar::at_meant_item(self);
        self.current().is_item_word() || (self.at_line_start() && begins)
    }
}

/// The name in a text's quotes, if one stands there and nothing else.
fn unquoted(text: &str) -> Option<&str> {
    let name = text.strip_prefix('"')?.strip_suffix('"')?;
    let letters = |it: &str| it.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (name.starts_with(|it: char| it.is_ascii_alphabetic()) && letters(name)).then_some(name)
}

/// `a`, `b` or `c`
fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
