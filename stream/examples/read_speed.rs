//! How fast a file becomes events: rows per second of the Handbook file, beside a bare loop that unpacks it and splits
//! it into cells. `cargo run --release -p stream --example read_speed [FILE]`.

use std::error::Error;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use jiff::tz::TimeZone;
use rules::schema::{
    Currency, EventField, EventType, Field, FieldId, FieldType, Kind, KindId, Ownership, Schema,
};
use rules::time::{DAY, MINUTE};
use stream::source::{Input, Item, Mapping, Options, Source, SourceState};

const FILE: &str = "../shared/data/handbook/tx_2018-04_2018-07.csv.zst";
const MAP: &str = r#"
schema = "handbook.schema.weir"
event  = "payment"
id     = { column = "transaction_id" }
time   = { column = "tx_datetime", format = "iso", zone = "UTC" }
order  = "live"
[fields]
customer = "customer_id"
terminal = "terminal_id"
amount   = { column = "amount", currency = "EUR" }
[label]
column = "fraud"
values = { "1" = "fraud" }
known_after = "7d"
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).map_or_else(|| PathBuf::from(FILE), PathBuf::from);
    if !file.exists() {
        println!("skipped: no {}", file.display());
        return Ok(());
    }
    for _ in 0..3 {
        let begin = Instant::now();
        let (rows, bytes) = bare(&file)?;
        report("unpack, then split into cells", rows, bytes, begin);
        let begin = Instant::now();
        let rows = source(&file)?;
        report("source: events and labels", rows, bytes, begin);
    }
    Ok(())
}

fn report(what: &str, rows: u64, bytes: usize, begin: Instant) {
    let seconds = begin.elapsed().as_secs_f64();
    let per_second = rows as f64 / seconds;
    println!(
        "{what:32} {rows:9} rows {:6.1} MB {seconds:6.3} s {per_second:11.0} rows/s",
        bytes as f64 / 1e6
    );
}

/// One thread, no checks, nothing kept: the floor.
fn bare(file: &Path) -> Result<(u64, usize), Box<dyn Error>> {
    let mut text = Vec::new();
    zstd::stream::read::Decoder::new(std::fs::File::open(file)?)?.read_to_end(&mut text)?;
    let mut reader = csv_core::Reader::new();
    let (mut input, mut output, mut ends) = (&text[..], [0; 4096], [0; 256]);
    let (mut rows, mut cells) = (0, 0);
    loop {
        let (result, read, _, written) = reader.read_record(input, &mut output, &mut ends);
        (input, cells) = (input.get(read..).unwrap_or_default(), cells + written);
        match result {
            csv_core::ReadRecordResult::Record => rows += 1,
            csv_core::ReadRecordResult::End => break,
            _ => {}
        }
    }
    std::hint::black_box(cells);
    Ok((rows, text.len()))
}

fn source(file: &Path) -> Result<u64, Box<dyn Error>> {
    let mapping = Mapping::parse("map.toml", MAP, Path::new(""))?;
    let options = Options { merge: false, jump_max: Options::JUMP_MAX };
    let inputs = vec![Input::open(file)?];
    let mut source = Source::open(inputs, Some(mapping), schema(), options, SourceState::default())?;
    let (mut item, mut items) = (Item::default(), 0);
    while source.next(&mut item)? {
        items += 1;
        std::hint::black_box(&item);
    }
    Ok(items)
}

fn schema() -> Arc<Schema> {
    let currency = Currency::from_code("EUR");
    let field = |name: &str, ty| Field { name: name.to_owned(), ty };
    let event_field = |at| EventField { field: FieldId(at), optional: false, derived: None };
    let kind = |name: &str, ownership| Kind { name: name.to_owned(), ownership };
    Arc::new(Schema {
        name: "handbook".to_owned(),
        version: 1,
        zone_name: "UTC".to_owned(),
        zone: TimeZone::UTC,
        currency: currency.unwrap_or_else(|| unreachable!("EUR is a currency")),
        lateness: 10 * MINUTE,
        keep: 400 * DAY,
        rates_file: None,
        kinds: vec![kind("customer", Ownership::Partition), kind("terminal", Ownership::Shared)],
        enums: Vec::new(),
        events: vec![EventType { name: "payment".to_owned(), fields: (0..3).map(event_field).collect() }],
        fields: vec![
            field("customer", FieldType::Entity(KindId(0))),
            field("terminal", FieldType::Entity(KindId(1))),
            field("amount", FieldType::Money { currency: None }),
        ],
    })
}
