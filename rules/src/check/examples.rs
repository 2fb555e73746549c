//! Tests in the language: what happens when, and what must then be true.

use jiff::civil::{DateTime, date};

use super::example_event::Given;
use super::names::Checker;
use super::past_of::bare_name;
use super::scope::{Exprs, Scope};
use crate::diagnostic::{Code, nearest};
use crate::past::{Challenge, Label, OperationResult, Outcome};
use crate::schema::EventTypeId;
use crate::span::Span;
use crate::syntax::ast;
use crate::time::{Micros, TIME_MAX, TIME_MIN};
use crate::typed::{Expectation, List, ListKind, MutableColumn, RuleId, Test, TestStep};

/// What a test may expect of a decision.
const OUTCOMES: [&str; 3] = ["allow", "challenge", "block"];
/// More would be a load test.
const TIMES_MAX: u32 = 10_000;
/// Events of all tests: each is a value in memory, at every check.
const EVENTS_MAX: u32 = 100_000;

/// Checks all tests.
pub(super) fn check(checker: &mut Checker<'_>) -> Vec<Test> {
    let mut tests = Vec::new();
    for placed in checker.test_items.clone() {
        checker.reports.enter(placed.file);
        tests.push(test(checker, placed.item));
    }
    tests
}

/// A test as far as it has been read.
#[derive(Debug)]
pub(super) struct Story {
    /// Time of the last thing that happened.
    cursor: Micros,
    /// Ids of the events so far.
    events: Vec<String>,
    /// How many ids have been made up.
    pub(super) made_up: u32,
    steps: Vec<TestStep>,
    /// The type of the event that is looked at.
    subject: Option<EventTypeId>,
    /// How many steps there are up to that event, itself included.
    until_subject: usize,
    /// Whether a step could not be read, so that nothing can be said of what is missing.
    broken: bool,
}

fn test(checker: &mut Checker<'_>, item: &ast::Test) -> Test {
    let noon = date(2026, 1, 5).at(12, 0, 0, 0);
    let mut story = Story {
        cursor: in_zone(checker, noon).unwrap_or_default(),
        events: Vec::new(),
        made_up: 0,
        steps: Vec::new(),
        subject: None,
        until_subject: 0,
        broken: checker.reports.did_not_parse(item.span),
    };
    for step in &item.steps {
        self::step(checker, step, &mut story);
    }
    let looks = item.steps.iter().any(|it| it.role == ast::StepRole::When);
    if !looks && !story.broken {
        checker.reports.error_with_help(
            Code::TestIncomplete,
            item.name.span,
            "the test has no event to look at",
            "add `when payment …`",
        );
    }
    let expected =
        item.expectations.iter().filter_map(|it| expectation(checker, it, story.subject)).collect();
    // What happens later changes nothing of what is looked at.
    story.steps.truncate(story.until_subject);
    Test { name: item.name.text.clone(), steps: story.steps, expectations: expected, span: item.name.span }
}

fn in_zone(checker: &Checker<'_>, time: DateTime) -> Option<Micros> {
    let timestamp = checker.schema.zone.to_timestamp(time).ok()?;
    Some(timestamp.as_microsecond()).filter(|it| (TIME_MIN..TIME_MAX).contains(it))
}

/// A time in the schema's zone, as tests write it.
pub(super) fn written_time(checker: &mut Checker<'_>, text: &str, span: Span) -> Option<Micros> {
    let found = text.parse::<DateTime>().ok().and_then(|it| in_zone(checker, it));
    if found.is_none() {
        checker.reports.error_with_help(
            Code::TestTime,
            span,
            format!("`{text}` is no time from 1970 until 2200"),
            "write \"2026-01-06 02:30\", in the schema's zone",
        );
    }
    found
}

