//! Several files as one: behind each other, merged by time, or all sorted by time.

use std::collections::VecDeque;

use engine::event::Event;
use rules::time::Micros;

use super::file::{FileReader, Got, Setup};
use super::{RowAt, SourceError};

/// How the files are put together.
#[derive(Debug)]
pub(super) enum Feed {
    /// Behind each other, as given.
    Behind(VecDeque<FileReader>),
    /// By time; each file in its own order.
    Merged(Vec<Head>),
    /// To be read whole, then sorted by time.
    Unsorted(VecDeque<FileReader>),
    /// Sorted; what was rejected comes first.
    Sorted(VecDeque<Entry>),
}

/// What came of a row, with the row.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: RowAt,
    pub(super) got: Got,
    pub(super) event: Event,
}

/// A file, and what it gives next.
#[derive(Debug)]
pub(super) struct Head {
    reader: FileReader,
    next: Option<(RowAt, Got)>,
    event: Event,
}

impl Entry {
    /// When, and at equal times amendments before events. Rejects come before all.
    fn key(&self) -> (Micros, bool) {
        key(&self.got, &self.event)
    }
}

fn key(got: &Got, event: &Event) -> (Micros, bool) {
    match got {
        Got::Reject(_) => (Micros::MIN, false),
        Got::Amendment(known) => (known.amendment.time, false),
        Got::Event(_) => (event.time, true),
    }
}

impl Feed {
    pub(super) fn new(readers: Vec<FileReader>, merge: bool, sort: bool) -> Self {
        match (sort, merge) {
            (true, _) => Self::Unsorted(readers.into()),
            (false, true) => {
                let head = |reader| Head { reader, next: None, event: Event::default() };
                Self::Merged(readers.into_iter().map(head).collect())
            }
            (false, false) => Self::Behind(readers.into()),
        }
    }

    /// The next of all files; an event is put in the buffer.
    pub(super) fn next(
        &mut self,
        setup: &Setup,
        counts: &mut Counts,
        event: &mut Event,
    ) -> Result<Option<(RowAt, Got)>, SourceError> {
        match self {
            Self::Behind(readers) => next_behind(readers, setup, counts, event),
            Self::Merged(heads) => next_merged(heads, setup, counts, event),
            Self::Unsorted(readers) => {
                let entries = read_all(readers, setup, counts)?;
                *self = Self::Sorted(entries);
                self.next(setup, counts, event)
            }
            Self::Sorted(entries) => Ok(entries.pop_front().map(|entry| {
                *event = entry.event;
                (entry.at, entry.got)
            })),
        }
    }
}

/// What is counted over all files.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Rows ever read, those of a saved state included.
    pub(super) sequence: u64,
    /// Rows that the mapping left out.
    pub(super) skipped: u64,
}

fn next_behind(
    readers: &mut VecDeque<FileReader>,
    setup: &Setup,
    counts: &mut Counts,
    event: &mut Event,
) -> Result<Option<(RowAt, Got)>, SourceError> {
    while let Some(reader) = readers.front_mut() {
        if let Some(got) = reader.read(setup, counts, event)? {
            return Ok(Some((reader.at(), got)));
        }
        readers.pop_front();
    }
    Ok(None)
}

fn next_merged(
    heads: &mut Vec<Head>,
    setup: &Setup,
    counts: &mut Counts,
    event: &mut Event,
) -> Result<Option<(RowAt, Got)>, SourceError> {
    let mut ended = false;
    for head in heads.iter_mut().filter(|it| it.next.is_none()) {
        let got = head.reader.read(setup, counts, &mut head.event)?;
        ended |= got.is_none();
        head.next = got.map(|got| (head.reader.at(), got));
    }
    if ended {
        heads.retain(|it| it.next.is_some());
    }
    // The first of equals is the one of the file given first.
    let first = heads.iter_mut().min_by_key(|it| it.next.as_ref().map(|(_, got)| key(got, &it.event)));
    Ok(first.and_then(|head| {
        std::mem::swap(event, &mut head.event);
        head.next.take()
    }))
}

fn read_all(
    readers: &mut VecDeque<FileReader>,
    setup: &Setup,
    counts: &mut Counts,
) -> Result<VecDeque<Entry>, SourceError> {
    let mut entries = Vec::new();
    let mut event = Event::default();
    while let Some((at, got)) = next_behind(readers, setup, counts, &mut event)? {
        let event = if matches!(got, Got::Event(_)) { event.clone() } else { Event::default() };
        entries.push(Entry { at, got, event });
    }
    entries.sort_by_key(Entry::key);
    Ok(entries.into())
}
