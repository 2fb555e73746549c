//! Looking after a journal: proving that it is whole, and how much it holds.

use std::sync::Arc;

use engine::entity::HashKey;

use super::shelf::Shelf;
use super::survey::{Survey, Thorough};
use super::{JournalError, segment};
use crate::disk::Disk;

/// What a journal holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stat {
    /// How many segments.
    pub segments: usize,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Bytes that indexes take in memory; 0 where nobody writes it.
    pub index_bytes: usize,
    /// Offset of the oldest record.
    pub oldest: u64,
    /// Offset of the next record.
    pub next: u64,
    /// D: everything below is known to be on the disk.
    pub synced: u64,
    /// What is wrong at the end, beyond D: it is cut when the journal is opened.
    pub torn: Option<String>,
}

impl Stat {
    pub(super) fn of(shelf: &Shelf, synced: u64) -> Result<Self, JournalError> {
        let segments = shelf.segments();
        let mut bytes = 0;
        for segment in &segments {
            bytes += segment.file.bytes().map_err(JournalError::io("read", &shelf.path(segment)))?;
        }
        Ok(Self {
            segments: segments.len(),
            bytes,
            index_bytes: shelf.index_bytes(),
            oldest: shelf.oldest(),
            next: shelf.durable(),
            synced,
            torn: None,
        })
    }

    fn found(disk: &dyn Disk, synced: u64, thorough: Thorough) -> Result<Option<Self>, JournalError> {
        let Some(survey) = Survey::of(disk, synced, thorough, false)? else { return Ok(None) };
        let torn = survey.newest.torn.as_ref();
        Ok(Some(Self {
            segments: survey.segments(),
            bytes: survey.bytes().map_err(JournalError::io("read", &disk.path("")))?,
            index_bytes: 0,
            oldest: survey.oldest(),
            next: survey.next,
            synced: survey.synced,
            torn: torn.map(|(broken, bytes)| format!("{} ({bytes} bytes from {})", broken.what, broken.at)),
        }))
    }
}

/// What a folder's journal holds, by its newest segment and the ends of the others; none if there is none. `synced` is a D
/// that the caller knows, such as a snapshot's. It changes nothing.
///
/// # Errors
/// If the disk refuses, or what is read is damaged, or ends below D.
pub fn stat(disk: &Arc<dyn Disk>, synced: u64) -> Result<Option<Stat>, JournalError> {
    Stat::found(&**disk, synced, Thorough::Newest)
}

/// Reads every byte of a folder's journal: checksums, offsets without a gap, and the chain from the first segment on.
/// None if there is none. `synced` is a D that the caller knows, such as a snapshot's. It changes nothing.
///
/// # Errors
/// If the disk refuses, or anything is not as it was written; the first such place is named.
pub fn verify(disk: &Arc<dyn Disk>, synced: u64) -> Result<Option<Stat>, JournalError> {
    Stat::found(&**disk, synced, Thorough::Chain)
}

/// Whether a folder holds segments of a journal, by their names alone.
///
/// # Errors
/// If the disk refuses.
pub fn is_begun(disk: &dyn Disk) -> Result<bool, JournalError> {
    let names = disk.list().map_err(JournalError::io("list", &disk.path("")))?;
    Ok(names.iter().any(|name| segment::first_of(name).is_some()))
}

/// The key under which the ids of a folder's journal are hashed; none if there is no journal. It changes nothing.
///
/// # Errors
/// If the disk refuses, or what is read is damaged.
pub fn key(disk: &Arc<dyn Disk>) -> Result<Option<HashKey>, JournalError> {
    Ok(Survey::of(&**disk, 0, Thorough::Newest, false)?.map(|it| it.header.key))
}
