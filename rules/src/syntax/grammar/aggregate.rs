//! Aggregates: a call and the clauses behind it. As a feature or in parentheses it stands as it is; where it stands
//! beside something else or in a condition, it is read all the same, and told to need parentheses.

use super::{expression, literal, type_name};
use crate::diagnostic::{Code, Diagnostic};
use crate::span::Span;
use crate::syntax::ast::{Aggregate, CalendarUnit, Clause, ClauseKind, Expr, ExprKind, Name, Window};
use crate::syntax::kind::SyntaxKind as K;
use crate::syntax::parser::{ClauseOwner, Mark, Parser};

/// expr | aggregate
pub(super) fn opt_aggregate(p: &mut Parser<'_>) -> Expr {
    let mark = p.mark();
    let value = p.with_clauses(ClauseOwner::Call, expression::expr_or_aggregate);
    if !at_clause(p) {
        return value;
    }
    let place = p.span();
    let open = p.open_at(mark, K::Aggregate);
    clauses(p);
    let span = p.close(open);
    if value.kind != ExprKind::Error {
        let clauses = Span { start: place.start, ..span };
        p.report_behind(clauses_on_expression(p, &value, place, clauses));
        p.recover(|_| true);
    }
    Expr { kind: ExprKind::Error, span }
}

/// aggregate = call {clause}; without clauses, or where they are another's, it is a call.
pub(super) fn call_or_aggregate(p: &mut Parser<'_>) -> Expr {
    let mark = p.mark();
    let call = expression::call(p);
    let begins = match p.clauses {
        ClauseOwner::Call => at_clause(p),
        // What the aggregate around has said already is not said of it again.
        ClauseOwner::Around => (p.at(K::ByKw) && p.said.by) || (p.at(K::OverKw) && p.said.over),
        // The other words may begin what comes next: an effect, say.
        ClauseOwner::Nobody => p.at(K::ByKw) || p.at(K::OverKw),
    };
    if !begins {
        return Expr { span: call.span, kind: ExprKind::Call(call) };
    }
    let open = p.open_at(mark, K::Aggregate);
    let clauses = clauses(p);
    let span = p.close(open);
    // In another's condition parentheses are of no use: it cannot stand there at all.
    p.bare = (p.clauses != ClauseOwner::Around).then_some(span);
    Expr { kind: ExprKind::Aggregate(Box::new(Aggregate { call, clauses, span })), span }
}

fn clauses(p: &mut Parser<'_>) -> Vec<Clause> {
    let mut clauses = Vec::new();
    let around = std::mem::take(&mut p.said);
    while at_clause(p) {
        p.said.by |= p.at(K::ByKw);
        p.said.over |= p.at(K::OverKw);
        clauses.push(clause(p));
    }
    p.said = around;
    clauses
}

/// Reports an aggregate without parentheses in an expression that began at a mark, and shows that with them. Where its
/// condition compares twice, it has been told where they belong.
pub(super) fn report_bare(p: &mut Parser<'_>, mark: Mark) {
    let Some(bare) = p.bare.take().filter(|it| !p.has_chain(*it)) else { return };
    let whole = p.since(mark);
    let before = p.slice(Span { end: bare.start, ..whole });
    let behind = p.slice(Span { start: bare.end, ..whole });
    let written = format!("{before}({}){behind}", p.slice(bare));
    let help = match on_one_line(&written) {
        Some(written) => format!("write `{written}`"),
        None => "put the call and its clauses in parentheses".to_owned(),
    };
    let message = "an aggregate in an expression stands in parentheses";
    p.report_behind(Diagnostic::new(Code::AggregateBare, bare, message).help(help));
}

/// How to compare an aggregate, where its condition has taken the comparison that stands here; what the condition
/// compared before it began at a mark.
pub(super) fn how_to_compare(p: &Parser<'_>, mark: Mark) -> String {
    let (condition, comparison) = (on_one_line(p.slice(p.since(mark))), p.current_text());
    let condition = condition.map_or(String::new(), |it| format!(" {it}"));
    format!(
        "all that follows `where` is its condition: to compare the aggregate, write `(…{condition}) {comparison} …`"
    )
}

