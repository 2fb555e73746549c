//! The data directory: owned by one process, and its folder of snapshots, of which the newest two are kept, and the base
//! of a journal that was pruned.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use parking_lot::{Mutex, MutexGuard};

use super::error::SnapshotError;
use crate::disk::Folder;

/// How many snapshots are kept: the newest, and one to fall back to.
const KEPT: usize = 2;
/// What the names of snapshots end with.
const EXTENSION: &str = "snapshot";
/// What the base is called in the place of a number.
const BASE: &str = "base";

/// A data directory that this process owns until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    snapshots: PathBuf,
    /// Held by whoever writes a snapshot.
    writing: Mutex<()>,
    /// Locked as long as it is open.
    _lock: File,
}

impl DataDir {
    /// Takes a data directory, making it where there is none.
    ///
    /// # Errors
    /// If another process has it, naming that process; or if the disk does not let us.
    pub fn open(folder: &Path) -> Result<Self, SnapshotError> {
        let snapshots = folder.join("snapshots");
        Folder::create(&snapshots).map_err(SnapshotError::io("make the folder", &snapshots))?;
        let lock = lock(folder)?;
        Ok(Self { snapshots, writing: Mutex::default(), _lock: lock })
    }

    /// The snapshots in it, newest first; the base, before which there is nothing, is the last.
    pub(super) fn snapshots(&self) -> Result<Vec<PathBuf>, SnapshotError> {
        let mut snapshots = self.numbered()?;
        snapshots.extend(self.base()?);
        Ok(snapshots)
    }

    /// The snapshots without the base, newest first.
    pub(super) fn numbered(&self) -> Result<Vec<PathBuf>, SnapshotError> {
        let mut numbers = self.numbers()?;
        numbers.reverse();
        Ok(numbers.into_iter().map(|it| self.path(it)).collect())
    }

    /// The state on which the journal's oldest record stands; none if nothing was pruned.
    pub(super) fn base(&self) -> Result<Option<PathBuf>, SnapshotError> {
        let path = self.base_path();
        let is_there = path.try_exists().map_err(SnapshotError::io("look for", &path))?;
        Ok(is_there.then_some(path))
    }

    /// Lets the draft be the base, in the place of the one before, once all of it is on the disk.
    pub(super) fn publish_base(&self, draft: &File) -> Result<(), SnapshotError> {
        let path = self.draft();
        draft.sync_all().map_err(SnapshotError::io("sync", &path))?;
        fs::rename(&path, self.base_path()).map_err(SnapshotError::io("rename", &path))?;
        self.sync()
    }

    /// Lets a snapshot be the base too: by a copy, since a later one may be written over its file.
    pub(super) fn copy_to_base(&self, snapshot: &Path) -> Result<(), SnapshotError> {
        let path = self.draft();
        fs::copy(snapshot, &path).map_err(SnapshotError::io("copy", snapshot))?;
        let draft = OpenOptions::new().write(true).open(&path).map_err(SnapshotError::io("open", &path))?;
        self.publish_base(&draft)
    }

    /// Removes a snapshot for good.
    pub(super) fn remove(&self, snapshot: &Path) -> Result<(), SnapshotError> {
        fs::remove_file(snapshot).map_err(SnapshotError::io("remove", snapshot))?;
        self.sync()
    }

    /// Until what it gives is dropped no snapshot comes or goes but by the caller.
    pub(crate) fn begin(&self) -> MutexGuard<'_, ()> {
        self.writing.lock()
    }

    /// Where a snapshot is written before it counts: over what is in that file.
    pub(super) fn draft(&self) -> PathBuf {
        self.snapshots.join("draft")
    }

    /// Lets the draft count as the newest snapshot once all of it is on the disk. The oldest is the draft from then on:
    /// giving its blocks back and taking new ones would hold up whoever writes to the same disk.
    pub(super) fn publish(&self, draft: &File) -> Result<PathBuf, SnapshotError> {
        let path = self.draft();
        draft.sync_all().map_err(SnapshotError::io("sync", &path))?;
        let known = self.numbers()?;
        let newest = self.path(known.last().map_or(0, |it| it + 1));
        fs::rename(&path, &newest).map_err(SnapshotError::io("rename", &path))?;
        self.sync()?;
        for number in known.iter().rev().skip(KEPT - 1) {
            let old = self.path(*number);
            fs::rename(&old, &path).map_err(SnapshotError::io("rename", &old))?;
            // Before it is written over: nothing half written may come back under the name of a snapshot.
            self.sync()?;
        }
        Ok(newest)
    }

    /// Renames a damaged snapshot, so that it is not counted among those that are kept; gives its new name.
    pub(super) fn set_aside(&self, snapshot: &Path) -> Result<PathBuf, SnapshotError> {
        let aside = snapshot.with_extension("damaged");
        fs::rename(snapshot, &aside).map_err(SnapshotError::io("rename", snapshot))?;
        self.sync()?;
        Ok(aside)
    }

    /// The numbers of the snapshots, rising.
    fn numbers(&self) -> Result<Vec<u64>, SnapshotError> {
        let failed = |cause| SnapshotError::io("list the folder", &self.snapshots)(cause);
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.snapshots).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let ours = path.extension().is_some_and(|it| it == EXTENSION);
            let number = path.file_stem().and_then(|it| it.to_str()?.parse().ok());
            numbers.extend(number.filter(|it| ours && self.path(*it) == path));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn base_path(&self) -> PathBuf {
        self.snapshots.join(BASE).with_extension(EXTENSION)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.snapshots.join(format!("{number:010}.{EXTENSION}"))
    }

    /// Makes renamings durable.
    fn sync(&self) -> Result<(), SnapshotError> {
        let folder = File::open(&self.snapshots);
        folder.and_then(|it| it.sync_all()).map_err(SnapshotError::io("sync the folder", &self.snapshots))
    }
}

/// Locks the directory's lock file, and says in it who did.
fn lock(folder: &Path) -> Result<File, SnapshotError> {
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
