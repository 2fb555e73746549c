//! A progress bar with rate and time left; nothing where nobody looks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::figures::{grouped, rate};

/// A bar over the bytes of some files, beside a count of rows.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    read: Arc<AtomicU64>,
}

impl Progress {
    /// Of these files, whose bytes [`Progress::read`] counts as they are read.
    pub(crate) fn of_files(files: &[PathBuf]) -> Self {
        Self::of(files.iter().filter_map(|path| path.metadata().ok()).map(|it| it.len()).sum())
    }

    /// Of so many things, of which [`Progress::read`] counts those that are done. Quiet where standard error is no
    /// terminal.
    pub(crate) fn of(things: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(things), ProgressDrawTarget::stderr_with_hz(10));
        let style = "{bar:32} {percent:>3} %  {msg}  {eta} left";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, read: Arc::default() }
    }

    /// The count of what is done.
    pub(crate) fn read(&self) -> &Arc<AtomicU64> {
        &self.read
    }

    /// Shows how far it is.
    pub(crate) fn rows(&self, rows: u64) {
        if self.bar.is_hidden() {
            return;
        }
        let rate = rate(rows, self.bar.elapsed().as_secs_f64());
        self.bar.set_message(format!("{} rows ({}/s)", grouped(rows), grouped(rate)));
        self.bar.set_position(self.read.load(Ordering::Relaxed));
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
