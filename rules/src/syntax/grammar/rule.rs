//! Rules, their effects, and policies.

use super::{at_broken_item, end_item, expression, literal, part, types};
use crate::diagnostic::{Code, Diagnostic};
use crate::past::Outcome;
use crate::span::Span;
use crate::syntax::ast::{
    Date, Deadline, Duration, Effect, EffectKind, Expr, ExprKind, Item, Name, Once, Policy, PolicyLine,
    Quantity, Rollout, Rule, Unit,
};
use crate::syntax::kind::SyntaxKind as K;
use crate::syntax::parser::{Mark, Parser};
use crate::typed::{Mode, Severity};

const EFFECTS: [&str; 10] =
    ["block", "challenge", "allow", "score", "alert", "tag", "freeze", "delay", "add", "remove"];
const OUTCOMES: [&str; 3] = ["allow", "challenge", "block"];

/// The parts of a rule that must be there, and how each is written.
const ON: (&str, &str) = (
    "`on` and event types",
    "say on which events: `on payment`; between the reason and that stand only `tell`, `live`, `shadow`, `off`, `to`, \
     `from` and `until`",
);
const WHEN: (&str, &str) = ("`when` and a condition", "say where it fires: `when paid_1h >= 5`");
const THEN: (&str, &str) =
    ("`then` and effects", "say what it does: `then block`, or `then score +40, alert high`");
const EFFECTS_IN_A_ROW: &str = "effects have a comma between them: `then block, alert high`";

/// rule = "rule" name text ["tell" text] [mode] "on" types "when" expr "then" effects
pub(super) fn rule(p: &mut Parser<'_>) -> Item {
    let open = p.open(K::Rule);
    p.bump();
    let name = p.name("the rule's name");
    let reason = literal::text(p);
    let tell = if p.eat_word("tell") { literal::text(p) } else { None };
    let modes = modes(p);
    if p.at_word("tell") {
        let message = "`tell` stands behind the reason, before what says when the rule is live";
        p.report(Diagnostic::new(Code::Unexpected, p.span(), message).help("move it there, with its text"));
        p.recover(|p| p.at_word("on") || p.at(K::WhenKw) || p.at(K::ThenKw));
    }

    let on_here = |p: &Parser<'_>| p.at_word("on");
    let when_here = |p: &Parser<'_>| p.at(K::WhenKw);
    let then_here = |p: &Parser<'_>| p.at(K::ThenKw);
    let on_open = p.mark();
    let has_on = part(p, ON, on_here, |p| when_here(p) || then_here(p));
    let on = if has_on { types(p) } else { Vec::new() };
    wrap(p, on_open, K::On);
    let when_open = p.mark();
    let has_when = part(p, WHEN, when_here, then_here);
    let when = if has_when { expression::expr(p) } else { missing(p) };
    wrap(p, when_open, K::When);
    let then_open = p.mark();
    let has_then = part(p, THEN, then_here, |_| false);
    let effects = if has_then {
        effects(p, |_| false)
    } else {
        vec![Effect { kind: EffectKind::Error, span: p.span() }]
    };
    wrap(p, then_open, K::Then);

    if has_then {
        p.in_part(EFFECTS_IN_A_ROW, end_item)
    } else {
        end_item(p)
    }
    let span = p.close(open);
    let Modes { mode, rollout, from, until } = modes;
    name.map_or(Item::Error(span), |name| {
        Item::Rule(Rule { name, reason, tell, mode, rollout, from, until, on, when, effects, span })
    })
}

/// Makes a node of what was taken since a mark.
fn wrap(p: &mut Parser<'_>, mark: Mark, kind: K) {
    let open = p.open_at(mark, kind);
    let _ = p.close(open);
}

/// An expression that is not there, which has been reported.
fn missing(p: &Parser<'_>) -> Expr {
    let start = p.span().start;
    Expr { kind: ExprKind::Error, span: Span { start, end: start } }
}

#[derive(Default)]
struct Modes {
    mode: Option<(Mode, Span)>,
    rollout: Option<Rollout>,
    from: Option<Date>,
    until: Option<Date>,
}

/// mode = {"live" | "shadow" | "off" | "to" number "%" "of" role | "from" date | "until" date}, each once
fn modes(p: &mut Parser<'_>) -> Modes {
    let mut modes = Modes::default();
    loop {
        let twice = match p.nth_word(0) {
            Some("live" | "shadow" | "off") => modes.mode.is_some(),
            Some("to") => modes.rollout.is_some(),
            Some("from") => modes.from.is_some(),
            Some("until") => modes.until.is_some(),
            _ => return modes,
        };
        if twice {
            let message = format!("`{}` was said before", p.current_text());
            p.report(Diagnostic::new(Code::SaidTwice, p.span(), message).help("leave one of the two out"));
        }
        mode(p, &mut modes);
    }
}

