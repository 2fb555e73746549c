//! One test of the language, told to a fresh gate.
//!
//! Everything but the event that the test looks at happens under the rule set as it stands; that event is then decided
//! by it. `because R` is decided again in a second gate, in which the same happened and R is off for the last event
//! only: what R did before is part of the story.

use std::collections::HashMap;
use std::sync::Arc;

use engine::entity::{EntityKey, HashKey};
use engine::event::{Amendment, Change, Event};
use engine::lists::{Membership, ValueLists};
use engine::rule_set::RuleSet;
use engine::words::Ruling;
use rules::past::{Challenge, Label, OperationResult, Outcome};
use rules::typed::{
    Captured, Definition, Expectation, Feature, FeatureId, ListId, ListKind, Mode, MutableColumn, RuleId,
    Test, TestEvent, TestStep, TestValue, Type,
};
use rules::value::Value;
use stream::gate::{Deadline, Gate, Worker};
use stream::intake;
use stream::journal::Forgetful;
use stream::record::RowPlace;

use crate::load::{self, Item, Loaded};

/// Hashes appear in no output and decide no order: any key will do.
const KEY: [u8; 16] = *b"weir rules test.";

/// Why a test could not be told to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoryError {
    #[error("event `{id}`: {problem}")]
    Event { id: String, problem: String },
    #[error(transparent)]
    Plan(#[from] engine::history::PlanError),
    #[error(transparent)]
    State(#[from] stream::gate::OtherState),
    #[error("list `{list}`: {problem}")]
    List { list: String, problem: String },
    #[error("the test has no event to look at")]
    NoEvent,
}

/// What the last event came to.
#[derive(Debug)]
pub(super) struct Ending {
    /// As decided.
    pub(super) ruling: Ruling,
    /// By expectation: whether a condition held; none for an expectation that is no condition, or whose value is
    /// missing.
    pub(super) held: Vec<Option<bool>>,
    /// The features that conditions name, in order of their ids.
    pub(super) seen: Vec<(FeatureId, Value)>,
    /// The rules behind `because`, with the outcome that there would be without each.
    pub(super) without: Vec<(RuleId, Outcome)>,
}

/// Tells a test to its end.
pub(super) fn tell(loaded: &Loaded, test: &Test) -> Result<Ending, StoryError> {
    let told = Told::new(loaded, test);
    let seen = named_features(test);
    let observe: Vec<FeatureId> = told.conditions.iter().flatten().chain(&seen).copied().collect();
    let mut story = Story::begin(loaded, &told.rules, observe)?;
    let ruling = story.finish(test, |_| Ok(()))?;
    let (conditions, values) = story.worker.observed.split_at(told.conditions.iter().flatten().count());
    let mut conditions = conditions.iter();
    let mut held = |it: &Option<FeatureId>| it.and_then(|_| conditions.next()).and_then(|it| it.flag());
    let held = told.conditions.iter().map(&mut held).collect();
    let seen = seen.into_iter().zip(values.iter().copied()).collect();
    let mut without = Vec::new();
    for rule in reasons(test) {
        let mut other = Story::begin(loaded, &told.rules, Vec::new())?;
        let ruling = other.finish(test, |story| story.turn_off(rule))?;
        without.push((rule, ruling.verdict.outcome));
    }
    Ok(Ending { ruling, held, seen, without })
}

/// The rules of a test, with each condition that it expects as a feature more: so the engine itself computes it, where
/// it knows lists and score.
struct Told {
    rules: rules::typed::RuleSet,
    /// By expectation.
    conditions: Vec<Option<FeatureId>>,
}

impl Told {
    fn new(loaded: &Loaded, test: &Test) -> Self {
        let mut rules = loaded.rules.clone();
        let mut conditions = Vec::new();
        for expectation in &test.expectations {
            let Expectation::Holds(condition, span) = expectation else {
                conditions.push(None);
                continue;
            };
            // INVARIANT (features): the checker leaves room among the ids for what a test expects.
            let id = u16::try_from(rules.features.len()).unwrap_or(u16::MAX);
            conditions.push(Some(FeatureId(id)));
            let mut hash = [0; 16];
            hash.iter_mut().zip(b"expected".iter().chain(&id.to_le_bytes())).for_each(|(to, it)| *to = *it);
            rules.features.push(Feature {
                name: format!("expected.{id}"),
                ty: Type::Flag,
                optional: condition.optional,
                domain: (0u16..)
                    .zip(&rules.schema.events)
                    .map(|(it, _)| rules::schema::EventTypeId(it))
                    .collect(),
                definition: Definition::Expr(condition.clone()),
                captured: Captured::No,
                own: true,
                hash,
                span: *span,
            });
        }
        Self { rules, conditions }
    }
}

/// The features that stand in a test's conditions.
fn named_features(test: &Test) -> Vec<FeatureId> {
    let mut named = Vec::new();
    for expectation in &test.expectations {
        if let Expectation::Holds(condition, _) = expectation {
            condition.visit(&mut |it| {
                if let rules::typed::ExprKind::Feature(id) = it.kind {
                    named.push(id);
                }
            });
        }
    }
    named.sort_unstable();
    named.dedup();
    named
}

/// The rules behind `because`.
fn reasons(test: &Test) -> impl Iterator<Item = RuleId> {
    test.expectations.iter().flat_map(|it| match it {
        Expectation::Outcome(_, because, _) => because.clone(),
        _ => Vec::new(),
    })
}

/// What has happened so far.
struct Story<'a> {
    loaded: &'a Loaded,
    typed: rules::typed::RuleSet,
    gate: Gate,
    worker: Worker,
    /// What lists of plain values hold.
    values: HashMap<ListId, Vec<i64>>,
    places: HashMap<String, RowPlace>,
    amendments: usize,
}

