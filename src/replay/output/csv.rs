//! Comma-separated rows, plain or packed.

use std::io;
use std::path::{Path, PathBuf};

use super::cell::Cell;
use super::form::Form;
use super::named_error;
use crate::packed::{Packed, Packing};
use crate::stdout;

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// A CSV file that is being written.
#[derive(Debug)]
pub(crate) struct CsvFile {
    rows: csv::Writer<Packed>,
    path: PathBuf,
    text: String,
}

impl CsvFile {
    /// Creates the file, packed as its name says.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let packed = match Form::of(path) {
            Some(Form::StandardOutput) => Packed::standard_output(Packing::Plain),
            Some(Form::Csv(packing)) => Packed::create(path, packing),
            Some(Form::Parquet) | None => Err(io::Error::other("its name is not one of CSV")),
        };
        let packed = packed.map_err(|error| named_error(path, &error))?;
        let rows = csv::WriterBuilder::new().buffer_capacity(BUFFER_BYTES).from_writer(packed);
        Ok(Self { rows, path: path.to_owned(), text: String::new() })
    }

    /// Writes a whole row.
    pub(crate) fn row<'a>(&mut self, fields: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
        for field in fields {
            self.cell(Cell::Text(field))?;
        }
        self.end_row()
    }

    pub(super) fn cell(&mut self, cell: Cell<'_>) -> io::Result<()> {
        let field = match cell {
            Cell::Text(text) | Cell::Words(text) => text,
            other => {
                self.text.clear();
                other.push(&mut self.text);
                &self.text
            }
        };
        self.rows.write_field(field).map_err(|error| unwritten(&self.path, error))
    }

    pub(super) fn end_row(&mut self) -> io::Result<()> {
        self.rows.write_record(None::<&[u8]>).map_err(|error| unwritten(&self.path, error))
    }

    /// Writes what was gathered, as far as its packing allows.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.rows.flush().map_err(|error| unwritten(&self.path, error))
    }

    /// Writes what is left.
    pub(crate) fn finish(self) -> io::Result<()> {
        let Self { rows, path, .. } = self;
        let packed = rows.into_inner().map_err(|error| unwritten(&path, error.into_error()))?;
        packed.finish().map_err(|error| unwritten(&path, error))
    }
}

/// What was written to has failed; where standard output's reader has left, that is all there is to say.
fn unwritten(path: &Path, error: impl Into<csv::Error>) -> io::Error {
    let error = error.into();
    match error.kind() {
        csv::ErrorKind::Io(cause) if stdout::is_left(cause) => stdout::left(),
        _ => named_error(path, &error),
    }
}
