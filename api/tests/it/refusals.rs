//! Bad requests: each gets a problem that says where, and the server goes on.

use std::time::{Duration, Instant};

use api::Patience;
use desk::key::Role;
use reqwest::Method;
use serde_json::{Value, json};
use stream::journal::Memory;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Answer, Weir, answer, payment};

/// What is expected: status, code, and the place of the first error.
type Expected = (u16, &'static str, &'static str);

#[track_caller]
fn check(what: &str, answer: &Answer, (status, code, place): Expected) {
    let got = (answer.status.as_u16(), answer.body["code"].as_str().unwrap_or_default());
    assert_eq!(got, (status, code), "{what}: {}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{what}");
    let error = &answer.body["errors"][0];
    let found =
        ["pointer", "parameter", "header"].iter().find_map(|it| error[*it].as_str()).unwrap_or_default();
    assert_eq!(found, place, "{what}: {}", answer.body);
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(!detail.is_empty() && detail.len() < 400, "{what}: {detail}");
    assert_eq!(answer.body["type"], format!("/problems/{code}"), "{what}");
}

/// A payment with other members in the place of its own; null takes one away.
fn with(changes: Value) -> String {
    let mut event = payment("p1", "u1", 100);
    for (name, value) in changes.as_object().unwrap() {
        event[name] = value.clone();
    }
    event.to_string()
}

fn raw(amount: &str) -> String {
    format!(r#"{{"id":"p1","type":"payment","user":"u1","amount":{{"value":{amount},"currency":"CNY"}}}}"#)
}

#[rustfmt::skip]
fn bad_bodies() -> Vec<(String, Expected)> {
    let ahead = jiff_time(3_600_000_000);
    vec![
        // No JSON.
        (String::new(),                                             (400, "malformed_json", "#")),
        ("{\"id\": \"p1\",".into(),                                 (400, "malformed_json", "#")),
        ("{'id': 'p1'}".into(),                                     (400, "malformed_json", "#")),
        ("[1, 2]".into(),                                           (422, "invalid_fields", "#")),
        ("\"p1\"".into(),                                           (422, "invalid_fields", "#")),
        (format!("{} {{}}", with(json!({}))),                       (400, "malformed_json", "#")),
        (format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000)),    (400, "malformed_json", "#")),
        (with(json!({ "extra": { "a": nested(40) } })),             (400, "malformed_json", "#")),
        // Fields that are unknown, missing, doubled, or of another type.
        (with(json!({ "amuont": 1 })),                              (422, "invalid_fields", "#/amuont")),
        (with(json!({ "a/b~c": 1 })),                               (422, "invalid_fields", "#/a~1b~0c")),
        (with(json!({ "user": null })),                             (422, "invalid_fields", "#/user")),
        (with(json!({ "id": null })),                               (422, "invalid_fields", "#/id")),
        (with(json!({ "type": null })),                             (422, "invalid_fields", "#/type")),
        (with(json!({ "type": "paymnet" })),                        (422, "invalid_fields", "#/type")),
        (with(json!({ "user": 7 })),                                (422, "invalid_fields", "#/user")),
        (with(json!({ "user": "" })),                               (422, "invalid_fields", "#/user")),
        (with(json!({ "amount": 100 })),                            (422, "invalid_fields", "#/amount")),
        (with(json!({ "channel": "fax" })),                         (422, "invalid_fields", "#/channel")),
        (with(json!({ "mcc": "57321" })),                           (422, "invalid_fields", "#/mcc")),
        (with(json!({ "share": "0.123" })),                         (422, "invalid_fields", "#/share")),
        (with(json!({ "place": { "lat": 91, "lon": 0 } })),         (422, "invalid_fields", "#/place")),
        (with(json!({ "place": { "lat": 1 } })),                    (422, "invalid_fields", "#/place/lon")),
        (with(json!({ "event_id": "p0", "label": "fraud" })),       (422, "invalid_fields", "#/event_id")),
        (json!({ "id": "a1", "event_id": "p0", "label": "fraud" }).to_string(), (422, "invalid_fields", "#/event_id")),
        ("{\"id\":\"a\",\"id\":\"b\",\"type\":\"login\",\"user\":\"u\"}".into(), (422, "invalid_fields", "#/id")),
        // Amounts.
        (raw("1e3"),                                                (422, "invalid_fields", "#/amount/value")),
        (raw("1.5"),                                                (422, "invalid_fields", "#/amount/value")),
        (raw("\"100\""),                                            (422, "invalid_fields", "#/amount/value")),
        (raw(&"9".repeat(30)),                                      (422, "invalid_fields", "#/amount/value")),
        (raw("10000000000001"),                                     (422, "invalid_fields", "#/amount/value")),
        (raw("-100"),                                               (422, "invalid_fields", "#/amount/value")),
        (raw("NaN"),                                                (400, "malformed_json", "#")),
        (raw("100").replace("CNY", "cny"),                          (422, "invalid_fields", "#/amount/currency")),
        (raw("100").replace("CNY", "XXX"),                          (422, "invalid_fields", "#/amount/currency")),
        // Times.
        (with(json!({ "time": "yesterday" })),                      (422, "invalid_fields", "#/time")),
        (with(json!({ "time": "2026-01-05T08:00:00" })),            (422, "invalid_fields", "#/time")),
        (with(json!({ "time": 1767571200 })),                       (422, "invalid_fields", "#/time")),
        (with(json!({ "time": "1969-12-31T23:59:59Z" })),           (422, "invalid_fields", "#/time")),
        (with(json!({ "time": ahead })),                            (422, "invalid_fields", "#/time")),
        (with(json!({ "time": "2020-01-01T00:00:00Z" })),           (422, "invalid_fields", "#/time")),
        // Ids.
        (with(json!({ "id": "x".repeat(10_240) })),                 (422, "invalid_fields", "#/id")),
        (with(json!({ "user": "x".repeat(10_240) })),               (422, "invalid_fields", "#/user")),
        (with(json!({ "recheck_of": "p-unknown" })),                (404, "event_unknown", "#/recheck_of")),
        // Too much.
        (with(json!({ "extra": { "a": "x".repeat(20_000) } })),     (422, "invalid_fields", "#/extra")),
        (with(json!({ "extra": { "a": "x".repeat(70_000) } })),     (413, "body_too_large", "#")),
    ]
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inside, _| json!([inside]))
}

