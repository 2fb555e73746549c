//! The passage: whoever changes the states of entities goes through it, and it can be closed for a moment, in which
//! nobody is on the way.
//!
//! Each thread says in a word of its own that it is inside, so that threads do not wait for each other's memory; who
//! closes looks at all of these words. Both sides first write and then look, so that one of them sees the other
//! (Dekker's way, with sequentially consistent order).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;

use parking_lot::{Mutex, MutexGuard};

use super::{Gate, Worker};
use crate::journal::Journal;

/// Whether one thread is inside; on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Inside(AtomicBool);

/// The way to the states of entities.
#[derive(Debug, Default)]
pub(crate) struct Passage {
    closed: AtomicBool,
    /// Held while it is closed.
    closing: Mutex<()>,
    all: Mutex<Vec<Weak<Inside>>>,
}

/// While this lives the passage is closed.
#[derive(Debug)]
pub(crate) struct Closed<'a> {
    passage: &'a Passage,
    _closing: MutexGuard<'a, ()>,
}

impl Passage {
    /// For a thread that will go through.
    pub(super) fn pass(&self) -> Arc<Inside> {
        let inside = Arc::new(Inside::default());
        let mut all = self.all.lock();
        all.retain(|it| it.strong_count() != 0);
        all.push(Arc::downgrade(&inside));
        inside
    }

    /// Goes in, as soon as the passage is open. Until [`Inside::leave`] it cannot be closed.
    pub(super) fn enter(&self, inside: &Inside) {
        loop {
            inside.0.store(true, Ordering::SeqCst);
            if !self.closed.load(Ordering::SeqCst) {
                return;
            }
            inside.leave();
            drop(self.closing.lock());
        }
    }

    /// Closes the passage and waits until nobody is inside.
    pub(crate) fn close(&self) -> Closed<'_> {
        let closing = self.closing.lock();
        self.closed.store(true, Ordering::SeqCst);
        // Who comes later finds it closed.
        let all = self.all.lock().clone();
        for inside in all.iter().filter_map(Weak::upgrade) {
            while inside.0.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
        Closed { passage: self, _closing: closing }
    }
}

impl Inside {
    /// Comes out again.
    pub(super) fn leave(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.passage.closed.store(false, Ordering::SeqCst);
    }
}

impl Gate {
    /// Goes through the passage and changes the states of entities. `lock` locks them under what the worker takes to be in
    /// force: once more, where something else has come into force meanwhile. They are unlocked here.
    ///
    /// # Errors
    /// What `lock` gives; then nothing was changed.
    pub(super) fn change_locked<T, E>(
        &self,
        worker: &mut Worker,
        mut lock: impl FnMut(&mut Worker) -> Result<(), E>,
        change: impl FnOnce(&mut Worker) -> T,
    ) -> Result<T, E> {
        self.passage.enter(&worker.inside);
        let half_done = HalfDone(&*self.journal);
        let locked = loop {
            let locked = lock(worker);
            if locked.is_err() || worker.in_force.number == self.current.number() {
                break locked;
            }
            worker.locks.guards.clear();
            worker.follow(self.current.with_directory());
        };
        let changed = locked.map(|()| change(worker));
        worker.locks.guards.clear();
        worker.inside.leave();
        std::mem::forget(half_done);
        changed
    }
}

/// While states are being changed. Dropped by a panic, it ends the journal: nobody knows whether the states still are what
/// the records lead to, and a restart has them from there.
struct HalfDone<'a>(&'a dyn Journal);

impl Drop for HalfDone<'_> {
    fn drop(&mut self) {
        self.0.fail("there was a panic while the states of entities were being changed");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::time::{Duration, Instant};

    use super::*;

    /// Two halves of a number are changed one after the other by whoever is inside; who has closed sees them equal.
    #[test]
    fn nobody_is_on_the_way_while_it_is_closed() {
        let passage = Passage::default();
        let (left, right, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let inside = passage.pass();
                    while !done.load(Ordering::Relaxed) {
                        passage.enter(&inside);
                        left.fetch_add(1, Ordering::Relaxed);
                        thread::yield_now();
                        right.fetch_add(1, Ordering::Relaxed);
                        inside.leave();
                    }
                });
            }
            // Until somebody came through too, however busy the machine is.
            let until = Instant::now() + Duration::from_secs(20);
            let came = || left.load(Ordering::Relaxed) > 0 || until < Instant::now();
            for _ in (0..).take_while(|closes| *closes < 200 || !came()) {
                let closed = passage.close();
                let seen = left.load(Ordering::Relaxed);
                thread::yield_now();
                assert_eq!((left.load(Ordering::Relaxed), right.load(Ordering::Relaxed)), (seen, seen));
                drop(closed);
                thread::yield_now();
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!(left.load(Ordering::Relaxed) > 0, "somebody came through");
    }
}
