//! Whether one condition holds wherever another does, whatever the data. What is said is so; not all that is so is said.
//!
//! A condition becomes a [`Claim`]: `not` is pushed down to what is compared, comparisons of the same value become the
//! values that it may have, and of each leaf it is known what holds where it is missing.

use super::bounds::Known;
use crate::schema::EventTypeId;
use crate::typed::{Comparison, Expr, ExprKind};
use crate::value::{Value, power_of_ten, real_of};

/// What is claimed of an event.
#[derive(Clone, Debug)]
pub(super) enum Claim {
    /// Each of these; none: nothing is claimed.
    All(Vec<Claim>),
    /// One of these; none: it never holds.
    Any(Vec<Claim>),
    /// A value is one of some.
    Within(Within),
    /// A value is not missing.
    Present(Expr),
    /// A flag is there and is this.
    Is(Expr, bool),
}

/// A value lies in one of these closed ranges, which are in order and apart.
#[derive(Clone, Debug)]
pub(super) struct Within {
    value: Expr,
    ranges: Vec<(i128, i128)>,
    or_missing: bool,
    /// Whether the value may be missing where this stands.
    optional: bool,
}

/// How many claims may still be held against each other: what a check costs has an end, even for a rule set written to
/// find it.
#[derive(Debug)]
pub(super) struct Patience(pub(super) u32);

impl Claim {
    /// What a condition claims by being true.
    pub(super) fn of(condition: &Expr, known: &Known<'_>) -> Self {
        claim(condition, true, known)
    }

    /// Whether another holds wherever this one does.
    pub(super) fn implies(&self, other: &Self, patience: &mut Patience) -> bool {
        let Some(left) = patience.0.checked_sub(1) else { return false };
        patience.0 = left;
        match (self, other) {
            (_, Self::All(others)) => others.iter().all(|it| self.implies(it, patience)),
            (Self::Any(these), _) => these.iter().all(|it| it.implies(other, patience)),
            (Self::All(these), Self::Any(others)) => {
                these.iter().any(|it| it.implies(other, patience))
                    || others.iter().any(|it| self.implies(it, patience))
            }
            (Self::All(these), _) => these.iter().any(|it| it.implies(other, patience)),
            (_, Self::Any(others)) => others.iter().any(|it| self.implies(it, patience)),
            (Self::Within(this), Self::Within(other)) => this.is_part_of(other),
            (Self::Is(this, flag), Self::Is(other, as_flag)) => flag == as_flag && this == other,
            (_, Self::Present(value)) => self.needs(value),
            _ => false,
        }
    }

    /// Whether this always holds (true) or never does (false), on events of these types; none where it depends.
    pub(super) fn settled(&self, known: &Known<'_>, types: &[EventTypeId]) -> Option<bool> {
        let of = |parts: &[Self]| parts.iter().map(|it| it.settled(known, types)).collect::<Vec<_>>();
        match self {
            Self::All(parts) => match of(parts) {
                it if it.contains(&Some(false)) || contradict(parts) => Some(false),
                it => it.iter().all(|it| *it == Some(true)).then_some(true),
            },
            Self::Any(parts) => match of(parts) {
                it if it.contains(&Some(true)) || complete(parts) => Some(true),
                it => it.iter().all(|it| *it == Some(false)).then_some(false),
            },
            Self::Within(within) => within.settled(known, types),
            Self::Present(_) | Self::Is(..) => None,
        }
    }

    /// Whether a value must be there for this to hold.
    fn needs(&self, value: &Expr) -> bool {
        match self {
            Self::Present(expr) | Self::Is(expr, _) => needs(expr, value),
            Self::Within(within) => !within.or_missing && needs(&within.value, value),
            Self::All(_) | Self::Any(_) => false,
        }
    }
}

/// So many parts of a condition are held against each other: what a check costs has an end.
const HELD_MAX: usize = 200;

/// Whether two of these never hold together: a value is missing and must be there, a flag is set and is not.
fn contradict(parts: &[Claim]) -> bool {
    let parts = parts.get(..HELD_MAX).unwrap_or(parts);
    parts.iter().any(|one| match one {
        Claim::Is(Expr { kind: ExprKind::IsMissing(value), .. }, true) => {
            parts.iter().any(|it| it.needs(value))
        }
        Claim::Is(flag, true) => {
            parts.iter().any(|it| matches!(it, Claim::Is(other, false) if other == flag))
        }
        _ => false,
    })
}

/// Whether one of these holds in any case: a value is missing, or it is there.
fn complete(parts: &[Claim]) -> bool {
    let parts = parts.get(..HELD_MAX).unwrap_or(parts);
    parts.iter().any(|one| match one {
        Claim::Is(Expr { kind: ExprKind::IsMissing(value), .. }, true) => {
            parts.iter().any(|it| matches!(it, Claim::Present(other) if *other == **value))
        }
        _ => false,
    })
}

