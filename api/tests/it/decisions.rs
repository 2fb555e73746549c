//! Deciding, recording, amending, explaining.

use std::sync::Arc;
use std::time::Duration;

use api::{Patience, now};
use rules::time::DAY;
use serde_json::{Value, json};
use stream::disk::Folder;
use stream::journal::{Journal as _, Memory, OnDisk, Options};

use crate::support::{RULES, SCHEMA, Weir, answer, hash_key, payment};

#[tokio::test]
async fn a_decision_says_what_to_do_and_why() {
    let weir = Weir::start().await;
    let decision = weir.pay("p1", "u1", 60_000).await;
    let id = decision["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("dec_") && id.len() == 36);
    let rule_set = decision["rule_set"].clone();
    let expected = json!({
        "id": id, "event_id": "p1", "outcome": "allow", "score": 0, "hits": [], "factors_any_of": [],
        "actions": [], "alerts": [],
        "features": { "spent_24h": { "value": 0, "currency": "CNY" }, "payments_1h": 1 },
        "rule_set": rule_set, "valid_until": decision["valid_until"], "flags": [], "durable": true,
    });
    assert_eq!(decision, expected);

    let decision = weir.pay("p2", "u1", 60_000).await;
    assert_eq!(decision["outcome"], "block");
    let hit = json!({
        "rule": "limit", "reason": "Over the spending limit", "customer_reason": "Your limit is reached",
        "severity": "high", "contribution": 0, "shadow": false,
    });
    assert_eq!(decision["hits"], json!([hit]));
    assert_eq!(decision["alerts"], json!([{ "severity": "high", "rule": "limit" }]));

    assert_eq!(weir.put("/v1/lists/watched/u2", &json!({})).await.status, 200);
    let decision = weir.pay("p3", "u2", 100).await;
    assert_eq!((&decision["outcome"], &decision["score"]), (&json!("challenge"), &json!(60)));
    assert_eq!(decision["factors_any_of"], json!([["passkey"], ["pay_pwd", "otp"]]));
}

/// By the decision's id, whether or not it raised an alert, in the segment that is written and in those that are sealed.
#[tokio::test]
async fn every_decision_is_found_by_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Folder::create(folder.path()).unwrap());
    let options = Options { segment_bytes: 1 << 13, ..Options::new(hash_key()) };
    let journal = Arc::new(OnDisk::open(disk, options).unwrap());
    let files = [("s.schema.weir", SCHEMA), ("s.weir", RULES)];
    let weir = Weir::start_over(Arc::clone(&journal), &files, Patience::default()).await;
    let mut decisions = Vec::new();
    for number in 0..60 {
        decisions.push(weir.pay(&format!("p{number}"), &format!("u{number}"), 100).await);
    }
    assert!(2 < journal.stat().unwrap().segments);
    for decision in &decisions {
        assert_eq!(decision["alerts"], json!([]));
        let found = weir.get(&format!("/v1/decisions/{}", decision["id"].as_str().unwrap())).await;
        assert_eq!(found.status, 200, "{}", found.body);
        assert_eq!(&found.body["decision"], decision);
    }
    let known = decisions[0]["id"].as_str().unwrap();
    let other = format!("{}{}", &known[..35], if known.ends_with('0') { "1" } else { "0" });
    for unknown in [&*other, "dec_0", "dec_", &known.to_uppercase(), &known[..35]] {
        let answer = weir.get(&format!("/v1/decisions/{unknown}")).await;
        assert_eq!((answer.status.as_u16(), &answer.body["code"]), (404, &json!("decision_unknown")));
        assert_eq!(answer.body["errors"][0]["parameter"], "id", "{}", answer.body);
        let said = answer.body["errors"][0]["detail"].to_string();
        assert!(said.contains(&format!("nothing is known of `{unknown}`")), "{}", answer.body);
    }
    // An event may be called as a decision is.
    weir.pay(&other, "u1", 100).await;
    let found = weir.get(&format!("/v1/decisions/{other}")).await;
    assert_eq!(found.body["event"]["id"], json!(other));
}

