//! Tests in the language.

use super::{at_broken_item, at_item, at_item_of_shape, end_item, expression, id, literal, rule};
use crate::diagnostic::{Code, Diagnostic};
use crate::syntax::ast::{
    Duration, Expectation, ExpectationKind, Expr, Integer, Item, Moment, Name, Repeat, Step, StepKind,
    StepRole, Test,
};
use crate::syntax::kind::SyntaxKind as K;
use crate::syntax::parser::Parser;
use crate::typed::MutableColumn;

/// test = "test" text {("given" | "when") step} "then" expectation {"," expectation}
pub(super) fn test(p: &mut Parser<'_>) -> Item {
    let open = p.open(K::Test);
    p.bump();
    let name = literal::text(p);
    let mut steps = Vec::new();
    loop {
        if at_step(p) {
            steps.push(step(p));
        } else if p.at(K::ThenKw) || p.at_end() || at_broken_item(p) {
            break;
        } else {
            p.expected("`given`, `when` or `then`");
            p.recover(|p| at_step(p) || p.at(K::ThenKw));
        }
    }
    let then = p.open(K::Then);
    let expectations = if p.expect(K::ThenKw, "`then` and what is expected") {
        expectations(p)
    } else {
        vec![Expectation { kind: ExpectationKind::Error, span: p.span() }]
    };
    let _ = p.close(then);
    p.in_part("what else is expected stands behind a comma: `then allow, paid_1h == 1`", end_item);
    let span = p.close(open);
    name.map_or(Item::Error(span), |name| Item::Test(Test { name, steps, expectations, span }))
}

fn at_step(p: &Parser<'_>) -> bool {
    p.at_word("given") || p.at(K::WhenKw)
}

/// step = (amendment | id "in" list ["=" value] | event) ["," int "times" "every" dur] ["after" dur | "at" text]
fn step(p: &mut Parser<'_>) -> Step {
    p.synchronised();
    let open = p.open(K::Step);
    let role = if p.at(K::WhenKw) { StepRole::When } else { StepRole::Given };
    p.bump();
    let kind = step_kind(p);
    let mut whole = kind.is_some();
    let mark = p.mark();
    let repeat = if whole && p.eat(K::Comma) {
        let found = p.in_part("a row of events is written `payment user u1, 4 times every 5s`", repeat);
        whole = found.is_some();
        found.map(|(count, every)| Repeat { count, every, span: p.since(mark) })
    } else {
        None
    };
    let at = if whole { moment(p) } else { None };
    if !whole {
        p.recover(|p| at_step(p) || p.at(K::ThenKw));
    }
    Step { role, kind: kind.unwrap_or(StepKind::Error), repeat, at, span: p.close(open) }
}

fn step_kind(p: &mut Parser<'_>) -> Option<StepKind> {
    if let Some(column) = amended(p) {
        return p.in_part("what becomes known of `payment as p1` is written `label fraud on p1`", |p| {
            amendment(p, column)
        });
    }
    if p.at(K::Text) || p.nth(1) == K::InKw {
        return p.in_part(
            "what is listed is written `u1 in watched`, or in a table `s1 in most = 5.00 EUR`",
            listed,
        );
    }
    event(p)
}

/// column name "on" id
fn amendment(p: &mut Parser<'_>, column: MutableColumn) -> Option<StepKind> {
    p.bump();
    let value = p.name("the new value")?;
    let event = p.expect_word("on").then(|| last(p, |p| id(p, "the id of an event")))??;
    Some(StepKind::Amendment { column, value, event })
}

/// id "in" list ["=" value]
fn listed(p: &mut Parser<'_>) -> Option<StepKind> {
    let item = id(p, "an id")?;
    let list = p.expect(K::InKw, "`in`").then(|| last(p, |p| p.name("a list")))??;
    let value = p.eat(K::Equals).then(|| expression::value(p));
    Some(StepKind::Listed { item, list, value })
}

/// What comes last in a step, unless the next step begins in its place.
fn last(p: &mut Parser<'_>, name: impl Fn(&mut Parser<'_>) -> Option<Name>) -> Option<Name> {
    if at_step(p) && p.at_line_start() {
        p.expected("a name");
        return None;
    }
    name(p)
}

