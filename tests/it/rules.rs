//! `weir rules`, as an analyst uses it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use expect_test::{Expect, expect};
use tempfile::TempDir;

const SCHEMA: &str = r#"schema shop 1
zone     "Asia/Shanghai"
currency CNY
lateness 10m
keep     400d
rates    "rates.csv"

entity user
entity device shared

event payment
  user:   user
  device: device?
  amount: money
  mcc:    text(4)?
event login
  user:   user
  device: device?
"#;

const RULES: &str = r#"use schema shop
list  blocked : device from "blocked.txt"
list  risky   : text(4)
table limits  : user -> money

feature n_1m  = count(payment) by user over 1m
feature spent = sum(payment.amount) by user over 24h before where accepted
feature known = count(payment) by user over 30d before where label == fraud

rule often "Several within a minute"
  on payment
  when n_1m >= 3
  then score +60
rule listed "Device on the list"
  on payment, login
  when device in blocked
  then block
rule dear "More than this user may spend"
  on payment
  when spent + amount > limits[user] ?? 1000.00 CNY
  then challenge with passkey
rule branch "A risky branch" shadow
  on payment
  when mcc in risky
  then score +10
rule reported "Fraud before"
  on payment
  when known >= 1
  then block

policy
  challenge with passkey when score >= 50
"#;

/// Two errors.
const FAULTY: &str = "use schema shop\nfeature n = count(paymnt) by user over 1m\n\
                      rule r \"R\" on payment when amount > 5 then block\n";