/// A time so far from now.
fn jiff_time(ahead_micros: i64) -> String {
    jiff::Timestamp::from_microsecond(api::now() + ahead_micros).unwrap().to_string()
}

#[tokio::test]
async fn bad_bodies_are_refused_where_they_are_bad() {
    let weir = Weir::start().await;
    // So that the engine's clock is today's.
    weir.pay("today", "u1", 1).await;
    for (body, expected) in bad_bodies() {
        let what: String = body.chars().take(120).collect();
        let request = weir.request(Method::POST, "/v1/decisions").header("Content-Type", "application/json");
        check(&what, &answer(request.body(body)).await, expected);
    }
    let mut bytes = with(json!({ "user": "u?" })).into_bytes();
    let at = bytes.iter().position(|it| *it == b'?').unwrap();
    bytes[at] = 0xff;
    let request = weir.request(Method::POST, "/v1/decisions").header("Content-Type", "application/json");
    check("invalid UTF-8", &answer(request.body(bytes)).await, (400, "malformed_json", "#"));
    assert_eq!(
        weir.pay("p1", "u1", 100).await["outcome"],
        "allow",
        "the server goes on, and nothing was recorded"
    );
}

#[tokio::test]
async fn bad_requests_are_refused_where_they_are_bad() {
    let weir = Weir::start().await;
    let event = payment("p1", "u1", 100);
    let get = |path: &str| weir.request(Method::GET, path);
    let post = |path: &str| weir.request(Method::POST, path).json(&event);
    #[rustfmt::skip]
    let rows: Vec<(&str, reqwest::RequestBuilder, Expected)> = vec![
        ("no such path",      get("/v2/decisions"),                                              (404, "no_such_route", "")),
        ("wrong method",      get("/v1/decisions"),                                              (405, "method_not_allowed", "")),
        ("wrong method",      weir.request(Method::PATCH, "/v1/rules"),                          (405, "method_not_allowed", "")),
        ("no key",            weir.anonymous(Method::POST, "/v1/decisions").json(&event),        (401, "unauthorized", "Authorization")),
        ("wrong key",         weir.anonymous(Method::POST, "/v1/decisions").bearer_auth("weir_0").json(&event), (401, "unauthorized", "Authorization")),
        ("another scheme",    weir.anonymous(Method::POST, "/v1/decisions").basic_auth("a", Some("b")).json(&event), (401, "unauthorized", "Authorization")),
        ("another type",      weir.request(Method::POST, "/v1/decisions").header("Content-Type", "text/plain").body(event.to_string()), (415, "unsupported_media_type", "Content-Type")),
        ("a form",            weir.request(Method::POST, "/v1/decisions").header("Content-Type", "application/x-www-form-urlencoded").body("id=p1"), (415, "unsupported_media_type", "Content-Type")),
        ("a bad deadline",    post("/v1/decisions").header("Weir-Deadline", "soon"),             (400, "invalid_header", "Weir-Deadline")),
        ("a long deadline",   post("/v1/decisions").header("Weir-Deadline", "2h"),               (400, "invalid_header", "Weir-Deadline")),
        ("two deadlines",     post("/v1/decisions").header("Weir-Deadline", "5ms").header("Weir-Deadline", "none"), (400, "invalid_header", "Weir-Deadline")),
        ("a packed body",     post("/v1/decisions").header("Content-Encoding", "gzip"),          (415, "unsupported_media_type", "Content-Encoding")),
        ("an amendment to come", weir.request(Method::POST, "/v1/amendments").json(&json!({ "id": "a1", "event_id": "p1", "label": "fraud", "time": jiff_time(3_600_000_000) })), (422, "invalid_fields", "#/time")),
        ("an unknown version", get("/v1/rules/versions/99"),                                     (404, "version_unknown", "id")),
        ("no version",        get(&format!("/v1/rules/versions/{}", u64::MAX)),                  (404, "version_unknown", "id")),
        ("an event among amendments", post("/v1/amendments"),                                    (422, "invalid_fields", "#/event_id")),
        ("limit",             get("/v1/alerts?limit=0"),                                         (400, "invalid_parameter", "limit")),
        ("limit",             get("/v1/alerts?limit=501"),                                       (400, "invalid_parameter", "limit")),
        ("cursor",            get("/v1/alerts?cursor=x"),                                        (400, "invalid_parameter", "cursor")),
        ("severity",          get("/v1/alerts?severity=worst"),                                  (400, "invalid_parameter", "severity")),
        ("a time",            get("/v1/alerts?from=today"),                                      (400, "invalid_parameter", "from")),
        ("half an entity",    get("/v1/alerts?kind=user"),                                       (400, "invalid_parameter", "id")),
        ("unknown parameter", get("/v1/alerts?severty=high"),                                    (400, "invalid_parameter", "severty")),
        ("doubled parameter", get("/v1/alerts?limit=1&limit=2"),                                 (400, "invalid_parameter", "limit")),
        ("a path in no UTF-8", get("/v1/entities/user/%ff"),                                     (400, "invalid_parameter", "id")),
        ("a number",          get("/v1/rules/jobs/nope"),                                        (400, "invalid_parameter", "id")),
        ("a long entity id",  get(&format!("/v1/entities/user/{}", "x".repeat(257))),            (400, "invalid_parameter", "id")),
        ("a long event id",   get(&format!("/v1/decisions/{}", "x".repeat(129))),                (400, "invalid_parameter", "id")),
        ("a long item",       get(&format!("/v1/lists/watched/{}", "x".repeat(257))),            (400, "invalid_parameter", "id")),
        ("an unknown kind",   get("/v1/alerts?kind=usr&id=u1"),                                  (400, "invalid_parameter", "kind")),
        ("a long id",         get(&format!("/v1/alerts?kind=user&id={}", "x".repeat(257))),      (400, "invalid_parameter", "id")),
        ("unknown parameter", get("/v1/entities/user/u1?limit=5"),                               (400, "invalid_parameter", "limit")),
        ("unknown parameter", get("/v1/lists/watched/u1?x=1"),                                   (400, "invalid_parameter", "x")),
        ("unknown parameter", get("/v1/alerts/stream?since=1"),                                  (400, "invalid_parameter", "since")),
        ("unknown parameter", get("/livez?x"),                                                   (400, "invalid_parameter", "x")),
        ("unknown parameter", post("/v1/decisions?dry_run=true"),                                (400, "invalid_parameter", "dry_run")),
        ("too many events",   weir.request(Method::POST, "/v1/decisions/batch").json(&json!({ "events": vec![7; 1001] })), (422, "invalid_fields", "#/events")),
        ("no events",         weir.request(Method::POST, "/v1/decisions/batch").json(&json!({})), (422, "invalid_fields", "#/events")),
    ];
    for (what, request, expected) in rows {
        check(what, &answer(request).await, expected);
    }
    let wrong_method = answer(get("/v1/decisions")).await;
    assert_eq!(wrong_method.headers["allow"], "POST");
    let no_key = answer(weir.anonymous(Method::GET, "/v1/alerts")).await;
    assert_eq!(no_key.headers["www-authenticate"], "Bearer");
    let role = weir.anonymous(Method::GET, "/v1/alerts").bearer_auth(weir.key(Role::Service));
    let forbidden = answer(role).await;
    check("role", &forbidden, (403, "forbidden", ""));
    assert_eq!(
        forbidden.body["detail"],
        "a key of the role `service` may not do this: use one of `admin`, `analyst`"
    );
}

