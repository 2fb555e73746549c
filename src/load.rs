//! A rule set from disk: its schema, rule files, list files and rate table, checked, or everything that is wrong.
//!
//! `PATH` is a folder, of which all `*.weir` files are read, or one rule file, whose `use schema NAME` leads to
//! `NAME.schema.weir` beside it. List files and the rate table are named relative to that folder.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::entity::{EntityKey, HashKey};
use engine::history::PlanError;
use engine::lists::Membership;
use engine::rates::Rates;
use engine::state::EntityState;
use rules::diagnostic::{self, Colour, Diagnostic, Source};
use rules::syntax::{self, ast};
use rules::time::Micros;
use rules::typed::{List, ListId, ListKind, RuleSet};
use stream::bundle::{self, Bundle, ListFile, Problems, Written, Wrong};
pub(crate) use stream::bundle::{File as SourceFile, Item, ListItem, item};
use stream::gate::Gate;
use stream::in_force::InForce;
use stream::text;

use crate::figures::counted;
use crate::stderr;

/// A checked rule set with all that its files hold.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// As checked.
    pub(crate) rules: RuleSet,
    /// What its list files hold, in the order of the lists.
    pub(crate) items: Vec<ListItem>,
    /// The rate table; only the base currency if the schema names none.
    pub(crate) rates: Rates,
    /// All its texts.
    pub(crate) bundle: Bundle,
    /// The files that it was read from, and what was said about them: warnings only.
    pub(crate) report: Report,
}

/// What checking said about which files.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// In the order of the indices in `diagnostics`.
    pub(crate) sources: Vec<SourceFile>,
    /// By file and place.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// All diagnostics with the lines they speak of; empty if there are none.
    pub(crate) fn render(&self, colour: Colour) -> String {
        diagnostic::render(&self.diagnostics, &borrowed(&self.sources), colour)
    }
}

fn borrowed(sources: &[SourceFile]) -> Vec<Source<'_>> {
    sources.iter().map(|it| Source { name: &it.name, text: &it.text }).collect()
}

/// Why there is no rule set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// A file or folder cannot be read.
    #[error("cannot read `{}`: {cause}", shown(path))]
    Read { path: PathBuf, cause: io::Error },
    /// A folder without rules.
    #[error("no `.weir` file in the folder `{}`: name a folder of rule files, or one rule file", .0.display())]
    Empty(PathBuf),
    /// A rule file's schema is not where it must be.
    #[error("`{file}` says `use schema {schema}`, but `{}` cannot be read: {cause}", path.display())]
    Schema { file: String, schema: String, path: PathBuf, cause: io::Error },
    /// The rules have errors.
    #[error("the rules have errors\n\n{}", .0.render(Colour::Never).trim_end())]
    Rules(Report),
    /// List files or the rate table have errors, and the rules have none.
    #[error("{0}")]
    Contents(Problems, Report),
}

/// Loads the rule set at a path: a folder or a rule file.
pub(crate) fn rule_set(path: &Path) -> Result<Loaded, LoadError> {
    let (folder, sources) = sources(path)?;
    let checked = rules::check::check(&borrowed(&sources));
    let report = Report { sources, diagnostics: checked.diagnostics };
    let Some(rules) = checked.rule_set else { return Err(LoadError::Rules(report)) };
    let (bundle, unread) = beside(&rules, &folder, report.sources.clone());
    match (unread, bundle.contents(&rules, Written::New)) {
        (None, Ok((items, rates))) => Ok(Loaded { rules, items, rates, bundle, report }),
        // What cannot be read, and what is wrong in all that can.
        (unread, contents) => {
            let wrong = unread.unwrap_or_default().and(contents.err().unwrap_or_default());
            Err(LoadError::Contents(wrong, report))
        }
    }
}

