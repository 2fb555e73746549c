//! Rules: their types, condition, mode, share, dates and effects.

use super::constant;
use super::effects::EffectsOf;
use super::names::Checker;
use super::scope::{Exprs, Scope};
use crate::diagnostic::Code;
use crate::schema::{EventTypeId, FieldId};
use crate::syntax::ast;
use crate::time::Micros;
use crate::typed::{Expr, Mode, Rule};

/// Checks all rules. One that failed keeps its place, so that those behind it keep their numbers; the rule set is
/// refused anyway.
pub(super) fn check(checker: &mut Checker<'_>) -> Vec<Option<Rule>> {
    let mut rules = Vec::new();
    for placed in checker.rule_items.clone() {
        checker.reports.enter(placed.file);
        rules.push(rule(checker, placed.item));
    }
    rules
}

/// The rule, if nothing of it failed.
fn rule(checker: &mut Checker<'_>, item: &ast::Rule) -> Option<Rule> {
    let (on, on_sound) = checker.event_types(&item.on);
    let scope = Scope::of(on.clone(), &item.name.text);
    let when = checker.condition_at(&item.when, &scope);
    let rollout = item.rollout.as_ref().and_then(|it| rollout(checker, it, &on));
    let (from, until) = dates(checker, item);
    let known = when.as_ref().filter(|_| !checker.reports.breaks_off(item.when.span));
    let effects = checker.effects(&item.effects, &scope.where_holds(known), EffectsOf::Rule);
    let whole = !checker.reports.did_not_parse(item.span)
        && on_sound
        && rollout.is_some() == item.rollout.is_some()
        && (from.is_some(), until.is_some()) == (item.from.is_some(), item.until.is_some())
        && effects.len() == item.effects.len();
    when.filter(|_| whole).map(|when| Rule {
        name: item.name.text.clone(),
        reason: item.reason.as_ref().map(|it| it.text.clone()).unwrap_or_default(),
        tell: item.tell.as_ref().map(|it| it.text.clone()),
        mode: item.mode.map_or(Mode::Live, |(mode, _)| mode),
        rollout,
        from,
        until,
        on,
        when,
        effects,
        span: item.name.span,
    })
}

impl Checker<'_> {
    /// A condition that must have a value: a rule's `when`, a policy line's.
    pub(super) fn condition_at(&mut self, condition: &ast::Expr, scope: &Scope) -> Option<Expr> {
        let checked = Exprs { checker: self, scope: scope.clone() }.flag(condition)?;
        self.require_value(&checked, condition.span, "a condition").then_some(checked)
    }
}

fn rollout(checker: &mut Checker<'_>, item: &ast::Rollout, on: &[EventTypeId]) -> Option<(FieldId, u32)> {
    let share = item.share.value.checked_mul(10_000.into()).filter(|_| item.share.unit == ast::Unit::Percent);
    let share = share.map(|it| it.normalize()).filter(|it| it.scale() == 0);
    let share =
        share.and_then(|it| u32::try_from(it.mantissa()).ok()).filter(|it| (1..=1_000_000).contains(it));
    if share.is_none() {
        checker.reports.error_with_help(
            Code::Share,
            item.share.span,
            "no share of entities",
            "write `10%`: more than 0 and at most 100, with at most 4 digits after the point",
        );
    }
    let role = checker.role(&item.role, on);
    Some((role?, share?))
}

/// `from` starts at 00:00, `until` includes its day, in the schema's zone.
fn dates(checker: &mut Checker<'_>, item: &ast::Rule) -> (Option<Micros>, Option<Micros>) {
    let schema = checker.schema;
    let reports = &mut checker.reports;
    let from = item.from.and_then(|it| constant::start_of_day(schema, it.day, it.span, reports));
    let until = item.until.and_then(|it| {
        let next = it.day.tomorrow().unwrap_or(it.day);
        constant::start_of_day(schema, next, it.span, reports)
    });
    if let (Some(first), Some(last)) = (item.from, item.until)
        && last.day < first.day
    {
        reports.error_with_help(
            Code::Dates,
            last.span,
            "the rule ends before it begins",
            "put the earlier day behind `from`",
        );
    }
    (from, until)
}
