//! Where records go: the ordered, durable sequence that everything else is a fold over.
//!
//! A record is framed, numbered and made durable here; what its body says is the matter of [`crate::record`].

mod frame;
mod batch;
mod segment;
mod walk;
mod index;
mod shared;
mod shelf;
mod survey;
mod log;
mod meter;
mod progress;
mod on_disk;
mod reader;
mod care;
mod error;
#[cfg(feature = "test-support")]
mod memory;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use engine::entity::EntityKey;
use rules::time::Micros;
use tokio::sync::watch;

pub use care::{Stat, is_begun, key, stat, verify};
pub use error::JournalError;
pub use frame::BODY_BYTES_MAX;
#[cfg(feature = "test-support")]
pub use memory::Memory;
pub use meter::SyncTimes;
pub use on_disk::{Durability, OnDisk, Options};
pub use progress::Progress;
pub use reader::Reader;
pub use survey::Thorough;

/// The journal as the gate sees it.
pub trait Journal: Send + Sync {
    /// Reserves room for `records` records of at most `bytes_each` bytes of body each. Called before any lock; never
    /// waits.
    ///
    /// # Errors
    /// If the records that wait for the disk, and those that were promised room, leave none.
    fn reserve(&self, records: usize, bytes_each: usize) -> Result<Reservation, Full>;

    /// Appends a record and gives its offset. Called under the locks of the record's entities: it copies and never
    /// waits for a disk.
    fn append(&self, entry: &Entry<'_>) -> u64;

    /// Whether what was appended gathers until somebody asks for it with [`Journal::urge`], or for a moment.
    fn gathers(&self) -> bool {
        false
    }

    /// Somebody wants to answer: what was appended is written now, by the calling thread if that is quickest. It never
    /// waits for a sync.
    fn urge(&self) {}

    /// What is below this offset may be answered.
    fn durable(&self) -> u64;

    /// What is below this offset is on the disk and survives a crash of the machine; of a journal that has none, what
    /// is durable.
    fn synced(&self) -> u64 {
        self.durable()
    }

    /// The offset that the next record will get.
    fn next(&self) -> u64;

    /// Tells of every advance of [`Journal::durable`], and of the journal's end by a failed write.
    fn watch(&self) -> watch::Receiver<Progress>;

    /// Ready when the record at an offset is durable or never will be; otherwise `waker`, where it is given, is woken
    /// then and not before.
    fn reached(&self, offset: u64, waker: Option<&Waker>) -> Poll<Progress>;

    /// Ends the journal as a failed write does, and for this reason: nothing becomes durable any more, and whoever waits is
    /// told. One that keeps nothing has no end.
    fn fail(&self, why: &str);

    /// How much waits for the disk, and how fast it leaves.
    fn load(&self) -> Load;

    /// Puts the body of a durable record into the buffer and gives its kind; none where the journal keeps no record
    /// of that offset.
    ///
    /// # Errors
    /// If the disk cannot be read, or what it holds is damaged.
    fn read(&self, offset: u64, into: &mut Vec<u8>) -> Result<Option<RecordKind>, JournalError>;

    /// The newest durable record with an id whose offset is within a range, and what it is.
    ///
    /// # Errors
    /// If the disk cannot be read, or what it holds is damaged.
    fn find(&self, id: u128, within: Range<u64>) -> Result<Option<(u64, RecordKind)>, JournalError>;

    /// Whether it is known without the disk that no durable record from an offset on has an id.
    fn surely_lacks(&self, id: u128, from: u64) -> bool;

    /// Offset of the oldest record that is kept, or of the first that will be.
    fn oldest(&self) -> u64;

    /// The newest durable record that holds the decision of a number: see [`engine::decision::decision_number`].
    ///
    /// # Errors
    /// If the disk cannot be read, or what it holds is damaged.
    fn find_decision(&self, decision: u128) -> Result<Option<u64>, JournalError>;

    /// Adds to `into` the offsets of the newest durable records that name an entity, newest first and at most `most` of
    /// them.
    ///
    /// # Errors
    /// If the disk cannot be read, or what it holds is damaged.
    fn about(&self, entity: EntityKey, most: usize, into: &mut Vec<u64>) -> Result<(), JournalError>;

    /// Walks over the durable records from an offset on, or from the oldest that is kept if that is greater.
    ///
    /// # Errors
    /// If the disk cannot be read, or what it holds is damaged.
    fn cursor(&self, from: u64) -> Result<Box<dyn Cursor>, JournalError>;
}

/// Begins a walk over a journal from an offset on, as often as it is asked.
pub type Walks<'a> = dyn Fn(u64) -> Result<Box<dyn Cursor>, JournalError> + 'a;

/// A walk over records in the order of their offsets.
pub trait Cursor: Send {
    /// The next record; none at the end of what is durable. Asked again later, it goes on with what became durable
    /// meanwhile.
    ///
    /// # Errors
    /// If the disk cannot be read, or what it holds is damaged.
    fn next(&mut self) -> Result<Option<Record<'_>>, JournalError>;
}

/// What a record is. The numbers stand in every journal and are never given anew.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RecordKind {
    /// An event and its decision.
    Decided = 1,
    /// An event recorded without a verdict.
    Event = 2,
    /// What became known later about an event.
    Amend = 3,
    /// A whole rule set, in force from here on.
    RuleSet = 4,
    /// A change of a list.
    List = 5,
    /// A table of exchange rates, in force from here on.
    Rates = 6,
    /// An alert that is to be quiet for a while.
    Snooze = 7,
    /// State of the features of another rule set was built, and is kept up from here on.
    Warm = 8,
}

