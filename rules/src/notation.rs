//! Exact numbers and durations as people read them and the language writes them.

use rust_decimal::Decimal;

use crate::time::{DAY, HOUR, MILLISECOND, MINUTE, Micros, SECOND};

/// An exact number without needless zeros; as a whole number and its scale where it has more digits than a decimal.
pub fn decimal(exact: i128, scale: u32) -> String {
    match Decimal::try_from_i128_with_scale(exact, scale) {
        Ok(decimal) => decimal.normalize().to_string(),
        Err(_) if scale == 0 => exact.to_string(),
        Err(_) => format!("{exact}e-{scale}"),
    }
}

/// A length of time in the largest unit of the language that measures it whole: weeks in days, as people think of them.
pub fn duration(micros: Micros) -> String {
    let units = [(DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s"), (MILLISECOND, "ms")];
    match units.iter().find(|(unit, _)| micros != 0 && micros % unit == 0) {
        Some((unit, name)) => format!("{}{name}", micros / unit),
        None => format!("{}s", decimal(i128::from(micros), 6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::WEEK;

    #[test]
    fn decimals() {
        let check = |exact, scale, expected| assert_eq!(decimal(exact, scale), expected);
        check(0, 0, "0");
        check(-1_250, 2, "-12.5");
        check(1_200, 2, "12");
        check(i128::MAX, 0, "170141183460469231731687303715884105727");
        check(i128::MAX, 2, "170141183460469231731687303715884105727e-2");
    }

    #[test]
    fn durations() {
        let check = |micros, expected| assert_eq!(duration(micros), expected);
        check(0, "0s");
        check(WEEK, "7d");
        check(30 * DAY, "30d");
        check(90 * MINUTE, "90m");
        check(1_500 * MILLISECOND, "1500ms");
        check(SECOND + 1, "1.000001s");
        check(-HOUR, "-1h");
    }
}
