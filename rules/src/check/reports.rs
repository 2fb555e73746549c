//! Where errors and warnings gather, each with the file that is being looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::schema::NAMES_MAX;
use super::words;
use crate::diagnostic::{self, Code, Diagnostic, nearest};
use crate::span::Span;
use crate::syntax::ast;
use crate::typed::Type;

/// So many names are listed where none is near, and how many more there are.
const LISTED_MAX: usize = 12;

/// So many unknown names are looked for among those that are known: with more, nobody mistyped them one by one.
const SOUGHT_MAX: u32 = 200;

/// A place in one of the files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) file: u32,
    pub(super) span: Span,
}

/// The diagnostics so far.
#[derive(Debug)]
pub(super) struct Reports<'t> {
    texts: Vec<&'t str>,
    file: u32,
    all: Vec<Diagnostic>,
    /// Names that are declared in what could not be read.
    unread: BTreeSet<&'t str>,
    /// Whether the schema's currency is unknown.
    currency_failed: bool,
    /// Unknown names that were looked for among the known ones.
    sought: u32,
}

impl<'t> Reports<'t> {
    /// Nothing yet, about files that say this.
    pub(super) fn new(texts: Vec<&'t str>) -> Self {
        Self { texts, file: 0, all: Vec::new(), unread: BTreeSet::new(), currency_failed: false, sought: 0 }
    }

    /// What stands at a place of the file being looked at.
    pub(super) fn snippet(&self, span: Span) -> &'t str {
        let (start, end) = (usize::try_from(span.start), usize::try_from(span.end));
        let text =
            usize::try_from(self.file).ok().and_then(|it| self.texts.get(it)).copied().unwrap_or_default();
        start.ok().zip(end.ok()).and_then(|(start, end)| text.get(start..end)).unwrap_or_default()
    }

    /// From now on diagnostics are about this file.
    pub(super) fn enter(&mut self, file: u32) {
        self.file = file;
    }

    /// Whether something at this place of the file being looked at did not parse, so that nothing more is said of it.
    pub(super) fn did_not_parse(&self, span: Span) -> bool {
        !self.parsed(self.file, span)
    }

    /// Whether what stands right behind a place of the file being looked at did not parse, so that this may be but the
    /// beginning of what was meant.
    pub(super) fn goes_on(&self, span: Span) -> bool {
        let behind = |it: &Diagnostic| {
            let between = Span { start: span.end, end: it.span.start };
            span.end <= it.span.start && self.snippet(between).trim().is_empty()
        };
        self.all.iter().any(|it| it.file == self.file && it.code < Code::SettingMissing && behind(it))
    }

    /// What was said of an aggregate that lacks its parentheses, if a place of the file being looked at is in one.
    pub(super) fn bare_around(&mut self, span: Span) -> Option<&mut Diagnostic> {
        let around = |it: &Diagnostic| it.span.start <= span.start && span.end <= it.span.end;
        let mut here = self.all.iter_mut().filter(|it| it.file == self.file);
        here.find(|it| it.code == Code::AggregateBare && around(it))
    }

    /// Whether something at a place of the file being looked at did not parse, or right behind it.
    pub(super) fn breaks_off(&self, span: Span) -> bool {
        self.did_not_parse(span) || self.goes_on(span)
    }

    /// Whether all at a place of a file could be read.
    pub(super) fn parsed(&self, file: u32, span: Span) -> bool {
        let at = |it: &Diagnostic| it.file == file && it.span.start <= span.end && span.start <= it.span.end;
        !self.all.iter().any(|it| it.code < Code::SettingMissing && at(it))
    }

    /// Whether every text could be read to its end, so that what is not there was not written.
    pub(super) fn all_parsed(&self) -> bool {
        self.all.iter().all(|it| it.code >= Code::SettingMissing)
    }

    /// A place of the file being looked at.
    pub(super) fn spot(&self, span: Span) -> Spot {
        Spot { file: self.file, span }
    }

    /// Reports one thing about the file being looked at.
    pub(super) fn add(&mut self, diagnostic: Diagnostic) {
        self.all.push(diagnostic.in_file(self.file));
    }

    /// Reports one thing that knows which file it is about.
    pub(super) fn add_placed(&mut self, diagnostic: Diagnostic) {
        self.all.push(diagnostic);
    }

    /// Reports one thing of which there is one already, and shows that.
    pub(super) fn add_repeated(&mut self, diagnostic: Diagnostic, first: Option<Spot>) {
        let placed = diagnostic.in_file(self.file);
        self.add_placed(match first {
            Some(first) => placed.label_in(first.file, first.span, "the first"),
            None => placed,
        });
    }

    /// Warns of each name that stands in a row a second time, which adds nothing.
    pub(super) fn warn_twice(&mut self, names: &[ast::Name], help: &str) {
        let mut seen = BTreeMap::new();
        for name in names {
            let first = *seen.entry(name.text.as_str()).or_insert(name.span);
            if first != name.span {
                let message = format!("`{}` is named twice", name.text);
                let diagnostic = Diagnostic::new(Code::NamedTwice, name.span, message).help(help);
                self.add_repeated(diagnostic, Some(self.spot(first)));
            }
        }
    }

    /// Reports a name that is taken, and shows by what.
    pub(super) fn taken(
        &mut self,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
        first: Option<Spot>,
    ) {
        self.add_repeated(Diagnostic::new(Code::NameTaken, span, message).help(help), first);
    }

    /// Reports that there is no room for another one of its sort.
    pub(super) fn too_many(&mut self, span: Span) {
        let message = format!("more than {NAMES_MAX} of these");
        self.error_with_help(Code::TooMany, span, message, "take out those that are not used any more");
    }

    /// Reports an error and what to do about it.
    pub(super) fn error_with_help(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Diagnostic::new(code, span, message).help(help));
    }

    /// Reports a warning and what to do about it.
    pub(super) fn warn(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Diagnostic::new(code, span, message).help(help));
    }

    /// From now on these names are not unknown, whatever they mean.
    pub(super) fn note_unread(&mut self, names: impl Iterator<Item = &'t str>) {
        self.unread.extend(names);
    }

    /// From now on it is known that the schema's currency is not.
    pub(super) fn note_currency_failed(&mut self) {
        self.currency_failed = true;
    }

    /// Whether two types differ only in that they are money in what may be one currency.
    pub(super) fn other_money(&self, one: Type, other: Type) -> bool {
        self.currency_failed && matches!((one, other), (Type::Money(..), Type::Money(..)))
    }

    /// Whether a name may be declared in what could not be read.
    pub(super) fn is_unread(&self, name: &str) -> bool {
        self.unread.contains(name)
    }

    /// Reports a name that means nothing, with the nearest that does, or with those that there are; one that could not
    /// be read may mean something.
    pub(super) fn unknown<'n>(
        &mut self,
        code: Code,
        span: Span,
        what: &str,
        name: &str,
        candidates: impl IntoIterator<Item = &'n str>,
    ) {
        if self.is_unread(name) {
            return;
        }
        let diagnostic = Diagnostic::new(code, span, format!("unknown {what} `{name}`"));
        self.sought += 1;
        if SOUGHT_MAX < self.sought {
            self.add(diagnostic.help(declaration(what, name)));
            return;
        }
        let candidates: Vec<&str> = candidates.into_iter().collect();
        let near = nearest(name, candidates.iter().copied());
        self.add(match near {
            Some(_) => diagnostic.suggest(near),
            None => diagnostic.help(known(&candidates).unwrap_or_else(|| declaration(what, name))),
        });
    }

    /// All diagnostics by file and place. What is looked at twice is told once: an argument that is read of the current
    /// event and of past ones, say.
    pub(super) fn sorted(mut self) -> Vec<Diagnostic> {
        diagnostic::sort(&mut self.all);
        self.all.dedup();
        self.all
    }
}