impl Loaded {
    /// The files that it was read from.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let Bundle { sources, lists, rates } = &self.bundle;
        let names = sources.iter().chain(rates).map(|it| &it.name).chain(lists.iter().map(|it| &it.name));
        names.map(PathBuf::from).collect()
    }

    /// Ready to decide under a key.
    ///
    /// # Errors
    /// If the state that the features need is beyond what is counted.
    pub(crate) fn compile(&self, key: HashKey) -> Result<engine::rule_set::RuleSet, PlanError> {
        let values = bundle::values(&self.rules, &self.items, key);
        engine::rule_set::RuleSet::new(self.rules.clone(), key, values)
    }

    /// What was loaded, with its texts, as what is in force first under a key.
    ///
    /// # Errors
    /// If the state that the features need is beyond what is counted.
    pub(crate) fn first(&self, key: HashKey) -> Result<InForce, PlanError> {
        let (rules, rates) = (Arc::new(self.compile(key)?), Arc::new(self.rates.clone()));
        Ok(InForce::first(rules, rates, Some(Arc::new(self.bundle.clone()))))
    }

    /// Whether the rate table or a list of plain values holds something else here than in what is in force by the same rules.
    pub(crate) fn holds_otherwise(&self, in_force: &InForce) -> bool {
        let has_rates = self.rules.schema.rates_file.is_some();
        let (ours, theirs) =
            (bundle::values(&self.rules, &self.items, in_force.rules.key), &in_force.rules.values);
        let otherwise = |(id, list): (ListId, &List)| {
            let is_filled = matches!(list.of, ListKind::Values(_)) && list.file.is_some();
            is_filled && ours.slots(id) != theirs.slots(id)
        };
        has_rates && self.rates != *in_force.rates || ListId::all().zip(&self.rules.lists).any(otherwise)
    }

    /// Says whose entries in the files of lists of entities are not on them: those are filled once, when the state begins, and
    /// hold from then on what rules and people put there.
    pub(crate) fn note_unlisted(&self, gate: &Gate) {
        let clock = gate.clock().unwrap_or(Micros::MIN);
        let mut missing: BTreeMap<ListId, u64> = BTreeMap::new();
        for (entity, it) in self.memberships(gate.key()) {
            let holds = |_: &InForce, state: &mut EntityState| {
                state.lists().contains(it.list, clock) && state.lists().value(it.list, clock) == it.value
            };
            if gate.look(entity, holds) != Some(true) {
                *missing.entry(it.list).or_default() += 1;
            }
        }
        for (id, count) in missing {
            let Some(list) = self.rules.list(id) else { continue };
            let (name, file) = (&list.name, list.file.as_deref().unwrap_or_default());
            stderr::note(&format!(
                "{} of `{file}` not in `{name}` as it says: such a file is read once, when the list begins; behind that a \
                 running server changes it (`PUT /v1/lists/{name}/ID`)",
                counted(count, "entry")
            ));
        }
    }

    /// Who is in which list or table of entities: what is written into their states before the first event.
    pub(crate) fn memberships(&self, key: HashKey) -> Vec<(EntityKey, Membership)> {
        bundle::memberships(&self.rules, &self.items, key)
    }
}

/// The texts of list files and of the rate table, which stand beside the rules, with those of the rules; and which of
/// them cannot be read.
fn beside(rules: &RuleSet, folder: &Path, sources: Vec<SourceFile>) -> (Bundle, Option<Problems>) {
    let mut problems = Problems::default();
    let mut text = |path: &Path, told: &dyn Fn(&io::Error) -> String| {
        let read = text::read(path);
        let wrong = |cause: io::Error| {
            let (problem, said) = (cause.to_string(), told(&cause));
            Wrong { file: shown(path), line: None, problem, said }
        };
        read.map_err(|cause| problems.add(wrong(cause))).ok()
    };
    let mut bundle = Bundle { sources, ..Bundle::default() };
    if let Some(file) = &rules.schema.rates_file {
        let path = folder.join(file);
        let name = shown(&path);
        let read = text(&path, &|cause| format!("rate table `{name}`: {cause}"));
        bundle.rates = read.map(|text| SourceFile { name: name.clone(), text });
    }
    for list in &rules.lists {
        let Some(file) = &list.file else { continue };
        let path = folder.join(file);
        let name = shown(&path);
        let read = text(&path, &|cause| format!("list `{}`: cannot read `{name}`: {cause}", list.name));
        bundle.lists.extend(read.map(|text| ListFile { list: list.name.clone(), name: name.clone(), text }));
    }
    (bundle, problems.finish())
}

