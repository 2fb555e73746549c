//! Expressions: from the syntax tree to typed nodes.

use super::advice;
use super::constant;
use super::names::Global;
use super::quantity::{self, Dimension, dimension, present};
use super::scope::Exprs;
use super::words;
use crate::diagnostic::Code;
use crate::schema::{BuiltInEnum, FieldId};
use crate::span::Span;
use crate::syntax::ast;
use crate::typed::{
    Definition, EXACT_DIGITS_MAX, Expr, ExprKind, FeatureId, Function, ListId, ListKind, Numeric, Type,
};
use crate::value::Value;

impl Exprs<'_, '_> {
    /// An expression by itself.
    pub(super) fn check(&mut self, expr: &ast::Expr) -> Option<Expr> {
        self.hinted(expr, None)
    }

    /// An expression beside something of the hint's type, where a bare name may be a value of that enum.
    pub(super) fn hinted(&mut self, expr: &ast::Expr, hint: Option<Type>) -> Option<Expr> {
        match &expr.kind {
            ast::ExprKind::Error => None,
            _ if self.is_chain(expr) => {
                self.sides(expr);
                None
            }
            ast::ExprKind::Path(path) => self.path(path, expr.span, hint),
            ast::ExprKind::Lookup { table, key } => self.lookup(table, key),
            ast::ExprKind::Call(call) => self.call(call),
            ast::ExprKind::Aggregate(aggregate) => self.nameless(aggregate),
            ast::ExprKind::Set(_) => {
                self.checker.reports.error_with_help(
                    Code::TypeMismatch,
                    expr.span,
                    "a set is not a value",
                    "ask `… in [a, b]`",
                );
                None
            }
            ast::ExprKind::Negate(operand) => self.negate(operand),
            ast::ExprKind::Not(operand) => {
                let operand = self.flag(operand)?;
                Some(not(operand))
            }
            ast::ExprKind::Binary { op, op_span, left, right } => {
                self.binary(expr.span, *op, *op_span, left, right)
            }
            ast::ExprKind::In { negated, operand, range } => {
                let held = match range {
                    ast::Range::Of(set) => self.one_of(operand, set),
                    ast::Range::Between { low, high } => self.between(operand, low, high),
                }?;
                Some(if *negated { not(held) } else { held })
            }
            ast::ExprKind::IsMissing { negated, operand } => {
                let operand = self.check(operand)?;
                let is = present(ExprKind::IsMissing(Box::new(operand)), Type::Flag);
                Some(if *negated { not(is) } else { is })
            }
            _ => constant::literal(self.checker.schema, &mut self.checker.reports, expr),
        }
    }

    /// Whether it is a chain such as `a < b < c`, which has been reported. A comparison in parentheses stands for itself.
    fn is_chain(&self, expr: &ast::Expr) -> bool {
        let inner = compared(expr).filter(|it| compared(it).is_some());
        inner.is_some_and(|it| self.checker.reports.goes_on(it.span))
    }

    /// Looks at what is compared, whether or not it goes together.
    fn sides(&mut self, expr: &ast::Expr) {
        if let Some(left) = compared(expr) {
            self.check(left);
        }
        if let ast::ExprKind::Binary { right, .. } = &expr.kind {
            self.beside(right, None);
        }
    }

    /// An expression that must be a flag.
    pub(super) fn flag(&mut self, expr: &ast::Expr) -> Option<Expr> {
        let checked = self.check(expr)?;
        if checked.ty == Type::Flag {
            return Some(checked);
        }
        if self.checker.reports.goes_on(expr.span) {
            return None;
        }
        let found = words::type_name(self.checker.schema, checked.ty);
        self.checker.reports.error_with_help(
            Code::TypeMismatch,
            expr.span,
            format!("a condition was expected, and this is {found}"),
            "compare it with something: `… > …`, `… == …`, `… is missing`",
        );
        None
    }

    fn negate(&mut self, operand: &ast::Expr) -> Option<Expr> {
        let checked = self.check(operand)?;
        let ty = checked.ty;
        let negated = quantity::negate(checked);
        if negated.is_none() {
            let found = words::type_name(self.checker.schema, ty);
            let message = format!("{found} has no sign");
            let help = match ty {
                Type::Flag => format!("write `not {}`", self.checker.reports.snippet(operand.span)),
                _ => "leave `-` out: only numbers and quantities have a sign".to_owned(),
            };
            self.checker.reports.error_with_help(Code::TypeMismatch, operand.span, message, help);
        }
        negated
    }