/// What is wanted is said, in words that mean something to a caller.
#[tokio::test]
async fn a_wrong_parameter_is_told_what_is_wanted() {
    let weir = Weir::start().await;
    #[rustfmt::skip]
    let rows = [
        ("/v1/rules/jobs/nope",         "`nope` is not a whole number from 0 to 18446744073709551615"),
        ("/v1/entities/user/%ff",       "is not UTF-8"),
        ("/v1/entities/usr/u1",         "`usr` is no entity kind; did you mean `user`?"),
        ("/v1/alerts?kind=usr&id=u1",   "`usr` is no entity kind; did you mean `user`?"),
        ("/v1/alerts?severty=high",     "`severty` is no parameter; did you mean `severity`?"),
        ("/v1/entities/user/u1?x=1",    "`x` is no parameter: there is none here"),
        ("/v1/alerts?limit=1&limit=2",  "`limit` is there twice"),
        ("/v1/alerts?from=2026-01-05T08:00:00+08:00", "`2026-01-05T08:00:00 08:00` is not an RFC 3339 time with an offset, such as `2026-01-05T08:00:00+08:00`: in a query its `+` is written `%2B`"),
        ("/v1/alerts?until=2026-01-05", "`2026-01-05` is not an RFC 3339 time with an offset, such as `2026-01-05T08:00:00+08:00`"),
    ];
    for (path, detail) in rows {
        let answer = weir.get(path).await;
        assert_eq!(answer.body["errors"][0]["detail"], detail, "{path}: {}", answer.body);
    }
    let long = weir.get(&format!("/v1/entities/user/{}", "x".repeat(257))).await.body;
    assert!(long["detail"].as_str().unwrap().ends_with("…` is too long: 257 bytes, at most 256"), "{long}");
    assert_eq!(weir.get(&format!("/v1/entities/user/{}", "x".repeat(256))).await.status, 200);
}

