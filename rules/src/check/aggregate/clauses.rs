//! An aggregate's clauses, each at most once, and what of them can be told without looking at the events.

use super::super::calls;
use super::super::later;
use super::super::names::Checker;
use super::super::words;
use crate::diagnostic::Code;
use crate::span::Span;
use crate::syntax::ast;
use crate::typed::AggregateFunction;

/// An aggregate's clauses, each at most once.
#[derive(Debug, Default)]
pub(super) struct Clauses<'e> {
    /// Roles of the event being decided.
    pub(super) by: &'e [ast::Name],
    /// Those on which past events are matched, where they are other ones.
    pub(super) via: Option<&'e [ast::Name]>,
    pub(super) over: Option<&'e ast::Duration>,
    pub(super) delay: Option<&'e ast::Duration>,
    pub(super) condition: Option<&'e ast::Expr>,
    pub(super) before: bool,
    /// Whether nothing of them failed.
    pub(super) sound: bool,
    /// Whether all could be read: else one that seems to be missing may be there.
    pub(super) whole: bool,
}

impl Clauses<'_> {
    /// Of a call that has none, which has been reported.
    pub(super) fn unsaid() -> Self {
        Self::default()
    }
}

impl Checker<'_> {
    pub(super) fn clauses<'e>(&mut self, ast: &'e ast::Aggregate) -> Clauses<'e> {
        let mut clauses = Clauses { sound: true, whole: true, ..Clauses::default() };
        for clause in &ast.clauses {
            if self.clause(clause, &mut clauses) {
                let message = "this has been said of the aggregate already";
                let help = "leave one of the two out; conditions are joined by `and`";
                self.reports.error_with_help(Code::ClauseRepeated, clause.span, message, help);
                clauses.sound = false;
            }
        }
        clauses
    }

    /// Takes a clause in. True where it was said before.
    fn clause<'e>(&mut self, clause: &'e ast::Clause, clauses: &mut Clauses<'e>) -> bool {
        match &clause.kind {
            ast::ClauseKind::By { roles, via } => {
                let repeated = !clauses.by.is_empty();
                clauses.by = roles;
                clauses.via = Some(via.as_slice()).filter(|it| !it.is_empty());
                self.paired(roles, via, clause.span, clauses);
                repeated
            }
            ast::ClauseKind::Where(condition) => clauses.condition.replace(condition).is_some(),
            ast::ClauseKind::Before => std::mem::replace(&mut clauses.before, true),
            ast::ClauseKind::Delay(delay) => {
                words::warn_minutes(delay, "delay", &mut self.reports);
                clauses.sound &= self.bounded(delay, "delay");
                clauses.delay.replace(delay).is_some()
            }
            ast::ClauseKind::Over(ast::Window::Sliding(over)) => {
                clauses.sound &= self.bounded(over, "over");
                clauses.over.replace(over).is_some()
            }
            ast::ClauseKind::Error => {
                (clauses.sound, clauses.whole) = (false, false);
                false
            }
            later => {
                self.not_yet(clause.span, clause_name(later));
                (clauses.sound, clauses.whole) = (false, false);
                false
            }
        }
    }

    fn paired(&mut self, by: &[ast::Name], via: &[ast::Name], span: Span, clauses: &mut Clauses<'_>) {
        if !via.is_empty() && by.len() != via.len() {
            let message = format!("`by` names {} and `via` {}", by.len(), via.len());
            let help = "they are paired in order: name as many roles";
            self.reports.error_with_help(Code::RolesDiffer, span, message, help);
            clauses.sound = false;
        }
        // A role may be matched on two others; on one, it says no more than by itself.
        if via.iter().all(|it| via.iter().all(|other| it.text == other.text)) {
            let one = |names: &[ast::Name]| names.first().map_or(String::new(), |it| it.text.clone());
            let via = if via.is_empty() { String::new() } else { format!(" via {}", one(via)) };
            self.reports.warn_twice(by, &format!("one is enough: `by {}{via}`", one(by)));
        }
    }

    fn bounded(&mut self, duration: &ast::Duration, word: &str) -> bool {
        let sound = 0 < duration.micros && duration.micros <= crate::time::SPAN_MAX;
        if !sound {
            let message = format!("`{word}` spans more than nothing and at most ten years");
            let help = match word {
                "delay" => "leave `delay` out where nothing is delayed, or write `delay 7d`, say",
                _ => "write how far back it looks: `over 1h`, say",
            };
            self.reports.error_with_help(Code::WindowBounds, duration.span, message, help);
        }
        sound
    }

    /// Reports what every aggregate says and this one does not. True if all is there.
    pub(super) fn complete(
        &mut self,
        clauses: &Clauses<'_>,
        function: Option<AggregateFunction>,
        call: &ast::Call,
        span: Span,
    ) -> bool {
        let name = &call.name.text;
        if self.reports.goes_on(span) {
            return false;
        }
        let by_missing = clauses.whole && clauses.by.is_empty();
        if by_missing {
            let message = format!("`{name}` looks into the past and does not say whose");
            self.reports.error_with_help(Code::ByMissing, span, message, "add `by user` or another role");
        }
        let needs_window = function.is_some_and(|it| !may_lack_window(it));
        let window_missing = clauses.whole && needs_window && clauses.over.is_none();
        if window_missing {
            let message = format!("`{name}` does not say how far back it looks");
            self.reports.error_with_help(
                Code::WindowMissing,
                span,
                message,
                "add a window, such as `over 24h`",
            );
        }
        !by_missing && !window_missing
    }

    pub(super) fn function(&mut self, call: &ast::Call) -> Option<AggregateFunction> {
        let name = call.name.text.as_str();
        let function = calls::aggregate_function(name);
        if function.is_none() {
            if later::is_later(name) {
                self.not_yet(call.name.span, name);
            } else {
                let candidates = calls::AGGREGATES.iter().copied();
                self.reports.unknown(Code::UnknownFunction, call.name.span, "aggregate", name, candidates);
            }
        }
        function
    }
}

/// These keep no rows, so they may look back as far as is kept.
pub(super) fn may_lack_window(function: AggregateFunction) -> bool {
    use AggregateFunction as F;
    matches!(function, F::Last | F::FirstSeen | F::TimeSince | F::Speed)
}

fn clause_name(clause: &ast::ClauseKind) -> &'static str {
    match clause {
        ast::ClauseKind::Within(_) => "within",
        ast::ClauseKind::Step(_) => "step",
        ast::ClauseKind::GroupBy { .. } => "group by",
        ast::ClauseKind::Over(ast::Window::Last { .. }) => "over last",
        ast::ClauseKind::Over(ast::Window::Today) => "over today",
        _ => "over this",
    }
}
