//! A disk in memory that loses what was not synced, by seed.
//!
//! It keeps of each file what a reader sees and what lasts, and which sectors of the two differ. A [`Simulated::crash`]
//! keeps any subset of the sectors that were not synced (whole pages, or sector by sector), any length between the
//! lengths before and after, and any subset of what was created, renamed and removed. So nothing that a file system may
//! do is gentler than this; ext4 and XFS order much of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::{Disk, File};

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;
/// Sectors that the system writes together, as a rule.
const PAGE_SECTORS: usize = 8;

/// What goes wrong besides crashes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Of a thousand syncs, how many fail. What they were to write is lost, though readers see it until the crash, and
    /// the next sync succeeds without it: so Linux does it.
    pub syncs_failing_in_1000: u64,
    /// Of a thousand writes, how many fail, with a part written.
    pub writes_failing_in_1000: u64,
    /// Syncing does nothing at all: to prove that tests notice.
    pub syncs_do_nothing: bool,
    /// What each sync takes.
    pub sync_time: Duration,
    /// What each sync takes besides, for what it writes.
    pub bytes_per_s: Option<u64>,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct Simulated {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    random: ChaCha8Rng,
    faults: Faults,
    nodes: Vec<Node>,
    names: BTreeMap<String, usize>,
    /// The names that last.
    lasting: BTreeMap<String, usize>,
    /// What changed `names` since they were as `lasting` says.
    changes: Vec<Change>,
    /// How many crashes there were: files that were opened before the last one are gone.
    crashes: u64,
    syncs: u64,
}

/// A file without its name.
#[derive(Debug, Default)]
struct Node {
    seen: Vec<u8>,
    lasting: Vec<u8>,
    /// Sectors that were written since the last sync.
    dirty: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
enum Change {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
}

impl Simulated {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: ChaCha8Rng::seed_from_u64(seed),
            faults: Faults::default(),
            nodes: Vec::new(),
            names: BTreeMap::new(),
            lasting: BTreeMap::new(),
            changes: Vec::new(),
            crashes: 0,
            syncs: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Sets what goes wrong from here on.
    pub fn set_faults(&self, faults: Faults) {
        self.state.lock().faults = faults;
    }

    /// The power fails and comes back: what is found then is one of the things that may be left. Files that are open
    /// fail from here on.
    pub fn crash(&self) {
        let state = &mut *self.state.lock();
        state.crashes += 1;
        for node in &mut state.nodes {
            node.crash(&mut state.random);
        }
        let changes = std::mem::take(&mut state.changes);
        let kept: Vec<_> =
            changes.into_iter().filter(|_| state.random.next_u32().is_multiple_of(2)).collect();
        for change in kept {
            change.apply(&mut state.lasting);
        }
        state.names = state.lasting.clone();
    }

    /// Turns over one bit of a file, where it is seen and where it lasts. Gives whether the file has that byte.
    pub fn flip(&self, name: &str, at: u64, bit: u8) -> bool {
        let state = &mut *self.state.lock();
        let (Some(node), Ok(at)) = (state.names.get(name), usize::try_from(at)) else { return false };
        let Some(node) = state.nodes.get_mut(*node) else { return false };
        let copies = [&mut node.seen, &mut node.lasting];
        let flipped = copies.map(|copy| copy.get_mut(at).map(|byte| *byte ^= 1 << (bit % 8)));
        flipped.iter().any(Option::is_some)
    }

    /// How many syncs were asked for.
    pub fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// What readers see of a file; empty if it is not there.
    pub fn contents(&self, name: &str) -> Vec<u8> {
        let state = self.state.lock();
        let node = state.names.get(name).and_then(|node| state.nodes.get(*node));
        node.map(|it| it.seen.clone()).unwrap_or_default()
    }

    /// Puts a file there, as if it had always been.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let state = &mut *self.state.lock();
        let node = state.nodes.len();
        state.nodes.push(Node { seen: bytes.to_vec(), lasting: bytes.to_vec(), dirty: BTreeSet::new() });
        state.names.insert(name.to_owned(), node);
        state.lasting.insert(name.to_owned(), node);
    }

    fn file(&self, state: &State, node: usize) -> Box<dyn File> {
        Box::new(Opened { disk: self.clone(), node, crashes: state.crashes })
    }
}

impl State {
    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.names);
        self.changes.push(change);
    }

    fn fails(&mut self, in_1000: u64) -> bool {
        in_1000 != 0 && self.random.next_u64() % 1000 < in_1000
    }
}

impl Change {
    /// What has no effect any more, because what it builds on was lost, has none.
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create(name, node) => {
                names.insert(name, node);
            }
            Self::Rename(from, to) => {
                if let Some(node) = names.remove(&from) {
                    names.insert(to, node);
                }
            }
            Self::Remove(name) => {
                names.remove(&name);
            }
        }
    }
}

impl Node {
    fn write(&mut self, bytes: &[u8], at: usize) {
        let end = at + bytes.len();
        if self.seen.len() < end {
            self.mark(self.seen.len(), end);
            self.seen.resize(end, 0);
        }
        self.mark(at, end);
        if let Some(place) = self.seen.get_mut(at..end) {
            place.copy_from_slice(bytes);
        }
    }

    fn truncate(&mut self, bytes: usize) {
        let (from, to) = (bytes.min(self.seen.len()), bytes.max(self.seen.len()));
        self.mark(from, to);
        self.seen.resize(bytes, 0);
    }

    fn mark(&mut self, from: usize, to: usize) {
        self.dirty.extend(from / SECTOR_BYTES..to.div_ceil(SECTOR_BYTES));
    }

