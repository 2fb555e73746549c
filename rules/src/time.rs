//! Event time and durations: `i64` microseconds, never read from a clock.

/// Microseconds: a time since 1970 UTC, or a duration.
pub type Micros = i64;

/// One millisecond.
pub const MILLISECOND: Micros = 1_000;
/// One second.
pub const SECOND: Micros = 1_000 * MILLISECOND;
/// One minute.
pub const MINUTE: Micros = 60 * SECOND;
/// One hour.
pub const HOUR: Micros = 60 * MINUTE;
/// One day of 24 hours.
pub const DAY: Micros = 24 * HOUR;
/// One week of 7 days.
pub const WEEK: Micros = 7 * DAY;

/// The earliest event time that any intake takes: 1970-01-01T00:00:00Z.
pub const TIME_MIN: Micros = 0;
/// The first event time that no intake takes any more: 2200-01-01T00:00:00Z.
pub const TIME_MAX: Micros = 7_258_118_400 * SECOND;
/// The widest `over`, `delay` or `keep`: ten years.
pub const SPAN_MAX: Micros = 3_660 * DAY;

const _: () =
    assert!(TIME_MAX.checked_add(2 * SPAN_MAX).is_some(), "no sum of a time and two spans overflows");
