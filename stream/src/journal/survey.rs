//! What is found on the disk before a journal is opened: which of it lasts, what is a torn tail, what is damage.
//!
//! Each head tells D: everything below D had been synced when the head was written. With D the greatest in any head, or
//! in the snapshot that the caller knows: bytes that are wrong at or below D are damage, and the journal is refused;
//! beyond D they are a torn tail, which was promised to nobody. Valid records behind a wrong one prove nothing: pages
//! that were not synced reach the disk in any order. A head behind it does, if D was all that there was to sync: then
//! every byte before that head had been synced.

use std::sync::Arc;

use super::JournalError;
use super::batch::{HEAD_BYTES, Head, HeadKey, Link, Role, SECTOR_BYTES, boundary_after, link};
use super::index::Index;
use super::segment::{self, HEADER_BYTES, Header, NoHeader};
use super::shelf::{Segment, Shelf};
use super::walk::{Broken, Found, Walk, Window};
use crate::disk::{Disk, File};

/// Bytes hashed at once.
const CHUNK_BYTES: usize = 1 << 18;

/// How much of the sealed segments is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Thorough {
    /// Only their ends: who reads them checks them then.
    Newest,
    /// Every record from an offset on.
    From(u64),
    /// Every record, and the chain.
    Chain,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) header: Header,
    /// All segments but the newest.
    sealed: Vec<(u64, Arc<dyn File>)>,
    /// The newest.
    pub(super) newest: Newest,
    /// Offset of the next record.
    pub(super) next: u64,
    /// D.
    pub(super) synced: u64,
    /// The name of a segment whose header never reached the disk.
    pub(super) unborn: Option<String>,
}

/// What was found in the newest segment.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) first: u64,
    pub(super) file: Arc<dyn File>,
    /// None where it is not needed.
    index: Option<Index>,
    records: u64,
    /// Where what is good ends.
    pub(super) end: u64,
    /// Where the next batch begins.
    pub(super) at: u64,
    /// What is wrong behind it, and how many bytes are to be cut.
    pub(super) torn: Option<(Broken, u64)>,
    /// The link of everything.
    pub(super) chain: Link,
    /// The number of the next batch.
    pub(super) batch: u64,
    /// Where that begins which is not known to be on the disk.
    pub(super) unsynced_at: u64,
    /// Whether it ends with a seal.
    pub(super) sealed: bool,
}

impl Survey {
    /// Looks at what a folder holds, and changes nothing; none if it holds no journal. `synced` is a D that the caller
    /// knows; `index` says whether the newest segment's index is wanted, which takes longer than reading.
    pub(super) fn of(
        disk: &dyn Disk,
        synced: u64,
        thorough: Thorough,
        index: bool,
    ) -> Result<Option<Self>, JournalError> {
        let mut segments = segments(disk)?;
        let unborn = unborn(disk, &segments, synced)?;
        if unborn.is_some() {
            segments.pop();
        }
        let Some((newest_first, newest_name)) = segments.pop() else { return Ok(None) };
        let open = |name: &str| disk.open(name).map_err(JournalError::io("open", &disk.path(name)));
        let newest_file: Arc<dyn File> = open(&newest_name)?.into();
        let newest_header = read_header(&*newest_file, &disk.path(&newest_name), newest_first)?;
        let mut sealed: Vec<(u64, Arc<dyn File>)> = Vec::with_capacity(segments.len());
        let mut headers = Vec::with_capacity(segments.len() + 1);
        for (first, name) in &segments {
            let file: Arc<dyn File> = open(name)?.into();
            headers.push(read_header(&*file, &disk.path(name), *first)?);
            sealed.push((*first, file));
        }
        headers.push(newest_header);
        for ((first, file), pair) in sealed.iter().zip(headers.windows(2)) {
            let [header, after] = pair else { break };
            check_sealed(disk, (*first, file), header, after, thorough)?;
        }
        // A segment is only begun once the one before was synced.
        let least = synced.max(if sealed.is_empty() { 0 } else { newest_first });
        let path = disk.path(&newest_name);
        let what = Look { chain: thorough == Thorough::Chain, index };
        let (newest, synced) = Newest::scan(newest_file, &newest_header, least, what, &path)?;
        let next = newest_first + newest.records;
        if next < synced {
            let what = format!("it ends before record {next}, and those below {synced} were durable");
            return Err(JournalError::Damaged { file: path, at: newest.end, what });
        }
        Ok(Some(Self { header: newest_header, sealed, newest, next, synced, unborn }))
    }

    /// Offset of the oldest record.
    pub(super) fn oldest(&self) -> u64 {
        self.sealed.first().map_or(self.newest.first, |(first, _)| *first)
    }