    /// An aggregate in parentheses: a feature without a name of its own.
    fn nameless(&mut self, aggregate: &ast::Aggregate) -> Option<Expr> {
        let Some(owner) = self.scope.nameless.clone() else {
            self.checker.reports.error_with_help(
                Code::AggregateMisplaced,
                aggregate.span,
                "an aggregate cannot stand here",
                "make it a feature of its own and use its name",
            );
            // What it says is looked at all the same.
            self.checker.aggregate_feature(aggregate, String::new(), aggregate.span);
            return None;
        };
        let number = self.checker.nameless.entry(owner.clone()).or_insert(0_usize);
        *number += 1;
        let name = format!("{owner}.{number}");
        let id = self.checker.aggregate_feature(aggregate, name, aggregate.span)?;
        self.nameless_value(id, aggregate.span)
    }

    fn nameless_value(&mut self, id: FeatureId, span: Span) -> Option<Expr> {
        let feature = self.checker.features.get(id.index())?;
        let lacking: Vec<_> =
            self.scope.types.iter().copied().filter(|it| !feature.domain.contains(it)).collect();
        if !lacking.is_empty() {
            let message = format!("the aggregate has no meaning on {}", self.checker.type_names(&lacking));
            let help = format!("it can be used on {}", self.checker.type_names(&feature.domain));
            self.checker.reports.error_with_help(Code::NotOnType, span, message, help);
            return None;
        }
        self.feature_value(id)
    }

    /// `shop_limit[merchant]`
    fn lookup(&mut self, table: &ast::Name, key: &ast::Expr) -> Option<Expr> {
        let list = match self.checker.globals.get(table.text.as_str()) {
            Some(Global::List(id)) => *id,
            _ => {
                let candidates: Vec<String> = self.checker.lists.iter().map(|it| it.name.clone()).collect();
                let candidates = candidates.iter().map(String::as_str);
                self.checker.reports.unknown(Code::UnknownName, table.span, "table", &table.text, candidates);
                None
            }
        };
        let key_expr = self.check(key);
        let of = self.checker.lists.get(list?.index())?.of;
        let ListKind::Table(kind, ty) = of else {
            self.checker.reports.error_with_help(
                Code::ListMisplaced,
                table.span,
                format!("`{}` is a list, which has no values to look up", table.text),
                format!("ask `… in {}`", table.text),
            );
            return None;
        };
        let (list, key_expr) = (list?, key_expr?);
        if key_expr.ty != Type::Entity(kind) {
            self.wrong_contents(key.span, key_expr.ty, Type::Entity(kind), &table.text);
            return None;
        }
        self.about_role(key_expr, key.span, |role| ExprKind::TableValue(list, role), ty, true)
    }

    /// What lists and tables say of the entity in a role of the event being decided.
    fn about_role(
        &mut self,
        operand: Expr,
        span: Span,
        ask: impl FnOnce(FieldId) -> ExprKind,
        ty: Type,
        optional: bool,
    ) -> Option<Expr> {
        let in_past = self.scope.current.is_some();
        let mut found = match operand.kind {
            ExprKind::Field(role) if !in_past => Expr { kind: ask(role), ty, optional },
            ExprKind::This(inner) if matches!(inner.kind, ExprKind::Field(_)) => {
                let ExprKind::Field(role) = inner.kind else { return None };
                let asked = Expr { kind: ask(role), ty, optional };
                Expr { kind: ExprKind::This(Box::new(asked)), ty, optional }
            }
            _ => {
                let help = if in_past { "write `this.` before the role" } else { "name a role" };
                self.checker.reports.error_with_help(
                    Code::ListMisplaced,
                    span,
                    "lists and tables are asked about a role of the current event",
                    help,
                );
                return None;
            }
        };
        if self.scope.facts.contains(&found.kind) {
            found.optional = false;
        }
        Some(found)
    }

    /// `a in watched`, `a in [x, y]`
    fn one_of(&mut self, operand: &ast::Expr, set: &ast::Expr) -> Option<Expr> {
        match &set.kind {
            ast::ExprKind::Error => {
                self.check(operand);
                None
            }
            ast::ExprKind::Set(items) => self.in_set(operand, items),
            ast::ExprKind::Path(path) => match (path.names.as_slice(), path.this) {
                ([name], None) => {
                    let operand_expr = self.check(operand);
                    let list = self.checker.list_named(name)?;
                    self.in_list(operand_expr?, operand.span, list, name)
                }
                _ => self.no_set(operand, set.span),
            },
            _ => self.no_set(operand, set.span),
        }
    }

    fn no_set(&mut self, operand: &ast::Expr, span: Span) -> Option<Expr> {
        self.check(operand);
        self.checker.reports.error_with_help(
            Code::TypeMismatch,
            span,
            "a list, a set or a range was expected",
            "write `in watched`, `in [app, web]` or `in 22 .. 6`",
        );
        None
    }

