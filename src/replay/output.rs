//! What a replay writes: one row per event, of decisions and of features, as CSV or Parquet.

mod cell;
mod csv;
mod form;
#[cfg(feature = "parquet")]
mod parquet;
mod table;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::io;
use std::path::Path;

use engine::event::Event;
use engine::hex::hex;
use engine::rule_set::RuleSet;
use engine::words::Ruling;
use rules::program::EffectRef;
use rules::typed::{self, Feature, FeatureId, Type};
use rules::value::Value;

use super::texts::Texts;
use cell::{Cell, Column, Kind};
pub(crate) use csv::CsvFile;
pub(crate) use form::{csv_name, is_device, is_standard_output, table_name};
use table::Table;

/// Hexadecimal digits of the rule set's hash in a row.
const HASH_DIGITS: usize = 16;
/// Digits after the point of a score.
const SCORE_SCALE: u8 = 6;

/// The columns of a row of decisions.
const DECISION_COLUMNS: [(&str, Kind); 9] = [
    ("event_id", Kind::Text),
    ("time", Kind::Time),
    ("type", Kind::Text),
    ("outcome", Kind::Text),
    ("score", Kind::Exact(SCORE_SCALE)),
    ("hits", Kind::Words),
    ("alerts", Kind::Words),
    ("rule_set", Kind::Text),
    ("flags", Kind::Words),
];

/// Writes decisions.
#[derive(Debug)]
pub(crate) struct Decisions {
    table: Table,
    /// The hash of the last row's rule set, and as it stands in a row.
    rule_set: ([u8; 32], String),
    text: String,
}

/// Writes features.
#[derive(Debug)]
pub(crate) struct Features {
    table: Table,
    types: Vec<Type>,
    text: String,
    /// Cells that are empty although there was a text: nobody remembers which.
    forgotten: u64,
}

impl Decisions {
    /// Creates the file.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let table = Table::create(path, decision_columns())?;
        Ok(Self { table, rule_set: Default::default(), text: String::new() })
    }

    /// Writes the row of an event that was decided by a rule set.
    pub(crate) fn write(&mut self, rules: &typed::RuleSet, event: &Event, ruling: &Ruling) -> io::Result<()> {
        let Self { table, rule_set: (hash, rule_set), text } = self;
        if rule_set.is_empty() || *hash != rules.hash {
            *hash = rules.hash;
            *rule_set = hex(hash);
            rule_set.truncate(HASH_DIGITS);
        }
        let verdict = &ruling.verdict;
        let event_type = event.declared(&rules.schema);
        table.cell(Cell::Text(&event.id))?;
        table.cell(Cell::Time(event.time))?;
        table.cell(event_type.map_or(Cell::Missing, |it| Cell::Text(&it.name)))?;
        table.cell(Cell::Text(verdict.outcome.name()))?;
        table.cell(Cell::Exact(verdict.score_e6.into(), SCORE_SCALE))?;
        let rule = |at: usize| rules.rules.get(at).map_or("", |it| it.name.as_str());
        let hits = verdict.hits.iter().map(|hit| [rule(hit.rule.index()), ""]);
        table.cell(words(text, hits))?;
        let alerts = verdict.alerts.iter().map(|alert| match alert.effect {
            EffectRef::Rule(raised_by, _) => [alert.severity.name(), rule(raised_by.index())],
            EffectRef::Policy(..) => [alert.severity.name(), "policy"],
        });
        table.cell(words(text, alerts))?;
        table.cell(Cell::Text(rule_set))?;
        table.cell(words(text, ruling.flags.names().map(|name| [name, ""])))?;
        table.end_row()
    }

    /// Writes what is left.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.table.finish()
    }
}

impl Features {
    /// Creates the file: `event_id`, then the named features in file order.
    pub(crate) fn create(path: &Path, rules: &RuleSet) -> io::Result<Self> {
        let named: Vec<&Feature> = named(rules).filter_map(|id| rules.typed.feature(id)).collect();
        let id = Column { name: "event_id".to_owned(), kind: Kind::Text };
        let columns = named.iter().map(|it| Column { name: it.name.clone(), kind: Kind::of(it.ty) });
        Ok(Self {
            table: Table::create(path, std::iter::once(id).chain(columns).collect())?,
            types: named.iter().map(|it| it.ty).collect(),
            text: String::new(),
            forgotten: 0,
        })
    }

    /// Writes the row of an event; `values` are those of the named features in file order.
    pub(crate) fn write(
        &mut self,
        rules: &RuleSet,
        event: &Event,
        values: &[Value],
        texts: &Texts,
    ) -> io::Result<()> {
        self.table.cell(Cell::Text(&event.id))?;
        for (value, ty) in values.iter().zip(&self.types) {
            let cell = Cell::of(*value, *ty, rules, texts, &mut self.text);
            self.forgotten += u64::from(cell == Cell::Missing && *value != Value::Missing);
            self.table.cell(cell)?;
        }
        self.table.end_row()
    }

    /// Writes what is left; gives the number of cells whose texts are not remembered.
    pub(crate) fn finish(self) -> io::Result<u64> {
        self.table.finish()?;
        Ok(self.forgotten)
    }
}

/// The named features in file order.
pub(crate) fn named(rules: &RuleSet) -> impl Iterator<Item = FeatureId> {
    rules.typed.feature_order.iter().copied()
}

fn decision_columns() -> Vec<Column> {
    DECISION_COLUMNS.iter().map(|(name, kind)| Column { name: (*name).to_owned(), kind: *kind }).collect()
}

/// Items behind one another with `;` between them; of two words with `:` between those.
fn words<'a, 'b>(text: &'b mut String, items: impl Iterator<Item = [&'a str; 2]>) -> Cell<'b> {
    text.clear();
    for (at, [first, second]) in items.enumerate() {
        if at > 0 {
            text.push(';');
        }
        text.push_str(first);
        if !second.is_empty() {
            text.push(':');
            text.push_str(second);
        }
    }
    Cell::Words(text)
}

fn named_error(path: &Path, error: &dyn Error) -> io::Error {
    io::Error::other(format!("`{}` cannot be written: {error}", path.display()))
}
