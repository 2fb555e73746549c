//! A record as a line of JSON. An entity on a list is only known by its hash.

use std::io::{self, Write};

use anyhow::Context as _;
use engine::entity::EntityKey;
use engine::event::Event;
use engine::hex::hex;
use prost::Message;
use rules::past::Outcome;
use rules::schema::Schema;
use serde::Serialize;
use stream::bundle::Bundle;
use stream::journal::{Record, RecordKind};
use stream::record::{Amend, Cause, Decided, ListRecord, RatesRecord, RuleSetRecord, Stamp, WarmRecord};

use super::known::Known;
use crate::replay::rfc3339;

/// What every line begins with, then what the record says.
#[derive(Debug, Serialize)]
struct Line<T> {
    offset: u64,
    kind: &'static str,
    /// The engine clock; null before the first event.
    clock: Option<String>,
    /// The number of what was in force.
    rule_set: u32,
    #[serde(flatten)]
    says: T,
}

/// An event, and its outcome where it was decided.
#[derive(Debug, Serialize)]
struct OfEvent<E> {
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    /// Whether the outcome is the declared fallback, since the deadline had passed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fallback: bool,
    event: E,
}

#[derive(Debug, Serialize)]
struct OfAmendment<'a> {
    /// Why, where nobody said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    amendment: Amendment<'a>,
}

/// An amendment in the shape in which it is sent; one that Weir itself made has no id.
#[derive(Debug, Serialize)]
struct Amendment<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    event_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    time: String,
}

#[derive(Debug, Serialize)]
struct OfRuleSet {
    hash: String,
    files: Vec<String>,
}

