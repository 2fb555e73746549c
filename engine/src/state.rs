//! What is remembered of one entity.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use rules::time::Micros;

use crate::history::{History, Key};
use crate::lists::{Membership, Memberships};
use crate::occurrence::{Last, Seen};
use crate::plan::{KindPlan, OccurrenceShape};
use crate::touch::{AlertName, Touch};

/// The state of one entity: the fold of the records that named it.
#[derive(Clone, Debug)]
pub struct EntityState {
    /// The position of the last record applied; none before the first.
    pub(crate) applied: Option<u64>,
    /// The greatest time of its events, rechecks among them.
    pub(crate) last_event: Micros,
    pub(crate) history: History,
    /// By the plan's occurrences.
    pub(crate) occurrences: Box<[Occurrences]>,
    pub(crate) lists: Memberships,
    /// When alerts `once per` this entity were last raised: which, and the event's time.
    alerted: Vec<(AlertName, Micros)>,
    /// Rows that a snapshot took before the rest, while decisions went on; none once what it lacks has been applied.
    lag: Option<Box<Lag>>,
    dead: bool,
}

/// Up to where rows have seen records, where that is less far than the entity they belong to: pieces of its history,
/// oldest first, one behind the other.
pub type Lag = Vec<Piece>;

/// A piece of a history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Its newest row; the rows of the next piece stand behind it.
    pub last: Key,
    /// The position of the last record that it has seen; none before the first.
    pub applied: Option<u64>,
}

/// What is kept without rows.
#[derive(Clone, Debug)]
pub enum Occurrences {
    /// Of the entity.
    Last(Last),
    /// Of each value.
    Seen(Seen),
    /// Of each second entity of a pair.
    LastOf(HashMap<i64, Last, FixedState>),
}

/// One thing that is kept without rows, as a snapshot has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Occurrence {
    /// What it is kept for: a value, or a pair's second entity; 0 where it is the entity itself.
    pub of: i64,
    /// When it was.
    pub key: Key,
    /// What stood in the event; 0 where only the time is kept.
    pub value: i64,
}

/// What a snapshot takes out and puts back.
impl EntityState {
    /// The position of the last record applied; none before the first.
    pub fn applied(&self) -> Option<u64> {
        self.applied
    }

    /// The greatest time of its events; `i64::MIN` before the first.
    pub fn last_event(&self) -> Micros {
        self.last_event
    }

    /// Goes on from a snapshot, whose parts are put back one by one: [`EntityState::history_mut`],
    /// [`EntityState::occurrences_mut`], [`EntityState::restore_list`], [`EntityState::alerted`].
    ///
    /// Rows that were taken before the rest lag behind it: [`apply`](crate::apply) then adds to them what they lack.
    pub fn resume(&mut self, applied: Option<u64>, last_event: Micros, lag: Lag) {
        self.applied = applied;
        self.last_event = last_event;
        self.lag = (!lag.is_empty()).then(|| Box::new(lag));
    }

    /// Whether rows of it have seen less than it has.
    pub fn lags(&self) -> bool {
        self.lag.is_some()
    }

    /// The events that some window may still hold.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The rows, to be filled from a snapshot.
    pub fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    /// What is kept without rows, by the plan's occurrences.
    pub fn occurrences(&self) -> &[Occurrences] {
        &self.occurrences
    }

    /// What is kept without rows, to be filled from a snapshot.
    pub fn occurrences_mut(&mut self) -> &mut [Occurrences] {
        &mut self.occurrences
    }

    /// When alerts `once per` this entity were last raised, in no order.
    pub fn alerts(&self) -> impl Iterator<Item = (AlertName, Micros)> {
        self.alerted.iter().copied()
    }

    /// The lists that it is in.
    pub fn lists(&self) -> &Memberships {
        &self.lists
    }

    /// Puts a membership back from a snapshot.
    pub fn restore_list(&mut self, membership: crate::lists::Membership) {
        self.lists.add(membership);
    }
}

impl EntityState {
    /// Of an entity that no record has named; without a plan it remembers no events.
    pub fn new(plan: Option<&KindPlan>) -> Self {
        let occurrences = plan.into_iter().flat_map(|plan| &plan.occurrences).map(|it| match it.shape {
            OccurrenceShape::Entity => Occurrences::Last(Last::default()),
            OccurrenceShape::Value => Occurrences::Seen(Seen::default()),
            OccurrenceShape::Pair => Occurrences::LastOf(HashMap::default()),
        });
        Self {
            applied: None,
            last_event: Micros::MIN,
            history: History::new(),
            occurrences: occurrences.collect(),
            lists: Memberships::default(),
            alerted: Vec::new(),
            lag: None,
            dead: false,
        }
    }

    /// Whether it was taken out of memory while somebody still held it.
    pub fn is_dead(&self) -> bool {
        self.dead
    }

    /// Marks it as taken out of memory.
    pub fn mark_dead(&mut self) {
        self.dead = true;
    }

    /// Whether nobody could tell if this entity left memory at this engine clock. Rules of later may ask about alerts, for
    /// which nothing was planned: these are remembered for `keep_alerts`.
    pub fn may_leave(&self, plan: &KindPlan, keep_alerts: Micros, clock: Micros) -> bool {
        let older = |at: Micros, than: Micros| clock.saturating_sub(at) > than;
        older(self.last_event, plan.keep)
            && !self.lists.any_holds(clock)
            && self.alerted.iter().all(|(_, at)| older(*at, keep_alerts))
    }

    /// Whether a record at this position is new to this state; if so, it has now been seen.
    pub(crate) fn sees(&mut self, position: u64) -> bool {
        let new = self.applied.is_none_or(|applied| applied < position);
        if new {
            self.applied = Some(position);
            // Records come in their order: the rows have seen all before this one.
            self.lag = None;
        }
        new
    }

