//! A mapping held against a schema and the columns of one file: what to do with each row, flat.

mod columns;
mod compile;

pub(super) use compile::compile;

use std::sync::Arc;

use engine::event::{Amendment, Change, Event};
use rules::past::Label;
use rules::schema::{Currency, EventTypeId, Schema};
use rules::time::Micros;
use smallvec::SmallVec;

use super::join::{JoinTable, count_of_cells};
use super::pending::{Known, label_id};
use super::row::Row;
use crate::intake::json::LABEL_KIND_BYTES_MAX;
use crate::intake::time::{TimeFormat, duration};
use crate::intake::value::{about, entity_id, event_id, place, place_of, text_of};
use crate::intake::{self, Parsed, number, parse_currency, parse_flag, shown};

/// The columns of a file as names, and where a row holds what was asked for.
#[derive(Clone, Debug)]
pub(super) enum Columns {
    /// Rows hold every column of the header, in its order.
    Header(Vec<String>),
    /// Rows hold the columns that were asked for, in the order of asking; `known` is what there is, if that can be
    /// said before the first row, and `unread` what there is beside it that cannot be read.
    Asked { known: Option<Vec<String>>, unread: Vec<String>, asked: Vec<String> },
}

/// Where a cell is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cell {
    Own(usize),
    Joined { join: usize, at: usize },
}

/// A column: where its cell is, and its name for messages.
#[derive(Clone, Debug)]
struct Column {
    cell: Cell,
    name: Arc<str>,
}

/// A row with the joined rows that belong to it.
struct Cells<'a> {
    own: &'a Row,
    joined: SmallVec<[Option<&'a Row>; 2]>,
}

impl<'a> Cells<'a> {
    #[inline]
    fn get(&self, column: &Column) -> &'a [u8] {
        match column.cell {
            Cell::Own(at) => self.own.cell(at),
            Cell::Joined { join, at } => {
                self.joined.get(join).copied().flatten().map_or(&[], |it| it.cell(at))
            }
        }
    }
}

/// What texts stand for, looked up by the bytes of a cell.
#[derive(Clone, Debug)]
struct Table<T>(Vec<(Box<[u8]>, T)>);

impl<T> Table<T> {
    fn new(entries: impl IntoIterator<Item = (String, T)>) -> Self {
        let mut entries: Vec<_> =
            entries.into_iter().map(|(text, value)| (text.into_bytes().into_boxed_slice(), value)).collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self(entries)
    }

