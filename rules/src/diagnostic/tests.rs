//! One check per property: the registry, suggestions, rendering, places.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

#[test]
fn codes_are_unique_and_in_order() {
    let numbers: Vec<&str> = Code::ALL.iter().map(|code| code.number()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    for number in numbers {
        let digits = number.strip_prefix(['E', 'W']).unwrap_or_default();
        assert!(digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()), "`{number}`");
        assert_eq!(number.starts_with('W'), digits.starts_with('9'), "`{number}` is in the wrong section");
    }
}

#[test]
fn nearest_finds_slips_and_nothing_else() {
    let near = "amount".repeat(11) + "s";
    let candidates = ["amount", "merchant", "payments_1h", "payments_1d", "to", &near];
    for (name, expected) in [
        ("amuont", Some("amount")),
        ("Amount", Some("amount")),
        ("payments_1hh", Some("payments_1h")),
        ("payments1d", Some("payments_1d")),
        ("device", None),
        ("id", None),
        ("", None),
        // Longer than anybody mistypes: that would take its time.
        (&"amount".repeat(11), None),
    ] {
        assert_eq!(nearest(name, candidates), expected, "{name}");
    }
}

#[track_caller]
fn check_render(diagnostics: &[Diagnostic], expected: Expect) {
    let sources = [
        Source { name: "a.weir", text: "rule x \"y\"\n  on payment\n" },
        Source { name: "b.weir", text: "const 金额 = 3\n" },
    ];
    expected.assert_eq(&render(diagnostics, &sources, Colour::Never));
}

#[test]
fn renders_labels_of_several_files_and_help() {
    let place = Span { start: 16, end: 23 };
    check_render(
        &[Diagnostic::new(Code::Unexpected, place, "expected `when`")
            .label("here")
            .label_at(Span { start: 0, end: 4 }, "in this rule")
            .label_in(1, Span { start: 6, end: 12 }, "beside this")
            .help("write `when`")
            .suggest(Some("transfer"))],
        expect![[r#"
            error[E010]: expected `when`
             --> a.weir:2:6
              |
            1 | rule x "y"
              | ---- in this rule
            2 |   on payment
              |      ^^^^^^^ here
              |
             ::: b.weir:1:7
              |
            1 | const 金额 = 3
              |       ---- beside this
              |
              = help: write `when`
              = help: did you mean `transfer`?
        "#]],
    );
}

#[test]
fn line_and_column_count_characters_from_one() {
    let text = "a\n金额 b\n";
    for (offset, expected) in
        [(0, "1:1"), (1, "1:2"), (2, "2:1"), (5, "2:2"), (6, "2:2"), (9, "2:4"), (99, "3:1")]
    {
        assert_eq!(line_column(text, offset).to_string(), expected, "{offset}");
    }
}

proptest! {
    #[test]
    fn rendering_never_panics(text in "\\PC{0,20}(\n\\PC{0,9}){0,3}", start in 0u32..40, end in 0u32..40, file in 0u32..3) {
        let diagnostic = Diagnostic::new(Code::Unexpected, Span { start, end }, "x").label("y").in_file(file)
            .label_at(Span { start: end, end: start }, "z");
        let sources = [Source { name: "a", text: &text }, Source { name: "b", text: "" }];
        prop_assert!(render(&[diagnostic], &sources, Colour::Never).starts_with("error[E010]: x"));
    }
}
