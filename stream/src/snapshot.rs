//! Snapshots: the state of a gate at a position, in a data directory that one process owns.
//!
//! A snapshot is written entity by entity into a new file beside the old ones, synced, and renamed; the newest two are
//! kept. It is read by a rule set that needs no state but what the snapshot holds, which is named by the definition
//! hashes of features. Damage is refused, and the snapshot before is used.
//!
//! ```text
//! header | entities, sorted by kind and key | recent ids with their records | blobs of the caller | end
//! ```
//! The same state gives the same bytes, whoever holds it.

mod block;
mod directory;
mod entity;
mod error;
mod layout;
mod recent;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::entity::HashKey;
use engine::rates::Rates;
use engine::rule_set::RuleSet;
use prost::Message;
use rules::time::Micros;

use crate::gate::directory::Directory;
use crate::gate::recent::Recent;
use crate::gate::{Gate, REPEAT_FOR};
use crate::journal::Journal;
use block::{BlockKind, BlockReader, BlockWriter, Columns, Cut};
pub use directory::DataDir;
use entity::{EntityReader, EntityWriter};
pub use error::SnapshotError;
use layout::{KindFit, Layout};

/// What the caller wants kept beside the gate's state, by name; its bytes are the caller's matter.
pub type Extra = BTreeMap<String, Vec<u8>>;

/// What a snapshot held.
#[derive(Debug)]
pub struct Restored {
    /// The gate as it was.
    pub gate: Gate,
    /// What the caller had kept beside it.
    pub extra: Extra,
    /// What a person should know: snapshots that were passed over, and where they are now.
    pub notes: Vec<String>,
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
}

/// The column of a name, and that of bytes.
const NAME: usize = 0;
const BYTES: usize = 1;
/// Bytes of a blob in one block.
const PIECE_BYTES: usize = 1 << 20;

/// Writes what the gate holds and `extra` as the newest snapshot of a data directory; gives its file.
///
/// Decisions may go on meanwhile; then what it holds is not of one moment, and a journal must be read from its start.
///
/// # Errors
/// If the disk does not take it. Then the snapshots before it stand as they did.
pub fn write(dir: &DataDir, gate: &Gate, extra: &Extra) -> Result<PathBuf, SnapshotError> {
    let draft = dir.draft();
    let written = File::create(&draft).and_then(|file| write_to(file, gate, extra));
    let file = written.map_err(SnapshotError::io("write", &draft))?;
    dir.publish(&file)
}

fn write_to(file: File, gate: &Gate, extra: &Extra) -> io::Result<File> {
    let rules = gate.rules();
    let schema = &rules.typed.schema;
    let header = Header {
        schema: schema.name.clone(),
        schema_version: schema.version,
        rule_set: rules.typed.hash.to_vec(),
        key: rules.key.bytes().to_vec(),
        tenant: 0,
        clock: gate.clock(),
        start: gate.next_position(),
        layout: Layout::of(rules),
    };
    let mut out = BlockWriter::new(file)?;
    write_message(&mut out, BlockKind::Header, &header)?;
    let (entities, seen_below) = write_entities(&mut out, gate)?;
    let ids = recent::write(&mut out, gate.recent())?;
    for (name, bytes) in extra {
        write_extra(&mut out, name, bytes)?;
    }
    let end = End { blocks: out.blocks, entities, ids, seen_below };
    write_message(&mut out, BlockKind::End, &end)?;
    Ok(out.into_file())
}

fn write_message(out: &mut BlockWriter, kind: BlockKind, message: &impl Message) -> io::Result<()> {
    let mut columns = Columns::default();
    columns.put(0, &message.encode_to_vec());
    out.write(kind, &mut columns)
}

