//! What records do to the state: the fold that recovery, a standby and verification are. It only applies, and reads
//! nothing but the record and the state.

pub(crate) mod ahead;
mod begin;
mod difference;
mod error;
mod numbers;
mod replay;
mod verify;

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::apply::Applied;
use engine::decide::{self, Case, Moment, Scratch};
use engine::entity::HashKey;
use engine::history::Key;
use engine::rule_set::RuleSet;
use rules::time::Micros;
use rules::typed::{List, ListId};

pub use begin::JournalUnfit;
pub use difference::{Difference, Field};
pub use error::{Failed, FoldError};
pub use replay::{Outcomes, Replay, Replayed, Untested};
pub use verify::{Report, verify};

use crate::gate::{Admission, Gate};
use crate::in_force::{InForce, Kept};
use crate::journal::{Journal, Record, RecordKind};
use crate::record::{
    Amend, Cause, Decided, ListRecord, RowPlace, RuleSetRecord, Stamp, WarmRecord, id_of_amendment,
};
use crate::snapshot::{Base, Running, SnapshotError};
use crate::state::directory::{Locks, Prefetch};
use crate::state::misfit::same_state;
use crate::state::recent::{Most, Remembered};
use crate::state::{REPEAT_FOR, State, apply, may_leave};
use ahead::Parsed;
use error::unreadable;
use numbers::{Loaded, Numbers};
use verify::Again;

/// A state that records are folded into, one after the other.
#[derive(Debug)]
pub struct Fold {
    key: HashKey,
    numbers: Numbers,
    state: State,
    locks: Locks,
    /// The record that is applied, where nobody has parsed it before.
    parsed: Parsed,
    /// A record that was remembered, or is written anew.
    message: Decided,
    body: Vec<u8>,
    amend: Amend,
    /// If every decision is to be derived again.
    again: Option<Again>,
    /// Whether what a record does not say was captured is computed: where states are built that lacked features.
    captures: bool,
    /// Only ids of records from this offset on are remembered.
    ids_from: u64,
    /// Events applied since the idle left.
    since_evicted: u64,
}

/// Events after which the idle leave, at least ...
const EVICT_EVENTS_MIN: u64 = 10_000;
/// ... and so many for each entity in memory, all of which are looked at.
const EVICT_EVENTS_AN_ENTITY: u64 = 4;

impl Fold {
    /// Before the first record of a journal whose ids are hashed under this key.
    pub fn new(key: HashKey) -> Self {
        Self::on(key, std::iter::empty(), State::new())
    }

    /// On a state that a snapshot held.
    pub(crate) fn on(key: HashKey, in_force: impl IntoIterator<Item = Arc<InForce>>, state: State) -> Self {
        Self {
            key,
            numbers: Numbers::new(key, in_force, Kept::default()),
            state,
            locks: Locks::default(),
            parsed: Parsed::default(),
            message: Decided::default(),
            body: Vec::new(),
            amend: Amend::default(),
            again: None,
            captures: false,
            ids_from: 0,
            since_evicted: 0,
        }
    }

    /// On nothing, or on a journal's base: states are built from the records that follow, for the features of all that is
    /// kept up; only ids of records from `ids_from` on are remembered.
    pub(crate) fn building_on(
        base: Option<&Base>,
        key: HashKey,
        kept: &Kept,
        ids_from: u64,
    ) -> Result<Self, SnapshotError> {
        let (in_force, state) = match base {
            None => (Vec::new(), State::new()),
            Some(base) => {
                let Running { in_force, held, .. } = base.resume(key, kept)?;
                (in_force, held.state)
            }
        };
        let numbers = Numbers::new(key, in_force, kept.clone());
        Ok(Self { numbers, captures: true, ids_from, ..Self::on(key, std::iter::empty(), state) })
    }

    /// This fold, for records that lack some captured values: these are computed while folding.
    pub(crate) fn capturing(self) -> Self {
        Self { captures: true, ..self }
    }

    /// This fold, remembering only ids of records from an offset on.
    pub(crate) fn with_ids_from(self, offset: u64) -> Self {
        Self { ids_from: offset, ..self }
    }

