//! The shape of the house: which crate may know which, and that every file says what it is for.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The crates of this workspace that a manifest's `[dependencies]` name.
fn arrows_of(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let from = manifest["package"]["name"].as_str().unwrap();
    let ours = ["rules", "engine", "stream", "desk", "api", "canonical", "floor"];
    let to = manifest["dependencies"].as_table().unwrap().keys().filter(|it| ours.contains(&it.as_str()));
    to.map(|to| format!("{from} -> {to}")).collect()
}

#[test]
fn the_arrows_and_no_others() {
    let manifests = [
        "rules/Cargo.toml",
        "engine/Cargo.toml",
        "stream/Cargo.toml",
        "desk/Cargo.toml",
        "api/Cargo.toml",
        "benches/canonical/Cargo.toml",
        "benches/floor/Cargo.toml",
        "Cargo.toml",
    ];
    let arrows: Vec<String> = manifests.iter().flat_map(|it| arrows_of(it)).collect();
    assert_eq!(
        arrows,
        [
            "engine -> rules",
            "stream -> engine",
            "stream -> rules",
            "desk -> engine",
            "desk -> rules",
            "api -> desk",
            "api -> engine",
            "api -> rules",
            "api -> stream",
            "canonical -> engine",
            "canonical -> floor",
            "canonical -> rules",
            "canonical -> stream",
            "weir -> api",
            "weir -> canonical",
            "weir -> desk",
            "weir -> engine",
            "weir -> floor",
            "weir -> rules",
            "weir -> stream"
        ]
    );
}

/// The crates that bring in no clock, socket, file, environment, thread or async, and all that each is built upon: whatever
/// is new here was looked at.
const PURE: [(&str, &[&str]); 2] = [
    (
        "rules",
        &[
            "annotate-snippets",
            "blake3",
            "bnum",
            "iso_currency",
            "jiff",
            "libm",
            "logos",
            "rowan",
            "rust_decimal",
            "strsim",
            "thiserror",
            "unicode-width",
        ],
    ),
    (
        "engine",
        &[
            "blake3",
            "bnum",
            "branches",
            "foldhash",
            "hashbrown",
            "libm",
            "rules",
            "rust_decimal",
            "siphasher",
            "smallvec",
            "thiserror",
        ],
    ),
];

/// Calls, types and macros clippy denies, as their `clippy.toml` says; here is what it does not see.
#[test]
fn the_pure_crates_stay_pure() {
    let read = |place: &Path| fs::read_to_string(place).unwrap();
    let denied = PURE.map(|(name, _)| read(&root().join(name).join("clippy.toml")));
    assert_eq!(denied[0], denied[1], "the clippy.toml of both");
    for (name, allowed) in PURE {
        let folder = root().join(name);
        let manifest: toml::Table = read(&folder.join("Cargo.toml")).parse().unwrap();
        assert!(!manifest.contains_key("target"), "{name}: what is built upon is the same everywhere");
        for dependency in manifest["dependencies"].as_table().unwrap().keys() {
            let is_allowed = allowed.contains(&dependency.as_str());
            assert!(is_allowed, "{name}: is `{dependency}` as pure? Then add it to those allowed");
        }
        let mut files = Vec::new();
        sources(&folder.join("src"), &mut files);
        for file in files {
            let text = read(&file);
            let mut words = text.split(|it: char| !it.is_alphanumeric() && it != '_');
            assert!(!words.any(|it| it == "async"), "{}: nothing waits in a pure crate", file.display());
        }
    }
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, into);
        } else if path.extension().is_some_and(|it| it == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn every_file_says_what_it_is_for_and_none_is_unfinished() {
    let mut files = Vec::new();
    sources(root(), &mut files);
    assert!(files.len() > 50, "the walk finds the sources");
    let unfinished = [["FIX", "ME"].concat(), ["todo", "!("].concat(), ["unimplemented", "!("].concat()];
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!"), "{}: say in its first line what the file is for", file.display());
        for word in &unfinished {
            assert!(!text.contains(word.as_str()), "{}: `{word}`: finish it", file.display());
        }
    }
}

/// A module is `foo.rs` beside `foo/`, everywhere: in an editor's tabs and in a search, each file has a name of its own.
#[test]
fn no_module_hides_in_a_mod_rs() {
    let mut files = Vec::new();
    sources(root(), &mut files);
    let hidden: Vec<_> = files.iter().filter(|it| it.ends_with("mod.rs")).collect();
    assert!(hidden.is_empty(), "`foo.rs` beside `foo/`, please: {hidden:?}");
}

/// Every place that the map names exists.
#[test]
fn the_map_is_true() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for place in text.split('`').skip(1).step_by(2).filter(|it| it.contains('/') && !it.contains(' ')) {
        let somewhere = [
            "",
            "rules/src",
            "engine/src",
            "stream/src",
            "desk/src",
            "api/src",
            "src",
            "rules/src/reference",
        ];
        let found = somewhere.iter().any(|folder| root().join(folder).join(place).exists());
        assert!(found, "ARCHITECTURE.md names `{place}`, which is not there");
    }
}

