//! A rule set as files by name: what is sent, what is shown, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use rules::diagnostic::{Diagnostic, Severity, line_column};
use rules::typed::{List, ListKind, RuleSet};
use stream::bundle::{Bundle, BundleError, File, ListFile, Wrong};
use stream::intake::{nearest, pointer, shown};

use crate::problem::{Code, Complaint, Problem, Where};

/// How the names of schema and rule files end.
const RULES: &str = ".weir";
/// The rate table where the schema names none.
const RATES: &str = "rates.csv";

/// The lists of a rule set's own that have a file, with its name. What a list of plain values holds is changed beside the
/// rules, so that it has a file too where they name none: these come last, for a name is what the rules say that it is.
fn list_files(typed: &RuleSet) -> impl Iterator<Item = (&List, String)> {
    let own = || typed.lists.iter().filter(|it| it.own);
    let named = own().filter_map(|it| Some((it, it.file.clone()?)));
    let others = own().filter(|it| it.file.is_none() && matches!(it.of, ListKind::Values(_)));
    named.chain(others.map(|it| (it, format!("{}.txt", it.name))))
}

fn rates_file(typed: &RuleSet) -> &str {
    typed.schema.rates_file.as_deref().unwrap_or(RATES)
}

/// Whether a file is one of schema and rules.
pub(super) fn is_source(name: &str) -> bool {
    name.ends_with(RULES)
}

/// All texts of a bundle by the names of their files; by those that the rules say, where they do, so that they can be sent
/// again.
pub(super) fn files_of(bundle: &Bundle, typed: &RuleSet) -> BTreeMap<String, String> {
    let sources = bundle.sources.iter().map(|it| (it.name.clone(), it.text.clone()));
    let mut files: BTreeMap<String, String> = sources.collect();
    let text_of = |list: &List| bundle.lists.iter().find(|it| it.list == list.name).map(|it| it.text.clone());
    for (list, name) in list_files(typed) {
        if let Some(text) = text_of(list) {
            files.entry(name).or_insert(text);
        }
    }
    if let Some(rates) = &bundle.rates {
        files.entry(rates_file(typed).to_owned()).or_insert_with(|| rates.text.clone());
    }
    files
}

/// A bundle as it is when its files come back as they are shown.
pub(super) fn as_shown(bundle: &Bundle, typed: &RuleSet) -> Bundle {
    placed(&files_of(bundle, typed), typed)
}

/// The texts in their places: what is which is said by the names and by the rules.
pub(super) fn placed(files: &BTreeMap<String, String>, typed: &RuleSet) -> Bundle {
    let (mut lists, mut used) = (Vec::new(), BTreeSet::new());
    for (list, name) in list_files(typed) {
        if let Some(text) = files.get(&name)
            && (list.file.is_some() || !used.contains(&name))
        {
            used.insert(name.clone());
            lists.push(ListFile { list: list.name.clone(), name, text: text.clone() });
        }
    }
    let rates = files.get_key_value(rates_file(typed)).map(|(name, text)| File::new(name, text));
    let rates = rates.filter(|it| typed.schema.rates_file.is_some() || !used.contains(&it.name));
    Bundle { sources: sources_of(files), lists, rates }
}

fn sources_of(files: &BTreeMap<String, String>) -> Vec<File> {
    files.iter().filter(|(name, _)| is_source(name)).map(|(name, text)| File::new(name, text)).collect()
}

/// The texts in their places. A file that is missing is told, and one that nothing names is refused: whoever sent it thinks
/// that it counts.
pub(super) fn bundle_of(files: &BTreeMap<String, String>) -> Result<Bundle, Problem> {
    let sources = Bundle { sources: sources_of(files), lists: Vec::new(), rates: None };
    if sources.sources.is_empty() {
        return Err(Problem::field("/files", "no file is called `….weir`: send the schema and the rules"));
    }
    let rules = sources.check();
    // What else is wrong is said when all is in its place.
    let typed = match &rules {
        Ok(checked) => &checked.rules,
        Err(error) => {
            // What stands in a file of a slightly wrong name is what the others lack.
            let slips: Vec<_> = files.keys().filter(|it| meant(it).is_some()).map(|it| unnamed(it)).collect();
            let is_slip = !slips.is_empty();
            return Err(if is_slip { Problem::fields("/files", slips) } else { bad_bundle(error, &sources) });
        }
    };
    let bundle = placed(files, typed);
    let named = list_files(typed).filter(|(list, _)| list.file.is_some()).map(|(_, name)| name);
    let missing = named.chain(typed.schema.rates_file.clone()).filter(|it| !files.contains_key(it));
    let missing = missing.map(|it| (String::new(), format!("`{it}` is missing, which the rules name")));
    let used: BTreeSet<_> =
        bundle.lists.iter().map(|it| &it.name).chain(bundle.rates.iter().map(|it| &it.name)).collect();
    let others = files.keys().filter(|it| !is_source(it) && !used.contains(*it)).map(|it| unnamed(it));
    let wrong: Vec<_> = missing.chain(others).collect();
    if wrong.is_empty() { Ok(bundle) } else { Err(Problem::fields("/files", wrong)) }
}

/// The name that a file of rules was to have, if that is near.
fn meant(name: &str) -> Option<String> {
    let (stem, ending) = name.rsplit_once('.')?;
    let near = ending != "weir" && nearest(ending, ["weir"]).is_some();
    near.then(|| format!("{stem}{RULES}"))
}

/// What is said of a file that nothing names, and where.
fn unnamed(name: &str) -> (String, String) {
    let more = match meant(name) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "files of rules are called `….weir`, and a list names its own with `from`".to_owned(),
    };
    (pointer(name), format!("nothing names {}; {more}", shown(name)))
}

pub(super) fn refused(detail: String, errors: Vec<Complaint>) -> Problem {
    Problem { errors, ..Problem::new(Code::InvalidRules, detail) }
}

/// The place of what is wrong with all files together.
pub(super) fn whole() -> Where {
    Where::Pointer("#/files".to_owned())
}

pub(super) fn bad_bundle(error: &BundleError, bundle: &Bundle) -> Problem {
    match error {
        BundleError::Rules { diagnostics, .. } => {
            let errors = complaints(diagnostics, bundle, Severity::Error);
            refused(format!("the rules have {}", counted(errors.len())), errors)
        }
        BundleError::Contents(problems) => {
            let complaint = |it: &Wrong| {
                let line = it.line.map_or_else(String::new, |line| format!(":{line}"));
                Complaint { place: Where::File(format!("{}{line}", it.file)), detail: it.problem.clone() }
            };
            let errors = problems.shown().iter().map(complaint).collect();
            refused(format!("the files of lists and rates have {}", counted(problems.count())), errors)
        }
        other => Problem::at(Code::InvalidRules, whole(), other.to_string()),
    }
}

fn counted(errors: usize) -> String {
    format!("{errors} error{}", if errors == 1 { "" } else { "s" })
}

pub(super) fn complaints(said: &[Diagnostic], bundle: &Bundle, severity: Severity) -> Vec<Complaint> {
    let of = |it: &Diagnostic| {
        let file = usize::try_from(it.file).ok().and_then(|at| bundle.sources.get(at));
        let place = file.map_or_else(String::new, |file| {
            let place = line_column(&file.text, it.span.start);
            format!("{}:{}:{}", file.name, place.line, place.column)
        });
        let help: String = it.help.iter().map(|it| format!("; {it}")).collect();
        let detail = format!("{}: {}{help}", it.code.number(), it.message);
        Complaint { place: Where::File(place), detail }
    };
    said.iter().filter(|it| it.severity() == severity).map(of).collect()
}