    fn get(&self, text: &[u8]) -> Option<&T> {
        let at = self.0.binary_search_by(|(it, _)| (**it).cmp(text)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    fn names(&self) -> String {
        intake::listed(self.0.iter().map(|(text, _)| str::from_utf8(text).unwrap_or("?")))
    }
}

/// What to do with the rows of one file.
#[derive(Debug)]
pub(super) struct Plan {
    event: TypeFrom,
    id: IdFrom,
    time: TimeFrom,
    /// By event type; none for those that no row becomes.
    types: Vec<Option<TypeFields>>,
    label: Option<LabelFrom>,
    joins: Vec<(Column, Arc<JoinTable>)>,
    /// Columns that a row has; none where rows hold what was asked for.
    width: Option<usize>,
}

#[derive(Debug)]
enum TypeFrom {
    Constant(EventTypeId),
    Column { column: Column, types: Table<EventTypeId>, skip_others: bool },
}

#[derive(Debug)]
enum IdFrom {
    Column(Column),
    /// What stands before and behind the number.
    Sequence(String, String),
}

#[derive(Debug)]
struct TimeFrom {
    column: Column,
    format: TimeFormat,
}

/// The fields of one event type.
#[derive(Debug)]
struct TypeFields {
    /// How many the type has, mapped or not.
    declared: usize,
    mapped: Vec<FieldFrom>,
    /// Whether some are derived.
    derived: bool,
}

#[derive(Debug)]
struct FieldFrom {
    /// The field's place in its event type.
    at: usize,
    required: bool,
    missing: Missing,
    from: From,
}

/// Which cells count as missing.
#[derive(Clone, Debug)]
enum Missing {
    Empty,
    Listed(Vec<Box<[u8]>>),
}

impl Missing {
    #[inline]
    fn is(&self, text: &[u8]) -> bool {
        match self {
            Self::Empty => text.is_empty(),
            Self::Listed(texts) => texts.iter().any(|it| **it == *text),
        }
    }
}

/// Where a field's value comes from, and how its text is read.
#[derive(Debug)]
enum From {
    Constant(Parsed),
    Named(Column, Table<Parsed>),
    Text(Column, u16),
    Entity(Column),
    Flag(Column),
    /// A number at a scale.
    Scaled(Column, u8),
    /// An amount, in minor units or in major ones.
    Money {
        column: Column,
        currency: CurrencyFrom,
        minor: bool,
    },
    /// Latitude and longitude in one cell.
    Place(Column),
    /// Latitude and longitude.
    Degrees(Column, Column),
    Time(Column, TimeFormat),
    /// A duration, and what a plain number of it counts.
    Duration(Column, Option<Micros>),
}

#[derive(Debug)]
enum CurrencyFrom {
    Fixed(Currency),
    /// A column; and the one currency that the field takes, if it takes only one.
    Column(Column, Option<Currency>),
}

#[derive(Debug)]
struct LabelFrom {
    column: Column,
    values: Table<Label>,
    known: KnownFrom,
    kind: Option<Column>,
}

#[derive(Debug)]
enum KnownFrom {
    After(Micros),
    At(TimeFrom),
}

/// What a row became.
#[derive(Debug)]
pub(super) enum Made {
    /// An event, which stands in the buffer, and perhaps its label.
    Event(Option<Box<Known>>),
    /// Nothing, as the mapping says.
    Skipped,
}

/// Why a row was refused: a lower-case sentence that names the column.
type Refusal = String;

fn refusal(column: &Column, cell: &[u8], problem: &str) -> Refusal {
    format!("column `{}`: {}", column.name, about(cell, problem))
}

impl Plan {
    /// Makes an event of a row; `sequence` is its number, from 1.
    pub(super) fn event(
        &self,
        row: &Row,
        sequence: u64,
        schema: &Schema,
        event: &mut Event,
    ) -> Result<Made, Refusal> {
        if let Some(width) = self.width.filter(|width| *width != row.len()) {
            return Err(format!("{} where the header has {width}", count_of_cells(row.len())));
        }
        let mut cells = Cells { own: row, joined: SmallVec::new() };
        for (key, table) in &self.joins {
            let joined = table.row(cells.get(key));
            cells.joined.push(joined);
        }
        let Some(event_type) = self.event_type(&cells)? else { return Ok(Made::Skipped) };
        let Some(Some(fields)) = self.types.get(event_type.index()) else { return Ok(Made::Skipped) };
        event.begin(event_type, fields.declared);
        self.set_id(&cells, sequence, event)?;
        (event.time, event.time_given) = (self.time.read(&cells)?, true);
        for field in &fields.mapped {
            field.set(&cells, event)?;
        }
        if fields.derived {
            let finished = intake::finish(event, schema, str::to_owned);
            finished.map_err(|errors| errors.first().map(ToString::to_string).unwrap_or_default())?;
        }
        Ok(Made::Event(match &self.label {
            Some(label) => label.read(&cells, event)?.map(Box::new),
            None => None,
        }))
    }

    fn event_type(&self, cells: &Cells<'_>) -> Result<Option<EventTypeId>, Refusal> {
        match &self.event {
            TypeFrom::Constant(event_type) => Ok(Some(*event_type)),
            TypeFrom::Column { column, types, skip_others } => match types.get(cells.get(column)) {
                Some(event_type) => Ok(Some(*event_type)),
                None if *skip_others => Ok(None),
                None => {
                    let problem = format!("is no event type of the mapping; there is {}", types.names());
                    Err(refusal(column, cells.get(column), &problem))
                }
            },
        }
    }

    fn set_id(&self, cells: &Cells<'_>, sequence: u64, event: &mut Event) -> Result<(), Refusal> {
        match &self.id {
            IdFrom::Column(column) => {
                let cell = cells.get(column);
                event.id.push_str(event_id(cell).map_err(|it| refusal(column, cell, &it))?);
            }
            IdFrom::Sequence(before, behind) => {
                event.id.push_str(before);
                event.id.push_str(&sequence.to_string());
                event.id.push_str(behind);
            }
        }
        Ok(())
    }
}

impl TimeFrom {
    #[inline]
    fn read(&self, cells: &Cells<'_>) -> Result<Micros, Refusal> {
        let cell = cells.get(&self.column);
        self.format.parse(cell).map_err(|it| refusal(&self.column, cell, &it))
    }
}

impl FieldFrom {
    #[inline]
    fn set(&self, cells: &Cells<'_>, event: &mut Event) -> Result<(), Refusal> {
        let Some(column) = self.from.column() else {
            if let From::Constant(value) = &self.from {
                value.set(event, self.at);
            }
            return Ok(());
        };
        let cell = cells.get(column);
        let absent = self.missing.is(cell)
            || matches!(&self.from, From::Degrees(_, longitude) if self.missing.is(cells.get(longitude)));
        if absent {
            return match self.required {
                true => Err(format!("column `{}`: missing, and the field is required", column.name)),
                false => Ok(()),
            };
        }
        self.from.read(cell, cells, event, self.at).map_err(|it| it.of(column, cell))
    }
}

/// What is wrong with a field's own cell, or a whole refusal that names another.
enum Wrong {
    Problem(String),
    Refusal(Refusal),
}

impl Wrong {
    /// The refusal of the field's own cell, unless it names another.
    fn of(self, column: &Column, cell: &[u8]) -> Refusal {
        match self {
            Self::Problem(problem) => refusal(column, cell, &problem),
            Self::Refusal(refusal) => refusal,
        }
    }
}

impl std::convert::From<String> for Wrong {
    fn from(problem: String) -> Self {
        Self::Problem(problem)
    }
}

impl std::convert::From<number::NumberError> for Wrong {
    fn from(error: number::NumberError) -> Self {
        Self::Problem(error.to_string())
    }
}

impl From {
    /// The column whose cell says whether the field is missing; none for a constant.
    #[inline]
    fn column(&self) -> Option<&Column> {
        match self {
            Self::Constant(_) => None,
            Self::Named(column, _)
            | Self::Text(column, _)
            | Self::Entity(column)
            | Self::Flag(column)
            | Self::Scaled(column, _)
            | Self::Money { column, .. }
            | Self::Place(column)
            | Self::Degrees(column, _)
            | Self::Time(column, _)
            | Self::Duration(column, _) => Some(column),
        }
    }

    /// Reads a cell that is not missing into the field at `at`.
    #[inline]
    fn read(&self, cell: &[u8], cells: &Cells<'_>, event: &mut Event, at: usize) -> Result<(), Wrong> {
        match self {
            Self::Constant(value) => value.set(event, at),
            Self::Named(_, values) => match values.get(cell) {
                Some(value) => value.set(event, at),
                None => return Err(Wrong::Problem(format!("is not named; there is {}", values.names()))),
            },
            Self::Text(_, bytes_max) => event.set_text(at, text_of(cell, *bytes_max)?),
            Self::Entity(_) => event.set_text(at, entity_id(cell)?),
            Self::Flag(_) => event.set_number(at, parse_flag(cell)?),
            Self::Scaled(_, scale) => event.set_number(at, number::scaled(cell, *scale)?),
            Self::Money { currency, minor, .. } => {
                let currency = currency.read(cells)?;
                let scale = if *minor { 0 } else { currency.exponent() };
                event.set_money(at, number::amount(cell, scale)?, currency);
            }
            Self::Place(_) => event.set_number(at, place(cell)?),
            Self::Degrees(latitude, longitude) => {
                let other = cells.get(longitude);
                let degrees = |column: &Column, cell: &[u8]| match number::degrees_e7(cell) {
                    Ok(_) => Ok(()),
                    Err(error) => Err(Wrong::Refusal(refusal(column, cell, &error.to_string()))),
                };
                degrees(latitude, cell)?;
                degrees(longitude, other)?;
                event.set_number(at, place_of(cell, other)?);
            }
            Self::Time(_, format) => event.set_number(at, format.parse(cell)?),
            Self::Duration(_, plain) => event.set_number(at, duration(cell, *plain)?),
        }
        Ok(())
    }
}

impl CurrencyFrom {
    #[inline]
    fn read(&self, cells: &Cells<'_>) -> Result<Currency, Wrong> {
        let (column, only) = match self {
            Self::Fixed(currency) => return Ok(*currency),
            Self::Column(column, only) => (column, only),
        };
        let cell = cells.get(column);
        let currency = parse_currency(cell).map_err(|it| Wrong::Refusal(refusal(column, cell, &it)))?;
        match only {
            Some(only) if *only != currency => {
                let problem = format!("is refused: the field takes only {}", only.code());
                Err(Wrong::Refusal(refusal(column, cell, &problem)))
            }
            _ => Ok(currency),
        }
    }
}

impl LabelFrom {
    /// The row's label, if it has one. A label whose time the row leaves out never becomes known.
    #[inline]
    fn read(&self, cells: &Cells<'_>, event: &Event) -> Result<Option<Known>, Refusal> {
        let Some(label) = self.values.get(cells.get(&self.column)) else { return Ok(None) };
        let time = match &self.known {
            KnownFrom::After(span) => event.time + span,
            KnownFrom::At(time) if cells.get(&time.column).is_empty() => return Ok(None),
            KnownFrom::At(time) => time.read(cells)?,
        };
        let kind =
            self.kind.as_ref().map(|column| (column, cells.get(column))).filter(|(_, cell)| !cell.is_empty());
        let kind = match kind {
            Some((column, cell)) => {
                let kind = text_of(cell, LABEL_KIND_BYTES_MAX);
                Some(kind.map_err(|it| refusal(column, cell, &it))?.to_owned())
            }
            None => None,
        };
        let amendment = Amendment {
            id: label_id(event),
            event_id: event.id.clone(),
            time,
            time_given: true,
            change: Change::Label(*label, kind),
        };
        Ok(Some(Known { amendment, place: None, at: None }))
    }
}

/// A value as messages show it.
fn shown_text(text: &str) -> String {
    shown(text.as_bytes())
}
