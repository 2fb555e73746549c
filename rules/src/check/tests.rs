//! Types, missing, hashes: many rows through one function each. What is said of errors stands in the golden files.

use proptest::prelude::*;

use super::check;
use crate::diagnostic::{Code, Source, has_errors};
use crate::syntax::{ast::Item, parse};
use crate::testing;
use crate::typed::{
    Captured, Definition, Expr, ExprKind, Feature, MutableColumn, Numeric, RuleSet, TestStep, Type,
};
use crate::value::Value;

const SCHEMA: &str = include_str!("../../tests/golden/ok/demo.schema.weir");

fn rule_set(rules: &str) -> RuleSet {
    let text = format!("use schema demo\n{rules}");
    testing::rule_set(SCHEMA, &text)
}

fn named<'r>(rules: &'r RuleSet, name: &str) -> &'r Feature {
    rules.features.iter().find(|it| it.name == name).unwrap()
}

fn exact(scale: u8, digits: u8) -> Numeric {
    Numeric::Exact { scale, digits }
}

/// The type of an expression as messages would shorten it: dimension, scale and digits, `?` if it may be missing.
fn describe(feature: &Feature) -> String {
    let held = |numeric| match numeric {
        Numeric::Real => "real".to_owned(),
        Numeric::Exact { scale, digits } => format!("{scale}/{digits}"),
    };
    let ty = match feature.ty {
        Type::Number(numeric) => format!("number {}", held(numeric)),
        Type::Money(currency, numeric) => format!("{} {}", currency.code(), held(numeric)),
        Type::Duration(numeric) => format!("duration {}", held(numeric)),
        other => format!("{other:?}").to_lowercase(),
    };
    format!("{ty}{}", if feature.optional { "?" } else { "" })
}

#[test]
fn every_expression_has_its_type_scale_and_digits() {
    let rows = [
        ("5", "number 0/1"),
        ("5.00", "number 0/1"),
        ("100", "number 0/3"),
        ("0.25", "number 2/2"),
        ("5%", "number 2/1"),
        ("10%", "number 1/1"),
        ("-3", "number 0/1"),
        ("2.00 EUR", "EUR 0/3"),
        ("2 JPY", "JPY 0/1"),
        ("10m", "duration 0/9"),
        ("900 km/h", "speed"),
        ("500 metres", "distance"),
        ("amount", "EUR 0/14"),
        ("dollars", "USD 0/14?"),
        ("risk", "number 4/14?"),
        ("amount + 1.00 EUR", "EUR 0/15"),
        ("amount * 1.5", "EUR 1/16"),
        ("risk + 0.5", "number 4/15?"),
        ("risk * risk", "number 8/28?"),
        // 42 digits would not fit
        ("risk * risk * risk", "number real?"),
        ("amount / 2", "EUR real"),
        ("amount / amount", "number real?"),
        ("amount - amount / 2", "EUR real"),
        ("time - 1h", "time"),
        ("time - due", "duration 0/17?"),
        ("risk ?? 0", "number 4/14"),
        ("risk ?? amount / amount", "number real?"),
        ("urgent ?? false", "flag"),
        ("not urgent", "flag?"),
        ("urgent is missing", "flag"),
        ("risk in 0 .. 1", "flag"),
        ("risk > 0.5 and urgent", "flag?"),
        ("max(amount, 1.00 EUR)", "EUR 0/14"),
        ("max(risk, 0.123456)", "number 6/16?"),
        ("abs(amount - 5.00 EUR)", "EUR 0/15"),
        ("hour(time)", "number 0/2"),
        ("weekend(time)", "flag"),
        ("distance(place, place(29.56, 106.55))", "distance?"),
        ("count(pay) by user over 1h", "number 0/13"),
        ("count(pay) by card over 1h", "number 0/13?"),
        ("sum(pay.amount) by user over 1h", "EUR 0/28"),
        ("sum(pay.risk) by user over 1h", "number 4/28"),
        ("sum(pay.amount / 2) by user over 1h", "EUR real"),
        ("mean(pay.amount) by user over 1h", "EUR real?"),
        ("stddev(pay.n) by user over 1h", "number real?"),
        ("min(pay.amount) by user over 1h", "EUR 0/14?"),
        ("max(pay.time) by user over 1h", "time?"),
        ("distinct(pay.card) by user over 1h", "number 0/13"),
        ("ratio(pay where amount > 1.00 EUR) by user over 1h", "number real?"),
        ("last(pay.card) by user", "entity(kindid(1))?"),
        ("first_seen(card) by user", "flag?"),
        ("first_seen(shop) by user", "flag"),
        ("time_since(login) by user", "duration 0/17?"),
        ("speed(place) by user", "speed?"),
        ("1 + (count(pay) by shop over 1h)", "number 0/14"),
    ];
    for (expression, expected) in rows {
        let rules = rule_set(&format!("feature x = {expression}\n"));
        assert_eq!(describe(named(&rules, "x")), expected, "{expression}");
    }
}

