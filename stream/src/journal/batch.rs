//! Records that are written together, and the head before them.
//!
//! ```text
//! head:  magic u32 | role u8 | 3 zeros | next u64 | synced u64 | batch u64 | chain 32 bytes | check 16 bytes
//! batch: head | frames … | at least four zeros, up to the next multiple of 512 bytes
//! ```
//! A batch begins at a multiple of [`SECTOR_BYTES`], so that writing it touches no sector in which older records are.
//!
//! `next` is the offset of the first record that follows, `synced` the D of the module [`survey`](super::survey),
//! `chain` the hash of everything before. The check is keyed by the journal's secret and covers the head's place, so
//! that nothing that a caller sends looks like a head: heads are searched for behind damage, where nothing else tells
//! what is one.

use engine::entity::HashKey;

use super::Entry;
use super::frame;

/// Where batches begin: what disks write whole or not at all.
pub(super) const SECTOR_BYTES: u64 = 512;
pub(super) const HEAD_BYTES: usize = 80;
const CHECKED_BYTES: usize = 64;
/// As a frame's length it would be over the bound, so that a head is never taken for a frame.
const MAGIC: [u8; 4] = *b"Wbat";
const _: () = assert!(frame::FRAME_BYTES_MAX < u32::from_le_bytes(MAGIC) as usize);
/// Zeros that end a batch at least: the length of no frame.
pub(super) const END_BYTES: usize = 4;

/// BLAKE3 over the link before and a batch's head and frames.
pub(super) type Link = [u8; 32];

/// Why a head was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// For the records that follow.
    Batch = 0,
    /// Nothing was to be written for a while.
    Idle = 1,
    /// The journal was closed.
    Closed = 2,
    /// The segment ends here.
    Seal = 3,
}

/// What stands before the frames of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) role: Role,
    /// Offset of the first record that follows.
    pub(super) next: u64,
    /// Everything below was on the disk when this was written.
    pub(super) synced: u64,
    /// The number of the batch.
    pub(super) batch: u64,
    /// The link of everything before.
    pub(super) chain: Link,
}

/// The key of the check in heads.
#[derive(Clone, Copy)]
pub(super) struct HeadKey([u8; 32]);

impl HeadKey {
    pub(super) fn new(key: HashKey) -> Self {
        Self(blake3::derive_key("weir 2026 journal batch head", &key.bytes()))
    }

    /// The check of a head's first bytes, at a byte of the segment that begins with a record.
    fn check(&self, head: &[u8], segment: u64, at: u64) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(head).update(&segment.to_le_bytes()).update(&at.to_le_bytes());
        let mut check = [0; 16];
        hasher.finalize_xof().fill(&mut check);
        check
    }
}

impl std::fmt::Debug for HeadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeadKey(secret)")
    }
}

impl Head {
    /// The head's bytes at a byte of a segment.
    pub(super) fn encode(&self, key: &HeadKey, segment: u64, at: u64) -> [u8; HEAD_BYTES] {
        let mut bytes = Vec::with_capacity(HEAD_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[self.role as u8, 0, 0, 0]);
        for number in [self.next, self.synced, self.batch] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.chain);
        let check = key.check(&bytes, segment, at);
        bytes.extend_from_slice(&check);
        // INVARIANT (head size): the parts add up to it.
        bytes.first_chunk().copied().unwrap_or([0; HEAD_BYTES])
    }

    /// The head at the front of the bytes; none if there is none.
    pub(super) fn decode(bytes: &[u8], key: &HeadKey, segment: u64, at: u64) -> Option<Self> {
        if bytes.first_chunk() != Some(&MAGIC) {
            return None;
        }
        let (checked, rest) = bytes.get(..HEAD_BYTES)?.split_at_checked(CHECKED_BYTES)?;
        if key.check(checked, segment, at) != *rest {
            return None;
        }
        let number = |at: usize| Some(u64::from_le_bytes(*checked.get(at..)?.first_chunk()?));
        let role = match checked.get(4)? {
            0 => Role::Batch,
            1 => Role::Idle,
            2 => Role::Closed,
            3 => Role::Seal,
            _ => return None,
        };
        let chain = *checked.get(32..)?.first_chunk()?;
        Some(Self { role, next: number(8)?, synced: number(16)?, batch: number(24)?, chain })
    }
}

/// The link after a batch's head and frames.
pub(super) fn link(before: &Link, batch: &[u8]) -> Link {
    *blake3::Hasher::new().update(before).update(batch).finalize().as_bytes()
}

/// The byte at which the next batch begins, after frames that end at a byte.
pub(super) fn boundary_after(end: u64) -> u64 {
    (end + END_BYTES as u64).next_multiple_of(SECTOR_BYTES)
}

/// The frames of records as they gather, with room for the head before them.
#[derive(Debug)]
pub(super) struct Batch {
    /// The head's place, then the frames.
    pub(super) bytes: Vec<u8>,
    /// Offset of the first record.
    pub(super) first: u64,
    pub(super) records: u64,
    pub(super) number: u64,
}

impl Batch {
    /// A batch without records, the next of which will have an offset.
    pub(super) fn new(first: u64, number: u64) -> Self {
        Self { bytes: vec![0; HEAD_BYTES], first, records: 0, number }
    }

    /// Adds a record; gives its offset.
    pub(super) fn push(&mut self, entry: &Entry<'_>) -> u64 {
        let offset = self.next();
        frame::encode(entry, offset, self.number, &mut self.bytes);
        self.records += 1;
        offset
    }

    pub(super) fn next(&self) -> u64 {
        self.first + self.records
    }

    /// Bytes of its frames.
    pub(super) fn frames_bytes(&self) -> usize {
        self.bytes.len().saturating_sub(HEAD_BYTES)
    }

    /// Empties it, to gather the records from an offset on.
    pub(super) fn restart(&mut self, first: u64, number: u64) {
        self.bytes.truncate(HEAD_BYTES);
        (self.first, self.records, self.number) = (first, 0, number);
    }
}