    /// Whether a record that this state has seen is new to the place of a row.
    pub(crate) fn lacks(&self, row: Key, position: u64) -> bool {
        self.lag.as_ref().is_some_and(|lag| {
            let piece = lag.get(lag.partition_point(|piece| piece.last < row));
            piece.is_some_and(|piece| piece.applied.is_none_or(|applied| applied < position))
        })
    }

    /// When an alert was last raised about this entity.
    pub(crate) fn last_alerted(&self, alert: AlertName) -> Option<Micros> {
        self.alerted.iter().find(|(known, _)| *known == alert).map(|(_, at)| *at)
    }

    /// Notes that an alert was raised about this entity.
    pub fn alerted(&mut self, alert: AlertName, at: Micros) {
        match self.alerted.iter_mut().find(|(known, _)| *known == alert) {
            Some((_, known)) => *known = at.max(*known),
            None => self.alerted.push((alert, at)),
        }
    }

    /// Writes a change of lists that a record at this position says.
    pub fn put_on_list(&mut self, position: u64, membership: Membership) {
        if self.sees(position) {
            self.lists.add(membership);
        }
    }

    /// Takes the entity off a list, as a record at this position says.
    pub fn take_off_list(&mut self, position: u64, list: rules::typed::ListId) {
        if self.sees(position) {
            self.lists.remove(list);
        }
    }

    /// Takes what a ruling does to the entity; the record that says so has been seen.
    pub fn touch(&mut self, touch: Touch) {
        match touch {
            Touch::Enters(membership) => self.lists.add(membership),
            Touch::Leaves(list) => self.lists.remove(list),
            Touch::Alerted(alert, at) => self.alerted(alert, at),
        }
    }

    /// Bytes on the heap, without the state itself.
    pub fn bytes(&self) -> usize {
        let occurrences: usize = self.occurrences.iter().map(Occurrences::bytes).sum();
        self.history.bytes()
            + self.occurrences.len() * size_of::<Occurrences>()
            + occurrences
            + self.lists.bytes()
            + self.alerted.capacity() * size_of::<(AlertName, Micros)>()
            + self.lag.as_ref().map_or(0, |lag| size_of::<Lag>() + lag.capacity() * size_of::<Piece>())
    }

    /// How many events its history holds.
    pub fn rows(&self) -> usize {
        self.history.len()
    }
}

impl Occurrences {
    /// Records an occurrence. `second` is the slot of a pair's second entity, 0 where there is none.
    pub(crate) fn record(&mut self, key: Key, second: i64, value: i64) {
        match self {
            Self::Last(last) => last.record(key, value),
            Self::Seen(seen) => seen.record(mixed(second, value), key),
            Self::LastOf(by_second) => by_second.entry(second).or_default().record(key, value),
        }
    }

    /// The newest occurrence newer than the horizon.
    pub(crate) fn last(&self, second: i64, exclude: Option<Key>, horizon: Micros) -> Option<(Key, i64)> {
        match self {
            Self::Last(last) => last.get(exclude, horizon),
            Self::LastOf(by_second) => by_second.get(&second)?.get(exclude, horizon),
            Self::Seen(_) => None,
        }
    }

    /// Whether a value occurred after the horizon.
    pub(crate) fn seen(&self, second: i64, value: i64, exclude: Option<Key>, horizon: Micros) -> bool {
        matches!(self, Self::Seen(seen) if seen.seen(mixed(second, value), exclude, horizon))
    }

    /// Forgets what is older than the horizon, where that frees memory; amortised, since it runs when a map has
    /// become as large as it may be.
    pub(crate) fn trim_if_full(&mut self, horizon: Micros) {
        match self {
            Self::Last(_) => {}
            Self::Seen(seen) if seen.is_full() => seen.trim(horizon),
            Self::LastOf(by_second) if by_second.len() == by_second.capacity() => {
                by_second.retain(|_, last| last.get(None, horizon).is_some());
            }
            Self::Seen(_) | Self::LastOf(_) => {}
        }
    }

    /// Everything that is kept, in no order, for snapshots.
    pub fn entries(&self) -> impl Iterator<Item = Occurrence> {
        let of = |of: i64| move |(key, value)| Occurrence { of, key, value };
        let (last, seen, pairs) = match self {
            Self::Last(last) => (Some(last), None, None),
            Self::Seen(seen) => (None, Some(seen), None),
            Self::LastOf(by_second) => (None, None, Some(by_second)),
        };
        let last = last.into_iter().flat_map(Last::occurrences).map(of(0));
        let seen = seen.into_iter().flat_map(Seen::occurrences);
        let pairs = pairs.into_iter().flatten();
        last.chain(seen.map(|(of, key)| Occurrence { of, key, value: 0 }))
            .chain(pairs.flat_map(move |(second, last)| last.occurrences().map(of(*second))))
    }

    /// Puts back what [`Occurrences::entries`] gave, in any order.
    pub fn restore(&mut self, it: Occurrence) {
        match self {
            Self::Last(last) => last.record(it.key, it.value),
            Self::Seen(seen) => seen.record(it.of, it.key),
            Self::LastOf(by_second) => by_second.entry(it.of).or_default().record(it.key, it.value),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Last(_) => 0,
            Self::Seen(seen) => seen.bytes(),
            Self::LastOf(by_second) => by_second.allocation_size(),
        }
    }
}

/// A value apart for each second entity of a pair: both are keyed hashes or small numbers, so that multiplying one
/// by an odd constant keeps them apart as well as 64 bits can.
fn mixed(second: i64, value: i64) -> i64 {
    if second == 0 {
        value
    } else {
        value ^ second.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()).rotate_left(29)
    }
}
