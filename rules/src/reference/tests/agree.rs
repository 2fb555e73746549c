//! Program == reference, reals by their bits.

use proptest::prelude::*;

use super::trees::{self, Scope, Trees};
use crate::program::{Frame, Program, Source, Verdict};
use crate::reference::expr::View;
use crate::reference::generate::Choices;
use crate::reference::{Event, Lists, PastEvent, World};
use crate::schema::FieldId;
use crate::typed::{Aggregate, Definition, FeatureId, ListId, RuleId, RuleSet};
use crate::value::{Form, Value};

pub(super) fn text_slot(text: &str) -> i64 {
    i64::from(text.as_bytes()[0]) - i64::from(b'a')
}

pub(super) fn in_share(rule: RuleId, entity: i64, share_e6: u32) -> bool {
    (i64::from(rule.0) + entity) % 2 == 0 && 0 < share_e6
}

/// Equal, and reals to the last bit.
pub(super) fn same(a: Value, b: Value) -> bool {
    match (a, b) {
        (Value::Real(a), Value::Real(b)) => a.to_bits() == b.to_bits(),
        _ => a == b,
    }
}

/// Answers a program from what the reference computed, and refuses to be asked twice.
pub(super) struct FromReference<'a> {
    world: &'a World<'a>,
    event: &'a Event,
    features: &'a [Value],
    asked: Vec<FeatureId>,
}

impl Source for FromReference<'_> {
    fn aggregate(&mut self, feature: FeatureId, _: &mut Frame) -> Value {
        assert!(!self.asked.contains(&feature), "asked twice for {feature:?}");
        self.asked.push(feature);
        self.features[feature.index()]
    }
    fn listed(&mut self, list: ListId, role: FieldId) -> bool {
        self.event.field(role).is_some_and(|slot| self.listed_value(list, slot))
    }
    fn listed_value(&mut self, list: ListId, slot: i64) -> bool {
        self.world.lists.items.contains(&(list, slot))
    }
    fn table_value(&mut self, list: ListId, role: FieldId) -> Option<i64> {
        self.world.lists.tables.get(&(list, self.event.field(role)?)).copied()
    }
    fn in_share(&mut self, rule: RuleId, role: FieldId, share_e6: u32) -> bool {
        self.event.field(role).is_some_and(|slot| (self.world.in_share)(rule, slot, share_e6))
    }
}

fn load(frame: &mut Frame, event: &Event) {
    frame.begin(event.event_type, event.time);
    frame.fields.copy_from_slice(&event.fields);
}

/// Everything that the program says of an event, against the reference.
pub(super) fn check(world: &World<'_>, event: &Event) -> Verdict {
    let program = Program::compile(world.rules, world.texts);
    let features = world.features(event);
    let source = || FromReference { world, event, features: &features, asked: Vec::new() };
    let mut frame = program.frame();
    load(&mut frame, event);

    // Backwards, so that features are computed when others ask for them.
    let mut one = source();
    for id in (0..world.rules.features.len()).rev().map(|id| FeatureId(u16::try_from(id).unwrap())) {
        let value = program.feature(id, &mut frame, &mut one);
        let expected = features[id.index()];
        assert!(same(value, expected), "{id:?}: {value:?}, reference {expected:?}");
    }

    load(&mut frame, event);
    let mut verdict = Verdict::default();
    program.run(&mut frame, &mut source(), &mut verdict);
    assert_eq!(verdict, world.verdict(event, &features));

    for (id, feature) in FeatureId::all().zip(&world.rules.features) {
        if let Definition::Aggregate(aggregate) = &feature.definition {
            check_aggregate(&program, world, event, &features, id, aggregate);
        }
    }
    verdict
}

/// What an aggregate's program says of each past event, against the reference.
fn check_aggregate(
    program: &Program,
    world: &World<'_>,
    event: &Event,
    features: &[Value],
    id: FeatureId,
    aggregate: &Aggregate,
) {
    let (mut current, mut frame) = (program.frame(), program.frame());
    load(&mut current, event);
    let parts = program.aggregate(id).unwrap();
    let mut source = FromReference { world, event, features, asked: Vec::new() };
    let mut this = Vec::new();
    parts.prepare(program, &mut current, &mut source, &mut this);
    let view = View::current(world, event, features);
    for past in world.past {
        let mutable = past.known_at(event.position);
        load(&mut frame, &past.event);
        frame.mutable = mutable;
        frame.this.clone_from(&this);
        parts.captured().iter().for_each(|id| frame.set_feature(*id, past.captured[id.index()]));
        let past = View { event: &past.event, mutable, features: &past.captured, this: Some(&view), ..view };
        let holds = |it: &Option<_>| it.as_ref().is_none_or(|it| past.holds(it));
        assert_eq!(parts.matches(&mut frame), holds(&aggregate.condition));
        assert_eq!(parts.above(&mut frame), holds(&aggregate.numerator));
        let argument = aggregate.argument.as_ref().map_or(Value::Missing, |it| past.eval(it));
        assert!(same(parts.argument(&mut frame), argument));
    }
}

/// A random rule set of typed trees with a random past.
fn check_trees(choices: &mut Choices) -> (RuleSet, Verdict) {
    let rules = trees::rule_set(choices);
    let past: Vec<PastEvent> =
        (0..choices.below(8)).map(|at| trees::past_event(choices, at as u64, &rules)).collect();
    let lists: Lists = trees::lists(choices);
    let excluded = choices.chance(20).then_some(0);
    // Now and then some of the past is not known yet.
    let position = if choices.chance(80) { 8 } else { 4 };
    let event = trees::event(choices, position);
    let world =
        World { rules: &rules, texts: &text_slot, past: &past, excluded, lists: &lists, in_share: &in_share };
    let verdict = check(&world, &event);
    (rules, verdict)
}

/// A single deep expression, as the only feature of a rule set.
fn check_expression(choices: &mut Choices) {
    let mut rules = trees::rule_set(choices);
    (rules.rules, rules.policies) = (Vec::new(), Vec::new());
    // A feature reads only those before it.
    let earlier = rules.features.len().saturating_sub(1);
    let features = FeatureId::all().zip(rules.features.iter().map(|it| it.ty.form())).take(earlier).collect();
    let form = *choices.pick(&[Form::Flag, Form::Exact, Form::Real]).unwrap();
    let expr = Trees { choices, features, scope: Scope::Current }.any(form, 6);
    let Some(last) = rules.features.last_mut() else { return };
    (last.ty, last.definition) = (expr.ty, Definition::Expr(expr));
    let lists = trees::lists(choices);
    let event = trees::event(choices, 8);
    let world = World {
        rules: &rules,
        texts: &text_slot,
        past: &[],
        excluded: None,
        lists: &lists,
        in_share: &in_share,
    };
    check(&world, &event);
}

proptest! {
    // A tape of choices means another case after any change of the generator: not worth keeping.
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn program_and_reference_agree_on_expressions(numbers in prop::collection::vec(any::<u32>(), 0..1000)) {
        check_expression(&mut Choices::from_numbers(numbers));
    }

    #[test]
    fn program_and_reference_agree_on_typed_rule_sets(numbers in prop::collection::vec(any::<u32>(), 0..2000)) {
        check_trees(&mut Choices::from_numbers(numbers));
    }
}
