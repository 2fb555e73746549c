//! The envelope: a preamble, then blocks of columns, each compressed and under a checksum.
//!
//! ```text
//! preamble: magic 8 bytes | format u32 | crc32 of these 12 bytes u32
//! block:    kind u8 | bytes unpacked u32 | bytes packed u32 | crc32 u32, of these 9 bytes and the packed | packed
//! unpacked: columns u16 | bytes of each column u32 … | the columns
//! ```
//! All little-endian; packed by zstd. The last block says how many there are, so that a file cut between two blocks is
//! told from a whole one.

use std::io::{self, BufRead as _, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::directory::Stored;
use super::error::SnapshotError;
use crate::aside::SpareTime;
use crate::disk::File;
use crate::pace::Pace;

const MAGIC: [u8; 8] = *b"weirsnap";
/// The format that this version writes, and the newest that it reads. In the first, all pieces of an entity had the same
/// position.
pub(super) const FORMAT: u32 = 2;
const PREAMBLE_BYTES: u64 = 16;
const HEAD_BYTES: usize = 13;
/// A block is written when its columns hold so much.
const FULL_BYTES: usize = 1 << 20;
/// So much is put on the disk at once.
const SYNC_BYTES: usize = 8 << 20;
/// Of the canonical state a fifth larger than at level 1, unpacked in half to two thirds of the time and packed in two thirds:
/// how long a start takes counts for more than the disk.
const ZSTD_LEVEL: i32 = -3;

/// What a block holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BlockKind {
    /// What the file is and how its columns are to be read; the first.
    Header = 1,
    /// States of entities of one kind.
    Entities = 2,
    /// Recent ids with their records.
    Recent = 3,
    /// A piece of a blob of the caller's.
    Extra = 4,
    /// How much there should have been; the last.
    End = 5,
}

impl BlockKind {
    fn from_number(number: u8) -> Option<Self> {
        [Self::Header, Self::Entities, Self::Recent, Self::Extra, Self::End]
            .into_iter()
            .find(|it| *it as u8 == number)
    }
}

/// The columns of a block as they are filled.
#[derive(Debug, Default)]
pub(super) struct Columns {
    columns: Vec<Vec<u8>>,
    bytes: usize,
}

impl Columns {
    pub(super) fn put(&mut self, column: usize, bytes: &[u8]) {
        if self.columns.len() <= column {
            self.columns.resize(column + 1, Vec::new());
        }
        if let Some(to) = self.columns.get_mut(column) {
            to.extend_from_slice(bytes);
        }
        self.bytes += bytes.len();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub(super) fn is_full(&self) -> bool {
        FULL_BYTES <= self.bytes
    }

    fn clear(&mut self) {
        self.columns.iter_mut().for_each(Vec::clear);
        self.bytes = 0;
    }

    /// All columns behind their lengths.
    fn join(&self, into: &mut Vec<u8>) -> io::Result<()> {
        into.clear();
        into.extend_from_slice(&u16::try_from(self.columns.len()).map_err(too_large)?.to_le_bytes());
        for column in &self.columns {
            into.extend_from_slice(&length(column)?.to_le_bytes());
        }
        self.columns.iter().for_each(|column| into.extend_from_slice(column));
        Ok(())
    }
}

fn length(bytes: &[u8]) -> io::Result<u32> {
    u32::try_from(bytes.len()).map_err(too_large)
}

fn too_large(_: std::num::TryFromIntError) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "a block of more than 4 GiB")
}

/// Writes blocks to a file, over what it holds.
pub(super) struct BlockWriter {
    file: Box<dyn File>,
    /// Where the next byte goes.
    end: u64,
    packer: zstd::bulk::Compressor<'static>,
    unpacked: Vec<u8>,
    packed: Vec<u8>,
    /// Written so far.
    pub(super) blocks: u64,
    /// Bytes written since some were put on the disk.
    unsynced: usize,
    /// If decisions go on meanwhile.
    beside: Option<Beside>,
}

/// How blocks are written beside decisions.
pub(super) struct Beside {
    pace: Pace,
    spare: SpareTime,
}

impl Beside {
    pub(super) fn begin() -> Self {
        Self { pace: Pace::begin(), spare: SpareTime::default() }
    }

