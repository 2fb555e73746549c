//! A journal in the place of files: its records in the order of their positions, through a fold that decides every event
//! by the rules under test.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use anyhow::{bail, ensure};
use engine::rule_set::RuleSet;
use stream::fold::{Outcomes, Replay, Replayed};
use stream::journal::{self, Cursor, Reader};
use stream::snapshot::{Base, Extra};
use stream::source::Item;

use super::apart;
use super::idle::Idle;
use super::options::{Options, Whose};
use super::output::{Decisions, Features, named};
use super::reader::{Batch, Became};
use super::run::Ran;
use super::summary::{Past, Summary};
use super::tally::Tally;
use super::texts::Texts;
use super::writer::{Files, Writer};
use crate::directory::{self, Untouched};
use crate::interrupt::Interrupt;
use crate::load;
use crate::progress::Progress;

/// Batches that may wait to be filled again.
const BATCHES_BACK: usize = 10;

/// The data directory to replay, if the options name one.
pub(super) fn data(options: &Options) -> anyhow::Result<Option<&Path>> {
    let Some(data) = options.files.iter().find(|it| it.is_dir()) else {
        ensure!(
            options.history.is_none(),
            "`--history` chooses among what a journal holds, and files hold no outcomes: name a data directory, or leave it \
             out"
        );
        return Ok(None);
    };
    let shown = data.display();
    ensure!(
        options.files.len() == 1,
        "the data directory `{shown}` is replayed alone: name no files beside it"
    );
    let refused = [
        (options.map.is_some(), "--map", "its events are events already"),
        (options.merge, "--merge", "its records have an order"),
        (options.state.is_some(), "--state", "a state goes on from files only"),
        (options.data.is_some(), "--data", "what it holds is not written down again"),
        (options.strict, "--strict", "it has no bad rows"),
        (options.rejects.is_some(), "--rejects", "it has no bad rows"),
        (options.jump_max.is_some(), "--jump-max", "its records have been taken already"),
    ];
    match refused.into_iter().find(|(given, ..)| *given) {
        Some((_, option, why)) => bail!("`{option}` does not go with the data directory `{shown}`: {why}"),
        None => Ok(Some(data)),
    }
}

/// Replays the journal of a data directory, which is read and not touched.
pub(super) fn replay(data: &Path, options: &Options) -> anyhow::Result<Ran> {
    let loaded = load::rule_set(&options.rules)?;
    apart::check(&apart::read(&[], None, Some(&loaded)), options.written())?;
    let Untouched { disk, directory, synced } = directory::untouched(data)?;
    let (stat, key) = (journal::stat(&disk, synced)?, journal::key(&disk)?);
    let (stat, key) = stat.zip(key).ok_or_else(|| directory::empty(data))?;
    let base = Base::beneath(&directory, stat.oldest)?;
    let history = match options.history {
        None | Some(Whose::Own) => Outcomes::Own,
        Some(Whose::Recorded) => Outcomes::Recorded,
    };
    let observe =
        |rules: &RuleSet| if options.features.is_some() { named(rules).collect() } else { Vec::new() };
    let mut replay = Replay::new(key, Arc::new(loaded.bundle.clone()), history, observe)?;
    if let Some(base) = &base {
        replay = replay.on(base)?;
    }
    let rules = Arc::clone(replay.rules());
    let files = Files {
        decisions: options.out.as_deref().map(Decisions::create).transpose()?,
        features: options.features.as_deref().map(|path| Features::create(path, &rules)).transpose()?,
        texts: Texts::begin(&rules, &loaded.items, &Extra::new())?,
        rules: Arc::clone(&rules),
    };
    let start = Instant::now();
    let mut records = Reader::open(disk, Base::start_of(base.as_ref()), synced)?;
    let (give_back, empty) = sync_channel(BATCHES_BACK);
    let writer = Writer::start(files, give_back);
    let tally = Tally::new(rules.typed.rules.len());
    let (idle, progress) = (Idle::new(replay.clock()), Progress::of(stat.next));
    let mut run = Run { replay, writer, empty, tally, progress, idle };
    let read = run.all(&mut records);
    run.progress.finish();
    let Run { replay, writer, mut tally, .. } = run;
    let written = writer.finish()?;
    read?;
    tally.features_computed = replay.features_computed();
    let past = Some(Past { history, missed: replay.missed() });
    let (forgotten, rejects) = (written.forgotten, options.rejects().to_owned());
    let summary =
        Summary { tally, elapsed: start.elapsed(), past, pending: 0, skipped: 0, forgotten, rejects };
    Ok(Ran { rules, summary, error: None })
}

/// Everything that a run goes through.
struct Run {
    replay: Replay,
    writer: Writer,
    /// Where written batches come back.
    empty: Receiver<Batch>,
    tally: Tally,
    progress: Progress,
    idle: Idle,
}

impl Run {
    /// Applies all records; batches go to the writer.
    fn all(&mut self, records: &mut dyn Cursor) -> anyhow::Result<()> {
        let interrupt = Interrupt::listen()?;
        let mut batch = self.next_batch();
        while let Some(record) = records.next()? {
            let offset = record.offset;
            let became = match self.replay.apply(&record)? {
                Replayed::Decided => Became::Decided,
                Replayed::Recorded => Became::Recorded,
                Replayed::Amended(event, change) => {
                    self.tally.amended(Some(event), &change);
                    continue;
                }
                Replayed::Other => continue,
            };
            if became == Became::Decided {
                self.tally.decision(offset, &self.replay.ruling);
            }
            if !batch.has_room() {
                interrupt.check()?;
                self.progress.read().store(offset, Ordering::Relaxed);
                self.progress.rows(self.tally.decided);
                self.idle.leave(self.replay.clock(), self.tally.decided, || {
                    self.replay.evict_idle();
                    self.replay.entities()
                });
                let full = std::mem::replace(&mut batch, self.next_batch());
                if !self.writer.write(full) {
                    // Why is said when the writer is waited for.
                    return Ok(());
                }
            }
            self.add(&mut batch, became);
        }
        self.writer.write(batch);
        Ok(())
    }

    fn next_batch(&self) -> Batch {
        let mut batch = self.empty.try_recv().unwrap_or_default();
        batch.begin();
        batch
    }

    /// Adds the event that was just applied; the buffers change places, so that neither side allocates.
    fn add(&mut self, batch: &mut Batch, became: Became) {
        let Some(read) = batch.add() else { return };
        if !matches!(read.item, Item::Event(_)) {
            read.item = Item::default();
        }
        if let Item::Event(event) = &mut read.item {
            std::mem::swap(event, &mut self.replay.event);
        }
        std::mem::swap(&mut read.ruling, &mut self.replay.ruling);
        std::mem::swap(&mut read.observed, &mut self.replay.observed);
        read.became = became;
    }
}
