//! Everything that a rule set is made of, as texts: what a `rule_set` record holds, and what whoever reads the journal
//! compiles again.
//!
//! A list's text has one item a line, of a table `item,value`; empty lines and what follows `#` at the start of a line
//! or behind a space say nothing.

mod contents;

use std::fmt::Write as _;

use engine::entity::{EntityKey, HashKey};
use engine::history::PlanError;
use engine::lists::{Membership, ValueLists};
use engine::rates::{Rates, RatesError};
use engine::rule_set::RuleSet;
use prost::Message;
use rules::diagnostic::{Colour, Diagnostic, Source, render};
use rules::schema::Schema;
use rules::typed::{List, ListId, ListKind};

pub(crate) use contents::is_line;
pub use contents::{Item, ListItem, Problems, Written, Wrong, item, read_list};

/// A rule set as texts.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Bundle {
    /// Schema and rule files; which is which is told by content.
    #[prost(message, repeated, tag = "1")]
    pub sources: Vec<File>,
    /// What lists and tables are first filled with; of plain values, what they hold.
    #[prost(message, repeated, tag = "2")]
    pub lists: Vec<ListFile>,
    /// The rate table; none = the base currency only.
    #[prost(message, optional, tag = "3")]
    pub rates: Option<File>,
}

/// A text with the name that messages show.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct File {
    /// As messages show it.
    #[prost(string, tag = "1")]
    pub name: String,
    /// All of it.
    #[prost(string, tag = "2")]
    pub text: String,
}

/// What a list holds, as text.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListFile {
    /// The list's name.
    #[prost(string, tag = "1")]
    pub list: String,
    /// The file's name, as messages show it.
    #[prost(string, tag = "2")]
    pub name: String,
    /// All of it.
    #[prost(string, tag = "3")]
    pub text: String,
}

/// What a bundle says, before there is a key to hash its ids with.
#[derive(Clone, Debug)]
pub struct Checked {
    /// As checked.
    pub rules: rules::typed::RuleSet,
    /// What its lists hold, in the order of the lists.
    pub items: Vec<ListItem>,
    /// The rate table.
    pub rates: Rates,
    /// What was said about the sources: warnings only.
    pub warnings: Vec<Diagnostic>,
}

/// Why a bundle is no rule set.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum BundleError {
    /// The rules have errors; `said` is all of them with the lines that they speak of.
    #[error("the rules have errors\n\n{}", said.trim_end())]
    Rules {
        /// By file and place; their `file` is the index of the source.
        diagnostics: Vec<Diagnostic>,
        /// The diagnostics for people, with the lines that they speak of.
        said: String,
    },
    /// Lists or the rate table have errors.
    #[error("{0}")]
    Contents(Problems),
    /// Its features need more state than is counted.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// There are too many of them.
    #[error(transparent)]
    Many(#[from] rules::TooManyFeatures),
}

impl File {
    /// A text under a name.
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned() }
    }
}

impl ListFile {
    /// Whether it is what a list of plain values holds, among these lists.
    pub fn is_of_values(&self, lists: &[List]) -> bool {
        lists.iter().any(|list| list.name == self.list && matches!(list.of, ListKind::Values(_)))
    }
}

impl Bundle {
    /// Schema and rule files, each by its name and its text, with nothing on any list and no rate table.
    pub fn of(sources: &[(&str, &str)]) -> Self {
        let sources = sources.iter().map(|(name, text)| File::new(name, text)).collect();
        Self { sources, lists: Vec::new(), rates: None }
    }

    /// Checks all texts, as a record holds them.
    ///
    /// # Errors
    /// If any has an error; then all errors of the sources, or of lists and rates, are told.
    pub fn check(&self) -> Result<Checked, BundleError> {
        self.check_growing(|_| Ok(()))
    }

    /// Checks as [`Bundle::check`] does; the rule set is made to `grow` before its lists are read.
    pub(crate) fn check_growing(
        &self,
        grow: impl FnOnce(&mut rules::typed::RuleSet) -> Result<(), rules::TooManyFeatures>,
    ) -> Result<Checked, BundleError> {
        self.checked(Written::Before, grow)
    }

    /// Checks what people send: each item of a list stands there once, and no text is too long.
    ///
    /// # Errors
    /// As [`Bundle::check`].
    pub fn check_new(&self) -> Result<Checked, BundleError> {
        self.checked(Written::New, |_| Ok(()))
    }

    fn checked(
        &self,
        written: Written,
        grow: impl FnOnce(&mut rules::typed::RuleSet) -> Result<(), rules::TooManyFeatures>,
    ) -> Result<Checked, BundleError> {
        let sources: Vec<Source<'_>> =
            self.sources.iter().map(|it| Source { name: &it.name, text: &it.text }).collect();
        let checked = rules::check::check(&sources);
        let Some(mut rules) = checked.rule_set else {
            let said = render(&checked.diagnostics, &sources, Colour::Never);
            return Err(BundleError::Rules { diagnostics: checked.diagnostics, said });
        };
        grow(&mut rules)?;
        let (items, rates) = self.contents(&rules, written).map_err(BundleError::Contents)?;
        Ok(Checked { rules, items, rates, warnings: checked.diagnostics })
    }

