//! Features that say the same under several names. State is kept under what a feature means, so the first has all of it,
//! and each of the others is computed as that one.
//!
//! What rules, policies and `record` read they go on reading under the name that they say, which decisions show.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::typed::{Aggregate, Captured, Definition, Expr, ExprKind, FeatureId, RuleSet};

/// Has each feature that says what one before it says be computed as that, and features read the first of those that say
/// the same: what is read of the past is then kept once, whoever reads it.
pub(super) fn unite(rule_set: &mut RuleSet) {
    let mut by_hash = BTreeMap::new();
    let all = FeatureId::all().zip(&rule_set.features);
    let first: Vec<FeatureId> = all.map(|(id, it)| *by_hash.entry(it.hash).or_insert(id)).collect();
    let captured = first.iter().zip(&rule_set.features).filter(|(_, it)| it.captured == Captured::Own);
    let captured: Vec<FeatureId> = captured.map(|(first, _)| *first).collect();
    for (at, (feature, first_id)) in rule_set.features.iter_mut().zip(&first).enumerate() {
        feature.captured = Captured::No;
        if first_id.index() == at {
            redirect_all(&mut feature.definition, &first);
        } else {
            let kind = ExprKind::Feature(*first_id);
            feature.definition = Definition::Expr(Expr { kind, ty: feature.ty, optional: feature.optional });
        }
    }
    for id in captured {
        if let Some(feature) = rule_set.features.get_mut(id.index()) {
            feature.captured = Captured::Own;
        }
    }
}

fn redirect_all(definition: &mut Definition, first: &[FeatureId]) {
    match definition {
        Definition::Expr(expr) => redirect(expr, first),
        Definition::Aggregate(aggregate) => {
            let Aggregate { argument, condition, numerator, .. } = aggregate.as_mut();
            [argument, condition, numerator].into_iter().flatten().for_each(|it| redirect(it, first));
        }
    }
}

fn redirect(expr: &mut Expr, first: &[FeatureId]) {
    if let ExprKind::Feature(id) = &mut expr.kind
        && let Some(first) = first.get(id.index())
    {
        *id = *first;
    }
    expr.for_each_child(&mut |it| redirect(it, first));
}

/// Warns about named features that say what one above them says. Of each in [`RuleSet::feature_order`]: its file.
pub(super) fn warnings(rule_set: &RuleSet, files: &[u32]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut names: BTreeMap<[u8; 16], &str> = BTreeMap::new();
    let named = rule_set.feature_order.iter().filter_map(|id| rule_set.feature(*id));
    for (feature, file) in named.zip(files) {
        let first = *names.entry(feature.hash).or_insert(&feature.name);
        if first != feature.name {
            let message = format!("feature `{}` says what `{first}` says", feature.name);
            let help = format!("read `{first}` instead, and leave `{}` out", feature.name);
            found.push(Diagnostic::new(Code::FeatureTwice, feature.span, message).help(help).in_file(*file));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::testing;
    use crate::typed::{Captured, Definition, Expr, ExprKind, FeatureId, RuleSet};

    const SCHEMA: &str = include_str!("../../tests/golden/ok/demo.schema.weir");

    fn rule_set(rules: &str) -> RuleSet {
        testing::rule_set(SCHEMA, &format!("use schema demo\n{rules}"))
    }

    /// Of the named features in file order: which are computed as which, and which are captured.
    #[track_caller]
    fn check(features: &str, twins: &[(&str, &str)], captured: &[&str]) {
        let rules = rule_set(features);
        let named = || rules.feature_order.iter().map(|id| &rules.features[id.index()]);
        let alias = |definition: &Definition| match definition {
            Definition::Expr(Expr { kind: ExprKind::Feature(FeatureId(id)), .. }) => {
                Some(rules.features[usize::from(*id)].name.clone())
            }
            _ => None,
        };
        let found: Vec<_> =
            named().filter_map(|it| Some((it.name.clone(), alias(&it.definition)?))).collect();
        let twins: Vec<_> = twins.iter().map(|(it, of)| (it.to_string(), of.to_string())).collect();
        assert_eq!(found, twins, "{features}");
        let kept: Vec<_> = named().filter(|it| it.captured == Captured::Own).map(|it| &it.name).collect();
        assert_eq!(kept, captured, "{features}");
    }

    #[test]
    fn the_first_of_those_that_say_the_same_has_the_state() {
        let last = |name: &str| format!("feature {name} = last(pay.time) by user\n");
        check(&(last("a") + &last("b")), &[("b", "a")], &[]);
        check(&(last("a") + &last("b") + &last("c")), &[("b", "a"), ("c", "a")], &[]);
        check(&(last("a") + "feature b = last(pay.time) by user over 1d\n"), &[], &[]);
        // What says the same of what says the same says the same.
        let of = |name: &str, n: &str| format!("feature {name} = first_seen(card) by user where {n} > 1\n");
        let counts = "feature m = count(pay) by user over 1h\nfeature o = count(pay) by user over 1h\n";
        check(&(counts.to_owned() + &of("a", "m") + &of("b", "o")), &[("o", "m"), ("b", "a")], &["m"]);
        // One that is read is first, wherever it stands.
        check(
            "feature c = max(pay.b) by user over 1d\nfeature a = amount / 2\nfeature b = amount / 2\n",
            &[("a", "b")],
            &["b"],
        );
    }

    #[test]
    fn other_names_of_one_feature_are_one_feature() {
        let features = "feature a = count(pay) by user over 1h\nfeature b = a\nfeature c = a\n\
            feature d = max(any.c) by user over 1d\n";
        check(features, &[("b", "a"), ("c", "b")], &["b"]);
    }

    #[test]
    fn rules_read_the_name_that_they_say() {
        let text = "feature a = count(pay) by user over 1h\nfeature b = count(pay) by user over 1h\nrecord b\n\
            rule r \"x\" on pay when b > 5 then block\n";
        let rules = rule_set(text);
        let b = rules.feature_order[1];
        assert_eq!(rules.record, [b]);
        let mut read = Vec::new();
        rules.rules[0].when.visit(&mut |it| {
            if let ExprKind::Feature(id) = it.kind {
                read.push(id);
            }
        });
        assert_eq!(read, [b]);
    }
}
