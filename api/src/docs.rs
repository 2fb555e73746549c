//! The OpenAPI document, and a page that shows it and needs no internet.
//!
//! Operations are described where they are handled. What is the same for all of them is added here: the problems that
//! any may answer, those that an operation names in its extension `x-problems` as responses with an example, and the
//! schema of events, which the rule set in force declares.

mod events;

pub(crate) use events::example;

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use rules::schema::Schema;
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use crate::keys::SCHEME;
use crate::limits::BATCH_EVENTS_MAX;
use crate::problem::{self, Code, Problem, Where};
use crate::request::Names;

/// Under which member an operation names the problems of its own.
const PROBLEMS: &str = "x-problems";
/// The groups of operations, in the order in which a newcomer meets them.
const TAGS: [(&str, &str); 7] = [
    ("decisions", "Events in, decisions out; what became known later"),
    ("alerts", "What a person must see, and what was done with it"),
    ("entities", "What is known of a user, a card, a device"),
    ("lists", "Lists, tables and rates"),
    ("rules", "The rule set in force, and the next one"),
    ("operation", "Whether the server lives, takes work, and what it counts"),
    ("documentation", "This document, and what errors mean"),
];

/// What any operation may answer.
const ANYWHERE: [Code; 8] = [
    Code::MalformedRequest,
    Code::UriTooLong,
    Code::HeadersTooLarge,
    Code::RequestTimeout,
    Code::MethodNotAllowed,
    Code::InvalidParameter,
    Code::Internal,
    Code::Unavailable,
];
/// What any operation that asks for a key may answer.
const WITH_KEY: [Code; 2] = [Code::Unauthorized, Code::Forbidden];
/// What any operation with a body may answer.
const WITH_BODY: [Code; 3] = [Code::MalformedJson, Code::BodyTooLarge, Code::UnsupportedMediaType];

/// The document without what the rule set declares.
#[derive(Clone, Debug)]
pub(crate) struct Document(Arc<Value>);

impl Document {
    /// Of what the routes say.
    pub(crate) fn of(routes: &OpenApi) -> Self {
        let mut document = serde_json::to_value(routes).unwrap_or_default();
        *at(&mut document, &["info"]) = json!({
            "title": "Weir",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A gate in the stream of payments: every transaction gets `allow`, `challenge` or `block`, \
                a score and reasons, before the money moves. Errors are problem documents (RFC 9457) whose `errors` \
                name each wrong place.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        });
        *at(&mut document, &["components", "securitySchemes", SCHEME]) = json!({
            "type": "http", "scheme": "bearer",
            "description": "An API key, made by `weir keys create`. The roles that an operation asks for stand beside it.",
        });
        *at(&mut document, &["tags"]) =
            TAGS.iter().map(|(name, said)| json!({ "name": name, "description": said })).collect();
        // A whole number is a number too: a value is any of these, not exactly one.
        let value = at(&mut document, &["components", "schemas", "Value"]);
        if let Some(any) = value.as_object_mut().and_then(|it| it.remove("oneOf")) {
            *at(value, &["anyOf"]) = any;
        }
        let operations = at(&mut document, &["paths"]).as_object_mut().into_iter().flat_map(Map::values_mut);
        for operation in operations.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
            describe_problems(operation);
        }
        Self(Arc::new(document))
    }

    /// The document under a schema.
    pub(crate) fn with(&self, schema: &Schema) -> Value {
        let mut document = (*self.0).clone();
        for (name, it) in events::schemas(schema) {
            *at(&mut document, &["components", "schemas", &name]) = it;
        }
        let event = json!({ "$ref": "#/components/schemas/Event" });
        let example = serde_json::to_value(events::example(schema)).unwrap_or_default();
        let events = json!({ "type": "array", "maxItems": BATCH_EVENTS_MAX, "items": event });
        let batch = json!({
            "type": "object", "properties": { "events": events }, "required": ["events"], "additionalProperties": false,
        });
        let many = json!({ "events": [example] });
        for (path, schema, example) in [
            ("/v1/decisions", event.clone(), example.clone()),
            ("/v1/events", event, example),
            ("/v1/decisions/batch", batch, many),
            (
                "/v1/amendments",
                events::amendment(),
                json!({ "id": "a-1", "event_id": "p-1", "label": "fraud", "kind": "card_stolen" }),
            ),
        ] {
            let content =
                at(&mut document, &["paths", path, "post", "requestBody", "content", "application/json"]);
            *content = json!({ "schema": schema, "example": example });
        }
        document
    }
}

/// The value at a path of members, which are made where they are not there.
fn at<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut Value {
    path.iter().fold(value, |value, name| {
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        match value {
            Value::Object(members) => members.entry(*name).or_insert(Value::Null),
            other => other,
        }
    })
}