/// Whether an expression is missing wherever this value is.
fn needs(expr: &Expr, value: &Expr) -> bool {
    use ExprKind as K;
    let carries = matches!(
        expr.kind,
        K::Compare(..) | K::Arithmetic(..) | K::Negate(_) | K::Rescale(..) | K::ToReal(..) | K::Call(..)
    );
    expr == value || (carries && expr.children().iter().any(|it| needs(it, value)))
}

/// What is claimed by a condition that is there and is `holds`.
fn claim(condition: &Expr, holds: bool, known: &Known<'_>) -> Claim {
    let parts = |left, right| vec![claim(left, holds, known), claim(right, holds, known)];
    match &condition.kind {
        ExprKind::Not(operand) => claim(operand, !holds, known),
        ExprKind::And(left, right) if holds => all(parts(left, right)),
        ExprKind::Or(left, right) if !holds => all(parts(left, right)),
        ExprKind::And(left, right) | ExprKind::Or(left, right) => any(parts(left, right)),
        // Where the flag is missing, this is the other thing.
        ExprKind::Coalesce(flag, other) if other.kind == ExprKind::Const(Value::Flag(!holds)) => {
            claim(flag, holds, known)
        }
        _ => match known.always(condition) {
            Some(always) if always == holds => Claim::All(Vec::new()),
            Some(_) => Claim::Any(Vec::new()),
            None => leaf(condition, holds),
        },
    }
}

fn leaf(condition: &Expr, holds: bool) -> Claim {
    let within = match &condition.kind {
        ExprKind::IsMissing(operand) if !holds => return Claim::Present(bare(operand)),
        ExprKind::Compare(comparison, left, right) => {
            let comparison = if holds { *comparison } else { opposite(*comparison) };
            let turned = || Some((right, comparison.mirrored(), key(left)?));
            let compared = key(right).map(|bound| (left, comparison, bound)).or_else(turned);
            compared.map(|(value, comparison, bound)| Within::compared(value, comparison, bound))
        }
        ExprKind::Between { operand, low, high, wraps } => key(low).zip(key(high)).map(|(low, high)| {
            // Over midnight: what is left out lies between.
            let around = *wraps && low > high;
            let range = if around { (high.saturating_add(1), low.saturating_sub(1)) } else { (low, high) };
            let range = Within::of(operand, vec![range]);
            if around == holds { range.others() } else { range }
        }),
        ExprKind::OneOf(operand, items) => {
            let keys: Option<Vec<_>> = items.iter().map(|it| key(it).map(|it| (it, it))).collect();
            let inside = keys.map(|keys| Within::of(operand, keys));
            inside.map(|it| if holds { it } else { it.others() })
        }
        _ => None,
    };
    // A range or a set is asked of a missing value too, and then says no.
    let asks_missing = matches!(condition.kind, ExprKind::Between { .. } | ExprKind::OneOf(..));
    match within {
        Some(within) => Claim::Within(Within { or_missing: asks_missing && !holds, ..within }),
        None => Claim::Is(bare(condition), holds),
    }
}

/// All of these, those of one value as one.
fn all(claims: Vec<Claim>) -> Claim {
    let flat = claims.into_iter().flat_map(|it| if let Claim::All(more) = it { more } else { vec![it] });
    Claim::All(joined(flat, Within::and))
}

/// One of these, those of one value as one.
fn any(claims: Vec<Claim>) -> Claim {
    let flat = claims.into_iter().flat_map(|it| if let Claim::Any(more) = it { more } else { vec![it] });
    match <[Claim; 1]>::try_from(joined(flat, Within::or)) {
        Ok([one]) => one,
        Err(parts) => Claim::Any(parts),
    }
}

fn joined(claims: impl Iterator<Item = Claim>, both: fn(&Within, &Within) -> Within) -> Vec<Claim> {
    let mut parts = Vec::new();
    claims.for_each(|it| join(&mut parts, it, both));
    parts
}

fn join(parts: &mut Vec<Claim>, claim: Claim, both: fn(&Within, &Within) -> Within) {
    if let Claim::Within(new) = &claim {
        for part in &mut *parts {
            if let Claim::Within(old) = part
                && old.value == new.value
            {
                *old = both(old, new);
                return;
            }
        }
    }
    parts.push(claim);
}

impl Within {
    fn of(value: &Expr, ranges: Vec<(i128, i128)>) -> Self {
        Self { value: bare(value), ranges: in_order(ranges), or_missing: false, optional: value.optional }
    }

