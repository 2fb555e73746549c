//! The base of a journal that was pruned: what the records that were dropped left behind, at exactly the position of the
//! first that is kept.
//!
//! It is what one thread has folded, from nothing or from the base before, with the state of the features of all rule sets
//! that were known when it was made. Whoever derives from records begins with it: whoever decides again
//! (`fold/verify.rs`), tries other rules (`fold/replay.rs`) or builds new state (`build.rs`). So all of them see the
//! same past, in which a feature that is newer than the base has none.

use std::path::Path;
use std::sync::Arc;

use engine::entity::HashKey;
use engine::plan::FeaturePlan;
use engine::rule_set::RuleSet;
use rules::schema::KindId;
use rules::time::Micros;
use rules::typed::{Feature, FeatureId};

use super::block::{BlockKind, BlockReader};
use super::directory::Stored;
use super::fit;
use super::{
    DataDir, Extra, Header, Held, Running, SnapshotError, Texts, compile, compile_all, kept_of, load,
    read_header, read_keeping, recent, write_draft,
};
use crate::bundle::Bundle;
use crate::gate::Gate;
use crate::in_force::{InForce, Kept};
use crate::record::Lacking;
use crate::state::layout::Layout;
use crate::state::recent::Remembered;
use crate::warming::Warming;

/// The base in a data directory.
#[derive(Debug)]
pub struct Base {
    file: Stored,
    header: Header,
}

impl Base {
    /// What a journal stands on whose oldest record is this: nothing, where that is the first of all.
    ///
    /// # Errors
    /// If records were dropped and nothing says what they left behind, or that cannot be read.
    pub fn beneath(dir: &DataDir, oldest: u64) -> Result<Option<Self>, SnapshotError> {
        if oldest == 0 {
            return Ok(None);
        }
        let base = Self::of(dir)?.filter(|it| oldest <= it.start());
        base.map(Some).ok_or(SnapshotError::NoBase { oldest })
    }

    /// The base in a data directory; none if its journal was never pruned.
    pub(crate) fn of(dir: &DataDir) -> Result<Option<Self>, SnapshotError> {
        let Some(file) = dir.base()? else { return Ok(None) };
        let header = read_header(&mut BlockReader::open(&file)?)?;
        Ok(Some(Self { file, header }))
    }

    /// Its file.
    pub fn file(&self) -> &Path {
        self.file.path()
    }

    /// The first record that it has not seen. Where the disk stopped while segments were dropped, some before it are left.
    pub fn start(&self) -> u64 {
        self.header.start
    }

    /// The first record that is derived from: of a journal that was never pruned the first of all.
    pub fn start_of(base: Option<&Self>) -> u64 {
        base.map_or(0, Self::start)
    }

    /// The engine clock then: the journal holds every event later than this. None if there was no event.
    pub(crate) fn clock(&self) -> Option<Micros> {
        self.header.clock
    }

    /// All that was in force and may still be spoken of, oldest first.
    ///
    /// # Errors
    /// If it does not compile any more.
    pub fn in_force(&self, key: HashKey) -> Result<Vec<Arc<InForce>>, SnapshotError> {
        compile_all(&self.header, key, &self.kept()?).map_err(|it| self.failed(it.to_string()))
    }

