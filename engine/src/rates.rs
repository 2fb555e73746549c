//! The rate table: what money in other currencies is worth in the schema's.

use std::collections::BTreeMap;

use rules::schema::Currency;
use rust_decimal::Decimal;

use crate::event::AMOUNT_MAX;

/// Digits that a rate may have, so that an amount times a rate times a shift of the minor unit fits 128 bits.
const RATE_DIGITS_MAX: u32 = 18;
/// Digits of the largest minor unit there is.
const EXPONENT_MAX: u32 = 4;

const _: () = assert!(
    10_i128.pow(RATE_DIGITS_MAX + EXPONENT_MAX).checked_mul(AMOUNT_MAX as i128 * 2).is_some(),
    "no conversion overflows"
);

/// What one whole unit of each currency is worth in whole units of the base currency. An immutable value: another
/// table is another record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rates {
    base: Currency,
    rates: BTreeMap<Currency, Decimal>,
}

/// What is wrong with a rate table.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("rate table, line {line}: {message}")]
pub struct RatesError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

/// All that is wrong with a rate table, in the order of its lines.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct RatesErrors(pub Vec<RatesError>);

/// Why an amount is not converted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotConverted {
    /// The table has no rate that leads there.
    NoRate,
    /// It would pass [`AMOUNT_MAX`].
    TooLarge,
}

impl Rates {
    /// A table that knows its base currency only.
    pub fn new(base: Currency) -> Self {
        Self { base, rates: BTreeMap::new() }
    }

    /// Reads a table: the header `currency,rate`, then a line for each currency, such as `USD,7.1043`: one dollar is
    /// 7.1043 of the base currency.
    ///
    /// # Errors
    /// If a line is not a known currency with a positive rate of at most 18 digits, or names a currency again: all such
    /// lines; without the header, nothing more is said.
    pub fn parse(text: &str, base: Currency) -> Result<Self, RatesErrors> {
        let mut table = Self::new(base);
        let (mut lines, mut wrong) = (BTreeMap::new(), Vec::new());
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (line, written) in (1..).zip(text.lines()) {
            let told = |message: String| RatesError { line, message };
            match (line, written.trim()) {
                (1, "currency,rate") => {}
                (1, other) => {
                    let message = format!("`{other}`, but the header must be `currency,rate`");
                    return Err(RatesErrors(vec![told(message)]));
                }
                (_, "") => {}
                (_, row) => wrong.extend(table.insert_row(line, row, &mut lines).map_err(told).err()),
            }
        }
        if wrong.is_empty() { Ok(table) } else { Err(RatesErrors(wrong)) }
    }

    /// Inserts a row; `lines` says where each currency stands.
    fn insert_row(
        &mut self,
        line: usize,
        row: &str,
        lines: &mut BTreeMap<Currency, usize>,
    ) -> Result<(), String> {
        let Some((code, rate)) = row.split_once(',') else {
            return Err(format!("`{row}` is not a currency, a comma and a rate, such as `USD,7.1043`"));
        };
        let (code, rate) = (code.trim(), rate.trim());
        let currency = Currency::from_code(code)
            .ok_or_else(|| format!("`{code}` is not an ISO 4217 currency with a minor unit"))?;
        if let Some(first) = lines.get(&currency) {
            return Err(format!("`{code}` has a rate in line {first} already: leave one"));
        }
        lines.insert(currency, line);
        let value = Decimal::from_str_exact(rate)
            .ok()
            .filter(|it| it.is_sign_positive() && !it.is_zero())
            .filter(|it| it.normalize().mantissa() < 10_i128.pow(RATE_DIGITS_MAX))
            .filter(|it| it.normalize().scale() <= RATE_DIGITS_MAX)
            .ok_or_else(|| {
                format!("`{rate}` is not a positive number of at most {RATE_DIGITS_MAX} digits")
            })?;
        if currency == self.base && value != Decimal::ONE {
            return Err(format!("`{code}` is the base currency, whose rate is 1, not `{rate}`"));
        }
        self.rates.insert(currency, value.normalize());
        Ok(())
    }

    /// The currency that the rates lead to.
    pub fn base(&self) -> Currency {
        self.base
    }

    /// The currencies with their rates, in the order of their codes.
    pub fn iter(&self) -> impl Iterator<Item = (Currency, Decimal)> + '_ {
        self.rates.iter().map(|(&currency, &rate)| (currency, rate))
    }

    /// What a currency is worth; none if the table does not say.
    pub fn rate(&self, currency: Currency) -> Option<Decimal> {
        if currency == self.base { Some(Decimal::ONE) } else { self.rates.get(&currency).copied() }
    }

    /// An amount in minor units of `from`, in minor units of `into`: exact, then rounded once, half to even. `into` is
    /// `from` or the base.
    ///
    /// # Errors
    /// Without a rate, and where the result would pass [`AMOUNT_MAX`].
    pub fn convert(&self, minor: i64, from: Currency, into: Currency) -> Result<i64, NotConverted> {
        if from == into {
            return Ok(minor);
        }
        let rate = self.rate(from).filter(|_| into == self.base).ok_or(NotConverted::NoRate)?;
        worth(minor, from, into, rate).ok_or(NotConverted::TooLarge)
    }
}

