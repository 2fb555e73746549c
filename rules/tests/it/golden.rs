//! Rule files as tests: see `golden/README.md`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rules::check::{check, check_schema};
use rules::diagnostic::{Code, Diagnostic, Source, line_column};
use rules::syntax;

/// A file of a golden folder.
struct File {
    name: String,
    text: String,
}

/// All that is said about a file. A rule file that says `use schema NAME` is checked against `ok/NAME.schema.weir`, a
/// schema by itself; what is neither is only parsed.
fn diagnose(file: &File) -> Vec<Diagnostic> {
    let used = file.text.lines().find_map(|line| line.strip_prefix("use schema "));
    let schema = used.map(|name| read(&root().join(format!("ok/{}.schema.weir", name.trim()))));
    let own = Source { name: &file.name, text: &file.text };
    match &schema {
        Some(schema) => check(&[own, Source { name: &schema.name, text: &schema.text }]).diagnostics,
        None if file.text.lines().any(|line| line.starts_with("schema ")) => check_schema(own).1,
        None => syntax::parse(&file.text).diagnostics,
    }
}

/// What a file in `err` must open with: a line for each diagnostic about it.
fn expectations(file: &File, diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics.iter().filter(|it| it.file == 0) {
        let place = line_column(&file.text, diagnostic.span.start);
        let _ = writeln!(out, "// {} {place} {}", diagnostic.code, diagnostic.message);
    }
    out
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn read(path: &Path) -> File {
    File {
        name: path.file_name().unwrap().to_str().unwrap().to_owned(),
        text: std::fs::read_to_string(path).unwrap(),
    }
}

fn folder(name: &str) -> Vec<File> {
    let folder = root().join(name);
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "weir")).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} holds rule files", folder.display());
    paths.iter().map(|path| read(path)).collect()
}

#[test]
fn ok_files_have_no_diagnostics_and_are_formatted() {
    for file in folder("ok") {
        let name = file.name.clone();
        let formatted = syntax::format(&file.text);
        assert_eq!(formatted.as_ref(), Ok(&file.text), "{name} is formatted");
        let mut diagnostics = diagnose(&file);
        // The language's example says more than can be run yet.
        diagnostics.retain(|it| it.code != Code::NotAvailableYet);
        assert_eq!(expectations(&file, &diagnostics), "", "{name} has no diagnostics");
    }
}

/// An error says what to do about it, and so does a warning.
#[test]
fn whatever_is_said_of_err_files_has_a_help_text() {
    let mut helpless = String::new();
    for file in folder("err") {
        for diagnostic in diagnose(&file).iter().filter(|it| it.help.iter().all(String::is_empty)) {
            let place = line_column(&file.text, diagnostic.span.start);
            let _ = writeln!(helpless, "{} {place} {} {}", file.name, diagnostic.code, diagnostic.message);
        }
    }
    assert!(helpless.is_empty(), "{helpless}");
}

#[test]
fn err_files_have_the_diagnostics_that_they_open_with() {
    let mut differing = String::new();
    for file in folder("err") {
        let opening =
            file.text.lines().take_while(|line| line.starts_with("// E") || line.starts_with("// W"));
        let expected: String = opening.map(|line| format!("{line}\n")).collect();
        assert!(!expected.is_empty(), "{} opens with what is expected", file.name);
        let found = expectations(&file, &diagnose(&file));
        if found != expected {
            let _ = writeln!(
                differing,
                "\n== {} opens with\n{expected}-- and this was found\n{found}==",
                file.name
            );
        }
    }
    assert!(differing.is_empty(), "{differing}");
}
