//! `weir rules test`: the tests that stand beside rules.

use expect_test::expect;

use super::{RULES, check};
use crate::program::run;

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

/// All of them, those of a window's edges among them.
#[test]
fn the_rule_sets_of_the_repository_pass_their_tests() {
    for (path, count, one) in [
        (
            "fixtures/handbook/rules.weir",
            2,
            "a fraud counts at its terminal seven days later, at that very microsecond",
        ),
        ("fixtures/wallet", 13, "the fifth tiny payment in a minute is blocked"),
    ] {
        let said = String::from_utf8(run(&["rules", "test", path]).stdout).unwrap();
        assert!(said.contains(&format!("test {one} ... ok\n")), "{said}");
        assert!(said.contains(&format!("test result: ok. {count} passed; 0 failed")), "{said}");
    }
}
