//! What every request passes: how many are being worked on, whether there is memory for new work, and whether the server
//! stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::watch;

use crate::metrics::Metrics;
use crate::problem::{Code, Problem};

/// What every request passes, and who may tell the server to stop.
#[derive(Debug)]
pub struct Traffic {
    /// Where it is counted.
    pub(crate) metrics: Arc<Metrics>,
    in_flight: AtomicUsize,
    memory_full: AtomicBool,
    stopping: watch::Sender<bool>,
}

impl Traffic {
    /// Of a server that takes work.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        let (in_flight, memory_full) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self { metrics, in_flight, memory_full, stopping: watch::channel(false).0 }
    }

    /// Stops the server: what was accepted is finished, nothing more is.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Says whether the memory limit is reached: then new work is refused, and reads go on.
    pub fn set_memory_full(&self, full: bool) {
        if self.memory_full.swap(full, Ordering::Relaxed) != full {
            let said = if full { "is reached: new work is refused" } else { "is not reached any more" };
            tracing::warn!("the memory limit {said}");
        }
    }

    /// Whether new work is refused for want of memory.
    pub(crate) fn memory_full(&self) -> bool {
        self.memory_full.load(Ordering::Relaxed)
    }

    /// Becomes true when the server begins to stop.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Whether the server is stopping.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// One more request is being worked on.
    pub(crate) fn enter(&self) -> InFlight<'_> {
        InFlight { traffic: self, of: self.in_flight.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    /// How many requests are being worked on.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Refuses work that would need memory where there is none.
    ///
    /// # Errors
    /// At the memory limit.
    pub(crate) fn check_memory(&self) -> Result<(), Problem> {
        if self.memory_full() { Err(no_memory(&self.metrics)) } else { Ok(()) }
    }
}

/// What work is answered that finds no memory.
pub(crate) fn no_memory(metrics: &Metrics) -> Problem {
    metrics.shed("memory");
    let detail = "the memory limit is reached: nothing new is decided until memory is free again";
    Problem::new(Code::Unavailable, detail).retry_after_s(1)
}

/// A request among those being worked on, until it is dropped, whatever ended it.
pub(crate) struct InFlight<'a> {
    traffic: &'a Traffic,
    /// How many there are with it.
    pub(crate) of: usize,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.traffic.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
