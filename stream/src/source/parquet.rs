//! Parquet: the columns that a mapping asks for as cells of text, so that one kind of plan serves every format.
//!
//! Times become ISO text (with a `Z` where the column is of UTC), numbers plain digits. Reading has a thread of its
//! own; the library may panic on a broken file, and there that is an end like any other damage.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use jiff::Timestamp;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row as Record};
use parquet::schema::types::{ColumnDescriptor, Type};
use rust_decimal::Decimal;

use super::csv::RowRead;
use super::row::Row;
use super::unpack::Bytes;

/// Rows that are handed over at once, and how many such batches may lie between the two threads.
const BATCH_ROWS: usize = 1024;
const BATCHES_AHEAD: usize = 4;

/// An open file whose columns are known, and no row is read.
pub(super) struct Opened(Box<dyn FileReader>);

/// Reads rows of the asked columns.
#[derive(Debug)]
pub(super) struct Parquet {
    batches: Receiver<Result<Vec<Row>, String>>,
    batch: std::vec::IntoIter<Row>,
    ended: bool,
}

/// Where an asked column is in a record, and how its values are written.
struct Leaf {
    /// Names from the outermost group inward.
    path: Vec<String>,
    stamp: Option<Stamp>,
}

/// A column of times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    /// Nanoseconds, which the library gives out as plain numbers.
    nanoseconds: bool,
    utc: bool,
}

impl Opened {
    /// Opens a file.
    pub(super) fn new(bytes: Bytes) -> Result<Self, String> {
        guarded(move || {
            let reader: Box<dyn FileReader> = match bytes {
                Bytes::File(tracked) => Box::new(SerializedFileReader::new(tracked.file)?),
                Bytes::Memory(mut memory) => {
                    let mut all = Vec::new();
                    memory.read_to_end(&mut all)?;
                    Box::new(SerializedFileReader::new(bytes::Bytes::from(all))?)
                }
            };
            Ok::<_, ParquetError>(Self(reader))
        })?
        .map_err(|it| it.to_string())
    }

    /// The paths of the columns that can be read.
    pub(super) fn columns(&self) -> Vec<String> {
        self.paths(is_readable)
    }

    /// The paths of those that cannot: lists, and types that have no text.
    pub(super) fn unread_columns(&self) -> Vec<String> {
        self.paths(|it| !is_readable(it))
    }

    fn paths(&self, is: impl Fn(&ColumnDescriptor) -> bool) -> Vec<String> {
        let descriptor = self.0.metadata().file_metadata().schema_descr_ptr();
        descriptor.columns().iter().filter(|it| is(it)).map(|it| it.path().string()).collect()
    }

    /// Starts reading these columns.
    pub(super) fn rows(self, asked: &[String]) -> std::io::Result<Parquet> {
        let asked = asked.to_vec();
        let (to, batches) = sync_channel(BATCHES_AHEAD);
        thread::Builder::new().name("parquet".into()).spawn(move || {
            if let Err(error) = feed(self.0, &asked, &to) {
                let _ = to.send(Err(error.to_string()));
            }
        })?;
        Ok(Parquet { batches, batch: Vec::new().into_iter(), ended: false })
    }
}

impl Parquet {
    /// Reads the next row. Damage is said in words.
    pub(super) fn read(&mut self, row: &mut Row) -> Result<RowRead, String> {
        loop {
            if let Some(next) = self.batch.next() {
                *row = next;
                return Ok(RowRead::Row);
            }
            if self.ended {
                return Ok(RowRead::End);
            }
            let batch =
                self.batches.recv().map_err(|_| "its contents contradict each other".to_owned())??;
            self.ended = batch.is_empty();
            self.batch = batch.into_iter();
        }
    }
}

/// Runs what may panic on a broken file where a panic ends a thread and nothing else.
fn guarded<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    thread::spawn(run).join().map_err(|_| "its contents contradict each other".to_owned())
}

