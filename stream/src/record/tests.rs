//! Every kind of record comes back from its bytes.

use engine::decision::{Fallback, Flags};
use engine::entity::{EntityKey, HashKey};
use engine::event::{Amendment, Change, Event};
use engine::lists::Membership;
use engine::words::Ruling;
use rules::past::{Challenge, Label, OperationResult, Outcome};
use rules::program::{Alert, EffectRef, Hit, Verdict};
use rules::schema::{Currency, EventTypeId, KindId, Schema};
use rules::typed::{FeatureId, ListId, RuleId, Severity};
use rules::value::Value;

use super::*;
use crate::record::RowPlace;

fn entity(kind: u16) -> EntityKey {
    EntityKey::new(KindId(kind), u128::from(kind) << 100 | 77)
}

fn place(entities: &[EntityKey]) -> RowPlace {
    RowPlace { at: -5, position: 1 << 40, entities: entities.iter().copied().collect() }
}

/// A body's stamp and message come back; every shorter stamp is refused.
#[track_caller]
fn check<T: Message + Default + PartialEq + std::fmt::Debug>(message: &T) {
    let (stamp, mut body) = (Stamp { clock: -9, rule_set: 3 }, vec![1, 2, 3]);
    stamp.write(message, &mut body);
    let (read, bytes) = Stamp::split(&body).unwrap();
    assert_eq!(read, stamp);
    assert_eq!(&T::decode(bytes).unwrap(), message);
    for length in 0..Stamp::BYTES {
        assert_eq!(Stamp::split(&body[..length]), None);
    }
}

#[test]
fn an_amendment_comes_back_with_its_place() {
    let places = [place(&[]), place(&[entity(0)]), place(&[entity(0), entity(2), entity(7)])];
    let changes = [
        Change::Label(Label::Fraud, Some("card_stolen".to_owned())),
        Change::Label(Label::Legitimate, None),
        Change::Challenge(Challenge::Expired),
        Change::Result(OperationResult::Reversed),
        Change::Outcome(Outcome::Block),
    ];
    let mut amend = Amend::default();
    for (place, change) in places.iter().flat_map(|place| changes.iter().map(move |it| (place, it))) {
        let (id, event_id, change) = ("a-1".to_owned(), "p-1".to_owned(), change.clone());
        let amendment = Amendment { id, event_id, time: 8, time_given: true, change };
        amend.set(&amendment, &[7; 16], place);
        check(&amend);
        assert_eq!(amend.place().as_ref(), Some(place));
        assert_eq!(amend.amendment(), Some(amendment));
        assert_eq!(amend.cause(), Cause::Said);
    }
    amend.set_fallback("p-2", 9, Outcome::Challenge, &places[1]);
    check(&amend);
    assert_eq!((amend.cause(), amend.change()), (Cause::Deadline, Some(Change::Outcome(Outcome::Challenge))));
    let damaged = [
        Amend { column: 9, ..amend.clone() },
        Amend { value: 9, ..amend.clone() },
        Amend { hashes: vec![1; 15], ..amend.clone() },
        Amend { hashes: vec![1; 32], ..amend.clone() },
        Amend { kinds: vec![1 << 16], ..amend },
    ];
    for it in damaged {
        assert!(it.change().is_none() || it.place().is_none(), "{it:?}");
    }
}

#[test]
fn changes_of_lists_come_back() {
    let membership = Membership { list: ListId(4), until: Some(5), value: Some(-6) };
    let entered = ListRecord::entered("watched", entity(3), &membership);
    check(&entered);
    assert_eq!(entered.entity(), Some(entity(3)));
    assert_eq!(entered.membership(ListId(4)), membership);
    assert!(!entered.removed);
    let left = ListRecord::left("watched", entity(3));
    check(&left);
    assert!(left.removed);
    check(&ListRecord::of_value("risky", "5732", true));
    assert_eq!(ListRecord { hash: vec![1; 15], ..left }.entity(), None);
}

