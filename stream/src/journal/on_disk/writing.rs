//! Who writes, and when.
//!
//! Under [`Durability::Fsync`] it is a thread of its own: while one batch is synced the next one gathers, so that one
//! sync serves all who came meanwhile. Where many come, the first of them waits for the others, until as many are there as
//! last time, but not longer than a sync takes: a sync costs the processors as much as a decision or two, and whoever
//! comes just behind it would wait for two (PostgreSQL's `commit_delay` and `commit_siblings`).
//!
//! Under [`Durability::Os`] a write takes less than telling another thread of it and being woken by that. There it is
//! whoever wants its answer: it writes all that has gathered, its own records and those of others, who then find
//! theirs durable. The thread writes what nobody asks for, and everything while the disk is slow; another syncs behind
//! the answers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::{Durability, Shared};
use crate::aside;
use crate::journal::batch::{Batch, Role};
use crate::journal::log::Log;
use crate::journal::meter::Fit;
use crate::journal::shelf::Segment;
use crate::journal::{Entry, JournalError};

/// After so long without a record D is recorded.
const IDLE_AFTER: Duration = Duration::from_millis(50);
/// A buffer that a burst made larger than this is given back after it.
const BUFFER_KEPT_BYTES: usize = 1 << 23;

// Under `Fsync`:
/// From so many records in a batch on the next one is let gather …
const MANY_RECORDS: u64 = 8;
/// … for as long as a sync takes, but no longer than this.
const GATHER_MAX: Duration = Duration::from_micros(500);

// Under `Os`:
/// While records come the thread looks so often whether some of them are there for which nobody asks.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// With so much the thread does not wait to be asked.
const GATHERED_BYTES: usize = 64 << 10;
/// Callers write only while writing is as quick as this: they may have others to serve.
const QUICK: Duration = Duration::from_micros(500);
/// So often a caller writes what came while it wrote, before it leaves the rest to the thread.
const ROUNDS: usize = 4;
/// What a crash of the machine may take is what was written in this time.
const SYNC_EVERY: Duration = Duration::from_millis(50);

/// The records that gather.
#[derive(Debug)]
pub(super) struct Buffer {
    batch: Batch,
    sleep: Sleep,
    /// Somebody waits for what is in it, and finds somebody else writing.
    asked: bool,
    /// The offset that the last mark recorded as D.
    marked: Option<u64>,
    pub(super) closed: bool,
}

/// What ends the sleep of the writer's thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sleep {
    /// It is awake.
    No,
    /// A record.
    UntilRecord,
    /// [`GATHERED_BYTES`].
    UntilMany,
    /// So many records.
    UntilCrowd(u64),
}

/// How many are expected in the next batch, under [`Durability::Fsync`]; none while few come.
#[derive(Clone, Copy, Debug, Default)]
struct Crowd {
    records: u64,
    /// How long the first of them waits for the others.
    patience: Duration,
}

impl Crowd {
    /// The one after a batch of so many records, whose sync took so long. One that was small by chance does not end it.
    fn after(self, records: u64, took: Duration) -> Self {
        let records = records.max(self.records / 2);
        if records < MANY_RECORDS {
            Self::default()
        } else {
            Self { records, patience: took.min(GATHER_MAX) }
        }
    }
}

/// What the writer's thread does next.
enum Task {
    Write,
    /// Nothing came for a while.
    Mark,
    Close,
}

/// Whether a segment may be sealed and another begun for what is to be written, which takes syncs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Roll {
    IfFull,
    No,
}

/// What came of taking what has gathered.
enum Taken {
    All,
    /// There is none.
    Nothing,
    /// There is more than the segment has room for.
    TooMuch,
}

impl Buffer {
    pub(super) fn new(log: &Log) -> Self {
        let batch = Batch::new(log.next(), log.batch());
        Self { batch, sleep: Sleep::No, asked: false, marked: None, closed: false }
    }
}

