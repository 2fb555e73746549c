//! `weir rules cost`: what a rule set keeps and runs, and what that takes.

use expect_test::expect;

use super::{Folder, RULES, check};

#[test]
fn cost_says_what_is_kept_and_what_runs() {
    check(
        RULES,
        &["rules", "cost"],
        expect![[r#"
            State, by entity kind
             kind    bytes an entity  an event  a value  columns  windows  last two  events kept  entity kept
             user                201        24        0        1        3         0      30d 10m      30d 10m
             device              201         0        0        0        0         0                        0s

            Columns of remembered events
             kind  column  read by
             user  amount  spent

            Features
             feature  by    answered from  over  delay     kept  captured
             n_1m     user  window           1m             11m
             spent    user  window           1d          1d 10m
             known    user  window          30d         30d 10m

            Work, by event type
             event    rules  entities locked  features captured
             payment      5                2                  0
             login        1                2                  0
            exit 0
        "#]],
    );
}

#[test]
fn cost_estimates_memory_for_a_size_of_business() {
    let folder = Folder::of(RULES);
    let size = ["--entities", "user=1000000,device=500000", "--rate", "payment=900000,login=100000"];
    let said = folder.weir(&[&["rules", "cost", "--json"], &size[..]].concat());
    let answer: serde_json::Value = serde_json::from_str(said.trim_end_matches("exit 0\n")).unwrap();
    let keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["columns", "estimate", "events", "features", "kinds"]);
    expect![[r#"
        {
          "kinds": [
            {
              "bytes": 1137000000,
              "bytes_per_entity": 1137,
              "entities": 1000000,
              "events": 31,
              "kind": "user",
              "values": 0
            },
            {
              "bytes": 100500000,
              "bytes_per_entity": 201,
              "entities": 500000,
              "events": 0,
              "kind": "device",
              "values": 0
            }
          ],
          "left_out": [],
          "total_bytes": 1237500000
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&answer["estimate"]).unwrap());
    let text = folder.weir(&[&["rules", "cost"], &size[..]].concat());
    expect![[r#"
         kind    entities  events each  values each  bytes each    in all
         user     1000000           31            0        1137  1084 MiB
         device    500000            0            0         201    95 MiB
         total                                                   1180 MiB
        exit 0
    "#]]
    .assert_eq(text.split("Memory, estimated\n").nth(1).unwrap());
}

#[test]
fn an_estimate_names_what_it_does_not_know() {
    let folder = Folder::of(RULES);
    let said = [
        ["--entities", "user=1", "--rate", "paymnt=1"],
        ["--entities", "usr=1", "--rate", "1"],
        ["--entities", "5", "--rate", "1"],
        ["--entities", "user=1,device=1,user=2", "--rate", "1"],
        ["--entities", "user=1", "--rate", "login=1,login=1"],
        ["--entities", "user=x", "--rate", "1"],
    ];
    let said: String = said.map(|it| folder.weir(&[&["rules", "cost"], &it[..]].concat())).concat();
    let half = folder.weir(&["rules", "cost", "--rate", "1"]);
    expect![[r#"
        stderr: error: `--rate`: the schema has no `paymnt`; did you mean `payment`?
        exit 1
        stderr: error: `--entities`: the schema has no `usr`; did you mean `user`?
        exit 1
        stderr: error: `--entities`: `5` is for what? write `NAME=5`
        exit 1
        stderr: error: `--entities`: `user` stands there twice
        exit 1
        stderr: error: `--rate`: `login` stands there twice
        exit 1
        stderr: error: invalid value 'user=x' for '--entities <KIND=NUMBER>': `x` is not a whole number
        stderr: 
        stderr: For more information, try '--help'.
        exit 2
        stderr: error: an estimate needs both `--entities` and `--rate`
        exit 1
    "#]]
    .assert_eq(&(said + &half));
}