    /// Works out of the way of decisions, if there are any; for what takes long and holds no lock.
    fn work<T: Send>(
        beside: &mut Option<Self>,
        name: &str,
        work: impl FnOnce() -> T + Send,
    ) -> io::Result<T> {
        match beside {
            Some(Self { spare, .. }) => spare.work(name, work),
            None => Ok(work()),
        }
    }
}

impl BlockWriter {
    pub(super) fn new(file: Box<dyn File>, beside: Option<Beside>) -> io::Result<Self> {
        let mut preamble = Vec::from(MAGIC);
        preamble.extend_from_slice(&FORMAT.to_le_bytes());
        preamble.extend_from_slice(&crc32fast::hash(&preamble).to_le_bytes());
        file.write_at(&preamble, 0)?;
        let packer = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
        let (unpacked, packed) = (Vec::new(), Vec::new());
        Ok(Self { file, end: PREAMBLE_BYTES, packer, unpacked, packed, blocks: 0, unsynced: 0, beside })
    }

    /// Writes a block and empties its columns; for when no lock is held.
    pub(super) fn write(&mut self, kind: BlockKind, columns: &mut Columns) -> io::Result<()> {
        let Self { packer, unpacked, packed, .. } = self;
        // That takes milliseconds. A file is not written to in spare time: who syncs the journal may wait for that.
        let pack = || pack(kind, columns, packer, unpacked, packed);
        let head = Beside::work(&mut self.beside, "pack", pack)??;
        self.file.write_at(&head, self.end)?;
        self.file.write_at(&self.packed, self.end + head.len() as u64)?;
        self.end += (head.len() + self.packed.len()) as u64;
        self.blocks += 1;
        self.unsynced += self.packed.len();
        Ok(())
    }

    /// Works on what is to be written, out of the way of decisions; for what takes long and holds no lock.
    pub(super) fn prepare<T: Send>(&mut self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        Beside::work(&mut self.beside, "prepare", work)
    }

    /// Rests if it is time to, and puts what was written on the disk if it is much; for when no lock is held. All of it
    /// at the end would hold up those who write to the journal meanwhile.
    pub(super) fn ease(&mut self) -> io::Result<()> {
        if SYNC_BYTES <= self.unsynced {
            self.unsynced = 0;
            self.file.sync()?;
        }
        self.beside.iter_mut().for_each(|it| it.pace.rest());
        Ok(())
    }

    /// Cuts off what the file held before, and gives it.
    pub(super) fn finish(self) -> io::Result<Box<dyn File>> {
        self.file.truncate(self.end)?;
        Ok(self.file)
    }
}

/// Packs columns and empties them; gives the head of their block.
fn pack(
    kind: BlockKind,
    columns: &mut Columns,
    packer: &mut zstd::bulk::Compressor<'_>,
    unpacked: &mut Vec<u8>,
    packed: &mut Vec<u8>,
) -> io::Result<Vec<u8>> {
    columns.join(unpacked)?;
    columns.clear();
    packed.clear();
    packed.reserve(zstd::zstd_safe::compress_bound(unpacked.len()));
    packer.compress_to_buffer(unpacked, packed)?;
    let mut head = vec![kind as u8];
    head.extend_from_slice(&length(unpacked)?.to_le_bytes());
    head.extend_from_slice(&length(packed)?.to_le_bytes());
    head.extend_from_slice(&checksum(&head, packed).to_le_bytes());
    Ok(head)
}

fn checksum(head: &[u8], packed: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(packed);
    hasher.finalize()
}

/// Reads blocks from a file, each checked before anything is made of it.
pub(super) struct BlockReader {
    file: BufReader<Front>,
    path: PathBuf,
    unpacker: zstd::bulk::Decompressor<'static>,
    /// Where the block begins that was read last.
    offset: u64,
    /// Where it ends.
    end: u64,
    length: u64,
    /// Blocks read so far.
    blocks: u64,
}

/// A file that is read from its first byte on.
struct Front {
    file: Box<dyn File>,
    at: u64,
}

impl Read for Front {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

fn packed_bytes(head: &[u8; HEAD_BYTES]) -> u32 {
    let [_, _, _, _, _, e, f, g, h, ..] = *head;
    u32::from_le_bytes([e, f, g, h])
}

/// A block as it was read.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) kind: BlockKind,
    pub(super) columns: Cut,
    pub(super) place: Place,
    /// Whether it ends the file.
    pub(super) is_last: bool,
}

