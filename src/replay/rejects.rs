//! Bad rows: the first few are shown, all are written to a file.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use stream::source::{Input, RowAt};

use super::output::CsvFile;
use crate::stderr;

/// Bad rows that are shown as they come.
const SHOWN_MAX: u64 = 10;

/// The columns.
const HEADER: [&str; 3] = ["file", "row", "reason"];

/// Where bad rows go.
#[derive(Debug)]
pub(crate) struct Rejects<'a> {
    path: &'a Path,
    /// The inputs' names.
    names: Vec<Arc<str>>,
    file: Option<CsvFile>,
    count: u64,
    /// Whether rows were added that may not be in the file yet.
    unwritten: bool,
}

impl<'a> Rejects<'a> {
    pub(crate) fn new(path: &'a Path, names: Vec<Arc<str>>) -> Self {
        Self { path, names, file: None, count: 0, unwritten: false }
    }

    /// Adds a bad row; the file is created with the first.
    pub(crate) fn add(&mut self, at: Option<RowAt>, reason: &str) -> io::Result<()> {
        if self.count < SHOWN_MAX {
            stderr::say(format_args!("rejected: {}: {reason}", self.place(at)));
        } else if self.count == SHOWN_MAX {
            stderr::say(format_args!("rejected: … the others are in `{}`", self.path.display()));
        }
        self.count += 1;
        self.unwritten = true;
        if self.file.is_none() {
            let mut file = CsvFile::create(self.path)?;
            file.row(HEADER)?;
            self.file = Some(file);
        }
        let row = at.map(|at| at.row.to_string()).unwrap_or_default();
        let name = self.name(at);
        match &mut self.file {
            Some(file) => file.row([&*name, &row, reason]),
            None => Ok(()),
        }
    }

    /// A row's file and number.
    pub(crate) fn place(&self, at: Option<RowAt>) -> String {
        match at {
            Some(at) => format!("`{}`, row {}", self.name(Some(at)), at.row),
            None => "from the saved state".to_owned(),
        }
    }

    /// Writes what was added: whoever looks into the file finds it there.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match &mut self.file {
            Some(file) if std::mem::take(&mut self.unwritten) => file.flush(),
            _ => Ok(()),
        }
    }

    /// Writes what is left. What another run left there goes, so that nobody takes it for this one's.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if let Some(file) = self.file.take() {
            return file.finish();
        }
        if is_of_rejects(self.path)
            && let Err(error) = std::fs::remove_file(self.path)
        {
            let path = self.path.display();
            stderr::note(&format!("`{path}` is of an earlier run, and cannot be removed: {error}"));
        }
        Ok(())
    }

    fn name(&self, at: Option<RowAt>) -> Arc<str> {
        let index = at.and_then(|at| usize::try_from(at.file).ok());
        index.and_then(|index| self.names.get(index)).cloned().unwrap_or_default()
    }
}

/// Refuses to write bad rows over a file that is something else: its name may be the one that is taken unless told.
pub(crate) fn check_rejects(path: &Path) -> anyhow::Result<()> {
    // A pipe would have to be waited for.
    if !path.is_file() || path.metadata().is_ok_and(|it| it.len() == 0) {
        return Ok(());
    }
    let (shown, line) = (path.display(), first_line(path));
    let line =
        line.with_context(|| format!("bad rows would go over `{shown}`, which cannot be read: remove it"))?;
    ensure!(
        line == HEADER.join(","),
        "bad rows would go over `{shown}`, which holds something else: name another file by `--rejects`"
    );
    Ok(())
}

/// Whether a file is there that a run wrote its bad rows to.
fn is_of_rejects(path: &Path) -> bool {
    path.is_file() && first_line(path).is_ok_and(|it| it == HEADER.join(","))
}

fn first_line(path: &Path) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(Input::open(path)?.unpack()?).take(64).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}
