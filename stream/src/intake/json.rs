//! The one shape of events and amendments in JSON, read without guessing: an unknown member, a member twice, a float
//! where money is meant are refused, each with its JSON pointer. All errors of a body are found at once.

use std::borrow::Cow;

use engine::event::{Amendment, Change, Event};
use rules::past::{Challenge, Label, OperationResult, Outcome};
use rules::schema::{Currency, EventTypeId, FieldType, Schema};

use super::number::{self, NumberError};
use super::object::{JsonError, Members, Object, pointer, string};
use super::value::{about, entity_id, event_id, parse, parse_currency, place_of, text_of};
use super::{FieldError, event, listed, shown, suggestion, time};

/// Longest `extra`, in bytes.
const EXTRA_BYTES_MAX: usize = 16 * 1024;
/// Longest `kind` of a label, in bytes.
pub(crate) const LABEL_KIND_BYTES_MAX: u16 = 128;

/// What a body was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// An event, which now stands in the buffer.
    Event,
    /// An amendment.
    Amendment(Amendment),
}

/// Reads an event into the buffer, or an amendment, whichever it is.
///
/// # Errors
/// See [`JsonError`]; the buffer then holds nothing of use.
pub fn parse_json(body: &[u8], schema: &Schema, event: &mut Event) -> Result<Body, JsonError> {
    let mut object = Object::read(body)?;
    let read = if object.is_amendment() {
        object.amendment().map(Body::Amendment)
    } else {
        object.event(schema, event).map(|()| Body::Event)
    };
    object.end(read)
}

/// Reads an event into the buffer.
///
/// # Errors
/// See [`JsonError`]; the buffer then holds nothing of use.
pub fn parse_event(body: &[u8], schema: &Schema, event: &mut Event) -> Result<(), JsonError> {
    let mut object = Object::read(body)?;
    let read = object.event(schema, event);
    object.end(read)
}

/// Reads an amendment.
///
/// # Errors
/// See [`JsonError`].
pub fn parse_amendment(body: &[u8]) -> Result<Amendment, JsonError> {
    let mut object = Object::read(body)?;
    let read = object.amendment();
    object.end(read)
}

