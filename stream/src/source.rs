//! Historical files as events and amendments, in the order in which they are to be decided.
//!
//! A file is unpacked ([`unpack`]: gzip, zstd), read as rows (`csv`, `lines`), mapped (`mapping`, `plan`, `join`), put
//! together with the others (`feed`), and its labels are held back until they became known (`pending`). What cannot be
//! read becomes a [`Reject`] with its row and a reason; what was good is kept.

mod csv;
mod feed;
mod file;
mod join;
mod lines;
mod mapping;
#[cfg(feature = "parquet")]
mod parquet;
mod pending;
mod plan;
mod row;
mod unpack;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

use engine::event::Event;
use rules::notation::duration;
use rules::schema::Schema;
use rules::time::{DAY, Micros, SPAN_MAX};

use feed::{Counts, Feed};
use file::{FileReader, Got, Setup};
use join::JoinTable;

pub use mapping::{Mapping, MappingError, MappingErrors, Order};
pub use pending::{Known, Pending};
pub use unpack::{Damage, Input};

/// A row of a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RowAt {
    /// The file's place among the inputs.
    pub file: u32,
    /// From 1. In JSON lines the line's number; elsewhere rows are counted, and the header and blank lines are none: a row
    /// may have several lines there, or no line at all.
    pub row: u64,
}

/// One thing that a source gives out. A buffer: handed back to [`Source::next`], it is filled anew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Item {
    /// Something happened.
    Event(Event),
    /// Something became known.
    Amendment(Known),
    /// A row that is neither.
    Reject(Reject),
}

impl Default for Item {
    fn default() -> Self {
        Self::Event(Event::default())
    }
}

/// A row that was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reject {
    /// Which.
    pub at: RowAt,
    /// Why: a lower-case sentence that names the column.
    pub reason: String,
}

/// How a source reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Merge several files by time instead of reading one behind the other.
    pub merge: bool,
    /// An event further than this ahead of the latest before it is a reject.
    pub jump_max: Micros,
}

impl Options {
    /// What `replay` takes unless told: 366 days.
    pub const JUMP_MAX: Micros = 366 * DAY;
}

/// What a source carries from one run to the next, so that many files in many runs equal one run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SourceState {
    /// Rows read so far: what `{n}` goes on from.
    pub sequence: u64,
    /// The greatest event time so far.
    pub clock: Option<Micros>,
    /// Labels that are not known yet, in the order in which they will be.
    pub pending: Vec<Known>,
}

impl SourceState {
    /// Leaves one of each label that waits: a row that was read twice would else have it wait twice, and once more with every
    /// run. Whoever knows of rows whose labels are of no event takes those out before.
    pub fn keep_labels_once(&mut self) {
        pending::once(&mut self.pending);
    }
}

