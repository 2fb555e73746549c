//! `weir journal verify`: that no byte of a journal has changed, and that every decision follows from what stands before.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use stream::fold;
use stream::journal::{self, Cursor, Reader};
use stream::snapshot::Base;

use super::{Data, stat};
use crate::directory::{self, Untouched};
use crate::figures::grouped;
use crate::stdout::{Stdout, say};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: Data,
    /// Derive every decision again from the first record on that is kept, and compare
    #[arg(long)]
    decide: bool,
}

/// Reads every byte, and derives every decision again if that is asked for; says what is wrong.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let data = &options.data.data;
    let Untouched { disk, directory, synced } = directory::untouched(data)?;
    let stat = journal::verify(&disk, synced)?.ok_or_else(|| directory::empty(data))?;
    let base = Base::beneath(&directory, stat.oldest);
    write!(Stdout, "{}", stat::said(&stat, &base))?;
    say("whole      every checksum, every offset and the chain are as they were written")?;
    if !options.decide {
        return Ok(());
    }
    let base = base?;
    let key = journal::key(&disk)?.context("the journal went away while it was read")?;
    let records = |from| Ok(Box::new(Reader::open(Arc::clone(&disk), from, synced)?) as Box<dyn Cursor>);
    let report = fold::verify(&records, key, base.as_ref())?;
    for difference in &report.differences {
        say(format_args!("differs    {difference}"))?;
    }
    let (derived, different) = (grouped(report.derived), grouped(report.different));
    if report.different != 0 {
        let more = report.different - report.differences.len() as u64;
        let more = if more == 0 { String::new() } else { format!(" ({} are not shown)", grouped(more)) };
        bail!(
            "{different} of {} records differ from what deciding again gives{more}",
            grouped(report.records)
        );
    }
    say(format_args!("decisions  {derived} derived again, and none differs"))?;
    Ok(())
}