#[tokio::test]
async fn the_same_body_again_gets_the_first_answer_and_another_is_refused() {
    let weir = Weir::start().await;
    let first = weir.pay("p1", "u1", 60_000).await;
    let again = weir.pay("p1", "u1", 60_000).await;
    assert_eq!(again["flags"], json!(["repeated"]));
    let same = |it: &Value| ["id", "outcome", "features", "score"].map(|name| it[name].clone());
    assert_eq!(same(&again), same(&first));
    let other = weir.post("/v1/decisions", &payment("p1", "u1", 60_001)).await;
    assert_eq!((other.status.as_u16(), &other.body["code"]), (409, &json!("event_id_reused")));
    assert_eq!(other.body["errors"][0]["pointer"], "#/id");
    assert_eq!(weir.pay("p2", "u1", 40_000).await["outcome"], "allow", "the repeat was not counted");
}

#[tokio::test]
async fn what_becomes_known_later_counts_and_is_in_the_explanation() {
    let weir = Weir::start().await;
    let mut sent = payment("p1", "u1", 90_000);
    sent["extra"] = json!({ "order": 7 });
    let decision = weir.post("/v1/decisions", &sent).await.body;
    assert_eq!(weir.pay("p2", "u1", 20_000).await["outcome"], "block");
    let reversed = json!({ "id": "a1", "event_id": "p1", "result": "reversed" });
    let amended = weir.post("/v1/amendments", &reversed).await;
    assert_eq!(amended.body, json!({ "id": "a1", "event_id": "p1", "repeated": false, "durable": true }));
    assert_eq!(weir.post("/v1/amendments", &reversed).await.body["repeated"], true);
    assert_eq!(weir.pay("p3", "u1", 20_000).await["outcome"], "allow", "reversed money was not spent");

    let explained = weir.get("/v1/decisions/p1").await.body;
    assert_eq!(explained["decision"], decision);
    let event = &explained["event"];
    assert_eq!(
        (&event["id"], &event["amount"], &event["extra"]),
        (&sent["id"], &sent["amount"], &sent["extra"])
    );
    assert!(event["time"].is_string() && explained["decided"] == true);
    let amendment = &explained["amendments"][0];
    assert_eq!(
        (&amendment["id"], &amendment["sets"], &amendment["to"]),
        (&json!("a1"), &json!("result"), &json!("reversed"))
    );

    let unknown = weir.get("/v1/decisions/p9").await;
    assert_eq!((unknown.status.as_u16(), &unknown.body["code"]), (404, &json!("decision_unknown")));
    let unknown =
        weir.post("/v1/amendments", &json!({ "id": "a2", "event_id": "p9", "label": "fraud" })).await;
    assert_eq!((unknown.status.as_u16(), &unknown.body["code"]), (404, &json!("event_unknown")));
}

