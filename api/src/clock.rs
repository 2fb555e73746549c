//! The wall clock. Whoever records what happens is told the time from here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rules::time::Micros;

/// The wall clock, in microseconds UTC.
pub fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros::try_from(since.as_micros()).unwrap_or(Micros::MAX)
}

/// A length of time in microseconds.
pub(crate) fn micros(span: Duration) -> Micros {
    Micros::try_from(span.as_micros()).unwrap_or(Micros::MAX)
}
