//! Putting another rule set in force.

use api::now;
use rules::time::DAY;
use serde_json::{Value, json};

use crate::support::{Answer, RULES, SCHEMA, Weir, payment};

async fn send(weir: &Weir, rules: &str) -> Answer {
    weir.put("/v1/rules", &json!({ "files": { "s.schema.weir": SCHEMA, "s.weir": rules } })).await
}

/// What became of a job.
async fn job(weir: &Weir, accepted: &Answer) -> Value {
    let path = accepted.headers["location"].to_str().unwrap().to_owned();
    weir.until("the job ends", async |weir| {
        let job = weir.get(&path).await.body;
        (job["state"] != "activating").then_some(job)
    })
    .await
}

/// Whoever has not kept the old files asks for them.
#[tokio::test]
async fn a_version_is_gone_back_to_by_its_files() {
    let weir = Weir::start().await;
    let first = weir.get("/v1/rules").await.body;
    job(&weir, &send(&weir, &RULES.replace("1000.00", "5000.00")).await).await;
    let path = format!("/v1/rules/versions/{}", first["versions"][0]["id"]);
    let version = weir.get(&path).await.body;
    assert_eq!((&version["version"]["hash"], &version["files"]), (&first["hash"], &first["files"]));
    let back = weir.put("/v1/rules", &json!({ "files": version["files"] })).await;
    assert_eq!(job(&weir, &back).await["state"], "active");
    assert_eq!(weir.get("/v1/rules").await.body["hash"], first["hash"]);
}

#[tokio::test]
async fn another_threshold_takes_over_at_once_and_so_does_going_back() {
    let weir = Weir::start().await;
    weir.pay("p1", "u1", 60_000).await;
    let before = weir.get("/v1/rules").await.body;
    assert_eq!(
        before["rules"][0],
        json!({ "name": "limit", "reason": "Over the spending limit", "mode": "live", "on": ["payment"] })
    );
    assert_eq!(before["files"]["s.weir"], RULES);
    // What is in force from the start is a version too.
    let first = &before["versions"][0];
    assert_eq!((&first["hash"], &first["by"]), (&before["hash"], &json!("weir serve")));
    assert!(first["activated"].is_string());
    let raised = RULES.replace("1000.00", "5000.00");
    let accepted = send(&weir, &raised).await;
    assert_eq!(
        (accepted.status.as_u16(), &accepted.body["tests_passed"]),
        (202, &json!(2)),
        "{}",
        accepted.body
    );
    let done = job(&weir, &accepted).await;
    assert_eq!(done["state"], "active", "{done}");
    let after = weir.get("/v1/rules").await.body;
    assert_eq!(after["hash"], done["hash"]);
    assert_ne!(after["hash"], before["hash"]);
    let version = &after["versions"][0];
    assert_eq!((&version["hash"], &version["by"]), (&done["hash"], &json!("admin")));
    assert!(version["activated"].is_string());
    assert_eq!(
        weir.pay("p2", "u1", 60_000).await["outcome"],
        "allow",
        "what was remembered stays, the limit is new"
    );
    let back = send(&weir, RULES).await;
    assert_eq!(job(&weir, &back).await["state"], "active");
    assert_eq!(weir.pay("p3", "u1", 60_000).await["outcome"], "block");
}

/// However long ago it was made, and whatever stands in the places of its rules and features now.
#[tokio::test]
async fn a_decision_is_explained_in_the_words_of_its_own_rule_set() {
    let weir = Weir::start().await;
    let mut paid = payment("p1", "u1", 150_000);
    paid["time"] = json!(jiff::Timestamp::from_microsecond(now() - 3 * DAY).unwrap().to_string());
    let decided = weir.post("/v1/decisions", &paid).await.body;
    assert_eq!(decided["hits"][0]["rule"], "limit", "{decided}");
    let other = RULES
        .replace("feature spent_24h", "feature any_1h = count(any) by user over 1h\nfeature spent_24h")
        .replace("record spent_24h", "record any_1h, spent_24h")
        .replace(
            "rule limit",
            "rule gift \"A gift\"\n  on payment\n  when amount == 0.00 CNY\n  then score +1\n\nrule limit",
        );
    assert_eq!(job(&weir, &send(&weir, &other).await).await["state"], "active");
    // Days later, and another change forgets what was replaced.
    weir.pay("p2", "u1", 100).await;
    let third = other.replace("1000.00", "2000.00");
    assert_eq!(job(&weir, &send(&weir, &third).await).await["state"], "active");
    assert_eq!(weir.get("/v1/decisions/p1").await.body["decision"], decided);
}

