//! The events of tests: which fields they have, and what stands in for those left out.

use rust_decimal::Decimal;

use super::advice;
use super::constant;
use super::examples::{Story, written_time};
use super::names::{Checker, text_bytes_max};
use super::past_of::bare_name;
use super::quantity::{self, dimension};
use super::words;
use crate::diagnostic::Code;
use crate::schema::{Derivation, ENTITY_ID_BYTES_MAX, EventField, EventTypeId, FieldId, FieldType};
use crate::span::Span;
use crate::syntax::ast;
use crate::time::Micros;
use crate::typed::{ExprKind, Numeric, TestEvent, TestValue, Type};
use crate::value::Value;

/// Greatest magnitude of an amount at any intake.
const AMOUNT_MAX: i64 = 10_000_000_000_000;

/// An event as a test gives it.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) event_type: EventTypeId,
    fields: Vec<(FieldId, TestValue)>,
    /// Roles that must be there and were left out.
    left_out: Vec<FieldId>,
}

impl Given {
    /// The event at a time; whoever was left out is somebody new.
    pub(super) fn event(&self, id: String, time: Micros, story: &mut Story) -> TestEvent {
        let mut fields = self.fields.clone();
        fields.extend(self.left_out.iter().map(|it| (*it, TestValue::Text(story.make_up()))));
        fields.sort_by_key(|(field, _)| *field);
        TestEvent { id, event_type: self.event_type, time, fields }
    }
}

