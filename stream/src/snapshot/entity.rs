//! States of entities in columns.
//!
//! An entity stands in one piece or in several that follow each other, in one block or in more, each piece under its key.
//! Blocks are of one kind. Of each piece the numbers of its rows, occurrences, lists and alerts come last, so that a piece
//! can end wherever the block is full.
//!
//! Its rows come first, oldest first. While decisions go on, each piece has its own position: it holds what the records up
//! to there say of the rows behind those of the piece before. All that is no row is as of
//! the last piece's position.

use engine::entity::EntityKey;
use engine::history::{ColumnId, Key, NewRows, Row};
use engine::lists::Membership;
use engine::plan::KindPlan;
use engine::rule_set::RuleSet;
use engine::state::{EntityState, Lag, Occurrence, Piece};
use engine::touch::AlertName;
use parking_lot::Mutex;
use rules::schema::KindId;
use rules::time::Micros;
use rules::typed::ListId;
use std::io;

use super::block::{BlockKind, BlockWriter, Columns, Cut};
use super::fit::{KindFit, Member};
use crate::state::directory::Directory;
use crate::state::layout::Layout;
use crate::state::may_leave;

/// Which column holds what; behind the last one stand the words of membership bits, then the values.
mod column {
    pub(super) const KIND: usize = 0;
    pub(super) const KEY: usize = 1;
    pub(super) const APPLIED: usize = 2;
    pub(super) const LAST_EVENT: usize = 3;
    /// Rows, lists and alerts, then the occurrences of each plan.
    pub(super) const COUNTS: usize = 4;
    pub(super) const TIME: usize = 5;
    pub(super) const POSITION: usize = 6;
    pub(super) const STATE: usize = 7;
    pub(super) const OCCURRENCE_OF: usize = 8;
    pub(super) const OCCURRENCE_TIME: usize = 9;
    pub(super) const OCCURRENCE_POSITION: usize = 10;
    pub(super) const OCCURRENCE_VALUE: usize = 11;
    pub(super) const LIST: usize = 12;
    pub(super) const ALERT: usize = 13;
    pub(super) const MEMBERS: usize = 14;
}

/// Rows that are copied at once: so long whoever decides about their entity waits.
const AT_ONCE: usize = 64;

/// How much an entity has in a piece.
#[derive(Debug, Default)]
struct Counts {
    rows: u32,
    lists: u32,
    alerts: u32,
    occurrences: Vec<u32>,
}

/// What a piece says of its entity.
#[derive(Clone, Copy, Debug)]
struct Head {
    key: EntityKey,
    /// One more than the position of the last record that was applied; 0 before the first.
    seen_below: u64,
    last_event: Micros,
    /// Occurrences of the plan.
    occurrences: usize,
}

/// What an entity has beside its rows, copied: nobody waits while it is sorted and written.
#[derive(Debug, Default)]
struct Rest {
    occurrences: Vec<Vec<Occurrence>>,
    lists: Vec<Membership>,
    alerts: Vec<(AlertName, Micros)>,
}

/// Writes entities, sorted by key.
pub(super) struct EntityWriter<'a> {
    out: &'a mut BlockWriter,
    rules: &'a RuleSet,
    block: Columns,
    kind: Option<KindId>,
    counts: Counts,
    rest: Rest,
    /// If only what an event could still see is written: the engine clock.
    visible_at: Option<Micros>,
    /// Entities written.
    pub(super) entities: u64,
    /// The greatest position that one of them has seen, and one more; 0 where none has seen any.
    pub(super) seen_below: u64,
}

impl<'a> EntityWriter<'a> {
    pub(super) fn new(out: &'a mut BlockWriter, rules: &'a RuleSet, visible_at: Option<Micros>) -> Self {
        Self {
            out,
            rules,
            block: Columns::default(),
            kind: None,
            counts: Counts::default(),
            rest: Rest::default(),
            visible_at,
            entities: 0,
            seen_below: 0,
        }
    }

