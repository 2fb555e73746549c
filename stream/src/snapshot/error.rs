//! What can be wrong with a data directory or a snapshot in it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a snapshot was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// One process owns a data directory.
    #[error("data directory `{}` is in use by {by}: stop it, or name another directory", folder.display())]
    InUse {
        /// The data directory.
        folder: PathBuf,
        /// Who is in the way, as far as it said.
        by: String,
    },
    /// The disk said no.
    #[error("cannot {doing} `{}`: {cause}", path.display())]
    Io {
        /// What was to be done.
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// What it has seen will never be durable.
    #[error(transparent)]
    Poisoned(crate::gate::Poisoned),
    /// The rules that it holds cannot be read any more.
    #[error("the rule set that snapshot `{}` holds cannot be used: {cause}", file.display())]
    Rules {
        /// Which file.
        file: PathBuf,
        /// Why.
        cause: String,
    },
    /// There are snapshots, and none of them is as it was written.
    #[error("no snapshot is whole ({}): bring one of them back from a copy", each(damaged))]
    NoneWhole {
        /// What is wrong with each, the newest first.
        damaged: Vec<SnapshotError>,
    },
    /// The bytes are not those that were written.
    #[error("snapshot `{}` is damaged: block {block}, byte {offset}: {what}", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// Which block, counted from 0; the bytes before the first block count to it.
        block: u64,
        /// Where in the file that block begins.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The newest are damaged, and nothing else has what came behind the one before.
    #[error(
        "{}, and the snapshot before it does not hold the last run, which is lost: replay its files again, then go on with \
         these",
        damaged.join("; ")
    )]
    Lost {
        /// What is wrong with each, and where it is now.
        damaged: Vec<String>,
    },
    /// Written by a later version.
    #[error("snapshot `{}` has format {format}, and this version reads up to {}: use a later version", file.display(), super::block::FORMAT)]
    Newer {
        /// Which file.
        file: PathBuf,
        /// Its format.
        format: u32,
    },
    /// Its ids are hashed under a key that the rule set was not compiled with.
    #[error("snapshot `{}` was made under another hash key: compile the rules under the key that it holds", file.display())]
    OtherKey {
        /// Which file.
        file: PathBuf,
    },
    /// Its state speaks of another schema.
    #[error(
        "snapshot `{}` was made under schema {theirs}, which {ours} does not contain ({what}): go back to that schema, \
         or start from nothing in another directory",
        file.display()
    )]
    OtherSchema {
        /// Which file.
        file: PathBuf,
        /// Name and version of the snapshot's.
        theirs: String,
        /// Name and version of the one in force.
        ours: String,
        /// The first difference.
        what: String,
    },
    /// Its schema is another one under no higher version.
    #[error(
        "snapshot `{}` was made under schema `{name}` {theirs}, and this one has other {what} under version {ours}: a \
         changed schema has a version above {theirs}",
        file.display()
    )]
    SameVersion {
        /// Which file.
        file: PathBuf,
        /// The schema's name.
        name: String,
        /// The version of the snapshot's.
        theirs: u32,
        /// The version of the one in force.
        ours: u32,
        /// The first difference.
        what: &'static str,
    },
    /// Records were dropped, and what they left behind is not known.
    #[error(
        "the journal begins at record {oldest}, and no snapshot holds what the records before it left behind: bring back \
         `snapshots/base.snapshot`, or what was pruned"
    )]
    NoBase {
        /// The oldest record that is kept.
        oldest: u64,
    },
    /// The rule set needs state that the snapshot does not hold.
    #[error(
        "snapshot `{}` holds no state for {}{}: go back to the rules that it was made under, or build the state again \
         from the first file on, in another directory",
        file.display(),
        listed(features),
        times.as_ref().map_or(String::new(), |it| format!(", for {it}"))
    )]
    Lacking {
        /// Which file.
        file: PathBuf,
        /// The features without state, in file order.
        features: Vec<String>,
        /// How the schema's times have changed, on which their state hangs; none if they have not.
        times: Option<String>,
    },
}

impl SnapshotError {
    pub(super) fn io<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |cause| Self::Io { doing, path: path.to_owned(), cause }
    }
}

fn each(damaged: &[SnapshotError]) -> String {
    let said: Vec<String> = damaged.iter().map(ToString::to_string).collect();
    said.join("; ")
}

fn listed(features: &[String]) -> String {
    let quoted: Vec<String> = features.iter().map(|it| format!("`{it}`")).collect();
    format!("feature{} {}", if features.len() == 1 { "" } else { "s" }, quoted.join(", "))
}
