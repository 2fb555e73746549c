//! The gate against the reference, which looks at the whole past again for every event: random rule sets, random feeds
//! with late, too late, repeated, amended and rechecked events, list changes, idle entities leaving memory at random.
//! And against its own records: folded they are its state, and each decision derived again is the one recorded.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::decide::Moment;
use engine::entity::{EntityKey, HashKey};
use engine::event::{Amendment, Change, Event};
use engine::lists::Membership;
use engine::rollout::place_e6;
use engine::rule_set::RuleSet;
use engine::words::effect;
use rules::past::{Challenge, Label, Mutable, OperationResult, Outcome};
use rules::place::Place as Point;
use rules::program::{Alert, EffectRef, Verdict};
use rules::reference::generate::{Choices, rule_set};
use rules::reference::{self, Lists, PastEvent, World};
use rules::schema::{EventTypeId, FieldId, FieldType};
use rules::time::{DAY, HOUR, MINUTE, Micros, SECOND};
use rules::typed::{Effect, FeatureId, ListId, ListKind, RuleId};
use stream::bundle::{Bundle, ListFile};
use stream::gate::{Deadline, Gate, Refused, Worker};
use stream::journal::Memory;
use stream::record::RowPlace;

use crate::support::{PATIENT, check_folded, check_verified};

const BASE: Micros = 1_767_600_000 * SECOND;
const KEY: [u8; 16] = [3; 16];
/// Ids and texts are single digits.
const IDS: i64 = 4;

/// A gate, and the same world told to the reference.
struct Pair {
    rules: Arc<RuleSet>,
    gate: Gate,
    worker: Worker,
    journal: Memory,
    past: Vec<PastEvent>,
    /// Of each past event: itself, where the gate says it stands, and the engine clock then.
    events: Vec<(Event, RowPlace, Micros)>,
    /// Who is in which list: until when, and the value of a table.
    lists: BTreeMap<(ListId, i64), (Option<Micros>, Option<i64>)>,
    alerted: BTreeMap<(EffectRef, i64), Micros>,
    clock: Option<Micros>,
}

impl Pair {
    fn new(choices: &mut Choices) -> Self {
        let text = rule_set(choices);
        let bundle = Bundle::of(&[("schema", &text.schema), ("rules", &text.rules)]);
        let typed = bundle.check().unwrap_or_else(|it| panic!("{it}")).rules;
        let (lists, values) = fill_lists(choices, &typed);
        let bundle = Arc::new(Bundle { lists: values, ..bundle });
        let journal = Memory::default();
        let gate = Gate::begin(bundle, key(), Box::new(journal.clone()), PATIENT).unwrap();
        let rules = gate.rules();
        for ((list, slot), (until, value)) in &lists {
            let (ListKind::Entities(kind) | ListKind::Table(kind, _)) = rules.typed.lists[list.index()].of
            else {
                continue;
            };
            let id = (0..IDS).find(|id| key().slot(&id.to_string()) == *slot).unwrap();
            let entity = EntityKey::new(kind, key().hash128(&id.to_string()));
            gate.put_on_list(entity, Membership { list: *list, until: *until, value: *value }).unwrap();
        }
        let all = (0..rules.typed.features.len()).map(|it| FeatureId(u16::try_from(it).unwrap()));
        let worker = gate.worker(all.collect());
        Self {
            rules,
            gate,
            worker,
            journal,
            past: Vec::new(),
            events: Vec::new(),
            lists,
            alerted: BTreeMap::new(),
            clock: None,
        }
    }

    /// Has an event expected as the next, and another behind it, which may never come; who was found may be gone then.
    fn expect(&mut self, choices: &mut Choices, event: &Event) {
        self.gate.expect(event, &mut self.worker);
        if choices.chance(50) {
            self.gate.evict_idle();
        }
        let behind = self.events.get(choices.below(self.events.len().max(1)));
        self.gate.expect(behind.map_or(event, |(it, ..)| it), &mut self.worker);
        if choices.chance(50) {
            self.gate.evict_idle();
        }
    }

