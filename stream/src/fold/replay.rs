//! A journal under another rule set: what that decides of every event, after what the records before it say.
//!
//! Only the rules are under test. What a decision reads beside them is history and stays as it was: the clock, rates, who
//! was on a list and which values a list held, what became known of events and when. Outcomes, and what rulings did to
//! lists, are those of the rules under test, or those recorded.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::apply::{Applied, touches};
use engine::decide::{self, Case, Moment, Scratch};
use engine::decision::Fallback;
use engine::entity::HashKey;
use engine::event::{Change, Event};
use engine::facts::Roles;
use engine::history::Key;
use engine::lists::Membership;
use engine::rule_set::RuleSet;
use engine::touch::Touch;
use engine::words::Ruling;
use rules::past::Outcome;
use rules::schema::FieldId;
use rules::time::Micros;
use rules::typed::{FeatureId, ListId, ListKind};
use rules::value::Value;

use super::numbers::Numbers;
use super::{Failed, FoldError, JournalUnfit, numbered, read, unreadable};
use crate::bundle::{self, Bundle, BundleError};
use crate::gate::worker::observe;
use crate::in_force::{InForce, Kept};
use crate::journal::{Record, RecordKind};
use crate::record::{Amend, Cause, Decided, ListRecord, Stamp};
use crate::snapshot::Base;
use crate::state::directory::Locks;
use crate::state::misfit::{Misfit, same_history};
use crate::state::{State, apply, may_leave};

/// Whose outcomes and effects later events find in the past.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcomes {
    /// Those of the rules under test. Deadlines that were missed do not count: a replay has none.
    Own,
    /// Those that the journal says, fallbacks after missed deadlines among them.
    Recorded,
}

/// What a record came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Replayed {
    /// An event was decided: it is in [`Replay::event`], [`Replay::ruling`] and [`Replay::observed`].
    Decided,
    /// An event that is recorded without a verdict, in [`Replay::event`].
    Recorded,
    /// Something became known of the event whose record is at this offset.
    Amended(u64, Change),
    /// Something else changed, or nothing.
    Other,
}

/// Why a rule set cannot be tried on a journal.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the rules do not fit the journal: {0}")]
pub struct Untested(pub(crate) Misfit);

/// A state that records are folded into under a rule set that decides each event anew.
#[derive(Debug)]
pub struct Replay {
    key: HashKey,
    outcomes: Outcomes,
    /// The rule set under test, as its own texts have it.
    tested: InForce,
    /// As the journal has it.
    numbers: Numbers,
    /// By the journal's numbers.
    then: BTreeMap<u32, Then>,
    state: State,
    locks: Locks,
    scratch: Scratch,
    message: Decided,
    recorded: Ruling,
    observe: Vec<FeatureId>,
    missed: u64,
    /// The engine clock; `i64::MIN` before the first event.
    clock: Micros,
    /// The last event.
    pub event: Event,
    /// What was decided of it.
    pub ruling: Ruling,
    /// The features that were asked for, in that order.
    pub observed: Vec<Value>,
}

/// What is in force under a number of the journal's.
#[derive(Debug)]
struct Then {
    /// The rules under test, with the rates and the lists of plain values of then.
    tested: Arc<InForce>,
    recorded: Arc<InForce>,
    /// By number there: the same field and list here.
    fields: Vec<Option<FieldId>>,
    lists: Vec<Option<ListId>>,
}

impl Replay {
    /// Before the first record of a journal whose ids are hashed under this key; `observe` chooses the features to compute
    /// of every event.
    ///
    /// # Errors
    /// If the texts of the rule set have errors.
    pub fn new(
        key: HashKey,
        tested: Arc<Bundle>,
        outcomes: Outcomes,
        observe: impl FnOnce(&RuleSet) -> Vec<FeatureId>,
    ) -> Result<Self, BundleError> {
        let tested = InForce::compile(0, tested, key)?;
        Ok(Self {
            key,
            outcomes,
            numbers: Numbers::new(key, std::iter::empty(), Kept::default()),
            then: BTreeMap::new(),
            state: State::new(),
            locks: Locks::default(),
            scratch: Scratch::new(&tested.rules),
            message: Decided::default(),
            recorded: Ruling::default(),
            observe: observe(&tested.rules),
            missed: 0,
            clock: Micros::MIN,
            event: Event::default(),
            ruling: Ruling::default(),
            observed: Vec::new(),
            tested,
        })
    }

