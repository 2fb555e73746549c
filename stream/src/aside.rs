//! Threads whose work can wait: beside the threads that decide they get what those leave.

use std::io;
use std::thread::{self, Scope, ScopedJoinHandle};

/// Of the system's, where 0 is usual and 19 the least.
const NICENESS: i32 = 10;

/// Starts a thread that steps aside for others.
pub(crate) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    run: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<ScopedJoinHandle<'scope, T>> {
    thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, || {
        step_aside();
        run()
    })
}

/// Lets this thread step aside for others, until it ends.
pub(crate) fn step_aside() {
    // On Linux a thread has a priority of its own. Where it does not get a lower one it works all the same.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
}