    /// The values that compare like this. Digits that only one side has are taken off it: `n > 4.5` is `n >= 5`.
    fn compared(value: &Expr, comparison: Comparison, bound: i128) -> Self {
        let (value, unit) = match &value.kind {
            ExprKind::Rescale(inner, by) => match 10_i128.checked_pow(u32::from(*by)) {
                Some(unit) => (inner.as_ref(), unit),
                None => (value, 1),
            },
            _ => (value, 1),
        };
        // The greatest values below the bound, and up to it.
        let below = bound.saturating_sub(1).div_euclid(unit);
        let up_to = bound.div_euclid(unit);
        let (least, greatest) = (i128::MIN, i128::MAX);
        let from = |it: i128| it.saturating_add(1);
        let ranges = match comparison {
            Comparison::Less => vec![(least, below)],
            Comparison::LessOrEqual => vec![(least, up_to)],
            Comparison::Greater => vec![(from(up_to), greatest)],
            Comparison::GreaterOrEqual => vec![(from(below), greatest)],
            Comparison::Equal => vec![(from(below), up_to)],
            Comparison::NotEqual => vec![(least, below), (from(up_to), greatest)],
        };
        Self::of(value, ranges)
    }

    fn others(self) -> Self {
        let mut ranges = Vec::new();
        let mut next = Some(i128::MIN);
        for (low, high) in &self.ranges {
            ranges.extend(next.zip(low.checked_sub(1)));
            next = high.checked_add(1);
        }
        ranges.extend(next.map(|it| (it, i128::MAX)));
        Self { ranges: in_order(ranges), ..self }
    }

    fn and(&self, other: &Self) -> Self {
        let (mut ours, mut theirs) = (self.ranges.as_slice(), other.ranges.as_slice());
        let mut ranges = Vec::new();
        // Both are in order, so what ends first meets nothing that comes later.
        while let ([(low, high), our_rest @ ..], [(from, to), their_rest @ ..]) = (ours, theirs) {
            ranges.push((*low.max(from), *high.min(to)));
            if high < to { ours = our_rest } else { theirs = their_rest }
        }
        self.beside(other, ranges, self.or_missing && other.or_missing)
    }

    fn or(&self, other: &Self) -> Self {
        let ranges = [self.ranges.as_slice(), &other.ranges].concat();
        self.beside(other, ranges, self.or_missing || other.or_missing)
    }

    /// Of the same value as another.
    fn beside(&self, other: &Self, ranges: Vec<(i128, i128)>, or_missing: bool) -> Self {
        let optional = self.optional || other.optional;
        Self { value: self.value.clone(), ranges: in_order(ranges), or_missing, optional }
    }

    fn settled(&self, known: &Known<'_>, types: &[EventTypeId]) -> Option<bool> {
        let possible = match self.value.kind {
            ExprKind::EventType => types.iter().map(|it| (i128::from(it.0), i128::from(it.0))).collect(),
            _ => vec![known.range(&self.value)],
        };
        let possible = Self { ranges: in_order(possible), or_missing: self.optional, ..self.clone() };
        if possible.is_part_of(self) {
            return Some(true);
        }
        let both = self.and(&possible);
        (both.ranges.is_empty() && !both.or_missing).then_some(false)
    }

    fn is_part_of(&self, other: &Self) -> bool {
        let inside = |(low, high): &(i128, i128)| {
            let at = other.ranges.partition_point(|(_, to)| to < low);
            other.ranges.get(at).is_some_and(|(from, to)| from <= low && high <= to)
        };
        (other.or_missing || !self.or_missing) && self.value == other.value && self.ranges.iter().all(inside)
    }
}

/// Ranges in order, those that touch as one, without those that hold nothing.
fn in_order(mut ranges: Vec<(i128, i128)>) -> Vec<(i128, i128)> {
    ranges.retain(|(low, high)| low <= high);
    ranges.sort_unstable();
    let mut apart: Vec<(i128, i128)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match apart.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => apart.push((low, high)),
        }
    }
    apart
}

/// A constant as a whole number in the order of the values.
fn key(constant: &Expr) -> Option<i128> {
    match &constant.kind {
        ExprKind::Const(Value::Exact(exact)) => Some(*exact),
        ExprKind::Const(Value::Real(real)) => Some(key_of_real(*real)),
        ExprKind::ToReal(inner, scale) => match inner.kind {
            ExprKind::Const(Value::Exact(exact)) => Some(key_of_real(real_of(exact) / power_of_ten(*scale))),
            _ => None,
        },
        _ => None,
    }
}

/// A real's bits, which are in order once those of negative ones are turned around.
fn key_of_real(real: f64) -> i128 {
    let bits = real.to_bits().cast_signed();
    i128::from(if bits < 0 { bits ^ i64::MAX } else { bits })
}

fn opposite(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Equal => Comparison::NotEqual,
        Comparison::NotEqual => Comparison::Equal,
        Comparison::Less => Comparison::GreaterOrEqual,
        Comparison::GreaterOrEqual => Comparison::Less,
        Comparison::Greater => Comparison::LessOrEqual,
        Comparison::LessOrEqual => Comparison::Greater,
    }
}

/// An expression without what is known of it where it stands, so that the same one elsewhere is equal.
fn bare(expr: &Expr) -> Expr {
    let mut expr = expr.clone();
    strip(&mut expr);
    expr
}

fn strip(expr: &mut Expr) {
    expr.optional = false;
    expr.for_each_child(&mut strip);
}
