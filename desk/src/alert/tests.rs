//! The projection and the work beside it, over a file and over a server.

use std::ops::Range;

use engine::decision::{Alert as Raised, Flags, RuleHit};

use super::*;
use crate::Database;
use crate::testing::over_each;

fn raised(n: u64, user: &str, severities: &[Severity]) -> Vec<Alert> {
    let hit = RuleHit {
        rule: "mule",
        reason: "Many send to one",
        customer_reason: None,
        severity: None,
        contribution_e6: 0,
        shadow: false,
    };
    let event_id = format!("p{n}");
    let decision = Decision {
        id: format!("dec_{n}"),
        event_id: &event_id,
        outcome: Outcome::Block,
        score_e6: 60_000_000,
        hits: vec![hit],
        factors_any_of: &[],
        actions: Vec::new(),
        alerts: severities.iter().map(|it| Raised { severity: *it, rule: Some("mule") }).collect(),
        features: Vec::new(),
        rule_set: "aa",
        valid_until: None,
        flags: Flags::default(),
        fallback: None,
        durable: true,
    };
    let party = |role: &str, id: &str| Party { role: role.into(), kind: "user".into(), id: id.into() };
    let at = i64::try_from(n).unwrap() * 10;
    // In the order of bytes, which is no language's.
    let parties = [party("Payer", "u0"), party("payee", user), party("收款人", "u0")];
    alerts_of(&decision, n, "transfer", at, &parties)
}

#[tokio::test]
async fn pages_filters_and_work() {
    over_each(async |database| pages_filters_and_work_over(database).await).await.unwrap();
}

async fn pages_filters_and_work_over(database: &Database) {
    let desk = Desk::open(database).await.unwrap();
    let rows = [
        (3, "u1", vec![Severity::Low, Severity::High]),
        (5, "u_", vec![Severity::Medium]),
        (9, "u1", vec![Severity::Critical]),
    ];
    let all: Vec<Alert> = rows.iter().flat_map(|(n, user, it)| raised(*n, user, it)).collect();
    // In whatever order they are told, the parties are read in that of their roles.
    let reversed = |it: &Alert| Alert { entities: it.entities.iter().rev().cloned().collect(), ..it.clone() };
    desk.tell_alerts(&all.iter().map(reversed).collect::<Vec<_>>(), &[], 10).await.unwrap();
    let [low, high, medium, critical] = [0, 1, 2, 3].map(|at: usize| all[at].clone());
    let review =
        Act { status: Some(Status::InReview), note: Some("calling".into()), by: "ann".into(), at: 1 };
    desk.act_on_alert(&high.id, &review).await.unwrap();
    let high = Alert { status: Status::InReview, ..high };

    let check = async |filter: Filter, page: Page, limit: u64, expected: &[&Alert]| {
        let found = desk.alerts(&filter, page, limit).await.unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?} {page:?}");
    };
    let any = Filter::default;
    let newest = Page::Before(None);
    check(any(), newest, 9, &[&critical, &medium, &high, &low]).await;
    check(any(), newest, 2, &[&critical, &medium]).await;
    check(any(), Page::Before(Some(medium.seq)), 9, &[&high, &low]).await;
    check(any(), Page::After(low.seq), 2, &[&high, &medium]).await;
    check(Filter { severity_min: Some(Severity::High), ..any() }, newest, 9, &[&critical, &high]).await;
    let about = |id: &str| Some(("user".to_owned(), id.to_owned()));
    check(Filter { entity: about("u1"), ..any() }, newest, 9, &[&critical, &high, &low]).await;
    check(Filter { entity: about("u_"), ..any() }, newest, 9, &[&medium]).await;
    for nobody in ["u9", "U1", "u1 ", "u%", "", "u1\0"] {
        check(Filter { entity: about(nobody), ..any() }, newest, 9, &[]).await;
    }
    check(Filter { from: Some(50), until: Some(90), ..any() }, newest, 9, &[&medium]).await;
    check(Filter { status: Some(Status::Open), ..any() }, newest, 9, &[&critical, &medium, &low]).await;
    check(Filter { status: Some(Status::InReview), ..any() }, newest, 9, &[&high]).await;
    check(Filter { rule: Some("mule".into()), ..any() }, newest, 1, &[&critical]).await;
    check(Filter { rule: Some("other".into()), ..any() }, newest, 1, &[]).await;

    let note = Act { status: None, note: Some("no answer".into()), by: "ben".into(), at: 2 };
    desk.act_on_alert(&high.id, &note).await.unwrap();
    assert_eq!(desk.alert(&high.id).await.unwrap(), Some(high.clone()));
    assert_eq!(desk.acts_on_alert(&high.id).await.unwrap(), [review, note]);
    assert_eq!(desk.alert("alt_0").await.unwrap(), None);
    assert_eq!(desk.alert("alt_6\0").await.unwrap(), None);
}

