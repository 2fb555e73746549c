//! `weir journal checkpoint`: a snapshot of what a journal comes to, written while nothing is decided.

use stream::snapshot;

use super::Data;
use crate::directory;
use crate::figures::grouped;
use crate::stdout::say;

/// Folds what stands behind the newest snapshot, and writes the next.
pub(super) fn run(options: &Data) -> anyhow::Result<()> {
    let mut opened = directory::existing(&options.data)?;
    let recovered = opened.recover()?.ok_or_else(|| directory::empty(&options.data))?;
    let file = snapshot::write(&opened.directory, &recovered.gate, &recovered.extra)?;
    say(format_args!(
        "`{}` is written: {} records more than the one before",
        file.display(),
        grouped(recovered.tail)
    ))?;
    drop(recovered);
    opened.close()
}
