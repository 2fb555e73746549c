//! Timing of one piece of work, event after event, each with input of its own.
//!
//! Input is made ready a batch at a time, outside of what is timed, so that it lies in the cache as that of an event
//! just received does. Decisions and the floor are measured by this same code.

use std::hint::black_box;
use std::time::{Duration, Instant};

use floor::{Measured, percentile};

/// Inputs made ready at a time: enough that reading the clock around them costs nothing, few enough for the cache.
const BATCH: usize = 256;

/// Inputs, used again and again.
#[derive(Debug)]
pub struct Inputs<T>(Vec<T>);

impl<T: Default> Default for Inputs<T> {
    fn default() -> Self {
        Self((0..BATCH).map(|_| T::default()).collect())
    }
}

impl<T> Inputs<T> {
    /// Does the work so many times; what it took, with the clock read around each batch. `fill` makes the next input over
    /// an old one; `work` gives a number that depends on all it did.
    pub fn time(
        &mut self,
        events: usize,
        fill: impl FnMut(&mut T),
        mut work: impl FnMut(&mut T) -> u64,
    ) -> Duration {
        let mut elapsed = Duration::ZERO;
        self.batches(events, fill, |batch| {
            let start = Instant::now();
            black_box(batch.iter_mut().fold(0_u64, |sum, it| sum.wrapping_add(work(it))));
            elapsed += start.elapsed();
        });
        elapsed
    }

    /// Makes so many inputs ready, a batch at a time.
    fn batches(&mut self, events: usize, mut fill: impl FnMut(&mut T), mut each: impl FnMut(&mut [T])) {
        let mut left = events;
        while 0 < left {
            let count = left.min(BATCH);
            let batch = self.0.get_mut(..count).unwrap_or_default();
            batch.iter_mut().for_each(&mut fill);
            each(batch);
            left -= count;
        }
    }
}

/// What a piece of work took, event by event.
#[derive(Clone, Debug)]
pub struct Timed {
    /// All events together, with the clock read around each batch.
    elapsed: Duration,
    /// Each event, with the clock read around it, in the order that they came in.
    each: Vec<Duration>,
}

impl Timed {
    /// The same work on the same events, timed twice: of each the less. An event does not do more for being looked at again;
    /// what one of the two took longer was taken from it, by an interrupt or by the host of a virtual machine.
    #[must_use]
    pub fn least(mut self, again: &Self) -> Self {
        self.elapsed = self.elapsed.min(again.elapsed);
        self.each.iter_mut().zip(&again.each).for_each(|(it, again)| *it = (*it).min(*again));
        self
    }

    /// In a few numbers.
    pub fn measured(mut self) -> Measured {
        self.each.sort_unstable();
        let [p50, p99] = [50, 99].map(|it| percentile(&self.each, it));
        Measured { events: self.each.len(), elapsed: self.elapsed, p50, p99 }
    }
}

/// Does the work three times `events` times: to warm up, in batches under the clock, and one by one under the clock.
/// `fill` and `work` are as for [`Inputs::time`].
pub fn time<T: Default>(
    events: usize,
    mut fill: impl FnMut(&mut T),
    mut work: impl FnMut(&mut T) -> u64,
) -> Timed {
    let mut inputs = Inputs::default();
    inputs.time(events, &mut fill, &mut work);
    let elapsed = inputs.time(events, &mut fill, &mut work);
    let mut each = Vec::with_capacity(events);
    inputs.batches(events, fill, |batch| {
        let mut before = Instant::now();
        for it in batch {
            black_box(work(it));
            let after = Instant::now();
            each.push(after - before);
            before = after;
        }
    });
    Timed { elapsed, each }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_is_worked_on_once_and_in_order() {
        for events in [0, 1, BATCH, BATCH + 1, 1_000] {
            let (mut next, mut seen) = (0_u64, Vec::new());
            let fill = |it: &mut u64| (next += 1, *it = next).0;
            let timed = time(events, fill, |it| (seen.push(*it), *it).1);
            assert_eq!(timed.measured().events, events);
            assert_eq!(seen, (1..=3 * events as u64).collect::<Vec<_>>());
        }
    }

    /// A stop of the machine that only one of two looks met is in neither's least.
    #[test]
    fn of_two_looks_at_the_same_events_the_less_counts() {
        let timed = |elapsed: u64, each: &[u64]| Timed {
            elapsed: Duration::from_nanos(elapsed),
            each: each.iter().map(|it| Duration::from_nanos(*it)).collect(),
        };
        let least = timed(700, &[10, 900, 12]).least(&timed(800, &[500, 11, 13]));
        assert_eq!(least.elapsed, Duration::from_nanos(700));
        assert_eq!(least.each, [10, 11, 12].map(Duration::from_nanos));
        let measured = least.measured();
        assert_eq!([measured.p50, measured.p99], [11, 12].map(Duration::from_nanos));
    }
}
