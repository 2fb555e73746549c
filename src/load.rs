//! A rule set from disk: its schema, rule files, list files and rate table, checked, or everything that is wrong.
//!
//! `PATH` is a folder, of which all `*.weir` files are read, or one rule file, whose `use schema NAME` leads to
//! `NAME.schema.weir` beside it. List files and the rate table are named relative to that folder.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use engine::entity::{EntityKey, HashKey};
use engine::history::PlanError;
use engine::lists::{Membership, ValueLists};
use engine::rates::Rates;
use rules::diagnostic::{self, Colour, Diagnostic, Source};
use rules::schema::{FieldType, Schema};
use rules::syntax::{self, ast};
use rules::typed::{List, ListId, ListKind, Numeric, RuleSet, Type};
use stream::intake::{self, Parsed};

/// Problems of list files that are shown; the rest is counted.
const PROBLEMS_SHOWN_MAX: usize = 50;

/// A checked rule set with all that its files hold.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// As checked.
    pub(crate) rules: RuleSet,
    /// What its list files hold, in the order of the lists.
    pub(crate) items: Vec<ListItem>,
    /// The rate table; only the base currency if the schema names none.
    pub(crate) rates: Rates,
    /// The files that it was read from, and what was said about them: warnings only.
    pub(crate) report: Report,
}

/// One entity or value in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ListItem {
    /// In which list.
    pub(crate) list: ListId,
    /// The entity's id, or the value.
    pub(crate) item: Item,
    /// Of a table: what stands beside it.
    pub(crate) value: Option<Item>,
}

/// What a list holds, before there is a key to hash it with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Item {
    /// As it stands in a slot.
    Slot(i64),
    /// A text or an entity's id.
    Text(String),
}

impl Item {
    /// As it stands in a slot, texts and ids hashed.
    pub(crate) fn slot(&self, key: HashKey) -> i64 {
        match self {
            Self::Slot(slot) => *slot,
            Self::Text(text) => key.slot(text),
        }
    }
}

/// What checking said about which files.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// In the order of the indices in `diagnostics`.
    pub(crate) sources: Vec<SourceFile>,
    /// By file and place.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// As messages show it.
    pub(crate) name: String,
    /// All of it.
    pub(crate) text: String,
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
    #[error("cannot read `{}`: {cause}", path.display())]
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
    /// List files or the rate table have errors.
    #[error("{0}")]
    Contents(String),
}

/// Loads the rule set at a path: a folder or a rule file.
pub(crate) fn rule_set(path: &Path) -> Result<Loaded, LoadError> {
    let (folder, sources) = sources(path)?;
    let checked = rules::check::check(&borrowed(&sources));
    let report = Report { sources, diagnostics: checked.diagnostics };
    let Some(rules) = checked.rule_set else { return Err(LoadError::Rules(report)) };
    let mut problems = Problems::default();
    let rates = rates(&rules.schema, &folder, &mut problems);
    let mut items = Vec::new();
    for (id, list) in (0u16..).map(ListId).zip(&rules.lists) {
        if let Some(file) = &list.file {
            read_list(id, list, &folder.join(file), &rules.schema, &mut items, &mut problems);
        }
    }
    match (rates, problems.finish()) {
        (Some(rates), None) => Ok(Loaded { rules, items, rates, report }),
        (_, problems) => Err(LoadError::Contents(problems.unwrap_or_default())),
    }
}

impl Loaded {
    /// Ready to decide under a key.
    ///
    /// # Errors
    /// If the state that the features need is beyond what is counted.
    pub(crate) fn compile(&self, key: HashKey) -> Result<engine::rule_set::RuleSet, PlanError> {
        engine::rule_set::RuleSet::new(self.rules.clone(), key, self.values(key))
    }

    /// The contents of lists of plain values.
    fn values(&self, key: HashKey) -> ValueLists {
        let mut values = ValueLists::default();
        for (id, list) in (0u16..).map(ListId).zip(&self.rules.lists) {
            if let ListKind::Values(_) = list.of {
                let items = self.items.iter().filter(|it| it.list == id);
                values.set(id, items.map(|it| it.item.slot(key)).collect());
            }
        }
        values
    }

