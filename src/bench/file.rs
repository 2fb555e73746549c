//! `weir bench file`: all events of a file, read beforehand, decided as fast as the machine can.
//!
//! Two passes, each through a gate that knows nothing yet: one as a whole, for the rate, and one with the clock read
//! around each decision, for the percentiles. The labels of the file are applied where their time comes and count in
//! the rate's time, not among its decisions.
//!
//! Threads share the file by its events' first entity, so that the events of one stay in their order. What other
//! entities remember depends on how the threads interleave; a thread waits for another that is further behind than
//! the schema's lateness allows, so that no event is too late that is not too late in the file.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use engine::entity::HashKey;
use engine::event::{Amendment, Event};
use engine::rule_set::RuleSet;
use floor::percentile;
use rules::schema::Schema;
use rules::time::Micros;
use stream::gate::{Deadline, Gate};
use stream::in_force::InForce;
use stream::record::RowPlace;
use stream::source::{Item, Mapping, Options as SourceOptions, SourceState};

use super::timing::{clock_cost, micros};
use crate::figures::{grouped, rate};
use crate::load::{self, Loaded};
use crate::replay::{first_gate, open};
use crate::stderr;
use crate::stdout::Stdout;

/// Read a file into memory, then decide all of it: decisions per second, percentiles, hits.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// CSV or JSON lines, plain, gzip or zstd, or Parquet: told by content
    file: PathBuf,
    /// How columns become events; JSON lines in Weir's own shape need none
    #[arg(long, value_name = "MAP.toml")]
    map: Option<PathBuf>,
    /// A folder of .weir files, or one rule file beside its schema
    #[arg(long, value_name = "PATH")]
    rules: PathBuf,
    /// Threads that decide; each takes the events of its share of first entities
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    threads: u32,
}

/// Reads, decides twice, prints.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let loaded = load::rule_set(&options.rules)?;
    // Which key does not matter: hashes appear nowhere. With a fixed one, two runs do the same work.
    let first = loaded.first(HashKey::new([0; 16]))?;
    let file = File::read(options, &loaded)?;
    let whole = file.decide(&loaded, &first, Clocked::No);
    let each = file.decide(&loaded, &first, Clocked::Each);
    write!(Stdout, "{}", say(&file, &first.rules, &whole, each))?;
    Ok(())
}

/// One thing to do.
#[derive(Debug)]
enum Step {
    Event {
        event: Event,
        /// Whether a label will ask where it stands.
        labelled: bool,
    },
    Amendment(Amendment),
}

/// A file in memory.
#[derive(Debug)]
struct File {
    /// By thread, in the file's order.
    shares: Vec<Vec<Step>>,
    lateness: Micros,
    rejects: u64,
    first_reject: Option<String>,
}

impl File {
    fn read(options: &Options, loaded: &Loaded) -> anyhow::Result<Self> {
        let schema = &loaded.rules.schema;
        let how = SourceOptions { merge: false, jump_max: SourceOptions::JUMP_MAX };
        let files = std::slice::from_ref(&options.file);
        let mapping = options.map.as_deref().map(Mapping::read).transpose()?;
        let mut source = open(files, mapping, how, schema, SourceState::default(), &Arc::default())?;
        let mut threads = Threads { count: options.threads as usize, of_event: HashMap::new() };
        let mut file = Self {
            shares: (0..options.threads).map(|_| Vec::new()).collect(),
            lateness: schema.lateness,
            rejects: 0,
            first_reject: None,
        };
        loop {
            let mut item = Item::default();
            if !source.next(&mut item)? {
                source.notes().iter().for_each(|it| stderr::note(it));
                return Ok(file);
            }
            let (thread, step) = match item {
                Item::Event(event) => {
                    (threads.of(&event, schema), Step::Event { event, labelled: source.is_labelled() })
                }
                Item::Amendment(known) => {
                    (threads.of_amendment(&known.amendment), Step::Amendment(known.amendment))
                }
                Item::Reject(reject) => {
                    file.rejects += 1;
                    file.first_reject.get_or_insert(format!("row {}: {}", reject.at.row, reject.reason));
                    continue;
                }
            };
            if let Some(share) = file.shares.get_mut(thread) {
                share.push(step);
            }
        }
    }