#[tokio::test]
async fn rates_and_lists_stay_when_rules_change() {
    let weir = Weir::start().await;
    weir.put("/v1/rates", &json!({ "USD": "7.25" })).await;
    weir.put("/v1/lists/risky/5732", &json!({})).await;
    let pay = |id: &'static str| {
        let mut paid = payment(id, "u1", 100);
        paid["amount"]["currency"] = json!("USD");
        paid["mcc"] = json!("5732");
        paid
    };
    assert_eq!(weir.post("/v1/decisions", &pay("p1")).await.body["score"], 12.5);
    let accepted = send(&weir, &RULES.replace("+12.5", "+25")).await;
    assert_eq!(job(&weir, &accepted).await["state"], "active");
    let after = weir.post("/v1/decisions", &pay("p2")).await;
    assert_eq!((after.status.as_u16(), &after.body["score"]), (200, &json!(25)), "{}", after.body);
}

#[tokio::test]
async fn what_is_wrong_with_rules_is_said_with_its_place() {
    let weir = Weir::start().await;
    let wrong = RULES.replace("spent_24h + amount", "spent_24 + amont");
    let refused = send(&weir, &wrong).await;
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (422, &json!("invalid_rules")));
    let errors = refused.body["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{}", refused.body);
    assert!(errors[0]["file"].as_str().unwrap().starts_with("s.weir:14:"), "{}", errors[0]);
    assert!(errors[0]["detail"].as_str().unwrap().contains("did you mean `spent_24h`?"), "{}", errors[0]);

    let doomed = format!("{RULES}\nrule doomed \"Doomed\" on payment when amount > 1.00 CNY then score +1\n");
    let refused = send(&weir, &doomed).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.body["detail"]),
        (422, &json!("1 of 3 tests of its own failed"))
    );
    assert_eq!(refused.body["errors"][0]["file"], "s.weir:9:6");

    let listed = format!("{RULES}\nlist more : user from \"more.txt\"\n");
    let refused = send(&weir, &listed).await;
    assert_eq!(refused.body["errors"][0]["detail"], "`more.txt` is missing, which the rules name");
    let empty = weir.put("/v1/rules", &json!({ "files": {} })).await;
    assert_eq!((empty.status.as_u16(), &empty.body["errors"][0]["pointer"]), (422, &json!("#/files")));
}

/// What is said of the files beside good rules: where each error stands, and a part of its words.
async fn check_beside(weir: &Weir, beside: &[(&str, &str)], expected: (&str, &[(&str, &str, &str)])) {
    let schema = SCHEMA.replace("currency CNY\n", "currency CNY\nrates \"rates.csv\"\n");
    let rules = RULES.replace("risky : text(4)", "risky : text(4) from \"risky.csv\"");
    let mut files = json!({
        "s.schema.weir": schema, "s.weir": rules, "risky.csv": "5732\n", "rates.csv": "currency,rate\nUSD,7.1\n",
    });
    beside.iter().for_each(|(name, text)| files[*name] = json!(text));
    let refused = weir.put("/v1/rules", &json!({ "files": files })).await;
    let (code, places) = expected;
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (422, &json!(code)), "{}", refused.body);
    let errors = refused.body["errors"].as_array().unwrap();
    assert_eq!(errors.len(), places.len(), "{}", refused.body);
    for (error, (member, place, part)) in errors.iter().zip(places) {
        let detail = error["detail"].as_str().unwrap();
        assert!(error[*member] == *place && detail.contains(part), "{place} {part}: {error}");
    }
}

#[tokio::test]
async fn what_is_wrong_beside_rules_is_said_with_its_place() {
    let weir = Weir::start().await;
    let contents = [
        ("file", "rates.csv:2", "is not"),
        ("file", "risky.csv:1", "too long: 8 bytes, at most 4"),
        ("file", "risky.csv:3", "stands in line 2 already"),
    ];
    let wrong = [("rates.csv", "currency,rate\nUSD,x\n"), ("risky.csv", "too long\n5732\n5732\n")];
    check_beside(&weir, &wrong, ("invalid_rules", &contents)).await;
    let names = [
        ("pointer", "#/files/extra.wier", "nothing names `extra.wier`; did you mean `extra.weir`?"),
        ("pointer", "#/files/more~1extra.txt", "a list names its own with `from`"),
        ("pointer", "#/files/watched.txt", "nothing names `watched.txt`"),
    ];
    let unnamed = [("extra.wier", ""), ("more/extra.txt", ""), ("watched.txt", "u1\n")];
    check_beside(&weir, &unnamed, ("invalid_fields", &names)).await;
    // What the rules lack may stand in it.
    let slip = [("pointer", "#/files/more.wer", "did you mean `more.weir`?")];
    let lacking =
        [("s.weir", "use schema s\nrule r \"R\" on payment when more then block\n"), ("more.wer", "")];
    check_beside(&weir, &lacking, ("invalid_fields", &slip)).await;
}