impl<'a> Story<'a> {
    fn begin(
        loaded: &'a Loaded,
        typed: &rules::typed::RuleSet,
        observe: Vec<FeatureId>,
    ) -> Result<Self, StoryError> {
        let rules = RuleSet::new(typed.clone(), HashKey::new(KEY), ValueLists::default())?;
        let rates = Arc::new(loaded.rates.clone());
        let gate = Gate::new(Arc::new(rules), rates, Box::new(Forgetful::default()));
        let worker = gate.worker(observe);
        Ok(Self {
            loaded,
            typed: typed.clone(),
            gate,
            worker,
            values: HashMap::new(),
            places: HashMap::new(),
            amendments: 0,
        })
    }

    /// Lets everything happen; `before` the last event something may be changed.
    fn finish(
        &mut self,
        test: &Test,
        before: impl FnOnce(&mut Self) -> Result<(), StoryError>,
    ) -> Result<Ruling, StoryError> {
        let is_event = |it: &TestStep| matches!(it, TestStep::Event(_));
        let last = test.steps.iter().rposition(is_event).ok_or(StoryError::NoEvent)?;
        let (earlier, rest) = test.steps.split_at(last);
        for step in earlier {
            self.step(step)?;
        }
        before(self)?;
        match rest.first() {
            Some(TestStep::Event(event)) => self.event(event),
            _ => Err(StoryError::NoEvent),
        }
    }

    fn step(&mut self, step: &TestStep) -> Result<(), StoryError> {
        match step {
            TestStep::Event(event) => self.event(event).map(|_| ()),
            TestStep::Amend { time, event, column, value } => {
                let Some(change) = change(*column, *value) else { return Ok(()) };
                self.amendments += 1;
                let amendment = Amendment {
                    id: format!("#amendment {}", self.amendments),
                    event_id: event.clone(),
                    time: *time,
                    time_given: true,
                    change,
                };
                let place = self.places.get(event);
                let amended = self.gate.amend(&amendment, place, &mut self.worker);
                amended
                    .map(|_| ())
                    .map_err(|it| StoryError::Event { id: event.clone(), problem: it.to_string() })
            }
            TestStep::List { list, item, value, .. } => self.put_on_list(*list, item, value.as_ref()),
        }
    }

