//! The OpenAPI document, walked: every route is there, every error is described, every example validates, and the roles
//! that it names are those that are let in.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use api::Code;
use desk::key::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Weir, answer};

struct Operation<'a> {
    method: Method,
    path: &'a str,
    said: &'a Value,
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, said)| Operation {
                method: method.to_uppercase().parse().unwrap(),
                path,
                said,
            })
        })
        .collect()
}

async fn document(weir: &Weir) -> Value {
    answer(weir.anonymous(Method::GET, "/openapi.json")).await.body
}

/// A path with its parameters as its examples say.
fn filled(operation: &Operation<'_>) -> String {
    let parameters = operation.said["parameters"].as_array().cloned().unwrap_or_default();
    parameters.iter().filter(|it| it["in"] == "path").fold(operation.path.to_owned(), |path, it| {
        let name = it["name"].as_str().unwrap();
        let example = match &it["example"] {
            Value::Null => "none".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        path.replace(&format!("{{{name}}}"), &example)
    })
}

#[tokio::test]
async fn every_route_is_described() {
    let weir = Weir::start().await;
    let document = document(&weir).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let described: Vec<String> =
        operations(&document).iter().map(|it| format!("{} {}", it.method, it.path)).collect();
    let mut expected = vec![
        "POST /v1/decisions",
        "POST /v1/decisions/batch",
        "GET /v1/decisions/{id}",
        "POST /v1/events",
        "POST /v1/amendments",
        "GET /v1/alerts",
        "GET /v1/alerts/stream",
        "GET /v1/alerts/{id}",
        "POST /v1/alerts/{id}/acts",
        "GET /v1/entities/{kind}/{id}",
        "GET /v1/rules",
        "PUT /v1/rules",
        "GET /v1/rules/jobs/{id}",
        "GET /v1/rules/versions/{id}",
        "GET /v1/lists",
        "GET /v1/lists/{list}/{id}",
        "PUT /v1/lists/{list}/{id}",
        "DELETE /v1/lists/{list}/{id}",
        "GET /v1/rates",
        "PUT /v1/rates",
        "GET /livez",
        "GET /readyz",
        "GET /metrics",
        "GET /openapi.json",
        "GET /problems/{code}",
    ];
    let mut described: Vec<&str> = described.iter().map(String::as_str).collect();
    expected.sort_unstable();
    described.sort_unstable();
    assert_eq!(described, expected);
    let mut ids = BTreeSet::new();
    for operation in operations(&document) {
        let what = format!("{} {}", operation.method, operation.path);
        assert!(
            ids.insert(operation.said["operationId"].to_string()),
            "{what} has the id of another operation"
        );
        for name in ["summary", "operationId", "tags", "responses"] {
            assert!(!operation.said[name].is_null(), "{what} has no {name}");
        }
        if operation.path == "/v1/alerts/stream" {
            continue;
        }
        let answered = answer(weir.request(operation.method.clone(), &filled(&operation))).await;
        assert!(
            !["no_such_route", "method_not_allowed"]
                .contains(&answered.body["code"].as_str().unwrap_or_default()),
            "{what} is not there"
        );
        let status = answered.status.as_str().to_owned();
        assert!(
            !operation.said["responses"][&status].is_null(),
            "{what} answers {status}, which is not described: {}",
            answered.body
        );
        if let Some(code) = answered.body["code"].as_str() {
            let content = &operation.said["responses"][&status]["content"]["application/problem+json"];
            assert!(!content["examples"][code].is_null(), "{what} answers {code}, which is not described");
        }
    }
}

#[tokio::test]
async fn every_error_is_described_and_every_example_validates() {
    let weir = Weir::start().await;
    let document = document(&weir).await;
    let validates = |what: &str, schema: &Value, example: &Value| {
        // The schema's references lead into the document.
        let mut root = schema.clone();
        root["components"] = document["components"].clone();
        let validator = jsonschema::validator_for(&root).unwrap_or_else(|it| panic!("{what}: {it}"));
        if let Err(error) = validator.validate(example) {
            panic!("{what}: {error}: {example}");
        }
    };
    let mut described = BTreeSet::new();
    let mut bodies = 0;
    for operation in operations(&document) {
        let what = format!("{} {}", operation.method, operation.path);
        if let Some(body) = operation.said.get("requestBody") {
            let content = &body["content"]["application/json"];
            assert!(!content["example"].is_null(), "{what} has no example");
            validates(&what, &content["schema"], &content["example"]);
            bodies += 1;
        }
        for (status, response) in operation.said["responses"].as_object().unwrap() {
            assert!(!response["description"].as_str().unwrap().is_empty());
            let content = &response["content"]["application/problem+json"];
            for (code, example) in content["examples"].as_object().into_iter().flatten() {
                validates(&format!("{what} {code}"), &content["schema"], &example["value"]);
                let code = Code::from_name(code).unwrap();
                assert_eq!(code.status().as_str(), status, "{what}");
                described.insert(code);
            }
        }
    }
    assert_eq!(bodies, 8);
    assert_eq!(described, BTreeSet::from(Code::ALL));
}

/// The examples are what the server takes: sent as they stand, they are answered as described.
#[tokio::test]
async fn what_the_examples_say_is_taken_and_what_comes_back_validates() {
    let weir = Weir::start().await;
    let document = document(&weir).await;
    let event =
        document["paths"]["/v1/decisions"]["post"]["requestBody"]["content"]["application/json"]["example"]
            .clone();
    for (method, path, body) in [
        (Method::POST, "/v1/decisions", event.clone()),
        (Method::POST, "/v1/decisions/batch", json!({ "events": [event.clone(), 7] })),
        (Method::POST, "/v1/events", {
            let mut it = event.clone();
            it["id"] = json!("e-1");
            it
        }),
        (
            Method::POST,
            "/v1/amendments",
            json!({ "id": "a-1", "event_id": "p-1", "label": "fraud", "kind": "card_stolen" }),
        ),
        (Method::PUT, "/v1/rates", json!({ "USD": "7.1043", "JPY": "0.0485" })),
        (Method::GET, "/v1/decisions/p-1", Value::Null),
        (Method::POST, "/v1/events", {
            let mut it = event.clone();
            it["id"] = json!("e-2");
            it["amount"]["currency"] = json!("USD");
            it
        }),
        (Method::GET, "/v1/decisions/e-2", Value::Null),
        (Method::GET, "/v1/rates", Value::Null),
        (Method::GET, "/v1/lists", Value::Null),
        (Method::GET, "/v1/rules", Value::Null),
        (Method::GET, "/v1/rules/versions/1", Value::Null),
        (Method::GET, "/v1/alerts", Value::Null),
        (Method::GET, "/v1/entities/user/user-1", Value::Null),
        (Method::GET, "/readyz", Value::Null),
    ] {
        let request = weir.request(method.clone(), path);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answered = answer(request).await;
        assert_eq!(answered.status, 200, "{method} {path}: {}", answered.body);
        let template = operations(&document)
            .into_iter()
            .find(|it| {
                it.method == method && (it.path == path || filled(it) == path || matches(it.path, path))
            })
            .unwrap();
        let mut schema = template.said["responses"]["200"]["content"]["application/json"]["schema"].clone();
        schema["components"] = document["components"].clone();
        // What is not described is wrong too.
        for shape in schema["components"]["schemas"].as_object_mut().unwrap().values_mut() {
            if shape["properties"].is_object() && shape["additionalProperties"].is_null() {
                shape["additionalProperties"] = json!(false);
            }
        }
        let validator = jsonschema::validator_for(&schema).unwrap();
        if let Err(error) = validator.validate(&answered.body) {
            panic!("{method} {path}: {error} at {}: {}", error.instance_path(), answered.body);
        }
    }
}

/// Of two shapes of one name the document has one.
#[test]
fn every_shape_has_a_name_of_its_own() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut names = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            for item in fs::read_to_string(&path).unwrap().split("ToSchema)]").skip(1) {
                let head = item.split('{').next().unwrap();
                let named =
                    ["schema(as = ", "struct ", "enum "].into_iter().find_map(|it| head.split(it).nth(1));
                let name = named.unwrap().split(|it: char| !it.is_alphanumeric()).next().unwrap().to_owned();
                assert!(names.insert(name.clone()), "{name} of {} is not the only one", path.display());
            }
        }
    }
    assert!(names.contains("List") && 20 < names.len(), "{names:?}");
}

