//! What can be wrong with a journal on a disk.

use std::io;

/// Why a journal cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk refused.
    #[error("cannot {action} `{file}`: {source}")]
    Io {
        /// What was tried: "read", "write".
        action: &'static str,
        /// With what file or folder.
        file: String,
        /// What the disk said.
        source: io::Error,
    },
    /// What had been made durable is not as it was written.
    #[error(
        "`{file}` is damaged at byte {at}: {what}; this was durable, so it is not cut: restore the file from a copy"
    )]
    Damaged {
        /// The segment.
        file: String,
        /// Where in it.
        at: u64,
        /// What is wrong there.
        what: String,
    },
    /// A later version wrote it.
    #[error(
        "`{file}` has journal format {version}, and this version reads formats up to {known}: use a newer weir"
    )]
    NewerFormat {
        /// The segment.
        file: String,
        /// Its format.
        version: u32,
        /// The newest that is known.
        known: u32,
    },
    /// A later version wrote a record in it.
    #[error(
        "`{file}` holds at byte {at} a record of kind {kind}, version {version}, which this version does not know: use a newer weir"
    )]
    NewerRecord {
        /// The segment.
        file: String,
        /// Where in it.
        at: u64,
        /// The record's kind.
        kind: u8,
        /// The version of its frame.
        version: u8,
    },
    /// A record is too long to be read again.
    #[error("record {offset} is longer than {most} bytes: it was not written")]
    TooLong {
        /// The record.
        offset: u64,
        /// How long its body may be.
        most: usize,
    },
    /// The folder holds something else.
    #[error("`{folder}` is not a journal: it holds `{file}`; name another folder, or an empty one")]
    NotAJournal {
        /// The folder.
        folder: String,
        /// What does not belong there.
        file: String,
    },
    /// Segments do not follow each other.
    #[error(
        "the journal's `{file}` begins at record {found}, but the segment before it ends at {expected}: a segment between them is missing; restore it from a copy"
    )]
    Gap {
        /// The later segment.
        file: String,
        /// Where the one before ends.
        expected: u64,
        /// Where it begins.
        found: u64,
    },
}

impl JournalError {
    /// For `map_err`: what was being done, and with what file.
    pub(crate) fn io(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self + use<> {
        let file = file.to_owned();
        move |source| Self::Io { action, file, source }
    }
}
