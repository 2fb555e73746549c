//! The data directory: owned by one process, and its folder of snapshots, of which the newest two are kept, and the base
//! of a journal that was pruned.

use std::fs::{OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::error::SnapshotError;
use crate::disk::{Disk, File, Folder};

/// How many snapshots are kept: the newest, and one to fall back to.
const KEPT: usize = 2;
/// What the names of snapshots end with.
const EXTENSION: &str = "snapshot";
/// What the base is called in the place of a number.
const BASE: &str = "base";

/// How much of a file is copied at once.
const PIECE_BYTES: usize = 1 << 20;

/// A data directory that this process owns until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    snapshots: Arc<dyn Disk>,
    /// Held by whoever writes a snapshot.
    writing: Mutex<()>,
    /// Locked as long as it is open; none where nobody else can have the disk.
    _lock: Option<std::fs::File>,
}

/// A file in the folder of snapshots.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    disk: Arc<dyn Disk>,
    name: String,
    path: PathBuf,
}

impl Stored {
    /// How people know it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_base(&self) -> bool {
        self.name == base_name()
    }

    /// Opens it to read.
    pub(super) fn open(&self) -> Result<Box<dyn File>, SnapshotError> {
        self.disk.open(&self.name).map_err(SnapshotError::io("read", &self.path))
    }
}

impl DataDir {
    /// Takes a data directory, making it where there is none.
    ///
    /// # Errors
    /// If another process has it, naming that process; or if the disk does not let us.
    pub fn open(folder: &Path) -> Result<Self, SnapshotError> {
        let path = folder.join("snapshots");
        let snapshots = Folder::create(&path).map_err(SnapshotError::io("make the folder", &path))?;
        let lock = lock(folder)?;
        Ok(Self { snapshots: Arc::new(snapshots), writing: Mutex::default(), _lock: Some(lock) })
    }

    /// The directory whose snapshots are on a disk that nobody else has.
    #[cfg(feature = "test-support")]
    pub fn on(snapshots: Arc<dyn Disk>) -> Self {
        Self { snapshots, writing: Mutex::default(), _lock: None }
    }

    /// The snapshots in it, newest first; the base, before which there is nothing, is the last.
    pub(super) fn snapshots(&self) -> Result<Vec<Stored>, SnapshotError> {
        let mut snapshots = self.numbered()?;
        snapshots.extend(self.base()?);
        Ok(snapshots)
    }

    /// The snapshots without the base, newest first.
    pub(super) fn numbered(&self) -> Result<Vec<Stored>, SnapshotError> {
        let mut numbers = self.numbers()?;
        numbers.reverse();
        Ok(numbers.into_iter().map(|it| self.stored(name(it))).collect())
    }

    /// The state on which the journal's oldest record stands; none if nothing was pruned.
    pub(super) fn base(&self) -> Result<Option<Stored>, SnapshotError> {
        let base = base_name();
        Ok(self.names()?.contains(&base).then(|| self.stored(base)))
    }

    /// Lets the draft be the base, in the place of the one before, once all of it is on the disk.
    pub(super) fn publish_base(&self, draft: &dyn File) -> Result<(), SnapshotError> {
        let stored = self.draft();
        draft.sync().map_err(SnapshotError::io("sync", stored.path()))?;
        self.rename(&stored, base_name()).map(|_| ())
    }

    /// Lets a snapshot be the base too: by a copy, since a later one may be written over its file.
    pub(super) fn copy_to_base(&self, snapshot: &Stored) -> Result<(), SnapshotError> {
        let draft = self.open_draft()?;
        copy(&*snapshot.open()?, &*draft).map_err(SnapshotError::io("copy", snapshot.path()))?;
        self.publish_base(&*draft)
    }

    /// Removes a snapshot for good.
    pub(super) fn remove(&self, snapshot: &Stored) -> Result<(), SnapshotError> {
        let removed = self.snapshots.remove(&snapshot.name);
        removed.map_err(SnapshotError::io("remove", snapshot.path()))?;
        self.sync()
    }

