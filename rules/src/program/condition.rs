//! Code that computes a flag. The common shapes are data: a leaf against a constant, and `and`, `or` of such.

use super::machine::{Machine, Operand};
use super::node::{Code, Node, Number, Range, compares};
use crate::typed::Comparison;

/// A compiled expression of flag form; none = missing.
pub(super) enum Condition {
    Const(Option<bool>),
    Flag(FlagTest),
    Exact(Test<i128>),
    Real(Test<f64>),
    /// False as soon as one is; more than one.
    All(Box<[Condition]>),
    /// True as soon as one is; more than one.
    Any(Box<[Condition]>),
    Code(Code<bool>),
}

/// Whether a leaf is this flag.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct FlagTest {
    operand: Operand,
    expected: bool,
    if_missing: Option<bool>,
}

/// Whether a leaf lies in a range: any comparison with a constant, `??` with a constant before it, `a .. b` and
/// `is missing` among them.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Test<T> {
    pub(super) operand: Operand,
    pub(super) range: Range<T>,
    pub(super) if_missing: Option<bool>,
}

impl<T: Number> Test<T> {
    #[inline(always)]
    fn eval(&self, machine: &mut Machine<'_>) -> Option<bool> {
        match self.operand.number(machine) {
            Some(number) => Some(self.range.holds(number)),
            None => self.if_missing,
        }
    }

    fn negated(mut self) -> Self {
        self.range.outside = !self.range.outside;
        self.if_missing = self.if_missing.map(|flag| !flag);
        self
    }
}

/// The forms of number, each with its own test.
pub(super) trait Testable: Number {
    fn test(test: Test<Self>) -> Condition;
}
impl Testable for i128 {
    fn test(test: Test<Self>) -> Condition {
        Condition::Exact(test)
    }
}
impl Testable for f64 {
    fn test(test: Test<Self>) -> Condition {
        Condition::Real(test)
    }
}

impl Condition {
    #[inline]
    pub(super) fn eval(&self, machine: &mut Machine<'_>) -> Option<bool> {
        match self {
            Self::Const(flag) => *flag,
            Self::Exact(test) => test.eval(machine),
            Self::Real(test) => test.eval(machine),
            Self::Flag(test) => match test.operand.flag(machine) {
                Some(flag) => Some(flag == test.expected),
                None => test.if_missing,
            },
            Self::All(conditions) => first_of(conditions, false, machine),
            Self::Any(conditions) => first_of(conditions, true, machine),
            Self::Code(code) => code(machine),
        }
    }

