//! What comes in with a request, read within limits: the body, the query, parts of the path. Whatever is wrong with it
//! is a [`Problem`] that says where.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use axum::body::{Bytes, HttpBody as Body};
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri, header};
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use rules::time::Micros;
use stream::intake::{self, JsonError, Object, shown};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use crate::app::App;
use crate::limits::{BODY_BYTES_MAX, JSON_DEPTH_MAX, LARGE_BODIES_MAX};
use crate::operations::Operations;
use crate::problem::{Code, Problem, Where};

/// A JSON body of at most so many bytes, not yet read.
#[derive(Debug)]
pub(crate) struct JsonText<const BYTES_MAX: usize> {
    pub(crate) bytes: Bytes,
    /// Of a large one: its place among those that are in memory at once.
    _place: Option<OwnedSemaphorePermit>,
}

impl<const BYTES_MAX: usize> FromRequest<Arc<App>> for JsonText<BYTES_MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let _place = if BYTES_MAX <= BODY_BYTES_MAX { None } else { Some(place_for_large(app)?) };
        let received = Self::receive(&head.headers, body, app.patience.body).await?;
        Ok(Self { _place, ..received })
    }
}

/// A place for a large body, before any of it is read.
fn place_for_large(app: &App) -> Result<OwnedSemaphorePermit, Problem> {
    Arc::clone(&app.large_bodies).try_acquire_owned().map_err(|_| {
        app.metrics.shed("bodies");
        let detail = format!("{LARGE_BODIES_MAX} bodies as large as this may be are in memory already");
        Problem::new(Code::Unavailable, detail).retry_after_s(1)
    })
}

impl<const BYTES_MAX: usize> JsonText<BYTES_MAX> {
    /// Waits for a body to come in, but not for longer than its sender may take.
    ///
    /// # Errors
    /// If it says that it is no JSON, is too long, is late or ends early.
    pub(crate) async fn receive<B>(headers: &HeaderMap, body: B, patience: Duration) -> Result<Self, Problem>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        check_type(headers)?;
        // What says itself that it is too long need not come first.
        if u64::try_from(BYTES_MAX).is_ok_and(|max| max < body.size_hint().lower()) {
            return Err(too_long(BYTES_MAX));
        }
        let mut body = pin!(Limited::new(body, BYTES_MAX).collect());
        // Mostly it is there already, and needs no timer.
        let read = match body.as_mut().now_or_never() {
            Some(read) => Ok(read),
            None => tokio::time::timeout(patience, body).await,
        };
        let Ok(read) = read else {
            let detail = format!("the body was not there after {patience:?}: send it at once");
            return Err(Problem::at(Code::RequestTimeout, whole_body(), detail));
        };
        let bytes = read.map_err(|error| unread(&*error, BYTES_MAX))?.to_bytes();
        check_depth(&bytes)?;
        Ok(Self { bytes, _place: None })
    }

    /// What is made of the body, an object that has these members and no others.
    ///
    /// # Errors
    /// If it is no such object: all that is wrong with it.
    pub(crate) fn read<'a, T>(
        &'a self,
        members: &[&str],
        take: impl FnOnce(&mut Object<'a>) -> Option<T>,
    ) -> Result<T, Problem> {
        let made = Object::read(&self.bytes).and_then(|mut object| {
            let made = take(&mut object);
            object.finish(members, made)
        });
        made.map_err(|it| unreadable_json("", it))
    }

    /// What is made of the body, an object of texts under names of the caller's own.
    ///
    /// # Errors
    /// If it is no such object, or nothing can be made of some of them: all that is wrong with it.
    pub(crate) fn read_texts<'a, T>(
        &'a self,
        make: impl Fn(&str, Cow<'a, str>) -> Result<T, String>,
    ) -> Result<Vec<T>, Problem> {
        Object::read(&self.bytes).and_then(|it| it.texts(make)).map_err(|it| unreadable_json("", it))
    }
}

/// What is wrong with JSON that stands in the body at the JSON pointer `at`.
pub(crate) fn unreadable_json(at: &str, error: JsonError) -> Problem {
    match error {
        JsonError::Syntax(said) if at.is_empty() => malformed(&said),
        JsonError::Syntax(said) => Problem::fields(at, [(String::new(), said)]),
        JsonError::Fields(fields) => Problem::fields(at, fields.into_iter().map(|it| (it.place, it.message))),
    }
}

