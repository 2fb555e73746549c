//! Lists from text.

use std::collections::HashMap;
use std::fmt;

use engine::entity::HashKey;
use rules::schema::{FieldType, Schema};
use rules::typed::{List, ListId, ListKind, Numeric, Type};

use super::ListFile;
use crate::intake::{self, Parsed};

/// May stand before the first line of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';
/// Problems that are shown; the rest is counted.
const PROBLEMS_SHOWN_MAX: usize = 50;

/// One entity or value in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListItem {
    /// In which list.
    pub list: ListId,
    /// The entity's id, or the value.
    pub item: Item,
    /// Of a table: what stands beside it.
    pub value: Option<Item>,
}

/// What a list holds, before there is a key to hash it with.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Item {
    /// As it stands in a slot.
    Slot(i64),
    /// A text or an entity's id.
    Text(String),
}

impl Item {
    /// As it stands in a slot, texts and ids hashed.
    pub fn slot(&self, key: HashKey) -> i64 {
        match self {
            Self::Slot(slot) => *slot,
            Self::Text(text) => key.slot(text),
        }
    }
}

/// Where a text comes from, and so how much is asked of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// From people, who can mend it.
    New,
    /// From a record, which stands as it is: earlier versions took longer texts, the same item twice, and
    /// ids with commas in tables.
    Before,
}

/// Reads what a list holds; what is wrong goes to `problems`.
pub fn read_list(
    (id, list): (ListId, &List),
    file: &ListFile,
    schema: &Schema,
    written: Written,
    items: &mut Vec<ListItem>,
    problems: &mut Problems,
) {
    let mut first_lines = HashMap::new();
    let mut read = |line: usize, text: &str| {
        let entry = entry(list, text)?;
        if written == Written::New && matches!(list.of, ListKind::Table(..)) && entry.item.contains(',') {
            return Err(format!(
                "{} has a comma too many: neither an id of a table nor a number has one in it",
                intake::shown(text)
            ));
        }
        let (item, value) = entry.read(list, schema, written)?;
        if written == Written::New
            && let Some(first) = first_lines.insert(item.clone(), line)
        {
            return Err(format!("{} stands in line {first} already: leave one", intake::shown(entry.item)));
        }
        Ok(ListItem { list: id, item, value })
    };
    for (line, text) in lines(&file.text) {
        match read(line, text) {
            Ok(item) => items.push(item),
            Err(problem) => {
                let said = format!("list `{}`: `{}`, line {line}: {problem}", list.name, file.name);
                problems.add(Wrong { file: file.name.clone(), line: Some(line), problem, said });
            }
        }
    }
}

/// The lines of a list that say something, with their numbers and without what says nothing.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(without_mark(text).lines().map(without_comment));
    lines.filter(|(_, text)| !text.is_empty())
}

/// Whether a text, written as a line of a list, says just that.
pub(crate) fn is_line(text: &str) -> bool {
    text.lines().eq([text]) && without_comment(text) == text && !text.starts_with(BYTE_ORDER_MARK)
}

pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

pub(super) fn without_comment(line: &str) -> &str {
    let comment = line.match_indices('#').map(|(at, _)| at).find(|at| {
        line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
    });
    comment.and_then(|at| line.get(..at)).unwrap_or(line).trim()
}

/// One line of a list.
struct Entry<'a> {
    item: &'a str,
    /// Of a table.
    value: Option<&'a str>,
}

fn entry<'a>(list: &List, line: &'a str) -> Result<Entry<'a>, String> {
    let ListKind::Table(_, ty) = list.of else { return Ok(Entry { item: line, value: None }) };
    // What was written before may be an id with a comma in it; a value has none, except a place's.
    let both = match ty {
        Type::Place => line.split_once(','),
        _ => line.rsplit_once(','),
    };
    let told = || format!("{} is not an id, a comma and a value", intake::shown(line));
    let (id, value) = both.ok_or_else(told)?;
    Ok(Entry { item: id.trim(), value: Some(value.trim()) })
}