    pub(super) fn code(code: impl Fn(&mut Machine<'_>) -> Option<bool> + Send + Sync + 'static) -> Self {
        Self::Code(Box::new(code))
    }

    /// A flag that stands in the frame.
    pub(super) fn read(operand: Operand) -> Self {
        Self::Flag(FlagTest { operand, expected: true, if_missing: None })
    }

    /// Three-valued not.
    pub(super) fn not(self) -> Self {
        match self {
            Self::Const(flag) => Self::Const(flag.map(|flag| !flag)),
            Self::Flag(test) => Self::Flag(FlagTest {
                expected: !test.expected,
                if_missing: test.if_missing.map(|flag| !flag),
                ..test
            }),
            Self::Exact(test) => Self::Exact(test.negated()),
            Self::Real(test) => Self::Real(test.negated()),
            // De Morgan holds of three values, and the order in which sides are looked at stays.
            Self::All(conditions) => Self::Any(conditions.into_iter().map(Self::not).collect()),
            Self::Any(conditions) => Self::All(conditions.into_iter().map(Self::not).collect()),
            Self::Code(code) => Self::code(move |machine| code(machine).map(|flag| !flag)),
        }
    }

    /// Three-valued and.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (known @ Self::Const(Some(false)), _) | (_, known @ Self::Const(Some(false))) => known,
            (Self::Const(Some(true)), it) | (it, Self::Const(Some(true))) => it,
            (a, b) => Self::All(joined(a, b, |it| match it {
                Self::All(conditions) => Ok(conditions),
                other => Err(other),
            })),
        }
    }

    /// Three-valued or.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (known @ Self::Const(Some(true)), _) | (_, known @ Self::Const(Some(true))) => known,
            (Self::Const(Some(false)), it) | (it, Self::Const(Some(false))) => it,
            (a, b) => Self::Any(joined(a, b, |it| match it {
                Self::Any(conditions) => Ok(conditions),
                other => Err(other),
            })),
        }
    }

    /// This condition, or the other where this one is missing.
    pub(super) fn coalesce(self, other: Self) -> Self {
        match (self, other) {
            (Self::Const(None), other) => other,
            (known @ Self::Const(_), _) => known,
            (Self::Flag(test), Self::Const(otherwise)) => {
                Self::Flag(FlagTest { if_missing: test.if_missing.or(otherwise), ..test })
            }
            (Self::Exact(test), Self::Const(otherwise)) => {
                Self::Exact(Test { if_missing: test.if_missing.or(otherwise), ..test })
            }
            (Self::Real(test), Self::Const(otherwise)) => {
                Self::Real(Test { if_missing: test.if_missing.or(otherwise), ..test })
            }
            (a, b) => Self::code(move |machine| match a.eval(machine) {
                None => b.eval(machine),
                known => known,
            }),
        }
    }

    pub(super) fn when_missing(self) -> Self {
        match self {
            Self::Const(flag) => Self::Const(Some(flag.is_none())),
            it => Self::code(move |machine| Some(it.eval(machine).is_none())),
        }
    }

    /// Flags in one order: false before true.
    pub(super) fn compare(comparison: Comparison, a: Self, b: Self) -> Self {
        Self::code(move |machine| {
            let (a, b) = (a.eval(machine)?, b.eval(machine)?);
            Some(compares(comparison, a.cmp(&b)))
        })
    }
}

/// `stop` as soon as one condition is it, else missing if one is missing, else the other flag.
#[inline]
fn first_of(conditions: &[Condition], stop: bool, machine: &mut Machine<'_>) -> Option<bool> {
    let mut rest = Some(!stop);
    for condition in conditions {
        match condition.eval(machine) {
            Some(flag) if flag == stop => return Some(stop),
            Some(_) => {}
            None => rest = None,
        }
    }
    rest
}

/// Both in one list, each first taken apart if it is such a list itself.
fn joined(
    a: Condition,
    b: Condition,
    parts: impl Fn(Condition) -> Result<Box<[Condition]>, Condition>,
) -> Box<[Condition]> {
    let parts = |it| parts(it).map_or_else(|one| vec![one], Vec::from);
    let mut all = parts(a);
    all.extend(parts(b));
    all.into()
}

impl<T: Testable> Node<T> {
    /// Whether the number lies in a range; `if_missing` where it is missing.
    pub(super) fn within(self, range: Range<T>, if_missing: Option<bool>) -> Condition {
        match self {
            Self::Const(value) => Condition::Const(value.map(|it| range.holds(it)).or(if_missing)),
            Self::Read(operand) => T::test(Test { operand, range, if_missing }),
            Self::ReadOr(operand, otherwise) => {
                T::test(Test { operand, range, if_missing: Some(range.holds(otherwise)) })
            }
            Self::Code(code) => {
                Condition::code(move |machine| code(machine).map(|it| range.holds(it)).or(if_missing))
            }
        }
    }

    /// `a ? b`
    pub(super) fn compare(comparison: Comparison, a: Self, b: Self) -> Condition {
        match (a, b) {
            (Self::Const(None), _) | (_, Self::Const(None)) => Condition::Const(None),
            (a, Self::Const(Some(b))) => a.within(Range::of(comparison, b), None),
            (Self::Const(Some(a)), b) => b.within(Range::of(comparison.mirrored(), a), None),
            (a, b) => Condition::code(move |machine| {
                let (a, b) = (a.eval(machine)?, b.eval(machine)?);
                Some(compares(comparison, a.partial_cmp(&b)?))
            }),
        }
    }

    pub(super) fn when_missing(self) -> Condition {
        self.within(Range { low: T::LEAST, high: T::GREATEST, outside: true }, Some(true))
    }
}
