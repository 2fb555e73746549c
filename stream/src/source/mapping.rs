//! The mapping file (`map.toml`): how the columns of a file become the fields of events, as written.
//!
//! Here it is only read; [`super::plan`] holds it against a schema and a file's columns.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use rules::check::check_schema;
use rules::diagnostic::Source;
use rules::schema::Schema;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use toml::Spanned;

use crate::intake::nearest;
use crate::text;

/// A mapping file.
#[derive(Clone, Debug)]
pub struct Mapping {
    name: String,
    text: String,
    folder: PathBuf,
    pub(super) root: Root,
}

/// What is wrong with a mapping, by itself or beside its schema and file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{file}{}: {message}", line.map_or(String::new(), |it| format!(", line {it}")))]
pub struct MappingError {
    /// The mapping file.
    pub file: String,
    /// Counted from 1; none where it is about the whole.
    pub line: Option<usize>,
    /// What is wrong, and what there is or was probably meant.
    pub message: String,
}

/// All that is wrong with a mapping, in the order of its text: a line each.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct MappingErrors(pub Vec<MappingError>);

impl MappingErrors {
    /// In order, each once; none if nothing is wrong.
    pub(super) fn of(mut errors: Vec<MappingError>) -> Option<Self> {
        errors.sort_by_key(|it| it.line);
        errors.dedup();
        (!errors.is_empty()).then_some(Self(errors))
    }
}

impl From<MappingError> for MappingErrors {
    fn from(error: MappingError) -> Self {
        Self(vec![error])
    }
}

/// How rows out of time order are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// As they come: a late row is a late event.
    #[default]
    Live,
    /// A row earlier than the one before it ends the reading with an error.
    Check,
    /// All rows are read and sorted by time first.
    Sort,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Root {
    schema: Spanned<String>,
    pub(super) event: Spanned<TextOr<EventType>>,
    pub(super) id: Spanned<TextOr<Id>>,
    pub(super) time: Spanned<TextOr<Time>>,
    #[serde(default)]
    order: Order,
    #[serde(default)]
    pub(super) join: BTreeMap<String, Spanned<Join>>,
    #[serde(default)]
    pub(super) fields: BTreeMap<Spanned<String>, Spanned<toml::Value>>,
    pub(super) label: Option<Spanned<Label>>,
}

