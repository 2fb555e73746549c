//! State for another rule set, built from the journal while decisions go on.
//!
//! ```text
//! nothing, or the journal's base with room for the new features → the journal's records, oldest first
//!   → caught up → (passage closed: the last few records, a record that says so, the new states in the place of the old)
//!   → snapshot on the disk → the rule set comes into force by one record, as one that needs no new state
//! ```
//!
//! The state is built for the rule set in force, with the features of the other kept up beside its own and its schema
//! known: so nothing but the layout of states changes when it takes over, and what comes after is an ordinary activation.
//! What nobody goes back to any more, since it was in force a day ago or before, is left out.

mod growth;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rules::time::Micros;

use crate::aside::SpareTime;
use crate::bundle::{Bundle, BundleError};
use crate::fold::{Fold, FoldError};
use crate::gate::{Gate, MayFollow, NotAtOnce, OtherState, Poisoned};
use crate::in_force::InForce;
use crate::journal::{Cursor, JournalError, RecordKind};
use crate::pace::Pace;
use crate::record::{Lacking, Stamp, WarmRecord};
use crate::snapshot::{self, Base, DataDir, Extra, SnapshotError};
use crate::state::State;
use crate::state::misfit::{Misfit, same_state};
pub use growth::Growth;

/// How far a build is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Built {
    /// Records of the journal that are in the new state.
    pub records: u64,
    /// Records that the journal holds.
    pub of: u64,
}

/// Why a rule set could not be put in force.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// It cannot be put in force, built or not.
    #[error(transparent)]
    NotAtOnce(#[from] NotAtOnce),
    /// Its texts have errors.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Another is on its way.
    #[error("another rule set is being built: wait until it is in force")]
    Busy,
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record cannot be applied.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// The state cannot be written or read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Its state would not fit into memory.
    #[error(
        "its state would take {needed} bytes more, and {in_use} of the {limit} bytes of the memory limit are taken: raise \
         `--memory`, or make its windows shorter"
    )]
    Memory {
        /// What it would take, in bytes.
        needed: u64,
        /// What the process takes.
        in_use: u64,
        /// What it may take.
        limit: u64,
    },
    /// The journal can write no more.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
    /// The process ends.
    #[error("the server stops: send it again when it runs")]
    Stopped,
    /// The system gives no thread to build on.
    #[error("no thread to build its state on: {0}")]
    Thread(#[source] io::Error),
    /// There is no journal to build from.
    #[error("there is no journal to build state from")]
    NoJournal,
}

/// So long it is built until it is told how far that came.
const TURN: Duration = Duration::from_millis(100);
/// How often it is looked whether the last records are on the disk.
const LOOK_AGAIN: Duration = Duration::from_micros(50);

impl Gate {
    /// Puts another rule set in force: at once if all state that it needs is there; otherwise what is new is built from the
    /// journal first, while decisions go on. It `may_follow` what is in force then; if that is not said, the rules as they are
    /// written now. `extra` is kept in the snapshots that this writes, and `tell` hears how far it is.
    ///
    /// # Errors
    /// If it cannot take over here; then what was in force still is.
    pub fn activate_built(
        &self,
        bundle: &Arc<Bundle>,
        may_follow: Option<MayFollow<'_>>,
        (dir, extra): (&DataDir, &Extra),
        tell: &mut dyn FnMut(Built),
    ) -> Result<Arc<InForce>, BuildError> {
        // Whoever sends another one meanwhile is told that it is in force.
        let now = self.in_force();
        let is_same = |it: &InForce| it.is_written_as(&now);
        let may_follow = may_follow.or(Some(&is_same));
        match self.activate_behind(Arc::clone(bundle), may_follow) {
            Err(NotAtOnce::NeedsBuild { .. }) => {}
            at_once => return Ok(at_once?),
        }
        self.build(bundle, dir, tell)?;
        // Its record may come only when a crash behind it finds the state.
        snapshot::write_beside_decisions(dir, self, extra)?;
        self.may_build()?;
        Ok(self.activate_behind(Arc::clone(bundle), may_follow)?)
    }

    /// Abandons what is being built, as a crash would, and whatever is to be built from now on: for the end of the process.
    pub fn stop_building(&self) {
        self.builds_stopped.store(true, Ordering::Relaxed);
    }

    fn may_build(&self) -> Result<(), BuildError> {
        if self.builds_stopped.load(Ordering::Relaxed) { Err(BuildError::Stopped) } else { Ok(()) }
    }

