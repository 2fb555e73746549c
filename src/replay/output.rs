//! What a replay writes: one row per event, of decisions and of features.

use std::fs::File;
use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

use engine::event::Event;
use engine::rule_set::RuleSet;
use engine::words::{Ruling, hex};
use rules::program::EffectRef;
use rules::typed::{self, FeatureId, Type};
use rules::value::Value;

use super::text::{push_e6, push_time, push_value};

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;
/// Hexadecimal digits of the rule set's hash in a row.
const HASH_DIGITS: usize = 16;

/// The columns of a row of decisions.
const DECISION_COLUMNS: [&str; 9] =
    ["event_id", "time", "type", "outcome", "score", "hits", "alerts", "rule_set", "flags"];

/// Writes decisions.
#[derive(Debug)]
pub(crate) struct Decisions {
    file: CsvFile,
    /// The hash of the last row's rule set, and as it stands in a row.
    rule_set: ([u8; 32], String),
    text: String,
}

/// Writes features.
#[derive(Debug)]
pub(crate) struct Features {
    file: CsvFile,
    types: Vec<Type>,
    text: String,
}

impl Decisions {
    /// Creates the file and writes the header.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Self::of(CsvFile::create(path)?)
    }

    /// Writes the header to standard output.
    pub(crate) fn to_stdout() -> io::Result<Self> {
        Self::of(CsvFile::of("standard output".into(), Sink::Stdout(io::stdout())))
    }

    fn of(mut file: CsvFile) -> io::Result<Self> {
        file.row(DECISION_COLUMNS)?;
        Ok(Self { file, rule_set: Default::default(), text: String::new() })
    }

    /// Writes the row of an event that was decided by a rule set.
    pub(crate) fn write(&mut self, rules: &typed::RuleSet, event: &Event, ruling: &Ruling) -> io::Result<()> {
        let Self { file, rule_set: (hash, rule_set), text } = self;
        if rule_set.is_empty() || *hash != rules.hash {
            *hash = rules.hash;
            *rule_set = hex(hash);
            rule_set.truncate(HASH_DIGITS);
        }
        let verdict = &ruling.verdict;
        file.field(&event.id)?;
        file.put(text, |text| push_time(text, event.time))?;
        let event_type = event.event_type.and_then(|it| rules.schema.events.get(it.index()));
        file.field(event_type.map_or("", |it| &it.name))?;
        file.field(verdict.outcome.name())?;
        file.put(text, |text| push_e6(text, verdict.score_e6))?;
        let rule = |at: usize| rules.rules.get(at).map_or("", |it| it.name.as_str());
        file.put(text, |text| join(text, verdict.hits.iter().map(|hit| [rule(hit.rule.index()), ""])))?;
        let alerts = verdict.alerts.iter().map(|alert| match alert.effect {
            EffectRef::Rule(raised_by, _) => [alert.severity.name(), rule(raised_by.index())],
            EffectRef::Policy(..) => [alert.severity.name(), "policy"],
        });
        file.put(text, |text| join(text, alerts))?;
        file.field(rule_set)?;
        file.put(text, |text| join(text, ruling.flags.names().map(|name| [name, ""])))?;
        file.end_row()
    }

    /// Writes what is left.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.file.finish()
    }
}

impl Features {
    /// Creates the file and writes the header: `event_id`, then the named features in file order.
    pub(crate) fn create(path: &Path, rules: &RuleSet) -> io::Result<Self> {
        let mut file = CsvFile::create(path)?;
        let named: Vec<_> = named(rules).filter_map(|id| rules.typed.features.get(id.index())).collect();
        file.row(std::iter::once("event_id").chain(named.iter().map(|it| it.name.as_str())))?;
        Ok(Self { file, types: named.iter().map(|it| it.ty).collect(), text: String::new() })
    }

    /// Writes the row of an event; `values` are those of the named features in file order.
    pub(crate) fn write(&mut self, rules: &RuleSet, event: &Event, values: &[Value]) -> io::Result<()> {
        let Self { file, types, text } = self;
        file.field(&event.id)?;
        for (value, ty) in values.iter().zip(types) {
            file.put(text, |text| push_value(text, *value, *ty, rules))?;
        }
        file.end_row()
    }

    /// Writes what is left.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.file.finish()
    }
}

/// The named features in file order.
pub(crate) fn named(rules: &RuleSet) -> impl Iterator<Item = FeatureId> {
    rules.typed.feature_order.iter().copied()
}

/// Where rows go.
#[derive(Debug)]
enum Sink {
    File(File),
    Stdout(Stdout),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }
}

/// A CSV file that is being written.
#[derive(Debug)]
pub(crate) struct CsvFile {
    rows: csv::Writer<BufWriter<Sink>>,
    path: PathBuf,
}

impl CsvFile {
    /// Creates the file.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        if path.extension().is_some_and(|it| it == "parquet") {
            let message = format!("`{}`: only CSV is written for now; name a .csv file", path.display());
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        let file = File::create(path).map_err(|error| named_error(path, &error))?;
        Ok(Self::of(path.to_owned(), Sink::File(file)))
    }

    fn of(path: PathBuf, sink: Sink) -> Self {
        let rows = csv::WriterBuilder::new()
            .buffer_capacity(BUFFER_BYTES)
            .from_writer(BufWriter::with_capacity(0, sink));
        Self { rows, path }
    }

    /// Writes a whole row.
    pub(crate) fn row<'a>(&mut self, fields: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
        for field in fields {
            self.field(field)?;
        }
        self.end_row()
    }

    fn field(&mut self, field: &str) -> io::Result<()> {
        self.rows.write_field(field).map_err(|error| named_error(&self.path, &error))
    }

    /// Writes a field that is put together in a buffer.
    fn put(&mut self, buffer: &mut String, put: impl FnOnce(&mut String)) -> io::Result<()> {
        buffer.clear();
        put(buffer);
        self.field(buffer)
    }

    fn end_row(&mut self) -> io::Result<()> {
        self.rows.write_record(None::<&[u8]>).map_err(|error| named_error(&self.path, &error))
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.rows.flush().map_err(|error| named_error(&self.path, &error))
    }
}

fn named_error(path: &Path, error: &dyn std::error::Error) -> io::Error {
    io::Error::other(format!("`{}` cannot be written: {error}", path.display()))
}

/// Items behind one another with `;` between them; of two words with `:` between those.
fn join<'a>(text: &mut String, items: impl Iterator<Item = [&'a str; 2]>) {
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
}