    fn in_set(&mut self, operand: &ast::Expr, items: &[ast::Expr]) -> Option<Expr> {
        let operand_expr = self.check(operand);
        let checked: Vec<Option<Expr>> =
            items.iter().map(|it| self.beside(it, operand_expr.as_ref())).collect();
        let operand_expr = operand_expr?;
        let ty = operand_expr.ty;
        let mut sound = true;
        let mut all = vec![operand_expr.clone()];
        for (item, checked) in items.iter().zip(checked) {
            let found = checked.as_ref().map(|it| it.ty);
            let unified = checked.and_then(|it| quantity::unify(operand_expr.clone(), it));
            sound &= unified.is_some();
            match (unified, found) {
                (Some((operand, text)), _) => {
                    self.warn_too_long(&operand, &text, item.span);
                    all.push(text);
                }
                (None, Some(found)) => self.not_alike(ty, operand.span, found, item),
                (None, None) => {}
            }
        }
        if !sound {
            return None;
        }
        if dimension(ty).is_some() {
            all = quantity::align_all(all);
        }
        let operand = all.remove(0);
        Some(present(ExprKind::OneOf(Box::new(operand), all), Type::Flag))
    }

    fn in_list(&mut self, operand: Expr, span: Span, list: ListId, name: &ast::Name) -> Option<Expr> {
        match self.checker.lists.get(list.index())?.of {
            ListKind::Entities(kind) => {
                if operand.ty != Type::Entity(kind) {
                    self.wrong_contents(span, operand.ty, Type::Entity(kind), &name.text);
                    return None;
                }
                self.about_role(operand, span, |role| ExprKind::Listed(list, role), Type::Flag, false)
            }
            ListKind::Values(ty) => {
                let (is_this, value) = match operand.kind {
                    ExprKind::This(inner) if self.scope.current.is_some() => (true, *inner),
                    _ => (false, operand),
                };
                let value = match as_type(value, ty) {
                    Ok(value) => value,
                    Err(found) => {
                        self.wrong_contents(span, found, ty, &name.text);
                        return None;
                    }
                };
                let asked = present(ExprKind::ListedValue(list, Box::new(value)), Type::Flag);
                match (self.scope.current.is_some(), is_this) {
                    (true, true) => Some(present(ExprKind::This(Box::new(asked)), Type::Flag)),
                    (true, false) => {
                        self.checker.reports.error_with_help(
                            Code::ListMisplaced,
                            span,
                            "lists are asked about the current event, not about past ones",
                            "write `this.` before the field, or make a feature of it, which is then captured",
                        );
                        None
                    }
                    (false, _) => Some(asked),
                }
            }
            ListKind::Table(..) => {
                self.checker.reports.error_with_help(
                    Code::ListMisplaced,
                    name.span,
                    format!("`{}` is a table", name.text),
                    format!("ask `{}[…] is not missing`", name.text),
                );
                None
            }
        }
    }

    fn wrong_contents(&mut self, span: Span, found: Type, expected: Type, list: &str) {
        if self.checker.reports.other_money(found, expected) {
            return;
        }
        let schema = self.checker.schema;
        let of = |ty| dimension(ty).map(|(dimension, _): (Dimension, _)| dimension);
        if of(found).is_some() && of(found) == of(expected) {
            let message = format!("this has more digits than `{list}` holds");
            let help = "declare the list with as many digits, or compare with numbers in `in [...]`";
            self.checker.reports.error_with_help(Code::TooManyDigits, span, message, help);
            return;
        }
        let message = format!(
            "`{list}` is about {}, and this is {}",
            words::type_name(schema, expected),
            words::type_name(schema, found)
        );
        let help = match expected {
            Type::Entity(kind) => format!("ask about another role: {}", advice::roles(schema, kind)),
            _ => format!("ask about {}, or declare another list", words::type_name(schema, expected)),
        };
        self.checker.reports.error_with_help(Code::ListContents, span, message, help);
    }