/// Sends batch after batch, and an empty one at the end, or until nobody listens.
fn feed(
    reader: Box<dyn FileReader>,
    asked: &[String],
    to: &SyncSender<Result<Vec<Row>, String>>,
) -> Result<(), ParquetError> {
    let descriptor = reader.metadata().file_metadata().schema_descr_ptr();
    let leaf = |name: &String| {
        let column = descriptor.columns().iter().find(|it| it.path().string() == *name);
        Leaf {
            path: column.map_or_else(Vec::new, |it| it.path().parts().to_vec()),
            stamp: column.and_then(|it| stamp(it)),
        }
    };
    let leaves: Vec<Leaf> = asked.iter().map(leaf).collect();
    let outermost = |name: &str| leaves.iter().any(|it| it.path.first().is_some_and(|it| it == name));
    let root = descriptor.root_schema();
    let fields: Vec<Arc<Type>> =
        root.get_fields().iter().filter(|it| outermost(it.name())).cloned().collect();
    let projection = Type::group_type_builder(root.name()).with_fields(fields).build()?;
    let mut records = RowIter::from_file_into(reader).project(Some(projection))?;
    loop {
        let mut batch = Vec::with_capacity(BATCH_ROWS);
        let mut damage = None;
        for record in records.by_ref().take(BATCH_ROWS) {
            match record {
                Ok(record) => batch.push(cells(&record, &leaves)),
                Err(error) => {
                    damage = Some(error);
                    break;
                }
            }
        }
        let last = batch.is_empty();
        if (damage.is_none() || !last) && to.send(Ok(batch)).is_err() {
            return Ok(());
        }
        match damage {
            Some(error) => return Err(error),
            None if last => return Ok(()),
            None => {}
        }
    }
}

fn cells(record: &Record, leaves: &[Leaf]) -> Row {
    let mut row = Row::default();
    for leaf in leaves {
        match field(record, &leaf.path) {
            Some(value) => row.push(&text(value, leaf.stamp)),
            None => row.push(&[]),
        }
    }
    row
}

fn field<'a>(record: &'a Record, path: &[String]) -> Option<&'a Field> {
    let (name, rest) = path.split_first()?;
    let (_, value) = record.get_column_iter().find(|(it, _)| *it == name)?;
    match value {
        Field::Group(group) if !rest.is_empty() => field(group, rest),
        value => rest.is_empty().then_some(value),
    }
}

/// What the library can read without giving up, and what has a text.
fn is_readable(column: &ColumnDescriptor) -> bool {
    use ConvertedType as C;
    let converted = column.converted_type();
    let known = match column.physical_type() {
        PhysicalType::BOOLEAN | PhysicalType::FLOAT | PhysicalType::DOUBLE | PhysicalType::INT96 => true,
        PhysicalType::INT32 => matches!(
            converted,
            C::NONE
                | C::INT_8
                | C::INT_16
                | C::INT_32
                | C::UINT_8
                | C::UINT_16
                | C::UINT_32
                | C::DATE
                | C::DECIMAL
        ),
        PhysicalType::INT64 => matches!(
            converted,
            C::NONE | C::INT_64 | C::UINT_64 | C::TIMESTAMP_MILLIS | C::TIMESTAMP_MICROS | C::DECIMAL
        ),
        PhysicalType::BYTE_ARRAY => {
            matches!(converted, C::NONE | C::UTF8 | C::ENUM | C::JSON | C::DECIMAL)
        }
        PhysicalType::FIXED_LEN_BYTE_ARRAY => converted == C::DECIMAL,
    };
    known && column.max_rep_level() == 0
}

fn stamp(column: &ColumnDescriptor) -> Option<Stamp> {
    match column.logical_type_ref() {
        Some(LogicalType::Timestamp(stamp)) => Some(Stamp {
            nanoseconds: matches!(stamp.unit, TimeUnit::NANOS),
            utc: stamp.is_adjusted_to_u_t_c,
        }),
        _ if column.physical_type() == PhysicalType::INT96 => Some(Stamp { nanoseconds: false, utc: false }),
        _ => None,
    }
}