#[tokio::test]
async fn a_revoked_key_is_refused_soon() {
    let weir = Weir::start().await;
    let key = weir.key(Role::Service).to_owned();
    let send = async || {
        let id = format!("p{}", api::now());
        answer(weir.anonymous(Method::POST, "/v1/decisions").bearer_auth(&key).json(&payment(&id, "u1", 1)))
            .await
    };
    assert_eq!(send().await.status, 200);
    let id = weir.desk.keys().await.unwrap().iter().find(|it| it.role == Role::Service).unwrap().id;
    weir.desk.revoke_key(id, api::now()).await.unwrap();
    weir.until("the key is refused", async |_| (send().await.status == 401).then_some(())).await;
    // One that is made while the server runs is valid at once.
    let made = weir.desk.create_key(Role::Service, "new", 0).await.unwrap();
    let request = weir.anonymous(Method::POST, "/v1/decisions").bearer_auth(made.reveal());
    assert_eq!(answer(request.json(&payment("made", "u1", 1))).await.status, 200);
}

#[tokio::test]
async fn slow_clients_are_not_waited_for() {
    let patience = Patience { headers: Duration::from_millis(200), body: Duration::from_millis(300) };
    let weir = Weir::start_with(Memory::default(), patience).await;
    // The body stays away.
    let mut slow = TcpStream::connect(weir.address).await.unwrap();
    let head = format!(
        "POST /v1/decisions HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{\"id\":",
        weir.key(Role::Admin)
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let text = read_some(&mut slow).await;
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    assert!(text.contains("\"code\":\"request_timeout\"") && text.contains("\"pointer\":\"#\""), "{text}");
    // The headers do.
    let mut slower = TcpStream::connect(weir.address).await.unwrap();
    slower.write_all(b"POST /v1/decisions HTTP/1.1\r\nHost: w").await.unwrap();
    let text = read_some(&mut slower).await;
    assert!(text.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{text}");
    assert!(
        text.contains("\"code\":\"request_timeout\"") && text.contains("the headers were not there"),
        "{text}"
    );
    // Who sends nothing asked for nothing.
    let mut idle = TcpStream::connect(weir.address).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(10), idle.read(&mut [0; 1])).await;
    assert_eq!(closed.expect("it is closed").unwrap(), 0);
    weir.pay("p1", "u1", 100).await;
}

/// Whoever sends many large bodies slowly takes no memory beyond a bound, and nothing from those who send small ones.
#[tokio::test]
async fn only_so_many_large_bodies_are_in_memory() {
    let weir = Weir::start().await;
    let head = format!(
        "POST /v1/decisions/batch HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{{",
        weir.key(Role::Admin)
    );
    let mut slow = Vec::new();
    for _ in 0..32 {
        let mut stream = TcpStream::connect(weir.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let batch = json!({ "events": [] });
    // Until the last of them has been seen.
    let mut refused = weir.post("/v1/decisions/batch", &batch).await;
    while refused.status == 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        refused = weir.post("/v1/decisions/batch", &batch).await;
    }
    check("a batch more", &refused, (503, "unavailable", ""));
    weir.pay("p1", "u1", 100).await;
    drop(slow);
    while weir.post("/v1/decisions/batch", &batch).await.status != 200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_is_no_request_is_told_so() {
    let weir = Weir::start().await;
    let filled = |head: &str, times: usize| format!("GET /livez{head}").replace('~', &"x".repeat(times));
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    #[rustfmt::skip]
    let rows = [
        ("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET /livez HTTP/1.1\r\nno header\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET /livez HTTP/9.9\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("POST /livez HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(), 400, "malformed_request"),
        (filled("?~ HTTP/1.1\r\n\r\n", 70_000), 414, "uri_too_long"),
        (filled(&format!(" HTTP/1.1\r\n{many}\r\n"), 0), 431, "headers_too_large"),
        (filled(" HTTP/1.1\r\nX: ~\r\n\r\n", 1_000_000), 431, "headers_too_large"),
    ];
    for (sent, status, code) in rows {
        let mut stream = TcpStream::connect(weir.address).await.unwrap();
        // It may be refused before all of it is sent.
        let _ = stream.write_all(sent.as_bytes()).await;
        let text = read_some(&mut stream).await;
        let shown = &sent[..sent.len().min(60)];
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {text}");
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!((&body["code"], &body["status"]), (&json!(code), &json!(status)), "{shown:?}");
    }
    weir.pay("p1", "u1", 100).await;
}

/// Who sends everything before reading gets the answer all the same.
#[tokio::test]
async fn a_refusal_is_read_though_the_body_is_still_being_sent() {
    let weir = Weir::start().await;
    let mut sender = TcpStream::connect(weir.address).await.unwrap();
    let body = vec![b' '; 20_000_000];
    let head = format!(
        "POST /v1/decisions HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        weir.key(Role::Admin),
        body.len()
    );
    sender.write_all(head.as_bytes()).await.unwrap();
    sender.write_all(&body).await.expect("all of it is taken");
    let text = read_some(&mut sender).await;
    assert!(text.starts_with("HTTP/1.1 413 ") && text.contains("\"code\":\"body_too_large\""), "{text}");
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_not_waited_for() {
    let weir = Weir::start().await;
    let start = Instant::now();
    let mut sender = TcpStream::connect(weir.address).await.unwrap();
    let head = format!(
        "POST /v1/decisions HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000000000\r\n\r\n{{\"id\":",
        weir.key(Role::Admin)
    );
    sender.write_all(head.as_bytes()).await.unwrap();
    let text = read_some(&mut sender).await;
    assert!(text.starts_with("HTTP/1.1 413 ") && text.contains("\"code\":\"body_too_large\""), "{text}");
    assert!(start.elapsed() < Patience::default().body, "it is refused by what it says");
}

#[tokio::test]
async fn without_the_database_decisions_go_on() {
    let weir = Weir::start().await;
    weir.pay("p1", "u1", 100).await;
    weir.desk.clone().close().await;
    weir.pay("p2", "u1", 100).await;
    check("alerts", &weir.get("/v1/alerts").await, (503, "unavailable", ""));
    let unknown = weir.anonymous(Method::GET, "/v1/alerts").bearer_auth("weir_0");
    check("an unknown key", &answer(unknown).await, (503, "unavailable", ""));
}

/// What comes until the connection is closed, or nothing more comes.
async fn read_some(stream: &mut TcpStream) -> String {
    let (mut bytes, mut some) = (Vec::new(), [0; 4096]);
    while let Ok(Ok(read)) = tokio::time::timeout(Duration::from_secs(3), stream.read(&mut some)).await {
        if read == 0 {
            break;
        }
        bytes.extend_from_slice(&some[..read]);
        if bytes.ends_with(b"}") {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
