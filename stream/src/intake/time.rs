//! Times and durations from text: microseconds, within 1970 to 2200.
//!
//! The digits of an ISO time are read by hand, because every row of a file has one; calendar, zones and patterns are
//! jiff's.

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::{Offset, TimeZone};
use rules::time::{DAY, HOUR, MILLISECOND, MINUTE, Micros, SECOND, SPAN_MAX, TIME_MAX, TIME_MIN, WEEK};

use super::number::{self, NumberError};

/// How a column writes times.
#[derive(Clone, Debug)]
pub enum TimeFormat {
    /// `2026-01-05T08:00:00+08:00`; without an offset the time is in the zone. A space may stand for the `T`; seconds
    /// and the time of day may be left out; what is finer than a microsecond is cut.
    Iso(TimeZone),
    /// Seconds since 1970 UTC, perhaps with a fraction.
    UnixSeconds,
    /// Milliseconds since 1970 UTC.
    UnixMillis,
    /// A pattern of `strptime`; without an offset in it the time is in the zone.
    Pattern(String, TimeZone),
    /// A count of steps since a start.
    Steps {
        /// The time of step 0.
        start: Micros,
        /// How long a step is.
        step: Micros,
    },
}

impl TimeFormat {
    /// The time that a text says.
    ///
    /// # Errors
    /// In words that follow the value: `is not …`.
    pub fn parse(&self, text: &[u8]) -> Result<Micros, String> {
        let time = match self {
            Self::Iso(zone) => {
                let (local, offset) = iso(text).ok_or("is not an ISO time such as `2026-01-05T08:00:00`")?;
                match offset {
                    Some(offset) => utc(local).checked_sub(i64::from(offset.seconds()) * SECOND),
                    None => in_zone(local, zone),
                }
            }
            // A number with six digits (three for milliseconds) behind the point is one of microseconds.
            Self::UnixSeconds => unix(text, 6)?,
            Self::UnixMillis => unix(text, 3)?,
            Self::Pattern(pattern, zone) => by_pattern(pattern, text, zone)?,
            Self::Steps { start, step } => {
                let steps = number::scaled(text, 0).map_err(|it| it.to_string())?;
                steps.checked_mul(*step).and_then(|it| it.checked_add(*start))
            }
        };
        in_range(time)
    }

    /// Whether a pattern is one: of its directives each is known, and it says what was probably meant by it.
    ///
    /// # Errors
    /// What is wrong; of unknown directives in jiff's words.
    pub fn check_pattern(pattern: &str, zone: &TimeZone) -> Result<(), String> {
        let any = jiff::Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
        strtime::format(pattern, &any).map_err(|it| it.to_string())?;
        let directives = directives(pattern);
        if directives.contains(&'s') {
            return Err("seconds since 1970 are `unix_s`".to_owned());
        }
        let offset = directives.iter().any(|it| matches!(it, 'z' | 'Q'));
        if !offset && ends_as_utc(pattern) && !is_utc(zone) {
            let zone = zone.iana_name().unwrap_or("another zone");
            return Err(format!(
                "its `Z` is only a letter, and the times would be of {zone}: if they are UTC, add `zone = \"UTC\"`"
            ));
        }
        Ok(())
    }
}

/// Whether a `Z` stands right behind a pattern's last directive, as times in UTC are written.
fn ends_as_utc(pattern: &str) -> bool {
    let directive = pattern.strip_suffix('Z').and_then(|it| it.rsplit_once('%')).map(|(_, it)| it);
    directive.is_some_and(|it| {
        let letter = it.trim_start_matches(|it: char| it == '.' || it.is_ascii_digit());
        letter.len() == 1 && letter.bytes().all(|it| it.is_ascii_alphabetic())
    })
}

/// Whether a zone's time is always that of UTC, whatever it is called.
fn is_utc(zone: &TimeZone) -> bool {
    let half_years = (0..2 * 60).filter_map(|it| jiff::Timestamp::from_second(it * 15_778_476).ok());
    half_years.into_iter().all(|it| zone.to_offset(it).is_zero())
}

