//! `weir bench activation`: what requests notice of another rule set coming into force.
//!
//! ```text
//! journal of so many records ──► served ──► payments at a steady rate ─────────────────────────────────────────►
//!                                              calm │ new features, built from the journal │ thresholds │ back
//! ```
//!
//! Reading order: [`life`] (what the journal holds), [`rule_sets`] (what comes into force), [`change`] (how, and what
//! requests saw meanwhile), [`report`] (what it came to).

mod change;
mod life;
mod report;
mod rule_sets;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::change::Client;
use self::report::Report;
use super::bound;
use super::served::load::Loop;
use super::served::payments::Payments;
use super::served::servers::{self, Policy, Server};
use super::{folder_in, population};
use crate::figures::grouped;
use crate::stdout::say;

/// Measure what requests notice while another rule set comes into force: one with new features, whose state is built from
/// the journal; another threshold; and going back.
///
/// The machine should have nothing else to do.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Records of the journal before anything is measured
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,
    /// Users of the canonical workload, each with one card and one device
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..))]
    users: u32,
    /// Payments a second
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Connections over which they come
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Seconds of calm, to compare with
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// A folder on the disk to measure; the data directory of the run is made there and removed
    #[arg(long, value_name = "DIR", default_value = ".")]
    data: PathBuf,
    /// End with an error if a bound is missed
    #[arg(long)]
    check: bool,
}

/// Measures and prints; with `--check` an error names every bound that was missed.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let folder = folder_in(&options.data)?;
    let population = population(options.users);
    let payments = Arc::new(Payments::new(population)?);
    life::live(&Server::data(Policy::Os, folder.path()), &payments, options.records)?;
    let server = Server::start(Policy::Os, folder.path())?;
    let calm = Duration::from_secs(options.seconds.into());
    payments.stock(Loop::Open { per_second: options.rate }.payments(calm));
    let runtime = servers::runtime("client")?;
    let report = runtime.block_on(async {
        let Options { rate, connections, .. } = *options;
        let client = Client::new(&server.target, &payments, rate, connections);
        client.alerts_told().await?;
        anyhow::Ok(Report {
            records: options.records,
            calm: client.calm(calm).await?,
            built: client.change(&rule_sets::with_new_features()).await?,
            thresholds: client.change(&rule_sets::with_another_threshold()).await?,
            back: client.change(&canonical::bundle()).await?,
        })
    })?;
    server.stop()?;
    say(format_args!("{} users, merchants drawn uniform\n{report}", grouped(options.users.into())))?;
    bound::hold(options.check, &report.missed())
}