/// A change of a list of plain values, or of one of entities.
#[derive(Debug, Serialize)]
struct OfList {
    list: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<OfEntity>,
    held: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

/// An entity: its kind, and the hash of its id.
#[derive(Debug, Serialize)]
struct OfEntity {
    kind: String,
    hash: String,
}

/// A rule set whose state was built, from which time on if not from the beginning.
#[derive(Debug, Serialize)]
struct OfWarm {
    files: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

#[derive(Debug, Serialize)]
struct OfRates {
    rates: String,
}

/// Of a record that has nothing to show.
#[derive(Debug, Serialize)]
struct Nothing {}

/// Writes lines.
#[derive(Debug)]
pub(super) struct Lines<W> {
    out: W,
    message: Decided,
    event: Event,
}

impl<W: Write> Lines<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, message: Decided::default(), event: Event::default() }
    }

    /// Writes a record's line.
    pub(super) fn write(
        &mut self,
        record: &Record<'_>,
        stamp: Stamp,
        bytes: &[u8],
        known: &Known,
    ) -> anyhow::Result<()> {
        match record.kind {
            RecordKind::Decided | RecordKind::Event => self.event(record, stamp, bytes, known),
            RecordKind::Amend => {
                let amend: Amend = read(bytes, record.offset)?;
                line(&mut self.out, record, "amend", stamp, of_amendment(&amend, record.offset)?)
            }
            RecordKind::RuleSet => {
                let it: RuleSetRecord = read(bytes, record.offset)?;
                let files = names(it.bundle);
                line(&mut self.out, record, "rule_set", stamp, OfRuleSet { hash: hex(&it.hash), files })
            }
            RecordKind::List => {
                let it: ListRecord = read(bytes, record.offset)?;
                let schema = &known.of(stamp, record.offset)?.schema;
                let entity = it.entity().filter(|_| it.text.is_none()).map(|it| of_entity(it, schema));
                let (held, until) = (!it.removed, it.until.map(rfc3339));
                let says = OfList { list: it.list, value: it.text, entity, held, until };
                line(&mut self.out, record, "list", stamp, says)
            }
            RecordKind::Rates => {
                let it: RatesRecord = read(bytes, record.offset)?;
                line(&mut self.out, record, "rates", stamp, OfRates { rates: it.rates.text })
            }
            RecordKind::Snooze => line(&mut self.out, record, "snooze", stamp, Nothing {}),
            RecordKind::Warm => {
                let it: WarmRecord = read(bytes, record.offset)?;
                let says = OfWarm { files: names(it.bundle), since: it.since.map(rfc3339) };
                line(&mut self.out, record, "warm", stamp, says)
            }
        }
    }

    fn event(
        &mut self,
        record: &Record<'_>,
        stamp: Stamp,
        bytes: &[u8],
        known: &Known,
    ) -> anyhow::Result<()> {
        let offset = record.offset;
        let decided = record.kind == RecordKind::Decided;
        load(bytes, offset, &mut self.message, &mut self.event)?;
        let event = api::event_json(&self.event, &known.of(stamp, offset)?.schema);
        let outcome = self.message.outcome().filter(|_| decided).map(Outcome::name);
        let says = OfEvent { outcome, fallback: self.message.fallback().is_some(), event };
        line(&mut self.out, record, if decided { "decided" } else { "event" }, stamp, says)
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

fn line(
    out: &mut impl Write,
    record: &Record<'_>,
    kind: &'static str,
    stamp: Stamp,
    says: impl Serialize,
) -> anyhow::Result<()> {
    let clock = (stamp.clock != i64::MIN).then(|| rfc3339(stamp.clock));
    let line = Line { offset: record.offset, kind, clock, rule_set: stamp.rule_set, says };
    // As the writer's own error, which may say that nobody reads any more.
    serde_json::to_writer(&mut *out, &line).map_err(io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(())
}

/// Reads the message of a record.
pub(super) fn read<T: Message + Default>(bytes: &[u8], offset: u64) -> anyhow::Result<T> {
    T::decode(bytes).with_context(|| format!("record {offset} cannot be read"))
}

/// Reads the message of an event's record, and its event.
pub(super) fn load(
    bytes: &[u8],
    offset: u64,
    message: &mut Decided,
    event: &mut Event,
) -> anyhow::Result<()> {
    message.read(bytes).with_context(|| format!("record {offset} cannot be read"))?;
    message.event(event).with_context(|| format!("the event's row in record {offset} is damaged"))
}

/// The names of a rule set's files.
fn names(bundle: Bundle) -> Vec<String> {
    bundle.sources.into_iter().map(|it| it.name).collect()
}

fn of_entity(key: EntityKey, schema: &Schema) -> OfEntity {
    OfEntity { kind: schema.kind_name(key.kind).to_owned(), hash: hex(&key.hash().to_be_bytes()) }
}

fn of_amendment(amend: &Amend, offset: u64) -> anyhow::Result<OfAmendment<'_>> {
    let change = amend.change();
    let change =
        change.with_context(|| format!("what record {offset} amends is not known to this version"))?;
    let (sets, to, _) = change.words();
    let set = |column: &str| (column == sets).then_some(to);
    let shown = Amendment {
        id: &amend.id,
        event_id: &amend.event_id,
        label: set("label"),
        kind: amend.label_kind.as_deref(),
        challenge: set("challenge"),
        result: set("result"),
        outcome: set("outcome"),
        time: rfc3339(amend.time),
    };
    let cause = (amend.cause() == Cause::Deadline).then_some("deadline");
    Ok(OfAmendment { cause, amendment: shown })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stdout;

    /// A reader that has seen enough leaves in the middle of a line as well as behind the last.
    #[test]
    fn who_leaves_in_the_middle_of_a_line_is_told_from_a_disk_that_is_full() {
        struct Failing(fn() -> io::Error);
        impl Write for Failing {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(self.0())
            }
        }
        let written = |failure: fn() -> io::Error| {
            let record =
                Record { offset: 7, kind: RecordKind::Event, body: &[], id: None, received_at: 0, batch: 0 };
            let stamp = Stamp { clock: 0, rule_set: 0 };
            line(
                &mut Failing(failure),
                &record,
                "event",
                stamp,
                OfEntity { kind: String::new(), hash: String::new() },
            )
            .unwrap_err()
        };
        assert!(stdout::reader_left(&written(stdout::left)));
        assert!(!stdout::reader_left(&written(|| io::ErrorKind::StorageFull.into())));
    }
}
