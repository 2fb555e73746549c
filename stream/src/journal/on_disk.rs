//! The journal on a disk: appending copies into a buffer, which is written as a whole.
//!
//! ```text
//! append ──► buffer ──► batch ──► write ──► sync ──► durable: whoever waits is woken
//! ```
//! Who writes it, and when, is told in [`writing`].

mod writing;

use std::ops::Range;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine::entity::{EntityKey, HashKey};
use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use self::writing::{Behind, Buffer, Writer, spawn};
use super::frame;
use super::log::{Log, Opening};
use super::meter::{Meter, SyncTimes};
use super::progress::Advance;
use super::reader::Reader;
use super::shelf::Shelf;
use super::survey::Thorough;
use super::{
    Budget, Cursor, Entry, Full, Journal, JournalError, Load, Progress, RecordKind, Reservation, Stat,
};
use crate::disk::Disk;

/// When a record may be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// When the disk has it: it survives a crash of the machine.
    Fsync,
    /// When the system has it: it survives a crash of the process. The disk has it soon after.
    Os,
}

/// How a journal is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// When a record may be answered.
    pub durability: Durability,
    /// A segment that would grow over this is sealed; at most 2 GiB.
    pub segment_bytes: u64,
    /// What may wait for the disk, in bytes of records: the bound of the buffer's memory; at most 1 GiB.
    pub buffer_bytes: usize,
    /// What the caller knows to have been durable, from a snapshot: everything below.
    pub synced: u64,
    /// How much of the sealed segments is looked at. The newest is read from front to back in any case.
    pub thorough: Thorough,
    /// The key under which ids are hashed, if the journal is born now; see [`OnDisk::key`].
    pub birth_key: HashKey,
    /// The offset of its first record then: what was before is in a snapshot.
    pub birth_first: u64,
}

impl Options {
    /// As a server needs them: synced, in segments of 256 MiB, with 64 MiB that may wait, every record looked at.
    pub fn new(birth_key: HashKey) -> Self {
        Self {
            durability: Durability::Fsync,
            segment_bytes: 256 << 20,
            buffer_bytes: 64 << 20,
            synced: 0,
            thorough: Thorough::From(0),
            birth_key,
            birth_first: 0,
        }
    }
}

/// A journal in a folder of its own. One at a time: the data directory's lock sees to it.
#[derive(Debug)]
pub struct OnDisk {
    shared: Arc<Shared>,
    key: HashKey,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What those who append and those who write share.
#[derive(Debug)]
struct Shared {
    durability: Durability,
    buffer: Mutex<Buffer>,
    /// Told when there is something to write, or to close.
    filled: Condvar,
    writer: Mutex<Writer>,
    /// The offset of the next record, to be read without the lock.
    next: AtomicU64,
    budget: Arc<Budget>,
    shelf: Arc<Shelf>,
    advance: Advance,
    synced: AtomicU64,
    poisoned: AtomicBool,
    /// Why it is poisoned.
    fault: OnceLock<String>,
    meter: Meter,
    behind: Behind,
}

impl OnDisk {
    /// Opens the journal of a folder, or begins one. A torn tail is cut, and [`OnDisk::take_notes`] says so.
    ///
    /// # Errors
    /// If the disk refuses, if what was durable is damaged, if a later version wrote it, or if the folder holds
    /// something else.
    pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<Self, JournalError> {
        let path = disk.path("");
        let log = Log::open(
            disk,
            Opening {
                birth_key: options.birth_key,
                birth_first: options.birth_first,
                segment_bytes: options.segment_bytes.min(2 << 30),
                synced: options.synced,
                thorough: options.thorough,
            },
        )?;
        let (next, key) = (log.next(), log.key());
        let shared = Arc::new(Shared {
            durability: options.durability,
            buffer: Mutex::new(Buffer::new(&log)),
            filled: Condvar::new(),
            next: AtomicU64::new(next),
            budget: Arc::new(Budget::new(options.buffer_bytes.min(1 << 30))),
            shelf: Arc::clone(&log.shelf),
            advance: Advance::from(next),
            synced: AtomicU64::new(log.synced()),
            poisoned: AtomicBool::new(false),
            fault: OnceLock::new(),
            meter: Meter::new(),
            behind: Behind::default(),
            writer: Mutex::new(Writer::new(log)),
        });
        let failed = || JournalError::io("start the writer of", &path);
        let writer = Arc::clone(&shared);
        let mut threads = vec![spawn("journal-writer", move || writer.run()).map_err(failed())?];
        if options.durability == Durability::Os {
            let behind = Arc::clone(&shared);
            threads.push(spawn("journal-sync", move || behind.sync_behind()).map_err(failed())?);
        }
        Ok(Self { shared, key, threads: Mutex::new(threads) })
    }

    /// The key under which ids are hashed, made at the journal's birth.
    pub fn key(&self) -> HashKey {
        self.key
    }