    /// Writes one entity, if it is there. It is locked while [`AT_ONCE`] of its rows are copied, or what it has beside
    /// them, and not while anything is written.
    ///
    /// INVARIANT (pieces): between two locks decisions go on. What they do to rows that are copied already is in no piece,
    /// and the piece's position says so; all else is in the next ones.
    pub(super) fn write(&mut self, key: EntityKey, slot: &Mutex<EntityState>) -> io::Result<()> {
        let Some(plan) = self.rules.plan.kind(key.kind) else { return Ok(()) };
        if self.kind != Some(key.kind) {
            self.flush()?;
            self.kind = Some(key.kind);
        }
        let mut state = slot.lock();
        let hidden = |now| may_leave(self.rules, key, &state, now);
        if state.is_dead() || self.visible_at.is_some_and(hidden) {
            return Ok(());
        }
        self.entities += 1;
        let mut head = self.begin(key, &state, plan);
        let mut last = None;
        while self.rows(&state, plan, &mut last) {
            drop(state);
            self.end();
            self.flush_if_full()?;
            state = slot.lock();
            // It left memory, so that nobody can tell whether more of it is there.
            if state.is_dead() {
                return Ok(());
            }
            head = self.begin(key, &state, plan);
        }
        let mut rest = std::mem::take(&mut self.rest);
        rest.copy(&state, plan, self.visible_at);
        drop(state);
        let written = self.rest(head, &mut rest);
        self.rest = rest;
        written
    }

    /// Writes the block if it is full, and rests if it is time to. For when no lock is held.
    pub(super) fn flush_if_full(&mut self) -> io::Result<()> {
        if self.block.is_full() {
            self.flush()?;
        }
        self.out.ease()
    }

    /// Writes what the block holds.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if let Some(kind) = self.kind.filter(|_| !self.block.is_empty()) {
            self.block.put(column::KIND, &kind.0.to_le_bytes());
            self.out.write(BlockKind::Entities, &mut self.block)?;
        }
        Ok(())
    }

    /// Copies the rows behind the last one that was copied, as many as may be; gives whether more are left.
    fn rows(&mut self, state: &EntityState, plan: &KindPlan, last: &mut Option<Key>) -> bool {
        let old = hidden(self.visible_at, plan.keep_rows);
        let rows = state.history().rows_behind(&plan.history, *last).filter(|row| old < row.key().time);
        for (copied, row) in rows.enumerate() {
            if copied == AT_ONCE || self.block.is_full() {
                return true;
            }
            *last = Some(row.key());
            self.row(row, plan);
        }
        false
    }

    /// Writes the rest of an entity, and ends it.
    fn rest(&mut self, head: Head, rest: &mut Rest) -> io::Result<()> {
        for (at, kept) in rest.occurrences.iter_mut().enumerate() {
            kept.sort_unstable();
            for it in kept.drain(..) {
                self.make_room(head)?;
                self.occurrence(at, it);
            }
        }
        for it in rest.lists.drain(..) {
            self.make_room(head)?;
            self.membership(&it);
        }
        rest.alerts.sort_unstable();
        for (name, at) in rest.alerts.drain(..) {
            self.make_room(head)?;
            self.alert(name, at);
        }
        self.end();
        Ok(())
    }

    /// Ends a piece whose block is full, and begins the next.
    fn make_room(&mut self, head: Head) -> io::Result<()> {
        if self.block.is_full() {
            self.end();
            self.flush()?;
            self.begin_piece(head);
        }
        Ok(())
    }

    /// Begins a piece of an entity as it is now.
    fn begin(&mut self, key: EntityKey, state: &EntityState, plan: &KindPlan) -> Head {
        let seen_below = state.applied().map_or(0, |it| it + 1);
        self.seen_below = self.seen_below.max(seen_below);
        // Of an entity that came back, the last event before it left cannot be told from none.
        let last_event = state.last_event().max(hidden(self.visible_at, plan.keep));
        let head = Head { key, seen_below, last_event, occurrences: state.occurrences().len() };
        self.begin_piece(head);
        head
    }

    fn begin_piece(&mut self, head: Head) {
        self.block.put(column::KEY, &head.key.hash().to_le_bytes());
        self.block.put(column::APPLIED, &head.seen_below.to_le_bytes());
        self.block.put(column::LAST_EVENT, &head.last_event.to_le_bytes());
        let Counts { rows, lists, alerts, occurrences } = &mut self.counts;
        (*rows, *lists, *alerts) = (0, 0, 0);
        occurrences.clear();
        occurrences.resize(head.occurrences, 0);
    }

    fn end(&mut self) {
        let Counts { rows, lists, alerts, occurrences } = &self.counts;
        for count in [rows, lists, alerts].into_iter().chain(occurrences) {
            self.block.put(column::COUNTS, &count.to_le_bytes());
        }
    }

    fn row(&mut self, row: Row<'_>, plan: &KindPlan) {
        let key = row.key();
        self.block.put(column::TIME, &key.time.to_le_bytes());
        self.block.put(column::POSITION, &key.position.to_le_bytes());
        self.block.put(column::STATE, &row.state().to_le_bytes());
        let words = plan.conditions.len().div_ceil(64);
        for word in 0..words {
            self.block.put(column::MEMBERS + word, &row.members(word).to_le_bytes());
        }
        for (at, id) in (0..plan.columns.len()).zip(ColumnId::all()) {
            self.block.put(column::MEMBERS + words + at, &row.value(id).to_le_bytes());
        }
        self.counts.rows += 1;
    }

    fn occurrence(&mut self, at: usize, it: Occurrence) {
        self.block.put(column::OCCURRENCE_OF, &it.of.to_le_bytes());
        self.block.put(column::OCCURRENCE_TIME, &it.key.time.to_le_bytes());
        self.block.put(column::OCCURRENCE_POSITION, &it.key.position.to_le_bytes());
        self.block.put(column::OCCURRENCE_VALUE, &it.value.to_le_bytes());
        if let Some(count) = self.counts.occurrences.get_mut(at) {
            *count += 1;
        }
    }

    fn membership(&mut self, it: &Membership) {
        let flags = u8::from(it.until.is_some()) | u8::from(it.value.is_some()) << 1;
        self.block.put(column::LIST, &it.list.0.to_le_bytes());
        self.block.put(column::LIST, &[flags]);
        for number in [it.until, it.value].into_iter().flatten() {
            self.block.put(column::LIST, &number.to_le_bytes());
        }
        self.counts.lists += 1;
    }

    fn alert(&mut self, name: AlertName, at: Micros) {
        self.block.put(column::ALERT, &name.0.to_le_bytes());
        self.block.put(column::ALERT, &at.to_le_bytes());
        self.counts.alerts += 1;
    }
}

