//! Values as an analyst reads them: with their unit, as the language writes them.

use rules::notation::{decimal, duration};
use rules::place::Place;
use rules::schema::{Currency, Schema};
use rules::time::{DAY, HOUR, MINUTE, Micros};
use rules::typed::Type;
use rules::value::Value;
use rust_decimal::Decimal;

/// A value of a type. Texts and ids are hashes by then, which are nobody's to see.
pub(super) fn show(value: Value, ty: Type, schema: &Schema) -> String {
    match value {
        Value::Missing => "missing".to_owned(),
        Value::Flag(flag) => flag.to_string(),
        Value::Real(real) => show_real(real, ty),
        Value::Exact(exact) => show_exact(exact, ty, schema),
    }
}

fn show_real(real: f64, ty: Type) -> String {
    match ty {
        Type::Money(currency, _) => {
            let unit = 10_f64.powi(i32::from(currency.exponent()));
            format!("{} {}", real / unit, currency.code())
        }
        Type::Duration(_) => format!("{}s", real / 1e6),
        Type::Distance => format!("{real} km"),
        Type::Speed => format!("{real} km/h"),
        _ => real.to_string(),
    }
}

fn show_exact(exact: i128, ty: Type, schema: &Schema) -> String {
    let slot = || i64::try_from(exact).unwrap_or_default();
    let index = || usize::try_from(exact).unwrap_or(usize::MAX);
    match ty {
        Type::Number(numeric) => decimal(exact, numeric.scale().into()),
        Type::Money(currency, numeric) => money(exact, numeric.scale().into(), currency),
        Type::Duration(_) => duration(slot()),
        Type::Time => time(slot(), schema),
        Type::Place => {
            let place = Place::unpack(slot());
            let degrees = |e7: i32| decimal(i128::from(e7), 7);
            format!("place({}, {})", degrees(place.latitude_e7), degrees(place.longitude_e7))
        }
        Type::Enum(id) => {
            schema.enum_type(id).and_then(|it| it.values.get(index())).cloned().unwrap_or_default()
        }
        Type::EventType => schema.events.get(index()).map(|it| it.name.clone()).unwrap_or_default(),
        Type::Entity(kind) => format!("some {}", schema.kind_name(kind)),
        Type::Text => "some text".to_owned(),
        Type::Flag | Type::Distance | Type::Speed => exact.to_string(),
    }
}

/// An amount with at least the digits of its minor unit.
fn money(exact: i128, scale: u32, currency: Currency) -> String {
    let exponent = u32::from(currency.exponent());
    let code = currency.code();
    let Ok(amount) = Decimal::try_from_i128_with_scale(exact, scale + exponent) else {
        return format!("{exact}e-{} {code}", scale + exponent);
    };
    let mut amount = amount.normalize();
    if amount.scale() < exponent {
        amount.rescale(exponent);
    }
    format!("{amount} {code}")
}

/// Millionths as a number.
pub(super) fn score(score_e6: i64) -> String {
    decimal(i128::from(score_e6), 6)
}

/// A length of time for reading only: `90d 10m`.
pub(super) fn span(micros: Micros) -> String {
    let mut rest = micros;
    let mut parts = Vec::new();
    for (unit, name) in [(DAY, "d"), (HOUR, "h"), (MINUTE, "m")] {
        if unit <= rest {
            parts.push(format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    if rest != 0 || parts.is_empty() {
        parts.push(duration(rest));
    }
    parts.join(" ")
}

fn time(micros: Micros, schema: &Schema) -> String {
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(time) => schema.zone.to_datetime(time).strftime("%Y-%m-%d %H:%M:%S%.f").to_string(),
        Err(_) => micros.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rules::typed::Numeric;

    use super::*;

    #[test]
    fn spans_are_shown_in_parts() {
        let rows =
            [(0, "0s"), (90 * DAY + 10 * MINUTE, "90d 10m"), (DAY + 1_500_000, "1d 1500ms"), (HOUR, "1h")];
        for (micros, expected) in rows {
            assert_eq!(span(micros), expected);
        }
    }

    #[test]
    fn values_are_shown_as_the_language_writes_them() {
        let text = "schema s 1\nzone \"Asia/Shanghai\"\ncurrency CNY\nentity user\n\
                    enum channel = app, web\nevent payment\n  user: user\n";
        let schema = rules::testing::schema(text);
        let exact = |scale| Numeric::Exact { scale, digits: 20 };
        let yen = Currency::from_code("JPY").unwrap();
        let money = |scale| Type::Money(schema.currency, exact(scale));
        let place = Place::new(295_600_000, -1_065_500_000).unwrap().pack();
        let long = Type::Duration(exact(0));
        #[rustfmt::skip]
        let rows = [
            (Value::Missing,                   Type::Flag,                      "missing"),
            (Value::Flag(true),                Type::Flag,                      "true"),
            (Value::Exact(12_500),             Type::Number(exact(3)),          "12.5"),
            (Value::Exact(-7),                 Type::Number(exact(0)),          "-7"),
            (Value::Exact(i128::MAX),          Type::Number(exact(2)),          "170141183460469231731687303715884105727e-2"),
            (Value::Real(0.1),                 Type::Number(Numeric::Real),     "0.1"),
            (Value::Exact(500),                money(0),                        "5.00 CNY"),
            (Value::Exact(5_001),              money(1),                        "5.001 CNY"),
            (Value::Exact(500),                Type::Money(yen, exact(0)),      "500 JPY"),
            (Value::Real(250.5),               Type::Money(schema.currency, Numeric::Real), "2.505 CNY"),
            (Value::Exact(0),                  long,                            "0s"),
            (Value::Exact(1_500_000),          long,                            "1500ms"),
            (Value::Exact(1_000_001),          long,                            "1.000001s"),
            (Value::Exact(5_400_000_000),      long,                            "90m"),
            (Value::Exact(1_209_600_000_000),  long,                            "14d"),
            (Value::Real(2_500_000.0),         Type::Duration(Numeric::Real),   "2.5s"),
            (Value::Real(12.5),                Type::Distance,                  "12.5 km"),
            (Value::Real(900.0),               Type::Speed,                     "900 km/h"),
            (Value::Exact(0),                  Type::Time,                      "1970-01-01 08:00:00"),
            (Value::Exact(i128::from(place)),  Type::Place,                     "place(29.56, -106.55)"),
            (Value::Exact(1),                  Type::Enum(rules::schema::EnumId(5)), "web"),
            (Value::Exact(0),                  Type::EventType,                 "payment"),
            (Value::Exact(99),                 Type::Entity(rules::schema::KindId(0)), "some user"),
        ];
        for (value, ty, expected) in rows {
            assert_eq!(show(value, ty, &schema), expected, "{value:?}");
        }
    }
}
