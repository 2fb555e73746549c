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
use super::{Fold, JournalUnfit};
use crate::journal::{RecordKind, Walks};
use crate::record::write::{self, Ending};
use crate::record::{Decided, Stamp};
use crate::snapshot::Base;

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

/// Derives every decision of a journal again, whose ids are hashed under this key; if it was pruned, all behind its base.
///
/// # Errors
/// If the journal cannot be read, or a record does not say what it must.
pub fn verify(journal: &Walks<'_>, key: HashKey, base: Option<&Base>) -> Result<Report, JournalUnfit> {
    let mut fold = Fold { again: Some(Again::default()), ..Fold::of(journal, key, base)? };
    let records = journal(Base::start_of(base))?;
    let records = ahead::fold::<JournalUnfit>(records, &mut fold, |_| Ok(()))?;
    let report = fold.again.map(|it| it.report).unwrap_or_default();
    Ok(Report { records, ..report })
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
        let digest = write::begin_new(case.event, &typed.schema, case.rules.key, bytes);
        // The body of a recheck held only the fields that it changes.
        let kept = recorded.digest().filter(|_| case.event.recheck_of.is_some());
        let digest = kept.unwrap_or(digest);
        // Which features of other rule sets were kept up beside those of the record's own is not known here.
        let said_of = |id: &FeatureId| {
            let feature = typed.feature(*id);
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
