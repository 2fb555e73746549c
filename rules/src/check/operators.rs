//! Operators between two expressions, and what is said where their units do not go together.

use super::advice::{self, Operand};
use super::missing;
use super::names::text_bytes_max;
use super::past_of::bare_name;
use super::quantity::{self, Dimension, asks_order, dimension, is_ordered, to_real, unify};
use super::scope::{Exprs, suggest_value};
use super::words;
use crate::diagnostic::{Code, Diagnostic};
use crate::schema::EnumId;
use crate::span::Span;
use crate::syntax::ast::{self, BinaryOp};
use crate::typed::{Comparison, Expr, ExprKind, Numeric, Operator, Type};

impl<'a> Exprs<'_, 'a> {
    pub(super) fn binary(
        &mut self,
        span: Span,
        op: BinaryOp,
        op_span: Span,
        left: &ast::Expr,
        right: &ast::Expr,
    ) -> Option<Expr> {
        match op {
            BinaryOp::Or => self.or(left, right),
            BinaryOp::And => self.and(left, right),
            BinaryOp::Compare(comparison) => self.compare(span, comparison, left, right),
            BinaryOp::Coalesce => {
                let (left_expr, right_expr) = self.pair(left, right);
                self.coalesce(left_expr?, left, right_expr?, right)
            }
            BinaryOp::Add => self.arithmetic(Operator::Add, span, left, right),
            BinaryOp::Subtract => self.arithmetic(Operator::Subtract, span, left, right),
            BinaryOp::Multiply => self.arithmetic(Operator::Multiply, span, left, right),
            BinaryOp::Divide => self.arithmetic(Operator::Divide, span, left, right),
            BinaryOp::Contains => self.text_operator(op_span, "contains"),
            BinaryOp::Starts => self.text_operator(op_span, "starts"),
            BinaryOp::Matches => self.text_operator(op_span, "matches"),
        }
    }

    fn text_operator(&mut self, span: Span, word: &str) -> Option<Expr> {
        self.checker.not_yet(span, word);
        None
    }

    fn and(&mut self, left: &ast::Expr, right: &ast::Expr) -> Option<Expr> {
        let left = self.flag(left);
        let known = self.scope.facts.len();
        if let Some(left) = &left {
            missing::present_if_true(left, &mut self.scope.facts);
        }
        let right = self.flag(right);
        self.scope.facts.truncate(known);
        Some(and(left?, right?))
    }

    fn or(&mut self, left: &ast::Expr, right: &ast::Expr) -> Option<Expr> {
        let left = self.flag(left);
        let known = self.scope.facts.len();
        if let Some(left) = &left {
            missing::present_if_false(left, &mut self.scope.facts);
        }
        let right = self.flag(right);
        self.scope.facts.truncate(known);
        let (left, right) = (left?, right?);
        let optional = left.optional || right.optional;
        Some(Expr { kind: ExprKind::Or(Box::new(left), Box::new(right)), ty: Type::Flag, optional })
    }

    /// Both sides, where a bare name on one may be an enum's value beside the other.
    fn pair(&mut self, left: &ast::Expr, right: &ast::Expr) -> (Option<Expr>, Option<Expr>) {
        if self.needs_hint(left) && (!self.needs_hint(right) || self.is_value_somewhere(left)) {
            let right = self.check(right);
            let left = self.beside(left, right.as_ref());
            return (left, right);
        }
        let left = self.check(left);
        let right = self.beside(right, left.as_ref());
        (left, right)
    }

    /// An expression beside another, whose enum's values it may name. Where that one has failed, such a name stays
    /// silent.
    pub(super) fn beside(&mut self, expr: &ast::Expr, other: Option<&Expr>) -> Option<Expr> {
        match other {
            Some(other) => self.hinted(expr, Some(other.ty)),
            None if self.needs_hint(expr) && self.is_value_somewhere(expr) => None,
            None => self.check(expr),
        }
    }

    /// Whether it is a bare name that could be a value.
    fn is_value_somewhere(&self, expr: &ast::Expr) -> bool {
        bare_name(expr).is_some_and(|it| self.checker.is_value(&it.text))
    }

    /// Whether it is a bare name that means nothing by itself.
    fn needs_hint(&self, expr: &ast::Expr) -> bool {
        bare_name(expr).is_some_and(|it| !self.means_something(it))
    }

    fn coalesce(
        &mut self,
        left: Expr,
        left_ast: &ast::Expr,
        right: Expr,
        right_ast: &ast::Expr,
    ) -> Option<Expr> {
        let (one, other) = (left.ty, right.ty);
        let Some((left, right)) = unify(left, right) else {
            let written = self.checker.reports.snippet(left_ast.span);
            let stand_in = advice::example(self.checker.schema, one);
            let help = format!("what stands in is of the same sort: `{written} ?? {stand_in}`");
            self.not_alike_but(one, left_ast.span, other, right_ast, Some(help));
            return None;
        };
        let operands = [left, right];
        let ty = quantity::widest(&operands)?;
        let [left, right] = operands;
        let optional = left.optional && right.optional;
        Some(Expr { kind: ExprKind::Coalesce(Box::new(left), Box::new(right)), ty, optional })
    }

    fn compare(
        &mut self,
        span: Span,
        comparison: Comparison,
        left: &ast::Expr,
        right: &ast::Expr,
    ) -> Option<Expr> {
        let (left_expr, right_expr) = match &right.kind {
            ast::ExprKind::Binary { op: BinaryOp::Coalesce, left: inner, right: stand_in, .. } => {
                let (left_expr, inner_expr) = self.pair(left, inner);
                let stand_in_expr = self.beside(stand_in, left_expr.as_ref());
                let (inner_expr, stand_in_expr) = (inner_expr?, stand_in_expr?);
                if stand_in_expr.ty == Type::Flag && inner_expr.ty != Type::Flag {
                    self.coalesce_binds(span, stand_in);
                    return None;
                }
                (left_expr, self.coalesce(inner_expr, inner, stand_in_expr, stand_in))
            }
            _ => self.pair(left, right),
        };
        let (left_expr, right_expr) = (left_expr?, right_expr?);
        let (one, other) = (left_expr.ty, right_expr.ty);
        let Some((left_expr, right_expr)) = unify(left_expr, right_expr) else {
            self.not_alike(one, left.span, other, right);
            return None;
        };
        if asks_order(comparison) && !is_ordered(left_expr.ty) {
            let message = format!("{} has no order", words::type_name(self.checker.schema, left_expr.ty));
            self.checker.reports.error_with_help(Code::TypeMismatch, span, message, "ask `==` or `!=`");
            return None;
        }
        self.warn_too_long(&left_expr, &right_expr, right.span);
        self.warn_too_long(&right_expr, &left_expr, left.span);
        let optional = left_expr.optional || right_expr.optional;
        let kind = ExprKind::Compare(comparison, Box::new(left_expr), Box::new(right_expr));
        Some(Expr { kind, ty: Type::Flag, optional })
    }

    /// Warns where a field is held against a text that is longer than any that it holds.
    pub(super) fn warn_too_long(&mut self, field: &Expr, text: &Expr, span: Span) {
        let field = if let ExprKind::This(inner) = &field.kind { inner } else { field };
        let (ExprKind::Field(id), ExprKind::Text(text)) = (&field.kind, &text.kind) else { return };
        let Some(of) = self.checker.schema.field(*id) else { return };
        if let Some(max) = text_bytes_max(of.ty).filter(|max| usize::from(*max) < text.len()) {
            let message = format!("`{}` is never this: it has at most {max} bytes", of.name);
            let help = format!("this has {}: leave some out, or lengthen the field", text.len());
            self.checker.reports.warn(Code::NeverFires, span, message, help);
        }
    }

    fn coalesce_binds(&mut self, span: Span, stand_in: &ast::Expr) {
        let before = Span { start: span.start, end: stand_in.span.start };
        let condition =
            self.checker.reports.snippet(before).trim_end().trim_end_matches("??").trim_end().to_owned();
        let stand_in = self.checker.reports.snippet(stand_in.span).to_owned();
        self.checker.reports.error_with_help(
            Code::CoalesceBinds,
            span,
            "`??` binds tighter than the comparison, so a flag would stand in for a value",
            format!("write `({condition}) ?? {stand_in}`"),
        );
    }

    fn arithmetic(&mut self, op: Operator, span: Span, left: &ast::Expr, right: &ast::Expr) -> Option<Expr> {
        let left_expr = self.check(left);
        let right_expr = self.check(right);
        let (left_expr, right_expr) = (left_expr?, right_expr?);
        let (one, other) = (left_expr.ty, right_expr.ty);
        let computed = quantity::arithmetic(op, left_expr, right_expr);
        if computed.is_none() {
            let additive = matches!(op, Operator::Add | Operator::Subtract);
            if additive && dimension(one).is_some() && dimension(other).is_some() {
                self.not_alike(one, left.span, other, right);
            } else {
                self.cannot_compute(op, span, self.operand(one, left.span), self.operand(other, right.span));
            }
        }
        computed
    }

    /// An operand, for advice.
    pub(super) fn operand(&self, ty: Type, span: Span) -> Operand<'a> {
        Operand { ty, written: self.checker.reports.snippet(span) }
    }

    fn cannot_compute(&mut self, op: Operator, span: Span, one: Operand<'_>, other: Operand<'_>) {
        let schema = self.checker.schema;
        let (one_name, other_name) = (words::type_name(schema, one.ty), words::type_name(schema, other.ty));
        let message = match op {
            Operator::Add => format!("{one_name} and {other_name} cannot be added"),
            Operator::Subtract => format!("{other_name} cannot be taken from {one_name}"),
            Operator::Multiply => format!("{one_name} cannot be multiplied by {other_name}"),
            Operator::Divide => format!("{one_name} cannot be divided by {other_name}"),
        };
        let code = if dimension(one.ty).is_some() && dimension(other.ty).is_some() {
            Code::UnitsDiffer
        } else {
            Code::TypeMismatch
        };
        self.checker.reports.error_with_help(code, span, message, advice::computed(op, one, other));
    }

    /// Reports a text where a value of an enum should stand, which has no quotes.
    fn value_in_quotes(&mut self, id: EnumId, span: Span, message: String) {
        let diagnostic = Diagnostic::new(Code::TypeMismatch, span, message);
        let written = self.checker.reports.snippet(span);
        let inner = written.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        let diagnostic = match inner.zip(self.checker.schema.enum_type(id)) {
            Some((inner, of)) if of.values.iter().any(|it| it == inner) => {
                diagnostic.help(format!("write `{inner}`"))
            }
            Some((inner, of)) => suggest_value(diagnostic, inner, of),
            None => diagnostic.help(advice::values(self.checker.schema, id)),
        };
        self.checker.reports.add(diagnostic);
    }

    /// Reports two operands that are not of one type.
    pub(super) fn not_alike(&mut self, one: Type, one_span: Span, other: Type, other_ast: &ast::Expr) {
        self.not_alike_but(one, one_span, other, other_ast, None);
    }

    /// [`Exprs::not_alike`] with what to do, where that is not to compare something else.
    fn not_alike_but(
        &mut self,
        one: Type,
        one_span: Span,
        other: Type,
        other_ast: &ast::Expr,
        help: Option<String>,
    ) {
        if self.checker.reports.other_money(one, other) {
            return;
        }
        let plain = |ty| matches!(dimension(ty), Some((Dimension::Number, _)));
        let with_unit = |ty| dimension(ty).is_some() && !plain(ty);
        let schema = self.checker.schema;
        let (one_name, other_name) = (words::type_name(schema, one), words::type_name(schema, other));
        let suggestion = if with_unit(one) && plain(other) {
            Some((other_ast.span, one))
        } else if plain(one) && with_unit(other) {
            Some((one_span, other))
        } else {
            None
        };
        let span = other_ast.span;
        if let Some((plain_span, unit)) = suggestion {
            if self.checker.reports.goes_on(plain_span) {
                return;
            }
            let help = advice::given_unit(unit, self.checker.reports.snippet(plain_span));
            let message = format!("{one_name} and {other_name} do not go together");
            self.checker.reports.error_with_help(Code::UnitMissing, plain_span, message, help);
            return;
        }
        let message = format!("{one_name} and {other_name} do not go together");
        match (one, other) {
            (Type::Enum(id), Type::Text) => self.value_in_quotes(id, span, message),
            (Type::Text, Type::Enum(id)) => self.value_in_quotes(id, one_span, message),
            (Type::Money(..), Type::Money(..)) => self.checker.reports.error_with_help(
                Code::UnitsDiffer,
                span,
                message,
                "only a field `money CUR` holds another currency than the schema's; others are converted when they arrive",
            ),
            (Type::Flag, b) if help.is_none() && self.scope.current.is_some() && dimension(b).is_some() => {
                self.compared_in_where(one_span, span, message);
            }
            (a, b) => {
                let units = dimension(a).is_some() && dimension(b).is_some();
                let code = if units { Code::UnitsDiffer } else { Code::TypeMismatch };
                let (one, other) = (self.operand(one, one_span), self.operand(other, span));
                let help = help.unwrap_or_else(|| advice::compared(schema, one, other));
                self.checker.reports.error_with_help(code, span, message, help);
            }
        }
    }

    /// Reports a comparison that a `where` took, and that was meant for its aggregate.
    fn compared_in_where(&mut self, one_span: Span, span: Span, message: String) {
        let reports = &mut self.checker.reports;
        let condition = reports.snippet(one_span);
        let whole = reports.snippet(Span { start: one_span.start, end: span.end });
        let behind = whole.strip_prefix(condition).unwrap_or_default();
        let help = format!(
            "all that follows `where` is its condition: to compare the aggregate, write `(… where {condition}){behind}`"
        );
        // Where the aggregate lacks its parentheses as well, this says where they belong.
        match reports.bare_around(span) {
            Some(bare) => bare.help = vec![help],
            None => reports.error_with_help(Code::TypeMismatch, span, message, help),
        }
    }
}

/// Both hold.
pub(super) fn and(left: Expr, right: Expr) -> Expr {
    let optional = left.optional || right.optional;
    Expr { kind: ExprKind::And(Box::new(left), Box::new(right)), ty: Type::Flag, optional }
}

/// A score's contribution: a number at scale 6, or real.
pub(super) fn to_score(expr: Expr) -> Expr {
    match expr.ty {
        Type::Number(Numeric::Exact { .. }) => quantity::to_scale_or_real(expr, 6),
        _ => to_real(expr),
    }
}
