//! Bad rows: the first few are shown, all are written to a file.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::sync::Arc;

use stream::source::RowAt;

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
}

impl<'a> Rejects<'a> {
    pub(crate) fn new(path: &'a Path, names: Vec<Arc<str>>) -> Self {
        Self { path, names, file: None, count: 0 }
    }

    /// Adds a bad row; the file is created with the first.
    pub(crate) fn add(&mut self, at: Option<RowAt>, reason: &str) -> std::io::Result<()> {
        if self.count < SHOWN_MAX {
            stderr::say(format_args!("rejected: {}: {reason}", self.place(at)));
        } else if self.count == SHOWN_MAX {
            stderr::say(format_args!("rejected: … the others are in `{}`", self.path.display()));
        }
        self.count += 1;
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

    /// Writes what is left. What another run left there goes, so that nobody takes it for this one's.
    pub(crate) fn finish(self) -> std::io::Result<()> {
        match self.file {
            Some(file) => file.finish(),
            None if is_of_rejects(self.path) => std::fs::remove_file(self.path),
            None => Ok(()),
        }
    }

    fn name(&self, at: Option<RowAt>) -> Arc<str> {
        let index = at.and_then(|at| usize::try_from(at.file).ok());
        index.and_then(|index| self.names.get(index)).cloned().unwrap_or_default()
    }
}

/// Whether a file is there that a run wrote its bad rows to.
fn is_of_rejects(path: &Path) -> bool {
    // A pipe would have to be waited for.
    if !path.is_file() {
        return false;
    }
    let mut line = String::new();
    let read = File::open(path).and_then(|file| BufReader::new(file).take(64).read_line(&mut line));
    read.is_ok() && line.trim_end() == HEADER.join(",")
}
