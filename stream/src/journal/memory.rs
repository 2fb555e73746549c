//! A journal that keeps every record in memory, for tests of what is made from records.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};

use engine::entity::EntityKey;
use parking_lot::Mutex;
use rules::time::Micros;
use tokio::sync::watch;

use super::index::decision_in;
use super::progress::Advance;
use super::{Cursor, Entry, Full, Journal, JournalError, Load, Progress, Record, RecordKind, Reservation};

/// Keeps every record. It is durable at once, or as far as the test says.
#[derive(Clone, Debug)]
pub struct Memory {
    kept: Arc<Mutex<Vec<Kept>>>,
    advance: Arc<Advance>,
    /// Whether durability waits for [`Memory::settle`].
    held: bool,
    /// Whoever walks over it begins no earlier than here.
    oldest: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Kept {
    kind: RecordKind,
    body: Arc<[u8]>,
    id: Option<u128>,
    entities: Box<[EntityKey]>,
    received_at: Micros,
}

impl Default for Memory {
    fn default() -> Self {
        Self::with(false)
    }
}

impl Memory {
    /// A journal in which nothing is durable until [`Memory::settle`] says so.
    pub fn held() -> Self {
        Self::with(true)
    }

    fn with(held: bool) -> Self {
        Self { kept: Arc::default(), advance: Arc::default(), held, oldest: Arc::default() }
    }

    /// Makes durable what is below an offset.
    pub fn settle(&self, below: u64) {
        self.advance.to(below, || ());
    }

    /// As if the records below an offset had been pruned, or brought back.
    pub fn prune(&self, below: u64) {
        self.oldest.store(below, Ordering::Relaxed);
    }

    /// As if a write had failed.
    pub fn poison(&self) {
        self.advance.poison();
    }

    /// How many records it keeps.
    pub fn len(&self) -> usize {
        self.kept.lock().len()
    }

    /// Whether it keeps none.
    pub fn is_empty(&self) -> bool {
        self.kept.lock().is_empty()
    }

    fn durable_of(&self, kept: &[Kept]) -> usize {
        usize::try_from(self.advance.now().durable).map_or(kept.len(), |durable| durable.min(kept.len()))
    }
}

impl Journal for Memory {
    fn reserve(&self, _records: usize, _bytes_each: usize) -> Result<Reservation, Full> {
        Ok(Reservation::unbounded())
    }

    fn append(&self, entry: &Entry<'_>) -> u64 {
        let mut kept = self.kept.lock();
        let offset = kept.len() as u64;
        kept.push(Kept {
            kind: entry.kind,
            body: entry.body.into(),
            id: entry.id,
            entities: entry.entities.into(),
            received_at: entry.received_at,
        });
        if !self.held {
            self.settle(offset + 1);
        }
        offset
    }

    fn durable(&self) -> u64 {
        self.advance.now().durable
    }

    fn next(&self) -> u64 {
        self.kept.lock().len() as u64
    }

    fn watch(&self) -> watch::Receiver<Progress> {
        self.advance.watch()
    }

    fn reached(&self, offset: u64, waker: Option<&Waker>) -> Poll<Progress> {
        self.advance.reached(offset, waker)
    }

    fn fail(&self, _why: &str) {
        self.advance.poison();
    }

    fn load(&self) -> Load {
        Load { records_ahead: self.next().saturating_sub(self.durable()), ..Load::default() }
    }

    fn read(&self, offset: u64, into: &mut Vec<u8>) -> Result<Option<RecordKind>, JournalError> {
        let kept = self.kept.lock();
        let durable = kept.get(..self.durable_of(&kept)).unwrap_or_default();
        let Some(found) = usize::try_from(offset).ok().and_then(|at| durable.get(at)) else {
            return Ok(None);
        };
        into.clear();
        into.extend_from_slice(&found.body);
        Ok(Some(found.kind))
    }

    fn find(&self, id: u128, within: Range<u64>) -> Result<Option<(u64, RecordKind)>, JournalError> {
        let kept = self.kept.lock();
        let durable = kept.get(..self.durable_of(&kept)).unwrap_or_default();
        let mut newest_first = durable.iter().enumerate().rev().map(|(at, it)| (at as u64, it));
        let found = newest_first.find(|(offset, it)| it.id == Some(id) && within.contains(offset));
        Ok(found.map(|(offset, it)| (offset, it.kind)))
    }

    fn surely_lacks(&self, id: u128, from: u64) -> bool {
        matches!(self.find(id, from..u64::MAX), Ok(None))
    }

    fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::Relaxed)
    }

    fn find_decision(&self, decision: u128) -> Result<Option<u64>, JournalError> {
        let kept = self.kept.lock();
        let durable = kept.get(..self.durable_of(&kept)).unwrap_or_default();
        let holds = |it: &Kept| decision_in(it.kind, &it.body) == Some(decision);
        Ok(durable.iter().rposition(holds).map(|at| at as u64))
    }

    fn about(&self, entity: EntityKey, most: usize, into: &mut Vec<u64>) -> Result<(), JournalError> {
        let kept = self.kept.lock();
        let durable = kept.get(..self.durable_of(&kept)).unwrap_or_default();
        let naming = durable.iter().enumerate().rev().filter(|(_, it)| it.entities.contains(&entity));
        into.extend(naming.map(|(at, _)| at as u64).take(most));
        Ok(())
    }

    fn cursor(&self, from: u64) -> Result<Box<dyn Cursor>, JournalError> {
        let next = from.max(self.oldest());
        Ok(Box::new(Walk { journal: self.clone(), next, body: Arc::default() }))
    }
}

struct Walk {
    journal: Memory,
    next: u64,
    body: Arc<[u8]>,
}

impl Cursor for Walk {
    fn next(&mut self) -> Result<Option<Record<'_>>, JournalError> {
        let kept = self.journal.kept.lock();
        let durable = kept.get(..self.journal.durable_of(&kept)).unwrap_or_default();
        let Some(found) = usize::try_from(self.next).ok().and_then(|at| durable.get(at)) else {
            return Ok(None);
        };
        self.body = Arc::clone(&found.body);
        let (kind, id, received_at) = (found.kind, found.id, found.received_at);
        let offset = self.next;
        self.next += 1;
        Ok(Some(Record { offset, kind, body: &self.body, id, received_at, batch: offset }))
    }
}
