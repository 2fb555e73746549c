//! On which event types an expression has a meaning, told from the names in it before it is checked.

use super::calls::aggregate_function;
use super::names::{Checker, Global};
use crate::schema::{EventTypeId, FieldType};
use crate::syntax::ast;
use crate::typed::AggregateFunction;

impl Checker<'_> {
    /// The event types that have everything that an expression reads of the event being decided.
    pub(super) fn domain_of(&self, expr: &ast::Expr) -> Vec<EventTypeId> {
        let mut domain = Domain { checker: self, types: self.all_types().collect(), past: false };
        domain.expr(expr);
        domain.types
    }

    /// The event types on which an aggregate has a meaning.
    pub(super) fn domain_of_aggregate(&self, aggregate: &ast::Aggregate) -> Vec<EventTypeId> {
        let mut domain = Domain { checker: self, types: self.all_types().collect(), past: false };
        domain.aggregate(aggregate);
        domain.types
    }
}

struct Domain<'c, 'a> {
    checker: &'c Checker<'a>,
    types: Vec<EventTypeId>,
    /// Inside a `where`, where bare names speak of past events.
    past: bool,
}

impl Domain<'_, '_> {
    fn expr(&mut self, expr: &ast::Expr) {
        match &expr.kind {
            ast::ExprKind::Path(path) => {
                if let [name] = path.names.as_slice()
                    && (path.this.is_some() || !self.past)
                {
                    self.reads(name);
                }
            }
            ast::ExprKind::Aggregate(aggregate) => self.aggregate(aggregate),
            _ => for_each_child(expr, &mut |child| self.expr(child)),
        }
    }

    fn aggregate(&mut self, aggregate: &ast::Aggregate) {
        let outer = self.past;
        for clause in &aggregate.clauses {
            match &clause.kind {
                ast::ClauseKind::By { roles, .. } => roles.iter().for_each(|it| self.has_role(it)),
                ast::ClauseKind::Where(condition) => {
                    self.past = true;
                    self.expr(condition);
                    self.past = outer;
                }
                _ => {}
            }
        }
        for arg in &aggregate.call.args {
            // Arguments without a type speak of the current event; others are qualified, or event types.
            if is_plain(aggregate_function(&aggregate.call.name.text)) {
                self.expr(&arg.expr);
            }
            if let Some(condition) = &arg.where_ {
                self.past = true;
                self.expr(condition);
                self.past = outer;
            }
        }
    }

    fn reads(&mut self, name: &ast::Name) {
        if self.checker.reports.is_unread(&name.text) {
            return;
        }
        let schema = self.checker.schema;
        let is_field = schema.fields.iter().any(|it| it.name == name.text);
        if is_field {
            let has = |it: &EventTypeId| schema.field_of(*it, &name.text).is_some();
            // Of one that no type has beside the rest it may be the name of a value that is meant.
            if self.types.iter().any(has) || !self.checker.is_value(&name.text) {
                self.types.retain(has);
            }
        } else if let Some(Global::Feature(Some(id))) = self.checker.globals.get(name.text.as_str())
            && let Some(feature) = self.checker.features.get(id.index())
        {
            self.types.retain(|it| feature.domain.contains(it));
        }
    }

    fn has_role(&mut self, name: &ast::Name) {
        let schema = self.checker.schema;
        let is_entity = |ty: &FieldType| matches!(ty, FieldType::Entity(_));
        // A name that is nowhere an entity is reported where it is resolved.
        let unread = self.checker.reports.is_unread(&name.text);
        if !unread && schema.fields.iter().any(|it| it.name == name.text && is_entity(&it.ty)) {
            self.types.retain(|it| {
                let field = schema.field_of(*it, &name.text).and_then(|it| schema.field(it.field));
                field.is_some_and(|it| is_entity(&it.ty))
            });
        }
    }
}

/// Whether an aggregate's argument is an expression over the current event as well as over past ones.
pub(super) fn is_plain(function: Option<AggregateFunction>) -> bool {
    matches!(function, Some(AggregateFunction::FirstSeen | AggregateFunction::Speed))
}

/// Visits the expressions directly below one, left to right; clauses of aggregates are theirs to visit.
pub(super) fn for_each_child<'e>(expr: &'e ast::Expr, visit: &mut dyn FnMut(&'e ast::Expr)) {
    use ast::ExprKind as K;
    match &expr.kind {
        K::Error | K::Flag(_) | K::Quantity(_) | K::Duration(_) | K::Text(_) | K::Date(_) | K::Path(_) => {}
        K::Lookup { key, .. } => visit(key),
        K::Call(call) => call.args.iter().for_each(|it| for_each_in_arg(it, visit)),
        K::Aggregate(aggregate) => {
            aggregate.call.args.iter().for_each(|it| for_each_in_arg(it, visit));
            for clause in &aggregate.clauses {
                if let ast::ClauseKind::Where(condition) = &clause.kind {
                    visit(condition);
                }
            }
        }
        K::Set(items) => items.iter().for_each(visit),
        K::Negate(one) | K::Not(one) => visit(one),
        K::Binary { left, right, .. } => {
            visit(left);
            visit(right);
        }
        K::In { operand, range, .. } => {
            visit(operand);
            match range {
                ast::Range::Of(set) => visit(set),
                ast::Range::Between { low, high } => {
                    visit(low);
                    visit(high);
                }
            }
        }
        K::IsMissing { operand, .. } => visit(operand),
    }
}

fn for_each_in_arg<'e>(arg: &'e ast::Arg, visit: &mut dyn FnMut(&'e ast::Expr)) {
    visit(&arg.expr);
    if let Some(condition) = &arg.where_ {
        visit(condition);
    }
}

/// Visits every path in an expression, at any depth.
pub(super) fn for_each_path<'e>(expr: &'e ast::Expr, visit: &mut dyn FnMut(&'e ast::Path)) {
    if let ast::ExprKind::Path(path) = &expr.kind {
        visit(path);
    }
    for_each_child(expr, &mut |child| for_each_path(child, visit));
}
