//! The segments that there are, in order, and looking for records in them.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use engine::entity::EntityKey;
use parking_lot::{Mutex, RwLock};

use super::batch::HeadKey;
use super::frame::{self, Bad, FRAME_BYTES_MAX, Frame};
use super::index::file::{By, IndexFile, Unfit};
use super::index::{self, Index};
use super::walk::{Broken, Found, Walk};
use super::{JournalError, RecordKind, segment};
use crate::disk::{Disk, File};

/// Bytes read at first of a record that is looked for; most are shorter.
const GUESS_BYTES: usize = 1 << 10;
/// So long an index is waited for by whoever only asks whether it surely lacks an id: who adds to it is done sooner, and who
/// builds it reads a whole segment.
const INDEX_WAIT_MAX: Duration = Duration::from_micros(200);
/// Records with one id in one segment that are looked at, at once.
const SAME_ID: usize = 4;

/// All segments. Readers see what is durable.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) key: HeadKey,
    /// By first offset; never empty.
    segments: RwLock<Vec<Arc<Segment>>>,
    /// Readers see what is below.
    durable: AtomicU64,
    /// What people should know.
    notes: Mutex<Vec<String>>,
    /// Whether they know that there are indexes of an earlier version.
    said_older: AtomicBool,
}

/// One segment.
#[derive(Debug)]
pub(super) struct Segment {
    /// Offset of its first record.
    pub(super) first: u64,
    pub(super) file: Arc<dyn File>,
    index: RwLock<Lookup>,
}

/// Where a segment's index is.
#[derive(Debug)]
enum Lookup {
    /// In memory: while it is written, and until its file is.
    Memory(Index),
    /// In its file.
    File(IndexFile),
    /// Nobody looked yet.
    Unknown,
}

impl Segment {
    /// A segment whose index is known.
    pub(super) fn indexed(first: u64, file: Arc<dyn File>, index: Index) -> Arc<Self> {
        Arc::new(Self { first, file, index: RwLock::new(Lookup::Memory(index)) })
    }

    /// A segment whose index is looked for when it is needed.
    pub(super) fn sealed(first: u64, file: Arc<dyn File>) -> Arc<Self> {
        Arc::new(Self { first, file, index: RwLock::new(Lookup::Unknown) })
    }

    /// Adds what was written to the index; only the writer does, and only to the segment that it writes.
    pub(super) fn extend_index(&self, extend: impl FnOnce(&mut Index) -> u64) -> u64 {
        match &mut *self.index.write() {
            Lookup::Memory(index) => extend(index),
            Lookup::File(_) | Lookup::Unknown => 0,
        }
    }

    /// Whether its filter says that it has no record of an id.
    fn lacks_id(&self, key: u64) -> bool {
        let lacks = |it: &Lookup| matches!(it, Lookup::File(index) if !index.may_have_id(key));
        self.index.try_read_for(INDEX_WAIT_MAX).is_some_and(|it| lacks(&it))
    }

    /// Whether memory alone says that it has no record of an id.
    fn surely_lacks_id(&self, key: u64) -> bool {
        let in_memory = |index: &Index| index.newest_first(By::Id, key, u64::MAX, 1).is_empty();
        let lacks = |it: &Lookup| matches!(it, Lookup::Memory(index) if in_memory(index));
        self.lacks_id(key) || self.index.try_read_for(INDEX_WAIT_MAX).is_some_and(|it| lacks(&it))
    }

    /// Bytes that its index takes in memory, but for the filter.
    fn index_bytes(&self) -> usize {
        if let Lookup::Memory(index) = &*self.index.read() { index.bytes() } else { 0 }
    }

    /// The byte at which a record's frame begins; none while the index is not known.
    fn place(&self, record: u64) -> io::Result<Option<u64>> {
        match &*self.index.read() {
            Lookup::Memory(index) => {
                let place = usize::try_from(record).ok().and_then(|record| index.places.get(record));
                Ok(place.map(|place| u64::from(*place)))
            }
            Lookup::File(index) if record < index.records() => index.place(record).map(Some),
            Lookup::File(_) | Lookup::Unknown => Ok(None),
        }
    }

