//! One file, opened: its format told, its mapping compiled; row after row becomes an event, an amendment or a reject.

use std::sync::Arc;

use engine::event::Event;
use rules::schema::Schema;

use super::csv::{Csv, RowRead};
use super::feed::Counts;
use super::join::JoinTable;
use super::lines::{Lines, Paths};
use super::mapping::Mapping;
use super::pending::Known;
use super::plan::{Columns, Made, Plan, compile};
use super::row::Row;
use super::unpack::{Blocks, Input, first_bytes};
use super::{RowAt, SourceError};
use crate::intake::{Body, parse_json};

/// What all files of a source share.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) schema: Arc<Schema>,
    pub(super) mapping: Option<Mapping>,
    pub(super) joins: Vec<Arc<JoinTable>>,
}

/// A file being read.
#[derive(Debug)]
pub(super) struct FileReader {
    pub(super) name: Arc<str>,
    index: u32,
    format: Format,
    /// The number of the row last read, as in [`RowAt::row`].
    row: u64,
    cells: Row,
    line: Vec<u8>,
}

#[derive(Debug)]
enum Format {
    Csv(Box<Csv>, Box<Plan>),
    /// JSON lines with a mapping.
    Mapped(Lines, Paths, Box<Plan>),
    #[cfg(feature = "parquet")]
    Parquet(super::parquet::Parquet, Box<Plan>),
    /// JSON lines in Weir's own shape.
    Own(Lines),
}

/// What a row became.
#[derive(Debug)]
pub(super) enum Got {
    /// An event, which stands in the buffer, and perhaps its label.
    Event(Option<Box<Known>>),
    Amendment(Box<Known>),
    /// Nothing, for this reason.
    Reject(String),
}

impl FileReader {
    /// Opens a file; reads its first bytes, and its header if it has one.
    pub(super) fn open(mut input: Input, index: u32, setup: &Setup) -> Result<Self, SourceError> {
        let name = Arc::clone(&input.name);
        let unread = |error| SourceError::Unread { file: Arc::clone(&name), error };
        let format = if first_bytes(&mut input.bytes).map_err(unread)? == *b"PAR1" {
            Format::parquet(input, setup)?
        } else {
            Format::text(input, setup)?
        };
        Ok(Self { name, index, format, row: 0, cells: Row::default(), line: Vec::new() })
    }

    /// The row last read.
    pub(super) fn at(&self) -> RowAt {
        RowAt { file: self.index, row: self.row }
    }

    /// Reads rows until one becomes something; none at the end. every row is counted.
    pub(super) fn read(
        &mut self,
        setup: &Setup,
        counts: &mut Counts,
        event: &mut Event,
    ) -> Result<Option<Got>, SourceError> {
        loop {
            let damaged = |damage| SourceError::Damaged { file: Arc::clone(&self.name), damage };
            let read = match &mut self.format {
                Format::Csv(csv, _) => csv.read(&mut self.cells).map_err(damaged)?,
                Format::Mapped(lines, ..) | Format::Own(lines) => {
                    lines.read(&mut self.line).map_err(damaged)?
                }
                #[cfg(feature = "parquet")]
                Format::Parquet(rows, _) => rows.read(&mut self.cells).map_err(|message| {
                    SourceError::DamagedRow { file: Arc::clone(&self.name), row: self.row + 1, message }
                })?,
            };
            if read == RowRead::End {
                if let Format::Mapped(_, paths, _) = &self.format {
                    counts.notes.extend(paths.unmet().map(|it| format!("`{}`: {it}", self.name)));
                }
                return Ok(None);
            }
            self.row = match &self.format {
                Format::Mapped(lines, ..) | Format::Own(lines) => lines.number(),
                _ => self.row + 1,
            };
            counts.sequence += 1;
            let refused = match read {
                RowRead::TooLong => Some("longer than any row may be"),
                RowRead::OpenQuote => {
                    Some("a quote is opened and not closed in this line: close it, or double it")
                }
                RowRead::Row | RowRead::End => None,
            };
            if let Some(reason) = refused {
                return Ok(Some(Got::Reject(reason.to_owned())));
            }
            let got = match &mut self.format {
                Format::Csv(_, plan) => made(plan.event(&self.cells, counts.sequence, &setup.schema, event)),
                Format::Mapped(_, paths, plan) => made(
                    paths
                        .read(&self.line, &mut self.cells)
                        .and_then(|()| plan.event(&self.cells, counts.sequence, &setup.schema, event)),
                ),
                #[cfg(feature = "parquet")]
                Format::Parquet(_, plan) => {
                    made(plan.event(&self.cells, counts.sequence, &setup.schema, event))
                }
                Format::Own(_) => Some(own(&self.line, &setup.schema, event)),
            };
            match got {
                Some(got) => return Ok(Some(self.noted(got))),
                None => counts.skipped += 1,
            }
        }
    }

    /// Notes the row in what came of it.
    fn noted(&self, mut got: Got) -> Got {
        if let Got::Event(Some(known)) | Got::Amendment(known) = &mut got {
            known.at = Some(self.at());
        }
        got
    }
}

