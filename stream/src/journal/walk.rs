//! Reading a segment from front to back, in bounded memory, with every checksum looked at.

use std::sync::Arc;

use super::JournalError;
use super::batch::{END_BYTES, HEAD_BYTES, Head, HeadKey, SECTOR_BYTES, boundary_after};
use super::frame::{self, Bad, FRAME_BYTES_MAX, FRAME_BYTES_MIN, Frame};
use super::segment::HEADER_BYTES;
use crate::disk::File;

/// Bytes read at once.
const CHUNK_BYTES: usize = 1 << 18;

/// A piece of a file in memory, moved along as it is asked for.
#[derive(Debug)]
pub(super) struct Window {
    file: Arc<dyn File>,
    /// It only grows, so that what is read is written once; the first `filled` bytes are the file's.
    bytes: Vec<u8>,
    filled: usize,
    /// Where in the file the bytes begin.
    at: u64,
}

impl Window {
    pub(super) fn new(file: Arc<dyn File>) -> Self {
        Self { file, bytes: Vec::new(), filled: 0, at: 0 }
    }

    /// Forgets what was read: the file may have grown.
    pub(super) fn forget(&mut self) {
        self.filled = 0;
    }

    /// The bytes at a place that were asked for last.
    fn held(&self, at: u64, bytes: usize) -> &[u8] {
        let from = at.checked_sub(self.at).and_then(|skip| usize::try_from(skip).ok());
        from.and_then(|from| self.filled().get(from..from + bytes)).unwrap_or_default()
    }

    /// The bytes at a place; fewer where the file ends.
    pub(super) fn get(&mut self, at: u64, bytes: usize) -> std::io::Result<&[u8]> {
        let held = at.checked_sub(self.at).and_then(|skip| usize::try_from(skip).ok());
        let from = match held.filter(|from| from + bytes <= self.filled) {
            Some(from) => from,
            None => {
                self.fill(at, bytes.max(CHUNK_BYTES))?;
                0
            }
        };
        let rest = self.filled().get(from..).unwrap_or_default();
        Ok(rest.get(..bytes).unwrap_or(rest))
    }

    fn fill(&mut self, at: u64, bytes: usize) -> std::io::Result<()> {
        (self.at, self.filled) = (at, 0);
        if self.bytes.len() < bytes {
            self.bytes.resize(bytes, 0);
        }
        self.filled = self.file.read_at(self.bytes.get_mut(..bytes).unwrap_or_default(), at)?;
        Ok(())
    }

    fn filled(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }
}

/// What is found next in a segment.
#[derive(Debug)]
pub(super) enum Found {
    /// A batch begins.
    Head(Head),
    /// A record, [`Walk::current`], whose frame begins at a byte.
    Frame(u64),
    /// The file ends, as files do that were written whole.
    End,
    /// Something that was not written so.
    Bad(Broken),
}

/// Bytes that were not written so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Broken {
    /// Where.
    pub(super) at: u64,
    /// What is wrong.
    pub(super) what: &'static str,
    /// The record's kind and the frame's version, where only a later version can read it.
    pub(super) newer: Option<(u8, u8)>,
}

impl Broken {
    pub(super) fn error(&self, file: String) -> JournalError {
        let at = self.at;
        match self.newer {
            None => JournalError::Damaged { file, at, what: self.what.to_owned() },
            Some((kind, version)) => JournalError::NewerRecord { file, at, kind, version },
        }
    }
}

/// Walks a segment from head to head and record to record.
#[derive(Debug)]
pub(super) struct Walk {
    window: Window,
    key: HeadKey,
    /// First offset of the segment.
    segment: u64,
    /// Where it reads on.
    at: u64,
    /// Whether a head must stand there.
    between_batches: bool,
    /// Offset of the next record.
    next: u64,
    /// Where the batch begins whose frames are read.
    batch_at: u64,
    /// The frame that was found last: where, and how long.
    current: (u64, usize),
}

impl Walk {
    /// A walk over the segment that begins with a record.
    pub(super) fn new(file: Arc<dyn File>, key: HeadKey, segment: u64) -> Self {
        let at = HEADER_BYTES as u64;
        let window = Window::new(file);
        Self { window, key, segment, at, between_batches: true, next: segment, batch_at: at, current: (0, 0) }
    }

    /// Goes on at a record's frame, whose place is known.
    pub(super) fn skip_to(&mut self, record: u64, at: u64) {
        (self.next, self.at, self.between_batches) = (record, at, false);
    }

