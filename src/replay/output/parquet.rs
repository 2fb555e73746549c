//! Rows as Parquet: typed columns, packed with zstd, a group of rows after the other, so that memory holds one group.
//!
//! | a cell | its column |
//! | --- | --- |
//! | text | `binary (string)` |
//! | words | a list of strings, empty where there are none |
//! | time | `int64 (timestamp(micros, utc))` |
//! | flag | `int32 (integer(8, signed))`, 0 and 1 as in CSV |
//! | whole number | `int64` |
//! | number with a fraction | `decimal(38, scale)` |
//! | real | `double` |
//!
//! All may be null but lists. The same rows give the same file, byte for byte.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

use super::cell::{Cell, Column, Kind};
use super::named_error;

/// Rows of a group: enough that each column of it packs well, few enough that memory does not notice.
pub(super) const GROUP_ROWS: usize = 1 << 16;
/// Digits of a decimal: more than any exact value has.
const DECIMAL_DIGITS: i32 = 38;
/// Bytes of a decimal: those of an `i128`.
const DECIMAL_BYTES: i32 = 16;

/// A Parquet file that is being written.
#[derive(Debug)]
pub(super) struct ParquetFile {
    file: SerializedFileWriter<BufWriter<File>>,
    path: PathBuf,
    /// Of the group that is being gathered.
    columns: Vec<Gathered>,
    rows: usize,
    /// The column of the next cell.
    next: usize,
}

/// A column's cells in a group.
#[derive(Debug)]
struct Gathered {
    name: String,
    values: Values,
    /// Whether there is a value; of a list, one number for each item, and one for an empty list.
    present: Vec<i16>,
    /// Of a list: whether an item is of the same row as the one before it. Empty where the column is no list.
    goes_on: Vec<i16>,
}

/// Values that are there, one behind the other.
#[derive(Debug)]
enum Values {
    Flags(Vec<i32>),
    Whole(Vec<i64>),
    Reals(Vec<f64>),
    Decimals(Spans),
    Texts(Spans),
}

/// Byte strings in one buffer.
#[derive(Debug, Default)]
struct Spans {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl ParquetFile {
    /// Creates the file.
    pub(super) fn create(path: &Path, columns: Vec<Column>) -> io::Result<Self> {
        let named = |error: &dyn std::error::Error| named_error(path, error);
        let file = File::create(path).map_err(|error| named(&error))?;
        let file = open(BufWriter::new(file), &columns).map_err(|error| named(&error))?;
        let columns = columns.into_iter().map(Gathered::new).collect();
        Ok(Self { file, path: path.to_owned(), columns, rows: 0, next: 0 })
    }

    pub(super) fn cell(&mut self, cell: Cell<'_>) -> io::Result<()> {
        // INVARIANT (columns): a row has as many cells as there are columns.
        let Some(column) = self.columns.get_mut(self.next) else { return Ok(()) };
        self.next += 1;
        column.push(cell).map_err(|error| named_error(&self.path, &error))
    }

    pub(super) fn end_row(&mut self) -> io::Result<()> {
        (self.rows, self.next) = (self.rows + 1, 0);
        if self.rows < GROUP_ROWS { Ok(()) } else { self.end_group() }
    }

    fn end_group(&mut self) -> io::Result<()> {
        self.rows = 0;
        write_group(&mut self.file, &mut self.columns).map_err(|error| named_error(&self.path, &error))
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if 0 < self.rows {
            self.end_group()?;
        }
        self.file.close().map(drop).map_err(|error| named_error(&self.path, &error))
    }
}

fn open(
    file: BufWriter<File>,
    columns: &[Column],
) -> Result<SerializedFileWriter<BufWriter<File>>, ParquetError> {
    let zstd = Compression::ZSTD(ZstdLevel::try_new(zstd::DEFAULT_COMPRESSION_LEVEL)?);
    let fields = columns.iter().map(|it| column_type(it).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
    let schema = Type::group_type_builder("weir").with_fields(fields).build()?;
    // No two events have one id: a dictionary of them would be the column once more.
    let properties = WriterProperties::builder()
        .set_compression(zstd)
        .set_column_dictionary_enabled("event_id".into(), false);
    SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties.build()))
}

