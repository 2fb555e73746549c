//! `weir bench recovery`: a data directory opened as `weir serve` opens it, beside the bare reading of the same bytes;
//! and what a decision waits while a snapshot is written.
//!
//! ```text
//! thirty-five days ──► snapshot ──► tail ──► closed ──► opened again and again, warm and cold
//!                                                  └──► opened, and decisions while snapshots are written
//! ```
//!
//! Reading order: [`life`] (what the directory holds), [`bare`] and [`opening`] (what stands beside what), [`cache`]
//! (cold), [`load`] (decisions beside a snapshot), [`report`] (what it came to).

mod bare;
mod cache;
mod life;
mod load;
mod opening;
mod report;

use std::path::PathBuf;

use stream::journal::Durability;

use self::bare::Bare;
use self::life::Life;
use self::opening::Opening;
use self::report::Report;
use crate::bench::payments::Payments;
use crate::bench::{bound, folder_in, population};
use crate::figures::grouped;
use crate::stdout::say;

/// Turns of the opening and of the bare reading; the fastest of each counts.
const TURNS: usize = 3;

/// Measure how a data directory is opened, beside the bare reading of the same bytes, and decisions beside a snapshot.
///
/// What is held against a bound is a ratio within the run. The machine should have nothing else to do.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Users of the canonical workload, each with one card and one device
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..))]
    users: u32,
    /// Records behind the snapshot
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1..))]
    tail: u32,
    /// Payments a second beside a snapshot with `os`
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// A folder on the disk to measure; the data directory of the run is made there and removed
    #[arg(long, value_name = "DIR", default_value = ".")]
    data: PathBuf,
    /// End with an error if a ratio is missed
    #[arg(long)]
    check: bool,
}

/// Measures and prints; with `--check` an error names every bound that was missed.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let folder = folder_in(&options.data)?;
    let data = folder.path();
    let population = population(options.users);
    let mut payments = Payments::new(population);
    let life = Life::live(data, &mut payments, options.tail.into())?;

    let (mut bare, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        bare.push(Bare::read(&life, data)?);
        warm.push(Opening::of(data, &life)?);
    }
    let cold = match cache::forget(data)? {
        false => None,
        true => {
            let before = cache::read_from_disk();
            let opening = Opening::of(data, &life)?;
            Some((opening, cache::read_from_disk().saturating_sub(before)))
        }
    };
    let report = Report {
        bare: bare.into_iter().min_by_key(Bare::took).unwrap_or_default(),
        warm: warm.into_iter().min_by_key(Opening::total).unwrap_or_default(),
        cold,
        os: load::measure(data, Durability::Os, &mut payments, Some(options.rate))?,
        fsync: load::measure(data, Durability::Fsync, &mut payments, None)?,
        life,
    };
    say(format_args!("{} users, merchants drawn uniform\n{report}", grouped(options.users.into())))?;
    bound::hold(options.check, &report.missed())
}