#[test]
fn what_comes_into_force_comes_back() {
    use crate::bundle::{Bundle, File};
    let file = File::new("s.weir", "schema s 1");
    let bundle = Bundle { sources: vec![file.clone()], rates: Some(file.clone()), ..Bundle::default() };
    let record = RuleSetRecord::new(&bundle, &[3; 32]);
    assert!(!record.time_zones.is_empty());
    check(&record);
    check(&RatesRecord { rates: file });
    let lacking = vec![Lacking { feature: vec![7; 32], until: 9, blind: true }];
    check(&WarmRecord { bundle, since: Some(4), lacking, gone: vec![vec![7; 16]] });
}

/// An event with a role and three fields.
fn event(fill: impl FnOnce(&mut Event)) -> Event {
    let mut event = Event::default();
    event.begin(EventTypeId(0), 4);
    event.id.push_str("p-1");
    fill(&mut event);
    event
}

fn digest(event: &Event) -> [u8; 16] {
    digest_under(&schema(""), event)
}

/// A schema whose events have three fields, the last of them written like this.
fn schema(last: &str) -> Schema {
    let fields = format!("  a: text(500)?\n  b: text(500)?\n  c: text(500)?{last}\n");
    rules::testing::schema(&format!(
        "schema s 1\nzone \"UTC\"\ncurrency EUR\nentity u\nevent payment\n  u: u\n{fields}"
    ))
}

fn digest_under(schema: &Schema, event: &Event) -> [u8; 16] {
    write::begin_new(event, schema, HashKey::new([7; 16]), &mut Vec::new())
}

/// What is derived depends on the schema, not on who sends.
#[test]
fn what_is_derived_is_no_part_of_the_body() {
    let (plain, derives) = (schema(""), schema(" = prefix(a, 2)"));
    let [sent, with_prefix] = [None, Some("41")].map(|prefix| {
        event(|it| {
            it.set_text(1, "4111");
            prefix.into_iter().for_each(|prefix| it.set_text(3, prefix));
        })
    });
    assert_eq!(digest_under(&derives, &with_prefix), digest_under(&plain, &sent));
    assert_ne!(digest_under(&plain, &with_prefix), digest_under(&plain, &sent), "there it was sent");
    let mut other = with_prefix.clone();
    other.set_text(1, "4112");
    assert_ne!(digest_under(&derives, &other), digest_under(&derives, &with_prefix));
}

#[test]
fn events_that_differ_have_digests_that_differ() {
    let [eur, usd] = ["EUR", "USD"].map(|code| Currency::from_code(code).unwrap());
    let digests = [
        event(|_| {}),
        event(|it| it.id.push('0')),
        event(|it| it.event_type = Some(EventTypeId(1))),
        event(|it| it.time_given = true),
        event(|it| (it.time, it.time_given) = (5, true)),
        event(|it| it.recheck_of = Some("p-0".into())),
        event(|it| it.extra.push_str("{}")),
        event(|it| it.set_number(0, 0)),
        event(|it| it.set_number(1, 0)),
        event(|it| it.set_number(1, 1)),
        event(|it| it.set_money(1, 1, eur)),
        event(|it| it.set_money(1, 1, usd)),
        event(|it| it.set_text(1, "")),
        event(|it| (it.set_text(0, "ab"), it.set_text(1, "c")).0),
        event(|it| (it.set_text(0, "a"), it.set_text(1, "bc")).0),
    ]
    .map(|event| digest(&event));
    for (at, one) in digests.iter().enumerate() {
        assert!(!digests[..at].contains(one), "body {at} is told from the others");
    }
}

#[test]
fn what_the_edge_added_and_a_longer_type_leave_the_digest_alone() {
    let sent = event(|it| it.set_number(0, 7));
    let stamped = event(|it| (it.set_number(0, 7), it.time = 99).0);
    assert_eq!(digest(&sent), digest(&stamped), "a stamped time was not received");
    let mut longer = Event::default();
    longer.begin(EventTypeId(0), 9);
    longer.id.push_str("p-1");
    longer.set_number(0, 7);
    assert_eq!(digest(&sent), digest(&longer), "nor was a field that was not there");
}

/// Two features.
fn rules() -> rules::typed::RuleSet {
    let schema = "schema s 7\nzone \"UTC\"\ncurrency EUR\nentity user\nevent payment\n  user: user\n";
    let features = "use schema s\nfeature a = count(payment) by user over 1h\n\
                    feature b = time_since(payment) by user\n";
    rules::testing::rule_set(schema, features)
}

