//! Deriving every decision again, on one thread, from nothing or from what pruned records left behind: what the journal
//! says must be what deciding gives.
//!
//! From a record come its event, the clock and the number of what was in force, and whether its deadline was missed;
//! all else is derived. The state is folded from what is recorded, so that one difference does not make more.

use std::ops::DerefMut;

use engine::decide::{self, Case, Scratch};
use engine::decision::Fallback;
use engine::entity::HashKey;
use engine::state::EntityState;
use rules::past::Outcome;
use rules::time::Micros;
use rules::typed::{Captured, FeatureId};

use super::ahead::{self, Parsed};
use super::difference::{self, Difference, Field};
use super::{Failed, FoldError, Folder};
use crate::in_force::Kept;
use crate::journal::{Cursor, JournalError, RecordKind, Walks};
use crate::record::write::{self, Ending};
use crate::record::{Decided, RuleSetRecord, Stamp, WarmRecord};
use crate::snapshot::{Base, SnapshotError};

/// Differences that a report names; the rest is counted.
const NAMED_MAX: usize = 100;

/// What deriving again has shown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Records read.
    pub records: u64,
    /// Decisions derived again, and captured values of events recorded without one.
    pub derived: u64,
    /// Of these: fallbacks after a missed deadline, of which only captured values are derived.
    pub fallbacks: u64,
    /// Records that differ.
    pub different: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
}

/// Why nothing could be said.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
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

/// Derives every decision of a journal again, whose ids are hashed under this key; if it was pruned, all behind its base.
///
/// # Errors
/// If the journal cannot be read, or a record does not say what it must.
pub fn verify(journal: &Walks<'_>, key: HashKey, base: Option<&Base>) -> Result<Report, VerifyError> {
    let mut folder = Folder { again: Some(Again::default()), ..Folder::of(journal, key, base)? };
    let records = journal(base.map_or(0, Base::start))?;
    let records = ahead::fold::<VerifyError>(records, &mut folder, |_| Ok(()))?;
    let report = folder.again.map(|it| it.report).unwrap_or_default();
    Ok(Report { records, ..report })
}

impl Folder {
    /// Before the first record of a journal whose ids are hashed under this key, or before the first that its base has not
    /// seen. The features of all its rule sets are kept up from the beginning, which is why it is walked over: later ones
    /// find their state there.
    ///
    /// # Errors
    /// If the journal or its base cannot be read, or a rule set in it does not compile.
    pub fn of(journal: &Walks<'_>, key: HashKey, base: Option<&Base>) -> Result<Self, VerifyError> {
        let known = base.map(Base::kept).transpose()?.unwrap_or_default();
        let kept = rule_sets(&mut *journal(base.map_or(0, Base::start))?, known)?;
        Ok(Self::building_on(base, key, &kept, 0)?)
    }
}

/// All rule sets that a journal speaks of, beside those that are known. Of those that were built and never came into
/// force only the schema matters.
fn rule_sets(records: &mut dyn Cursor, known: Kept) -> Result<Kept, VerifyError> {
    let mut all = known;
    while let Some(record) = records.next()? {
        let offset = record.offset;
        let failed = |what| FoldError { offset, what };
        let message = || Stamp::split(record.body).map(|(_, it)| it).ok_or_else(|| failed(Failed::Stamp));
        let more = match record.kind {
            RecordKind::RuleSet => all.and(&super::read::<RuleSetRecord>(message()?).map_err(failed)?.bundle),
            RecordKind::Warm => all.knowing([super::read::<WarmRecord>(message()?).map_err(failed)?.bundle]),
            _ => continue,
        };
        all = more.map_err(|it| failed(Failed::Bundle(it)))?;
    }
    Ok(all)
}

/// What deriving needs, and has shown so far.
#[derive(Debug, Default)]
pub(super) struct Again {
    message: Decided,
    bytes: Vec<u8>,
    report: Report,
}

impl Again {
    /// Derives what a record says of its event, which is loaded, and compares.
    pub(super) fn derive<S: DerefMut<Target = EntityState>>(
        &mut self,
        case: Case<'_>,
        it: &Parsed,
        stands: bool,
        states: &mut [S],
        scratch: &mut Scratch,
    ) {
        self.report.derived += 1;
        scratch.captured.clear();
        if stands {
            decide::capture(case, states, scratch);
        }
        let recorded = &it.message;
        let undecided = match (it.kind, recorded.fallback()) {
            (Some(RecordKind::Event), _) => Some((Outcome::None, None)),
            (_, Some(Fallback::Deadline)) => {
                self.report.fallbacks += 1;
                Some((recorded.outcome().unwrap_or_default(), recorded.fallback()))
            }
            (_, None) => None,
        };
        match undecided {
            None => decide::decide(case, states, scratch),
            Some((outcome, fallback)) => scratch.ruling.undecided(outcome, fallback, case.moment.flags),
        }
        self.compare(case, it, scratch);
    }

    fn compare(&mut self, case: Case<'_>, it: &Parsed, scratch: &Scratch) {
        let Self { message, bytes, .. } = self;
        let (typed, recorded) = (&case.rules.typed, &it.message);
        let Some((stamp, said)) = Stamp::split(it.body()) else { return };
        write::begin(case.event, bytes);
        // The body of a recheck held only the fields that it changes.
        let kept = recorded.digest().filter(|_| case.event.recheck_of.is_some());
        let digest = kept.unwrap_or_else(|| write::digest(bytes, case.rules.key));
        // Which features of other rule sets were kept up beside those of the record's own is not known here.
        let said_of = |id: &FeatureId| {
            let feature = typed.features.get(id.index());
            feature.is_some_and(|it| {
                it.captured == Captured::Own || recorded.captured().any(|(hash, _)| hash == it.hash)
            })
        };
        let captured: Vec<_> = scratch.captured.iter().filter(|(id, _)| said_of(id)).copied().collect();
        let ending = Ending {
            stamp,
            event: case.event,
            rules: typed,
            captured: &captured,
            ruling: &scratch.ruling,
            original: recorded.original,
            digest: &digest,
        };
        ending.write(bytes);
        let derived = bytes.get(Stamp::BYTES..).unwrap_or_default();
        if said != derived {
            // What was just written can be read.
            let _ = message.read(derived);
            let fields = difference::fields(recorded, message, typed);
            self.add(Difference { offset: it.offset, event_id: recorded.id.clone(), fields });
        }
    }

    /// An amendment or a recheck names another place than that where its event stands.
    pub(super) fn misplaced(
        &mut self,
        offset: u64,
        event_id: &str,
        recorded: (Micros, u64),
        derived: (Micros, u64),
    ) {
        let (recorded, derived) = (format!("{recorded:?}"), format!("{derived:?}"));
        let fields = vec![Field { name: "time and position of the event".to_owned(), recorded, derived }];
        self.add(Difference { offset, event_id: event_id.to_owned(), fields });
    }

    fn add(&mut self, difference: Difference) {
        self.report.different += 1;
        if self.report.differences.len() < NAMED_MAX {
            self.report.differences.push(difference);
        }
    }
}
