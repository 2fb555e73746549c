//! A snapshot read by another rule set than the one that it was written under.

use engine::lists::ValueLists;

use super::feed::{DECISIONS, FEATURES, SCHEMA, compile, feeds, rule_set};
use super::*;

/// The features that `DECISIONS` and these tests need, the others left out, in another order, some under another name,
/// behind a list that is new.
fn fewer() -> Arc<RuleSet> {
    let mut lines: Vec<&str> = FEATURES.lines().filter(|line| line.starts_with("feature")).collect();
    let dropped = ["odd_7d", "tiny_1d", "senders", "oldest", "devices", "fast"];
    lines.retain(|line| dropped.iter().all(|name| !line.contains(&format!("feature {name} "))));
    lines.reverse();
    let features = lines.join("\n").replace("feature idle ", "feature quiet_for ");
    let head = "use schema pay\nlist new_here : device\nlist watched : user\n";
    compile(SCHEMA, &format!("{head}{features}\n{DECISIONS}"))
}

/// The schema with an event type, a field and an enum more. That an event at a merchant is a payment went without saying
/// before, so no bit was kept for it; now one is.
fn grown() -> Arc<RuleSet> {
    let schema = SCHEMA.replace("  place: place?\n", "  place: place?\n  way: way?\n");
    let schema = schema.replace("schema pay 1", "schema pay 2");
    let schema = schema.replace("event payment", "enum way = app, web\nevent payment");
    let schema = format!("{schema}event visit\n  user: user\n  merchant: merchant\n");
    compile(&schema, &format!("{FEATURES}{DECISIONS}"))
}

/// What two answers must agree in although their rule sets count features differently.
fn seen(answer: &Answer) -> (Option<u64>, String) {
    match answer {
        Answer::Decided { position, ruling, features } => {
            let verdict = (&ruling.verdict, ruling.flags);
            (Some(*position), format!("{verdict:?} {features:?}"))
        }
        other => (None, format!("{other:?}")),
    }
}

/// Runs a feed under one rule set and goes on under another; from there on all must be as if that one had seen all.
fn check_handed_over(theirs: &Arc<RuleSet>, ours: &Arc<RuleSet>, items: &[Item], cut: usize) {
    let straight = run(&new_gate(ours), items);
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let gate = new_gate(theirs);
    run(&gate, &items[..cut]);
    write(&dir, &gate, &Extra::new()).unwrap();
    let restored = restore(&dir, ours).unwrap().unwrap();
    let rest = run(&restored.gate, &items[cut..]);
    for (at, (straight, rest)) in straight[cut..].iter().zip(&rest).enumerate() {
        assert_eq!(seen(straight), seen(rest), "item {at} after {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_rule_set_that_needs_less_goes_on(items in feeds(100), cut in 0..100_usize) {
        let cut = cut.min(items.len());
        check_handed_over(&rule_set(), &fewer(), &items, cut);
    }

    /// The event types that were there keep their numbers, so the same feed will do.
    #[test]
    fn a_schema_that_grew_goes_on(items in feeds(60), cut in 0..60_usize) {
        let cut = cut.min(items.len());
        check_handed_over(&rule_set(), &grown(), &items, cut);
    }
}

/// What a snapshot written under one rule set says to another.
#[track_caller]
fn check_refused(theirs: &Arc<RuleSet>, ours: &Arc<RuleSet>, expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let dir = DataDir::open(folder.path()).unwrap();
    let path = write(&dir, &new_gate(theirs), &Extra::new()).unwrap();
    let error = restore(&dir, ours).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error.replace(&path.display().to_string(), "FILE"), expected);
    assert!(path.exists(), "it is not damaged, so it stays where it is");
}

#[test]
fn a_rule_set_that_needs_more_is_told_which_features_have_no_state() {
    check_refused(
        &fewer(),
        &rule_set(),
        "snapshot `FILE` holds no state for features `tiny_1d`, `odd_7d`, `senders`, `devices`, `oldest`, `fast`: go \
         back to the rules that it was made under, or build the state again from the first file on, in another \
         directory",
    );
    let wider = format!("{FEATURES}{DECISIONS}").replace("by user over 1h\n", "by user over 2h\n");
    check_refused(
        &rule_set(),
        &compile(SCHEMA, &wider),
        "snapshot `FILE` holds no state for feature `n_1h`: go back to the rules that it was made under, or build the \
         state again from the first file on, in another directory",
    );
}

#[test]
fn a_schema_whose_numbers_mean_something_else_is_refused() {
    let rules = format!("{FEATURES}{DECISIONS}");
    let told = |(theirs, ours): (u32, u32), what: &str| {
        format!(
            "snapshot `FILE` was made under schema `pay` {theirs}, which `pay` {ours} does not contain ({what}; nothing \
             there may change, and what is new goes behind the rest): go back to that schema, or start from nothing in \
             another directory"
        )
    };
    let next = SCHEMA.replace("schema pay 1", "schema pay 2");
    let kinds =
        next.replace("entity device shared\nentity merchant", "entity merchant shared\nentity device");
    let what = "the list of kinds is not as it was: `device` has moved";
    check_refused(&rule_set(), &compile(&kinds, &rules), &told((1, 2), what));
    let fields = next.replace("  amount: money\n  place", "  note: text(9)?\n  amount: money\n  place");
    let what = "event type `payment` is not as it was: `amount` has moved";
    check_refused(&rule_set(), &compile(&fields, &rules), &told((1, 2), what));
    let required = next.replace("  place: place?\n", "  place: place\n");
    let what = "event type `payment` is not as it was: `place: place?` has become `place: place`";
    check_refused(&rule_set(), &compile(&required, &rules), &told((1, 2), what));
    let shrunk = SCHEMA.replace("schema pay 1", "schema pay 3");
    let what = "the list of event types is not as it was: `visit` is gone";
    check_refused(&grown(), &compile(&shrunk, &rules), &told((2, 3), what));
}

#[test]
fn a_schema_that_grew_under_the_same_version_is_refused() {
    let more = format!("{SCHEMA}event visit\n  user: user\n");
    check_refused(
        &rule_set(),
        &compile(&more, &format!("{FEATURES}{DECISIONS}")),
        "snapshot `FILE` was made under schema `pay` 1, and this one has other entity kinds, event types or enums under \
         version 1: a changed schema has a version above 1",
    );
}

#[test]
fn another_hash_key_is_refused() {
    let typed = rule_set().typed.clone();
    let other = RuleSet::new(typed, HashKey::new([8; 16]), ValueLists::default()).unwrap();
    check_refused(
        &rule_set(),
        &Arc::new(other),
        "snapshot `FILE` was made under another hash key: compile the rules under the key that it holds",
    );
}
