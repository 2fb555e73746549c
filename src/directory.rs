//! A data directory that a command owns while it runs: to read its journal as it stands, or to go on with it. Every
//! command opens it here.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, ensure};
use engine::entity::{EntityKey, HashKey};
use engine::lists::Membership;
use prost::Message as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use stream::bundle::{self, Bundle};
use stream::disk::{Disk, Folder};
use stream::gate::{Admission, Gate};
use stream::journal::{self, Durability, Journal as _, OnDisk, Options, RecordKind, Thorough};
use stream::record::{ListRecord, RuleSetRecord, Stamp};
use stream::recover::{self, Recovered};
use stream::snapshot::{self, DataDir, Newest, SnapshotError};

use crate::patience::patiently;
use crate::stderr;

/// The data directory unless another is named.
pub(crate) const DATA_DEFAULT: &str = "weir-data";

/// A directory whose journal is read and not touched.
#[derive(Debug)]
pub(crate) struct Untouched {
    pub(crate) disk: Arc<dyn Disk>,
    /// All records below were on the disk when a snapshot was written: they must be there.
    pub(crate) synced: u64,
    /// Nobody else has it as long as this is there.
    pub(crate) directory: DataDir,
}

/// A directory whose journal is open.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) directory: DataDir,
    pub(crate) journal: Arc<OnDisk>,
    /// Its newest snapshot, until a gate is recovered from it.
    read: Option<recover::Read>,
    say: Say,
}

/// Where a note for people goes.
pub(crate) type Say = fn(&str);

/// Takes a directory to read its journal.
pub(crate) fn untouched(data: &Path) -> anyhow::Result<Untouched> {
    let folder = there(data)?;
    let directory = DataDir::open(data)?;
    let disk = Folder::new(folder);
    let synced = newest(&directory, &disk)?.map_or(0, |it| it.seen_below);
    Ok(Untouched { disk: Arc::new(disk), synced, directory })
}

/// What the newest snapshot says of itself; none too where nothing can be read of any, and there is a journal to build the
/// state from.
///
/// # Errors
/// If it goes on from a journal, and there is none. The state of a replay that kept none goes on from nothing.
fn newest(directory: &DataDir, disk: &Folder) -> anyhow::Result<Option<Newest>> {
    let is_begun = journal::is_begun(disk)?;
    let newest = match snapshot::newest(directory) {
        Err(SnapshotError::NoneWhole { .. }) if is_begun => None,
        newest => newest?,
    };
    let goes_on = newest.as_ref().is_some_and(|it| !it.is_alone());
    ensure!(
        !goes_on || is_begun,
        "`{}` holds no journal, but the snapshots beside it go on from one: put it back, or name another data directory",
        disk.path("")
    );
    Ok(newest)
}

/// The error of a directory whose journal is empty.
pub(crate) fn empty(data: &Path) -> anyhow::Error {
    anyhow::anyhow!("the journal in `{}` holds no record yet", data.display())
}

/// Takes a directory and opens its journal, which is there.
pub(crate) fn existing(data: &Path) -> anyhow::Result<Opened> {
    there(data)?;
    open(data, Durability::Os, stderr::note)
}

fn there(data: &Path) -> anyhow::Result<std::path::PathBuf> {
    let folder = data.join("journal");
    let shown = data.display();
    // What may not be looked into is not empty.
    folder.try_exists().with_context(|| format!("`{shown}` cannot be looked into"))?;
    ensure!(
        folder.is_dir() || !data.join("snapshots").is_dir(),
        "`{shown}` holds snapshots and no journal: put `{}` back, which they go on from; what `weir replay --state` saved \
         has none",
        folder.display()
    );
    ensure!(
        folder.is_dir(),
        "`{shown}` holds no journal: name the data directory of `weir serve` or `weir replay --data`"
    );
    Ok(folder)
}

/// Lets the process open as many files as the system allows it to, two for each segment of a journal: shells allow their
/// programs some thousand to begin with.
pub(crate) fn raise_open_files() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Where it cannot be raised it stays what it was.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Takes a directory and opens its journal, or begins one.
pub(crate) fn open(data: &Path, durability: Durability, say: Say) -> anyhow::Result<Opened> {
    raise_open_files();
    let directory = DataDir::open(data)?;
    let folder = data.join("journal");
    let disk =
        Folder::create(&folder).with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
    // What the snapshot knows was on the disk, and is looked at by whoever reads it.
    let newest = newest(&directory, &disk)?;
    let (start, synced) = newest.as_ref().map_or((0, 0), |it| (it.start, it.seen_below));
    let born = match &newest {
        Some(it) if it.lay(&directory)? => Options { birth_first: it.start, ..Options::new(it.key) },
        _ => Options::new(new_key()?),
    };
    let options = Options { durability, synced, thorough: Thorough::From(start), ..born };
    // Neither needs the other, and both take long.
    let (journal, read) = thread::scope(|scope| {
        let reading = scope.spawn(|| recover::read(&directory));
        (OnDisk::open(Arc::new(disk), options), reading.join())
    });
    let journal = Arc::new(journal?);
    let read = read.map_err(|_| anyhow::anyhow!("reading the newest snapshot broke off"))??;
    journal.take_notes().iter().for_each(|note| say(note));
    Ok(Opened { directory, journal, read: Some(read), say })
}

