//! Records read ahead: what can be made of a record without the state, its message, its event and most likely its facts,
//! is made on a thread of its own, which also prefetches the entities; the one that applies records has the other half of
//! the work.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use engine::entity::HashKey;
use engine::event::Event;
use engine::facts::Facts;
use parking_lot::Mutex;

use super::error::unreadable;
use super::{Failed, Fold, FoldError};
use crate::in_force::InForce;
use crate::journal::{Cursor, JournalError, Record, RecordKind};
use crate::record::{Decided, Stamp};
use crate::state::directory::{Directory, Prefetch, Slot};

/// Records that go from thread to thread at once.
const BATCH: usize = 128;
/// Records whose entities are fetched together: first the states of all, which say where the histories are, then these.
const TOGETHER: usize = 8;
/// Batches that wait to be applied.
const BATCHES_WAITING: usize = 4;

/// A record with what can be made of it without the state.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) offset: u64,
    pub(super) kind: Option<RecordKind>,
    body: Vec<u8>,
    /// Of a record of an event …
    pub(super) message: Decided,
    /// … the event …
    pub(super) event: Event,
    /// … and the hash of its id.
    pub(super) id: u128,
    /// Its facts, and what they were loaded under.
    facts: Option<(Arc<InForce>, Facts)>,
    is_loaded: bool,
    /// The slots of its entities, if all were found: see [`Parsed::take_facts`].
    pub(super) near: Vec<Slot>,
    failed: Option<Failed>,
}

impl Parsed {
    /// Reads a record over this one, keeping its buffers.
    pub(super) fn read(&mut self, record: &Record<'_>, key: HashKey) {
        self.offset = record.offset;
        self.kind = Some(record.kind);
        self.body.clear();
        self.body.extend_from_slice(record.body);
        self.is_loaded = false;
        self.near.clear();
        self.failed = self.parse(key).err();
    }

    fn is_event(&self) -> bool {
        self.kind.is_some_and(RecordKind::is_event)
    }

    /// Whether it changes nothing that is in force.
    fn is_about_an_event(&self) -> bool {
        self.is_event() || self.kind == Some(RecordKind::Amend)
    }

    /// Loads the facts of an event under what is probably in force, and prefetches its entities' states.
    fn load(&mut self, in_force: &Arc<InForce>, near: &Near) {
        if self.failed.is_some() || !self.is_event() {
            return;
        }
        let rules = &*in_force.rules;
        let kept = self.facts.take().filter(|(under, _)| Arc::ptr_eq(under, in_force));
        let new = || (Arc::clone(in_force), Facts::new(rules));
        let (under, mut facts) = kept.unwrap_or_else(new);
        // What is wrong with it is said when it is applied.
        self.is_loaded = facts.load(&self.event, rules, &in_force.rates).is_ok();
        if self.is_loaded {
            near.directory.prefetch(&facts.roles.stateful);
        }
        self.facts = Some((under, facts));
    }

    /// Finds the entities of an event whose facts are loaded, and prefetches what is read of their histories.
    fn bring_near(&mut self, near: &Near) {
        if let Some((_, facts)) = self.facts.as_ref().filter(|_| self.is_loaded) {
            near.directory.bring_near(&facts.roles.stateful, &mut self.near, near.prefetch);
        }
    }

    /// Puts the facts where they are needed, if they were loaded under what is in force; otherwise the slots are not
    /// those of what is loaded instead.
    pub(super) fn take_facts(&mut self, in_force: &Arc<InForce>, into: &mut Facts) -> bool {
        match &mut self.facts {
            Some((under, facts)) if self.is_loaded && Arc::ptr_eq(under, in_force) => {
                std::mem::swap(facts, into);
                true
            }
            _ => {
                self.near.clear();
                false
            }
        }
    }