/// The body is no JSON, as the reader says.
fn malformed(said: &str) -> Problem {
    Problem::at(Code::MalformedJson, whole_body(), said)
}

fn whole_body() -> Where {
    Where::Pointer("#".to_owned())
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    if let Some(given) =
        headers.get(header::CONTENT_ENCODING).filter(|it| !it.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        let detail = format!("the body is packed ({}): send it plain", shown(given.as_bytes()));
        return Err(Problem::at(
            Code::UnsupportedMediaType,
            Where::Header("Content-Encoding".to_owned()),
            detail,
        ));
    }
    let Some(given) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = given.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let place = Where::Header("Content-Type".to_owned());
    let detail = format!("the body is {} by its own word: send `application/json`", shown(given.as_bytes()));
    Err(Problem::at(Code::UnsupportedMediaType, place, detail))
}

fn too_long(bytes_max: usize) -> Problem {
    let detail = format!("the body is longer than {bytes_max} bytes: send less at once");
    Problem::at(Code::BodyTooLarge, whole_body(), detail)
}

fn unread(error: &(dyn Error + Send + Sync + 'static), bytes_max: usize) -> Problem {
    if error.is::<LengthLimitError>() {
        return too_long(bytes_max);
    }
    Problem::at(Code::MalformedJson, whole_body(), format!("the body ended early: {error}"))
}

/// Refuses what is nested too deep: the readers below skip what they need not look at, and would go to any depth.
fn check_depth(body: &[u8]) -> Result<(), Problem> {
    // Most have not even so many brackets.
    if memchr::memchr2_iter(b'[', b'{', body).nth(JSON_DEPTH_MAX).is_none() {
        return Ok(());
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if JSON_DEPTH_MAX < depth {
            return Err(malformed(&format!("arrays and objects are nested deeper than {JSON_DEPTH_MAX}")));
        }
    }
    Ok(())
}

/// The parameters that each operation has.
#[derive(Clone, Debug)]
pub(crate) struct Queries(Operations<Vec<String>>);

impl Queries {
    /// As a document says.
    pub(crate) fn of(document: &OpenApi) -> Self {
        Self(Operations::of(document, parameters))
    }

    /// Refuses a parameter that the operation does not have: it may be a slip, and would be passed over in silence.
    ///
    /// # Errors
    /// If there is such a parameter.
    pub(crate) fn check(&self, route: &str, method: &Method, uri: &Uri) -> Result<(), Problem> {
        let Some(known) = uri.query().and_then(|_| self.0.find(route, method)) else { return Ok(()) };
        let known = known.iter().map(String::as_str);
        match given(uri)?.iter().find(|(name, _)| known.clone().all(|it| it != name)) {
            None => Ok(()),
            Some((name, _)) => {
                let none = known.len() == 0;
                let hint =
                    if none { ": there is none here".to_owned() } else { intake::suggestion(name, known) };
                Err(Problem::parameter(name, format!("{} is no parameter{hint}", shown(name))))
            }
        }
    }
}

fn parameters(operation: &Operation) -> Vec<String> {
    let all = operation.parameters.iter().flatten().filter_map(|it| match it {
        RefOr::T(it) => Some(it),
        RefOr::Ref(_) => None,
    });
    all.filter(|it| it.parameter_in == ParameterIn::Query).map(|it| it.name.clone()).collect()
}

fn given(uri: &Uri) -> Result<Vec<(String, String)>, Problem> {
    let read = Query::try_from_uri(uri);
    let unread = |_| Problem::new(Code::InvalidParameter, "the query is not of the form `name=value&…`");
    read.map(|Query(given)| given).map_err(unread)
}

/// The parameters of a query, taken one by one. That there are no others was seen to before.
#[derive(Debug, Default)]
pub(crate) struct Params(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut params = Self::default();
        for (name, value) in given(&parts.uri)? {
            if params.0.insert(name.clone(), value).is_some() {
                return Err(Problem::parameter(&name, format!("{} is there twice", shown(&name))));
            }
        }
        Ok(params)
    }
}