impl Rest {
    /// Takes what an entity has, in the place of what is here.
    fn copy(&mut self, state: &EntityState, plan: &KindPlan, visible_at: Option<Micros>) {
        let Self { occurrences, lists, alerts } = self;
        occurrences.resize_with(state.occurrences().len(), Vec::new);
        for (at, (into, kept)) in occurrences.iter_mut().zip(state.occurrences()).enumerate() {
            let old = plan.occurrences.get(at).map_or(Micros::MIN, |it| hidden(visible_at, it.keep));
            into.extend(kept.entries().filter(|it| old < it.key.time));
        }
        let over = |it: &&Membership| visible_at.zip(it.until).is_some_and(|(now, until)| until <= now);
        lists.extend(state.lists().iter().filter(|it| !over(it)));
        let old = hidden(visible_at, plan.keep);
        alerts.extend(state.alerts().filter(|(_, at)| old < *at));
    }
}

/// Up to when what is kept for so long could not be seen any more, if only what could be seen is written.
fn hidden(visible_at: Option<Micros>, keep: Micros) -> Micros {
    visible_at.map_or(Micros::MIN, |clock| clock.saturating_sub(keep))
}

/// The first and the last entity of a block; none if it is not as one is written.
pub(super) fn ends(block: &Cut) -> Option<(EntityKey, EntityKey)> {
    let kind = KindId(u16::from_le_bytes(*block.left(column::KIND).first_chunk()?));
    let key = |hash: &[u8; 16]| EntityKey::new(kind, u128::from_le_bytes(*hash));
    let keys = block.left(column::KEY);
    Some((key(keys.first_chunk()?), key(keys.last_chunk()?)))
}

/// Reads entities into a directory.
pub(super) struct EntityReader<'a> {
    rules: &'a RuleSet,
    into: &'a Directory,
    kinds: &'a [KindFit],
    /// By list of the snapshot: which of the rule set's.
    lists: Vec<Option<ListId>>,
    /// The entity whose pieces are being put together.
    current: Option<Current>,
    counts: Vec<u32>,
    rows: ReadRows,
    /// Entities read.
    pub(super) entities: u64,
}

