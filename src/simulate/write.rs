//! The file: JSON lines in Weir's own shape, or flat CSV; plain, gzip or zstd.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::Offset;
use rules::time::Micros;
use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

use super::event::{Action, AmountMinor, Event};
use super::timeline::Entry;
use crate::packed::{Packed, Packing};

/// Where to write, and how, which the name says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Destination {
    /// None = standard output.
    path: Option<PathBuf>,
    form: Form,
    packing: Packing,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    JsonLines,
    Csv,
}

impl Destination {
    /// JSON lines, for whoever reads them.
    pub(super) fn standard_output() -> Self {
        Self { path: None, form: Form::JsonLines, packing: Packing::Plain }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => path.display().fmt(f),
            None => f.write_str("standard output"),
        }
    }
}

impl FromStr for Destination {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == "-" {
            return Ok(Self::standard_output());
        }
        let (stem, packing) = Packing::of(name);
        let form = match stem.rsplit_once('.') {
            Some((_, "jsonl")) => Form::JsonLines,
            Some((_, "csv")) => Form::Csv,
            _ => {
                return Err(
                    "expected a name that ends in `.jsonl` or `.csv`, with `.gz` or `.zst` behind, or `-`",
                );
            }
        };
        Ok(Self { path: Some(name.into()), form, packing })
    }
}

/// An open file.
pub(super) enum Sink {
    JsonLines(Packed),
    Csv(Box<csv::Writer<Packed>>),
}

impl Sink {
    pub(super) fn open(destination: &Destination) -> io::Result<Self> {
        let packed = match &destination.path {
            Some(path) => Packed::create(path, destination.packing)?,
            None => Packed::standard_output(destination.packing)?,
        };
        Ok(match destination.form {
            Form::JsonLines => Self::JsonLines(packed),
            Form::Csv => Self::Csv(Box::new(csv::Writer::from_writer(packed))),
        })
    }

    /// A row of CSV has its label beside it already.
    pub(super) fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        match (self, entry) {
            (Self::JsonLines(out), _) => {
                json(&mut *out, entry)?;
                out.write_all(b"\n")
            }
            (Self::Csv(out), Entry::Event { number, event }) => {
                out.serialize(Row::new(*number, event)).map_err(io::Error::from)
            }
            (Self::Csv(_), Entry::Label { .. }) => Ok(()),
        }
    }

    /// Writes what is still held back. Without it the file is incomplete.
    pub(super) fn finish(self) -> io::Result<()> {
        let packed = match self {
            Self::JsonLines(packed) => packed,
            Self::Csv(out) => out.into_inner().map_err(|it| it.into_error())?,
        };
        packed.finish()
    }
}

/// In Weir's own shape.
pub(super) fn json(out: impl Write, entry: &Entry) -> io::Result<()> {
    match *entry {
        Entry::Event { number, ref event } => serde_json::to_writer(out, &EventLine::new(number, event))?,
        Entry::Label { event_number, known_at, kind } => {
            serde_json::to_writer(out, &LabelLine::new(event_number, known_at, kind))?;
        }
    }
    Ok(())
}

/// An id, written as it prints.
struct Id<T>(T);

impl<T: fmt::Display> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// RFC 3339 in the wallet's zone.
struct When(Micros);

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = Timestamp::from_microsecond(self.0).map_err(serde::ser::Error::custom)?;
        serializer.collect_str(&time.display_with_offset(Offset::constant(8)))
    }
}

#[derive(Serialize)]
struct Money {
    value: AmountMinor,
    currency: &'static str,
}

#[derive(Serialize)]
struct Degrees {
    lat: f64,
    lon: f64,
}

/// Whole numbers of 10⁻⁷ degrees divide into the nearest double, which prints with at most seven digits.
fn degrees(e7: i32) -> f64 {
    f64::from(e7) / 1e7
}

const CURRENCY: &str = "CNY";

/// What an event says of its kind.
#[derive(Default)]
struct Parts {
    payee: Option<super::event::User>,
    merchant: Option<super::event::Merchant>,
    card: Option<super::event::Card>,
    amount: Option<AmountMinor>,
    channel: Option<&'static str>,
    mcc: Option<&'static str>,
}

impl Parts {
    fn of(action: &Action) -> Self {
        match *action {
            Action::Payment { merchant, mcc, card, amount, channel } => Self {
                merchant: Some(merchant),
                mcc: Some(mcc),
                card,
                amount: Some(amount),
                channel: Some(channel.name()),
                ..Self::default()
            },
            Action::Transfer { payee, amount } => {
                Self { payee: Some(payee), amount: Some(amount), ..Self::default() }
            }
            Action::Login { channel } => Self { channel: Some(channel.name()), ..Self::default() },
            Action::TopUp { card, amount } => {
                Self { card: Some(card), amount: Some(amount), ..Self::default() }
            }
        }
    }
}

