//! Numbers from text: exact integers at a scale, or refused. The only rounding is of degrees, to 10⁻⁷ (about 1 cm).

use std::fmt;

use engine::event::AMOUNT_MAX;

/// Digits after the point of degrees as they are kept.
const DEGREES_SCALE: u8 = 7;
/// 180 degrees in units of 10⁻⁷.
const DEGREES_E7_MAX: i64 = 1_800_000_000;
/// Greatest scale of a number at any intake.
const SCALE_MAX: u8 = 9;

/// Why a text is no number here. Displayed behind the value: `` `1e3` is not … ``.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NumberError {
    /// Not an optional minus, digits, and perhaps a point and digits.
    NotPlain,
    /// Digits other than zero beyond what the field keeps.
    TooFine {
        /// Digits after the point that the field keeps.
        scale: u8,
    },
    /// Beyond the greatest magnitude.
    TooLarge {
        /// The greatest magnitude, at `scale`.
        max: i64,
        /// Digits after the point of `max`.
        scale: u8,
    },
    /// An amount below zero.
    Negative,
}

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotPlain => f.write_str("is not a plain number: write digits, such as `1000` or `-12.50`"),
            Self::TooFine { scale: 0 } => f.write_str("is not a whole number"),
            Self::TooFine { scale } => write!(f, "has more than {scale} digits after the point"),
            Self::TooLarge { max, scale } => {
                let max = rust_decimal::Decimal::from_i128_with_scale(i128::from(max), u32::from(scale));
                write!(f, "is too large: at most {} in magnitude", max.normalize())
            }
            Self::Negative => f.write_str(
                "is negative: an amount says how much, the event's type which way; what has a sign is a `decimal`",
            ),
        }
    }
}

/// A number as its text says it, before it is known whether the digits beyond the scale matter.
struct Read {
    negative: bool,
    /// At the scale, without the digits beyond it.
    magnitude: i64,
    /// The first digit beyond the scale.
    beyond: u8,
    /// Whether a later one is not zero.
    beyond_more: bool,
}

/// A number scaled by 10^`scale`, at most [`AMOUNT_MAX`] in magnitude. Zeros beyond the scale are fine, other digits
/// are not; `-0` is 0.
///
/// # Errors
/// See [`NumberError`].
pub fn scaled(text: &[u8], scale: u8) -> Result<i64, NumberError> {
    scaled_within(text, scale, AMOUNT_MAX)
}

/// An amount of money, as [`scaled`] reads it: a payment of less than nothing would make room under every limit.
///
/// # Errors
/// See [`NumberError`].
pub fn amount(text: &[u8], scale: u8) -> Result<i64, NumberError> {
    let amount = scaled(text, scale)?;
    if amount < 0 { Err(NumberError::Negative) } else { Ok(amount) }
}

/// As [`scaled`], at most `max` in magnitude.
///
/// # Errors
/// See [`NumberError`].
pub fn scaled_within(text: &[u8], scale: u8, max: i64) -> Result<i64, NumberError> {
    let read = read(text, scale, max)?;
    if read.beyond != 0 || read.beyond_more {
        return Err(NumberError::TooFine { scale });
    }
    Ok(if read.negative { -read.magnitude } else { read.magnitude })
}

/// Degrees in units of 10⁻⁷, rounded half to even where there are more digits. They may have an exponent: near zero most
/// programs write them so.
///
/// # Errors
/// See [`NumberError`]; beyond ±180 is too large.
pub fn degrees_e7(text: &[u8]) -> Result<i64, NumberError> {
    let plain = plain(text);
    let read = read(plain.as_ref().map_or(text, String::as_bytes), DEGREES_SCALE, DEGREES_E7_MAX)?;
    let half = read.beyond == 5 && !read.beyond_more;
    let up = if half { read.magnitude % 2 == 1 } else { 5 <= read.beyond };
    let magnitude = read.magnitude + i64::from(up);
    Ok(if read.negative { -magnitude } else { magnitude })
}

/// A number with an exponent in plain digits, as many as a double tells apart; none if it has no exponent, or is none.
fn plain(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok().filter(|it| it.contains(['e', 'E']))?;
    text.parse::<f64>().ok().filter(|it| it.is_finite()).map(|it| it.to_string())
}

fn read(text: &[u8], scale: u8, max: i64) -> Result<Read, NumberError> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (mut magnitude, mut too_large) = (0_i64, false);
    let (mut beyond, mut beyond_more) = (None, false);
    // Digits after the point so far, and whether the part at hand has a digit yet: `.5` and `5.` are not plain.
    let (mut places, mut digit_seen) = (None, false);
    for &byte in digits {
        match byte {
            b'0'..=b'9' => {
                digit_seen = true;
                let digit = byte - b'0';
                match &mut places {
                    Some(places) if *places == scale => match beyond {
                        None => beyond = Some(digit),
                        Some(_) => beyond_more |= digit != 0,
                    },
                    places => {
                        if let Some(places) = places {
                            *places += 1;
                        }
                        magnitude = push_digit(magnitude, digit).unwrap_or_else(|| {
                            too_large = true;
                            0
                        });
                    }
                }
            }
            b'.' if digit_seen && places.is_none() => (places, digit_seen) = (Some(0), false),
            _ => return Err(NumberError::NotPlain),
        }
    }
    if !digit_seen {
        return Err(NumberError::NotPlain);
    }
    let shift = power_of_ten(scale.saturating_sub(places.unwrap_or(0)));
    let magnitude = magnitude.checked_mul(shift).filter(|it| *it <= max && !too_large);
    let magnitude = magnitude.ok_or(NumberError::TooLarge { max, scale })?;
    Ok(Read { negative, magnitude, beyond: beyond.unwrap_or(0), beyond_more })
}

