//! Looks into the past: an aggregate's clauses, what it is about, and what makes it exact.

use super::calls::{self, aggregate_function};
use super::domain::is_plain;
use super::missing;
use super::names::{Absence, Checker};
use super::operators::and;
use super::past_of::{Conditions, bare_name};
use super::quantity::{self, COUNT_DIGITS, SUM_DIGITS_MORE, TIME_DIFFERENCE_DIGITS, dimension, is_ordered};
use super::schema::index_of_next;
use super::scope::{Exprs, Scope};
use super::words;
use crate::diagnostic::Code;
use crate::schema::{EventTypeId, FieldId, KindId};
use crate::span::Span;
use crate::syntax::ast;
use crate::time::Micros;
use crate::typed::{
    Aggregate, AggregateFunction, Captured, Comparison, Definition, EXACT_DIGITS_MAX, Expr, ExprKind,
    Feature, FeatureId, Numeric, Type,
};

/// An aggregate's clauses, each at most once.
#[derive(Debug, Default)]
struct Clauses<'e> {
    by: Option<(&'e [ast::Name], &'e [ast::Name], Span)>,
    over: Option<&'e ast::Duration>,
    delay: Option<&'e ast::Duration>,
    condition: Option<&'e ast::Expr>,
    before: bool,
}

/// The roles: of the event being decided, and of past ones, in pairs.
#[derive(Debug, Default)]
struct Roles {
    by: Vec<FieldId>,
    via: Vec<FieldId>,
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
        let (aggregate, ty, absence) = self.aggregate(aggregate, &domain)?;
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
            self.reports.error(Code::TooMany, span, "more features than can be numbered");
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

    fn aggregate(
        &mut self,
        ast: &ast::Aggregate,
        domain: &[EventTypeId],
    ) -> Option<(Aggregate, Type, Absence)> {
        let function = self.function(&ast.call)?;
        let clauses = self.clauses(ast, function)?;
        let arg = self.argument(&ast.call)?;
        let named = self.named_events(function, &ast.call, &arg.expr)?;
        let (by_names, via_names) = self.role_names(&clauses, ast)?;
        if domain.is_empty() {
            self.reports.error_with_help(
                Code::EmptyDomain,
                ast.span,
                "no event type has all that this reads of the current event",
                "it reads the roles after `by`, what follows `this.`, and arguments without a type",
            );
            return None;
        }
        let by = self.roles(by_names, domain)?;
        let kinds: Vec<KindId> = by.iter().filter_map(|it| self.schema.role_kind(*it)).collect();
        let (mut conditions, numerator) = split_conditions(function, arg, &clauses);
        let wanted: Vec<(&ast::Name, KindId)> = via_names.iter().zip(kinds.iter().copied()).collect();
        let of = self.past_types(&named, &wanted, &mut conditions, ast.span)?;
        let via = self.roles(via_names, &of)?;
        self.same_kinds(&kinds, &via, via_names)?;
        let mut roles = Roles { by, via };
        self.pair_up(&mut conditions, &mut roles, &of, domain);

        let argument = self.checked_argument(function, arg, &of, domain);
        let condition = self.condition(&conditions, &of, domain);
        let numerator = numerator.map(|it| self.condition(&it, &of, domain));
        let (argument, condition) = (argument?, condition?);
        let numerator = match numerator {
            Some(it) => it?,
            None => None,
        };
        let ty = self.result(function, &ast.call, argument.as_ref())?;
        let reads_mutable = [&condition, &numerator, &argument].into_iter().flatten().any(reads_mutable);
        let reads_this = [&condition, &numerator].into_iter().flatten().any(reads_this);
        let aggregate = Aggregate {
            function,
            of,
            by: roles.by,
            via: roles.via,
            over: clauses.over.map(|it| it.micros),
            delay: clauses.delay.map(|it| it.micros),
            before: clauses.before || never_includes_current(function),
            reads_mutable,
            reads_this,
            argument,
            condition,
            numerator,
        };
        self.exactness(&aggregate, &ast.call, ast.span)?;
        let absence = self.aggregate_absence(&aggregate);
        Some((aggregate, ty, absence))
    }

    fn function(&mut self, call: &ast::Call) -> Option<AggregateFunction> {
        let name = call.name.text.as_str();
        let function = aggregate_function(name);
        if function.is_none() {
            if calls::is_later(name) {
                self.not_yet(call.name.span, name);
            } else {
                let candidates = calls::AGGREGATES.iter().copied();
                self.reports.unknown(Code::UnknownFunction, call.name.span, "aggregate", name, candidates);
            }
        }
        function
    }