    fn parse(&mut self, key: HashKey) -> Result<(), Failed> {
        let (_, bytes) = Stamp::split(&self.body).ok_or(Failed::Stamp)?;
        if self.is_event() {
            self.message.read(bytes).map_err(unreadable)?;
            self.message.event(&mut self.event).ok_or(Failed::Event)?;
            self.id = key.hash128(&self.event.id);
        }
        Ok(())
    }

    /// The record's kind, its stamp and its message.
    ///
    /// # Errors
    /// If it does not say what it must.
    pub(super) fn parts(&self) -> Result<(RecordKind, Stamp, &[u8]), Failed> {
        match (self.kind, Stamp::split(&self.body), &self.failed) {
            (_, _, Some(failed)) => Err(failed.clone()),
            (Some(kind), Some((stamp, message)), None) => Ok((kind, stamp, message)),
            _ => Err(Failed::Stamp),
        }
    }

    /// The whole record.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }
}

/// Records that follow each other, in slots that are used again.
#[derive(Debug, Default)]
struct Batch {
    slots: Vec<Parsed>,
    filled: usize,
}

/// Folds records up to the end of what is durable, in their order; gives how many. `check` may refuse the offset of one.
///
/// # Errors
/// The first that reading, checking or applying meets.
pub(crate) fn fold<E: From<JournalError> + From<FoldError>>(
    records: Box<dyn Cursor>,
    fold: &mut Fold,
    mut check: impl FnMut(u64) -> Result<(), E>,
) -> Result<u64, E> {
    let near = Near {
        key: fold.key,
        directory: Arc::clone(&fold.state.directory),
        prefetch: fold.prefetch(),
        newest: Mutex::new(fold.newest()),
    };
    thread::scope(|scope| {
        let (to, batches) = sync_channel(BATCHES_WAITING);
        let (back, used) = channel();
        let near = &near;
        scope.spawn(move || read_ahead(records, near, &to, &used));
        let mut count = 0;
        for batch in batches {
            let mut batch: Batch = batch?;
            for it in batch.slots.iter_mut().take(batch.filled) {
                check(it.offset)?;
                fold.apply_parsed(it)?;
                if !it.is_about_an_event() {
                    *near.newest.lock() = fold.newest();
                }
                count += 1;
            }
            // It may have ended.
            let _ = back.send(batch);
        }
        Ok(count)
    })
}

/// What the thread that reads ahead knows of the state.
struct Near {
    key: HashKey,
    directory: Arc<Directory>,
    /// What of the entities whoever applies the records will read.
    prefetch: Prefetch,
    /// What was in force last, as far as records were applied.
    newest: Mutex<Option<Arc<InForce>>>,
}

/// Reads to the end, to an error, or until nobody takes what was read.
fn read_ahead(
    mut records: Box<dyn Cursor>,
    near: &Near,
    to: &SyncSender<Result<Batch, JournalError>>,
    used: &Receiver<Batch>,
) {
    loop {
        let mut batch = used.try_recv().unwrap_or_default();
        let read = fill(&mut batch, &mut *records, near);
        let more = batch.filled == BATCH;
        if to.send(Ok(batch)).is_err() {
            return;
        }
        if let Err(error) = read {
            let _ = to.send(Err(error));
            return;
        }
        if !more {
            return;
        }
    }
}

/// Fills a batch, less at the end of what is durable or before an error.
fn fill(batch: &mut Batch, records: &mut dyn Cursor, near: &Near) -> Result<(), JournalError> {
    let newest = near.newest.lock().clone();
    batch.filled = 0;
    batch.slots.resize_with(BATCH, Parsed::default);
    for few in batch.slots.chunks_mut(TOGETHER) {
        let mut read = 0;
        for slot in few.iter_mut() {
            let Some(record) = records.next()? else { break };
            slot.read(&record, near.key);
            if let Some(newest) = &newest {
                slot.load(newest, near);
            }
            read += 1;
            batch.filled += 1;
        }
        few.iter_mut().take(read).for_each(|it| it.bring_near(near));
        if read < TOGETHER {
            break;
        }
    }
    Ok(())
}
