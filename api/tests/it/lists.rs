//! Lists, tables and rates, changed while decisions go on.

use reqwest::Method;
use serde_json::json;

use crate::support::{RULES, SCHEMA, Weir, answer, payment};

#[tokio::test]
async fn an_entity_is_on_a_list_until_it_is_taken_off() {
    let weir = Weir::start().await;
    weir.pay("p0", "u9", 1).await;
    let path = "/v1/lists/watched/u1";
    assert_eq!(weir.get(path).await.body["member"], false);
    let put = weir.put(path, &json!({ "until": "2199-01-01T00:00:00Z" })).await.body;
    assert_eq!(
        put,
        json!({ "list": "watched", "id": "u1", "member": true, "until": "2199-01-01T00:00:00Z", "value": null })
    );
    assert_eq!(weir.pay("p1", "u1", 100).await["outcome"], "challenge");
    assert_eq!(answer(weir.request(Method::DELETE, path)).await.body["member"], false);
    assert_eq!(weir.pay("p2", "u1", 100).await["outcome"], "allow");
}

#[tokio::test]
async fn who_is_on_a_list_before_the_first_event_is_known() {
    let weir = Weir::start().await;
    weir.put("/v1/lists/watched/u1", &json!({ "until": "2199-01-01T00:00:00Z" })).await;
    let user = weir.get("/v1/entities/user/u1").await.body;
    let lists = json!([{ "list": "watched", "until": "2199-01-01T00:00:00Z", "value": null }]);
    assert_eq!(
        (&user["known"], &user["lists"], &user["features"]),
        (&json!(true), &lists, &json!({})),
        "{user}"
    );
    assert_eq!(weir.get("/v1/entities/user/u2").await.body["known"], false);
}

#[tokio::test]
async fn a_value_is_on_a_list_of_values() {
    let weir = Weir::start().await;
    let mut event = payment("p1", "u1", 100);
    event["mcc"] = json!("5732");
    assert_eq!(weir.post("/v1/decisions", &event).await.body["score"], 0);
    assert_eq!(weir.put("/v1/lists/risky/5732", &json!({})).await.body["member"], true);
    event["id"] = json!("p2");
    assert_eq!(weir.post("/v1/decisions", &event).await.body["score"], 12.5);
    assert_eq!(answer(weir.request(Method::DELETE, "/v1/lists/risky/5732")).await.body["member"], false);
}

/// Those of the rule set in force, and not those of the one before, which are still known.
#[tokio::test]
async fn the_lists_are_named_with_what_they_hold() {
    let weir = Weir::start().await;
    let limits = json!({ "name": "limits", "holds": "table", "kind": "user", "type": "money CNY" });
    let risky = |count: u64| json!({ "name": "risky", "holds": "values", "type": "text(4)", "count": count });
    let watched = json!({ "name": "watched", "holds": "entities", "kind": "user" });
    let lists = async || weir.get("/v1/lists").await.body["lists"].clone();
    assert_eq!(lists().await, json!([limits, risky(0), watched]), "in the order of their names");
    for id in ["5732", "5944", "5732"] {
        weir.put(&format!("/v1/lists/risky/{id}"), &json!({})).await;
    }
    weir.put("/v1/lists/watched/u1", &json!({})).await;
    assert_eq!(lists().await, json!([limits, risky(2), watched]), "each value once");
    let fewer = RULES.replace("table limits : user -> money\n", "");
    let files = json!({ "files": { "s.schema.weir": SCHEMA, "s.weir": fewer } });
    let accepted = weir.put("/v1/rules", &files).await;
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    weir.until("the rules are in force", async |_| {
        (lists().await == json!([risky(2), watched])).then_some(())
    })
    .await;
    assert_eq!(weir.get("/v1/lists/limits/u1").await.status, 200);
}

#[tokio::test]
async fn what_a_list_cannot_hold_is_refused() {
    let weir = Weir::start().await;
    let rows = [
        ("watchd", "u1", json!({}), 404, "list_unknown", json!({ "parameter": "list" })),
        (
            "watched",
            "u1",
            json!({ "until": "tomorrow" }),
            422,
            "invalid_fields",
            json!({ "pointer": "#/until" }),
        ),
        (
            "watched",
            "u1",
            json!({ "until": "2020-01-01T00:00:00Z" }),
            422,
            "invalid_fields",
            json!({ "pointer": "#/until" }),
        ),
        ("watched", "u1", json!({ "value": "1" }), 422, "invalid_fields", json!({ "pointer": "#/value" })),
        ("limits", "u1", json!({}), 422, "invalid_fields", json!({ "pointer": "#/value" })),
        ("limits", "u1", json!({ "value": "much" }), 422, "invalid_fields", json!({ "pointer": "#/value" })),
        ("risky", "5732", json!({ "value": "1" }), 422, "invalid_fields", json!({ "pointer": "#" })),
        ("risky", "57321", json!({}), 400, "invalid_parameter", json!({ "parameter": "id" })),
        ("limits", "", json!({ "value": "1" }), 404, "no_such_route", json!({})),
    ];
    for (list, id, body, status, code, place) in rows {
        let refused = weir.put(&format!("/v1/lists/{list}/{id}"), &body).await;
        assert_eq!((refused.status.as_u16(), &refused.body["code"]), (status, &json!(code)), "{list} {body}");
        for (name, value) in place.as_object().unwrap() {
            assert_eq!(&refused.body["errors"][0][name], value, "{list} {body}: {}", refused.body);
        }
    }
}

