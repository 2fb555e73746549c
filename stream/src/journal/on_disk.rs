//! The journal on a disk: appending copies into a buffer, and a thread of its own writes it.
//!
//! ```text
//! append ──► buffer ──► batch ──► write ──► sync ──► durable: whoever waits is woken
//! ```
//! While one batch is written the next one gathers, so that one sync serves all who came meanwhile.

use std::io;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use engine::entity::{EntityKey, HashKey};
use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use super::batch::{Batch, Role};
use super::frame;
use super::log::{Log, Opening};
use super::meter::{Fit, Meter, SyncTimes};
use super::reader::Reader;
use super::shelf::{Segment, Shelf};
use super::survey::Thorough;
use super::{
    Budget, Cursor, Entry, Full, Journal, JournalError, Load, Progress, RecordKind, Reservation, Stat,
};
use crate::disk::Disk;

/// After so long without a record D is recorded.
const IDLE_AFTER: Duration = Duration::from_millis(50);
/// A buffer that a burst made larger than this is given back after it.
const BUFFER_KEPT_BYTES: usize = 1 << 23;

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

/// What the gate's threads and the writer share.
#[derive(Debug)]
struct Shared {
    buffer: Mutex<Buffer>,
    /// Told when there is something to write, or to close.
    filled: Condvar,
    /// The offset of the next record, to be read without the lock.
    next: AtomicU64,
    budget: Arc<Budget>,
    shelf: Arc<Shelf>,
    progress: watch::Sender<Progress>,
    synced: AtomicU64,
    poisoned: AtomicBool,
    /// Why it is poisoned.
    fault: OnceLock<String>,
    meter: Meter,
    behind: Behind,
}

/// The records that gather while the writer writes.
#[derive(Debug)]
struct Buffer {
    batch: Batch,
    /// Whether the writer sleeps.
    waiting: bool,
    closed: bool,
}

/// What is to be synced behind the answers, under [`Durability::Os`].
#[derive(Debug, Default)]
struct Behind {
    work: Mutex<BehindWork>,
    told: Condvar,
}

#[derive(Debug, Default)]
struct BehindWork {
    /// A segment, and the offset below which all of it, and all before it, was written.
    written: Option<(Arc<Segment>, u64)>,
    closed: bool,
}

