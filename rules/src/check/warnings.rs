//! Warnings: what can be used as it stands, and probably does not do what was meant. Told from the text alone.

use std::collections::BTreeSet;

use super::aggregate::reach;
use super::bounds::always;
use super::names::Checker;
use crate::diagnostic::Code;
use crate::schema::{EventTypeId, FieldId};
use crate::span::Span;
use crate::time::DAY;
use crate::typed::{
    Aggregate, AggregateFunction, Comparison, Definition, Effect, Expr, ExprKind, Feature, FeatureId, Mode,
    MutableColumn, Operator, Policy, Rule,
};
use crate::value::Value;

/// Warns about a rule set that has no errors.
pub(super) fn check(checker: &mut Checker<'_>, record: &[FeatureId], rules: &[Rule], policies: &[Policy]) {
    unread_features(checker, record, rules, policies);
    let files: Vec<(u32, String)> =
        checker.feature_items.iter().map(|it| (it.file, it.item.name.text.clone())).collect();
    for feature in checker.features.clone() {
        // A nameless one is called after what it stands in.
        let owner = feature.name.split('.').next().unwrap_or_default();
        let rule = |it: &&Rule| it.name == owner;
        let file = files
            .iter()
            .find(|(_, name)| name == owner)
            .map(|(file, _)| *file)
            .or_else(|| rules.iter().find(rule).and_then(|it| file_of_rule(checker, it)));
        if let Some(file) = file {
            checker.reports.enter(file);
            window_beyond_keep(checker, &feature);
            if let Definition::Expr(expr) = &feature.definition {
                own_extreme(checker, expr, &feature.domain, feature.span);
            }
        }
    }
    for rule in rules {
        let Some(file) = file_of_rule(checker, rule) else { continue };
        checker.reports.enter(file);
        fires(checker, rule);
        own_extreme(checker, &rule.when, &rule.on, rule.span);
        block_on_novelty(checker, rule);
    }
}

fn file_of_rule(checker: &Checker<'_>, rule: &Rule) -> Option<u32> {
    let id = checker.rule_names.get(rule.name.as_str())?;
    checker.rule_items.get(id.index()).map(|it| it.file)
}

fn unread_features(checker: &mut Checker<'_>, record: &[FeatureId], rules: &[Rule], policies: &[Policy]) {
    let mut read: BTreeSet<FeatureId> = record.iter().copied().collect();
    let mut note = |expr: &Expr| {
        expr.visit(&mut |it| {
            if let ExprKind::Feature(id) = it.kind {
                read.insert(id);
            }
        });
    };
    for rule in rules {
        note(&rule.when);
        scores(&rule.effects).for_each(&mut note);
    }
    policies.iter().flat_map(|it| &it.lines).for_each(|it| note(&it.when));
    for feature in &checker.features {
        match &feature.definition {
            Definition::Expr(expr) => note(expr),
            Definition::Aggregate(it) => {
                [&it.argument, &it.condition, &it.numerator].into_iter().flatten().for_each(&mut note);
            }
        }
    }
    for placed in checker.feature_items.clone() {
        let name = &placed.item.name;
        let id = checker.features.iter().position(|it| it.name == name.text);
        let is_read = id.and_then(|it| u16::try_from(it).ok()).is_none_or(|it| read.contains(&FeatureId(it)));
        if !is_read {
            checker.reports.enter(placed.file);
            checker.reports.warn(
                Code::FeatureUnread,
                name.span,
                format!("no rule reads `{}`", name.text),
                format!("use it, leave it out, or write `record {}`", name.text),
            );
        }
    }
}

fn scores(effects: &[Effect]) -> impl Iterator<Item = &Expr> {
    effects.iter().filter_map(|it| match it {
        Effect::Score(expr) => Some(expr),
        _ => None,
    })
}

fn window_beyond_keep(checker: &mut Checker<'_>, feature: &Feature) {
    let Definition::Aggregate(aggregate) = &feature.definition else { return };
    let keep = checker.schema.keep;
    if reach(aggregate).is_some_and(|it| keep < it) {
        checker.reports.warn(
            Code::WindowBeyondKeep,
            feature.span,
            format!("`{}` looks back further than the schema's `keep`", feature.name),
            format!("`keep` is {}d: raise it, or narrow the window", keep / DAY),
        );
    }
}

fn fires(checker: &mut Checker<'_>, rule: &Rule) {
    let (code, word, help) = match always(&rule.when, &checker.features) {
        None => return,
        Some(true) => {
            (Code::AlwaysFires, "always", "a rule that fires on everything says nothing about fraud")
        }
        Some(false) => (Code::NeverFires, "never", "a rule to be kept for later can be `off`"),
    };
    if rule.mode != Mode::Off {
        checker.reports.warn(code, rule.span, format!("`{}` {word} fires", rule.name), help);
    }
}