/// A text by itself, or a table that says more.
#[derive(Clone, Debug)]
pub(super) enum TextOr<T> {
    Text(String),
    Table(T),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventType {
    pub(super) column: String,
    pub(super) values: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(super) other: Other,
}

/// What becomes of a row whose type is not named.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Other {
    #[default]
    Reject,
    Skip,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Id {
    pub(super) column: Option<String>,
    pub(super) sequence: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Time {
    pub(super) column: String,
    pub(super) format: Option<TextOr<Steps>>,
    pub(super) zone: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Steps {
    pub(super) start: String,
    pub(super) step: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Join {
    pub(super) file: String,
    pub(super) key: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Label {
    pub(super) column: String,
    pub(super) values: Option<BTreeMap<String, String>>,
    pub(super) known_after: Option<String>,
    pub(super) known_at: Option<TextOr<Time>>,
    pub(super) kind: Option<TextOr<Column>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Column {
    pub(super) column: String,
}

/// Where a field comes from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Field {
    pub(super) column: Option<String>,
    pub(super) latitude: Option<String>,
    pub(super) longitude: Option<String>,
    pub(super) currency: Option<String>,
    pub(super) currency_column: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) format: Option<TextOr<Steps>>,
    pub(super) zone: Option<String>,
    pub(super) values: Option<BTreeMap<String, String>>,
    pub(super) value: Option<toml::Value>,
    pub(super) missing: Option<Vec<String>>,
}

/// A key of `[fields]`: a field, or the overrides of an event type.
pub(super) enum Entry {
    Field(Box<Field>),
    Overrides(BTreeMap<String, Field>),
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// If it cannot be read, or is no mapping: with the line.
    pub fn read(path: &Path) -> Result<Self, MappingError> {
        let name = path.display().to_string();
        let text = text::read(path).map_err(|it| MappingError {
            file: name.clone(),
            line: None,
            message: it.to_string(),
        })?;
        Self::parse(&name, &text, path.parent().unwrap_or(Path::new("")))
    }

    /// The mapping that a text says; `folder` is what its file names are relative to.
    ///
    /// # Errors
    /// If it is no mapping: with the line.
    pub fn parse(name: &str, text: &str, folder: &Path) -> Result<Self, MappingError> {
        let root = toml::from_str(text).map_err(|it: toml::de::Error| MappingError {
            file: name.to_owned(),
            line: it.span().map(|it| line_of(text, it.start)),
            message: with_suggestion(it.message()),
        })?;
        Ok(Self { name: name.to_owned(), text: text.to_owned(), folder: folder.to_owned(), root })
    }

    /// The schema file that it names.
    pub fn schema_file(&self) -> PathBuf {
        self.folder.join(self.root.schema.get_ref())
    }

    /// Holds the schema that the mapping was written for against the one that is used; where its file is not there, that
    /// cannot be done, and it is said why.
    ///
    /// # Errors
    /// If it is another one.
    pub fn check_schema(&self, used: &Schema) -> Result<Option<String>, MappingError> {
        let (file, at) = (self.schema_file(), self.root.schema.span());
        let text = match text::read(&file) {
            Ok(text) => text,
            Err(cause) => {
                let message = format!("the schema `{}` cannot be read: {cause}", file.display());
                return Ok(Some(self.error(at, message).to_string()));
            }
        };
        let (schema, _) = check_schema(Source { name: self.root.schema.get_ref(), text: &text });
        match schema {
            Some(schema) if schema.name != used.name => Err(self.error(
                at,
                format!(
                    "this mapping is for the schema `{}`, and the rules use `{}`",
                    schema.name, used.name
                ),
            )),
            _ => Ok(None),
        }
    }

    /// How rows out of time order are taken.
    pub fn order(&self) -> Order {
        self.root.order
    }

    /// A file that it names.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// An error at a place of the text.
    pub(super) fn error(&self, at: std::ops::Range<usize>, message: impl Into<String>) -> MappingError {
        MappingError {
            file: self.name.clone(),
            line: Some(line_of(&self.text, at.start)),
            message: message.into(),
        }
    }

    /// What a key of `[fields]` says, where `overrides` tells that it names an event type.
    pub(super) fn entry(&self, value: &Spanned<toml::Value>, overrides: bool) -> Result<Entry, MappingError> {
        let read = if overrides {
            let table = BTreeMap::<String, TextOr<Field>>::deserialize(value.get_ref().clone());
            table.map(|it| Entry::Overrides(it.into_iter().map(|(name, it)| (name, it.into())).collect()))
        } else {
            TextOr::<Field>::deserialize(value.get_ref().clone()).map(|it| Entry::Field(Box::new(it.into())))
        };
        read.map_err(|it| self.error(value.span(), with_suggestion(it.message())))
    }
}

impl From<TextOr<Self>> for Field {
    fn from(entry: TextOr<Self>) -> Self {
        match entry {
            TextOr::Text(column) => Self { column: Some(column), ..Self::default() },
            TextOr::Table(field) => field,
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|it| *it == b'\n').count()
}

/// Adds what was probably meant to `` unknown field `x`, expected one of `a`, `b` ``.
fn with_suggestion(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message.starts_with("unknown field").then(|| quoted.next()).flatten();
    match unknown.and_then(|unknown| nearest(unknown, quoted)) {
        Some(near) => format!("{message}; did you mean `{near}`?"),
        None => message.to_owned(),
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for TextOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = TextOr<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a table")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(TextOr::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Table)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}