/// At the rates of its time, however long ago; what the caller sent stands beside it.
#[tokio::test]
async fn an_amount_is_explained_in_both_currencies() {
    let weir = Weir::start().await;
    let pay = async |id: &str, minor: i64, currency: &str, days_ago: i64| {
        let at = jiff::Timestamp::from_microsecond(now() - days_ago * DAY).unwrap();
        let mut paid = payment(id, id, minor);
        (paid["amount"]["currency"], paid["time"]) = (json!(currency), json!(at.to_string()));
        let answer = weir.post("/v1/events", &paid).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    let check = async |id: &str, sent: Value, converted: Value| {
        let explained = weir.get(&format!("/v1/decisions/{id}")).await.body;
        assert_eq!((&explained["event"]["amount"], &explained["converted"]), (&sent, &converted), "{id}");
        assert_eq!(explained.get("converted").is_some(), !converted.is_null(), "{id}");
    };
    let amount = |value: i64, currency: &str| json!({ "value": value, "currency": currency });
    weir.put("/v1/rates", &json!({ "USD": "7.25", "JPY": "0.0485" })).await;
    pay("p1", 10_000, "USD", 3).await;
    pay("p2", 10, "JPY", 3).await;
    pay("p3", 10_000, "CNY", 3).await;
    weir.put("/v1/rates", &json!({ "USD": "8" })).await;
    pay("p4", 10_000, "USD", 3).await;
    check("p1", amount(10_000, "USD"), json!({ "amount": amount(72_500, "CNY") })).await;
    check("p2", amount(10, "JPY"), json!({ "amount": amount(48, "CNY") })).await;
    check("p3", amount(10_000, "CNY"), Value::Null).await;
    check("p4", amount(10_000, "USD"), json!({ "amount": amount(80_000, "CNY") })).await;
    // Days later, and another change forgets what was replaced.
    pay("p5", 1, "CNY", 0).await;
    weir.put("/v1/rates", &json!({ "USD": "9" })).await;
    check("p1", amount(10_000, "USD"), json!({ "amount": amount(72_500, "CNY") })).await;
    check("p4", amount(10_000, "USD"), json!({ "amount": amount(80_000, "CNY") })).await;
}

/// What becomes known of an event is about who stands in its roles: its amount was converted when it was decided.
#[tokio::test]
async fn a_label_needs_no_rate_for_the_amount() {
    let weir = Weir::start().await;
    weir.put("/v1/rates", &json!({ "USD": "7.25" })).await;
    let mut paid = payment("p1", "u1", 1_000);
    let days_ago = jiff::Timestamp::from_microsecond(now() - 3 * DAY).unwrap();
    (paid["amount"]["currency"], paid["time"]) = (json!("USD"), json!(days_ago.to_string()));
    assert_eq!(weir.post("/v1/decisions", &paid).await.body["outcome"], "allow");
    weir.put("/v1/rates", &json!({})).await;
    // Days later, and another change forgets the rates of then.
    weir.pay("p2", "u2", 1_000).await;
    weir.put("/v1/rates", &json!({ "JPY": "0.05" })).await;
    let label = json!({ "id": "a1", "event_id": "p1", "label": "fraud" });
    let amended = weir.post("/v1/amendments", &label).await;
    assert_eq!(amended.status, 200, "{}", amended.body);
}

#[tokio::test]
async fn a_recorded_event_is_seen_and_gets_no_verdict() {
    let weir = Weir::start().await;
    let recorded = weir.post("/v1/events", &payment("e1", "u1", 95_000)).await;
    assert_eq!(recorded.body, json!({ "event_id": "e1", "flags": [], "durable": true }));
    assert_eq!(weir.pay("p1", "u1", 10_000).await["outcome"], "block", "what was recorded counts");
    let explained = weir.get("/v1/decisions/e1").await.body;
    assert_eq!((&explained["decided"], &explained["decision"]["outcome"]), (&json!(false), &json!("none")));
}

#[tokio::test]
async fn a_recheck_leaves_its_original_out() {
    let weir = Weir::start().await;
    assert_eq!(weir.pay("p1", "u1", 90_000).await["outcome"], "allow");
    let mut recheck = payment("p1-again", "u1", 90_000);
    recheck["recheck_of"] = json!("p1");
    let decided = weir.post("/v1/decisions", &recheck).await;
    assert_eq!(
        (decided.status.as_u16(), &decided.body["outcome"]),
        (200, &json!("allow")),
        "{}",
        decided.body
    );
    #[rustfmt::skip]
    let rows = [
        (json!({ "user": "u2" }),                       "#/user",   "the recheck of `p1` has another `user` than the event itself: roles may not change"),
        (json!({ "device": "d1" }),                     "#/device", "the recheck of `p1` has another `device` than the event itself: roles may not change"),
        (json!({ "type": "login", "amount": null, "user": "u2" }), "#/type", "the recheck of `p1` is of another type than the event itself: send its type"),
        // Also where it is about the same.
        (json!({ "type": "login", "amount": null }),    "#/type",   "the recheck of `p1` is of another type than the event itself: send its type"),
    ];
    for (changes, pointer, detail) in rows {
        let mut other = recheck.clone();
        other["id"] = json!("p1-other");
        for (name, value) in changes.as_object().unwrap() {
            other[name] = value.clone();
        }
        let refused = weir.post("/v1/decisions", &other).await;
        let expected = json!([{ "pointer": pointer, "detail": detail }]);
        assert_eq!((refused.status.as_u16(), &refused.body["errors"]), (422, &expected), "{changes}");
    }
}

#[tokio::test]
async fn an_id_that_was_used_is_called_what_it_is_the_id_of() {
    let weir = Weir::start().await;
    weir.pay("p1", "u1", 100).await;
    let label = |it: &str| json!({ "id": "a1", "event_id": "p1", "label": it });
    assert_eq!(weir.post("/v1/amendments", &label("fraud")).await.status, 200);
    for (path, body, what) in [
        ("/v1/amendments", label("legitimate"), "amendment id `a1`"),
        ("/v1/decisions", payment("p1", "u1", 200), "event id `p1`"),
    ] {
        let reused = weir.post(path, &body).await;
        assert_eq!((reused.status.as_u16(), &reused.body["errors"][0]["pointer"]), (409, &json!("#/id")));
        let detail = reused.body["detail"].as_str().unwrap();
        assert!(detail.starts_with(what), "{detail}");
    }
}

#[tokio::test]
async fn a_batch_is_decided_in_order_each_for_itself() {
    let weir = Weir::start().await;
    let wrong =
        json!({ "id": "b2", "type": "payment", "user": "u1", "amount": { "value": "1", "currency": "CNY" } });
    let events = json!({ "events": [payment("b1", "u1", 90_000), wrong, payment("b3", "u1", 20_000), 7] });
    let answer = weir.post("/v1/decisions/batch", &events).await;
    let results = answer.body["results"].as_array().unwrap();
    let statuses: Vec<_> = results.iter().map(|it| it["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [200, 422, 200, 422]);
    assert_eq!(results[0]["decision"]["outcome"], "allow");
    assert_eq!(results[1]["problem"]["errors"][0]["pointer"], "#/events/1/amount/value");
    assert_eq!(results[2]["decision"]["outcome"], "block", "the first was counted");
    assert_eq!(results[3]["problem"]["errors"][0]["pointer"], "#/events/3");
}

#[tokio::test]
async fn an_entity_is_shown_as_it_is_now() {
    let weir = Weir::start().await;
    let unknown = weir.get("/v1/entities/user/u1").await.body;
    assert_eq!((&unknown["known"], &unknown["recent"]), (&json!(false), &json!([])));
    weir.pay("p1", "u1", 30_000).await;
    weir.pay("p2", "u1", 20_000).await;
    weir.put("/v1/lists/limits/u1", &json!({ "value": "12.50" })).await;
    let user = weir.get("/v1/entities/user/u1").await.body;
    let features = json!({
        "spent_24h": { "value": 50_000, "currency": "CNY" }, "payments_1h": 2,
        "usual": { "value": "25000", "currency": "CNY" },
    });
    assert_eq!(user["features"], features, "without a new event");
    assert_eq!(
        user["lists"],
        json!([{ "list": "limits", "until": null, "value": { "value": 1250, "currency": "CNY" } }])
    );
    let recent: Vec<_> =
        user["recent"].as_array().unwrap().iter().map(|it| it["event"]["id"].clone()).collect();
    assert_eq!(recent, ["p2", "p1"]);
    let wrong = weir.get("/v1/entities/usr/u1").await;
    assert_eq!((wrong.status.as_u16(), &wrong.body["code"]), (404, &json!("kind_unknown")));
    assert!(wrong.body["detail"].as_str().unwrap().contains("did you mean `user`?"));
}

/// A server that goes on watching whom it watches, `u1` from the beginning.
async fn watching() -> Weir {
    let rules = RULES.replace("then score +60, alert medium", "then score +60, add user to watched for 1h");
    let files = [("s.schema.weir", SCHEMA), ("s.weir", &*rules)];
    let weir = Weir::start_over(Memory::default(), &files, Patience::default()).await;
    assert_eq!(weir.put("/v1/lists/watched/u1", &json!({})).await.status, 200);
    weir
}

/// What a recheck does not say is as its original has it: in what is decided, what is answered and what is recorded.
#[tokio::test]
async fn a_recheck_says_what_changed_and_no_more() {
    let weir = watching().await;
    assert_eq!(weir.pay("p1", "u1", 60_000).await["outcome"], "challenge");
    let recheck = |id: &str, changed: Value| {
        let mut body = json!({ "id": id, "type": "payment", "recheck_of": "p1" });
        body.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        body
    };
    let first = recheck("r1", json!({ "channel": "app" }));
    for repeated in [false, true] {
        let decided = weir.post("/v1/decisions", &first).await;
        assert_eq!(decided.status, 200, "{}", decided.body);
        assert_eq!(decided.body["actions"][0]["target"], "watched u1", "{}", decided.body);
        assert_eq!(decided.body["flags"] == json!(["repeated"]), repeated);
    }
    let event = weir.get("/v1/decisions/r1").await.body["event"].clone();
    assert_eq!((&event["amount"]["value"], &event["channel"]), (&json!(60_000), &json!("app")));
    // Another amount is decided as such.
    let more = json!({ "amount": { "value": 200_000, "currency": "CNY" } });
    assert_eq!(weir.post("/v1/decisions", &recheck("r2", more)).await.body["outcome"], "block");
    let wrong = weir.post("/v1/decisions", &recheck("r3", json!({ "chanel": "app" }))).await;
    assert_eq!((wrong.status.as_u16(), wrong.body["errors"].as_array().unwrap().len()), (422, 1));
}

/// An event that came too late stands at the edge of the allowed lateness, and so does what it leads to: the answer, the
/// repeat, the explanation and the list say one end.
#[tokio::test]
async fn an_action_ends_when_the_answer_says() {
    let weir = watching().await;
    let mut first = payment("first", "u2", 100);
    first["time"] = json!("2020-01-05T20:00:00Z");
    assert_eq!(weir.post("/v1/decisions", &first).await.body["outcome"], "allow");
    let mut late = payment("late", "u1", 100);
    late["time"] = json!("2020-01-05T08:00:00Z");
    let decided = weir.post("/v1/decisions", &late).await.body;
    assert_eq!(decided["flags"], json!(["late", "too_late"]));
    let until = &decided["actions"][0]["until"];
    assert_eq!(&weir.get("/v1/lists/watched/u1").await.body["until"], until);
    assert_eq!(&weir.post("/v1/decisions", &late).await.body["actions"][0]["until"], until, "again");
    let explained = weir.get("/v1/decisions/late").await.body;
    assert_eq!(&explained["decision"]["actions"][0]["until"], until, "explained");
    assert_eq!(decided["valid_until"], "2020-01-05T08:01:00Z", "by its own time");
}

/// No feature, list or alert of these rules is about devices.
#[tokio::test]
async fn of_an_entity_that_has_no_state_the_journal_tells() {
    let rules = RULES.replace("feature users_7d = distinct(any.user) by device over 7d\n", "");
    let files = [("s.schema.weir", SCHEMA), ("s.weir", &*rules)];
    let weir = Weir::start_over(Memory::default(), &files, Patience::default()).await;
    let mut paid = payment("p1", "u1", 100);
    paid["device"] = json!("d1");
    assert_eq!(weir.post("/v1/decisions", &paid).await.status, 200);
    let [user, device] = [weir.get("/v1/entities/user/u1").await, weir.get("/v1/entities/device/d1").await];
    assert_eq!([&user.body["known"], &device.body["known"]], [true, false]);
    assert_eq!(device.body["recent"][0]["event"]["id"], "p1");
    assert!(device.body["last_event"].is_string());
    assert_eq!(device.body["last_event"], user.body["last_event"]);
}

/// Labels name the entities of their events too.
#[tokio::test]
async fn the_newest_events_of_an_entity_are_found_behind_what_became_known() {
    let weir = Weir::start().await;
    let payments: Vec<_> = (0..60).map(|n| payment(&format!("p{n}"), "u1", 100)).collect();
    assert_eq!(weir.post("/v1/decisions/batch", &json!({ "events": payments })).await.status, 200);
    for n in 0..600 {
        let (id, of) = (format!("a{n}"), format!("p{}", n % 60));
        let label =
            json!({ "id": id, "event_id": of, "label": if n % 2 == 0 { "fraud" } else { "legitimate" } });
        assert_eq!(weir.post("/v1/amendments", &label).await.status, 200);
    }
    let user = weir.get("/v1/entities/user/u1").await.body;
    let recent: Vec<_> =
        user["recent"].as_array().unwrap().iter().map(|it| it["event"]["id"].as_str().unwrap()).collect();
    let expected: Vec<_> = (10..60).rev().map(|n| format!("p{n}")).collect();
    assert_eq!(recent, expected);
}

#[tokio::test]
async fn whoever_does_not_wait_gets_the_fallback_and_it_is_recorded() {
    // Nothing is ever durable here.
    let weir = Weir::start_with(stream::journal::Memory::held(), api::Patience::default()).await;
    let impatient = weir.request(reqwest::Method::POST, "/v1/decisions").header("Weir-Deadline", "30ms");
    let late = answer(impatient.json(&payment("p1", "u1", 100))).await.body;
    assert_eq!(
        (&late["outcome"], &late["fallback"], &late["durable"]),
        (&json!("challenge"), &json!("deadline"), &json!(false))
    );
    let mut recheck = payment("p1-again", "u1", 100);
    recheck["recheck_of"] = json!("p1");
    let impatient = weir.request(reqwest::Method::POST, "/v1/decisions").header("Weir-Deadline", "30ms");
    let late = answer(impatient.json(&recheck)).await.body;
    assert_eq!((&late["outcome"], &late["fallback"]), (&json!("challenge"), &json!("deadline")), "{late}");
    weir.journal.settle(u64::MAX);
    let again = weir.pay("p1", "u1", 100).await;
    assert_eq!(
        (&again["outcome"], &again["flags"]),
        (&json!("challenge"), &json!(["repeated"])),
        "a repeat gets what the caller got"
    );
    let explained = weir.get("/v1/decisions/p1").await.body;
    let amendment = &explained["amendments"][0];
    assert_eq!((&amendment["to"], &amendment["cause"]), (&json!("challenge"), &json!("deadline")));
    let user = weir.get("/v1/entities/user/u1").await.body;
    let told = (&explained["decision"]["outcome"], &explained["decision"]["fallback"]);
    assert_eq!(told, (&json!("challenge"), &json!("deadline")), "as it was answered");
    assert_eq!(user["recent"][0]["outcome"], "challenge");
    assert_eq!(explained["rechecks"][0]["outcome"], "challenge", "{explained}");
}

/// What a crash might still take back is not spoken of.
#[tokio::test]
async fn nothing_is_shown_that_is_not_durable() {
    let weir = Weir::start_with(stream::journal::Memory::held(), api::Patience::default()).await;
    weir.journal.settle(weir.journal.next());
    let impatient = weir.request(reqwest::Method::POST, "/v1/decisions").header("Weir-Deadline", "10ms");
    assert_eq!(answer(impatient.json(&payment("p1", "u1", 100))).await.body["durable"], false);
    let paths = ["/v1/entities/user/u1", "/v1/lists/watched/u1", "/v1/lists", "/v1/rates", "/v1/rules"]
        .map(str::to_owned);
    for path in &paths {
        let shown = tokio::time::timeout(Duration::from_millis(50), weir.get(path)).await;
        assert!(shown.is_err(), "{path}: {:?}", shown.map(|it| it.body));
    }
    weir.journal.settle(u64::MAX);
    for path in &paths {
        assert_eq!(weir.get(path).await.status, 200, "{path}");
    }
}

/// Each event of a user is followed by many others, and by a recheck of which something becomes known.
#[tokio::test]
async fn what_became_of_an_event_is_found_among_much_else() {
    let weir = Weir::start().await;
    weir.pay("p1", "u1", 90_000).await;
    let mut recheck = payment("p1-again", "u1", 90_000);
    recheck["recheck_of"] = json!("p1");
    weir.post("/v1/decisions", &recheck).await;
    weir.post("/v1/amendments", &json!({ "id": "a1", "event_id": "p1", "label": "fraud" })).await;
    weir.post("/v1/amendments", &json!({ "id": "a2", "event_id": "p1-again", "result": "failed" })).await;
    let logins = (0..600).map(|n| json!({ "id": format!("l{n}"), "type": "login", "user": "u1" }));
    let logins = weir.post("/v1/decisions/batch", &json!({ "events": logins.collect::<Vec<_>>() })).await;
    assert_eq!(logins.status, 200);
    let explained = weir.get("/v1/decisions/p1").await.body;
    let told = |list: &str, name: &str| {
        let all = explained[list].as_array().unwrap().iter();
        all.map(|it| it[name].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(told("amendments", "id"), ["a1", "a2"]);
    assert_eq!(told("amendments", "event_id"), ["p1", "p1-again"]);
    assert_eq!(told("rechecks", "event_id"), ["p1-again"]);
    assert_eq!(explained["complete"], true);
    let of_recheck = weir.get("/v1/decisions/p1-again").await.body;
    assert_eq!(of_recheck["amendments"][0]["id"], "a2");
    assert_eq!(of_recheck["amendments"].as_array().unwrap().len(), 1);
    assert_eq!(weir.get("/v1/decisions/l0").await.body["amendments"], json!([]));
}
