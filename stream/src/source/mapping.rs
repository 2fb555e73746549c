//! The mapping file (`map.toml`): how the columns of a file become the fields of events, as written.
//!
//! Here it is only read; [`super::plan`] holds it against a schema and a file's columns.

mod read;

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rules::check::check_schema;
use rules::diagnostic::Source;
use rules::schema::Schema;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
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
        let mut told = HashSet::new();
        // What is wrong with a field is wrong for each event type that has it.
        errors.retain(|it| told.insert((it.line, it.message.clone())));
        errors.sort_by_key(|it| it.line);
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

#[derive(Clone, Debug)]
pub(super) struct Root {
    schema: Spanned<String>,
    pub(super) event: Spanned<TextOr<EventType>>,
    pub(super) id: Spanned<TextOr<Id>>,
    pub(super) time: Spanned<TextOr<Time>>,
    order: Order,
    pub(super) join: BTreeMap<String, Spanned<Join>>,
    pub(super) fields: BTreeMap<Spanned<String>, Spanned<Written>>,
    pub(super) label: Option<Spanned<Label>>,
}

/// Where an entry is: its key, such as `amount` or `transfer.user`, and its place in the text.
#[derive(Clone, Debug)]
pub(super) struct At {
    pub(super) key: String,
    pub(super) span: Range<usize>,
}

impl At {
    pub(super) fn new(key: &str, span: Range<usize>) -> Self {
        Self { key: key.to_owned(), span }
    }
}

/// What stands behind a key of `[fields]`.
#[derive(Clone, Debug)]
pub(super) enum Written {
    Table(BTreeMap<Spanned<String>, Spanned<toml::Value>>),
    Plain(toml::Value),
}

/// A text by itself, or a table that says more.
#[derive(Clone, Debug)]
pub(super) enum TextOr<T> {
    Text(String),
    Table(T),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
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
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Id {
    pub(super) column: Option<String>,
    pub(super) sequence: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Time {
    pub(super) column: String,
    pub(super) format: Option<TextOr<Steps>>,
    pub(super) zone: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Steps {
    pub(super) start: String,
    pub(super) step: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Join {
    pub(super) file: String,
    pub(super) key: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Label {
    pub(super) column: String,
    pub(super) values: Option<BTreeMap<String, String>>,
    pub(super) known_after: Option<String>,
    pub(super) known_at: Option<TextOr<Time>>,
    pub(super) kind: Option<TextOr<Column>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Column {
    pub(super) column: String,
}

/// Where a field comes from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
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
    /// Whether something else was written and told to be wrong.
    #[serde(skip)]
    pub(super) is_part: bool,
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// If it cannot be read, or is no mapping: with the line.
    pub fn read(path: &Path) -> Result<Self, MappingErrors> {
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
    /// If it is no mapping: all that is wrong with its keys, each with its line.
    pub fn parse(name: &str, text: &str, folder: &Path) -> Result<Self, MappingErrors> {
        let root = read::root(name, text)?;
        Ok(Self { name: name.to_owned(), text: text.to_owned(), folder: folder.to_owned(), root })
    }

    /// The files that it is read from and names: itself, the schema, and what is joined.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> + use<'_> {
        let joined = self.root.join.values().map(|it| self.file(&it.get_ref().file));
        [PathBuf::from(&self.name), self.schema_file()].into_iter().chain(joined)
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
    pub(super) fn error(&self, at: Range<usize>, message: impl Into<String>) -> MappingError {
        MappingError {
            file: self.name.clone(),
            line: Some(line_of(&self.text, at.start)),
            message: message.into(),
        }
    }

    /// An error in an entry.
    pub(super) fn error_at(&self, at: &At, message: impl Display) -> MappingError {
        self.error(at.span.clone(), format!("`{}`: {message}", at.key))
    }

    /// The field that an entry says; what is wrong in it goes to `wrong`, and the rest of it stands.
    pub(super) fn field(&self, value: &Written, at: &At, wrong: &mut Vec<MappingError>) -> Option<Field> {
        let parts = match value {
            Written::Plain(value) => {
                let field = TextOr::<Field>::deserialize(value.clone()).map(Field::from);
                return field.map_err(|it| wrong.push(self.error_at(at, it.message()))).ok();
            }
            Written::Table(parts) => parts,
        };
        let mut good = toml::Table::new();
        for (name, value) in parts {
            let part = toml::Table::from_iter([(name.get_ref().clone(), value.get_ref().clone())]);
            match Field::deserialize(part.clone()) {
                Ok(_) => good.extend(part),
                Err(error) => {
                    let at = At::new(&at.key, name.span());
                    let message = match value.get_ref() {
                        toml::Value::String(text) if name.get_ref() == "missing" => {
                            format!("`missing` is a list: write `missing = [{text:?}]`")
                        }
                        _ => in_own_words(error.message()),
                    };
                    wrong.push(self.error_at(&at, message));
                }
            }
        }
        let is_part = good.len() < parts.len();
        Field::deserialize(good).ok().map(|it| Field { is_part, ..it })
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

/// What serde says, in the words of this file; with what was probably meant by
/// `` unknown field `x`, expected one of `a`, `b` ``.
fn in_own_words(message: &str) -> String {
    if let Some(missing) = message.strip_prefix("missing field ") {
        return format!("{missing} is missing");
    }
    let message = message.replacen("unknown variant", "unknown word", 1);
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message.starts_with("unknown ").then(|| quoted.next()).flatten();
    match unknown.and_then(|unknown| nearest(unknown, quoted)) {
        Some(near) => format!("{message}; did you mean `{near}`?"),
        None => message,
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

impl Written {
    /// Of a value that has no places of its own.
    pub(super) fn of(value: &toml::Value, span: &Range<usize>) -> Self {
        let spanned = |name: &String| Spanned::new(span.clone(), name.clone());
        match value {
            toml::Value::Table(parts) => {
                let parts =
                    parts.iter().map(|(name, it)| (spanned(name), Spanned::new(span.clone(), it.clone())));
                Self::Table(parts.collect())
            }
            plain => Self::Plain(plain.clone()),
        }
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Written;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a table")
            }

            fn visit_str<E>(self, text: &str) -> Result<Written, E> {
                Ok(Written::Plain(text.into()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Written, E> {
                Ok(Written::Plain(number.into()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Written, E> {
                Ok(Written::Plain(number.into()))
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Written, E> {
                Ok(Written::Plain(flag.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Written, A::Error> {
                Vec::<toml::Value>::deserialize(SeqAccessDeserializer::new(list))
                    .map(|it| Written::Plain(it.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Written, A::Error> {
                BTreeMap::deserialize(MapAccessDeserializer::new(table)).map(Written::Table)
            }
        }
        deserializer.deserialize_any(Any)
    }
}
