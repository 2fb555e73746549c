//! A record in bytes.
//!
//! ```text
//! bytes u32 | crc32c u32, of all but itself | offset u64 | kind u8 | version u8 | flags u8 | entities u8
//! id 16 bytes, if flagged | entities: kind u16, hash 16 bytes, each | body | received at, µs i64 | batch u64
//! ```
//! All little-endian; `bytes` counts the whole frame. The last two are the trailer: true of this writing of the record
//! only, while everything else is the same wherever it is derived again.

use engine::entity::EntityKey;
use rules::schema::KindId;

use super::{ENTITIES_MAX, Entry, RecordKind};

/// The version of frames that this version writes, and the newest that it reads.
pub(super) const VERSION: u8 = 1;
/// What is before id, entities and body.
pub(super) const FIXED_BYTES: usize = 20;
const ID_BYTES: usize = 16;
const ENTITY_BYTES: usize = 18;
const TRAILER_BYTES: usize = 16;
/// Shortest frame.
pub(super) const FRAME_BYTES_MIN: usize = FIXED_BYTES + TRAILER_BYTES;
/// What a frame takes besides its body, with the entities of an ordinary record.
pub(super) const OVERHEAD_BYTES: usize = FRAME_BYTES_MIN + ID_BYTES + 8 * ENTITY_BYTES;
/// Longest frame: what a reader makes room for at most.
pub(super) const FRAME_BYTES_MAX: usize = 1 << 28;
/// Longest body of a record.
pub const BODY_BYTES_MAX: usize = FRAME_BYTES_MAX - FRAME_BYTES_MIN - ID_BYTES - ENTITIES_MAX * ENTITY_BYTES;

/// The record has an id.
const WITH_ID: u8 = 1;
/// The flags that this version knows. Reserved for a later one: 2, the body is encrypted under a named key.
const KNOWN_FLAGS: u8 = WITH_ID;

/// Appends the frame of a record, all but its checksum, which [`seal`] adds: under the gate's locks only copying is done.
pub(super) fn encode(entry: &Entry<'_>, offset: u64, batch: u64, into: &mut Vec<u8>) {
    let entities = entry.entities.get(..ENTITIES_MAX).unwrap_or(entry.entities);
    let id_bytes = if entry.id.is_some() { ID_BYTES } else { 0 };
    let bytes = FRAME_BYTES_MIN + id_bytes + entities.len() * ENTITY_BYTES + entry.body.len();
    into.reserve(bytes);
    // A body that is longer than any may be ends the journal before it is written: see `seal`.
    into.extend_from_slice(&u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes());
    into.extend_from_slice(&[0; 4]);
    into.extend_from_slice(&offset.to_le_bytes());
    let flags = if entry.id.is_some() { WITH_ID } else { 0 };
    let count = u8::try_from(entities.len()).unwrap_or(u8::MAX);
    into.extend_from_slice(&[entry.kind as u8, VERSION, flags, count]);
    if let Some(id) = entry.id {
        into.extend_from_slice(&id.to_le_bytes());
    }
    for entity in entities {
        into.extend_from_slice(&entity.kind.0.to_le_bytes());
        into.extend_from_slice(&entity.hash().to_le_bytes());
    }
    into.extend_from_slice(entry.body);
    into.extend_from_slice(&entry.received_at.to_le_bytes());
    into.extend_from_slice(&batch.to_le_bytes());
}

/// Adds the checksum to the frame at the front of the bytes, and gives it and what follows it; none at the end, and
/// where the frame is longer than any may be.
pub(super) fn seal(bytes: &mut [u8]) -> Option<(Frame<'_>, &mut [u8])> {
    let length = usize::try_from(length(bytes)?).ok().filter(|length| *length <= FRAME_BYTES_MAX)?;
    let (frame, rest) = bytes.split_at_mut_checked(length)?;
    let crc = checksum(frame)?;
    frame.get_mut(4..8)?.copy_from_slice(&crc.to_le_bytes());
    Some((Frame { bytes: frame }, rest))
}

/// The length that the bytes begin with; none if there are not so many.
pub(super) fn length(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|length| u32::from_le_bytes(*length))
}