#[tokio::test]
async fn numbers_have_the_bounds_to_which_they_are_held() {
    let weir = Weir::start().await;
    let document = document(&weir).await;
    let amount = &document["components"]["schemas"]["Event.payment"]["properties"]["amount"];
    let mut schema = amount.clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (minor, expected) in
        [(-1_i64, false), (0, true), (10_000_000_000_000, true), (10_000_000_000_001, false)]
    {
        let amount = json!({ "value": minor, "currency": "CNY" });
        assert_eq!(validator.is_valid(&amount), expected, "{minor} by the document");
        let mut event = crate::support::payment(&format!("p{minor}"), &format!("u{minor}"), 0);
        event["amount"] = amount;
        assert_eq!(weir.post("/v1/decisions", &event).await.status == 200, expected, "{minor}");
    }
}

#[tokio::test]
async fn ids_have_the_bounds_to_which_they_are_held() {
    let weir = Weir::start().await;
    let document = document(&weir).await;
    let schema = json!({ "$ref": "#/components/schemas/Event", "components": document["components"] });
    let validator = jsonschema::validator_for(&schema).unwrap();
    let too_long = "x".repeat(129);
    for (name, id) in
        [("id", ""), ("id", &too_long), ("user", ""), ("recheck_of", ""), ("recheck_of", &too_long)]
    {
        let mut event = crate::support::payment("p1", "u1", 0);
        event[name] = json!(id);
        assert_eq!(weir.post("/v1/decisions", &event).await.status, 422, "{name} `{id}`");
        assert!(!validator.is_valid(&event), "{name} `{id}` by the document");
    }
}

