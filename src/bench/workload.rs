//! `weir bench` without a file: the canonical workload, whole decisions, and the windows and the program of one alone,
//! beside the floor under them.
//!
//! The gate first lives through thirty-five days of the traffic. Then all are measured in the same process, by the same
//! code, over payments of the same traffic. Absolute times say something of this machine only; what is held against a
//! bound is a ratio. All of it is lived through again in every round, and each event's time is the least of its rounds: what
//! the machine takes from one of them is not the program's.

use std::thread;

use canonical::measure::{self, Timed};
use canonical::steps::Steps;
use canonical::traffic::{Payment, Traffic};
use comfy_table::{CellAlignment, Table, presets};
use engine::event::Event;
use floor::{Draw, Floor, Measured, Population};
use stream::gate::{Deadline, Gate, Worker};

use super::bound;
use super::memory::Memory;
use super::timing::{Interrupted, micros};
use crate::figures::grouped;
use crate::stdout::say;

/// Days of traffic before anything is measured: more than the widest window.
const WARM_UP_DAYS: i64 = 35;
/// Threads of the second measurement.
const THREADS: u32 = 2;
/// A mean decision, in mean floors.
const MEAN_MAX: f64 = 7.0;
/// The 99th percentile of decisions, in those of the floor.
const P99_MAX: f64 = 7.0;
/// What decisions gain from a second thread, as a share of what the floor gains.
const GAIN_MIN: f64 = 0.8;

/// How large a workload.
#[derive(Debug, clap::Args)]
// Flattened into the command's own options, whose group it would otherwise take for its own.
#[group(skip)]
pub(super) struct Options {
    /// Users, each with one card and one device
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(100..))]
    users: u32,
    /// Merchants; one for a hundred users if left out
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    merchants: Option<u32>,
    /// How merchants are drawn; both ways, one after the other, if left out
    #[arg(long, value_enum)]
    draw: Option<DrawName>,
    /// Payments that are measured on each thread
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..))]
    events: u32,
    /// Seed of the traffic
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often all of it is lived through; of an event's times the least counts
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=16))]
    rounds: u32,
    /// End with an error if a ratio is missed
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum DrawName {
    /// Each merchant as often as the others
    Uniform,
    /// Merchant n 1/n times as often as the first
    Zipf,
}

impl DrawName {
    fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
        }
    }

    fn draw(self) -> Draw {
        match self {
            Self::Uniform => Draw::Uniform,
            Self::Zipf => Draw::Zipf,
        }
    }
}

/// Measures and prints; with `--check` an error names every bound that was missed.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let merchants = options.merchants.unwrap_or(options.users / 100).max(1);
    let population = Population { users: options.users, merchants };
    let draws = options.draw.map_or(vec![DrawName::Uniform, DrawName::Zipf], |it| vec![it]);
    let mut missed = Vec::new();
    for draw in draws {
        let ran = Ran::of(population, draw.draw(), options)?;
        say(format_args!(
            "{} users, merchants drawn {}\n{}",
            grouped(population.users.into()),
            draw.name(),
            ran.say()
        ))?;
        missed.extend(ran.missed().into_iter().map(|it| format!("{}: {it}", draw.name())));
    }
    bound::hold(options.check, &missed)
}

/// What was measured with one way to draw merchants.
#[derive(Debug)]
struct Ran {
    floor: Pair<Measured>,
    /// The windows alone, and the program alone.
    windows: Measured,
    program: Measured,
    decision: Pair<Measured>,
    memory: Memory,
    /// Features computed from windows, of an event.
    evaluated: f64,
    rounds: u32,
    interrupted: Interrupted,
}

/// On one thread, and on several at once.
#[derive(Debug)]
struct Pair<T> {
    one: T,
    several: Vec<T>,
}

impl Pair<Measured> {
    /// Events a second on several threads, in those of one.
    fn gain(&self) -> f64 {
        self.several.iter().map(Measured::per_second).sum::<f64>() / self.one.per_second()
    }
}