fn checksum(frame: &[u8]) -> Option<u32> {
    Some(crc32c::crc32c_append(crc32c::crc32c(frame.get(..4)?), frame.get(8..)?))
}

/// A whole frame, its checksum right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    bytes: &'a [u8],
}

/// What is wrong with bytes that should be a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bad {
    /// Its checksum, or a length, is wrong: other bytes were written.
    Torn(&'static str),
    /// It is right, and of a later version.
    Newer {
        /// The record's kind.
        kind: u8,
        /// The frame's version.
        version: u8,
    },
}

impl<'a> Frame<'a> {
    /// The frame that the bytes are.
    pub(super) fn check(bytes: &'a [u8]) -> Result<Self, Bad> {
        let frame = Self { bytes };
        let crc = frame.u32_at(4);
        if bytes.len() < FRAME_BYTES_MIN || checksum(bytes) != Some(crc) {
            return Err(Bad::Torn("a record's checksum is wrong"));
        }
        let (kind, version) = (frame.byte(16), frame.byte(17));
        let known = RecordKind::from_number(kind).is_some() && frame.byte(18) & !KNOWN_FLAGS == 0;
        if version != VERSION || !known {
            return Err(Bad::Newer { kind, version });
        }
        if bytes.len() < FRAME_BYTES_MIN + frame.keys_bytes() {
            return Err(Bad::Torn("a record's parts do not fit into it"));
        }
        Ok(frame)
    }

    /// The frame that [`Frame::check`] let through before.
    pub(super) fn checked(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub(super) fn offset(&self) -> u64 {
        self.u64_at(8)
    }

    pub(super) fn kind(&self) -> RecordKind {
        // INVARIANT (checked frame): `check` let no other number through.
        RecordKind::from_number(self.byte(16)).unwrap_or(RecordKind::Event)
    }

    pub(super) fn id(&self) -> Option<u128> {
        let id = self.bytes.get(FIXED_BYTES..)?.first_chunk()?;
        (self.byte(18) & WITH_ID != 0).then(|| u128::from_le_bytes(*id))
    }

    pub(super) fn entities(&self) -> impl Iterator<Item = EntityKey> + 'a {
        let from = FIXED_BYTES + self.id_bytes();
        let to = FIXED_BYTES + self.keys_bytes();
        let entities = self.bytes.get(from..to).unwrap_or_default();
        entities.as_chunks::<ENTITY_BYTES>().0.iter().filter_map(|entity| {
            let (kind, rest) = entity.split_first_chunk()?;
            Some(EntityKey::new(KindId(u16::from_le_bytes(*kind)), u128::from_le_bytes(*rest.first_chunk()?)))
        })
    }

    pub(super) fn body(&self) -> &'a [u8] {
        let end = self.bytes.len().saturating_sub(TRAILER_BYTES);
        self.bytes.get(FIXED_BYTES + self.keys_bytes()..end).unwrap_or_default()
    }

    pub(super) fn received_at(&self) -> i64 {
        self.u64_at(self.bytes.len().saturating_sub(TRAILER_BYTES)).cast_signed()
    }

    pub(super) fn batch(&self) -> u64 {
        self.u64_at(self.bytes.len().saturating_sub(TRAILER_BYTES / 2))
    }

    fn id_bytes(&self) -> usize {
        if self.byte(18) & WITH_ID != 0 { ID_BYTES } else { 0 }
    }

    fn keys_bytes(&self) -> usize {
        self.id_bytes() + usize::from(self.byte(19)) * ENTITY_BYTES
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or_default()
    }

    fn u32_at(&self, at: usize) -> u32 {
        let bytes = self.bytes.get(at..).and_then(|it| it.first_chunk());
        bytes.map_or(0, |it| u32::from_le_bytes(*it))
    }

    fn u64_at(&self, at: usize) -> u64 {
        let bytes = self.bytes.get(at..).and_then(|it| it.first_chunk());
        bytes.map_or(0, |it| u64::from_le_bytes(*it))
    }
}

#[cfg(test)]
mod tests;