/// A key of hashes that nobody can guess. It appears in no output and decides nothing.
pub(crate) fn new_key() -> anyhow::Result<HashKey> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("the system gives no random bytes for a key")?;
    Ok(HashKey::new(bytes))
}

impl Opened {
    /// What the directory comes to; none if it holds nothing.
    pub(crate) fn recover(&mut self) -> anyhow::Result<Option<Recovered>> {
        let (journal, key) = (Box::new(Arc::clone(&self.journal)), self.journal.key());
        let read = match self.read.take() {
            Some(read) => read,
            None => recover::read(&self.directory)?,
        };
        let recovered = recover::recover_on(read, &self.directory, key, journal, Admission::default())?;
        if let Some(recovered) = &recovered {
            recovered.notes.iter().for_each(|note| (self.say)(note));
            if recovered.gate.clock().is_none() {
                self.finish_begin(&recovered.gate)?;
            }
        }
        Ok(recovered)
    }

    /// Puts on the lists of the first rules' files whom nobody has put there yet or taken off: the first start may have broken
    /// off on the way. No event has come since.
    fn finish_begin(&self, gate: &Gate) -> anyhow::Result<()> {
        let (mut records, mut first, mut known) = (self.journal.cursor(0)?, None, HashSet::new());
        while let Some(record) = records.next()? {
            let Some((_, message)) = Stamp::split(record.body) else { continue };
            match record.kind {
                RecordKind::RuleSet if record.offset == 0 => first = RuleSetRecord::decode(message).ok(),
                RecordKind::List => {
                    let list = ListRecord::decode(message).ok();
                    known.extend(list.and_then(|it| Some((it.entity()?, it.list))));
                }
                _ => {}
            }
        }
        // Upon the state of a replay nothing is begun.
        let Some(RuleSetRecord { bundle, .. }) = first else { return Ok(()) };
        let checked = bundle.check()?;
        for (entity, membership) in bundle::memberships(&checked.rules, &checked.items, self.journal.key()) {
            let list = checked.rules.list(membership.list).map(|it| it.name.clone());
            if list.is_some_and(|list| !known.contains(&(entity, list))) {
                patiently(|| gate.put_on_list(entity, membership))?;
            }
        }
        Ok(())
    }

    /// A gate over the journal, which is empty, with who is on the lists of its rules' files.
    pub(crate) fn begin(
        &self,
        bundle: Bundle,
        memberships: Vec<(EntityKey, Membership)>,
    ) -> anyhow::Result<Gate> {
        let journal = Box::new(Arc::clone(&self.journal));
        let gate = Gate::begin(Arc::new(bundle), self.journal.key(), journal, Admission::default())?;
        for (entity, membership) in memberships {
            patiently(|| gate.put_on_list(entity, membership))?;
        }
        Ok(gate)
    }

    /// Writes and syncs what was appended, and closes the journal.
    pub(crate) fn close(&self) -> anyhow::Result<()> {
        self.journal.close();
        match self.journal.fault() {
            None => Ok(()),
            Some(fault) => anyhow::bail!("the journal could not be written: {fault}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use stream::bundle::ListFile;

    use super::*;

    /// The first start broke off when so many were on the list; the next one puts the rest there, and once.
    #[track_caller]
    fn check(first: usize) {
        let folder = tempfile::tempdir().unwrap();
        let schema = "schema s 1\nzone \"UTC\"\ncurrency EUR\nentity user\nevent payment\n  user: user\n";
        let rules = "use schema s\nlist bad : user from \"bad.csv\"\n\
                     rule r \"R\" on payment when user in bad then block\n";
        let list = ListFile { list: "bad".into(), name: "bad.csv".into(), text: "u1\nu2\nu3\n".into() };
        let sources = Bundle::of(&[("s.schema.weir", schema), ("s.weir", rules)]);
        let bundle = Bundle { lists: vec![list], ..sources };
        let checked = bundle.check().unwrap();
        let say: Say = |_| ();
        let opened = open(folder.path(), Durability::Fsync, say).unwrap();
        let all = bundle::memberships(&checked.rules, &checked.items, opened.journal.key());
        let begun = opened.begin(bundle, all[..first].to_vec()).unwrap();
        if first == 3 {
            begun.take_off_list(all[0].0, all[0].1.list).unwrap();
        }
        drop(begun);
        opened.close().unwrap();
        drop(opened);
        for _ in 0..2 {
            let mut opened = open(folder.path(), Durability::Fsync, say).unwrap();
            let gate = opened.recover().unwrap().unwrap().gate;
            let mut listed = 0;
            gate.for_each_entity(|_, state| listed += usize::from(state.lists().any_holds(0)));
            assert_eq!(listed, if first == 3 { 2 } else { 3 });
            assert_eq!(opened.journal.next(), if first == 3 { 5 } else { 4 });
            drop(gate);
            opened.close().unwrap();
        }
    }

    #[test]
    fn a_first_start_that_broke_off_is_finished() {
        check(0);
        check(1);
        // What was taken off since stays so.
        check(3);
    }
}
