//! A journal that others beside the gate hold too: whoever closes it, or asks how long its syncs take.

use std::ops::Range;
use std::sync::Arc;
use std::task::{Poll, Waker};

use engine::entity::EntityKey;
use tokio::sync::watch;

use super::{Cursor, Entry, Full, Journal, JournalError, Load, Progress, RecordKind, Reservation};

impl<J: Journal + ?Sized> Journal for Arc<J> {
    fn reserve(&self, records: usize, bytes_each: usize) -> Result<Reservation, Full> {
        (**self).reserve(records, bytes_each)
    }

    fn append(&self, entry: &Entry<'_>) -> u64 {
        (**self).append(entry)
    }

    fn gathers(&self) -> bool {
        (**self).gathers()
    }

    fn urge(&self) {
        (**self).urge();
    }

    fn durable(&self) -> u64 {
        (**self).durable()
    }

    fn synced(&self) -> u64 {
        (**self).synced()
    }

    fn next(&self) -> u64 {
        (**self).next()
    }

    fn watch(&self) -> watch::Receiver<Progress> {
        (**self).watch()
    }

    fn reached(&self, offset: u64, waker: Option<&Waker>) -> Poll<Progress> {
        (**self).reached(offset, waker)
    }

    fn fail(&self, why: &str) {
        (**self).fail(why);
    }

    fn load(&self) -> Load {
        (**self).load()
    }

    fn read(&self, offset: u64, into: &mut Vec<u8>) -> Result<Option<RecordKind>, JournalError> {
        (**self).read(offset, into)
    }

    fn find(&self, id: u128, within: Range<u64>) -> Result<Option<(u64, RecordKind)>, JournalError> {
        (**self).find(id, within)
    }

    fn surely_lacks(&self, id: u128, from: u64) -> bool {
        (**self).surely_lacks(id, from)
    }

    fn oldest(&self) -> u64 {
        (**self).oldest()
    }

    fn find_decision(&self, decision: u128) -> Result<Option<u64>, JournalError> {
        (**self).find_decision(decision)
    }

    fn about(&self, entity: EntityKey, most: usize, into: &mut Vec<u64>) -> Result<(), JournalError> {
        (**self).about(entity, most, into)
    }

    fn cursor(&self, from: u64) -> Result<Box<dyn Cursor>, JournalError> {
        (**self).cursor(from)
    }
}
