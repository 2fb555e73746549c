//! Files of one folder, and what it takes to make them last: the real disk, any with a test's hook in it, and one simulated
//! by seed.
//!
//! What was written survives a crash of the machine once its file was synced; that a file exists, and under which name,
//! once its folder was. Until then any part of it may be lost, in any order.

mod folder;
#[cfg(feature = "test-support")]
pub mod hooked;
#[cfg(feature = "test-support")]
pub mod simulated;

use std::fmt::Debug;
use std::io;

pub use folder::Folder;

/// A folder of files. Names have no folders in them.
pub trait Disk: Debug + Send + Sync {
    /// Makes a file that was not there.
    ///
    /// # Errors
    /// If it was there, or the disk refuses.
    fn create(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// Opens a file to read and to write, or only to read where that is all that may be done with it.
    ///
    /// # Errors
    /// If it is not there, or the disk refuses.
    fn open(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// The names of all files, in no order.
    ///
    /// # Errors
    /// If the disk refuses.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Gives a file another name, in the place of what had it.
    ///
    /// # Errors
    /// If it is not there, or the disk refuses.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// If it is not there, or the disk refuses.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Waits until all that was created, renamed and removed lasts.
    ///
    /// # Errors
    /// If the disk refuses: then nobody knows what lasts.
    fn sync_folder(&self) -> io::Result<()>;

    /// How people know the folder, or a file in it; the folder's own name is empty.
    fn path(&self, name: &str) -> String;
}

/// An open file. All may be called by many threads.
pub trait File: Debug + Send + Sync {
    /// Reads from a place until the buffer is full or the file ends; gives how many bytes that were.
    ///
    /// # Errors
    /// If the disk refuses.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes all of the bytes to a place. Between the end of the file and there it is zeros.
    ///
    /// # Errors
    /// If the disk refuses: then any part of them was written.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Waits until what was written, and the length, last.
    ///
    /// # Errors
    /// If the disk refuses: then nobody knows what lasts, and syncing again does not tell.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file.
    ///
    /// # Errors
    /// If the disk refuses.
    fn truncate(&self, bytes: u64) -> io::Result<()>;

    /// Its length in bytes.
    ///
    /// # Errors
    /// If the disk refuses.
    fn bytes(&self) -> io::Result<u64>;
}
