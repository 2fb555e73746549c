//! Which past events an aggregate looks at: the roles on both sides, and the types.

use super::super::advice;
use super::super::names::Checker;
use super::super::past_of::{Conditions, Named, bare_name};
use super::super::words;
use super::clauses::Clauses;
use crate::diagnostic::Code;
use crate::schema::{EventTypeId, FieldId, KindId};
use crate::span::Span;
use crate::syntax::ast;
use crate::typed::{Comparison, Type};

/// Whose past, and which of its events, as far as that could be told.
#[derive(Debug)]
pub(super) struct Matching {
    /// Roles of the event being decided.
    pub(super) by: Vec<Option<FieldId>>,
    /// Those on which past events are matched, in pairs with `by`.
    pub(super) via: Vec<Option<FieldId>>,
    /// The types of past events. None: that failed.
    pub(super) of: Vec<EventTypeId>,
}

impl Matching {
    /// Whether all of it could be told.
    pub(super) fn is_known(&self) -> bool {
        !self.of.is_empty() && self.by.iter().chain(&self.via).all(Option::is_some)
    }
}

impl Checker<'_> {
    /// Looks up the roles on the event being decided and on past ones, whose types they help to tell.
    pub(super) fn matching(
        &mut self,
        named: Option<&Named<'_>>,
        clauses: &Clauses<'_>,
        conditions: &mut Conditions<'_>,
        domain: &[EventTypeId],
        span: Span,
    ) -> Matching {
        let by: Vec<Option<FieldId>> = clauses.by.iter().map(|it| self.role(it, domain)).collect();
        let kinds: Vec<Option<KindId>> = by.iter().map(|it| self.schema.role_kind((*it)?)).collect();
        let via_names = clauses.via.unwrap_or(clauses.by);
        let roles = via_names.iter().zip(&kinds).map(|(name, kind)| Some((name, (*kind)?))).collect();
        let of = self.past_types(named, roles, conditions, span);
        let mut via = Vec::new();
        for (at, name) in via_names.iter().enumerate() {
            // The same name has been reported where it failed.
            let failed = clauses.via.is_none() && by.get(at).is_none_or(Option::is_none);
            via.push(if failed { None } else { self.role(name, &of) });
        }
        self.same_kinds(&kinds, &mut via, via_names);
        let mut matching = Matching { by, via, of };
        if matching.is_known() && !domain.is_empty() {
            self.pair_up(conditions, &mut matching, domain);
        }
        matching
    }

    /// Reports past roles of another kind than those that they are paired with, and forgets them.
    fn same_kinds(&mut self, kinds: &[Option<KindId>], via: &mut [Option<FieldId>], names: &[ast::Name]) {
        for ((kind, field), name) in kinds.iter().zip(via).zip(names) {
            let Some((kind, found)) = kind.zip(field.and_then(|it| self.schema.role_kind(it))) else {
                continue;
            };
            if found != kind {
                let called = |it: KindId| words::type_name(self.schema, Type::Entity(it));
                let message = format!("{} is matched on {}", called(kind), called(found));
                let help = format!("match it on another role: {}", advice::roles(self.schema, kind));
                self.reports.error_with_help(Code::RolesDiffer, name.span, message, help);
                *field = None;
            }
        }
    }

    /// `where merchant == this.merchant` is `by (user, merchant)`.
    fn pair_up(&self, conditions: &mut Conditions<'_>, matching: &mut Matching, domain: &[EventTypeId]) {
        if matching.by.len() != 1 {
            return;
        }
        let found = conditions.parts.iter().enumerate().find_map(|(at, part)| {
            let (past, current) = equated(part)?;
            let (past, current) = (self.silent_role(past, &matching.of)?, self.silent_role(current, domain)?);
            let alike = self.schema.role_kind(past) == self.schema.role_kind(current);
            (alike && matching.by.first() != Some(&Some(current))).then_some((at, past, current))
        });
        if let Some((at, past, current)) = found {
            conditions.parts.remove(at);
            matching.by.push(Some(current));
            matching.via.push(Some(past));
        }
    }

    fn silent_role(&self, name: &ast::Name, types: &[EventTypeId]) -> Option<FieldId> {
        let on = |it: &EventTypeId| self.schema.field_of(*it, &name.text).map(|it| it.field);
        let field = types.first().and_then(on)?;
        let everywhere = types.iter().all(|it| on(it) == Some(field));
        (everywhere && self.schema.role_kind(field).is_some()).then_some(field)
    }
}

/// `past == this.current`, either way round: the two names.
fn equated(expr: &ast::Expr) -> Option<(&ast::Name, &ast::Name)> {
    let ast::ExprKind::Binary { op: ast::BinaryOp::Compare(Comparison::Equal), left, right, .. } = &expr.kind
    else {
        return None;
    };
    bare_name(left).zip(this_name(right)).or_else(|| bare_name(right).zip(this_name(left)))
}

/// `this.x`
fn this_name(expr: &ast::Expr) -> Option<&ast::Name> {
    match &expr.kind {
        ast::ExprKind::Path(ast::Path { this: Some(_), names }) => names.first().filter(|_| names.len() == 1),
        _ => None,
    }
}