    /// This replay, begun on a journal's base, before the first record that the base has not seen: what the base holds is as
    /// it was recorded, whatever later outcomes count. Decisions that read features which it does not hold are warming, as
    /// of a server that goes on from it.
    ///
    /// # Errors
    /// If the base cannot be read, or the rules under test do not fit it.
    pub fn on(mut self, base: &Base) -> Result<Self, JournalUnfit> {
        let failed = |what| FoldError { offset: base.start(), what };
        let lacking = base.lacking(self.key, &self.tested.rules)?;
        self.tested = self.tested.lacking(&lacking).map_err(Failed::Bundle).map_err(failed)?;
        self.scratch = Scratch::new(&self.tested.rules);
        let in_force = base.in_force(self.key)?;
        let numbers: Vec<u32> = in_force.iter().map(|it| it.number).collect();
        self.numbers = Numbers::new(self.key, in_force, Kept::default());
        for number in &numbers {
            self.follow(*number).map_err(failed)?;
        }
        self.state = base.load(&self.tested.rules)?.state;
        numbers.last().map_or(Ok(()), |it| self.fill_new_lists(*it)).map_err(failed)?;
        Ok(self)
    }

    /// The rule set under test.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.tested.rules
    }

    /// Deadlines that were missed when the journal was written, so far.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// How many features were computed from the past so far.
    pub fn features_computed(&self) -> u64 {
        self.scratch.features_computed()
    }

    /// The engine clock; none before the first event.
    pub fn clock(&self) -> Option<Micros> {
        (self.clock != Micros::MIN).then_some(self.clock)
    }

    /// Takes the idle out of memory. Nobody can tell. Gives how many left.
    pub fn evict_idle(&self) -> usize {
        let rules = &self.tested.rules;
        self.state.directory.evict_all(|key, state| may_leave(rules, key, state, self.clock))
    }

    /// How many entities are in memory.
    pub fn entities(&self) -> usize {
        self.state.directory.len()
    }

    /// Applies the next record.
    ///
    /// # Errors
    /// If it does not say what it must, or speaks of events that the rules under test cannot read.
    pub fn apply(&mut self, record: &Record<'_>) -> Result<Replayed, FoldError> {
        let offset = record.offset;
        self.apply_body(record).map_err(|what| FoldError { offset, what })
    }

    fn apply_body(&mut self, record: &Record<'_>) -> Result<Replayed, Failed> {
        let (stamp, message) = Stamp::split(record.body).ok_or(Failed::Stamp)?;
        let number = stamp.rule_set;
        match record.kind {
            RecordKind::Decided | RecordKind::Event => return self.event(record, stamp, message),
            RecordKind::Amend => return self.amend(record.offset, number, &read(message)?),
            RecordKind::RuleSet => {
                let new = self.numbers.compile(number, read(message)?)?;
                new.into_iter().for_each(|new| self.numbers.put(new));
                let is_first = self.then.is_empty();
                self.follow(number)?;
                if is_first {
                    self.fill_new_lists(number)?;
                }
            }
            RecordKind::List => self.list(record.offset, number, &read(message)?)?,
            RecordKind::Rates => {
                self.numbers.rates(number, read(message)?)?;
                self.follow(number)?;
            }
            RecordKind::Warm => {
                // No state here is laid out by what was in force.
                self.numbers.warm(number, &read(message)?, |_, _| Ok(()))?;
                self.follow(number)?;
            }
            RecordKind::Snooze => {}
        }
        Ok(Replayed::Other)
    }

    fn event(&mut self, record: &Record<'_>, stamp: Stamp, bytes: &[u8]) -> Result<Replayed, Failed> {
        let Self { then, state, locks, scratch, message, event, ruling, recorded, .. } = self;
        let then = then.get(&stamp.rule_set).ok_or(Failed::Number(stamp.rule_set))?;
        let rules = &*then.tested.rules;
        let schema = &rules.typed.schema;
        message.read(bytes).map_err(unreadable)?;
        message.event(event).ok_or(Failed::Event)?;
        scratch.facts.load(event, rules, &then.tested.rates).map_err(Failed::Rate)?;
        let moment = Moment::of(event.time, stamp.clock, schema);
        self.clock = stamp.clock.max(self.clock);
        let original = message.original.map(|it| Key::new(it.at, it.position));
        state.directory.lock(&scratch.facts.roles.stateful, rules, locks);
        let case = Case { rules, event, moment, exclude: original };
        let decided = record.kind == RecordKind::Decided;
        let stands = apply::stands(record.kind, moment.flags);
        scratch.captured.clear();
        if stands {
            decide::capture(case, &mut locks.guards, scratch);
        }
        self.observed.clear();
        if decided {
            decide::decide(case, &mut locks.guards, scratch);
            let asked = self.observe.iter().copied().map(Some);
            observe(case, asked, &mut locks.guards, scratch, &mut self.observed);
        } else {
            scratch.ruling.undecided(Outcome::None, None, moment.flags);
        }
        message.ruling(recorded);
        self.missed += u64::from(recorded.fallback == Some(Fallback::Deadline));
        let own = self.outcomes == Outcomes::Own;
        if !own {
            std::mem::swap(ruling, &mut scratch.ruling);
            scratch.ruling.undecided(recorded.verdict.outcome, None, moment.flags);
        }
        if stands {
            let applied = Applied { position: record.offset, at: moment.at, clock: stamp.clock };
            apply::event(rules, applied, original, &mut locks.guards, scratch);
        }
        if own {
            std::mem::swap(ruling, &mut scratch.ruling);
        } else {
            then.touch(recorded, moment.at, &scratch.facts.roles, locks);
        }
        locks.guards.clear();
        Ok(if decided { Replayed::Decided } else { Replayed::Recorded })
    }

    fn amend(&mut self, offset: u64, number: u32, amend: &Amend) -> Result<Replayed, Failed> {
        let (place, change) = amend.place().zip(amend.change()).ok_or(Failed::Amendment)?;
        let said = amend.cause() == Cause::Said;
        self.missed += u64::from(!said);
        if !said && self.outcomes == Outcomes::Own {
            return Ok(Replayed::Other);
        }
        let Self { then, state, locks, scratch, .. } = self;
        let rules = &*then.get(&number).ok_or(Failed::Number(number))?.tested.rules;
        state.directory.lock(&rules.plan.stateful(&place.entities), rules, locks);
        apply::amendment(rules, &place, &change, offset, locks, scratch);
        Ok(if said { Replayed::Amended(place.position, change) } else { Replayed::Other })
    }

    fn list(&mut self, offset: u64, number: u32, message: &ListRecord) -> Result<(), Failed> {
        if let Some(value) = &message.text {
            self.numbers.value(number, message, value)?;
            return self.follow(number);
        }
        let rules = &*self.tested.rules;
        // Nobody asks for a list that the rules under test do not have.
        let Some(list) = numbered(&rules.typed.lists, &message.list) else { return Ok(()) };
        let entity = message.entity().ok_or(Failed::Entity)?;
        self.state.directory.lock(&[entity], rules, &mut self.locks);
        apply::list(message, list, offset, &mut self.locks);
        Ok(())
    }

    /// Brings the rules under test under a number that the journal has put in force.
    fn follow(&mut self, number: u32) -> Result<(), Failed> {
        let recorded = Arc::clone(&self.numbers.get(number)?.in_force);
        let newest = self.then.last_key_value().map(|(_, it)| &it.tested);
        let then = Then::new(&self.tested, newest, recorded)?;
        self.then.insert(number, then);
        Ok(())
    }

    /// Puts entities on those lists of the rules under test that what is in force under a number does without, as their
    /// files say.
    fn fill_new_lists(&mut self, number: u32) -> Result<(), Failed> {
        let known = &self.numbers.get(number)?.in_force.rules.typed.lists;
        let Some(bundle) = &self.tested.bundle else { return Ok(()) };
        let rules = &*self.tested.rules;
        let items = bundle.check().map_err(Failed::Bundle)?.items;
        for (entity, membership) in bundle::memberships(&rules.typed, &items, self.key) {
            let list = rules.typed.list(membership.list);
            if list.is_some_and(|it| numbered(known, &it.name).is_none()) {
                self.state.directory.lock(&[entity], rules, &mut self.locks);
                self.locks.guards.iter_mut().for_each(|it| it.touch(Touch::Enters(membership)));
            }
        }
        self.locks.guards.clear();
        Ok(())
    }
}