    /// Offset of the record that it expects.
    pub(super) fn next_record(&self) -> u64 {
        self.next
    }

    /// Where it stands: after [`Found::Frame`] at the end of the frame; at a batch's place after its end.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Whether it stands between batches.
    pub(super) fn is_between_batches(&self) -> bool {
        self.between_batches
    }

    /// Where the batch begins whose frames are read.
    pub(super) fn batch_at(&self) -> u64 {
        self.batch_at
    }

    /// The record that [`Found::Frame`] told of last.
    pub(super) fn current(&self) -> Frame<'_> {
        Frame::checked(self.window.held(self.current.0, self.current.1))
    }

    /// Reads again what it read ahead: the file may have grown.
    pub(super) fn refresh(&mut self) {
        self.window.forget();
    }

    /// Reads on. After [`Found::End`] and [`Found::Bad`] it stays where it is.
    pub(super) fn step(&mut self) -> std::io::Result<Found> {
        if !self.between_batches {
            let at = self.at;
            let ahead = self.window.get(at, END_BYTES)?;
            match frame::length(ahead) {
                None if ahead.is_empty() => return Ok(Found::End),
                None => return Ok(bad(at, "the file ends within a record")),
                Some(0) => {
                    if let Some(nonzero) = self.end_batch()? {
                        return Ok(bad(nonzero, "what fills up a batch is not zero"));
                    }
                }
                Some(length) => return self.frame(length as usize),
            }
        }
        self.head()
    }

    /// Passes the zeros after a batch; gives the place of the first byte there that is none.
    fn end_batch(&mut self) -> std::io::Result<Option<u64>> {
        let boundary = boundary_after(self.at);
        let fill = usize::try_from(boundary - self.at).unwrap_or(0);
        let nonzero = self.window.get(self.at, fill)?.iter().position(|byte| *byte != 0);
        if let Some(nonzero) = nonzero {
            return Ok(Some(self.at + nonzero as u64));
        }
        (self.at, self.between_batches) = (boundary, true);
        Ok(None)
    }

    fn head(&mut self) -> std::io::Result<Found> {
        let at = self.at;
        let bytes = self.window.get(at, HEAD_BYTES)?;
        if bytes.is_empty() {
            return Ok(Found::End);
        }
        let Some(head) = Head::decode(bytes, &self.key, self.segment, at) else {
            return Ok(bad(at, "a batch should begin here, and none does"));
        };
        if head.next != self.next {
            return Ok(bad(at, "the batch that begins here is another one"));
        }
        (self.batch_at, self.at, self.between_batches) = (at, at + HEAD_BYTES as u64, false);
        Ok(Found::Head(head))
    }

    fn frame(&mut self, length: usize) -> std::io::Result<Found> {
        let at = self.at;
        if !(FRAME_BYTES_MIN..=FRAME_BYTES_MAX).contains(&length) {
            return Ok(bad(at, "a record's length is impossible"));
        }
        let bytes = self.window.get(at, length)?;
        if bytes.len() < length {
            return Ok(bad(at, "the file ends within a record"));
        }
        match Frame::check(bytes) {
            Ok(frame) if frame.offset() == self.next => {
                self.next += 1;
                self.at += length as u64;
                self.current = (at, length);
                Ok(Found::Frame(at))
            }
            Ok(_) => Ok(bad(at, "a record has another record's offset")),
            Err(Bad::Torn(what)) => Ok(bad(at, what)),
            Err(Bad::Newer { kind, version }) => {
                let what = "the record is of a later version";
                Ok(Found::Bad(Broken { at, what, newer: Some((kind, version)) }))
            }
        }
    }

    /// What the heads at or behind a place tell, whatever stands between.
    pub(super) fn heads_behind(&mut self, at: u64) -> std::io::Result<Behind> {
        let mut at = at.next_multiple_of(SECTOR_BYTES);
        let mut behind = Behind::default();
        loop {
            let bytes = self.window.get(at, HEAD_BYTES)?;
            if bytes.is_empty() {
                return Ok(behind);
            }
            if let Some(head) = Head::decode(bytes, &self.key, self.segment, at) {
                behind.synced = behind.synced.max(head.synced);
                behind.whole |= head.synced == head.next;
            }
            at += SECTOR_BYTES;
        }
    }
}

/// What the heads behind a place tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Behind {
    /// The greatest D.
    pub(super) synced: u64,
    /// Whether one was written when every byte before it had been synced.
    pub(super) whole: bool,
}

fn bad(at: u64, what: &'static str) -> Found {
    Found::Bad(Broken { at, what, newer: None })
}
