//! Where records go: the ordered sequence that everything else is a fold over.

use std::sync::atomic::{AtomicU64, Ordering};

/// The journal as the gate sees it.
pub trait Journal: Send + Sync {
    /// Appends a record and gives its offset. Called under the locks of the record's entities, so it must not wait for
    /// a disk.
    fn append(&self, record: &[u8]) -> u64;

    /// The offset below which everything is durable.
    fn durable(&self) -> u64;

    /// The offset that the next record will get.
    fn next(&self) -> u64;
}

/// A journal that keeps nothing: it only counts. For replay and tests.
#[derive(Debug, Default)]
pub struct Forgetful {
    next: AtomicU64,
}

impl Forgetful {
    /// Counts on from an offset.
    pub fn starting_at(offset: u64) -> Self {
        Self { next: AtomicU64::new(offset) }
    }
}

impl Journal for Forgetful {
    fn append(&self, _record: &[u8]) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn durable(&self) -> u64 {
        self.next()
    }

    fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }
}
