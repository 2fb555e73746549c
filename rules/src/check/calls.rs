//! Calls: the functions of plain values. Calls that look into the past are told apart here and refused where they
//! lack their `by`.

use jiff::tz::TimeZone;

use super::constant;
use super::domain::for_each_path;
use super::later;
use super::quantity::{self, Dimension, dimension};
use super::scope::Exprs;
use super::words;
use crate::diagnostic::Code;
use crate::schema::BuiltInEnum;
use crate::syntax::ast;
use crate::typed::{AggregateFunction, Expr, ExprKind, Function, Numeric, Type};

/// Each with how it is called.
const FUNCTIONS: &[(&str, &str)] = &[
    ("hour", "hour(time)"),
    ("weekday", "weekday(time)"),
    ("weekend", "weekend(time)"),
    ("night", "night(time)"),
    ("min", "min(a, b)"),
    ("max", "max(a, b)"),
    ("abs", "abs(a)"),
    ("distance", "distance(a, b)"),
    ("place", "place(48.85, 2.35)"),
];

/// The aggregate of a name.
pub(super) fn aggregate_function(name: &str) -> Option<AggregateFunction> {
    use AggregateFunction as F;
    Some(match name {
        "count" => F::Count,
        "sum" => F::Sum,
        "mean" => F::Mean,
        "min" => F::Min,
        "max" => F::Max,
        "stddev" => F::Stddev,
        "distinct" => F::Distinct,
        "ratio" => F::Ratio,
        "first" => F::First,
        "last" => F::Last,
        "first_seen" => F::FirstSeen,
        "time_since" => F::TimeSince,
        "speed" => F::Speed,
        _ => return None,
    })
}

/// The names of the aggregates, for suggestions.
pub(super) const AGGREGATES: &[&str] = &[
    "count",
    "sum",
    "mean",
    "min",
    "max",
    "stddev",
    "distinct",
    "ratio",
    "first",
    "last",
    "first_seen",
    "time_since",
    "speed",
];

/// How a function is called; none: it is none.
fn written(name: &str) -> Option<&'static str> {
    FUNCTIONS.iter().find(|(it, _)| *it == name).map(|(_, written)| *written)
}

impl Exprs<'_, '_> {
    pub(super) fn call(&mut self, call: &ast::Call) -> Option<Expr> {
        let name = call.name.text.as_str();
        if later::is_later(name) {
            self.checker.not_yet(call.name.span, name);
            return None;
        }
        let aggregates = aggregate_function(name).is_some();
        let alone = matches!(name, "min" | "max") && 1 < call.args.len();
        if aggregates && !alone {
            self.checker.judge_alone(call);
            // What it lacks may stand in what could not be read.
            if self.checker.reports.breaks_off(call.span) {
                return None;
            }
            self.checker.reports.error_with_help(
                Code::ByMissing,
                call.span,
                format!("`{name}` looks into the past and does not say whose"),
                format!("add `by user` or another role: `({name}(…) by user over 1h)`"),
            );
            return None;
        }
        if written(name).is_none() {
            let candidates = FUNCTIONS.iter().map(|(it, _)| *it).chain(AGGREGATES.iter().copied());
            self.checker.reports.unknown(Code::UnknownFunction, call.name.span, "function", name, candidates);
            self.arguments_of_unknown(call);
            return None;
        }
        let mut plain = true;
        for arg in &call.args {
            if arg.not.is_some() || arg.where_.is_some() || arg.within.is_some() {
                let message = format!("an argument of `{name}` is a plain value");
                let help =
                    "only aggregates, such as `count(payment where …)`, take a condition: leave it out";
                self.checker.reports.error_with_help(Code::ClauseUnfit, arg.span, message, help);
                plain = false;
            }
        }
        let checked = self.plain_call(call);
        checked.filter(|_| plain)
    }

    fn plain_call(&mut self, call: &ast::Call) -> Option<Expr> {
        match call.name.text.as_str() {
            "place" => constant::place(call, &mut self.checker.reports),
            "hour" | "weekday" | "weekend" | "night" => self.calendar(call),
            "distance" => self.distance(call),
            "abs" => self.abs(call),
            _ => self.extreme(call),
        }
    }

    /// What a call reads whose function is not known, unless it names events and may be meant as an aggregate.
    fn arguments_of_unknown(&mut self, call: &ast::Call) {
        for arg in &call.args {
            let mut of_past = false;
            for_each_path(&arg.expr, &mut |path| {
                let names_events = |it: &ast::Name| self.checker.schema.event_type(&it.text).is_some();
                of_past |=
                    1 < path.names.len() || path.names.iter().any(|it| it.text == "any" || names_events(it));
            });
            if !of_past {
                self.beside(&arg.expr, None);
            }
        }
    }

