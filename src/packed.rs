//! Files that are written plain, gzip or zstd, as their names say. The same bytes go in, the same file comes out: no
//! header holds a time.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::write::GzEncoder;

use crate::stdout::Stdout;

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 16;

/// How a file is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    /// What a name says, and the name without that.
    pub(crate) fn of(name: &str) -> (&str, Self) {
        match name.rsplit_once('.') {
            Some((stem, "gz")) => (stem, Self::Gzip),
            Some((stem, "zst")) => (stem, Self::Zstd),
            _ => (name, Self::Plain),
        }
    }
}

type Bytes = BufWriter<Box<dyn Write + Send>>;

/// A writer that may compress.
pub(crate) enum Packed {
    Plain(Bytes),
    Gzip(Box<GzEncoder<Bytes>>),
    Zstd(zstd::Encoder<'static, Bytes>),
}

impl Packed {
    /// Creates a file.
    pub(crate) fn create(path: &Path, packing: Packing) -> io::Result<Self> {
        Self::over(Box::new(File::create(path)?), packing)
    }

    /// Writes to standard output.
    pub(crate) fn standard_output(packing: Packing) -> io::Result<Self> {
        Self::over(Box::new(Stdout), packing)
    }

    fn over(bytes: Box<dyn Write + Send>, packing: Packing) -> io::Result<Self> {
        let bytes = BufWriter::with_capacity(BUFFER_BYTES, bytes);
        Ok(match packing {
            Packing::Plain => Self::Plain(bytes),
            Packing::Gzip => Self::Gzip(Box::new(GzEncoder::new(bytes, flate2::Compression::default()))),
            Packing::Zstd => Self::Zstd(zstd::Encoder::new(bytes, zstd::DEFAULT_COMPRESSION_LEVEL)?),
        })
    }

    /// Writes what is still held back. Without it the file is incomplete.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(mut out) => out.flush(),
            Self::Gzip(out) => out.finish()?.flush(),
            Self::Zstd(out) => out.finish()?.flush(),
        }
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(out) => out.write(bytes),
            Self::Zstd(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(out) => out.flush(),
            Self::Zstd(out) => out.flush(),
        }
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "plain",
            Self::Gzip(_) => "gzip",
            Self::Zstd(_) => "zstd",
        })
    }
}