#[test]
fn operands_meet_at_one_scale() {
    let rules = rule_set("feature x = (risk ?? 0) > 0.5\nfeature y = (amount / amount) > 3\n");
    let Definition::Expr(Expr { kind: ExprKind::Compare(_, left, right), .. }) =
        &named(&rules, "x").definition
    else {
        panic!("a comparison")
    };
    assert_eq!(left.ty, Type::Number(exact(4, 14)));
    assert_eq!(right.kind, ExprKind::Const(Value::Exact(5_000)));
    let Definition::Expr(Expr { kind: ExprKind::Compare(_, _, right), .. }) = &named(&rules, "y").definition
    else {
        panic!("a comparison")
    };
    assert!(matches!(right.kind, ExprKind::ToReal(_, 0)));
}

#[test]
fn scores_are_at_scale_six_or_real() {
    let rows = [
        ("+ 40", ExprKind::Const(Value::Exact(40_000_000))),
        ("- 0.5", ExprKind::Const(Value::Exact(-500_000))),
    ];
    for (score, expected) in rows {
        let rules = rule_set(&format!("rule r \"x\" on pay when n > 1 then score {score}\n"));
        let crate::typed::Effect::Score(found) = &rules.rules[0].effects[0] else { panic!("a score") };
        assert_eq!(found.kind, expected, "{score}");
    }
}

#[test]
fn features_stand_after_those_they_read_and_nameless_ones_before_what_they_stand_in() {
    let rules = rule_set(
        "feature a = b + (count(pay) by user over 1h)\nfeature b = c + 1\nfeature c = 1\nrule r \"x\" on pay \
         when a > 1 and (count(pay) by user over 2h) > 3 then block\n",
    );
    let names: Vec<&str> = rules.features.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["c", "b", "a.1", "a", "r.1"]);
    let order: Vec<&str> = rules.feature_order.iter().map(|it| names[it.index()]).collect();
    assert_eq!(order, ["a", "b", "c"]);
}

#[test]
fn domains_are_the_types_that_have_what_is_read() {
    let rows = [
        ("amount > 1.00 EUR", vec!["pay", "send"]),
        ("count(login) by user over 1h", vec!["pay", "send", "login"]),
        ("count(pay) by shop over 1h", vec!["pay"]),
        ("count(pay) by user over 1h where shop == this.shop", vec!["pay"]),
        ("count(send) by user via payee over 1h", vec!["pay", "send", "login"]),
        ("first_seen(payee) by user", vec!["send"]),
        ("speed(place) by user", vec!["pay", "login"]),
        ("hour(time)", vec!["pay", "send", "login"]),
    ];
    for (expression, expected) in rows {
        let rules = rule_set(&format!("feature x = {expression}\n"));
        let domain = &named(&rules, "x").domain;
        let names: Vec<&str> =
            domain.iter().map(|it| rules.schema.events[it.index()].name.as_str()).collect();
        assert_eq!(names, expected, "{expression}");
    }
}