    /// Builds the state of a rule set's features from the journal, and keeps it up from then on.
    fn build(&self, bundle: &Bundle, dir: &DataDir, tell: &mut dyn FnMut(Built)) -> Result<(), BuildError> {
        if self.stands_alone() {
            return Err(BuildError::NoJournal);
        }
        let _one = self.building.try_lock().ok_or(BuildError::Busy)?;
        let wide = wide(&self.current.lately(self.now()), bundle)?;
        let then = wide.followed_by(wide.number + 1, Arc::new(bundle.clone()))?;
        same_state(&wide.rules, &then.rules).map_err(not_even_then)?;
        let base = Base::beneath(dir, self.journal.oldest())?;
        // The journal speaks of rule sets whose features have no state here.
        let only = wide.kept.only_of(&wide.rules.typed);
        let fold = Fold::building_on(base.as_ref(), self.key(), &only, u64::MAX)?;
        let from = Base::start_of(base.as_ref());
        let mut build = Build { fold, records: self.journal.cursor(from)?, next: from };
        let (mut more, mut spare) = (true, SpareTime::default());
        while more {
            self.may_build()?;
            more = spare.work("build", || build.turn()).map_err(BuildError::Thread)??;
            tell(Built { records: build.next - from, of: self.journal.next() - from });
        }
        self.may_build()?;
        self.take_over(build, bundle, dir, base.as_ref())
    }

    /// Puts the built states in the place of those that are in use, at one moment for all.
    fn take_over(
        &self,
        mut build: Build,
        bundle: &Bundle,
        dir: &DataDir,
        base: Option<&Base>,
    ) -> Result<(), BuildError> {
        let change = self.current.begin();
        let old = self.current.get();
        let wide = InForce { number: old.number + 1, ..wide(&change.lately(self.now()), bundle)? };
        let built_for = build.fold.newest().ok_or(NotAtOnce::Overtaken)?;
        same_state(&built_for.rules, &wide.rules).map_err(|_| NotAtOnce::Overtaken)?;
        let known = |it: &Lacking| old.rules.typed.features.iter().any(|own| own.hash[..] == it.feature[..]);
        let mut lacking = base.map(|it| it.lacking(self.key(), &wide.rules)).transpose()?.unwrap_or_default();
        lacking.retain(|it| !known(it));
        let since = base.and_then(Base::clock);
        let wide = wide.lacking(&lacking)?;
        // Compiling takes its time. What was recorded meanwhile is applied before all wait, but for the last few records.
        while build.step()? {}
        let closed = self.passage.close();
        // INVARIANT (take over): nobody appends now. What changes entities goes through the passage, and what changes what
        // is in force waits for this change.
        let end = self.journal.next();
        while build.next < end {
            if !build.step()? {
                if self.progress.borrow().has_ended() {
                    return Err(Poisoned.into());
                }
                thread::sleep(LOOK_AGAIN);
            }
        }
        let gone = old.captured_only_here(&wide).map(Vec::from).collect();
        let message = WarmRecord { bundle: bundle.clone(), since, lacking, gone };
        self.append_change(RecordKind::Warm, wide.number, &message, &[]);
        let State { directory, .. } = build.fold.into_state();
        let before = self.current.directory();
        change.put(wide, Some(directory), self.now());
        drop(closed);
        // A snapshot that is under way may be of these states, and whoever is gone would be missing in it.
        let _one = dir.begin();
        // Workers let go of it one by one; what it holds is freed here and not by the last of them.
        let mut pace = Pace::begin();
        before.clear(|| pace.rest());
        Ok(())
    }
}

/// What is in force, the last of these, keeping up what the others and a rule set that is to follow ask for.
fn wide(lately: &[Arc<InForce>], bundle: &Bundle) -> Result<InForce, BuildError> {
    let newest = lately.last().ok_or(NotAtOnce::Overtaken)?;
    Ok(newest.keeping_up(&newest.kept.built_for(bundle, lately)?)?)
}

/// A rule set that even with the state built does not fit.
fn not_even_then(misfit: Misfit) -> BuildError {
    NotAtOnce::OtherState(OtherState(misfit)).into()
}

/// The offset and the clock of the oldest record of or behind an event; none if there was no event.
fn first_event(records: &mut dyn Cursor) -> Result<Option<(u64, Micros)>, JournalError> {
    while let Some(record) = records.next()? {
        let clock = Stamp::split(record.body).map(|(stamp, _)| stamp.clock);
        if let Some(clock) = clock.filter(|it| *it != Micros::MIN) {
            return Ok(Some((record.offset, clock)));
        }
    }
    Ok(None)
}

/// States that are being built.
struct Build {
    fold: Fold,
    records: Box<dyn Cursor>,
    /// The offset of the next record to apply.
    next: u64,
}

impl Build {
    /// Applies records for a [`TURN`], resting as long as it works; gives whether there may be more.
    fn turn(&mut self) -> Result<bool, BuildError> {
        let (start, mut pace) = (Instant::now(), Pace::begin());
        while start.elapsed() < TURN {
            if !self.step()? {
                return Ok(false);
            }
            pace.rest();
        }
        Ok(true)
    }

    /// Applies a record; gives whether there was one.
    fn step(&mut self) -> Result<bool, BuildError> {
        let Some(record) = self.records.next()? else { return Ok(false) };
        self.fold.apply(&record)?;
        self.next = record.offset + 1;
        Ok(true)
    }
}

#[cfg(all(test, feature = "test-support"))]
mod tests {
    use engine::entity::HashKey;
    use engine::event::{Amendment, Change, Event};
    use rules::past::Label;

