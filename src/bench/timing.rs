//! Durations of single events, and what reading the clock adds to each.

use std::hint::black_box;
use std::time::{Duration, Instant};

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