    fn arguments(&mut self, call: &ast::Call, min: usize, max: usize) -> Option<Vec<Expr>> {
        let count = call.args.len();
        if count < min || max < count {
            let wanted = match (min, max) {
                (1, 1) => "1 argument".to_owned(),
                (min, max) if min == max => format!("{min} arguments"),
                (min, usize::MAX) => format!("{min} arguments or more"),
                (min, max) => format!("{min} or {max} arguments"),
            };
            let name = &call.name.text;
            let message = format!("`{name}` takes {wanted}, and here {} {count}", words::are(count));
            let help = format!("write `{}`", written(name).unwrap_or(name));
            self.checker.reports.error_with_help(Code::ArgumentCount, call.span, message, help);
        }
        let checked: Vec<Option<Expr>> = call.args.iter().map(|it| self.check(&it.expr)).collect();
        checked.into_iter().collect::<Option<_>>().filter(|_| (min..=max).contains(&count))
    }

    fn wrong_argument(&mut self, call: &ast::Call, at: usize, found: Type, (expected, help): (&str, &str)) {
        let span = call.args.get(at).map_or(call.span, |it| it.span);
        let found = words::type_name(self.checker.schema, found);
        let message = format!("`{}` takes {expected}, and this is {found}", call.name.text);
        self.checker.reports.error_with_help(Code::TypeMismatch, span, message, help);
    }

    /// `hour(time)`, `weekday(time, "Europe/Paris")`
    fn calendar(&mut self, call: &ast::Call) -> Option<Expr> {
        let arguments = self.arguments(call, 1, 2);
        let zone = call.args.get(1).map_or(Some(self.checker.schema.zone.clone()), |it| self.zone(it));
        let time = arguments?.into_iter().next()?;
        if time.ty != Type::Time {
            let help = format!("the time of the event is `{}(time)`", call.name.text);
            self.wrong_argument(call, 0, time.ty, ("a time", &help));
            return None;
        }
        let (function, ty) = self.calendar_function(&call.name.text, zone?);
        let optional = time.optional;
        Some(Expr { kind: ExprKind::Call(function, vec![time]), ty, optional })
    }

    fn zone(&mut self, arg: &ast::Arg) -> Option<TimeZone> {
        if let ast::ExprKind::Text(text) = &arg.expr.kind {
            let text = ast::Text { text: text.clone(), span: arg.span };
            return words::zone(&text, &mut self.checker.reports);
        }
        let message = "the zone is a text written out";
        self.checker.reports.error_with_help(
            Code::NotConstant,
            arg.span,
            message,
            "such as \"Europe/Paris\"",
        );
        None
    }

    fn calendar_function(&self, name: &str, zone: TimeZone) -> (Function, Type) {
        match name {
            "hour" => (Function::Hour(zone), Type::Number(Numeric::Exact { scale: 0, digits: 2 })),
            "weekday" => {
                (Function::Weekday(zone), Type::Enum(self.checker.schema.built_in(BuiltInEnum::Weekday)))
            }
            "weekend" => (Function::Weekend(zone), Type::Flag),
            _ => (Function::Night(zone), Type::Flag),
        }
    }

    fn distance(&mut self, call: &ast::Call) -> Option<Expr> {
        let arguments = self.arguments(call, 2, 2)?;
        if let Some(at) = arguments.iter().position(|it| it.ty != Type::Place) {
            let help = "name fields of type `place`, or write one out: `place(48.85, 2.35)`";
            self.wrong_argument(call, at, arguments.get(at)?.ty, ("two places", help));
            return None;
        }
        let optional = arguments.iter().any(|it| it.optional);
        Some(Expr { kind: ExprKind::Call(Function::Distance, arguments), ty: Type::Distance, optional })
    }

    fn abs(&mut self, call: &ast::Call) -> Option<Expr> {
        let arguments = self.arguments(call, 1, 1)?;
        let (ty, optional) = arguments.first().map(|it| (it.ty, it.optional))?;
        if dimension(ty).is_none() {
            let help = "leave `abs` out: what is no number has no sign";
            self.wrong_argument(call, 0, ty, ("a number or a quantity", help));
            return None;
        }
        Some(Expr { kind: ExprKind::Call(Function::Abs, arguments), ty, optional })
    }

    /// `min(a, b)`, `max(a, b, c)` of plain values.
    fn extreme(&mut self, call: &ast::Call) -> Option<Expr> {
        let arguments = self.arguments(call, 2, usize::MAX)?;
        let first = arguments.first()?.ty;
        if !quantity::is_ordered(first) {
            let help = "numbers, quantities and times have an order: `max(n, 3)`, say";
            self.wrong_argument(call, 0, first, ("what has an order", help));
            return None;
        }
        let types: Vec<Type> = arguments.iter().map(|it| it.ty).collect();
        let Some(arguments) = quantity::comparable(arguments) else {
            let of = |ty| dimension(ty).map(|(dimension, _): (Dimension, _)| dimension);
            let first_span = call.args.first()?.span;
            for (ty, arg) in types.into_iter().zip(&call.args) {
                if of(ty) != of(first) || dimension(ty).is_none() {
                    self.not_alike(first, first_span, ty, &arg.expr);
                }
            }
            return None;
        };
        let ty = quantity::widest(&arguments)?;
        let optional = arguments.iter().any(|it| it.optional);
        let function = if call.name.text == "min" { Function::Min } else { Function::Max };
        Some(Expr { kind: ExprKind::Call(function, arguments), ty, optional })
    }
}