/// The names, each once, or the first of them; none if there are none.
fn known(names: &[&str]) -> Option<String> {
    let mut seen = BTreeSet::new();
    let once: Vec<&str> = names.iter().copied().filter(|it| seen.insert(*it)).collect();
    // One more is as short as to say that there is one.
    let shown = if once.len() <= LISTED_MAX + 1 { once.len() } else { LISTED_MAX };
    let (listed, more) = once.split_at_checked(shown)?;
    let are = words::are(once.len());
    match more.len() {
        _ if once.is_empty() => None,
        0 => Some(format!("known {are} {}", words::listing(listed.iter().copied()))),
        more => {
            let listed: Vec<String> = listed.iter().map(|it| format!("`{it}`")).collect();
            Some(format!("known {are} {} and {more} more", listed.join(", ")))
        }
    }
}

/// How a name is declared, where there is none of its sort.
fn declaration(what: &str, name: &str) -> String {
    let written = match what {
        "list" => format!("list {name} : user"),
        "table" => format!("table {name} : user -> money"),
        "feature" => format!("feature {name} = …"),
        "rule" => format!("rule {name} \"…\" on … when … then …"),
        "event" => return format!("name one: `given payment as {name} …`"),
        "event type" => return format!("declare it in the schema: `event {name}`, with its fields below"),
        "role" => return format!("declare it in the schema, in an event type: `{name}: user`"),
        _ => return "declare it in the schema".to_owned(),
    };
    format!("declare it: `{written}`")
}