impl Then {
    /// Of what the journal has put in force; `newest` is what was so of the rules under test before.
    fn new(tested: &InForce, newest: Option<&Arc<InForce>>, recorded: Arc<InForce>) -> Result<Self, Failed> {
        let (theirs, ours) = (&recorded.rules.typed, &tested.rules.typed);
        same_history(&recorded.rules, &tested.rules).map_err(|it| Failed::Untested(Untested(it)))?;
        let bundle = as_of(tested, &recorded);
        let tested = match newest {
            Some(newest) if newest.bundle.as_deref() == Some(&bundle) => Arc::clone(newest),
            _ => {
                let (number, key, bundle) = (recorded.number, tested.rules.key, Arc::new(bundle));
                Arc::new(InForce::keeping(number, bundle, key, &tested.kept).map_err(Failed::Bundle)?)
            }
        };
        let mut fields = vec![None; theirs.schema.fields.len()];
        for (theirs, ours) in theirs.schema.events.iter().zip(&ours.schema.events) {
            for (theirs, ours) in theirs.fields.iter().zip(&ours.fields) {
                if let Some(field) = fields.get_mut(theirs.field.index()) {
                    *field = Some(ours.field);
                }
            }
        }
        let lists = theirs.lists.iter().map(|it| numbered(&ours.lists, &it.name)).collect();
        Ok(Self { tested, recorded, fields, lists })
    }

