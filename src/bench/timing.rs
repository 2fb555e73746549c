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

/// What the machine takes from whoever works on it: how often, and for how long together, a loop that does nothing but read
/// the clock stands still. Interrupts do that, other programs, and where the machine is a virtual one its host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interrupted {
    /// In a second, for [`INTERRUPTION`] or longer.
    per_second: f64,
    /// Of the time.
    share: f64,
}

/// So long no loop stands still by itself.
const INTERRUPTION: Duration = Duration::from_micros(5);
/// For how long it is looked.
const LOOK: Duration = Duration::from_millis(500);

impl Interrupted {
    /// Looks on this thread.
    pub(super) fn look() -> Self {
        let (start, mut times, mut lost) = (Instant::now(), 0_u32, Duration::ZERO);
        let mut before = start;
        while before - start < LOOK {
            let now = Instant::now();
            if INTERRUPTION <= now - before {
                times += 1;
                lost += now - before;
            }
            before = now;
        }
        let looked = (before - start).as_secs_f64();
        Self { per_second: f64::from(times) / looked, share: lost.as_secs_f64() / looked }
    }

    /// In words: how many decisions that take so long are held up by it.
    pub(super) fn say(self, decision: Duration) -> String {
        let Self { per_second, share } = self;
        let hit = (per_second * decision.as_secs_f64()).min(1.0);
        format!(
            "the machine stops whoever works {per_second:.0} times a second, for {:.1} % of the time: {:.1} % of decisions are \
             held up by that",
            100.0 * share,
            100.0 * hit
        )
    }
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
