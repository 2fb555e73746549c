//! What is the program's own: computing once and only when needed, rounding, zones, and decisions by table.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::round::{exact_to_e6, real_to_e6};
use super::zone::Zone;
use super::{Frame, Program, Source, Verdict};
use crate::past::Outcome;
use crate::schema::{EventTypeId, FieldId};
use crate::testing;
use crate::time::{DAY, HOUR, SECOND, TIME_MAX};
use crate::typed::{FeatureId, ListId, RuleId, RuleSet};
use crate::value::Value;

const SCHEMA: &str = "schema demo 1\nzone \"UTC\"\ncurrency CNY\nlateness 10m\nkeep 10d\n\
    entity user\nevent payment\n  user: user\n  amount: money\nevent login\n  user: user\n";

fn rule_set(rules: &str) -> RuleSet {
    let text = format!("use schema demo\n{rules}");
    testing::rule_set(SCHEMA, &text)
}

/// Every aggregate is 7; counts what it is asked.
#[derive(Default)]
struct Seven {
    asked: Vec<FeatureId>,
}

impl Source for Seven {
    fn aggregate(&mut self, feature: FeatureId, _: &mut Frame) -> Value {
        self.asked.push(feature);
        Value::Exact(7)
    }
    fn listed(&mut self, _: ListId, _: FieldId) -> bool {
        false
    }
    fn listed_value(&mut self, _: ListId, _: i64) -> bool {
        false
    }
    fn table_value(&mut self, _: ListId, _: FieldId) -> Option<i64> {
        None
    }
    fn in_share(&mut self, rule: RuleId, _: FieldId, share_e6: u32) -> bool {
        rule == RuleId(0) && share_e6 == 100_000
    }
}

/// A payment of 10.00 by user 1 at 2026-01-05 12:00.
fn run(rules: &RuleSet) -> (Verdict, Seven, Frame) {
    let program = Program::compile(rules, &|_| 0);
    let (mut frame, mut source, mut verdict) = (program.frame(), Seven::default(), Verdict::default());
    frame.begin(EventTypeId(0), 1_767_614_400 * SECOND);
    frame.set_field(FieldId(0), Some(1));
    frame.set_field(FieldId(1), Some(1_000));
    program.run(&mut frame, &mut source, &mut verdict);
    (verdict, source, frame)
}

#[test]
fn features_are_computed_once_and_only_when_needed() {
    let rules = rule_set(
        "feature a = count(payment) by user over 1h\n\
         feature b = count(payment) by user over 2h\n\
         feature twice = a + a\n\
         rule one \"\" on payment when a > 0 and twice > 0 then tag x\n\
         rule two \"\" on payment when a < 0 and b > 0 then tag x\n\
         rule three \"\" on payment when a > 0 or b > 0 then tag x\n\
         rule other \"\" on login when b > 0 then tag x\n\
         rule off \"\" off on payment when b > 0 then tag x\n",
    );
    let (verdict, source, frame) = run(&rules);
    assert_eq!(source.asked, [FeatureId(0)], "`b` is never needed");
    assert_eq!(verdict.hits.iter().map(|it| it.rule.0).collect::<Vec<_>>(), [0, 2]);
    let known = rules.feature_order.iter().map(|id| frame.known(*id)).collect::<Vec<_>>();
    assert_eq!(known, [Some(Value::Exact(7)), None, Some(Value::Exact(14))]);
    let program = Program::compile(&rules, &|_| 0);
    assert_eq!(program.rule_reads(RuleId(1)), [rules.feature_order[0], rules.feature_order[1]]);
}

/// However an expression is written, computing it needs little stack: a server's threads have 2 MiB, as those of tests do.
#[test]
fn computing_needs_little_stack() {
    let many = (1..=50_000).map(|it| format!(", {it}")).collect::<String>();
    let nested = |of: &str| format!("{}{of}{}", "(".repeat(40), " + 1) * 1".repeat(40));
    let chain = |it: usize| format!("feature f{it} = {}\n", nested(&format!("f{}", it + 1)));
    let rules = rule_set(&format!(
        "feature n = count(payment) by user over 1h\nfeature most = max(n{many})\n\
         feature least = min(n / 2{many})\nfeature f98 = n\n{}record f0\n\
         rule r \"\" on payment when most == 50000 and least < 2 and f0 == {} then tag x\n",
        (0..98).map(chain).collect::<String>(),
        7 + 98 * 40,
    ));
    let (verdict, ..) = run(&rules);
    assert_eq!(verdict.hits.len(), 1);
}

/// Rules for payments, and what they lead to: outcome, score, number of alerts and actions, factors.
#[track_caller]
fn check_verdict(rules: &str, outcome: Outcome, score_e6: i64, alerts: usize, actions: usize, factors: bool) {
    let (verdict, ..) = run(&rule_set(rules));
    let got = (verdict.outcome, verdict.score_e6, verdict.alerts.len(), verdict.actions.len());
    assert_eq!(got, (outcome, score_e6, alerts, actions), "{rules}");
    assert_eq!(verdict.factors.is_some(), factors, "{rules}");
}

