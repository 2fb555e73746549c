//! `weir send`: files into a running server, in replay's order and with its merge of labels.
//!
//! ```text
//! reader thread: unpack, parse, map ──batches──► this thread: pace, write JSON ──► a task for each connection
//! ```
//!
//! Reading order: [`body`] (what is sent), [`client`] (how), [`answer`] (what comes back), [`lanes`] (many
//! connections), [`tally`] (what came of it).

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod lanes;
pub(crate) mod tally;

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::builder::{PathBufValueParser, TypedValueParser as _};
use rules::schema::Schema;
use rules::time::Micros;
use stream::intake::time::duration;
use stream::source::{Item, Mapping, Options as SourceOptions, RowAt, SourceState};

use crate::interrupt::{Interrupt, Interrupted};
use crate::load;
use crate::progress::Progress;
use crate::replay::{self, Batch, Reader, Rejects};
use crate::stderr;
use answer::Told;
use body::Sent;
use client::{Client, Server};
use lanes::{Done, Job, Lanes};
use tally::{Rest, Tally};

/// The variable in which the key stands.
const KEY: &str = "WEIR_API_KEY";
/// The variable in which the server's address may stand.
const URL: &str = "WEIR_URL";
/// Where a server listens unless told otherwise.
const URL_DEFAULT: &str = "http://127.0.0.1:7878";
/// The longest sleep between two events of a paced run: so often it looks what was answered.
const NAP_MAX: Duration = Duration::from_millis(100);

/// Play files of transactions into a running server: events to be decided, labels when they became known.
///
/// The key stands in `WEIR_API_KEY`. An id that was sent within the last 24 hours of the server's engine clock is answered as
/// then, so a run that broke off may be started again if its file reaches no further back: older rows would be new events
/// to the server, or be refused where they lie further behind the newest event than its `past_max`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// CSV or JSON lines, plain, gzip or zstd, or Parquet: told by content; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How columns become events; JSON lines in Weir's own shape need none
    #[arg(long, value_name = "MAP.toml")]
    map: Option<PathBuf>,
    /// Where the schema is: a folder of .weir files, or one rule file beside it [default: as the server shows it]
    #[arg(long, value_name = "PATH")]
    rules: Option<PathBuf>,
    /// The server [default: what WEIR_URL says, or http://127.0.0.1:7878]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Events a second, at most [default: as fast as the server answers]
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Connections side by side; over more than one, events overtake each other, but no label its event
    #[arg(long, value_name = "N", default_value = "1")]
    connections: NonZeroU16,
    /// How long to wait for each decision, such as `10ms`: behind it the declared fallback is answered
    #[arg(long, value_name = "TIME", default_value = "none", value_parser = deadline)]
    deadline: String,
    /// Merge the files by time instead of reading one after the other
    #[arg(long)]
    merge: bool,
    /// Reject rows whose time is further ahead of the latest before them
    #[arg(long, value_name = "DAYS", default_value = "366d", value_parser = replay::jump_max)]
    jump_max: Micros,
    /// Where bad rows go, with their number and the reason; written only if there are any
    #[arg(
        long,
        value_name = "FILE",
        default_value = "rejects.csv",
        value_parser = PathBufValueParser::new().try_map(replay::csv_name)
    )]
    rejects: PathBuf,
}

fn deadline(text: &str) -> Result<String, String> {
    if text != "none" {
        duration(text.as_bytes(), None)?;
    }
    Ok(text.to_owned())
}

