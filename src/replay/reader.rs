//! The reading thread: batches of items, in order, through a bounded channel; emptied batches come back to be filled
//! again, so that nothing is allocated for a row.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use engine::words::Ruling;
use rules::value::Value;
use stream::source::{Item, RowAt, Source, SourceError};

use crate::interrupt::{Interrupt, Interrupted};

/// How often it is looked whether the process is told to stop, while nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Items in a batch: enough that handing one over costs little beside filling it.
const BATCH_ITEMS: usize = 512;
/// Batches that may wait between the threads.
const BATCHES_AHEAD: usize = 8;

/// Some items in order. Only the first `len` count; the others keep their buffers.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    items: Vec<Read>,
    len: usize,
}

/// An item, where it came from, and what became of it.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// The item.
    pub(crate) item: Item,
    /// Its row; none for what came from a saved state.
    pub(crate) at: Option<RowAt>,
    /// Whether it is an event whose label waits for its time.
    pub(crate) labelled: bool,
    /// What became of it.
    pub(crate) became: Became,
    /// If it was decided: what.
    pub(crate) ruling: Ruling,
    /// If so: its features, as far as they were asked for.
    pub(crate) observed: Vec<Value>,
}

/// What became of an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Became {
    /// No event of its own.
    #[default]
    Nothing,
    /// An event that was recorded without a decision.
    Recorded,
    /// An event that was decided, for the first time.
    Decided,
}

impl Batch {
    /// The items.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Read> {
        self.items.iter().take(self.len)
    }

    /// The items, to be told what became of them.
    pub(crate) fn items_mut(&mut self) -> &mut [Read] {
        self.items.get_mut(..self.len).unwrap_or_default()
    }

    /// Empties the batch; its items keep their buffers.
    pub(crate) fn begin(&mut self) {
        self.len = 0;
        if self.items.is_empty() {
            self.items.resize_with(BATCH_ITEMS, Read::default);
        }
    }

    /// Whether another item can be added.
    pub(crate) fn has_room(&self) -> bool {
        self.len < self.items.len()
    }

    /// The next item, to be filled; none if the batch is full.
    pub(crate) fn add(&mut self) -> Option<&mut Read> {
        let read = self.items.get_mut(self.len)?;
        self.len += 1;
        Some(read)
    }

    /// Fills the batch; false if the source is at its end.
    fn fill(&mut self, source: &mut Source) -> Result<bool, SourceError> {
        self.begin();
        for read in &mut self.items {
            if !source.next(&mut read.item)? {
                return Ok(false);
            }
            read.at = source.at();
            read.labelled = source.is_labelled();
            read.became = Became::Nothing;
            self.len += 1;
        }
        Ok(true)
    }
}

/// The thread that reads.
#[derive(Debug)]
pub(crate) struct Reader {
    full: Receiver<Batch>,
    empty: SyncSender<Batch>,
    thread: JoinHandle<(Source, Option<SourceError>)>,
}

impl Reader {
    /// Starts to read.
    pub(crate) fn start(mut source: Source) -> Self {
        let (full_in, full) = sync_channel(BATCHES_AHEAD);
        let (empty, empty_out) = sync_channel::<Batch>(BATCHES_AHEAD + 2);
        let thread = thread::spawn(move || {
            loop {
                let mut batch = empty_out.try_recv().unwrap_or_default();
                let filled = batch.fill(&mut source);
                // Whoever reads has gone: so does this thread.
                let heard = full_in.send(batch).is_ok();
                match filled {
                    Ok(true) if heard => {}
                    Ok(_) => return (source, None),
                    Err(error) => return (source, Some(error)),
                }
            }
        });
        Self { full, empty, thread }
    }

    /// The next batch; none at the end, whether it is one of all files or an error.
    ///
    /// # Errors
    /// If somebody has told the process to stop.
    pub(crate) fn next(&self, interrupt: &Interrupt) -> Result<Option<Batch>, Interrupted> {
        loop {
            interrupt.check()?;
            match self.full.recv_timeout(LOOK_EVERY) {
                Ok(batch) => return Ok(Some(batch)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Where emptied batches are given back.
    pub(crate) fn give_back(&self) -> SyncSender<Batch> {
        self.empty.clone()
    }

    /// Waits for the thread: the source if it is still there, and the error that ended the reading, if one did.
    pub(crate) fn finish(self) -> (Option<Source>, Option<anyhow::Error>) {
        drop(self.full);
        match self.thread.join() {
            Ok((source, error)) => (Some(source), error.map(Into::into)),
            // A panic has been printed by its thread.
            Err(_) => (None, Some(anyhow::anyhow!("the reading thread broke off"))),
        }
    }
}
