//! What finds the records of one segment: by offset, by id, by entity; a decision also by its own id.
//!
//! All are found by 64 bits of their hashes; who looks reads the record and compares the whole. In memory while the segment
//! is written; then a file beside it (see [`file`]), in which both ids of a decision stand among the ids: they are hashes,
//! which are told apart like any two.
//!
//! In memory, the id of an event or amendment is looked up when it may be a repeat, which can be at every event: it has a
//! map ([`Keys`]). The others are looked up for people only, and added at every event, most of them several: to the end of
//! a list ([`Parts`]), where each step into a map of all of them would wait for memory.

pub(super) mod file;

use engine::decision::decision_number;
use engine::entity::EntityKey;
use hashbrown::HashTable;

use self::file::By;
use super::frame::Frame;
use super::{RecordKind, TENANT};
use crate::record::{Decided, Stamp};

/// 64 bits of an id's hash.
pub(super) fn id_key(id: u128) -> u64 {
    (id >> 64) as u64
}

/// The number of the decision that a record holds. Its frame says nothing of it, but its event's id stands first in it.
pub(super) fn decision_in(kind: RecordKind, body: &[u8]) -> Option<u128> {
    let (_, message) = Stamp::split(body).filter(|_| kind == RecordKind::Decided)?;
    Some(decision_number(TENANT, Decided::event_id(message)?))
}

/// 64 bits of an entity's hash, other bits than a map's shard is chosen by; the same id of another kind has others.
#[expect(clippy::cast_possible_truncation, reason = "half of the hash")]
pub(super) fn entity_key(entity: EntityKey) -> u64 {
    entity.hash() as u64 ^ u64::from(entity.kind.0).rotate_right(16)
}

/// The index of a segment that is being written.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// The byte at which each record's frame begins.
    pub(super) places: Vec<u32>,
    /// Of events and amendments.
    pub(super) ids: Keys,
    pub(super) decisions: Parts,
    pub(super) entities: Parts,
}

impl Index {
    /// Adds the next record, whose frame begins at a byte.
    ///
    /// INVARIANT (segment size): segments are rolled before they reach 4 GiB, so places and counts fit into 32 bits.
    pub(super) fn push(&mut self, frame: &Frame<'_>, at: u64) {
        let record = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(u32::try_from(at).unwrap_or(u32::MAX));
        if let Some(id) = frame.id() {
            self.ids.push(id_key(id), record);
        }
        if let Some(decision) = decision_in(frame.kind(), frame.body()) {
            self.decisions.push(id_key(decision), record);
        }
        for entity in frame.entities() {
            self.entities.push(entity_key(entity), record);
        }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        let lists = self.decisions.bytes() + self.entities.bytes();
        self.places.capacity() * size_of::<u32>() + self.ids.bytes() + lists
    }

    /// At most `most` records below one that may have a key, newest first.
    pub(super) fn newest_first(&self, by: By, key: u64, below: u64, most: usize) -> Vec<u64> {
        let is_below = |record: &u64| *record < below;
        match by {
            By::Id => self.ids.newest_first(key).map(u64::from).filter(is_below).take(most).collect(),
            By::Decision => self.decisions.newest_first(key, below).take(most).collect(),
            By::Entity => self.entities.newest_first(key, below).take(most).collect(),
        }
    }

    /// The ids of events and of decisions with their records, by key and then record.
    fn ids_sorted(&self) -> Vec<(u64, u32)> {
        let mut sorted: Vec<_> = self.ids.rows.iter().map(|row| (row.key, row.record)).collect();
        sorted.extend(self.decisions.parts.iter().flatten());
        sorted.sort_unstable();
        sorted
    }
}

/// Which records have a key, which is a hash: of each key a chain, newest first.
#[derive(Debug, Default)]
pub(super) struct Keys {
    rows: Vec<Row>,
    newest: HashTable<Newest>,
}

/// The newest row of a key; the key beside it, so that a growing table does not look up every row.
#[derive(Clone, Copy, Debug)]
struct Newest {
    key: u64,
    row: u32,
}

/// That a record has a key.
#[derive(Clone, Copy, Debug)]
struct Row {
    key: u64,
    record: u32,
    /// One more than the row of the same key before; 0 = none.
    before: u32,
}

impl Keys {
    fn push(&mut self, key: u64, record: u32) {
        let row = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let entry = self.newest.entry(key, |it| it.key == key, |it| it.key);
        let before = match entry {
            hashbrown::hash_table::Entry::Occupied(mut old) => {
                std::mem::replace(&mut old.get_mut().row, row) + 1
            }
            hashbrown::hash_table::Entry::Vacant(vacant) => {
                vacant.insert(Newest { key, row });
                0
            }
        };
        self.rows.push(Row { key, record, before });
    }

    /// The records of a key, newest first.
    pub(super) fn newest_first(&self, key: u64) -> impl Iterator<Item = u32> {
        let found = self.newest.find(key, |it| it.key == key);
        let first = found.and_then(|newest| self.rows.get(newest.row as usize));
        let chain = std::iter::successors(first, |row| self.rows.get(row.before.checked_sub(1)? as usize));
        chain.map(|row| row.record)
    }

    fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>() + self.newest.allocation_size()
    }
}

/// Parts of a list: of a segment that is full, some thousand rows each.
const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 10;

/// Which records have a key, in parts by the key's upper bits, each in the order of the records. A look-up goes through
/// one part from its end.
#[derive(Debug)]
pub(super) struct Parts {
    parts: Box<[Vec<(u64, u32)>]>,
}

impl Default for Parts {
    fn default() -> Self {
        Self { parts: vec![Vec::new(); PARTS].into() }
    }
}

impl Parts {
    fn push(&mut self, key: u64, record: u32) {
        if let Some(part) = self.parts.get_mut(part_of(key)) {
            part.push((key, record));
        }
    }

    /// The records of a key below one, newest first.
    fn newest_first(&self, key: u64, below: u64) -> impl Iterator<Item = u64> {
        let part = self.parts.get(part_of(key)).map_or(&[][..], Vec::as_slice);
        let end = part.partition_point(|(_, record)| u64::from(*record) < below);
        let older = part.get(..end).unwrap_or_default().iter().rev();
        older.filter(move |(it, _)| *it == key).map(|(_, record)| u64::from(*record))
    }

    /// All keys with their records, by key and then record.
    fn sorted(&self) -> Vec<(u64, u32)> {
        let mut sorted = Vec::with_capacity(self.parts.iter().map(Vec::len).sum());
        for part in &self.parts {
            let start = sorted.len();
            sorted.extend_from_slice(part);
            sorted.get_mut(start..).unwrap_or_default().sort_unstable();
        }
        sorted
    }

    fn bytes(&self) -> usize {
        let rows: usize = self.parts.iter().map(Vec::capacity).sum();
        size_of_val::<[_]>(&self.parts) + rows * size_of::<(u64, u32)>()
    }
}

/// The part in which a key stands. Keys are hashes.
fn part_of(key: u64) -> usize {
    (key >> (u64::BITS - PART_BITS)) as usize
}

#[cfg(test)]
mod tests;
