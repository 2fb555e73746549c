//! Every text parses to a tree that holds it, whatever it is; and what a tree says is read again from its text,
//! before and after formatting.

mod generate;
mod print;

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
        assert!(!diagnostic.help.is_empty(), "{diagnostic:?} says what to do");
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

/// A debug print without places.
fn without_spans(file: &ast::File) -> String {
    let debug = format!("{file:?}");
    let mut parts = debug.split("Span { start: ");
    let mut out = parts.next().unwrap().to_owned();
    parts.for_each(|part| out.push_str(part.split_once('}').unwrap().1));
    out
}

/// What may stand between two tokens. Comments end their lines; a word at the margin could be an item's.
fn between() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => Just(" ".to_owned()),
        3 => "\n{1,3} {1,3}",
        1 => " //[ a-z\"]{0,5}\n {1,3}",
        1 => "\n{1,2} {0,3}// [a-z]{0,5}\r?\n {1,3}",
    ]
}

/// A plain tree and a text that says it.
fn written() -> impl Strategy<Value = (ast::File, String)> {
    generate::file().prop_flat_map(|file| {
        let tokens = print::tokens(&file);
        let gaps = proptest::collection::vec(between(), tokens.len());
        (
            Just(file),
            gaps.prop_map(move |gaps| tokens.iter().zip(&gaps).flat_map(|(a, b)| [&**a, b]).collect()),
        )
    })
}

fn tokens_and_comments(text: &str) -> Vec<String> {
    let tokens = parse(text).tree().descendants_with_tokens().filter_map(rowan::NodeOrToken::into_token);
    let shown = tokens.filter(|token| token.kind() != SyntaxKind::Whitespace);
    shown.map(|token| token.text().trim_end().to_owned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_written_is_read((file, text) in written()) {
        let parse = parse(&text);
        prop_assert_eq!(&parse.diagnostics, &[]);
        prop_assert_eq!(without_spans(&parse.ast), without_spans(&file));
    }

    #[test]
    fn formatting_changes_white_space_only_and_settles((file, text) in written()) {
        let formatted = format(&text).unwrap();
        prop_assert_eq!(without_spans(&parse(&formatted).ast), without_spans(&file));
        prop_assert_eq!(tokens_and_comments(&formatted), tokens_and_comments(&text));
        prop_assert_eq!(format(&formatted).unwrap(), formatted.clone());
        prop_assert!(formatted.lines().all(|line| line == line.trim_end()), "no space ends a line");
    }
}

/// Takes each token out of a file in turn: hardly ever does that say more than one thing.
#[test]
fn one_slip_is_one_diagnostic() {
    let files = [
        include_str!("../../tests/golden/ok/wallet.weir"),
        include_str!("../../tests/golden/ok/wallet.schema.weir"),
    ];
    let mut cascades = Vec::new();
    let mut slips = 0;
    for text in files {
        for token in lexer::tokens(text).0.iter().filter(|token| !token.kind.is_trivia()) {
            let (start, end) = (token.span.start as usize, token.span.end as usize);
            let parse = parse(&format!("{}{}", &text[..start], &text[end..]));
            slips += 1;
            if 1 < parse.diagnostics.len() {
                let line = diagnostic::line_column(text, token.span.start).line;
                let messages: Vec<_> = parse.diagnostics.iter().map(|it| &it.message).collect();
                cascades.push(format!("line {line} without `{}`: {messages:?}", &text[start..end]));
            }
        }
    }
    assert!(600 < slips && cascades.len() * 200 <= slips, "{slips} slips: {cascades:#?}");
}
