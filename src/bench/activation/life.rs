//! The journal of the run.

use std::path::Path;

use stream::journal::Durability;
use stream::snapshot::{self, Extra};

use crate::bench::served::payments::Payments;
use crate::directory;
use crate::figures::grouped;
use crate::stderr;

/// Begins a data directory, lets its gate decide so many payments, and closes it with a snapshot, as a server does.
pub(super) fn live(data: &Path, payments: &Payments, records: u64) -> anyhow::Result<()> {
    stderr::say(format_args!("{} payments before the first measured", grouped(records)));
    let opened = directory::open(data, Durability::Os, stderr::note)?;
    let gate = opened.begin(canonical::bundle(), Vec::new())?;
    payments.decide(&gate, records)?;
    snapshot::write(&opened.directory, &gate, &Extra::new())?;
    opened.close()
}
