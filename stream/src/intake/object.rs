//! A JSON object, taken apart member by member without guessing: what nobody asked for, what is there twice and what has
//! another type are all noted, each with its JSON pointer, and told together. Every body of the interface is read so.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::value::about;
use super::{FieldError, suggestion};

/// Most members of one object: more than any event has.
const MEMBERS_MAX: usize = 512;

/// Why a body was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JsonError {
    /// It is not JSON.
    Syntax(String),
    /// These members are wrong; one without a place: the whole.
    Fields(Vec<FieldError>),
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(message) => f.write_str(message),
            Self::Fields(errors) => {
                for (at, error) in errors.iter().enumerate() {
                    write!(f, "{}{error}", if at == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for JsonError {}

impl JsonError {
    /// Why a text is no JSON object, in words of its own.
    fn of(error: &serde_json::Error) -> Self {
        let said = not_an_object(error);
        if error.is_data() { Self::Fields(vec![FieldError::own(said)]) } else { Self::Syntax(said) }
    }

    /// The errors of a value that is a member itself, of a text that is known to be JSON.
    fn fields(self) -> Vec<FieldError> {
        match self {
            Self::Syntax(said) => vec![FieldError::own(said)],
            Self::Fields(fields) => fields,
        }
    }
}

/// Why a text is no JSON object, in words of its own.
pub(crate) fn not_an_object(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let what = said.split(" at line ").next().unwrap_or_default();
    match (error.line(), error.column()) {
        _ if what.starts_with("invalid type") => "must be a JSON object: `{…}`".to_owned(),
        _ if error.is_data() => what.to_owned(),
        (1, 0) if error.is_eof() => "is empty, and was to be a JSON object: `{…}`".to_owned(),
        (1, column) => format!("is no JSON: {what} at column {column}"),
        (line, column) => format!("is no JSON: {what} at line {line}, column {column}"),
    }
}

/// An object's members, with their values as raw text.
pub(crate) struct Members<'a>(pub(crate) SmallVec<[Member<'a>; 16]>);

#[derive(Clone, Debug)]
pub(crate) struct Member<'a> {
    pub(crate) name: Cow<'a, str>,
    /// Without surrounding space.
    pub(crate) value: &'a str,
    used: bool,
}