    /// `a in low .. high`
    fn between(&mut self, operand: &ast::Expr, low: &ast::Expr, high: &ast::Expr) -> Option<Expr> {
        let operand_expr = self.check(operand);
        let low_expr = self.beside(low, operand_expr.as_ref());
        let high_expr = self.beside(high, operand_expr.as_ref());
        let (operand_expr, low_expr, high_expr) = (operand_expr?, low_expr?, high_expr?);
        let ty = operand_expr.ty;
        let is_weekday = ty == Type::Enum(self.checker.schema.built_in(BuiltInEnum::Weekday));
        let is_hour = self.is_hour(&operand_expr);
        let wraps = is_weekday || is_hour;
        if !quantity::is_ordered(ty) && !is_weekday {
            let message = format!("{} has no order", words::type_name(self.checker.schema, ty));
            let help = "name the values that are meant: `… in [a, b]`";
            self.checker.reports.error_with_help(Code::TypeMismatch, operand.span, message, help);
            return None;
        }
        if is_hour {
            self.warn_beyond_hours(&low_expr, &high_expr, Span { start: low.span.start, end: high.span.end });
        }
        let mut sound = true;
        for (end, ast) in [(&low_expr, low), (&high_expr, high)] {
            if quantity::unify(operand_expr.clone(), end.clone()).is_none() {
                self.not_alike(ty, operand.span, end.ty, ast);
                sound = false;
            }
        }
        if !sound {
            return None;
        }
        let [operand_expr, low_expr, high_expr] = if dimension(ty).is_some() {
            quantity::align([operand_expr, low_expr, high_expr])
        } else {
            [operand_expr, low_expr, high_expr]
        };
        if !wraps && runs_backwards(&low_expr, &high_expr) {
            self.checker.reports.error_with_help(
                Code::EmptyRange,
                Span { start: low.span.start, end: high.span.end },
                "the range ends before it begins",
                "put the lower end first",
            );
            return None;
        }
        let kind = ExprKind::Between {
            operand: Box::new(operand_expr),
            low: Box::new(low_expr),
            high: Box::new(high_expr),
            wraps,
        };
        Some(present(kind, Type::Flag))
    }

    /// Whether it is an hour of the day, under whatever name, and whatever stands in for a missing one.
    fn is_hour(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Call(Function::Hour(_), _) => true,
            ExprKind::Coalesce(it, _) | ExprKind::This(it) => self.is_hour(it),
            ExprKind::Feature(id) => match self.checker.features.get(id.index()).map(|it| &it.definition) {
                Some(Definition::Expr(it)) => self.is_hour(it),
                _ => false,
            },
            _ => false,
        }
    }

    /// Warns of a range of hours that goes beyond a day's: over midnight was meant, or until then.
    fn warn_beyond_hours(&mut self, low: &Expr, high: &Expr, span: Span) {
        let (low, high) = (whole(low), whole(high));
        if [low, high].into_iter().flatten().all(|it| (0..24).contains(&it)) {
            return;
        }
        let meant = match (low, high) {
            (Some(low @ 0..24), Some(24)) => Some((low, 23)),
            (Some(low @ 0..24), Some(high @ 25..48)) if high - 24 < low => Some((low, high - 24)),
            (Some(low @ -24..0), Some(high @ 0..24)) if high < low + 24 => Some((low + 24, high)),
            _ => None,
        };
        let help = match meant {
            Some((low, high)) => format!("write `{low} .. {high}`"),
            None => "a range over midnight is written `22 .. 6`".to_owned(),
        };
        let message = "this range goes beyond the hours, which are 0 to 23";
        self.checker.reports.warn(Code::BeyondHours, span, message, help);
    }
}

/// A whole number that is known.
fn whole(expr: &Expr) -> Option<i128> {
    match (&expr.kind, expr.ty) {
        (ExprKind::Const(Value::Exact(value)), Type::Number(Numeric::Exact { scale: 0, .. })) => Some(*value),
        _ => None,
    }
}

/// Three-valued not.
pub(super) fn not(operand: Expr) -> Expr {
    let optional = operand.optional;
    Expr { kind: ExprKind::Not(Box::new(operand)), ty: Type::Flag, optional }
}

fn runs_backwards(low: &Expr, high: &Expr) -> bool {
    match (&low.kind, &high.kind) {
        (ExprKind::Const(Value::Exact(low)), ExprKind::Const(Value::Exact(high))) => high < low,
        (ExprKind::Const(Value::Real(low)), ExprKind::Const(Value::Real(high))) => high < low,
        _ => false,
    }
}

/// A value as a list holds it: of its very type and scale, in the form of a slot.
fn as_type(operand: Expr, ty: Type) -> Result<Expr, Type> {
    let found = operand.ty;
    match (dimension(found), dimension(ty)) {
        (Some((one, Numeric::Exact { scale, digits })), Some((other, Numeric::Exact { scale: to, .. })))
            if one == other && scale <= to && digits + (to - scale) <= EXACT_DIGITS_MAX =>
        {
            Ok(quantity::rescale(operand, to))
        }
        (Some((one @ (Dimension::Distance | Dimension::Speed), _)), Some((other, _))) if one == other => {
            Ok(operand)
        }
        (None, None) if found == ty => Ok(operand),
        _ => Err(found),
    }
}

/// The left side of a comparison.
fn compared(expr: &ast::Expr) -> Option<&ast::Expr> {
    match &expr.kind {
        ast::ExprKind::Binary { op: ast::BinaryOp::Compare(_), left, .. } => Some(left),
        ast::ExprKind::In { operand, .. } | ast::ExprKind::IsMissing { operand, .. } => Some(operand),
        _ => None,
    }
}
