//! Threads whose work can wait: beside the threads that decide they get what those leave.

use std::io;
use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, Instant};

/// Of the system's, where 0 is usual and 19 the least.
const NICENESS: i32 = 10;
/// Spare time is scarce if the thread got less than this part of the time that went by.
const LEAST: u32 = 20;

/// Works on a thread that steps aside for others, and waits for it.
///
/// # Errors
/// If the system gives no thread.
pub(crate) fn work<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    on_a_thread(name, || {
        step_aside();
        work()
    })
}

/// Time that nobody else wants: whoever is woken has the processor of a thread that is given it at once.
#[derive(Debug, Default)]
pub(crate) struct SpareTime {
    /// Whether there was next to none, last time.
    scarce: bool,
}

impl SpareTime {
    /// Works in it on a thread of its own, and waits for that. On a machine that is never idle it would not come to an end:
    /// behind work that got less than one part in [`LEAST`] of its time, the next is done by the calling thread. For work
    /// that holds no lock which others wait for.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn work<T: Send>(&mut self, name: &str, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        if std::mem::take(&mut self.scarce) {
            return Ok(work());
        }
        let start = Instant::now();
        let (done, had) = on_a_thread(name, || {
            take_spare_time();
            (work(), time_had())
        })?;
        self.scarce = had.saturating_mul(LEAST) < start.elapsed();
        Ok(done)
    }
}

fn on_a_thread<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let working = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work)?;
        Ok(working.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Lets this thread step aside for others, until it ends.
pub(crate) fn step_aside() {
    // On Linux a thread has a priority of its own. Where it does not get a lower one it works all the same.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
}

/// Gives this thread only what others leave, until it ends: without special rights there is no way back.
fn take_spare_time() {
    // The policy `SCHED_IDLE` of Linux, sched(7). Elsewhere this thread works as any other.
    #[cfg(target_os = "linux")]
    let _ = {
        use thread_priority::{
            NormalThreadSchedulePolicy as Normal, ThreadPriority, ThreadSchedulePolicy,
            set_thread_priority_and_policy, thread_native_id,
        };
        let idle = ThreadSchedulePolicy::Normal(Normal::Idle);
        set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle)
    };
}

/// The processor time that this thread was given.
fn time_had() -> Duration {
    #[cfg(target_os = "linux")]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::try_from(time).unwrap_or_default()
    }
    #[cfg(not(target_os = "linux"))]
    Duration::MAX
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;

    use super::*;

    // sched(7): `SCHED_OTHER` and `SCHED_IDLE`.
    const USUAL: &str = "0";
    const IDLE: &str = "5";

    /// The field `policy` of `/proc/thread-self/stat`, proc_pid_stat(5).
    fn policy() -> Option<String> {
        let stat = fs::read_to_string("/proc/thread-self/stat").ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(38).map(str::to_owned)
    }

    #[test]
    fn spare_time_is_that_of_the_idle_policy() {
        let mut spare = SpareTime::default();
        let mut check = |slept_ms: u64, expected: &str| {
            let work = || {
                std::thread::sleep(Duration::from_millis(slept_ms));
                policy()
            };
            assert_eq!(spare.work("spare", work).expect("a thread").as_deref(), Some(expected));
        };
        check(50, IDLE);
        // It slept, which is as if it had been given no time.
        check(0, USUAL);
        check(50, IDLE);
        assert_eq!(policy().as_deref(), Some(USUAL));
    }
}