#[test]
fn outcomes() {
    use Outcome::{Allow, Block, Challenge};
    let rule = |name: &str, mode: &str, then: &str| {
        format!("rule {name} \"\" {mode} on payment when amount > 1.00 CNY then {then}\n")
    };
    let live = |then: &str| rule("r", "", then);
    let policy = "policy\n  challenge when score >= 30\n  block with passkey when score >= 90\n";
    let policy = policy.replace(" with passkey", "") + "  challenge with passkey when score < 0 - 5\n";
    let allow = rule("a", "", "allow");
    for (rules, outcome, score_e6, alerts, actions, factors) in [
        (live("tag x"), Allow, 0, 0, 1, false),
        (live("block, alert high"), Block, 0, 1, 0, false),
        (live("challenge"), Challenge, 0, 0, 0, false),
        (live("challenge with passkey"), Challenge, 0, 0, 0, true),
        (live("challenge with passkey, block"), Block, 0, 0, 0, false),
        (live("score + 30") + &policy, Challenge, 30_000_000, 0, 0, true),
        (live("score + 29") + &policy, Allow, 29_000_000, 0, 0, false),
        (live("score + 89.5, score + 0.5") + &policy, Block, 90_000_000, 0, 0, false),
        (rule("r", "shadow", "block, score + 90, alert high") + &policy, Allow, 0, 0, 0, false),
        (rule("r", "live to 10% of user", "block"), Block, 0, 0, 0, false),
        (rule("r", "live to 20% of user", "block"), Allow, 0, 0, 0, false),
        (rule("r", "from 2026-01-05 until 2026-01-05", "block"), Block, 0, 0, 0, false),
        (rule("r", "from 2026-01-06", "block"), Allow, 0, 0, 0, false),
        (rule("r", "until 2026-01-04", "block"), Allow, 0, 0, 0, false),
        // Once allowed, only what is marked `always` counts, and no score.
        (live("block, score + 95, alert high, tag x") + &allow + &policy, Allow, 0, 0, 0, false),
        (live("block always, alert high") + &allow, Block, 0, 0, 0, false),
        (live("challenge with passkey always") + &allow, Challenge, 0, 0, 0, true),
        (live("block") + &rule("a", "shadow", "allow"), Block, 0, 0, 0, false),
    ] {
        check_verdict(&rules, outcome, score_e6, alerts, actions, factors);
    }
}

#[test]
fn scores_round_half_even_once() {
    for (real, e6) in [
        (0.000_000_5, 0),
        (0.000_001_5, 2),
        (0.5 / 64.0, 7_812),
        (1.5 / 64.0, 23_438),
        (-0.5 / 64.0, -7_812),
        (-1.5 / 64.0, -23_438),
        (1e300, i64::MAX),
        (-1e300, i64::MIN),
        (5e-324, 0),
        (9.2e12, 9_200_000_000_000_000_000),
        (9.3e12, i64::MAX),
    ] {
        assert_eq!(real_to_e6(real), e6, "{real}");
    }
    for (number, scale, e6) in [
        (5, 7, 0),
        (15, 7, 2),
        (25, 7, 2),
        (-15, 7, -2),
        (-25, 7, -2),
        (7, 6, 7),
        (7, 0, 7_000_000),
        (26, 7, 3),
    ] {
        assert_eq!(exact_to_e6(number, scale), e6, "{number} at {scale}");
    }
    assert_eq!(exact_to_e6(i128::MAX, 37), 17_014_118);
    assert_eq!(exact_to_e6(i128::MIN, 0), i64::MIN);
}

proptest! {
    #[test]
    fn real_scores_round_as_printing_does(bits in any::<u64>(), small in -1e7..1e7_f64) {
        for real in [f64::from_bits(bits), small].into_iter().filter(|it| it.is_finite()) {
            // Printing with six digits rounds the exact value half-even.
            let printed = format!("{real:.6}").replace('.', "").parse::<i128>();
            let limits = (i64::MIN.into(), i64::MAX.into());
            let overflow = if real < 0.0 { limits.0 } else { limits.1 };
            prop_assert_eq!(i128::from(real_to_e6(real)), printed.unwrap_or(overflow).clamp(limits.0, limits.1));
        }
    }

    #[test]
    fn hours_and_weekdays_are_those_of_the_time_zone_library(
        time in -DAY..TIME_MAX + DAY,
        nudge in -1..=1_i64,
        name in prop::sample::select(vec!["UTC", "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe"]),
    ) {
        let zone = TimeZone::get(name).unwrap();
        let compiled = Zone::new(&zone);
        // Beside the moments at which clocks are changed.
        let start = jiff::Timestamp::from_microsecond(time).unwrap();
        let change = zone.following(start).next().map(|it| it.timestamp().as_microsecond() + nudge);
        for time in [Some(time), Some(time / HOUR * HOUR), change].into_iter().flatten() {
            let civil = zone.to_datetime(jiff::Timestamp::from_microsecond(time).unwrap());
            prop_assert_eq!(compiled.hour(time.into()), Some(civil.hour().into()));
            prop_assert_eq!(compiled.weekday(time.into()), Some(civil.weekday().to_monday_zero_offset().into()));
        }
    }
}

#[test]
fn utc_needs_no_table() {
    for name in ["UTC", "Etc/UTC", "Etc/GMT+5"] {
        let zone = Zone::new(&TimeZone::get(name).unwrap());
        assert!(matches!(zone, Zone::Fixed(_)), "{name}");
    }
    let utc = Zone::new(&TimeZone::UTC);
    assert_eq!((utc.hour(i128::MAX), utc.hour((i64::MAX - 1).into())), (None, None));
}
