//! Everything behind a snapshot's header, on all processors.
//!
//! ```text
//! one thread: file ──► checked and unpacked ──► this thread ──► recent ids, blobs of the caller
//!                                                    └──► builders, run by run ──► entities
//! ```
//! A run is one block, or as many as one entity's pieces hold together: it is built by one of them.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope, ScopedJoinHandle};

use engine::entity::EntityKey;
use engine::hex::hex;
use engine::history::ConditionId;
use engine::plan::FeaturePlan;
use engine::rule_set::RuleSet;
use parking_lot::Mutex;
use prost::Message as _;
use rules::schema::{KindId, Schema};
use rules::time::Micros;

use super::block::{Block, BlockKind, BlockReader, Cut, Place};
use super::entity::{self, EntityReader};
use super::fit::KindFit;
use super::{BYTES, End, Extra, Header, Held, NAME, SnapshotError, hash_key, recent};
use crate::state::layout::Layout;
use crate::state::{State, schema};

/// Threads that build entities at most: one unpacks as fast as so many build.
const BUILDERS_MAX: usize = 4;
/// Blocks, of a megabyte, that wait for a thread; runs of them, for each thread that builds.
const BLOCKS_WAITING: usize = 2;

/// Reads everything behind the header, for a rule set whose state it holds, or holds `partly`.
pub(super) fn rest(
    reader: BlockReader,
    header: &Header,
    rules: &RuleSet,
    partly: bool,
) -> Result<Held, SnapshotError> {
    let ours = Layout::of(rules);
    let kinds = fit(header, &ours, rules, &reader, partly)?;
    let file = reader.path().to_owned();
    let mut state = State::new();
    state.clock = header.clock.unwrap_or(Micros::MIN);
    let (extra, end) = thread::scope(|scope| {
        let blocks = unpack(scope, reader);
        let layouts = (&ours, &header.layout);
        let entities = || EntityReader::new(rules, &state.directory, layouts, &kinds);
        let mut builders = Builders::start(scope, &entities);
        let told = sort(&blocks, &file, &mut builders, &state, header.start);
        drop(blocks);
        // What a builder found comes before what was found meanwhile.
        let built = builders.finish().map_err(|at| at.damaged(&file, UNFIT))?;
        let Told { extra, ids, end, at } = told?;
        let whole = (end.blocks, end.entities, end.ids) == (at.number, built, ids);
        if whole { Ok((extra, end)) } else { Err(at.damaged(&file, UNFINISHED)) }
    })?;
    state.recent.lacks(end.ids_let_go);
    Ok(Held { state, start: header.start, seen_below: end.seen_below, extra })
}

const UNFIT: &str = "its columns do not fit together";
const UNFINISHED: &str = "it does not end as it began";

/// A thread that reads and unpacks blocks up to the last.
fn unpack<'scope>(
    scope: &'scope Scope<'scope, '_>,
    mut reader: BlockReader,
) -> Receiver<Result<Block, SnapshotError>> {
    let (to, blocks) = sync_channel(BLOCKS_WAITING);
    scope.spawn(move || {
        loop {
            let block = reader.next();
            let ends = block.as_ref().map_or(true, |it| it.kind == BlockKind::End);
            if to.send(block).is_err() || ends {
                break;
            }
        }
    });
    blocks
}

/// What blocks that hold no entities say.
struct Told {
    extra: Extra,
    /// How many recent ids there were.
    ids: u64,
    end: End,
    /// Where that stands.
    at: Place,
}

/// Gives the blocks of entities to their builders and reads the others.
fn sort(
    blocks: &Receiver<Result<Block, SnapshotError>>,
    file: &Path,
    builders: &mut Builders<'_>,
    state: &State,
    start: u64,
) -> Result<Told, SnapshotError> {
    let (mut extra, mut ids) = (Extra::new(), 0);
    loop {
        // The thread that unpacks ends behind the last block, or behind an error.
        let Ok(block) = blocks.recv() else { return Err(Place::default().damaged(file, UNFINISHED)) };
        let mut block = block?;
        let at = block.place;
        let read = match block.kind {
            BlockKind::Header => None,
            BlockKind::Entities => builders.give(block),
            BlockKind::Recent => {
                recent::read(&mut block.columns, start, |it| state.recent.remember(it)).map(|it| ids += it)
            }
            BlockKind::Extra => read_extra(&mut block.columns, &mut extra),
            BlockKind::End => {
                let end = End::decode(block.columns.rest(0)).ok().filter(|_| block.is_last);
                let end = end.ok_or_else(|| at.damaged(file, UNFINISHED))?;
                return Ok(Told { extra, ids, end, at });
            }
        };
        read.ok_or_else(|| at.damaged(file, UNFIT))?;
    }
}

/// Blocks whose entities have no piece in others, as they come; it ends where the next run begins.
type Run = Receiver<Block>;

/// Threads that build entities. Whichever is free takes the next run: none waits for another.
struct Builders<'scope> {
    runs: SyncSender<Run>,
    /// The run that was begun last, and the last entity in it.
    open: Option<(SyncSender<Block>, EntityKey)>,
    threads: Vec<ScopedJoinHandle<'scope, Built>>,
}

/// How many entities a thread built, or the block that it could not make sense of.
type Built = Result<u64, Place>;

