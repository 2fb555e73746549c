//! What the data directory of the run holds: days that were lived through, a snapshot, and a tail behind it.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget};
use stream::gate::Gate;
use stream::journal::Durability;
use stream::snapshot::{self, Extra};

use crate::bench::payments::Payments;
use crate::directory;
use crate::stderr;

/// Days of traffic before the snapshot: more than the widest window.
const DAYS: i64 = 35;

/// How much there is to recover.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) snapshot: PathBuf,
    /// In the snapshot.
    pub(super) entities: u64,
    /// Records behind the snapshot, and their bytes in the journal.
    pub(super) tail: u64,
    pub(super) tail_bytes: u64,
}

impl Life {
    /// Begins a data directory, lives through its days, writes a snapshot and a tail, and closes it.
    pub(super) fn live(data: &Path, payments: &mut Payments, tail: u64) -> anyhow::Result<Self> {
        let opened = directory::open(data, Durability::Os, stderr::note)?;
        let gate = opened.begin(canonical::bundle(), Vec::new())?;
        let mut worker = gate.worker(Vec::new());
        let mut decide = || {
            payments.advance();
            let ticket = payments.submit(&gate, &mut worker)?;
            Gate::recycle(&mut worker, ticket);
            anyhow::Ok(payments.days())
        };
        let bar = ProgressBar::with_draw_target(Some(DAYS.unsigned_abs()), ProgressDrawTarget::stderr());
        for day in 1..=DAYS {
            while decide()? < day {}
            gate.evict_idle();
            bar.inc(1);
        }
        bar.finish_and_clear();
        let entities = gate.entities() as u64;
        let snapshot = snapshot::write(&opened.directory, &gate, &Extra::new())?;
        let before = opened.journal.stat()?.bytes;
        for _ in 0..tail {
            decide()?;
        }
        opened.close()?;
        let tail_bytes = opened.journal.stat()?.bytes - before;
        Ok(Self { snapshot, entities, tail, tail_bytes })
    }
}