/// A text without what stands in parentheses.
fn outside_parentheses(text: &str) -> String {
    let mut depth = 0_usize;
    let outside = text.chars().filter(|it| match it {
        '(' => {
            depth += 1;
            false
        }
        ')' => {
            depth = depth.saturating_sub(1);
            false
        }
        _ => depth == 0,
    });
    outside.collect()
}

/// The single words that a text sets in backticks.
fn words(text: &str) -> Vec<&str> {
    let is_word = |it: &&str| it.chars().all(|it| it.is_ascii_lowercase() || it == '_');
    text.split('`').skip(1).step_by(2).filter(is_word).collect()
}

/// The names beside the arrows of a chain: of what comes before the first the last, and of what follows the last the first.
fn chained(text: &str) -> Vec<&str> {
    let parts: Vec<Vec<&str>> = text.split('→').map(words).collect();
    let [first, middle @ .., last] = &parts[..] else { return Vec::new() };
    let ends = first.last().into_iter().chain(last.first());
    ends.chain(middle.iter().flatten()).copied().collect()
}

/// What a chain of arrows names is a module of the section's crate; and whatever word follows `In ‹folder›` in a paragraph
/// is one of that folder.
#[test]
fn the_chains_of_the_map_are_true() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut named = 0;
    for section in text.split("\n### `").skip(1) {
        let (name, section) = section.split_once("/`").unwrap();
        let section = section.split("\n## ").next().unwrap();
        let crate_src = if name == "src" { root().join("src") } else { root().join(name).join("src") };
        let mut files = Vec::new();
        sources(&crate_src, &mut files);
        let mut check = |words: Vec<&str>, folder: &Path| {
            for word in words {
                let is_it = |it: &PathBuf| it.starts_with(folder) && it.file_stem().unwrap() == word;
                let shown = folder.strip_prefix(root()).unwrap().display();
                assert!(files.iter().any(is_it), "ARCHITECTURE.md names `{word}`: no module of `{shown}`");
                named += 1;
            }
        };
        for paragraph in section.split("\n\n") {
            let paragraph = outside_parentheses(paragraph);
            let mut parts = paragraph.split("In `");
            check(chained(parts.next().unwrap()), &crate_src);
            for part in parts {
                let (folder, behind) = part.split_once("/`").unwrap();
                check(words(behind), &crate_src.join(folder));
            }
        }
    }
    assert!(40 < named, "the chains are found: {named}");
}

/// The code of a source: without comments, and without what is compiled for tests only.
fn shipped(source: &str) -> String {
    let mut shipped = String::new();
    let mut lines = source.lines().map(|line| line.split("//").next().unwrap());
    while let Some(line) = lines.next() {
        let for_tests =
            line.strip_suffix("#[cfg(test)]").or_else(|| line.split_once("#[cfg(all(test,").map(|it| it.0));
        let Some(indent) = for_tests else {
            shipped += line;
            shipped.push('\n');
            continue;
        };
        // What follows such a line ends where something as far to the left does.
        lines.find(|it| {
            let it = it.strip_prefix(indent).filter(|it| !it.starts_with(' '));
            it.is_some_and(|it| it.ends_with([';', '}']))
        });
    }
    shipped
}

/// Nothing in a crate names a module that its `lib.rs` lists after the one in which it stands.
#[track_caller]
fn check_order(folder: &str) {
    let src = root().join(folder).join("src");
    let lib = fs::read_to_string(src.join("lib.rs")).unwrap();
    let declared = lib.lines().filter_map(|it| it.strip_prefix("pub ").unwrap_or(it).strip_prefix("mod "));
    let order: Vec<&str> = declared.filter_map(|it| it.strip_suffix(';')).collect();
    let place_of = |module: &str| order.iter().position(|it| *it == module);
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut named = 0;
    for file in files {
        let way = file.strip_prefix(&src).unwrap().with_extension("");
        let way: Vec<_> = way.iter().map(|it| it.to_str().unwrap()).collect();
        if way == ["lib"] || way.iter().any(|it| ["tests", "testing"].contains(it)) {
            continue;
        }
        let own = place_of(way[0]).unwrap();
        for path in shipped(&fs::read_to_string(&file).unwrap()).split("crate::").skip(1) {
            let module = path.split(|it: char| !it.is_alphanumeric() && it != '_').next().unwrap();
            let stands = place_of(module).is_some_and(|it| it <= own);
            assert!(stands, "{}: `crate::{module}` does not stand before `{}`", file.display(), way[0]);
            named += 1;
        }
    }
    assert!(2 * order.len() < named, "{folder}: the paths are found: {named}");
}

/// The modules of a crate stand in its `lib.rs` as they use each other: whoever reads it from the top meets nothing that
/// is told later.
#[test]
fn the_modules_of_a_crate_have_an_order() {
    check_order("rules");
    check_order("engine");
    check_order("stream");
}