    /// At most `most` records below one that may have a key, newest first.
    fn candidates(&self, by: By, key: u64, below: u64, most: usize) -> io::Result<Vec<u64>> {
        let mut found = Vec::new();
        match &*self.index.read() {
            Lookup::Unknown => {}
            Lookup::Memory(index) => found = index.newest_first(by, key, below, most),
            Lookup::File(index) => index.newest_first(by, key, below, |record| {
                found.push(record);
                io::Result::Ok(found.len() < most)
            })?,
        }
        Ok(found)
    }
}

impl Shelf {
    pub(super) fn new(disk: Arc<dyn Disk>, key: HeadKey, segments: Vec<Arc<Segment>>, durable: u64) -> Self {
        let (segments, durable) = (RwLock::new(segments), AtomicU64::new(durable));
        Self { disk, key, segments, durable, notes: Mutex::default(), said_older: AtomicBool::default() }
    }

    pub(super) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub(super) fn set_durable(&self, durable: u64) {
        self.durable.store(durable, Ordering::Release);
    }

    pub(super) fn note(&self, note: String) {
        self.notes.lock().push(note);
    }

    pub(super) fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock())
    }

    /// Adds the segment that is written from now on.
    pub(super) fn push(&self, segment: Arc<Segment>) {
        self.segments.write().push(segment);
    }

    pub(super) fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments.read().clone()
    }

    /// Offset of the oldest record that is kept.
    pub(super) fn oldest(&self) -> u64 {
        self.segments.read().first().map_or(0, |it| it.first)
    }

    /// What the oldest record would be if segments were dropped whose records are all below an offset: see [`Shelf::prune`].
    pub(super) fn oldest_without(&self, before: u64) -> u64 {
        let segments = self.segments.read();
        let below = segments.partition_point(|it| it.first <= before);
        segments.get(below.saturating_sub(1)).map_or(0, |it| it.first)
    }

    /// The segment in which a record stands, or will; none for those that were dropped.
    pub(super) fn holding(&self, offset: u64) -> Option<Arc<Segment>> {
        let segments = self.segments.read();
        let after = segments.partition_point(|it| it.first <= offset);
        segments.get(after.checked_sub(1)?).cloned()
    }

    /// The segments that hold, or will hold, any record within a range, oldest first.
    fn holding_any(&self, within: &Range<u64>) -> Vec<Arc<Segment>> {
        let segments = self.segments.read();
        let first = segments.partition_point(|it| it.first <= within.start).saturating_sub(1);
        let end = segments.partition_point(|it| it.first < within.end);
        segments.get(first..end).unwrap_or_default().to_vec()
    }

    /// The offset at which a segment ends: where the one after it begins, or what is durable.
    fn end_of(&self, segment: &Segment) -> u64 {
        let segments = self.segments.read();
        let after = segments.partition_point(|it| it.first <= segment.first);
        segments.get(after).map_or(self.durable(), |it| it.first)
    }

    /// Bytes that indexes take in memory.
    pub(super) fn index_bytes(&self) -> usize {
        self.segments.read().iter().map(|it| it.index_bytes()).sum()
    }

    pub(super) fn path(&self, segment: &Segment) -> String {
        self.disk.path(&segment::name(segment.first))
    }

    /// The byte at which a record's frame begins; none while nobody asked for the segment's index.
    pub(super) fn place(&self, segment: &Segment, offset: u64) -> Result<Option<u64>, JournalError> {
        if !matches!(*segment.index.read(), Lookup::Unknown) {
            self.check_index(segment)?;
        }
        let place = segment.place(offset - segment.first);
        place.map_err(JournalError::io("read the index of", &self.path(segment)))
    }

    /// Puts the body of a durable record into a buffer.
    pub(super) fn read(&self, offset: u64, into: &mut Vec<u8>) -> Result<Option<RecordKind>, JournalError> {
        if self.durable() <= offset {
            return Ok(None);
        }
        let Some(segment) = self.holding(offset) else { return Ok(None) };
        self.resolve(&segment)?;
        let mut bytes = Vec::new();
        let frame = self.frame(&segment, offset, &mut bytes)?;
        into.clear();
        into.extend_from_slice(frame.body());
        Ok(Some(frame.kind()))
    }

    pub(super) fn find(
        &self,
        id: u128,
        within: Range<u64>,
    ) -> Result<Option<(u64, RecordKind)>, JournalError> {
        let mut found = None;
        let within = within.start..within.end.min(self.durable());
        self.look(By::Id, index::id_key(id), within, SAME_ID, |offset, frame| {
            found = (frame.id() == Some(id)).then(|| (offset, frame.kind()));
            found.is_none()
        })?;
        Ok(found)
    }

    /// Whether memory alone says that no durable record from an offset on has an id.
    pub(super) fn surely_lacks(&self, id: u128, from: u64) -> bool {
        let key = index::id_key(id);
        self.holding_any(&(from..self.durable())).iter().all(|it| it.surely_lacks_id(key))
    }

    /// The newest durable record that holds the decision of a number.
    pub(super) fn find_decision(&self, decision: u128) -> Result<Option<u64>, JournalError> {
        let mut found = None;
        self.look(By::Decision, index::id_key(decision), 0..self.durable(), SAME_ID, |offset, frame| {
            found = (index::decision_in(frame.kind(), frame.body()) == Some(decision)).then_some(offset);
            found.is_none()
        })?;
        Ok(found)
    }

    pub(super) fn about(
        &self,
        entity: EntityKey,
        most: usize,
        into: &mut Vec<u64>,
    ) -> Result<(), JournalError> {
        let mut left = most;
        if left == 0 {
            return Ok(());
        }
        self.look(By::Entity, index::entity_key(entity), 0..self.durable(), most, |offset, frame| {
            if frame.entities().any(|it| it == entity) && into.last() != Some(&offset) {
                into.push(offset);
                left -= 1;
            }
            left != 0
        })
    }

    /// Shows `take` the records within a range that may have a key, newest first, as long as it says so.
    fn look(
        &self,
        by: By,
        key: u64,
        within: Range<u64>,
        at_once: usize,
        mut take: impl FnMut(u64, Frame<'_>) -> bool,
    ) -> Result<(), JournalError> {
        let mut bytes = Vec::new();
        for segment in self.holding_any(&within).iter().rev() {
            self.resolve(segment)?;
            if by != By::Entity && segment.lacks_id(key) {
                continue;
            }
            self.check_index(segment)?;
            let mut below = within.end - segment.first;
            loop {
                let records = segment.candidates(by, key, below, at_once);
                let records = records.map_err(JournalError::io("read the index of", &self.path(segment)))?;
                for record in &records {
                    let offset = segment.first + record;
                    if offset < within.start || !take(offset, self.frame(segment, offset, &mut bytes)?) {
                        return Ok(());
                    }
                }
                match records.last() {
                    Some(last) if records.len() == at_once => below = *last,
                    _ => break,
                }
            }
        }
        Ok(())
    }

    /// Reads a record's frame by its place in the index.
    fn frame<'a>(
        &self,
        segment: &Segment,
        offset: u64,
        bytes: &'a mut Vec<u8>,
    ) -> Result<Frame<'a>, JournalError> {
        let file = || self.path(segment);
        let place = self.place(segment, offset)?;
        let at = place.ok_or_else(|| wrong("a record is not in its index", 0).error(file()))?;
        let failed = || JournalError::io("read", &file());
        bytes.resize(GUESS_BYTES, 0);
        let read = segment.file.read_at(bytes, at).map_err(failed())?;
        bytes.truncate(read);
        let length = frame::length(bytes).map_or(0, |it| it as usize).min(FRAME_BYTES_MAX);
        if read < length {
            bytes.resize(length, 0);
            let read = segment.file.read_at(bytes, at).map_err(failed())?;
            bytes.truncate(read);
        }
        let frame = match Frame::check(bytes.get(..length).unwrap_or_default()) {
            Ok(frame) if frame.offset() == offset => return Ok(frame),
            Ok(_) => wrong("another record stands here than its index says", at),
            Err(Bad::Torn(what)) => wrong(what, at),
            Err(Bad::Newer { kind, version }) => {
                Broken { newer: Some((kind, version)), ..wrong("a later version", at) }
            }
        };
        Err(frame.error(file()))
    }

    /// Looks for the index of a segment that nobody asked for yet, and builds it if it is missing or damaged.
    fn resolve(&self, segment: &Segment) -> Result<(), JournalError> {
        if !matches!(*segment.index.read(), Lookup::Unknown) {
            return Ok(());
        }
        let mut lookup = segment.index.write();
        if !matches!(*lookup, Lookup::Unknown) {
            return Ok(());
        }
        let path = self.disk.path(&index::file::name(segment.first));
        let opened = IndexFile::open(&*self.disk, segment.first);
        match opened.map_err(JournalError::io("read", &path))? {
            Ok(file) => {
                *lookup = Lookup::File(file);
                return Ok(());
            }
            Err(unfit) => *lookup = self.build_index(segment, unfit)?,
        }
        drop(lookup);
        self.file_index(segment);
        Ok(())
    }

    /// Reads the lists of an index over once before they are used, and builds it again if they are damaged.
    fn check_index(&self, segment: &Segment) -> Result<(), JournalError> {
        let path = self.disk.path(&index::file::name(segment.first));
        let failed = || JournalError::io("read", &path);
        match &*segment.index.read() {
            Lookup::File(file) if !file.is_whole().map_err(failed())? => {}
            _ => return Ok(()),
        }
        let mut lookup = segment.index.write();
        match &*lookup {
            Lookup::File(file) if !file.is_whole().map_err(failed())? => {}
            _ => return Ok(()),
        }
        *lookup = self.build_index(segment, Unfit::Damaged)?;
        drop(lookup);
        self.file_index(segment);
        Ok(())
    }

    fn build_index(&self, segment: &Segment, unfit: Unfit) -> Result<Lookup, JournalError> {
        let path = self.disk.path(&index::file::name(segment.first));
        match unfit {
            Unfit::Damaged => {
                self.note(format!("the index `{path}` is missing or damaged; it is built again"))
            }
            Unfit::Older if self.said_older.swap(true, Ordering::Relaxed) => {}
            Unfit::Older => {
                self.note("indexes of an earlier version are built again as they are needed".to_owned());
            }
        }
        Ok(Lookup::Memory(self.index_of(segment)?))
    }

    fn index_of(&self, segment: &Segment) -> Result<Index, JournalError> {
        let end = self.end_of(segment);
        let mut walk = Walk::new(Arc::clone(&segment.file), self.key, segment.first);
        let mut index = Index::default();
        while walk.next_record() < end {
            match walk.step().map_err(JournalError::io("read", &self.path(segment)))? {
                Found::Head(_) => {}
                Found::Frame(at) => index.push(&walk.current(), at),
                Found::Bad(broken) => return Err(broken.error(self.path(segment))),
                Found::End => {
                    let end = wrong("the segment ends before its last record", walk.at());
                    return Err(end.error(self.path(segment)));
                }
            }
        }
        Ok(index)
    }

    /// Writes the index of a sealed segment into its file, and takes it out of memory.
    pub(super) fn file_index(&self, segment: &Segment) {
        let written = match &*segment.index.read() {
            Lookup::Memory(index) => IndexFile::write(&*self.disk, segment.first, index),
            Lookup::File(_) | Lookup::Unknown => return,
        };
        match written {
            Ok(file) => *segment.index.write() = Lookup::File(file),
            Err(error) => {
                let path = self.disk.path(&index::file::name(segment.first));
                self.note(format!("cannot write the index `{path}`: {error}; it stays in memory"));
            }
        }
    }

    /// Drops whole segments all of whose records are below an offset, but never the newest segment. Gives how many.
    pub(super) fn prune(&self, before: u64) -> Result<usize, JournalError> {
        let mut dropped = 0;
        loop {
            let first = {
                let segments = self.segments.read();
                match (segments.first(), segments.get(1)) {
                    (Some(oldest), Some(second)) if second.first <= before => oldest.first,
                    _ => return Ok(dropped),
                }
            };
            // Oldest first, each for good before the next: what is left is without a gap whenever the power fails.
            for name in [index::file::name(first), segment::name(first)] {
                match self.disk.remove(&name) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    removed => removed.map_err(JournalError::io("remove", &self.disk.path(&name)))?,
                }
            }
            self.disk.sync_folder().map_err(JournalError::io("sync", &self.disk.path("")))?;
            self.segments.write().retain(|it| it.first != first);
            dropped += 1;
        }
    }
}

fn wrong(what: &'static str, at: u64) -> Broken {
    Broken { at, what, newer: None }
}