    /// The numbers of these.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.header.in_force.iter().flat_map(Texts::numbers)
    }

    /// What was in force last.
    pub(crate) fn newest_bundle(&self) -> Option<&Bundle> {
        self.header.in_force.last().map(|it| &it.bundle)
    }

    /// The rule sets whose features have state in it.
    pub(crate) fn kept(&self) -> Result<Kept, SnapshotError> {
        kept_of(&self.header).map_err(|it| self.failed(it.to_string()))
    }

    /// Its state with room for the features of all these, and with what was in force, which keeps them up.
    pub(crate) fn resume(&self, key: HashKey, kept: &Kept) -> Result<Running, SnapshotError> {
        let wide = self.newest(key, kept)?;
        let kept = kept.lacking(&self.lacking(key, &wide.rules)?);
        read_keeping(&self.file, Some(key), Some(&kept))
    }

    /// Its state as far as a rule set asks for it.
    pub(crate) fn load(&self, rules: &RuleSet) -> Result<Held, SnapshotError> {
        let mut reader = BlockReader::open(&self.file)?;
        let header = read_header(&mut reader)?;
        load::rest(reader, &header, rules, true)
    }

    /// Gives the ids of records below an offset to `take` that may still be repeats behind it.
    pub(crate) fn ids(&self, below: u64, mut take: impl FnMut(Remembered<'_>)) -> Result<(), SnapshotError> {
        let mut reader = BlockReader::open(&self.file)?;
        loop {
            let mut block = reader.next()?;
            match block.kind {
                BlockKind::End => return Ok(()),
                BlockKind::Recent => {
                    let read = recent::read(&mut block.columns, below, &mut take);
                    read.ok_or_else(|| reader.damaged("its columns do not fit together"))?;
                }
                _ => {}
            }
        }
    }

    /// Which features of a rule set that goes on from it are not complete, and until when.
    pub(crate) fn lacking(&self, key: HashKey, rules: &RuleSet) -> Result<Vec<Lacking>, SnapshotError> {
        let own = self.newest(key, &self.kept()?)?;
        let Some(since) = self.clock() else { return Ok(own.to_lacking()) };
        let ours = Layout::of(rules);
        let blind = |id| is_blind(rules, id, (&ours, &self.header.layout));
        let built = Warming::built(&own.rules.typed, &rules.typed, since, blind);
        Ok(Warming::of(&own.to_lacking()).and(built).to_records())
    }

    /// What was in force last, keeping up the features of others.
    fn newest(&self, key: HashKey, kept: &Kept) -> Result<InForce, SnapshotError> {
        let newest: &Texts =
            self.header.in_force.last().ok_or_else(|| self.failed("it holds none".to_owned()))?;
        compile(newest, key, kept).map_err(|it| self.failed(it.to_string()))
    }

    fn failed(&self, cause: String) -> SnapshotError {
        SnapshotError::Rules { file: self.file().to_owned(), cause }
    }
}

/// Whether the rows of a base, whose layout is `theirs`, do not say what a feature that is new to it looks at in them.
fn is_blind(rules: &RuleSet, id: FeatureId, (ours, theirs): (&Layout, &Layout)) -> bool {
    let Some(FeaturePlan::Window(plan) | FeaturePlan::Scan(plan)) = rules.plan.feature(id) else {
        return false;
    };
    let aggregate = rules.typed.feature(id).and_then(Feature::aggregate);
    let kind = rules.typed.schema.role_kind(plan.role).map_or(usize::MAX, KindId::index);
    let (Some(aggregate), Some(kind_plan), Some(names)) =
        (aggregate, rules.plan.kinds.get(kind), ours.kinds.get(kind))
    else {
        return false;
    };
    let has = |name: &String| theirs.kinds.get(kind).is_some_and(|it| fit::has_column(it, name));
    let mut columns = kind_plan.columns.iter().zip(&names.columns);
    columns.any(|(column, name)| column.source.is_read_by(id, aggregate) && !has(name))
}

/// Writes what the gate holds as the base, in the place of the one before.
pub(crate) fn write(dir: &DataDir, gate: &Gate, extra: &Extra) -> Result<(), SnapshotError> {
    let _one = dir.begin();
    let (draft, _) = write_draft(dir, gate, extra, None)?;
    dir.publish_base(&*draft)
}

/// Removes the snapshots that begin below an offset: they are of no more use, the records behind them are about to go.
pub(crate) fn drop_below(dir: &DataDir, start: u64) -> Result<(), SnapshotError> {
    let _one = dir.begin();
    for older in dir.numbered()? {
        let header = BlockReader::open(&older).and_then(|mut it| read_header(&mut it));
        match header {
            Ok(header) if header.start < start => dir.remove(&older)?,
            // A damaged one is set aside when it is needed.
            Ok(_) | Err(SnapshotError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