impl<'a> EntityReader<'a> {
    /// For a snapshot of this layout; `kinds` say where in it the state stands.
    pub(super) fn new(
        rules: &'a RuleSet,
        into: &'a Directory,
        (ours, theirs): (&Layout, &Layout),
        kinds: &'a [KindFit],
    ) -> Self {
        fn find<T>(name: &String, names: &[String], id: fn(u16) -> T) -> Option<T> {
            let at = names.iter().position(|it| it == name)?;
            u16::try_from(at).ok().map(id)
        }
        Self {
            rules,
            into,
            kinds,
            lists: theirs.lists.iter().map(|it| find(it, &ours.lists, ListId)).collect(),
            current: None,
            counts: Vec::new(),
            rows: ReadRows::default(),
            entities: 0,
        }
    }

    /// Reads a block; none if it is not as one is written.
    pub(super) fn read(&mut self, block: &mut Cut) -> Option<()> {
        let kind = KindId(block.u16(column::KIND)?);
        let rules = self.rules;
        let plan = rules.plan.kind(kind)?;
        while !block.is_empty(column::KEY) {
            let key = EntityKey::new(kind, u128::from_le_bytes(block.take(column::KEY)?));
            self.piece(key, plan, block)?;
        }
        block.is_used_up().then_some(())
    }

    /// Puts the last entity into the directory.
    pub(super) fn finish(&mut self) {
        if let Some(current) = self.current.take() {
            self.into.put(current.key, current.finish());
            self.entities += 1;
        }
    }

    fn piece(&mut self, key: EntityKey, plan: &KindPlan, block: &mut Cut) -> Option<()> {
        let applied = block.u64(column::APPLIED)?.checked_sub(1);
        let last_event = block.i64(column::LAST_EVENT)?;
        let continues = match &self.current {
            Some(it) if key < it.key => return None,
            Some(it) => key == it.key,
            None => false,
        };
        if !continues {
            self.finish();
        }
        let kind = key.kind.index();
        let occurrences = self.kinds.get(kind)?.occurrences.len();
        self.counts.clear();
        for _ in 0..3 + occurrences {
            self.counts.push(block.u32(column::COUNTS)?);
        }
        let counts = std::mem::take(&mut self.counts);
        let mut current = self.current.take().unwrap_or_else(|| Current::new(key, plan));
        let done = self.parts(&counts, kind, plan, &mut current.state, block);
        current.seen(applied, last_event, self.rows.last());
        self.current = Some(current);
        self.counts = counts;
        done
    }

    fn parts(
        &mut self,
        counts: &[u32],
        kind: usize,
        plan: &KindPlan,
        state: &mut EntityState,
        block: &mut Cut,
    ) -> Option<()> {
        let [rows, lists, alerts, occurrences @ ..] = counts else { return None };
        self.rows.read(*rows as usize, self.kinds.get(kind)?, block)?;
        if plan.has_history {
            state.history_mut().insert_all(&plan.history, self.rows.all());
        }
        for (at, count) in occurrences.iter().enumerate() {
            let needed = *self.kinds.get(kind)?.occurrences.get(at)?;
            for _ in 0..*count {
                let it = occurrence(block)?;
                let kept = needed.and_then(|at| state.occurrences_mut().get_mut(at));
                if let Some(kept) = kept {
                    kept.restore(it);
                }
            }
        }
        for _ in 0..*lists {
            let it = membership(block)?;
            if let Some(list) = *self.lists.get(it.list.index())? {
                state.restore_list(Membership { list, ..it });
            }
        }
        for _ in 0..*alerts {
            state.alerted(AlertName(block.u64(column::ALERT)?), block.i64(column::ALERT)?);
        }
        Some(())
    }
}

/// An entity whose pieces are being put together.
#[derive(Debug)]
struct Current {
    key: EntityKey,
    state: EntityState,
    /// Of the newest piece.
    applied: Option<u64>,
    last_event: Micros,
    /// The pieces with rows; those one behind the other that have seen the same are one.
    pieces: Lag,
}

impl Current {
    fn new(key: EntityKey, plan: &KindPlan) -> Self {
        let (state, pieces) = (EntityState::new(Some(plan)), Lag::new());
        Self { key, state, applied: None, last_event: Micros::MIN, pieces }
    }

    /// Notes up to where a piece, whose last row this is, has seen records.
    fn seen(&mut self, applied: Option<u64>, last_event: Micros, last: Option<Key>) {
        (self.applied, self.last_event) = (applied, last_event);
        let Some(last) = last else { return };
        match self.pieces.last_mut().filter(|it| it.applied == applied) {
            Some(before) => before.last = last,
            None => self.pieces.push(Piece { last, applied }),
        }
    }

