//! In which order events and labels come: late rows, ties, several files, several runs.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::testing::schema;

const FIELDS: &str = "entity user\nevent payment\n  user: user";
const MAP: &str = r#"
schema = "s.schema.weir"
event = "payment"
id = { sequence = "n{n}" }
time = { column = "t", format = "unix_s" }
order = "live"
[fields]
user = "u"
[label]
column = "fraud"
values = { "1" = "fraud" }
known_after = "10s"
"#;

#[track_caller]
fn check(map: &str, files: &[&str], merge: bool, expected: Expect) {
    let schema = schema(FIELDS);
    let files: Vec<_> = files.iter().map(|it| it.as_bytes()).collect();
    let options = Options { merge, ..OPTIONS };
    let (text, _) = read_all(open(map, &schema, &files, options, SourceState::default()), &schema);
    expected.assert_eq(&text.replace("1970-01-01T00:", ""));
}

#[test]
fn a_label_comes_at_its_time_before_events_of_that_time() {
    check(
        MAP,
        &["t,u,fraud\n1,a,1\n1,b,1\n10,c,0\n11,d,1\n12,e,0\n"],
        false,
        expect![[r#"
        payment n1 00:01Z user=a
        payment n2 00:01Z user=b
        payment n3 00:10Z user=c
        fraud on n1 00:11Z
        fraud on n2 00:11Z
        payment n4 00:11Z user=d
        payment n5 00:12Z user=e
        pending fraud on n4 00:21Z
    "#]],
    );
}

#[test]
fn late_rows_stay_where_they_are_unless_the_mapping_says_otherwise() {
    let rows = "t,u,fraud\n20,a,0\n5,b,1\n30,c,0\n5,d,0\n";
    check(
        MAP,
        &[rows],
        false,
        expect![[r#"
        payment n1 00:20Z user=a
        payment n2 00:05Z user=b
        fraud on n2 00:15Z
        payment n3 00:30Z user=c
        payment n4 00:05Z user=d
    "#]],
    );
    check(
        &MAP.replace("live", "check"),
        &[rows],
        false,
        expect![[r#"
        payment n1 00:20Z user=a
        error: `file1`, row 2: earlier than the row before it, and the mapping says `order = "check"`
    "#]],
    );
    check(
        &MAP.replace("live", "sort"),
        &[rows],
        false,
        expect![[r#"
        payment n2 00:05Z user=b
        payment n4 00:05Z user=d
        fraud on n2 00:15Z
        payment n1 00:20Z user=a
        payment n3 00:30Z user=c
    "#]],
    );
}

#[test]
fn files_stand_behind_each_other_or_are_merged() {
    let files = ["t,u,fraud\n1,a,1\n20,b,0\n", "fraud,u,t\n0,c,5\n0,d,20\nx,e,oops\n", "t,u,fraud\n11,f,0\n"];
    check(
        MAP,
        &files,
        false,
        expect![[r#"
        payment n1 00:01Z user=a
        fraud on n1 00:11Z
        payment n2 00:20Z user=b
        payment n3 00:05Z user=c
        payment n4 00:20Z user=d
        reject 1:3 column `t`: `oops` is not a plain number: write digits, such as `1000` or `-12.50`
        payment n6 00:11Z user=f
    "#]],
    );
    check(
        MAP,
        &files,
        true,
        expect![[r#"
        payment n1 00:01Z user=a
        payment n2 00:05Z user=c
        fraud on n1 00:11Z
        payment n3 00:11Z user=f
        payment n4 00:20Z user=b
        payment n5 00:20Z user=d
        reject 1:3 column `t`: `oops` is not a plain number: write digits, such as `1000` or `-12.50`
    "#]],
    );
}

#[test]
fn an_event_from_far_ahead_sets_no_label_free() {
    check(
        MAP,
        &["t,u,fraud\n1,a,1\n40000000,b,0\n2,c,0\n"],
        false,
        expect![[r#"
            payment n1 00:01Z user=a
            reject 0:2 the event's time is 463 days ahead of the latest before it: if it is right, allow it by `--jump-max 463d`
            payment n3 00:02Z user=c
            pending fraud on n1 00:11Z
        "#]],
    );
}

/// Nor does an amendment: what is given out of one time is known from then on.
#[test]
fn an_amendment_from_far_ahead_is_none_either() {
    let late = r#"{"id":"l","event_id":"a","label":"fraud","time":"1971-06-01T00:00:00Z"}"#;
    check(
        "",
        &[&[event("a", 1).as_str(), late, &event("b", 2)].join("\n")],
        false,
        expect![[r#"
            payment a 00:01Z user=u
            reject 0:2 the amendment's time is 516 days ahead of the latest before it: if it is right, allow it by `--jump-max 516d`
            payment b 00:02Z user=u
        "#]],
    );
}

#[test]
fn how_far_ahead_an_event_is_and_what_would_allow_it() {
    let schema = schema(FIELDS);
    let check = |jump_max, rows: [i64; 2], said: &str| {
        let file = format!("t,u,fraud\n{},a,0\n{},b,0\n", rows[0], rows[1]);
        let options = Options { jump_max, ..OPTIONS };
        let (text, _) =
            read_all(open(MAP, &schema, &[file.as_bytes()], options, SourceState::default()), &schema);
        let reason = text.lines().nth(1).unwrap().strip_prefix("reject 0:2 the event's time is ").unwrap();
        assert_eq!(reason, said);
    };
    let if_right = "ahead of the latest before it: if it is right, allow it by `--jump-max";
    check(0, [1, 6], &format!("5s {if_right} 1d`"));
    check(0, [0, 86_400], &format!("1d {if_right} 1d`"));
    check(DAY, [0, 86_401], &format!("2 days {if_right} 2d`"));
    check(0, [0, 3_660 * 86_400], &format!("3660 days {if_right} 3660d`"));
    let far = "20458 days ahead of the latest before it, further than any `--jump-max` allows";
    check(366 * DAY, [0, 1_767_571_200], far);
}

/// A payment at a second of the first minute.
fn event(id: &str, second: u32) -> String {
    format!(r#"{{"id":"{id}","type":"payment","user":"u","time":"1970-01-01T00:00:{second:02}Z"}}"#)
}

#[test]
fn amendments_in_a_file_of_events_keep_their_place_and_are_merged_before_events_of_their_time() {
    let label = |id: &str, second: u32| {
        format!(r#"{{"id":"l","event_id":"{id}","label":"fraud","time":"1970-01-01T00:00:{second:02}Z"}}"#)
    };
    let first =
        [event("a", 1), label("a", 9), event("b", 2), r#"{"id":"c","type":"payment","user":"u"}"#.into()];
    let second = [event("d", 9), label("b", 9)];
    let files = [first.join("\n"), second.join("\n")];
    let files = [files[0].as_str(), files[1].as_str()];
    for merge in [false, true] {
        check(
            "",
            &files,
            merge,
            expect![[r#"
                payment a 00:01Z user=u
                fraud on a 00:09Z
                payment b 00:02Z user=u
                reject 0:4 `/time`: missing, and what stands in a file has one
                payment d 00:09Z user=u
                fraud on b 00:09Z
            "#]],
        );
    }
}

/// Of one time: before it is there, nobody knows an event. In whichever order the files are given.
#[test]
fn an_amendment_of_an_event_of_its_own_time_comes_behind_it() {
    let label = |id: &str, of: &str| {
        format!(r#"{{"id":"{id}","event_id":"{of}","label":"fraud","time":"1970-01-01T00:00:05Z"}}"#)
    };
    let events = ["z 1", "a 5", "b 5", "c 5", "d 6"].map(|it| event(&it[..1], it[2..].parse().unwrap()));
    let labels = [label("1", "c"), label("2", "a"), "[]".to_owned(), label("3", "z"), label("4", "c")];
    let [events, labels] = [events.join("\n"), labels.join("\n")];
    for files in [[&*events, &*labels], [&*labels, &*events]] {
        let reject = usize::from(files[0] == events);
        let expected = format!(
            "payment z 00:01Z user=u\nreject {reject}:3 must be a JSON object: `{{…}}`\nfraud on z 00:05Z\n\
             payment a 00:05Z user=u\nfraud on a 00:05Z\npayment b 00:05Z user=u\npayment c 00:05Z user=u\n\
             fraud on c 00:05Z\nfraud on c 00:05Z\npayment d 00:06Z user=u\n"
        );
        let schema = schema(FIELDS);
        let files = files.map(str::as_bytes);
        let options = Options { merge: true, ..OPTIONS };
        let (text, _) = read_all(open("", &schema, &files, options, SourceState::default()), &schema);
        assert_eq!(text.replace("1970-01-01T00:", ""), expected);
    }
}

/// Though it was read ahead.
#[test]
fn what_stands_at_one_time_before_a_damaged_place_is_given_out() {
    let event = |n: u32| {
        let user = n.wrapping_mul(2_654_435_761);
        format!(r#"{{"id":"e{n}","type":"payment","user":"u{user}","time":"1970-01-01T00:00:05Z"}}"#) + "\n"
    };
    let whole = zstd::encode_all((0..30_000).map(event).collect::<String>().as_bytes(), 1).unwrap();
    let label = br#"{"id":"l","event_id":"e1","label":"fraud","time":"1970-01-01T00:00:05Z"}"#;
    let (schema, options) = (schema(FIELDS), Options { merge: true, ..OPTIONS });
    let files: [&[u8]; 2] = [label, &whole[..whole.len() - 10]];
    let (text, _) = read_all(open("", &schema, &files, options, SourceState::default()), &schema);
    let mut lines = text.lines();
    let begins = ["payment e0 ", "payment e1 ", "fraud on e1 ", "payment e2 "];
    assert!(begins.iter().all(|it| lines.next().unwrap().starts_with(it)), "{}", &text[..200]);
    assert!(10_000 < lines.clone().count());
    assert!(lines.next_back().unwrap().starts_with("error: `file2` is damaged or cut short"));
}

proptest! {
    /// Cut anywhere into runs that hand their state on, the same comes out: labels, ids and all.
    #[test]
    fn many_runs_are_one_run(
        rows in proptest::collection::vec((0_u32..40, any::<bool>()), 0..30),
        cuts in proptest::collection::vec(0_usize..30, 0..4),
    ) {
        let schema = schema(FIELDS);
        let file = |rows: &[(u32, bool)]| {
            let rows = rows.iter().map(|(t, fraud)| format!("{t},u,{}\n", u8::from(*fraud)));
            ["t,u,fraud\n".to_owned()].into_iter().chain(rows).collect::<String>()
        };
        let run = |rows: &[(u32, bool)], state| {
            read_all(open(MAP, &schema, &[file(rows).as_bytes()], OPTIONS, state), &schema)
        };
        let (whole, _) = run(&rows, SourceState::default());

        let mut cuts: Vec<_> = cuts.into_iter().map(|it| it.min(rows.len())).collect();
        cuts.sort_unstable();
        cuts.push(rows.len());
        let (mut state, mut begin, mut parts) = (SourceState::default(), 0, Vec::new());
        for end in cuts {
            let (text, next) = run(&rows[begin..end], state);
            parts.push(text);
            (state, begin) = (next, end);
        }
        let last = parts.len() - 1;
        let given = |(at, text): (usize, &String)| {
            let lines = text.lines().filter(|it| at == last || !it.starts_with("pending"));
            lines.map(|it| format!("{it}\n")).collect::<String>()
        };
        let joined: String = parts.iter().enumerate().map(given).collect();
        prop_assert_eq!(joined, whole);
    }
}
