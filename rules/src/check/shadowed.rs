//! Rules that do nothing which another rule does not do.

use super::bounds::Known;
use super::implies::{Claim, Patience};
use crate::diagnostic::{Code, Diagnostic};
use crate::typed::{Effect, Mode, Rule};

/// Enough for every rule of two thousand to be held against every other.
const PATIENCE: Patience = Patience(4_000_000);

/// A live rule, its place among all, and what its condition claims.
struct Candidate<'r> {
    file: u32,
    at: usize,
    rule: &'r Rule,
    claim: Claim,
}

/// Warns about each rule that another shadows; of two that do the same, about the later.
pub(super) fn check(rules: &[(u32, &Rule)], known: &Known<'_>) -> Vec<Diagnostic> {
    let mut patience = PATIENCE;
    let all = rules.iter().enumerate().filter(|(_, (_, rule))| rule.mode == Mode::Live);
    let live =
        all.map(|(at, &(file, rule))| Candidate { file, at, rule, claim: Claim::of(&rule.when, known) });
    // One that never fires has been told of already.
    let live: Vec<_> = live.filter(|it| it.claim.settled(known, &it.rule.on) != Some(false)).collect();
    let mut found = Vec::new();
    for one in &live {
        if patience.0 == 0 {
            break;
        }
        let by = live.iter().find(|other| {
            shadows(other, one, &mut patience) && (other.at < one.at || !shadows(one, other, &mut patience))
        });
        found.extend(by.map(|other| shadowed(one, other)));
    }
    found
}

fn shadowed(one: &Candidate<'_>, by: &Candidate<'_>) -> Diagnostic {
    let (name, other) = (&one.rule.name, &by.rule.name);
    let message = format!("`{name}` does nothing that `{other}` does not do");
    Diagnostic::new(Code::RuleShadowed, one.rule.span, message)
        .in_file(one.file)
        .label(format!("where this holds, `{other}` does too"))
        .label_in(by.file, by.rule.span, "and it does as much or more")
        .help(format!("take `{name}` out, or let it do what `{other}` does not"))
}

/// Whether a rule takes effect wherever another does, and leaves nothing for it to do.
fn shadows(by: &Candidate<'_>, one: &Candidate<'_>, patience: &mut Patience) -> bool {
    let (other, rule) = (by.rule, one.rule);
    let runs = other.rollout.is_none()
        && rule.on.iter().all(|it| other.on.contains(it))
        && other.from.is_none_or(|from| rule.from.is_some_and(|it| from <= it))
        && other.until.is_none_or(|until| rule.until.is_some_and(|it| it <= until));
    // Two of one name are an error.
    other.name != rule.name
        && runs
        && rule.effects.iter().all(|it| is_covered(it, &other.effects, by.at < one.at))
        && one.claim.implies(&by.claim, patience)
}

/// Whether an effect changes nothing beside those of another rule, which may stand earlier.
pub(super) fn is_covered(effect: &Effect, by: &[Effect], earlier: bool) -> bool {
    let always = match effect {
        Effect::Block { always } | Effect::Challenge { always, .. } => *always,
        _ => false,
    };
    // Under an `allow` only what is marked `always` counts.
    let nothing_counts = by.contains(&Effect::Allow) && !always;
    nothing_counts || by.iter().any(|it| covers(it, effect, earlier))
}

fn covers(by: &Effect, effect: &Effect, earlier: bool) -> bool {
    let outlasts = |always: bool, other: bool| always || !other;
    match (by, effect) {
        (Effect::Block { always: by }, Effect::Block { always } | Effect::Challenge { always, .. }) => {
            outlasts(*by, *always)
        }
        (Effect::Challenge { always: by, factors: named }, Effect::Challenge { always, factors }) => {
            // The first rule that names factors has its way.
            outlasts(*by, *always) && (factors.is_empty() || (earlier && !named.is_empty()))
        }
        (Effect::Alert { severity: by, once: None }, Effect::Alert { severity, .. }) => by >= severity,
        // The last change of a list is what stays.
        (Effect::Add { .. } | Effect::Remove { .. }, _) => by == effect && !earlier,
        (Effect::Tag(_) | Effect::Delay(_) | Effect::Freeze { .. }, _) => by == effect,
        _ => false,
    }
}
