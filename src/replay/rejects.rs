//! Bad rows: the first few are shown, all are written to a file.

use std::path::Path;
use std::sync::Arc;

use stream::source::RowAt;

use super::output::CsvFile;
use crate::stderr;

/// Bad rows that are shown as they come.
const SHOWN_MAX: u64 = 10;

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
            file.row(["file", "row", "reason"])?;
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

    /// Writes what is left.
    pub(crate) fn finish(self) -> std::io::Result<()> {
        self.file.map_or(Ok(()), CsvFile::finish)
    }

    fn name(&self, at: Option<RowAt>) -> Arc<str> {
        let index = at.and_then(|at| usize::try_from(at.file).ok());
        index.and_then(|index| self.names.get(index)).cloned().unwrap_or_default()
    }
}