    /// How many segments there are.
    pub(super) fn segments(&self) -> usize {
        self.sealed.len() + 1
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> std::io::Result<u64> {
        let sealed = self.sealed.iter().map(|(_, file)| file.bytes());
        Ok(sealed.sum::<std::io::Result<u64>>()? + self.newest.end)
    }

    /// The segments, to be read below an offset.
    pub(super) fn shelf(self, disk: Arc<dyn Disk>, durable: u64) -> Shelf {
        let sealed = self.sealed.into_iter().map(|(first, file)| Segment::sealed(first, file));
        let Newest { first, file, index, .. } = self.newest;
        let newest = std::iter::once(match index {
            Some(index) => Segment::indexed(first, file, index),
            None => Segment::sealed(first, file),
        });
        Shelf::new(disk, HeadKey::new(self.header.key), sealed.chain(newest).collect(), durable)
    }
}

/// The segments of a folder by their names, in order.
fn segments(disk: &dyn Disk) -> Result<Vec<(u64, String)>, JournalError> {
    let names = disk.list().map_err(JournalError::io("list", &disk.path("")))?;
    let found = names.iter().filter_map(|name| Some((segment::first_of(name)?, name.clone())));
    let mut found: Vec<_> = found.collect();
    found.sort_unstable();
    match names.into_iter().next() {
        Some(file) if found.is_empty() => Err(JournalError::NotAJournal { folder: disk.path(""), file }),
        _ => Ok(found),
    }
}

/// The newest segment, if the machine stopped before its header lasted. Only then is anything written behind it.
fn unborn(disk: &dyn Disk, segments: &[(u64, String)], synced: u64) -> Result<Option<String>, JournalError> {
    let Some((first, name)) = segments.last() else { return Ok(None) };
    let path = disk.path(name);
    let failed = || JournalError::io("read", &path);
    let file: Arc<dyn File> = disk.open(name).map_err(failed())?.into();
    let mut bytes = [0; HEADER_BYTES];
    let read = file.read_at(&mut bytes, 0).map_err(failed())?;
    let header = Header::decode(bytes.get(..read).unwrap_or_default());
    // Where there is no other, only the first of all can have been begun just then: upon nothing, or upon a snapshot.
    let begun = segments.len() != 1 || *first == 0 || *first == synced;
    if header != Err(NoHeader::Damaged) || *first < synced || !begun {
        return Ok(None);
    }
    let (mut window, mut at) = (Window::new(file), HEADER_BYTES as u64);
    loop {
        let bytes = window.get(at, CHUNK_BYTES).map_err(failed())?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(None);
        }
        if bytes.is_empty() {
            return Ok(Some(name.clone()));
        }
        at += bytes.len() as u64;
    }
}

fn read_header(file: &dyn File, path: &str, first: u64) -> Result<Header, JournalError> {
    let mut bytes = [0; HEADER_BYTES];
    let read = file.read_at(&mut bytes, 0).map_err(JournalError::io("read", path))?;
    let header = Header::decode(bytes.get(..read).unwrap_or_default());
    let header = header.map_err(|it| it.error(path.to_owned()))?;
    if header.first != first {
        let what = format!("it begins with record {}, and its name says another", header.first);
        return Err(JournalError::Damaged { file: path.to_owned(), at: 0, what });
    }
    Ok(header)
}

/// Refuses a segment that does not end where the next begins, or, looked at more thoroughly, is damaged.
fn check_sealed(
    disk: &dyn Disk,
    (first, file): (u64, &Arc<dyn File>),
    header: &Header,
    after: &Header,
    thorough: Thorough,
) -> Result<(), JournalError> {
    let path = disk.path(&segment::name(first));
    let damaged =
        |at: u64, what: &str| Err(JournalError::Damaged { file: path.clone(), at, what: what.to_owned() });
    if (header.key, header.partition, header.tenant) != (after.key, after.partition, after.tenant) {
        return damaged(0, "it and the segment after it belong to different journals");
    }
    let key = HeadKey::new(header.key);
    let quick = match thorough {
        Thorough::Newest => true,
        Thorough::From(from) => after.first <= from,
        Thorough::Chain => false,
    };
    if quick && ends_with(&**file, &key, first, after).map_err(JournalError::io("read", &path))? {
        return Ok(());
    }
    let what = Look { chain: thorough == Thorough::Chain, index: false };
    let (found, _) = Newest::scan(Arc::clone(file), header, after.first, what, &path)?;
    let end = first + found.records;
    if !found.sealed {
        return damaged(found.end, "it is not the newest segment, and its end is missing");
    }
    if let Some((broken, _)) = found.torn {
        return Err(broken.error(path));
    }
    if end != after.first {
        let file = disk.path(&segment::name(after.first));
        return Err(JournalError::Gap { file, expected: end, found: after.first });
    }
    if found.chain != after.chain {
        return damaged(found.end, "the segment after it was not written after it: the chain is broken");
    }
    Ok(())
}