    /// Submits an event and holds what comes of it against the reference.
    fn submit(&mut self, event: &Event, original: Option<usize>) {
        let ticket = match self.gate.submit(event, Deadline::Never, &mut self.worker) {
            Ok(ticket) => ticket,
            // The original has left the table of recent ids.
            Err(Refused::EventUnknown(_)) if original.is_some() => return,
            Err(refused) => panic!("{refused}"),
        };
        let schema = &self.rules.typed.schema;
        let moment = Moment::of(event.time, self.clock.unwrap_or(Micros::MIN), schema);
        self.clock = self.clock.max(Some(event.time));
        let seen = reference::Event {
            position: ticket.position.offset,
            event_type: event.event_type.unwrap(),
            time: moment.at,
            fields: self.slots(event),
        };
        let lists = self.lists_at(moment.at);
        let (rules, text_of) = (Arc::clone(&self.rules), text_of());
        let world = World {
            rules: &rules.typed,
            texts: &|text| key().slot(text),
            past: &self.past,
            excluded: original.map(|it| self.past[it].event.position),
            lists: &lists,
            in_share: &|rule: RuleId, slot, share| {
                let name = &rules.typed.rules[rule.index()].name;
                place_e6(name, &text_of[&slot]) < u64::from(share)
            },
        };
        let features = world.features(&seen);
        let mut verdict = world.verdict(&seen, &features);
        verdict.alerts.retain(|alert| self.is_due(alert, &seen));
        self.same(&seen, &features, &verdict, &ticket.ruling.verdict);
        assert_eq!(
            (ticket.ruling.flags.late, ticket.ruling.flags.too_late),
            (moment.flags.late, moment.flags.too_late)
        );
        self.take_effect(&verdict, &seen);
        match original {
            None => {
                let mutable = Mutable { outcome: verdict.outcome, ..Mutable::default() };
                let changes = vec![(seen.position, mutable)];
                self.past.push(PastEvent { event: seen, changes, captured: features });
                self.events.push((event.clone(), ticket.place.clone(), self.clock.unwrap()));
            }
            Some(at) => self.change(at, seen.position, &Change::Outcome(verdict.outcome)),
        }
        Gate::recycle(&mut self.worker, ticket);
    }

    #[track_caller]
    fn same(
        &self,
        event: &reference::Event,
        features: &[rules::value::Value],
        expected: &Verdict,
        got: &Verdict,
    ) {
        let typed = &self.rules.typed;
        for ((feature, expected), got) in typed.features.iter().zip(features).zip(&self.worker.observed) {
            if feature.domain.contains(&event.event_type) {
                assert_eq!(
                    got, expected,
                    "feature `{}` of {event:?}: {:?}",
                    feature.name, feature.definition
                );
            }
        }
        assert_eq!(got, expected, "the verdict of {event:?}");
    }

    fn is_due(&self, alert: &Alert, event: &reference::Event) -> bool {
        let Some(Effect::Alert { once: Some((role, span)), .. }) = effect(&self.rules, alert.effect) else {
            return true;
        };
        let last = event.field(*role).and_then(|slot| self.alerted.get(&(alert.effect, slot)));
        last.is_none_or(|last| event.time - last >= *span)
    }

    fn take_effect(&mut self, verdict: &Verdict, event: &reference::Event) {
        for action in &verdict.actions {
            match effect(&self.rules, *action) {
                Some(Effect::Add { role, list, span }) => {
                    if let Some(slot) = event.field(*role) {
                        self.lists.insert((*list, slot), (span.map(|span| event.time + span), None));
                    }
                }
                Some(Effect::Remove { role, list }) => {
                    if let Some(slot) = event.field(*role) {
                        self.lists.remove(&(*list, slot));
                    }
                }
                _ => {}
            }
        }
        for alert in &verdict.alerts {
            if let Some(Effect::Alert { once: Some((role, _)), .. }) = effect(&self.rules, alert.effect)
                && let Some(slot) = event.field(*role)
            {
                let last = self.alerted.entry((alert.effect, slot)).or_insert(event.time);
                *last = event.time.max(*last);
            }
        }
    }

    fn lists_at(&self, at: Micros) -> Lists {
        let mut lists = Lists::default();
        for ((list, slot), (until, value)) in &self.lists {
            if until.is_none_or(|until| at < until) {
                lists.items.insert((*list, *slot));
                lists.tables.extend(value.map(|value| ((*list, *slot), value)));
            }
        }
        lists
    }

