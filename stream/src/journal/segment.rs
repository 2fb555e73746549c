//! A segment: its name and the header that it begins with.
//!
//! ```text
//! magic 8 bytes | format u32 | partition u32 | tenant u32 | key 16 bytes | first offset u64
//! link of everything before 32 bytes | zeros | crc32c u32, of the 508 bytes before it
//! ```
//! The magic, the format and the checksum's place are the same in every format, so that a later one is told by name.

use engine::entity::HashKey;

use super::JournalError;
use super::batch::Link;

/// The format that this version writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;
pub(super) const HEADER_BYTES: usize = 512;
const MAGIC: [u8; 8] = *b"weirjrnl";
const CRC_AT: usize = HEADER_BYTES - 4;
const SUFFIX: &str = ".segment";

/// What a segment begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) partition: u32,
    /// Always 0 for now.
    pub(super) tenant: u32,
    /// Under which ids are hashed.
    pub(super) key: HashKey,
    /// Offset of its first record.
    pub(super) first: u64,
    /// Of everything before, the seal of the segment before with it.
    pub(super) chain: Link,
}

/// Why bytes are no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoHeader {
    /// They are damaged, or were never written.
    Damaged,
    /// A later version wrote it.
    Newer(u32),
}

impl NoHeader {
    pub(super) fn error(self, file: String) -> JournalError {
        match self {
            Self::Damaged => {
                JournalError::Damaged { file, at: 0, what: "its header's checksum is wrong".to_owned() }
            }
            Self::Newer(version) => JournalError::NewerFormat { file, version, known: FORMAT },
        }
    }
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        for number in [FORMAT, self.partition, self.tenant] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.key.bytes());
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.chain);
        bytes.resize(CRC_AT, 0);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        // INVARIANT (header size): resized, and the checksum added.
        bytes.first_chunk().copied().unwrap_or([0; HEADER_BYTES])
    }

    /// The header at the front of a segment's bytes.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, NoHeader> {
        Self::parts(bytes).unwrap_or(Err(NoHeader::Damaged))
    }

    fn parts(bytes: &[u8]) -> Option<Result<Self, NoHeader>> {
        let (checked, crc) = bytes.get(..HEADER_BYTES)?.split_at_checked(CRC_AT)?;
        if crc32c::crc32c(checked).to_le_bytes() != crc || checked.first_chunk() != Some(&MAGIC) {
            return None;
        }
        let number = |at: usize| Some(u32::from_le_bytes(*checked.get(at..)?.first_chunk()?));
        let format = number(8)?;
        if format != FORMAT {
            return Some(Err(NoHeader::Newer(format)));
        }
        Some(Ok(Self {
            partition: number(12)?,
            tenant: number(16)?,
            key: HashKey::new(*checked.get(20..)?.first_chunk()?),
            first: u64::from_le_bytes(*checked.get(36..)?.first_chunk()?),
            chain: *checked.get(44..)?.first_chunk()?,
        }))
    }
}

/// The name of the segment that begins with a record: names sort as offsets do.
pub(super) fn name(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// The first offset that a segment's name says; none for other names.
pub(super) fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let first = digits.parse().ok()?;
    (self::name(first) == name).then_some(first)
}
