//! Rule sets from text, gates and events, in a line each.

use std::sync::Arc;

use engine::entity::HashKey;
use engine::event::Event;
use engine::lists::ValueLists;
use engine::rates::Rates;
use engine::rule_set::RuleSet;
use rules::diagnostic::{Colour, Source, render};
use rules::schema::{FieldType, Schema};
use stream::gate::Gate;
use stream::journal::Forgetful;

/// A schema and rules as one text each, checked and compiled.
#[track_caller]
pub(crate) fn rule_set(schema: &str, rules: &str) -> Arc<RuleSet> {
    let sources = [Source { name: "schema", text: schema }, Source { name: "rules", text: rules }];
    let checked = rules::check::check(&sources);
    let said = render(&checked.diagnostics, &sources, Colour::Never);
    let typed = checked.rule_set.unwrap_or_else(|| panic!("{said}"));
    Arc::new(RuleSet::new(typed, HashKey::new([7; 16]), ValueLists::default()).unwrap())
}

/// A gate with nothing in memory, over a journal that keeps nothing.
pub(crate) fn gate(rules: &Arc<RuleSet>) -> Gate {
    let rates = Rates::new(rules.typed.schema.currency);
    Gate::new(Arc::clone(rules), Arc::new(rates), Box::new(Forgetful::default()))
}

/// An event: its type, its id, its time in microseconds, and its fields, such as `user=u1 amount=100`; money in minor
/// units of the schema's currency.
#[track_caller]
pub(crate) fn event(schema: &Schema, event_type: &str, id: &str, time: i64, fields: &str) -> Event {
    let of = schema.event_type(event_type).unwrap();
    let declared = &schema.events[of.index()].fields;
    let mut event = Event::default();
    event.begin(of, declared.len());
    event.id.push_str(id);
    event.time = time;
    event.time_given = true;
    for pair in fields.split_whitespace() {
        let (name, value) = pair.split_once('=').unwrap();
        let at = declared.iter().position(|it| schema.field(it.field).unwrap().name == name).unwrap();
        match schema.field(declared[at].field).unwrap().ty {
            FieldType::Text { .. } | FieldType::Entity(_) => event.set_text(at, value),
            FieldType::Money { .. } => event.set_money(at, value.parse().unwrap(), schema.currency),
            _ => event.set_number(at, value.parse().unwrap()),
        }
    }
    event
}