impl Pair<Timed> {
    fn least(self, again: &Self) -> Self {
        let several = self.several.into_iter().zip(&again.several);
        Self {
            one: self.one.least(&again.one),
            several: several.map(|(it, again)| it.least(again)).collect(),
        }
    }

    fn measured(self) -> Pair<Measured> {
        let several = self.several.into_iter().map(Timed::measured).collect();
        Pair { one: self.one.measured(), several }
    }
}

/// All that is timed in a round.
#[derive(Debug)]
struct Round {
    floor: Pair<Timed>,
    decision: Pair<Timed>,
    windows: Timed,
    program: Timed,
}

impl Round {
    fn least(self, again: &Self) -> Self {
        Self {
            floor: self.floor.least(&again.floor),
            decision: self.decision.least(&again.decision),
            windows: self.windows.least(&again.windows),
            program: self.program.least(&again.program),
        }
    }
}

impl Ran {
    fn of(population: Population, draw: Draw, options: &Options) -> anyhow::Result<Self> {
        let live = || live(population, Traffic::new(population, draw, options.seed), options.events as usize);
        let (mut least, memory, evaluated) = live()?;
        for _ in 1..options.rounds {
            least = least.least(&live()?.0);
        }
        let interrupted = Interrupted::look();
        let Round { floor, decision, windows, program } = least;
        Ok(Self {
            floor: floor.measured(),
            windows: windows.measured(),
            program: program.measured(),
            decision: decision.measured(),
            memory,
            evaluated,
            rounds: options.rounds,
            interrupted,
        })
    }

    fn say(&self) -> String {
        let mut table = Table::new();
        let threads = format!("{THREADS} threads gain");
        let header = ["", "mean", "p50", "p99", "a second", "mean ÷ floor", "p99 ÷ floor", &threads];
        table.load_style(presets::NOTHING).set_header(header);
        table.column_iter_mut().skip(1).for_each(|it| it.set_cell_alignment(CellAlignment::Right));
        let rows = [
            ("floor", &self.floor.one, Some(&self.floor)),
            ("windows", &self.windows, None),
            ("program", &self.program, None),
            ("decision", &self.decision.one, Some(&self.decision)),
        ];
        for (name, one, pair) in rows {
            let (mean, ratios) = (one.elapsed / events_of(one), self.ratios(one));
            table.add_row([
                name.to_owned(),
                micros(mean),
                micros(one.p50),
                micros(one.p99),
                format!("{:.0}", one.per_second()),
                format!("{:.2}", ratios.0),
                format!("{:.2}", ratios.1),
                pair.map_or_else(String::new, |it| format!("{:.2}", it.gain())),
            ]);
        }
        let windows = format!("{:.1} windows evaluated of an event", self.evaluated);
        let rounds = format!("the least of {} rounds, event by event", self.rounds);
        let interrupted = self.interrupted.say(self.decision.one.elapsed / events_of(&self.decision.one));
        format!("{}\n{windows}; {rounds}\n{interrupted}\n\n{}", table.trim_fmt(), self.memory.say())
    }

    /// Mean and 99th percentile, in those of the floor.
    fn ratios(&self, one: &Measured) -> (f64, f64) {
        let floor = &self.floor.one;
        let p99 = one.p99.as_secs_f64() / floor.p99.as_secs_f64().max(1e-9);
        (one.mean_ns() / floor.mean_ns().max(1e-9), p99)
    }

    /// Every bound that does not hold, in words.
    fn missed(&self) -> Vec<String> {
        let (mean, p99) = self.ratios(&self.decision.one);
        let gain = self.decision.gain() / self.floor.gain();
        let bounds = [
            (mean <= MEAN_MAX, format!("mean {mean:.2} floors, at most {MEAN_MAX}")),
            (p99 <= P99_MAX, format!("p99 {p99:.2} floors, at most {P99_MAX}")),
            (GAIN_MIN <= gain, format!("threads gain {gain:.2} of the floor's, at least {GAIN_MIN}")),
        ];
        let times = bounds.into_iter().filter(|(holds, _)| !holds).map(|(_, words)| words);
        times.chain(self.memory.missed()).collect()
    }
}