    fn event(&mut self, given: &TestEvent) -> Result<Ruling, StoryError> {
        let failed = |problem: String| StoryError::Event { id: given.id.clone(), problem };
        let event = event(given, &self.loaded.rules.schema).map_err(failed)?;
        let ticket = self.gate.submit(&event, Deadline::Never, &mut self.worker);
        let ticket = ticket.map_err(|it| failed(it.to_string()))?;
        self.places.insert(given.id.clone(), ticket.place);
        Ok(ticket.ruling)
    }

    fn put_on_list(&mut self, id: ListId, item: &str, value: Option<&TestValue>) -> Result<(), StoryError> {
        let Some(list) = self.loaded.rules.list(id) else { return Ok(()) };
        let key = HashKey::new(KEY);
        match list.of {
            ListKind::Entities(kind) | ListKind::Table(kind, _) => {
                let value = value.map(|it| match it {
                    TestValue::Slot(slot) => *slot,
                    TestValue::Text(text) => key.slot(text),
                });
                let membership = Membership { list: id, until: None, value };
                let put = self.gate.put_on_list(EntityKey::new(kind, key.hash128(item)), membership);
                put.map(|_| ())
                    .map_err(|it| StoryError::List { list: list.name.clone(), problem: it.to_string() })
            }
            ListKind::Values(ty) => {
                let item = load::item(ty, list.text_bytes_max, &self.loaded.rules.schema, item);
                let item: Item =
                    item.map_err(|problem| StoryError::List { list: list.name.clone(), problem })?;
                self.values.entry(id).or_default().push(item.slot(key));
                self.renew()
            }
        }
    }

    fn turn_off(&mut self, rule: RuleId) -> Result<(), StoryError> {
        if let Some(rule) = self.typed.rules.get_mut(rule.index()) {
            rule.mode = Mode::Off;
        }
        self.renew()
    }

    /// Puts the rule set in force as it is by now.
    fn renew(&mut self) -> Result<(), StoryError> {
        let mut values = ValueLists::default();
        for (list, slots) in &self.values {
            values.set(*list, slots.clone());
        }
        let rules = RuleSet::new(self.typed.clone(), HashKey::new(KEY), values)?;
        Ok(self.gate.renew(Arc::new(rules))?)
    }
}

/// None for `accepted`, which nobody sets.
fn change(column: MutableColumn, value: u8) -> Option<Change> {
    Some(match column {
        MutableColumn::Outcome => Change::Outcome(Outcome::from_number(value)?),
        MutableColumn::Challenge => Change::Challenge(Challenge::from_number(value)?),
        MutableColumn::Result => Change::Result(OperationResult::from_number(value)?),
        MutableColumn::Label => Change::Label(Label::from_number(value)?, None),
        MutableColumn::Accepted => return None,
    })
}

/// The event as intake would have made it.
fn event(given: &TestEvent, schema: &rules::schema::Schema) -> Result<Event, String> {
    let fields = schema.event(given.event_type).map_or(&[][..], |it| &it.fields);
    let mut event = Event::default();
    event.begin(given.event_type, fields.len());
    event.id.push_str(&given.id);
    event.time = given.time;
    event.time_given = true;
    for (id, value) in &given.fields {
        let Some(at) = fields.iter().position(|it| it.field == *id) else { continue };
        match (value, schema.field(*id).map(|it| it.ty)) {
            (TestValue::Text(text), _) => event.set_text(at, text),
            (TestValue::Slot(minor), Some(rules::schema::FieldType::Money { currency })) => {
                event.set_money(at, *minor, currency.unwrap_or(schema.currency));
            }
            (TestValue::Slot(number), _) => event.set_number(at, *number),
        }
    }
    intake::finish(&mut event, schema, str::to_owned).map_err(|missing| {
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        missing.join("; ")
    })?;
    Ok(event)
}
