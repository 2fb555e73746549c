//! What most of a decision is spent on, each alone: the windows and the program.
//!
//! The states are those of a gate that has lived through the days before. They are taken out of it and keep their
//! places in memory, which is as cold as it was; only the look-up and the lock, which are the floor, are left out.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use engine::apply::{self, Applied};
use engine::decide::{self, Case, Moment, Scratch};
use engine::entity::EntityKey;
use engine::event::Event;
use engine::rule_set::RuleSet;
use engine::state::EntityState;
use rules::past::Mutable;
use rules::program::{Nothing, Verdict};
use rules::time::Micros;
use rules::typed::FeatureId;
use rules::value::Value;
use stream::gate::Gate;
use stream::in_force::InForce;

use crate::measure::{self, Timed};
use crate::traffic::Payment;

/// Entities of a payment.
const ENTITIES: usize = 4;

/// All that the steps read and write.
#[derive(Debug)]
pub struct Steps {
    in_force: Arc<InForce>,
    states: Vec<EntityState>,
    /// Where the state of an entity is.
    places: HashMap<EntityKey, usize>,
    clock: Micros,
    position: u64,
}

/// A payment on its way.
#[derive(Debug)]
pub struct Step {
    event: Event,
    scratch: Scratch,
    /// Where the states of its entities are.
    places: [usize; ENTITIES],
    text: String,
    verdict: Verdict,
}

impl Steps {
    /// Takes all states out of a gate, which knows nobody any more.
    pub fn take(gate: &Gate) -> Self {
        let mut keys = Vec::new();
        gate.for_each_entity(|key, _| keys.push(key));
        let mut steps = Self {
            in_force: gate.in_force(),
            states: Vec::with_capacity(keys.len() + keys.len() / 8),
            places: HashMap::with_capacity(keys.len()),
            clock: gate.clock().unwrap_or(Micros::MIN),
            position: gate.journal().next(),
        };
        for key in keys {
            let taken = gate.look(key, |in_force, state| std::mem::replace(state, new(&in_force.rules, key)));
            steps.states.extend(taken);
            steps.places.insert(key, steps.states.len() - 1);
        }
        steps
    }

    /// Times [`Steps::run_windows`].
    pub fn windows(&mut self, mut payments: impl Iterator<Item = Payment>, events: usize) -> Timed {
        let steps = RefCell::new(self);
        let fill = |step: &mut Option<Step>| {
            payments.next().into_iter().for_each(|it| steps.borrow_mut().load(it, step));
        };
        measure::time(events, fill, |step| {
            step.as_mut().map_or(0, |step| steps.borrow_mut().run_windows(step))
        })
    }

    /// Times [`Steps::run_program`].
    pub fn program(&mut self, mut payments: impl Iterator<Item = Payment>, events: usize) -> Timed {
        let steps = RefCell::new(self);
        let fill = |step: &mut Option<Step>| {
            payments.next().into_iter().for_each(|it| steps.borrow_mut().load(it, step));
            step.iter_mut().for_each(|step| _ = steps.borrow_mut().run_windows(step));
        };
        measure::time(events, fill, |step| step.as_mut().map_or(0, |step| steps.borrow().run_program(step)))
    }

    /// Makes a payment ready: its ids as keys, its fields in slots, its entities' states found.
    pub fn load(&mut self, payment: Payment, step: &mut Option<Step>) {
        let Self { in_force, states, places, .. } = self;
        let rules = &in_force.rules;
        let step = step.get_or_insert_with(|| Step::new(rules));
        payment.fill(&mut step.event, &mut step.text);
        let facts = &mut step.scratch.facts;
        // INVARIANT (currency): payments are in the schema's own.
        let _ = facts.load(&step.event, rules, &in_force.rates);
        for (place, key) in step.places.iter_mut().zip(&facts.roles.stateful) {
            *place = *places.entry(*key).or_insert_with(|| {
                states.push(new(rules, *key));
                states.len() - 1
            });
        }
    }

    /// The windows: all features of a payment, then its row in each of its entities. Gives what depends on all of it.
    pub fn run_windows(&mut self, step: &mut Step) -> u64 {
        let sum = self.features(step);
        self.insert(step);
        sum
    }