    /// D: everything below is on the disk.
    pub fn synced(&self) -> u64 {
        self.shared.synced.load(Ordering::Acquire)
    }

    /// Why nothing more becomes durable; none while all is well.
    pub fn fault(&self) -> Option<&str> {
        self.shared.fault.get().map(String::as_str)
    }

    /// What people should know: that a tail was cut, that an index is built again. Each is given once.
    pub fn take_notes(&self) -> Vec<String> {
        self.shared.shelf.take_notes()
    }

    /// How long syncs took since it was opened.
    pub fn sync_times(&self) -> SyncTimes {
        self.shared.meter.sync_times()
    }

    /// Tells somebody how long each sync took, on the thread that syncs: to be counted, not waited for. Only the first who
    /// asks is told.
    pub fn on_sync(&self, hear: impl Fn(Duration) + Send + Sync + 'static) {
        self.shared.meter.listen(hear);
    }

    /// Offset of the oldest record that is left if whole segments are dropped whose records are all below an offset.
    pub fn oldest_without(&self, before: u64) -> u64 {
        self.shared.shelf.oldest_without(before)
    }

    /// Drops whole sealed segments all of whose records are below an offset. Gives how many.
    ///
    /// # Errors
    /// If the disk refuses; then some of them are dropped, oldest first.
    pub fn prune(&self, before: u64) -> Result<usize, JournalError> {
        self.shared.shelf.prune(before)
    }

    /// What is kept, and how much that is.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn stat(&self) -> Result<Stat, JournalError> {
        Stat::of(&self.shared.shelf, self.synced())
    }

    /// Bytes of the buffer that are taken or promised.
    pub fn buffer_bytes(&self) -> usize {
        self.shared.budget.bytes.load(Ordering::Relaxed)
    }

    /// Writes and syncs what was appended, records D and ends the threads; [`OnDisk::fault`] tells whether that went
    /// well. What is appended afterwards is lost, and whoever waits for it is told.
    pub fn close(&self) {
        self.shared.buffer.lock().closed = true;
        self.shared.filled.notify_one();
        for thread in self.threads.lock().drain(..) {
            // It does not panic, and if it did, nothing more would become durable: as after a fault.
            let _ = thread.join();
        }
        self.shared.advance.close();
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        self.close();
    }
}

impl Journal for OnDisk {
    fn reserve(&self, records: usize, bytes_each: usize) -> Result<Reservation, Full> {
        let bytes_each = bytes_each.saturating_add(frame::OVERHEAD_BYTES);
        self.shared.budget.take(records.saturating_mul(bytes_each))?;
        Ok(Reservation { budget: Some(Arc::clone(&self.shared.budget)), records, bytes_each })
    }

    fn append(&self, entry: &Entry<'_>) -> u64 {
        self.shared.append(entry)
    }

    fn gathers(&self) -> bool {
        self.shared.durability == Durability::Os
    }

    fn urge(&self) {
        if self.gathers() {
            self.shared.urge();
        }
    }

    fn durable(&self) -> u64 {
        self.shared.shelf.durable()
    }

    fn synced(&self) -> u64 {
        Self::synced(self)
    }

    fn next(&self) -> u64 {
        self.shared.next.load(Ordering::Acquire)
    }

    fn watch(&self) -> watch::Receiver<Progress> {
        self.shared.advance.watch()
    }

    fn reached(&self, offset: u64, waker: Option<&Waker>) -> Poll<Progress> {
        self.shared.advance.reached(offset, waker)
    }

    fn fail(&self, why: &str) {
        self.shared.poison(why.to_owned());
    }

    fn load(&self) -> Load {
        let records_ahead = self.next().saturating_sub(self.durable());
        Load { records_ahead, wait: self.shared.meter.wait(records_ahead, Instant::now()) }
    }

    fn read(&self, offset: u64, into: &mut Vec<u8>) -> Result<Option<RecordKind>, JournalError> {
        self.shared.shelf.read(offset, into)
    }

    fn find(&self, id: u128, within: Range<u64>) -> Result<Option<(u64, RecordKind)>, JournalError> {
        self.shared.shelf.find(id, within)
    }

    fn surely_lacks(&self, id: u128, from: u64) -> bool {
        self.shared.shelf.surely_lacks(id, from)
    }

    fn oldest(&self) -> u64 {
        self.shared.shelf.oldest()
    }

    fn find_decision(&self, decision: u128) -> Result<Option<u64>, JournalError> {
        self.shared.shelf.find_decision(decision)
    }

    fn about(&self, entity: EntityKey, most: usize, into: &mut Vec<u64>) -> Result<(), JournalError> {
        self.shared.shelf.about(entity, most, into)
    }

    fn cursor(&self, from: u64) -> Result<Box<dyn Cursor>, JournalError> {
        Ok(Box::new(Reader::new(Arc::clone(&self.shared.shelf), from)?))
    }
}
