//! Typed expressions → nodes and conditions. Cannot fail: what a checked tree never holds compiles to "missing".

use std::cell::RefCell;

use super::aggregate::AggregateProgram;
use super::condition::{Condition, Testable};
use super::machine::{Body, FeatureCode, Operand};
use super::node::{Node, Range};
use super::zone::Zone;
use crate::place::Place;
use crate::typed::{
    Definition, Effect, Expr, ExprKind, Feature, FeatureId, Function, Operator, Rule, RuleSet,
};
use crate::value::{Form, Value, power_of_ten, real_of};

/// Whose fields a bare name means.
#[derive(Clone, Copy)]
enum Scope<'a> {
    /// The event being decided.
    Current,
    /// A past event; gathers the expressions over the current one that it needs, and the captured features.
    Past(&'a RefCell<Needs>),
}

/// What code over a past event needs beside that event's own fields.
#[derive(Default)]
pub(super) struct Needs {
    /// Expressions over the event being decided.
    pub(super) this: Vec<Expr>,
    /// Features as captured.
    pub(super) captured: Vec<FeatureId>,
}

/// Compiles expressions of one scope.
#[derive(Clone, Copy)]
pub(super) struct Compiler<'a> {
    texts: &'a dyn Fn(&str) -> i64,
    scope: Scope<'a>,
}

impl<'a> Compiler<'a> {
    /// For expressions over the event being decided.
    pub(super) fn new(texts: &'a dyn Fn(&str) -> i64) -> Self {
        Self { texts, scope: Scope::Current }
    }

    /// For expressions over a past event.
    pub(super) fn past<'b>(&'b self, needs: &'b RefCell<Needs>) -> Compiler<'b> {
        Compiler { texts: self.texts, scope: Scope::Past(needs) }
    }

    pub(super) fn feature(&self, feature: &Feature) -> FeatureCode {
        match &feature.definition {
            Definition::Expr(expr) => FeatureCode::Expr(self.body(expr)),
            Definition::Aggregate(aggregate) => {
                FeatureCode::Aggregate(Box::new(AggregateProgram::compile(aggregate, self)))
            }
        }
    }

    /// An expression of whichever form.
    pub(super) fn body(&self, expr: &Expr) -> Body {
        match expr.ty.form() {
            Form::Flag => Body::Flag(self.condition(expr)),
            Form::Exact => Body::Exact(self.exact(expr)),
            Form::Real => Body::Real(self.real(expr)),
        }
    }

    /// An expression of flag form.
    pub(super) fn condition(&self, expr: &Expr) -> Condition {
        if let Some(operand) = self.operand(expr) {
            return Condition::read(operand);
        }
        match &expr.kind {
            ExprKind::This(it) => self.condition(it),
            ExprKind::Const(value) => Condition::Const(value.flag()),
            ExprKind::Not(it) => self.condition(it).not(),
            ExprKind::And(a, b) => self.condition(a).and(self.condition(b)),
            ExprKind::Or(a, b) => self.condition(a).or(self.condition(b)),
            ExprKind::Coalesce(a, b) => self.condition(a).coalesce(self.condition(b)),
            ExprKind::Compare(comparison, a, b) => match a.ty.form() {
                Form::Flag => Condition::compare(*comparison, self.condition(a), self.condition(b)),
                Form::Exact => Node::compare(*comparison, self.exact(a), self.exact(b)),
                Form::Real => Node::compare(*comparison, self.real(a), self.real(b)),
            },
            ExprKind::IsMissing(it) => match it.ty.form() {
                Form::Flag => self.condition(it).when_missing(),
                Form::Exact => self.exact(it).when_missing(),
                Form::Real => self.real(it).when_missing(),
            },
            ExprKind::Between { operand, low, high, wraps } => match operand.ty.form() {
                Form::Flag => Condition::Const(None),
                Form::Exact => between(self.exact(operand), self.exact(low), self.exact(high), *wraps),
                Form::Real => between(self.real(operand), self.real(low), self.real(high), *wraps),
            },
            ExprKind::OneOf(operand, items) => self.one_of(operand, items),
            &ExprKind::Listed(list, role) => {
                Condition::code(move |machine| Some(machine.source.listed(list, role)))
            }
            ExprKind::ListedValue(list, operand) => self.listed_value(*list, operand),
            &ExprKind::TableValue(list, role) => {
                Condition::code(move |machine| machine.source.table_value(list, role).map(|slot| slot != 0))
            }
            ExprKind::Call(function, arguments) => self.flag_call(function, arguments),
            _ => Condition::Const(None),
        }
    }

