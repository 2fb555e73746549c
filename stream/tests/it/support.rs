//! Rule sets from text, gates and events, in a line each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::entity::{EntityKey, HashKey};
use engine::event::Event;
use engine::lists::ValueLists;
use engine::rates::Rates;
use engine::rule_set::RuleSet;
use rules::schema::{FieldType, Schema};
use stream::bundle::Bundle;
use stream::fold::{Fold, Report, verify};
use stream::gate::{Admission, Gate};
use stream::journal::{Forgetful, Journal, Memory};
use stream::snapshot::canonical;

/// However slow the disk is, or however long the machine stands still, events are let in.
pub(crate) const PATIENT: Admission = Admission { queue_max: Some(Duration::MAX) };

/// A schema and rules as one text each, checked and compiled.
#[track_caller]
pub(crate) fn rule_set(schema: &str, rules: &str) -> Arc<RuleSet> {
    let typed = rules::testing::rule_set(schema, rules);
    Arc::new(RuleSet::new(typed, key(), ValueLists::default()).unwrap())
}

/// A schema and rules as a bundle of two files.
pub(crate) fn bundle(schema: &str, rules: &str) -> Arc<Bundle> {
    Arc::new(Bundle::of(&[("schema", schema), ("rules", rules)]))
}

/// The key of the journals' hashes.
pub(crate) fn key() -> HashKey {
    HashKey::new([7; 16])
}

/// A gate over a new journal.
#[track_caller]
pub(crate) fn begin(schema: &str, rules: &str, journal: Box<dyn Journal>) -> Gate {
    Gate::begin(bundle(schema, rules), key(), journal, PATIENT).unwrap()
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

/// The snapshots of a data directory but its base, the oldest first.
pub(crate) fn snapshots(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(folder.join("snapshots")).unwrap().map(|it| it.unwrap().path());
    let numbered =
        |it: &PathBuf| it.extension().is_some_and(|it| it == "snapshot") && !it.ends_with("base.snapshot");
    let mut found: Vec<_> = all.filter(numbered).collect();
    found.sort();
    found
}

/// Changes a byte of a file: so many thousandths of its length from its start.
pub(crate) fn damage(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    let byte = (bytes.len() - 1) * at / 1_000;
    bytes[byte] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// All records of a journal, folded; nobody ever leaves memory.
#[track_caller]
pub(crate) fn folded(journal: &Memory, key: HashKey) -> Gate {
    let mut fold = Fold::of(&|from| journal.cursor(from), key, None).unwrap();
    let mut records = journal.cursor(0).unwrap();
    while let Some(record) = records.next().unwrap() {
        fold.apply(&record).unwrap();
    }
    fold.into_gate(Box::new(Forgetful::starting_at(journal.next())), None).unwrap()
}

/// The state of a gate, whoever left its memory, is the fold of its records, byte by byte of all that can be seen.
#[track_caller]
pub(crate) fn check_folded(gate: &Gate, journal: &Memory) {
    check_same(gate, &folded(journal, gate.key()));
}

/// Two gates hold the same state, byte by byte.
#[track_caller]
pub(crate) fn check_same(one: &Gate, other: &Gate) {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = [one, other].map(|gate| canonical(gate, &folder.path().join("state")).unwrap());
    let differs = || {
        let mut states = summaries(one);
        states.retain(|key, state| summaries(other).get(key) != Some(state));
        states.into_iter().next().map(|(key, state)| (key, state, summaries(other).remove(&key)))
    };
    assert!(a == b, "{} bytes and {} bytes of state differ: {:?}", a.len(), b.len(), differs());
}

/// What is remembered of each entity, in short.
fn summaries(gate: &Gate) -> BTreeMap<EntityKey, String> {
    let (mut states, rules) = (BTreeMap::new(), gate.rules());
    gate.for_each_entity(|key, state| {
        let plan = &rules.plan.kinds[key.kind.index()].history;
        let rows: Vec<_> = state.history().rows(plan).map(|row| (row.key(), row.state())).collect();
        let (newest, lists) = (rows.iter().rev().take(5).collect::<Vec<_>>(), state.lists());
        let alerts: Vec<_> = state.alerts().collect();
        let kept: usize = state.occurrences().iter().map(|it| it.entries().count()).sum();
        let seen = (state.applied(), state.last_event());
        let text = format!("{seen:?} {} rows {newest:?} {kept} kept {lists:?} {alerts:?}", rows.len());
        states.insert(key, text);
    });
    states
}

/// Every decision derived again is the one that was recorded.
#[track_caller]
pub(crate) fn check_verified(journal: &Memory, key: HashKey) -> Report {
    let report = verify(&|from| journal.cursor(from), key, None).unwrap();
    let named: Vec<String> = report.differences.iter().take(5).map(ToString::to_string).collect();
    assert_eq!(report.different, 0, "{named:#?}");
    report
}
