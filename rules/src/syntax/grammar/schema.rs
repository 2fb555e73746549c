//! Items that declare what there is: settings, entity kinds, enums, event types, lists and tables.

use super::{at_broken_item, end_item, expression, literal};
use crate::schema::Ownership;
use crate::span::Span;
use crate::syntax::ast::{Entity, Enum, Event, Field, Item, List, Name, SchemaHeader, Table, Text, TypeRef};
use crate::syntax::kind::SyntaxKind as K;
use crate::syntax::lexer::is_currency;
use crate::syntax::parser::{Open, Parser};
use crate::syntax::written;

/// schema = "schema" name int
pub(super) fn header(p: &mut Parser<'_>) -> Item {
    let open = p.open(K::Schema);
    p.bump();
    let name = p.name("the schema's name");
    let version = literal::integer(p, "the schema's version, a whole number");
    end_item(p);
    let span = p.close(open);
    name.map_or(Item::Error(span), |name| Item::Schema(SchemaHeader { name, version, span }))
}

/// setting = "zone" text | "currency" CUR | "lateness" dur | "keep" dur | "rates" text
pub(super) fn setting(p: &mut Parser<'_>) -> Item {
    let open = p.open(K::Setting);
    let word = p.current_text();
    p.bump();
    let item = match word {
        "zone" => literal::text(p).map(Item::Zone),
        "rates" => literal::text(p).map(Item::Rates),
        "lateness" => literal::duration(p).map(Item::Lateness),
        "keep" => literal::duration(p).map(Item::Keep),
        _ => p.name("a currency such as `CNY`").map(Item::Currency),
    };
    end_item(p);
    let span = p.close(open);
    item.unwrap_or(Item::Error(span))
}

/// entity = "entity" name ["owned" | "shared"]
pub(super) fn entity(p: &mut Parser<'_>) -> Item {
    let open = p.open(K::Entity);
    p.bump();
    let name = p.name("the name of the entity kind");
    let ownership = match p.nth_word(0) {
        Some("owned") => Some((Ownership::Owned, p.bump())),
        Some("shared") => Some((Ownership::Shared, p.bump())),
        Some(_) if !at_broken_item(p) => {
            p.expected_word("an ownership", &["owned", "shared"]);
            None
        }
        _ => None,
    };
    end_item(p);
    let span = p.close(open);
    name.map_or(Item::Error(span), |name| Item::Entity(Entity { name, ownership, span }))
}

/// enum = "enum" name "=" name {"," name}
pub(super) fn enum_(p: &mut Parser<'_>) -> Item {
    let open = p.open(K::Enum);
    p.bump();
    let name = p.name("the enum's name");
    p.expect(K::Equals, "`=`");
    let values = super::names(p, "a value of the enum");
    end_item(p);
    let span = p.close(open);
    name.map_or(Item::Error(span), |name| Item::Enum(Enum { name, values, span }))
}

/// event = "event" name {field}
pub(super) fn event(p: &mut Parser<'_>) -> Item {
    let open = p.open(K::Event);
    p.bump();
    let name = p.name("the event type's name");
    let mut fields = Vec::new();
    while !p.at_end() && (at_field(p) || !at_broken_item(p)) {
        fields.extend(field(p));
    }
    let span = p.close(open);
    name.map_or(Item::Error(span), |name| Item::Event(Event { name, fields, span }))
}

/// Whether a name and a colon stand here, the name perhaps a reserved word.
fn at_field(p: &Parser<'_>) -> bool {
    p.nth(1) == K::Colon && (p.at(K::Word) || p.current().is_reserved())
}

/// field = name ":" type ["?"] ["=" expr]
fn field(p: &mut Parser<'_>) -> Option<Field> {
    if !at_field(p) && !p.at(K::Word) {
        p.expected_with("a field", written::FIELDS);
        let open = p.open(K::Error);
        p.bump();
        p.recover(at_field);
        p.close(open);
        return None;
    }
    if at_field(p) {
        p.synchronised();
    }
    let open = p.open(K::Field);
    let name = if p.current().is_reserved() { p.reserved_name() } else { p.name("a field") };
    let ty = if p.expect(K::Colon, "`:`") { field_type(p) } else { None };
    let optional = p.eat(K::Question);
    let derived = p.eat(K::Equals).then(|| expression::expr(p));
    if !p.at_end() && !p.at_line_start() && !at_field(p) && !at_broken_item(p) {
        p.expected("the next field");
        p.recover(at_field);
    }
    let span = p.close(open);
    Some(Field { name: name?, ty, optional, derived, span })
}

/// A type, unless the next field stands in its place.
fn field_type(p: &mut Parser<'_>) -> Option<TypeRef> {
    if at_field(p) {
        p.expected_with("a type", written::TYPES);
        return None;
    }
    type_ref(p)
}

/// type = name ["(" int ")"] [CUR]
fn type_ref(p: &mut Parser<'_>) -> Option<TypeRef> {
    let open = p.open(K::TypeRef);
    let name = p.name("a type");
    let mut size = None;
    if p.eat(K::OpenParen) {
        size = literal::integer(p, "a whole number");
        p.expect(K::CloseParen, "`)`");
    }
    let is_unit = p.nth_word(0).is_some_and(is_currency) && p.nth(1) != K::Colon;
    let currency = is_unit.then(|| p.bump_name());
    let span = p.close(open);
    Some(TypeRef { name: name?, size, currency, span })
}

/// list = "list" name ":" type ["from" text]
pub(super) fn list(p: &mut Parser<'_>) -> Item {
    let open = p.open(K::List);
    p.bump();
    let name = p.name("the list's name");
    let of = if p.expect(K::Colon, "`:`") { type_ref(p) } else { None };
    let (file, span) = end_listed(p, open);
    name.map_or(Item::Error(span), |name| Item::List(List { name, of, file, span }))
}

/// table = "table" name ":" type "->" type ["from" text]
pub(super) fn table(p: &mut Parser<'_>) -> Item {
    let open = p.open(K::Table);
    p.bump();
    let name = p.name("the table's name");
    let key = if p.expect(K::Colon, "`:`") { type_ref(p) } else { None };
    let value = if p.expect(K::Arrow, "`->`") { type_ref(p) } else { None };
    let (file, span) = end_listed(p, open);
    name.map_or(Item::Error(span), |name: Name| Item::Table(Table { name, key, value, file, span }))
}

/// ["from" text]
fn end_listed(p: &mut Parser<'_>, open: Open) -> (Option<Text>, Span) {
    let file = if p.eat_word("from") { literal::text(p) } else { None };
    end_item(p);
    (file, p.close(open))
}