/// A column as the schema has it.
fn column_type(column: &Column) -> Result<Type, ParquetError> {
    let (name, optional) = (column.name.as_str(), Repetition::OPTIONAL);
    match column.kind {
        Kind::Text => leaf(name, optional, Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Words => {
            let text =
                leaf("element", Repetition::REQUIRED, Physical::BYTE_ARRAY, Some(LogicalType::String))?;
            let list = group("list", Repetition::REPEATED, text, None)?;
            group(name, Repetition::REQUIRED, list, Some(LogicalType::List))
        }
        Kind::Time => {
            let time = LogicalType::timestamp(true, TimeUnit::MICROS);
            leaf(name, optional, Physical::INT64, Some(time))
        }
        Kind::Flag => leaf(name, optional, Physical::INT32, Some(LogicalType::integer(8, true))),
        Kind::Exact(0) => leaf(name, optional, Physical::INT64, None),
        Kind::Exact(scale) => Type::primitive_type_builder(name, Physical::FIXED_LEN_BYTE_ARRAY)
            .with_repetition(optional)
            .with_length(DECIMAL_BYTES)
            .with_precision(DECIMAL_DIGITS)
            .with_scale(scale.into())
            .with_logical_type(Some(LogicalType::decimal(scale.into(), DECIMAL_DIGITS)))
            .build(),
        Kind::Real => leaf(name, optional, Physical::DOUBLE, None),
    }
}

fn leaf(
    name: &str,
    repetition: Repetition,
    physical: Physical,
    logical: Option<LogicalType>,
) -> Result<Type, ParquetError> {
    let builder = Type::primitive_type_builder(name, physical);
    builder.with_repetition(repetition).with_logical_type(logical).build()
}

fn group(
    name: &str,
    repetition: Repetition,
    field: Type,
    logical: Option<LogicalType>,
) -> Result<Type, ParquetError> {
    let fields: Vec<TypePtr> = vec![Arc::new(field)];
    let builder = Type::group_type_builder(name).with_repetition(repetition);
    builder.with_fields(fields).with_logical_type(logical).build()
}

/// Writes a group and empties the columns.
fn write_group(
    file: &mut SerializedFileWriter<BufWriter<File>>,
    columns: &mut [Gathered],
) -> Result<(), ParquetError> {
    let mut group = file.next_row_group()?;
    for column in columns {
        let Some(mut writer) = group.next_column()? else { break };
        column.write(writer.untyped())?;
        writer.close()?;
    }
    group.close().map(drop)
}

impl Gathered {
    fn new(column: Column) -> Self {
        let values = match column.kind {
            Kind::Text | Kind::Words => Values::Texts(Spans::default()),
            Kind::Time | Kind::Exact(0) => Values::Whole(Vec::new()),
            Kind::Flag => Values::Flags(Vec::new()),
            Kind::Exact(_) => Values::Decimals(Spans::default()),
            Kind::Real => Values::Reals(Vec::new()),
        };
        Self { name: column.name, values, present: Vec::new(), goes_on: Vec::new() }
    }

    fn push(&mut self, cell: Cell<'_>) -> Result<(), ParquetError> {
        match (&mut self.values, cell) {
            (Values::Texts(texts), Cell::Text(text)) => texts.push(text.as_bytes()),
            (Values::Texts(texts), Cell::Words(words)) => {
                for (at, word) in words.split(';').enumerate() {
                    self.present.push(i16::from(!words.is_empty()));
                    self.goes_on.push(i16::from(0 < at));
                    if !words.is_empty() {
                        texts.push(word.as_bytes());
                    }
                }
                return Ok(());
            }
            (Values::Whole(whole), Cell::Time(time)) => whole.push(time),
            (Values::Whole(whole), Cell::Exact(exact, _)) => {
                whole.push(i64::try_from(exact).map_err(|_| {
                    let name = &self.name;
                    ParquetError::General(format!(
                        "`{name}` is {exact}, which 64 bits do not hold: write CSV"
                    ))
                })?)
            }
            (Values::Decimals(decimals), Cell::Exact(exact, _)) => decimals.push(&exact.to_be_bytes()),
            (Values::Flags(flags), Cell::Flag(flag)) => flags.push(flag.into()),
            (Values::Reals(reals), Cell::Real(real)) => reals.push(real),
            // Missing; INVARIANT (kinds): a cell is of its column's kind.
            _ => {
                self.present.push(0);
                return Ok(());
            }
        }
        self.present.push(1);
        Ok(())
    }

    /// Writes the cells, and forgets them.
    fn write(&mut self, writer: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        let present = Some(&*self.present);
        match (writer, &mut self.values) {
            (ColumnWriter::Int32ColumnWriter(writer), Values::Flags(flags)) => {
                writer.write_batch(flags, present, None)?;
                flags.clear();
            }
            (ColumnWriter::Int64ColumnWriter(writer), Values::Whole(whole)) => {
                writer.write_batch(whole, present, None)?;
                whole.clear();
            }
            (ColumnWriter::DoubleColumnWriter(writer), Values::Reals(reals)) => {
                writer.write_batch(reals, present, None)?;
                reals.clear();
            }
            (ColumnWriter::FixedLenByteArrayColumnWriter(writer), Values::Decimals(decimals)) => {
                let decimals: Vec<_> = decimals.take().into_iter().map(Into::into).collect();
                writer.write_batch(&decimals, present, None)?;
            }
            (ColumnWriter::ByteArrayColumnWriter(writer), Values::Texts(texts)) => {
                let goes_on = (!self.goes_on.is_empty()).then_some(&*self.goes_on);
                writer.write_batch(&texts.take(), present, goes_on)?;
            }
            // INVARIANT (kinds): the schema is made of the columns' kinds.
            _ => return Err(ParquetError::General(format!("`{}` is of another kind", self.name))),
        }
        self.present.clear();
        self.goes_on.clear();
        Ok(())
    }
}

impl Spans {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
    }

    /// All byte strings, which share one allocation; none are left.
    fn take(&mut self) -> Vec<ByteArray> {
        let capacity = self.bytes.len();
        let bytes = Bytes::from(std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity)));
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let spans = starts.zip(&self.ends).map(|(start, end)| bytes.slice(start..*end).into()).collect();
        self.ends.clear();
        spans
    }
}