/// What a list's text would not hold as it is: then something else would be on the list, or come off it.
#[tokio::test]
async fn a_value_that_a_line_cannot_hold_is_refused_and_changes_nothing() {
    let weir = Weir::start().await;
    weir.put("/v1/lists/risky/a", &json!({})).await;
    for id in ["%20a", "a%20", "a%0A", "a%0D", "a%20%23b", "%23a", "a%0Ab", "%EF%BB%BFa", "%20"] {
        let path = format!("/v1/lists/risky/{id}");
        for method in [Method::PUT, Method::DELETE] {
            let refused = answer(weir.request(method, &path)).await;
            assert_eq!(
                (refused.status.as_u16(), &refused.body["code"]),
                (400, &json!("invalid_parameter")),
                "{id}"
            );
            let detail = refused.body["errors"][0]["detail"].as_str().unwrap();
            assert!(detail.contains("no space at its ends"), "{id}: {detail}");
        }
        assert_eq!(weir.get(&path).await.body["member"], false, "{id}");
    }
    assert_eq!(weir.get("/v1/lists/risky/a").await.body["member"], true);
    assert_eq!(weir.get("/v1/lists").await.body["lists"][1]["count"], 1);
}

#[tokio::test]
async fn a_value_is_one_however_it_is_written() {
    let weir = Weir::start().await;
    let files = json!({ "files": { "s.schema.weir": SCHEMA, "s.weir": format!("{RULES}list shares : decimal(2)\n") } });
    assert_eq!(weir.put("/v1/rules", &files).await.status, 202);
    weir.until("the rules are in force", async |weir| {
        (weir.get("/v1/lists/shares/1").await.status == 200).then_some(())
    })
    .await;
    let member = async |id: &str| weir.get(&format!("/v1/lists/shares/{id}")).await.body["member"].clone();
    for (put, taken_off) in [("1.5", "1.50"), ("01.50", "1.5")] {
        for id in ["1.5", put] {
            weir.put(&format!("/v1/lists/shares/{id}"), &json!({})).await;
        }
        assert_eq!(member("1.50").await, true);
        let taken_off = answer(weir.request(Method::DELETE, &format!("/v1/lists/shares/{taken_off}"))).await;
        assert_eq!(taken_off.body["member"], false, "{put}");
        assert_eq!(member("1.5").await, false);
    }
}

#[tokio::test]
async fn an_amount_in_another_currency_needs_a_rate() {
    let weir = Weir::start().await;
    let dollars = |id: &str, minor: i64| json!({ "id": id, "type": "payment", "user": "u1", "amount": { "value": minor, "currency": "USD" } });
    let refused = weir.post("/v1/decisions", &dollars("p1", 100)).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.body["errors"][0]["pointer"]),
        (422, &json!("#/amount/currency"))
    );
    let put = weir.put("/v1/rates", &json!({ "USD": "7.25" })).await;
    assert_eq!(
        (put.status.as_u16(), &put.body),
        (200, &json!({ "base": "CNY", "rates": { "USD": "7.25" } }))
    );
    assert_eq!(weir.post("/v1/decisions", &dollars("p2", 13_000)).await.body["outcome"], "allow", "942.50");
    assert_eq!(weir.post("/v1/decisions", &dollars("p3", 1_000)).await.body["outcome"], "block", "and 72.50");
    let much = weir.post("/v1/decisions", &dollars("p4", 2_000_000_000_000)).await;
    let error = &much.body["errors"][0];
    assert_eq!((much.status.as_u16(), &error["pointer"]), (422, &json!("#/amount/value")));
    let detail = "field `amount` comes to more than 10000000000000 in minor units of `CNY`, the greatest amount there is: \
                  send less, or mend the rate of `USD`";
    assert_eq!(error["detail"], detail);
    let wrong = weir.put("/v1/rates", &json!({ "USD": "much", "EUR": "7.9", "US": "1" })).await;
    let pointers: Vec<_> =
        wrong.body["errors"].as_array().unwrap().iter().map(|it| it["pointer"].clone()).collect();
    assert_eq!((wrong.status.as_u16(), pointers), (422, vec![json!("#/US"), json!("#/USD")]));
}

#[tokio::test]
async fn rates_are_read_as_they_are_put() {
    let weir = Weir::start().await;
    let check = async |put: serde_json::Value, expected: serde_json::Value| {
        assert_eq!(weir.put("/v1/rates", &put).await.status, 200, "{put}");
        let expected = json!({ "base": "CNY", "rates": expected });
        let read = weir.get("/v1/rates").await.body;
        assert_eq!(read, expected);
        let again = weir.put("/v1/rates", &read["rates"]).await;
        assert_eq!((again.status.as_u16(), again.body), (200, expected.clone()));
        assert_eq!(weir.get("/v1/rates").await.body, expected);
    };
    assert_eq!(weir.get("/v1/rates").await.body, json!({ "base": "CNY", "rates": {} }));
    check(json!({ "USD": "7.1043", "JPY": "0.04850" }), json!({ "JPY": "0.0485", "USD": "7.1043" })).await;
    let longest = json!({ "EUR": "0.000000000000000001", "USD": "999999999999999999" });
    check(longest.clone(), longest).await;
    check(json!({}), json!({})).await;
}
