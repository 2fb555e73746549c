//! `weir journal stat`: how much a journal holds.

use std::io::Write as _;

use stream::journal::{self, Stat};
use stream::snapshot::{Base, SnapshotError};

use super::Data;
use crate::directory::{self, Untouched};
use crate::figures::grouped;
use crate::stdout::Stdout;

/// Says what the journal holds, a line each.
pub(super) fn run(options: &Data) -> anyhow::Result<()> {
    let Untouched { disk, directory, synced } = directory::untouched(&options.data)?;
    let stat = journal::stat(&disk, synced)?.ok_or_else(|| directory::empty(&options.data))?;
    let base = Base::beneath(&directory, stat.oldest);
    write!(Stdout, "{}", said(&stat, &base))?;
    Ok(())
}

/// The lines; on what it stands only if it was pruned, what is torn only if anything is.
pub(super) fn said(stat: &Stat, base: &Result<Option<Base>, SnapshotError>) -> String {
    let records = stat.next.saturating_sub(stat.oldest);
    let mut text = format!(
        "records    {}, from offset {} to below {}\non disk    below {}\nsegments   {}, {} bytes\n",
        grouped(records),
        stat.oldest,
        stat.next,
        stat.synced,
        grouped(stat.segments as u64),
        grouped(stat.bytes),
    );
    match base {
        Ok(None) => {}
        Ok(Some(base)) => {
            let (start, file) = (base.start(), base.file().display());
            text += &format!("base       the state before record {start}, in `{file}`\n");
        }
        Err(error) => text += &format!("base       {error}\n"),
    }
    if let Some(torn) = &stat.torn {
        text += &format!("torn end   {torn}: no durable answer stands there, and the next start cuts it\n");
    }
    text
}