#[test]
fn a_role_equal_to_the_current_one_is_a_pair() {
    let rules = rule_set(
        "feature x = count(pay) by user over 1h where shop == this.shop and amount > 1.00 EUR\n\
         feature y = count(pay) by (user, shop) over 1h where amount > 1.00 EUR\n",
    );
    let Definition::Aggregate(pair) = &named(&rules, "x").definition else { panic!("an aggregate") };
    assert_eq!((pair.by.len(), pair.reads_this), (2, false));
    assert_eq!(named(&rules, "x").hash, named(&rules, "y").hash);
}

#[test]
fn a_value_of_an_outcome_may_be_called_like_what_becomes_known() {
    let x = |condition: &str| {
        let rules = rule_set(&format!("feature x = count(pay) by user over 1h before where {condition}\n"));
        named(&rules, "x").definition.clone()
    };
    let Definition::Aggregate(it) = x("outcome == challenge") else { panic!("an aggregate") };
    let Some(Expr { kind: ExprKind::Compare(_, left, right), .. }) = &it.condition else {
        panic!("one test")
    };
    assert_eq!(left.kind, ExprKind::Mutable(MutableColumn::Outcome));
    assert_eq!(right.kind, ExprKind::Const(Value::Exact(1)));
    let Definition::Aggregate(it) = x("outcome in [allow, challenge]") else { panic!("an aggregate") };
    assert!(matches!(&it.condition, Some(Expr { kind: ExprKind::OneOf(_, items), .. }) if items.len() == 2));
}

#[test]
fn what_a_past_condition_reads_is_captured() {
    let rules = rule_set(
        "feature odd = amount > 5.00 EUR\nfeature plain = amount > 6.00 EUR\n\
         feature n_odd = count(pay) by user over 1h where odd and not this.plain\n",
    );
    assert_eq!(named(&rules, "odd").captured, Captured::Own);
    assert_eq!(named(&rules, "plain").captured, Captured::No);
}

/// The hash of feature `x`, and that of the whole rule set.
fn hashes(rules: &str) -> ([u8; 16], [u8; 32]) {
    let rules = rule_set(rules);
    (named(&rules, "x").hash, rules.hash)
}

#[test]
fn a_feature_s_hash_is_its_meaning() {
    let base = "const tiny = 2.00 EUR\nfeature y = amount / 2\nfeature x = count(pay) by user over 1h where y > tiny\n";
    let (feature, whole) = hashes(base);
    let same = [
        base.replace('\n', " // said\n"),
        base.replace("tiny", "small"),
        base.replace("2.00 EUR", "2 EUR"),
        base.replace("feature y", "feature z = 1\nfeature y"),
        base.replace("feature y = ", "feature half = ").replace("where y", "where half"),
        format!("{base}test \"t\" when pay n 1 amount 5.00 EUR then allow\n"),
        "feature x = count(pay) by user over 60m where y > 2.00 EUR feature y = amount / 2".to_owned(),
    ];
    for text in same {
        assert_eq!(hashes(&text).0, feature, "{text}");
    }
    let other = [
        base.replace("1h", "2h"),
        base.replace("by user", "by card"),
        base.replace("amount / 2", "amount / 3"),
        base.replace("2.00", "3.00"),
        base.replace("y > tiny", "not (y > tiny)"),
        base.replace("1h where", "1h before where"),
    ];
    for text in other {
        assert_ne!(hashes(&text).0, feature, "{text}");
    }
    // The same digits at another scale.
    for (one, other) in [
        ("amount * 1.5", "amount * 15%"),
        ("1.5", "15%"),
        ("amount * min(1.5, 2.5)", "amount * min(15%, 25%)"),
    ] {
        let of = |x: &str| hashes(&format!("feature x = {x}\n")).0;
        assert_ne!(of(one), of(other), "{one}");
        let mean = |of: &str| hashes(&format!("feature x = mean(pay.amount * {of}) by user over 1h\n")).0;
        assert_ne!(mean("1.5"), mean("15%"));
    }
    assert_eq!(hashes(&base.replace('\n', " // said\n")).1, whole);
    assert_ne!(hashes(&format!("{base}rule r \"x\" on pay when n > 1 then block\n")).1, whole);
}

