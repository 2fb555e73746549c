//! Rules and policy, by the letter.

use super::expr::View;
use crate::past::Outcome;
use crate::program::{Alert, EffectRef, Hit, Verdict};
use crate::typed::{Effect, Expr, Mode, Numeric, Policy, Rule, RuleId, Type};
use crate::value::Value;

/// What the rules of the event's type and its policy say.
pub(super) fn decide(current: &View<'_>) -> Verdict {
    let rules = &current.world.rules.rules;
    let hits: Vec<_> = RuleId::all().zip(rules).filter(|(id, rule)| hits(current, *id, rule)).collect();
    let live = || hits.iter().filter(|(_, rule)| rule.mode == Mode::Live);
    // If a live rule that hits says allow, only what is marked `always` still counts.
    let allowed = live().any(|(_, rule)| rule.effects.contains(&Effect::Allow));
    let counts = |effect: &Effect| !allowed || is_always(effect);

    // Scores first, then policy.
    let scores = live().flat_map(|(_, rule)| &rule.effects).filter(|it| counts(it));
    let score_e6 = saturated(scores.map(|it| contribution_e6(current, it)).sum());
    let of_rules = live().flat_map(|(id, rule)| {
        (0..).zip(&rule.effects).map(move |(at, effect)| (EffectRef::Rule(*id, at), effect))
    });
    let of_policy = policy_effects(&View { score_e6, ..*current });
    let effects: Vec<_> = of_rules.chain(of_policy).filter(|(_, effect)| counts(effect)).collect();

    let outcome = effects.iter().map(|(_, it)| outcome_of(it)).max().unwrap_or(Outcome::Allow);
    let all_contributions = |rule: &Rule| rule.effects.iter().map(|it| contribution_e6(current, it)).sum();
    Verdict {
        outcome,
        score_e6,
        hits: hits
            .iter()
            .map(|(id, rule)| Hit { rule: *id, contribution_e6: saturated(all_contributions(rule)) })
            .collect(),
        factors: if outcome == Outcome::Challenge { factors(current, &effects) } else { None },
        alerts: effects
            .iter()
            .filter_map(|&(effect, it)| match it {
                Effect::Alert { severity, .. } => Some(Alert { severity: *severity, effect }),
                _ => None,
            })
            .collect(),
        actions: effects.iter().filter(|(_, it)| acts(current, it)).map(|(at, _)| *at).collect(),
    }
}

fn hits(current: &View<'_>, id: RuleId, rule: &Rule) -> bool {
    let event = current.event;
    rule.mode != Mode::Off
        && rule.on.contains(&event.event_type)
        && rule.from.is_none_or(|from| from <= event.time)
        && rule.until.is_none_or(|until| event.time < until)
        && rule.rollout.is_none_or(|(role, share_e6)| {
            event.field(role).is_some_and(|entity| (current.world.in_share)(id, entity, share_e6))
        })
        && current.holds(&rule.when)
}

fn is_always(effect: &Effect) -> bool {
    matches!(effect, Effect::Block { always: true } | Effect::Challenge { always: true, .. })
}

/// Block > challenge > allow; what is no outcome leaves it at allow.
fn outcome_of(effect: &Effect) -> Outcome {
    match effect {
        Effect::Block { .. } => Outcome::Block,
        Effect::Challenge { .. } => Outcome::Challenge,
        _ => Outcome::Allow,
    }
}

/// The policy of the event's type: its own, or else the plain one.
fn policy<'a>(current: &View<'a>) -> Option<(u16, &'a Policy)> {
    let policies = || (0..).zip(&current.world.rules.policies);
    let own = policies().find(|(_, policy)| policy.on.contains(&current.event.event_type));
    own.or_else(|| policies().find(|(_, policy)| policy.on.is_empty()))
}

/// The effects of all lines whose condition holds.
fn policy_effects<'a>(current: &View<'a>) -> Vec<(EffectRef, &'a Effect)> {
    let Some((at, policy)) = policy(current) else { return Vec::new() };
    let lines = (0..).zip(&policy.lines).filter(|(_, line)| current.holds(&line.when));
    lines.flat_map(|(line, it)| effects_of_line(at, line, &it.effects)).collect()
}

fn effects_of_line(policy: u16, line: u16, effects: &[Effect]) -> impl Iterator<Item = (EffectRef, &Effect)> {
    (0..).zip(effects).map(move |(at, effect)| (EffectRef::Policy(policy, line, at), effect))
}

/// Of the first challenging rule that names them, else of the policy line, else the policy's first `with`.
fn factors(current: &View<'_>, effects: &[(EffectRef, &Effect)]) -> Option<EffectRef> {
    let names = |effect: &Effect| matches!(effect, Effect::Challenge { factors, .. } if !factors.is_empty());
    let counting = effects.iter().find(|(_, effect)| names(effect)).map(|(at, _)| *at);
    counting.or_else(|| {
        let (at, policy) = policy(current)?;
        let mut all = (0..).zip(&policy.lines).flat_map(|(line, it)| effects_of_line(at, line, &it.effects));
        all.find(|(_, effect)| names(effect)).map(|(at, _)| at)
    })
}

/// Whether it marks or changes something. An effect on a missing role does nothing.
fn acts(current: &View<'_>, effect: &Effect) -> bool {
    match effect {
        Effect::Tag(_) | Effect::Delay(_) => true,
        Effect::Freeze { role, .. } | Effect::Add { role, .. } | Effect::Remove { role, .. } => {
            current.event.field(*role).is_some()
        }
        Effect::Block { .. }
        | Effect::Challenge { .. }
        | Effect::Allow
        | Effect::Score(_)
        | Effect::Alert { .. } => false,
    }
}

/// What an effect adds to the score, rounded half-even once to millionths.
fn contribution_e6(current: &View<'_>, effect: &Effect) -> i128 {
    let Effect::Score(expr) = effect else { return 0 };
    let millionths = match current.eval(expr) {
        Value::Exact(number) => exact_to_e6(number, scale(expr)),
        // Printing with six digits rounds the exact value half-even; without the point that counts millionths.
        Value::Real(number) => {
            format!("{number:.6}").replace('.', "").parse().unwrap_or(extreme_like(number))
        }
        Value::Flag(_) | Value::Missing => 0,
    };
    saturated(millionths).into()
}

fn scale(expr: &Expr) -> u8 {
    match expr.ty {
        Type::Number(Numeric::Exact { scale, .. }) => scale,
        _ => 0,
    }
}

fn exact_to_e6(number: i128, scale: u8) -> i128 {
    let power = |digits: u8| 10_i128.checked_pow(digits.into()).unwrap_or(i128::MAX);
    if scale <= 6 {
        return number.saturating_mul(power(6 - scale));
    }
    let unit = power(scale - 6);
    let (whole, rest) = (number / unit, (number % unit).abs());
    let odd = whole % 2 != 0;
    let away = rest > unit - rest || (rest == unit - rest && odd);
    whole + if away { number.signum() } else { 0 }
}

/// Beyond what 128 bits hold.
fn extreme_like(number: f64) -> i128 {
    if number < 0.0 { i128::MIN } else { i128::MAX }
}

fn saturated(millionths: i128) -> i64 {
    i64::try_from(millionths).unwrap_or(if millionths < 0 { i64::MIN } else { i64::MAX })
}