    /// Writes what is dirty, and no more: what a failed sync dropped stays lost.
    fn sync(&mut self) {
        self.lasting.resize(self.seen.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            copy_sector(sector, &self.seen, &mut self.lasting);
        }
    }

    /// Keeps some of the sectors that were not synced, and some length.
    fn crash(&mut self, random: &mut ChaCha8Rng) {
        let (short, long) =
            (self.seen.len().min(self.lasting.len()), self.seen.len().max(self.lasting.len()));
        let between = |random: &mut ChaCha8Rng| match random.next_u32() % 4 {
            0 => self.seen.len(),
            1 => self.lasting.len(),
            2 => short.next_multiple_of(SECTOR_BYTES * PAGE_SECTORS).min(long),
            _ => short + usize::try_from(random.next_u64()).unwrap_or(0) % (long - short + 1),
        };
        let length = if self.dirty.is_empty() { self.lasting.len() } else { between(random) };
        let mut found = std::mem::take(&mut self.lasting);
        found.resize(long, 0);
        let (mut page, mut page_fate) = (usize::MAX, 0);
        for sector in std::mem::take(&mut self.dirty) {
            if page != sector / PAGE_SECTORS {
                (page, page_fate) = (sector / PAGE_SECTORS, random.next_u32() % 3);
            }
            let kept = page_fate == 0 || (page_fate == 1 && random.next_u32().is_multiple_of(2));
            if kept {
                copy_sector(sector, &self.seen, &mut found);
            }
        }
        found.truncate(length);
        self.seen.clone_from(&found);
        self.lasting = found;
    }
}

/// Copies what `from` has of a sector.
fn copy_sector(sector: usize, from: &[u8], to: &mut [u8]) {
    let range = sector * SECTOR_BYTES..((sector + 1) * SECTOR_BYTES).min(from.len());
    if let (Some(from), Some(to)) = (from.get(range.clone()), to.get_mut(range)) {
        to.copy_from_slice(from);
    }
}

impl Disk for Simulated {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let state = &mut *self.state.lock();
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = state.nodes.len();
        state.nodes.push(Node::default());
        state.change(Change::Create(name.to_owned(), node));
        Ok(self.file(state, node))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        let state = self.state.lock();
        let node = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(&state, node))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state.lock().names.keys().cloned().collect())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let state = &mut *self.state.lock();
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let state = &mut *self.state.lock();
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change(Change::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let state = &mut *self.state.lock();
        state.syncs += 1;
        if state.fails(state.faults.syncs_failing_in_1000) {
            // Nothing is forgotten, as it is of files: names are in the file system's own journal.
            return Err(io::Error::other("simulated: syncing the folder failed"));
        }
        if !state.faults.syncs_do_nothing {
            for change in std::mem::take(&mut state.changes) {
                change.apply(&mut state.lasting);
            }
        }
        Ok(())
    }

    fn path(&self, name: &str) -> String {
        if name.is_empty() { "simulated".to_owned() } else { format!("simulated/{name}") }
    }
}

/// An open file of it.
#[derive(Debug)]
struct Opened {
    disk: Simulated,
    node: usize,
    crashes: u64,
}

impl Opened {
    /// Does something with the file, unless there was a crash since it was opened.
    fn with<T>(&self, act: impl FnOnce(&mut State, usize) -> io::Result<T>) -> io::Result<T> {
        let state = &mut *self.disk.state.lock();
        if state.crashes != self.crashes {
            return Err(io::Error::other("simulated: the machine crashed since the file was opened"));
        }
        act(state, self.node)
    }

    fn with_node<T>(&self, act: impl FnOnce(&mut Node) -> T) -> io::Result<T> {
        self.with(|state, node| state.nodes.get_mut(node).map(act).ok_or(io::ErrorKind::NotFound.into()))
    }
}

impl File for Opened {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.with_node(|node| {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            let from = node.seen.get(at..).unwrap_or_default();
            let read = from.len().min(into.len());
            if let (Some(to), Some(from)) = (into.get_mut(..read), from.get(..read)) {
                to.copy_from_slice(from);
            }
            read
        })
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let failing = self.with(|state, _| Ok(state.fails(state.faults.writes_failing_in_1000)))?;
        let written = if failing { bytes.len() / 2 } else { bytes.len() };
        let at = usize::try_from(at).map_err(io::Error::other)?;
        self.with_node(|node| node.write(bytes.get(..written).unwrap_or_default(), at))?;
        if failing { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        let (faults, bytes) = self.with(|state, node| {
            state.syncs += 1;
            let dirty = state.nodes.get(node).map_or(0, |it| it.dirty.len());
            Ok((state.faults, (dirty * SECTOR_BYTES) as u64))
        })?;
        let writing = faults.bytes_per_s.map_or(0, |rate| bytes * 1_000_000 / rate.max(1));
        let time = faults.sync_time + Duration::from_micros(writing);
        if !time.is_zero() {
            std::thread::sleep(time);
        }
        self.with(|state, node| {
            let failing = state.fails(faults.syncs_failing_in_1000);
            let Some(node) = state.nodes.get_mut(node) else { return Err(io::ErrorKind::NotFound.into()) };
            if failing {
                node.dirty.clear();
                return Err(io::Error::other("simulated: syncing failed"));
            }
            if !faults.syncs_do_nothing {
                node.sync();
            }
            Ok(())
        })
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        self.with_node(|node| node.truncate(bytes))
    }

    fn bytes(&self) -> io::Result<u64> {
        self.with_node(|node| node.seen.len() as u64)
    }
}

#[cfg(test)]
mod tests;
