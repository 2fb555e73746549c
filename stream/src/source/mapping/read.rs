//! The text of a mapping, key by key, so that what is wrong with one hides nothing of another.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed as _, Deserializer, IgnoredAny, MapAccess, Visitor};
use toml::Spanned;

use super::{MappingError, MappingErrors, Root, line_of, with_suggestion};
use crate::intake::{nearest, suggestion};

/// The keys that there are.
const KEYS: [&str; 8] = ["schema", "event", "id", "time", "order", "join", "fields", "label"];

/// Reads a text.
pub(super) fn root(file: &str, text: &str) -> Result<Root, MappingErrors> {
    let written = toml::from_str::<BTreeMap<Spanned<String>, IgnoredAny>>(text);
    let written = written.map_err(|it| error(file, text, None, &it))?;
    let mut reading = Reading { file, text, unknown: Vec::new(), wrong: Vec::new() };
    reading.refuse_unknown(written.keys());
    let root = reading.root();
    match (root, MappingErrors::of(reading.wrong)) {
        (Some(root), None) => Ok(root),
        (_, errors) => Err(errors.unwrap_or(MappingErrors(Vec::new()))),
    }
}

fn error(file: &str, text: &str, key: Option<&str>, error: &toml::de::Error) -> MappingError {
    let message = with_suggestion(error.message());
    MappingError {
        file: file.to_owned(),
        line: error.span().map(|it| line_of(text, it.start)),
        message: key.map_or(message.clone(), |key| format!("`{key}`: {message}")),
    }
}

struct Reading<'a> {
    file: &'a str,
    text: &'a str,
    /// Keys that there are not: what is missing was probably meant by one of them.
    unknown: Vec<String>,
    wrong: Vec<MappingError>,
}

impl Reading<'_> {
    fn refuse_unknown<'k>(&mut self, keys: impl Iterator<Item = &'k Spanned<String>>) {
        for key in keys.filter(|it| !KEYS.contains(&it.get_ref().as_str())) {
            let name = key.get_ref();
            self.wrong.push(MappingError {
                file: self.file.to_owned(),
                line: Some(line_of(self.text, key.span().start)),
                message: format!("there is no key `{name}`{}", suggestion(name, KEYS)),
            });
            self.unknown.push(name.clone());
        }
    }

    fn root(&mut self) -> Option<Root> {
        let (schema, event) = (self.required("schema"), self.required("event"));
        let (id, time) = (self.required("id"), self.required("time"));
        let (order, join) = (self.optional("order"), self.optional("join"));
        let (fields, label) = (self.optional("fields"), self.optional("label"));
        Some(Root {
            schema: schema?,
            event: event?,
            id: id?,
            time: time?,
            order: order?.unwrap_or_default(),
            join: join?.unwrap_or_default(),
            fields: fields?.unwrap_or_default(),
            label: label?,
        })
    }

    fn required<T: for<'de> Deserialize<'de>>(&mut self, key: &str) -> Option<T> {
        let found = self.optional(key)?;
        let was_meant = || self.unknown.iter().any(|it| nearest(it, [key]).is_some());
        if found.is_none() && !was_meant() {
            let message = format!("`{key}` is missing");
            self.wrong.push(MappingError { file: self.file.to_owned(), line: None, message });
        }
        found
    }

    /// What a key says, if it is there; none where that is wrong.
    #[expect(clippy::option_option, reason = "whether it is sound, and whether it is there")]
    fn optional<T: for<'de> Deserialize<'de>>(&mut self, key: &str) -> Option<Option<T>> {
        let deserializer = toml::Deserializer::parse(self.text);
        let read = deserializer.and_then(|it| Only { key, of: PhantomData }.deserialize(it));
        read.map_err(|it| self.wrong.push(error(self.file, self.text, Some(key), &it))).ok()
    }
}

/// Reads one key of a table and passes over the others.
struct Only<'a, T> {
    key: &'a str,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> serde::de::DeserializeSeed<'de> for Only<'_, T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Only<'_, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = table.next_key::<String>()? {
            if key == self.key {
                found = Some(table.next_value()?);
            } else {
                table.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}
