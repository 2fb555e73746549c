//! The grammar, by recursive descent. Each function reads like the line of grammar above it, takes its tokens into
//! the lossless tree, and returns the plain tree's node.
//!
//! A function that returns an `Option` has reported what was wrong when it returns none. Functions named `opt_…`
//! may find nothing without saying so. After a slip an item goes on at its next part (clause, effect, field, line),
//! and a file at its next item.

mod aggregate;
mod expression;
mod literal;
mod rule;
mod schema;
mod test;

use super::ast::{Const, Feature, File, Item, Name};
use super::kind::SyntaxKind as K;
use super::parser::Parser;
use super::written;
use crate::diagnostic::{Code, Diagnostic, nearest};

/// Words that begin an item of a schema. They are no reserved words: only their shape tells them from a name.
const SCHEMA_WORDS: [&str; 9] =
    ["schema", "zone", "currency", "lateness", "keep", "rates", "entity", "enum", "event"];
/// Words that begin an item of a rule file.
const RULE_WORDS: [&str; 9] =
    ["use", "list", "table", "const", "feature", "record", "rule", "policy", "test"];

/// file = {item}
pub(super) fn file(p: &mut Parser<'_>) -> File {
    let open = p.open(K::File);
    let mut items = Vec::new();
    while !p.at_end() {
        items.push(item(p));
    }
    p.close_file(open);
    File { items }
}

/// Whether an item begins here.
pub(super) fn at_item(p: &Parser<'_>) -> bool {
    match p.nth_word(0) {
        Some("schema" | "currency" | "entity" | "enum" | "event") => {
            p.nth(1) == K::Word || p.nth(1).is_reserved()
        }
        Some("zone" | "rates") => p.nth(1) == K::Text,
        Some("lateness" | "keep") => p.nth(1) == K::Duration,
        _ => p.current().is_item_word(),
    }
}

/// Whether an item begins here, or a line that was meant as one.
fn at_broken_item(p: &Parser<'_>) -> bool {
    at_item(p) || at_meant_item(p)
}

/// Whether a line begins here with the word of an item that goes on as none does, or at the margin with a word near
/// such a one.
pub(super) fn at_meant_item(p: &Parser<'_>) -> bool {
    at_schema_word(p) || (at_near_item(p) && matches!(p.nth(1), K::Word | K::Text))
}

/// Whether a line begins here as [`at_meant_item`] says, and not as a field of a test's event does, which may stand at
/// the margin too: `user u1` is near `use`.
fn at_item_of_shape(p: &Parser<'_>) -> bool {
    let shape = match (p.nth(1), p.nth(2)) {
        (K::Word, K::Colon | K::Equals | K::Text) => true,
        (K::Word, K::Comma) => p.nth(3) == K::Word,
        (K::Word, K::Word) => p.nth_word(1) == Some("schema") || p.nth_word(2) == Some("on"),
        _ => false,
    };
    at_schema_word(p) || (shape && at_near_item(p))
}

fn at_schema_word(p: &Parser<'_>) -> bool {
    p.at_line_start() && p.nth(1) != K::Colon && p.nth_word(0).is_some_and(|it| SCHEMA_WORDS.contains(&it))
}

fn at_near_item(p: &Parser<'_>) -> bool {
    p.at_margin() && p.nth_word(0).is_some_and(|it| nearest(it, item_words()).is_some())
}

fn item_words() -> impl Iterator<Item = &'static str> {
    SCHEMA_WORDS.into_iter().chain(RULE_WORDS)
}

/// item = schema | setting | entity | enum | event | use | list | table | const | feature | record | rule | policy
///      | test
fn item(p: &mut Parser<'_>) -> Item {
    if at_broken_item(p) {
        p.synchronised();
    }
    match p.current() {
        K::UseKw => use_(p),
        K::ListKw => schema::list(p),
        K::TableKw => schema::table(p),
        K::ConstKw => const_(p),
        K::FeatureKw => feature(p),
        K::RecordKw => record(p),
        K::RuleKw => rule::rule(p),
        K::PolicyKw => rule::policy(p),
        K::TestKw => test::test(p),
        _ => match p.nth_word(0) {
            Some("schema") => schema::header(p),
            Some("entity") => schema::entity(p),
            Some("enum") => schema::enum_(p),
            Some("event") => schema::event(p),
            Some("zone" | "currency" | "lateness" | "keep" | "rates") => schema::setting(p),
            _ => unknown(p),
        },
    }
}