    /// An expression of exact form.
    pub(super) fn exact(&self, expr: &Expr) -> Node<i128> {
        if let Some(operand) = self.operand(expr) {
            return Node::Read(operand);
        }
        match &expr.kind {
            ExprKind::This(it) => self.exact(it),
            ExprKind::Const(value) => Node::Const(value.exact()),
            ExprKind::Text(text) | ExprKind::EntityId(_, text) => {
                Node::Const(Some(i128::from((self.texts)(text))))
            }
            ExprKind::Coalesce(a, b) => self.exact(a).or(self.exact(b)),
            // The checker bounds all exact numbers, so that none of these overflows.
            ExprKind::Arithmetic(operator, a, b) => self.exact(a).zip(
                self.exact(b),
                match operator {
                    Operator::Add => i128::checked_add,
                    Operator::Subtract => i128::checked_sub,
                    Operator::Multiply => i128::checked_mul,
                    Operator::Divide => |_, _| None,
                },
            ),
            ExprKind::Negate(it) => self.exact(it).map(i128::checked_neg),
            &ExprKind::Rescale(ref it, digits) => {
                let factor = 10_i128.checked_pow(u32::from(digits));
                self.exact(it).map(move |number| number.checked_mul(factor?))
            }
            &ExprKind::TableValue(list, role) => {
                Node::code(move |machine| machine.source.table_value(list, role).map(i128::from))
            }
            ExprKind::Call(function, arguments) => self.exact_call(function, arguments),
            _ => Node::Const(None),
        }
    }

    /// An expression of real form.
    pub(super) fn real(&self, expr: &Expr) -> Node<f64> {
        if let Some(operand) = self.operand(expr) {
            return Node::Read(operand);
        }
        match &expr.kind {
            ExprKind::This(it) => self.real(it),
            ExprKind::Const(value) => Node::Const(value.real()),
            ExprKind::Coalesce(a, b) => self.real(a).or(self.real(b)),
            ExprKind::Arithmetic(operator, a, b) => self.real(a).zip(
                self.real(b),
                match operator {
                    Operator::Add => |a, b| finite(a + b),
                    Operator::Subtract => |a, b| finite(a - b),
                    Operator::Multiply => |a, b| finite(a * b),
                    Operator::Divide => |a, b| finite(a / b),
                },
            ),
            ExprKind::Negate(it) => self.real(it).map(|number| finite(-number)),
            &ExprKind::ToReal(ref it, scale) => {
                let unit = power_of_ten(scale);
                self.exact(it).map(move |number| finite(real_of(number) / unit))
            }
            &ExprKind::TableValue(list, role) => Node::code(move |machine| {
                Value::from_slot(machine.source.table_value(list, role), Form::Real).real()
            }),
            ExprKind::Call(function, arguments) => self.real_call(function, arguments),
            _ => Node::Const(None),
        }
    }

    /// What is read from the frame as it stands.
    fn operand(&self, expr: &Expr) -> Option<Operand> {
        Some(match (&expr.kind, self.scope) {
            (&ExprKind::Field(id), _) => Operand::Field(id),
            (ExprKind::EventType, _) => Operand::EventType,
            (ExprKind::Time, _) => Operand::Time,
            (ExprKind::Score, _) => Operand::Score,
            (&ExprKind::Mutable(column), _) => Operand::Mutable(column),
            (&ExprKind::Feature(id), Scope::Current) => Operand::Feature(id),
            (&ExprKind::Feature(id), Scope::Past(needs)) => {
                place_of(&mut needs.borrow_mut().captured, id);
                Operand::Captured(id)
            }
            (ExprKind::This(it), Scope::Past(needs)) => of_this(needs, it),
            // Entity lists are asked about the event being decided, wherever they stand.
            (ExprKind::Listed(..) | ExprKind::TableValue(..), Scope::Past(needs)) => of_this(needs, expr),
            _ => return None,
        })
    }

    fn one_of(&self, operand: &Expr, items: &[Expr]) -> Condition {
        match operand.ty.form() {
            Form::Flag => {
                let operand = self.condition(operand);
                let items: Box<[_]> = items.iter().map(|it| self.condition(it)).collect();
                Condition::code(move |machine| {
                    let Some(flag) = operand.eval(machine) else { return Some(false) };
                    Some(items.iter().any(|item| item.eval(machine) == Some(flag)))
                })
            }
            Form::Exact => one_of(self.exact(operand), items.iter().map(|it| self.exact(it)).collect()),
            Form::Real => one_of(self.real(operand), items.iter().map(|it| self.real(it)).collect()),
        }
    }

    fn listed_value(&self, list: crate::typed::ListId, operand: &Expr) -> Condition {
        let operand = self.body(operand);
        Condition::code(move |machine| {
            let slot = operand.eval(machine).to_slot();
            Some(slot.is_some_and(|slot| machine.source.listed_value(list, slot)))
        })
    }

    fn flag_call(&self, function: &Function, arguments: &[Expr]) -> Condition {
        let Some(argument) = arguments.first() else { return Condition::Const(None) };
        let (low, high) = match function {
            Function::Weekend(_) => (5, 6),
            Function::Night(_) => (0, 6),
            _ => return Condition::Const(None),
        };
        let number = match function {
            Function::Weekend(zone) => self.calendar(zone, Zone::weekday, argument),
            Function::Night(zone) => self.calendar(zone, Zone::hour, argument),
            _ => return Condition::Const(None),
        };
        number.within(Range { low, high, outside: false }, None)
    }

