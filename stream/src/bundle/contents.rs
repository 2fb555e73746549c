//! Lists from text.

use std::fmt::Write as _;

use engine::entity::HashKey;
use rules::schema::{FieldType, Schema};
use rules::typed::{List, ListId, ListKind, Numeric, Type};

use super::ListFile;
use crate::intake::{self, Parsed};

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
#[derive(Clone, PartialEq, Eq, Debug)]
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

/// Reads what a list holds; what is wrong goes to `problems`.
pub fn read_list(
    id: ListId,
    list: &List,
    file: &ListFile,
    schema: &Schema,
    items: &mut Vec<ListItem>,
    problems: &mut Problems,
) {
    let text = file.text.strip_prefix('\u{feff}').unwrap_or(&file.text);
    for (line, written) in (1_usize..).zip(text.lines()) {
        let written = without_comment(written);
        if written.is_empty() {
            continue;
        }
        match list_item(list, written, schema) {
            Ok((item, value)) => items.push(ListItem { list: id, item, value }),
            Err(problem) => {
                problems.add(&format!("list `{}`: `{}`, line {line}: {problem}", list.name, file.name));
            }
        }
    }
}

pub(super) fn without_comment(line: &str) -> &str {
    let comment = line.match_indices('#').map(|(at, _)| at).find(|at| {
        line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
    });
    comment.and_then(|at| line.get(..at)).unwrap_or(line).trim()
}

/// One line of a list.
fn list_item(list: &List, written: &str, schema: &Schema) -> Result<(Item, Option<Item>), String> {
    match list.of {
        ListKind::Entities(kind) => Ok((item(Type::Entity(kind), schema, written)?, None)),
        ListKind::Values(ty) => Ok((item(ty, schema, written)?, None)),
        ListKind::Table(kind, ty) => {
            // An id may hold a comma, a value of a table may not, except a place's.
            let (id, value) = match ty {
                Type::Place => written.split_once(','),
                _ => written.rsplit_once(','),
            }
            .ok_or_else(|| format!("{} is not an id, a comma and a value", intake::shown(written)))?;
            let value = item(ty, schema, value.trim())?;
            Ok((item(Type::Entity(kind), schema, id.trim())?, Some(value)))
        }
    }
}

/// An item of a list from its text: an amount in major units, in the currency of the list's type.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn item(ty: Type, schema: &Schema, text: &str) -> Result<Item, String> {
    let currency = match ty {
        Type::Money(currency, _) => currency,
        _ => schema.currency,
    };
    let parsed = intake::parse(field_type(ty), schema, currency, text);
    match parsed.map_err(|problem| format!("{} {problem}", intake::shown(text)))? {
        Parsed::Number(slot) | Parsed::Money { minor: slot, .. } => Ok(Item::Slot(slot)),
        Parsed::Text(text) => Ok(Item::Text(text)),
    }
}

/// The field type whose values a list of this type takes.
fn field_type(ty: Type) -> FieldType {
    match ty {
        Type::Flag => FieldType::Flag,
        Type::Number(Numeric::Exact { scale, .. }) => FieldType::Decimal { scale },
        Type::Money(currency, _) => FieldType::Money { currency: Some(currency) },
        Type::Duration(_) => FieldType::Duration,
        Type::Time => FieldType::Time,
        Type::Place => FieldType::Place,
        Type::Entity(kind) => FieldType::Entity(kind),
        Type::Enum(id) => FieldType::Enum(id),
        // INVARIANT (list types): a list holds what a field can hold, and no field is any of these.
        Type::Text | Type::EventType | Type::Distance | Type::Speed | Type::Number(Numeric::Real) => {
            FieldType::Text { max_bytes: u16::MAX }
        }
    }
}

/// What is wrong with the texts beside the rules, a line each.
#[derive(Debug, Default)]
pub struct Problems {
    text: String,
    count: usize,
}

impl Problems {
    /// Adds one.
    pub fn add(&mut self, problem: &str) {
        self.count += 1;
        if self.count <= PROBLEMS_SHOWN_MAX {
            let separator = if self.count == 1 { "" } else { "\n" };
            // Writing to a text cannot fail.
            let _ = write!(self.text, "{separator}{problem}");
        }
    }

    /// All of them; none if there is none.
    pub fn finish(mut self) -> Option<String> {
        if PROBLEMS_SHOWN_MAX < self.count {
            let _ = write!(self.text, "\nand {} more", self.count - PROBLEMS_SHOWN_MAX);
        }
        (0 < self.count).then_some(self.text)
    }
}
