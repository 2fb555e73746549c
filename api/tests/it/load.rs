//! Many at once, and the end.

use std::sync::Arc;
use std::time::Duration;

use api::{Patience, STOP_TIME_MAX};
use reqwest::Method;
use serde_json::json;
use stream::journal::Memory;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{Weir, answer, payment};

/// Of 100.00 each, ten fit under a limit of 1000.00.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_payments_of_one_user_pass_up_to_the_limit_and_no_further() {
    let weir = Arc::new(Weir::start().await);
    let mut payments = JoinSet::new();
    for n in 0..64 {
        let weir = Arc::clone(&weir);
        payments.spawn(async move { weir.pay(&format!("p{n}"), "u1", 10_000).await["outcome"].clone() });
    }
    let outcomes = payments.join_all().await;
    let allowed = outcomes.iter().filter(|it| **it == "allow").count();
    assert_eq!((allowed, outcomes.len()), (10, 64));
}

#[tokio::test]
async fn at_the_memory_limit_nothing_new_is_decided_and_reads_go_on() {
    let weir = Weir::start().await;
    weir.pay("p1", "u1", 100).await;
    weir.traffic.set_memory_full(true);
    for path in ["/v1/decisions", "/v1/events"] {
        let refused = weir.post(path, &payment("p2", "u1", 100)).await;
        assert_eq!((refused.status.as_u16(), &refused.body["code"]), (503, &json!("unavailable")), "{path}");
        assert_eq!(refused.headers["retry-after"], "1");
    }
    // Who did not get the answer can still ask for it, alone or among others that are refused.
    assert_eq!(weir.pay("p1", "u1", 100).await["flags"], json!(["repeated"]));
    let both = json!({ "events": [payment("p1", "u1", 100), payment("p2", "u1", 100)] });
    let both = weir.post("/v1/decisions/batch", &both).await;
    let statuses: Vec<_> = both.body["results"].as_array().unwrap().iter().map(|it| &it["status"]).collect();
    assert_eq!(statuses, [&json!(200), &json!(503)]);
    // Each would leave something in memory too; what is taken off is not.
    assert_eq!(weir.put("/v1/lists/watched/u7", &json!({})).await.status, 503);
    assert_eq!(weir.put("/v1/rates", &json!({ "USD": "7" })).await.status, 503);
    assert_eq!(answer(weir.request(Method::DELETE, "/v1/lists/watched/u7")).await.status, 200);
    assert_eq!(weir.get("/readyz").await.status, 503);
    assert_eq!(weir.get("/livez").await.status, 200);
    assert_eq!(weir.get("/v1/decisions/p1").await.status, 200);
    weir.traffic.set_memory_full(false);
    weir.pay("p2", "u1", 100).await;
    assert_eq!(weir.get("/readyz").await.status, 200);
}

/// One that came a long time behind its event is a repeat for as long as any other, though as a new one it came too late.
#[tokio::test]
async fn a_repeat_is_answered_however_old_its_event_is() {
    let weir = Weir::start().await;
    let at = |id: &str, hours_ago: i64| {
        let mut payment = payment(id, "u1", 100);
        let time = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours_ago);
        payment["time"] = json!(time.to_string());
        payment
    };
    let late = at("late", 33);
    for payment in [&at("first", 10), &late, &at("now", 0)] {
        assert_eq!(weir.post("/v1/decisions", payment).await.status, 200);
    }
    let new = weir.post("/v1/decisions", &at("other", 33)).await;
    assert_eq!(
        (new.status.as_u16(), &new.body["errors"][0]["pointer"]),
        (422, &json!("#/time")),
        "{}",
        new.body
    );
    for path in ["/v1/decisions", "/v1/events"] {
        let again = weir.post(path, &late).await;
        let flags = again.body["flags"].as_array().unwrap();
        assert!(again.status == 200 && flags.contains(&json!("repeated")), "{path}: {}", again.body);
    }
}

