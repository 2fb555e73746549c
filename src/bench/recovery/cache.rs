//! The system's cache of files, emptied of those of a data directory.

use std::fs;
use std::io;
use std::path::Path;

/// Puts the journal and the snapshots out of the cache; false where the system cannot.
#[cfg(target_os = "linux")]
pub(super) fn forget(data: &Path) -> io::Result<bool> {
    use rustix::fs::{Advice, fadvise};

    for folder in ["journal", "snapshots"] {
        for entry in fs::read_dir(data.join(folder))? {
            let file = fs::File::open(entry?.path())?;
            // What is not on the disk yet stays.
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(true)
}

/// Puts the journal and the snapshots out of the cache; false where the system cannot.
#[cfg(not(target_os = "linux"))]
pub(super) fn forget(_data: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Bytes that this process has had from a disk, as far as the system counts them: it tells whether a cold opening was one.
pub(super) fn read_from_disk() -> u64 {
    let counts = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let bytes = counts.lines().find_map(|it| it.strip_prefix("read_bytes: "));
    bytes.and_then(|it| it.parse().ok()).unwrap_or_default()
}
