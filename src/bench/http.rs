//! `weir bench http`: the server beside a bare axum echo of the same shape.
//!
//! ```text
//! payments ──► client ──► echo                      reads the same JSON, answers 300 bytes
//!                    ├──► weir, durability os       the whole server, as `weir serve` runs it
//!                    └──► weir, durability fsync
//! ```
//!
//! All run in this process, each on a runtime of its own with as many threads as `weir serve` would have, so that
//! client and server share the processors in the same way whoever answers. Every row is measured in rounds, the three
//! one right after the other, so that what else the machine does meets all of them. Between the rounds, with nobody
//! asking, the disk is asked what a sync takes by itself.
//!
//! Reading order: [`super::served`] (what is sent to whom, and how), [`disk`], [`report`] (what it came to).

mod disk;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::runtime::Runtime;

use self::report::{Report, Row};
use super::bound;
use super::payments::days;
use super::served::load::{self, Loop, Seen};
use super::served::payments::Payments;
use super::served::servers::{self, Policy, Server};
use super::{folder_in, population};
use crate::figures::grouped;
use crate::stderr;
use crate::stdout::say;

/// Connections of the rows.
const CONNECTIONS: [u16; 3] = [1, 32, 64];
/// Payments a second of an open loop over one connection, which waits for a sync before the next.
const RATE_OF_ONE: u32 = 200;
/// Most connections at once: the server refuses more requests than 1,024.
const CONNECTIONS_MAX: u16 = 1_000;
/// A row's time is divided among so many rounds.
const ROUNDS: u32 = 3;
/// Days of traffic that are decided before anything is measured.
const WARM_UP_DAYS: i64 = 3;

/// Measure the server beside a bare HTTP echo: the same client, the same payments, the same run.
///
/// What is held against a bound is a ratio within the run. The machine should have nothing else to do.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Users of the canonical workload, each with one card and one device
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..))]
    users: u32,
    /// Seconds that each row is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Payments a second of the open loops over more than one connection
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// A folder on the disk to measure; journals of the run are written there and removed
    #[arg(long, value_name = "DIR", default_value = ".")]
    data: PathBuf,
    /// A glance, in seconds: 1,000 users, one short round
    #[arg(long, conflicts_with_all = ["users", "seconds", "check"])]
    quick: bool,
    /// End with an error if a ratio is missed
    #[arg(long)]
    check: bool,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Size {
    users: u32,
    rounds: u32,
    /// Of one row in one round.
    time: Duration,
}

impl Size {
    fn of(options: &Options) -> Self {
        if options.quick {
            return Self { users: 1_000, rounds: 1, time: Duration::from_millis(100) };
        }
        let time = Duration::from_secs(options.seconds.into()) / ROUNDS;
        Self { users: options.users, rounds: ROUNDS, time }
    }
}

/// Measures and prints; with `--check` an error names every bound that was missed.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let folder = folder_in(&options.data)?;
    let size = Size::of(options);
    let mut bench = Bench::start(size, folder.path())?;
    let ways = [Loop::Closed, Loop::Open { per_second: options.rate }];
    let mut report = Report::new(options.rate);
    let rows = ways.into_iter().flat_map(|way| CONNECTIONS.map(|connections| (way, connections)));
    let rows: Vec<_> = rows.map(|(way, connections)| (of_one(way, connections), connections)).collect();
    bench.measure(&rows, &mut report)?;
    // Enough in flight that a sync keeps nobody waiting whom the processors could serve.
    let mut deep = report.enough_in_flight().map(|it| it.clamp(1, CONNECTIONS_MAX)).to_vec();
    deep.dedup();
    let rows = deep.iter().filter(|it| !CONNECTIONS.contains(it)).map(|it| (Loop::Closed, *it));
    bench.measure(&rows.collect::<Vec<_>>(), &mut report)?;
    report.deep = deep;
    let (answered, recorded) = bench.finish()?;
    let seconds = (size.time * size.rounds).as_secs_f64();
    say(format_args!("{} users, merchants drawn uniform, {seconds:.1} s a row", grouped(size.users.into())))?;
    say(&report)?;
    say(format_args!("answered {}, decisions in the journals {}", grouped(answered), grouped(recorded)))?;
    ensure!(answered == recorded, "the journals do not hold the decisions that were answered");
    bound::hold(options.check, &report.missed())
}

/// One connection waits for one answer at a time: it is offered what it can send.
fn of_one(way: Loop, connections: u16) -> Loop {
    match way {
        Loop::Open { per_second } if connections == 1 => {
            Loop::Open { per_second: per_second.min(RATE_OF_ONE) }
        }
        way => way,
    }
}

/// A server and what it is still to be sent.
struct Side {
    server: Server,
    payments: Arc<Payments>,
    /// Payments that it decided.
    answered: u64,
}

/// Everything that runs.
struct Bench {
    size: Size,
    client: Runtime,
    sides: Vec<Side>,
    probe: disk::Probe,
}

impl Bench {
    /// Starts the servers and lives through the days before.
    fn start(size: Size, folder: &Path) -> anyhow::Result<Self> {
        let client = servers::runtime("client")?;
        let population = population(size.users);
        let mut sides = Vec::new();
        for policy in Policy::ALL {
            let server = Server::start(policy, folder)?;
            let payments = Arc::new(Payments::new(population)?);
            sides.push(Side { server, payments, answered: 0 });
        }
        for side in &mut sides {
            let events = days(population, WARM_UP_DAYS);
            if side.server.policy == Policy::Echo {
                side.payments.pass_over(events);
            } else {
                let (count, policy) = (grouped(events), side.server.policy);
                stderr::say(format_args!("{count} payments before the first measured: {policy}"));
                let decided = client.block_on(load::warm_up(&side.server.target, &side.payments, events));
                side.answered += side.server.unless_ended(decided)?;
            }
        }
        Ok(Self { size, client, sides, probe: disk::Probe::new(folder)? })
    }

    /// Measures each row with each server, round by round.
    fn measure(&mut self, rows: &[(Loop, u16)], report: &mut Report) -> anyhow::Result<()> {
        let runs = self.size.rounds as usize * rows.len() * self.sides.len();
        let bar = ProgressBar::with_draw_target(Some(runs as u64), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{bar:32} {pos}/{len}  {msg}  {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        for _ in 0..self.size.rounds {
            bar.set_message("the disk");
            self.probe.run(self.size.time, &mut report.syncs)?;
            for (way, connections) in rows.iter().copied() {
                for side in &mut self.sides {
                    let row = Row { policy: side.server.policy, way, connections };
                    bar.set_message(format!("{row}"));
                    let seen = side.measure(&self.client, row, self.size.time);
                    let seen = side.server.unless_ended(seen);
                    let seen = seen.with_context(|| format!("{row}: the measurement broke off"))?;
                    report.add(row, seen);
                    bar.inc(1);
                }
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Stops the servers; gives how many payments were answered as decided, and how many decisions the journals hold.
    fn finish(self) -> anyhow::Result<(u64, u64)> {
        let (mut answered, mut recorded) = (0, 0);
        for side in self.sides {
            answered += side.answered;
            recorded += side.server.stop()?;
        }
        Ok((answered, recorded))
    }
}

impl Side {
    fn measure(&mut self, client: &Runtime, row: Row, time: Duration) -> anyhow::Result<Seen> {
        self.payments.stock(row.way.payments(time));
        let load = load::run(&self.server.target, &self.payments, row.way, row.connections, time);
        let seen = client.block_on(load)?;
        if self.server.policy != Policy::Echo {
            self.answered += seen.answered();
        }
        Ok(seen)
    }
}