    /// This fold, where the journal is there from a record on to be asked for ids: they are not all remembered.
    pub(crate) fn beside_journal(mut self, oldest: u64) -> Self {
        self.state.recent = self.state.recent.since(oldest).at_most(Most::USUAL);
        self
    }

    /// Remembers what may still be a repeat of the records below `oldest`, which the journal has dropped: the snapshot that
    /// this stands on had left some of it to the journal, and the base has it.
    pub(crate) fn remember_below(&self, oldest: u64, base: &Base) -> Result<(), SnapshotError> {
        let since = self.clock().saturating_sub(REPEAT_FOR);
        if base.clock().is_none_or(|it| it <= since) {
            return Ok(());
        }
        base.ids(oldest, |it| {
            if since < it.clock {
                self.state.recent.complete(it);
            }
        })
    }

    /// The state as it is.
    pub(crate) fn into_state(self) -> State {
        self.state
    }

    /// The engine clock behind the last record.
    pub(crate) fn clock(&self) -> Micros {
        self.state.clock
    }

    /// Forgets what was in force, but for the last and these numbers.
    pub(crate) fn forget_all_but(&mut self, numbers: &BTreeSet<u32>) {
        self.numbers.retain(numbers);
    }

    /// How the entities of an event are fetched for whoever applies it, and perhaps decides before.
    fn prefetch(&self) -> Prefetch {
        let only_applies = self.again.is_none() && !self.captures;
        if only_applies {
            |states| engine::apply::prefetch(states)
        } else {
            |states| decide::prefetch(states)
        }
    }

    /// What was in force last.
    pub(crate) fn newest(&self) -> Option<Arc<InForce>> {
        self.numbers.newest()
    }

    /// Applies the next record. One that a part of the state has seen already changes nothing there.
    ///
    /// # Errors
    /// If it does not say what it must; then part of it may have been applied.
    pub fn apply(&mut self, record: &Record<'_>) -> Result<(), FoldError> {
        let mut parsed = std::mem::take(&mut self.parsed);
        parsed.read(record, self.key);
        let applied = self.apply_parsed(&mut parsed);
        self.parsed = parsed;
        applied
    }

    /// Applies a record that was parsed before.
    ///
    /// # Errors
    /// If it does not say what it must.
    pub(crate) fn apply_parsed(&mut self, it: &mut Parsed) -> Result<(), FoldError> {
        let offset = it.offset;
        self.apply_body(it).map_err(|what| FoldError { offset, what })
    }

    /// The gate that goes on with this state; none if nothing has come into force.
    pub fn into_gate(self, journal: Box<dyn Journal>, admission: Option<Admission>) -> Option<Gate> {
        Gate::resumed(self.numbers.into_all(), self.state, journal, admission)
    }

    fn apply_body(&mut self, it: &mut Parsed) -> Result<(), Failed> {
        let (kind, stamp, message) = it.parts()?;
        self.state.clock = self.state.clock.max(stamp.clock);
        match kind {
            RecordKind::Decided | RecordKind::Event => {
                self.event(kind, stamp, it)?;
                self.let_idle_leave();
                Ok(())
            }
            RecordKind::Amend => self.amend(it.offset, stamp, message),
            RecordKind::RuleSet => self.rule_set(stamp.rule_set, read(message)?),
            RecordKind::List => self.list(it.offset, stamp.rule_set, &read(message)?),
            RecordKind::Rates => self.numbers.rates(stamp.rule_set, read(message)?),
            // The state of another rule set's features is kept up from here on: where it is, it was so before, by the
            // snapshot; where it is not, it is built when that rule set comes into force. What the schema of that one asks of
            // the features that are in force already must be here. What is captured no more is not in the records behind it.
            RecordKind::Warm => self.warm(stamp.rule_set, &read(message)?),
            // Alerts that are quiet are no state of entities.
            RecordKind::Snooze => Ok(()),
        }
    }

    /// States of another rule set were built. Where captured values are taken from the records alone, no feature may have
    /// state of which they say nothing any more.
    fn warm(&mut self, number: u32, message: &WarmRecord) -> Result<(), Failed> {
        let captures = self.captures;
        self.numbers.warm(number, message, |old, new| {
            if !captures && let Some(gone) = old.captured_among(&message.gone) {
                return Err(Failed::OtherState(format!("`{gone}` is captured no more")));
            }
            // As a schema grows the same features may keep more of a row, which a snapshot of before does not have.
            same_state(&old.rules, &new.rules).map_err(|it| Failed::OtherState(it.to_string()))
        })
    }