/// A problem as it may come: with the place of what is wrong, where it has one.
fn example_of(code: Code) -> Problem {
    let (place, detail) = match code {
        Code::InvalidFields => return Problem::field("/amount/value", "`1e3` must be a whole number"),
        Code::InvalidParameter => return Problem::parameter("limit", "`0` is not within 1 to 500"),
        Code::MalformedJson => (Where::Pointer("#".to_owned()), "is no JSON: expected `:` at column 8"),
        Code::InvalidHeader => {
            (Where::Header("Weir-Deadline".to_owned()), "is there twice: say once how long you wait")
        }
        Code::InvalidRules => {
            (Where::File("shop.weir:3:21".to_owned()), "E201: unknown name `amont`; did you mean `amount`?")
        }
        _ => return Problem::new(code, code.title()),
    };
    Problem::at(code, place, detail)
}

/// The header that comes with a problem: its name, what it says, and the type of its value.
fn header_with(code: Code) -> Option<(&'static str, &'static str, &'static str)> {
    match code {
        Code::Overloaded | Code::Unavailable => {
            Some(("Retry-After", "Seconds after which to come again", "integer"))
        }
        Code::Unauthorized => Some(("WWW-Authenticate", "How a key is sent: `Bearer`", "string")),
        Code::MethodNotAllowed => Some(("Allow", "The methods that the route has", "string")),
        _ => None,
    }
}

fn describe_problems(operation: &mut Value) {
    let own = operation.as_object_mut().and_then(|it| it.remove(PROBLEMS)).unwrap_or_default();
    let own = own.as_array().into_iter().flatten().filter_map(|it| Code::from_name(it.as_str()?));
    let mut codes: Vec<Code> = own.chain(ANYWHERE).collect();
    if operation.get("security").is_some() {
        codes.extend(WITH_KEY);
    }
    if operation.get("requestBody").is_some() {
        codes.extend(WITH_BODY);
    }
    codes.sort_unstable();
    codes.dedup();
    for code in codes {
        let response = at(operation, &["responses", code.status().as_str()]);
        // One status may stand for several codes: each is an example.
        let description = match response.get("description").and_then(Value::as_str) {
            Some(others) => format!("{others}; {}", code.title()),
            None => code.title().to_owned(),
        };
        *at(response, &["description"]) = description.into();
        if let Some((header, description, of)) = header_with(code) {
            *at(response, &["headers", header]) =
                json!({ "description": description, "schema": { "type": of } });
        }
        let content = at(response, &["content", problem::MEDIA_TYPE]);
        *at(content, &["schema"]) = json!({ "$ref": "#/components/schemas/Problem" });
        let example = serde_json::to_value(example_of(code).body()).unwrap_or_default();
        *at(content, &["examples", code.name()]) = json!({ "summary": code.advice(), "value": example });
    }
}

/// What a problem means
#[utoipa::path(
    get, path = "/problems/{code}", tag = "documentation",
    params(("code" = String, Path, description = "A problem's `code`", example = "invalid_fields")),
    responses((status = 200, description = "What the problem means and what to do", body = String, content_type = "text/plain")),
    extensions(("x-problems" = json!(["no_such_route"])))
)]
pub(crate) async fn about_problem(mut names: Names) -> Result<String, Problem> {
    let code = names.text("code");
    let code = Code::from_name(&code)
        .ok_or_else(|| Problem::new(Code::NoSuchRoute, "there is no problem of this code"))?;
    Ok(format!("{} ({})\n{}\n\n{}\n", code.name(), code.status(), code.title(), code.advice()))
}

/// The page's address without its slash, from which its files would not be found.
pub(crate) async fn page_moved() -> Redirect {
    Redirect::permanent("/docs/")
}

/// The page.
pub(crate) async fn page() -> Response {
    file_of_page("")
}

/// A file of the page.
pub(crate) async fn page_file(mut names: Names) -> Response {
    file_of_page(&names.text("file"))
}

fn file_of_page(file: &str) -> Response {
    // Else the page would ask a validator on the internet about the document.
    let config = Config::from("/openapi.json").persist_authorization(true).validator_url("none");
    let config = Arc::new(config);
    match utoipa_swagger_ui::serve(file, config) {
        Ok(Some(found)) => {
            // Whatever the page may come to hold: it loads nothing from elsewhere.
            let policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:";
            let headers = [
                (header::CONTENT_TYPE, found.content_type),
                (header::CONTENT_SECURITY_POLICY, policy.to_owned()),
            ];
            let bytes = match found.bytes {
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => Bytes::from(bytes),
            };
            (StatusCode::OK, headers, bytes).into_response()
        }
        Ok(None) => Problem::new(Code::NoSuchRoute, "the page has no such file").into_response(),
        Err(error) => Problem::internal(&error).into_response(),
    }
}
