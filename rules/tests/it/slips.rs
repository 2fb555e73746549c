//! One word mistyped is one error, wherever it stands: what depends on it stays silent.

use std::ops::Range;

use rules::check::check;
use rules::diagnostic::{Diagnostic, Severity, Source, line_column};

const SCHEMA: &str = include_str!("../golden/ok/demo.schema.weir");
const RULES: &str = include_str!("../golden/ok/demo.weir");

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
    words.retain(|it| text[it.clone()].starts_with(|it: char| it.is_ascii_alphabetic()));
    words
}

/// The errors of a schema and a rule file, in one of which a word is written in another way.
fn errors(schema: &str, rules: &str) -> Vec<String> {
    let sources = [("schema", schema), ("rules", rules)].map(|(name, text)| Source { name, text });
    let diagnostics = check(&sources).diagnostics;
    let errors = diagnostics.iter().filter(|it| it.severity() == Severity::Error);
    let place = |it: &Diagnostic| line_column(sources[it.file as usize].text, it.span.start);
    errors.map(|it| format!("{} {} {} {}", it.code, it.file, place(it), it.message)).collect()
}

/// Checks every word of a text but those that declare a name, which is used elsewhere.
fn check_slips(text: &str, declaring: &[&str], errors: impl Fn(&str) -> Vec<String>) {
    let words = words(text);
    assert!(30 < words.len(), "{} words", words.len());
    let mut cascades = Vec::new();
    for word in words {
        let (before, word, behind) = (&text[..word.start], &text[word.clone()], &text[word.end..]);
        let last = before.split_whitespace().next_back().unwrap_or_default();
        let declares = declaring.contains(&last) || (declaring.contains(&":") && behind.starts_with(':'));
        let errors = errors(&format!("{before}{word}q{behind}"));
        if !declares && 1 < errors.len() {
            let place = line_column(text, u32::try_from(before.len()).unwrap());
            cascades.push(format!("{place} `{word}`: {errors:#?}"));
        }
    }
    assert!(cascades.is_empty(), "{}", cascades.join("\n"));
}

#[test]
fn one_mistyped_word_of_a_rule_file_is_at_most_one_error() {
    let declaring = ["list", "table", "const", "feature", "rule"];
    check_slips(RULES, &declaring, |rules| errors(SCHEMA, rules));
}

#[test]
fn one_mistyped_word_of_a_schema_is_at_most_one_error() {
    let declaring = ["schema", "entity", "enum", "event", ":", "=", "app,"];
    let (schema, rules) = (SCHEMA.replace("EUR", "CNY"), RULES.replace("EUR", "CNY"));
    check_slips(&schema, &declaring, |schema| errors(schema, &rules));
}
