//! Errors as the caller sees them: RFC 9457 problem documents, and every status code in this one file.
//!
//! A problem says what was wrong (`detail`), where (`errors`, each with a JSON pointer into the body, or the name of the
//! parameter or header), and, by its `type`, leads to a page that says what to do.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong. The names are part of the interface: they are never changed and never used for something else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Code {
    /// What came is no HTTP request.
    MalformedRequest,
    /// The body is no JSON.
    MalformedJson,
    /// Some fields are wrong.
    InvalidFields,
    /// A parameter of path or query is wrong.
    InvalidParameter,
    /// A header is wrong.
    InvalidHeader,
    /// The rule set has errors, or a test of its own failed.
    InvalidRules,
    /// No key, or none that is valid.
    Unauthorized,
    /// The key's role may not do this.
    Forbidden,
    /// No such path.
    NoSuchRoute,
    /// Not with this method.
    MethodNotAllowed,
    /// An amendment or a recheck names an unknown event.
    EventUnknown,
    /// No such decision.
    DecisionUnknown,
    /// No such alert.
    AlertUnknown,
    /// No such list, or no such entry.
    ListUnknown,
    /// No such entity kind.
    KindUnknown,
    /// No such rule-set job.
    JobUnknown,
    /// No such version of the rule set.
    VersionUnknown,
    /// The id belongs to something else.
    EventIdReused,
    /// The rule set cannot take over here.
    NotActivated,
    /// Other rules are in force than those that were changed.
    RulesChanged,
    /// The request came too slowly.
    RequestTimeout,
    /// The body is too large.
    BodyTooLarge,
    /// Path and query are too long.
    UriTooLong,
    /// The headers are too long.
    HeadersTooLarge,
    /// The body is not JSON by its own word.
    UnsupportedMediaType,
    /// The disk does not keep up.
    Overloaded,
    /// A bug of ours.
    Internal,
    /// The server cannot take work now.
    Unavailable,
}