    use super::*;
    use crate::disk;
    use crate::gate::{Admission, Deadline};
    use crate::journal::{Journal as _, Memory, OnDisk, Options};
    use crate::recover::recover;

    const SCHEMA: &str = "schema s 1\nzone \"UTC\"\ncurrency EUR\nentity user\nevent payment\n  user: user\n";
    const RULES: &str = "use schema s\nfeature n = count(any) by user over 1h\nrecord n\n";

    fn bundle(schema: &str) -> Bundle {
        Bundle::of(&[("s.schema.weir", schema), ("s.weir", RULES)])
    }

    /// The process ends while state is built; the next one finds what was in force.
    #[test]
    fn a_build_ends_with_its_process() {
        let key = HashKey::new([3; 16]);
        let pay = |gate: &Gate, id: &str| {
            let mut event = Event::default();
            event.begin(gate.rules().typed.schema.event_type("payment").unwrap(), 1);
            event.id.push_str(id);
            event.set_text(0, "u1");
            gate.submit(&event, Deadline::Never, &mut gate.worker(Vec::new())).unwrap();
        };
        let check = |end: &dyn Fn(&Gate, &OnDisk), expected: &str| {
            let folder = tempfile::tempdir().unwrap();
            let dir = DataDir::open(folder.path()).unwrap();
            let open = || {
                let disk = disk::Folder::create(folder.path().join("journal")).unwrap();
                Arc::new(OnDisk::open(Arc::new(disk), Options::new(key)).unwrap())
            };
            let (journal, first) = (open(), Arc::new(bundle(SCHEMA)));
            let admission = Admission::default();
            let gate = Gate::begin(first, key, Box::new(Arc::clone(&journal)), admission).unwrap();
            pay(&gate, "p1");
            gate.wait_for_disk(gate.next_position()).unwrap();
            let before = gate.rules().typed.hash;
            let mut wider = bundle(SCHEMA);
            wider.sources[1].text = RULES.replace("1h", "2h");
            let tell = &mut |_| end(&gate, &journal);
            let ended = gate.activate_built(&Arc::new(wider), None, (&dir, &Extra::new()), tell);
            let ended = ended.unwrap_err().to_string();
            assert!(ended.contains(expected), "{ended}");
            drop((gate, journal));
            let recovered = recover(&dir, key, Box::new(open()), admission).unwrap().unwrap();
            assert_eq!(recovered.gate.rules().typed.hash, before);
        };
        check(&|gate, _| gate.stop_building(), "the server stops: send it again when it runs");
        let closed = "the journal cannot be written any more";
        check(&|_, journal| journal.close(), closed);
        let close_and_pay = |gate: &Gate, journal: &OnDisk| {
            journal.close();
            pay(gate, "p2");
        };
        check(&close_and_pay, closed);
    }

    /// Between the moment at which new state takes over and that at which its rules come into force, which a crash may
    /// keep from ever coming, events may be of the new schema; a snapshot of before knows nothing of it.
    #[test]
    fn events_of_a_schema_that_never_came_into_force_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, journal) = (DataDir::open(folder.path()).unwrap(), Memory::default());
        let (key, extra) = (HashKey::new([3; 16]), Extra::new());
        let first = Arc::new(bundle(SCHEMA));
        let gate = Gate::begin(first, key, Box::new(journal.clone()), Admission::default()).unwrap();
        snapshot::write(&dir, &gate, &extra).unwrap();
        let grown =
            SCHEMA.replace("schema s 1", "schema s 2") + "event bind\n  user: user\n  bank: text(4)\n";
        gate.build(&bundle(&grown), &dir, &mut |_| ()).unwrap();
        let mut event = Event::default();
        event.begin(gate.rules().typed.schema.event_type("bind").unwrap(), 2);
        event.id.push_str("b1");
        event.set_text(0, "u1");
        event.set_text(1, "bank");
        gate.submit(&event, Deadline::Never, &mut gate.worker(Vec::new())).unwrap();
        drop(gate);

        let recovered = recover(&dir, key, Box::new(journal.clone()), Admission::default()).unwrap().unwrap();
        let gate = recovered.gate;
        let knows = |gate: &Gate| gate.rules().typed.schema.event_type("bind").is_some();
        assert!(knows(&gate), "the record of the swap says what was built");
        snapshot::write(&dir, &gate, &extra).unwrap();
        drop(gate);
        let recovered = recover(&dir, key, Box::new(journal.clone()), Admission::default()).unwrap().unwrap();
        let change = Change::Label(Label::Fraud, None);
        let amendment =
            Amendment { id: "a1".into(), event_id: "b1".into(), time: 0, time_given: true, change };
        let gate = recovered.gate;
        assert!(knows(&gate), "and the snapshot keeps it");
        gate.amend(&amendment, None, &mut gate.worker(Vec::new())).unwrap();
        gate.activate(Arc::new(bundle(SCHEMA))).unwrap();
        let report = crate::fold::verify(&|from| journal.cursor(from), key, None).unwrap();
        assert_eq!((report.derived, report.different), (1, 0), "{report:?}");
    }
}