/// An event in Weir's own shape.
#[derive(Serialize)]
struct EventLine {
    id: Id<String>,
    r#type: &'static str,
    time: When,
    user: Id<super::event::User>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payee: Option<Id<super::event::User>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant: Option<Id<super::event::Merchant>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<Id<super::event::Card>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<Id<super::event::Device>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<Degrees>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mcc: Option<&'static str>,
}

impl EventLine {
    fn new(number: u64, event: &Event) -> Self {
        let parts = Parts::of(&event.action);
        Self {
            id: Id(event_id(number)),
            r#type: event.action.type_name(),
            time: When(event.time),
            user: Id(event.user),
            payee: parts.payee.map(Id),
            merchant: parts.merchant.map(Id),
            card: parts.card.map(Id),
            device: event.device.map(Id),
            amount: parts.amount.map(|value| Money { value, currency: CURRENCY }),
            channel: parts.channel,
            place: event
                .place
                .map(|it| Degrees { lat: degrees(it.latitude_e7), lon: degrees(it.longitude_e7) }),
            mcc: parts.mcc,
        }
    }
}

fn event_id(number: u64) -> String {
    format!("e{number}")
}

/// An amendment in Weir's own shape.
#[derive(Serialize)]
struct LabelLine {
    id: String,
    event_id: String,
    label: &'static str,
    kind: &'static str,
    time: When,
}

impl LabelLine {
    fn new(event: u64, known_at: Micros, kind: &'static str) -> Self {
        let (id, event_id) = (format!("l{event}"), event_id(event));
        Self { id, event_id, label: "fraud", kind, time: When(known_at) }
    }
}

/// A row of CSV, which `fixtures/wallet/wallet.map.toml` maps.
#[derive(Serialize)]
struct Row {
    event_id: String,
    r#type: &'static str,
    time: When,
    user: Id<super::event::User>,
    payee: Option<Id<super::event::User>>,
    merchant: Option<Id<super::event::Merchant>>,
    card: Option<Id<super::event::Card>>,
    device: Option<Id<super::event::Device>>,
    /// In yuan.
    amount: Option<Id<Decimal>>,
    currency: Option<&'static str>,
    channel: Option<&'static str>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    mcc: Option<&'static str>,
    fraud: u8,
    kind: Option<&'static str>,
    known_at: Option<When>,
}

impl Row {
    fn new(number: u64, event: &Event) -> Self {
        let parts = Parts::of(&event.action);
        Self {
            event_id: event_id(number),
            r#type: event.action.type_name(),
            time: When(event.time),
            user: Id(event.user),
            payee: parts.payee.map(Id),
            merchant: parts.merchant.map(Id),
            card: parts.card.map(Id),
            device: event.device.map(Id),
            amount: parts.amount.map(|it| Id(Decimal::new(it, 2))),
            currency: parts.amount.map(|_| CURRENCY),
            channel: parts.channel,
            latitude: event.place.map(|it| degrees(it.latitude_e7)),
            longitude: event.place.map(|it| degrees(it.longitude_e7)),
            mcc: parts.mcc,
            fraud: u8::from(event.fraud.is_some()),
            kind: event.fraud.map(|it| it.kind),
            known_at: event.fraud.map(|it| When(it.known_at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Destination, Form, Packing};

    #[test]
    fn a_name_says_the_form() {
        let check = |name: &str, expected: Option<(Form, Packing)>| {
            let parsed = name.parse::<Destination>().ok();
            assert_eq!(parsed.as_ref().map(|it| (it.form, it.packing)), expected, "{name}");
            assert_eq!(parsed.is_some_and(|it| it.path.is_none()), name == "-", "{name}");
        };
        check("-", Some((Form::JsonLines, Packing::Plain)));
        check("a.jsonl", Some((Form::JsonLines, Packing::Plain)));
        check("dir.d/a.b.jsonl.gz", Some((Form::JsonLines, Packing::Gzip)));
        check("a.csv", Some((Form::Csv, Packing::Plain)));
        check("a.csv.zst", Some((Form::Csv, Packing::Zstd)));
        for wrong in ["", "a", "a.json", "a.gz", "a.csv.gz.gz", "csv", "a.parquet"] {
            check(wrong, None);
        }
    }
}
