//! `weir bench replay`: a replay from a file to its decisions and features, and beside it a bare loop that unpacks the
//! file, splits it into cells and writes the same bytes.
//!
//! Both unpack in a thread of their own and write to the same folder. They take turns, and the fastest turn of each
//! counts: whatever else the machine did, it did less of it then.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use csv::ByteRecord;
use stream::source::Input;

use crate::figures::{grouped, percent, rate};
use crate::replay::{self, Ran};
use crate::stdout::Stdout;

/// Turns of each.
const TURNS: u32 = 3;
/// Bytes that the bare loop gathers before it writes.
const BUFFER_BYTES: usize = 1 << 20;
/// What a replay writes.
const OUTPUTS: [&str; 2] = ["decisions.csv", "features.csv"];

/// Replay a CSV file with all that it can write, beside a loop that only reads it and writes the same bytes.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// CSV; plain, gzip or zstd, told by content
    file: PathBuf,
    /// How columns become events
    #[arg(long, value_name = "MAP.toml")]
    map: PathBuf,
    /// A folder of .weir files, or one rule file beside its schema
    #[arg(long, value_name = "PATH")]
    rules: PathBuf,
}

/// Measures and prints.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    if !is_csv(&options.file)? {
        anyhow::bail!("`{}` is no CSV, which is all that the bare loop reads", options.file.display());
    }
    let folder = tempfile::tempdir().context("a folder for what is written cannot be made")?;
    let [decisions, features] = OUTPUTS.map(|name| folder.path().join(name));
    let replayed = replay::Options {
        files: vec![options.file.clone()],
        map: Some(options.map.clone()),
        rules: options.rules.clone(),
        history: None,
        out: Some(decisions),
        features: Some(features),
        state: None,
        data: None,
        strict: false,
        merge: false,
        jump_max: None,
        rejects: Some(folder.path().join("rejects.csv")),
    };
    let mut ran = whole(&replayed)?;
    let bare = Bare::prepare(&options.file, folder.path())?;
    let mut fastest = bare.turn()?;
    for _ in 1..TURNS {
        let again = whole(&replayed)?;
        if again.summary.elapsed < ran.summary.elapsed {
            ran = again;
        }
        fastest = fastest.min(bare.turn()?);
    }
    write!(Stdout, "{}", say(&ran, &bare, fastest))?;
    Ok(())
}

/// Whether a file is neither JSON lines nor Parquet.
fn is_csv(file: &Path) -> anyhow::Result<bool> {
    let named = || format!("`{}` cannot be read", file.display());
    let unpacked = Input::open(file).and_then(Input::unpack).with_context(named)?;
    let mut first = Vec::new();
    unpacked.take(4).read_to_end(&mut first).with_context(named)?;
    Ok(!first.starts_with(b"{") && first != b"PAR1")
}

/// A replay to the file's end.
fn whole(options: &replay::Options) -> anyhow::Result<Ran> {
    let ran = replay::replay(options)?;
    match ran.error {
        None => Ok(ran),
        Some(error) => Err(error),
    }
}

/// The bare loop: unpacks a file, splits it into cells, and writes again what a replay of it wrote.
#[derive(Debug)]
struct Bare<'a> {
    file: &'a Path,
    rows: usize,
    /// Bytes of the file, unpacked.
    read: u64,
    outputs: Vec<Output>,
}

/// What a replay wrote to a file, and where it is written again.
#[derive(Debug)]
struct Output {
    bytes: Vec<u8>,
    again: PathBuf,
}

impl<'a> Bare<'a> {
    /// Counts the rows of a file and reads what a replay of it left in a folder.
    fn prepare(file: &'a Path, folder: &Path) -> anyhow::Result<Self> {
        let output = |name: &str| {
            Ok(Output { bytes: fs::read(folder.join(name))?, again: folder.join(format!("bare.{name}")) })
        };
        let outputs = OUTPUTS.into_iter().map(output).collect::<io::Result<_>>()?;
        let mut bare = Self { file, rows: 0, read: 0, outputs };
        (bare.rows, bare.read) = bare.each_row(|_| Ok(()))?;
        Ok(bare)
    }

    /// One turn: with each row the next part of each output.
    fn turn(&self) -> anyhow::Result<Duration> {
        let start = Instant::now();
        let mut files = Vec::new();
        for output in &self.outputs {
            let part = output.bytes.len().div_ceil(self.rows.max(1)).max(1);
            let file = BufWriter::with_capacity(BUFFER_BYTES, File::create(&output.again)?);
            files.push((output.bytes.chunks(part), file));
        }
        self.each_row(|row| {
            black_box(row);
            files.iter_mut().try_for_each(|(parts, file)| file.write_all(parts.next().unwrap_or_default()))
        })?;
        files.iter_mut().try_for_each(|(_, file)| file.flush())?;
        Ok(start.elapsed())
    }

    /// Reads the file; gives the number of its rows without the header, and of its bytes.
    fn each_row(&self, mut row: impl FnMut(&ByteRecord) -> io::Result<()>) -> anyhow::Result<(usize, u64)> {
        let unpacked = Input::open(self.file)?.unpack()?;
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(unpacked);
        let (mut cells, mut rows) = (ByteRecord::new(), 0);
        while reader.read_byte_record(&mut cells)? {
            row(&cells)?;
            rows += 1;
        }
        Ok((rows, reader.position().byte()))
    }
}

fn say(ran: &Ran, bare: &Bare<'_>, fastest: Duration) -> String {
    let (tally, elapsed, rows) = (&ran.summary.tally, ran.summary.elapsed, bare.rows as u64);
    let written = bare.outputs.iter().map(|it| it.bytes.len() as u64).sum();
    let speed = |elapsed: Duration| {
        let seconds = elapsed.as_secs_f64();
        format!("{seconds:.3} s, {} rows a second", grouped(rate(rows, seconds)))
    };
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "rows         {}, {} bytes unpacked", grouped(rows), grouped(bare.read));
    let _ = writeln!(text, "replay       {}", speed(elapsed));
    let _ = writeln!(text, "bare loop    {}", speed(fastest));
    let ratio = elapsed.as_secs_f64() / fastest.as_secs_f64().max(1e-9);
    let _ = writeln!(text, "ratio        {ratio:.2}");
    let _ = writeln!(text, "written      {} bytes, decisions and features", grouped(written));
    let _ = writeln!(
        text,
        "hit          {} of the rows, by {} rules",
        percent(tally.rows_hit, tally.decided),
        ran.rules.typed.rules.len()
    );
    if 0 < tally.rejects {
        let _ = writeln!(text, "rejected     {} rows", grouped(tally.rejects));
    }
    text
}
