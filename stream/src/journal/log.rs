//! Writing: one batch after the other into the newest segment, and opening what was written before.
//!
//! No thread and no clock: who calls it decides when to write and when to sync.

use std::sync::Arc;

use engine::entity::HashKey;

use super::JournalError;
use super::batch::{Batch, HEAD_BYTES, Head, HeadKey, Link, Role, boundary_after, link};
use super::frame::{self, BODY_BYTES_MAX};
use super::index::Index;
use super::segment::{self, HEADER_BYTES, Header};
use super::shelf::{Segment, Shelf};
use super::survey::{Newest, Survey, Thorough};
use crate::disk::Disk;

/// How a journal is opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    /// The key of a journal that is born now …
    pub(super) birth_key: HashKey,
    /// … and the offset of its first record.
    pub(super) birth_first: u64,
    pub(super) segment_bytes: u64,
    /// A D that the caller knows from elsewhere.
    pub(super) synced: u64,
    pub(super) thorough: Thorough,
}

/// The writing end of a journal.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) shelf: Arc<Shelf>,
    segment: Arc<Segment>,
    header: Header,
    segment_bytes: u64,
    /// Where the next batch begins.
    at: u64,
    /// Offset of the next record.
    next: u64,
    /// D: everything below is on the disk.
    synced: u64,
    /// Whether anything was written since the last sync.
    dirty: bool,
    chain: Link,
    /// The number of the next batch.
    batch: u64,
    /// The segment that was sealed last, whose index is to be filed.
    sealed: Option<Arc<Segment>>,
}

impl Log {
    /// Opens a folder's journal, or begins one. A torn tail is cut; the shelf's notes say so.
    pub(super) fn open(disk: Arc<dyn Disk>, opening: Opening) -> Result<Self, JournalError> {
        let survey = match Survey::of(&*disk, opening.synced, opening.thorough, true)? {
            Some(survey) => survey,
            None => return Self::begin(disk, opening),
        };
        let unborn = survey.unborn.clone();
        if let Some(name) = &unborn {
            remove(&*disk, name)?;
        }
        let path = disk.path(&segment::name(survey.newest.first));
        let note = repair(&survey.newest, &path)?;
        disk.sync_folder().map_err(JournalError::io("sync", &disk.path("")))?;
        let Newest { at, chain, batch, sealed, .. } = survey.newest;
        let (header, next) = (survey.header, survey.next);
        let shelf = Arc::new(survey.shelf(Arc::clone(&disk), next));
        note.into_iter().for_each(|note| shelf.note(note));
        let segment = shelf.segments().pop().ok_or_else(|| missing(&*disk))?;
        let mut log = Self {
            shelf,
            segment,
            header,
            segment_bytes: opening.segment_bytes,
            at,
            next,
            synced: next,
            dirty: false,
            chain,
            batch,
            sealed: None,
        };
        if sealed {
            log.follow()?;
        }
        Ok(log)
    }

    /// Begins a journal in a folder that has none.
    fn begin(disk: Arc<dyn Disk>, opening: Opening) -> Result<Self, JournalError> {
        let first = opening.birth_first;
        if disk.list().map_err(JournalError::io("list", &disk.path("")))?.contains(&segment::name(first)) {
            remove(&*disk, &segment::name(first))?;
        }
        let header = Header { partition: 0, tenant: 0, key: opening.birth_key, first, chain: [0; 32] };
        let segment = create(&*disk, &header)?;
        let key = HeadKey::new(header.key);
        let shelf = Arc::new(Shelf::new(disk, key, vec![Arc::clone(&segment)], first));
        Ok(Self {
            shelf,
            segment,
            header,
            segment_bytes: opening.segment_bytes,
            at: HEADER_BYTES as u64,
            next: first,
            synced: first,
            dirty: false,
            chain: header.chain,
            batch: 0,
            sealed: None,
        })
    }

    /// Under which ids are hashed.
    pub(super) fn key(&self) -> HashKey {
        self.header.key
    }

    /// Offset of the next record.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The number of the next batch.
    pub(super) fn batch(&self) -> u64 {
        self.batch
    }

    /// D.
    pub(super) fn synced(&self) -> u64 {
        self.synced
    }

    /// Somebody else synced the newest segment.
    pub(super) fn set_synced(&mut self, synced: u64) {
        self.synced = self.synced.max(synced.min(self.next));
    }

    /// The newest segment, to be synced by somebody else.
    pub(super) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// The segment that was sealed since this was asked last.
    pub(super) fn take_sealed(&mut self) -> Option<Arc<Segment>> {
        self.sealed.take()
    }

