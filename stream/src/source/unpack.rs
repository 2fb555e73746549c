//! From a file to its bytes: plain, gzip or zstd, told by their first bytes; many members or frames are one stream.
//!
//! Unpacking has a thread of its own, which feeds blocks through a bounded channel, so that it runs beside parsing.
//! A damaged end is an error that names the byte, and comes after everything before it has been given out.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Bytes of a block: large beside the cost of handing one over, small beside a processor's cache.
const BLOCK_BYTES: usize = 128 * 1024;
/// Blocks that may lie between the two threads.
const BLOCKS_AHEAD: usize = 4;

/// A file to read: its name for messages, and its bytes.
#[derive(Debug)]
pub struct Input {
    /// As messages and rejects name it.
    pub name: Arc<str>,
    pub(super) bytes: Bytes,
}

#[derive(Debug)]
pub(super) enum Bytes {
    File(Tracked),
    Memory(Cursor<Arc<[u8]>>),
}

impl Input {
    /// Opens a file.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::tracked(path, &Arc::default())
    }

    /// Opens a file whose bytes are counted as they are read, so that others see how far it is.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn tracked(path: &Path, read: &Arc<AtomicU64>) -> io::Result<Self> {
        Ok(Self::of_file(&path.display().to_string(), File::open(path)?, read))
    }

    /// An open file, or a pipe: it is read from where it stands.
    pub fn of_file(name: &str, file: File, read: &Arc<AtomicU64>) -> Self {
        let tracked = Tracked { file, read: Arc::clone(read), ahead: Vec::new() };
        Self { name: name.into(), bytes: Bytes::File(tracked) }
    }

    /// A file whose bytes are in memory.
    pub fn memory(name: &str, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { name: name.into(), bytes: Bytes::Memory(Cursor::new(bytes.into())) }
    }

    /// Its bytes as they were before they were packed, unpacked by a thread of their own.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn unpack(self) -> io::Result<impl Read> {
        Blocks::start(self.bytes)
    }
}

/// A file, and a count of the bytes read of it.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) file: File,
    read: Arc<AtomicU64>,
    /// Bytes that were read to see what the file is: a pipe gives each of its bytes once.
    ahead: Vec<u8>,
}

impl Tracked {
    fn first(&mut self, bytes: usize) -> io::Result<&[u8]> {
        let missing = bytes.saturating_sub(self.ahead.len());
        let mut more = Vec::new();
        (&mut self.file).take(missing as u64).read_to_end(&mut more)?;
        self.read.fetch_add(more.len() as u64, Ordering::Relaxed);
        self.ahead.extend(more);
        Ok(&self.ahead)
    }
}

impl Read for Tracked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.is_empty() {
            let bytes = self.ahead.as_slice().read(buffer)?;
            self.ahead.drain(..bytes);
            return Ok(bytes);
        }
        let bytes = self.file.read(buffer)?;
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

impl Bytes {
    /// Whether it gives its bytes once, from the first to the last, such as a pipe.
    #[cfg(feature = "parquet")]
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Self::File(it) if it.file.metadata().is_ok_and(|it| !it.is_file()))
    }
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Memory(memory) => memory.read(buffer),
        }
    }
}

/// Where and why unpacking ended too early.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("damaged or cut short at byte {offset}: {message}")]
pub struct Damage {
    /// Bytes of the packed file read until then.
    pub offset: u64,
    /// What the unpacker says.
    pub message: String,
}

/// How a file is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    fn of(first: &[u8]) -> Self {
        match first {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or a skippable frame (0x184D2A50 to 5F) before one.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

/// Bytes that say what a file is.
const FIRST_BYTES: usize = 4;

/// The first bytes of a file, of which nothing is read yet; they are read again.
pub(super) fn first_bytes(bytes: &mut Bytes) -> io::Result<Vec<u8>> {
    match bytes {
        Bytes::File(tracked) => tracked.first(FIRST_BYTES).map(<[u8]>::to_vec),
        Bytes::Memory(memory) => Ok(memory.get_ref().iter().take(FIRST_BYTES).copied().collect()),
    }
}

/// The unpacked bytes of a file, block by block.
#[derive(Debug)]
pub(super) struct Blocks {
    full: Receiver<Result<Vec<u8>, Damage>>,
    /// Gives emptied blocks back.
    empty: SyncSender<Vec<u8>>,
    block: Vec<u8>,
    read: usize,
    ended: Result<bool, Damage>,
}

impl Blocks {
    /// Starts unpacking. Whoever drops the blocks ends the thread.
    pub(super) fn start(mut bytes: Bytes) -> io::Result<Self> {
        let packing = Packing::of(&first_bytes(&mut bytes)?);
        let (full_to, full) = sync_channel(BLOCKS_AHEAD);
        let (empty, empty_from) = sync_channel(BLOCKS_AHEAD + 2);
        thread::Builder::new().name("unpack".into()).spawn(move || {
            let offset = Arc::new(AtomicU64::new(0));
            let counted = Counted { bytes, offset: Arc::clone(&offset) };
            let damage = |error: io::Error| Damage {
                offset: offset.load(Ordering::Relaxed),
                message: error.to_string(),
            };
            let unpacked = unpacker(packing, counted).map_err(&damage);
            match unpacked {
                Ok(unpacked) => feed(unpacked, &full_to, &empty_from, damage),
                Err(damage) => _ = full_to.send(Err(damage)),
            }
        })?;
        Ok(Self { full, empty, block: Vec::new(), read: 0, ended: Ok(false) })
    }

    /// The bytes at hand, at least one until the end; [`Blocks::consume`] moves on.
    pub(super) fn fill(&mut self) -> Result<&[u8], Damage> {
        while self.block.len() <= self.read && !self.ended.clone()? {
            match self.full.recv() {
                Ok(Ok(block)) => {
                    let emptied = std::mem::replace(&mut self.block, block);
                    // Where there is no room the block is simply freed.
                    let _ = self.empty.try_send(emptied);
                    self.read = 0;
                }
                Ok(Err(damage)) => self.ended = Err(damage),
                Err(_) => self.ended = Ok(true),
            }
        }
        Ok(self.block.get(self.read..).unwrap_or_default())
    }

    pub(super) fn consume(&mut self, bytes: usize) {
        self.read += bytes;
    }

    /// Gives these bytes out before those that are left.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        let left = self.block.get(self.read..).unwrap_or_default();
        (self.block, self.read) = ([bytes, left].concat(), 0);
    }
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill().map_err(io::Error::other)?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

fn unpacker(packing: Packing, packed: Counted) -> io::Result<Box<dyn Read>> {
    Ok(match packing {
        Packing::Plain => Box::new(packed),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(packed))),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::new(packed)?),
    })
}