fn write_entities(out: &mut BlockWriter, gate: &Gate) -> io::Result<(u64, u64)> {
    let mut keys = gate.directory().keys();
    keys.sort_unstable();
    let mut writer = EntityWriter::new(out);
    for key in keys {
        let Some(plan) = gate.rules().plan.kinds.get(key.kind.index()) else { continue };
        let Some(slot) = gate.directory().get(key) else { continue };
        let state = slot.lock();
        if !state.is_dead() {
            writer.write(key, &state, plan)?;
        }
        drop(state);
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

/// The key under which the ids of a data directory are hashed, which its rule sets must be compiled with; none if it
/// holds no snapshot.
///
/// # Errors
/// If no snapshot's header can be read, or one was written by a later version.
pub fn key(dir: &DataDir) -> Result<Option<HashKey>, SnapshotError> {
    let found = newest_whole(dir, |path| {
        let mut reader = BlockReader::open(path)?;
        let header = read_header(&mut reader)?;
        hash_key(&header, &reader)
    })?;
    Ok(found.map(|(key, _)| key))
}

/// Reads the newest whole snapshot of a data directory for a rule set; none if it holds none. `journal` makes the
/// journal that goes on at the position given. A damaged snapshot is set aside under another name and the one before
/// is taken, which the notes say.
///
/// # Errors
/// If every snapshot is damaged, if one was written by a later version, or if the rule set needs state or a schema
/// that it does not hold.
pub fn read(
    dir: &DataDir,
    rules: &Arc<RuleSet>,
    rates: &Arc<Rates>,
    journal: &dyn Fn(u64) -> Box<dyn Journal>,
) -> Result<Option<Restored>, SnapshotError> {
    let found = newest_whole(dir, |path| {
        let (header, end, contents, extra) = read_from(path, rules)?;
        let next = journal(header.start.max(end.seen_below));
        let gate = Gate::resumed(Arc::clone(rules), Arc::clone(rates), next, header.clock, contents);
        Ok((gate, extra))
    })?;
    let Some(((gate, extra), damaged)) = found else { return Ok(None) };
    let mut notes = Vec::new();
    for (path, error) in damaged {
        let aside = dir.set_aside(&path)?;
        notes.push(format!("{error}; it is now `{}`, and the snapshot before it was used", aside.display()));
    }
    Ok(Some(Restored { gate, extra, notes }))
}

/// A snapshot that was passed over, and why.
type Damaged = (PathBuf, SnapshotError);

/// Reads the newest snapshot that is not damaged, and says which newer ones are.
fn newest_whole<T>(
    dir: &DataDir,
    mut read: impl FnMut(&Path) -> Result<T, SnapshotError>,
) -> Result<Option<(T, Vec<Damaged>)>, SnapshotError> {
    let mut damaged = Vec::new();
    for path in dir.snapshots()? {
        match read(&path) {
            Ok(found) => return Ok(Some((found, damaged))),
            Err(error @ SnapshotError::Damaged { .. }) => damaged.push((path, error)),
            Err(error) => return Err(error),
        }
    }
    match damaged.into_iter().next() {
        None => Ok(None),
        Some((_, error)) => Err(error),
    }
}

type Contents = (Directory, Recent);

fn read_from(path: &Path, rules: &RuleSet) -> Result<(Header, End, Contents, Extra), SnapshotError> {
    let mut reader = BlockReader::open(path)?;
    let header = read_header(&mut reader)?;
    let ours = Layout::of(rules);
    let kinds = fit(&header, &ours, rules, &reader)?;
    let same_rules = header.rule_set == rules.typed.hash;
    let (directory, recent, mut extra) = (Directory::default(), Recent::new(REPEAT_FOR), Extra::new());
    let layouts = (&ours, &header.layout);
    let mut entities = EntityReader::new(rules, &directory, layouts, kinds, same_rules);
    let mut ids = 0;
    let end = loop {
        let before = reader.blocks;
        let (kind, mut block) = reader.next()?;
        let read = match kind {
            BlockKind::Header => None,
            BlockKind::Entities => entities.read(&mut block),
            BlockKind::Recent => recent::read(&mut block, &recent).map(|read| ids += read),
            BlockKind::Extra => read_extra(&mut block, &mut extra),
            BlockKind::End => {
                entities.finish();
                let end = End::decode(block.rest(0)).ok();
                let whole = |it: &End| (it.blocks, it.entities, it.ids) == (before, entities.entities, ids);
                let end = end.filter(|it| whole(it) && reader.at_end());
                break end.ok_or_else(|| reader.damaged("it does not end as it began"))?;
            }
        };
        read.ok_or_else(|| reader.damaged("its columns do not fit together"))?;
    };
    Ok((header, end, (directory, recent), extra))
}

fn read_header(reader: &mut BlockReader) -> Result<Header, SnapshotError> {
    let (kind, mut block) = reader.next()?;
    let header = Header::decode(block.rest(0)).ok().filter(|_| kind == BlockKind::Header);
    header.ok_or_else(|| reader.damaged("it is not a header"))
}

fn hash_key(header: &Header, reader: &BlockReader) -> Result<HashKey, SnapshotError> {
    let bytes: Option<[u8; 16]> = header.key.as_slice().try_into().ok();
    bytes.map(HashKey::new).ok_or_else(|| reader.damaged("its hash key is not one"))
}

/// Where the state that the rule set needs stands in a snapshot, kind by kind.
fn fit(
    header: &Header,
    ours: &Layout,
    rules: &RuleSet,
    reader: &BlockReader,
) -> Result<Vec<KindFit>, SnapshotError> {
    let file = || reader.path().to_owned();
    if hash_key(header, reader)? != rules.key {
        return Err(SnapshotError::OtherKey { file: file() });
    }
    let schema = &rules.typed.schema;
    let renamed = (header.schema != schema.name).then(|| "another name".to_owned());
    if let Some(what) = renamed.or_else(|| ours.difference(&header.layout)) {
        let theirs = format!("`{}` {}", header.schema, header.schema_version);
        let ours = format!("`{}` {}", schema.name, schema.version);
        return Err(SnapshotError::OtherSchema { file: file(), theirs, ours, what });
    }
    let features = ours.missing_in(&header.layout);
    if !features.is_empty() {
        return Err(SnapshotError::Lacking { file: file(), features });
    }
    let kinds = ours.kinds.iter().zip(&rules.plan.kinds).enumerate();
    kinds
        .map(|(at, (ours, plan))| match header.layout.kinds.get(at) {
            None => Some(KindFit::default()),
            Some(theirs) => KindFit::new(ours, plan, theirs),
        })
        .collect::<Option<_>>()
        .ok_or_else(|| reader.damaged("its features and its columns do not fit together"))
}

fn read_extra(block: &mut Cut, into: &mut Extra) -> Option<()> {
    let name = str::from_utf8(block.rest(NAME)).ok()?.to_owned();
    into.entry(name).or_default().extend_from_slice(block.rest(BYTES));
    Some(())
}

#[cfg(test)]
mod tests;
