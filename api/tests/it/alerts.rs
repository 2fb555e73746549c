//! Alerts: told from the journal, page by page, live; and what is done with them.

use std::time::Duration;

use api::{Patience, now};
use desk::key::Role;
use reqwest::Method;
use rules::time::HOUR;
use serde_json::{Value, json};
use stream::journal::{Journal as _, Memory};

use crate::support::{Weir, answer, payment};

/// Raises an alert for each of so many users.
async fn raise(weir: &Weir, from: usize, to: usize) {
    for n in from..to {
        weir.pay(&format!("p{n}"), &format!("u{n}"), 200_000).await;
    }
}

async fn alerts(weir: &Weir, query: &str) -> Value {
    let answer = weir.get(&format!("/v1/alerts{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

fn events(page: &Value) -> Vec<&str> {
    page["alerts"].as_array().unwrap().iter().map(|it| it["event_id"].as_str().unwrap()).collect()
}

async fn raised(weir: &Weir, count: usize) {
    weir.until("the alerts are told", async |weir| {
        (events(&alerts(weir, "?limit=500").await).len() == count).then_some(())
    })
    .await;
}

/// Who looks at it must not take for blocked what its caller let pass.
#[tokio::test]
async fn an_alert_says_what_its_caller_got() {
    // Nothing is durable until it is said.
    let weir = Weir::start_with(Memory::held(), Patience::default()).await;
    let impatient = weir.request(Method::POST, "/v1/decisions").header("Weir-Deadline", "30ms");
    let late = answer(impatient.json(&payment("late", "u1", 150_000))).await.body;
    assert_eq!((&late["outcome"], &late["durable"]), (&json!("challenge"), &json!(false)));
    weir.journal.settle(u64::MAX);
    assert_eq!(weir.pay("in-time", "u2", 150_000).await["outcome"], "block");
    raised(&weir, 2).await;
    let told = alerts(&weir, "").await;
    let told = told["alerts"].as_array().unwrap().iter().map(|it| (&it["event_id"], &it["outcome"]));
    let expected = [(&json!("in-time"), &json!("block")), (&json!("late"), &json!("challenge"))];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn page_by_page_and_filtered() {
    let weir = Weir::start().await;
    raise(&weir, 0, 5).await;
    raised(&weir, 5).await;
    let first = alerts(&weir, "?limit=2").await;
    assert_eq!(events(&first), ["p4", "p3"]);
    let second = alerts(&weir, &format!("?limit=2&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!(events(&second), ["p2", "p1"]);
    let last = alerts(&weir, &format!("?limit=2&cursor={}", second["next"].as_str().unwrap())).await;
    assert_eq!((events(&last), &last["next"]), (vec!["p0"], &Value::Null));
    assert_eq!(alerts(&weir, "?limit=5").await["next"], Value::Null, "a full page may be the last");
    let alert = &last["alerts"][0];
    let of = ["event_type", "severity", "rule", "reason", "outcome", "score", "status"]
        .map(|it| alert[it].clone());
    assert_eq!(json!(of), json!(["payment", "high", "limit", "Over the spending limit", "block", 0, "open"]));
    assert_eq!(alert["entities"], json!([{ "role": "user", "kind": "user", "id": "u0" }]));
    assert_eq!(events(&alerts(&weir, "?kind=user&id=u3").await), ["p3"]);
    assert_eq!(events(&alerts(&weir, "?severity=critical").await), [""; 0]);
    // By the decision's id too, since it raised an alert.
    let explained = weir.get(&format!("/v1/decisions/{}", alert["decision_id"].as_str().unwrap())).await;
    assert_eq!(explained.body["event"]["id"], "p0");
}

#[tokio::test]
async fn an_id_that_is_used_again_raises_an_alert_of_its_own() {
    let weir = Weir::start().await;
    let mut earlier = payment("p0", "u0", 200_000);
    earlier["time"] = json!(jiff::Timestamp::from_microsecond(now() - 25 * HOUR).unwrap().to_string());
    weir.post("/v1/decisions", &earlier).await;
    weir.pay("p1", "u1", 200_000).await;
    // Older than a day, an id is a new event's.
    assert_eq!(weir.pay("p0", "u0", 200_000).await["flags"], json!([]));
    weir.pay("p2", "u2", 200_000).await;
    raised(&weir, 4).await;
    let page = alerts(&weir, "").await;
    assert_eq!(events(&page), ["p2", "p0", "p1", "p0"]);
    let of = |at: usize, of: &str| page["alerts"][at][of].clone();
    assert_eq!(of(1, "decision_id"), of(3, "decision_id"));
    assert_ne!(of(1, "id"), of(3, "id"));
}

#[tokio::test]
async fn what_is_done_with_an_alert_outlives_its_row() {
    let weir = Weir::start().await;
    raise(&weir, 0, 1).await;
    raised(&weir, 1).await;
    let id = alerts(&weir, "").await["alerts"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/alerts/{id}/acts");
    let done = weir.post(&path, &json!({ "status": "in_review", "note": "calling" })).await.body;
    assert_eq!(
        (&done["alert"]["status"], &done["acts"][0]["note"], &done["acts"][0]["by"]),
        (&json!("in_review"), &json!("calling"), &json!("admin"))
    );
    assert_eq!(events(&alerts(&weir, "?status=in_review").await), ["p0"]);
    for (body, pointer) in [
        (json!({}), "#"),
        (json!({ "status": "closed" }), "#/status"),
        (json!({ "note": "x".repeat(4097) }), "#/note"),
    ] {
        let refused = weir.post(&path, &body).await;
        assert_eq!((refused.status.as_u16(), &refused.body["errors"][0]["pointer"]), (422, &json!(pointer)));
    }
    weir.desk.forget_alerts().await.unwrap();
    assert_eq!(weir.get(&format!("/v1/alerts/{id}")).await.status, 404, "the row is gone");
    assert_eq!(weir.desk.acts_on_alert(&id).await.unwrap().len(), 1, "the work is not");
}

/// The ids and events of a stream, until so many came.
async fn watch(weir: &Weir, last: Option<&str>, count: usize) -> Vec<(String, String)> {
    let request = weir.request(Method::GET, "/v1/alerts/stream");
    let request = match last {
        Some(last) => request.header("Last-Event-ID", last),
        None => request,
    };
    let mut response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    while text.matches("\n\n").count() < count {
        let chunk = tokio::time::timeout(Duration::from_secs(10), response.chunk()).await;
        text.push_str(
            std::str::from_utf8(&chunk.expect("alerts come").unwrap().expect("the stream goes on")).unwrap(),
        );
    }
    let field = |block: &str, name: &str| {
        block.lines().find_map(|it| it.strip_prefix(name)).unwrap().trim().to_owned()
    };
    let event = |block: &str| {
        assert_eq!(field(block, "event:"), "alert");
        let data: Value = serde_json::from_str(&field(block, "data:")).unwrap();
        (field(block, "id:"), data["event_id"].as_str().unwrap().to_owned())
    };
    text.split("\n\n").filter(|it| it.contains("data:")).map(event).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_goes_on_where_it_broke_off() {
    let weir = Weir::start().await;
    raise(&weir, 0, 1).await;
    raised(&weir, 1).await;
    // From the beginning, by an id before all.
    let first = watch(&weir, Some("-1"), 1).await;
    assert_eq!(first[0].1, "p0");
    // What is raised while nobody looks is not lost to whoever says where it was.
    raise(&weir, 1, 4).await;
    let rest = watch(&weir, Some(&first[0].0), 3).await;
    assert_eq!(rest.iter().map(|it| it.1.as_str()).collect::<Vec<_>>(), ["p1", "p2", "p3"]);
    // Whoever says nothing sees what is raised from now on.
    let (live, ()) = tokio::join!(watch(&weir, None, 1), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        raise(&weir, 4, 5).await;
    });
    assert_eq!(live[0].1, "p4");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_in_the_stream_that_nothing_would_follow_is_refused() {
    let weir = Weir::start().await;
    let check = async |last: &str, refused: &[&str]| {
        let request = weir.request(Method::GET, "/v1/alerts/stream").header("Last-Event-ID", last);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), if refused.is_empty() { 200 } else { 400 }, "{last}");
        if !refused.is_empty() {
            let problem: Value = response.json().await.unwrap();
            let error = &problem["errors"][0];
            assert_eq!(
                (&problem["code"], &error["header"]),
                (&json!("invalid_header"), &json!("Last-Event-ID"))
            );
            let detail = error["detail"].as_str().unwrap();
            assert!(refused.iter().all(|it| detail.contains(it)), "{detail}");
        }
    };
    let end = |weir: &Weir| weir.journal.next() << 16;
    check("x", &["no id"]).await;
    check(&end(&weir).to_string(), &["there is no alert yet", "send `-1`"]).await;
    raise(&weir, 0, 1).await;
    raised(&weir, 1).await;
    let newest = watch(&weir, Some("-1"), 1).await[0].0.clone();
    // Something behind the alert, which raises none.
    weir.pay("p1", "u1", 1).await;
    check(&newest, &[]).await;
    check(&(end(&weir) - 1).to_string(), &[]).await;
    for beyond in [end(&weir).to_string(), i64::MAX.to_string()] {
        check(&beyond, &[&format!("the newest alert is `{newest}`"), "another data directory"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_passes_over_alerts_whose_rows_are_gone() {
    let weir = Weir::start().await;
    raise(&weir, 0, 2).await;
    raised(&weir, 2).await;
    weir.desk.forget_alerts().await.unwrap();
    let (seen, ()) = tokio::join!(watch(&weir, Some("-1"), 1), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        raise(&weir, 2, 3).await;
    });
    assert_eq!(seen[0].1, "p2");
}

/// So many may watch, and whoever leaves makes room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_may_watch_are_sent_away() {
    const STREAMS_MAX: usize = 256;
    let weir = Weir::start().await;
    let watch = || weir.request(Method::GET, "/v1/alerts/stream").send();
    let mut watching = Vec::new();
    for _ in 0..STREAMS_MAX {
        let stream = watch().await.unwrap();
        assert_eq!(stream.status(), 200);
        watching.push(stream);
    }
    let refused = answer(weir.request(Method::GET, "/v1/alerts/stream")).await;
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (503, &json!("unavailable")));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(weir.get("/v1/alerts").await.status, 200, "whoever does not watch is answered");
    watching.pop();
    let room = async {
        while watch().await.unwrap().status() != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), room).await.expect("there is room again");
}

/// Whether or not there is something to send.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_its_key() {
    let weir = Weir::start().await;
    let watching = weir.anonymous(Method::GET, "/v1/alerts/stream").bearer_auth(weir.key(Role::Analyst));
    let mut watching = watching.send().await.unwrap();
    assert_eq!(watching.status(), 200);
    let id = weir.desk.keys().await.unwrap().iter().find(|it| it.role == Role::Analyst).unwrap().id;
    weir.desk.revoke_key(id, api::now()).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(10), watching.chunk()).await;
    assert_eq!(end.expect("the stream ends").unwrap(), None);
}