impl Entry<'_> {
    fn read(&self, list: &List, schema: &Schema, written: Written) -> Result<(Item, Option<Item>), String> {
        let bytes_max = list.text_bytes_max.filter(|_| written == Written::New);
        let (ty, of_value) = match list.of {
            ListKind::Entities(kind) => (Type::Entity(kind), None),
            ListKind::Values(ty) => (ty, None),
            ListKind::Table(kind, ty) => (Type::Entity(kind), Some(ty)),
        };
        let value = of_value.zip(self.value).map(|(ty, value)| item(ty, bytes_max, schema, value));
        let value = value.transpose()?;
        Ok((item(ty, bytes_max, schema, self.item)?, value))
    }
}

/// An item of a list from its text: an amount in major units, in the currency of the list's type; a text of at most so
/// many bytes, if it is said how many.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn item(ty: Type, bytes_max: Option<u16>, schema: &Schema, text: &str) -> Result<Item, String> {
    let currency = match ty {
        Type::Money(currency, _) => currency,
        _ => schema.currency,
    };
    let parsed = intake::parse(field_type(ty, bytes_max), schema, currency, text);
    match parsed.map_err(|problem| format!("{} {problem}", intake::shown(text)))? {
        Parsed::Number(slot) | Parsed::Money { minor: slot, .. } => Ok(Item::Slot(slot)),
        Parsed::Text(text) => Ok(Item::Text(text)),
    }
}

/// The field type whose values a list of this type takes.
fn field_type(ty: Type, bytes_max: Option<u16>) -> FieldType {
    match ty {
        Type::Flag => FieldType::Flag,
        Type::Number(Numeric::Exact { scale, .. }) => FieldType::Decimal { scale },
        Type::Money(currency, _) => FieldType::Money { currency: Some(currency) },
        Type::Duration(_) => FieldType::Duration,
        Type::Time => FieldType::Time,
        Type::Place => FieldType::Place,
        Type::Entity(kind) => FieldType::Entity(kind),
        Type::Enum(id) => FieldType::Enum(id),
        // INVARIANT (list types): a list holds what a field can hold, and no field is any of these but a text.
        Type::Text | Type::EventType | Type::Distance | Type::Speed | Type::Number(Numeric::Real) => {
            FieldType::Text { max_bytes: bytes_max.unwrap_or(u16::MAX) }
        }
    }
}

/// Something wrong with a text beside the rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrong {
    /// The file's name.
    pub file: String,
    /// Counted from 1; none: the file is.
    pub line: Option<usize>,
    /// What is wrong there, and what would be right.
    pub problem: String,
    /// The same for people, with its place.
    pub said: String,
}

/// What is wrong with the texts beside the rules.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Problems {
    shown: Vec<Wrong>,
    count: usize,
}

impl Problems {
    /// Adds one.
    pub fn add(&mut self, wrong: Wrong) {
        self.count += 1;
        if self.count <= PROBLEMS_SHOWN_MAX {
            self.shown.push(wrong);
        }
    }

    /// These and others.
    pub fn and(mut self, others: Self) -> Self {
        let room = PROBLEMS_SHOWN_MAX - self.shown.len();
        self.shown.extend(others.shown.into_iter().take(room));
        self.count += others.count;
        self
    }

    /// All of them; none if there is none.
    pub fn finish(self) -> Option<Self> {
        (0 < self.count).then_some(self)
    }

    /// The first of them, as many as are shown.
    pub fn shown(&self) -> &[Wrong] {
        &self.shown
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many are not shown.
    pub fn more(&self) -> usize {
        self.count - self.shown.len()
    }

    /// A line for each that is shown, with the same words before it, and how many more there are.
    pub fn said(&self, before: &str) -> String {
        let more = Some(self.more()).filter(|it| 0 < *it);
        let shown = self.shown.iter().map(|it| format!("{before}{}", it.said));
        shown.chain(more.map(|it| format!("and {it} more"))).collect::<Vec<_>>().join("\n")
    }
}

/// A line each.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said(""))
    }
}
