//! Warnings: what can be used as it stands, and probably does not do what was meant. Told from the text alone.

use std::collections::BTreeSet;

use super::aggregate::reach;
use super::bounds::Known;
use super::domain::for_each_path;
use super::implies::Claim;
use super::names::{Checker, Global, Placed};
use super::policy::POLICY;
use super::shadowed;
use crate::diagnostic::{Code, Diagnostic};
use crate::notation::duration;
use crate::schema::{EventTypeId, FieldId};
use crate::span::Span;
use crate::syntax::ast;
use crate::typed::{
    Aggregate, AggregateFunction, Comparison, Definition, Effect, Expr, ExprKind, Feature, Mode,
    MutableColumn, Operator, Rule,
};
use crate::value::Value;

/// Warns about features and rules of which nothing failed.
pub(super) fn check(checker: &mut Checker<'_>, files: &[ast::File], rules: &[Option<Rule>]) {
    let known = Known::of(checker.schema, &checker.features);
    let texts = Texts::of(checker);
    let mut found = unread_features(checker, files);
    found.extend(of_features(checker, &texts));
    let placed = checker.rule_items.iter().zip(rules);
    let whole = placed.filter_map(|(placed, rule)| Some((placed.file, rule.as_ref()?)));
    let whole: Vec<(u32, &Rule)> = whole
        .filter(|(_, rule)| reached(checker, &rule.when).iter().all(|it| texts.parsed(&it.name)))
        .collect();
    for (file, rule) in &whole {
        let all = [
            fires(&known, rule),
            own_extreme(checker, &rule.when, &rule.on, rule.span),
            block_on_novelty(checker, rule),
        ];
        found.extend(all.into_iter().flatten().map(|it| it.in_file(*file)));
    }
    found.extend(shadowed::check(&whole, &known));
    for warning in found {
        checker.reports.add_placed(warning);
    }
}

/// Of rules, named features and policies: where they stand, and which could not be read to their ends. A clause that was
/// not may be the very one that a warning misses.
struct Texts<'a> {
    /// The name, the file, and where in it.
    items: Vec<(&'a str, u32, Span)>,
    broken: BTreeSet<&'a str>,
}

impl<'a> Texts<'a> {
    fn of(checker: &Checker<'a>) -> Self {
        let rules = checker.rule_items.iter().map(|it| (&*it.item.name.text, it.file, it.item.span));
        let features = checker.feature_items.iter().map(|it| (&*it.item.name.text, it.file, it.item.span));
        let policies = checker.policy_items.iter().map(|it| (POLICY, it.file, it.item.span));
        let items: Vec<_> = rules.chain(features).chain(policies).collect();
        let broken = items.iter().filter(|(_, file, span)| !checker.reports.parsed(*file, *span));
        let broken = broken.map(|(name, ..)| *name).collect();
        Self { items, broken }
    }

    /// In which file a feature stands. A rule may have the name of a feature in another file.
    fn file(&self, feature: &Feature) -> Option<u32> {
        let holds = |span: &Span| span.start <= feature.span.start && feature.span.end <= span.end;
        let is_it = |(name, _, span): &&(&str, u32, Span)| *name == owner(&feature.name) && holds(span);
        self.items.iter().find(is_it).map(|(_, file, _)| *file)
    }

    fn parsed(&self, feature: &str) -> bool {
        !self.broken.contains(owner(feature))
    }
}

/// A nameless feature is called after what it stands in.
fn owner(feature: &str) -> &str {
    feature.split('.').next().unwrap_or_default()
}

fn warning(code: Code, span: Span, message: String, help: impl Into<String>) -> Diagnostic {
    Diagnostic::new(code, span, message).help(help)
}

fn of_features(checker: &Checker<'_>, texts: &Texts<'_>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for feature in checker.features.iter().filter(|it| texts.parsed(&it.name)) {
        let Some(file) = texts.file(feature) else { continue };
        let of_expr = match &feature.definition {
            Definition::Expr(expr) => own_extreme(checker, expr, &feature.domain, feature.span),
            Definition::Aggregate(_) => None,
        };
        let all = [window_beyond_keep(checker, feature), of_expr];
        found.extend(all.into_iter().flatten().map(|it| it.in_file(file)));
    }
    found
}

