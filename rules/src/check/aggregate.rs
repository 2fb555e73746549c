//! Looks into the past: an aggregate's clauses, what it is about, and what makes it exact.
//!
//! Each part is judged by itself, so that all errors of an aggregate are told at once; then, if all of them are sound,
//! they are put together. Where a part needs another that failed, it looks at event types that are not known.

mod clauses;
mod matching;

use super::domain::is_plain;
use super::missing;
use super::names::{Absence, Checker};
use super::operators::and;
use super::past_of::Conditions;
use super::quantity::{self, COUNT_DIGITS, SUM_DIGITS_MORE, TIME_DIFFERENCE_DIGITS, dimension, is_ordered};
use super::schema::index_of_next;
use super::scope::{Exprs, Scope};
use super::words;
use crate::diagnostic::Code;
use crate::schema::{EventTypeId, FieldId};
use crate::span::Span;
use crate::syntax::ast;
use crate::time::Micros;
use crate::typed::{
    Aggregate, AggregateFunction, Captured, Definition, EXACT_DIGITS_MAX, Expr, ExprKind, Feature, FeatureId,
    Numeric, Type,
};
use clauses::Clauses;

/// Conditions joined by `and`.
#[derive(Debug)]
struct Joined {
    /// Those that are sound; none if there are none.
    expr: Option<Expr>,
    /// Whether all are.
    sound: bool,
}