/// A rule set in a folder of its own.
struct Folder(TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    /// The schema, its rate table, a list, and rules.
    fn of(rules: &str) -> Self {
        Self::with(&[
            ("shop.schema.weir", SCHEMA),
            ("shop.weir", rules),
            ("rates.csv", "currency,rate\nUSD,7.1\n"),
            ("blocked.txt", "# stolen\nd-1\n\nd-2   # twice\n"),
        ])
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Standard output, standard error behind a line, and how it ended.
    fn weir(&self, arguments: &[&str]) -> String {
        self.weir_reading(arguments, "")
    }

    fn weir_reading(&self, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(arguments).current_dir(self.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().unwrap();
        running.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = running.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let errors: String = text(&output.stderr)
            .lines()
            .filter(|it| !it.starts_with("finished in "))
            .map(|it| format!("stderr: {it}\n"))
            .collect();
        format!("{}{errors}exit {}\n", text(&output.stdout), output.status.code().unwrap())
    }
}

#[track_caller]
fn check(rules: &str, arguments: &[&str], expected: Expect) {
    expected.assert_eq(&Folder::of(rules).weir(arguments));
}

#[test]
fn check_counts_what_a_sound_rule_set_holds() {
    check(
        RULES,
        &["rules", "check"],
        expect![[r#"
        0 errors, 0 warnings: 3 features, 5 rules, 3 lists, 1 policy line, 0 tests
        exit 0
    "#]],
    );
    check(
        RULES,
        &["rules", "check", "shop.weir"],
        expect![[r#"
        0 errors, 0 warnings: 3 features, 5 rules, 3 lists, 1 policy line, 0 tests
        exit 0
    "#]],
    );
}

#[test]
fn check_says_every_error_with_its_place() {
    check(
        FAULTY,
        &["rules", "check", "shop.weir"],
        expect![[r#"
        error[E205]: unknown event type `paymnt`
         --> shop.weir:2:19
          |
        2 | feature n = count(paymnt) by user over 1m
          |                   ^^^^^^
          |
          = help: did you mean `payment`?

        error[E302]: money in CNY and a number do not go together
         --> shop.weir:3:37
          |
        3 | rule r "R" on payment when amount > 5 then block
          |                                     ^
          |
          = help: write `5.00 CNY`

        2 errors, 0 warnings
        exit 1
    "#]],
    );
    check(
        FAULTY,
        &["rules", "test"],
        expect![[r#"
        stderr: error[E205]: unknown event type `paymnt`
        stderr:  --> shop.weir:2:19
        stderr:   |
        stderr: 2 | feature n = count(paymnt) by user over 1m
        stderr:   |                   ^^^^^^
        stderr:   |
        stderr:   = help: did you mean `payment`?
        stderr: 
        stderr: error[E302]: money in CNY and a number do not go together
        stderr:  --> shop.weir:3:37
        stderr:   |
        stderr: 3 | rule r "R" on payment when amount > 5 then block
        stderr:   |                                     ^
        stderr:   |
        stderr:   = help: write `5.00 CNY`
        exit 1
    "#]],
    );
}

#[test]
fn check_says_the_same_to_machines() {
    check(
        FAULTY,
        &["rules", "check", "shop.weir", "--json"],
        expect![[r#"
        {
          "errors": 2,
          "warnings": 0,
          "diagnostics": [
            {
              "code": "E205",
              "severity": "error",
              "message": "unknown event type `paymnt`",
              "file": "shop.weir",
              "line": 2,
              "column": 19,
              "end_line": 2,
              "end_column": 25,
              "labels": [],
              "help": [
                "did you mean `payment`?"
              ]
            },
            {
              "code": "E302",
              "severity": "error",
              "message": "money in CNY and a number do not go together",
              "file": "shop.weir",
              "line": 3,
              "column": 37,
              "end_line": 3,
              "end_column": 38,
              "labels": [],
              "help": [
                "write `5.00 CNY`"
              ]
            }
          ]
        }
        exit 1
    "#]],
    );
}

#[test]
fn files_beside_the_rules_are_checked_line_by_line() {
    let rules = "use schema shop\nlist a : device from \"nowhere.txt\"\nlist b : text(4) from \"b.txt\"\n\
                 table t : user -> money from \"t.csv\"\n";
    let folder = Folder::with(&[
        ("shop.schema.weir", SCHEMA),
        ("shop.weir", rules),
        ("rates.csv", "currency,rate\nUSD,0\n"),
        ("b.txt", "5732\n"),
        ("t.csv", "u1,10.00\nu2\nu3,1e3\n,5\nu4,5.005\nu5,4,000\n"),
    ]);
    expect![[r#"
        stderr: error: list `a`: cannot read `nowhere.txt`: No such file or directory (os error 2)
        stderr: rate table `rates.csv`: line 2: `0` is not a positive number of at most 18 digits
        stderr: list `t`: `t.csv`, line 2: `u2` is not an id, a comma and a value
        stderr: list `t`: `t.csv`, line 3: `1e3` is not a plain number: write digits, such as `1000` or `-12.50`
        stderr: list `t`: `t.csv`, line 4: `` is empty, and an id has at least one byte
        stderr: list `t`: `t.csv`, line 5: `5.005` has more than 2 digits after the point
        stderr: list `t`: `t.csv`, line 6: `u5,4,000` has a comma too many: neither an id of a table nor a number has one in it
        exit 1
    "#]].assert_eq(&folder.weir(&["rules", "check"]));
}

#[test]
fn a_file_that_is_no_utf8_is_told_with_its_place() {
    let rules = b"use schema shop\nlist a : device from \"a.txt\"\n";
    let said = |name: &str, bytes: &[u8]| {
        let folder =
            Folder::with(&[("shop.schema.weir", SCHEMA), ("rates.csv", "currency,rate\n"), ("a.txt", "")]);
        std::fs::write(folder.path().join("shop.weir"), rules).unwrap();
        std::fs::write(folder.path().join(name), bytes).unwrap();
        folder.weir(&["rules", "check"])
    };
    let broken = &b"// as a note\n// f\xfcr"[..];
    let all = [said("a.txt", b"d1\n  d\xe9"), said("rates.csv", broken), said("shop.weir", broken)].concat();
    expect![[r#"
        stderr: error: list `a`: cannot read `a.txt`: line 2, column 4: the byte 0xe9 is not UTF-8: save the file as UTF-8
        exit 1
        stderr: error: rate table `rates.csv`: line 2, column 5: the byte 0xfc is not UTF-8: save the file as UTF-8
        exit 1
        stderr: error: cannot read `shop.weir`: line 2, column 5: the byte 0xfc is not UTF-8: save the file as UTF-8
        exit 1
    "#]].assert_eq(&all);
}

#[test]
fn a_path_that_leads_to_no_rules_is_said() {
    let folder = Folder::with(&[("alone.weir", "use schema nobody\n")]);
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let said: String =
        ["nowhere.weir", "empty", "alone.weir"].map(|path| folder.weir(&["rules", "check", path])).concat();
    expect![[r#"
        stderr: error: cannot read `nowhere.weir`: No such file or directory (os error 2)
        exit 1
        stderr: error: no `.weir` file in the folder `empty`: name a folder of rule files, or one rule file
        exit 1
        stderr: error: `alone.weir` says `use schema nobody`, but `nobody.schema.weir` cannot be read: No such file or directory (os error 2)
        exit 1
    "#]].assert_eq(&said);
}

#[test]
fn fmt_formats_in_place_and_lists_what_differs() {
    let folder = Folder::of("use   schema shop\n\n\n\nconst tiny=2.00 CNY // small\n");
    expect![[r#"
        shop.weir
        exit 1
    "#]]
    .assert_eq(&folder.weir(&["rules", "fmt", "--check"]));
    expect![[r#"
        exit 0
    "#]]
    .assert_eq(&folder.weir(&["rules", "fmt"]));
    expect![[r#"
        exit 0
    "#]]
    .assert_eq(&folder.weir(&["rules", "fmt", "--check", "shop.weir"]));
    let text = std::fs::read_to_string(folder.path().join("shop.weir")).unwrap();
    expect![[r#"
        use schema shop

        const tiny = 2.00 CNY  // small
    "#]]
    .assert_eq(&text);
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 4, "nothing is left beside the files");
}

#[test]
fn fmt_reads_standard_input_and_leaves_what_it_cannot_read_alone() {
    let folder = Folder::of("rule\n");
    let fmt =
        |arguments: &[&str], input| folder.weir_reading(&[&["rules", "fmt"], arguments].concat(), input);
    expect![[r#"
        const a = 1
        exit 0
    "#]]
    .assert_eq(&fmt(&["-"], "const   a = 1\n"));
    expect![[r#"
        -
        exit 1
    "#]]
    .assert_eq(&fmt(&["-", "--check"], "const   a = 1\n"));
    expect![[r#"
        exit 0
    "#]]
    .assert_eq(&fmt(&["-", "--check"], "const a = 1\n"));
    expect![[r#"
        stderr: error[E010]: expected the rule's name after `rule`
        stderr:  --> shop.weir:1:5
        stderr:   |
        stderr: 1 | rule
        stderr:   |     ^
        exit 1
    "#]]
    .assert_eq(&fmt(&["shop.weir"], ""));
    assert_eq!(std::fs::read_to_string(folder.path().join("shop.weir")).unwrap(), "rule\n");
}

/// What comes true.
const PASSING: &str = r#"
test "events, times and a window's edge"
  given payment user u1 amount 1.00 CNY, 2 times every 20s
  when  payment user u1 amount 1.00 CNY after 20s
  then  challenge because often, n_1m == 3, score == 60
test "the first has left when the third comes a minute later"
  given payment user u1 amount 1.00 CNY, 2 times every 30s
  when  payment user u1 amount 1.00 CNY after 30s
  then  allow, not hit often, n_1m == 2
test "a device on the list, whatever the file says"
  given d7 in blocked
  when  login device d7
  then  block because listed
test "lists are empty before each test"
  when  login device "d-1"
  then  allow
test "a list of values from then on"
  given "5732" in risky
  when  payment amount 1.00 CNY mcc "5732"
  then  allow, hit branch
test "a table beside entities"
  given u1 in limits = 10.00 CNY
  when  payment user u1 amount 10.01 CNY
  then  challenge because dear
test "a label is known from then on"
  given payment as p user u1 amount 1.00 CNY
  given label fraud on p after 2d
  when  payment user u1 amount 1.00 CNY after 1s
  then  block because reported, known == 1
test "money that did not go is not spent"
  given payment as p user u1 amount 900.00 CNY
  given result failed on p after 1m
  when  payment user u1 amount 900.00 CNY after 1h
  then  allow, spent == 0.00 CNY
test "what happens behind it is not looked at"
  when  payment user u1 amount 2000.00 CNY
  given login user u1
  then  challenge because dear, amount == 2000.00 CNY
test "a challenge that is passed counts"
  given payment as p user u1 amount 1500.00 CNY
  given challenge passed on p after 1m
  when  payment user u1 amount 1.00 CNY after 1h
  then  challenge because dear, spent == 1500.00 CNY
"#;

#[test]
fn tests_of_the_language_pass() {
    check(
        &format!("{RULES}{PASSING}"),
        &["rules", "test"],
        expect![[r#"
        test events, times and a window's edge ... ok
        test the first has left when the third comes a minute later ... ok
        test a device on the list, whatever the file says ... ok
        test lists are empty before each test ... ok
        test a list of values from then on ... ok
        test a table beside entities ... ok
        test a label is known from then on ... ok
        test money that did not go is not spent ... ok
        test what happens behind it is not looked at ... ok
        test a challenge that is passed counts ... ok

        test result: ok. 10 passed; 0 failed; 0 filtered out
        exit 0
    "#]],
    );
    check(
        &format!("{RULES}{PASSING}"),
        &["rules", "test", "--filter", "list"],
        expect![[r#"
        test a device on the list, whatever the file says ... ok
        test lists are empty before each test ... ok
        test a list of values from then on ... ok

        test result: ok. 3 passed; 0 failed; 7 filtered out
        exit 0
    "#]],
    );
}

#[test]
fn tables_of_tests_hold_what_fields_hold() {
    let rules = r#"use schema shop
table branch : user -> text(4)
table phone  : user -> device
table since  : user -> time
rule other "Not the usual" on payment
  when (mcc != branch[user]) ?? true or (device != phone[user]) ?? true or time < since[user] ?? time
  then block
test "as usual"
  given u1 in branch = "5732"
  given u1 in phone = d1
  given u1 in since = "2026-01-05 12:00"
  when  payment user u1 device d1 mcc "5732" amount 1.00 CNY
  then  allow
test "another text"
  given u1 in branch = "5733"
  given u1 in phone = d1
  when  payment user u1 device d1 mcc "5732" amount 1.00 CNY
  then  block
test "another id"
  given u1 in branch = "5732"
  given u1 in phone = d2
  when  payment user u1 device d1 mcc "5732" amount 1.00 CNY
  then  block
"#;
    check(
        rules,
        &["rules", "test"],
        expect![[r#"
        test as usual ... ok
        test another text ... ok
        test another id ... ok

        test result: ok. 3 passed; 0 failed; 0 filtered out
        exit 0
    "#]],
    );
}

/// What goes wrong, one way each.
const FAILING: &str = r#"
test "another outcome"
  given payment user u1 amount 1.00 CNY, 2 times every 20s
  when  payment user u1 amount 1.00 CNY after 20s
  then  block, n_1m == 2, spent == 7.00 CNY, not hit often
test "a reason that is none"
  given d7 in blocked
  given payment as p user u1 amount 1.00 CNY
  given label fraud on p after 1h
  when  payment user u1 device d7 amount 1.00 CNY after 1h
  then  block because listed
test "a rule that does not hit"
  when  payment amount 2000.00 CNY
  then  challenge because often
test "a rule in shadow"
  given "5732" in risky
  when  payment amount 2000.00 CNY mcc "5732"
  then  challenge because branch
test "two reasons, each of which would do"
  given d7 in blocked
  when  login device d7
  then  block because listed
"#;

#[test]
fn a_test_that_fails_says_what_came() {
    check(
        &format!("{RULES}{FAILING}"),
        &["rules", "test"],
        expect![[r#"
        test another outcome ... FAILED
        test a reason that is none ... FAILED
        test a rule that does not hit ... FAILED
        test a rule in shadow ... FAILED
        test two reasons, each of which would do ... ok

        failures:

        another outcome
          --> shop.weir:34:6
          expected  block  (shop.weir:37:9)
          but       the outcome is `challenge`
          expected  n_1m == 2  (shop.weir:37:16)
          but       it does not hold
          expected  spent == 7.00 CNY  (shop.weir:37:27)
          but       it does not hold
          expected  not hit often  (shop.weir:37:46)
          but       `often` hits
          came      challenge, score 60
          hit       often, score 60
          feature   n_1m = 3
          feature   spent = 2.00 CNY

        a reason that is none
          --> shop.weir:38:6
          expected  block because listed  (shop.weir:43:9)
          but       without `listed` the outcome is `block` all the same
          came      block, score 0
          hit       listed, score 0
          hit       reported, score 0

        a rule that does not hit
          --> shop.weir:44:6
          expected  challenge because often  (shop.weir:46:9)
          but       `often` does not hit
          came      challenge, score 0
          hit       dear, score 0

        a rule in shadow
          --> shop.weir:47:6
          expected  challenge because branch  (shop.weir:50:9)
          but       `branch` is shadow, so it decides nothing
          came      challenge, score 0
          hit       dear, score 0
          hit       branch, score 10, shadow

        test result: FAILED. 1 passed; 4 failed; 0 filtered out
        exit 1
    "#]],
    );
}

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
        stderr: error: invalid value 'user=x' for '--entities <KIND=NUMBER>': `x` is not a whole number
        stderr: 
        stderr: For more information, try '--help'.
        exit 2
        stderr: error: an estimate needs both `--entities` and `--rate`
        exit 1
    "#]]
    .assert_eq(&(said + &half));
}