impl RecordKind {
    /// The kind of a number; none if this version knows none.
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Decided,
            2 => Self::Event,
            3 => Self::Amend,
            4 => Self::RuleSet,
            5 => Self::List,
            6 => Self::Rates,
            7 => Self::Snooze,
            8 => Self::Warm,
            _ => return None,
        })
    }

    /// Whether it is of an event, decided or recorded without a verdict.
    pub fn is_event(self) -> bool {
        matches!(self, Self::Decided | Self::Event)
    }
}

/// A record to append.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// What it is.
    pub kind: RecordKind,
    /// What it says, at most [`BODY_BYTES_MAX`].
    pub body: &'a [u8],
    /// The hash of the id under which it is looked up.
    pub id: Option<u128>,
    /// The entities under which it is looked up, at most [`ENTITIES_MAX`].
    pub entities: &'a [EntityKey],
    /// When it came in by the wall clock; 0 = not known. It stands in the record's trailer, for people only.
    pub received_at: Micros,
}

/// The tenant of every journal for now.
pub const TENANT: u32 = 0;

/// Most entities of one record.
pub const ENTITIES_MAX: usize = 255;

/// A record as it was read.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its place.
    pub offset: u64,
    /// What it is.
    pub kind: RecordKind,
    /// What it says.
    pub body: &'a [u8],
    /// The hash of the id under which it is looked up.
    pub id: Option<u128>,
    /// When it came in by the wall clock; 0 = not known.
    pub received_at: Micros,
    /// With which others it was written: the number of its batch.
    pub batch: u64,
}

/// What waits for the disk, and how long that takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// Records that were appended and are not durable.
    pub records_ahead: u64,
    /// How long a record that is appended now is expected to wait.
    pub wait: Duration,
}

/// There is no room for a record: the disk does not keep up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the journal's buffer is full: the disk does not keep up; send again later")]
pub struct Full;

/// Room in the journal's buffer, held until it is spent or dropped.
#[derive(Debug, Default)]
#[must_use = "dropping it gives the room back"]
pub struct Reservation {
    budget: Option<Arc<Budget>>,
    records: usize,
    bytes_each: usize,
}

impl Reservation {
    /// Of a journal that has no bound.
    pub fn unbounded() -> Self {
        Self::default()
    }

    /// One of its records was appended: its own bytes are counted from now on.
    pub fn spend(&mut self) {
        if let (Some(budget), Some(left)) = (&self.budget, self.records.checked_sub(1)) {
            self.records = left;
            budget.give_back(self.bytes_each);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.give_back(self.records * self.bytes_each);
        }
    }
}

/// The bytes of the buffer that are taken or promised: what bounds the memory that waits for the disk.
#[derive(Debug)]
struct Budget {
    bytes_most: usize,
    bytes: AtomicUsize,
}

impl Budget {
    fn new(bytes_most: usize) -> Self {
        Self { bytes_most, bytes: AtomicUsize::new(0) }
    }

    /// Takes room if there is so much.
    fn take(&self, bytes: usize) -> Result<(), Full> {
        let taken = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.bytes_most < taken.saturating_add(bytes) {
            self.give_back(bytes);
            return Err(Full);
        }
        Ok(())
    }

    /// Counts what was appended, for which there is room or not.
    fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give_back(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
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
    fn reserve(&self, _records: usize, _bytes_each: usize) -> Result<Reservation, Full> {
        Ok(Reservation::unbounded())
    }

    fn append(&self, _entry: &Entry<'_>) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn durable(&self) -> u64 {
        self.next()
    }

    fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Everything that will ever be appended is durable.
    fn watch(&self) -> watch::Receiver<Progress> {
        watch::channel(ALL).1
    }

    fn reached(&self, _offset: u64, _waker: Option<&Waker>) -> Poll<Progress> {
        Poll::Ready(ALL)
    }

    fn fail(&self, _why: &str) {}

    fn load(&self) -> Load {
        Load::default()
    }

    fn read(&self, _offset: u64, _into: &mut Vec<u8>) -> Result<Option<RecordKind>, JournalError> {
        Ok(None)
    }

    fn find(&self, _id: u128, _within: Range<u64>) -> Result<Option<(u64, RecordKind)>, JournalError> {
        Ok(None)
    }

    fn surely_lacks(&self, _id: u128, _from: u64) -> bool {
        true
    }

    fn oldest(&self) -> u64 {
        self.next()
    }

    fn find_decision(&self, _decision: u128) -> Result<Option<u64>, JournalError> {
        Ok(None)
    }

    fn about(&self, _entity: EntityKey, _most: usize, _into: &mut Vec<u64>) -> Result<(), JournalError> {
        Ok(())
    }

    fn cursor(&self, _from: u64) -> Result<Box<dyn Cursor>, JournalError> {
        Ok(Box::new(Nothing))
    }
}

/// As durable as it gets.
const ALL: Progress = Progress { durable: u64::MAX, poisoned: false, closed: false };

/// A walk over nothing.
struct Nothing;

impl Cursor for Nothing {
    fn next(&mut self) -> Result<Option<Record<'_>>, JournalError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
