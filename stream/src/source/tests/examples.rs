//! The worked examples of `fixtures/mapping/`, and the day of `fixtures/wallet/`.

use std::path::PathBuf;

use expect_test::expect_file;

use super::*;
use crate::testing::schema_file;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

#[track_caller]
fn check(name: &str, file: &str) {
    let folder = folder("mapping").join(name);
    let mapping = Mapping::read(&folder.join("map.toml")).unwrap();
    let schema = schema_file(&std::fs::read_to_string(mapping.schema_file()).unwrap());
    let input = Input::open(&folder.join(file)).unwrap();
    let source =
        Source::open(vec![input], Some(mapping), Arc::clone(&schema), OPTIONS, SourceState::default());
    let (text, _) = read_all(source, &schema);
    expect_file![folder.join("events.txt")].assert_eq(&text);
}

#[test]
fn shop() {
    check("shop", "orders.csv");
}

#[test]
fn gateway() {
    check("gateway", "payments.jsonl");
}

#[test]
fn bank() {
    check("bank", "moves.csv");
}

/// The keys that a message about the key `zzz` offers.
fn offered(error: &str) -> Vec<&str> {
    let (_, offer) = error.split_once("`zzz`").unwrap();
    offer.split('`').skip(1).step_by(2).collect()
}

/// `docs/mapping.md` shows the examples as they are, and names every key that the code takes.
#[test]
fn the_reference_is_true() {
    let reference = std::fs::read_to_string(folder("../docs/mapping.md")).unwrap();
    for name in ["shop", "bank", "gateway"] {
        let example = std::fs::read_to_string(folder("mapping").join(name).join("map.toml")).unwrap();
        assert!(
            reference.contains(&format!("```toml\n{example}```")),
            "the mapping of {name} is another one"
        );
    }
    let schema = schema_file(&std::fs::read_to_string(folder("mapping/shop/shop.schema.weir")).unwrap());
    let head = "schema = \"s\"\nevent = \"purchase\"\nid = \"i\"\ntime = \"t\"\n";
    for wrong in [
        format!("zzz = 1\n{head}"),
        head.replace("\"purchase\"", "{ zzz = 1 }"),
        head.replace("\"i\"", "{ zzz = 1 }"),
        head.replace("\"t\"", "{ zzz = 1 }"),
        format!("{head}join.a = {{ zzz = 1 }}\n"),
        format!("{head}label = {{ zzz = 1 }}\n"),
        format!("{head}[fields]\nsegment = {{ zzz = 1 }}\n"),
    ] {
        let opened = open(&wrong, &schema, &[b"i,t\n"], OPTIONS, SourceState::default());
        let told = opened.map(drop).unwrap_err().to_string();
        let told = told.lines().find(|it| it.contains("`zzz`")).unwrap();
        let keys = offered(told);
        assert!(1 < keys.len(), "{told}");
        for key in keys {
            assert!(reference.contains(&format!("`{key}`")), "`{key}` is not in the reference: {told}");
        }
    }
}

#[test]
fn the_simulated_day_is_read_to_its_last_line() {
    let folder = folder("wallet");
    let schema = schema_file(&std::fs::read_to_string(folder.join("wallet.schema.weir")).unwrap());
    let bytes = std::fs::read(folder.join("day.jsonl")).unwrap();
    let lines = bytes.split(|it| *it == b'\n').filter(|it| !it.is_empty()).count();
    let (text, state) = read_all(open("", &schema, &[&bytes], OPTIONS, SourceState::default()), &schema);
    assert_eq!(text.lines().count(), lines);
    assert_eq!(text.lines().find(|it| it.starts_with("reject") || it.starts_with("error")), None);
    assert_eq!((state.sequence, state.pending), (u64::try_from(lines).unwrap(), Vec::new()));
}
