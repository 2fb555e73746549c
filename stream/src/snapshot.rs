//! Snapshots: the state of a gate at a position, in a data directory that one process owns.
//!
//! A snapshot is written entity by entity into a new file beside the old ones, synced, and renamed; the newest two are
//! kept, and the [`Base`] of a journal that was pruned. It is read by a rule set that needs no state but what the snapshot
//! holds, which is named by the definition hashes of features. Damage is refused, and the snapshot before is used.
//!
//! ```text
//! header | entities, sorted by kind and key | recent ids with their records | blobs of the caller | end
//! ```
//! The same state gives the same bytes, whoever holds it.

mod base;
mod block;
mod directory;
mod entity;
mod error;
mod fit;
mod load;
mod recent;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::entity::HashKey;
use engine::rule_set::RuleSet;
use prost::Message;
use rules::time::Micros;
use rules::typed::ListId;

use crate::aside;
use crate::bundle::{Bundle, BundleError};
use crate::disk::File;
use crate::gate::Gate;
use crate::in_force::{InForce, Kept};
use crate::journal::Journal;
use crate::record::Lacking;
use crate::state::directory::Directory;
use crate::state::layout::Layout;
use crate::state::{REPEAT_FOR, State};
pub use base::Base;
pub(crate) use base::{drop_below, write as write_base};
use block::{Beside, BlockKind, BlockReader, BlockWriter, Columns};
pub use directory::DataDir;
use directory::Stored;
use entity::EntityWriter;
pub use error::SnapshotError;

/// What the caller wants kept beside the gate's state, by name; its bytes are the caller's matter.
pub type Extra = BTreeMap<String, Vec<u8>>;

/// What a snapshot held.
#[derive(Debug)]
pub struct Restored {
    /// The gate as it was.
    pub gate: Gate,
    /// What the caller had kept beside it.
    pub extra: Extra,
    /// The lists of which the snapshot knows nothing: nobody is on them yet.
    pub new_lists: Vec<ListId>,
}

/// The first block.
#[derive(Clone, PartialEq, Message)]
struct Header {
    /// Of the schema.
    #[prost(string, tag = "1")]
    schema: String,
    #[prost(uint32, tag = "2")]
    schema_version: u32,
    /// Of the rule set.
    #[prost(bytes = "vec", tag = "3")]
    rule_set: Vec<u8>,
    /// Under which ids are hashed.
    #[prost(bytes = "vec", tag = "4")]
    key: Vec<u8>,
    /// Always 0 for now.
    #[prost(uint32, tag = "5")]
    tenant: u32,
    /// The engine clock when it was begun; none before the first event.
    #[prost(sfixed64, optional, tag = "6")]
    clock: Option<Micros>,
    /// The position that the next record would have got then.
    #[prost(uint64, tag = "7")]
    start: u64,
    /// The state that the rule set keeps.
    #[prost(message, required, tag = "8")]
    layout: Layout,
    /// All that was in force and is still spoken of, the newest last.
    #[prost(message, repeated, tag = "9")]
    in_force: Vec<Texts>,
    /// Whose features are kept up beside those of what is in force.
    #[prost(message, repeated, tag = "10")]
    kept: Vec<Bundle>,
    /// Whether no journal has the records below `start`: a replay saved its state.
    #[prost(bool, tag = "11")]
    alone: bool,
    /// Whose schemas are known beside, though none of their features is kept up.
    #[prost(message, repeated, tag = "12")]
    known: Vec<Bundle>,
}