impl Checker<'_> {
    /// Checks an aggregate and makes a feature of it.
    pub(super) fn aggregate_feature(
        &mut self,
        aggregate: &ast::Aggregate,
        name: String,
        span: Span,
    ) -> Option<FeatureId> {
        let domain = self.domain_of_aggregate(aggregate);
        self.has_domain(&domain, aggregate.span);
        let clauses = self.clauses(aggregate);
        let (aggregate, ty, absence) = self.aggregate(&aggregate.call, &clauses, &domain, aggregate.span)?;
        self.add_feature(name, span, ty, domain, absence, Definition::Aggregate(Box::new(aggregate)))
    }

    /// The next feature.
    pub(super) fn add_feature(
        &mut self,
        name: String,
        span: Span,
        ty: Type,
        domain: Vec<EventTypeId>,
        absence: Absence,
        definition: Definition,
    ) -> Option<FeatureId> {
        let Some(id) = index_of_next(self.features.len()) else {
            let help = "take out features that no rule reads any more";
            self.reports.error_with_help(Code::TooMany, span, "more features than can be numbered", help);
            return None;
        };
        let optional = absence.otherwise || absence.fields.iter().any(|it| self.is_optional(*it, &domain));
        let feature = Feature {
            name,
            ty,
            optional,
            domain,
            definition,
            captured: Captured::No,
            own: true,
            hash: [0; 16],
            span,
        };
        self.features.push(feature);
        self.absences.push(absence);
        Some(FeatureId(id))
    }

    /// Looks at a call that lacks its clauses, which has been reported.
    pub(super) fn judge_alone(&mut self, call: &ast::Call) {
        self.aggregate(call, &Clauses::unsaid(), &[], call.span);
    }

    fn aggregate(
        &mut self,
        call: &ast::Call,
        clauses: &Clauses<'_>,
        domain: &[EventTypeId],
        span: Span,
    ) -> Option<(Aggregate, Type, Absence)> {
        let function = self.function(call);
        let mut sound = clauses.sound & self.complete(clauses, function, call, span);
        let arg = self.argument(call, function);
        let named = function.zip(arg).and_then(|(it, arg)| self.named_events(it, call, &arg.expr));
        let (mut conditions, numerator) = split_conditions(function, arg, clauses);
        let matching = self.matching(named.as_ref(), clauses, &mut conditions, domain, span);
        let of = matching.of.as_slice();

        let argument = match (function, arg, &named) {
            (Some(function), Some(arg), Some(_)) => self.checked_argument(function, arg, of, domain),
            _ => None,
        };
        let condition = self.condition(&conditions, of, domain);
        let numerator = numerator.map(|it| self.condition(&it, of, domain));
        let ty = function
            .zip(argument.as_ref())
            .and_then(|(it, argument)| self.result(it, call, argument.as_ref()));
        sound &= condition.sound && numerator.as_ref().is_none_or(|it| it.sound);

        let exprs =
            || [Some(&condition), numerator.as_ref()].into_iter().flatten().filter_map(|it| it.expr.as_ref());
        let reads_mutable = exprs().chain(argument.iter().flatten()).any(Expr::reads_mutable);
        // What could not be paired up may be a pair.
        let reads_this = matching.is_known() && exprs().any(reads_this);
        // Of a function that is unknown no more can be told.
        let function = function?;
        sound &= self.exactness(function, clauses, (reads_mutable, reads_this), call, span);
        sound &= self.has_numerator(function, arg, call);
        if !sound || of.is_empty() || domain.is_empty() {
            return None;
        }
        let all = |roles: &[Option<FieldId>]| roles.iter().copied().collect::<Option<Vec<FieldId>>>();
        let aggregate = Aggregate {
            function,
            of: of.to_vec(),
            by: all(&matching.by)?,
            via: all(&matching.via)?,
            over: clauses.over.map(|it| it.micros),
            delay: clauses.delay.map(|it| it.micros),
            before: clauses.before || never_includes_current(function),
            reads_mutable,
            reads_this,
            argument: argument?,
            condition: condition.expr,
            numerator: numerator.and_then(|it| it.expr),
        };
        let absence = self.aggregate_absence(&aggregate);
        Some((aggregate, ty?, absence))
    }

    fn has_domain(&mut self, domain: &[EventTypeId], span: Span) {
        if domain.is_empty() {
            self.reports.error_with_help(
                Code::EmptyDomain,
                span,
                "no event type has all that this reads of the current event",
                "it reads the roles after `by`, what follows `this.`, and arguments without a type",
            );
        }
    }

    fn argument<'e>(
        &mut self,
        call: &'e ast::Call,
        function: Option<AggregateFunction>,
    ) -> Option<&'e ast::Arg> {
        let [arg] = call.args.as_slice() else {
            // Of one that is unknown it is unknown too how many it takes.
            function?;
            let message =
                format!("`{}` looks at one thing, and here are {}", call.name.text, call.args.len());
            let help = "several event types are `any` with `where type in [payment, transfer]`";
            self.reports.error_with_help(Code::ArgumentCount, call.span, message, help);
            return None;
        };
        if arg.not.is_some() || arg.within.is_some() {
            let message = "only steps of a sequence have `not` and `within`";
            let help = "say it behind the call: `where not …`, or `over 15m`";
            self.reports.error_with_help(Code::ClauseUnfit, arg.span, message, help);
            return None;
        }
        Some(arg)
    }

    /// The outer none: it failed. The inner one: this aggregate has none.
    fn checked_argument(
        &mut self,
        function: AggregateFunction,
        arg: &ast::Arg,
        of: &[EventTypeId],
        domain: &[EventTypeId],
    ) -> Option<Option<Expr>> {
        use AggregateFunction as F;
        if matches!(function, F::Count | F::Ratio | F::TimeSince) {
            return Some(None);
        }
        let scope = if is_plain(Some(function)) {
            let mut types = [of, domain].concat();
            types.sort_unstable();
            types.dedup();
            Scope::current(types)
        } else {
            Scope::past(of.to_vec(), domain.to_vec())
        };
        let argument = Exprs { checker: self, scope }.check(&arg.expr)?;
        // What is compared with the past is read of past events too, about which no list is asked.
        let mut asks = false;
        argument.visit(&mut |it| {
            asks |= matches!(
                it.kind,
                ExprKind::Listed(..) | ExprKind::ListedValue(..) | ExprKind::TableValue(..)
            );
        });
        if asks {
            let message = "lists are asked about the current event, and this is compared with past ones";
            let help = "make a feature of it, which is then captured";
            self.reports.error_with_help(Code::ListMisplaced, arg.span, message, help);
            return None;
        }
        let mut captured = Vec::new();
        argument.visit_scope(&mut |it| {
            if let ExprKind::Feature(id) = it.kind {
                captured.push(id);
            }
        });
        for id in captured {
            if let Some(feature) = self.features.get_mut(id.index()) {
                feature.captured = Captured::Own;
            }
        }
        Some(Some(quantity::for_slot(argument)))
    }

    /// The conditions joined by `and`.
    fn condition(
        &mut self,
        conditions: &Conditions<'_>,
        of: &[EventTypeId],
        domain: &[EventTypeId],
    ) -> Joined {
        let mut exprs = Exprs { checker: self, scope: Scope::past(of.to_vec(), domain.to_vec()) };
        let mut joined = Joined { expr: None, sound: true };
        for part in &conditions.parts {
            let Some(part) = exprs.flag(part) else {
                joined.sound = false;
                continue;
            };
            missing::present_if_true(&part, &mut exprs.scope.facts);
            joined.expr = Some(match joined.expr {
                Some(before) => and(before, part),
                None => part,
            });
        }
        joined
    }

    fn result(
        &mut self,
        function: AggregateFunction,
        call: &ast::Call,
        argument: Option<&Expr>,
    ) -> Option<Type> {
        use AggregateFunction as F;
        let count = Type::Number(Numeric::Exact { scale: 0, digits: COUNT_DIGITS });
        let Some(argument) = argument else {
            return Some(match function {
                F::TimeSince => Type::Duration(Numeric::Exact { scale: 0, digits: TIME_DIFFERENCE_DIGITS }),
                F::Ratio => Type::Number(Numeric::Real),
                _ => count,
            });
        };
        let of = dimension(argument.ty);
        let (found, expected) = match (function, of) {
            (F::Sum, Some((dimension, Numeric::Exact { scale, digits }))) => {
                let digits = digits.saturating_add(SUM_DIGITS_MORE).min(EXACT_DIGITS_MAX);
                return Some(quantity::quantity(dimension, Numeric::Exact { scale, digits }));
            }
            (F::Sum, Some((dimension, Numeric::Real))) | (F::Mean | F::Stddev, Some((dimension, _))) => {
                return Some(quantity::quantity(dimension, Numeric::Real));
            }
            (F::Sum | F::Mean | F::Stddev, None) => (argument.ty, "numbers and quantities"),
            (F::Min | F::Max, _) if is_ordered(argument.ty) => return Some(argument.ty),
            (F::Min | F::Max, _) => (argument.ty, "what has an order"),
            (F::Distinct, _) => return Some(count),
            (F::FirstSeen, _) => return Some(Type::Flag),
            (F::Speed, _) if argument.ty == Type::Place => return Some(Type::Speed),
            (F::Speed, _) => (argument.ty, "places"),
            (F::First | F::Last, _) => return Some(argument.ty),
            (F::Count | F::Ratio | F::TimeSince, _) => return Some(count),
        };
        let found = words::type_name(self.schema, found);
        let message = format!("`{}` is of {expected}, and this is {found}", call.name.text);
        let (span, of) = call.args.first().map_or((call.span, call.span), |it| (it.span, it.expr.span));
        let written = self.reports.snippet(of);
        let help = match function {
            F::Speed => "name a field of type `place`: `speed(place)`".to_owned(),
            _ => format!("`distinct({written})` counts different ones, `last({written})` is the newest"),
        };
        self.reports.error_with_help(Code::TypeMismatch, span, message, help);
        None
    }

    /// Reports what would make the window inexact, or include what it must not: by what conditions read of what becomes
    /// known later, and of the current event.
    fn exactness(
        &mut self,
        function: AggregateFunction,
        clauses: &Clauses<'_>,
        (reads_mutable, reads_this): (bool, bool),
        call: &ast::Call,
        span: Span,
    ) -> bool {
        if !clauses.whole {
            return true;
        }
        if self.reports.goes_on(span) {
            return false;
        }
        let why_window = match clauses.over {
            Some(_) => None,
            // That it has none has been said.
            None if !clauses::may_lack_window(function) => None,
            None if reads_mutable => Some("its condition reads what becomes known later"),
            None if reads_this => Some("its condition reads the current event"),
            None if clauses.delay.is_some() => Some("it is delayed"),
            None => None,
        };
        if let Some(why) = why_window {
            let message = format!("`{}` needs a window, because {why}", call.name.text);
            self.reports.error_with_help(Code::WindowMissing, span, message, "add `over 30d`, say");
        }
        let before = clauses.before || never_includes_current(function);
        let includes = reads_mutable && !before && clauses.delay.is_none();
        if includes {
            self.reports.error_with_help(
                Code::CurrentExcluded,
                span,
                "the condition reads what becomes known later, which the current event cannot have",
                "add `before`, so that the current event is seen to be left out, or a `delay`",
            );
        }
        why_window.is_none() && !includes
    }

    fn has_numerator(
        &mut self,
        function: AggregateFunction,
        arg: Option<&ast::Arg>,
        call: &ast::Call,
    ) -> bool {
        let lacks = function == AggregateFunction::Ratio && arg.is_some_and(|it| it.where_.is_none());
        if lacks && !self.reports.did_not_parse(call.span) {
            self.reports.error_with_help(
                Code::RatioCondition,
                call.span,
                "a ratio does not say what it counts above the line",
                "write `ratio(payment where …) by …`",
            );
        }
        !lacks
    }

    fn aggregate_absence(&self, it: &Aggregate) -> Absence {
        use AggregateFunction as F;
        let mut absence = Absence { fields: it.by.clone(), otherwise: false };
        match (it.function, &it.argument) {
            (F::Count | F::Sum | F::Distinct, _) => {}
            (F::FirstSeen, Some(argument)) => {
                let of = missing::absence(argument, &self.absences);
                absence.fields.extend(of.fields);
                absence.otherwise = of.otherwise;
            }
            _ => absence.otherwise = true,
        }
        absence.fields.sort_unstable();
        absence.fields.dedup();
        absence
    }
}