/// An amount at a rate; none if it would be too large.
fn worth(minor: i64, from: Currency, into: Currency, rate: Decimal) -> Option<i64> {
    let up = 10_i128.pow(u32::from(into.exponent()));
    let down = 10_i128.pow(u32::from(from.exponent())).checked_mul(10_i128.checked_pow(rate.scale())?)?;
    let scaled = i128::from(minor).checked_mul(rate.mantissa())?.checked_mul(up)?;
    let converted = i64::try_from(div_half_even(scaled, down)).ok()?;
    (converted.abs() <= AMOUNT_MAX).then_some(converted)
}

/// `numerator / denominator`, rounded half to even; the denominator is positive.
fn div_half_even(numerator: i128, denominator: i128) -> i128 {
    let (floor, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    match (rest * 2).cmp(&denominator) {
        std::cmp::Ordering::Less => floor,
        std::cmp::Ordering::Greater => floor + 1,
        std::cmp::Ordering::Equal => floor + floor.rem_euclid(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::from_code(code).unwrap()
    }

    fn table() -> Rates {
        Rates::parse("currency,rate\nUSD,7.1043\nJPY,0.0485\nKWD,23.125\n\nCNY,1\n", currency("CNY")).unwrap()
    }

    #[test]
    fn amounts_are_converted_exactly_and_rounded_once_half_to_even() {
        #[rustfmt::skip]
        let rows = [
            // minor, from, minor of CNY
            (     100, "USD", Ok(710)),                  // 7.1043
            (  10_000, "USD", Ok(71_043)),
            (      -1, "USD", Ok(-7)),
            (     100, "JPY", Ok(485)),                  // no minor unit: 100 yen are 4.85
            (      10, "JPY", Ok(48)),                   // 0.485, half to even: down
            (      30, "JPY", Ok(146)),                  // 1.455, half to even: up
            (     -10, "JPY", Ok(-48)),
            (   1_000, "KWD", Ok(2_312)),                // three digits: 23.125, half to even: down
            (   3_000, "KWD", Ok(6_938)),                // 69.375, half to even: up
            (       7, "CNY", Ok(7)),
            (       7, "EUR", Err(NotConverted::NoRate)),
            (AMOUNT_MAX, "CNY", Ok(AMOUNT_MAX)),
            (AMOUNT_MAX, "JPY", Err(NotConverted::TooLarge)),
            (AMOUNT_MAX, "USD", Err(NotConverted::TooLarge)),
        ];
        for (minor, from, expected) in rows {
            assert_eq!(table().convert(minor, currency(from), currency("CNY")), expected, "{minor} {from}");
        }
        assert_eq!(
            table().convert(7, currency("EUR"), currency("EUR")),
            Ok(7),
            "its own currency needs no rate"
        );
        assert_eq!(
            table().convert(7, currency("CNY"), currency("USD")),
            Err(NotConverted::NoRate),
            "rates lead to the base only"
        );
    }

    #[test]
    fn a_bad_table_is_refused_with_the_line() {
        #[rustfmt::skip]
        let rows = [
            ("",                                   0, ""),
            ("USD,7.1",                            1, "`USD,7.1`, but the header must be `currency,rate`"),
            ("currency,rate\nUSD",                 2, "`USD` is not a currency, a comma and a rate, such as `USD,7.1043`"),
            ("currency,rate\nUSX,1",               2, "`USX` is not an ISO 4217 currency with a minor unit"),
            ("currency,rate\nUSD,0",               2, "`0` is not a positive number of at most 18 digits"),
            ("currency,rate\nUSD,-1",              2, "`-1` is not a positive number of at most 18 digits"),
            ("currency,rate\nUSD,1e3",             2, "`1e3` is not a positive number of at most 18 digits"),
            ("currency,rate\nUSD,1.0000000000000000001", 2, "`1.0000000000000000001` is not a positive number of at most 18 digits"),
            ("currency,rate\nUSD,7\n\nUSD,7",      4, "`USD` has a rate in line 2 already: leave one"),
            ("currency,rate\nCNY,2",               2, "`CNY` is the base currency, whose rate is 1, not `2`"),
        ];
        for (text, line, message) in rows {
            let error = Rates::parse(text, currency("CNY")).err();
            let expected =
                (line > 0).then(|| RatesErrors(vec![RatesError { line, message: message.to_owned() }]));
            assert_eq!(error, expected, "{text:?}");
        }
    }

    #[test]
    fn all_bad_lines_are_told() {
        let text = "currency,rate\nUSX,1\nEUR,7.9\nJPY,0\nJPY,0.05\nGBP\nEUR,8\n";
        let errors = Rates::parse(text, currency("CNY")).unwrap_err();
        let expected = "rate table, line 2: `USX` is not an ISO 4217 currency with a minor unit\n\
                        rate table, line 4: `0` is not a positive number of at most 18 digits\n\
                        rate table, line 5: `JPY` has a rate in line 4 already: leave one\n\
                        rate table, line 6: `GBP` is not a currency, a comma and a rate, such as `USD,7.1043`\n\
                        rate table, line 7: `EUR` has a rate in line 3 already: leave one";
        assert_eq!(errors.to_string(), expected);
    }
}