impl Header {
    /// Of a gate whose state is written from a clock and a position on, under the newest rules of all that was in force.
    fn of(
        gate: &Gate,
        rules: &RuleSet,
        in_force: &[Arc<InForce>],
        (clock, start): (Option<Micros>, u64),
        shown: Shown,
    ) -> Self {
        let (schema, all) = (&rules.typed.schema, shown == Shown::All);
        // What is kept up shows in the layout; whose features they were is words too.
        let kept = || in_force.last().filter(|_| all).map(|it| &it.kept).into_iter();
        Self {
            schema: schema.name.clone(),
            schema_version: schema.version,
            rule_set: rules.typed.hash.to_vec(),
            key: rules.key.bytes().to_vec(),
            tenant: 0,
            clock,
            start,
            layout: Layout::of(rules),
            in_force: Texts::of_all(in_force),
            kept: kept().flat_map(Kept::bundles).cloned().collect(),
            alone: all && gate.stands_alone(),
            known: kept().flat_map(Kept::known_bundles).cloned().collect(),
        }
    }
}

/// What was in force under a number, as texts.
#[derive(Clone, PartialEq, Message)]
struct Texts {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(message, required, tag = "2")]
    bundle: Bundle,
    /// Features that were not complete.
    #[prost(message, repeated, tag = "3")]
    lacking: Vec<Lacking>,
    /// Numbers before it under which the same was in force, but for what lists held.
    #[prost(uint32, repeated, tag = "4")]
    before: Vec<u32>,
}

impl Texts {
    /// Of all that has texts, oldest first; where nobody will ask for them there are none.
    fn of_all(in_force: &[Arc<InForce>]) -> Vec<Self> {
        let mut all = Vec::new();
        for same in
            in_force.chunk_by(|it, next| Arc::ptr_eq(&it.rules, &next.rules) && it.says_the_same(next))
        {
            let Some((newest, before)) = same.split_last() else { continue };
            let Some(bundle) = newest.bundle.as_deref().cloned() else { continue };
            let before = before.iter().map(|it| it.number).collect();
            all.push(Self { number: newest.number, bundle, lacking: newest.to_lacking(), before });
        }
        all
    }

    /// The numbers, oldest first.
    fn numbers(&self) -> impl Iterator<Item = u32> {
        self.before.iter().copied().chain([self.number])
    }
}

/// The last block.
#[derive(Clone, PartialEq, Message)]
struct End {
    /// Blocks before this one.
    #[prost(uint64, tag = "1")]
    blocks: u64,
    #[prost(uint64, tag = "2")]
    entities: u64,
    /// Recent ids.
    #[prost(uint64, tag = "3")]
    ids: u64,
    /// Everything that any entity has seen stands below this position: the snapshot is valid once that is durable.
    #[prost(uint64, tag = "4")]
    seen_below: u64,
    /// Ids whose clock is at most this may be missing: the journal has them.
    #[prost(sfixed64, optional, tag = "5")]
    ids_let_go: Option<Micros>,
}

/// The column of a name, and that of bytes.
const NAME: usize = 0;
const BYTES: usize = 1;
/// Bytes of a blob in one block.
const PIECE_BYTES: usize = 1 << 20;

/// What an event could still see of a gate's state, as bytes, by way of a file: two gates have the same exactly if
/// nobody can tell them apart. For tests.
///
/// # Errors
/// If the disk does not take it.
#[cfg(feature = "test-support")]
pub fn canonical(gate: &Gate, file: &Path) -> io::Result<Vec<u8>> {
    write_to(Box::new(std::fs::File::create(file)?), gate, &Extra::new(), Shown::Visible, None)?;
    std::fs::read(file)
}

/// How much of the state is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shown {
    All,
    /// Only what an event could still see.
    Visible,
}

/// Writes what the gate holds and `extra` as the newest snapshot of a data directory, as fast as can be; gives its file.
///
/// It counts once everything that it has seen is on the disk, which this waits for.
///
/// # Errors
/// If the disk does not take it, or the journal can write no more. Then the snapshots before it stand as they did.
pub fn write(dir: &DataDir, gate: &Gate, extra: &Extra) -> Result<PathBuf, SnapshotError> {
    publish(dir, gate, || write_draft(dir, gate, extra, None))
}

