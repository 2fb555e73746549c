//! Any disk with something between it and who writes: a test says what happens when files are written and synced.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Disk, File};

/// What happens between.
pub trait Hook: Debug + Send + Sync {
    /// A file is going to be written.
    fn before_write(&self) {}

    /// Syncs a file to which so many bytes were written since the last time.
    ///
    /// # Errors
    /// If the disk refuses, or the hook does.
    fn sync(&self, unsynced_bytes: u64, file: &dyn File) -> io::Result<()> {
        let _ = unsynced_bytes;
        file.sync()
    }
}

/// A disk whose files have a hook.
#[derive(Debug)]
pub struct Hooked<D, H> {
    disk: D,
    hook: Arc<H>,
}

impl<D: Disk, H: Hook + 'static> Hooked<D, H> {
    /// This disk with this hook at all of its files.
    pub fn new(disk: D, hook: Arc<H>) -> Self {
        Self { disk, hook }
    }

    fn hooked(&self, file: Box<dyn File>) -> Box<dyn File> {
        Box::new(HookedFile { file, hook: Arc::clone(&self.hook), unsynced_bytes: AtomicU64::new(0) })
    }
}

impl<D: Disk, H: Hook + 'static> Disk for Hooked<D, H> {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(self.hooked(self.disk.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(self.hooked(self.disk.open(name)?))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.disk.sync_folder()
    }

    fn path(&self, name: &str) -> String {
        self.disk.path(name)
    }
}

#[derive(Debug)]
struct HookedFile<H> {
    file: Box<dyn File>,
    hook: Arc<H>,
    /// Written since the last sync: only then does it reach the disk.
    unsynced_bytes: AtomicU64,
}

impl<H: Hook> File for HookedFile<H> {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(into, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.hook.before_write();
        self.unsynced_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.file.write_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        let unsynced = self.unsynced_bytes.swap(0, Ordering::Relaxed);
        self.hook.sync(unsynced, &*self.file)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.file.truncate(bytes)
    }

    fn bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }
}

/// So many bytes a second and no more, as a slow or a rented disk has it: a sync takes as long as that says, or longer if
/// the disk below needs longer.
#[derive(Debug)]
pub struct Limit {
    bytes_per_s: u64,
    /// Held while something is synced: the disk does one thing at a time.
    busy: Mutex<()>,
}

impl Limit {
    /// So many bytes a second.
    pub fn new(bytes_per_s: u64) -> Self {
        Self { bytes_per_s, busy: Mutex::default() }
    }
}

impl Hook for Limit {
    fn sync(&self, unsynced_bytes: u64, file: &dyn File) -> io::Result<()> {
        let _busy = self.busy.lock();
        let end =
            Instant::now() + Duration::from_micros(unsynced_bytes * 1_000_000 / self.bytes_per_s.max(1));
        let synced = file.sync();
        thread::sleep(end.saturating_duration_since(Instant::now()));
        synced
    }
}
