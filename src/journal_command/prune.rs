//! `weir journal prune`: whole segments that are past retention are dropped, once a snapshot holds what they left behind.

use std::str::FromStr;

use anyhow::{anyhow, ensure};
use clap::Args;
use rules::time::Micros;
use stream::journal::Journal as _;
use stream::prune::prune;
use stream::record::Stamp;
use stream::recover::Recovered;

use super::Data;
use crate::directory::{self, Opened};
use crate::figures::counted;
use crate::replay::rfc3339;
use crate::stdout::say;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    data: Data,
    /// Records below this offset, or of before this time by the engine clock, such as 2026-01-05T00:00:00Z
    #[arg(long, value_name = "TIME|OFFSET")]
    before: Before,
}

/// What is past retention.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Before {
    Offset(u64),
    /// Microseconds UTC.
    Time(Micros),
}

impl FromStr for Before {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(offset) = text.parse() {
            return Ok(Self::Offset(offset));
        }
        let time: Result<jiff::Timestamp, _> = text.parse();
        time.map(|it| Self::Time(it.as_microsecond())).map_err(|_| {
            "neither an offset nor a time: write a whole number, or a time such as 2026-01-05T00:00:00Z"
                .to_owned()
        })
    }
}

/// Drops segments, and says which records are left.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let data = &options.data.data;
    let mut opened = directory::existing(data)?;
    // What does not come up keeps all that it has.
    let Recovered { gate, extra, .. } = opened.recover()?.ok_or_else(|| directory::empty(data))?;
    let clock = gate.clock();
    drop(gate);
    let before = match options.before {
        Before::Offset(offset) => {
            let next = opened.journal.next();
            ensure!(offset <= next, "there is no record {offset}: the journal ends below record {next}");
            offset
        }
        Before::Time(time) => first_at(&opened, time)?.ok_or_else(|| beyond(time, clock))?,
    };
    let oldest = opened.journal.oldest();
    let segments = prune(&opened.directory, &opened.journal, before, &extra)?;
    let left = opened.journal.oldest();
    opened.close()?;
    match segments {
        0 => say(format_args!("nothing dropped: no segment ends at or below record {before}"))?,
        _ => say(format_args!(
            "{} dropped, records {oldest} to below {left}: {}",
            counted(segments as u64, "segment"),
            counted(left.saturating_sub(oldest), "record")
        ))?,
    }
    Ok(())
}

/// Offset of the first record in which the engine clock had reached a time; none if it never has.
fn first_at(opened: &Opened, time: Micros) -> anyhow::Result<Option<u64>> {
    let mut records = opened.journal.cursor(0)?;
    while let Some(record) = records.next()? {
        if Stamp::split(record.body).is_some_and(|(stamp, _)| time <= stamp.clock) {
            return Ok(Some(record.offset));
        }
    }
    Ok(None)
}

/// The error of a time that the journal has not reached: it is more likely a slip than meant, and nothing comes back.
fn beyond(time: Micros, clock: Option<Micros>) -> anyhow::Error {
    let newest = clock
        .map_or_else(|| "there is no event yet".to_owned(), |it| format!("the newest is of {}", rfc3339(it)));
    anyhow!("no record is of {} or later: {newest}", rfc3339(time))
}
