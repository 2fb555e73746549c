//! What the disk itself takes to make four kilobytes durable: the yardstick of every answer that waits for it.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// Appended before each sync: a page.
const APPENDED: [u8; 4096] = [b'w'; 4096];
/// Fewest syncs of a round, however short it is.
const SYNCS_MIN: usize = 20;

/// A file of its own, in the folder of the journals.
pub(super) struct Probe {
    file: File,
}

impl Probe {
    pub(super) fn new(folder: &Path) -> anyhow::Result<Self> {
        let file = File::create(folder.join("probe")).context("cannot make a file to measure the disk")?;
        Ok(Self { file })
    }

    /// Appends and syncs, again and again for so long; adds what each took.
    pub(super) fn run(&mut self, time: Duration, took: &mut Vec<Duration>) -> anyhow::Result<()> {
        let (start, before) = (Instant::now(), took.len());
        while start.elapsed() < time || took.len() < before + SYNCS_MIN {
            let start = Instant::now();
            self.file.write_all(&APPENDED).context("the disk cannot be measured")?;
            self.file.sync_data().context("the disk cannot be measured")?;
            took.push(start.elapsed());
        }
        Ok(())
    }
}
