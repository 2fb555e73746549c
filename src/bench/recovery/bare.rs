//! The bare reading of what a recovery reads, on one thread: the snapshot is unpacked, the tail is read, and no meaning is
//! made of either.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use stream::snapshot;

use super::life::Life;

/// Bytes read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// What a turn took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bare {
    /// Unpacking the snapshot.
    pub(super) unpacking: Duration,
    /// Reading it where it lies unpacked: less than any snapshot on a disk costs.
    pub(super) unpacked: Duration,
    /// Of the snapshot, unpacked.
    pub(super) bytes: u64,
    /// Reading the tail.
    pub(super) tail: Duration,
}

impl Bare {
    /// One turn over what a data directory holds.
    pub(super) fn read(life: &Life, data: &Path) -> anyhow::Result<Self> {
        let plain = unpacked(&life.snapshot, data)?;
        let bytes = fs::metadata(&plain)?.len();
        let start = Instant::now();
        snapshot::unpack(&life.snapshot, |block| {
            black_box(block);
            Ok(())
        })?;
        let unpacking = start.elapsed();
        let start = Instant::now();
        read_last(&plain, bytes)?;
        let unpacked = start.elapsed();
        fs::remove_file(&plain)?;
        let start = Instant::now();
        read_tail(&data.join("journal"), life.tail_bytes)?;
        Ok(Self { unpacking, unpacked, bytes, tail: start.elapsed() })
    }

    /// Unpacking, and the tail.
    pub(super) fn took(&self) -> Duration {
        self.unpacking + self.tail
    }
}

/// Writes a snapshot unpacked into a file of a folder; gives the file.
fn unpacked(snapshot: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let plain = folder.join("unpacked");
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, File::create(&plain)?);
    snapshot::unpack(snapshot, |block| file.write_all(block))?;
    file.flush()?;
    Ok(plain)
}

/// Reads the last bytes of a journal, newest segment first.
fn read_tail(journal: &Path, mut bytes: u64) -> anyhow::Result<()> {
    let mut segments = fs::read_dir(journal)?.map(|it| Ok(it?.path())).collect::<io::Result<Vec<_>>>()?;
    segments.retain(|it| it.extension().is_some_and(|it| it == "segment"));
    segments.sort_unstable();
    for segment in segments.iter().rev() {
        let here = fs::metadata(segment)?.len().min(bytes);
        read_last(segment, here).with_context(|| format!("`{}` cannot be read", segment.display()))?;
        bytes -= here;
    }
    Ok(())
}

fn read_last(file: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut buffer = vec![0; BUFFER_BYTES];
    while file.read(&mut buffer)? != 0 {
        black_box(&buffer);
    }
    Ok(())
}