/// Each of these was once refused, or meant something else.
#[test]
fn what_is_written_plainly_is_taken() {
    let schema = "schema s 1\nzone \"UTC\"\ncurrency EUR\nentity user\nentity card shared\nenum method = card, bank\n\
                  enum channel = app, web\nevent pay\n  user: user\n  amount: money\n  fee: money?\n  due: time?\n  \
                  method: method\n  channel: channel?\nevent bind\n  user: user\n  card: card\n";
    let accepted = [
        // An hour has a name, or something stands in for it: it still goes round midnight.
        "feature h = hour(time)\nrule r \"x\" on pay when h in 22 .. 5 then tag t",
        "rule r \"x\" on pay when (hour(due) ?? 12) in 22 .. 5 then tag t",
        "feature d = weekday(time)\nrule r \"x\" on pay when d in sat .. mon then tag t",
        // A value of an enum that is a field's name elsewhere.
        "feature by_card = method == card\nrule r \"x\" on pay when by_card then tag t",
        // What is divided by a constant is missing where it is missing itself.
        "feature half = fee / 2\nrule r \"x\" on pay when fee is not missing and half > 1.00 EUR then tag t",
        // A value before what it is compared with, and what stands in for that.
        "rule r \"x\" on pay when app == channel ?? web then tag t",
    ];
    for rules in accepted {
        let text = format!("use schema s\n{rules}\n");
        let sources =
            [Source { name: "s.schema.weir", text: schema }, Source { name: "r.weir", text: &text }];
        let checked = check(&sources);
        assert!(
            checked.diagnostics.is_empty() && checked.rule_set.is_some(),
            "{rules}: {:?}",
            checked.diagnostics
        );
    }
}

/// State is kept under these: should the canonical form change by accident, this says so.
#[test]
fn hashes_stay_what_they_were() {
    let (feature, _) = hashes("feature x = sum(pay.amount) by user over 1d before where accepted\n");
    let hex: String = feature.iter().map(|it| format!("{it:02x}")).collect();
    expect_test::expect!["ea013fae0140338372beb8661f81f03c"].assert_eq(&hex);
}

#[test]
fn a_test_s_clock_moves_with_its_steps() {
    let rules = rule_set(
        "list watched : user\ntest \"t\"\n  given pay user u amount 5.00 EUR n 1, 3 times every 10s\n  \
         given u in watched at \"2026-01-06 12:00\"\n  when pay amount 5.00 EUR n 1 after 1h\n  then allow\n",
    );
    let times: Vec<i64> = rules.tests[0]
        .steps
        .iter()
        .map(|it| match it {
            TestStep::Event(event) => event.time,
            TestStep::Amend { time, .. } | TestStep::List { time, .. } => *time,
        })
        .collect();
    let noon = 1_767_614_400_000_000;
    let seconds: Vec<i64> = times.iter().map(|it| (it - noon) / 1_000_000).collect();
    assert_eq!(seconds, [0, 10, 20, 86_400, 90_000]);
}

proptest! {
    /// Whatever is cut out of, doubled in or swapped within a rule file: an answer, and an error or a rule set.
    #[test]
    fn no_text_brings_the_checker_down(cuts in prop::collection::vec((0_usize..4_000, 0_usize..60, 0_usize..4_000), 0..6)) {
        let mut words: Vec<&str> = include_str!("../../tests/golden/ok/demo.weir").split_inclusive(' ').collect();
        for (from, len, to) in cuts {
            let from = from % words.len();
            let piece: Vec<&str> = words.drain(from..(from + len).min(words.len())).collect();
            let to = to % (words.len() + 1);
            if len % 3 != 0 {
                words.splice(to..to, piece);
            }
            if words.is_empty() {
                words.push("feature ");
            }
        }
        let text = words.concat();
        let checked = check(&[Source { name: "schema", text: SCHEMA }, Source { name: "rules", text: &text }]);
        prop_assert_eq!(checked.rule_set.is_none(), has_errors(&checked.diagnostics));
        let helpless = checked.diagnostics.iter().find(|it| it.help.is_empty());
        prop_assert!(helpless.is_none(), "{:?} in {}", helpless, text);
        // What failed in silence would be missing.
        if let Some(rules) = checked.rule_set {
            let items = parse(&text).ast.items;
            let count = |is: fn(&Item) -> bool| items.iter().filter(|it| is(it)).count();
            prop_assert_eq!(rules.rules.len(), count(|it| matches!(it, Item::Rule(_))));
            prop_assert_eq!(rules.feature_order.len(), count(|it| matches!(it, Item::Feature(_))));
        }
    }
}

