//! Contributions to the score: rounded half-even, once, to millionths.

/// Digits after the point of a score.
const SCORE_SCALE: u8 = 6;
const MILLION: i128 = 1_000_000;

/// An integer at some scale in millionths.
pub(super) fn exact_to_e6(number: i128, scale: u8) -> i64 {
    let power = |digits: u8| 10_i128.checked_pow(u32::from(digits)).unwrap_or(i128::MAX);
    let millionths = match scale.checked_sub(SCORE_SCALE) {
        Some(surplus) => divide_half_even(number, power(surplus)),
        None => number.saturating_mul(power(SCORE_SCALE.saturating_sub(scale))),
    };
    saturated(millionths)
}

/// A real in millionths: the product is taken exactly, so that it is rounded only here.
pub(super) fn real_to_e6(number: f64) -> i64 {
    let bits = number.to_bits();
    let (biased, fraction) = ((bits >> 52) & 0x7ff, bits & ((1 << 52) - 1));
    let (mantissa, exponent) = match biased {
        0 => (fraction, -1074),
        _ => (fraction | 1 << 52, i64::try_from(biased).unwrap_or(0) - 1075),
    };
    // At most 53 + 20 bits, so that shifting by up to 53 more cannot overflow.
    let product = i128::from(mantissa) * MILLION;
    let magnitude = match exponent {
        ..-74 => 0,
        -74..0 => divide_half_even(product, 1 << -exponent),
        0..=53 => product << exponent,
        _ => i128::MAX,
    };
    saturated(if number < 0.0 { -magnitude } else { magnitude })
}

/// The nearest 64-bit number.
pub(super) fn saturated(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
}

/// `divisor > 0`
fn divide_half_even(number: i128, divisor: i128) -> i128 {
    let (quotient, rest) = (number.div_euclid(divisor), number.rem_euclid(divisor));
    // Compared from both sides of the half, so that doubling cannot overflow.
    let up = match rest.cmp(&(divisor - rest)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => quotient.rem_euclid(2) == 1,
    };
    quotient + i128::from(up)
}
