//! The run itself: items in order through the gate.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use engine::event::Change;
use engine::rule_set::RuleSet;
use rules::schema::Schema;
use stream::gate::{Deadline, Gate, Refused, Worker};
use stream::record::RowPlace;
use stream::snapshot::Extra;
use stream::source::{Input, Item, Known, Mapping, Options as SourceOptions, RowAt, Source, SourceState};

use super::Options;
use super::apart;
use super::begin::{Begun, Kept, begin};
use super::idle::Idle;
use super::journal;
use super::output::{Decisions, Features, named};
use super::reader::{Batch, Became, Read, Reader};
use super::rejects::{Rejects, check_rejects};
use super::state;
use super::summary::Summary;
use super::tally::Tally;
use super::texts::Texts;
use super::writer::{Files, Writer, Written};
use crate::interrupt::{Interrupt, Interrupted};
use crate::load;
use crate::patience::patiently;
use crate::progress::Progress;
use crate::{stderr, stdout};

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) summary: Summary,
    /// Why the files were not read to their end.
    pub(crate) error: Option<anyhow::Error>,
}

/// Replays the files; says at the end what came of it.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let Ran { rules, summary, error } = replay(options)?;
    // Who reads no more of standard output wants to hear no more either.
    if error.as_ref().is_none_or(|it| !stdout::reader_left(it)) {
        stderr::show(summary.say(&rules));
    }
    error.map_or(Ok(()), Err)
}

/// Replays the files, or the journal.
pub(crate) fn replay(options: &Options) -> anyhow::Result<Ran> {
    apart::read_once(options.files.iter().chain(&options.map))?;
    if let Some(data) = journal::data(options)? {
        return journal::replay(data, options);
    }
    let loaded = load::rule_set(&options.rules)?;
    let mapping = options.map.as_deref().map(Mapping::read).transpose()?;
    apart::check(&apart::read(&options.files, mapping.as_ref(), Some(&loaded)), options.written())?;
    check_rejects(options.rejects())?;
    let Begun { gate, source, extra, kept } = begin(options, &loaded)?;
    let rules = gate.rules();
    let how = SourceOptions { merge: options.merge, jump_max: options.jump_max() };
    let progress = Progress::of_files(&options.files);
    let source = open(&options.files, mapping, how, &loaded.rules.schema, source, progress.read())?;
    let files = Files {
        decisions: options.out.as_deref().map(Decisions::create).transpose()?,
        features: options.features.as_deref().map(|path| Features::create(path, &rules)).transpose()?,
        texts: Texts::begin(&rules, &loaded.items, &extra)?,
        rules: Arc::clone(&rules),
    };
    let mut replay = Replay::new(options, &rules, &gate, &source, progress)?;
    let start = Instant::now();
    let reader = Reader::start(source);
    let writer = Writer::start(files, reader.give_back());
    let outcome = replay.all(&reader, &writer);
    let is_stopped = outcome.as_ref().is_err_and(|it| it.is::<Interrupted>());
    // The reader may be waiting for input that does not come.
    let (source, unread) = if is_stopped { (None, None) } else { reader.finish() };
    let (written, unwritten) = split(writer.finish());
    let (_, unrejected) = split(replay.rejects.finish());
    let ended = outcome.err().or(unwritten).or(unrejected).or(unread);
    // A run that broke off leaves the state as it was, so that it can be run again with the file mended.
    let keep = if ended.is_none() { &kept } else { &Kept::Nothing };
    let summary = replay.finish(source, written, keep, start.elapsed())?;
    if ended.is_none() && summary.is_of_no_row() {
        stderr::note("no row was read: the files are empty, or hold a header only");
    }
    let closed = kept.close();
    // What ended the run is told before what came of that.
    let error = ended.or(closed.err()).map(|error| match kept.broken_off(options) {
        // In words only: where something was to be kept, a reader of standard output that has left is an error too.
        Some(left) => anyhow!("{left}: {error:#}"),
        None => error,
    });
    Ok(Ran { rules, summary, error })
}