    /// Puts somebody on a list or takes somebody off.
    fn change_list(&mut self, choices: &mut Choices) {
        let lists = ListId::all().zip(&self.rules.typed.lists);
        let of_entities = lists.filter_map(|(id, list)| match list.of {
            ListKind::Entities(kind) => Some((id, kind, false)),
            ListKind::Table(kind, _) => Some((id, kind, true)),
            ListKind::Values(_) => None,
        });
        let of_entities: Vec<_> = of_entities.collect();
        if of_entities.is_empty() {
            return;
        }
        let (list, kind, table) = of_entities[choices.below(of_entities.len())];
        let id = choices.between(0, IDS - 1).to_string();
        let (entity, slot) = (EntityKey::new(kind, key().hash128(&id)), key().slot(&id));
        if choices.chance(30) {
            self.gate.take_off_list(entity, list).unwrap();
            self.lists.remove(&(list, slot));
            return;
        }
        let until = choices.chance(50).then(|| self.clock.unwrap() + HOUR);
        let value = table.then(|| choices.between(0, 900));
        self.gate.put_on_list(entity, Membership { list, until, value }).unwrap();
        self.lists.insert((list, slot), (until, value));
    }

    fn amend(&mut self, choices: &mut Choices, number: usize) {
        let at = choices.below(self.past.len());
        let change = change(choices);
        let (event, place, _) = &self.events[at];
        let amendment = Amendment {
            id: format!("a-{number}"),
            event_id: event.id.clone(),
            time: self.clock.unwrap(),
            time_given: true,
            change: change.clone(),
        };
        let amended = self.gate.amend(&amendment, Some(place), &mut self.worker).unwrap();
        self.change(at, amended.position, &change);
    }

    fn change(&mut self, at: usize, position: u64, change: &Change) {
        let past = &mut self.past[at];
        let before = past.known_at(u64::MAX);
        past.changes.push((position, change.applied_to(before)));
    }

    /// Submits an event that was decided: nothing changes, and the answer is the first one.
    fn repeat(&mut self, choices: &mut Choices) {
        let (event, place, clock) = &self.events[choices.below(self.events.len())];
        if self.clock.unwrap() - DAY < *clock {
            let ticket = self.gate.submit(event, Deadline::Never, &mut self.worker).unwrap();
            assert!(ticket.ruling.flags.repeated);
            assert_eq!(ticket.position.offset, place.position);
        }
    }

    fn slots(&self, event: &Event) -> Vec<Option<i64>> {
        let schema = &self.rules.typed.schema;
        let mut slots = vec![None; schema.fields.len()];
        for (at, field) in schema.events[event.event_type.unwrap().index()].fields.iter().enumerate() {
            slots[field.field.index()] = match event.value(at) {
                engine::event::FieldValue::Missing => None,
                engine::event::FieldValue::Number(number) => Some(number),
                engine::event::FieldValue::Money { minor, .. } => Some(minor),
                engine::event::FieldValue::Text(text) => Some(key().slot(text)),
            };
        }
        slots
    }

    fn event(&self, choices: &mut Choices, id: String, time: Micros) -> Event {
        let schema = &self.rules.typed.schema;
        let event_type = EventTypeId(u16::try_from(choices.below(schema.events.len())).unwrap());
        let fields = &schema.events[event_type.index()].fields;
        let mut event = Event::default();
        event.begin(event_type, fields.len());
        event.id = id;
        event.time = time;
        event.time_given = true;
        for (at, field) in fields.iter().enumerate() {
            if !(field.optional && choices.chance(30)) {
                self.set_field(choices, &mut event, at, field.field);
            }
        }
        event
    }

    fn set_field(&self, choices: &mut Choices, event: &mut Event, at: usize, field: FieldId) {
        let schema = &self.rules.typed.schema;
        match schema.field(field).unwrap().ty {
            FieldType::Entity(_) | FieldType::Text { .. } => {
                event.set_text(at, &choices.between(0, IDS - 1).to_string());
            }
            FieldType::Money { currency } => {
                event.set_money(at, choices.between(0, 1_500), currency.unwrap_or(schema.currency));
            }
            FieldType::Flag => event.set_number(at, choices.between(0, 1)),
            FieldType::Enum(_) => event.set_number(at, choices.between(0, 2)),
            FieldType::Int => event.set_number(at, choices.between(-4, 9)),
            FieldType::Decimal { .. } => event.set_number(at, choices.between(0, 20_000)),
            FieldType::Time => event.set_number(at, event.time - choices.between(-2, 2) * HOUR),
            FieldType::Duration => event.set_number(at, choices.between(0, HOUR)),
            FieldType::Place => {
                event.set_number(at, Point::new(choices.between(0, 3) * 10_000_000, 0).unwrap().pack());
            }
        }
    }

