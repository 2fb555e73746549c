//! The index of a sealed segment, in a file of its own. It says nothing that the segment does not say: damaged or
//! missing, it is built again.
//!
//! ```text
//! header: magic 8 bytes | version u32 | first offset u64 | records, ids, entities u64 each
//!         | the filter's seed u64, and segment length, mask, count u32 each | its bytes u64 | filter crc32c u32
//!         | crc32c u32, of places, ids and entities | crc32c u32, of the header before it
//! places: u32 of each record | ids, of events and of decisions: key u64, record u32, by key | entities: likewise | filter
//! ```

use std::io;
use std::sync::{Arc, OnceLock};

use xorf::{BinaryFuse8, Descriptor, Filter as _};

use super::Index;
use crate::disk::{Disk, File};

const MAGIC: [u8; 8] = *b"weirindx";
/// 1 had no decisions among the ids.
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 84;
const PLACE_BYTES: usize = 4;
const ROW_BYTES: usize = 12;
const CHUNK_BYTES: usize = 1 << 18;
/// So much is put on the disk at once: all of it, some 60 MB, would hold up those whose records are synced meanwhile.
const SYNC_BYTES: usize = 1 << 20;

/// The name of the index beside the segment that begins with a record.
pub(in super::super) fn name(first: u64) -> String {
    format!("{first:020}.index")
}

/// What an index is called while it is written.
pub(in super::super) fn draft_name(first: u64) -> String {
    format!("{first:020}.index-draft")
}

/// The index of a sealed segment. In memory is the filter over its ids, about nine bits of each.
#[derive(Debug)]
pub(in super::super) struct IndexFile {
    file: Arc<dyn File>,
    records: u64,
    ids: u64,
    entities: u64,
    /// None where there are no ids, or it could not be made.
    filter: Option<BinaryFuse8>,
    /// Of the lists.
    lists_crc: u32,
    /// Whether the lists are as they were written, once somebody looked.
    whole: OnceLock<bool>,
}

/// Why there is no index that can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Unfit {
    /// It is missing, damaged, or of a later version.
    Damaged,
    /// An earlier version wrote it.
    Older,
}

/// By what a record is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum By {
    /// The id of its event.
    Id,
    /// That of its decision, which stands in the file's list of ids too.
    Decision,
    /// An entity.
    Entity,
}

impl IndexFile {
    /// Writes the index of the segment that begins with a record, and opens it.
    pub(in super::super) fn write(disk: &dyn Disk, first: u64, index: &Index) -> io::Result<Self> {
        let draft = draft_name(first);
        if disk.list()?.contains(&draft) {
            disk.remove(&draft)?;
        }
        let file = disk.create(&draft)?;
        let (ids, entities) = (index.ids_sorted(), index.entities.sorted());
        let filter = filter_of(&ids);
        let mut bytes = vec![0; HEADER_BYTES];
        bytes.extend(index.places.iter().flat_map(|place| place.to_le_bytes()));
        for (key, record) in ids.iter().chain(&entities) {
            bytes.extend_from_slice(&key.to_le_bytes());
            bytes.extend_from_slice(&record.to_le_bytes());
        }
        let lists_crc = crc32c::crc32c(bytes.get(HEADER_BYTES..).unwrap_or_default());
        let counts = [index.places.len(), ids.len(), entities.len()].map(|it| it as u64);
        let header = header(first, counts, filter.as_ref(), lists_crc);
        if let Some(place) = bytes.get_mut(..HEADER_BYTES) {
            place.copy_from_slice(&header);
        }
        bytes.extend_from_slice(filter.as_ref().map_or(&[], |it| &it.fingerprints));
        for (piece, at) in bytes.chunks(SYNC_BYTES).zip((0..).step_by(SYNC_BYTES)) {
            file.write_at(piece, at)?;
            file.sync()?;
        }
        disk.rename(&draft, &name(first))?;
        let [records, ids, entities] = counts;
        let whole = OnceLock::from(true);
        Ok(Self { file: file.into(), records, ids, entities, filter, lists_crc, whole })
    }