fn text(value: &Field, stamp: Option<Stamp>) -> Vec<u8> {
    let utc = stamp.is_none_or(|it| it.utc);
    match value {
        Field::Null => String::new(),
        Field::Bool(it) => it.to_string(),
        Field::Byte(it) => it.to_string(),
        Field::Short(it) => it.to_string(),
        Field::Int(it) => it.to_string(),
        Field::Long(it) if stamp.is_some_and(|it| it.nanoseconds) => {
            iso(Timestamp::from_nanosecond(i128::from(*it)), utc)
        }
        Field::Long(it) => it.to_string(),
        Field::UByte(it) => it.to_string(),
        Field::UShort(it) => it.to_string(),
        Field::UInt(it) => it.to_string(),
        Field::ULong(it) => it.to_string(),
        // The shortest digits that read back as the same number.
        Field::Float(it) => it.to_string(),
        Field::Double(it) => it.to_string(),
        Field::Decimal(it) => decimal(it),
        Field::Str(it) => return it.clone().into_bytes(),
        Field::Bytes(it) => return it.data().to_vec(),
        Field::Date(days) => {
            let midnight = Timestamp::from_second(i64::from(*days) * 86_400);
            iso(midnight, false).chars().take(10).collect()
        }
        Field::TimestampMillis(it) => iso(Timestamp::from_millisecond(*it), utc),
        Field::TimestampMicros(it) => iso(Timestamp::from_microsecond(*it), utc),
        // Lists, maps and times of day: refused by whatever reads the cell.
        other => other.to_string(),
    }
    .into_bytes()
}

/// ISO text; a time that no calendar has is shown as such, and refused where it is read.
fn iso(time: Result<Timestamp, jiff::Error>, utc: bool) -> String {
    match time {
        Ok(time) => {
            let text = time.to_string();
            if utc { text } else { text.trim_end_matches('Z').to_owned() }
        }
        Err(_) => "no time".to_owned(),
    }
}

