//! What can be asked of `weir simulate`.

use std::str::FromStr;

use jiff::civil::Date;
use rules::time::{HOUR, Micros};
use rust_decimal::Decimal;

use super::write::Destination;

/// Writes a file of simulated wallet traffic with known fraud in it.
///
/// Customers pay, transfer, log in and top up as people do; thieves test cards, take over accounts, use cloned
/// cards in far cities, collect and spread money through mules, empty stolen phones, and take small sums often.
/// The same options give the same file, byte for byte, on every machine.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    weir simulate | head\n  \
    weir simulate --seed 7 --users 10000 --days 30 --out month.jsonl.zst\n  \
    weir simulate --fraud 0.1% --out day.csv")]
pub(crate) struct Options {
    /// Another seed gives other people and another history
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// Customers; each makes about 4 events a day
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(50..=10_000_000))]
    pub(super) users: u32,
    /// Days to simulate
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    pub(super) days: u32,
    /// First day, from 00:00 in the wallet's zone (Asia/Shanghai)
    #[arg(long, default_value_t = START, value_name = "DATE", value_parser = first_day)]
    pub(super) start: Date,
    /// Share of all events that is fraudulent, 0 to 50%
    #[arg(long, default_value = "1%", value_name = "SHARE")]
    pub(super) fraud: Share,
    /// File to write: `.jsonl` (events, and their labels as they become known) or `.csv` (one row per event, its
    /// label beside it), compressed with `.gz` or `.zst` behind; `-` writes JSON lines to standard output
    #[arg(long, default_value = "-", value_name = "FILE")]
    pub(super) out: Destination,
}

/// Days that may be simulated at most.
const DAYS_MAX: u32 = 3_660;
/// The first day unless another is named: a Monday.
const START: Date = jiff::civil::date(2026, 1, 5);

/// How far the wallet's zone is ahead of UTC. China keeps one time the whole year.
pub(super) const ZONE_AHEAD: Micros = 8 * HOUR;

impl Options {
    /// Traffic that nobody sees the end of, and that goes to no file.
    pub(crate) fn endless(seed: u64, users: u32, fraud: Share) -> Self {
        let out = Destination::standard_output();
        Self { seed, users, days: DAYS_MAX, start: START, fraud, out }
    }

    /// 00:00 of a day of the simulation, counted from 0.
    pub(super) fn day_start(&self, day: u32) -> Micros {
        let epoch = jiff::civil::date(1970, 1, 1);
        let days_before = self.start.duration_since(epoch).as_hours() / 24;
        (days_before + i64::from(day)) * 24 * HOUR - ZONE_AHEAD
    }

    /// Whether a day of the simulation is a Saturday or a Sunday.
    pub(super) fn is_weekend(&self, day: u32) -> bool {
        (i64::from(self.start.weekday().to_monday_zero_offset()) + i64::from(day)) % 7 >= 5
    }
}

/// Parts in a million.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Share {
    pub(super) per_million: u32,
}

impl Share {
    /// So many per cent, at most 50.
    pub(crate) const fn per_cent(per_cent: u32) -> Self {
        Self { per_million: per_cent * 10_000 }
    }
}

impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a share from 0 to 50%, such as `0.5%` or `0.005`";
        let (number, parts) = match text.strip_suffix('%') {
            Some(number) => (number, 10_000),
            None => (text, 1_000_000),
        };
        let number = Decimal::from_str_exact(number).map_err(|_| EXPECTED)?;
        let per_million = number.checked_mul(Decimal::from(parts)).ok_or(EXPECTED)?;
        let within = (Decimal::ZERO..=Decimal::from(500_000)).contains(&per_million);
        let per_million = u32::try_from(per_million.round()).ok().filter(|_| within).ok_or(EXPECTED)?;
        Ok(Self { per_million })
    }
}

fn first_day(text: &str) -> Result<Date, &'static str> {
    let date: Date = text.parse().map_err(|_| "expected a date such as `2026-01-05`")?;
    // So that neither the zone nor the greatest number of days leaves the times that weir takes.
    let within = (jiff::civil::date(1970, 1, 2)..jiff::civil::date(2189, 1, 1)).contains(&date);
    if within { Ok(date) } else { Err("expected a date from 1970-01-02 to 2188-12-31") }
}

#[cfg(test)]
mod tests {
    use super::{Share, first_day};

    #[test]
    fn shares() {
        let check = |text: &str, expected: Option<u32>| {
            assert_eq!(text.parse().ok(), expected.map(|per_million| Share { per_million }), "{text}");
        };
        check("1%", Some(10_000));
        check("0.01", Some(10_000));
        check("0.0001%", Some(1));
        check("0", Some(0));
        check("50%", Some(500_000));
        for wrong in ["", "%", "51%", "0.6", "-1%", "1e-3", "NaN", "1 %", "79228162514264337593543950335"] {
            check(wrong, None);
        }
    }

    #[test]
    fn first_days() {
        for (text, good) in [
            ("2026-01-05", true),
            ("1970-01-02", true),
            ("1970-01-01", false),
            ("2188-12-31", true),
            ("2189-01-01", false),
            ("2026-02-30", false),
            ("tomorrow", false),
        ] {
            assert_eq!(first_day(text).is_ok(), good, "{text}");
        }
    }
}