/// Sends the files; says at the end what came of it.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    replay::read_once(options.files.iter().chain(&options.map))?;
    let mapping = options.map.as_deref().map(Mapping::read).transpose()?;
    let loaded = options.rules.as_deref().map(load::rule_set).transpose()?;
    let read = replay::read_apart(&options.files, mapping.as_ref(), loaded.as_ref());
    replay::check_apart(&read, [("--rejects", options.rejects.as_path())])?;
    replay::check_rejects(&options.rejects)?;
    let key = std::env::var(KEY).with_context(|| format!("the key is missing: `export {KEY}=…`"))?;
    let url =
        options.to.clone().or_else(|| std::env::var(URL).ok()).unwrap_or_else(|| URL_DEFAULT.to_owned());
    let server = Server::new(&url, &key, &options.deadline)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let schema = match loaded {
        Some(loaded) => loaded.rules.schema,
        None => {
            runtime.block_on(async { client::schema(&mut Client::connect(server.clone()).await?).await })?
        }
    };
    let progress = Progress::of_files(&options.files);
    let how = SourceOptions { merge: options.merge, jump_max: options.jump_max };
    let source =
        replay::open(&options.files, mapping, how, &schema, SourceState::default(), progress.read())?;
    let rejects = Rejects::new(&options.rejects, source.names().to_vec());
    let lanes = Lanes::open(&runtime, &server, usize::from(options.connections.get()))?;
    let mut sending = Sending {
        lanes,
        schema: &schema,
        rejects,
        tally: Tally::new()?,
        pace: Pace::new(options.rate),
        progress,
        interrupt: Interrupt::listen()?,
    };
    let reader = Reader::start(source);
    let sent = sending.all(&reader);
    let is_stopped = sent.as_ref().is_err_and(|it| it.is::<Interrupted>());
    if is_stopped {
        stderr::note("stopping when what was sent is answered; a second signal ends at once");
    }
    // The reader may be waiting for input that does not come.
    let (source, damaged) = if is_stopped { (None, None) } else { reader.finish() };
    let Sending { lanes, mut rejects, mut tally, progress, pace, .. } = sending;
    let (done, failed) = lanes.finish(&runtime);
    note(done, &mut tally, &mut rejects)?;
    let elapsed = pace.start.elapsed();
    progress.finish();
    rejects.finish()?;
    source.iter().flat_map(stream::source::Source::notes).for_each(|it| stderr::note(it));
    let skipped = source.as_ref().map_or(0, stream::source::Source::skipped);
    let mut left = source.map(stream::source::Source::into_state).unwrap_or_default();
    left.keep_labels_once();
    let pending = left.pending.len() as u64;
    stderr::show(tally.say(elapsed, &Rest { pending, skipped, rejects: Some(&options.rejects) }));
    sent?;
    failed.context("nothing more was sent")?;
    damaged.map_or(Ok(()), Err)
}

/// Everything that a run writes to.
struct Sending<'a> {
    lanes: Lanes,
    schema: &'a Schema,
    rejects: Rejects<'a>,
    tally: Tally,
    pace: Pace,
    progress: Progress,
    interrupt: Interrupt,
}

impl Sending<'_> {
    /// Sends what is read, until its end or until a connection has ended.
    fn all(&mut self, reader: &Reader) -> anyhow::Result<()> {
        while let Some(batch) = reader.next(&self.interrupt)? {
            if !self.batch(&batch)? {
                break;
            }
            // Where there is no room the batch is simply freed.
            let _ = reader.give_back().try_send(batch);
        }
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> anyhow::Result<bool> {
        for read in batch.iter() {
            self.interrupt.check()?;
            let at = read.at;
            let going_on = match &read.item {
                Item::Event(event) => {
                    while let Some(nap) = self.pace.nap() {
                        self.look()?;
                        std::thread::sleep(nap);
                    }
                    let id = event.recheck_of.as_ref().unwrap_or(&event.id);
                    self.send(id, at, Sent::Event, body::event(event, self.schema))
                }
                Item::Amendment(known) => {
                    let body = body::amendment(&known.amendment);
                    self.send(&known.amendment.event_id, at, Sent::Amendment, body)
                }
                Item::Reject(reject) => {
                    self.tally.reject();
                    self.rejects.add(at, &reject.reason)?;
                    true
                }
            };
            if !going_on {
                return Ok(false);
            }
        }
        self.look()?;
        Ok(true)
    }

    fn send(&self, event_id: &str, at: Option<RowAt>, sent: Sent, body: Vec<u8>) -> bool {
        self.lanes.send(event_id, Job { at, sent, body })
    }

    /// Counts what was answered since, unless somebody wants no more sent.
    fn look(&mut self) -> anyhow::Result<()> {
        note(self.lanes.done(), &mut self.tally, &mut self.rejects)?;
        self.rejects.flush()?;
        self.progress.rows(self.tally.answered());
        Ok(self.interrupt.check()?)
    }
}

fn note(
    done: impl IntoIterator<Item = Done>,
    tally: &mut Tally,
    rejects: &mut Rejects<'_>,
) -> anyhow::Result<()> {
    for Done { at, told, took, retries } in done {
        tally.add(&told, took, retries);
        if let Told::Refused(reason) = told {
            rejects.add(at, &reason)?;
        }
    }
    Ok(())
}

/// When the next event is due. A run that fell behind catches up.
struct Pace {
    start: Instant,
    /// Time from event to event; none: at once.
    every: Duration,
    sent: u32,
}

impl Pace {
    fn new(rate: Option<NonZeroU32>) -> Self {
        let every = rate.map_or(Duration::ZERO, |it| Duration::from_secs(1) / it.get());
        Self { start: Instant::now(), every, sent: 0 }
    }

    /// How long to sleep before asking again; none where the next event is due, which is then counted as sent.
    fn nap(&mut self) -> Option<Duration> {
        let due = self.every * self.sent;
        match due.checked_sub(self.start.elapsed()).filter(|it| !it.is_zero()) {
            Some(left) => Some(left.min(NAP_MAX)),
            None => {
                self.sent = self.sent.saturating_add(1);
                None
            }
        }
    }
}