/// A round: the days before, what they left in memory, features evaluated of an event, and then the measuring.
fn live(population: Population, mut traffic: Traffic, events: usize) -> anyhow::Result<(Round, Memory, f64)> {
    let gate = canonical::gate()?;
    let mut worker = gate.worker(Vec::new());
    let decided = warm_up(&gate, &mut worker, &mut traffic);
    let evaluated = per_event(worker.features_computed(), decided);
    gate.evict_idle();
    let memory = Memory::of(&gate, population);

    let floor = Floor::build(population);
    let floor = Pair {
        one: time_floor(&floor, traffic.clone(), events),
        several: on_threads(&traffic, |share| time_floor(&floor, share, events)),
    };
    let one = time_decisions(&gate, traffic.by_ref(), events);
    let several = on_threads(&traffic, |share| time_decisions(&gate, share, events));

    let mut payments = traffic.skip(decided_on_threads(events));
    let mut steps = Steps::take(&gate);
    let windows = steps.windows(payments.by_ref(), events);
    let program = steps.program(payments, events);
    Ok((Round { floor, decision: Pair { one, several }, windows, program }, memory, evaluated))
}

/// Lives through the days before; gives the number of payments.
fn warm_up(gate: &Gate, worker: &mut Worker, traffic: &mut Traffic) -> u64 {
    let (mut event, mut text, mut decided) = (Event::default(), String::new(), 0);
    while traffic.days() < WARM_UP_DAYS
        && let Some(payment) = traffic.next()
    {
        payment.fill(&mut event, &mut text);
        decided += submit(gate, worker, &event).min(1);
    }
    decided
}

/// Decides; gives 1 and what the score says, 0 if it was refused.
fn submit(gate: &Gate, worker: &mut Worker, event: &Event) -> u64 {
    let Ok(ticket) = gate.submit(event, Deadline::Never, worker) else { return 0 };
    let score = ticket.ruling.verdict.score_e6.unsigned_abs();
    Gate::recycle(worker, ticket);
    1 + score
}

fn time_floor(floor: &Floor, mut payments: impl Iterator<Item = Payment>, events: usize) -> Timed {
    let fill = |keys: &mut [u128; 4]| *keys = payments.next().map_or([0; 4], |it| it.visit().keys());
    measure::time(events, fill, |keys| floor.touch(keys))
}

fn time_decisions(gate: &Gate, mut payments: impl Iterator<Item = Payment>, events: usize) -> Timed {
    let mut worker = gate.worker(Vec::new());
    let mut text = String::new();
    let fill = |event: &mut Event| payments.next().into_iter().for_each(|it| it.fill(event, &mut text));
    measure::time(events, fill, |event| submit(gate, &mut worker, event))
}

/// Runs the work on several threads at once, each with the payments of its share of the users.
fn on_threads<T: Send>(
    traffic: &Traffic,
    work: impl Fn(Box<dyn Iterator<Item = Payment>>) -> T + Sync,
) -> Vec<T> {
    thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = (0..THREADS)
            .map(|share| {
                let traffic = traffic.clone();
                scope.spawn(move || work(Box::new(traffic.filter(move |it| it.user % THREADS == share))))
            })
            .collect();
        // A panic has been printed by its thread; its events are missing from the gain.
        running.into_iter().filter_map(|it| it.join().ok()).collect()
    })
}

/// Payments that pass while each thread decides its share of them, three times as many as are measured; a few more,
/// since no share is a half to the last.
fn decided_on_threads(events: usize) -> usize {
    let decided = 3 * events * THREADS as usize;
    decided + decided / 100
}

fn events_of(measured: &Measured) -> u32 {
    u32::try_from(measured.events).unwrap_or(u32::MAX).max(1)
}

/// A share to print: exact up to 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "counts of a bench are far below 2⁵³")]
fn per_event(count: u64, events: u64) -> f64 {
    count as f64 / events.max(1) as f64
}