    /// Decides everything through a new gate.
    fn decide(&self, loaded: &Loaded, first: &InForce, clocked: Clocked) -> Pass {
        let gate = first_gate(loaded, first.clone());
        let pace = Pace::new(self.shares.len(), self.lateness);
        let start = Instant::now();
        let passes = thread::scope(|scope| {
            let run = |(me, share): (usize, &Vec<Step>)| decide_share(&gate, share, &pace, me, clocked);
            let running: Vec<_> =
                self.shares.iter().enumerate().map(|share| scope.spawn(move || run(share))).collect();
            // A panic has been printed by its thread; what it decided is missing from the count.
            running.into_iter().filter_map(|it| it.join().ok()).collect::<Vec<_>>()
        });
        let elapsed = start.elapsed();
        passes.into_iter().fold(Pass { elapsed, ..Pass::new(&first.rules) }, Pass::with)
    }
}

/// Which thread takes what.
struct Threads {
    count: usize,
    /// By event id, for what becomes known of it; empty where there is one thread only.
    of_event: HashMap<String, usize>,
}

impl Threads {
    fn of(&mut self, event: &Event, schema: &Schema) -> usize {
        if self.count == 1 {
            return 0;
        }
        let hash = HashKey::new([1; 16]).hash128(first_entity(event, schema));
        let thread = usize::try_from(hash % self.count as u128).unwrap_or(0);
        self.of_event.insert(event.id.clone(), thread);
        thread
    }

    fn of_amendment(&self, amendment: &Amendment) -> usize {
        self.of_event.get(&amendment.event_id).copied().unwrap_or(0)
    }
}

/// The id in the first role of an event that is present; empty if none is.
fn first_entity<'a>(event: &'a Event, schema: &'a Schema) -> &'a str {
    event.roles(schema).next().map(|(_, _, id)| id).unwrap_or_default()
}

/// Whether the clock is read around each decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Clocked {
    No,
    Each,
}

/// What came of deciding everything once, on one thread or on all.
#[derive(Debug)]
struct Pass {
    elapsed: Duration,
    decided: u64,
    amended: u64,
    refused: u64,
    /// By rule.
    hits: Vec<u64>,
    /// Of single decisions.
    each: Vec<Duration>,
}

impl Pass {
    fn new(rules: &RuleSet) -> Self {
        let hits = vec![0; rules.typed.rules.len()];
        Self { elapsed: Duration::ZERO, decided: 0, amended: 0, refused: 0, hits, each: Vec::new() }
    }

    fn with(mut self, other: Self) -> Self {
        self.decided += other.decided;
        self.amended += other.amended;
        self.refused += other.refused;
        self.hits.iter_mut().zip(other.hits).for_each(|(sum, hits)| *sum += hits);
        self.each.extend(other.each);
        self
    }
}

/// One thread's part.
fn decide_share(gate: &Gate, steps: &[Step], pace: &Pace, me: usize, clocked: Clocked) -> Pass {
    let mut worker = gate.worker(Vec::new());
    let mut pass = Pass::new(&gate.rules());
    if clocked == Clocked::Each {
        pass.each.reserve(steps.len());
    }
    // Where the labelled events stand whose labels are still to come.
    let mut places: HashMap<&str, RowPlace> = HashMap::new();
    let mut turn = pace.turn(me);
    let mut steps = steps.iter();
    while let Some(step) = steps.next() {
        let start = (clocked == Clocked::Each).then(Instant::now);
        if let Some(Step::Event { event, .. }) = steps.as_slice().first() {
            gate.expect(event, &mut worker);
        }
        let expected = start.map(|it| it.elapsed()).unwrap_or_default();
        let (event, labelled) = match step {
            Step::Event { event, labelled } => (event, *labelled),
            Step::Amendment(amendment) => {
                let place = places.remove(amendment.event_id.as_str());
                match gate.amend(amendment, place.as_ref(), &mut worker) {
                    Ok(_) => pass.amended += 1,
                    Err(_) => pass.refused += 1,
                }
                continue;
            }
        };
        turn.wait(event.time);
        let start = (clocked == Clocked::Each).then(Instant::now);
        let submitted = gate.submit(event, Deadline::Never, &mut worker);
        pass.each.extend(start.map(|it| expected + it.elapsed()));
        let Ok(ticket) = submitted else {
            pass.refused += 1;
            continue;
        };
        pass.decided += 1;
        for hit in &ticket.ruling.verdict.hits {
            if let Some(hits) = pass.hits.get_mut(hit.rule.index()) {
                *hits += 1;
            }
        }
        if labelled {
            places.insert(&event.id, ticket.place.clone());
        }
        Gate::recycle(&mut worker, ticket);
    }
    pass
}

