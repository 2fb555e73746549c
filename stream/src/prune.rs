//! Dropping a journal's oldest records: first what they left behind is written down and on the disk, then they go, whole
//! segments at a time. Wherever that breaks off, the base and the records behind it are there.

use std::collections::BTreeSet;

use engine::entity::HashKey;
use rules::time::Micros;

use crate::fold::{Fold, ahead};
use crate::journal::{Cursor, Forgetful, Journal, JournalError, OnDisk, Record};
use crate::record::Stamp;
use crate::recover::RecoverError;
use crate::snapshot::{Base, DataDir, Extra, drop_below, write_base};
use crate::state::REPEAT_FOR;

/// Drops whole sealed segments all of whose records are below an offset, once the base holds what they left behind;
/// `extra` is kept in it. Gives how many segments.
///
/// # Errors
/// If what they left behind cannot be derived or written down, then nothing is dropped; or if the disk refuses.
pub fn prune(dir: &DataDir, journal: &OnDisk, before: u64, extra: &Extra) -> Result<usize, RecoverError> {
    let first = journal.oldest_without(before.min(journal.synced()));
    if first == journal.oldest() {
        return Ok(0);
    }
    rebase(dir, journal, journal.key(), first, extra)?;
    Ok(journal.prune(first)?)
}

/// Makes what the records below `first` left behind the base, if it is not behind that already.
///
/// # Errors
/// If that cannot be derived or written down; then the base before it is as it was.
pub fn rebase(
    dir: &DataDir,
    journal: &dyn Journal,
    key: HashKey,
    first: u64,
    extra: &Extra,
) -> Result<(), RecoverError> {
    if Base::of(dir)?.is_none_or(|it| it.start() < first) {
        write(dir, journal, key, first, extra)?;
    }
    // Where this broke off before, the base was there and what it makes useless too.
    Ok(drop_below(dir, first)?)
}

/// Writes what the records below `first` left behind.
fn write(
    dir: &DataDir,
    journal: &dyn Journal,
    key: HashKey,
    first: u64,
    extra: &Extra,
) -> Result<(), RecoverError> {
    let base = Base::beneath(dir, journal.oldest())?;
    let mut fold = Fold::of(&|from| journal.cursor(from), key, base.as_ref())?;
    if !may_repeat(journal, first)? {
        fold = fold.with_ids_from(first);
    }
    let records = journal.cursor(Base::start_of(base.as_ref()))?;
    ahead::fold::<RecoverError>(Box::new(Below { records, end: first }), &mut fold, |_| Ok(()))?;
    let spoken_of = spoken_of(journal, base.as_ref(), first, fold.clock().saturating_sub(REPEAT_FOR))?;
    fold.forget_all_but(&spoken_of);
    let gate = fold.into_gate(Box::new(Forgetful::starting_at(first)), None).ok_or(RecoverError::NoRules)?;
    // Nobody could tell that they are missing.
    gate.evict_idle();
    Ok(write_base(dir, &gate, extra)?)
}

/// Whether an event behind the journal's end may repeat one below an offset.
fn may_repeat(journal: &dyn Journal, offset: u64) -> Result<bool, JournalError> {
    let mut body = Vec::new();
    let mut clock = |offset: u64| -> Result<Option<Micros>, JournalError> {
        journal.read(offset, &mut body)?;
        Ok(Stamp::split(&body).map(|(stamp, _)| stamp.clock))
    };
    let (then, now) = (clock(offset)?, clock(journal.next().saturating_sub(1))?);
    Ok(then.zip(now).is_none_or(|(then, now)| now.saturating_sub(REPEAT_FOR) <= then))
}

/// The numbers of what was in force that somebody may still speak of behind `first`: records, and repeats of those whose
/// clock is above `since`.
fn spoken_of(
    journal: &dyn Journal,
    base: Option<&Base>,
    first: u64,
    since: Micros,
) -> Result<BTreeSet<u32>, JournalError> {
    let repeats = base.filter(|it| it.clock().is_some_and(|clock| since < clock));
    let mut numbers: BTreeSet<u32> = repeats.into_iter().flat_map(Base::numbers).collect();
    let mut records = journal.cursor(Base::start_of(base))?;
    while let Some(record) = records.next()? {
        let stamp = Stamp::split(record.body).map(|(stamp, _)| stamp);
        let speaks = stamp.filter(|it| first <= record.offset || since < it.clock);
        numbers.extend(speaks.map(|it| it.rule_set));
    }
    Ok(numbers)
}

/// A walk that ends before an offset.
struct Below {
    records: Box<dyn Cursor>,
    end: u64,
}

impl Cursor for Below {
    fn next(&mut self) -> Result<Option<Record<'_>>, JournalError> {
        Ok(self.records.next()?.filter(|it| it.offset < self.end))
    }
}