#[tokio::test]
async fn the_files_that_are_shown_can_be_sent_again() {
    let weir = Weir::start().await;
    weir.put("/v1/rates", &json!({ "USD": "7.25" })).await;
    weir.put("/v1/lists/risky/5732", &json!({})).await;
    let before = weir.get("/v1/rules").await.body;
    let put = async |files: &Value| {
        let accepted = weir.put("/v1/rules", &json!({ "files": files })).await;
        assert_eq!(accepted.status, 202, "{}", accepted.body);
        assert_eq!(job(&weir, &accepted).await["state"], "active");
        weir.get("/v1/rules").await.body
    };
    let after = put(&before["files"]).await;
    for what in ["hash", "files", "lists"] {
        assert_eq!(after[what], before[what], "{what}");
    }
    // And what is changed in them counts.
    let mut files = before["files"].clone();
    files["risky.txt"] = json!("5732\n5944\n");
    files["rates.csv"] = json!("currency,rate\nUSD,7.5\n");
    put(&files).await;
    assert_eq!(weir.get("/v1/lists/risky/5944").await.body["member"], true);
    assert_eq!(weir.get("/v1/rates").await.body["rates"], json!({ "USD": "7.5" }));
}

/// Who edits files for an hour does not undo what others did meanwhile.
#[tokio::test]
async fn files_that_are_sent_with_their_base_change_what_they_change() {
    let weir = Weir::start().await;
    weir.put("/v1/rates", &json!({ "USD": "7.25" })).await;
    weir.put("/v1/lists/risky/5732", &json!({})).await;
    let mine = weir.get("/v1/rules").await.body;
    let put = async |rules: &str, base: &Value| {
        let mut files = mine["files"].clone();
        files["s.weir"] = json!(rules);
        weir.put("/v1/rules", &json!({ "files": files, "base": base })).await
    };
    let held = async || {
        let rate = weir.get("/v1/rates").await.body["rates"]["USD"].clone();
        let member =
            async |code: &str| weir.get(&format!("/v1/lists/risky/{code}")).await.body["member"].clone();
        (rate, member("5732").await, member("5944").await)
    };
    weir.put("/v1/rates", &json!({ "USD": "7.5" })).await;
    weir.put("/v1/lists/risky/5944", &json!({})).await;
    let theirs = (json!("7.5"), json!(true), json!(true));
    let raised = RULES.replace("1000.00", "5000.00");
    let accepted = put(&raised, &mine["base"]).await;
    assert_eq!(job(&weir, &accepted).await["state"], "active", "{}", accepted.body);
    assert_eq!(held().await, theirs, "what was not changed in the files is as it is now");
    let refused = put(RULES, &mine["base"]).await;
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (409, &json!("rules_changed")));
    assert_eq!(refused.body["errors"][0]["pointer"], "#/base", "{}", refused.body);
    let now = weir.get("/v1/rules").await.body;
    assert_eq!(now["files"]["s.weir"], raised);
    // By now these are changed in the files.
    let accepted = put(RULES, &now["base"]).await;
    assert_eq!(job(&weir, &accepted).await["state"], "active", "{}", accepted.body);
    assert_eq!(held().await, (json!("7.25"), json!(true), json!(false)));
}