impl Checker<'_> {
    /// Checks an event's fields; none: its type is not known, and wrong is only what no type has.
    pub(super) fn given_event(
        &mut self,
        event_type: &ast::Name,
        of: Option<EventTypeId>,
        fields: &[(ast::Name, ast::Expr)],
    ) -> Option<Given> {
        let mut given = Vec::new();
        let mut named: Vec<&str> = Vec::new();
        let mut known = true;
        for (name, value) in fields {
            if named.contains(&name.text.as_str()) {
                let message = format!("`{}` is given twice", name.text);
                self.reports.error_with_help(Code::TestField, name.span, message, "leave one of them out");
            }
            named.push(&name.text);
            let Some(field) = self.field_given(of, name) else {
                known = false;
                continue;
            };
            let ty = self.schema.field(field)?.ty;
            let (ty, bytes_max) = (quantity::field_type(ty, self.schema.currency), text_bytes_max(ty));
            given.extend(self.given_value(value, ty, bytes_max).map(|it| (field, it)));
        }
        let sound = given.len() == fields.len();
        let mut given = Given { event_type: of?, fields: given, left_out: Vec::new() };
        // A field that is not there may be the one whose name is unknown.
        (known && self.stand_in(event_type, &named, &mut given) && sound).then_some(given)
    }

    /// The field of a name that a test may give, or a report.
    fn field_given(&mut self, of: Option<EventTypeId>, name: &ast::Name) -> Option<FieldId> {
        let schema = self.schema;
        let types: Vec<EventTypeId> = of.map_or_else(|| self.all_types().collect(), |it| vec![it]);
        let found: Vec<EventField> = types.iter().filter_map(|it| schema.field_of(*it, &name.text)).collect();
        let Some(first) = found.first() else {
            let of = types.iter().filter_map(|it| schema.event(*it)).flat_map(|it| &it.fields);
            let fields = of.filter_map(|it| schema.field(it.field)).map(|it| it.name.as_str());
            self.reports.unknown(Code::TestField, name.span, "field", &name.text, fields);
            return None;
        };
        if found.iter().all(|it| it.derived.is_some()) {
            let message = format!("`{}` is computed from another field", name.text);
            self.reports.error_with_help(Code::TestField, name.span, message, "give that one");
        }
        found.iter().all(|it| it.field == first.field).then_some(first.field)
    }

    /// A value of a field, or of a table; a text of at most so many bytes.
    pub(super) fn given_value(
        &mut self,
        value: &ast::Expr,
        ty: Type,
        text_bytes_max: Option<u16>,
    ) -> Option<TestValue> {
        let max = match ty {
            Type::Entity(_) => ENTITY_ID_BYTES_MAX,
            Type::Text => usize::from(text_bytes_max.unwrap_or(u16::MAX)),
            _ => return self.value_of(value, ty)?.to_slot().map(TestValue::Slot),
        };
        let text = self.word(value)?;
        if text.is_empty() || max < text.len() {
            let message = format!("this has {} bytes, and 1 to {max} are possible", text.len());
            let help = match ty {
                _ if text.is_empty() => {
                    "write at least one character, or leave the field out if it may be missing"
                }
                Type::Entity(_) => "give it a shorter id",
                _ => "leave some out, or lengthen the text in the schema",
            };
            self.reports.error_with_help(Code::TestValue, value.span, message, help);
            return None;
        }
        Some(TestValue::Text(text.to_owned()))
    }

    /// An id, a text or an enum's value: a bare name or a text.
    fn word<'e>(&mut self, value: &'e ast::Expr) -> Option<&'e str> {
        if let Some(name) = bare_name(value) {
            return Some(&name.text);
        }
        match &value.kind {
            ast::ExprKind::Text(text) => return Some(text),
            ast::ExprKind::Error => {}
            _ => {
                let help = "odd ones go in quotes";
                self.reports.error_with_help(
                    Code::TestValue,
                    value.span,
                    "a name or a text was expected",
                    help,
                );
            }
        }
        None
    }

    /// A value written out, as it stands in a slot of this type.
    fn value_of(&mut self, value: &ast::Expr, ty: Type) -> Option<Value> {
        match (ty, &value.kind) {
            (Type::Enum(id), _) => {
                let word = self.word(value)?;
                let of = self.schema.enum_type(id)?;
                let place = of.values.iter().position(|it| it == word);
                if place.is_none() {
                    let values = of.values.iter().map(String::as_str);
                    self.reports.unknown(Code::TestValue, value.span, "value", word, values);
                }
                return Some(Value::Exact(i128::try_from(place?).ok()?));
            }
            (Type::Time, ast::ExprKind::Text(text)) => {
                return written_time(self, text, value.span).map(|it| Value::Exact(i128::from(it)));
            }
            _ => {}
        }
        let constant = constant::check(self.schema, &mut self.reports, value)?;
        let found = constant.ty;
        let at_scale = match (dimension(found), dimension(ty)) {
            (Some((one, Numeric::Exact { scale, .. })), Some((other, Numeric::Exact { scale: to, .. })))
                if one == other && scale <= to =>
            {
                quantity::rescale(constant, to)
            }
            _ if found == ty => constant,
            _ => return self.wrong_value(value.span, found, ty),
        };
        let ExprKind::Const(constant) = at_scale.kind else { return self.wrong_value(value.span, found, ty) };
        let fits = match (constant.to_slot(), ty) {
            (Some(slot), Type::Number(_) | Type::Money(..)) => {
                slot.unsigned_abs() <= AMOUNT_MAX.unsigned_abs()
            }
            (slot, _) => slot.is_some(),
        };
        if !fits {
            let message = "this is more than any event may hold";
            self.reports.error_with_help(Code::TestValue, value.span, message, greatest(ty));
            return None;
        }
        if matches!((&constant, ty), (Value::Exact(..0), Type::Money(..))) {
            // No error: a rule set that a journal holds must stay one.
            let message = "no event has a negative amount: it says how much, the event's type which way";
            self.reports.warn(Code::NegativeExample, value.span, message, "what has a sign is a `decimal`");
        }
        Some(constant)
    }

    fn wrong_value<T>(&mut self, span: Span, found: Type, ty: Type) -> Option<T> {
        if self.reports.other_money(found, ty) {
            return None;
        }
        let (expected, found) = (words::type_name(self.schema, ty), words::type_name(self.schema, found));
        let same = expected == found;
        let message = if same {
            format!("this has more digits than {expected} holds here")
        } else {
            format!("{expected} was expected, and this is {found}")
        };
        let help = match (dimension(ty), self.reports.snippet(span).parse()) {
            (Some((_, Numeric::Exact { scale: 0, .. })), _) if same => "write a whole number".to_owned(),
            (Some((_, Numeric::Exact { scale, .. })), _) if same => {
                format!(
                    "write at most {scale} {} after the point",
                    if scale == 1 { "digit" } else { "digits" }
                )
            }
            (Some(_), Ok(number)) => format!("write `{}`", advice::with_unit(ty, number)),
            _ => format!("write `{}`, say", words::example(ty)),
        };
        self.reports.error_with_help(Code::TestValue, span, message, help);
        None
    }

    /// Completes an event: an enum has its first value, a role left out is somebody new, a derived field is computed;
    /// what else must be there must be named. True if it is.
    fn stand_in(&mut self, event_type: &ast::Name, named: &[&str], given: &mut Given) -> bool {
        let schema = self.schema;
        let mut wanted = Vec::new();
        let of_type = schema.event(given.event_type);
        for field in of_type.iter().flat_map(|it| &it.fields) {
            let Some(of) = schema.field(field.field) else { continue };
            if let Some(value) = derived(field, given) {
                given.fields.push((field.field, value));
            }
            if field.optional || named.contains(&of.name.as_str()) {
                continue;
            }
            match of.ty {
                FieldType::Entity(_) => given.left_out.push(field.field),
                FieldType::Enum(_) => given.fields.push((field.field, TestValue::Slot(0))),
                // One that could not be read to its end may be one that may be missing.
                _ if self.reports.is_unread(&of.name) => {}
                _ => wanted.push(of),
            }
        }
        let complete = wanted.is_empty();
        if !complete {
            let names = words::listing(wanted.iter().map(|it| it.name.as_str()));
            let message = format!("a `{}` has {names}", event_type.text);
            let values = wanted.iter().map(|it| {
                let ty = quantity::field_type(it.ty, schema.currency);
                format!("{} {}", it.name, words::example(ty))
            });
            let help = format!("give it: `{}`, say", values.collect::<Vec<_>>().join(" "));
            self.reports.error_with_help(Code::TestField, event_type.span, message, help);
        }
        complete
    }
}

/// The greatest amount of a type.
fn greatest(ty: Type) -> String {
    let scale = match ty {
        Type::Money(currency, _) => u32::from(currency.exponent()),
        Type::Number(Numeric::Exact { scale, .. }) => u32::from(scale),
        _ => 0,
    };
    format!("the greatest is `{}`", advice::with_unit(ty, Decimal::new(AMOUNT_MAX, scale)))
}

/// What intake would make of another field.
fn derived(field: &EventField, given: &Given) -> Option<TestValue> {
    let Derivation::Prefix { of, characters } = field.derived?;
    let (_, source) = given.fields.iter().find(|(it, _)| *it == of)?;
    let TestValue::Text(text) = source else { return None };
    let prefix: String = text.chars().take(usize::from(characters)).collect();
    (prefix.chars().count() == usize::from(characters)).then_some(TestValue::Text(prefix))
}
