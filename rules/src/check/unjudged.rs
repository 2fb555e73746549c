//! What stands beside an error and cannot be judged for it: without its event type nobody knows which fields a rule may
//! read. Its names can: one that is known nowhere is wrong whatever was meant beside it, and is told in the same run.

use super::domain::for_each_path;
use super::names::Checker;
use super::scope::mutable_column;
use crate::diagnostic::Code;
use crate::syntax::ast;

/// What every expression may read, somewhere.
const EVERYWHERE: [&str; 4] = ["time", "type", "score", "id"];

impl Checker<'_> {
    /// Reports the names in an expression that are known nowhere.
    pub(super) fn names_of(&mut self, expr: &ast::Expr) {
        let mut names = Vec::new();
        for_each_path(expr, &mut |path| names.extend(path.names.first()));
        names.into_iter().for_each(|it| self.known_somewhere(it));
    }

    /// The same of an aggregate, but for what it looks at.
    pub(super) fn names_of_aggregate(&mut self, aggregate: &ast::Aggregate) {
        for arg in &aggregate.call.args {
            arg.where_.iter().for_each(|it| self.names_of(it));
        }
        for clause in &aggregate.clauses {
            match &clause.kind {
                ast::ClauseKind::By { roles, via } => {
                    roles.iter().chain(via).for_each(|it| self.known_somewhere(it));
                }
                ast::ClauseKind::Where(condition) => self.names_of(condition),
                _ => {}
            }
        }
    }

    /// The same of a rule's condition, share and effects.
    pub(super) fn names_of_rule(&mut self, rule: &ast::Rule) {
        self.names_of(&rule.when);
        rule.rollout.iter().for_each(|it| self.known_somewhere(&it.role));
        for effect in &rule.effects {
            match &effect.kind {
                ast::EffectKind::Score { value, .. } => self.names_of(value),
                ast::EffectKind::Alert { once: Some(once), .. } => self.known_somewhere(&once.role),
                ast::EffectKind::Freeze { role, .. } => self.known_somewhere(role),
                ast::EffectKind::Add { role, list, .. } | ast::EffectKind::Remove { role, list } => {
                    self.known_somewhere(role);
                    self.list_named(list);
                }
                _ => {}
            }
        }
    }

    fn known_somewhere(&mut self, name: &ast::Name) {
        let (schema, text) = (self.schema, name.text.as_str());
        let known = EVERYWHERE.contains(&text)
            || mutable_column(text).is_some()
            || self.globals.contains_key(text)
            || schema.fields.iter().any(|it| it.name == text)
            || schema.events.iter().any(|it| it.name == text)
            || schema.enums.iter().any(|it| it.values.iter().any(|value| value == text));
        // Some of them may have been looked at before.
        if !known && !self.reports.told(Code::UnknownName, name.span) {
            let types: Vec<_> = self.all_types().collect();
            self.unknown_name(name, &types);
        }
    }
}