#[test]
fn features_stand_on_each_other_only_so_deep() {
    let chain = |steps: usize| -> String {
        let step = |it: usize| format!("feature f{it} = f{} + 1\n", it + 1);
        (0..steps).map(step).chain([format!("feature f{steps} = 1\n")]).collect()
    };
    assert_eq!(rule_set(&chain(99)).features.len(), 100);
    let codes = |more: &str, steps: usize| -> Vec<&str> {
        let text = format!("use schema demo\nrecord f0\n{}{more}", chain(steps));
        let checked =
            check(&[Source { name: "schema", text: SCHEMA }, Source { name: "rules", text: &text }]);
        checked.diagnostics.iter().map(|it| it.code.number()).collect()
    };
    assert_eq!(codes("", 10_000), ["E209"]);
    // What stands too deep, and what reads it, is looked at all the same.
    let more = "feature g = f0 + nothing\nrecord g\nrule r \"R\" on pay when f0 == amount then block\n";
    assert_eq!(codes(more, 150), ["E209", "E201", "E302"]);
}

/// Each event of a test is a value in memory: a few lines must not say how many gigabytes.
#[test]
fn tests_give_only_so_many_events() {
    let told = |lines: usize| {
        let given = "  given pay amount 1.00 EUR n 1, 10000 times every 1s\n".repeat(lines);
        let text = format!(
            "use schema demo\nrule r \"R\" on pay when n > 3 then block\ntest \"t\"\n{given}  \
             when pay amount 1.00 EUR n 1 after 1s\n  then not hit r\ntest \"u\"\n  \
             given pay amount 1.00 EUR n 1, 2 times every 1s\n  when pay amount 1.00 EUR n 1 after 1s\n  then not hit r\n"
        );
        let checked =
            check(&[Source { name: "schema", text: SCHEMA }, Source { name: "rules", text: &text }]);
        checked.diagnostics.into_iter().map(|it| it.message).collect::<Vec<_>>()
    };
    assert_eq!(told(9), [] as [String; 0]);
    assert_eq!(told(1_000), ["the tests of a rule set give at most 100000 events together"]);
}

/// Which rules are said to be shadowed, and by which.
fn shadowed(rules: &str) -> Vec<String> {
    let text = format!("use schema demo\nlist watched : user\nlist others : user\n{rules}");
    let checked = check(&[Source { name: "schema", text: SCHEMA }, Source { name: "rules", text: &text }]);
    assert!(!has_errors(&checked.diagnostics), "{rules}: {:?}", checked.diagnostics);
    let told = checked.diagnostics.into_iter().filter(|it| it.code == Code::RuleShadowed);
    told.map(|it| it.message).collect()
}

