//! Lists, tables and rates, changed while decisions go on.

use reqwest::Method;
use serde_json::json;

use crate::support::{Weir, answer, payment};

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
