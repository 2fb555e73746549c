//! Walking a typed expression: what it reads, without saying how it computes.

use crate::typed::{Expr, ExprKind};

impl Expr {
    /// The expressions directly below this one, left to right.
    pub fn children(&self) -> Vec<&Expr> {
        use ExprKind as K;
        match &self.kind {
            K::Const(_)
            | K::Text(_)
            | K::EntityId(..)
            | K::Field(_)
            | K::EventType
            | K::Time
            | K::Mutable(_)
            | K::Feature(_)
            | K::Score
            | K::Listed(..)
            | K::TableValue(..) => Vec::new(),
            K::This(one)
            | K::Not(one)
            | K::ListedValue(_, one)
            | K::IsMissing(one)
            | K::Negate(one)
            | K::Rescale(one, _)
            | K::ToReal(one, _) => vec![one],
            K::And(left, right)
            | K::Or(left, right)
            | K::Compare(_, left, right)
            | K::Coalesce(left, right)
            | K::Arithmetic(_, left, right) => vec![left, right],
            K::Between { operand, low, high, .. } => vec![operand, low, high],
            K::OneOf(operand, items) => std::iter::once(operand.as_ref()).chain(items).collect(),
            K::Call(_, arguments) => arguments.iter().collect(),
        }
    }

    /// Changes each expression directly below this one.
    pub(crate) fn for_each_child(&mut self, change: &mut dyn FnMut(&mut Self)) {
        use ExprKind as K;
        match &mut self.kind {
            K::Const(_)
            | K::Text(_)
            | K::EntityId(..)
            | K::Field(_)
            | K::EventType
            | K::Time
            | K::Mutable(_)
            | K::Feature(_)
            | K::Score
            | K::Listed(..)
            | K::TableValue(..) => {}
            K::This(one)
            | K::Not(one)
            | K::ListedValue(_, one)
            | K::IsMissing(one)
            | K::Negate(one)
            | K::Rescale(one, _)
            | K::ToReal(one, _) => change(one),
            K::And(left, right)
            | K::Or(left, right)
            | K::Compare(_, left, right)
            | K::Coalesce(left, right)
            | K::Arithmetic(_, left, right) => [left, right].into_iter().for_each(|it| change(it)),
            K::Between { operand, low, high, .. } => {
                [operand, low, high].into_iter().for_each(|it| change(it))
            }
            K::OneOf(operand, items) => {
                change(operand);
                items.iter_mut().for_each(change);
            }
            K::Call(_, arguments) => arguments.iter_mut().for_each(change),
        }
    }

    /// Visits this expression and all below it, parents first.
    pub fn visit<'a>(&'a self, visitor: &mut dyn FnMut(&'a Expr)) {
        visitor(self);
        for child in self.children() {
            child.visit(visitor);
        }
    }

    /// Visits what speaks of the event in scope: like [`Expr::visit`], but not what stands inside [`ExprKind::This`].
    pub fn visit_scope<'a>(&'a self, visitor: &mut dyn FnMut(&'a Expr)) {
        visitor(self);
        if !matches!(self.kind, ExprKind::This(_)) {
            for child in self.children() {
                child.visit_scope(visitor);
            }
        }
    }

    /// Whether it reads what becomes known later of the event in scope.
    pub fn reads_mutable(&self) -> bool {
        let mut found = false;
        self.visit_scope(&mut |it| found |= matches!(it.kind, ExprKind::Mutable(_)));
        found
    }
}