fn unknown(p: &mut Parser<'_>) -> Item {
    let text = p.current_text();
    let diagnostic = Diagnostic::new(Code::UnknownItem, p.span(), format!("`{text}` does not begin an item"));
    p.report(match nearest(text, item_words()) {
        Some(near) => diagnostic.suggest(Some(near)),
        None => diagnostic.help(written::ITEMS),
    });
    let open = p.open(K::Error);
    p.bump();
    p.recover(|_| false);
    Item::Error(p.close(open))
}

/// use = "use" "schema" name
fn use_(p: &mut Parser<'_>) -> Item {
    let open = p.open(K::Use);
    p.bump();
    let name = if p.expect_word("schema") { p.name("the schema's name") } else { None };
    end_item(p);
    let span = p.close(open);
    name.map_or(Item::Error(span), Item::Use)
}

/// const = "const" name "=" expr
fn const_(p: &mut Parser<'_>) -> Item {
    let open = p.open(K::Const);
    p.bump();
    let name = p.name("the constant's name");
    p.expect(K::Equals, "`=`");
    let value = expression::expr(p);
    end_item(p);
    let span = p.close(open);
    name.map_or(Item::Error(span), |name| Item::Const(Const { name, value, span }))
}

/// feature = "feature" name "=" expr {clause}
fn feature(p: &mut Parser<'_>) -> Item {
    let open = p.open(K::Feature);
    p.bump();
    let name = p.name("the feature's name");
    p.expect(K::Equals, "`=`");
    let value = aggregate::opt_aggregate(p);
    end_item(p);
    let span = p.close(open);
    name.map_or(Item::Error(span), |name| Item::Feature(Feature { name, value, span }))
}

/// record = "record" name {"," name}
fn record(p: &mut Parser<'_>) -> Item {
    let open = p.open(K::Record);
    p.bump();
    let names = names(p, "a feature's name");
    end_item(p);
    let span = p.close(open);
    if names.is_empty() { Item::Error(span) } else { Item::Record(names) }
}

/// names = name {"," name}; those that are not names are left out.
fn names(p: &mut Parser<'_>, what: &str) -> Vec<Name> {
    let mut names = Vec::new();
    loop {
        names.extend(p.name(what));
        if !p.eat(K::Comma) {
            return names;
        }
    }
}

/// types = (name | "any") {"," (name | "any")}
fn types(p: &mut Parser<'_>) -> Vec<Name> {
    let mut types = Vec::new();
    p.in_part("event types are written `on payment, transfer`, or `on any`", |p| {
        loop {
            types.extend(type_name(p));
            if !p.eat(K::Comma) {
                return;
            }
        }
    });
    types
}

/// name | "any"
fn type_name(p: &mut Parser<'_>) -> Option<Name> {
    if p.at(K::AnyKw) { Some(p.bump_name()) } else { p.name("an event type") }
}

/// An id: a name, or a text where it is an odd one.
fn id(p: &mut Parser<'_>, what: &str) -> Option<Name> {
    if !p.at(K::Text) {
        return p.name(what);
    }
    let open = p.open(K::Literal);
    let text = literal::text(p)?;
    p.close(open);
    Some(Name { text: text.text, span: text.span })
}

/// Words behind an expression that go on with an item, where one is mistyped.
const GOING_ON: [&str; 7] = ["where", "before", "delay", "within", "over", "when", "and"];

/// Behind an item comes an item. A word that begins a line and none is left to [`unknown`], which knows what is near.
fn end_item(p: &mut Parser<'_>) {
    let next = at_broken_item(p) || (p.at(K::Word) && p.at_line_start());
    if !p.at_end() && !next {
        let mistyped = p.nth_word(0).and_then(|it| nearest(it, GOING_ON).filter(|meant| *meant != it));
        match mistyped {
            Some(meant) => p.expected_with("a new item", format!("did you mean `{meant}`?")),
            None => p.expected("a new item"),
        }
        p.recover(at_broken_item);
    }
}

/// Takes the word of the next part of an item. If it is not here, reports and skips to it, or to a later part.
fn part(
    p: &mut Parser<'_>,
    (what, help): (&str, &str),
    here: impl Fn(&Parser<'_>) -> bool,
    later: impl Fn(&Parser<'_>) -> bool,
) -> bool {
    if !here(p) {
        p.expected_with(what, help);
        p.recover(|p| here(p) || later(p));
    }
    let found = here(p);
    if found {
        p.bump();
    }
    found
}
