//! `weir journal export`: every record as a line of JSON, or the decisions exactly as `weir replay --out` writes them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use engine::event::Event;
use engine::words::Ruling;
use stream::journal::{self, Cursor, Reader, RecordKind};
use stream::record::Decided;

use super::Data;
use super::known::Known;
use super::line::{self, Lines};
use crate::directory;
use crate::replay::Decisions;
use crate::stdout::Stdout;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: Data,
    /// Write decisions only: the same bytes as `weir replay --out` writes under that name
    #[arg(long)]
    decisions: bool,
    /// Where to write; standard output if none is named
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes the journal out.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let data = &options.data.data;
    let known = known_before(data)?;
    let untouched = directory::untouched(data)?;
    let mut records = Reader::open(untouched.disk.clone(), 0)?.ok_or_else(|| directory::empty(data))?;
    if options.decisions {
        let decisions = match &options.out {
            Some(path) => Decisions::create(path)?,
            None => Decisions::to_stdout()?,
        };
        return write_decisions(&mut records, known, decisions);
    }
    let out: Box<dyn Write> = match &options.out {
        Some(path) => {
            let failed = || format!("`{}` cannot be written", path.display());
            Box::new(File::create(path).with_context(failed)?)
        }
        None => Box::new(Stdout),
    };
    write_lines(&mut records, known, Lines::new(BufWriter::with_capacity(1 << 20, out)))
}

/// The rule sets of records that were pruned; none where none was.
fn known_before(data: &Path) -> anyhow::Result<Known> {
    let stat = journal::stat(&directory::untouched(data)?.disk)?.ok_or_else(|| directory::empty(data))?;
    if stat.oldest == 0 {
        return Ok(Known::default());
    }
    let mut opened = directory::existing(data)?;
    let known = opened.recover()?.map(|it| Known::to(&it.gate)).unwrap_or_default();
    opened.close()?;
    Ok(known)
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

fn write_decisions(
    records: &mut dyn Cursor,
    mut known: Known,
    mut decisions: Decisions,
) -> anyhow::Result<()> {
    let (mut message, mut event, mut ruling) = (Decided::default(), Event::default(), Ruling::default());
    while let Some(record) = records.next()? {
        let (stamp, bytes) = known.follow(&record)?;
        if record.kind == RecordKind::Decided {
            line::load(bytes, record.offset, &mut message, &mut event)?;
            message.ruling(&mut ruling);
            decisions.write(known.of(stamp, record.offset)?, &event, &ruling)?;
        }
    }
    Ok(decisions.finish()?)
}