    /// Who is in which list or table of entities: what is written into their states before the first event.
    pub(crate) fn memberships(&self, key: HashKey) -> Vec<(EntityKey, Membership)> {
        let membership = |it: &ListItem| {
            let kind = match self.rules.lists.get(it.list.index())?.of {
                ListKind::Entities(kind) | ListKind::Table(kind, _) => kind,
                ListKind::Values(_) => return None,
            };
            let Item::Text(id) = &it.item else { return None };
            let value = it.value.as_ref().map(|it| it.slot(key));
            let membership = Membership { list: it.list, until: None, value };
            Some((EntityKey::new(kind, key.hash128(id)), membership))
        };
        self.items.iter().filter_map(membership).collect()
    }
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
        match std::fs::read_to_string(&path) {
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
    let text = std::fs::read_to_string(path);
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

fn rates(schema: &Schema, folder: &Path, problems: &mut Problems) -> Option<Rates> {
    let Some(file) = &schema.rates_file else { return Some(Rates::new(schema.currency)) };
    let path = folder.join(file);
    let parsed = std::fs::read_to_string(&path).map_err(|cause| cause.to_string()).and_then(|text| {
        Rates::parse(&text, schema.currency).map_err(|it| format!("line {}: {}", it.line, it.message))
    });
    parsed.map_err(|problem| problems.add(&format!("rate table `{}`: {problem}", shown(&path)))).ok()
}

/// Reads a list file: one item a line, of a table `item,value`; empty lines and what follows `#` at the start of a
/// line or behind a space say nothing.
fn read_list(
    id: ListId,
    list: &List,
    path: &Path,
    schema: &Schema,
    items: &mut Vec<ListItem>,
    problems: &mut Problems,
) {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(cause) => {
            problems.add(&format!("list `{}`: cannot read `{}`: {cause}", list.name, shown(path)));
            return;
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    for (line, written) in (1_usize..).zip(text.lines()) {
        let written = without_comment(written);
        if written.is_empty() {
            continue;
        }
        match list_item(list, written, schema) {
            Ok((item, value)) => items.push(ListItem { list: id, item, value }),
            Err(problem) => {
                problems.add(&format!("list `{}`: `{}`, line {line}: {problem}", list.name, shown(path)))
            }
        }
    }
}

fn without_comment(line: &str) -> &str {
    let comment = line.match_indices('#').map(|(at, _)| at).find(|at| {
        line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
    });
    comment.and_then(|at| line.get(..at)).unwrap_or(line).trim()
}

/// One line of a list file.
fn list_item(list: &List, written: &str, schema: &Schema) -> Result<(Item, Option<Item>), String> {
    match list.of {
        ListKind::Entities(kind) => Ok((item(Type::Entity(kind), schema, written)?, None)),
        ListKind::Values(ty) => Ok((item(ty, schema, written)?, None)),
        ListKind::Table(kind, ty) => {
            // An id may hold a comma, a value of a table may not, except a place's.
            let (id, value) = match ty {
                Type::Place => written.split_once(','),
                _ => written.rsplit_once(','),
            }
            .ok_or_else(|| format!("{} is not an id, a comma and a value", intake::shown(written)))?;
            let value = item(ty, schema, value.trim())?;
            Ok((item(Type::Entity(kind), schema, id.trim())?, Some(value)))
        }
    }
}

/// An item of a list from its text: an amount in major units, in the currency of the list's type.
pub(crate) fn item(ty: Type, schema: &Schema, text: &str) -> Result<Item, String> {
    let currency = match ty {
        Type::Money(currency, _) => currency,
        _ => schema.currency,
    };
    let parsed = intake::parse(field_type(ty), schema, currency, text);
    match parsed.map_err(|problem| format!("{} {problem}", intake::shown(text)))? {
        Parsed::Number(slot) | Parsed::Money { minor: slot, .. } => Ok(Item::Slot(slot)),
        Parsed::Text(text) => Ok(Item::Text(text)),
    }
}

/// The field type whose values a list of this type takes.
fn field_type(ty: Type) -> FieldType {
    match ty {
        Type::Flag => FieldType::Flag,
        Type::Number(Numeric::Exact { scale, .. }) => FieldType::Decimal { scale },
        Type::Money(currency, _) => FieldType::Money { currency: Some(currency) },
        Type::Duration(_) => FieldType::Duration,
        Type::Time => FieldType::Time,
        Type::Place => FieldType::Place,
        Type::Entity(kind) => FieldType::Entity(kind),
        Type::Enum(id) => FieldType::Enum(id),
        // INVARIANT (list types): a list holds what a field can hold, and no field is any of these.
        Type::Text | Type::EventType | Type::Distance | Type::Speed | Type::Number(Numeric::Real) => {
            FieldType::Text { max_bytes: u16::MAX }
        }
    }
}

/// What is wrong with the files beside the rules, a line each.
#[derive(Debug, Default)]
struct Problems {
    text: String,
    count: usize,
}

impl Problems {
    fn add(&mut self, problem: &str) {
        self.count += 1;
        if self.count <= PROBLEMS_SHOWN_MAX {
            let separator = if self.count == 1 { "" } else { "\n" };
            // Writing to a text cannot fail.
            let _ = write!(self.text, "{separator}{problem}");
        }
    }

    fn finish(mut self) -> Option<String> {
        if PROBLEMS_SHOWN_MAX < self.count {
            let _ = write!(self.text, "\nand {} more", self.count - PROBLEMS_SHOWN_MAX);
        }
        (0 < self.count).then_some(self.text)
    }
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
            ("limits.csv", "u1, 12.50\na,b,3\n"),
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
                (user("a,b"), of(2, Some(300))),
            ];
            assert_eq!(loaded.memberships(key), expected);
            let compiled = loaded.compile(key).unwrap();
            let listed = ["5732", "5944", "5999"].map(|it| compiled.values.contains(ListId(1), key.slot(it)));
            assert_eq!(listed, [true, true, false]);
        }
    }
}