/// It asks for much and reads nothing of it: what it holds up is free again when its time is over.
#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let patience = Patience { headers: Duration::from_millis(300), ..Patience::default() };
    let weir = Weir::start_with(Memory::default(), patience).await;
    let mut stream = TcpStream::connect(weir.address).await.unwrap();
    let page = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: weir\r\n\r\n";
    stream.write_all(page.repeat(40).as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    // What was on its way still comes, and no more.
    let mut got = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut got)).await.unwrap();
    let answers = got.windows(15).filter(|it| it == b"HTTP/1.1 200 OK").count();
    assert!((1..40).contains(&answers), "{answers}");
}

#[tokio::test]
async fn a_failed_journal_answers_nothing_more() {
    let weir = Weir::start().await;
    weir.pay("p1", "u1", 100).await;
    weir.journal.poison();
    let refused = weir.post("/v1/decisions", &payment("p2", "u1", 100)).await;
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (503, &json!("unavailable")));
    assert_eq!(weir.get("/readyz").await.status, 503);
    assert_eq!(weir.get("/livez").await.status, 200);
}

#[tokio::test]
async fn stopping_finishes_what_was_accepted() {
    let mut weir = Weir::start_with(stream::journal::Memory::held(), api::Patience::default()).await;
    let waiting = weir.request(Method::POST, "/v1/decisions").json(&payment("p1", "u1", 100));
    let waiting = tokio::spawn(answer(waiting));
    let journal = weir.journal.clone();
    weir.until("the payment is recorded", async |_| (2 <= journal.len()).then_some(())).await;
    weir.traffic.stop();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!weir.serving.is_finished(), "it waits for the payment");
    let late = weir.anonymous(Method::GET, "/livez").send().await;
    assert!(late.is_err(), "and takes nobody new");
    weir.journal.settle(u64::MAX);
    assert_eq!(waiting.await.unwrap().status, 200);
    tokio::time::timeout(Duration::from_secs(5), &mut weir.serving).await.unwrap().unwrap();
}

/// What has not been accepted is not waited for, nor is who has nothing to say.
#[tokio::test]
async fn stopping_waits_for_no_half_request() {
    let mut weir = Weir::start().await;
    let mut half = TcpStream::connect(weir.address).await.unwrap();
    half.write_all(b"GET /livez HT").await.unwrap();
    let _idle = TcpStream::connect(weir.address).await.unwrap();
    weir.pay("p1", "u1", 100).await;
    weir.traffic.stop();
    let stopped = tokio::time::timeout(STOP_TIME_MAX / 2, &mut weir.serving).await;
    stopped.expect("it stops at once").unwrap();
}

#[tokio::test]
async fn what_happens_is_counted() {
    let weir = Weir::start().await;
    // From zero on: what is not there before it happens looks to whoever watches as if it had always been.
    let text = weir.get("/metrics").await.body;
    let text = text.as_str().unwrap();
    for line in [
        "weir_decisions_total{outcome=\"challenge\"} 0",
        "weir_alerts_total{severity=\"critical\"} 0",
        "weir_shed_total{reason=\"disk\"} 0",
        "weir_shed_total{reason=\"memory\"} 0",
        "weir_shed_total{reason=\"requests\"} 0",
        "weir_fallbacks_total{cause=\"deadline\"} 0",
        "weir_late_events_total{how=\"late\"} 0",
        "weir_late_events_total{how=\"too_late\"} 0",
        "# TYPE weir_journal_sync_seconds histogram",
        "weir_journal_sync_seconds_count 0",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    weir.pay("p1", "u1", 60_000).await;
    weir.pay("p2", "u1", 60_000).await;
    weir.pay("p2", "u1", 60_000).await;
    let text = weir.get("/metrics").await.body;
    let text = text.as_str().unwrap();
    for line in [
        "weir_decisions_total{outcome=\"allow\"} 1",
        "weir_decisions_total{outcome=\"block\"} 1",
        "weir_repeated_events_total 1",
        "weir_rule_hits_total{mode=\"live\",rule=\"limit\"} 1",
        "weir_alerts_total{severity=\"high\"} 1",
        "weir_decision_stage_seconds_count{stage=\"decide\"} 3",
        "weir_http_request_seconds_count{route=\"/v1/decisions\",status=\"200\"} 3",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
}