    /// Opens the index of the segment that begins with a record, and reads its filter. The lists are looked at when they
    /// are first needed.
    pub(in super::super) fn open(disk: &dyn Disk, first: u64) -> io::Result<Result<Self, Unfit>> {
        let file: Arc<dyn File> = match disk.open(&name(first)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err(Unfit::Damaged)),
            opened => opened?.into(),
        };
        let mut header = [0; HEADER_BYTES];
        file.read_at(&mut header, 0)?;
        let head = match Head::read(&header).filter(|it| it.first == first) {
            None => return Ok(Err(Unfit::Damaged)),
            Some(head) if head.version < VERSION => return Ok(Err(Unfit::Older)),
            Some(head) => head,
        };
        let filter_at = HEADER_BYTES as u64 + lists_bytes(head.records, head.ids, head.entities);
        if file.bytes()? != filter_at + head.filter_bytes {
            return Ok(Err(Unfit::Damaged));
        }
        let mut fingerprints = vec![0; usize::try_from(head.filter_bytes).map_err(io::Error::other)?];
        file.read_at(&mut fingerprints, filter_at)?;
        let whole = crc32c::crc32c(&fingerprints) == head.filter_crc;
        let filter = (head.filter_bytes != 0)
            .then(|| BinaryFuse8 { descriptor: head.descriptor, fingerprints: fingerprints.into() });
        let Head { records, ids, entities, lists_crc, .. } = head;
        let whole = whole.then(OnceLock::new).ok_or(Unfit::Damaged);
        Ok(whole.map(|whole| Self { file, records, ids, entities, filter, lists_crc, whole }))
    }

    /// Whether the lists are as they were written: read over once.
    pub(in super::super) fn is_whole(&self) -> io::Result<bool> {
        if let Some(whole) = self.whole.get() {
            return Ok(*whole);
        }
        let bytes = lists_bytes(self.records, self.ids, self.entities);
        let whole = checksum(&*self.file, HEADER_BYTES as u64, bytes)? == self.lists_crc;
        Ok(*self.whole.get_or_init(|| whole))
    }

    /// How many records the segment has.
    pub(in super::super) fn records(&self) -> u64 {
        self.records
    }

    /// Whether the segment may have an id; of a hundred that it has not, fewer than one passes.
    pub(in super::super) fn may_have_id(&self, key: u64) -> bool {
        self.filter.as_ref().map_or(self.ids != 0, |it| it.contains(&key))
    }

    /// The byte at which a record's frame begins.
    pub(in super::super) fn place(&self, record: u64) -> io::Result<u64> {
        let mut place = [0; PLACE_BYTES];
        self.file.read_at(&mut place, HEADER_BYTES as u64 + record * PLACE_BYTES as u64)?;
        Ok(u64::from(u32::from_le_bytes(place)))
    }

    /// Gives the records of a key below one, newest first, to `take`, as long as it says so.
    pub(in super::super) fn newest_first<E: From<io::Error>>(
        &self,
        by: By,
        key: u64,
        below: u64,
        mut take: impl FnMut(u64) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut at = self.rank(by, (key, below))?;
        while let Some(before) = at.checked_sub(1) {
            let (found, record) = self.row(by, before)?;
            if found != key || !take(record)? {
                break;
            }
            at = before;
        }
        Ok(())
    }

    /// How many rows are below a key and record: they are sorted.
    fn rank(&self, by: By, sought: (u64, u64)) -> io::Result<u64> {
        let (mut from, mut to) = (0, if by == By::Entity { self.entities } else { self.ids });
        while from < to {
            let middle = from + (to - from) / 2;
            if self.row(by, middle)? < sought {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        Ok(from)
    }

    fn row(&self, by: By, row: u64) -> io::Result<(u64, u64)> {
        let row = if by == By::Entity { self.ids + row } else { row };
        let mut bytes = [0; ROW_BYTES];
        let at = HEADER_BYTES as u64 + self.records * PLACE_BYTES as u64 + row * ROW_BYTES as u64;
        self.file.read_at(&mut bytes, at)?;
        let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
        Ok((u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from(u32::from_le_bytes(rest))))
    }
}

fn lists_bytes(records: u64, ids: u64, entities: u64) -> u64 {
    records * PLACE_BYTES as u64 + (ids + entities) * ROW_BYTES as u64
}

fn filter_of(ids: &[(u64, u32)]) -> Option<BinaryFuse8> {
    let mut keys: Vec<u64> = ids.iter().map(|(key, _)| *key).collect();
    keys.dedup();
    (!keys.is_empty()).then(|| BinaryFuse8::try_from(&keys).ok()).flatten()
}

fn header(first: u64, counts: [u64; 3], filter: Option<&BinaryFuse8>, lists_crc: u32) -> [u8; HEADER_BYTES] {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    for number in [first].into_iter().chain(counts) {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    let (descriptor, fingerprints) = match filter {
        Some(filter) => (filter.descriptor.clone(), &*filter.fingerprints),
        None => (NO_FILTER, &[][..]),
    };
    bytes.extend_from_slice(&descriptor.seed.to_le_bytes());
    let lengths =
        [descriptor.segment_length, descriptor.segment_length_mask, descriptor.segment_count_length];
    bytes.extend(lengths.into_iter().flat_map(u32::to_le_bytes));
    bytes.extend_from_slice(&(fingerprints.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(fingerprints).to_le_bytes());
    bytes.extend_from_slice(&lists_crc.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    // INVARIANT (header size): the parts add up to it.
    bytes.first_chunk().copied().unwrap_or([0; HEADER_BYTES])
}

const NO_FILTER: Descriptor =
    Descriptor { seed: 0, segment_length: 0, segment_length_mask: 0, segment_count_length: 0 };

/// The header, read.
struct Head {
    version: u32,
    first: u64,
    records: u64,
    ids: u64,
    entities: u64,
    descriptor: Descriptor,
    filter_bytes: u64,
    filter_crc: u32,
    lists_crc: u32,
}

impl Head {
    fn read(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let (checked, crc) = bytes.split_last_chunk()?;
        let u32_at = |at: usize| Some(u32::from_le_bytes(*checked.get(at..)?.first_chunk()?));
        let u64_at = |at: usize| Some(u64::from_le_bytes(*checked.get(at..)?.first_chunk()?));
        let version = u32_at(8)?;
        let ours = checked.first_chunk() == Some(&MAGIC) && version <= VERSION;
        if !ours || crc32c::crc32c(checked) != u32::from_le_bytes(*crc) {
            return None;
        }
        let descriptor = Descriptor {
            seed: u64_at(44)?,
            segment_length: u32_at(52)?,
            segment_length_mask: u32_at(56)?,
            segment_count_length: u32_at(60)?,
        };
        Some(Self {
            version,
            first: u64_at(12)?,
            records: u64_at(20)?,
            ids: u64_at(28)?,
            entities: u64_at(36)?,
            descriptor,
            filter_bytes: u64_at(64)?,
            filter_crc: u32_at(72)?,
            lists_crc: u32_at(76)?,
        })
    }
}

fn checksum(file: &dyn File, from: u64, bytes: u64) -> io::Result<u32> {
    let (mut crc, mut at, end) = (0, from, from + bytes);
    let mut chunk = vec![0; CHUNK_BYTES];
    while at < end {
        let want = usize::try_from(end - at).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let read = file.read_at(chunk.get_mut(..want).unwrap_or_default(), at)?;
        if read == 0 {
            break;
        }
        crc = crc32c::crc32c_append(crc, chunk.get(..read).unwrap_or_default());
        at += read as u64;
    }
    Ok(crc)
}
