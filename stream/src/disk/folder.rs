//! The real disk.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{Disk, File};

/// A folder of the file system.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A folder that is there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Makes the folder, and those above it, where they are not there, so that it lasts.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        make(&path)?;
        Ok(Self { path })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(Path::new(name))
    }
}

/// Makes a folder, each that is missing above it first, and has each synced into the one that it stands in.
fn make(path: &Path) -> io::Result<()> {
    let above = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() {
        // Whoever made it may have gone before it was synced. It may not be ours to sync.
        let _ = fs::File::open(above).and_then(|it| it.sync_all());
        return Ok(());
    }
    make(above)?;
    match fs::create_dir(path) {
        // Somebody else was faster.
        Err(_) if path.is_dir() => {}
        made => made?,
    }
    fs::File::open(above)?.sync_all()
}

/// Whether a file cannot be written, for all that is known, and may yet be read: a copy that was brought back.
fn is_only_to_read(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

impl Disk for Folder {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(self.at(name))?;
        Ok(Box::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        let path = self.at(name);
        match fs::OpenOptions::new().read(true).write(true).open(&path) {
            // Whoever writes to it is refused then.
            Err(error) if is_only_to_read(&error) => Ok(Box::new(fs::File::open(path)?)),
            opened => Ok(Box::new(opened?)),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names =
            fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.at(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        fs::File::open(&self.path)?.sync_all()
    }

    fn path(&self, name: &str) -> String {
        self.at(name).display().to_string().trim_end_matches('/').to_owned()
    }
}

impl File for fs::File {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut read = 0;
        while let Some(rest) = into.get_mut(read..).filter(|it| !it.is_empty()) {
            match FileExt::read_at(self, rest, at + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        // Enough: of what is not data it writes what is needed to read the data, the length with it.
        self.sync_data()
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}
