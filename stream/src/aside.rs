//! Threads whose work can wait: beside the threads that decide they get what those leave.

use std::io;
use std::panic::resume_unwind;
use std::thread;

/// Of the system's, where 0 is usual and 19 the least.
const NICENESS: i32 = 10;

/// Works on a thread that steps aside for others, and waits for it.
///
/// # Errors
/// If the system gives no thread.
pub(crate) fn work<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let working = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, || {
            step_aside();
            work()
        })?;
        Ok(working.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Lets this thread step aside for others, until it ends.
pub(crate) fn step_aside() {
    // On Linux a thread has a priority of its own. Where it does not get a lower one it works all the same.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
}