impl Shared {
    /// Adds a record to what gathers; gives its offset.
    pub(super) fn append(&self, entry: &Entry<'_>) -> u64 {
        let mut buffer = self.buffer.lock();
        if buffer.batch.records == 0 {
            self.meter.gather(Instant::now());
        }
        let before = buffer.batch.bytes.len();
        let offset = buffer.batch.push(entry);
        let gathered = buffer.batch.bytes.len();
        self.next.store(offset + 1, Ordering::Release);
        // Before the writer can take it, who gives it back.
        self.budget.add(gathered - before);
        let wake = match buffer.sleep {
            Sleep::No => false,
            Sleep::UntilRecord => true,
            Sleep::UntilMany => GATHERED_BYTES < gathered,
            Sleep::UntilCrowd(records) => records <= buffer.batch.records,
        };
        if wake {
            buffer.sleep = Sleep::No;
        }
        drop(buffer);
        if wake {
            self.filled.notify_one();
        }
        offset
    }

    /// Has everything written that was appended: here, if nobody else is at it.
    pub(super) fn urge(&self) {
        // Whoever writes looks whether somebody asked when it is done, so asking comes before seeing it write.
        self.buffer.lock().asked = true;
        if self.meter.usual() <= QUICK && self.write_here() {
            return;
        }
        self.buffer.lock().sleep = Sleep::No;
        self.filled.notify_one();
    }

    /// Writes what was appended, and what was asked for meanwhile; whether the thread has nothing to do for those who
    /// asked.
    fn write_here(&self) -> bool {
        for _ in 0..ROUNDS {
            let Some(mut writer) = self.writer.try_lock() else { return true };
            match writer.write(self, Roll::No) {
                Ok(true) => {}
                Ok(false) => return false,
                Err(error) => {
                    self.poison(error.to_string());
                    return true;
                }
            }
            drop(writer);
            if !self.buffer.lock().asked {
                return true;
            }
        }
        false
    }

    /// The writer's thread.
    pub(super) fn run(&self) {
        let mut crowd = Crowd::default();
        loop {
            let task = self.wait(crowd);
            let mut writer = self.writer.lock();
            // It may have been somebody else who failed.
            if self.poisoned.load(Ordering::Acquire) {
                break;
            }
            let done = match task {
                Task::Write => writer.write(self, Roll::IfFull).map(drop),
                Task::Mark => writer.mark(Role::Idle, self),
                Task::Close => writer.mark(Role::Closed, self),
            };
            if let Err(error) = done {
                self.poison(error.to_string());
            }
            if matches!(task, Task::Close) {
                break;
            }
            crowd = writer.crowd;
        }
        self.behind.work.lock().closed = true;
        self.behind.told.notify_one();
        let filing = self.writer.lock().filing.take();
        if let Some(filing) = filing {
            let _ = filing.join();
        }
    }

    /// Waits for something to do.
    fn wait(&self, crowd: Crowd) -> Task {
        let mut buffer = self.buffer.lock();
        // The batch that it saw gather when it last looked, and the next record.
        let mut seen = None;
        // When the first of a crowd has waited long enough for the others.
        let mut enough = None;
        loop {
            buffer.sleep = Sleep::No;
            let Batch { number, records, .. } = buffer.batch;
            let stayed = seen.is_some_and(|(batch, _)| batch == number);
            let ripe = match self.durability {
                Durability::Fsync => {
                    crowd.records <= records || enough.is_some_and(|it| it <= Instant::now())
                }
                Durability::Os => GATHERED_BYTES < buffer.batch.bytes.len() || stayed,
            };
            if records != 0 && (ripe || buffer.asked || buffer.closed) {
                return Task::Write;
            }
            if buffer.closed {
                return Task::Close;
            }
            if self.durability == Durability::Fsync && records != 0 {
                let enough = *enough.get_or_insert_with(|| Instant::now() + crowd.patience);
                buffer.sleep = Sleep::UntilCrowd(crowd.records);
                self.filled.wait_until(&mut buffer, enough);
                continue;
            }
            let next = buffer.batch.next();
            if records != 0 || seen.is_some_and(|(_, before)| before != next) {
                // Records come, and whoever waits for one writes it: nobody need wake this thread for each.
                seen = Some((number, next));
                buffer.sleep = Sleep::UntilMany;
                self.filled.wait_for(&mut buffer, LOOK_EVERY);
                continue;
            }
            buffer.sleep = Sleep::UntilRecord;
            if buffer.marked == Some(next) {
                self.filled.wait(&mut buffer);
            } else if self.filled.wait_for(&mut buffer, IDLE_AFTER).timed_out()
                && buffer.batch.records == 0
                && !buffer.closed
            {
                buffer.sleep = Sleep::No;
                return Task::Mark;
            }
        }
    }

