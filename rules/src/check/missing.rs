//! What may be missing: facts that a condition makes sure of, why a feature may be absent, and who must have a value.

use super::names::{Absence, Checker};
use super::quantity::is_nonzero_const;
use crate::diagnostic::Code;
use crate::schema::FieldId;
use crate::span::Span;
use crate::typed::{Expr, ExprKind, Operator};

/// What is present where the condition holds: `x is not missing and …`.
pub(super) fn present_if_true(condition: &Expr, facts: &mut Vec<ExprKind>) {
    match &condition.kind {
        ExprKind::And(left, right) => {
            present_if_true(left, facts);
            present_if_true(right, facts);
        }
        ExprKind::Not(operand) => present_if_false(operand, facts),
        _ => {}
    }
}

/// What is present where the condition does not hold: `x is missing or …`.
pub(super) fn present_if_false(condition: &Expr, facts: &mut Vec<ExprKind>) {
    match &condition.kind {
        ExprKind::Or(left, right) => {
            present_if_false(left, facts);
            present_if_false(right, facts);
        }
        ExprKind::Not(operand) => present_if_true(operand, facts),
        ExprKind::IsMissing(operand) => facts.push(operand.kind.clone()),
        _ => {}
    }
}

/// Why the value of an expression over the current event may be missing.
pub(super) fn absence(expr: &Expr, of_features: &[Absence]) -> Absence {
    let mut absence = Absence::default();
    gather(expr, of_features, &mut absence);
    absence.fields.sort_unstable();
    absence.fields.dedup();
    absence
}

fn gather(expr: &Expr, of_features: &[Absence], absence: &mut Absence) {
    if !expr.optional {
        return;
    }
    match &expr.kind {
        ExprKind::Field(field) => absence.fields.push(*field),
        ExprKind::Feature(id) => match of_features.get(id.index()) {
            Some(of) => {
                absence.fields.extend(&of.fields);
                absence.otherwise |= of.otherwise;
            }
            None => absence.otherwise = true,
        },
        // Missing only where both sides are.
        ExprKind::Coalesce(_, right) => gather(right, of_features, absence),
        kind => {
            let optional_below = expr.children().iter().any(|it| it.optional);
            let divides =
                matches!(kind, ExprKind::Arithmetic(Operator::Divide, _, by) if !is_nonzero_const(by));
            absence.otherwise |= divides || !optional_below;
            for child in expr.children() {
                gather(child, of_features, absence);
            }
        }
    }
}

impl Checker<'_> {
    /// Reports where something that must have a value may have none. True if it has one.
    pub(super) fn require_value(&mut self, expr: &Expr, span: Span, what: &str) -> bool {
        if !expr.optional {
            return true;
        }
        let (culprit, help) = self.why_missing(expr);
        let message = format!("{what} must have a value, and {culprit} may be missing");
        self.reports.error_with_help(Code::MayBeMissing, span, message, help);
        false
    }

    /// What makes it missing, and what to write instead.
    fn why_missing(&self, expr: &Expr) -> (String, String) {
        let named = |name: &str| {
            let help =
                format!("write `{name} ?? …` with what should stand in, or `{name} is not missing and …`");
            (format!("`{name}`"), help)
        };
        let stand_in = "put it in parentheses and write `?? …` behind them".to_owned();
        match &expr.kind {
            ExprKind::Field(id) => named(self.field_name(*id)),
            ExprKind::Feature(id) => match self.features.get(id.index()) {
                Some(it) if self.globals.contains_key(it.name.as_str()) => named(&it.name),
                _ => ("the aggregate".to_owned(), "write `?? …` behind its parentheses".to_owned()),
            },
            ExprKind::TableValue(list, role) => {
                let table = self.lists.get(list.index()).map_or("?", |it| it.name.as_str());
                named(&format!("{table}[{}]", self.field_name(*role)))
            }
            ExprKind::Coalesce(_, right) => self.why_missing(right),
            _ => match expr.children().into_iter().find(|it| it.optional) {
                Some(child) => self.why_missing(child),
                None => ("a division, whose divisor may be zero,".to_owned(), stand_in),
            },
        }
    }

    fn field_name(&self, id: FieldId) -> &str {
        self.schema.field(id).map_or("?", |it| it.name.as_str())
    }
}
