//! Every text parses to a tree that holds it, whatever it is.

use proptest::prelude::*;

use super::*;

/// What fills a text that is no rule file: pieces of the language in any order, and anything else.
fn text() -> impl Strategy<Value = String> {
    let pieces = "[ \n]|feature|rule|policy|test|on|when|then|given|by|over|where|not|in|is|missing|this|any|score|block|alert|deadline|event|entity|[a-z]{1,3}|[0-9]{1,3}|5m|2027-03-31|km/h|CNY|\"[a-z]{0,3}\"|//c\n|[-+*/%=<>!?:,.()\\[\\]\"]|\\PC";
    proptest::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.join(" "))
}

fn check(text: &str) {
    let parse = parse(text);
    assert_eq!(parse.tree().text().to_string(), text, "the tree holds the text");
    for diagnostic in &parse.diagnostics {
        let (start, end) = (diagnostic.span.start as usize, diagnostic.span.end as usize);
        assert!(text.get(start..end).is_some(), "{diagnostic:?} lies in the text");
    }
    let formatted = format(text);
    assert_eq!(formatted.is_err(), !parse.diagnostics.is_empty(), "what has no errors can be formatted");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_pieces_parse(text in text()) {
        check(&text);
    }

    #[test]
    fn any_characters_parse(text in "(?s).{0,60}") {
        check(&text);
    }
}

#[test]
fn nesting_has_a_limit_and_says_so() {
    let within = parser::DEPTH_MAX as usize - 1;
    let chain = |n: usize| format!("const x = 1{}", " + 1".repeat(n));
    let parens = |n: usize| format!("const x = {}1{}", "(".repeat(n), ")".repeat(n));
    let mixed = |n: usize| format!("const x = {}1{}", "f([".repeat(n), "] + 1) + 1 + 1".repeat(n));
    let nots = |n: usize| format!("const x = {}a", "not ".repeat(n));
    let rights = |n: usize| format!("const x = a{}", " ?? a".repeat(n));
    for (text, fits) in [
        (chain(within), true),
        (chain(within + 1), false),
        (chain(200_000), false),
        (parens(within), true),
        (parens(within + 1), false),
        (parens(200_000), false),
        (mixed(25), true),
        (mixed(90), false),
        (nots(200_000), false),
        (rights(200_000), false),
    ] {
        let numbers: Vec<&str> = parse(&text).diagnostics.iter().map(|it| it.code.number()).collect();
        let expected: &[&str] = if fits { &[] } else { &["E014"] };
        assert_eq!(numbers, expected, "{}", &text[..text.len().min(60)]);
        check(&text);
    }
}

#[test]
fn a_file_has_a_limit_and_says_so() {
    let numbers = |text: &str| parse(text).diagnostics.iter().map(|it| it.code.number()).collect::<Vec<_>>();
    assert_eq!(numbers(&" ".repeat(FILE_BYTES_MAX)), Vec::<&str>::new());
    assert_eq!(numbers(&" ".repeat(FILE_BYTES_MAX + 1)), ["E019"]);
}
