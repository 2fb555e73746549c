//! A walk over records from segment to segment.

use std::sync::Arc;

use super::shelf::{Segment, Shelf};
use super::survey::{Survey, Thorough};
use super::walk::{Found, Walk};
use super::{Cursor, JournalError, Record};
use crate::disk::Disk;

/// Reads the durable records of a journal in order, in bounded memory.
#[derive(Debug)]
pub struct Reader {
    shelf: Arc<Shelf>,
    segment: Arc<Segment>,
    walk: Walk,
    /// Records below are given.
    from: u64,
    /// Durable, when it last looked.
    limit: u64,
}

impl Reader {
    /// A reader of a journal that nobody writes, from an offset on; none where the folder holds no journal. `synced` is a
    /// D that the caller knows. It changes nothing: a torn tail is not read.
    ///
    /// # Errors
    /// If the disk refuses, or the newest segment is damaged, or ends below D. Older ones are looked at as they are read.
    pub fn open(disk: Arc<dyn Disk>, from: u64, synced: u64) -> Result<Option<Self>, JournalError> {
        let Some(survey) = Survey::of(&*disk, synced, Thorough::Newest, false)? else { return Ok(None) };
        let next = survey.next;
        Self::new(Arc::new(survey.shelf(disk, next)), from).map(Some)
    }

    pub(super) fn new(shelf: Arc<Shelf>, from: u64) -> Result<Self, JournalError> {
        let from = from.max(shelf.oldest());
        let segment = shelf.holding(from).ok_or_else(|| none(&shelf))?;
        let mut walk = Walk::new(Arc::clone(&segment.file), shelf.key, segment.first);
        // The one before, where the record itself is still to come.
        for record in [from, from.saturating_sub(1).max(segment.first)] {
            if let Some(place) = shelf.place(&segment, record)? {
                walk.skip_to(record, place);
                break;
            }
        }
        Ok(Self { shelf, segment, walk, from, limit: 0 })
    }

    /// Offset of the record that comes next.
    pub fn offset(&self) -> u64 {
        self.walk.next_record().max(self.from)
    }

    /// Goes on to the next record; false at the end of what is durable.
    fn advance(&mut self) -> Result<bool, JournalError> {
        loop {
            let next = self.walk.next_record();
            if self.limit <= next.max(self.from) {
                self.limit = self.shelf.durable();
                if self.limit <= next.max(self.from) {
                    return Ok(false);
                }
                self.walk.refresh();
            }
            match self.walk.step() {
                Ok(Found::Frame(_)) if self.from <= next => return Ok(true),
                Ok(Found::Head(_) | Found::Frame(_)) => {}
                Ok(Found::End) => self.follow(next)?,
                Ok(Found::Bad(broken)) => return Err(broken.error(self.shelf.path(&self.segment))),
                Err(error) => return Err(JournalError::io("read", &self.shelf.path(&self.segment))(error)),
            }
        }
    }

    /// Goes on to the segment that begins with a record.
    fn follow(&mut self, first: u64) -> Result<(), JournalError> {
        match self.shelf.holding(first).filter(|it| it.first == first && self.segment.first < first) {
            Some(segment) => {
                self.walk = Walk::new(Arc::clone(&segment.file), self.shelf.key, segment.first);
                self.segment = segment;
                Ok(())
            }
            None => {
                let file = self.shelf.path(&self.segment);
                let what =
                    format!("it ends before record {first}, and those below {} were durable", self.limit);
                Err(JournalError::Damaged { file, at: self.walk.at(), what })
            }
        }
    }
}

fn none(shelf: &Shelf) -> JournalError {
    let file = shelf.disk.path("");
    JournalError::Io { action: "read", file, source: std::io::ErrorKind::NotFound.into() }
}

/// Of a journal that may not be there.
impl Cursor for Option<Reader> {
    fn next(&mut self) -> Result<Option<Record<'_>>, JournalError> {
        match self {
            Some(reader) => reader.next(),
            None => Ok(None),
        }
    }
}

impl Cursor for Reader {
    fn next(&mut self) -> Result<Option<Record<'_>>, JournalError> {
        if !self.advance()? {
            return Ok(None);
        }
        let frame = self.walk.current();
        Ok(Some(Record {
            offset: frame.offset(),
            kind: frame.kind(),
            body: frame.body(),
            id: frame.id(),
            received_at: frame.received_at(),
            batch: frame.batch(),
        }))
    }
}
