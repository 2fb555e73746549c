//! The files of a data directory: which there are, and how one is damaged.

use std::fs;
use std::path::{Path, PathBuf};

/// The files of a folder that end so, by name.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let mut found: Vec<PathBuf> = all.filter(|it| it.to_str().unwrap().ends_with(ending)).collect();
    found.sort();
    found
}

/// The snapshots of a data directory but its base, the oldest first.
pub(crate) fn snapshots(data: &Path) -> Vec<PathBuf> {
    let mut found = files(&data.join("snapshots"), ".snapshot");
    found.retain(|it| *it != base(data));
    found
}

/// The state on which a pruned journal's oldest record stands.
pub(crate) fn base(data: &Path) -> PathBuf {
    data.join("snapshots/base.snapshot")
}

/// Changes a byte of a file: the first, one in the middle, or the last.
pub(crate) fn damage(file: &Path, part: usize) {
    let mut bytes = fs::read(file).unwrap();
    let at = (bytes.len() - 1) * part / 2;
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}
