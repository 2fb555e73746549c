//! Waiting for a gate whose disk does not keep up.

use std::thread;
use std::time::Duration;

use stream::gate::Refused;

/// How long what was refused waits before it is submitted again.
const AGAIN_AFTER: Duration = Duration::from_millis(10);

/// Submits again for as long as the disk does not keep up: a file can wait.
pub(crate) fn patiently<T>(mut submit: impl FnMut() -> Result<T, Refused>) -> Result<T, Refused> {
    loop {
        match submit() {
            Err(Refused::Overloaded { .. }) => thread::sleep(AGAIN_AFTER),
            done => return done,
        }
    }
}
