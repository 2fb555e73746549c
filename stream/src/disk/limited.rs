//! The real disk with a limit: so many bytes a second and no more, as a slow or a rented one has it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Disk, File, Folder};

/// A folder whose syncs take as long as the limit says, or longer if the disk below needs longer.
#[derive(Clone, Debug)]
pub struct Limited {
    folder: Folder,
    speed: Arc<Speed>,
}

/// What all files of the folder share.
#[derive(Debug)]
struct Speed {
    bytes_per_s: u64,
    /// Held while something is synced: the disk does one thing at a time.
    busy: Mutex<()>,
}

impl Limited {
    /// A folder on a disk of so many bytes a second.
    pub fn new(folder: Folder, bytes_per_s: u64) -> Self {
        Self { folder, speed: Arc::new(Speed { bytes_per_s, busy: Mutex::default() }) }
    }

    fn limit(&self, file: Box<dyn File>) -> Box<dyn File> {
        Box::new(LimitedFile { file, speed: Arc::clone(&self.speed), unsynced: AtomicU64::new(0) })
    }
}

impl Speed {
    /// Runs a sync of so many bytes, for as long as they take.
    fn sync(&self, bytes: u64, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let _busy = self.busy.lock();
        let end = Instant::now() + Duration::from_micros(bytes * 1_000_000 / self.bytes_per_s.max(1));
        let synced = sync();
        thread::sleep(end.saturating_duration_since(Instant::now()));
        synced
    }
}

impl Disk for Limited {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(self.limit(self.folder.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(self.limit(self.folder.open(name)?))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.folder.list()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.folder.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.folder.remove(name)
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.folder.sync_folder()
    }

    fn path(&self, name: &str) -> String {
        self.folder.path(name)
    }
}

/// An open file of it.
#[derive(Debug)]
struct LimitedFile {
    file: Box<dyn File>,
    speed: Arc<Speed>,
    /// Bytes that were written since the last sync: only then do they reach the disk.
    unsynced: AtomicU64,
}

impl File for LimitedFile {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(into, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.unsynced.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.file.write_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        let bytes = self.unsynced.swap(0, Ordering::Relaxed);
        self.speed.sync(bytes, || self.file.sync())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.file.truncate(bytes)
    }

    fn bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }
}
