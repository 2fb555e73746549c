//! How far the journal is, and who waits for that.
//!
//! Whoever waits for a record is woken when that record is durable and not before. A channel that tells everybody of
//! every step would wake a hundred who wait a hundred times.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::task::{Poll, Waker};

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::watch;

/// How far the journal is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// What is below this offset may be answered.
    pub durable: u64,
    /// A write or a sync failed: nothing more will become durable.
    pub poisoned: bool,
    /// It was closed, and all that came before is durable: nothing more will become so.
    pub closed: bool,
}

impl Progress {
    /// Whether nothing more will become durable.
    pub fn has_ended(self) -> bool {
        self.poisoned || self.closed
    }

    /// Whether there is nothing left to wait for, for who waits for the record at an offset.
    fn decides(self, offset: u64) -> bool {
        self.has_ended() || offset < self.durable
    }
}

/// The progress, and those who wait for it.
#[derive(Debug, Default)]
pub(super) struct Advance {
    progress: watch::Sender<Progress>,
    /// The one who waits for the least offset first.
    waiting: Mutex<BinaryHeap<Reverse<Waiter>>>,
}

#[derive(Debug)]
struct Waiter {
    offset: u64,
    waker: Waker,
}

impl Advance {
    /// Everything below an offset is durable.
    pub(super) fn from(durable: u64) -> Self {
        let progress = watch::Sender::new(Progress { durable, ..Progress::default() });
        Self { progress, waiting: Mutex::default() }
    }

    /// Where it stands.
    pub(super) fn now(&self) -> Progress {
        *self.progress.borrow()
    }

    /// For who wants to know of every step.
    pub(super) fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Ready when the record at an offset is durable or never will be; otherwise `waker`, where it is given, is woken
    /// then.
    pub(super) fn reached(&self, offset: u64, waker: Option<&Waker>) -> Poll<Progress> {
        let ready = |progress: Progress| match progress.decides(offset) {
            true => Poll::Ready(progress),
            false => Poll::Pending,
        };
        match (ready(self.now()), waker) {
            (Poll::Pending, Some(waker)) => {
                self.waiting.lock().push(Reverse(Waiter { offset, waker: waker.clone() }));
                // It may have come about before this one was among those who wait.
                ready(self.now())
            }
            (known, _) => known,
        }
    }

    /// Everything below an offset is durable, unless it is poisoned; `first` runs before anybody is told.
    pub(super) fn to(&self, durable: u64, first: impl FnOnce()) {
        self.change(|progress| {
            if !progress.poisoned {
                first();
                progress.durable = progress.durable.max(durable);
            }
            !progress.poisoned
        });
    }

    /// Nothing more will become durable.
    pub(super) fn poison(&self) {
        self.change(|progress| {
            progress.poisoned = true;
            true
        });
    }

    /// Nothing more comes that could become durable.
    pub(super) fn close(&self) {
        self.change(|progress| !std::mem::replace(&mut progress.closed, true));
    }

    fn change(&self, change: impl FnOnce(&mut Progress) -> bool) {
        self.progress.send_if_modified(change);
        let now = self.now();
        let mut woken = SmallVec::<[Waker; 32]>::new();
        let mut waiting = self.waiting.lock();
        while waiting.peek().is_some_and(|Reverse(first)| now.decides(first.offset)) {
            woken.extend(waiting.pop().map(|Reverse(first)| first.waker));
        }
        drop(waiting);
        woken.into_iter().for_each(Waker::wake);
    }
}

impl PartialEq for Waiter {
    fn eq(&self, other: &Self) -> bool {
        self.offset == other.offset
    }
}

impl Eq for Waiter {}

impl PartialOrd for Waiter {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiter {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.offset.cmp(&other.offset)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_is_woken_once_when_its_record_is_durable() {
        let advance = Advance::from(3);
        let woken: Vec<Arc<Woken>> = (0..10).map(|_| Arc::default()).collect();
        for (offset, it) in [7, 2, 9, 4, 3, 8, 5, 6, 1, 0].into_iter().map(|at| (at, &woken[at])) {
            let reached = advance.reached(offset as u64, Some(&Arc::clone(it).into()));
            assert_eq!(reached.is_ready(), offset < 3, "{offset}");
        }
        let counts = || woken.iter().map(|it| it.0.load(Ordering::Relaxed)).collect::<Vec<_>>();
        assert_eq!(counts(), [0; 10]);
        advance.to(6, || ());
        assert_eq!(counts(), [0, 0, 0, 1, 1, 1, 0, 0, 0, 0]);
        assert!(advance.reached(5, None).is_ready() && advance.reached(6, None).is_pending());
        advance.poison();
        assert_eq!(counts(), [0, 0, 0, 1, 1, 1, 1, 1, 1, 1]);
        advance.to(10, || unreachable!("it is poisoned"));
        assert_eq!(
            advance.reached(9, None),
            Poll::Ready(Progress { durable: 6, poisoned: true, closed: false })
        );
    }

    #[test]
    fn who_waits_for_what_a_closed_journal_never_gets_is_woken() {
        let advance = Advance::from(3);
        let woken = Arc::new(Woken::default());
        assert!(advance.reached(3, Some(&Arc::clone(&woken).into())).is_pending());
        advance.close();
        advance.close();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(
            advance.reached(3, None),
            Poll::Ready(Progress { durable: 3, poisoned: false, closed: true })
        );
    }
}