    /// Takes the idle out of memory now and then, which nobody can tell: else states that are built would be those of
    /// everybody whom a journal of years ever named.
    fn let_idle_leave(&mut self) {
        self.since_evicted += 1;
        let State { directory, clock, .. } = &self.state;
        let is_time = self.since_evicted.is_multiple_of(EVICT_EVENTS_MIN)
            && EVICT_EVENTS_AN_ENTITY * directory.len() as u64 <= self.since_evicted;
        if let Some(newest) = self.newest().filter(|_| is_time) {
            self.locks.guards.clear();
            directory.evict_all(|key, state| may_leave(&newest.rules, key, state, *clock));
            self.since_evicted = 0;
        }
    }

    /// An event, decided or recorded without a verdict.
    fn event(&mut self, kind: RecordKind, stamp: Stamp, it: &mut Parsed) -> Result<(), Failed> {
        let Self { numbers, state, locks, again, captures, ids_from, .. } = self;
        let Loaded { in_force, scratch } = numbers.get(stamp.rule_set)?;
        let rules = &*in_force.rules;
        if !it.take_facts(in_force, &mut scratch.facts) {
            scratch.facts.load(&it.event, rules, &in_force.rates).map_err(Failed::Rate)?;
        }
        let entities = &scratch.facts.roles.stateful;
        state.directory.lock_near(entities, &mut it.near, rules, locks);
        let Parsed { message, event, offset, .. } = &*it;
        let moment = Moment::of(event.time, stamp.clock, &rules.typed.schema);
        let original = message.original.map(|it| Key::new(it.at, it.position));
        let stands = apply::stands(kind, moment.flags);
        let case = Case { rules, event, moment, exclude: original };
        if let Some(again) = again {
            again.derive(case, it, stands, &mut locks.guards, scratch);
        }
        if stands {
            load_decision(message, moment.at, rules, scratch);
            if *captures {
                // What is known already stays as it was recorded.
                decide::capture(case, &mut locks.guards, scratch);
            }
            engine::apply::prefetch(&locks.guards);
            let applied = Applied { position: *offset, at: moment.at, clock: stamp.clock };
            apply::event(rules, applied, original, &mut locks.guards, scratch);
        }
        locks.guards.clear();
        let digest = message.digest().ok_or(Failed::Event)?;
        if *offset < *ids_from {
            return Ok(());
        }
        state.recent.remember(Remembered::of(it.id, digest, stamp.clock, *offset, it.body()));
        Ok(())
    }

    fn amend(&mut self, offset: u64, stamp: Stamp, bytes: &[u8]) -> Result<(), Failed> {
        self.amend = read(bytes)?;
        let (place, change) = self.amend.place().zip(self.amend.change()).ok_or(Failed::Amendment)?;
        let Self { key, numbers, state, locks, amend, .. } = self;
        let Loaded { in_force, scratch } = numbers.get(stamp.rule_set)?;
        let rules = &*in_force.rules;
        state.directory.lock(&rules.plan.stateful(&place.entities), rules, locks);
        apply::amendment(rules, &place, &change, offset, locks, scratch);
        if offset < self.ids_from {
            return Ok(());
        }
        match amend.cause() {
            Cause::Deadline => self.fall_back(offset)?,
            Cause::Said => {
                let digest = amend.body_digest.as_slice().try_into().map_err(|_| Failed::Amendment)?;
                let id = id_of_amendment(*key, &amend.id);
                state.recent.remember(Remembered::of(id, digest, stamp.clock, offset, &[]));
            }
        }
        if self.again.is_some() {
            self.check_place(offset, stamp, &place);
        }
        Ok(())
    }