/// What every problem of a code says.
struct Known {
    name: &'static str,
    status: StatusCode,
    title: &'static str,
    /// What to do, for the page behind `type`.
    advice: &'static str,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::MalformedRequest,
        Self::MalformedJson,
        Self::InvalidFields,
        Self::InvalidParameter,
        Self::InvalidHeader,
        Self::InvalidRules,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NoSuchRoute,
        Self::MethodNotAllowed,
        Self::EventUnknown,
        Self::DecisionUnknown,
        Self::AlertUnknown,
        Self::ListUnknown,
        Self::KindUnknown,
        Self::JobUnknown,
        Self::VersionUnknown,
        Self::EventIdReused,
        Self::NotActivated,
        Self::RulesChanged,
        Self::RequestTimeout,
        Self::BodyTooLarge,
        Self::UriTooLong,
        Self::HeadersTooLarge,
        Self::UnsupportedMediaType,
        Self::Overloaded,
        Self::Internal,
        Self::Unavailable,
    ];

    #[rustfmt::skip]
    fn known(self) -> Known {
        use StatusCode as S;
        let (name, status, title, advice) = match self {
            Self::MalformedRequest => ("malformed_request", S::BAD_REQUEST, "no HTTP request",
                "Send HTTP/1.1, without TLS. `detail` says what could not be read. The connection was closed."),
            Self::MalformedJson => ("malformed_json", S::BAD_REQUEST, "the body is no JSON",
                "Send one JSON document in UTF-8. `detail` says at which column reading ended, and in which line if there are several."),
            Self::InvalidFields => ("invalid_fields", S::UNPROCESSABLE_ENTITY, "some fields are wrong",
                "`errors` names every wrong field by its JSON pointer, with what would be right. Nothing was decided or recorded."),
            Self::InvalidParameter => ("invalid_parameter", S::BAD_REQUEST, "a parameter is wrong",
                "`errors` names the parameter of the path or the query, with what would be right."),
            Self::InvalidHeader => ("invalid_header", S::BAD_REQUEST, "a header is wrong",
                "`errors` names the header, with what would be right."),
            Self::InvalidRules => ("invalid_rules", S::UNPROCESSABLE_ENTITY, "the rule set is refused",
                "`errors` has every error of its files and every test of its own that failed. `weir rules check` and `weir rules test` say the same."),
            Self::Unauthorized => ("unauthorized", S::UNAUTHORIZED, "no valid key",
                "Send `Authorization: Bearer KEY`. `weir keys create` makes a key, `weir keys list` shows which are valid."),
            Self::Forbidden => ("forbidden", S::FORBIDDEN, "the key's role may not do this",
                "Use a key of one of the roles that `detail` names."),
            Self::NoSuchRoute => ("no_such_route", S::NOT_FOUND, "no such path",
                "`/docs` shows all paths."),
            Self::MethodNotAllowed => ("method_not_allowed", S::METHOD_NOT_ALLOWED, "not with this method",
                "The header `Allow` names the methods that the path has."),
            Self::EventUnknown => ("event_unknown", S::NOT_FOUND, "no such event",
                "Send the event first. An amendment is not kept for an event that is still to come."),
            Self::DecisionUnknown => ("decision_unknown", S::NOT_FOUND, "no such decision",
                "Ask by the decision's id (`dec_…`) or by the event's id."),
            Self::AlertUnknown => ("alert_unknown", S::NOT_FOUND, "no such alert",
                "`GET /v1/alerts` shows which there are."),
            Self::ListUnknown => ("list_unknown", S::NOT_FOUND, "no such list, or not on it",
                "Lists are declared in the rule set; `GET /v1/rules` names them."),
            Self::KindUnknown => ("kind_unknown", S::NOT_FOUND, "no such entity kind",
                "Kinds are declared in the schema; `GET /v1/rules` names them."),
            Self::JobUnknown => ("job_unknown", S::NOT_FOUND, "no such job",
                "Jobs are forgotten when the server stops; `GET /v1/rules` says what is in force."),
            Self::VersionUnknown => ("version_unknown", S::NOT_FOUND, "no such version of the rule set",
                "`GET /v1/rules` names the newest versions; they are numbered in the order in which they came."),
            Self::EventIdReused => ("event_id_reused", S::CONFLICT, "the id belongs to something else",
                "Within 24 hours an id names one body. Send a new id for a new event or amendment; send the same body again to ask for its first answer."),
            Self::NotActivated => ("not_activated", S::CONFLICT, "the rule set cannot take over here",
                "`detail` says what its state lacks, or would take. What was in force stays in force."),
            Self::RulesChanged => ("rules_changed", S::CONFLICT, "the rules, or files beside them, were changed meanwhile",
                "Take the files of `GET /v1/rules` again, change those, and send them with its `base`. What is in force stays in force."),
            Self::RequestTimeout => ("request_timeout", S::REQUEST_TIMEOUT, "the request came too slowly",
                "Send the headers at once, and the whole body within 10 seconds."),
            Self::BodyTooLarge => ("body_too_large", S::PAYLOAD_TOO_LARGE, "the body is too large",
                "Send less at once: `detail` names the limit."),
            Self::UriTooLong => ("uri_too_long", S::URI_TOO_LONG, "path and query are too long",
                "Ask for less at once: an event's id has at most 128 bytes, an entity's 256. The connection was closed."),
            Self::HeadersTooLarge => ("headers_too_large", S::REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too large",
                "Send no more than 100 headers, of no more than 400 kB together. The connection was closed."),
            Self::UnsupportedMediaType => ("unsupported_media_type", S::UNSUPPORTED_MEDIA_TYPE, "the body must be JSON",
                "Send `Content-Type: application/json`."),
            Self::Overloaded => ("overloaded", S::TOO_MANY_REQUESTS, "more is offered than the disk can keep",
                "Nothing was decided or recorded. Send it again after `Retry-After` seconds."),
            Self::Internal => ("internal", S::INTERNAL_SERVER_ERROR, "an error of the server's own",
                "The server's log has the cause. Sending the same event again is safe: its id makes it one event."),
            Self::Unavailable => ("unavailable", S::SERVICE_UNAVAILABLE, "the server takes no work now",
                "`detail` says why. Send it again after `Retry-After` seconds; `GET /readyz` says when it is over."),
        };
        Known { name, status, title, advice }
    }

    /// The name used everywhere outside.
    pub(crate) fn name(self) -> &'static str {
        self.known().name
    }

    /// The code of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        self.known().status
    }

    /// What is the same of all problems of this code.
    pub(crate) fn title(self) -> &'static str {
        self.known().title
    }

    /// What to do about it.
    pub(crate) fn advice(self) -> &'static str {
        self.known().advice
    }
}

/// Why a request was not done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Problem {
    /// What went wrong.
    pub(crate) code: Code,
    /// What was wrong this time: a lower-case sentence.
    pub(crate) detail: String,
    /// Where.
    pub(crate) errors: Vec<Complaint>,
    /// When to come again.
    pub(crate) retry_after_s: Option<u32>,
    /// What would not fit into memory.
    pub(crate) memory: Option<NoRoom>,
}

/// What would not fit into memory, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct NoRoom {
    /// What it would take.
    pub(crate) needed_bytes: u64,
    /// What the server takes.
    pub(crate) in_use_bytes: u64,
    /// What it may take.
    pub(crate) limit_bytes: u64,
}

/// One wrong place of a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub(crate) struct Complaint {
    /// Where: in the body, as a JSON pointer in a URI fragment, or a parameter, or a header.
    #[serde(flatten)]
    pub(crate) place: Where,
    /// What is wrong there, and what would be right.
    pub(crate) detail: String,
}

/// A place in a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Where {
    /// In the body: `#/amount/value`; `#` is the whole body.
    Pointer(String),
    /// A parameter of path or query, by name.
    Parameter(String),
    /// A header, by name.
    Header(String),
    /// In a file of a rule set: `name:line:column`.
    File(String),
}

