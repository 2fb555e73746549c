//! Exact totals: sums whose value does not depend on the order in which they were made, rounded once when read.
//!
//! A window's total is what all rows give less what the rows below its edge give, so adding and taking away must
//! cancel to the last bit, whatever came between. Integers do. A real value (an f64) is therefore taken as a
//! fixed-point number: the nearest multiple of 2⁻¹⁰⁰ (halves away from zero), a magnitude beyond 2⁹¹ as 2⁹¹, no number
//! as 0. That keeps every f64 from 4·10⁻¹⁵ to 2·10²⁷ as it is, and everything after it is exact: sums, sums of
//! squares and `n·Σx² − (Σx)²`, which is rounded once to the nearest f64, ties to even.
//!
//! Large numbers are kept as limbs: i128 words of weight 2⁰, 2⁹⁶, 2¹⁹², … that are added without carrying, so that
//! each word is a plain sum. A word has room for 2³¹ rows before it could overflow.

use bnum::cast::As as _;
use bnum::types::{I512, U512};

use super::column::ColumnType;

/// Bits between the weights of neighbouring limbs.
const LIMB_BITS: u32 = 96;
const LIMB_MASK: u128 = (1 << LIMB_BITS) - 1;
/// A real value counts units of 2⁻¹⁰⁰.
const FRACTION_BITS: i32 = 100;
/// The greatest magnitude that a real value counts with.
const REAL_MAX: f64 = (1u128 << 91) as f64;

/// Limbs of a value.
pub(crate) const SUM_LIMBS: usize = 2;
/// Limbs of the square of a value.
pub(crate) const SQUARE_LIMBS: usize = 4;
/// Of these, those that the square of an integer needs.
pub(crate) const INTEGER_SQUARE_LIMBS: usize = 2;

/// Count, sum and sum of squares of some rows' values in one column, to which further values may be added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Totals {
    ty: ColumnType,
    count: u64,
    sum: [i128; SUM_LIMBS],
    squares: [i128; SQUARE_LIMBS],
}

impl Totals {
    /// Of no rows.
    pub fn new(ty: ColumnType) -> Self {
        Self { ty, count: 0, sum: [0; SUM_LIMBS], squares: [0; SQUARE_LIMBS] }
    }

    pub(crate) fn from_parts(
        ty: ColumnType,
        count: u64,
        sum: [i128; SUM_LIMBS],
        squares: [i128; SQUARE_LIMBS],
    ) -> Self {
        Self { ty, count, sum, squares }
    }

    /// Adds one value, given as it stands in a column: an integer, or the bits of an f64.
    pub fn add(&mut self, value: i64) {
        self.count += 1;
        add(&mut self.sum, &sum_limbs(self.ty, value));
        add(&mut self.squares, &square_limbs(self.ty, value));
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The sum of an integer column, at its scale; of a real column 0 ([`Totals::sum_real`] is its sum).
    pub fn sum(&self) -> i128 {
        match self.ty {
            ColumnType::Integer => self.sum[0],
            ColumnType::Real => 0,
        }
    }

    /// The sum as an f64, rounded once.
    pub fn sum_real(&self) -> f64 {
        match self.ty {
            ColumnType::Integer => self.sum[0] as f64,
            ColumnType::Real => rounded(number(&self.sum), -FRACTION_BITS),
        }
    }

    /// Sum divided by count; none of no rows.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum_real() / self.count as f64)
    }

    /// The variance of the sample, in the square of the column's unit: `(n·Σx² − (Σx)²) / (n·(n − 1))`, numerator and
    /// denominator exact and each rounded once; none of fewer than two rows.
    pub fn variance_of_sample(&self) -> Option<f64> {
        if self.count < 2 {
            return None;
        }
        let (sum, squares) = (number(&self.sum), number(&self.squares));
        let numerator = self.count.as_::<I512>().wrapping_mul(squares).wrapping_sub(sum.wrapping_mul(sum));
        let exponent = match self.ty {
            ColumnType::Integer => 0,
            ColumnType::Real => -2 * FRACTION_BITS,
        };
        let denominator = u128::from(self.count) * u128::from(self.count - 1);
        Some(rounded(numerator, exponent) / denominator as f64)
    }

    /// The square root of [`Totals::variance_of_sample`].
    pub fn stddev_of_sample(&self) -> Option<f64> {
        self.variance_of_sample().map(libm::sqrt)
    }
}