/// Takes in what happens, as far as nothing of it failed.
fn step(checker: &mut Checker<'_>, step: &ast::Step, story: &mut Story) {
    match &step.at {
        None => {}
        Some(ast::Moment::After(span)) => {
            move_cursor(checker, story, span.micros, span.span);
        }
        Some(ast::Moment::At(text)) => {
            story.cursor = written_time(checker, &text.text, text.span).unwrap_or(story.cursor);
        }
    }
    match (&step.kind, step.role) {
        (ast::StepKind::Error, _) => {}
        (ast::StepKind::Event { event_type, id, fields }, role) => {
            let of = checker.event_type(event_type);
            if role == ast::StepRole::When {
                story.subject = of;
            }
            let given = checker.given_event(event_type, of, fields);
            events(checker, step, story, id.as_ref(), given.as_ref());
            if role == ast::StepRole::When {
                story.until_subject = story.steps.len();
            }
        }
        (_, ast::StepRole::When) => {
            let message = "what a test looks at is an event";
            checker.reports.error_with_help(Code::TestIncomplete, step.span, message, "say `given` here");
        }
        (ast::StepKind::Amendment { column, value, event }, _) => {
            no_repeat(checker, step);
            amendment(checker, story, *column, value, event);
        }
        (ast::StepKind::Listed { item, list, value }, _) => {
            no_repeat(checker, step);
            story.steps.extend(listed(checker, item, list, value.as_ref(), story.cursor));
        }
    }
}

fn move_cursor(checker: &mut Checker<'_>, story: &mut Story, by: Micros, span: Span) -> Option<()> {
    let moved = story.cursor.checked_add(by).filter(|it| *it < TIME_MAX);
    if moved.is_none() {
        let help = "let less time pass: the test begins on 2026-01-05, or where `at` sets the time";
        let message = "the test goes on beyond the year 2200";
        checker.reports.error_with_help(Code::TestTime, span, message, help);
    }
    story.cursor = moved?;
    Some(())
}

fn no_repeat(checker: &mut Checker<'_>, step: &ast::Step) {
    if let Some(repeat) = &step.repeat {
        let help = "leave `times` and `every` out: once is enough";
        checker.reports.error_with_help(Code::TestTime, repeat.span, "only events are repeated", help);
    }
}

fn amendment(
    checker: &mut Checker<'_>,
    story: &mut Story,
    column: MutableColumn,
    value: &ast::Name,
    event: &ast::Name,
) {
    let number = amended_value(checker, column, value);
    // It may be the event of a step that could not be read.
    if !story.events.contains(&event.text) && !story.broken {
        let ids = story.events.iter().map(String::as_str);
        checker.reports.unknown(Code::UnknownEvent, event.span, "event", &event.text, ids);
    }
    let (time, event) = (story.cursor, event.text.clone());
    story.steps.extend(number.map(|value| TestStep::Amend { time, event, column, value }));
}

/// One event, or several in a row; none given: it failed, and only its id and how often it happens are looked at.
fn events(
    checker: &mut Checker<'_>,
    step: &ast::Step,
    story: &mut Story,
    id: Option<&ast::Name>,
    given: Option<&Given>,
) -> Option<()> {
    let (times, every) = match &step.repeat {
        None => (1, None),
        Some(repeat) => (repeat.count.value, Some(&repeat.every)),
    };
    let countable = (1..=TIMES_MAX).contains(&times);
    if let Some(repeat) = step.repeat.as_ref().filter(|_| !countable) {
        let message = format!("an event is repeated at most {TIMES_MAX} times, and at least once");
        let help = "write `4 times every 5s`, say, or leave it out for one event";
        checker.reports.error_with_help(Code::TestTime, repeat.count.span, message, help);
    }
    if let Some(id) = id {
        let wrong = match (story.events.contains(&id.text), times) {
            (true, _) => Some((format!("there is an event `{}` already", id.text), "choose another id")),
            (false, 0 | 1) => None,
            (false, _) => {
                let message = format!("`{}` names one event, and this is {times}", id.text);
                Some((message, "leave the id out, or give the event that it names by itself"))
            }
        };
        if let Some((message, help)) = wrong {
            checker.reports.error_with_help(Code::TestField, id.span, message, help);
        }
        story.events.push(id.text.clone());
    }
    let times = if countable { times } else { 0 };
    let had_room = checker.events_given <= EVENTS_MAX;
    checker.events_given = checker.events_given.saturating_add(times);
    if EVENTS_MAX < checker.events_given {
        if had_room {
            let span = step.repeat.as_ref().map_or(step.span, |it| it.count.span);
            let message = format!("the tests of a rule set give at most {EVENTS_MAX} events together");
            let help = "repeat fewer: a test shows what a rule does, and load is for `weir bench file`";
            checker.reports.error_with_help(Code::TooMany, span, message, help);
        }
        return None;
    }
    for nth in 0..times {
        if let (Some(every), true) = (every, 0 < nth) {
            move_cursor(checker, story, every.micros, every.span)?;
        }
        let Some(given) = given else { continue };
        let id = id.map_or_else(|| story.make_up(), |it| it.text.clone());
        let event = given.event(id, story.cursor, story);
        story.steps.push(TestStep::Event(event));
    }
    Some(())
}

