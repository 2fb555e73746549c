//! The shape of events and amendments in JSON, as a table: what is taken, and what is said of what is not.

use std::sync::Arc;

use engine::event::{Change, Event, FieldValue};
use rules::past::Label;
use rules::place::Place;
use rules::schema::Schema;

use super::*;
use crate::testing::schema;

fn wallet() -> Arc<Schema> {
    schema(
        "entity user
         entity card owned
         entity bin  shared
         enum channel = app, web
         event payment
           user: user
           card: card?
           amount: money?
           yuan: money CNY?
           channel: channel?
           place: place?
           mcc: text(4)?
           pan6: text(6)?
           bin: bin? = prefix(pan6, 6)
           risk: decimal(4)?
           tries: int?
           known: flag?
           born: time?
           length: duration?
         event login
           user: user",
    )
}

/// An event of the smallest shape with these members added.
fn payment(members: &str) -> String {
    format!(r#"{{"id":"p-1","type":"payment","user":"u1"{members}}}"#)
}

fn read(body: &str) -> Result<(Body, Event), String> {
    let mut event = Event::default();
    let body = parse_json(body.as_bytes(), &wallet(), &mut event).map_err(|it| it.to_string())?;
    Ok((body, event))
}

#[test]
fn an_event_holds_what_was_sent() {
    let (body, event) = read(
        r#"{"bin":null,"amount":{"value":1250,"currency":"CNY"},"type":"payment","time":"2026-01-05T08:00:00+08:00",
            "user":"u1","card":null,"channel":"web","place":{"lat":29.56,"lon":-106.55000005},"mcc":"a\u0062c",
            "pan6":"411111","risk":"0.5","tries":-0,"known":true,"born":"1990-01-01T00:00:00Z","length":"15m",
            "extra":{"a": [1, 2]},"id":"p-1","recheck_of":"p-0"}"#,
    )
    .unwrap();
    let wallet = wallet();
    let value = |name| event.get(&wallet, name);
    assert_eq!(body, Body::Event);
    assert_eq!((event.id.as_str(), event.recheck_of.as_deref()), ("p-1", Some("p-0")));
    assert_eq!((event.time, event.time_given), (1_767_571_200_000_000, true));
    assert_eq!(event.extra, r#"{"a": [1, 2]}"#);
    let place = Place::new(295_600_000, -1_065_500_000).unwrap().pack();
    let currency = parse_currency(b"CNY").unwrap();
    #[rustfmt::skip]
    let rows = [
        ("user", FieldValue::Text("u1")), ("card", FieldValue::Missing), ("channel", FieldValue::Number(1)),
        ("amount", FieldValue::Money { minor: 1_250, currency }), ("place", FieldValue::Number(place)),
        ("mcc", FieldValue::Text("abc")), ("bin", FieldValue::Text("411111")), ("risk", FieldValue::Number(5_000)),
        ("tries", FieldValue::Number(0)), ("known", FieldValue::Number(1)),
        ("born", FieldValue::Number(631_152_000_000_000)), ("length", FieldValue::Number(900_000_000)),
    ];
    for (name, expected) in rows {
        assert_eq!(value(name), expected, "{name}");
    }
    assert!(!read(&payment("")).unwrap().1.time_given, "a time may be absent");
    let (_, short) = read(&payment(r#","pan6":"41111""#)).unwrap();
    assert_eq!(short.get(&wallet, "bin"), FieldValue::Missing, "a shorter text has no such prefix");
    let (_, wide) = read(&payment(r#","pan6":"éé""#)).unwrap();
    assert_eq!(wide.get(&wallet, "bin"), FieldValue::Missing, "characters are counted, not bytes");
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let long = |bytes: usize| format!(r#"{{"id":"{}","type":"login","user":"u"}}"#, "x".repeat(bytes));
    #[rustfmt::skip]
    let rows = [
        (payment(r#","usr":"u""#), "`/usr`: no such field; did you mean `user`?"),
        (payment(r#","bin":"4""#), "`/bin`: is derived at intake: leave it out"),
        (payment(r#","user":"u2""#), "`/user`: is there twice"),
        (payment(r#","card":7"#), "`/card`: `7` must be a string, in quotes"),
        (payment(r#","card":"""#), "`/card`: `` is empty, and an id has at least one byte"),
        (payment(r#","mcc":"abcde""#), "`/mcc`: `abcde` is too long: 5 bytes, at most 4"),
        (payment(r#","channel":"wep""#), "`/channel`: `wep` is no value of the enum; did you mean `web`?"),
        (payment(r#","risk":0.5"#), "`/risk`: `0.5` must be a string, in quotes"),
        (payment(r#","risk":"1e3""#), "`/risk`: `1e3` is not a plain number: write digits, such as `1000` or `-12.50`"),
        (payment(r#","risk":"NaN""#), "`/risk`: `NaN` is not a plain number: write digits, such as `1000` or `-12.50`"),
        (payment(r#","risk":"0.00001""#), "`/risk`: `0.00001` has more than 4 digits after the point"),
        (payment(r#","tries":1.0"#), "`/tries`: `1.0` must be a whole number, without quotes, point or exponent"),
        (payment(r#","tries":"1""#), "`/tries`: `\"1\"` must be a whole number, without quotes, point or exponent"),
        (payment(r#","tries":123456789012345678901234567890"#),
            "`/tries`: `123456789012345678901234567890` is too large: at most 10000000000000 in magnitude"),
        (payment(r#","known":1"#), "`/known`: `1` is not `true` or `false`"),
        (payment(r#","born":"1990-01-01""#),
            "`/born`: `1990-01-01` is not an RFC 3339 time with an offset, such as `2026-01-05T08:00:00+08:00`"),
        (payment(r#","time":"2200-01-01T00:00:00Z""#), "`/time`: `2200-01-01T00:00:00Z` is outside the years 1970 to 2199"),
        (payment(r#","length":"15""#),
            "`/length`: `15` is not a duration: write a whole number and `ms`, `s`, `m`, `h`, `d` or `w`, such as `15m`"),
        (payment(r#","amount":12.5"#), "`/amount`: must be an object of `value` and `currency`"),
        (payment(r#","amount":{"value":12}"#), "`/amount/currency`: missing"),
        (payment(r#","amount":{"value":12.5,"currency":"EUR"}"#),
            "`/amount/value`: `12.5` must be a whole number, without quotes, point or exponent"),
        (payment(r#","amount":{"value":1e3,"currency":"EUR"}"#),
            "`/amount/value`: `1e3` must be a whole number, without quotes, point or exponent"),
        (payment(r#","amount":{"value":10000000000001,"currency":"EUR"}"#),
            "`/amount/value`: `10000000000001` is too large: at most 10000000000000 in magnitude"),
        (payment(r#","amount":{"value":1,"currency":"eur"}"#),
            "`/amount/currency`: `eur` is no currency: write three capitals of ISO 4217, such as `EUR`"),
        (payment(r#","amount":{"value":1,"currency":"EUR","unit":"x"}"#), "`/amount/unit`: no such field; there is `value`, `currency`"),
        (payment(r#","yuan":{"value":1,"currency":"EUR"}"#), "`/yuan/currency`: `EUR` is refused: the field takes only CNY"),
        (payment(r#","place":{"lat":91,"lon":0}"#),
            "`/place`: `{\"lat\":91,\"lon\":0}` is no place: latitude is within ±90, longitude within ±180"),
        (payment(r#","place":{"lat":"1","lon":0}"#),
            "`/place/lat`: `\"1\"` is not a plain number: write digits, such as `1000` or `-12.50`"),
        (payment(r#","extra":[1]"#), "`/extra`: must be an object"),
        (payment(r#","a/b~c":1"#), "`/a~1b~0c`: no such field"),
        (r#"{"id":"p","type":"payment"}"#.into(), "`/user`: missing, and every `payment` has one"),
        (r#"{"id":"p","type":"pament","user":"u"}"#.into(), "`/type`: `pament` is no event type; did you mean `payment`?"),
        (r#"{"type":"login","user":"u"}"#.into(), "`/id`: missing"),
        (r#"{"id":"p","user":"u"}"#.into(), "`/type`: missing"),
        (long(10_000), "`/id`: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…` is too long: 10000 bytes, at most 128"),
        (r#"{"id":"p","type":"payment","mcc":"12345","risk":1}"#.into(), "`/mcc`: `12345` is too long: 5 bytes, at most 4; `/risk`: `1` must be"),
        (r#"{"id":"p","type":"payment","mcc":"12345"}"#.into(),
            "`/mcc`: `12345` is too long: 5 bytes, at most 4; `/user`: missing, and every `payment` has one"),
        ("[1]".into(), "must be a JSON object"),
        ("{".into(), "EOF while parsing"),
        (r#"{"id":"p"} x"#.into(), "trailing characters"),
        (r#"{"id":"p","type":"login","user":"u","event_id":"x"}"#.into(), "`/event_id`: no such field"),
        (payment(r#","amount":{"value":12,"value":13,"currency":"EUR"}"#), "`/amount/value`: is there twice"),
        // Amendments.
        (r#"{"id":"a","event_id":"p"}"#.into(), "must set exactly one of `label`, `challenge`, `result` and `outcome`"),
        (r#"{"id":"a","event_id":"p","label":"fraud","result":"failed"}"#.into(), "must set exactly one of"),
        (r#"{"id":"a","event_id":"p","label":"fruad"}"#.into(), "`/label`: `fruad` is none of `unknown`, `fraud`, `legitimate`"),
        (r#"{"id":"a","event_id":"p","result":"failed","kind":"x"}"#.into(), "`/kind`: stands beside `label` only"),
        (r#"{"id":"a","event_id":"p","label":"fraud","user":"u"}"#.into(), "`/user`: no such field"),
        (r#"{"event_id":"p","label":"fraud"}"#.into(), "`/id`: missing"),
    ];
    for (body, expected) in rows {
        let error = read(&body).expect_err(&body);
        assert!(error.contains(expected), "{body}\n  said:     {error}\n  expected: {expected}");
    }
    let mut event = Event::default();
    let invalid = parse_json(b"{\"id\":\"\xff\"}", &wallet(), &mut event).unwrap_err();
    assert!(invalid.to_string().contains("is no JSON: invalid unicode code point at column 8"), "{invalid}");
}

#[test]
fn an_amendment_sets_one_column() {
    let (body, _) = read(
        r#"{"id":"a-1","event_id":"p-1","label":"fraud","kind":"card_stolen","time":"2026-01-05T00:00:00Z"}"#,
    )
    .unwrap();
    let Body::Amendment(amendment) = body else { panic!("{body:?}") };
    assert_eq!((amendment.id.as_str(), amendment.event_id.as_str()), ("a-1", "p-1"));
    assert_eq!((amendment.time, amendment.time_given), (1_767_571_200_000_000, true));
    assert_eq!(amendment.change, Change::Label(Label::Fraud, Some("card_stolen".into())));
    for (column, value) in [("challenge", "passed"), ("result", "reversed"), ("outcome", "block")] {
        let (body, _) = read(&format!(r#"{{"id":"a","event_id":"p","{column}":"{value}"}}"#)).unwrap();
        assert!(matches!(body, Body::Amendment(_)), "{column}");
    }
}

#[test]
fn values_are_shown_short_and_readable() {
    let long = "x".repeat(10_000);
    #[rustfmt::skip]
    let rows: [(&[u8], &str); 6] = [
        (b"", "``"),
        (b"1e3", "`1e3`"),
        ("é\u{7}`".as_bytes(), r"`é\u{7}``"),
        (b"\xff\xfe", "`\u{fffd}\u{fffd}`"),
        (b"a\nb", r"`a\nb`"),
        (long.as_bytes(), "`xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`"),
    ];
    for (value, expected) in rows {
        assert_eq!(shown(value), expected);
    }
}

#[test]
fn a_suggestion_names_what_is_near_or_all_there_is() {
    let names = ["customer", "terminal", "amount"];
    assert_eq!(suggestion("custmer", names), "; did you mean `customer`?");
    assert_eq!(suggestion("Amount", names), "; did you mean `amount`?");
    assert_eq!(suggestion("zzz", names), "; there is `customer`, `terminal`, `amount`");
    assert_eq!(suggestion("zzz", []), "; there is nothing");
}
