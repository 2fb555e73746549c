//! Being told to stop. A command that is in the middle of its work ends it in order at the first signal; the second ends the
//! process where it stands.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What a shell sees of a process that a signal has ended, less the number of the signal.
const ENDED_BY_SIGNAL: i32 = 128;

/// Whether somebody has told the process to stop.
#[derive(Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

/// The error of work that was told to stop.
#[derive(Debug, thiserror::Error)]
#[error("stopped by a signal")]
pub(crate) struct Interrupted;

impl Interrupt {
    /// Listens from here on.
    pub(crate) fn listen() -> io::Result<Self> {
        let told = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down, and puts it up.
            flag::register_conditional_shutdown(signal, ENDED_BY_SIGNAL + signal, Arc::clone(&told))?;
            flag::register(signal, Arc::clone(&told))?;
        }
        Ok(Self(told))
    }

    /// Ends work that can end here.
    ///
    /// # Errors
    /// If somebody has told the process to stop.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        if self.0.load(Ordering::Relaxed) { Err(Interrupted) } else { Ok(()) }
    }
}