fn mode(p: &mut Parser<'_>, modes: &mut Modes) {
    let mark = p.mark();
    let word = p.current_text();
    let span = p.bump();
    match word {
        "live" => modes.mode = Some((Mode::Live, span)),
        "shadow" => modes.mode = Some((Mode::Shadow, span)),
        "off" => modes.mode = Some((Mode::Off, span)),
        "from" => modes.from = literal::date(p),
        "until" => modes.until = literal::date(p),
        _ => {
            let found = p.in_part("a share is written `to 10% of user`", share);
            let span = p.since(mark);
            modes.rollout = found.map(|(share, role)| Rollout { share, role, span });
        }
    }
}

/// number "%" "of" role
fn share(p: &mut Parser<'_>) -> Option<(Quantity, Name)> {
    let share = literal::quantity(p)?;
    if share.unit != Unit::Percent {
        let diagnostic = Diagnostic::new(Code::BadNumber, share.span, "a rollout is a share in percent");
        p.report_behind(diagnostic.help("write `to 10% of user`"));
    }
    if !p.expect_word("of") {
        return None;
    }
    let role = p.name("a role")?;
    (share.unit == Unit::Percent).then_some((share, role))
}

/// effects = effect {"," effect}; where the next line cannot be a further effect, `ends` says so.
fn effects(p: &mut Parser<'_>, ends: fn(&Parser<'_>) -> bool) -> Vec<Effect> {
    let mut effects = Vec::new();
    loop {
        effects.push(effect(p));
        if p.eat(K::Comma) {
            continue;
        }
        if !at_effect(p) || ends(p) {
            return effects;
        }
        p.in_part(EFFECTS_IN_A_ROW, |p| p.expected("`,` between effects"));
    }
}

fn at_effect(p: &Parser<'_>) -> bool {
    // `score` is a name too: only a sign makes it an effect.
    let signed = matches!(p.nth(1), K::Plus | K::Minus);
    p.nth_word(0).is_some_and(|word| EFFECTS.contains(&word) && (word != "score" || signed))
}

/// effect = ("block" | "challenge" ["with" factors]) ["always"] | "allow" | "score" ("+"|"-") prod | "alert" …
///        | "tag" name | "freeze" role "for" dur | "delay" dur | "add" role "to" list ["for" dur]
///        | "remove" role "from" list
fn effect(p: &mut Parser<'_>) -> Effect {
    let open = p.open(K::Effect);
    let kind = effect_kind(p);
    if kind.is_none() {
        p.recover(|p| p.at_line_start() || matches!(p.current(), K::Comma | K::WhenKw));
    }
    Effect { kind: kind.unwrap_or(EffectKind::Error), span: p.close(open) }
}

fn effect_kind(p: &mut Parser<'_>) -> Option<EffectKind> {
    let word = p.current_text();
    if !EFFECTS.contains(&word) {
        p.expected_word("an effect", &EFFECTS);
        return None;
    }
    p.bump();
    Some(match word {
        "block" => EffectKind::Block { always: p.eat_word("always") },
        "challenge" => {
            let factors = if p.eat_word("with") { factors(p)? } else { Vec::new() };
            EffectKind::Challenge { factors, always: p.eat_word("always") }
        }
        "allow" => EffectKind::Allow,
        "score" => score(p)?,
        "alert" => alert(p)?,
        "tag" => EffectKind::Tag(p.name("a tag")?),
        "delay" => EffectKind::Delay(literal::duration(p)?),
        "freeze" => {
            let role = p.name("a role")?;
            let span = p.expect_word("for").then(|| literal::duration(p))??;
            EffectKind::Freeze { role, span }
        }
        "add" => {
            let role = p.name("a role")?;
            let list = p.expect_word("to").then(|| p.name("a list"))??;
            let span = if p.eat_word("for") { Some(literal::duration(p)?) } else { None };
            EffectKind::Add { role, list, span }
        }
        _ => {
            let role = p.name("a role")?;
            let list = p.expect_word("from").then(|| p.name("a list"))??;
            EffectKind::Remove { role, list }
        }
    })
}

/// factors = set {"or" set} ; set = name {"+" name}
fn factors(p: &mut Parser<'_>) -> Option<Vec<Vec<Name>>> {
    let mut sets = Vec::new();
    loop {
        let mut set = vec![p.name("a factor")?];
        while p.eat(K::Plus) {
            set.push(p.name("a factor")?);
        }
        sets.push(set);
        if !p.eat(K::OrKw) {
            return Some(sets);
        }
    }
}

/// ("+"|"-") prod
fn score(p: &mut Parser<'_>) -> Option<EffectKind> {
    let negative = p.at(K::Minus);
    if !negative && !p.at(K::Plus) {
        p.expected("`+` or `-`");
        return None;
    }
    let sign = p.open(K::ScoreSign);
    p.bump();
    let _ = p.close(sign);
    let value = expression::product(p);
    if p.at(K::Plus) || p.at(K::Minus) {
        let diagnostic = p.expectation("`,` or the end of the effect");
        p.report(diagnostic.help("put a sum in parentheses: `score + (a + b)`"));
        return None;
    }
    Some(EffectKind::Score { negative, value })
}

