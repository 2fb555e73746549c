//! From a data directory to a gate: the newest whole snapshot, then the journal's tail through the fold.

use engine::entity::HashKey;

use crate::fold::{FoldError, Folder};
use crate::gate::{Admission, Gate};
use crate::journal::{Journal, JournalError};
use crate::snapshot::{self, DataDir, Extra, SnapshotError};

/// A gate as it was, as far as the journal is durable.
#[derive(Debug)]
pub struct Recovered {
    /// It goes on behind the journal's last record.
    pub gate: Gate,
    /// What was kept beside its state in the snapshot.
    pub extra: Extra,
    /// How many records were applied behind the snapshot's start.
    pub tail: u64,
    /// What a person should know: snapshots that were passed over, and where they are now.
    pub notes: Vec<String>,
}

/// Why a gate could not be recovered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// No snapshot can be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record does not say what it must.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// The snapshot has seen more than the journal holds.
    #[error(
        "snapshot `{snapshot}` has seen records up to {seen_below}, and the journal ends at {end}: it is not the journal \
         that the snapshot was made beside; bring back the one that is"
    )]
    Ahead {
        /// The snapshot's file.
        snapshot: String,
        /// It has seen records below this offset.
        seen_below: u64,
        /// The offset of the journal's next record.
        end: u64,
    },
    /// Between the snapshot and the journal's oldest record something is missing.
    #[error(
        "the state is known up to record {from}, and the journal begins at {oldest}: bring back what was pruned"
    )]
    Gap {
        /// The first record that is needed.
        from: u64,
        /// The first that there is.
        oldest: u64,
    },
    /// Records, and none of them a rule set.
    #[error("the journal holds no rule set: its first record must be one")]
    NoRules,
}

/// Recovers a gate from what is durable; none if there is neither a snapshot nor a record. `key` is the journal's.
///
/// # Errors
/// If what was durable cannot be had back whole: a state with a hole in it is no state.
pub fn recover(
    dir: &DataDir,
    key: HashKey,
    journal: Box<dyn Journal>,
    admission: Admission,
) -> Result<Option<Recovered>, RecoverError> {
    let end = journal.next();
    let (mut folder, from, extra, notes) = match snapshot::read_running(dir, key)? {
        Some((running, notes)) => {
            let (file, held) = (running.file, running.held);
            if end < held.seen_below {
                let (snapshot, seen_below) = (file.display().to_string(), held.seen_below);
                return Err(RecoverError::Ahead { snapshot, seen_below, end });
            }
            (Folder::on(key, running.in_force, held.state), held.start, held.extra, notes)
        }
        None if end == 0 => return Ok(None),
        None => (Folder::new(key), 0, Extra::new(), Vec::new()),
    };
    let mut records = journal.cursor(from)?;
    let mut tail = 0;
    while let Some(record) = records.next()? {
        if record.offset != from + tail {
            return Err(RecoverError::Gap { from: from + tail, oldest: record.offset });
        }
        folder.apply(&record)?;
        tail += 1;
    }
    drop(records);
    let gate = folder.into_gate(journal, Some(admission)).ok_or(RecoverError::NoRules)?;
    Ok(Some(Recovered { gate, extra, tail, notes }))
}