/// What was done, or why it was not.
fn split<T, E: Into<anyhow::Error>>(done: Result<T, E>) -> (Option<T>, Option<anyhow::Error>) {
    match done {
        Ok(done) => (Some(done), None),
        Err(error) => (None, Some(error.into())),
    }
}

/// Opens files and their mapping; `read` counts the bytes as they are read.
pub(crate) fn open(
    files: &[PathBuf],
    mapping: Option<Mapping>,
    how: SourceOptions,
    schema: &Schema,
    state: SourceState,
    read: &Arc<AtomicU64>,
) -> anyhow::Result<Source> {
    let open = |path: &PathBuf| {
        if is_standard_input(path) { standard_input(read) } else { Input::tracked(path, read) }
    };
    let inputs =
        files.iter().map(|path| open(path).with_context(|| format!("`{}` cannot be opened", path.display())));
    if let Some(mapping) = &mapping {
        mapping.check_schema(schema)?.iter().for_each(|note| stderr::note(note));
    }
    Ok(Source::open(inputs.collect::<Result<_, _>>()?, mapping, Arc::new(schema.clone()), how, state)?)
}

/// Whether a name stands for standard input.
pub(super) fn is_standard_input(path: &Path) -> bool {
    path == "-" || path == "/dev/stdin"
}

/// Standard input, unbuffered: nobody else reads it.
fn standard_input(read: &Arc<AtomicU64>) -> io::Result<Input> {
    let own = io::stdin().as_fd().try_clone_to_owned()?;
    Ok(Input::of_file("-", File::from(own), read))
}

/// Everything that a run writes to.
struct Replay<'a> {
    options: &'a Options,
    gate: &'a Gate,
    worker: Worker,
    rejects: Rejects<'a>,
    tally: Tally,
    progress: Progress,
    interrupt: Interrupt,
    idle: Idle,
    /// Where the labelled events stand whose labels are not known yet, by row: an id may be used again.
    places: HashMap<RowAt, RowPlace>,
    /// The rows whose events were refused while their labels are still to come: those are of no event.
    refused: HashSet<RowAt>,
}

impl<'a> Replay<'a> {
    fn new(
        options: &'a Options,
        rules: &'a RuleSet,
        gate: &'a Gate,
        source: &Source,
        progress: Progress,
    ) -> io::Result<Self> {
        let observe = if options.features.is_some() { named(rules).collect() } else { Vec::new() };
        Ok(Self {
            options,
            gate,
            worker: gate.worker(observe),
            rejects: Rejects::new(options.rejects(), source.names().to_vec()),
            tally: Tally::new(rules.typed.rules.len()),
            progress,
            interrupt: Interrupt::listen()?,
            idle: Idle::new(gate.clock()),
            places: HashMap::new(),
            refused: HashSet::new(),
        })
    }

    fn all(&mut self, reader: &Reader, writer: &Writer) -> anyhow::Result<()> {
        while let Some(mut batch) = reader.next(&self.interrupt)? {
            let done = self.batch(&mut batch);
            // What was decided is written, whatever came behind it.
            let heard = writer.write(batch);
            done?;
            self.rejects.flush()?;
            self.progress.rows(self.tally.decided);
            self.idle.leave(self.gate.clock(), self.tally.decided, || {
                self.gate.evict_idle();
                self.gate.entities()
            });
            if !heard {
                break;
            }
        }
        Ok(())
    }

    fn batch(&mut self, batch: &mut Batch) -> anyhow::Result<()> {
        let mut items = batch.items_mut();
        while let Some((read, behind)) = items.split_first_mut() {
            if let Some(Read { item: Item::Event(next), .. }) = behind.first() {
                self.gate.expect(next, &mut self.worker);
            }
            match &read.item {
                Item::Event(_) => self.event(read)?,
                Item::Amendment(known) => self.amendment(known, read.at)?,
                Item::Reject(reject) => self.reject(read.at, &reject.reason)?,
            }
            items = behind;
        }
        Ok(())
    }