/// A ruling that has everything.
fn full(values: &[(FeatureId, Value)]) -> Ruling {
    let effect = EffectRef::Rule(RuleId(300), 2);
    let hits = [(0, 5), (300, -1)];
    Ruling {
        verdict: Verdict {
            outcome: Outcome::Challenge,
            score_e6: -70_000_000,
            hits: hits.map(|(rule, contribution_e6)| Hit { rule: RuleId(rule), contribution_e6 }).into(),
            factors: Some(effect),
            alerts: vec![Alert { severity: Severity::Critical, effect }],
            actions: vec![effect, EffectRef::Policy(1, 2, 3)],
        },
        recorded: values.to_vec(),
        flags: Flags { late: true, too_late: true, warming: true, repeated: false },
        fallback: Some(Fallback::Deadline),
    }
}

/// What is written field after field is what the message has, byte for byte.
#[test]
fn what_is_written_is_the_message() {
    let (rules, [a, b]) = (rules(), [FeatureId(0), FeatureId(1)]);
    let values =
        vec![(a, Value::Exact(-3)), (b, Value::Real(0.5)), (a, Value::Flag(true)), (b, Value::Missing)];
    let full = full(&values);
    let nothing = Ruling::default();
    let events = [
        event(|it| it.set_number(2, 7)),
        event(|it| {
            (it.time, it.time_given) = (-5, true);
            it.extra.push_str("{}");
            it.recheck_of = Some("p-0".into());
            it.set_text(1, &"long".repeat(100));
        }),
    ];
    let stamp = Stamp { clock: 11, rule_set: 4 };
    let places = [None, Some(Original { at: -9, position: 1 << 40 })];
    for ((event, ruling), original) in
        events.iter().flat_map(|event| [(event, &full), (event, &nothing)]).zip(places.iter().cycle())
    {
        let mut body = Vec::new();
        let digest = write::begin_new(event, &rules.schema, HashKey::new([7; 16]), &mut body);
        let ending = write::Ending {
            stamp,
            event,
            rules: &rules,
            captured: if ruling.recorded.is_empty() { &[] } else { &values },
            ruling,
            original: *original,
            digest: &digest,
        };
        ending.write(&mut body);
        let (read, message) = Stamp::split(&body).unwrap();
        let decided = Decided::decode(message).unwrap();
        let mut over = Decided { row: vec![1; 99], id: "another".to_owned(), flags: 3, ..Decided::default() };
        over.read(message).unwrap();
        assert_eq!(over, decided, "prost reads the same");
        for length in 0..message.len() {
            assert_eq!(over.read(&message[..length]).is_err(), Decided::decode(&message[..length]).is_err());
        }
        assert_eq!((read, decided.encode_to_vec().as_slice()), (stamp, message), "prost writes the same");
        assert_eq!(Decided::raised_alerts(message), Ok(!ruling.verdict.alerts.is_empty()));
        assert!(Decided::raised_alerts(&message[..message.len() - 1]).is_err() || *ruling == full);
        let (mut back, mut said) = (Event::default(), Ruling::default());
        decided.event(&mut back).unwrap();
        decided.ruling(&mut said);
        assert_eq!(self::digest(&back), self::digest(event));
        assert_eq!((back.time, back.time_given), (event.time, event.time_given));
        assert_eq!(&said, ruling);
        assert_eq!(
            (decided.digest(), decided.schema_version, decided.original),
            (Some(digest), 7, *original)
        );
        assert_eq!(decided.rule_set, rules.hash);
        let hashes = [rules.features[0].hash, rules.features[1].hash];
        let captured: Vec<_> = decided.captured().collect();
        let wanted = ending.captured.iter().map(|(id, value)| (hashes[id.index()], *value));
        assert_eq!(captured, wanted.collect::<Vec<_>>());
    }
}

/// Places are no part of what live and replay must agree in: they stand last, behind all that is.
#[test]
fn the_place_of_an_original_stands_behind_everything_else() {
    let decided = Decided { id: "r-1".to_owned(), rule_set: vec![9; 32], ..Decided::default() };
    let placed = Decided { original: Some(Original { at: 1, position: 2 }), ..decided.clone() };
    assert!(placed.encode_to_vec().starts_with(&decided.encode_to_vec()));
    check(&placed);
}
