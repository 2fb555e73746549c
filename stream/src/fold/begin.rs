//! Where deriving a journal begins: with nothing or with its base, and with room for the features of all its rule sets, or
//! of those that may be gone back to.

use std::sync::Arc;

use engine::entity::HashKey;
use rules::time::Micros;

use super::{Failed, Fold, FoldError, read};
use crate::bundle::{Bundle, BundleError};
use crate::in_force::{InForce, Kept};
use crate::journal::{Cursor, JournalError, RecordKind, Walks};
use crate::record::{RuleSetRecord, Stamp, WarmRecord};
use crate::snapshot::{Base, SnapshotError};
use crate::state::REPEAT_FOR;

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
        let spoken_of = SpokenOf::find(&mut *journal(Base::start_of(base))?)?;
        let all = spoken_of.all.iter().try_fold(known, |kept, it| it.kept_with(&kept))?;
        Ok(Self::building_on(base, key, &all, 0)?)
    }

    /// As [`Fold::of`] for a start that has nothing else: only the features are kept up of what is in force and of what was
    /// within the last day. The others may be more than fit into memory.
    pub(crate) fn of_lately(
        journal: &Walks<'_>,
        key: HashKey,
        base: Option<&Base>,
    ) -> Result<Self, JournalUnfit> {
        let known = base.map(Base::kept).transpose()?.unwrap_or_default();
        let SpokenOf { all, clock } = SpokenOf::find(&mut *journal(Base::start_of(base))?)?;
        let in_force: Vec<_> = all.iter().filter(|it| !it.built).collect();
        let Some(newest) = in_force.last() else { return Ok(Self::building_on(base, key, &known, 0)?) };
        // What was in force when the day began, and all behind it.
        let began = in_force.partition_point(|it| it.from <= clock.saturating_sub(REPEAT_FOR));
        let mut kept = Kept::default();
        if let Some(beneath) = base.and_then(Base::newest_bundle).filter(|_| began == 0) {
            kept = known.and(beneath).map_err(|it| newest.failed(it))?;
        }
        for it in in_force.iter().skip(began.saturating_sub(1)) {
            kept = it.kept_with(&kept)?;
        }
        let others = all.iter().map(|it| &it.bundle).chain(known.bundles()).chain(known.known_bundles());
        let failed = |it| newest.failed(it);
        let kept = kept.knowing(others.cloned()).map_err(failed)?;
        let newest = InForce::keeping(0, Arc::new(newest.bundle.clone()), key, &kept).map_err(failed)?;
        Ok(Self::building_on(base, key, &kept.only_of(&newest.rules.typed), 0)?)
    }
}

/// The rule sets that a journal speaks of.
struct SpokenOf {
    /// In their order.
    all: Vec<Spoken>,
    /// The engine clock behind the last record.
    clock: Micros,
}

struct Spoken {
    /// Of its record.
    offset: u64,
    bundle: Bundle,
    /// Whether it was built only: it came into force by another record, if it did.
    built: bool,
    /// The engine clock at its record.
    from: Micros,
}

impl Spoken {
    /// What is kept, and this one.
    fn kept_with(&self, kept: &Kept) -> Result<Kept, FoldError> {
        kept.and(&self.bundle).map_err(|it| self.failed(it))
    }

    fn failed(&self, why: BundleError) -> FoldError {
        FoldError { offset: self.offset, what: Failed::Bundle(why) }
    }
}

impl SpokenOf {
    fn find(records: &mut dyn Cursor) -> Result<Self, JournalUnfit> {
        let (mut all, mut now) = (Vec::new(), Micros::MIN);
        while let Some(record) = records.next()? {
            let failed = |what| FoldError { offset: record.offset, what };
            let (stamp, message) = Stamp::split(record.body).ok_or_else(|| failed(Failed::Stamp))?;
            now = now.max(stamp.clock);
            let (bundle, built) = match record.kind {
                RecordKind::RuleSet => (read::<RuleSetRecord>(message).map_err(failed)?.bundle, false),
                RecordKind::Warm => (read::<WarmRecord>(message).map_err(failed)?.bundle, true),
                _ => continue,
            };
            all.push(Spoken { offset: record.offset, bundle, built, from: now });
        }
        Ok(Self { all, clock: now })
    }
}