    /// Ends the journal: nothing more becomes durable.
    pub(super) fn poison(&self, why: String) {
        // The first error is the cause of those that follow.
        let _ = self.fault.set(why);
        self.poisoned.store(true, Ordering::Release);
        self.advance.poison();
    }

    /// Syncs what was written, again and again.
    pub(super) fn sync_behind(&self) {
        loop {
            let Some((segment, written)) = self.behind.next() else { return };
            let began = Instant::now();
            let syncing = self.behind.syncing.lock();
            if let Err(error) = segment.file.sync() {
                let error = JournalError::io("sync", &self.shelf.path(&segment))(error);
                return self.poison(error.to_string());
            }
            drop(syncing);
            self.meter.synced(began.elapsed());
            self.synced.fetch_max(written, Ordering::AcqRel);
            self.behind.rest_until(began + SYNC_EVERY);
        }
    }
}

/// What is to be synced behind the answers, under [`Durability::Os`].
#[derive(Debug, Default)]
pub(super) struct Behind {
    work: Mutex<BehindWork>,
    told: Condvar,
    /// Held by whoever syncs, until it is known whether that failed: of two who sync a file at once the system tells one.
    syncing: Mutex<()>,
}

#[derive(Debug, Default)]
struct BehindWork {
    /// A segment, and the offset below which all of it, and all before it, was written.
    written: Option<(Arc<Segment>, u64)>,
    closed: bool,
}

impl Behind {
    fn tell(&self, segment: &Arc<Segment>, written: u64) {
        let before = self.work.lock().written.replace((Arc::clone(segment), written));
        if before.is_none() {
            self.told.notify_one();
        }
    }

    /// Waits for something to sync; none when there will be nothing more.
    fn next(&self) -> Option<(Arc<Segment>, u64)> {
        let mut work = self.work.lock();
        loop {
            match work.written.take() {
                Some(written) => return Some(written),
                None if work.closed => return None,
                None => self.told.wait(&mut work),
            }
        }
    }

    fn rest_until(&self, end: Instant) {
        let mut work = self.work.lock();
        while !work.closed && !self.told.wait_until(&mut work, end).timed_out() {}
    }
}

/// The writing end; whoever has locked it writes.
#[derive(Debug)]
pub(super) struct Writer {
    log: Log,
    /// What is being written.
    batch: Batch,
    fit: Fit,
    /// Who is expected next.
    crowd: Crowd,
    /// The thread that files the index of a sealed segment.
    filing: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn new(log: Log) -> Self {
        let batch = Batch::new(log.next(), log.batch());
        Self { log, batch, fit: Fit::default(), crowd: Crowd::default(), filing: None }
    }

    /// Writes what has gathered, and syncs it where that is what answers wait for. Gives false where nothing was taken, for
    /// a segment would have to be begun.
    fn write(&mut self, shared: &Shared, roll: Roll) -> Result<bool, JournalError> {
        match self.take(shared, roll) {
            Taken::Nothing => return Ok(true),
            Taken::TooMuch => return Ok(false),
            Taken::All => {}
        }
        let Self { log, batch, .. } = self;
        let (records, bytes) = (batch.records, batch.frames_bytes());
        let began = Instant::now();
        shared.meter.begin(records, began);
        log.set_synced(shared.synced.load(Ordering::Acquire));
        // To roll is to sync.
        let _syncing = (!log.has_room(batch.bytes.len())).then(|| shared.behind.syncing.lock());
        if shared.poisoned.load(Ordering::Acquire) {
            return Ok(true);
        }
        log.write(batch)?;
        if BUFFER_KEPT_BYTES < batch.bytes.capacity() {
            batch.bytes.shrink_to(BUFFER_KEPT_BYTES);
        }
        match shared.durability {
            Durability::Fsync => self.sync(records, shared)?,
            Durability::Os => shared.behind.tell(log.segment(), log.next()),
        }
        // INVARIANT (order): what is found by a reader was in the index before it is told to be durable.
        let durable = self.log.next();
        shared.advance.to(durable, || shared.shelf.set_durable(durable));
        shared.budget.give_back(bytes);
        shared.meter.end(records, began.elapsed(), &mut self.fit);
        self.file_sealed(shared);
        Ok(true)
    }