/// An RFC 3339 time with an offset, as JSON bodies carry it.
///
/// # Errors
/// In words that follow the value: `is not …`.
pub fn rfc3339(text: &[u8]) -> Result<Micros, String> {
    let wrong = "is not an RFC 3339 time with an offset, such as `2026-01-05T08:00:00+08:00`";
    let seconds_given = text.get(16) == Some(&b':');
    let (local, offset) = iso(text).filter(|_| seconds_given).ok_or(wrong)?;
    let offset = offset.ok_or(wrong)?;
    in_range(utc(local).checked_sub(i64::from(offset.seconds()) * SECOND))
}

fn in_range(time: Option<Micros>) -> Result<Micros, String> {
    let within = time.filter(|it| (TIME_MIN..TIME_MAX).contains(it));
    within.ok_or_else(|| "is outside the years 1970 to 2199".to_owned())
}

fn unix(text: &[u8], scale: u8) -> Result<Option<Micros>, String> {
    match number::scaled_within(text, scale, TIME_MAX) {
        Ok(time) => Ok(Some(time)),
        Err(NumberError::TooLarge { .. }) => Ok(None),
        Err(other) => Err(other.to_string()),
    }
}

fn by_pattern(pattern: &str, text: &[u8], zone: &TimeZone) -> Result<Option<Micros>, String> {
    let wrong = |error: jiff::Error| format!("does not match the pattern `{pattern}`: {error}");
    let parsed = strtime::BrokenDownTime::parse(pattern, text).map_err(wrong)?;
    if parsed.offset().is_some() || parsed.iana_time_zone().is_some() {
        return Ok(Some(parsed.to_timestamp().map_err(wrong)?.as_microsecond()));
    }
    let local = if parsed.hour().is_some() || parsed.minute().is_some() {
        parsed.to_datetime()
    } else {
        parsed.to_date().map(DateTime::from)
    };
    Ok(in_zone(local.map_err(wrong)?, zone))
}

/// The letters of a pattern's directives: of `%-d/%3f` they are `d` and `f`.
fn directives(pattern: &str) -> Vec<char> {
    let mut found = Vec::new();
    let mut rest = pattern.chars();
    while rest.any(|it| it == '%') {
        found.extend(rest.by_ref().find(|it| it.is_ascii_alphabetic() || *it == '%'));
    }
    found
}

/// Microseconds of a local time in a zone: a time that the clocks skipped or showed twice is taken as jiff's
/// `compatible` does, the later or the earlier of the two.
fn in_zone(local: DateTime, zone: &TimeZone) -> Option<Micros> {
    if *zone == TimeZone::UTC {
        return Some(utc(local));
    }
    zone.to_timestamp(local).ok().map(|it| it.as_microsecond())
}

/// Microseconds of a local time, read as UTC. Every year of an ISO time (0 to 9999) is within jiff's.
fn utc(local: DateTime) -> Micros {
    Offset::UTC.to_timestamp(local).map_or(Micros::MIN / 2, |it| it.as_microsecond())
}

/// An ISO time's local part and its offset.
fn iso(text: &[u8]) -> Option<(DateTime, Option<Offset>)> {
    let (date, rest) = text.split_at_checked(10)?;
    let [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2] = *date else { return None };
    let year = i16::from(pair(y1, y2)?) * 100 + i16::from(pair(y3, y4)?);
    let (month, day) = (pair(mo1, mo2)?, pair(d1, d2)?);
    if rest.is_empty() {
        return Some((DateTime::new(year, month, day, 0, 0, 0, 0).ok()?, None));
    }
    let (clock, rest) = rest.split_at_checked(6)?;
    let [b'T' | b't' | b' ', h1, h2, b':', mi1, mi2] = *clock else { return None };
    let (second, rest) = match *rest {
        [b':', s1, s2, ref rest @ ..] => (pair(s1, s2)?, rest),
        ref rest => (0, rest),
    };
    let (micros, rest) = fraction(rest)?;
    let local =
        DateTime::new(year, month, day, pair(h1, h2)?, pair(mi1, mi2)?, second, micros * 1_000).ok()?;
    Some((local, offset(rest)?))
}