/// Tells of the features that nothing names, if all that was written is known.
fn unread_features(checker: &Checker<'_>, files: &[ast::File]) -> Vec<Diagnostic> {
    if !checker.reports.all_parsed() {
        return Vec::new();
    }
    let read = names_read(files);
    let unread = |placed: &Placed<'_, ast::Feature>| {
        let name = &placed.item.name;
        let Some(Global::Feature(Some(_))) = checker.globals.get(name.text.as_str()) else { return None };
        let message = format!("no rule reads `{}`", name.text);
        let help = format!("use it, leave it out, or write `record {}`", name.text);
        let warning = warning(Code::FeatureUnread, name.span, message, help).in_file(placed.file);
        (!read.contains(name.text.as_str())).then_some(warning)
    };
    checker.feature_items.iter().filter_map(unread).collect()
}

/// What features, rules, policies and `record` name, whether or not that could be used.
fn names_read(files: &[ast::File]) -> BTreeSet<&str> {
    let mut read = BTreeSet::new();
    let mut note = |expr| {
        for_each_path(expr, &mut |path: &ast::Path| {
            read.extend(path.names.last().map(|it| it.text.as_str()));
        });
    };
    let mut recorded = BTreeSet::new();
    for item in files.iter().flat_map(|it| &it.items) {
        match item {
            ast::Item::Feature(it) => note(&it.value),
            ast::Item::Rule(it) => {
                note(&it.when);
                it.effects.iter().filter_map(score_written).for_each(&mut note);
            }
            ast::Item::Policy(it) => it.lines.iter().for_each(|it| note(&it.when)),
            ast::Item::Record(names) => recorded.extend(names.iter().map(|it| it.text.as_str())),
            _ => {}
        }
    }
    read.append(&mut recorded);
    read
}

fn score_written(effect: &ast::Effect) -> Option<&ast::Expr> {
    match &effect.kind {
        ast::EffectKind::Score { value, .. } => Some(value),
        _ => None,
    }
}

fn scores(effects: &[Effect]) -> impl Iterator<Item = &Expr> {
    effects.iter().filter_map(|it| match it {
        Effect::Score(expr) => Some(expr),
        _ => None,
    })
}

fn window_beyond_keep(checker: &Checker<'_>, feature: &Feature) -> Option<Diagnostic> {
    let aggregate = feature.aggregate()?;
    let keep = checker.schema.keep;
    if reach(aggregate)? <= keep {
        return None;
    }
    let message = format!("`{}` looks back further than the schema's `keep`", feature.name);
    let kept = duration(keep);
    let help =
        format!("all of it is kept, and takes memory: the `keep` of {kept} is for features without a window");
    Some(warning(Code::WindowBeyondKeep, feature.span, message, help))
}

fn fires(known: &Known<'_>, rule: &Rule) -> Option<Diagnostic> {
    if rule.mode == Mode::Off {
        return None;
    }
    let (code, word, help) = match Claim::of(&rule.when, known).settled(known, &rule.on)? {
        true => (Code::AlwaysFires, "always", "a rule that fires on everything says nothing about fraud"),
        false => (Code::NeverFires, "never", "a rule to be kept for later can be `off`"),
    };
    Some(warning(code, rule.span, format!("`{}` {word} fires", rule.name), help))
}