/// Writes as [`write()`] does, and keeps out of the way of the decisions that go on meanwhile.
///
/// So what it holds is not of one moment, and [`crate::recover`] applies the journal from the snapshot's start on to what
/// has not seen it.
///
/// # Errors
/// As of [`write()`].
pub fn write_beside_decisions(dir: &DataDir, gate: &Gate, extra: &Extra) -> Result<PathBuf, SnapshotError> {
    publish(dir, gate, || {
        let written = aside::work("snapshot", || write_draft(dir, gate, extra, Some(Beside::begin())));
        written.map_err(SnapshotError::io("write", dir.draft().path()))?
    })
}

fn publish(
    dir: &DataDir,
    gate: &Gate,
    write: impl FnOnce() -> Result<(Box<dyn File>, u64), SnapshotError>,
) -> Result<PathBuf, SnapshotError> {
    let _one = dir.begin();
    let (draft, seen_below) = write()?;
    gate.wait_for_disk(seen_below).map_err(SnapshotError::Poisoned)?;
    dir.publish(&*draft)
}

/// Writes what the gate holds where it does not count yet; gives the file, and above which position it has seen nothing.
fn write_draft(
    dir: &DataDir,
    gate: &Gate,
    extra: &Extra,
    beside: Option<Beside>,
) -> Result<(Box<dyn File>, u64), SnapshotError> {
    let written = write_to(dir.open_draft()?, gate, extra, Shown::All, beside);
    written.map_err(SnapshotError::io("write", dir.draft().path()))
}

fn write_to(
    file: Box<dyn File>,
    gate: &Gate,
    extra: &Extra,
    shown: Shown,
    beside: Option<Beside>,
) -> io::Result<(Box<dyn File>, u64)> {
    // INVARIANT (start): first the start, then everything else. A record below the start is in the entities, whose
    // locks its writer held; in the table of ids, which waits for what is in flight; and in what is in force, which
    // waits for a change that is under way.
    let start = gate.next_position();
    let (mut in_force, directory) = gate.quiet_in_force();
    // The record of what is in force may be behind the start, and nothing else that is seen.
    let seen_in_force = gate.next_position();
    if shown == Shown::Visible {
        // What was in force before is words for repeats, and forgotten when that is convenient.
        in_force.drain(..in_force.len().saturating_sub(1));
    }
    let rules = in_force.last().map_or_else(|| gate.rules(), |it| Arc::clone(&it.rules));
    let clock = gate.clock();
    let header = Header::of(gate, &rules, &in_force, (clock, start), shown);
    let mut out = BlockWriter::new(file, beside)?;
    write_message(&mut out, BlockKind::Header, &header)?;
    let visible_at = clock.filter(|_| shown == Shown::Visible);
    let (entities, seen_by_entities) = write_entities(&mut out, &directory, &rules, visible_at)?;
    let since = clock.unwrap_or(Micros::MIN).saturating_sub(REPEAT_FOR);
    let (ids, seen_by_ids) = recent::write(&mut out, gate.recent(), since)?;
    for (name, bytes) in extra {
        write_extra(&mut out, name, bytes)?;
    }
    let seen_below = seen_by_entities.max(seen_by_ids).max(seen_in_force);
    // After the ids: what leaves while they are written is missing among them.
    let ids_let_go = gate.recent().let_go().filter(|it| since < *it);
    let end = End { blocks: out.blocks, entities, ids, seen_below, ids_let_go };
    write_message(&mut out, BlockKind::End, &end)?;
    Ok((out.finish()?, seen_below))
}

fn write_message(out: &mut BlockWriter, kind: BlockKind, message: &impl Message) -> io::Result<()> {
    let mut columns = Columns::default();
    columns.put(0, &message.encode_to_vec());
    out.write(kind, &mut columns)
}