impl Format {
    /// CSV or JSON lines, told by the first byte.
    fn text(input: Input, setup: &Setup) -> Result<Self, SourceError> {
        let name = input.name;
        let unread = |error| SourceError::Unread { file: Arc::clone(&name), error };
        let mut blocks = Blocks::start(input.bytes).map_err(unread)?;
        let damaged = |damage| SourceError::Damaged { file: Arc::clone(&name), damage };
        if blocks.fill().map_err(damaged)?.starts_with(b"\xef\xbb\xbf") {
            blocks.consume(3);
        }
        let start = blocks.fill().map_err(damaged)?;
        if let Some(what) = no_text(start) {
            return Err(SourceError::NoText { file: name, what });
        }
        let format = match (start.trim_ascii_start().first(), &setup.mapping) {
            (Some(b'{'), None) => Self::Own(Lines::new(blocks)),
            (Some(b'{'), Some(mapping)) => {
                let mut columns = Columns::Asked { known: None, unread: Vec::new(), asked: Vec::new() };
                let plan = compile(mapping, &setup.schema, (&name, &mut columns), &setup.joins)?;
                Self::Mapped(Lines::new(blocks), Paths::new(columns.asked()), Box::new(plan))
            }
            (Some(b'['), _) if is_array(start) => return Err(SourceError::Array { file: name }),
            (Some(_), None) => return Err(SourceError::NoMapping { file: name }),
            // Without a byte it has no rows, whatever its format.
            (None, _) => Self::Own(Lines::new(blocks)),
            (_, Some(mapping)) => {
                let mut csv = Csv::new(blocks);
                let mut header = Row::default();
                csv.read(&mut header).map_err(damaged)?;
                let names = header.iter().map(|it| String::from_utf8_lossy(it).trim().to_owned()).collect();
                let plan =
                    compile(mapping, &setup.schema, (&name, &mut Columns::Header(names)), &setup.joins)?;
                Self::Csv(Box::new(csv), Box::new(plan))
            }
        };
        Ok(format)
    }

    #[cfg(not(feature = "parquet"))]
    fn parquet(input: Input, _: &Setup) -> Result<Self, SourceError> {
        Err(SourceError::Parquet { file: input.name })
    }

    #[cfg(feature = "parquet")]
    fn parquet(input: Input, setup: &Setup) -> Result<Self, SourceError> {
        let name = input.name;
        let Some(mapping) = &setup.mapping else { return Err(SourceError::NoMapping { file: name }) };
        let damaged = |message| SourceError::DamagedEnd { file: Arc::clone(&name), message };
        if input.bytes.is_stream() {
            return Err(SourceError::ParquetStream { file: name });
        }
        let opened = super::parquet::Opened::new(input.bytes).map_err(damaged)?;
        let mut columns = Columns::Asked {
            known: Some(opened.columns()),
            unread: opened.unread_columns(),
            asked: Vec::new(),
        };
        let plan = compile(mapping, &setup.schema, (&name, &mut columns), &setup.joins)?;
        let rows = opened.rows(columns.asked()).map_err(|error| SourceError::Unread { file: name, error })?;
        Ok(Self::Parquet(rows, Box::new(plan)))
    }
}

/// Whether a file begins as an array of JSON objects: a header of CSV may begin with a bracket too.
fn is_array(start: &[u8]) -> bool {
    let inside = start.trim_ascii_start().strip_prefix(b"[").unwrap_or_default().trim_ascii_start();
    matches!(inside.first(), Some(b'{' | b']'))
}

/// What a file is that is no text, by how it begins; none if it may be one.
fn no_text(start: &[u8]) -> Option<&'static str> {
    match start {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16: save it as UTF-8"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Some("packed by xz: unpack it, or pack it by gzip or zstd"),
        [b'B', b'Z', b'h', ..] => Some("packed by bzip2: unpack it, or pack it by gzip or zstd"),
        // Only where it was packed: plain, it is told by these bytes and read.
        [b'P', b'A', b'R', b'1', ..] => Some("packed Parquet: unpack it"),
        [b'P', b'K', 3, 4, ..] => Some("a zip archive: unpack it, or pack its file by gzip or zstd"),
        start if start.get(..1_024).unwrap_or(start).contains(&0) => Some("no text, for it has zero bytes"),
        _ => None,
    }
}

fn made(made: Result<Made, String>) -> Option<Got> {
    match made {
        Ok(Made::Event(label)) => Some(Got::Event(label)),
        Ok(Made::Skipped) => None,
        Err(reason) => Some(Got::Reject(reason)),
    }
}

/// A line in Weir's own shape. A file's events say when they happened: nobody stamps them.
fn own(line: &[u8], schema: &Schema, event: &mut Event) -> Got {
    match parse_json(line, schema, event) {
        Ok(Body::Event) if event.time_given => Got::Event(None),
        Ok(Body::Amendment(amendment)) if amendment.time_given => {
            Got::Amendment(Box::new(Known { amendment, place: None, at: None }))
        }
        Ok(_) => Got::Reject("`/time`: missing, and what stands in a file has one".to_owned()),
        Err(error) => Got::Reject(error.to_string()),
    }
}