/// What the writer does next.
enum Task {
    Write,
    /// Nothing came for a while.
    Mark,
    Close,
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
                segment_bytes: options.segment_bytes.min(2 << 30),
                synced: options.synced,
                thorough: options.thorough,
            },
        )?;
        let (next, key) = (log.next(), log.key());
        let shared = Arc::new(Shared {
            buffer: Mutex::new(Buffer {
                batch: Batch::new(next, log.batch()),
                waiting: false,
                closed: false,
            }),
            filled: Condvar::new(),
            next: AtomicU64::new(next),
            budget: Arc::new(Budget::new(options.buffer_bytes.min(1 << 30))),
            shelf: Arc::clone(&log.shelf),
            progress: watch::Sender::new(Progress { durable: next, poisoned: false }),
            synced: AtomicU64::new(log.synced()),
            poisoned: AtomicBool::new(false),
            fault: OnceLock::new(),
            meter: Meter::new(),
            behind: Behind::default(),
        });
        let mut threads = Vec::new();
        let writer = Writer {
            shared: Arc::clone(&shared),
            log,
            durability: options.durability,
            fit: Fit::default(),
            filing: None,
            marked: None,
        };
        let failed = || JournalError::io("start the writer of", &path);
        threads.push(spawn("journal-writer", move || writer.run()).map_err(failed())?);
        if options.durability == Durability::Os {
            let shared = Arc::clone(&shared);
            threads.push(spawn("journal-sync", move || shared.sync_behind()).map_err(failed())?);
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

    /// Offset of the oldest record that is kept.
    pub fn oldest(&self) -> u64 {
        self.shared.shelf.oldest()
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
    /// well. What is appended afterwards is lost.
    pub fn close(&self) {
        self.shared.buffer.lock().closed = true;
        self.shared.filled.notify_one();
        for thread in self.threads.lock().drain(..) {
            // It does not panic, and if it did, nothing more would become durable: as after a fault.
            let _ = thread.join();
        }
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
        let mut buffer = self.shared.buffer.lock();
        let before = buffer.batch.bytes.len();
        let offset = buffer.batch.push(entry);
        let bytes = buffer.batch.bytes.len() - before;
        self.shared.next.store(offset + 1, Ordering::Release);
        // Before the writer can take it, who gives it back.
        self.shared.budget.add(bytes);
        let wake = std::mem::take(&mut buffer.waiting);
        drop(buffer);
        if wake {
            self.shared.filled.notify_one();
        }
        offset
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
        self.shared.progress.subscribe()
    }

    fn load(&self) -> Load {
        let records_ahead = self.next().saturating_sub(self.durable());
        Load {
            records_ahead,
            records_per_s: self.shared.meter.records_per_s(),
            wait: self.shared.meter.wait(records_ahead),
            poisoned: self.shared.poisoned.load(Ordering::Acquire),
        }
    }

    fn read(&self, offset: u64, into: &mut Vec<u8>) -> Result<Option<RecordKind>, JournalError> {
        self.shared.shelf.read(offset, into)
    }

    fn find(&self, id: u128) -> Result<Option<u64>, JournalError> {
        self.shared.shelf.find(id)
    }

    fn about(
        &self,
        entity: EntityKey,
        before: u64,
        most: usize,
        into: &mut Vec<u64>,
    ) -> Result<(), JournalError> {
        self.shared.shelf.about(entity, before, most, into)
    }

    fn cursor(&self, from: u64) -> Result<Box<dyn Cursor>, JournalError> {
        Ok(Box::new(Reader::new(Arc::clone(&self.shared.shelf), from)?))
    }
}

impl Shared {
    /// Waits for something to do. A batch to write is put into `batch`, which was empty.
    fn wait(&self, batch: &mut Batch, marked: bool) -> Task {
        let mut buffer = self.buffer.lock();
        loop {
            if buffer.batch.records != 0 {
                batch.restart(buffer.batch.next(), buffer.batch.number + 1);
                std::mem::swap(&mut buffer.batch, batch);
                return Task::Write;
            }
            if buffer.closed {
                return Task::Close;
            }
            buffer.waiting = true;
            if marked {
                self.filled.wait(&mut buffer);
            } else if self.filled.wait_for(&mut buffer, IDLE_AFTER).timed_out()
                && buffer.batch.records == 0
                && !buffer.closed
            {
                buffer.waiting = false;
                return Task::Mark;
            }
        }
    }

    /// Tells that everything below an offset may be answered, unless the journal has ended meanwhile.
    fn publish(&self, durable: u64) {
        self.progress.send_if_modified(|progress| {
            if !progress.poisoned {
                self.shelf.set_durable(durable);
                progress.durable = durable;
            }
            !progress.poisoned
        });
    }

    /// Ends the journal: nothing more becomes durable.
    fn poison(&self, error: &JournalError) {
        // The first error is the cause of those that follow.
        let _ = self.fault.set(error.to_string());
        self.poisoned.store(true, Ordering::Release);
        self.progress.send_modify(|progress| progress.poisoned = true);
    }

    /// Syncs what was written, again and again.
    fn sync_behind(&self) {
        loop {
            let mut work = self.behind.work.lock();
            let (segment, written) = loop {
                match work.written.take() {
                    Some(written) => break written,
                    None if work.closed => return,
                    None => self.behind.told.wait(&mut work),
                }
            };
            drop(work);
            let began = Instant::now();
            match segment.file.sync() {
                Ok(()) => {
                    self.meter.synced(began.elapsed());
                    self.synced.fetch_max(written, Ordering::AcqRel);
                }
                Err(error) => {
                    return self.poison(&JournalError::io("sync", &self.shelf.path(&segment))(error));
                }
            }
        }
    }
}

/// The writer thread.
struct Writer {
    shared: Arc<Shared>,
    log: Log,
    durability: Durability,
    fit: Fit,
    /// The thread that files the index of a sealed segment.
    filing: Option<JoinHandle<()>>,
    /// The offset that the last mark recorded as D.
    marked: Option<u64>,
}

impl Writer {
    fn run(mut self) {
        if let Err(error) = self.work() {
            self.shared.poison(&error);
        }
        self.shared.behind.work.lock().closed = true;
        self.shared.behind.told.notify_one();
        if let Some(filing) = self.filing.take() {
            let _ = filing.join();
        }
    }

    fn work(&mut self) -> Result<(), JournalError> {
        let mut batch = Batch::new(self.log.next(), self.log.batch());
        loop {
            let marked = self.marked == Some(self.log.next());
            let task = self.shared.wait(&mut batch, marked);
            // Under `Os` it may have been the syncing thread that failed.
            if self.shared.poisoned.load(Ordering::Acquire) {
                return Ok(());
            }
            match task {
                Task::Write => self.write(&mut batch)?,
                Task::Mark => self.mark(Role::Idle)?,
                Task::Close => return self.mark(Role::Closed),
            }
        }
    }

    fn write(&mut self, batch: &mut Batch) -> Result<(), JournalError> {
        let began = self.shared.meter.begin();
        let (records, bytes) = (batch.records, batch.frames_bytes());
        self.log.set_synced(self.shared.synced.load(Ordering::Acquire));
        self.log.write(batch)?;
        if BUFFER_KEPT_BYTES < batch.bytes.capacity() {
            batch.bytes.shrink_to(BUFFER_KEPT_BYTES);
        }
        match self.durability {
            Durability::Fsync => self.sync()?,
            Durability::Os => {
                let written = (Arc::clone(self.log.segment()), self.log.next());
                self.shared.behind.work.lock().written = Some(written);
                self.shared.behind.told.notify_one();
            }
        }
        // INVARIANT (order): what is found by a reader was in the index before it is told to be durable.
        self.shared.publish(self.log.next());
        self.shared.budget.give_back(bytes);
        self.shared.meter.end(began, records, &mut self.fit);
        self.file_sealed();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        let began = Instant::now();
        self.log.sync()?;
        self.shared.meter.synced(began.elapsed());
        self.shared.synced.fetch_max(self.log.synced(), Ordering::AcqRel);
        Ok(())
    }

    /// Records that everything is on the disk, so that damage to it is told from a torn tail.
    fn mark(&mut self, role: Role) -> Result<(), JournalError> {
        self.log.mark(role)?;
        self.shared.synced.fetch_max(self.log.synced(), Ordering::AcqRel);
        self.marked = Some(self.log.next());
        Ok(())
    }

    /// Files the index of a segment that was sealed, beside the writing.
    fn file_sealed(&mut self) {
        let Some(segment) = self.log.take_sealed() else { return };
        if let Some(before) = self.filing.take() {
            let _ = before.join();
        }
        let shelf = Arc::clone(&self.shared.shelf);
        match spawn("journal-index", move || shelf.file_index(&segment)) {
            Ok(filing) => self.filing = Some(filing),
            Err(error) => {
                self.shared.shelf.note(format!("cannot file an index: {error}; it stays in memory"))
            }
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}