fn write_entities(
    out: &mut BlockWriter,
    directory: &Directory,
    rules: &RuleSet,
    visible_at: Option<Micros>,
) -> io::Result<(u64, u64)> {
    let mut keys = directory.keys();
    out.prepare(|| keys.sort_unstable())?;
    let mut writer = EntityWriter::new(out, rules, visible_at);
    for key in keys {
        if let Some(slot) = directory.get(key) {
            writer.write(key, &slot)?;
        }
        writer.flush_if_full()?;
    }
    writer.flush()?;
    Ok((writer.entities, writer.seen_below))
}

fn write_extra(out: &mut BlockWriter, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut columns = Columns::default();
    let mut rest = bytes;
    loop {
        let (piece, after) = rest.split_at(rest.len().min(PIECE_BYTES));
        columns.put(NAME, name.as_bytes());
        columns.put(BYTES, piece);
        out.write(BlockKind::Extra, &mut columns)?;
        rest = after;
        if rest.is_empty() {
            return Ok(());
        }
    }
}

/// What the newest snapshot of a data directory says of itself.
#[derive(Clone, Debug)]
pub struct Newest {
    /// The key under which ids are hashed, which rule sets must be compiled with.
    pub key: HashKey,
    /// Where it begins: all records below are on the disk, and a recovery from it reads none of them.
    pub start: u64,
    /// All records below are on the disk too, since something in it has seen them.
    pub seen_below: u64,
    /// Its file, if a replay saved it without a journal.
    alone: Option<Stored>,
}

/// Reads what the newest snapshot says of itself; none if there is no snapshot.
///
/// # Errors
/// If there are snapshots and the header of none can be read, or one was written by a later version.
pub fn newest(dir: &DataDir) -> Result<Option<Newest>, SnapshotError> {
    let found = newest_whole(dir, |file| {
        let mut reader = BlockReader::open(file)?;
        let header = read_header(&mut reader)?;
        let alone = header.alone && !header.in_force.is_empty() && !file.is_base();
        let alone = alone.then(|| file.clone());
        let (key, start) = (hash_key(&header, &reader)?, header.start);
        Ok(Newest { key, start, seen_below: seen_below(reader)?.unwrap_or(start).max(start), alone })
    })?;
    Ok(found.any()?.map(|(newest, _)| newest))
}

impl Newest {
    /// Whether no journal has the records below its start: a replay saved it without one.
    pub fn is_alone(&self) -> bool {
        self.alone.is_some()
    }

    /// Lets it be the base of a journal that begins upon it, if it is a state that a replay saved without one. Gives whether
    /// it is.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn lay(&self, dir: &DataDir) -> Result<bool, SnapshotError> {
        if let Some(file) = &self.alone
            && dir.base()?.is_none()
        {
            dir.copy_to_base(file)?;
        }
        Ok(self.is_alone())
    }
}

/// Reads the newest whole snapshot of a data directory for a rule set; none if it holds none. `journal` makes the
/// journal that goes on at the position given.
///
/// # Errors
/// If every snapshot is damaged, if one was written by a later version, or if the rule set needs state or a schema
/// that it does not hold. If the newest is damaged: no journal has what came behind the one before. It is set aside under
/// another name, so that whoever reads again gets that one.
pub fn read(
    dir: &DataDir,
    first: &InForce,
    journal: &dyn Fn(u64) -> Box<dyn Journal>,
) -> Result<Option<Restored>, SnapshotError> {
    let found = newest_whole(dir, |file| {
        let mut reader = BlockReader::open(file)?;
        let header = read_header(&mut reader)?;
        let held = load::rest(reader, &header, &first.rules, false)?;
        let in_force = Arc::new(first.clone());
        let next = journal(held.start.max(held.seen_below));
        let gate = Gate::resumed(BTreeMap::from([(0, in_force)]), held.state, next, None);
        let none =
            || SnapshotError::Rules { file: file.path().to_owned(), cause: "there is none".to_owned() };
        let new_lists = Layout::of(&first.rules).new_lists(&header.layout);
        Ok(Restored { gate: gate.ok_or_else(none)?, extra: held.extra, new_lists })
    })?;
    let Some((restored, damaged)) = found.any()? else { return Ok(None) };
    let damaged = set_aside(dir, damaged)?;
    if damaged.is_empty() { Ok(Some(restored)) } else { Err(SnapshotError::Lost { damaged }) }
}