/// A column's value as limbs.
pub(crate) fn sum_limbs(ty: ColumnType, value: i64) -> [i128; SUM_LIMBS] {
    match ty {
        ColumnType::Integer => [i128::from(value), 0],
        ColumnType::Real => Fixed::new(value).limbs(),
    }
}

/// The square of a column's value as limbs.
pub(crate) fn square_limbs(ty: ColumnType, value: i64) -> [i128; SQUARE_LIMBS] {
    match ty {
        // Of 18 digits the square has 36, and a word has room for no more than 170 of those.
        ColumnType::Integer => spread(u128::from(value.unsigned_abs()) * u128::from(value.unsigned_abs()), 0),
        ColumnType::Real => Fixed::new(value).square_limbs(),
    }
}

/// A real value as a fixed-point number: ± `digits`·2^`shift` units of 2⁻¹⁰⁰, where `digits` ≤ 2⁵³ and `shift` ≤ 139.
#[derive(Clone, Copy, Debug)]
struct Fixed {
    negative: bool,
    digits: u64,
    shift: u32,
}

impl Fixed {
    /// Of the bits of an f64.
    fn new(bits: i64) -> Self {
        let real = f64::from_bits(bits.cast_unsigned());
        let real = if real.is_nan() { 0.0 } else { real.clamp(-REAL_MAX, REAL_MAX) };
        let bits = real.to_bits();
        let fraction = bits & ((1 << 52) - 1);
        let exponent = i32::try_from(bits >> 52 & 0x7ff).unwrap_or(0);
        // A number below 2⁻¹⁰²² has no leading one; it rounds to 0 like all below 2⁻¹⁰¹.
        let digits = if exponent == 0 { 0 } else { fraction | 1 << 52 };
        let negative = bits >> 63 == 1;
        let up = exponent - 1023 - 52 + FRACTION_BITS;
        match u32::try_from(up) {
            Ok(shift) => Self { negative, digits, shift },
            Err(_) => {
                let down = up.unsigned_abs().min(60);
                Self { negative, digits: (digits + (1 << (down - 1))) >> down, shift: 0 }
            }
        }
    }

    fn limbs<const N: usize>(self) -> [i128; N] {
        let limbs = spread(u128::from(self.digits), self.shift);
        if self.negative { limbs.map(|limb: i128| -limb) } else { limbs }
    }

    fn square_limbs(self) -> [i128; SQUARE_LIMBS] {
        spread(u128::from(self.digits) * u128::from(self.digits), 2 * self.shift)
    }
}

/// `digits`·2^`shift` as limbs, of which N are enough.
fn spread<const N: usize>(digits: u128, shift: u32) -> [i128; N] {
    let mut limbs = [0; N];
    let within = shift % LIMB_BITS;
    let skip = usize::try_from(shift / LIMB_BITS).unwrap_or(N);
    let above = digits >> (LIMB_BITS - within);
    let parts = [(digits << within) & LIMB_MASK, above & LIMB_MASK, above >> LIMB_BITS];
    for (limb, part) in limbs.iter_mut().skip(skip).zip(parts) {
        *limb = part.cast_signed();
    }
    limbs
}

/// The number that limbs stand for.
fn number(limbs: &[i128]) -> I512 {
    limbs
        .iter()
        .rev()
        .fold(0_u8.as_(), |number: I512, limb| number.wrapping_shl(LIMB_BITS).wrapping_add((*limb).as_()))
}

/// `number`·2^`exponent` as the nearest f64, ties to even.
fn rounded(number: I512, exponent: i32) -> f64 {
    let magnitude: U512 = number.unsigned_abs();
    let dropped = magnitude.bit_width().saturating_sub(u64::BITS);
    let kept = magnitude.wrapping_shr(dropped).as_::<u64>();
    // One sticky bit for all that was dropped: 11 bits lie below an f64's 53, so it only breaks ties.
    let sticky = u64::from(magnitude.trailing_zeros() < dropped);
    let dropped = i32::try_from(dropped).unwrap_or(0);
    let real = libm::ldexp((kept | sticky) as f64, dropped + exponent);
    if number.is_negative() { -real } else { real }
}