/// `amount > max(payment.amount) by user over 1d`: the window holds the very amount that is compared with it.
fn own_extreme(checker: &mut Checker<'_>, expr: &Expr, types: &[EventTypeId], span: Span) {
    let mut found: Option<(FieldId, String)> = None;
    expr.visit_scope(&mut |it| {
        if let ExprKind::Compare(_, left, right) | ExprKind::Arithmetic(Operator::Subtract, left, right) =
            &it.kind
        {
            for (fields, features) in [(left, right), (right, left)] {
                let own = own_window(checker, fields, features, types);
                found = found.take().or(own);
            }
        }
    });
    if let Some((field, feature)) = found {
        let field = checker.schema.field(field).map_or("?", |it| it.name.as_str());
        checker.reports.warn(
            Code::OwnExtreme,
            span,
            format!("`{field}` is compared with `{feature}`, which includes it"),
            format!("add `before` to `{feature}`, so that it is compared with what was usual until now"),
        );
    }
}

fn own_window(
    checker: &Checker<'_>,
    fields: &Expr,
    features: &Expr,
    types: &[EventTypeId],
) -> Option<(FieldId, String)> {
    let mut here = Vec::new();
    fields.visit_scope(&mut |it| {
        if let ExprKind::Field(id) = it.kind {
            here.push(id);
        }
    });
    let mut found = None;
    features.visit_scope(&mut |it| {
        let ExprKind::Feature(id) = it.kind else { return };
        let Some(feature) = checker.features.get(id.index()) else { return };
        let Definition::Aggregate(aggregate) = &feature.definition else { return };
        if let Some(field) = includes_own(aggregate, types).filter(|it| here.contains(it)) {
            found = Some((field, feature.name.clone()));
        }
    });
    found
}

/// The field of the current event that an aggregate includes in what may be taken for the usual.
fn includes_own(aggregate: &Aggregate, types: &[EventTypeId]) -> Option<FieldId> {
    use AggregateFunction as F;
    let of_extreme = matches!(aggregate.function, F::Mean | F::Min | F::Max | F::Stddev);
    let includes =
        !aggregate.before && aggregate.delay.is_none() && types.iter().any(|it| aggregate.of.contains(it));
    match aggregate.argument.as_ref()?.kind {
        ExprKind::Field(field) if of_extreme && includes => Some(field),
        _ => None,
    }
}

/// A thief's blocked try makes the second one "seen".
fn block_on_novelty(checker: &mut Checker<'_>, rule: &Rule) {
    if !rule.effects.iter().any(|it| matches!(it, Effect::Block { .. })) {
        return;
    }
    let mut novelty: Option<String> = None;
    let mut open: Vec<&Expr> = vec![&rule.when];
    let mut seen = BTreeSet::new();
    while let Some(expr) = open.pop() {
        expr.visit(&mut |it| {
            let ExprKind::Feature(id) = it.kind else { return };
            let Some(feature) = checker.features.get(id.index()).filter(|_| seen.insert(id)) else { return };
            match &feature.definition {
                Definition::Expr(inner) => open.push(inner),
                Definition::Aggregate(it) if it.function == AggregateFunction::FirstSeen => {
                    if !it.condition.as_ref().is_some_and(reads_accepted) {
                        novelty = Some(feature.name.clone());
                    }
                }
                Definition::Aggregate(_) => {}
            }
        });
    }
    if let Some(name) = novelty {
        checker.reports.warn(
            Code::BlockOnNovelty,
            rule.span,
            format!("`{}` blocks what `{name}` has not seen, and a blocked try counts as seen", rule.name),
            format!("write `over 90d where accepted` in `{name}`, or the second try passes"),
        );
    }
}

fn reads_accepted(expr: &Expr) -> bool {
    let mut found = false;
    expr.visit_scope(&mut |it| found |= matches!(it.kind, ExprKind::Mutable(MutableColumn::Accepted)));
    found
}

/// The least score that a policy line asks for, in millionths, if it asks for one.
pub(super) fn score_asked_e6(when: &Expr) -> Option<i128> {
    match &when.kind {
        ExprKind::And(left, right) => score_asked_e6(left).max(score_asked_e6(right)),
        ExprKind::Compare(Comparison::GreaterOrEqual | Comparison::Greater, left, right) => {
            match (&left.kind, &right.kind) {
                (ExprKind::Score, ExprKind::Const(Value::Exact(asked))) => Some(*asked),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The most that the live rules can add up to on any of these types, in millionths; none where an expression says
/// how much.
pub(super) fn score_reached_e6(rules: &[Rule], types: &[EventTypeId]) -> Option<i128> {
    let mut most = 0;
    for of in types {
        let mut sum: i128 = 0;
        for rule in rules.iter().filter(|it| it.mode == Mode::Live && it.on.contains(of)) {
            for score in scores(&rule.effects) {
                let ExprKind::Const(Value::Exact(score)) = score.kind else { return None };
                sum = sum.saturating_add(score.max(0));
            }
        }
        most = most.max(sum);
    }
    Some(most)
}