    fn exact_call(&self, function: &Function, arguments: &[Expr]) -> Node<i128> {
        let all = || arguments.iter().map(|it| self.exact(it));
        match (function, arguments) {
            (Function::Hour(zone), [time]) => self.calendar(zone, Zone::hour, time),
            (Function::Weekday(zone), [time]) => self.calendar(zone, Zone::weekday, time),
            (Function::Abs, [it]) => self.exact(it).map(i128::checked_abs),
            (Function::Min, _) => fold(all(), i128::min),
            (Function::Max, _) => fold(all(), i128::max),
            _ => Node::Const(None),
        }
    }

    fn real_call(&self, function: &Function, arguments: &[Expr]) -> Node<f64> {
        let all = || arguments.iter().map(|it| self.real(it));
        match (function, arguments) {
            (Function::Abs, [it]) => self.real(it).map(|number| finite(number.abs())),
            (Function::Min, _) => fold(all(), |a, b| if b < a { b } else { a }),
            (Function::Max, _) => fold(all(), |a, b| if a < b { b } else { a }),
            (Function::Distance, [from, to]) => self.exact(from).zip(self.exact(to), |from, to| {
                let place = |slot| Some(Place::unpack(i64::try_from(slot).ok()?));
                finite(place(from)?.distance_km(place(to)?))
            }),
            _ => Node::Const(None),
        }
    }

    fn calendar(
        &self,
        zone: &jiff::tz::TimeZone,
        part: fn(&Zone, i128) -> Option<i64>,
        time: &Expr,
    ) -> Node<i128> {
        let zone = Zone::new(zone);
        self.exact(time).map(move |time| part(&zone, time).map(i128::from))
    }
}

/// The named features that stand in a rule's text, in id order.
pub(super) fn rule_reads(rules: &RuleSet, rule: &Rule) -> Box<[FeatureId]> {
    let scores = rule.effects.iter().filter_map(|effect| match effect {
        Effect::Score(expr) => Some(expr),
        _ => None,
    });
    let mut reads = Vec::new();
    for expr in std::iter::once(&rule.when).chain(scores) {
        expr.visit(&mut |it| match it.kind {
            ExprKind::Feature(id) if rules.feature_order.contains(&id) => reads.push(id),
            _ => {}
        });
    }
    reads.sort_unstable();
    reads.dedup();
    reads.into()
}

/// `low <= operand <= high`, never missing.
fn between<T: Testable>(operand: Node<T>, low: Node<T>, high: Node<T>, wraps: bool) -> Condition {
    match (low, high) {
        (Node::Const(Some(low)), Node::Const(Some(high))) if !wraps || low <= high => {
            operand.within(Range { low, high, outside: false }, Some(false))
        }
        (low, high) => Condition::code(move |machine| {
            let bounds = low.eval(machine).zip(high.eval(machine));
            Some(operand.eval(machine).zip(bounds).is_some_and(|(it, (low, high))| {
                if wraps && high < low { low <= it || it <= high } else { low <= it && it <= high }
            }))
        }),
    }
}

/// Whether the operand equals an item, never missing.
fn one_of<T: Testable>(operand: Node<T>, items: Box<[Node<T>]>) -> Condition {
    Condition::code(move |machine| {
        let Some(it) = operand.eval(machine) else { return Some(false) };
        Some(items.iter().any(|item| item.eval(machine) == Some(it)))
    })
}

/// All operands, one after the other; missing where one of them is. There may be as many as a file has room for, so they
/// do not stand inside one another.
fn fold<T: Testable>(nodes: impl Iterator<Item = Node<T>>, f: fn(T, T) -> T) -> Node<T> {
    let nodes: Vec<_> = nodes.collect();
    match <[_; 2]>::try_from(nodes) {
        Ok([a, b]) => a.zip(b, move |a, b| Some(f(a, b))),
        Err(nodes) => Node::code(move |machine| {
            let (first, others) = nodes.split_first()?;
            let first = first.eval(machine)?;
            others.iter().try_fold(first, |all, it| Some(f(all, it.eval(machine)?)))
        }),
    }
}

/// A value of the event being decided, read while a past one is in the frame.
fn of_this(needs: &RefCell<Needs>, expr: &Expr) -> Operand {
    Operand::This(place_of(&mut needs.borrow_mut().this, expr.clone()))
}

/// Where an item stands in a list of different ones; it is put there if it is new.
fn place_of<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    items.iter().position(|it| *it == item).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })
}

/// A computed number: never NaN, infinite or negative zero.
#[inline]
pub(super) fn finite(number: f64) -> Option<f64> {
    Value::finite(number).real()
}