/// A piece of the text in one line; none if a comment is in it.
pub(super) fn on_one_line(text: &str) -> Option<String> {
    (!text.contains("//")).then(|| text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What is wrong with clauses, of which the first stands at a place, behind a value that is no call.
fn clauses_on_expression(p: &Parser<'_>, value: &Expr, place: Span, clauses: Span) -> Diagnostic {
    let said = Diagnostic::new(Code::ClausesOnExpression, place, "clauses belong to one call");
    if let (ExprKind::Path(_), Some(clauses)) = (&value.kind, on_one_line(p.slice(clauses))) {
        let name = p.slice(value.span);
        return said
            .label_at(value.span, "this is a name and no call")
            .help(format!("say in parentheses what of: `{name}(…) {clauses}`"));
    }
    said.label_at(value.span, "this is more than a call")
        .help("put the call and its clauses in parentheses: `(count(payment) by user over 1h) + 1`")
}

fn at_clause(p: &Parser<'_>) -> bool {
    match p.current() {
        K::ByKw | K::OverKw | K::WhereKw => true,
        _ => matches!(p.nth_word(0), Some("before" | "delay" | "within" | "step" | "group")),
    }
}

/// clause = "by" roles ["via" roles] | "over" window | "where" expr | "before" | "delay" dur | "within" dur
///        | "step" dur | "group" "by" name "having" call cmpop sum
fn clause(p: &mut Parser<'_>) -> Clause {
    let open = p.open(K::Clause);
    let kind = match p.current() {
        K::ByKw => by(p),
        K::OverKw => over(p),
        K::WhereKw => {
            p.bump();
            Some(ClauseKind::Where(p.with_clauses(ClauseOwner::Around, expression::expr)))
        }
        _ => timed(p),
    };
    if kind.is_none() {
        p.recover(|p| at_clause(p) || p.at_line_start() || matches!(p.current(), K::CloseParen | K::Comma));
    }
    Clause { kind: kind.unwrap_or(ClauseKind::Error), span: p.close(open) }
}

fn timed(p: &mut Parser<'_>) -> Option<ClauseKind> {
    let word = p.current_text();
    p.bump();
    match word {
        "before" => Some(ClauseKind::Before),
        "delay" => literal::duration(p).map(ClauseKind::Delay),
        "within" => literal::duration(p).map(ClauseKind::Within),
        "step" => literal::duration(p).map(ClauseKind::Step),
        _ => group_by(p),
    }
}

/// "by" roles ["via" roles]
fn by(p: &mut Parser<'_>) -> Option<ClauseKind> {
    p.bump();
    let roles = roles(p)?;
    let via = if p.eat_word("via") { self::roles(p)? } else { Vec::new() };
    Some(ClauseKind::By { roles, via })
}

/// roles = name | "(" name "," name ")"
fn roles(p: &mut Parser<'_>) -> Option<Vec<Name>> {
    if !p.eat(K::OpenParen) {
        return p.name("a role").map(|role| vec![role]);
    }
    let first = p.name("a role")?;
    if !p.expect(K::Comma, "`,`") {
        return None;
    }
    let second = p.name("a role")?;
    p.expect(K::CloseParen, "`)`").then(|| vec![first, second])
}

/// "over" (dur | "today" | "this" unit | "last" int (type | "any"))
fn over(p: &mut Parser<'_>) -> Option<ClauseKind> {
    p.bump();
    let window = match p.nth_word(0) {
        Some("today") => {
            p.bump();
            Window::Today
        }
        Some("last") => {
            p.bump();
            let count = literal::integer(p, "how many events")?;
            Window::Last { count, of: type_name(p)? }
        }
        _ if p.eat(K::ThisKw) => Window::This(calendar_unit(p)?),
        _ => Window::Sliding(literal::duration(p)?),
    };
    Some(ClauseKind::Over(window))
}

/// unit = "hour" | "day" | "week" | "month" | "year"
fn calendar_unit(p: &mut Parser<'_>) -> Option<CalendarUnit> {
    let unit = match p.nth_word(0) {
        Some("hour") => CalendarUnit::Hour,
        Some("day") => CalendarUnit::Day,
        Some("week") => CalendarUnit::Week,
        Some("month") => CalendarUnit::Month,
        Some("year") => CalendarUnit::Year,
        _ => {
            p.expected_word("a stretch of the calendar", &["hour", "day", "week", "month", "year"]);
            return None;
        }
    };
    p.bump();
    Some(unit)
}

/// "group" "by" name "having" call cmpop sum; the first word is taken.
fn group_by(p: &mut Parser<'_>) -> Option<ClauseKind> {
    if !p.expect(K::ByKw, "`by`") {
        return None;
    }
    let role = p.name("a role")?;
    if !p.expect_word("having") {
        return None;
    }
    if !(p.at(K::Word) && p.nth(1) == K::OpenParen) {
        p.expected("a call such as `count(payment)`");
        return None;
    }
    let having = expression::call(p);
    let Some(op) = expression::comparison(p.current()) else {
        p.expected("a comparison such as `>=`");
        return None;
    };
    expression::bump_comparison(p);
    let value = p.with_clauses(ClauseOwner::Around, expression::sum);
    Some(ClauseKind::GroupBy { role, having, op, value })
}