/// Whether a path is one of a template.
fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len() && template.iter().zip(&path).all(|(a, b)| a.starts_with('{') || a == b)
}

#[tokio::test]
async fn who_may_is_who_the_document_says() {
    let weir = Weir::start().await;
    let document = document(&weir).await;
    let mut guarded = 0;
    for operation in operations(&document) {
        if operation.path == "/v1/alerts/stream" {
            continue;
        }
        let what = format!("{} {}", operation.method, operation.path);
        let roles = operation.said["security"].as_array().map(|it| it[0]["key"].clone());
        let without = answer(weir.anonymous(operation.method.clone(), &filled(&operation))).await;
        assert_eq!(without.status == 401, roles.is_some(), "{what}");
        guarded += usize::from(roles.is_some());
        for role in Role::ALL {
            let request =
                weir.anonymous(operation.method.clone(), &filled(&operation)).bearer_auth(weir.key(role));
            let named = roles.as_ref().is_none_or(|it| it.as_array().unwrap().contains(&json!(role.name())));
            assert_eq!(answer(request).await.status != 403, named, "{what} as {}", role.name());
        }
    }
    assert_eq!(guarded, 20);
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let weir = Weir::start().await;
    let page = answer(weir.anonymous(Method::GET, "/docs/")).await;
    assert_eq!(page.status, 200);
    let html = page.body.as_str().unwrap();
    assert!(html.contains("swagger-ui") && !html.contains("http://") && !html.contains("https://"), "{html}");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'self'"), "{policy}");
    for file in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-initializer.js"] {
        assert_eq!(answer(weir.anonymous(Method::GET, &format!("/docs/{file}"))).await.status, 200, "{file}");
    }
    assert_eq!(answer(weir.anonymous(Method::GET, "/docs/other.js")).await.status, 404);
    // Unless it is told otherwise, the page has the document judged by a server of others.
    let start = answer(weir.anonymous(Method::GET, "/docs/swagger-initializer.js")).await.body;
    let start = start.as_str().unwrap();
    assert!(start.contains("\"validatorUrl\": \"none\"") && !start.contains("://"), "{start}");
    let about = answer(weir.anonymous(Method::GET, "/problems/event_id_reused")).await;
    assert!(about.body.as_str().unwrap().starts_with("event_id_reused (409 Conflict)"), "{}", about.body);
}