/// The fraction of a second in microseconds, cut, and what follows it.
fn fraction(text: &[u8]) -> Option<(i32, &[u8])> {
    let [b'.' | b',', rest @ ..] = text else { return Some((0, text)) };
    let digits = rest.iter().take_while(|it| it.is_ascii_digit()).count();
    let (fraction, rest) = rest.split_at_checked(digits)?;
    if fraction.is_empty() {
        return None;
    }
    let six = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(6);
    Some((six.fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0')), rest))
}

/// `Z`, `±hh:mm`, `±hhmm`, `±hh`, or nothing.
#[expect(clippy::option_option, reason = "outer: whether it is one; inner: whether there is one")]
fn offset(text: &[u8]) -> Option<Option<Offset>> {
    let (sign, hours, minutes) = match *text {
        [] => return Some(None),
        [b'Z' | b'z'] => return Some(Some(Offset::UTC)),
        [sign, h1, h2] => (sign, pair(h1, h2)?, 0),
        [sign, h1, h2, m1, m2] | [sign, h1, h2, b':', m1, m2] => (sign, pair(h1, h2)?, pair(m1, m2)?),
        _ => return None,
    };
    let seconds = (i32::from(hours) * 60 + i32::from(minutes)) * 60;
    let seconds = match sign {
        b'+' => seconds,
        b'-' => -seconds,
        _ => return None,
    };
    if 60 <= minutes {
        return None;
    }
    Offset::from_seconds(seconds).ok().map(Some)
}

fn pair(tens: u8, ones: u8) -> Option<i8> {
    let digit = |it: u8| it.is_ascii_digit().then(|| it.cast_signed() - 48);
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// The units that a duration is written with.
const UNITS: [(&str, Micros); 6] =
    [("ms", MILLISECOND), ("s", SECOND), ("m", MINUTE), ("h", HOUR), ("d", DAY), ("w", WEEK)];

/// The length of a unit by its name.
pub fn unit(name: &str) -> Option<Micros> {
    UNITS.iter().find(|(it, _)| *it == name).map(|(_, micros)| *micros)
}

/// A duration: a whole number and its unit, such as `15m` (`ms`, `s`, `m`, `h`, `d`, `w`), or a plain number of
/// `plain` where the file says its unit. At most ten years in magnitude.
///
/// # Errors
/// In words that follow the value: `is not …`.
pub fn duration(text: &[u8], plain: Option<Micros>) -> Result<Micros, String> {
    let digits = text.iter().take_while(|it| !it.is_ascii_alphabetic()).count();
    let (count, name) = text.split_at_checked(digits).unwrap_or((text, &[]));
    let unit = match str::from_utf8(name) {
        Ok("") => plain,
        Ok(name) => unit(name),
        Err(_) => None,
    };
    let unit = unit.ok_or(
        "is not a duration: write a whole number and `ms`, `s`, `m`, `h`, `d` or `w`, such as `15m`",
    )?;
    let count = number::scaled(count, 0).map_err(|it| it.to_string())?;
    let micros = count.checked_mul(unit).filter(|it| it.abs() <= SPAN_MAX);
    micros.ok_or_else(|| "is longer than ten years".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EIGHT: Micros = 1_767_571_200 * SECOND; // 2026-01-05T00:00:00Z

    #[track_caller]
    fn check(format: &TimeFormat, text: &str, expected: Result<Micros, &str>) {
        let time = format.parse(text.as_bytes());
        match expected {
            Ok(expected) => assert_eq!(time, Ok(expected), "{text}"),
            Err(part) => assert!(time.as_ref().is_err_and(|it| it.contains(part)), "{text}: {time:?}"),
        }
    }

    #[test]
    fn iso_times() {
        let format = TimeFormat::Iso(TimeZone::UTC);
        let (no, out) = (Err("is not an ISO time"), Err("is outside the years 1970 to 2199"));
        #[rustfmt::skip]
        let rows = [
            ("2026-01-05T00:00:00", Ok(EIGHT)), ("2026-01-05 00:00:00", Ok(EIGHT)), ("2026-01-05", Ok(EIGHT)),
            ("2026-01-05T08:00:00+08:00", Ok(EIGHT)), ("2026-01-05T08:00+0800", Ok(EIGHT)),
            ("2026-01-04T18:30:00-05:30", Ok(EIGHT)), ("2026-01-05T00:00:00Z", Ok(EIGHT)),
            ("2026-01-05T00:00", Ok(EIGHT)), ("2026-01-05T08:00:00+08", Ok(EIGHT)),
            ("2026-01-05T00:00:00.5", Ok(EIGHT + 500_000)), ("2026-01-05T00:00:00.000001", Ok(EIGHT + 1)),
            ("2026-01-05T00:00:00.0000019", Ok(EIGHT + 1)), ("2026-01-05T00:00:00.123456789Z", Ok(EIGHT + 123_456)),
            ("2024-02-29T00:00:00", Ok(1_709_164_800 * SECOND)), ("1970-01-01", Ok(0)),
            ("2199-12-31T23:59:59.999999", Ok(TIME_MAX - 1)),
            ("2200-01-01", out), ("1969-12-31T23:59:59", out), ("9999-12-31", out), ("0000-01-01", out),
            ("1970-01-01T00:00:00+01:00", out), ("9999-12-31T23:59:59-23:00", out),
            ("", no), ("2026", no), ("2026-1-5", no), ("2026-02-29", no), ("2026-13-01", no), ("2026-01-32", no),
            ("2026-01-05T24:00:00", no), ("2026-01-05T00:60:00", no), ("2026-01-05T00:00:61", no),
            ("2026-01-05T00:00:00.", no), ("2026-01-05T00:00:00+", no), ("2026-01-05T00:00:00+08:60", no),
            ("2026-01-05T00:00:00+99:00", no), ("2026-01-05T00:00:00 ", no), ("2026-01-05T", no), ("5/1/2026", no),
            ("２０２６-01-05", no), ("2026-01-05T00:00:0é", no),
        ];
        for (text, expected) in rows {
            check(&format, text, expected);
        }
    }

    #[test]
    fn local_times_are_of_the_zone() {
        let zone = |name| TimeFormat::Iso(TimeZone::get(name).unwrap());
        check(&zone("Asia/Shanghai"), "2026-01-05T08:00:00", Ok(EIGHT));
        check(&zone("Asia/Shanghai"), "2026-01-05T00:00:00Z", Ok(EIGHT));
        // 02:30 on 2026-03-29 is skipped in Berlin, 02:30 on 2026-10-25 is there twice: the first is taken.
        check(&zone("Europe/Berlin"), "2026-03-29T02:30:00", Ok(1_774_747_800 * SECOND));
        check(&zone("Europe/Berlin"), "2026-10-25T02:30:00", Ok(1_792_888_200 * SECOND));
    }

    #[test]
    fn other_formats() {
        let pattern = |it: &str| TimeFormat::Pattern(it.to_owned(), TimeZone::UTC);
        let steps = TimeFormat::Steps { start: EIGHT, step: HOUR };
        let out = Err("is outside the years 1970 to 2199");
        #[rustfmt::skip]
        let rows = [
            (TimeFormat::UnixSeconds, "1767571200", Ok(EIGHT)), (TimeFormat::UnixSeconds, "1767571200.25", Ok(EIGHT + 250_000)),
            (TimeFormat::UnixSeconds, "-1", out), (TimeFormat::UnixSeconds, "7258118400", out),
            (TimeFormat::UnixSeconds, "99999999999999999999", out), (TimeFormat::UnixSeconds, "1e9", Err("is not a plain number")),
            (TimeFormat::UnixMillis, "1767571200001", Ok(EIGHT + 1_000)), (TimeFormat::UnixMillis, "1.2345", Err("more than 3 digits")),
            (pattern("%m/%d/%y %H:%M"), "1/5/26 0:00", Ok(EIGHT)), (pattern("%m/%d/%Y"), "1/5/2026", Ok(EIGHT)),
            (pattern("%a, %d %b %Y %H:%M:%S GMT"), "Mon, 05 Jan 2026 0:00:00 GMT", Ok(EIGHT)),
            (pattern("%Y-%m-%d %H:%M %z"), "2026-01-05 08:00 +0800", Ok(EIGHT)),
            (pattern("%m/%d/%y %H:%M"), "13/5/26 0:00", Err("does not match the pattern `%m/%d/%y %H:%M`")),
            (pattern("%m/%d/%y %H:%M"), "1/5/69 0:00", out),
            (steps.clone(), "0", Ok(EIGHT)), (steps.clone(), "2", Ok(EIGHT + 2 * HOUR)), (steps.clone(), "1.5", Err("is not a whole number")),
            (steps.clone(), "10000000000000", out), (steps, "-1000000000", out),
        ];
        for (format, text, expected) in rows {
            check(&format, text, expected);
        }
        let (here, far) = (TimeZone::UTC, TimeZone::get("Asia/Shanghai").unwrap());
        let utc = TimeZone::get("Etc/UTC").unwrap();
        #[rustfmt::skip]
        let patterns = [
            ("%Y-%m-%d", &far, ""), ("%Y-%m-%dT%TZ", &here, ""), ("%Y-%m-%d %T%zZ", &far, ""), ("%d.%m.%Y %%s", &far, ""),
            ("%Y-%!", &far, "`!`"), ("%Y-%m-%dT%TZ", &far, "its `Z` is only a letter, and the times would be of Asia/Shanghai"),
            ("%s", &far, "`unix_s`"), ("%-d %_10s", &far, "`unix_s`"),
            ("%d.%m.%Y %H:%M MEZ", &far, ""), ("%FT%T%.fZ", &far, "its `Z`"), ("%FT%TZ", &utc, ""), ("%F %Z", &far, ""),
        ];
        for (pattern, zone, expected) in patterns {
            let told = TimeFormat::check_pattern(pattern, zone).err().unwrap_or_default();
            assert!(told.contains(expected) && told.is_empty() == expected.is_empty(), "{pattern}: {told}");
        }
    }

    #[test]
    fn json_times_have_seconds_and_an_offset() {
        assert_eq!(rfc3339(b"2026-01-05T08:00:00+08:00"), Ok(EIGHT));
        for text in ["2026-01-05T08:00:00", "2026-01-05T08:00+08:00", "2026-01-05", "1767571200"] {
            assert!(rfc3339(text.as_bytes()).unwrap_err().contains("RFC 3339"), "{text}");
        }
        assert_eq!(rfc3339(b"2200-01-01T00:00:00Z").unwrap_err(), "is outside the years 1970 to 2199");
    }

    #[test]
    fn durations() {
        let not = Err("is not a duration");
        #[rustfmt::skip]
        let rows = [
            ("15m", None, Ok(15 * MINUTE)), ("0s", None, Ok(0)), ("250ms", None, Ok(250 * MILLISECOND)), ("2w", None, Ok(14 * DAY)),
            ("-3h", None, Ok(-3 * HOUR)), ("81", Some(SECOND), Ok(81 * SECOND)), ("81m", Some(SECOND), Ok(81 * MINUTE)),
            ("81", None, not), ("", None, not), ("m", None, Err("is not a plain number")), ("5 m", None, Err("is not a plain number")),
            ("5M", None, not), ("5y", None, not), ("1.5h", None, Err("is not a whole number")), ("3661d", None, Err("is longer than ten years")),
            ("9999999999999w", None, Err("is longer than ten years")),
        ];
        for (text, plain, expected) in rows {
            let read = duration(text.as_bytes(), plain);
            match expected {
                Ok(expected) => assert_eq!(read, Ok(expected), "{text}"),
                Err(part) => assert!(read.as_ref().is_err_and(|it| it.contains(part)), "{text}: {read:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn iso_reads_what_jiff_prints(micros in TIME_MIN..TIME_MAX) {
            let printed = jiff::Timestamp::from_microsecond(micros).unwrap().to_string();
            prop_assert_eq!(rfc3339(printed.as_bytes()), Ok(micros));
        }

        #[test]
        fn no_bytes_make_it_panic(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = (iso(&text), duration(&text, None), TimeFormat::UnixSeconds.parse(&text));
            let _ = TimeFormat::Pattern("%d.%m.%Y %H:%M:%S".to_owned(), TimeZone::UTC).parse(&text);
        }
    }
}