    fn finish(mut self) -> EntityState {
        self.pieces.pop_if(|it| it.applied == self.applied);
        self.state.resume(self.applied, self.last_event, self.pieces);
        self.state
    }
}

/// The rows of a piece, column by column as the plan has them.
#[derive(Debug, Default)]
struct ReadRows {
    times: Vec<i64>,
    positions: Vec<u32>,
    states: Vec<u16>,
    members: Vec<Vec<u64>>,
    values: Vec<Vec<i64>>,
    /// Membership bits as the snapshot has them, where the plan has them elsewhere.
    stored: Vec<Vec<u64>>,
}

impl ReadRows {
    /// Reads so many rows over these.
    fn read(&mut self, rows: usize, fit: &KindFit, block: &mut Cut) -> Option<()> {
        let Self { times, positions, states, members, values, stored } = self;
        numbers(block.pieces(column::TIME, rows)?, i64::from_le_bytes, times);
        numbers(block.pieces(column::POSITION, rows)?, u32::from_le_bytes, positions);
        numbers(block.pieces(column::STATE, rows)?, u16::from_le_bytes, states);
        let words = if fit.members.is_some() { &mut *stored } else { &mut *members };
        words.resize_with(fit.words_stored, Vec::new);
        for (at, word) in words.iter_mut().enumerate() {
            numbers(block.pieces(column::MEMBERS + at, rows)?, u64::from_le_bytes, word);
        }
        if let Some(places) = &fit.members {
            translate(places, stored, rows, members);
        }
        // One that the snapshot lacks is of zeros.
        values.resize_with(fit.columns.len(), Vec::new);
        values.iter_mut().for_each(Vec::clear);
        for at in 0..fit.columns_stored {
            let column = block.pieces(column::MEMBERS + fit.words_stored + at, rows)?;
            let wanted = fit.columns.iter().zip(&mut *values).filter(|(it, _)| **it == Some(at));
            wanted.for_each(|(_, into)| numbers(column, i64::from_le_bytes, into));
        }
        Some(())
    }

    fn last(&self) -> Option<Key> {
        let (time, position) = self.times.last().zip(self.positions.last())?;
        Some(Key { time: *time, position: *position })
    }

    fn all(&self) -> NewRows<'_> {
        let Self { times, positions, states, members, values, .. } = self;
        NewRows { times, positions, states, members, values }
    }
}

/// Puts numbers in the place of what a vector holds.
fn numbers<const N: usize, T>(column: &[[u8; N]], number: fn([u8; N]) -> T, into: &mut Vec<T>) {
    into.clear();
    into.extend(column.iter().map(|it| number(*it)));
}

/// Puts membership bits where another plan has them.
fn translate(places: &[Member], stored: &[Vec<u64>], rows: usize, into: &mut Vec<Vec<u64>>) {
    into.resize_with(places.len().div_ceil(64), Vec::new);
    for (places, word) in places.chunks(64).zip(into) {
        word.clear();
        word.extend((0..rows).map(|row| {
            let bit = |member: &Member| match member {
                Member::Always => 1,
                Member::Never => 0,
                Member::Bit(at) => {
                    stored.get(at / 64).and_then(|word| word.get(row)).map_or(0, |word| word >> (at % 64) & 1)
                }
            };
            places.iter().enumerate().fold(0, |word, (shift, member)| word | bit(member) << shift)
        }));
    }
}

fn occurrence(block: &mut Cut) -> Option<Occurrence> {
    let of = block.i64(column::OCCURRENCE_OF)?;
    let (time, position) = (block.i64(column::OCCURRENCE_TIME)?, block.u32(column::OCCURRENCE_POSITION)?);
    Some(Occurrence { of, key: Key { time, position }, value: block.i64(column::OCCURRENCE_VALUE)? })
}

fn membership(block: &mut Cut) -> Option<Membership> {
    let list = ListId(block.u16(column::LIST)?);
    let [flags] = block.take(column::LIST)?;
    let until = if flags & 1 == 1 { Some(block.i64(column::LIST)?) } else { None };
    let value = if flags & 2 == 2 { Some(block.i64(column::LIST)?) } else { None };
    Some(Membership { list, until, value })
}