#[tokio::test]
async fn rows_and_position_are_written_together() {
    over_each(async |database| {
        let desk = Desk::open(database).await.unwrap();
        assert_eq!(desk.alerts_told().await.unwrap(), Told { next: 0, seq: None });
        let first = raised(3, "u1", &[Severity::Low]);
        desk.tell_alerts(&first, &[], 4).await.unwrap();
        let told = Told { next: 4, seq: Some(first[0].seq) };
        assert_eq!(desk.alerts_told().await.unwrap(), told);
        // A row that is there already: the whole batch is refused, its position too.
        let both = [raised(5, "u1", &[Severity::Low]), first].concat();
        assert!(desk.tell_alerts(&both, &[], 6).await.is_err());
        assert_eq!(desk.alerts_told().await.unwrap(), told);
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_a_table_cannot_hold_as_it_is() {
    over_each(async |database| {
        let desk = Desk::open(database).await.unwrap();
        // More values than a statement takes, the greatest numbers, and texts that end early elsewhere.
        let mut many: Vec<Alert> = (0..2_500).flat_map(|it| raised(it, "u1", &[Severity::Low])).collect();
        for alert in &mut many {
            let role = |it: usize| Party { role: format!("r{it:02}"), kind: "user".into(), id: "u1".into() };
            alert.entities = (0..20).map(role).collect();
        }
        many[0].at = i64::MIN;
        many[1].score_e6 = i64::MAX;
        many[2].entities[0].id = "a\0b".into();
        many[2].reason = Some("’\u{1f409}\0\\\"\n".into());
        many[2].event_id = "i".repeat(128);
        desk.tell_alerts(&many, &[], u64::MAX).await.unwrap();
        assert_eq!(desk.alerts_told().await.unwrap().next, u64::try_from(i64::MAX).unwrap());
        let found = desk.alerts(&Filter::default(), Page::After(-1), 3).await.unwrap();
        assert_eq!(found[..2], many[..2]);
        many[2].entities[0].id = "a␀b".into();
        many[2].reason = Some("’\u{1f409}␀\\\"\n".into());
        assert_eq!(found[2], many[2]);
        let about = Filter { entity: Some(("user".into(), "a\0b".into())), ..Filter::default() };
        assert_eq!(desk.alerts(&about, Page::After(-1), 3).await.unwrap(), many[2..3]);
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_dropped_projection_is_told_again_and_the_work_is_still_there() {
    over_each(async |database| {
        let all = raised(3, "u1", &[Severity::Low, Severity::High]);
        let act = Act { status: Some(Status::Confirmed), note: None, by: "ann".into(), at: 1 };
        {
            let desk = Desk::open(database).await.unwrap();
            desk.tell_alerts(&all, &[], 4).await.unwrap();
            desk.act_on_alert(&all[1].id, &act).await.unwrap();
            // As an operator might, by hand.
            sea_orm::ConnectionTrait::execute_unprepared(&desk.db, "DROP TABLE alerts").await.unwrap();
            desk.close().await;
        }
        let desk = Desk::open(database).await.unwrap();
        assert_eq!(desk.alerts_told().await.unwrap(), Told { next: 0, seq: None });
        desk.tell_alerts(&all, &[], 4).await.unwrap();
        let found = desk.alerts(&Filter::default(), Page::After(0), 9).await.unwrap();
        assert_eq!(found[1], Alert { status: Status::Confirmed, ..all[1].clone() });
        desk.forget_alerts().await.unwrap();
        assert_eq!(desk.alerts_told().await.unwrap().next, 0);
        assert_eq!(desk.acts_on_alert(&all[1].id).await.unwrap(), [act]);
    })
    .await
    .unwrap();
}

/// Of a decision whose caller did not wait, and of no other, though its id was used before.
#[tokio::test]
async fn an_alert_says_what_was_answered() {
    over_each(async |database| {
        let desk = Desk::open(database).await.unwrap();
        let of = |offset: u64, n| {
            let first = first_seq(offset);
            let named =
                |(it, at): (Alert, i64)| Alert { seq: first + at, id: format!("alt_{offset}_{at}"), ..it };
            raised(n, "u1", &[Severity::Low, Severity::High])
                .into_iter()
                .zip(0..)
                .map(named)
                .collect::<Vec<_>>()
        };
        let answered = |n: u64, within: Range<u64>, outcome: Outcome| Answered {
            decision_id: format!("dec_{n}"),
            within,
            outcome,
        };
        desk.tell_alerts(&[of(1, 7), of(5, 7)].concat(), &[], 6).await.unwrap();
        // In the batch of its decision or in one behind it; of what raised nothing too.
        let later = [answered(7, 5..8, Outcome::Challenge), answered(8, 6..9, Outcome::Allow)];
        desk.tell_alerts(
            &[of(6, 8), of(9, 9)].concat(),
            &[&later[..], &[answered(3, 2..9, Outcome::Allow)]].concat(),
            10,
        )
        .await
        .unwrap();
        let all = desk.alerts(&Filter::default(), Page::After(-1), 100).await.unwrap();
        let told: Vec<_> = all.iter().map(|it| (record_of(it.seq).unwrap(), it.outcome)).collect();
        let expected =
            [(1, Outcome::Block), (5, Outcome::Challenge), (6, Outcome::Allow), (9, Outcome::Block)];
        assert_eq!(told, expected.iter().flat_map(|it| [*it, *it]).collect::<Vec<_>>());
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn alerts_of_records_that_a_crash_took_are_forgotten() {
    over_each(async |database| {
        let desk = Desk::open(database).await.unwrap();
        let of = |n| raised(n, "u1", &[Severity::Low, Severity::High]);
        desk.tell_alerts(&[of(3), of(4), of(6)].concat(), &[], 7).await.unwrap();
        let key = engine::entity::HashKey::new([1; 16]);
        let told = async || desk.alerts_told().await.unwrap();
        for (next, forgotten, expected) in [
            (9, 0, Told { next: 7, seq: Some(of(6)[1].seq) }),
            (7, 0, Told { next: 7, seq: Some(of(6)[1].seq) }),
            (4, 4, Told { next: 4, seq: Some(of(3)[1].seq) }),
            (0, 2, Told { next: 0, seq: None }),
        ] {
            assert_eq!(desk.belong_to(key, next).await.unwrap(), forgotten, "{next}");
            assert_eq!(told().await, expected, "{next}");
        }
        // Others may take their places.
        desk.tell_alerts(&of(3), &[], 5).await.unwrap();
        assert_eq!(told().await.next, 5);
    })
    .await
    .unwrap();
}
