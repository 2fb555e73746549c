//! Expressions: operators by binding power, and what stands between them.
//!
//! INVARIANT (bounded depth): expressions nest at most [`DEPTH_MAX`] deep, counted from their item. [`operators`]
//! upholds it: what recurses is counted by [`Parser::depth`]; a chain such as `a + b + c` grows to the left without
//! recursion, each operator pushing all before it one deeper, which [`Parser::deepest`] counts.

use super::aggregate::{self, on_one_line};
use super::literal;
use crate::diagnostic::{Code, Diagnostic};
use crate::span::Span;
use crate::syntax::ast::{Arg, BinaryOp, Call, Expr, ExprKind, Path, Range};
use crate::syntax::kind::SyntaxKind as K;
use crate::syntax::parser::{ClauseOwner, DEPTH_MAX, Mark, Parser};
use crate::typed::Comparison;

/// How tightly an operator binds; the greater, the tighter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Power {
    Or,
    And,
    Not,
    Compare,
    Coalesce,
    Sum,
    Product,
    Sign,
}

/// expr = or
pub(super) fn expr(p: &mut Parser<'_>) -> Expr {
    whole(p, Power::Or)
}

/// prod, of which a score's number is made
pub(super) fn product(p: &mut Parser<'_>) -> Expr {
    whole(p, Power::Product)
}

/// unary, which a test's values are
pub(super) fn value(p: &mut Parser<'_>) -> Expr {
    whole(p, Power::Sign)
}

/// sum, which a group's bound is
pub(super) fn sum(p: &mut Parser<'_>) -> Expr {
    whole(p, Power::Sum)
}

/// expr | aggregate, whose clauses need no parentheses
pub(super) fn expr_or_aggregate(p: &mut Parser<'_>) -> Expr {
    let parsed = operators(p, Power::Or);
    p.bare = None;
    parsed
}

fn whole(p: &mut Parser<'_>, least: Power) -> Expr {
    let mark = p.mark();
    let parsed = operators(p, least);
    aggregate::report_bare(p, mark);
    parsed
}

/// or    = and {"or" and} ; and = not {"and" not} ; not = ["not"] cmp
/// cmp   = coal [cmpop coal | ["not"] "in" coal [".." coal] | "is" ["not"] "missing"]
/// coal  = sum ["??" coal] ; sum = prod {("+"|"-") prod} ; prod = unary {("*"|"/") unary} ; unary = ["-"] atom
fn operators(p: &mut Parser<'_>, least: Power) -> Expr {
    if DEPTH_MAX <= p.depth {
        return too_deep(p);
    }
    p.depth += 1;
    let around = std::mem::replace(&mut p.deepest, p.depth);
    let mark = p.mark();
    let mut left = prefix(p, least);
    let mut compared = false;
    while let Some(power) = power(p).filter(|power| least <= *power) {
        if DEPTH_MAX <= p.deepest {
            left = too_deep(p);
            break;
        }
        p.deepest += 1;
        if power == Power::Compare && compared {
            report_chain(p, mark);
        }
        compared |= power == Power::Compare;
        let bare = p.bare.take();
        left = infix(p, mark, left, power);
        for bare in [p.bare, bare] {
            p.bare = bare;
            aggregate::report_bare(p, mark);
        }
    }
    p.depth -= 1;
    p.deepest = p.deepest.max(around);
    left
}

/// Reports a comparison behind another that began at a mark.
fn report_chain(p: &mut Parser<'_>, mark: Mark) {
    let diagnostic = Diagnostic::new(Code::ComparisonChain, p.span(), "comparisons do not follow each other");
    let diagnostic = match p.clauses {
        ClauseOwner::Around => diagnostic.help(aggregate::how_to_compare(p, mark)),
        ClauseOwner::Call | ClauseOwner::Nobody => diagnostic,
    };
    p.report(diagnostic.help("to compare twice, write `a < b and b < c`"));
}

fn too_deep(p: &mut Parser<'_>) -> Expr {
    let message = format!("this expression is more than {DEPTH_MAX} levels deep");
    let diagnostic = Diagnostic::new(Code::NestedTooDeep, p.span(), message);
    p.report(diagnostic.help("give parts of it names as features of their own"));
    let mark = p.mark();
    p.recover(|_| false);
    Expr { kind: ExprKind::Error, span: p.since(mark) }
}