/// Reads the newest whole snapshot with the rule set and the key that it holds itself, and changes nothing.
pub(crate) fn read_running(dir: &DataDir) -> Result<Found<Running>, SnapshotError> {
    newest_whole(dir, |file| read_keeping(file, None, None))
}

/// Reads a snapshot with the rule sets that it holds itself, whose ids must be hashed under a key that is known; or with
/// room for the features of others, where those that it does not hold are empty.
fn read_keeping(
    file: &Stored,
    known: Option<HashKey>,
    others: Option<&Kept>,
) -> Result<Running, SnapshotError> {
    let mut reader = BlockReader::open(file)?;
    let header = read_header(&mut reader)?;
    let key = hash_key(&header, &reader)?;
    let path = || file.path().to_owned();
    if known.is_some_and(|it| it != key) {
        return Err(SnapshotError::OtherKey { file: path() });
    }
    let rules = |cause: String| SnapshotError::Rules { file: path(), cause };
    let compiled = match others {
        Some(kept) => compile_all(&header, key, kept),
        None => kept_of(&header).and_then(|kept| compile_all(&header, key, &kept)),
    };
    let in_force = compiled.map_err(|it| rules(it.to_string()))?;
    let newest = in_force.last().ok_or_else(|| rules("it holds none".to_owned()))?;
    let held = load::rest(reader, &header, &newest.rules, others.is_some())?;
    Ok(Running { key, in_force, held, file: path(), is_base: file.is_base() })
}

/// What a snapshot says is kept up and known.
fn kept_of(header: &Header) -> Result<Kept, BundleError> {
    Kept::of(header.kept.iter().cloned())?.knowing(header.known.iter().cloned())
}

/// All that a snapshot says was in force, oldest first, keeping up the features of others. The newest has state of all its
/// features; those before it may speak of some that have none any more.
fn compile_all(header: &Header, key: HashKey, kept: &Kept) -> Result<Vec<Arc<InForce>>, BundleError> {
    let Some((newest, before)) = header.in_force.split_last() else { return Ok(Vec::new()) };
    let last = compile(newest, key, kept)?;
    let only = kept.only_of(&last.rules.typed);
    let mut all = Vec::new();
    let mut put = |texts: &Texts, it: &InForce| {
        all.extend(texts.numbers().map(|number| Arc::new(InForce { number, ..it.clone() })));
    };
    for texts in before {
        put(texts, &compile(texts, key, &only)?);
    }
    put(newest, &last);
    Ok(all)
}

fn compile(texts: &Texts, key: HashKey, kept: &Kept) -> Result<InForce, BundleError> {
    let kept = kept.lacking(&texts.lacking);
    InForce::keeping(texts.number, Arc::new(texts.bundle.clone()), key, &kept)
}

/// A snapshot with what was in force.
#[derive(Debug)]
pub(crate) struct Running {
    /// Under which ids are hashed.
    pub(crate) key: HashKey,
    /// The newest last.
    pub(crate) in_force: Vec<Arc<InForce>>,
    pub(crate) held: Held,
    pub(crate) file: PathBuf,
    /// Whether it holds state of features that the records behind it may say nothing of: the server had not kept them up.
    pub(crate) is_base: bool,
}

/// What a snapshot holds.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) state: State,
    /// The journal's records from here on are to be applied to what has not seen them.
    pub(crate) start: u64,
    /// Everything that is held has seen only records below this.
    pub(crate) seen_below: u64,
    pub(crate) extra: Extra,
}

/// Unpacks a snapshot block by block, looks at its checksums and makes no meaning of it: the least that reading it costs.
///
/// # Errors
/// If it cannot be read or is damaged, or if `see` fails.
pub fn unpack(file: &Path, mut see: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), SnapshotError> {
    let mut reader = BlockReader::at(file)?;
    while !reader.at_end() {
        see(reader.next()?.columns.bytes()).map_err(SnapshotError::io("unpack", file))?;
    }
    Ok(())
}