    /// Whether a batch of so many bytes goes into the newest segment.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.at + bytes as u64 <= self.segment_bytes || self.next <= self.segment.first
    }

    /// Writes a batch and empties it, first rolling over to a new segment if this one is full.
    pub(super) fn write(&mut self, batch: &mut Batch) -> Result<(), JournalError> {
        if !self.has_room(batch.bytes.len()) {
            self.roll()?;
        }
        self.put(Role::Batch, batch)
    }

    /// Waits until everything that was written is on the disk.
    pub(super) fn sync(&mut self) -> Result<(), JournalError> {
        if self.dirty {
            self.segment.file.sync().map_err(|it| JournalError::io("sync", &self.path())(it))?;
        }
        (self.synced, self.dirty) = (self.next, false);
        Ok(())
    }

    /// Syncs, and records D.
    ///
    /// INVARIANT (whole): a head whose D is all that there is has every byte before it on the disk; so a mark is
    /// synced before anything follows it.
    pub(super) fn mark(&mut self, role: Role) -> Result<(), JournalError> {
        self.sync()?;
        self.put(role, &mut Batch::new(self.next, self.batch))?;
        self.sync()
    }

    /// Seals the segment and begins the next.
    fn roll(&mut self) -> Result<(), JournalError> {
        self.mark(Role::Seal)?;
        self.follow()
    }

    /// Begins the segment after the one that is sealed.
    fn follow(&mut self) -> Result<(), JournalError> {
        let header = Header { first: self.next, chain: self.chain, ..self.header };
        let segment = create(&*self.shelf.disk, &header)?;
        self.shelf.push(Arc::clone(&segment));
        self.sealed = Some(std::mem::replace(&mut self.segment, segment));
        (self.header, self.at) = (header, HEADER_BYTES as u64);
        Ok(())
    }

    fn put(&mut self, role: Role, batch: &mut Batch) -> Result<(), JournalError> {
        let (segment, at) = (self.segment.first, self.at);
        let head =
            Head { role, next: self.next, synced: self.synced, batch: batch.number, chain: self.chain };
        if let Some(place) = batch.bytes.get_mut(..HEAD_BYTES) {
            place.copy_from_slice(&head.encode(&self.shelf.key, segment, at));
        }
        let sealed = self.segment.extend_index(|index| seal_frames(batch, at, index));
        if sealed != batch.records {
            return Err(JournalError::TooLong { offset: self.next + sealed, most: BODY_BYTES_MAX });
        }
        let end = at + batch.bytes.len() as u64;
        let chain = link(&self.chain, &batch.bytes);
        let boundary = boundary_after(end);
        let fill = usize::try_from(boundary - end).unwrap_or_default();
        batch.bytes.resize(batch.bytes.len() + fill, 0);
        self.dirty = true;
        // Its name is only put together where it is told: this is what every batch passes.
        let written = self.segment.file.write_at(&batch.bytes, at);
        written.map_err(|it| JournalError::io("write", &self.path())(it))?;
        (self.at, self.chain) = (boundary, chain);
        self.next += batch.records;
        // A mark has the number of the batch after it: no record says that it was in it.
        self.batch = batch.number + u64::from(batch.records != 0);
        batch.restart(self.next, self.batch);
        Ok(())
    }

    fn path(&self) -> String {
        self.shelf.path(&self.segment)
    }
}

/// Adds checksums to the frames of a batch that begins at a byte, and the records to the index. Gives how many.
fn seal_frames(batch: &mut Batch, at: u64, index: &mut Index) -> u64 {
    let mut sealed = 0;
    let mut at = at + HEAD_BYTES as u64;
    let mut rest = batch.bytes.get_mut(HEAD_BYTES..).unwrap_or_default();
    while let Some((frame, after)) = frame::seal(rest) {
        index.push(&frame, at);
        at += frame.bytes().len() as u64;
        sealed += 1;
        rest = after;
    }
    sealed
}

/// Cuts what is torn, and writes again what is not known to be on the disk: a sync that failed before may have made
/// pages clean that never got there, which then only the cache holds. Says what was cut.
fn repair(newest: &Newest, path: &str) -> Result<Option<String>, JournalError> {
    let failed = |action| JournalError::io(action, path);
    let note = match &newest.torn {
        None => None,
        Some((broken, bytes)) => {
            newest.file.truncate(newest.end).map_err(failed("cut"))?;
            let at = newest.end;
            Some(format!(
                "`{path}` is cut at byte {at}, {bytes} bytes of a torn tail with it: {}",
                broken.what
            ))
        }
    };
    let unsynced = usize::try_from(newest.end - newest.unsynced_at).unwrap_or_default();
    let mut bytes = vec![0; unsynced];
    newest.file.read_at(&mut bytes, newest.unsynced_at).map_err(failed("read"))?;
    newest.file.write_at(&bytes, newest.unsynced_at).map_err(failed("write"))?;
    newest.file.sync().map_err(failed("sync"))?;
    Ok(note)
}

/// Makes a segment's file, so that it lasts.
fn create(disk: &dyn Disk, header: &Header) -> Result<Arc<Segment>, JournalError> {
    let name = segment::name(header.first);
    let path = disk.path(&name);
    let file = disk.create(&name).map_err(JournalError::io("create", &path))?;
    file.write_at(&header.encode(), 0).map_err(JournalError::io("write", &path))?;
    file.sync().map_err(JournalError::io("sync", &path))?;
    disk.sync_folder().map_err(JournalError::io("sync", &disk.path("")))?;
    Ok(Segment::indexed(header.first, file.into(), Index::default()))
}

/// Removes what has no use any more, so that it does not come back.
fn remove(disk: &dyn Disk, name: &str) -> Result<(), JournalError> {
    disk.remove(name).map_err(JournalError::io("remove", &disk.path(name)))?;
    disk.sync_folder().map_err(JournalError::io("sync", &disk.path("")))
}

fn missing(disk: &dyn Disk) -> JournalError {
    let file = disk.path("");
    JournalError::Io { action: "open", file, source: std::io::ErrorKind::NotFound.into() }
}