/// How tightly the operator here binds; none if there is none.
fn power(p: &Parser<'_>) -> Option<Power> {
    Some(match p.current() {
        K::OrKw => Power::Or,
        K::AndKw => Power::And,
        K::InKw | K::IsKw => Power::Compare,
        K::NotKw if p.nth(1) == K::InKw => Power::Compare,
        K::QuestionQuestion => Power::Coalesce,
        K::Plus | K::Minus => Power::Sum,
        K::Star | K::Slash => Power::Product,
        _ => return comparison_here(p).map(|_| Power::Compare),
    })
}

/// The comparison that stands here. A single `=` is meant as one.
fn comparison_here(p: &Parser<'_>) -> Option<BinaryOp> {
    match p.nth_word(0) {
        Some("contains") => Some(BinaryOp::Contains),
        Some("starts") => Some(BinaryOp::Starts),
        Some("matches") => Some(BinaryOp::Matches),
        _ => comparison(p.current()).map(BinaryOp::Compare),
    }
}

/// cmpop of numbers
pub(super) fn comparison(kind: K) -> Option<Comparison> {
    Some(match kind {
        K::EqualsEquals | K::Equals => Comparison::Equal,
        K::NotEquals => Comparison::NotEqual,
        K::Less => Comparison::Less,
        K::LessEquals => Comparison::LessOrEqual,
        K::Greater => Comparison::Greater,
        K::GreaterEquals => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

/// Takes a comparison, and reports a single `=`.
pub(super) fn bump_comparison(p: &mut Parser<'_>) -> Span {
    if p.at(K::Equals) {
        let diagnostic = Diagnostic::new(Code::ForeignOperator, p.span(), "`=` does not compare");
        p.report(diagnostic.help("write `==`"));
    }
    p.bump()
}

fn prefix(p: &mut Parser<'_>, least: Power) -> Expr {
    let (node, power) = match p.current() {
        K::NotKw if least <= Power::Not => (K::Not, Power::Not),
        K::Minus => (K::Negate, Power::Sign),
        _ => return atom(p),
    };
    let mark = p.mark();
    let open = p.open(node);
    p.bump();
    let operand = Box::new(operators(p, power));
    aggregate::report_bare(p, mark);
    let span = p.close(open);
    let kind = if node == K::Not { ExprKind::Not(operand) } else { ExprKind::Negate(operand) };
    Expr { kind, span }
}

/// What follows a left side: the operator here and its right side.
fn infix(p: &mut Parser<'_>, mark: Mark, left: Expr, power: Power) -> Expr {
    match p.current() {
        K::IsKw => is_missing(p, mark, left),
        K::InKw | K::NotKw => in_(p, mark, left),
        _ => binary(p, mark, left, power),
    }
}

/// "is" ["not"] "missing"
fn is_missing(p: &mut Parser<'_>, mark: Mark, operand: Expr) -> Expr {
    let open = p.open_at(mark, K::IsMissing);
    p.bump();
    let negated = p.eat(K::NotKw);
    p.expect(K::MissingKw, "`missing`");
    let kind = ExprKind::IsMissing { negated, operand: Box::new(operand) };
    Expr { kind, span: p.close(open) }
}

/// ["not"] "in" coal [".." coal]
fn in_(p: &mut Parser<'_>, mark: Mark, operand: Expr) -> Expr {
    let open = p.open_at(mark, K::In);
    let negated = p.eat(K::NotKw);
    p.bump();
    let low = Box::new(operators(p, Power::Coalesce));
    let range = if p.eat(K::DotDot) {
        Range::Between { low, high: Box::new(operators(p, Power::Coalesce)) }
    } else {
        Range::Of(low)
    };
    let kind = ExprKind::In { negated, operand: Box::new(operand), range };
    Expr { kind, span: p.close(open) }
}

fn binary(p: &mut Parser<'_>, mark: Mark, left: Expr, power: Power) -> Expr {
    let open = p.open_at(mark, K::Binary);
    // `??` groups to the right, all others to the left.
    let (op, right_power) = match p.current() {
        K::OrKw => (BinaryOp::Or, Power::And),
        K::AndKw => (BinaryOp::And, Power::Not),
        K::QuestionQuestion => (BinaryOp::Coalesce, Power::Coalesce),
        K::Plus => (BinaryOp::Add, Power::Product),
        K::Minus => (BinaryOp::Subtract, Power::Product),
        K::Star => (BinaryOp::Multiply, Power::Sign),
        K::Slash => (BinaryOp::Divide, Power::Sign),
        _ => (comparison_here(p).unwrap_or(BinaryOp::Compare(Comparison::Equal)), Power::Coalesce),
    };
    let op_span = if power == Power::Compare { bump_comparison(p) } else { p.bump() };
    let right = Box::new(operators(p, right_power));
    let kind = ExprKind::Binary { op, op_span, left: Box::new(left), right };
    Expr { kind, span: p.close(open) }
}

/// atom = quantity | dur | text | date | "true" | "false" | path | lookup | call | set | paren
fn atom(p: &mut Parser<'_>) -> Expr {
    match p.current() {
        K::Number => literal(p, |p| literal::quantity(p).map(ExprKind::Quantity)),
        K::Duration => literal(p, |p| literal::duration(p).map(ExprKind::Duration)),
        K::Date => literal(p, |p| literal::date(p).map(ExprKind::Date)),
        K::Text => literal(p, |p| literal::text(p).map(|text| ExprKind::Text(text.text))),
        K::TrueKw | K::FalseKw => literal(p, |p| {
            let flag = p.at(K::TrueKw);
            p.bump();
            Some(ExprKind::Flag(flag))
        }),
        K::Word if p.nth(1) == K::OpenParen => aggregate::call_or_aggregate(p),
        K::Word if p.nth(1) == K::OpenBracket => lookup(p),
        K::Word | K::AnyKw | K::ThisKw => path(p),
        K::OpenBracket => set(p),
        K::OpenParen => paren(p),
        _ => nothing(p),
    }
}

fn literal(p: &mut Parser<'_>, kind: impl FnOnce(&mut Parser<'_>) -> Option<ExprKind>) -> Expr {
    let open = p.open(K::Literal);
    let kind = kind(p).unwrap_or(ExprKind::Error);
    Expr { kind, span: p.close(open) }
}

/// Where an expression should stand and none begins.
fn nothing(p: &mut Parser<'_>) -> Expr {
    let mark = p.mark();
    let what =
        if p.current().is_reserved() { "a value" } else { "a value, such as a field, a feature or a number" };
    match other_side(p) {
        Some(help) => p.expected_with(what, help),
        None => p.expected(what),
    }
    recover(p);
    Expr { kind: ExprKind::Error, span: p.since(mark) }
}

/// More of what is written is not repeated in a help text, in bytes.
const SHOWN_MAX: usize = 60;

/// What is written at a place, if it is short and on one line.
fn shown(p: &Parser<'_>, span: Span) -> Option<String> {
    // A long one is not even looked at: many may be open.
    let text = p.slice(span);
    if text.len() <= 2 * SHOWN_MAX { on_one_line(text).filter(|it| it.len() <= SHOWN_MAX) } else { None }
}

/// What to write behind an operator that has no right side; none behind anything else.
fn other_side(p: &Parser<'_>) -> Option<String> {
    let (node, written) = p.innermost()?;
    if node != K::Binary {
        return None;
    }
    let left = shown(p, written).unwrap_or_else(|| "…".to_owned());
    Some(match p.current() {
        K::NotKw => format!("put it in parentheses: `{left} (not …)`"),
        _ => format!("write its other side: `{left} …`"),
    })
}

/// Skips the rest of an expression.
fn recover(p: &mut Parser<'_>) {
    p.recover(|p| {
        let ends = matches!(p.current(), K::Comma | K::CloseParen | K::CloseBracket);
        ends || p.at_line_start() || ends_expression(p)
    });
}

/// Whether a word stands here that can only come behind an expression.
fn ends_expression(p: &Parser<'_>) -> bool {
    matches!(p.current(), K::WhereKw | K::WhenKw | K::ThenKw | K::ByKw | K::OverKw)
}

/// path = ["this" "."] name {"." name}
fn path(p: &mut Parser<'_>) -> Expr {
    let open = p.open(K::Path);
    let this = if p.at(K::ThisKw) { Some(p.bump()) } else { None };
    let mut names = Vec::new();
    let mut whole = true;
    if this.is_some() {
        whole = p.expect(K::Dot, "`.` and a field or feature");
    } else {
        names.push(p.bump_name());
    }
    while whole && (names.is_empty() || p.eat(K::Dot)) {
        match p.name("a name") {
            Some(name) => names.push(name),
            None => whole = false,
        }
    }
    let kind = if whole { ExprKind::Path(Path { this, names }) } else { ExprKind::Error };
    Expr { kind, span: p.close(open) }
}

/// lookup = name "[" expr "]"
fn lookup(p: &mut Parser<'_>) -> Expr {
    let open = p.open(K::Lookup);
    let table = p.bump_name();
    p.bump();
    let key = Box::new(p.with_clauses(ClauseOwner::Nobody, expr));
    close(p, K::CloseBracket, "`]`");
    Expr { kind: ExprKind::Lookup { table, key }, span: p.close(open) }
}

/// call = name "(" [arg {"," arg}] ")"
pub(super) fn call(p: &mut Parser<'_>) -> Call {
    let open = p.open(K::Call);
    let name = p.bump_name();
    p.bump();
    let mut args = p.with_clauses(ClauseOwner::Nobody, |p| list(p, K::CloseParen, arg));
    // What more is wrong with an argument that is not whole comes of that.
    if !close(p, K::CloseParen, "`,` or `)`")
        && let Some(last) = args.last_mut()
    {
        last.expr.kind = ExprKind::Error;
    }
    Call { name, args, span: p.close(open) }
}

/// arg = ["not"] expr ["where" expr] ["within" dur]
fn arg(p: &mut Parser<'_>) -> Arg {
    let open = p.open(K::Arg);
    let first = p.span();
    let mut expr = expr(p);
    let mut not = None;
    // A step's `not` looks like an ordinary negation: it is one that reaches to the end of the argument's expression.
    if let ExprKind::Not(operand) = expr.kind {
        not = Some(first);
        expr = *operand;
    }
    let where_ = p.eat(K::WhereKw).then(|| self::expr(p));
    let within = if p.eat_word("within") { literal::duration(p) } else { None };
    Arg { not, expr, where_, within, span: p.close(open) }
}

/// set = "[" expr {"," expr} "]"
fn set(p: &mut Parser<'_>) -> Expr {
    let open = p.open(K::Set);
    p.bump();
    let items = p.with_clauses(ClauseOwner::Nobody, |p| list(p, K::CloseBracket, expr));
    close(p, K::CloseBracket, "`,` or `]`");
    Expr { kind: ExprKind::Set(items), span: p.close(open) }
}

/// paren = "(" expr {clause} ")"
fn paren(p: &mut Parser<'_>) -> Expr {
    let open = p.open(K::Paren);
    p.bump();
    let inner = aggregate::opt_aggregate(p);
    let whole = close(p, K::CloseParen, "`)`");
    let _ = p.close(open);
    if whole { inner } else { Expr { kind: ExprKind::Error, ..inner } }
}

/// [item {"," item}], up to the closing token
fn list<T>(p: &mut Parser<'_>, end: K, item: fn(&mut Parser<'_>) -> T) -> Vec<T> {
    let mut items = Vec::new();
    while !p.at(end) && !p.at_end() {
        items.push(item(p));
        if !p.eat(K::Comma) {
            break;
        }
    }
    items
}

/// Takes the closing token. If it is not here, reports and skips to it, but not beyond the expression.
fn close(p: &mut Parser<'_>, kind: K, what: &str) -> bool {
    let here = p.eat(kind);
    if !here {
        p.expected_with(what, how_to_close(p, if kind == K::CloseBracket { "]" } else { ")" }));
        p.recover(|p| p.at(kind) || p.at_line_start() || matches!(p.current(), K::WhenKw | K::ThenKw));
        p.eat(kind);
    }
    here
}

/// What is open here as it would be with its closing token; where something else stands in a row, a comma may be meant.
fn how_to_close(p: &Parser<'_>, closing: &str) -> String {
    let (node, open) = p.innermost().unwrap_or((K::Paren, p.span()));
    let closed = match shown(p, open) {
        Some(open) => format!("`{}{closing}`", open.trim_end_matches([',', ' '])),
        None => format!("`…{closing}`"),
    };
    let in_a_row = matches!(node, K::Call | K::Set) && p.at_something_written() && !p.at_line_start();
    if in_a_row {
        format!("put `,` before `{}`, or close it: {closed}", p.current_text())
    } else {
        format!("close it: {closed}")
    }
}