impl Problem {
    /// A problem that is nowhere in particular.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), errors: Vec::new(), retry_after_s: None, memory: None }
    }

    /// A problem at one place, which says all there is to say.
    pub(crate) fn at(code: Code, place: Where, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let errors = vec![Complaint { place, detail: detail.clone() }];
        Self { errors, ..Self::new(code, detail) }
    }

    /// Wrong fields of a body, each with its JSON pointer below `at` (itself a pointer, or empty).
    pub(crate) fn fields(at: &str, fields: impl IntoIterator<Item = (String, String)>) -> Self {
        let complaint =
            |(pointer, detail)| Complaint { place: Where::Pointer(format!("#{at}{pointer}")), detail };
        let errors: Vec<Complaint> = fields.into_iter().map(complaint).collect();
        let detail = match errors.as_slice() {
            [Complaint { place: Where::Pointer(pointer), detail }] => format!("`{pointer}`: {detail}"),
            several => format!("{} fields are wrong", several.len()),
        };
        Self { errors, ..Self::new(Code::InvalidFields, detail) }
    }

    /// One wrong field, by its JSON pointer.
    pub(crate) fn field(pointer: &str, detail: impl Into<String>) -> Self {
        Self::fields("", [(pointer.to_owned(), detail.into())])
    }

    /// A wrong parameter of path or query.
    pub(crate) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::at(Code::InvalidParameter, Where::Parameter(name.to_owned()), detail)
    }

    /// Says when to come again.
    #[must_use]
    pub(crate) fn retry_after_s(self, seconds: u32) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// An error of our own: the log has the cause, the caller learns only that there was one.
    pub(crate) fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        Self::new(Code::Internal, "the request failed for a reason that is in the server's log")
    }

    /// The document.
    pub(crate) fn body(&self) -> Body {
        Body {
            problem_type: format!("/problems/{}", self.code.name()),
            title: self.code.title().to_owned(),
            status: self.code.status().as_u16(),
            code: self.code.name().to_owned(),
            detail: self.detail.clone(),
            errors: self.errors.clone(),
            memory: self.memory,
        }
    }

    /// As the last bytes of a connection, where no request is that they could be the answer to.
    pub(crate) fn on_the_wire(&self) -> Vec<u8> {
        let body = serde_json::to_vec(&self.body()).unwrap_or_default();
        let status = self.code.status();
        let mut bytes = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend(body);
        bytes
    }
}

impl From<desk::Error> for Problem {
    fn from(error: desk::Error) -> Self {
        if error.is_away() {
            tracing::warn!(%error, "a request could not ask the database");
            return Self::new(Code::Unavailable, "the database does not answer; decisions go on")
                .retry_after_s(1);
        }
        Self::internal(&error)
    }
}

/// A problem document (RFC 9457).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[schema(as = Problem, title = "Problem")]
pub(crate) struct Body {
    /// A page about problems of this code.
    #[serde(rename = "type")]
    pub(crate) problem_type: String,
    /// What this code means: one text for all problems of it.
    pub(crate) title: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What went wrong, for programs.
    pub(crate) code: String,
    /// What was wrong this time.
    pub(crate) detail: String,
    /// Where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub(crate) errors: Vec<Complaint>,
    /// Of a rule set whose state would pass the memory limit: the numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<NoRoom>,
}

/// The media type of problem documents.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.code.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own_and_is_found_by_it() {
        for code in Code::ALL {
            assert_eq!(Code::from_name(code.name()), Some(code));
            assert!(code.status().is_client_error() || code.status().is_server_error());
            assert!(code.title().starts_with(char::is_lowercase) && code.advice().ends_with('.'));
        }
    }

    #[test]
    fn a_problem_says_where() {
        let check = |problem: Problem, expected: &str| {
            assert_eq!(serde_json::to_string(&problem.body()).unwrap(), expected);
        };
        check(
            Problem::field("/amount/value", "`x` must be a whole number"),
            r##"{"type":"/problems/invalid_fields","title":"some fields are wrong","status":422,"code":"invalid_fields","detail":"`#/amount/value`: `x` must be a whole number","errors":[{"pointer":"#/amount/value","detail":"`x` must be a whole number"}]}"##,
        );
        check(
            Problem::parameter("limit", "`0` is not within 1 to 500"),
            r##"{"type":"/problems/invalid_parameter","title":"a parameter is wrong","status":400,"code":"invalid_parameter","detail":"`0` is not within 1 to 500","errors":[{"parameter":"limit","detail":"`0` is not within 1 to 500"}]}"##,
        );
        check(
            Problem::new(Code::Unavailable, "the server is stopping"),
            r##"{"type":"/problems/unavailable","title":"the server takes no work now","status":503,"code":"unavailable","detail":"the server is stopping"}"##,
        );
    }
}