/// Where a block stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Place {
    /// Counted from 0.
    pub(super) number: u64,
    /// Its first byte in the file.
    offset: u64,
}

impl Place {
    /// Says what is wrong with the block.
    pub(super) fn damaged(self, file: &Path, what: &'static str) -> SnapshotError {
        SnapshotError::Damaged { file: file.to_owned(), block: self.number, offset: self.offset, what }
    }
}

impl BlockReader {
    /// Opens a file of the folder of snapshots and reads its preamble.
    pub(super) fn open(stored: &Stored) -> Result<Self, SnapshotError> {
        Self::over(stored.open()?, stored.path())
    }

    /// Opens a file wherever it is, and reads its preamble.
    pub(super) fn at(path: &Path) -> Result<Self, SnapshotError> {
        let file = std::fs::File::open(path).map_err(SnapshotError::io("read", path))?;
        Self::over(Box::new(file), path)
    }

    fn over(file: Box<dyn File>, path: &Path) -> Result<Self, SnapshotError> {
        let failed = |cause| SnapshotError::io("read", path)(cause);
        let length = file.bytes().map_err(failed)?;
        let unpacker = zstd::bulk::Decompressor::new().map_err(failed)?;
        let (file, path) = (BufReader::new(Front { file, at: 0 }), path.to_owned());
        let mut reader = Self { file, path, unpacker, offset: 0, end: 0, length, blocks: 0 };
        reader.preamble()?;
        Ok(reader)
    }

    fn preamble(&mut self) -> Result<(), SnapshotError> {
        if self.length < PREAMBLE_BYTES {
            return Err(self.damaged("the file is too short to be one"));
        }
        let magic: [u8; 8] = self.take()?;
        let format: [u8; 4] = self.take()?;
        let crc: [u8; 4] = self.take()?;
        if magic != MAGIC {
            return Err(self.damaged("it does not begin as a snapshot does"));
        }
        if checksum(&magic, &format) != u32::from_le_bytes(crc) {
            return Err(self.damaged("the checksum of its format is wrong"));
        }
        self.end = PREAMBLE_BYTES;
        match u32::from_le_bytes(format) {
            1..=FORMAT => Ok(()),
            format => Err(SnapshotError::Newer { file: self.path.clone(), format }),
        }
    }

    /// The next block.
    pub(super) fn next(&mut self) -> Result<Block, SnapshotError> {
        let head = self.head()?;
        self.body(head)
    }

    /// The last block; those before it are passed over, and nobody looks whether they are whole.
    pub(super) fn last(mut self) -> Result<Block, SnapshotError> {
        loop {
            let head = self.head()?;
            let end = self.end + HEAD_BYTES as u64 + u64::from(packed_bytes(&head));
            if end == self.length {
                return self.body(head);
            }
            self.skip(packed_bytes(&head));
            (self.end, self.blocks) = (end, self.blocks + 1);
        }
    }

    /// The head of the next block, which is in the file to its end.
    fn head(&mut self) -> Result<[u8; HEAD_BYTES], SnapshotError> {
        self.offset = self.end;
        let left = self.length - self.end;
        if left < HEAD_BYTES as u64 {
            return Err(self.damaged("the file ends before its last block"));
        }
        let head = self.take()?;
        if left - (HEAD_BYTES as u64) < u64::from(packed_bytes(&head)) {
            return Err(self.damaged("the file ends inside the block"));
        }
        Ok(head)
    }

    fn body(&mut self, head: [u8; HEAD_BYTES]) -> Result<Block, SnapshotError> {
        let [kind, a, b, c, d, e, f, g, h, crc @ ..] = head;
        let unpacked_bytes = u32::from_le_bytes([a, b, c, d]) as usize;
        let packed_bytes = packed_bytes(&head);
        let mut packed = vec![0; packed_bytes as usize];
        self.fill(&mut packed)?;
        if checksum(&[kind, a, b, c, d, e, f, g, h], &packed) != u32::from_le_bytes(crc) {
            return Err(self.damaged("its checksum is wrong"));
        }
        let unpacked = self.unpacker.decompress(&packed, unpacked_bytes);
        let unpacked = unpacked.map_err(|_| self.damaged("it cannot be unpacked"))?;
        let kind = BlockKind::from_number(kind).ok_or_else(|| self.damaged("its kind is not known"))?;
        let columns = Cut::new(unpacked).ok_or_else(|| self.damaged("its columns do not fill it"))?;
        self.end += HEAD_BYTES as u64 + u64::from(packed_bytes);
        let place = Place { number: self.blocks, offset: self.offset };
        self.blocks += 1;
        Ok(Block { kind, columns, place, is_last: self.at_end() })
    }

