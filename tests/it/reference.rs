//! The reference of the language says what is so: its examples are checked and run, its codes are the registry's.

use std::process::Command;

use rules::diagnostic::Code;

fn reference() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rule-language.md")).unwrap()
}

/// The examples fenced under a name, one below the other.
fn examples(text: &str, name: &str) -> String {
    let fence = format!("```{name}\n");
    text.split(&fence).skip(1).map(|it| it.split("```").next().unwrap()).collect()
}

#[test]
fn its_examples_are_one_rule_set_without_fault_whose_tests_pass() {
    let text = reference();
    let folder = tempfile::tempdir().unwrap();
    for (file, name) in [("wallet.schema.weir", "weir-schema"), ("wallet.weir", "weir")] {
        let examples = examples(&text, name);
        assert!(!examples.is_empty(), "{name}");
        std::fs::write(folder.path().join(file), examples).unwrap();
    }
    for (command, summary) in [("check", "\n0 errors, "), ("test", "\ntest result: ok. 4 passed;")] {
        let output = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["rules", command])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = format!("\n{}", String::from_utf8_lossy(&output.stdout));
        assert!(
            output.status.success() && said.contains(summary),
            "{said}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn its_codes_are_those_of_the_registry() {
    let text = reference();
    let table: Vec<&str> = text.lines().filter(|it| it.starts_with("| E") || it.starts_with("| W")).collect();
    let registry: Vec<String> =
        Code::ALL.iter().map(|it| format!("| {} | {} |", it.number(), it.title())).collect();
    assert_eq!(table, registry);
}