impl Params {
    /// An id of at most so many bytes.
    ///
    /// # Errors
    /// If it is longer.
    pub(crate) fn id(&mut self, name: &str, bytes_max: usize) -> Result<Option<String>, Problem> {
        self.text(name).map(|id| not_too_long(name, id, bytes_max)).transpose()
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// A value that a text says, in words that follow it: `is not …`.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn value<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let refused = |problem| Problem::parameter(name, format!("{} {problem}", shown(&text)));
        read(&text).map(Some).map_err(refused)
    }

    /// A whole number within a range.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn number(&mut self, name: &str, within: RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        self.value(name, |text| number(text, within))
    }

    /// A time, RFC 3339.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn time(&mut self, name: &str) -> Result<Option<Micros>, Problem> {
        let read = |text: &str| intake::time::rfc3339(text.as_bytes());
        self.value(name, |text| {
            // A `+` in a query is a space, which an offset does not have.
            let meant = text.rsplit_once(' ').map(|(before, offset)| format!("{before}+{offset}"));
            let of_plus = meant.is_some_and(|it| read(&it).is_ok());
            read(text).map_err(|it| if of_plus { it + ": in a query its `+` is written `%2B`" } else { it })
        })
    }

    /// One of a few names.
    ///
    /// # Errors
    /// If it is none of them.
    pub(crate) fn one_of<T: Copy>(
        &mut self,
        name: &str,
        all: &[T],
        name_of: fn(T) -> &'static str,
    ) -> Result<Option<T>, Problem> {
        self.value(name, |text| {
            let names = all.iter().map(|it| name_of(*it));
            let found = all.iter().copied().find(|it| name_of(*it) == text);
            found.ok_or_else(|| format!("is none of {}", intake::listed(names)))
        })
    }
}

/// The parts of a path that are names, decoded.
#[derive(Debug)]
pub(crate) struct Names(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Names {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let names = Path::<BTreeMap<String, String>>::from_request_parts(parts, state).await;
        names.map(|Path(names)| Self(names)).map_err(unread_path)
    }
}

fn unread_path(error: PathRejection) -> Problem {
    if let PathRejection::FailedToDeserializePathParams(it) = &error
        && let ErrorKind::InvalidUtf8InPathParam { key } = it.kind()
    {
        return Problem::parameter(key, "is not UTF-8");
    }
    Problem::internal(&error)
}

impl Names {
    /// A name of any length: it is looked up among few.
    pub(crate) fn text(&mut self, name: &str) -> String {
        self.0.remove(name).unwrap_or_default()
    }

    /// An id of at most so many bytes.
    ///
    /// # Errors
    /// If it is longer.
    pub(crate) fn id(&mut self, name: &str, bytes_max: usize) -> Result<String, Problem> {
        not_too_long(name, self.text(name), bytes_max)
    }

    /// A whole number.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn number(&mut self, name: &str) -> Result<u64, Problem> {
        let text = self.text(name);
        number(&text, 0..=u64::MAX)
            .map_err(|problem| Problem::parameter(name, format!("{} {problem}", shown(&text))))
    }
}

/// Nothing that is longer has such an id.
fn not_too_long(name: &str, id: String, bytes_max: usize) -> Result<String, Problem> {
    if id.len() <= bytes_max {
        return Ok(id);
    }
    let detail = format!("{} is too long: {} bytes, at most {bytes_max}", shown(&id), id.len());
    Err(Problem::parameter(name, detail))
}

/// The whole number that a text says, if it is within a range.
fn number(text: &str, within: RangeInclusive<u64>) -> Result<u64, String> {
    let number = text.parse().ok().filter(|it| within.contains(it));
    number.ok_or_else(|| format!("is not a whole number from {} to {}", within.start(), within.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_of_texts() {
        let check =
            |body: &str, deep: bool| assert_eq!(check_depth(body.as_bytes()).is_err(), deep, "{body}");
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        check(&nested(JSON_DEPTH_MAX), false);
        check(&nested(JSON_DEPTH_MAX + 1), true);
        check(&format!("\"{}\"", "[".repeat(99)), false);
        check(&format!("\"\\\"{}\"", "{".repeat(99)), false);
        check(&format!("\"\\\\\"{}", "{".repeat(99)), true);
        check(&"[]".repeat(99), false);
        check(&"]".repeat(99), false);
    }
}