    /// Until what it gives is dropped no snapshot comes or goes but by the caller.
    pub(crate) fn begin(&self) -> MutexGuard<'_, ()> {
        self.writing.lock()
    }

    /// Where a snapshot is written before it counts: over what is in that file.
    pub(super) fn draft(&self) -> Stored {
        self.stored("draft".to_owned())
    }

    /// Opens the draft, making it where it is not there.
    pub(super) fn open_draft(&self) -> Result<Box<dyn File>, SnapshotError> {
        // What was a snapshot is none any more before it is written over: nothing half written may come back under the name
        // of one.
        self.sync()?;
        let draft = self.draft();
        let opened = match self.snapshots.open(&draft.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.snapshots.create(&draft.name),
            opened => opened,
        };
        opened.map_err(SnapshotError::io("open", draft.path()))
    }

    /// Lets the draft count as the newest snapshot once all of it is on the disk. The oldest is the draft from then on:
    /// giving its blocks back and taking new ones would hold up whoever writes to the same disk.
    pub(super) fn publish(&self, draft: &dyn File) -> Result<PathBuf, SnapshotError> {
        let stored = self.draft();
        draft.sync().map_err(SnapshotError::io("sync", stored.path()))?;
        let known = self.numbers()?;
        let newest = self.rename(&stored, name(known.last().map_or(0, |it| it + 1)))?;
        for number in known.iter().rev().skip(KEPT - 1) {
            self.rename(&self.stored(name(*number)), stored.name.clone())?;
        }
        Ok(newest)
    }

    /// Renames a damaged snapshot, so that it is not counted among those that are kept; gives its new name.
    pub(super) fn set_aside(&self, snapshot: &Stored) -> Result<PathBuf, SnapshotError> {
        let aside = Path::new(&snapshot.name).with_extension("damaged");
        self.rename(snapshot, aside.display().to_string())
    }

    /// Gives a file another name, so that it lasts.
    fn rename(&self, file: &Stored, name: String) -> Result<PathBuf, SnapshotError> {
        let renamed = self.snapshots.rename(&file.name, &name);
        renamed.map_err(SnapshotError::io("rename", file.path()))?;
        self.sync()?;
        Ok(self.stored(name).path)
    }

    /// The numbers of the snapshots, rising.
    fn numbers(&self) -> Result<Vec<u64>, SnapshotError> {
        let names = self.names()?;
        let number = |it: &String| it.split('.').next()?.parse().ok().filter(|number| name(*number) == *it);
        let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The names of all files.
    fn names(&self) -> Result<Vec<String>, SnapshotError> {
        self.snapshots.list().map_err(SnapshotError::io("list the folder", &self.folder()))
    }

    fn stored(&self, name: String) -> Stored {
        let path = self.snapshots.path(&name).into();
        Stored { disk: Arc::clone(&self.snapshots), name, path }
    }

    fn folder(&self) -> PathBuf {
        self.snapshots.path("").into()
    }

    /// Makes renamings durable.
    fn sync(&self) -> Result<(), SnapshotError> {
        self.snapshots.sync_folder().map_err(SnapshotError::io("sync the folder", &self.folder()))
    }
}

fn base_name() -> String {
    format!("{BASE}.{EXTENSION}")
}

fn name(number: u64) -> String {
    format!("{number:010}.{EXTENSION}")
}

/// Makes a file hold what another one does.
fn copy(from: &dyn File, to: &dyn File) -> io::Result<()> {
    let (mut piece, mut at) = (vec![0; PIECE_BYTES], 0);
    loop {
        let read = from.read_at(&mut piece, at)?;
        to.write_at(piece.get(..read).unwrap_or_default(), at)?;
        at += read as u64;
        if read < PIECE_BYTES {
            return to.truncate(at);
        }
    }
}

/// Locks the directory's lock file, and says in it who did.
fn lock(folder: &Path) -> Result<std::fs::File, SnapshotError> {
    let path = folder.join("lock");
    let failed = |cause| SnapshotError::io("lock", &path)(cause);
    let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
    let mut file = open.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        Err(TryLockError::WouldBlock) => {
            let mut by = String::new();
            // What the owner wrote is a help only; it may be in the middle of writing it.
            let _ = file.read_to_string(&mut by);
            let by = if by.is_empty() { "another process".to_owned() } else { by };
            return Err(SnapshotError::InUse { folder: folder.to_owned(), by });
        }
    }
    file.set_len(0).map_err(failed)?;
    write!(file, "process {}", std::process::id()).map_err(failed)?;
    Ok(file)
}