    /// An event once more with other values in the fields that are no roles.
    fn recheck_of(&self, choices: &mut Choices, at: usize, id: String) -> Event {
        let mut event = self.events[at].0.clone();
        event.recheck_of = Some(std::mem::replace(&mut event.id, id));
        event.time = self.clock.unwrap();
        let schema = &self.rules.typed.schema;
        for (at, field) in schema.events[event.event_type.unwrap().index()].fields.iter().enumerate() {
            if schema.role_kind(field.field).is_none() && choices.chance(30) {
                self.set_field(choices, &mut event, at, field.field);
            }
        }
        event
    }
}

fn key() -> HashKey {
    HashKey::new(KEY)
}

fn text_of() -> BTreeMap<i64, String> {
    (0..IDS).map(|id| (key().slot(&id.to_string()), id.to_string())).collect()
}

type Members = BTreeMap<(ListId, i64), (Option<Micros>, Option<i64>)>;

fn fill_lists(choices: &mut Choices, rules: &rules::typed::RuleSet) -> (Members, Vec<ListFile>) {
    let (mut members, mut values) = (Members::new(), Vec::new());
    for (id, list) in ListId::all().zip(&rules.lists) {
        let items: Vec<String> = (0..IDS).filter(|_| choices.chance(40)).map(|it| it.to_string()).collect();
        let table = matches!(list.of, ListKind::Table(..));
        for item in &items {
            members.insert((id, key().slot(item)), (None, table.then(|| choices.between(0, 900))));
        }
        if let ListKind::Values(_) = list.of {
            let (list, name) = (list.name.clone(), list.name.clone());
            values.push(ListFile { list, name, text: items.join("\n") });
        }
    }
    (members, values)
}

fn change(choices: &mut Choices) -> Change {
    let number = |choices: &mut Choices, below| u8::try_from(choices.below(below)).unwrap();
    match choices.below(4) {
        0 => Change::Label(Label::from_number(number(choices, 3)).unwrap(), None),
        1 => Change::Challenge(Challenge::from_number(number(choices, 6)).unwrap()),
        2 => Change::Result(OperationResult::from_number(number(choices, 7)).unwrap()),
        _ => Change::Outcome(Outcome::from_number(number(choices, 4)).unwrap()),
    }
}

/// A feed of so many events whose times lie `steps` apart, at random.
fn check(seed: u64, events: usize, steps: &[Micros]) {
    let mut choices = Choices::from_seed(seed);
    let mut pair = Pair::new(&mut choices);
    let mut time = BASE;
    for number in 0..events {
        time += steps[choices.below(steps.len())];
        let late = [0, 0, 0, 0, 1, SECOND, 5 * MINUTE, 11 * MINUTE, 3 * HOUR][choices.below(9)];
        let event = pair.event(&mut choices, format!("e-{number}"), time - late);
        if choices.chance(50) {
            pair.expect(&mut choices, &event);
        }
        pair.submit(&event, None);
        if choices.chance(20) {
            pair.amend(&mut choices, number);
        }
        if choices.chance(15) {
            let at = choices.below(pair.past.len());
            let recheck = pair.recheck_of(&mut choices, at, format!("r-{number}"));
            pair.submit(&recheck, Some(at));
        }
        if choices.chance(10) {
            pair.repeat(&mut choices);
        }
        if choices.chance(10) {
            pair.gate.evict_idle();
        }
        if choices.chance(5) {
            pair.change_list(&mut choices);
        }
    }
    check_folded(&pair.gate, &pair.journal);
    check_verified(&pair.journal, key());
}

#[test]
fn short_feeds() {
    for seed in 0..600 {
        check(seed, 30, &[0, 1, SECOND, MINUTE, HOUR, DAY, 40 * DAY]);
    }
}

/// Long enough for histories of several blocks.
#[test]
fn long_feeds() {
    for seed in 1_000..1_030 {
        check(seed, 700, &[0, 1, SECOND, 10 * SECOND, MINUTE]);
    }
}