/// The conditions that all must hold, and those that a ratio counts above the line.
fn split_conditions<'e>(
    function: Option<AggregateFunction>,
    arg: Option<&'e ast::Arg>,
    clauses: &Clauses<'e>,
) -> (Conditions<'e>, Option<Conditions<'e>>) {
    let mut conditions = Conditions::default();
    let mut numerator = None;
    if let Some(inner) = arg.and_then(|it| it.where_.as_ref()) {
        if function == Some(AggregateFunction::Ratio) {
            numerator.insert(Conditions::default()).add(inner);
        } else {
            conditions.add(inner);
        }
    }
    if let Some(condition) = clauses.condition {
        conditions.add(condition);
    }
    (conditions, numerator)
}

/// These speak of what was before, whatever is written.
fn never_includes_current(function: AggregateFunction) -> bool {
    use AggregateFunction as F;
    matches!(function, F::First | F::Last | F::FirstSeen | F::TimeSince | F::Speed)
}

fn reads_this(expr: &Expr) -> bool {
    let mut found = false;
    expr.visit(&mut |it| found |= matches!(it.kind, ExprKind::This(_)));
    found
}

/// A width and a delay together, for those who ask what must be kept.
pub(super) fn reach(aggregate: &Aggregate) -> Option<Micros> {
    Some(aggregate.over? + aggregate.delay.unwrap_or_default())
}
