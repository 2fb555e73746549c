//! Several files as one: behind each other, merged by time, or all sorted by time.

use std::collections::{HashMap, VecDeque};

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
    Merged(Merged),
    /// To be read whole, then sorted by time.
    Unsorted(VecDeque<FileReader>),
    /// Sorted; what was rejected comes first, and what went wrong behind them last.
    Sorted(VecDeque<Entry>, Option<SourceError>),
}

/// What came of a row, with the row.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: RowAt,
    pub(super) got: Got,
    pub(super) event: Event,
}

/// Files that are merged.
#[derive(Debug, Default)]
pub(super) struct Merged {
    heads: Vec<Head>,
    /// What stands at one time, where amendments are among it: put in order together.
    together: VecDeque<Entry>,
    /// What went wrong behind it.
    broken: Option<SourceError>,
}

/// A file, and what it gives next.
#[derive(Debug)]
pub(super) struct Head {
    reader: FileReader,
    next: Option<(RowAt, Got)>,
    event: Event,
}

impl Head {
    /// As [`Entry::key`]; none where nothing has been read.
    fn key(&self) -> Option<(Micros, bool)> {
        self.next.as_ref().map(|(_, got)| key(got, &self.event))
    }

    fn give(&mut self, event: &mut Event) -> Option<(RowAt, Got)> {
        std::mem::swap(event, &mut self.event);
        self.next.take()
    }
}

impl Entry {
    /// When, and at equal times amendments before events. Rejects come before all.
    fn key(&self) -> (Micros, bool) {
        key(&self.got, &self.event)
    }

    fn give(self, event: &mut Event) -> (RowAt, Got) {
        *event = self.event;
        (self.at, self.got)
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
                let heads = readers.into_iter().map(head).collect();
                Self::Merged(Merged { heads, ..Merged::default() })
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
            Self::Merged(merged) => merged.next(setup, counts, event),
            Self::Unsorted(readers) => {
                let (entries, broken) = read_all(readers, setup, counts);
                *self = Self::Sorted(entries, broken);
                self.next(setup, counts, event)
            }
            Self::Sorted(entries, broken) => match entries.pop_front() {
                Some(entry) => Ok(Some(entry.give(event))),
                None => broken.take().map_or(Ok(None), Err),
            },
        }
    }
}

/// What is counted and noted over all files.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Rows ever read, those of a saved state included.
    pub(super) sequence: u64,
    /// Rows that the mapping left out.
    pub(super) skipped: u64,
    /// What is odd about files that were read to their end.
    pub(super) notes: Vec<String>,
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

impl Merged {
    fn next(
        &mut self,
        setup: &Setup,
        counts: &mut Counts,
        event: &mut Event,
    ) -> Result<Option<(RowAt, Got)>, SourceError> {
        if self.together.is_empty() {
            if let Some(broken) = self.broken.take() {
                return Err(broken);
            }
            let next = first(&mut self.heads, setup, counts)?.and_then(|head| head.give(event));
            let Some((at, got @ Got::Amendment(_))) = next else { return Ok(next) };
            self.gather(Entry { at, got, event: Event::default() }, setup, counts);
        }
        Ok(self.together.pop_front().map(|entry| entry.give(event)))
    }

    /// Reads all that stands at the time of an amendment, and puts it in order.
    fn gather(&mut self, amendment: Entry, setup: &Setup, counts: &mut Counts) {
        let (time, _) = amendment.key();
        let mut together = vec![amendment];
        let is_of_it = |(at, _): (Micros, bool)| at == time || at == Micros::MIN;
        loop {
            match first(&mut self.heads, setup, counts) {
                Ok(Some(head)) if head.key().is_some_and(is_of_it) => {
                    let mut event = Event::default();
                    together.extend(head.give(&mut event).map(|(at, got)| Entry { at, got, event }));
                }
                Ok(_) => break,
                Err(broken) => {
                    self.broken = Some(broken);
                    break;
                }
            }
        }
        self.together = behind_their_events(together).into();
    }
}

/// The file that gives the next of all; of equals the one given first.
fn first<'a>(
    heads: &'a mut Vec<Head>,
    setup: &Setup,
    counts: &mut Counts,
) -> Result<Option<&'a mut Head>, SourceError> {
    let mut ended = false;
    for head in heads.iter_mut().filter(|it| it.next.is_none()) {
        let got = head.reader.read(setup, counts, &mut head.event)?;
        ended |= got.is_none();
        head.next = got.map(|got| (head.reader.at(), got));
    }
    if ended {
        heads.retain(|it| it.next.is_some());
    }
    Ok(heads.iter_mut().min_by_key(|it| it.key()))
}

/// Entries of one time, of which those that amend an event among them stand behind it: before it nobody knows it.
fn behind_their_events(together: Vec<Entry>) -> Vec<Entry> {
    let events = together.iter().filter(|it| matches!(it.got, Got::Event(_)));
    let mut waiting: HashMap<String, Vec<Entry>> =
        events.map(|it| (it.event.id.clone(), Vec::new())).collect();
    let mut ordered = Vec::with_capacity(together.len());
    for entry in together {
        match &entry.got {
            Got::Amendment(known) => match waiting.get_mut(&known.amendment.event_id) {
                Some(waiting) => waiting.push(entry),
                None => ordered.push(entry),
            },
            Got::Event(_) => {
                let amended = waiting.remove(&entry.event.id);
                ordered.push(entry);
                ordered.extend(amended.into_iter().flatten());
            }
            Got::Reject(_) => ordered.push(entry),
        }
    }
    ordered
}

/// All that can be read, in order, and why the rest cannot.
fn read_all(
    readers: &mut VecDeque<FileReader>,
    setup: &Setup,
    counts: &mut Counts,
) -> (VecDeque<Entry>, Option<SourceError>) {
    let (mut entries, mut broken) = (Vec::new(), None);
    let mut event = Event::default();
    loop {
        match next_behind(readers, setup, counts, &mut event) {
            Ok(Some((at, got))) => {
                let event = if matches!(got, Got::Event(_)) { event.clone() } else { Event::default() };
                entries.push(Entry { at, got, event });
            }
            Ok(None) => break,
            // What stands in the files behind it is good.
            Err(error) => {
                broken = broken.or(Some(error));
                readers.pop_front();
            }
        }
    }
    entries.sort_by_key(Entry::key);
    let mut ordered = VecDeque::with_capacity(entries.len());
    let mut entries = entries.into_iter().peekable();
    while let Some(entry) = entries.next() {
        // All else is in order.
        if !matches!(entry.got, Got::Amendment(_)) {
            ordered.push_back(entry);
            continue;
        }
        let (time, _) = entry.key();
        let mut together = vec![entry];
        while let Some(more) = entries.next_if(|it| it.key().0 == time) {
            together.push(more);
        }
        ordered.extend(behind_their_events(together));
    }
    (ordered, broken)
}
