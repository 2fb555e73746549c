//! Records read ahead: what can be made of a record without the state, its message and its event, is made on a thread of
//! its own, while the one that applies records has the other half of the work.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use engine::entity::HashKey;
use engine::event::Event;

use super::Failed;
use super::error::unreadable;
use crate::journal::{Cursor, JournalError, Record, RecordKind};
use crate::record::{Decided, Stamp};

/// Records that go from thread to thread at once.
const BATCH: usize = 128;
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
    failed: Option<Failed>,
}

impl Parsed {
    /// Reads a record over this one, keeping its buffers.
    pub(super) fn read(&mut self, record: &Record<'_>, key: HashKey) {
        self.offset = record.offset;
        self.kind = Some(record.kind);
        self.body.clear();
        self.body.extend_from_slice(record.body);
        self.failed = self.parse(key).err();
    }

    fn parse(&mut self, key: HashKey) -> Result<(), Failed> {
        let (_, bytes) = Stamp::split(&self.body).ok_or(Failed::Stamp)?;
        if let Some(RecordKind::Decided | RecordKind::Event) = self.kind {
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

/// Reads records to the end of what is durable and hands each to `apply`, in their order.
///
/// # Errors
/// The first that reading or applying meets.
pub(crate) fn each<E: From<JournalError>>(
    records: Box<dyn Cursor>,
    key: HashKey,
    mut apply: impl FnMut(&Parsed) -> Result<(), E>,
) -> Result<(), E> {
    thread::scope(|scope| {
        let (to, batches) = sync_channel(BATCHES_WAITING);
        let (back, used) = channel();
        scope.spawn(move || read_ahead(records, key, &to, &used));
        for batch in batches {
            let batch: Batch = batch?;
            batch.slots.iter().take(batch.filled).try_for_each(&mut apply)?;
            // It may have ended.
            let _ = back.send(batch);
        }
        Ok(())
    })
}

/// Reads to the end, to an error, or until nobody takes what was read.
fn read_ahead(
    mut records: Box<dyn Cursor>,
    key: HashKey,
    to: &SyncSender<Result<Batch, JournalError>>,
    used: &Receiver<Batch>,
) {
    loop {
        let mut batch = used.try_recv().unwrap_or_default();
        let read = fill(&mut batch, &mut *records, key);
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
fn fill(batch: &mut Batch, records: &mut dyn Cursor, key: HashKey) -> Result<(), JournalError> {
    batch.filled = 0;
    batch.slots.resize_with(BATCH, Parsed::default);
    for slot in &mut batch.slots {
        let Some(record) = records.next()? else { break };
        slot.read(&record, key);
        batch.filled += 1;
    }
    Ok(())
}
