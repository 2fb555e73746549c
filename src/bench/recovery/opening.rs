//! A data directory opened as `weir serve` opens it, timed part by part.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use stream::journal::Durability;

use super::life::Life;
use crate::directory;
use crate::stderr;

/// What an opening took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Opening {
    /// The journal looked at, the index of its newest segment built, and meanwhile the snapshot read.
    pub(super) files: Duration,
    /// Reading the snapshot took so much of that.
    pub(super) snapshot: Duration,
    /// The tail applied.
    pub(super) tail: Duration,
}

impl Opening {
    /// Opens, looks whether all is there, and closes.
    pub(super) fn of(data: &Path, life: &Life) -> anyhow::Result<Self> {
        let start = Instant::now();
        let mut opened = directory::open(data, Durability::Os, stderr::note)?;
        let files = start.elapsed();
        let recovered = opened.recover()?.context("nothing was recovered")?;
        let (expected, tail) = (life.tail, recovered.tail);
        ensure!(
            tail == expected,
            "{tail} records were applied behind the snapshot, and {expected} are there"
        );
        opened.close()?;
        Ok(Self { files, snapshot: recovered.read_in, tail: recovered.folded_in })
    }

    pub(super) fn total(&self) -> Duration {
        self.files + self.tail
    }
}
