//! What is said to do about an error.

use rules::check::check;
use rules::diagnostic::Source;

const SCHEMA: &str = include_str!("../golden/ok/demo.schema.weir");

/// The help of a rule file's only error.
#[track_caller]
fn check_help(schema: &str, rules: &str, expected: &str) {
    let text = format!("use schema demo\n{rules}");
    let sources = [Source { name: "schema", text: schema }, Source { name: "rules", text: &text }];
    let diagnostics = check(&sources).diagnostics;
    let help: Vec<String> = diagnostics.iter().map(|it| it.help.join("; ")).collect();
    assert_eq!(help, [expected], "{rules}: {diagnostics:?}");
}

#[test]
fn parentheses_are_shown_around_an_aggregate() {
    let rows = [
        (
            "rule r \"x\" on pay when count(pay) by user over 1h > 3 then block",
            "write `(count(pay) by user over 1h) > 3`",
        ),
        (
            "rule r \"x\" on pay when n > 1 and count(pay) by user over 1h > 3 and n > 2 then block",
            "write `(count(pay) by user over 1h) > 3`",
        ),
        (
            "rule r \"x\" on pay when 3 < count(pay) by user over 1h then block",
            "write `3 < (count(pay) by user over 1h)`",
        ),
        (
            "rule r \"x\" on pay when n > 1 and sum(pay.n) by user\n    over 1h >\n 3 then block",
            "write `(sum(pay.n) by user over 1h) > 3`",
        ),
        (
            "rule r \"x\" on pay when count(pay) by user // whose\n over 1h > 3 then block",
            "put the call and its clauses in parentheses",
        ),
        (
            "rule r \"x\" on pay when first_seen(shop) by user over 1h then block",
            "write `(first_seen(shop) by user over 1h)`",
        ),
        (
            "rule r \"x\" on pay when not first_seen(shop) by user then tag x",
            "write `not (first_seen(shop) by user)`",
        ),
        (
            "rule r \"x\" on pay when n > 1 then score + 2 * count(pay) by user over 1h",
            "write `2 * (count(pay) by user over 1h)`",
        ),
        ("policy\n  block when count(pay) by user over 1h > 3", "write `(count(pay) by user over 1h) > 3`"),
        (
            "feature h = max(pay.amount) by user over 1d + 1.00 EUR\nrecord h",
            "write `(max(pay.amount) by user over 1d) + 1.00 EUR`",
        ),
        (
            "feature h = 2 + count(pay) by user over 1d where n > 1\nrecord h",
            "write `2 + (count(pay) by user over 1d where n > 1)`",
        ),
    ];
    for (rules, expected) in rows {
        check_help(SCHEMA, rules, expected);
    }
}