/// Why a source cannot go on. What it gave out before stands.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file cannot be read at all.
    #[error("`{file}` cannot be read: {error}")]
    Unread {
        /// Its name.
        file: Arc<str>,
        /// What the system says.
        error: io::Error,
    },
    /// A packed file is damaged or cut short.
    #[error("`{file}` is {damage}; what stands before is read")]
    Damaged {
        /// Its name.
        file: Arc<str>,
        /// Where and why.
        damage: Damage,
    },
    /// A Parquet file is damaged.
    #[error("`{file}` is damaged at row {row}: {message}; what stands before is read")]
    DamagedRow {
        /// Its name.
        file: Arc<str>,
        /// From 1.
        row: u64,
        /// What is wrong.
        message: String,
    },
    /// The end of a Parquet file cannot be read, and only there stands what its rows are.
    #[error("`{file}` is damaged or cut short: its end does not say what it holds: {message}")]
    DamagedEnd {
        /// Its name.
        file: Arc<str>,
        /// What is wrong.
        message: String,
    },
    /// The mapping is wrong, or does not fit the schema or the file.
    #[error(transparent)]
    Mapping(#[from] MappingErrors),
    /// Neither CSV nor JSON lines.
    #[error("`{file}` is {what}; CSV and JSON lines are read plain or packed by gzip or zstd, Parquet plain")]
    NoText {
        /// Its name.
        file: Arc<str>,
        /// What it is instead, and what to do.
        what: &'static str,
    },
    /// An array of JSON objects.
    #[error(
        "`{file}` is a JSON array: write each of its objects on a line of its own, without commas between"
    )]
    Array {
        /// Its name.
        file: Arc<str>,
    },
    /// Only JSON lines are read without a mapping.
    #[error("`{file}` is not JSON lines, and nothing says what its columns are: give a mapping with `--map`")]
    NoMapping {
        /// Its name.
        file: Arc<str>,
    },
    /// A Parquet file, and this build reads none.
    #[error(
        "`{file}` is Parquet, which this build does not read: build with the feature `parquet`, or convert it"
    )]
    Parquet {
        /// Its name.
        file: Arc<str>,
    },
    /// A Parquet file through a pipe.
    #[error("`{file}` is Parquet, which is read from its end, and a pipe has none yet: name a file")]
    ParquetStream {
        /// Its name.
        file: Arc<str>,
    },
    /// `order = "check"`, and a row is earlier than one before it.
    #[error("`{file}`, row {row}: earlier than the row before it, and the mapping says `order = \"check\"`")]
    OutOfOrder {
        /// Its name.
        file: Arc<str>,
        /// From 1.
        row: u64,
    },
}

impl From<MappingError> for SourceError {
    fn from(error: MappingError) -> Self {
        Self::Mapping(error.into())
    }
}

/// Reads files.
#[derive(Debug)]
pub struct Source {
    setup: Setup,
    names: Vec<Arc<str>>,
    feed: Feed,
    order: Order,
    jump_max: Micros,
    counts: Counts,
    clock: Option<Micros>,
    pending: Pending,
    /// What came of the row last read, not given out yet; an event stands in `event`.
    ahead: Option<(RowAt, Got)>,
    event: Event,
    /// The label of the event last given out: it may still be told its place.
    label: Option<Box<Known>>,
    at: Option<RowAt>,
}

