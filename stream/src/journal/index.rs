//! What finds the records of one segment: by offset, by id, by entity; a decision also by its own id.
//!
//! Ids and entities are found by 64 bits of their hashes; who looks reads the record and compares the whole. Both ids of
//! a decision stand among the ids: they are hashes, which are told apart like any two. In memory while the segment is
//! written; then a file beside it (see [`file`]).

pub(super) mod file;

use engine::decision::decision_number;
use engine::entity::EntityKey;
use hashbrown::HashTable;

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
    pub(super) ids: Keys,
    pub(super) entities: Keys,
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
            self.ids.push(id_key(decision), record);
        }
        for entity in frame.entities() {
            self.entities.push(entity_key(entity), record);
        }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<u32>() + self.ids.bytes() + self.entities.bytes()
    }
}

/// Which records have a key: of each key a chain, newest first.
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

/// The hash of a key in a map. Keys are hashes as a rule, but two kinds may have one id, and then differ in a few bits.
fn spread(key: u64) -> u64 {
    (key ^ key >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
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
        let entry = self.newest.entry(spread(key), |it| it.key == key, |it| spread(it.key));
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
        let found = self.newest.find(spread(key), |it| it.key == key);
        let first = found.and_then(|newest| self.rows.get(newest.row as usize));
        let chain = std::iter::successors(first, |row| self.rows.get(row.before.checked_sub(1)? as usize));
        chain.map(|row| row.record)
    }

    /// All keys with their records, by key and then record.
    fn sorted(&self) -> Vec<(u64, u32)> {
        let mut sorted: Vec<_> = self.rows.iter().map(|row| (row.key, row.record)).collect();
        sorted.sort_unstable();
        sorted
    }

    fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>() + self.newest.allocation_size()
    }
}

#[cfg(test)]
mod tests;
