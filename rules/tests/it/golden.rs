//! Rule files as tests: see `golden/README.md`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rules::diagnostic::{self, Diagnostic, line_column};
use rules::syntax;

/// A file of a golden folder.
struct File {
    name: String,
    text: String,
}

/// All that is said about a rule set: one rule file, and the schema that it uses, if there is one beside it.
fn diagnose(files: &[File]) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for (file, index) in files.iter().zip(0..) {
        let found = syntax::parse(&file.text).diagnostics;
        diagnostics.extend(found.into_iter().map(|it| it.in_file(index)));
    }
    diagnostic::sort(&mut diagnostics);
    diagnostics
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

fn folder(name: &str) -> Vec<File> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "weir")).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} holds rule files", folder.display());
    let read = |path: PathBuf| File {
        name: path.file_name().unwrap().to_str().unwrap().to_owned(),
        text: std::fs::read_to_string(&path).unwrap(),
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn ok_files_have_no_diagnostics_and_are_formatted() {
    for file in folder("ok") {
        let name = file.name.clone();
        let formatted = syntax::format(&file.text);
        assert_eq!(formatted.as_ref(), Ok(&file.text), "{name} is formatted");
        let diagnostics = diagnose(std::slice::from_ref(&file));
        assert_eq!(expectations(&file, &diagnostics), "", "{name} has no diagnostics");
    }
}

#[test]
fn err_files_have_the_diagnostics_that_they_open_with() {
    for file in folder("err") {
        let opening =
            file.text.lines().take_while(|line| line.starts_with("// E") || line.starts_with("// W"));
        let expected: String = opening.map(|line| format!("{line}\n")).collect();
        assert!(!expected.is_empty(), "{} opens with what is expected", file.name);
        let found = expectations(&file, &diagnose(std::slice::from_ref(&file)));
        assert_eq!(
            found, expected,
            "{}: what is found (left) is what the file opens with (right)",
            file.name
        );
    }
}
