//! Values as the text of a cell.

use std::fmt::Write as _;

use rules::place::Place;
use rules::time::Micros;

/// A time as RFC 3339 in UTC, with as many digits of a second as it has.
pub(crate) fn push_time(text: &mut String, time: Micros) {
    if let Ok(timestamp) = jiff::Timestamp::from_microsecond(time) {
        let _ = write!(text, "{timestamp}");
    }
}

/// As [`push_time`] writes it.
pub(crate) fn rfc3339(time: Micros) -> String {
    let mut text = String::new();
    push_time(&mut text, time);
    text
}

/// An exact number at a scale, without needless zeros.
pub(super) fn push_exact(text: &mut String, number: i128, scale: u8) {
    let unit = 10_u128.pow(u32::from(scale).min(38));
    let magnitude = number.unsigned_abs();
    if number < 0 {
        text.push('-');
    }
    let _ = write!(text, "{}", magnitude / unit);
    let fraction = magnitude % unit;
    if fraction != 0 {
        let _ = write!(text, ".{fraction:0width$}", width = usize::from(scale));
        text.truncate(text.trim_end_matches('0').len());
    }
}

/// A place: degrees of latitude, a blank, degrees of longitude.
pub(super) fn push_place(text: &mut String, place: Place) {
    push_exact(text, i128::from(place.latitude_e7), 7);
    text.push(' ');
    push_exact(text, i128::from(place.longitude_e7), 7);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_times_and_places() {
        let check = |put: &dyn Fn(&mut String), expected: &str| {
            let mut text = String::new();
            put(&mut text);
            assert_eq!(text, expected);
        };
        check(&|it| push_exact(it, 0, 6), "0");
        check(&|it| push_exact(it, 40_000_000, 6), "40");
        check(&|it| push_exact(it, -12_500_000, 6), "-12.5");
        check(&|it| push_exact(it, 1, 6), "0.000001");
        check(&|it| push_exact(it, -1_200, 0), "-1200");
        check(&|it| push_time(it, 1_522_540_831_000_000), "2018-04-01T00:00:31Z");
        check(&|it| push_time(it, 1_522_540_831_250_000), "2018-04-01T00:00:31.25Z");
        let place = Place::new(295_600_000, -1_065_500_000).unwrap();
        check(&|it| push_place(it, place), "29.56 -106.55");
    }
}
