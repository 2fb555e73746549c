//! Values as the text of a cell.

use std::fmt::Write as _;

use engine::rule_set::RuleSet;
use rules::place::Place;
use rules::time::Micros;
use rules::typed::{Numeric, Type};
use rules::value::Value;

/// A time as RFC 3339 in UTC, with as many digits of a second as it has.
pub(crate) fn push_time(text: &mut String, time: Micros) {
    if let Ok(timestamp) = jiff::Timestamp::from_microsecond(time) {
        let _ = write!(text, "{timestamp}");
    }
}

/// Millionths as a decimal number without needless zeros.
pub(crate) fn push_e6(text: &mut String, number: i64) {
    push_scaled(text, i128::from(number), 6);
}

/// An exact number at a scale, without needless zeros.
fn push_scaled(text: &mut String, number: i128, scale: u8) {
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

/// A feature's value: nothing where it is missing, flags as 0 and 1, money in minor units, durations in microseconds,
/// enums by name, places as
/// degrees. Of a text or an entity only whether it is there is known here: nothing is written.
pub(crate) fn push_value(text: &mut String, value: Value, ty: Type, rules: &RuleSet) {
    match (value, ty) {
        (Value::Missing, _) => {}
        (Value::Flag(flag), _) => text.push(if flag { '1' } else { '0' }),
        (Value::Real(real), _) => {
            let _ = write!(text, "{real}");
        }
        (Value::Exact(number), Type::Number(Numeric::Exact { scale, .. })) => {
            push_scaled(text, number, scale)
        }
        (Value::Exact(number), Type::Enum(id)) => {
            let values = rules.typed.schema.enums.get(id.index()).map(|it| &it.values);
            let name = values.and_then(|it| it.get(usize::try_from(number).ok()?));
            text.push_str(name.map_or("", |it| it));
        }
        (Value::Exact(number), Type::Place) => {
            let place = Place::unpack(i64::try_from(number).unwrap_or_default());
            push_scaled(text, i128::from(place.latitude_e7), 7);
            text.push(' ');
            push_scaled(text, i128::from(place.longitude_e7), 7);
        }
        // What stands in a slot is a hash, and hashes appear in no output.
        (Value::Exact(_), Type::Text | Type::Entity(_)) => {}
        (Value::Exact(number), Type::Time) => push_time(text, i64::try_from(number).unwrap_or_default()),
        (Value::Exact(number), _) => {
            let _ = write!(text, "{number}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_and_times() {
        let check = |put: &dyn Fn(&mut String), expected: &str| {
            let mut text = String::new();
            put(&mut text);
            assert_eq!(text, expected);
        };
        check(&|it| push_e6(it, 0), "0");
        check(&|it| push_e6(it, 40_000_000), "40");
        check(&|it| push_e6(it, -12_500_000), "-12.5");
        check(&|it| push_e6(it, 1), "0.000001");
        check(&|it| push_time(it, 1_522_540_831_000_000), "2018-04-01T00:00:31Z");
        check(&|it| push_time(it, 1_522_540_831_250_000), "2018-04-01T00:00:31.25Z");
    }
}
