//! A file of rows in the format that its name says: CSV, plain or packed, or Parquet.

use std::io;
use std::path::Path;

use super::cell::{Cell, Column};
use super::csv::CsvFile;
use super::form::Form;
#[cfg(feature = "parquet")]
use super::parquet::ParquetFile;

/// A file of rows that is being written.
#[derive(Debug)]
pub(super) enum Table {
    Csv(Box<CsvFile>),
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetFile>),
}

impl Table {
    /// Creates the file; of CSV, with its header.
    pub(super) fn create(path: &Path, columns: Vec<Column>) -> io::Result<Self> {
        if Form::of(path) == Some(Form::Parquet) {
            return Self::parquet(path, columns);
        }
        let mut file = CsvFile::create(path)?;
        file.row(columns.iter().map(|it| it.name.as_str()))?;
        Ok(Self::Csv(Box::new(file)))
    }

    #[cfg(feature = "parquet")]
    fn parquet(path: &Path, columns: Vec<Column>) -> io::Result<Self> {
        Ok(Self::Parquet(Box::new(ParquetFile::create(path, columns)?)))
    }

    #[cfg(not(feature = "parquet"))]
    fn parquet(path: &Path, _: Vec<Column>) -> io::Result<Self> {
        let path = path.display();
        let message = format!(
            "`{path}`: this build does not write Parquet: build with the feature `parquet`, or name a .csv file"
        );
        Err(io::Error::new(io::ErrorKind::Unsupported, message))
    }

    /// Writes the next cell of the row.
    pub(super) fn cell(&mut self, cell: Cell<'_>) -> io::Result<()> {
        match self {
            Self::Csv(file) => file.cell(cell),
            #[cfg(feature = "parquet")]
            Self::Parquet(file) => file.cell(cell),
        }
    }

    /// Ends a row, of which every column has got its cell.
    pub(super) fn end_row(&mut self) -> io::Result<()> {
        match self {
            Self::Csv(file) => file.end_row(),
            #[cfg(feature = "parquet")]
            Self::Parquet(file) => file.end_row(),
        }
    }

    /// Writes what is left.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Csv(file) => file.finish(),
            #[cfg(feature = "parquet")]
            Self::Parquet(file) => file.finish(),
        }
    }
}