impl Story {
    /// An id that no author writes.
    pub(super) fn make_up(&mut self) -> String {
        self.made_up += 1;
        format!("#{}", self.made_up)
    }
}

fn amended_value(checker: &mut Checker<'_>, column: MutableColumn, value: &ast::Name) -> Option<u8> {
    let text = value.text.as_str();
    let (number, names) = match column {
        MutableColumn::Outcome => (Outcome::from_name(text).map(|it| it as u8), Outcome::NAMES),
        MutableColumn::Challenge => (Challenge::from_name(text).map(|it| it as u8), Challenge::NAMES),
        MutableColumn::Result => {
            (OperationResult::from_name(text).map(|it| it as u8), OperationResult::NAMES)
        }
        MutableColumn::Label => (Label::from_name(text).map(|it| it as u8), Label::NAMES),
        MutableColumn::Accepted => return None,
    };
    if number.is_none() {
        checker.reports.unknown(Code::TestValue, value.span, "value", text, names.iter().copied());
    }
    number
}

fn listed(
    checker: &mut Checker<'_>,
    item: &ast::Name,
    list: &ast::Name,
    value: Option<&ast::Expr>,
    time: Micros,
) -> Option<TestStep> {
    let id = checker.list_named(list)?;
    let &List { of, text_bytes_max, .. } = checker.lists.get(id.index())?;
    let value = match (of, value) {
        (ListKind::Table(_, ty), Some(value)) => Some(checker.given_value(value, ty, text_bytes_max)?),
        (ListKind::Table(..), None) => {
            let message = format!("`{}` is a table, so there is a value beside each entity", list.text);
            let help = format!("write `{} in {} = …`", item.text, list.text);
            checker.reports.error_with_help(Code::TestValue, list.span, message, help);
            return None;
        }
        (_, Some(value)) => {
            let message = format!("`{}` is a list, which has no values", list.text);
            let help = format!("write `{} in {}`", item.text, list.text);
            checker.reports.error_with_help(Code::TestValue, value.span, message, help);
            return None;
        }
        (_, None) => None,
    };
    Some(TestStep::List { time, list: id, item: item.text.clone(), value })
}

fn expectation(
    checker: &mut Checker<'_>,
    item: &ast::Expectation,
    subject: Option<EventTypeId>,
) -> Option<Expectation> {
    match &item.kind {
        ast::ExpectationKind::Error => None,
        ast::ExpectationKind::Outcome { outcome, because } => {
            let rules: Vec<Option<RuleId>> = because.iter().map(|it| rule(checker, it)).collect();
            let rules: Option<Vec<RuleId>> = rules.into_iter().collect();
            Some(Expectation::Outcome(*outcome, rules?, item.span))
        }
        ast::ExpectationKind::Hit { negated, rule: name } => {
            let rule = rule(checker, name)?;
            Some(Expectation::Hit { rule, hits: !negated, span: item.span })
        }
        ast::ExpectationKind::Holds(condition) if meant_outcome(checker, condition) => None,
        ast::ExpectationKind::Holds(condition) => {
            let scope = Scope { score: true, ..Scope::current(subject.into_iter().collect()) };
            let condition = Exprs { checker, scope }.flag(condition)?;
            Some(Expectation::Holds(condition, item.span))
        }
    }
}

/// Whether it is a name that means nothing and is written almost like an outcome, which is reported.
fn meant_outcome(checker: &mut Checker<'_>, condition: &ast::Expr) -> bool {
    let name = bare_name(condition).filter(|it| checker.means_nothing(&it.text));
    let Some(name) = name.filter(|it| nearest(&it.text, OUTCOMES).is_some()) else { return false };
    checker.reports.unknown(Code::UnknownName, name.span, "outcome", &name.text, OUTCOMES);
    true
}

fn rule(checker: &mut Checker<'_>, name: &ast::Name) -> Option<RuleId> {
    let found = checker.rule_names.get(name.text.as_str()).copied();
    if found.is_none() {
        let candidates: Vec<&str> = checker.rule_names.keys().copied().collect();
        checker.reports.unknown(Code::UnknownRule, name.span, "rule", &name.text, candidates);
    }
    found
}