fn push_digit(magnitude: i64, digit: u8) -> Option<i64> {
    magnitude.checked_mul(10)?.checked_add(i64::from(digit))
}

fn power_of_ten(exponent: u8) -> i64 {
    10_i64.pow(u32::from(exponent.min(SCALE_MAX)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    #[test]
    fn what_is_a_number_and_what_is_not() {
        use NumberError::*;
        let large = Err(TooLarge { max: AMOUNT_MAX, scale: 2 });
        #[rustfmt::skip]
        let rows = [
            ("0", Ok(0)), ("-0", Ok(0)), ("-0.00", Ok(0)), ("007", Ok(700)),
            ("57.16", Ok(5_716)), ("146", Ok(14_600)), ("146.5", Ok(14_650)), ("-12.50", Ok(-1_250)),
            ("1.500", Ok(150)), ("1.50000000000000000000000000", Ok(150)),
            ("00000000000000000000000000000001", Ok(100)),
            ("100000000000", Ok(AMOUNT_MAX)), ("-100000000000.00", Ok(-AMOUNT_MAX)),
            ("100000000000.01", large), ("123456789012345678901234567890", large),
            ("1.505", Err(TooFine { scale: 2 })), ("1.500000000001", Err(TooFine { scale: 2 })),
            ("", Err(NotPlain)), ("-", Err(NotPlain)), ("+5", Err(NotPlain)), ("--5", Err(NotPlain)),
            (".5", Err(NotPlain)), ("5.", Err(NotPlain)), ("-.5", Err(NotPlain)), (".", Err(NotPlain)),
            ("1.2.3", Err(NotPlain)), ("1,5", Err(NotPlain)), ("1e3", Err(NotPlain)), ("1E3", Err(NotPlain)),
            ("NaN", Err(NotPlain)), ("inf", Err(NotPlain)), ("0x10", Err(NotPlain)), ("1_000", Err(NotPlain)),
            (" 5", Err(NotPlain)), ("5 ", Err(NotPlain)), ("٣", Err(NotPlain)), ("5€", Err(NotPlain)),
        ];
        for (text, expected) in rows {
            assert_eq!(scaled(text.as_bytes(), 2), expected, "{text}");
        }
        assert_eq!(scaled(b"12.0", 0), Ok(12), "a whole number may be written with zeros");
        assert_eq!(scaled(b"12.5", 0), Err(TooFine { scale: 0 }));
        assert_eq!(scaled(b"9.999999999", 9), Ok(9_999_999_999));
    }

    #[test]
    fn degrees_are_rounded_half_to_even() {
        use NumberError::*;
        #[rustfmt::skip]
        let rows = [
            ("29.56", Ok(295_600_000)), ("-86.259", Ok(-862_590_000)), ("0.0000000", Ok(0)),
            ("0.00000015", Ok(2)), ("0.00000025", Ok(2)), ("0.000000250000001", Ok(3)), ("-0.00000015", Ok(-2)),
            ("0.00000014999", Ok(1)), ("180", Ok(1_800_000_000)),
            ("180.0000001", Err(TooLarge { max: DEGREES_E7_MAX, scale: 7 })), ("1e3", Err(TooLarge { max: DEGREES_E7_MAX, scale: 7 })),
            ("5e-7", Ok(5)), ("5.0E-4", Ok(5_000)), ("-1.2e-5", Ok(-120)), ("1.0655e+2", Ok(1_065_500_000)),
            ("2.5e-8", Ok(0)), ("5e-300", Ok(0)), ("1e999", Err(NotPlain)), ("e", Err(NotPlain)), ("1e", Err(NotPlain)),
        ];
        for (text, expected) in rows {
            assert_eq!(degrees_e7(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn errors_say_what_would_be_right() {
        let rows = [
            ("1e3", 2, "is not a plain number: write digits, such as `1000` or `-12.50`"),
            ("1.5", 0, "is not a whole number"),
            ("1.005", 2, "has more than 2 digits after the point"),
            ("99999999999999", 2, "is too large: at most 100000000000 in magnitude"),
        ];
        for (text, scale, expected) in rows {
            assert_eq!(scaled(text.as_bytes(), scale).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn an_amount_is_never_less_than_nothing() {
        let rows = [
            ("-0.01", Err(NumberError::Negative)),
            ("-0", Ok(0)),
            ("12.50", Ok(1_250)),
            ("1e3", Err(NumberError::NotPlain)),
        ];
        for (text, expected) in rows {
            assert_eq!(amount(text.as_bytes(), 2), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_number_is_what_a_decimal_library_reads(text in "-?[0-9]{1,15}(\\.[0-9]{1,12})?", scale in 0_u8..=9) {
            let decimal = Decimal::from_str_exact(&text).unwrap();
            let shifted = decimal.checked_mul(Decimal::from(10_i64.pow(u32::from(scale)))).unwrap();
            let exact = shifted.is_integer().then(|| i128::try_from(shifted.trunc()).unwrap());
            match scaled(text.as_bytes(), scale) {
                Ok(read) => prop_assert_eq!(Some(i128::from(read)), exact),
                Err(NumberError::TooFine { .. }) => prop_assert_eq!(exact, None),
                Err(NumberError::TooLarge { .. }) => prop_assert!(Decimal::from(AMOUNT_MAX) < shifted.abs()),
                Err(NumberError::NotPlain | NumberError::Negative) => prop_assert!(false, "it is a plain number"),
            }
        }

        #[test]
        fn no_bytes_make_it_panic(text in proptest::collection::vec(any::<u8>(), 0..40), scale in 0_u8..=9) {
            let _ = (scaled(&text, scale), degrees_e7(&text));
        }
    }
}
