//! `weir journal export`: every record as a line of JSON, or the decisions exactly as `weir replay --out` writes them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use engine::event::Event;
use engine::words::Ruling;
use rules::past::Outcome;
use rules::time::Micros;
use stream::disk::Disk;
use stream::gate::REPEAT_FOR;
use stream::journal::{self, Cursor, Reader, RecordKind};
use stream::record::{Amend, Cause, Decided};
use stream::snapshot::{Base, DataDir};

use super::Data;
use super::known::{self, Known};
use super::line::{self, Lines};
use crate::directory::{self, Untouched};
use crate::replay::{Decisions, is_device, is_standard_output, table_name};
use crate::stdout::Stdout;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: Data,
    /// Write decisions only, as their callers were answered: the same bytes as `weir replay --out` writes under that name
    #[arg(long)]
    decisions: bool,
    /// Where to write: a .jsonl file, with `--decisions` a .csv file, which may end in .gz or .zst, or a .parquet file; `-`
    /// for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
}

/// Writes the journal out.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let data = &options.data.data;
    let Untouched { disk, directory, synced } = directory::untouched(data)?;
    let (known, from) = begin(&disk, &directory)?;
    let mut records = Reader::open(Arc::clone(&disk), from, synced)?.ok_or_else(|| directory::empty(data))?;
    if options.decisions {
        let name = table_name(options.out.clone())
            .map_err(|expected| anyhow!("`{}`: {expected}", options.out.display()))?;
        let ahead = Reader::open(disk, from, synced)?.ok_or_else(|| directory::empty(data))?;
        return write_decisions(&mut records, Answered::find(ahead)?, known, Decisions::create(&name)?);
    }
    let out = lines_to(&options.out)?;
    let written = write_lines(&mut records, known, Lines::new(BufWriter::with_capacity(1 << 20, out)));
    written.with_context(|| unwritten(&options.out))
}

/// The rule sets of records that were pruned, and the first record that is written: what a prune that broke off has left
/// before is not.
fn begin(disk: &Arc<dyn Disk>, directory: &DataDir) -> anyhow::Result<(Known, u64)> {
    let oldest = journal::stat(disk, 0)?.map_or(0, |it| it.oldest);
    let (base, key) = (Base::beneath(directory, oldest)?, journal::key(disk)?);
    let Some((base, key)) = base.zip(key) else { return Ok((Known::default(), 0)) };
    Ok((Known::of_base(&base.in_force(key)?), base.start()))
}

/// Where lines go.
fn lines_to(path: &Path) -> anyhow::Result<Box<dyn Write>> {
    if is_standard_output(path) {
        return Ok(Box::new(Stdout));
    }
    let is_lines = path.extension().is_some_and(|it| it == "jsonl") || is_device(path);
    ensure!(
        is_lines,
        "`{}`: expected a name that ends in `.jsonl`, or `-` for standard output",
        path.display()
    );
    Ok(Box::new(File::create(path).with_context(|| unwritten(path))?))
}

fn unwritten(path: &Path) -> String {
    format!("`{}` cannot be written", path.display())
}

fn write_lines(
    records: &mut dyn Cursor,
    mut known: Known,
    mut lines: Lines<impl Write>,
) -> anyhow::Result<()> {
    while let Some(record) = records.next()? {
        let (stamp, bytes) = known.follow(&record)?;
        lines.write(&record, stamp, bytes, &known)?;
    }
    Ok(lines.finish()?)
}

/// What was answered in place of decisions that missed their deadline while they waited for the disk: the record of a
/// decision does not know it yet.
struct Answered {
    /// By event id, in the journal's order: the engine clock then, and the outcome.
    by_event: HashMap<String, Vec<(Micros, Outcome)>>,
}

impl Answered {
    fn find(mut records: impl Cursor) -> anyhow::Result<Self> {
        let mut by_event: HashMap<_, Vec<_>> = HashMap::new();
        while let Some(record) = records.next()? {
            if record.kind != RecordKind::Amend {
                continue;
            }
            let (stamp, bytes) = known::parts(&record)?;
            let amend: Amend = line::read(bytes, record.offset)?;
            if let (Cause::Deadline, Some(outcome)) = (amend.cause(), amend.outcome()) {
                by_event.entry(amend.event_id).or_default().push((stamp.clock, outcome));
            }
        }
        Ok(Self { by_event })
    }

    /// What the caller of a decision got instead. An id that is used again is so later than this is ever said of it.
    fn instead_of(&self, event_id: &str, decided: Micros) -> Option<Outcome> {
        let while_known = decided..decided.saturating_add(REPEAT_FOR);
        let found = self.by_event.get(event_id)?.iter().find(|(clock, _)| while_known.contains(clock));
        found.map(|(_, outcome)| *outcome)
    }
}

fn write_decisions(
    records: &mut dyn Cursor,
    answered: Answered,
    mut known: Known,
    mut decisions: Decisions,
) -> anyhow::Result<()> {
    let (mut message, mut event, mut ruling) = (Decided::default(), Event::default(), Ruling::default());
    while let Some(record) = records.next()? {
        let (stamp, bytes) = known.follow(&record)?;
        if record.kind == RecordKind::Decided {
            line::load(bytes, record.offset, &mut message, &mut event)?;
            if let Some(outcome) = answered.instead_of(&event.id, stamp.clock) {
                message.fall_back(outcome);
            }
            message.ruling(&mut ruling);
            decisions.write(known.of(stamp, record.offset)?, &event, &ruling)?;
        }
    }
    Ok(decisions.finish()?)
}
