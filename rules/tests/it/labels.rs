//! What is said beside the place of an error or a warning, in whichever file it stands.

use rules::check::check;
use rules::diagnostic::{Source, line_column};

const SCHEMA: &str = include_str!("../golden/ok/demo.schema.weir");

/// Each label of the rule files `a` and `b` and of a schema, as `CODE FILE PLACE: text`.
#[track_caller]
fn check_labels(a: &str, b: &str, schema: &str, expected: &[&str]) {
    let (a, b) = (format!("use schema demo\n{a}"), format!("use schema demo\n{b}"));
    let sources = [("schema", schema), ("a", a.as_str()), ("b", b.as_str())];
    let sources = sources.map(|(name, text)| Source { name, text });
    let mut found = Vec::new();
    for diagnostic in check(&sources).diagnostics {
        for label in diagnostic.labels {
            let source = sources[label.file as usize];
            let place = line_column(source.text, label.span.start);
            found.push(format!("{} {} {place}: {}", diagnostic.code, source.name, label.text));
        }
    }
    assert_eq!(found, expected, "{a} / {b}");
}

#[test]
fn a_label_stands_in_its_own_file() {
    let rows: [(&str, &str, &[&str]); 9] = [
        (
            "policy\n  block when score > 1",
            "policy\n  block when score > 2\npolicy\n  block when score > 3",
            &["E603 a 2:1: the first", "E603 a 2:1: the first"],
        ),
        ("policy\n  block when score > 1", "policy\n  block when score > 2", &["E603 a 2:1: the first"]),
        (
            "policy on pay\n  block when score > 1",
            "policy on login, pay\n  block when score > 2",
            &["E603 a 2:11: the first"],
        ),
        ("const x = 1", "const y = 2\nconst x = 2", &["E202 a 2:7: the first"]),
        ("list x : user", "table x : user -> money", &["E202 a 2:6: the first"]),
        ("list x : user\nlist x : shop", "", &["E202 a 2:6: the first"]),
        ("feature x = n\nrecord x", "const x = 1", &["E202 a 2:9: the first"]),
        ("const amount = 1", "", &[]),
        (
            "rule r \"x\" on pay when amount > 1.00 EUR then block",
            "\n\nrule r \"x\" on pay when amount > 2.00 EUR then tag x",
            &["E202 a 2:6: the first"],
        ),
    ];
    for (a, b, expected) in rows {
        check_labels(a, b, SCHEMA, expected);
    }
    check_labels(
        "rule wide \"x\" on pay when amount > 1.00 EUR then block",
        "\nrule narrow \"x\" on pay when amount > 2.00 EUR then block",
        SCHEMA,
        &["W909 b 3:6: where this holds, `wide` does too", "W909 a 2:6: and it does as much or more"],
    );
}

#[test]
fn what_a_schema_declares_twice_stood_first_there() {
    let rows: [(&str, &[&str]); 4] = [
        ("entity shop shared\nenum shop = a", &["E202 schema 4:8: the first"]),
        ("enum kind = a, b, a", &["E202 schema 4:13: the first"]),
        ("event pay\n  user: user\nevent pay\n  user: user", &["E202 schema 4:7: the first"]),
        ("event pay\n  user: user\n  n: int\n  n: int", &["E202 schema 6:3: the first"]),
    ];
    for (items, expected) in rows {
        let event = if items.contains("event") { "" } else { "\nevent pay\n  user: user\n" };
        check_labels("", "", &format!("schema demo 1\ncurrency EUR\nentity user\n{items}{event}"), expected);
    }
}