/// Renames damaged snapshots that were passed over; gives what is wrong with each, and where it is now.
fn set_aside(dir: &DataDir, damaged: Vec<Damaged>) -> Result<Vec<String>, SnapshotError> {
    let aside = |(file, error): Damaged| {
        let aside = dir.set_aside(&file)?;
        Ok(format!("{error}; it is now `{}`", aside.display()))
    };
    damaged.into_iter().map(aside).collect()
}

/// A snapshot that was passed over, and why.
pub(crate) type Damaged = (Stored, SnapshotError);

/// The newest snapshot that is not damaged, and the newer ones, which are.
#[derive(Debug)]
pub(crate) struct Found<T> {
    pub(crate) whole: Option<T>,
    pub(crate) damaged: Vec<Damaged>,
}

impl<T> Found<T> {
    /// For whoever can do without only where there are none at all.
    fn any(self) -> Result<Option<(T, Vec<Damaged>)>, SnapshotError> {
        match self.whole {
            Some(whole) => Ok(Some((whole, self.damaged))),
            None if self.damaged.is_empty() => Ok(None),
            None => Err(none_whole(self.damaged)),
        }
    }
}

/// Reads the newest snapshot that is not damaged.
fn newest_whole<T>(
    dir: &DataDir,
    mut read: impl FnMut(&Stored) -> Result<T, SnapshotError>,
) -> Result<Found<T>, SnapshotError> {
    let mut damaged = Vec::new();
    for file in dir.snapshots()? {
        match read(&file) {
            Ok(whole) => return Ok(Found { whole: Some(whole), damaged }),
            Err(error @ SnapshotError::Damaged { .. }) => damaged.push((file, error)),
            Err(error) => return Err(error),
        }
    }
    Ok(Found { whole: None, damaged })
}

/// Renames damaged snapshots; gives what a person should know of each, and what was done instead.
pub(crate) fn pass_over(
    dir: &DataDir,
    damaged: Vec<Damaged>,
    instead: &str,
) -> Result<Vec<String>, SnapshotError> {
    let aside = set_aside(dir, damaged)?.into_iter();
    Ok(aside.map(|it| format!("{it}, and {instead}")).collect())
}

/// The error of whoever needs a whole one.
pub(crate) fn none_whole(damaged: Vec<Damaged>) -> SnapshotError {
    SnapshotError::NoneWhole { damaged: damaged.into_iter().map(|(_, error)| error).collect() }
}

#[cfg(test)]
fn read_from(path: &Path, rules: &RuleSet) -> Result<Held, SnapshotError> {
    let mut reader = BlockReader::at(path)?;
    let header = read_header(&mut reader)?;
    load::rest(reader, &header, rules, false)
}

fn read_header(reader: &mut BlockReader) -> Result<Header, SnapshotError> {
    let mut block = reader.next()?;
    let header = Header::decode(block.columns.rest(0)).ok().filter(|_| block.kind == BlockKind::Header);
    header.ok_or_else(|| reader.damaged("it is not a header"))
}

/// Below which position a snapshot has seen records, as its last block says; none where damage hides that.
fn seen_below(reader: BlockReader) -> Result<Option<u64>, SnapshotError> {
    match reader.last() {
        Ok(mut block) if block.kind == BlockKind::End => {
            Ok(End::decode(block.columns.rest(0)).ok().map(|it| it.seen_below))
        }
        Ok(_) | Err(SnapshotError::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn hash_key(header: &Header, reader: &BlockReader) -> Result<HashKey, SnapshotError> {
    let bytes: Option<[u8; 16]> = header.key.as_slice().try_into().ok();
    bytes.map(HashKey::new).ok_or_else(|| reader.damaged("its hash key is not one"))
}

#[cfg(test)]
mod tests;