/// The column that an amendment sets, if one stands here: its name, the value's, and `on`.
fn amended(p: &Parser<'_>) -> Option<MutableColumn> {
    let column = match p.nth_word(0)? {
        "label" => MutableColumn::Label,
        "result" => MutableColumn::Result,
        "challenge" => MutableColumn::Challenge,
        "outcome" => MutableColumn::Outcome,
        _ => return None,
    };
    (p.nth_word(2) == Some("on")).then_some(column)
}

/// event = name ["as" id] {name value}
fn event(p: &mut Parser<'_>) -> Option<StepKind> {
    let event_type = p.name("an event type")?;
    let id = if p.eat_word("as") { Some(id(p, "the event's id")?) } else { None };
    let mut fields = Vec::new();
    while !ends_event(p) {
        fields.push(field(p)?);
    }
    Some(StepKind::Event { event_type, id, fields })
}

fn ends_event(p: &Parser<'_>) -> bool {
    let moment = (p.at_word("after") && p.nth(1) == K::Duration) || (p.at_word("at") && p.nth(1) == K::Text);
    // A schema's words are names here: `given payment currency CNY`.
    let item = p.current().is_item_word() || (p.at_margin() && (at_item(p) || at_item_of_shape(p)));
    p.at(K::Comma) || p.at(K::ThenKw) || p.at_end() || moment || at_step(p) || item
}

/// name value; an id or an enum's value is a bare name.
fn field(p: &mut Parser<'_>) -> Option<(Name, Expr)> {
    let name = p.name("a field")?;
    if ends_event(p) {
        p.expected(&format!("a value for `{}`", name.text));
        return None;
    }
    let value = expression::value(p);
    if p.at(K::Minus) {
        let diagnostic =
            Diagnostic::new(Code::Unexpected, p.span(), "an id with `-` in it is written in quotes");
        p.report(diagnostic.help("write `\"u-1\"`"));
        return None;
    }
    Some((name, value))
}

/// int "times" "every" dur
fn repeat(p: &mut Parser<'_>) -> Option<(Integer, Duration)> {
    let count = literal::integer(p, "how many times, such as `4 times every 5s`")?;
    if !p.expect_word("times") || !p.expect_word("every") {
        return None;
    }
    Some((count, literal::duration(p)?))
}

/// ["after" dur | "at" text]
fn moment(p: &mut Parser<'_>) -> Option<Moment> {
    if p.eat_word("after") {
        return literal::duration(p).map(Moment::After);
    }
    if p.eat_word("at") {
        return literal::text(p).map(Moment::At);
    }
    None
}

/// expectation {"," expectation}
fn expectations(p: &mut Parser<'_>) -> Vec<Expectation> {
    let mut expectations = Vec::new();
    loop {
        expectations.push(expectation(p));
        if !p.eat(K::Comma) {
            return expectations;
        }
    }
}

/// expectation = outcome ["because" name {"and" name}] | ["not"] "hit" name | expr
fn expectation(p: &mut Parser<'_>) -> Expectation {
    let open = p.open(K::Expectation);
    let hit_at = usize::from(p.at(K::NotKw));
    let kind = if p.nth_word(hit_at) == Some("hit") && p.nth(hit_at + 1) == K::Word {
        let negated = p.eat(K::NotKw);
        p.bump();
        p.name("a rule").map(|rule| ExpectationKind::Hit { negated, rule })
    } else if let Some(outcome) = rule::opt_outcome(p) {
        because(p).map(|because| ExpectationKind::Outcome { outcome, because })
    } else if p.nth_word(1) == Some("because") {
        rule::outcome(p);
        None
    } else {
        Some(ExpectationKind::Holds(expression::expr(p)))
    };
    if kind.is_none() {
        p.recover(|p| p.at(K::Comma));
    }
    Expectation { kind: kind.unwrap_or(ExpectationKind::Error), span: p.close(open) }
}

/// ["because" name {"and" name}]
fn because(p: &mut Parser<'_>) -> Option<Vec<Name>> {
    let mut rules = Vec::new();
    if p.eat_word("because") {
        rules.push(p.name("a rule")?);
        while p.eat(K::AndKw) {
            rules.push(p.name("a rule")?);
        }
    }
    Some(rules)
}