/// Nor does a file count as unchanged that another list is to read, nor rules of which only the words were changed.
#[tokio::test]
async fn files_that_are_sent_with_their_base_undo_nothing() {
    let weir = Weir::start().await;
    weir.put("/v1/lists/risky/5732", &json!({})).await;
    let mine = weir.get("/v1/rules").await.body;
    let put = async |changed: &[(&str, &str)]| {
        let mut files = mine["files"].clone();
        changed.iter().for_each(|(name, text)| files[*name] = json!(text));
        weir.put("/v1/rules", &json!({ "files": files, "base": mine["base"] })).await
    };
    let refused = async |changed: &[(&str, &str)], pointer: &str| {
        let refused = put(changed).await;
        assert_eq!((refused.status.as_u16(), &refused.body["code"]), (409, &json!("rules_changed")));
        assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{}", refused.body);
    };
    let listed = RULES.replace(
        "table limits : user -> money\n",
        "table limits : user -> money\nlist shops : text(4) from \"risky.txt\"\n",
    );
    let accepted = put(&[("s.weir", &listed)]).await;
    assert_eq!(job(&weir, &accepted).await["state"], "active", "{}", accepted.body);
    assert_eq!(weir.get("/v1/lists/shops/5732").await.body["member"], true);
    // As they were, but for a remark.
    let remarked = send(&weir, &format!("{RULES}// asked for by the bank\n")).await;
    assert_eq!(job(&weir, &remarked).await["state"], "active", "{}", remarked.body);
    assert_eq!(weir.get("/v1/rules").await.body["hash"], mine["hash"]);
    refused(&[("s.weir", &RULES.replace("1000.00", "5000.00"))], "#/base").await;
    assert_eq!(job(&weir, &send(&weir, RULES).await).await["state"], "active");
    weir.put("/v1/lists/risky/5944", &json!({})).await;
    refused(&[("risky.txt", "5732\n5999\n")], "#/files/risky.txt").await;
    assert_eq!(weir.get("/v1/lists/risky/5944").await.body["member"], true);
}

#[tokio::test]
async fn a_rule_set_that_lacks_state_has_it_built_from_the_journal() {
    let weir = Weir::start().await;
    for number in 0..3 {
        let payment = json!({
            "id": format!("b-{number}"), "type": "payment", "user": "u-built", "device": "d-1",
            "amount": { "value": 100, "currency": "CNY" },
        });
        assert_eq!(weir.post("/v1/decisions", &payment).await.status, 200);
    }
    let wider = RULES.replace(
        "payments_1h = count(payment) by user over 1h",
        "payments_1h = count(payment) by user over 90d",
    );
    let accepted = send(&weir, &wider).await;
    let done = job(&weir, &accepted).await;
    assert_eq!((&done["state"], &done["building"]["records"]), (&json!("active"), &json!(4)), "{done}");
    let user = weir.get("/v1/entities/user/u-built").await;
    assert_eq!(user.body["features"]["payments_1h"], 3, "{}", user.body);
    let back = send(&weir, RULES).await;
    let done = job(&weir, &back).await;
    assert_eq!((&done["state"], &done["building"]), (&json!("active"), &Value::Null), "{done}");
}

#[tokio::test]
async fn what_the_journal_does_not_reach_back_for_is_warming() {
    let weir = Weir::start().await;
    for id in ["w1", "w2"] {
        weir.pay(id, "u-warm", 100).await;
    }
    weir.prune(2);
    let before = weir.get("/v1/rules").await.body;
    assert_eq!((&before["warming"], &before["rules"][0]["warming_until"]), (&json!([]), &Value::Null));
    let wider = RULES.replace("over 24h before where accepted", "over 90d before where accepted");
    let accepted = send(&weir, &wider).await;
    assert_eq!(job(&weir, &accepted).await["state"], "active");
    let after = weir.get("/v1/rules").await.body;
    let until = after["warming"][0]["until"].as_str().unwrap();
    assert_eq!(after["warming"], json!([{ "feature": "spent_24h", "until": until }]));
    let said = after["rules"].as_array().unwrap().iter().map(|it| it["warming_until"].as_str());
    assert_eq!(said.collect::<Vec<_>>(), [Some(until), None, None]);
    assert_eq!(weir.pay("w3", "u-warm", 100).await["flags"], json!(["warming"]));
    let back = send(&weir, RULES).await;
    assert_eq!(job(&weir, &back).await["state"], "active");
    assert_eq!(weir.get("/v1/rules").await.body["warming"], json!([]), "nothing of it shows");
    assert_eq!(weir.pay("w4", "u-warm", 100).await["flags"], json!([]));
}

#[tokio::test]
async fn a_rule_set_that_cannot_take_over_is_refused_and_the_old_one_stays() {
    let weir = Weir::start().await;
    let before = weir.get("/v1/rules").await.body["hash"].clone();
    let accepted = send(&weir, &RULES.replacen("list ", "list another : user\nlist ", 1)).await;
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let done = job(&weir, &accepted).await;
    assert_eq!(
        (&done["state"], &done["problem"]["code"]),
        (&json!("refused"), &json!("not_activated")),
        "{done}"
    );
    assert!(done["problem"]["detail"].as_str().unwrap().contains("its lists do not begin with"), "{done}");
    assert_eq!(weir.get("/v1/rules").await.body["hash"], before);
    assert_eq!(weir.get("/v1/rules/jobs/99").await.body["code"], "job_unknown");
}
