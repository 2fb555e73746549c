//! `weir journal stat`: how much a journal holds.

use std::io::Write as _;

use stream::journal::{self, Stat};

use super::Data;
use crate::directory;
use crate::replay::grouped;
use crate::stdout::Stdout;

/// Says what the journal holds, a line each.
pub(super) fn run(options: &Data) -> anyhow::Result<()> {
    let untouched = directory::untouched(&options.data)?;
    let stat = journal::stat(&untouched.disk)?.ok_or_else(|| directory::empty(&options.data))?;
    write!(Stdout, "{}", said(&stat))?;
    Ok(())
}

/// The lines; what is torn only if anything is.
pub(super) fn said(stat: &Stat) -> String {
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
    if let Some(torn) = &stat.torn {
        text += &format!("torn end   {torn}: no durable answer stands there, and the next start cuts it\n");
    }
    text
}