/// `amount > max(payment.amount) by user over 1d`: the window holds the very amount that is compared with it.
fn own_extreme(checker: &Checker<'_>, expr: &Expr, types: &[EventTypeId], span: Span) -> Option<Diagnostic> {
    let mut found: Option<(FieldId, String)> = None;
    expr.visit_scope(&mut |it| {
        let (ExprKind::Compare(_, left, right) | ExprKind::Arithmetic(Operator::Subtract, left, right)) =
            &it.kind
        else {
            return;
        };
        for (fields, features) in [(left, right), (right, left)] {
            let own = own_window(checker, fields, features, types);
            found = found.take().or(own);
        }
    });
    let (field, feature) = found?;
    let field = checker.schema.field(field).map_or("?", |it| it.name.as_str());
    let message = format!("`{field}` is compared with `{feature}`, which includes it");
    let help = format!("add `before` to `{feature}`, so that it is compared with what was usual until now");
    Some(warning(Code::OwnExtreme, span, message, help))
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
        let Some(aggregate) = feature.aggregate() else { return };
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
fn block_on_novelty(checker: &Checker<'_>, rule: &Rule) -> Option<Diagnostic> {
    if !rule.effects.iter().any(|it| matches!(it, Effect::Block { .. })) {
        return None;
    }
    let name = &novelty(checker, &rule.when)?.name;
    let message =
        format!("`{}` blocks what `{name}` has not seen, and a blocked try counts as seen", rule.name);
    let help = format!("write `over 90d where accepted` in `{name}`, or the second try passes");
    Some(warning(Code::BlockOnNovelty, rule.span, message, help))
}

/// A feature by which a condition holds of what was not seen; one that was seen may block as well tomorrow.
fn novelty<'c>(checker: &'c Checker<'_>, condition: &'c Expr) -> Option<&'c Feature> {
    let mut seen = BTreeSet::new();
    let mut open = vec![(condition, true)];
    while let Some((expr, holds)) = open.pop() {
        match &expr.kind {
            ExprKind::Not(operand) => open.push((operand, !holds)),
            ExprKind::Compare(comparison, left, right) => {
                let flag = [left, right].into_iter().find_map(|it| match it.kind {
                    ExprKind::Const(Value::Flag(flag)) => Some(flag),
                    _ => None,
                });
                let same = flag.is_none_or(|it| it == (*comparison == Comparison::Equal));
                open.extend([left, right].map(|it| (it.as_ref(), holds == same)));
            }
            ExprKind::Feature(id) if seen.insert((*id, holds)) => {
                let feature = checker.features.get(id.index())?;
                match &feature.definition {
                    Definition::Expr(inner) => open.push((inner, holds)),
                    Definition::Aggregate(it) if holds && counts_blocked(it) => return Some(feature),
                    Definition::Aggregate(_) => {}
                }
            }
            // What is missing was not seen anew.
            ExprKind::IsMissing(_) => {}
            _ => open.extend(expr.children().into_iter().map(|it| (it, holds))),
        }
    }
    None
}

fn counts_blocked(aggregate: &Aggregate) -> bool {
    aggregate.function == AggregateFunction::FirstSeen
        && !aggregate.condition.as_ref().is_some_and(reads_accepted)
}

/// The features that a condition stands on, of events now: not what they read of the past.
fn reached<'c>(checker: &'c Checker<'_>, condition: &'c Expr) -> Vec<&'c Feature> {
    let mut found: Vec<&Feature> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![condition];
    while let Some(expr) = open.pop() {
        expr.visit(&mut |it| {
            let ExprKind::Feature(id) = it.kind else { return };
            let Some(feature) = checker.features.get(id.index()).filter(|_| seen.insert(id)) else { return };
            found.push(feature);
            if let Definition::Expr(inner) = &feature.definition {
                open.push(inner);
            }
        });
    }
    found
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
        ExprKind::Compare(comparison, left, right) => {
            let (comparison, asked) = match (&left.kind, &right.kind) {
                (ExprKind::Score, ExprKind::Const(Value::Exact(asked))) => (*comparison, asked),
                (ExprKind::Const(Value::Exact(asked)), ExprKind::Score) => (comparison.mirrored(), asked),
                _ => return None,
            };
            match comparison {
                Comparison::GreaterOrEqual | Comparison::Equal => Some(*asked),
                Comparison::Greater => asked.checked_add(1),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The most that the live rules can add up to on any of these types, in millionths; none where an expression says
/// how much, or a rule failed.
pub(super) fn score_reached_e6(rules: &[Option<Rule>], types: &[EventTypeId]) -> Option<i128> {
    let rules: Vec<&Rule> = rules.iter().map(Option::as_ref).collect::<Option<_>>()?;
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