impl Member<'_> {
    /// `null` counts as absent.
    fn is_there(&self) -> bool {
        self.value != "null"
    }
}

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = SmallVec::new();
                while let Some(Name(name)) = map.next_key()? {
                    let value = map.next_value::<&RawValue>()?.get();
                    if MEMBERS_MAX <= members.len() {
                        return Err(serde::de::Error::custom(format!("more than {MEMBERS_MAX} members")));
                    }
                    members.push(Member { name, value, used: false });
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// An object that is being taken apart, and what was found to be wrong with it.
#[derive(Debug)]
pub struct Object<'a> {
    members: SmallVec<[Member<'a>; 16]>,
    errors: Vec<FieldError>,
}

impl<'a> Object<'a> {
    /// Of a whole body.
    ///
    /// # Errors
    /// If it is no JSON, or another value than an object.
    pub fn read(body: &'a [u8]) -> Result<Self, JsonError> {
        // Looked at once as a whole, text need not be looked at again value by value. What is none is refused either way.
        match str::from_utf8(body) {
            Ok(text) => Self::of(text),
            Err(_) => Self::with(serde_json::from_slice(body)),
        }
    }

    /// Of a text.
    #[inline]
    fn of(text: &'a str) -> Result<Self, JsonError> {
        Self::with(serde_json::from_str(text))
    }

    #[inline]
    fn with(read: serde_json::Result<Members<'a>>) -> Result<Self, JsonError> {
        let Members(members) = read.map_err(|it| JsonError::of(&it))?;
        let mut object = Self { members, errors: Vec::new() };
        object.refuse_doubles();
        Ok(object)
    }

    fn refuse_doubles(&mut self) {
        for at in 0..self.members.len() {
            let (before, rest) = self.members.split_at_mut(at);
            let Some(member) = rest.first_mut() else { break };
            if before.iter().any(|it| it.name == member.name) {
                // Of the two this one is not looked at again.
                member.used = true;
                self.errors
                    .push(FieldError { place: pointer(&member.name), message: "is there twice".into() });
            }
        }
    }

    /// Whether it has a member.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|it| it.name == name && it.is_there())
    }

    /// The value of a member, marked as used.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a str> {
        let member = self.members.iter_mut().find(|it| it.name == name)?;
        member.used = true;
        Some(member.value).filter(|_| member.is_there())
    }

    /// Takes a member that must be there; it is told if it is not.
    fn required(&mut self, name: &str) -> Option<&'a str> {
        let value = self.take(name);
        if value.is_none() {
            self.refuse(name, "missing".to_owned());
        }
        value
    }

    /// Notes what is wrong with a member.
    pub fn refuse(&mut self, name: &str, message: String) {
        self.errors.push(FieldError { place: pointer(name), message });
    }

    /// Notes what is wrong.
    pub(super) fn note(&mut self, error: FieldError) {
        self.errors.push(error);
    }

    /// Whether something is wrong.
    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Any text; a refusal is noted.
    pub fn text(&mut self, name: &str) -> Option<Cow<'a, str>> {
        self.text_that(name, |text| str::from_utf8(text).map_err(|it| it.to_string()))
    }

    /// A text member that passes a check; a refusal is noted.
    pub(super) fn text_that(
        &mut self,
        name: &str,
        check: fn(&[u8]) -> Result<&str, String>,
    ) -> Option<Cow<'a, str>> {
        let value = self.take(name)?;
        self.checked(name, value, check)
    }

    fn checked(
        &mut self,
        name: &str,
        value: &'a str,
        check: fn(&[u8]) -> Result<&str, String>,
    ) -> Option<Cow<'a, str>> {
        let checked = string(value).and_then(|text| match check(text.as_bytes()) {
            Ok(_) => Ok(text),
            Err(problem) => Err(about(text.as_bytes(), &problem)),
        });
        checked.map_err(|message| self.refuse(name, message)).ok()
    }

    /// Takes and checks a text that must be there; it is told if it is not.
    pub(super) fn required_text(
        &mut self,
        name: &str,
        check: fn(&[u8]) -> Result<&str, String>,
    ) -> Option<Cow<'a, str>> {
        let value = self.required(name)?;
        self.checked(name, value, check)
    }

    /// The values of an array that must be there, each as raw text.
    pub fn array(&mut self, name: &str) -> Option<Vec<&'a str>> {
        let value = self.required(name)?;
        // A member's value is known to be JSON: what is no array begins with something else.
        match serde_json::from_str::<Vec<&RawValue>>(value) {
            Ok(values) => Some(values.into_iter().map(RawValue::get).collect()),
            Err(_) => {
                self.refuse(name, about(value.as_bytes(), "must be an array"));
                None
            }
        }
    }

    /// An object that must be there, taken apart in its turn.
    pub fn object<T>(
        &mut self,
        name: &str,
        take: impl FnOnce(Object<'a>) -> Result<T, JsonError>,
    ) -> Option<T> {
        let value = self.required(name)?;
        let taken = Object::of(value).and_then(take);
        let refused = |error: JsonError| error.fields().into_iter().map(|it| it.under(name));
        taken.map_err(|error| self.errors.extend(refused(error))).ok()
    }

    /// All members, whatever their names, as what is made of their texts.
    ///
    /// # Errors
    /// If one is there twice, is no text, or nothing can be made of it.
    pub fn texts<T>(
        mut self,
        make: impl Fn(&str, Cow<'a, str>) -> Result<T, String>,
    ) -> Result<Vec<T>, JsonError> {
        let mut all = Vec::with_capacity(self.members.len());
        for Member { name, value, .. } in std::mem::take(&mut self.members).into_iter().filter(|it| !it.used)
        {
            match string(value).and_then(|text| make(&name, text)) {
                Ok(made) => all.push(made),
                Err(message) => self.refuse(&name, message),
            }
        }
        self.end(Some(all))
    }

    /// Notes the members that nobody asked for.
    pub(super) fn refuse_unknown<'n>(&mut self, known: impl Iterator<Item = &'n str> + Clone) {
        let unknown = self.members.iter().filter(|it| !it.used && it.is_there());
        let unknown: Vec<_> = unknown.map(|it| it.name.clone()).collect();
        for name in unknown {
            self.refuse(&name, format!("no such field{}", suggestion(&name, known.clone())));
        }
    }

    /// What was made of it, if nothing is wrong with it, members that nobody asked for included; those `known` are
    /// suggested in the place of such a one.
    ///
    /// # Errors
    /// If something is wrong, all of it.
    pub fn finish<T>(mut self, known: &[&str], made: Option<T>) -> Result<T, JsonError> {
        self.refuse_unknown(known.iter().copied());
        self.end(made)
    }

    /// What was made of it, if nothing is wrong.
    pub(super) fn end<T>(&mut self, made: Option<T>) -> Result<T, JsonError> {
        match made {
            Some(made) if self.errors.is_empty() => Ok(made),
            _ => Err(JsonError::Fields(std::mem::take(&mut self.errors))),
        }
    }
}

impl FieldError {
    /// An error of the value itself.
    pub(super) fn own(message: impl Into<String>) -> Self {
        Self { place: String::new(), message: message.into() }
    }

    /// This complaint, one member deeper.
    pub(super) fn under(self, name: &str) -> Self {
        Self { place: pointer(name) + &self.place, ..self }
    }
}

/// A JSON pointer (RFC 6901) to a member of the body.
pub fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The text of a JSON string; anything else is refused.
pub(crate) fn string(value: &str) -> Result<Cow<'_, str>, String> {
    match value.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        Some(_) => serde_json::from_str(value).map(Cow::Owned).map_err(|it| no_text(&it)),
        None => Err(about(value.as_bytes(), "must be a string, in quotes")),
    }
}

/// Why a string is no text, such as half a surrogate pair. Where in the value that is tells nobody anything.
fn no_text(error: &serde_json::Error) -> String {
    let said = error.to_string();
    format!("is no text: {}", said.split(" at line ").next().unwrap_or_default())
}