    fn event(&mut self, read: &mut Read) -> anyhow::Result<()> {
        let Item::Event(event) = &read.item else { return Ok(()) };
        let submitted = patiently(|| self.gate.submit(event, Deadline::Never, &mut self.worker));
        let mut ticket = match submitted {
            Ok(ticket) => ticket,
            Err(refused) => {
                self.refused.extend(read.at.filter(|_| read.labelled));
                return self.refused(read.at, refused);
            }
        };
        self.tally.decision(ticket.position.offset, &ticket.ruling);
        if !ticket.ruling.flags.repeated {
            self.places.extend(read.at.filter(|_| read.labelled).map(|at| (at, ticket.place.clone())));
            read.became = Became::Decided;
            // The buffers change places, so that neither side allocates.
            std::mem::swap(&mut read.ruling, &mut ticket.ruling);
            std::mem::swap(&mut read.observed, &mut self.worker.observed);
        }
        Gate::recycle(&mut self.worker, ticket);
        Ok(())
    }

    fn amendment(&mut self, known: &Known, at: Option<RowAt>) -> anyhow::Result<()> {
        if at.is_some_and(|it| self.refused.remove(&it)) {
            return Ok(());
        }
        let amendment = &known.amendment;
        let place = at.and_then(|at| self.places.remove(&at)).or_else(|| known.place.clone());
        match patiently(|| self.gate.amend(amendment, place.as_ref(), &mut self.worker)) {
            Ok(amended) => {
                self.tally.amended(amended.event, &amendment.change);
                Ok(())
            }
            Err(refused) => {
                self.tally.lost_labels += u64::from(matches!(amendment.change, Change::Label(..)));
                match refused {
                    // Its id is none that anybody wrote.
                    Refused::AmendmentIdReused(_) if known.is_of_mapping() => {
                        let event = &amendment.event_id;
                        self.reject(at, &format!("an earlier row of the event `{event}` has another label"))
                    }
                    refused => self.refused(at, refused),
                }
            }
        }
    }

    /// What is wrong with a row is the row's; what is wrong with the disk ends the run.
    fn refused(&mut self, at: Option<RowAt>, refused: Refused) -> anyhow::Result<()> {
        match refused {
            Refused::Poisoned(_) | Refused::Unreadable(_) => Err(refused.into()),
            _ => self.reject(at, &refused.to_string()),
        }
    }

    fn reject(&mut self, at: Option<RowAt>, reason: &str) -> anyhow::Result<()> {
        self.tally.rejects += 1;
        self.rejects.add(at, reason)?;
        if self.options.strict {
            anyhow::bail!("{}: {reason}", self.rejects.place(at));
        }
        Ok(())
    }

    fn finish(
        mut self,
        source: Option<Source>,
        written: Option<Written>,
        kept: &Kept,
        elapsed: Duration,
    ) -> anyhow::Result<Summary> {
        self.progress.finish();
        source.iter().flat_map(Source::notes).for_each(|it| stderr::note(it));
        let skipped = source.as_ref().map_or(0, Source::skipped);
        let mut state = source.map(Source::into_state).unwrap_or_default();
        state.pending.retain(|it| !it.at.is_some_and(|at| self.refused.contains(&at)));
        state.keep_labels_once();
        for known in &state.pending {
            if let (Some(place), Change::Label(label, _)) =
                (known.at.and_then(|at| self.places.get(&at)), &known.amendment.change)
            {
                self.tally.label(place.position, *label);
            }
        }
        let mut extra = Extra::new();
        state::save(&state, &self.places, &mut extra);
        let forgotten = written.map_or(0, |it| {
            it.texts.save(&mut extra);
            it.forgotten
        });
        kept.write(self.gate, &extra)?;
        self.tally.features_computed = self.worker.features_computed();
        let pending = state.pending.len();
        let rejects = self.options.rejects().to_owned();
        Ok(Summary { tally: self.tally, elapsed, past: None, pending, skipped, forgotten, rejects })
    }
}