/// A decimal of up to 96 bits; a larger one is shown as such, and refused where it is read.
fn decimal(decimal: &parquet::data_type::Decimal) -> String {
    let data = decimal.data();
    let negative = data.first().is_some_and(|it| it.cast_signed() < 0);
    let start = if negative { -1_i128 } else { 0 };
    let digits = data.iter().try_fold(start, |sum, byte| Some(sum.checked_mul(256)? | i128::from(*byte)));
    let scale = u32::try_from(decimal.scale()).ok();
    let exact =
        digits.zip(scale).and_then(|(digits, scale)| Decimal::try_from_i128_with_scale(digits, scale).ok());
    exact.map_or_else(|| "a decimal of more than 28 digits".to_owned(), |it| it.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use engine::event::FieldValue;
    use parquet::data_type::{
        ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
    };
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;
    use crate::source::{Input, Item, Mapping, Options, Source, SourceState};

    fn file() -> Vec<u8> {
        let schema = "message rows {
            required binary id (utf8);
            required int64 at (timestamp(micros, true));
            required int64 local (timestamp(nanos, false));
            required int64 cents (decimal(12, 2));
            optional double rate;
            optional fixed_len_byte_array(16) token (uuid);
            optional group payer { required int64 number; }
        }";
        let (schema, properties) = (parse_message_type(schema).unwrap(), WriterProperties::builder().build());
        let mut writer =
            SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let ids = ["a", "b"].map(ByteArray::from);
        let mut column = 0;
        while let Some(mut writer) = group.next_column().unwrap() {
            match column {
                0 => writer.typed::<ByteArrayType>().write_batch(&ids, None, None).map(drop),
                1 => {
                    writer.typed::<Int64Type>().write_batch(&[1_767_571_200_000_000, 0], None, None).map(drop)
                }
                2 => writer
                    .typed::<Int64Type>()
                    .write_batch(&[1_767_571_200_000_000_001, 0], None, None)
                    .map(drop),
                3 => writer.typed::<Int64Type>().write_batch(&[5_716, -5], None, None).map(drop),
                4 => writer.typed::<DoubleType>().write_batch(&[0.1], Some(&[1, 0]), None).map(drop),
                5 => {
                    let token = FixedLenByteArray::from(vec![7; 16]);
                    writer
                        .typed::<FixedLenByteArrayType>()
                        .write_batch(&[token], Some(&[1, 0]), None)
                        .map(drop)
                }
                _ => writer.typed::<Int64Type>().write_batch(&[7], Some(&[1, 0]), None).map(drop),
            }
            .unwrap();
            writer.close().unwrap();
            column += 1;
        }
        group.close().unwrap();
        writer.into_inner().unwrap()
    }

    fn read(bytes: Vec<u8>, columns: &[&str]) -> Result<Vec<String>, String> {
        let asked: Vec<_> = columns.iter().map(|it| (*it).to_owned()).collect();
        let mut rows = Opened::new(Input::memory("p", bytes).bytes)?.rows(&asked).unwrap();
        let (mut row, mut all) = (Row::default(), Vec::new());
        while rows.read(&mut row)? == RowRead::Row {
            let cells: Vec<_> = row.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect();
            all.push(cells.join("|"));
        }
        Ok(all)
    }

    #[test]
    fn cells_are_text_whatever_the_type() {
        let names = ["payer.number", "id", "at", "local", "cents", "rate"];
        assert_eq!(Opened::new(Input::memory("p", file()).bytes).unwrap().columns().len(), names.len());
        let expected = [
            "7|a|2026-01-05T00:00:00Z|2026-01-05T00:00:00.000000001|57.16|0.1",
            "|b|1970-01-01T00:00:00Z|1970-01-01T00:00:00|-0.05|",
        ];
        assert_eq!(read(file(), &names).unwrap(), expected);
        assert_eq!(read(file(), &["cents"]).unwrap(), ["57.16", "-0.05"]);
    }

    #[test]
    fn numbers_beyond_what_a_field_holds_are_rejected_rows() {
        let message = "message rows {
            required binary id (utf8);
            required int64 n (integer(64, false));
            required fixed_len_byte_array(16) large (decimal(38, 0));
            required fixed_len_byte_array(20) huge (decimal(47, 0));
        }";
        let (message, properties) =
            (parse_message_type(message).unwrap(), WriterProperties::builder().build());
        let mut writer =
            SerializedFileWriter::new(Vec::new(), Arc::new(message), Arc::new(properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let ids = ["a", "b", "c", "d"].map(ByteArray::from);
        column.typed::<ByteArrayType>().write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&[-1, 5, 7, 8], None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let large = [5, 10_i128.pow(37), 9, 9].map(|it| it.to_be_bytes().to_vec());
        let large = large.map(|it| FixedLenByteArray::from(ByteArray::from(it)));
        column.typed::<FixedLenByteArrayType>().write_batch(&large, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let huge = [0, 0, 0, 0x7f].map(|it| FixedLenByteArray::from(ByteArray::from(vec![it; 20])));
        column.typed::<FixedLenByteArrayType>().write_batch(&huge, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();

        let schema = crate::testing::schema(
            "entity user\nevent payment\n  user: user?\n  n: int\n  large: int\n  huge: int",
        );
        let map = "schema = \"s\"\nevent = \"payment\"\nid = \"id\"\n\
                   time = { column = \"n\", format = { start = \"2026-01-05\", step = \"1s\" } }\n\
                   [fields]\nn = \"n\"\nlarge = \"large\"\nhuge = \"huge\"\n";
        let mapping = Mapping::parse("map.toml", map, Path::new("")).unwrap();
        let options = Options { merge: false, jump_max: Options::JUMP_MAX };
        let inputs = vec![Input::memory("p", writer.into_inner().unwrap())];
        let mut source =
            Source::open(inputs, Some(mapping), schema, options, SourceState::default()).unwrap();
        let (mut item, mut told) = (Item::default(), Vec::new());
        while source.next(&mut item).unwrap() {
            told.push(match &item {
                Item::Event(event) => event.id.clone(),
                other => format!("{other:?}"),
            });
        }
        let [first, second, third, fourth] = &told[..] else { panic!("{told:?}") };
        assert!(first.contains("18446744073709551615"), "{first}");
        assert!(second.contains("a decimal of more than 28 digits"), "{second}");
        assert_eq!(third, "c");
        assert!(fourth.contains("column `huge`: `a decimal of more than 28 digits`"), "{fourth}");
    }

    #[test]
    fn a_mapping_reads_columns_by_path_and_names_what_is_missing() {
        let schema = crate::testing::schema("entity user\nevent payment\n  user: user?\n  amount: money");
        let map = r#"
            schema = "s.schema.weir"
            event = "payment"
            id = "id"
            time = "at"
            [fields]
            user = "payer.number"
            amount = "cents"
        "#;
        let open = |map: &str| {
            let mapping = Mapping::parse("map.toml", map, Path::new("")).unwrap();
            let options = Options { merge: false, jump_max: Options::JUMP_MAX };
            let inputs = vec![Input::memory("p", file())];
            Source::open(inputs, Some(mapping), Arc::clone(&schema), options, SourceState::default())
        };
        let mut source = open(map).unwrap();
        let mut item = Item::default();
        assert!(source.next(&mut item).unwrap());
        let Item::Event(event) = &item else { panic!("{item:?}") };
        assert_eq!((event.id.as_str(), event.time), ("a", 1_767_571_200_000_000));
        assert_eq!(event.get(&schema, "user"), FieldValue::Text("7"));
        assert!(source.next(&mut item).unwrap() && !source.next(&mut item).unwrap());

        for (column, said) in [
            ("payer.nummer", "`p` has no column `payer.nummer`; did you mean `payer.number`?"),
            ("token", "the column `token` of `p` is of a type that is not read: cast it to text"),
        ] {
            let error = open(&map.replace("payer.number", column)).map(drop).unwrap_err();
            assert_eq!(error.to_string(), format!("map.toml, line 7: `user`: {said}"));
        }
    }

    /// No row of it can be told from another.
    #[test]
    fn an_end_that_cannot_be_read_is_told_as_such() {
        let schema = crate::testing::schema("entity user\nevent payment\n  user: user");
        let map =
            "schema = \"s\"\nevent = \"payment\"\nid = \"id\"\ntime = \"at\"\n[fields]\nuser = \"id\"\n";
        let whole = file();
        for bytes in [&whole[..whole.len() / 2], b"PAR1"] {
            let mapping = Mapping::parse("map.toml", map, Path::new("")).unwrap();
            let options = Options { merge: false, jump_max: Options::JUMP_MAX };
            let inputs = vec![Input::memory("p", bytes)];
            let source =
                Source::open(inputs, Some(mapping), Arc::clone(&schema), options, SourceState::default());
            let said = source.map(drop).unwrap_err().to_string();
            assert!(
                said.starts_with("`p` is damaged or cut short: its end does not say what it holds: "),
                "{said}"
            );
        }
    }

    #[test]
    fn a_broken_file_is_an_error_and_no_panic() {
        let whole = file();
        assert!(read(whole[..whole.len() / 2].to_vec(), &["id"]).is_err());
        for at in 4..whole.len() {
            let mut broken = whole.clone();
            broken[at] ^= 0x55;
            let _ = read(broken, &["id", "cents"]);
        }
    }
}