/// Adds a total to another, word by word. Wrapping, so that nothing from outside can make it panic. INVARIANT
/// (amount bound): amounts are at most 10¹³ in magnitude at every intake, so that no sum wraps.
#[inline]
pub(crate) fn add(to: &mut [i128], total: &[i128]) {
    for (to, total) in to.iter_mut().zip(total) {
        *to = to.wrapping_add(*total);
    }
}

/// Takes a total from another, word by word.
#[inline]
pub(crate) fn subtract(from: &mut [i128], total: &[i128]) {
    for (from, total) in from.iter_mut().zip(total) {
        *from = from.wrapping_sub(*total);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn totals(values: &[f64]) -> Totals {
        let mut totals = Totals::new(ColumnType::Real);
        values.iter().for_each(|value| totals.add(value.to_bits().cast_signed()));
        totals
    }

    fn same(found: f64, expected: f64) {
        assert_eq!(found.to_bits(), expected.to_bits(), "{found} {expected}");
    }

    #[test]
    fn sums_of_reals_are_exact_and_rounded_once() {
        let check = |values: &[f64], sum: f64| same(totals(values).sum_real(), sum);
        check(&[], 0.0);
        check(&[0.1, 0.2], 0.1 + 0.2);
        check(&[1e16, 1.0, -1e16], 1.0);
        check(&[1e27, 1e-12, -1e27], 1e-12);
        check(&[0.1; 10], 1.0);
        check(&[f64::MAX, f64::INFINITY], 2f64.powi(92));
        check(&[f64::NEG_INFINITY, 2f64.powi(91)], 0.0);
        check(&[f64::NAN, f64::MIN_POSITIVE, 5e-324], 0.0);
        check(&[2f64.powi(-101), -2f64.powi(-101), 2f64.powi(-101)], 2f64.powi(-100));
    }

    #[test]
    fn variances_do_not_cancel() {
        let check = |values: &[f64], variance: f64| {
            same(totals(values).variance_of_sample().unwrap(), variance);
        };
        check(&[1.0, 2.0, 3.0, 4.0], 20.0 / 12.0);
        check(&[1e13, 1e13 + 1.0, 1e13 + 2.0], 1.0);
        check(&[1e-9, 1e-9, 1e-9], 0.0);
        check(&[-3e26, 3e26], 2.0 * 3e26 * 3e26);
        assert_eq!(totals(&[1.0]).variance_of_sample(), None);
        let mut integers = Totals::new(ColumnType::Integer);
        (0..3).for_each(|off| integers.add(10_i64.pow(13) + off));
        assert_eq!(integers.variance_of_sample(), Some(1.0));
        assert_eq!(integers.mean(), Some(1e13 + 1.0));
    }

    #[test]
    fn squares_of_the_largest_integers_have_room() {
        // As many below zero as above: Σx² is all there is, and with powers of two every step is exact.
        let mut powers = Totals::new(ColumnType::Integer);
        (0..500).for_each(|_| [1_i64 << 62, -1 << 62].into_iter().for_each(|it| powers.add(it)));
        same(powers.variance_of_sample().unwrap(), 1e6 * 2f64.powi(124) / 999_000.0);
        let mut ends = Totals::new(ColumnType::Integer);
        (0..500).for_each(|_| [i64::MAX, i64::MIN].into_iter().for_each(|it| ends.add(it)));
        same(ends.variance_of_sample().unwrap(), 1e6 * 2f64.powi(126) / 999_000.0);
    }

    proptest! {
        #[test]
        fn of_two_reals_the_sum_is_the_processors(a in -1e20..1e20_f64, b in -1e20..1e20_f64) {
            prop_assert_eq!(totals(&[a, b]).sum_real().to_bits(), (a + b).to_bits());
        }

        #[test]
        fn of_one_real_it_is_the_real(digits in 1.0..2.0_f64, exponent in -48..91_i32, negative in any::<bool>()) {
            let value = digits * 2_f64.powi(exponent) * if negative { -1.0 } else { 1.0 };
            prop_assert_eq!(totals(&[value]).sum_real().to_bits(), value.to_bits());
        }

        #[test]
        fn order_does_not_matter(values in proptest::collection::vec(-1e20..1e20_f64, 0..20)) {
            let backwards: Vec<f64> = values.iter().rev().copied().collect();
            prop_assert_eq!(totals(&values), totals(&backwards));
        }
    }
}
