//! Policies: one plain, others `on` event types.

use std::collections::BTreeMap;

use super::effects::EffectsOf;
use super::names::{Checker, Placed};
use super::reports::Spot;
use super::scope::Scope;
use super::warnings::{score_asked_e6, score_reached_e6};
use crate::diagnostic::{Code, Diagnostic};
use crate::notation::decimal;
use crate::schema::EventTypeId;
use crate::span::Span;
use crate::syntax::ast;
use crate::typed::{Expr, Policy, PolicyLine, Rule};

/// What nameless features in a policy are called after.
pub(super) const POLICY: &str = "policy";

/// Checks all policies: the plain one first, then the others in file order.
pub(super) fn check(checker: &mut Checker<'_>, rules: &[Option<Rule>]) -> Vec<Policy> {
    let mut items = checker.policy_items.clone();
    // Stable, so that the others keep their order.
    items.sort_by_key(|it| !it.item.on.is_empty());
    let mut taken: BTreeMap<EventTypeId, Spot> = BTreeMap::new();
    let mut policies: Vec<Policy> = Vec::new();
    let mut plain: Option<Spot> = None;
    let owned = types_with_their_own(checker, &items);
    for placed in items {
        checker.reports.enter(placed.file);
        let item = placed.item;
        let here = word(item);
        // One whose types could not be read has none either.
        if item.on.is_empty() && !checker.reports.goes_on(here) {
            if let Some(first) = plain {
                let message = "there is a plain policy already";
                let help = "put the lines together, or say `policy on` which event types";
                repeated(checker, here, message.to_owned(), help, first);
                continue;
            }
            plain = Some(checker.reports.spot(here));
            let types = types_of_the_plain(checker, &owned);
            policies.push(policy(checker, item, &types, Vec::new(), rules));
            continue;
        }
        let (on, _) = checker.event_types(&item.on);
        let here = item.on.first().map_or(here, |it| it.span);
        if let Some((twice, first)) = on.iter().find_map(|it| Some((*it, *taken.get(it)?))) {
            let message = format!("{} has a policy already", checker.type_names(&[twice]));
            let help = "one policy for one event type: put the lines together";
            repeated(checker, here, message, help, first);
        }
        let spot = checker.reports.spot(here);
        for it in &on {
            taken.entry(*it).or_insert(spot);
        }
        policies.push(policy(checker, item, &on.clone(), on, rules));
    }
    policies
}

fn repeated(checker: &mut Checker<'_>, span: Span, message: String, help: &str, first: Spot) {
    let diagnostic = Diagnostic::new(Code::PolicyRepeated, span, message).help(help);
    checker.reports.add_repeated(diagnostic, Some(first));
}

/// The word `policy`.
fn word(item: &ast::Policy) -> Span {
    Span { end: item.span.start + 6, ..item.span }
}

/// The types that the plain policy does not speak of.
fn types_with_their_own(checker: &Checker<'_>, items: &[Placed<'_, ast::Policy>]) -> Vec<EventTypeId> {
    let names = items.iter().flat_map(|it| &it.item.on);
    names.filter_map(|it| checker.schema.event_type(&it.text)).collect()
}

fn policy(
    checker: &mut Checker<'_>,
    item: &ast::Policy,
    types: &[EventTypeId],
    on: Vec<EventTypeId>,
    rules: &[Option<Rule>],
) -> Policy {
    let scope = Scope { score: true, ..Scope::of(types.to_vec(), POLICY) };
    let mut lines = Vec::new();
    for line in &item.lines {
        let when = checker.condition_at(&line.when, &scope);
        let effects = checker.effects(&line.effects, &scope.where_holds(when.as_ref()), EffectsOf::Policy);
        if let Some(when) = when {
            score_out_of_reach(checker, &when, line.when.span, types, rules);
            lines.push(PolicyLine { effects, when });
        }
    }
    let deadline = item.deadline.as_ref().map(|it| {
        let help = "say how long a decision may take: `deadline 10ms`";
        (checker.positive(&it.after, "deadline", help), it.outcome)
    });
    let valid_for = item.valid_for.as_ref().map(|it| {
        checker.positive(it, "valid for", "say how long a decision may be acted on: `valid for 60s`")
    });
    Policy { on, lines, deadline, valid_for }
}

fn types_of_the_plain(checker: &Checker<'_>, owned: &[EventTypeId]) -> Vec<EventTypeId> {
    let rest: Vec<EventTypeId> = checker.all_types().filter(|it| !owned.contains(it)).collect();
    // Where every type has its own, it is still checked, on what any event has.
    if rest.is_empty() { checker.all_types().collect() } else { rest }
}

fn score_out_of_reach(
    checker: &mut Checker<'_>,
    when: &Expr,
    span: Span,
    types: &[EventTypeId],
    rules: &[Option<Rule>],
) {
    // What did not parse may have been a rule that adds more; a type that is not known may be one that it is on.
    if !checker.reports.all_parsed() || types.is_empty() {
        return;
    }
    let (Some(asked), Some(reached)) = (score_asked_e6(when), score_reached_e6(rules, types)) else { return };
    if reached < asked {
        let reached = decimal(reached, 6);
        let message = format!("no score reaches this: live rules add up to at most {reached}");
        let help = "lower it, or let rules add more";
        checker.reports.warn(Code::ScoreOutOfReach, span, message, help);
    }
}