    /// Takes what has gathered.
    fn take(&mut self, shared: &Shared, roll: Roll) -> Taken {
        let mut buffer = shared.buffer.lock();
        if roll == Roll::No && !self.log.has_room(buffer.batch.bytes.len()) {
            return Taken::TooMuch;
        }
        buffer.asked = false;
        if buffer.batch.records == 0 {
            return Taken::Nothing;
        }
        self.batch.restart(buffer.batch.next(), buffer.batch.number + 1);
        std::mem::swap(&mut buffer.batch, &mut self.batch);
        Taken::All
    }

    fn sync(&mut self, records: u64, shared: &Shared) -> Result<(), JournalError> {
        let began = Instant::now();
        self.log.sync()?;
        let took = began.elapsed();
        shared.meter.synced(took);
        self.crowd = self.crowd.after(records, took);
        shared.synced.fetch_max(self.log.synced(), Ordering::AcqRel);
        Ok(())
    }

    /// Records that everything is on the disk, so that damage to it is told from a torn tail.
    fn mark(&mut self, role: Role, shared: &Shared) -> Result<(), JournalError> {
        let _syncing = shared.behind.syncing.lock();
        if shared.poisoned.load(Ordering::Acquire) {
            return Ok(());
        }
        self.log.mark(role)?;
        shared.synced.fetch_max(self.log.synced(), Ordering::AcqRel);
        shared.buffer.lock().marked = Some(self.log.next());
        Ok(())
    }

    /// Files the index of a segment that was sealed, beside the writing.
    fn file_sealed(&mut self, shared: &Shared) {
        let Some(segment) = self.log.take_sealed() else { return };
        if let Some(before) = self.filing.take() {
            let _ = before.join();
        }
        let shelf = Arc::clone(&shared.shelf);
        let file = move || {
            aside::step_aside();
            shelf.file_index(&segment);
        };
        match spawn("journal-index", file) {
            Ok(filing) => self.filing = Some(filing),
            Err(error) => {
                shared.shelf.note(format!("cannot file an index: {error}; it stays in memory"));
            }
        }
    }
}

pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of so many records, whose syncs took so many microseconds, and the crowd that is expected behind each.
    #[track_caller]
    fn check(batches: &[(u64, u64)], expected: &[(u64, u64)]) {
        let mut crowd = Crowd::default();
        let after = |(records, took_us): &(u64, u64)| {
            crowd = crowd.after(*records, Duration::from_micros(*took_us));
            (crowd.records, u64::try_from(crowd.patience.as_micros()).unwrap())
        };
        assert_eq!(batches.iter().map(after).collect::<Vec<_>>(), expected, "{batches:?}");
    }

    #[test]
    fn a_crowd_is_expected_behind_a_crowd() {
        check(&[(1, 200), (7, 200), (8, 200), (30, 250)], &[(0, 0), (0, 0), (8, 200), (30, 250)]);
        // One that was small by chance does not end it, several do.
        check(&[(30, 250), (1, 200), (1, 200)], &[(30, 250), (15, 200), (0, 0)]);
        check(&[(30, 250), (1, 200), (28, 200)], &[(30, 250), (15, 200), (28, 200)]);
        // However slow the disk is, nobody waits for others for long.
        check(&[(500, 20_000)], &[(500, 500)]);
    }
}
