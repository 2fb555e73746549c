//! Which constructs of the language a rule set has, by name, so that a test can count them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use crate::typed::*;

/// All that must turn up.
pub(super) const ALL: &[&str] = &[
    // aggregates and their clauses
    "Count",
    "Sum",
    "Mean",
    "Min",
    "Max",
    "Stddev",
    "Distinct",
    "Ratio",
    "First",
    "Last",
    "FirstSeen",
    "TimeSince",
    "Speed",
    "pair",
    "pair of one role",
    "via",
    "pair via",
    "over",
    "no window",
    "before",
    "delay",
    "where",
    "this",
    "any",
    "nameless",
    "captured",
    "twin",
    "captured twin",
    "alias",
    "Outcome",
    "Challenge",
    "Result",
    "Label",
    "Accepted",
    // expressions
    "Const",
    "Text",
    "EntityId",
    "Field",
    "EventType",
    "Time",
    "Feature",
    "This",
    "Score",
    "Not",
    "And",
    "Or",
    "Between",
    "wraps",
    "OneOf",
    "Listed",
    "ListedValue",
    "TableValue",
    "IsMissing",
    "Coalesce",
    "Negate",
    "Rescale",
    "ToReal",
    "Equal",
    "NotEqual",
    "Less",
    "LessOrEqual",
    "Greater",
    "GreaterOrEqual",
    "Add",
    "Subtract",
    "Multiply",
    "Divide",
    "call Hour",
    "call Weekday",
    "call Weekend",
    "call Night",
    "call Min",
    "call Max",
    "call Abs",
    "call Distance",
    // rules
    "Live",
    "Shadow",
    "Off",
    "share",
    "from",
    "until",
    "tell",
    "rule Block",
    "rule Challenge",
    "rule Allow",
    "rule Score",
    "rule Alert",
    "rule Tag",
    "rule Freeze",
    "rule Delay",
    "rule Add",
    "rule Remove",
    "always",
    "factors",
    "no factors",
    "once per",
    "record",
    // policies
    "plain policy",
    "policy on",
    "policy Block",
    "policy Challenge",
    "policy Alert",
    "deadline",
    "valid for",
];

/// The names of the constructs that a rule set has.
pub(super) fn constructs(rules: &RuleSet) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut known: BTreeMap<[u8; 16], Captured> = BTreeMap::new();
    for feature in &rules.features {
        let first = known.get(&feature.hash);
        add(&mut found, "twin", first.is_some());
        add(&mut found, "captured twin", first.is_some_and(|it| *it != Captured::No));
        let other =
            matches!(&feature.definition, Definition::Expr(it) if matches!(it.kind, ExprKind::Feature(_)));
        add(&mut found, "alias", other && first.is_none());
        known.entry(feature.hash).or_insert(feature.captured);
        add(&mut found, "captured", feature.captured != Captured::No);
        add(&mut found, "nameless", feature.name.contains('.'));
        match &feature.definition {
            Definition::Expr(it) => of_expr(it, &mut found),
            Definition::Aggregate(it) => of_aggregate(it, &mut found),
        }
    }
    rules.rules.iter().for_each(|it| of_rule(it, &mut found));
    rules.policies.iter().for_each(|it| of_policy(it, &mut found));
    add(&mut found, "record", !rules.record.is_empty());
    found
}

fn add(found: &mut BTreeSet<String>, name: &str, there: bool) {
    if there {
        found.insert(name.to_owned());
    }
}

/// The first word of how something is debugged: its variant.
fn variant(it: &impl Debug) -> String {
    let text = format!("{it:?}");
    text.split(|it: char| !it.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

fn of_aggregate(it: &Aggregate, found: &mut BTreeSet<String>) {
    use AggregateFunction as F;
    let looks_back = matches!(it.function, F::First | F::Last | F::FirstSeen | F::TimeSince | F::Speed);
    found.insert(variant(&it.function));
    add(found, "pair", it.by.len() == 2);
    add(found, "pair of one role", matches!(it.by.as_slice(), [one, other] if one == other));
    add(found, "via", it.by != it.via);
    add(found, "pair via", it.by.len() == 2 && it.by != it.via);
    add(found, "over", it.over.is_some());
    add(found, "no window", it.over.is_none());
    add(found, "before", it.before && !looks_back);
    add(found, "delay", it.delay.is_some());
    add(found, "where", it.condition.is_some());
    add(found, "this", it.reads_this);
    add(found, "any", 1 < it.of.len());
    [&it.argument, &it.condition, &it.numerator].into_iter().flatten().for_each(|it| of_expr(it, found));
}

fn of_expr(expr: &Expr, found: &mut BTreeSet<String>) {
    expr.visit(&mut |it| {
        found.insert(match &it.kind {
            ExprKind::Compare(comparison, ..) => variant(comparison),
            ExprKind::Arithmetic(operator, ..) => variant(operator),
            ExprKind::Mutable(column) => variant(column),
            ExprKind::Call(function, _) => format!("call {}", variant(function)),
            ExprKind::Between { wraps: true, .. } => "wraps".to_owned(),
            kind => variant(kind),
        });
    });
}

fn of_rule(rule: &Rule, found: &mut BTreeSet<String>) {
    found.insert(variant(&rule.mode));
    add(found, "share", rule.rollout.is_some());
    add(found, "from", rule.from.is_some());
    add(found, "until", rule.until.is_some());
    add(found, "tell", rule.tell.is_some());
    of_expr(&rule.when, found);
    of_effects("rule", &rule.effects, found);
}

fn of_policy(policy: &Policy, found: &mut BTreeSet<String>) {
    add(found, "plain policy", policy.on.is_empty());
    add(found, "policy on", !policy.on.is_empty());
    add(found, "deadline", policy.deadline.is_some());
    add(found, "valid for", policy.valid_for.is_some());
    for line in &policy.lines {
        of_expr(&line.when, found);
        of_effects("policy", &line.effects, found);
    }
}

fn of_effects(place: &str, effects: &[Effect], found: &mut BTreeSet<String>) {
    for effect in effects {
        found.insert(format!("{place} {}", variant(effect)));
        match effect {
            Effect::Score(expr) => of_expr(expr, found),
            Effect::Block { always } => add(found, "always", *always),
            Effect::Alert { once, .. } => add(found, "once per", once.is_some()),
            Effect::Challenge { factors, always } => {
                add(found, "always", *always);
                add(found, "factors", !factors.is_empty());
                add(found, "no factors", factors.is_empty());
            }
            _ => {}
        }
    }
}
