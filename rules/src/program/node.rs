//! Code that computes a number: leaves and constants as data, the rest as closures.

use std::cmp::Ordering;

use super::machine::{Machine, Operand};
use crate::typed::Comparison;
use crate::value::Value;

/// A compiled form of the language.
pub(super) type Code<T> = Box<dyn Fn(&mut Machine<'_>) -> Option<T> + Send + Sync>;

/// The two forms of number, and how a leaf is read as one.
pub(super) trait Number: Copy + PartialOrd + Send + Sync + 'static {
    /// Not above any value.
    const LEAST: Self;
    /// Not below any value.
    const GREATEST: Self;
    fn of_value(value: &Value) -> Option<Self>;
    /// Of a field; nothing computed is ever a field's.
    fn of_slot(slot: i64) -> Option<Self>;
    /// Of what stands beside features and fields in a frame.
    fn of_exact(exact: i128) -> Option<Self>;
}

impl Number for i128 {
    const LEAST: Self = Self::MIN;
    const GREATEST: Self = Self::MAX;
    #[inline]
    fn of_value(value: &Value) -> Option<Self> {
        if let Value::Exact(exact) = value { Some(*exact) } else { None }
    }
    #[inline]
    fn of_slot(slot: i64) -> Option<Self> {
        Some(slot.into())
    }
    #[inline]
    fn of_exact(exact: i128) -> Option<Self> {
        Some(exact)
    }
}

impl Number for f64 {
    const LEAST: Self = Self::NEG_INFINITY;
    const GREATEST: Self = Self::INFINITY;
    #[inline]
    fn of_value(value: &Value) -> Option<Self> {
        if let Value::Real(real) = value { Some(*real) } else { None }
    }
    #[inline]
    fn of_slot(_: i64) -> Option<Self> {
        None
    }
    #[inline]
    fn of_exact(_: i128) -> Option<Self> {
        None
    }
}

/// A compiled expression of number form; none = missing.
pub(super) enum Node<T> {
    Const(Option<T>),
    Read(Operand),
    /// A leaf, or this number where the leaf is missing.
    ReadOr(Operand, T),
    Code(Code<T>),
}

impl<T: Number> Node<T> {
    #[inline]
    pub(super) fn eval(&self, machine: &mut Machine<'_>) -> Option<T> {
        match self {
            Self::Const(value) => *value,
            Self::Read(operand) => operand.number(machine),
            Self::ReadOr(operand, otherwise) => operand.number(machine).or(Some(*otherwise)),
            Self::Code(code) => code(machine),
        }
    }

    pub(super) fn code(code: impl Fn(&mut Machine<'_>) -> Option<T> + Send + Sync + 'static) -> Self {
        Self::Code(Box::new(code))
    }

    /// Missing where the operand is; a constant stays one.
    pub(super) fn map<U: Number>(self, f: impl Fn(T) -> Option<U> + Send + Sync + 'static) -> Node<U> {
        match self {
            Self::Const(value) => Node::Const(value.and_then(f)),
            node => Node::code(move |machine| f(node.eval(machine)?)),
        }
    }

    /// Missing where an operand is; two constants become one.
    pub(super) fn zip<U: Number>(
        self,
        other: Self,
        f: impl Fn(T, T) -> Option<U> + Send + Sync + 'static,
    ) -> Node<U> {
        match (self, other) {
            (Self::Const(a), Self::Const(b)) => Node::Const(a.zip(b).and_then(|(a, b)| f(a, b))),
            (Self::Const(None), _) | (_, Self::Const(None)) => Node::Const(None),
            (a, Self::Const(Some(b))) => Node::code(move |machine| f(a.eval(machine)?, b)),
            (a, b) => Node::code(move |machine| f(a.eval(machine)?, b.eval(machine)?)),
        }
    }

    /// This node, or the other where this one is missing.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Const(None), other) => other,
            (known @ (Self::Const(_) | Self::ReadOr(..)), _) => known,
            (Self::Read(operand), Self::Const(Some(otherwise))) => Self::ReadOr(operand, otherwise),
            (node, other) => Self::code(move |machine| match node.eval(machine) {
                None => other.eval(machine),
                known => known,
            }),
        }
    }
}

/// All numbers from `low` to `high`, or, turned inside out, all others: any comparison with a constant.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Range<T> {
    pub(super) low: T,
    pub(super) high: T,
    pub(super) outside: bool,
}

impl<T: Number> Range<T> {
    /// The numbers x for which `x ? constant` holds.
    pub(super) fn of(comparison: Comparison, constant: T) -> Self {
        let (low, high, outside) = match comparison {
            Comparison::Equal => (constant, constant, false),
            Comparison::NotEqual => (constant, constant, true),
            Comparison::Less => (constant, T::GREATEST, true),
            Comparison::LessOrEqual => (T::LEAST, constant, false),
            Comparison::Greater => (T::LEAST, constant, true),
            Comparison::GreaterOrEqual => (constant, T::GREATEST, false),
        };
        Self { low, high, outside }
    }

    #[inline]
    pub(super) fn holds(self, number: T) -> bool {
        ((self.low <= number) & (number <= self.high)) != self.outside
    }

    /// Whether it holds for all numbers strictly between two neighbours of a list in which both its ends stand, but for
    /// the least and the greatest of all; none = no neighbour on that side.
    pub(super) fn holds_between(self, left: Option<&T>, right: Option<&T>) -> bool {
        let from_low = self.low == T::LEAST || left.is_some_and(|left| self.low <= *left);
        let to_high = self.high == T::GREATEST || right.is_some_and(|right| *right <= self.high);
        (from_low && to_high) != self.outside
    }
}

/// Whether two values so ordered compare as asked.
#[inline]
pub(super) fn compares(comparison: Comparison, ordering: Ordering) -> bool {
    match comparison {
        Comparison::Equal => ordering.is_eq(),
        Comparison::NotEqual => ordering.is_ne(),
        Comparison::Less => ordering.is_lt(),
        Comparison::LessOrEqual => ordering.is_le(),
        Comparison::Greater => ordering.is_gt(),
        Comparison::GreaterOrEqual => ordering.is_ge(),
    }
}