    /// Whether the block that was read last ends the file.
    pub(super) fn at_end(&self) -> bool {
        self.end == self.length
    }

    /// Says what is wrong with the block that is being read, or was read last.
    pub(super) fn damaged(&self, what: &'static str) -> SnapshotError {
        let number = if self.offset == self.end { self.blocks } else { self.blocks.saturating_sub(1) };
        Place { number, offset: self.offset }.damaged(&self.path, what)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn skip(&mut self, bytes: u32) {
        let read_ahead = self.file.buffer().len().min(bytes as usize);
        self.file.consume(read_ahead);
        // Is there more to skip, nothing is left that was read ahead.
        self.file.get_mut().at += u64::from(bytes) - read_ahead as u64;
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), SnapshotError> {
        self.file.read_exact(bytes).map_err(SnapshotError::io("read", &self.path))
    }
}

/// The columns of a block as they are read, each from its front.
#[derive(Debug)]
pub(super) struct Cut {
    bytes: Vec<u8>,
    /// What is left of each column.
    columns: Vec<Range<usize>>,
}

impl Cut {
    fn new(bytes: Vec<u8>) -> Option<Self> {
        let (count, lengths) = bytes.split_first_chunk()?;
        let count = usize::from(u16::from_le_bytes(*count));
        let (lengths, rest) = lengths.split_at_checked(count.checked_mul(4)?)?;
        let mut end = bytes.len() - rest.len();
        let mut columns = Vec::with_capacity(count);
        for length in lengths.as_chunks().0 {
            let start = end;
            end = start.checked_add(u32::from_le_bytes(*length) as usize)?;
            columns.push(start..end);
        }
        (end == bytes.len()).then_some(Self { bytes, columns })
    }

    /// The whole block, as it was unpacked.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is left of a column.
    pub(super) fn left(&self, column: usize) -> &[u8] {
        self.columns.get(column).and_then(|left| self.bytes.get(left.clone())).unwrap_or_default()
    }

    /// Whether nothing is left of a column.
    pub(super) fn is_empty(&self, column: usize) -> bool {
        self.columns.get(column).is_none_or(Range::is_empty)
    }

    /// Whether nothing is left of any column.
    pub(super) fn is_used_up(&self) -> bool {
        self.columns.iter().all(Range::is_empty)
    }

    /// So many bytes of a column; none if there are not so many. A column that nothing was put into may not be there.
    pub(super) fn slice(&mut self, column: usize, length: usize) -> Option<&[u8]> {
        let Some(left) = self.columns.get_mut(column) else { return (length == 0).then_some(&[]) };
        let start = left.start;
        let end = start.checked_add(length).filter(|it| *it <= left.end)?;
        left.start = end;
        self.bytes.get(start..end)
    }

    /// So many pieces of a column, of `N` bytes each; none if there are not so many.
    pub(super) fn pieces<const N: usize>(&mut self, column: usize, count: usize) -> Option<&[[u8; N]]> {
        Some(self.slice(column, count.checked_mul(N)?)?.as_chunks().0)
    }

    /// All that is left of a column.
    pub(super) fn rest(&mut self, column: usize) -> &[u8] {
        let length = self.columns.get(column).map_or(0, Range::len);
        self.slice(column, length).unwrap_or(&[])
    }

    pub(super) fn take<const N: usize>(&mut self, column: usize) -> Option<[u8; N]> {
        self.slice(column, N)?.try_into().ok()
    }

    pub(super) fn u16(&mut self, column: usize) -> Option<u16> {
        self.take(column).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, column: usize) -> Option<u32> {
        self.take(column).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, column: usize) -> Option<u64> {
        self.take(column).map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self, column: usize) -> Option<i64> {
        self.take(column).map(i64::from_le_bytes)
    }
}