    fn clauses<'e>(&mut self, ast: &'e ast::Aggregate, function: AggregateFunction) -> Option<Clauses<'e>> {
        let mut clauses = Clauses::default();
        let mut sound = true;
        for clause in &ast.clauses {
            let repeated = match &clause.kind {
                ast::ClauseKind::By { roles, via } => clauses.by.replace((roles, via, clause.span)).is_some(),
                ast::ClauseKind::Where(condition) => clauses.condition.replace(condition).is_some(),
                ast::ClauseKind::Before => std::mem::replace(&mut clauses.before, true),
                ast::ClauseKind::Delay(delay) => {
                    words::warn_minutes(delay, "delay", &mut self.reports);
                    sound &= self.bounded(delay, "delay");
                    clauses.delay.replace(delay).is_some()
                }
                ast::ClauseKind::Over(ast::Window::Sliding(over)) => {
                    sound &= self.bounded(over, "over");
                    clauses.over.replace(over).is_some()
                }
                ast::ClauseKind::Error => {
                    sound = false;
                    false
                }
                later => {
                    self.not_yet(clause.span, clause_name(later));
                    sound = false;
                    false
                }
            };
            if repeated {
                let message = "this has been said of the aggregate already";
                let help = "leave one of the two out; conditions are joined by `and`";
                self.reports.error_with_help(Code::ClauseRepeated, clause.span, message, help);
                sound = false;
            }
        }
        if sound && clauses.over.is_none() && !may_lack_window(function) {
            self.reports.error_with_help(
                Code::WindowMissing,
                ast.span,
                format!("`{}` does not say how far back it looks", ast.call.name.text),
                "add a window, such as `over 24h`",
            );
            sound = false;
        }
        sound.then_some(clauses)
    }

    fn bounded(&mut self, duration: &ast::Duration, word: &str) -> bool {
        let sound = 0 < duration.micros && duration.micros <= crate::time::SPAN_MAX;
        if !sound {
            let message = format!("`{word}` spans more than nothing and at most ten years");
            self.reports.error(Code::WindowBounds, duration.span, message);
        }
        sound
    }

    fn argument<'e>(&mut self, call: &'e ast::Call) -> Option<&'e ast::Arg> {
        let [arg] = call.args.as_slice() else {
            let message =
                format!("`{}` looks at one thing, and here are {}", call.name.text, call.args.len());
            let help = "several event types are `any` with `where type in [payment, transfer]`";
            self.reports.error_with_help(Code::ArgumentCount, call.span, message, help);
            return None;
        };
        if arg.not.is_some() || arg.within.is_some() {
            let message = "only steps of a sequence have `not` and `within`";
            self.reports.error(Code::ClauseUnfit, arg.span, message);
            return None;
        }
        Some(arg)
    }

    fn role_names<'e>(
        &mut self,
        clauses: &Clauses<'e>,
        ast: &ast::Aggregate,
    ) -> Option<(&'e [ast::Name], &'e [ast::Name])> {
        let Some((by, via, span)) = clauses.by else {
            self.reports.error_with_help(
                Code::ByMissing,
                ast.span,
                format!("`{}` looks into the past and does not say whose", ast.call.name.text),
                "add `by user` or another role",
            );
            return None;
        };
        if via.is_empty() {
            return Some((by, by));
        }
        if by.len() != via.len() {
            let message = format!("`by` names {} and `via` {}", by.len(), via.len());
            let help = "they are paired in order: name as many roles";
            self.reports.error_with_help(Code::RolesDiffer, span, message, help);
            return None;
        }
        Some((by, via))
    }

    fn roles(&mut self, names: &[ast::Name], types: &[EventTypeId]) -> Option<Vec<FieldId>> {
        let found: Vec<Option<FieldId>> = names.iter().map(|it| self.role(it, types)).collect();
        found.into_iter().collect()
    }

    fn same_kinds(&mut self, kinds: &[KindId], via: &[FieldId], names: &[ast::Name]) -> Option<()> {
        let mut sound = true;
        for ((kind, field), name) in kinds.iter().zip(via).zip(names) {
            let found = self.schema.role_kind(*field);
            if found != Some(*kind) {
                let called = |it: KindId| words::type_name(self.schema, Type::Entity(it));
                let message =
                    format!("{} is matched on {}", called(*kind), found.map(called).unwrap_or_default());
                self.reports.error(Code::RolesDiffer, name.span, message);
                sound = false;
            }
        }
        sound.then_some(())
    }

    /// `where merchant == this.merchant` is `by (user, merchant)`.
    fn pair_up(
        &self,
        conditions: &mut Conditions<'_>,
        roles: &mut Roles,
        of: &[EventTypeId],
        domain: &[EventTypeId],
    ) {
        if roles.by.len() != 1 {
            return;
        }
        let found = conditions.parts.iter().enumerate().find_map(|(at, part)| {
            let (past, current) = equated(part)?;
            let (past, current) = (self.silent_role(past, of)?, self.silent_role(current, domain)?);
            let alike = self.schema.role_kind(past) == self.schema.role_kind(current);
            (alike && roles.by.first() != Some(&current)).then_some((at, past, current))
        });
        if let Some((at, past, current)) = found {
            conditions.parts.remove(at);
            roles.by.push(current);
            roles.via.push(past);
        }
    }

    fn silent_role(&self, name: &ast::Name, types: &[EventTypeId]) -> Option<FieldId> {
        let on = |it: &EventTypeId| self.schema.field_of(*it, &name.text).map(|it| it.field);
        let field = types.first().and_then(on)?;
        let everywhere = types.iter().all(|it| on(it) == Some(field));
        (everywhere && self.schema.role_kind(field).is_some()).then_some(field)
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
        // What is compared with the past is read of past events too.
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

    /// The conditions joined by `and`. The outer none: one failed. The inner one: there are none.
    fn condition(
        &mut self,
        conditions: &Conditions<'_>,
        of: &[EventTypeId],
        domain: &[EventTypeId],
    ) -> Option<Option<Expr>> {
        let mut exprs = Exprs { checker: self, scope: Scope::past(of.to_vec(), domain.to_vec()) };
        let mut joined: Option<Expr> = None;
        let mut sound = true;
        for part in &conditions.parts {
            let Some(part) = exprs.flag(part) else {
                sound = false;
                continue;
            };
            missing::present_if_true(&part, &mut exprs.scope.facts);
            joined = Some(match joined {
                Some(before) => and(before, part),
                None => part,
            });
        }
        sound.then_some(joined)
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
        self.reports.error(Code::TypeMismatch, call.args.first().map_or(call.span, |it| it.span), message);
        None
    }

    /// What would make the window inexact, or include what it must not.
    fn exactness(&mut self, it: &Aggregate, call: &ast::Call, span: Span) -> Option<()> {
        let name = &call.name.text;
        if it.function == AggregateFunction::Ratio && it.numerator.is_none() {
            self.reports.error_with_help(
                Code::RatioCondition,
                call.span,
                "a ratio does not say what it counts above the line",
                "write `ratio(payment where …) by …`",
            );
            return None;
        }
        let needs_window: Option<&str> = match it.over {
            Some(_) => None,
            None if it.reads_mutable => Some("its condition reads what becomes known later"),
            None if it.reads_this => Some("its condition reads the current event"),
            None if it.delay.is_some() => Some("it is delayed"),
            None => None,
        };
        if let Some(why) = needs_window {
            let message = format!("`{name}` needs a window, because {why}");
            self.reports.error_with_help(Code::WindowMissing, span, message, "add `over 30d`, say");
            return None;
        }
        if it.reads_mutable && !it.before && it.delay.is_none() {
            self.reports.error_with_help(
                Code::CurrentExcluded,
                span,
                "the condition reads what becomes known later, which the current event cannot have",
                "add `before`, so that the current event is seen to be left out, or a `delay`",
            );
            return None;
        }
        Some(())
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
    function: AggregateFunction,
    arg: &'e ast::Arg,
    clauses: &Clauses<'e>,
) -> (Conditions<'e>, Option<Conditions<'e>>) {
    let mut conditions = Conditions::default();
    let mut numerator = None;
    if let Some(inner) = &arg.where_ {
        if function == AggregateFunction::Ratio {
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

/// `past == this.current`, either way round: the two names.
fn equated(expr: &ast::Expr) -> Option<(&ast::Name, &ast::Name)> {
    let ast::ExprKind::Binary { op: ast::BinaryOp::Compare(Comparison::Equal), left, right, .. } = &expr.kind
    else {
        return None;
    };
    bare_name(left).zip(this_name(right)).or_else(|| bare_name(right).zip(this_name(left)))
}

/// `this.x`
fn this_name(expr: &ast::Expr) -> Option<&ast::Name> {
    match &expr.kind {
        ast::ExprKind::Path(ast::Path { this: Some(_), names }) => names.first().filter(|_| names.len() == 1),
        _ => None,
    }
}

/// These speak of what was before, whatever is written.
fn never_includes_current(function: AggregateFunction) -> bool {
    use AggregateFunction as F;
    matches!(function, F::First | F::Last | F::FirstSeen | F::TimeSince | F::Speed)
}

/// These keep no rows, so they may look back as far as is kept.
fn may_lack_window(function: AggregateFunction) -> bool {
    use AggregateFunction as F;
    matches!(function, F::Last | F::FirstSeen | F::TimeSince | F::Speed)
}

fn reads_mutable(expr: &Expr) -> bool {
    let mut found = false;
    expr.visit_scope(&mut |it| found |= matches!(it.kind, ExprKind::Mutable(_)));
    found
}

fn reads_this(expr: &Expr) -> bool {
    let mut found = false;
    expr.visit(&mut |it| found |= matches!(it.kind, ExprKind::This(_)));
    found
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

/// A width and a delay together, for those who ask what must be kept.
pub(super) fn reach(aggregate: &Aggregate) -> Option<Micros> {
    Some(aggregate.over? + aggregate.delay.unwrap_or_default())
}