impl Source {
    /// Opens all files, reads their headers and holds the mapping against them, the schema and the joined files.
    ///
    /// # Errors
    /// If a file cannot be read, or the mapping does not fit: before the first row.
    pub fn open(
        inputs: Vec<Input>,
        mapping: Option<Mapping>,
        schema: Arc<Schema>,
        options: Options,
        state: SourceState,
    ) -> Result<Self, SourceError> {
        let joins = mapping.as_ref().map(JoinTable::load_all).transpose()?.unwrap_or_default();
        let order = mapping.as_ref().map(Mapping::order).unwrap_or_default();
        let setup = Setup { schema, mapping, joins };
        let names = inputs.iter().map(|it| Arc::clone(&it.name)).collect();
        let readers = (0..).zip(inputs).map(|(index, input)| FileReader::open(input, index, &setup));
        let readers = readers.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            setup,
            names,
            feed: Feed::new(readers, options.merge, order == Order::Sort),
            order,
            jump_max: options.jump_max,
            counts: Counts { sequence: state.sequence, ..Counts::default() },
            clock: state.clock,
            pending: state.pending.into_iter().collect(),
            ahead: None,
            event: Event::default(),
            label: None,
            at: None,
        })
    }

    /// Gives out the next item; false at the end of all files. An amendment comes before the first event whose time
    /// is its own or later; those without such an event stay pending.
    ///
    /// # Errors
    /// See [`SourceError`]: after everything that was good before.
    pub fn next(&mut self, item: &mut Item) -> Result<bool, SourceError> {
        self.settle_label();
        if self.ahead.is_none() {
            self.ahead = self.read()?;
        }
        let time = match &self.ahead {
            None => return Ok(false),
            Some((_, Got::Reject(_))) => None,
            Some((_, Got::Event(_))) => Some(self.event.time),
            Some((_, Got::Amendment(known))) => Some(known.amendment.time),
        };
        if let Some(known) = time.and_then(|it| self.pending.due(it)) {
            self.at = known.at;
            *item = Item::Amendment(known);
            return Ok(true);
        }
        let Some((at, got)) = self.ahead.take() else { return Ok(false) };
        self.at = Some(at);
        match got {
            Got::Reject(reason) => *item = Item::Reject(Reject { at, reason }),
            Got::Amendment(known) => *item = Item::Amendment(*known),
            Got::Event(label) => {
                self.label = label;
                match item {
                    Item::Event(event) => std::mem::swap(event, &mut self.event),
                    _ => *item = Item::Event(std::mem::take(&mut self.event)),
                }
            }
        }
        Ok(true)
    }

    /// Reads the next row; an event out of order ends the reading if it must, and one from far ahead is a reject.
    fn read(&mut self) -> Result<Option<(RowAt, Got)>, SourceError> {
        let Some((at, got)) = self.feed.next(&self.setup, &mut self.counts, &mut self.event)? else {
            return Ok(None);
        };
        let time = match &got {
            Got::Event(_) => self.event.time,
            Got::Amendment(it) => it.amendment.time,
            Got::Reject(_) => return Ok(Some((at, got))),
        };
        let is_event = matches!(got, Got::Event(_));
        let clock = self.clock.unwrap_or(time);
        if is_event && time < clock && self.order == Order::Check {
            return Err(SourceError::OutOfOrder { file: self.name(at), row: at.row });
        }
        // Here and not behind: such a time would set every pending label free.
        if self.jump_max < time - clock {
            let whose = if is_event { "event" } else { "amendment" };
            return Ok(Some((at, Got::Reject(too_far_ahead(whose, time - clock)))));
        }
        if is_event {
            self.clock = Some(clock.max(time));
        }
        Ok(Some((at, got)))
    }

    /// The row of the item last given out; none for what came from a saved state.
    pub fn at(&self) -> Option<RowAt> {
        self.at
    }

    /// The names of the files, in the order of [`RowAt::file`].
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// The name of a row's file.
    pub fn name(&self, at: RowAt) -> Arc<str> {
        let index = usize::try_from(at.file).unwrap_or(usize::MAX);
        self.names.get(index).cloned().unwrap_or_default()
    }

    /// Whether the event last given out has a label that waits for its time.
    pub fn is_labelled(&self) -> bool {
        self.label.is_some()
    }

    fn settle_label(&mut self) {
        if let Some(label) = self.label.take() {
            self.pending.push(*label);
        }
    }

    /// Rows read in this run that the mapping left out (`other = "skip"`).
    pub fn skipped(&self) -> u64 {
        self.counts.skipped
    }

    /// What is odd about the files that were read to their end, and is no error.
    pub fn notes(&self) -> &[String] {
        &self.counts.notes
    }

    /// What the next run goes on from. To be taken at the end: a row that was read ahead is not in it.
    pub fn into_state(mut self) -> SourceState {
        self.settle_label();
        SourceState { sequence: self.counts.sequence, clock: self.clock, pending: self.pending.into_vec() }
    }
}

/// Why what comes so long after the latest event before it is refused.
fn too_far_ahead(whose: &str, ahead: Micros) -> String {
    // Rounded up, so that whoever allows so many has it accepted.
    let days = (ahead + DAY - 1) / DAY;
    let shown = if days == 1 { duration(ahead) } else { format!("{days} days") };
    let advice = if days * DAY <= SPAN_MAX {
        format!(": if it is right, allow it by `--jump-max {days}d`")
    } else {
        ", further than any `--jump-max` allows".to_owned()
    };
    format!("the {whose}'s time is {shown} ahead of the latest before it{advice}")
}
