//! Effects: what a rule or a policy line does.

use super::advice;
use super::names::Checker;
use super::operators::to_score;
use super::quantity::{self, dimension};
use super::scope::{Exprs, Scope};
use super::shadowed::is_covered;
use super::words;
use crate::diagnostic::Code;
use crate::schema::{EventTypeId, FieldId};
use crate::syntax::ast;
use crate::typed::{Effect, Expr, ListId, ListKind, Type};

/// As many effects, or factors, are held against each other: what a check costs has an end.
const HELD_MAX: usize = 100;

/// Whose effects they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum EffectsOf {
    /// A rule's.
    Rule,
    /// A policy line's.
    Policy,
}

impl Checker<'_> {
    /// Checks effects in the scope of a condition that holds; those that failed are left out.
    pub(super) fn effects(&mut self, items: &[ast::Effect], scope: &Scope, of: EffectsOf) -> Vec<Effect> {
        let effects: Vec<Effect> = items.iter().filter_map(|it| self.effect(it, scope, of)).collect();
        if effects.len() == items.len() && items.len() <= HELD_MAX {
            self.warn_idle(items, &effects);
        }
        effects
    }

    /// Warns of effects that do nothing beside another; of two that do the same, of the later.
    fn warn_idle(&mut self, items: &[ast::Effect], effects: &[Effect]) {
        let idle = |at: usize, by: usize| {
            let pair = effects.get(at).zip(effects.get(by));
            at != by && pair.is_some_and(|(it, other)| leaves_nothing(other, it, by < at))
        };
        for (at, item) in items.iter().enumerate() {
            let by = (0..items.len()).find(|by| idle(at, *by) && (*by < at || !idle(*by, at)));
            if let Some(by) = by.and_then(|it| items.get(it)) {
                let of = |effect: &ast::Effect| self.reports.snippet(effect.span).to_owned();
                let message = format!("`{}` does nothing beside `{}`", of(item), of(by));
                self.reports.warn(Code::EffectIdle, item.span, message, "leave one of the two out");
            }
        }
    }

    /// Warns of factors that are named twice, and of sets that ask for more than another one.
    fn warn_factors(&mut self, sets: &[Vec<ast::Name>]) {
        let has = |set: &[ast::Name], name: &ast::Name| set.iter().any(|it| it.text == name.text);
        let holds = |set: &[ast::Name], all: &[ast::Name]| all.iter().all(|it| has(set, it));
        for (at, set) in sets.iter().enumerate() {
            let before = |nth: usize| set.get(..nth).unwrap_or_default();
            for (_, name) in set.iter().enumerate().filter(|(nth, it)| has(before(*nth), it)) {
                let message = format!("`{}` is asked for twice", name.text);
                self.reports.warn(Code::EffectIdle, name.span, message, "leave one of the two out");
            }
            let enough = sets
                .iter()
                .enumerate()
                .find(|(other, by)| *other != at && holds(set, by) && (*other < at || !holds(by, set)));
            if let (Some((_, by)), Some(first)) = (enough, set.first()) {
                let enough: Vec<&str> = by.iter().map(|it| it.text.as_str()).collect();
                let message = format!("`{}` is enough without these", enough.join(" + "));
                self.reports.warn(Code::EffectIdle, first.span, message, "leave one of the two out");
            }
        }
    }

    fn effect(&mut self, item: &ast::Effect, scope: &Scope, of: EffectsOf) -> Option<Effect> {
        use ast::EffectKind as K;
        let types = scope.types.as_slice();
        Some(match &item.kind {
            K::Error => return None,
            K::Block { always } => Effect::Block { always: *always },
            K::Challenge { factors, always } => {
                if factors.iter().map(Vec::len).sum::<usize>() <= HELD_MAX {
                    self.warn_factors(factors);
                }
                let names = |set: &Vec<ast::Name>| set.iter().map(|it| it.text.clone()).collect();
                Effect::Challenge { factors: factors.iter().map(names).collect(), always: *always }
            }
            K::Allow if of == EffectsOf::Rule => Effect::Allow,
            K::Score { negative, value } if of == EffectsOf::Rule => {
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
                        let help = "say how long the next alert waits: `10m`, or leave `once per …` out";
                        let span = self.positive(&once.span, "once per", help);
                        Some((self.role(&once.role, types)?, span))
                    }
                };
                Effect::Alert { severity: *severity, once }
            }
            K::Tag(name) => Effect::Tag(name.text.clone()),
            K::Freeze { role, span } => {
                words::warn_minutes(span, "freeze", &mut self.reports);
                let span = self.positive(span, "freeze", "say how long: `for 1d`, or leave it out");
                Effect::Freeze { role: self.role(role, types)?, span }
            }
            K::Delay(span) => {
                words::warn_minutes(span, "delay", &mut self.reports);
                Effect::Delay(self.positive(span, "delay", "say how long: `delay 1h`, or leave it out"))
            }
            K::Add { role, list, span } => {
                let span = span.as_ref().map(|it| {
                    words::warn_minutes(it, "for", &mut self.reports);
                    self.positive(
                        it,
                        "for",
                        "say how long, or leave `for` out: then it stays until it is removed",
                    )
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
        let another = format!("declare a list of its own: `list … : {}`", self.schema.kind_name(kind));
        let (holds, help) = match of {
            ListKind::Entities(other) => (
                format!("holds {}", words::type_name(self.schema, Type::Entity(other))),
                format!("name another role, or another list: {}", advice::roles(self.schema, other)),
            ),
            ListKind::Table(..) => ("is a table, which people fill".to_owned(), another),
            ListKind::Values(_) => ("holds values, which people fill".to_owned(), another),
        };
        let message = format!("`{}` {holds}, and `{}` is something else", list.text, role.text);
        self.reports.error_with_help(Code::ListContents, list.span, message, help);
        None
    }

    /// A contribution with its sign: a number at scale 6 or real, never missing.
    fn score(&mut self, negative: bool, value: &ast::Expr, scope: &Scope) -> Option<Expr> {
        let checked = Exprs { checker: self, scope: scope.clone() }.check(value)?;
        let Type::Number(_) = checked.ty else {
            let found = words::type_name(self.schema, checked.ty);
            let message = format!("a score is a number, and this is {found}");
            let help = if dimension(checked.ty).is_some() {
                let (written, one) = (self.reports.snippet(value.span), words::example(checked.ty));
                format!("divide it by its like: `{written} / {one}`, say")
            } else {
                "ask about it in the condition, and add a number: `score +40`".to_owned()
            };
            self.reports.error_with_help(Code::TypeMismatch, value.span, message, help);
            return None;
        };
        if !scope.facts_failed && !self.require_value(&checked, value.span, "a score") {
            return None;
        }
        let signed = if negative { quantity::negate(checked)? } else { checked };
        Some(to_score(signed))
    }
}

/// Whether an effect leaves another one of the same rule nothing to do; it may stand earlier.
fn leaves_nothing(by: &Effect, effect: &Effect, earlier: bool) -> bool {
    let changed = |it: &Effect| match it {
        Effect::Add { role, list, .. } | Effect::Remove { role, list } => Some((*role, *list)),
        _ => None,
    };
    // The last change of a list is what stays.
    let overtaken = !earlier && changed(effect).is_some_and(|it| changed(by) == Some(it));
    overtaken || is_covered(effect, std::slice::from_ref(by), earlier)
}
