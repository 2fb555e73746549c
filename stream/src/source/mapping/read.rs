//! The text of a mapping, key by key, so that what is wrong with one hides nothing of another.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::{MappingError, MappingErrors, Root, in_own_words, line_of};
use crate::intake::{nearest, suggestion};

/// The keys that there are.
const KEYS: [&str; 8] = ["schema", "event", "id", "time", "order", "join", "fields", "label"];

/// Reads a text.
pub(super) fn root(file: &str, text: &str) -> Result<Root, MappingErrors> {
    let table = DeTable::parse(text).map_err(|it| error(file, text, None, &it))?.into_inner();
    let mut reading = Reading { file, text, table, unknown: Vec::new(), wrong: Vec::new() };
    reading.refuse_unknown();
    let root = reading.root();
    match (root, MappingErrors::of(reading.wrong)) {
        (Some(root), None) => Ok(root),
        (_, errors) => Err(errors.unwrap_or(MappingErrors(Vec::new()))),
    }
}

fn error(file: &str, text: &str, key: Option<&str>, error: &toml::de::Error) -> MappingError {
    let message = in_own_words(error.message());
    MappingError {
        file: file.to_owned(),
        line: error.span().map(|it| line_of(text, it.start)),
        message: key.map_or(message.clone(), |key| format!("`{key}`: {message}")),
    }
}

struct Reading<'a> {
    file: &'a str,
    text: &'a str,
    table: DeTable<'a>,
    /// Keys that there are not: what is missing was probably meant by one of them.
    unknown: Vec<String>,
    wrong: Vec<MappingError>,
}

impl Reading<'_> {
    fn refuse_unknown(&mut self) {
        for key in self.table.keys().filter(|it| !KEYS.contains(&it.get_ref().as_ref())) {
            let name = key.get_ref();
            self.wrong.push(MappingError {
                file: self.file.to_owned(),
                line: Some(line_of(self.text, key.span().start)),
                message: format!("there is no key `{name}`{}", suggestion(name, KEYS)),
            });
            self.unknown.push(name.to_string());
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

    /// What a key says, if it is there; none where that is wrong. Each mistake is taken out when it is told, and the
    /// rest is read again.
    #[expect(clippy::option_option, reason = "whether it is sound, and whether it is there")]
    fn optional<T: for<'de> Deserialize<'de>>(&mut self, key: &str) -> Option<Option<T>> {
        let Some(mut value) = self.table.get(key).cloned() else { return Some(None) };
        let mut taken: Vec<Taken> = Vec::new();
        loop {
            let wrong = match T::deserialize(ValueDeserializer::from(value.clone())) {
                Ok(found) => return taken.is_empty().then_some(Some(found)),
                Err(wrong) => wrong,
            };
            if !taken.iter().any(|it| it.explains(&wrong)) {
                let table = wrong.span().filter(|_| wrong.message().starts_with("missing"));
                let key = match table.and_then(|place| key_of(&value, &place)) {
                    Some(inner) => format!("{key}.{inner}"),
                    None => key.to_owned(),
                };
                self.wrong.push(error(self.file, self.text, Some(&key), &wrong));
            }
            taken.push(take_out(&mut value, &wrong.span()?)?);
        }
    }
}

/// An entry that was wrong and has been told, so that the table is read without it.
struct Taken {
    key: String,
    /// The table's place.
    of: Range<usize>,
}

impl Taken {
    /// Whether something is missing only because this was taken out, or was meant by it.
    fn explains(&self, wrong: &toml::de::Error) -> bool {
        let missing = wrong.message().strip_prefix("missing field `").and_then(|it| it.strip_suffix('`'));
        wrong.span().is_some_and(|it| it == self.of) && nearest(&self.key, missing).is_some()
    }
}

/// The key of the table at a place, at any depth.
fn key_of(value: &Spanned<DeValue<'_>>, place: &Range<usize>) -> Option<String> {
    let DeValue::Table(table) = value.get_ref() else { return None };
    let here =
        table.iter().find(|(_, value)| value.span() == *place).map(|(key, _)| key.get_ref().to_string());
    here.or_else(|| table.values().find_map(|it| key_of(it, place)))
}

/// Takes out the entry whose key or value stands at a place; none if there is none.
fn take_out(value: &mut Spanned<DeValue<'_>>, place: &Range<usize>) -> Option<Taken> {
    let of = value.span();
    let DeValue::Table(table) = value.get_mut() else { return None };
    let found = table.iter().find(|(key, value)| key.span() == *place || value.span() == *place);
    if let Some(key) = found.map(|(key, _)| key.get_ref().to_string()) {
        table.remove(key.as_str());
        return Some(Taken { key, of });
    }
    table.iter_mut().find_map(|(_, value)| take_out(value, place))
}
