//! From a data directory to a gate: the newest whole snapshot, then the journal's tail through the fold; where no snapshot
//! is whole, all of the journal. Reading a snapshot needs no journal, so that it can be read while the journal is opened.

use std::time::{Duration, Instant};

use engine::entity::HashKey;

use crate::fold::ahead;
use crate::fold::{Failed, Fold, FoldError, JournalUnfit};
use crate::gate::{Admission, Gate};
use crate::journal::{Journal, JournalError};
use crate::snapshot::{self, Base, Damaged, DataDir, Extra, Found, Running, SnapshotError};

/// A gate as it was, as far as the journal is durable.
#[derive(Debug)]
pub struct Recovered {
    /// It goes on behind the journal's last record.
    pub gate: Gate,
    /// What was kept beside its state in the snapshot.
    pub extra: Extra,
    /// How many records were applied behind the snapshot's start.
    pub tail: u64,
    /// What reading the snapshot took.
    pub read_in: Duration,
    /// What applying the records took.
    pub folded_in: Duration,
    /// What a person should know: snapshots that were damaged, and where they are now.
    pub notes: Vec<String>,
}

impl From<JournalUnfit> for RecoverError {
    fn from(error: JournalUnfit) -> Self {
        match error {
            JournalUnfit::Journal(error) => Self::Journal(error),
            JournalUnfit::Fold(error) => Self::Fold(error),
            JournalUnfit::Snapshot(error) => Self::Snapshot(error),
        }
    }
}

/// Why a gate could not be recovered.
#[derive(Debug, thiserror::Error)]
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
    /// There are snapshots, none of them is whole, and the journal does not make up for them.
    #[error("{snapshots}; nor can the state be built from the journal: {cause}")]
    NotBuilt {
        /// What is wrong with the snapshots.
        snapshots: SnapshotError,
        /// What is wrong with the journal.
        cause: Box<RecoverError>,
    },
    /// Records, and none of them a rule set.
    #[error("the journal holds no rule set: its first record must be one")]
    NoRules,
}

/// Applies the records from an offset on; gives how many.
fn apply_all(fold: &mut Fold, journal: &dyn Journal, from: u64) -> Result<u64, RecoverError> {
    let mut next = from;
    ahead::fold(journal.cursor(from)?, fold, |offset| {
        let expected = next;
        next += 1;
        if offset == expected { Ok(()) } else { Err(RecoverError::Gap { from: expected, oldest: offset }) }
    })
}

/// Builds the state of what is in force and may be gone back to, from nothing or from the journal's base. Gives how many
/// records were applied.
fn build(dir: &DataDir, key: HashKey, journal: &dyn Journal) -> Result<(Fold, u64), RecoverError> {
    let oldest = journal.oldest();
    let base = Base::beneath(dir, oldest)?;
    let mut fold = Fold::of_lately(&|from| journal.cursor(from), key, base.as_ref())?.beside_journal(oldest);
    let count = apply_all(&mut fold, journal, Base::start_of(base.as_ref()))?;
    Ok((fold, count))
}

/// What the newest whole snapshot of a data directory held, if there is one.
#[derive(Debug)]
pub struct Read {
    running: Option<Running>,
    damaged: Vec<Damaged>,
    took: Duration,
}

/// Reads the newest whole snapshot of a data directory, for [`recover_on`], and changes nothing.
///
/// # Errors
/// If one cannot be used though it is not damaged.
pub fn read(dir: &DataDir) -> Result<Read, SnapshotError> {
    let start = Instant::now();
    let Found { whole, damaged } = snapshot::read_running(dir)?;
    Ok(Read { running: whole, damaged, took: start.elapsed() })
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
    recover_on(read(dir)?, dir, key, journal, admission)
}

/// Recovers on a snapshot of the directory that was read before. Damaged ones are set aside under another name once the
/// state is there.
///
/// # Errors
/// If what was durable cannot be had back whole.
pub fn recover_on(
    read: Read,
    dir: &DataDir,
    key: HashKey,
    journal: Box<dyn Journal>,
    admission: Admission,
) -> Result<Option<Recovered>, RecoverError> {
    let Read { running, damaged, took: read_in } = read;
    // A start from nothing is one only where there are no snapshots at all.
    if running.is_none() && damaged.is_empty() && journal.next() == 0 {
        return Ok(None);
    }
    let instead = match &running {
        Some(_) => "the snapshot before it was used",
        None => {
            "the state is built from the journal; labels that `weir replay` had read ahead of their time were in the \
             snapshots only: if there were any, send them as amendments"
        }
    };
    let is_needed = running.is_none() && !damaged.is_empty();
    let recovered = match go_on(running, dir, key, journal, admission) {
        Err(cause) if is_needed => {
            return Err(RecoverError::NotBuilt {
                snapshots: snapshot::none_whole(damaged),
                cause: Box::new(cause),
            });
        }
        recovered => recovered?,
    };
    let mut notes = snapshot::pass_over(dir, damaged, instead)?;
    notes.extend(recovered.notes);
    Ok(Some(Recovered { read_in, notes, ..recovered }))
}

/// Lets the ids be remembered of records below `oldest`, which only the base has. That is no reason not to start: gives
/// what a person should know.
fn remember_pruned(fold: &Fold, dir: &DataDir, oldest: u64) -> Result<Option<String>, SnapshotError> {
    let base = Base::of(dir).map(|it| it.filter(|base| oldest <= base.start()));
    match base.and_then(|it| it.map_or(Ok(()), |base| fold.remember_below(oldest, &base))) {
        Err(error @ SnapshotError::Damaged { .. }) => Ok(Some(format!(
            "{error}; a repeat of what was pruned within 24 hours may be taken for a new event"
        ))),
        done => done.map(|()| None),
    }
}

/// Goes on from what a snapshot held, or from nothing.
fn go_on(
    running: Option<Running>,
    dir: &DataDir,
    key: HashKey,
    journal: Box<dyn Journal>,
    admission: Admission,
) -> Result<Recovered, RecoverError> {
    let (start, end) = (Instant::now(), journal.next());
    let mut notes = Vec::new();
    let oldest = journal.oldest();
    let is_on_base = running.as_ref().is_none_or(|it| it.is_base);
    let (fold, from, extra) = match running {
        Some(Running { key: other, file, .. }) if other != key => {
            return Err(SnapshotError::OtherKey { file }.into());
        }
        Some(Running { in_force, held, file, is_base, .. }) => {
            if end < held.seen_below {
                let (snapshot, seen_below) = (file.display().to_string(), held.seen_below);
                return Err(RecoverError::Ahead { snapshot, seen_below, end });
            }
            let fold = Fold::on(key, in_force, held.state);
            (if is_base { fold.capturing() } else { fold }, held.start, held.extra)
        }
        None => (Fold::new(key), 0, Extra::new()),
    };
    let mut fold = fold.beside_journal(oldest);
    if !is_on_base && oldest != 0 {
        notes.extend(remember_pruned(&fold, dir, oldest)?);
    }
    let tail = match apply_all(&mut fold, &*journal, from) {
        Err(RecoverError::Fold(FoldError { what: Failed::OtherState(_), .. })) => {
            let built;
            (fold, built) = build(dir, key, &*journal)?;
            notes.push(format!(
                "behind the snapshot states were laid out anew: they were built from {built} records"
            ));
            built
        }
        folded => folded?,
    };
    let gate = fold.into_gate(journal, Some(admission)).ok_or(RecoverError::NoRules)?;
    let folded_in = start.elapsed();
    Ok(Recovered { gate, extra, tail, read_in: Duration::ZERO, folded_in, notes })
}