impl<'scope> Builders<'scope> {
    fn start<'a: 'scope>(scope: &'scope Scope<'scope, '_>, reader: &impl Fn() -> EntityReader<'a>) -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZero::get).min(BUILDERS_MAX);
        let (runs, given) = sync_channel(BLOCKS_WAITING * processors);
        let given = Arc::new(Mutex::new(given));
        let builder = |_| {
            let (reader, given) = (reader(), Arc::clone(&given));
            scope.spawn(move || build(reader, &given))
        };
        Self { runs, open: None, threads: (0..processors).map(builder).collect() }
    }

    /// Gives a block to the next of them that is free, or to the one that has the beginning of its first entity; none if it is
    /// not as one is written, or if those who could build it met such a block before.
    fn give(&mut self, block: Block) -> Option<()> {
        let (first, last) = entity::ends(&block.columns)?;
        match &mut self.open {
            Some((_, before)) if first < *before => None,
            Some((run, before)) if first == *before => {
                *before = last;
                run.send(block).ok()
            }
            _ => {
                let (run, blocks) = sync_channel(BLOCKS_WAITING);
                run.send(block).ok()?;
                self.open = Some((run, last));
                self.runs.send(blocks).ok()
            }
        }
    }

    /// Waits for all of them; gives how many entities there were, or the first block that made no sense.
    fn finish(self) -> Built {
        let Self { runs, open, threads } = self;
        drop((runs, open));
        let built: Vec<_> =
            threads.into_iter().map(|it| it.join().unwrap_or_else(|panic| resume_unwind(panic))).collect();
        let first = built.iter().filter_map(|it| it.err()).min_by_key(|at| at.number);
        first.map_or_else(|| Ok(built.into_iter().flatten().sum()), Err)
    }
}

fn build(mut reader: EntityReader<'_>, runs: &Mutex<Receiver<Run>>) -> Built {
    loop {
        let run = runs.lock().recv();
        let Ok(run) = run else { return Ok(reader.entities) };
        for mut block in run {
            reader.read(&mut block.columns).ok_or(block.place)?;
        }
        reader.finish();
    }
}

fn read_extra(block: &mut Cut, into: &mut Extra) -> Option<()> {
    let name = str::from_utf8(block.rest(NAME)).ok()?.to_owned();
    into.entry(name).or_default().extend_from_slice(block.rest(BYTES));
    Some(())
}

/// The schema that was in force, if its text is there.
fn schema_of(header: &Header) -> Option<Schema> {
    let checked = header.in_force.last()?.bundle.check().ok()?;
    Some(checked.rules.schema)
}

/// Where the state that the rule set needs stands in a snapshot, kind by kind.
fn fit(
    header: &Header,
    ours: &Layout,
    rules: &RuleSet,
    reader: &BlockReader,
    partly: bool,
) -> Result<Vec<KindFit>, SnapshotError> {
    let file = || reader.path().to_owned();
    if hash_key(header, reader)? != rules.key {
        return Err(SnapshotError::OtherKey { file: file() });
    }
    let now = &rules.typed.schema;
    // Of the rule set that it was made under itself there is nothing to ask.
    let before = (header.rule_set != rules.typed.hash).then(|| schema_of(header)).flatten();
    let renamed = (header.schema != now.name).then(|| "another name".to_owned());
    let moved = renamed.or_else(|| ours.difference(&header.layout));
    if let Some(what) = moved.or_else(|| schema::rederived(before.as_ref()?, now)) {
        let theirs = format!("`{}` {}", header.schema, header.schema_version);
        let ours = format!("`{}` {}", now.name, now.version);
        return Err(SnapshotError::OtherSchema { file: file(), theirs, ours, what });
    }
    let changed = match &before {
        // Where room is made for what others need, the schema is theirs too, under a version of its own.
        _ if partly => None,
        Some(before) => schema::unversioned(before, now),
        None => (ours.shape != header.layout.shape && now.version <= header.schema_version)
            .then_some("entity kinds, event types or enums"),
    };
    if let Some(what) = changed {
        let (name, theirs, ours) = (now.name.clone(), header.schema_version, now.version);
        return Err(SnapshotError::SameVersion { file: file(), name, theirs, ours, what });
    }
    let features = ours.missing_in(&header.layout);
    if !partly && !features.is_empty() {
        let times = before.map(|it| schema::other_times(&it, now)).filter(|it| !it.is_empty());
        return Err(SnapshotError::Lacking { file: file(), features, times });
    }
    let kinds = ours.kinds.iter().zip(&rules.plan.kinds).enumerate();
    kinds
        .map(|(at, (ours, plan))| match header.layout.kinds.get(at) {
            None => Some(KindFit::default()),
            Some(theirs) if partly => {
                let asked = asked(rules, at, &header.layout);
                Some(KindFit::part(ours, plan, theirs, |condition| asked.contains(&condition)))
            }
            Some(theirs) => KindFit::new(ours, plan, theirs),
        })
        .collect::<Option<_>>()
        .ok_or_else(|| reader.damaged("its features and its columns do not fit together"))
}

/// The conditions of a kind by which features look that a layout has state of.
fn asked(rules: &RuleSet, kind: usize, theirs: &Layout) -> BTreeSet<usize> {
    let known: BTreeSet<_> = theirs.features.iter().map(|it| &*it.hash).collect();
    let features = rules.typed.features.iter().zip(&rules.plan.features);
    let features = features.filter(|(it, _)| known.contains(&*hex(&it.hash)));
    let mut asked = BTreeSet::new();
    for (_, plan) in features {
        let (FeaturePlan::Window(it) | FeaturePlan::Scan(it)) = plan else { continue };
        let of = rules.typed.schema.role_kind(it.role).map(KindId::index);
        let Some(kind) = rules.plan.kinds.get(kind).filter(|_| of == Some(kind)) else { continue };
        for window in [Some(it.window), it.above].into_iter().flatten() {
            let window = kind.history.input().windows.get(window.index());
            let Some(condition) = window.and_then(|it| it.condition) else { continue };
            let base = kind.conditions.get(condition.index()).and_then(|it| it.test.as_ref()?.base);
            asked.extend([Some(condition), base].into_iter().flatten().map(ConditionId::index));
        }
    }
    asked
}
