//! How fast a file becomes events: rows per second of the Handbook file, beside a bare loop that unpacks it and splits
//! it into cells. From the project's root: `cargo run --release -p stream --example read_speed [FILE]`.

use std::error::Error;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rules::check::check_schema;
use rules::diagnostic::Source as Text;
use rules::schema::Schema;
use stream::source::{Input, Item, Mapping, Options, Source, SourceState};

const FILE: &str = "../shared/data/handbook/tx_2018-04_2018-07.csv.zst";
const MAP: &str = "fixtures/handbook/map.toml";

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
    let mapping = Mapping::read(Path::new(MAP))?;
    let schema = schema(&mapping)?;
    let options = Options { merge: false, jump_max: Options::JUMP_MAX };
    let inputs = vec![Input::open(file)?];
    let mut source = Source::open(inputs, Some(mapping), schema, options, SourceState::default())?;
    let (mut item, mut items) = (Item::default(), 0);
    while source.next(&mut item)? {
        items += 1;
        std::hint::black_box(&item);
    }
    Ok(items)
}

fn schema(mapping: &Mapping) -> Result<Arc<Schema>, Box<dyn Error>> {
    let text = std::fs::read_to_string(mapping.schema_file())?;
    let (schema, _) = check_schema(Text { name: "schema", text: &text });
    Ok(Arc::new(schema.ok_or("the schema has errors: see `weir rules check`")?))
}
