//! Bodies of every kind are read alike: an object is wanted where the document says object, and whatever is wrong is
//! named by its JSON pointer.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Weir, answer};

/// A path with a method, a body, and what is said of it: the status, then each pointer with its detail.
type Row = (&'static str, &'static str, u16, &'static [(&'static str, &'static str)]);

const OBJECT: &str = "must be a JSON object: `{…}`";
const STRING: &str = "must be a string, in quotes";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("POST /v1/decisions",              r"[]",                          422, &[("#", OBJECT)]),
    ("POST /v1/decisions",              r"null",                        422, &[("#", OBJECT)]),
    ("POST /v1/decisions",              r#"{"id":"p-1","type":"login","user":"u1","event_id":"p-0"}"#, 422, &[("#/event_id", "no such field")]),
    ("POST /v1/decisions",              r#"{"id":"a-1","event_id":"p-0","label":"fraud"}"#, 422, &[("#/event_id", "an amendment, and these go to `POST /v1/amendments`")]),
    ("POST /v1/decisions",              r#"{"id":"p-1","type":"payment","user":"u1","amount":{"value":1,"value":2,"currency":"CNY"}}"#, 422, &[("#/amount/value", "is there twice")]),
    ("POST /v1/events",                 r#"{"id":"a-1","event_id":"p-0","user":"u1"}"#, 422, &[("#/event_id", "an amendment")]),
    ("POST /v1/amendments",             r#"{"id":"z-1","label":"fraud"}"#, 422, &[("#/event_id", "missing")]),
    ("POST /v1/amendments",             r#"{"id":"z-1","event_id":null,"label":"fraud"}"#, 422, &[("#/event_id", "missing")]),
    ("POST /v1/amendments",             r#"{"id":"p-1","type":"login"}"#, 422, &[("#/event_id", "missing"), ("#/type", "no such field")]),
    ("POST /v1/decisions/batch",        r#"[[{"id":"p-1"}]]"#,          422, &[("#", OBJECT)]),
    ("POST /v1/decisions/batch",        r"{}",                          422, &[("#/events", "missing")]),
    ("POST /v1/decisions/batch",        r#"{"events":null}"#,           422, &[("#/events", "missing")]),
    ("POST /v1/decisions/batch",        r#"{"events":5}"#,              422, &[("#/events", "`5` must be an array")]),
    ("POST /v1/decisions/batch",        r#"{"events":{"id":"p-1"}}"#,   422, &[("#/events", "must be an array")]),
    ("POST /v1/decisions/batch",        r#"{"events":[],"events":[]}"#, 422, &[("#/events", "is there twice")]),
    ("POST /v1/decisions/batch",        r#"{"evnts":[]}"#,              422, &[("#/events", "missing"), ("#/evnts", "no such field; did you mean `events`?")]),
    ("POST /v1/decisions/batch",        r#"{"events":[1,]}"#,           400, &[("#", "is no JSON: ")]),
    ("POST /v1/alerts/{id}/acts",       r#"["confirmed","x"]"#,         422, &[("#", OBJECT)]),
    ("POST /v1/alerts/{id}/acts",       r#"{"status":7,"note":[]}"#,    422, &[("#/status", STRING), ("#/note", STRING)]),
    ("POST /v1/alerts/{id}/acts",       r#"{"note":"a","note":"b"}"#,   422, &[("#/note", "is there twice")]),
    ("POST /v1/alerts/{id}/acts",       r#"{"noet":"a"}"#,              422, &[("#/noet", "no such field; did you mean `note`?")]),
    ("POST /v1/alerts/{id}/acts",       r#"{"note":"\ud800"}"#,         422, &[("#/note", "is no text: ")]),
    ("PUT /v1/lists/watched/u1",        r"[]",                          422, &[("#", OBJECT)]),
    ("PUT /v1/lists/watched/u1",        r"null",                        422, &[("#", OBJECT)]),
    ("PUT /v1/lists/watched/u1",        r#"{"until":5,"untl":"x"}"#,    422, &[("#/until", STRING), ("#/untl", "did you mean `until`?")]),
    ("PUT /v1/lists/watched/u1",        r#"{"until"}"#,                 400, &[("#", "is no JSON: ")]),
    ("PUT /v1/rates",                   r#"[["USD","7.1"]]"#,           422, &[("#", OBJECT)]),
    ("PUT /v1/rates",                   r#"{"USD":7.1,"EUR":null}"#,    422, &[("#/USD", STRING), ("#/EUR", STRING)]),
    ("PUT /v1/rates",                   r#"{"EUR":"7.8","EUR":"0.1"}"#, 422, &[("#/EUR", "is there twice")]),
    ("PUT /v1/rates",                   r#"{"U/D":"7.8"}"#,             422, &[("#/U~1D", "currency")]),
    ("PUT /v1/rates",                   r#"{"USD":"7.8\nEUR,1"}"#,      422, &[("#/USD", "")]),
    ("PUT /v1/rules",                   r#"[{"s.weir":"use schema s"}]"#, 422, &[("#", OBJECT)]),
    ("PUT /v1/rules",                   r#"{"files":[]}"#,              422, &[("#/files", OBJECT)]),
    ("PUT /v1/rules",                   r#"{"files":{"s.weir":7}}"#,    422, &[("#/files/s.weir", STRING)]),
    ("PUT /v1/rules",                   r#"{"files":{"s.weir":"","s.weir":""}}"#, 422, &[("#/files/s.weir", "is there twice")]),
    ("PUT /v1/rules",                   r"{}",                          422, &[("#/files", "missing")]),
    ("PUT /v1/rules",                   r#"{"files":{},"base":1}"#,     422, &[("#/base", STRING)]),
    ("PUT /v1/rules",                   r#"{"files":{},"base":"1"}"#,   422, &[("#/base", "is not what `GET /v1/rules` gives as `base`")]),
];

/// Whether a problem has these errors and no others, in words that are nobody's but ours.
fn says(problem: &Value, errors: &[(&str, &str)]) -> bool {
    let said = problem["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let says = |said: &Value, (pointer, detail): &(&str, &str)| {
        said["pointer"] == *pointer && said["detail"].as_str().unwrap().contains(detail)
    };
    let text = problem.to_string();
    let leaks = ["struct ", "sequence", "invalid type", "expected a"].iter().any(|it| text.contains(it));
    !leaks && said.len() == errors.len() && said.iter().zip(errors).all(|(it, expected)| says(it, expected))
}

#[tokio::test]
async fn every_kind_of_body_is_refused_where_it_is_wrong() {
    let weir = Weir::start().await;
    weir.pay("p0", "u0", 200_000).await;
    let id = weir
        .until("the alert is told", async |weir| {
            let alerts = weir.get("/v1/alerts").await.body;
            alerts["alerts"][0]["id"].as_str().map(str::to_owned)
        })
        .await;
    let mut otherwise = Vec::new();
    for (at, body, status, errors) in ROWS {
        let (method, path) = at.split_once(' ').unwrap();
        let request = weir.request(method.parse::<Method>().unwrap(), &path.replace("{id}", &id));
        let got = answer(request.header("Content-Type", "application/json").body(*body)).await;
        if got.status != *status || !says(&got.body, errors) {
            otherwise.push(format!("{at} {body}: {} {}", got.status, got.body));
        }
    }
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
    assert_eq!(weir.get(&format!("/v1/alerts/{id}")).await.body["acts"], json!([]));
}