    /// Lets what a recorded ruling did take place, about an event that stands at this time, whose entities are locked.
    fn touch(&self, ruling: &Ruling, at: Micros, roles: &Roles, locks: &mut Locks) {
        for (role, touch) in touches(&self.recorded.rules, ruling, at) {
            let role = self.fields.get(role.index()).copied().flatten();
            let state = role.and_then(|it| roles.entity_in(it)).and_then(|at| locks.guards.get_mut(at));
            if let Some((state, touch)) = state.zip(self.here(touch)) {
                state.touch(touch);
            }
        }
    }

    /// A touch with the numbers that lists have here; none if it is about a list that is not here.
    fn here(&self, touch: Touch) -> Option<Touch> {
        let list = |list: ListId| self.lists.get(list.index()).copied().flatten();
        Some(match touch {
            Touch::Enters(it) => Touch::Enters(Membership { list: list(it.list)?, ..it }),
            Touch::Leaves(it) => Touch::Leaves(list(it)?),
            Touch::Alerted(..) => touch,
        })
    }
}

/// The texts under test, with the rates and the lists of plain values that the journal has: its own where it has none.
fn as_of(tested: &InForce, recorded: &InForce) -> Bundle {
    let mut bundle = tested.bundle.as_deref().cloned().unwrap_or_default();
    let Some(then) = &recorded.bundle else { return bundle };
    let of_values = |name: &str| {
        let lists = &recorded.rules.typed.lists;
        lists.iter().any(|it| it.name == name && matches!(it.of, ListKind::Values(_)))
    };
    let ours = &tested.rules.typed.lists;
    bundle.lists.retain(|it| !of_values(&it.list));
    let theirs = then.lists.iter().filter(|it| of_values(&it.list));
    bundle.lists.extend(theirs.filter(|it| numbered(ours, &it.list).is_some()).cloned());
    bundle.rates = then.rates.clone().or(bundle.rates);
    bundle
}