/// Whether a segment's last sector is the seal after which another begins.
fn ends_with(file: &dyn File, key: &HeadKey, first: u64, after: &Header) -> std::io::Result<bool> {
    let Some(at) = file.bytes()?.checked_sub(SECTOR_BYTES) else { return Ok(false) };
    let mut bytes = [0; HEAD_BYTES];
    file.read_at(&mut bytes, at)?;
    let seal = Head::decode(&bytes, key, first, at).filter(|it| it.role == Role::Seal);
    Ok(seal.is_some_and(|seal| seal.next == after.first && link(&seal.chain, &bytes) == after.chain))
}

/// What is done with a segment besides looking at its checksums.
#[derive(Clone, Copy)]
struct Look {
    /// The chain is followed.
    chain: bool,
    /// The index is built.
    index: bool,
}

impl Newest {
    /// Reads a segment to its end, or to where it is torn. `synced` is the greatest D known so far; gives the greatest
    /// of all.
    fn scan(
        file: Arc<dyn File>,
        header: &Header,
        synced: u64,
        look: Look,
        path: &str,
    ) -> Result<(Self, u64), JournalError> {
        let failed = || JournalError::io("read", path);
        let mut walk = Walk::new(Arc::clone(&file), HeadKey::new(header.key), header.first);
        let index = look.index.then(Index::default);
        let mut scan =
            Scan { file, path, header, index, records: 0, heads: Vec::new(), synced, good: walk.at() };
        let broken = loop {
            match walk.step().map_err(failed())? {
                Found::End => break None,
                Found::Bad(broken) => break Some(broken),
                Found::Frame(at) => {
                    if let Some(index) = &mut scan.index {
                        index.push(&walk.current(), at);
                    }
                }
                Found::Head(head) => scan.head(walk.batch_at(), head, look.chain)?,
            }
            scan.records = walk.next_record() - header.first;
            scan.good = walk.at();
        };
        if let Some(broken) = &broken {
            let behind = walk.heads_behind(broken.at).map_err(failed())?;
            scan.synced = scan.synced.max(behind.synced);
            if walk.next_record() < scan.synced || behind.whole || broken.newer.is_some() {
                return Err(broken.error(path.to_owned()));
            }
        }
        // Between batches the zeros before belong to what is good.
        let boundary = walk.is_between_batches().then_some(walk.at());
        scan.finish(broken, boundary)
    }
}

/// A segment as it is read.
struct Scan<'a> {
    file: Arc<dyn File>,
    path: &'a str,
    header: &'a Header,
    index: Option<Index>,
    records: u64,
    /// The batches: where each begins.
    heads: Vec<(u64, Head)>,
    synced: u64,
    /// Where the last head or frame ends.
    good: u64,
}

impl Scan<'_> {
    fn head(&mut self, at: u64, head: Head, check_chain: bool) -> Result<(), JournalError> {
        if check_chain && self.link()? != head.chain {
            let what = "the chain is broken: what stands before was changed after it was written".to_owned();
            return Err(JournalError::Damaged { file: self.path.to_owned(), at, what });
        }
        self.synced = self.synced.max(head.synced);
        self.heads.push((at, head));
        Ok(())
    }

    /// The link after the last batch.
    fn link(&self) -> Result<Link, JournalError> {
        let Some((at, head)) = self.heads.last() else { return Ok(self.header.chain) };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&head.chain);
        let (mut window, mut at) = (Window::new(Arc::clone(&self.file)), *at);
        while at < self.good {
            let want = usize::try_from(self.good - at).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let bytes = window.get(at, want).map_err(JournalError::io("read", self.path))?;
            if bytes.is_empty() {
                break;
            }
            hasher.update(bytes);
            at += bytes.len() as u64;
        }
        Ok(*hasher.finalize().as_bytes())
    }

    fn finish(self, broken: Option<Broken>, boundary: Option<u64>) -> Result<(Newest, u64), JournalError> {
        let bytes = self.file.bytes().map_err(JournalError::io("read", self.path))?;
        let end = boundary.unwrap_or(self.good);
        let chain = self.link()?;
        let synced_heads = self.heads.partition_point(|(_, head)| head.next < self.synced);
        // The first batch at D if there is one, else the last below it.
        let unsynced = match self.heads.get(synced_heads) {
            Some((at, head)) if head.next == self.synced => Some(*at),
            _ => self.heads.get(synced_heads.saturating_sub(1)).map(|(at, _)| *at),
        };
        let last = self.heads.last().map(|(_, head)| head);
        let newest = Newest {
            first: self.header.first,
            end,
            at: boundary.unwrap_or_else(|| boundary_after(self.good)),
            torn: broken.map(|broken| (broken, bytes.saturating_sub(end))),
            chain,
            batch: last.map_or(0, |head| head.batch + 1),
            // The header too, where no head tells that it was synced.
            unsynced_at: unsynced.filter(|at| HEADER_BYTES as u64 != *at).unwrap_or(0),
            sealed: last.is_some_and(|head| head.role == Role::Seal),
            file: self.file,
            index: self.index,
            records: self.records,
        };
        Ok((newest, self.synced))
    }
}