    /// What the lists hold, in the order of the lists of a rule set made of the sources, and the rate table; or all
    /// that is wrong.
    ///
    /// # Errors
    /// If a line of a list or of the rate table is not one.
    pub fn contents(
        &self,
        rules: &rules::typed::RuleSet,
        written: Written,
    ) -> Result<(Vec<ListItem>, Rates), Problems> {
        let mut problems = Problems::default();
        let rates = self.rates(&rules.schema, &mut problems);
        let mut items = Vec::new();
        for (id, list) in ListId::all().zip(&rules.lists) {
            for file in self.lists.iter().filter(|it| it.list == list.name) {
                read_list((id, list), file, &rules.schema, written, &mut items, &mut problems);
            }
        }
        match (rates, problems.finish()) {
            (Some(rates), None) => Ok((items, rates)),
            (_, problems) => Err(problems.unwrap_or_default()),
        }
    }

    fn rates(&self, schema: &Schema, problems: &mut Problems) -> Option<Rates> {
        let Some(file) = &self.rates else { return Some(Rates::new(schema.currency)) };
        let wrong = |RatesError { line, message: problem }| {
            let said = format!("rate table `{}`: line {line}: {problem}", file.name);
            Wrong { file: file.name.clone(), line: Some(line), problem, said }
        };
        let read = Rates::parse(&file.text, schema.currency);
        read.map_err(|errors| errors.0.into_iter().for_each(|it| problems.add(wrong(it)))).ok()
    }

    /// This bundle with what another one has beside its sources and this one says nothing of: the rate table, and what
    /// lists of plain values hold. Both change while a rule set is in force, and the next does not undo that by its silence.
    pub(crate) fn with_contents_of(&self, other: &Self, lists: &[List]) -> Self {
        let mut whole = self.clone();
        whole.rates = whole.rates.or_else(|| other.rates.clone());
        let named = |it: &ListFile| self.lists.iter().any(|own| own.list == it.list);
        let left = other.lists.iter().filter(|it| !named(it) && it.is_of_values(lists));
        whole.lists.extend(left.cloned());
        whole
    }

    /// This bundle without the contents of lists of plain values (by the list's name and their text) and without the rate table
    /// (by its text) that `are_known`: it says nothing of them.
    pub fn without_contents(&self, lists: &[List], are_known: impl Fn(Option<&str>, &str) -> bool) -> Self {
        let mut changed = self.clone();
        changed.rates = changed.rates.filter(|it| !are_known(None, &it.text));
        changed.lists.retain(|it| !it.is_of_values(lists) || !are_known(Some(&it.list), &it.text));
        changed
    }

    /// This bundle with another rate table.
    pub(crate) fn with_rates(&self, rates: &Rates) -> Self {
        let mut text = String::from("currency,rate\n");
        for (currency, rate) in rates.iter() {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{},{rate}", currency.code());
        }
        let name = self.rates.as_ref().map_or_else(|| "rates.csv".to_owned(), |it| it.name.clone());
        Self { rates: Some(File { name, text }), ..self.clone() }
    }

    /// The lines of a list that say something, without what does not.
    pub(crate) fn lines(&self, list: &str) -> impl Iterator<Item = &str> {
        let files = self.lists.iter().filter(move |it| it.list == list);
        files.flat_map(|it| contents::lines(&it.text)).map(|(_, text)| text)
    }

    /// This bundle with a value in a list of plain values, or without it.
    pub(crate) fn with_value(&self, list: &str, value: &str, held: bool) -> Self {
        let mut changed = self.clone();
        let at = changed.lists.iter().position(|it| it.list == list).unwrap_or_else(|| {
            let (list, name) = (list.to_owned(), format!("{list}.txt"));
            changed.lists.push(ListFile { list, name, text: String::new() });
            changed.lists.len() - 1
        });
        if let Some(file) = changed.lists.get_mut(at) {
            let lines = contents::without_mark(&file.text).lines();
            let others = lines.filter(|line| contents::without_comment(line) != value);
            let mut text: String = others.flat_map(|line| [line, "\n"]).collect();
            if held {
                text.push_str(value);
                text.push('\n');
            }
            file.text = text;
        }
        changed
    }
}

impl Checked {
    /// Ready to decide under a key.
    ///
    /// # Errors
    /// If the state that the features need is beyond what is counted.
    pub fn compile(&self, key: HashKey) -> Result<RuleSet, PlanError> {
        RuleSet::new(self.rules.clone(), key, values(&self.rules, &self.items, key))
    }
}

/// The contents of a rule set's lists of plain values, as slots.
pub fn values(rules: &rules::typed::RuleSet, items: &[ListItem], key: HashKey) -> ValueLists {
    let mut values = ValueLists::default();
    for (id, list) in ListId::all().zip(&rules.lists) {
        if let ListKind::Values(_) = list.of {
            let items = items.iter().filter(|it| it.list == id);
            values.set(id, items.map(|it| it.item.slot(key)).collect());
        }
    }
    values
}

/// Who is in which list or table of entities: what is written into their states before the first event.
pub fn memberships(
    rules: &rules::typed::RuleSet,
    items: &[ListItem],
    key: HashKey,
) -> Vec<(EntityKey, Membership)> {
    let membership = |it: &ListItem| {
        let kind = rules.list(it.list)?.of.kind()?;
        let Item::Text(id) = &it.item else { return None };
        let value = it.value.as_ref().map(|it| it.slot(key));
        let membership = Membership { list: it.list, until: None, value };
        Some((EntityKey::new(kind, key.hash128(id)), membership))
    };
    items.iter().filter_map(membership).collect()
}

#[cfg(test)]
mod tests;