#[test]
fn a_condition_implies_another() {
    // Whether the second holds wherever the first does.
    let rows = [
        ("n > 5", "n > 5", true),
        ("n > 6", "n > 5", true),
        ("n > 5", "n > 6", false),
        ("n > 5", "n >= 6", true),
        ("n > 5", "n > 5.5", true), // no digits after the point
        ("n > 5.5", "n > 6", false),
        ("n < 3", "n <= 3", true),
        ("5 < n", "n > 5", true),
        ("n == 7", "n > 5", true),
        ("n == 7", "n != 5", true),
        ("n != 5", "n != 6", false),
        ("n in 6 .. 9", "n > 5", true),
        ("n > 5", "n in 6 .. 9", false),
        ("n > 6 and n < 9", "n in 5 .. 9", true),
        ("n in [6, 8]", "n in [8, 6, 7]", true),
        ("n not in [2, 4, 6] and n not in [3, 4]", "n not in [4, 6]", true),
        ("n not in [2, 4, 6] and n not in [3, 4]", "n not in 2 .. 4", true),
        ("n not in [2, 4, 6] and n not in [3, 4]", "n not in 2 .. 6", false),
        ("n in [6, 8]", "n == 6 or n == 8", true),
        ("n == 6 or n == 8", "n in 6 .. 8", true),
        ("not (n > 5)", "n <= 5", true),
        ("not (n > 5 or n < 3)", "n <= 5", true),
        ("n > 5 and amount > 1.00 EUR", "n > 5", true),
        ("n > 5", "n > 5 and amount > 1.00 EUR", false),
        ("n > 5", "n > 5 or amount > 1.00 EUR", true),
        ("n > 5 or amount > 1.00 EUR", "n > 5", false),
        ("n > 5 and n > 5", "n > 5", true),
        ("amount > 9.00 EUR", "n > 9", false),
        ("hour(time) in 23 .. 2", "hour(time) in 22 .. 3", true),
        ("hour(time) in 22 .. 3", "hour(time) in 23 .. 2", false),
        ("hour(time) in 23 .. 2", "hour(time) not in 5 .. 9", true),
        // a stand-in is part of the value
        ("(risk ?? 0) > 0.6", "(risk ?? 0) > 0.5", true),
        ("(risk ?? 0) > 0.6", "(risk ?? 1) > 0.5", false),
        ("(risk ?? 0) > 0.5", "(risk ?? 0) > 0.49", true),
        ("amount / 2 > 6.00 EUR", "amount / 2 > 5.00 EUR", true),
        ("amount / 2 > -5.00 EUR", "amount / 2 > -6.00 EUR", true),
        ("amount / 2 > -6.00 EUR", "amount / 2 > -5.00 EUR", false),
        // missing
        ("risk is not missing and risk > 0.5", "risk is not missing and risk > 0.4", true),
        ("(risk > 0.5) ?? false", "risk is not missing", true),
        ("(risk > 0.5) ?? true", "risk is not missing", false),
        ("risk is not missing and risk > 0.5", "risk is not missing", true),
        ("risk is not missing", "risk is not missing and risk > 0.5", false),
        ("risk is missing", "risk is missing or risk > 0.5", true),
        ("risk is missing or risk > 0.5", "risk is not missing and risk > 0.5", false),
        ("risk in 1 .. 2", "risk is not missing", true),
        ("risk not in 1 .. 2", "risk is not missing", false),
        ("risk not in 1 .. 4", "risk not in 2 .. 3", true),
        ("risk not in 2 .. 3", "risk not in 1 .. 4", false),
        ("risk is not missing and risk > 5", "risk not in 2 .. 3", true),
        ("risk not in 2 .. 3", "risk is not missing and risk != 2.5", false),
        // flags, lists, features
        ("urgent ?? false", "urgent ?? false", true),
        ("urgent ?? false", "urgent ?? true", false),
        ("not (urgent ?? false)", "urgent ?? false", false),
        ("user in watched and n > 5", "user in watched", true),
        ("user in watched", "user in others", false),
        ("many > 5", "many > 4", true),
        ("many > 5", "more > 4", false),
    ];
    let features = "feature many = count(pay) by user over 1h\nfeature more = count(pay) by user over 2h\nrecord many, more\n";
    for (first, second, expected) in rows {
        let rules = format!(
            "{features}rule second \"x\" on pay when {second} then block\nrule first \"x\" on pay when {first} then block\n"
        );
        let told = shadowed(&rules).contains(&"`first` does nothing that `second` does not do".to_owned());
        assert_eq!(told, expected, "where {first} also {second}");
    }
}