/// The folder that other files are relative to, and the texts of schema and rule files.
fn sources(path: &Path) -> Result<(PathBuf, Vec<SourceFile>), LoadError> {
    if path.is_dir() {
        let files = weir_files(path)?;
        if files.is_empty() {
            return Err(LoadError::Empty(path.to_owned()));
        }
        let sources = files.iter().map(|it| read(it)).collect::<Result<_, _>>()?;
        return Ok((path.to_owned(), sources));
    }
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let rules = read(path)?;
    let mut sources = Vec::new();
    if let Some(schema) = used_schema(&rules.text) {
        let path = folder.join(format!("{schema}.schema.weir"));
        match text::read(&path) {
            Ok(text) => sources.push(SourceFile { name: shown(&path), text }),
            Err(cause) => return Err(LoadError::Schema { file: rules.name, schema, path, cause }),
        }
    }
    sources.push(rules);
    Ok((folder, sources))
}

/// The `*.weir` files of a folder, sorted by name.
pub(crate) fn weir_files(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let unread = |cause| LoadError::Read { path: folder.to_owned(), cause };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        if path.extension().is_some_and(|it| it == "weir") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<SourceFile, LoadError> {
    let text = text::read(path);
    let text = text.map_err(|cause| LoadError::Read { path: path.to_owned(), cause })?;
    Ok(SourceFile { name: shown(path), text })
}

/// A path as messages show it: without the `./` of a folder that nobody named.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

/// The schema that a rule file uses; none if it is a schema itself, or does not say.
fn used_schema(text: &str) -> Option<String> {
    let items = syntax::parse(text).ast.items;
    if items.iter().any(|it| matches!(it, ast::Item::Schema(_))) {
        return None;
    }
    items.into_iter().find_map(|it| match it {
        ast::Item::Use(name) => Some(name.text),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "schema s 1\nzone \"UTC\"\ncurrency EUR\nrates \"rates.csv\"\n\
                          entity user\nevent payment\n  user: user\n  mcc: text(4)?\n";
    const RULES: &str = "use schema s\nlist watched : user from \"watched.txt\"\n\
                         list risky : text(4) from \"risky.txt\"\n\
                         table limits : user -> money from \"limits.csv\"\n";

    #[test]
    fn lists_tables_and_rates_come_from_files_beside_the_rules() {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("s.schema.weir", SCHEMA),
            ("s.weir", RULES),
            ("rates.csv", "currency,rate\nUSD,0.9\n"),
            ("watched.txt", "\u{feff}# by hand\r\nu1\r\n\r\nu#2 # odd, but an id\r\n"),
            ("risky.txt", "5732\n5944\n"),
            ("limits.csv", "u1, 12.50\nu 2,3\n"),
        ];
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let key = HashKey::new([7; 16]);
        for path in [folder.path().to_owned(), folder.path().join("s.weir")] {
            let loaded = rule_set(&path).unwrap();
            assert_eq!(loaded.rates.iter().count(), 1);
            let user = |id: &str| EntityKey::new(rules::schema::KindId(0), key.hash128(id));
            let of = |list, value| Membership { list: ListId(list), until: None, value };
            let expected = [
                (user("u1"), of(0, None)),
                (user("u#2"), of(0, None)),
                (user("u1"), of(2, Some(1_250))),
                (user("u 2"), of(2, Some(300))),
            ];
            assert_eq!(loaded.memberships(key), expected);
            let compiled = loaded.compile(key).unwrap();
            let listed = ["5732", "5944", "5999"].map(|it| compiled.values.contains(ListId(1), key.slot(it)));
            assert_eq!(listed, [true, true, false]);
        }
    }
}
