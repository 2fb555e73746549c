//! The layout by example; that it changes nothing else is a property in `syntax::tests`.

use expect_test::{Expect, expect};

use super::format;

#[track_caller]
fn check(text: &str, expected: Expect) {
    let formatted = format(text).unwrap();
    expected.assert_eq(&formatted);
    assert_eq!(format(&formatted).unwrap(), formatted, "formatting settles");
}

#[test]
fn items_and_their_parts_have_lines_of_their_own() {
    check(
        "rule a \"b\" shadow on pay,send when x>1 then score+5,score - 2*x , block policy block when score>1 deadline 5ms else allow \
         test \"t\" given pay as p user u1,2 times every 5s when pay then block because a,not hit b",
        expect![[r#"
            rule a "b" shadow
              on pay, send
              when x > 1
              then score +5, score - 2 * x, block
            policy
              block when score > 1
              deadline 5ms else allow
            test "t"
              given pay as p user u1, 2 times every 5s
              when  pay
              then  block because a, not hit b
        "#]],
    );
}

#[test]
fn a_field_at_the_margin_is_one_of_its_event() {
    check(
        "test \"t\" when pay\nuser u1\namount 5.00 CNY\ntests 1\nthen allow",
        expect![[r#"
            test "t"
              when pay
                  user u1
                  amount 5.00 CNY
                  tests 1
              then allow
        "#]],
    );
}

#[test]
fn columns_reach_over_comments_and_broken_lines_but_not_over_blank_ones() {
    check(
        "feature a=1\n// between\nfeature long_name=count(pay)\nby user\n\n\n\nfeature b=2\nconst c=1\nconst dd = \"金\" // x\nconst e = 5 // y",
        expect![[r#"
            feature a         = 1
            // between
            feature long_name = count(pay)
                by user

            feature b = 2
            const c  = 1
            const dd = "金"  // x
            const e  = 5     // y
        "#]],
    );
}

#[test]
fn comments_stay_where_they_belong() {
    check(
        "// first\n\n\n// second\nevent pay //head\n  // field\n  a:user// end\n  // below\n\n// before\nevent b\n",
        expect![[r#"
            // first

            // second
            event pay  //head
              // field
              a: user  // end
              // below

            // before
            event b
        "#]],
    );
}

#[test]
fn breaks_inside_expressions_are_kept_and_those_inside_heads_are_not() {
    check(
        "rule\n a\n \"b\"\non pay\nwhen x\n   and y // why\n  and z\nthen block,\n alert high\nfeature f =\n (\n a + b\n )\n",
        expect![[r#"
            rule a "b"
              on pay
              when x
                  and y  // why
                  and z
              then block,
                  alert high
            feature f =
                (a + b)
        "#]],
    );
}

#[test]
fn signs_units_and_brackets() {
    check(
        "const a = - 5 + 3 % * ( 4 km / h ) - 4 km/h + t [ x ] + f ( [ a , - b ] , this . x ) in 1 .. 2",
        expect![[r#"
            const a = -5 + 3% * (4 km / h) - 4 km/h + t[x] + f([a, -b], this.x) in 1 .. 2
        "#]],
    );
}

#[test]
fn nothing_stays_nothing() {
    check("", expect![""]);
    check(" \n\n", expect![""]);
    check(
        "  // only\r\n",
        expect![[r#"
        // only
    "#]],
    );
}

#[test]
fn what_has_errors_is_refused() {
    let errors = format("feature = 1").unwrap_err();
    assert_eq!(errors.iter().map(|it| it.code.number()).collect::<Vec<_>>(), ["E010"]);
}