/// What it costs grows with the text, not with its square.
#[test]
fn a_condition_may_name_many_values() {
    let even = (1..=50_000).map(|it| (2 * it).to_string()).collect::<Vec<_>>().join(", ");
    let rules = format!("rule r \"R\" on pay when n not in [{even}] and n not in [{even}, 7] then block\n");
    assert_eq!(shadowed(&rules), [] as [&str; 0]);
}

#[test]
fn a_rule_is_shadowed_by_one_that_does_as_much() {
    // The modes, types and effects of two rules of one condition: which are shadowed.
    let rows: [(&str, &str, &[&str]); 26] = [
        ("on pay then block", "on pay then block", &["b"]),
        ("on pay then block", "on pay then challenge", &["b"]),
        ("on pay then challenge", "on pay then block", &["a"]),
        ("on pay then block", "on pay then block always", &["a"]),
        ("on pay then block always", "on pay then challenge always", &["b"]),
        ("on pay then block", "on pay then score +1", &[]),
        ("on pay then block", "on pay then block, score +1", &["a"]),
        ("on pay then allow", "on pay then block, score +1, alert high, tag x", &["b"]),
        ("on pay then allow", "on pay then block always", &[]),
        ("on pay then allow, block always", "on pay then challenge always", &["b"]),
        ("on pay then block", "on pay then allow", &["a"]),
        ("on pay then challenge", "on pay then challenge with passkey", &["a"]),
        ("on pay then challenge with otp", "on pay then challenge with passkey", &["b"]),
        ("on pay then tag x", "on pay then tag y", &[]),
        ("on pay then tag x, tag y", "on pay then tag y", &["b"]),
        ("on pay then alert high", "on pay then alert low once per user 1h", &["b"]),
        ("on pay then alert high once per user 1h", "on pay then alert high once per user 1h", &[]),
        ("on pay then alert low", "on pay then alert high", &["a"]),
        ("on pay then add user to watched", "on pay then add user to watched", &["a"]),
        ("on pay then add user to watched for 1h", "on pay then add user to watched", &[]),
        ("on pay, send then block", "on pay then block", &["b"]),
        ("on pay then block", "on pay, send then block", &["a"]),
        ("shadow on pay then block", "on pay then block", &[]),
        ("on pay then block", "shadow on pay then block", &[]),
        ("on pay then block", "to 10% of user on pay then block", &["b"]),
        ("until 2027-03-31 on pay then block", "until 2027-03-30 on pay then block", &["b"]),
    ];
    for (a, b, expected) in rows {
        let rule = |name, of: &str| {
            format!("rule {name} \"x\" {}\n", of.replace(" then ", " when amount > 5.00 EUR then "))
        };
        let told = shadowed(&format!("{}{}", rule("a", a), rule("b", b)));
        let told: Vec<&str> = told.iter().map(|it| &it[1..2]).collect();
        assert_eq!(told, expected, "{a} / {b}");
    }
}

#[test]
fn what_a_schema_lacks_is_shown_as_it_would_be_written() {
    let rows = [
        ("rule r \"x\" on pay when n > 1 then block", "0..0 begin this one with `use schema wallet`"),
        ("use schema shop", "11..15 give its file too: the one that begins with `schema shop 1`"),
        ("schema s 1\nentity user\nevent pay\n  user: user", "add `currency EUR`"),
        ("schema s 1\ncurrency EUR", "add `entity user`"),
        ("schema s 1\ncurrency EUR\nentity card", "each on a line: `card: card`, `amount: money`"),
    ];
    for (text, expected) in rows {
        let told = check(&[Source { name: "x", text }]).diagnostics;
        let told: Vec<String> = told
            .iter()
            .filter(|it| it.code == Code::SettingMissing)
            .map(|it| format!("{}..{} {}", it.span.start, it.span.end, it.help.concat()))
            .collect();
        assert!(told.iter().any(|it| it.contains(expected)), "{text}: {told:?}");
    }
}