/// Keeps threads within the allowed lateness of each other.
///
/// A thread decides an event at `t` only when no other still has one before `t - lateness` to decide. So whenever an
/// event is decided, the engine clock is at most `lateness` ahead of it. The thread that is furthest behind never
/// waits.
struct Pace {
    /// By thread: the time of its next event.
    next: Vec<Line>,
    lateness: Micros,
}

/// A cache line of its own: each is written at every event.
#[repr(align(128))]
struct Line(AtomicI64);

/// One thread's sight of the pace.
struct Turn<'a> {
    pace: &'a Pace,
    me: usize,
    /// Up to here nobody need be asked.
    until: Micros,
}

impl Pace {
    fn new(threads: usize, lateness: Micros) -> Self {
        Self { next: (0..threads).map(|_| Line(AtomicI64::new(Micros::MIN))).collect(), lateness }
    }

    fn turn(&self, me: usize) -> Turn<'_> {
        Turn { pace: self, me, until: Micros::MIN }
    }
}

impl Turn<'_> {
    /// Returns when an event at this time may be decided.
    fn wait(&mut self, time: Micros) {
        let Pace { next, lateness } = self.pace;
        if let Some(mine) = next.get(self.me) {
            mine.0.fetch_max(time, Ordering::Relaxed);
        }
        while self.until < time {
            let others = next.iter().enumerate().filter(|(thread, _)| *thread != self.me);
            let behind = others.map(|(_, it)| it.0.load(Ordering::Relaxed)).min();
            self.until = behind.map_or(Micros::MAX, |it| it.saturating_add(*lateness));
            if self.until < time {
                thread::yield_now();
            }
        }
    }
}

impl Drop for Turn<'_> {
    /// Nobody waits for who is done.
    fn drop(&mut self) {
        if let Some(mine) = self.pace.next.get(self.me) {
            mine.0.store(Micros::MAX, Ordering::Relaxed);
        }
    }
}

fn say(file: &File, rules: &RuleSet, whole: &Pass, mut each: Pass) -> String {
    each.each.sort_unstable();
    let (p50, p99) = (percentile(&each.each, 50), percentile(&each.each, 99));
    let seconds = whole.elapsed.as_secs_f64();
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "decisions    {} in {seconds:.3} s on {} thread(s), {} labels among them",
        grouped(whole.decided),
        file.shares.len(),
        grouped(whole.amended)
    );
    let _ = writeln!(text, "a second     {}", grouped(rate(whole.decided, seconds)));
    let _ = writeln!(
        text,
        "a decision   p50 {}, p99 {}, of which reading the clock {}",
        micros(p50),
        micros(p99),
        // Around the asking and around the decision.
        micros(2 * clock_cost())
    );
    if let Some(first) = &file.first_reject {
        let _ = writeln!(text, "rejected     {}, the first: {first}", grouped(file.rejects));
    }
    if 0 < whole.refused {
        let _ = writeln!(text, "refused      {}", grouped(whole.refused));
    }
    let _ = writeln!(text, "hits         {}", grouped(whole.hits.iter().sum()));
    let width = rules.typed.rules.iter().map(|it| it.name.chars().count()).max().unwrap_or(0);
    for (rule, hits) in rules.typed.rules.iter().zip(&whole.hits) {
        let _ = writeln!(text, "  {:width$}  {:>12}", rule.name, grouped(*hits));
    }
    text
}
