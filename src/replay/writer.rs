//! The writing thread: batches whose events have been decided become rows, then go back to be filled again.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use engine::rule_set::RuleSet;
use stream::source::Item;

use super::output::{Decisions, Features};
use super::reader::{Batch, Became};
use super::texts::Texts;

/// Batches that may wait to be written.
const BATCHES_BEHIND: usize = 8;

/// The thread that writes.
#[derive(Debug)]
pub(super) struct Writer {
    decided: SyncSender<Batch>,
    thread: JoinHandle<io::Result<Written>>,
}

/// What is written.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) rules: Arc<RuleSet>,
    pub(super) decisions: Option<Decisions>,
    pub(super) features: Option<Features>,
    pub(super) texts: Texts,
}

/// What is left when everything is written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) texts: Texts,
    /// Cells of features that are empty because their texts are not remembered.
    pub(super) forgotten: u64,
}

impl Writer {
    /// Starts to write; emptied batches go to `give_back`.
    pub(super) fn start(mut files: Files, give_back: SyncSender<Batch>) -> Self {
        let (decided, batches) = sync_channel(BATCHES_BEHIND);
        let thread = thread::spawn(move || {
            files.write_all(&batches, &give_back)?;
            files.finish()
        });
        Self { decided, thread }
    }

    /// Hands a batch over; false if the thread has ended, for a reason that [`Writer::finish`] gives.
    pub(super) fn write(&self, batch: Batch) -> bool {
        self.decided.send(batch).is_ok()
    }

    /// Waits until everything is written.
    pub(super) fn finish(self) -> io::Result<Written> {
        drop(self.decided);
        // A panic has been printed by its thread.
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the writing thread broke off")))
    }
}

impl Files {
    fn write_all(&mut self, batches: &Receiver<Batch>, give_back: &SyncSender<Batch>) -> io::Result<()> {
        for batch in batches {
            self.write(&batch)?;
            // Where there is no room the batch is simply freed.
            let _ = give_back.try_send(batch);
        }
        Ok(())
    }

    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        for read in batch.iter().filter(|it| it.became != Became::Nothing) {
            let Item::Event(event) = &read.item else { continue };
            self.texts.note(event);
            if read.became == Became::Recorded {
                continue;
            }
            if let Some(decisions) = &mut self.decisions {
                decisions.write(&self.rules.typed, event, &read.ruling)?;
            }
            if let Some(features) = &mut self.features {
                features.write(&self.rules, event, &read.observed, &self.texts)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> io::Result<Written> {
        self.decisions.map_or(Ok(()), Decisions::finish)?;
        let forgotten = self.features.map_or(Ok(0), Features::finish)?;
        Ok(Written { texts: self.texts, forgotten })
    }
}
