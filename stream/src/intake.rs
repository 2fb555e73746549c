//! The typed intake: text and JSON into the fields of events, exact or refused.
//!
//! Everything that enters from outside passes through here, so that behind it every number is within its limits,
//! every id within its length and every required field present. Nothing is guessed: `1e3`, `NaN`, ` 12` and thirty
//! digits are refused in words that name the value and what would be right.

mod event;
pub(crate) mod json;
pub mod number;
pub(crate) mod object;
pub mod time;
pub(crate) mod value;

#[cfg(test)]
mod tests;

use std::fmt;

pub use event::finish;
pub use json::{Body, parse_amendment, parse_event, parse_json};
pub use object::{JsonError, Object, pointer};
pub use value::{Parsed, parse, parse_currency, parse_flag};

/// What is wrong with one field of an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldError {
    /// Where: a column's name in a file, a JSON pointer (such as `/amount/value`) in JSON; empty where it is the whole.
    pub place: String,
    /// What is wrong and what would be right: a lower-case sentence.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.as_str() {
            "" => f.write_str(&self.message),
            place => write!(f, "`{place}`: {}", self.message),
        }
    }
}

/// Characters of a value that a message shows.
const SHOWN_CHARACTERS_MAX: usize = 40;

/// A value as messages show it: in backticks, cut where it is long, and readable whatever its bytes.
pub fn shown(value: impl AsRef<[u8]>) -> String {
    let value = value.as_ref();
    // Four bytes a character at most, and one more to know whether something was left out.
    let head = value.get(..4 * (SHOWN_CHARACTERS_MAX + 1)).unwrap_or(value);
    let text = String::from_utf8_lossy(head);
    let mut shown = String::from("`");
    shown.extend(text.chars().take(SHOWN_CHARACTERS_MAX).flat_map(|it| {
        let plain = !it.is_control() && it != '`';
        plain.then_some(it).into_iter().chain((!plain).then(|| it.escape_default()).into_iter().flatten())
    }));
    if SHOWN_CHARACTERS_MAX < text.chars().count() {
        shown.push('…');
    }
    shown.push('`');
    shown
}

/// The name that was probably meant: the nearest by edit distance, if it is near.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |other: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &other.to_lowercase());
    let characters = name.chars().count();
    // Of one letter any other would be near.
    let near = characters.div_ceil(3).min(characters.saturating_sub(1));
    names.into_iter().map(|it| (distance(it), it)).filter(|(d, _)| *d <= near).min().map(|(_, it)| it)
}

/// `; did you mean …?` where a name is near, else what there is.
pub fn suggestion<'a>(name: &str, names: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(name, names.clone()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; there is {}", listed(names)),
    }
}

/// Names a list may show.
const LISTED_MAX: usize = 20;

/// Names in backticks, behind commas.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for (at, name) in names.into_iter().enumerate() {
        if at == LISTED_MAX {
            text.push_str(", …");
            break;
        }
        text.push_str(if at == 0 { "`" } else { ", `" });
        text.push_str(name);
        text.push('`');
    }
    if text.is_empty() { "nothing".to_owned() } else { text }
}