impl Object<'_> {
    /// Whether it is meant as an amendment: only such a one has an `event_id`, and only an event a `type`.
    pub fn is_amendment(&self) -> bool {
        self.has("event_id") && !self.has("type")
    }

    fn time(&mut self) -> Option<i64> {
        let value = self.take("time")?;
        let time = string(value)
            .and_then(|text| time::rfc3339(text.as_bytes()).map_err(|it| about(text.as_bytes(), &it)));
        time.map_err(|message| self.refuse("time", message)).ok()
    }

    fn event(&mut self, schema: &Schema, event: &mut Event) -> Option<()> {
        let name = self.required_text("type", |text| text_of(text, u16::MAX));
        let event_type = name.and_then(|name| self.event_type(schema, &name));
        let declared = event_type.and_then(|it| schema.event(it));
        event.begin(event_type.unwrap_or(EventTypeId(0)), declared.map_or(0, |it| it.fields.len()));
        if let Some(id) = self.required_text("id", event_id) {
            event.id.push_str(&id);
        }
        if let Some(time) = self.time() {
            (event.time, event.time_given) = (time, true);
        }
        event.recheck_of = self.text_that("recheck_of", event_id).map(Cow::into_owned);
        if let Some(extra) = self.take("extra") {
            self.extra(extra, event);
        }
        let declared = declared?;
        for (at, field) in declared.fields.iter().enumerate() {
            let Some(field_declared) = schema.field(field.field) else { continue };
            let Some(value) = self.take(&field_declared.name) else { continue };
            let set = if field.derived.is_some() {
                Err(FieldError::own("is derived at intake: leave it out"))
            } else {
                set_field(event, at, field_declared.ty, schema, value)
            };
            if let Err(error) = set {
                self.note(error.under(&field_declared.name));
            }
        }
        let own = ["id", "type", "time", "recheck_of", "extra"].into_iter();
        let fields =
            declared.fields.iter().filter_map(|it| schema.field(it.field)).map(|it| it.name.as_str());
        self.refuse_unknown(own.chain(fields));
        if self.has_errors() && event.recheck_of.is_none() {
            // What was sent is not missing, and what is derived of it may be there when that is right.
            let required = declared.fields.iter().filter(|it| !it.optional && it.derived.is_none());
            for field in required.filter_map(|it| schema.field(it.field)) {
                if !self.has(&field.name) {
                    self.refuse(&field.name, event::missing(declared));
                }
            }
        } else if let Err(missing) = event::finish(event, schema, pointer) {
            missing.into_iter().for_each(|it| self.note(it));
        }
        Some(())
    }

    fn event_type(&mut self, schema: &Schema, name: &str) -> Option<EventTypeId> {
        let found = schema.event_type(name);
        if found.is_none() {
            let types = schema.events.iter().map(|it| it.name.as_str());
            self.refuse("type", format!("{} is no event type{}", shown(name), suggestion(name, types)));
        }
        found
    }

    fn extra(&mut self, extra: &str, event: &mut Event) {
        match extra.len() {
            _ if !extra.starts_with('{') => self.refuse("extra", "must be an object".to_owned()),
            bytes if EXTRA_BYTES_MAX < bytes => {
                self.refuse("extra", format!("is too long: {bytes} bytes, at most {EXTRA_BYTES_MAX}"));
            }
            _ => event.extra.push_str(extra),
        }
    }

    fn amendment(&mut self) -> Option<Amendment> {
        let id = self.required_text("id", event_id);
        let event_id = self.required_text("event_id", event_id);
        let time = self.time();
        let kind = self.text_that("kind", |text| text_of(text, LABEL_KIND_BYTES_MAX));
        let changes = [
            self.change("label", Label::NAMES, |it| Some(Change::Label(Label::from_name(it)?, None))),
            self.change("challenge", Challenge::NAMES, |it| {
                Some(Change::Challenge(Challenge::from_name(it)?))
            }),
            self.change("result", OperationResult::NAMES, |it| {
                Some(Change::Result(OperationResult::from_name(it)?))
            }),
            self.change("outcome", Outcome::NAMES, |it| Some(Change::Outcome(Outcome::from_name(it)?))),
        ];
        let mut changes = changes.into_iter().flatten();
        let change = match (changes.next(), changes.next()) {
            (Some(Change::Label(label, _)), None) => Some(Change::Label(label, kind.map(Cow::into_owned))),
            (Some(_), None) if kind.is_some() => {
                self.refuse("kind", "stands beside `label` only".to_owned());
                None
            }
            (Some(change), None) => Some(change),
            _ if self.has_errors() => None,
            _ => {
                let message = "must set exactly one of `label`, `challenge`, `result` and `outcome`";
                self.note(FieldError::own(message));
                None
            }
        };
        self.refuse_unknown(
            ["id", "event_id", "time", "kind", "label", "challenge", "result", "outcome"].into_iter(),
        );
        let (id, event_id) = (id?.into_owned(), event_id?.into_owned());
        Some(Amendment { id, event_id, time: time.unwrap_or(0), time_given: time.is_some(), change: change? })
    }

    fn change(&mut self, name: &str, names: &[&str], of: impl Fn(&str) -> Option<Change>) -> Option<Change> {
        let value = self.text_that(name, |text| text_of(text, u16::MAX))?;
        let change = of(&value);
        if change.is_none() {
            self.refuse(
                name,
                format!("{} is none of {}", shown(value.as_bytes()), listed(names.iter().copied())),
            );
        }
        change
    }
}