    /// The program: all rules and the policy of a payment whose features are known. Gives what depends on all of it.
    pub fn run_program(&self, step: &mut Step) -> u64 {
        let Step { scratch, verdict, .. } = step;
        self.in_force.rules.program.run(&mut scratch.facts.frame, &mut Nothing, verdict);
        verdict.score_e6.unsigned_abs() + verdict.hits.len() as u64
    }

    fn features(&mut self, step: &mut Step) -> u64 {
        self.clock = step.event.time.max(self.clock);
        self.position += 1;
        let Self { in_force, states, clock, .. } = self;
        let Step { event, scratch, places, .. } = step;
        let rules = &*in_force.rules;
        // INVARIANT (kinds): a payment's four entities are of four kinds.
        let Ok(mut states) = states.get_disjoint_mut(*places) else { return 0 };
        decide::prefetch(&states);
        let moment = Moment::of(event.time, *clock, &rules.typed.schema);
        let case = Case { rules, event, moment, exclude: None };
        decide::capture(case, &mut states, scratch);
        let features = FeatureId::all().take(rules.typed.features.len());
        features.fold(0, |sum, id| sum ^ bits(decide::feature(case, id, &mut states, scratch)))
    }

    fn insert(&mut self, step: &mut Step) {
        let Self { in_force, states, clock, position, .. } = self;
        let at = Moment::of(step.event.time, *clock, &in_force.rules.typed.schema).at;
        let applied = Applied { position: *position, at, clock: *clock };
        let mutable = Mutable { outcome: step.verdict.outcome, ..Mutable::default() };
        let Ok(states) = states.get_disjoint_mut(step.places) else { return };
        for (entity, state) in states.into_iter().enumerate() {
            apply::apply(&in_force.rules, applied, mutable, entity, state, &mut step.scratch);
        }
    }
}

impl Step {
    fn new(rules: &RuleSet) -> Self {
        Self {
            event: Event::default(),
            scratch: Scratch::new(rules),
            places: [0; ENTITIES],
            text: String::new(),
            verdict: Verdict::default(),
        }
    }
}

fn new(rules: &RuleSet, key: EntityKey) -> EntityState {
    EntityState::new(rules.plan.kind(key.kind))
}

fn bits(value: Value) -> u64 {
    value.to_slot().unwrap_or_default().cast_unsigned()
}

#[cfg(test)]
mod tests {
    use floor::{Draw, Population};
    use stream::gate::Deadline;

    use super::*;
    use crate::traffic::Traffic;

    /// Taken out of the gate, a payment's features and verdict are those that the gate gives.
    #[test]
    fn the_steps_are_those_of_the_gate() {
        let mut traffic = Traffic::new(Population { users: 200, merchants: 5 }, Draw::Uniform, 1);
        let ids: Vec<FeatureId> = (0..30).map(FeatureId).collect();
        let (gates, mut text) = ([crate::gate().unwrap(), crate::gate().unwrap()], String::new());
        let mut workers = gates.each_ref().map(|it| it.worker(ids.clone()));
        let mut event = Event::default();
        while traffic.days() < 3 {
            traffic.next().unwrap().fill(&mut event, &mut text);
            for (gate, worker) in gates.iter().zip(&mut workers) {
                gate.submit(&event, Deadline::Never, worker).unwrap();
            }
        }
        let ([taken, gate], [_, worker]) = (&gates, &mut workers);
        let (mut steps, mut step) = (Steps::take(taken), None);
        let mut hits = 0;
        for payment in traffic.take(500) {
            steps.load(payment, &mut step);
            let step = step.as_mut().unwrap();
            steps.features(step);
            steps.run_program(step);
            steps.insert(step);
            let ticket = gate.submit(&step.event, Deadline::Never, worker).unwrap();
            let known = ids.iter().map(|id| step.scratch.facts.frame.known(*id).unwrap_or_default());
            assert_eq!(known.collect::<Vec<_>>(), worker.observed);
            assert_eq!(step.verdict, ticket.ruling.verdict);
            hits += step.verdict.hits.len();
        }
        assert!(hits > 0);
    }
}
