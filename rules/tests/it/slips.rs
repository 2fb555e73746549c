//! One word mistyped is one error, wherever it stands: what depends on it stays silent.

use std::ops::Range;

use rules::check::check;
use rules::diagnostic::{Severity, Source, line_column};

const SCHEMA: &str = include_str!("../golden/ok/demo.schema.weir");
const RULES: &str = include_str!("../golden/ok/demo.weir");

const ITEMS: [&str; 8] = ["use", "schema", "list", "table", "const", "feature", "rule", "test"];

/// Where the words of a rule file stand that are not in quotes.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut quoted = false;
    let mut start = None;
    for (at, it) in text.char_indices() {
        quoted ^= it == '"';
        let of_word = !quoted && (it.is_ascii_alphanumeric() || it == '_');
        match (start, of_word) {
            (None, true) => start = Some(at),
            (Some(from), false) => words.extend(start.take().map(|_| from..at)),
            _ => {}
        }
    }
    // What an item declares is read elsewhere, and so is what the word declares that begins it.
    let declares = |it: &Range<usize>| {
        let before = text[..it.start].split_whitespace().next_back().unwrap_or_default();
        ITEMS.contains(&before) || ITEMS.contains(&&text[it.clone()])
    };
    words.retain(|it| text[it.clone()].starts_with(|it: char| it.is_ascii_lowercase()) && !declares(it));
    words
}

/// The errors of a file in which a word is written in another way.
fn errors(word: &Range<usize>) -> Vec<String> {
    let text = format!("{}{}q{}", &RULES[..word.start], &RULES[word.clone()], &RULES[word.end..]);
    let diagnostics =
        check(&[Source { name: "schema", text: SCHEMA }, Source { name: "rules", text: &text }]).diagnostics;
    let errors = diagnostics.iter().filter(|it| it.severity() == Severity::Error);
    errors.map(|it| format!("{} {} {}", it.code, line_column(&text, it.span.start), it.message)).collect()
}

#[test]
fn one_mistyped_word_is_at_most_one_error() {
    let words = words(RULES);
    assert!(200 < words.len(), "{} words", words.len());
    for word in words {
        let errors = errors(&word);
        let place = line_column(RULES, u32::try_from(word.start).unwrap());
        assert!(errors.len() <= 1, "{place} `{}`: {errors:#?}", &RULES[word]);
    }
}
