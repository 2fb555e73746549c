//! Durations of single events, what reading the clock adds to each, and durations in words.

use std::hint::black_box;
use std::time::{Duration, Instant};

use floor::percentile;

/// Readings of the clock to average over.
const READINGS: u32 = 100_000;

/// What one reading of the clock takes: it is in every duration of a single event.
pub(super) fn clock_cost() -> Duration {
    let start = Instant::now();
    for _ in 0..READINGS {
        black_box(Instant::now());
    }
    start.elapsed() / READINGS
}

/// A duration of a single event, in microseconds.
pub(super) fn micros(duration: Duration) -> String {
    format!("{:.2} µs", duration.as_secs_f64() * 1e6)
}

/// A duration of a request, in milliseconds.
pub(super) fn millis(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1e3)
}

/// A duration of what takes long, in seconds.
pub(super) fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

/// Median and 99th percentile.
pub(super) fn percentiles(took: &[Duration]) -> [Duration; 2] {
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    [50, 99].map(|it| percentile(&sorted, it))
}
