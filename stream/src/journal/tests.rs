//! The journal over a simulated disk: what is written is read, damage is told from a torn tail, and every crash is
//! survived.

#![expect(clippy::cast_possible_truncation, reason = "numbers of tests are small")]

mod crashes;
mod damage;
mod live;
mod segments;

use std::sync::Arc;

use engine::entity::{EntityKey, HashKey};
use rules::schema::KindId;

use super::batch::{Batch, Role};
use super::log::{Log, Opening};
use super::{Cursor, Entry, JournalError, Reader, RecordKind, Thorough};
use crate::disk::Disk;
use crate::disk::simulated::Simulated;
use crate::record::Stamp;

fn key() -> HashKey {
    HashKey::new(*b"0123456789abcdef")
}

/// What the record of an offset says: told from others, and of different lengths. A decision begins with its event's id.
fn body(offset: u64) -> Vec<u8> {
    let bytes = [3, 40, 0, 120, 700, 11, 1500, 64][(offset % 8) as usize];
    let rest = (0..bytes).map(|at| (offset * 31 + at) as u8);
    let Some(id) = event_id(offset) else { return rest.collect() };
    let stamp = Stamp { clock: 7, rule_set: 0 }.to_bytes();
    stamp.into_iter().chain([10, id.len() as u8]).chain(id.into_bytes()).chain(rest).collect()
}

/// The id of the event that was decided; ids come back.
fn event_id(offset: u64) -> Option<String> {
    (kind(offset) == RecordKind::Decided).then(|| format!("event-{}", offset % 33))
}

fn kind(offset: u64) -> RecordKind {
    if offset.is_multiple_of(3) { RecordKind::Decided } else { RecordKind::Amend }
}

/// Ids are repeated after seven, entities all the time.
fn id(offset: u64) -> Option<u128> {
    (offset % 5 != 4).then(|| u128::from(offset % 7 + 1) << 64 | 9)
}

fn entities(offset: u64) -> Vec<EntityKey> {
    let entity =
        |kind: u16, hash: u64| EntityKey::new(KindId(kind), u128::from(hash) << 64 | u128::from(hash));
    (0..offset % 4).map(|role| entity(role as u16, offset % (3 + role))).collect()
}

/// Adds the record that belongs at the next offset.
fn push(batch: &mut Batch) {
    let offset = batch.next();
    let (body, entities) = (body(offset), entities(offset));
    let (kind, received_at) = (kind(offset), offset as i64 * 10);
    batch.push(&Entry { kind, body: &body, id: id(offset), entities: &entities, received_at });
}

fn opening(segment_bytes: u64) -> Opening {
    Opening { birth_key: key(), birth_first: 0, segment_bytes, synced: 0, thorough: Thorough::From(0) }
}

fn open(disk: &Simulated, segment_bytes: u64) -> Result<Log, JournalError> {
    Log::open(Arc::new(disk.clone()), opening(segment_bytes))
}

/// Writes a batch of so many records.
fn write(log: &mut Log, records: u64) -> Result<(), JournalError> {
    let mut batch = Batch::new(log.next(), log.batch());
    (0..records).for_each(|_| push(&mut batch));
    log.write(&mut batch)
}

/// Reads all records from an offset on, and looks that each is what was written; gives the offset after the last.
#[track_caller]
fn check_records(mut reader: Reader, from: u64) -> u64 {
    let mut next = from;
    while let Some(record) = reader.next().unwrap() {
        assert_eq!(record.offset, next);
        assert_eq!(record.body, body(next), "record {next}");
        assert_eq!((record.id, record.received_at), (id(next), next as i64 * 10));
        next += 1;
    }
    next
}

/// A journal of a few batches, closed as it should be, in one segment; gives its disk and how many records it has.
fn closed(batches: &[u64]) -> (Simulated, u64) {
    let disk = Simulated::new(1);
    let mut log = open(&disk, 1 << 20).unwrap();
    for records in batches {
        write(&mut log, *records).unwrap();
        log.sync().unwrap();
    }
    log.mark(Role::Closed).unwrap();
    (disk, batches.iter().sum())
}

fn reader(disk: &Simulated, from: u64) -> Result<Reader, JournalError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Reader::open(disk, from, 0).map(|reader| reader.unwrap())
}
