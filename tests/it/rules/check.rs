//! `weir rules check` and `weir rules fmt`: what is said of texts, and how they are written.

use expect_test::expect;

use super::{FAULTY, Folder, RULES, SCHEMA, check};

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
        error: list `a`: cannot read `nowhere.txt`: No such file or directory (os error 2)
        error: rate table `rates.csv`: line 2: `0` is not a positive number of at most 18 digits
        error: list `t`: `t.csv`, line 2: `u2` is not an id, a comma and a value
        error: list `t`: `t.csv`, line 3: `1e3` is not a plain number: write digits, such as `1000` or `-12.50`
        error: list `t`: `t.csv`, line 4: `` is empty, and an id has at least one byte
        error: list `t`: `t.csv`, line 5: `5.005` has more than 2 digits after the point
        error: list `t`: `t.csv`, line 6: `u5,4,000` has a comma too many: neither an id of a table nor a number has one in it

        7 errors, 0 warnings
        exit 1
    "#]].assert_eq(&folder.weir(&["rules", "check"]));
    for (name, text) in [("rates.csv", "currency,rate\n"), ("t.csv", "u1,10.00\nu2\n")] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    expect![[r#"
        {
          "errors": 2,
          "warnings": 0,
          "diagnostics": [
            {
              "severity": "error",
              "message": "No such file or directory (os error 2)",
              "file": "nowhere.txt",
              "labels": [],
              "help": []
            },
            {
              "severity": "error",
              "message": "`u2` is not an id, a comma and a value",
              "file": "t.csv",
              "line": 2,
              "labels": [],
              "help": []
            }
          ]
        }
        exit 1
    "#]]
    .assert_eq(&folder.weir(&["rules", "check", "--json"]));
    // Who runs rules is told as well.
    expect![[r#"
        stderr: error: list `a`: cannot read `nowhere.txt`: No such file or directory (os error 2)
        stderr: list `t`: `t.csv`, line 2: `u2` is not an id, a comma and a value
        exit 1
    "#]]
    .assert_eq(&folder.weir(&["rules", "test"]));
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
        error: list `a`: cannot read `a.txt`: line 2, column 4: the byte 0xe9 is not UTF-8: save the file as UTF-8

        1 error, 0 warnings
        exit 1
        error: rate table `rates.csv`: line 2, column 5: the byte 0xfc is not UTF-8: save the file as UTF-8

        1 error, 0 warnings
        exit 1
        stderr: error: cannot read `shop.weir`: line 2, column 5: the byte 0xfc is not UTF-8: save the file as UTF-8
        exit 1
    "#]].assert_eq(&all);
}

/// Fifty are enough to begin with, and nobody takes them for all.
#[test]
fn of_very_many_bad_lines_the_first_are_shown_and_all_are_counted() {
    let bad: String = (0..60).map(|at| format!("{at} is no code\n")).collect();
    let rules = "use schema shop\nlist codes : text(4) from \"codes.txt\"\n";
    let folder = Folder::of(rules);
    std::fs::write(folder.path().join("codes.txt"), bad).unwrap();
    let said = folder.weir(&["rules", "check"]);
    assert_eq!(said.matches("error: ").count(), 50, "{said}");
    assert!(said.contains("and 10 more\n\n60 errors, "), "{said}");
    let said = folder.weir(&["rules", "check", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(said.split("exit ").next().unwrap()).unwrap();
    assert_eq!((&answer["errors"], &answer["more"]), (&60.into(), &10.into()), "{said}");
    assert_eq!(answer["diagnostics"].as_array().unwrap().len(), 50);
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
fn a_folder_without_rules_is_not_said_to_be_formatted() {
    let folder = Folder::of("");
    std::fs::create_dir(folder.path().join("none")).unwrap();
    expect![[r#"
        stderr: error: no `.weir` file in the folder `none`: name a folder of rule files, or one rule file
        exit 1
    "#]]
    .assert_eq(&folder.weir(&["rules", "fmt", "--check", "none"]));
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
        stderr:   |
        stderr:   = help: a rule is written `rule fast "Five payments in an hour" on payment when paid_1h >= 5 then block`
        exit 1
    "#]]
    .assert_eq(&fmt(&["shop.weir"], ""));
    assert_eq!(std::fs::read_to_string(folder.path().join("shop.weir")).unwrap(), "rule\n");
}
