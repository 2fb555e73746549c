//! Where deriving a journal begins: with nothing or with its base, and with room for the features of all its rule sets.

use engine::entity::HashKey;

use super::{Failed, Fold, FoldError, read};
use crate::in_force::Kept;
use crate::journal::{Cursor, JournalError, RecordKind, Walks};
use crate::record::{RuleSetRecord, Stamp, WarmRecord};
use crate::snapshot::{Base, SnapshotError};

/// Why nothing can be derived from a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalUnfit {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record does not say what it must.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// What the journal stands on cannot be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

impl Fold {
    /// Before the first record of a journal whose ids are hashed under this key, or before the first that its base has not
    /// seen. The features of all its rule sets are kept up from the beginning, which is why it is walked over: later ones
    /// find their state there.
    ///
    /// # Errors
    /// If the journal or its base cannot be read, or a rule set in it does not compile.
    pub fn of(journal: &Walks<'_>, key: HashKey, base: Option<&Base>) -> Result<Self, JournalUnfit> {
        let known = base.map(Base::kept).transpose()?.unwrap_or_default();
        let kept = rule_sets(&mut *journal(base.map_or(0, Base::start))?, known)?;
        Ok(Self::building_on(base, key, &kept, 0)?)
    }
}

/// All rule sets that a journal speaks of, beside those that are known. Of those that were built and never came into
/// force only the schema matters.
fn rule_sets(records: &mut dyn Cursor, known: Kept) -> Result<Kept, JournalUnfit> {
    let mut all = known;
    while let Some(record) = records.next()? {
        let offset = record.offset;
        let failed = |what| FoldError { offset, what };
        let message = || Stamp::split(record.body).map(|(_, it)| it).ok_or_else(|| failed(Failed::Stamp));
        let more = match record.kind {
            RecordKind::RuleSet => all.and(&read::<RuleSetRecord>(message()?).map_err(failed)?.bundle),
            RecordKind::Warm => all.knowing([read::<WarmRecord>(message()?).map_err(failed)?.bundle]),
            _ => continue,
        };
        all = more.map_err(|it| failed(Failed::Bundle(it)))?;
    }
    Ok(all)
}