    /// A repeat of an event whose caller has got the fallback gets it too, by the amendment at an offset.
    fn fall_back(&mut self, newest: u64) -> Result<(), Failed> {
        let outcome = self.amend.outcome().ok_or(Failed::Amendment)?;
        let id = self.key.hash128(&self.amend.event_id);
        let Some(found) = self.state.recent.find(id, &mut self.body) else { return Ok(()) };
        if self.body.is_empty() {
            // Whoever asks will ask the journal, and find the amendment before the event.
            return Ok(());
        }
        let (stamp, bytes) = Stamp::split(&self.body).ok_or(Failed::Stamp)?;
        self.message.read(bytes).map_err(unreadable)?;
        if self.message.fallback().is_some() {
            return Ok(());
        }
        let digest = self.message.digest().ok_or(Failed::Event)?;
        self.message.fall_back(outcome);
        stamp.write(&self.message, &mut self.body);
        let (clock, position) = (found.clock, found.position);
        let record = &self.body;
        self.state.recent.remember(Remembered { id, digest, clock, position, newest, record });
        Ok(())
    }

    /// Whether an amendment names the place where its event stands, as far as the table of ids knows: that of the newest
    /// event with the id, or of one before it, as a file's label may.
    fn check_place(&mut self, offset: u64, stamp: Stamp, place: &RowPlace) {
        let id = self.key.hash128(&self.amend.event_id);
        let Some((newest, found)) = self.place_of(id, stamp.clock) else { return };
        if let Some(again) = &mut self.again
            && found != (place.at, place.position)
            && newest <= place.position
        {
            again.misplaced(offset, &self.amend.event_id, (place.at, place.position), found);
        }
    }

    /// The offset of an id's newest record, and where its event stands: of a recheck, where its original does.
    fn place_of(&mut self, id: u128, clock: Micros) -> Option<(u64, (Micros, u64))> {
        let found = self.state.recent.find(id, &mut self.body)?;
        let (stamp, bytes) = Stamp::split(&self.body)?;
        if found.clock <= clock.saturating_sub(REPEAT_FOR) {
            return None;
        }
        self.message.read(bytes).ok()?;
        let schema = &self.numbers.get(stamp.rule_set).ok()?.in_force.rules.typed.schema;
        let own = (Moment::of(self.message.time(), stamp.clock, schema).at, found.position);
        Some((found.position, self.message.original.map_or(own, |it| (it.at, it.position))))
    }

    fn rule_set(&mut self, number: u32, message: RuleSetRecord) -> Result<(), Failed> {
        let Some(new) = self.numbers.compile(number, message)? else { return Ok(()) };
        if let Some(old) = self.numbers.before(number) {
            same_state(&old.rules, &new.rules).map_err(|it| Failed::OtherState(it.to_string()))?;
        }
        self.numbers.put(new);
        Ok(())
    }

    fn list(&mut self, offset: u64, number: u32, message: &ListRecord) -> Result<(), Failed> {
        if let Some(value) = &message.text {
            return self.numbers.value(number, message, value);
        }
        let rules = &*self.numbers.get(number)?.in_force.rules;
        let list = numbered(&rules.typed.lists, &message.list);
        let list = list.ok_or_else(|| Failed::List(format!("there is no list `{}`", message.list)))?;
        let entity = message.entity().ok_or(Failed::Entity)?;
        self.state.directory.lock(&[entity], rules, &mut self.locks);
        apply::list(message, list, offset, &mut self.locks);
        Ok(())
    }
}

fn read<T: prost::Message + Default>(bytes: &[u8]) -> Result<T, Failed> {
    T::decode(bytes).map_err(unreadable)
}

/// The number of the list of a name; none if there is none.
fn numbered(lists: &[List], name: &str) -> Option<ListId> {
    let at = lists.iter().position(|it| it.name == name)?;
    u16::try_from(at).ok().map(ListId)
}

/// Puts what a record says was captured and decided where `apply` looks for it.
fn load_decision(message: &Decided, at: Micros, rules: &RuleSet, scratch: &mut Scratch) {
    let frame = &mut scratch.facts.frame;
    frame.forget_features();
    frame.time = at;
    for (definition, value) in message.captured() {
        let of =
            |id: &&rules::typed::FeatureId| rules.typed.feature(**id).is_some_and(|it| it.hash == definition);
        for id in rules.plan.captured.iter().filter(of) {
            frame.set_feature(*id, value);
        }
    }
    message.ruling(&mut scratch.ruling);
}