/// severity ["once" "per" role dur]
fn alert(p: &mut Parser<'_>) -> Option<EffectKind> {
    let Some(severity) = p.nth_word(0).and_then(Severity::from_name) else {
        p.expected_word("a severity", Severity::NAMES);
        return None;
    };
    p.bump();
    if !p.eat_word("once") {
        return Some(EffectKind::Alert { severity, once: None });
    }
    let role = p.expect_word("per").then(|| p.name("a role"))??;
    let span = literal::duration(p)?;
    Some(EffectKind::Alert { severity, once: Some(Once { role, span }) })
}

/// policy = "policy" ["on" types] {line} ["deadline" dur "else" outcome] ["valid" "for" dur]
pub(super) fn policy(p: &mut Parser<'_>) -> Item {
    let open = p.open(K::Policy);
    p.bump();
    let on_open = p.mark();
    let on = if p.eat_word("on") { types(p) } else { Vec::new() };
    if !on.is_empty() {
        wrap(p, on_open, K::On);
    }
    let mut policy = Policy { on, lines: Vec::new(), deadline: None, valid_for: None, span: Span::default() };
    while !p.at_end() && !at_broken_item(p) {
        policy_line(p, &mut policy);
    }
    policy.span = p.close(open);
    Item::Policy(policy)
}

/// line = effects "when" expr | "deadline" dur "else" outcome | "valid" "for" dur
fn policy_line(p: &mut Parser<'_>, policy: &mut Policy) {
    let mark = p.mark();
    if p.at(K::Word) && p.at_line_start() {
        p.synchronised();
    }
    let open = p.open(K::PolicyLine);
    let twice = match p.nth_word(0) {
        Some("deadline") => policy.deadline.is_some(),
        Some("valid") => policy.valid_for.is_some(),
        _ => false,
    };
    if twice {
        let message = format!("`{}` was said before", p.current_text());
        p.report(Diagnostic::new(Code::SaidTwice, p.span(), message).help("leave one of the two out"));
    }
    let whole = match p.nth_word(0) {
        Some("deadline") => {
            p.bump();
            let (after, outcome) = deadline(p);
            let span = p.since(mark);
            policy.deadline = after.zip(outcome).map(|(after, outcome)| Deadline { after, outcome, span });
            outcome.is_some()
        }
        Some("valid") => {
            p.bump();
            let goes_on = p.expect_word("for");
            // One that is written wrongly ends the line as well as another.
            let whole = goes_on && p.at(K::Duration);
            policy.valid_for = if goes_on { literal::duration(p) } else { None };
            whole
        }
        Some(word) if EFFECTS.contains(&word) => {
            let effects = effects(p, |p| p.at_line_start());
            let found = p.expect(K::WhenKw, "`when` and a condition");
            let when = if found { expression::expr(p) } else { missing(p) };
            policy.lines.push(PolicyLine { effects, when, span: p.since(mark) });
            found
        }
        _ => {
            p.expected_word("an effect", &EFFECTS);
            let effects = vec![Effect { kind: EffectKind::Error, span: p.bump() }];
            policy.lines.push(PolicyLine { effects, when: missing(p), span: p.since(mark) });
            p.recover(next_line);
            true
        }
    };
    end_line(p, whole);
    let _ = p.close(open);
}

/// A policy's line ends where the next begins. After a slip that is at the start of a line of text.
fn end_line(p: &mut Parser<'_>, whole: bool) {
    if !whole || !(p.at_end() || at_policy_line(p) || next_line(p) || at_broken_item(p)) {
        p.expected("the next line of the policy");
        p.recover(next_line);
    }
}

/// Whether a line begins here that a policy's line may begin with.
fn next_line(p: &Parser<'_>) -> bool {
    p.at(K::Word) && p.at_line_start()
}

fn at_policy_line(p: &Parser<'_>) -> bool {
    at_effect(p) || p.at_word("deadline") || p.at_word("valid")
}

/// dur "else" outcome
fn deadline(p: &mut Parser<'_>) -> (Option<Duration>, Option<Outcome>) {
    let goes_on = p.at(K::Duration);
    let after = literal::duration(p);
    let outcome = if goes_on && p.expect_word("else") { outcome(p) } else { None };
    (after, outcome)
}

/// outcome = "allow" | "challenge" | "block"
pub(super) fn outcome(p: &mut Parser<'_>) -> Option<Outcome> {
    let outcome = opt_outcome(p);
    if outcome.is_none() {
        p.expected_word("an outcome", &OUTCOMES);
    }
    outcome
}

/// An outcome, if one stands here.
pub(super) fn opt_outcome(p: &mut Parser<'_>) -> Option<Outcome> {
    let outcome = match p.nth_word(0) {
        Some("allow") => Outcome::Allow,
        Some("challenge") => Outcome::Challenge,
        Some("block") => Outcome::Block,
        _ => return None,
    };
    p.bump();
    Some(outcome)
}