fn set_field(
    event: &mut Event,
    at: usize,
    ty: FieldType,
    schema: &Schema,
    value: &str,
) -> Result<(), FieldError> {
    match ty {
        FieldType::Flag => match value {
            "true" => event.set_number(at, 1),
            "false" => event.set_number(at, 0),
            other => return Err(FieldError::own(about(other.as_bytes(), "is not `true` or `false`"))),
        },
        FieldType::Int => event.set_number(at, integer(value).map_err(FieldError::own)?),
        FieldType::Money { currency } => {
            let (minor, sent) = money(value, currency)?;
            event.set_money(at, minor, sent);
        }
        FieldType::Place => event.set_number(at, place(value)?),
        FieldType::Time => {
            let text = string(value).map_err(FieldError::own)?;
            let time = time::rfc3339(text.as_bytes());
            event.set_number(at, time.map_err(|it| FieldError::own(about(text.as_bytes(), &it)))?);
        }
        FieldType::Text { max_bytes } => {
            let text = string(value).map_err(FieldError::own)?;
            let checked = text_of(text.as_bytes(), max_bytes);
            event.set_text(at, checked.map_err(|it| FieldError::own(about(text.as_bytes(), &it)))?);
        }
        FieldType::Entity(_) => {
            let text = string(value).map_err(FieldError::own)?;
            let checked = entity_id(text.as_bytes());
            event.set_text(at, checked.map_err(|it| FieldError::own(about(text.as_bytes(), &it)))?);
        }
        FieldType::Decimal { .. } | FieldType::Duration | FieldType::Enum(_) => {
            let text = string(value).map_err(FieldError::own)?;
            let parsed = parse(ty, schema, schema.currency, &text);
            parsed.map_err(|it| FieldError::own(about(text.as_bytes(), &it)))?.set(event, at);
        }
    }
    Ok(())
}

/// A JSON number without point or exponent.
fn integer(value: &str) -> Result<i64, String> {
    if !value.bytes().all(|it| it.is_ascii_digit() || it == b'-') {
        return Err(about(value.as_bytes(), "must be a whole number, without quotes, point or exponent"));
    }
    number::scaled(value.as_bytes(), 0).map_err(|it| about(value.as_bytes(), &it.to_string()))
}

/// A whole number of minor units.
fn minor_units(value: &str) -> Result<i64, String> {
    match integer(value)? {
        minor if minor < 0 => Err(about(value.as_bytes(), &NumberError::Negative.to_string())),
        minor => Ok(minor),
    }
}

/// The two members of an object, and nothing else. Of what is wrong with it the first is told.
fn two_members<'a>(value: &'a str, first: &str, second: &str) -> Result<(&'a str, &'a str), FieldError> {
    let shape = || FieldError::own(format!("must be an object of `{first}` and `{second}`"));
    let Members(members) = serde_json::from_str(value).map_err(|_| shape())?;
    let of = |name: &str| members.iter().find(|it| it.name == name && it.value != "null").map(|it| it.value);
    let missing = |name: &str| FieldError::own("missing").under(name);
    if let Some(other) = members.iter().find(|it| it.name != first && it.name != second) {
        let suggestion = suggestion(&other.name, [first, second]);
        return Err(FieldError::own(format!("no such field{suggestion}")).under(&other.name));
    }
    let both = (of(first).ok_or_else(|| missing(first))?, of(second).ok_or_else(|| missing(second))?);
    if members.len() == 2 {
        return Ok(both);
    }
    let firsts = members.iter().filter(|it| it.name == first).count();
    Err(FieldError::own("is there twice").under(if 1 < firsts { first } else { second }))
}

fn money(value: &str, fixed: Option<Currency>) -> Result<(i64, Currency), FieldError> {
    let (value, code) = two_members(value, "value", "currency")?;
    let minor = minor_units(value).map_err(|it| FieldError::own(it).under("value"))?;
    let code = string(code).map_err(|it| FieldError::own(it).under("currency"))?;
    let currency = parse_currency(code.as_bytes()).and_then(|currency| match fixed {
        Some(fixed) if fixed != currency => Err(format!("is refused: the field takes only {}", fixed.code())),
        _ => Ok(currency),
    });
    Ok((minor, currency.map_err(|it| FieldError::own(about(code.as_bytes(), &it)).under("currency"))?))
}

fn place(value: &str) -> Result<i64, FieldError> {
    let (latitude, longitude) = two_members(value, "lat", "lon")?;
    for (name, degrees) in [("lat", latitude), ("lon", longitude)] {
        number::degrees_e7(degrees.as_bytes())
            .map_err(|it| FieldError::own(about(degrees.as_bytes(), &it.to_string())).under(name))?;
    }
    place_of(latitude.as_bytes(), longitude.as_bytes())
        .map_err(|it| FieldError::own(about(value.as_bytes(), &it)))
}
