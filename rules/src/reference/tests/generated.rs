//! Generated rule sets: they check, they cover the language, and program and reference agree on them.

use std::collections::BTreeMap;

use super::agree::{self, in_share};
use super::constructs::{ALL, constructs};
use super::trees::BASE;
use crate::past::Mutable;
use crate::place::Place;
use crate::reference::generate::{Choices, rule_set};
use crate::reference::{Event, Lists, PastEvent, World};
use crate::schema::{EventTypeId, FieldType, Schema};
use crate::testing;
use crate::time::{DAY, HOUR, MINUTE, SECOND};
use crate::typed::{ListId, RuleSet};

const CASES: u64 = 1_000;

/// A generated rule set, through parser and checker.
fn checked(choices: &mut Choices) -> RuleSet {
    let generated = rule_set(choices);
    testing::rule_set(&generated.schema, &generated.rules)
}

#[test]
fn generated_rule_sets_have_no_errors_and_cover_the_language() {
    let mut cases: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..CASES {
        for construct in constructs(&checked(&mut Choices::from_seed(seed))) {
            *cases.entry(construct).or_default() += 1;
        }
    }
    let rare: Vec<_> = ALL.iter().filter(|it| cases.get(**it).is_none_or(|it| *it < CASES / 100)).collect();
    assert!(rare.is_empty(), "in less than one of a hundred cases: {rare:?}");
}

/// Texts and ids of generated rule sets are single digits.
fn text_slot(text: &str) -> i64 {
    text.parse().unwrap_or(0)
}

fn slot(choices: &mut Choices, ty: FieldType, time: i64) -> i64 {
    match ty {
        FieldType::Entity(_) | FieldType::Text { .. } => choices.between(0, 3),
        FieldType::Flag => choices.between(0, 1),
        FieldType::Enum(_) => choices.between(0, 2),
        FieldType::Int => choices.between(-4, 9),
        FieldType::Money { .. } => choices.between(0, 1_500),
        FieldType::Decimal { .. } => choices.between(0, 20_000),
        FieldType::Time => time - choices.between(-2, 2) * HOUR,
        FieldType::Duration => choices.between(0, HOUR),
        FieldType::Place => Place::new(choices.between(0, 3) * 10_000_000, 0).unwrap().pack(),
    }
}

fn event(choices: &mut Choices, schema: &Schema, position: u64, time: i64) -> Event {
    let event_type = EventTypeId(u16::try_from(choices.below(schema.events.len())).unwrap());
    let mut fields = vec![None; schema.fields.len()];
    for field in &schema.events[event_type.index()].fields {
        if !(field.optional && choices.chance(30)) {
            fields[field.field.index()] = Some(slot(choices, schema.field(field.field).unwrap().ty, time));
        }
    }
    Event { position, event_type, time, fields }
}

fn lists(choices: &mut Choices, rules: &RuleSet) -> Lists {
    let mut lists = Lists::default();
    for list in (0..rules.lists.len()).map(|it| ListId(u16::try_from(it).unwrap())) {
        for slot in 0..4 {
            if choices.chance(40) {
                lists.items.insert((list, slot));
                lists.tables.insert((list, slot), choices.between(0, 900));
            }
        }
    }
    lists
}

/// A feed of events, decided one after another, amended, now and then rechecked.
fn check_feed(choices: &mut Choices) {
    let rules = checked(choices);
    let lists = lists(choices, &rules);
    let mut past: Vec<PastEvent> = Vec::new();
    let (mut position, mut time) = (0, BASE);
    for _ in 0..12 {
        position += 1;
        time += [0, 1, SECOND, MINUTE, HOUR, DAY, -MINUTE][choices.below(7)];
        let event = event(choices, &rules.schema, position, time);
        let excluded = choices.chance(15).then(|| position.saturating_sub(1));
        let world = World {
            rules: &rules,
            texts: &text_slot,
            past: &past,
            excluded,
            lists: &lists,
            in_share: &in_share,
        };
        let verdict = agree::check(&world, &event);
        let captured = world.features(&event);
        let mutable = Mutable { outcome: verdict.outcome, ..Mutable::default() };
        past.push(PastEvent { event, changes: vec![(position, mutable)], captured });
        if choices.chance(40) {
            position += 1;
            let at = choices.below(past.len());
            past[at].changes.push((position, super::trees::mutable(choices)));
        }
    }
}

#[test]
fn program_and_reference_agree_on_generated_rule_sets() {
    for seed in 0..CASES {
        check_feed(&mut Choices::from_seed(seed));
    }
}
