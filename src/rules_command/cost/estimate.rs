//! How much memory a rule set takes for so many entities and so many events a day.
//!
//! Events are spread evenly over the entities of a kind, and optional roles are taken to be there: an estimate from
//! above. How many values an entity meets that are kept apart, the caller says; no more than it has events.

use std::str::FromStr;

use engine::rule_set::RuleSet;
use rules::schema::{EventTypeId, KindId};
use rules::time::DAY;
use serde::Serialize;

/// `NAME=NUMBER`, or a number for all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Amount {
    name: Option<String>,
    number: u64,
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = match text.split_once('=') {
            Some((name, number)) => (Some(name.trim().to_owned()), number),
            None => (None, text),
        };
        let digits = number.trim().replace('_', "");
        let number = digits.parse().map_err(|_| format!("`{number}` is not a whole number"))?;
        Ok(Self { name, number })
    }
}

/// The memory of all kinds.
#[derive(Debug, Serialize)]
pub(super) struct Estimate {
    pub(super) kinds: Vec<KindEstimate>,
    pub(super) total_bytes: u64,
    /// Kinds of which nobody said how many there are, though something is remembered of them: the total lacks them.
    pub(super) left_out: Vec<String>,
}

/// The memory of one kind.
#[derive(Debug, Serialize)]
pub(super) struct KindEstimate {
    pub(super) kind: String,
    pub(super) entities: u64,
    /// Events that each remembers.
    pub(super) events: u64,
    /// Values that each keeps apart.
    pub(super) values: u64,
    pub(super) bytes_per_entity: u64,
    pub(super) bytes: u64,
}

impl Estimate {
    /// What is wrong is said of the two arguments.
    pub(super) fn of(
        rules: &RuleSet,
        entities: &[Amount],
        rate: &[Amount],
        values_max: u64,
    ) -> Result<Self, String> {
        let schema = &rules.typed.schema;
        let rates = by_name("rate", rate, schema.events.iter().map(|it| it.name.as_str()), Spread::Evenly)?;
        let kinds = schema.kinds.iter().map(|it| it.name.as_str());
        let counts = by_name("entities", entities, kinds, Spread::Not)?;
        let kinds = KindId::all().zip(schema.kinds.iter().zip(counts));
        let of_kind = |(id, (kind, count)): (KindId, (&rules::schema::Kind, u64))| {
            of_kind(rules, id, &kind.name, count, &rates, values_max)
        };
        let kinds: Vec<_> = kinds.map(of_kind).collect();
        let total_bytes = kinds.iter().map(|it| it.bytes).fold(0, u64::saturating_add);
        let remembered = KindId::all().zip(&kinds).filter(|(id, _): &(KindId, _)| rules.plan.has_state(*id));
        let left_out = remembered.filter(|(_, it)| it.entities == 0).map(|(_, it)| it.kind.clone()).collect();
        Ok(Self { kinds, total_bytes, left_out })
    }
}

fn of_kind(
    rules: &RuleSet,
    id: KindId,
    name: &str,
    entities: u64,
    rates: &[u64],
    values_max: u64,
) -> KindEstimate {
    let a_day = events_a_day(rules, id, rates);
    let plan = rules.plan.kind(id);
    let cost = plan.map(engine::plan::KindPlan::cost);
    let per_entity = |span: i64| {
        let events = u128::from(a_day) * u128::from(span.unsigned_abs()) / u128::from(DAY.unsigned_abs());
        u64::try_from(events.div_ceil(u128::from(entities.max(1)))).unwrap_or(u64::MAX)
    };
    let events = plan.filter(|it| it.has_history).map_or(0, |it| per_entity(it.keep_rows));
    let apart = cost.is_some_and(|it| it.value_bytes != 0);
    let values = plan.filter(|_| apart).map_or(0, |it| per_entity(it.keep).min(values_max));
    let bytes_per_entity = plan.map_or(0, |it| it.bytes(events, values));
    KindEstimate {
        kind: name.to_owned(),
        entities,
        events,
        values,
        bytes_per_entity,
        bytes: bytes_per_entity.saturating_mul(entities),
    }
}

/// How many events a day come to entities of a kind; an event counts in each of its roles of that kind.
fn events_a_day(rules: &RuleSet, kind: KindId, rates: &[u64]) -> u64 {
    let schema = &rules.typed.schema;
    let roles = |event: EventTypeId| {
        let fields = schema.event(event).map_or(&[][..], |it| &it.fields);
        fields.iter().filter(|it| schema.role_kind(it.field) == Some(kind)).count() as u64
    };
    let types = EventTypeId::all().zip(rates);
    types.map(|(id, rate)| rate.saturating_mul(roles(id))).fold(0, u64::saturating_add)
}

/// What a number without a name means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spread {
    /// It is spread over all names.
    Evenly,
    /// Nothing.
    Not,
}

/// The numbers in the order of the names; 0 for those not given.
fn by_name<'a>(
    argument: &str,
    amounts: &[Amount],
    names: impl Iterator<Item = &'a str> + Clone,
    spread: Spread,
) -> Result<Vec<u64>, String> {
    let count = names.clone().count();
    let mut numbers = vec![0; count];
    for (nth, amount) in amounts.iter().enumerate() {
        match (&amount.name, spread) {
            (Some(name), _) if amounts.iter().take(nth).any(|it| it.name == amount.name) => {
                return Err(format!("`--{argument}`: `{name}` stands there twice"));
            }
            (Some(name), _) => {
                let at = names.clone().position(|it| it == name).ok_or_else(|| {
                    let suggestion = stream::intake::suggestion(name, names.clone());
                    format!("`--{argument}`: the schema has no `{name}`{suggestion}")
                })?;
                if let Some(number) = numbers.get_mut(at) {
                    *number = amount.number;
                }
            }
            (None, Spread::Evenly) if amounts.len() == 1 => {
                numbers.fill(amount.number.div_ceil(count.max(1) as u64));
            }
            (None, _) => {
                return Err(format!("`--{argument}`: `{}` is for what? write `NAME={0}`", amount.number));
            }
        }
    }
    Ok(numbers)
}