/// Sends block after block until the end, or until nobody listens.
fn feed(
    mut unpacked: impl Read,
    full: &SyncSender<Result<Vec<u8>, Damage>>,
    empty: &Receiver<Vec<u8>>,
    damage: impl Fn(io::Error) -> Damage,
) {
    loop {
        let mut block = empty.try_recv().unwrap_or_default();
        block.resize(BLOCK_BYTES, 0);
        let (filled, error) = fill_block(&mut unpacked, &mut block);
        block.truncate(filled);
        let heard = filled == 0 || full.send(Ok(block)).is_ok();
        if let Some(error) = error {
            let _ = full.send(Err(damage(error)));
            return;
        }
        if filled == 0 || !heard {
            return;
        }
    }
}

/// Reads until the block is full, the input has ended or failed: how much was read, and why it failed.
fn fill_block(unpacked: &mut impl Read, block: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut filled = 0;
    while let Some(room) = block.get_mut(filled..).filter(|it| !it.is_empty()) {
        match unpacked.read(room) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Some(error)),
        }
    }
    (filled, None)
}

/// Counts the packed bytes, so that damage can say where.
struct Counted {
    bytes: Bytes,
    offset: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.offset.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    fn unpack(bytes: &[u8]) -> (Vec<u8>, Result<(), Damage>) {
        let mut blocks = Blocks::start(Bytes::Memory(Cursor::new(bytes.into()))).unwrap();
        let mut all = Vec::new();
        loop {
            let block = match blocks.fill() {
                Ok([]) => return (all, Ok(())),
                Ok(block) => block,
                Err(damage) => return (all, Err(damage)),
            };
            all.extend_from_slice(block);
            let read = block.len();
            blocks.consume(read);
        }
    }

    /// More than a few blocks, and not much repetition.
    fn text() -> Vec<u8> {
        (0..200_000_u32)
            .flat_map(|it| format!("{},{}\n", it, it.wrapping_mul(2_654_435_761)).into_bytes())
            .collect()
    }

    #[test]
    fn every_packing_and_several_in_one_file_give_the_same_bytes() {
        let text = text();
        let (head, tail) = text.split_at(1_000_003);
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let packed = [
            text.clone(),
            gzip(&text),
            zstd(&text),
            [gzip(head), gzip(tail)].concat(),
            [zstd(head), zstd(b""), zstd(tail)].concat(),
            [&skippable, &*zstd(&text)].concat(),
        ];
        for packed in packed {
            let (unpacked, end) = unpack(&packed);
            assert_eq!(end, Ok(()));
            assert!(unpacked == text, "{:?}", Packing::of(&packed));
        }
        assert_eq!(unpack(b""), (Vec::new(), Ok(())));
    }

    #[test]
    fn what_stands_before_a_damaged_place_is_given_out_and_the_place_is_named() {
        let text = text();
        for whole in [gzip(&text), zstd(&text)] {
            let cut = &whole[..whole.len() / 2];
            let (unpacked, end) = unpack(cut);
            let damage = end.unwrap_err();
            assert_eq!(damage.offset, cut.len() as u64, "{damage}");
            assert!(
                text.starts_with(&unpacked) && text.len() / 4 < unpacked.len(),
                "{} bytes",
                unpacked.len()
            );

            let mut garbage = whole.clone();
            garbage.extend_from_slice(b"not a frame");
            let (unpacked, end) = unpack(&garbage);
            assert!(unpacked == text && end.is_err());
        }
    }

    #[test]
    fn a_pipe_is_read_like_a_file() {
        let text = text();
        for packed in [text.clone(), gzip(&text), zstd(&text)] {
            let (reader, mut writer) = io::pipe().unwrap();
            let sent = packed.clone();
            let sender = thread::spawn(move || writer.write_all(&sent).unwrap());
            let read = Arc::default();
            let file = File::from(std::os::fd::OwnedFd::from(reader));
            let mut input = Input::of_file("pipe", file, &read);
            assert_eq!(first_bytes(&mut input.bytes).unwrap(), packed[..4]);
            let mut unpacked = Vec::new();
            input.unpack().unwrap().read_to_end(&mut unpacked).unwrap();
            sender.join().unwrap();
            assert!(unpacked == text, "{:?}", Packing::of(&packed));
            assert_eq!(read.load(Ordering::Relaxed), packed.len() as u64);
        }
    }

    #[test]
    fn dropping_the_blocks_ends_the_thread() {
        let shared: Arc<[u8]> = text().into();
        let blocks = Blocks::start(Bytes::Memory(Cursor::new(Arc::clone(&shared)))).unwrap();
        drop(blocks);
        let ended = (0..500).any(|_| {
            thread::sleep(std::time::Duration::from_millis(10));
            Arc::strong_count(&shared) == 1
        });
        assert!(ended);
    }
}
