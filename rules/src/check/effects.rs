//! Effects: what a rule or a policy line does.

use super::names::Checker;
use super::operators::to_score;
use super::quantity::{self, dimension};
use super::scope::{Exprs, Scope};
use super::words;
use crate::diagnostic::{Code, Diagnostic};
use crate::schema::{EventTypeId, FieldId};
use crate::syntax::ast;
use crate::typed::{Effect, Expr, ListId, ListKind, Type};

/// Whose effects they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// A rule's.
    Rule,
    /// A policy line's.
    Policy,
}

impl Checker<'_> {
    /// Checks effects in the scope of a condition that holds; those that failed are left out.
    pub(super) fn effects(&mut self, items: &[ast::Effect], scope: &Scope, place: Place) -> Vec<Effect> {
        items.iter().filter_map(|it| self.effect(it, scope, place)).collect()
    }

    fn effect(&mut self, item: &ast::Effect, scope: &Scope, place: Place) -> Option<Effect> {
        use ast::EffectKind as K;
        let types = scope.types.as_slice();
        Some(match &item.kind {
            K::Error => return None,
            K::Block { always } => Effect::Block { always: *always },
            K::Challenge { factors, always } => {
                let names = |set: &Vec<ast::Name>| set.iter().map(|it| it.text.clone()).collect();
                Effect::Challenge { factors: factors.iter().map(names).collect(), always: *always }
            }
            K::Allow if place == Place::Rule => Effect::Allow,
            K::Score { negative, value } if place == Place::Rule => {
                Effect::Score(self.score(*negative, value, scope)?)
            }
            K::Allow | K::Score { .. } => {
                self.reports.error_with_help(
                    Code::EffectMisplaced,
                    item.span,
                    "a policy line cannot do this",
                    "rules allow and add to the score, the policy says what scores lead to",
                );
                return None;
            }
            K::Alert { severity, once } => {
                let once = match once {
                    None => None,
                    Some(once) => {
                        let span = self.positive(&once.span, "once per");
                        Some((self.role(&once.role, types)?, span))
                    }
                };
                Effect::Alert { severity: *severity, once }
            }
            K::Tag(name) => Effect::Tag(name.text.clone()),
            K::Freeze { role, span } => {
                words::warn_minutes(span, "freeze", &mut self.reports);
                let span = self.positive(span, "freeze");
                Effect::Freeze { role: self.role(role, types)?, span }
            }
            K::Delay(span) => {
                words::warn_minutes(span, "delay", &mut self.reports);
                Effect::Delay(self.positive(span, "delay"))
            }
            K::Add { role, list, span } => {
                let span = span.as_ref().map(|it| {
                    words::warn_minutes(it, "for", &mut self.reports);
                    self.positive(it, "for")
                });
                let (role, list) = self.role_and_list(role, list, types)?;
                Effect::Add { role, list, span }
            }
            K::Remove { role, list } => {
                let (role, list) = self.role_and_list(role, list, types)?;
                Effect::Remove { role, list }
            }
        })
    }

    fn role_and_list(
        &mut self,
        role: &ast::Name,
        list: &ast::Name,
        types: &[EventTypeId],
    ) -> Option<(FieldId, ListId)> {
        let field = self.role(role, types);
        let id = self.list_named(list)?;
        let field = field?;
        let kind = self.schema.role_kind(field)?;
        let of = self.lists.get(id.index())?.of;
        if of == ListKind::Entities(kind) {
            return Some((field, id));
        }
        let holds = match of {
            ListKind::Entities(other) => {
                format!("holds {}", words::type_name(self.schema, Type::Entity(other)))
            }
            ListKind::Table(..) => "is a table, which people fill".to_owned(),
            ListKind::Values(_) => "holds values, which people fill".to_owned(),
        };
        let message = format!("`{}` {holds}, and `{}` is something else", list.text, role.text);
        self.reports.error(Code::ListContents, list.span, message);
        None
    }

    /// A contribution with its sign: a number at scale 6 or real, never missing.
    fn score(&mut self, negative: bool, value: &ast::Expr, scope: &Scope) -> Option<Expr> {
        let checked = Exprs { checker: self, scope: scope.clone() }.check(value)?;
        let Type::Number(_) = checked.ty else {
            let found = words::type_name(self.schema, checked.ty);
            let message = format!("a score is a number, and this is {found}");
            let mut diagnostic = Diagnostic::new(Code::TypeMismatch, value.span, message);
            if dimension(checked.ty).is_some() {
                let (written, one) = (self.reports.snippet(value.span), words::example(checked.ty));
                diagnostic = diagnostic.help(format!("divide it by its like: `{written} / {one}`, say"));
            }
            self.reports.add(diagnostic);
            return None;
        };
        if !scope.facts_failed && !self.require_value(&checked, value.span, "a score") {
            return None;
        }
        let signed = if negative { quantity::negate(checked)? } else { checked };
        Some(to_score(signed))
    }
}
