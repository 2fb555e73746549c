//! Work in the background, which leaves the processors to decisions for as long as it took one from them.

use std::thread;
use std::time::{Duration, Instant};

/// So long is worked at a stretch: whoever is woken meanwhile may wait so long for a processor.
const STRETCH: Duration = Duration::from_micros(200);

/// Of one thread that works and rests in turn.
#[derive(Debug)]
pub(crate) struct Pace {
    /// When it began or rested last.
    since: Instant,
}

impl Pace {
    /// Begins to work.
    pub(crate) fn begin() -> Self {
        Self { since: Instant::now() }
    }

    /// Rests, if it has worked for long enough. Not for when a lock is held.
    pub(crate) fn rest(&mut self) {
        let worked = self.since.elapsed();
        if STRETCH <= worked {
            thread::sleep(worked);
            self.since = Instant::now();
        }
    }
}
