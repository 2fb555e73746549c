//! What another rule set would take in memory, from what this gate has seen.
//!
//! From above: every record is taken for an event of the type that names the most entities of a kind, spread evenly over
//! those in memory, or over those that the journal names where nothing is remembered of the kind so far. How often they
//! come is what the journal says of its whole span, taken for a day if it is shorter. What is kept without a window grows
//! with new values, which grow rare: only those that the journal may hold are counted.

use std::collections::BTreeSet;

use engine::decide::Scratch;
use engine::event::Event;
use engine::plan::KindPlan;
use engine::rule_set::RuleSet;
use rules::schema::{KindId, Schema};
use rules::time::{DAY, Micros};

use super::{BuildError, first_event};
use crate::bundle::Bundle;
use crate::gate::{Gate, NotAtOnce};
use crate::pace::Pace;
use crate::record::{Decided, Stamp};

/// What a rule set would take in memory beside what is taken, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Growth {
    /// While its state is built from the journal: until it takes over the state is there twice.
    pub building: u64,
    /// When its windows are as full as they will be.
    pub later: u64,
}

impl Gate {
    /// What a rule set would take if its state were built.
    ///
    /// # Errors
    /// If its texts have errors, or the journal cannot be read.
    pub fn growth(&self, bundle: &Bundle) -> Result<Growth, BuildError> {
        let lately = self.current.lately(self.now());
        let (old, wide) = (lately.last().ok_or(NotAtOnce::Overtaken)?, super::wide(&lately, bundle)?);
        let Some(seen) = self.traffic()? else { return Ok(Growth::default()) };
        let entities = self.expected(&wide.rules, &old.rules)?;
        let plans = wide.rules.plan.kinds.iter().zip(&old.rules.plan.kinds);
        let kinds = KindId::all().zip(entities).zip(plans);
        let of_kind = |((kind, entities), (new, old))| {
            seen.growth(roles(&wide.rules.typed.schema, kind), entities, new, old)
        };
        let add = |sum: Growth, it: Growth| Growth {
            building: sum.building.saturating_add(it.building),
            later: sum.later.saturating_add(it.later),
        };
        Ok(kinds.map(of_kind).fold(Growth::default(), add))
    }

    /// How many entities of each kind there are whose state would be kept: those in memory, or, of kinds of which nothing is
    /// remembered so far, those that the journal names.
    fn expected(&self, new: &RuleSet, old: &RuleSet) -> Result<Vec<u64>, BuildError> {
        let mut known = vec![0; new.plan.kinds.len()];
        for key in self.directory().keys() {
            if let Some(count) = known.get_mut(key.kind.index()) {
                *count += 1;
            }
        }
        let plans = new.plan.kinds.iter().zip(&old.plan.kinds);
        if plans.clone().all(|(new, old)| old.has_state || !new.has_state) {
            return Ok(known);
        }
        let named = self.entities_named(new)?;
        let entities = plans.zip(known).zip(named);
        Ok(entities.map(|(((_, old), known), named)| if old.has_state { known } else { named }).collect())
    }

    /// About how many entities of each kind the journal's events name. What cannot be read is told when it is folded.
    fn entities_named(&self, rules: &RuleSet) -> Result<Vec<u64>, BuildError> {
        let mut kinds = vec![Distinct::default(); rules.plan.kinds.len()];
        let (mut message, mut event) = (Decided::default(), Event::default());
        let roles = &mut Scratch::new(rules).facts.roles;
        let (mut records, mut pace) = (self.journal.cursor(0)?, Pace::begin());
        while let Some(record) = records.next()? {
            self.may_build()?;
            pace.rest();
            let Some((_, bytes)) = Stamp::split(record.body).filter(|_| record.kind.is_event()) else {
                continue;
            };
            if message.read(bytes).is_err() || message.event(&mut event).is_none() {
                continue;
            }
            roles.load(&event, rules);
            for key in &roles.entities {
                if let Some(kind) = kinds.get_mut(key.kind.index()) {
                    kind.add(key.hash());
                }
            }
        }
        Ok(kinds.iter().map(Distinct::count).collect())
    }

    /// What the journal holds; none if that is no event.
    fn traffic(&self) -> Result<Option<Seen>, BuildError> {
        let first = first_event(&mut *self.journal.cursor(0)?)?;
        let span = |clock: Micros| self.now().saturating_sub(clock).max(1).unsigned_abs();
        Ok(first.map(|(offset, clock)| Seen {
            records: self.journal.next().saturating_sub(offset),
            span: span(clock),
        }))
    }
}

/// About how many different hashes were added: exact for a few, and then counted on an ever smaller share of all hashes
/// (Gibbons, "Distinct sampling for highly-accurate answers to distinct values queries", VLDB 2001).
#[derive(Clone, Debug, Default)]
struct Distinct {
    /// Those that end in so many zero bits at least.
    sample: BTreeSet<u128>,
    zeros: u32,
}

impl Distinct {
    /// So many hashes are kept at most: the error is about 1 % then.
    const SAMPLE_MAX: usize = 1 << 14;

    fn add(&mut self, hash: u128) {
        if self.zeros <= hash.trailing_zeros() {
            self.sample.insert(hash);
        }
        if Self::SAMPLE_MAX < self.sample.len() {
            self.zeros += 1;
            self.sample.retain(|it| self.zeros <= it.trailing_zeros());
        }
    }

    fn count(&self) -> u64 {
        (self.sample.len() as u64) << self.zeros
    }
}

/// How many roles of a kind the events have of the type that has the most.
fn roles(schema: &Schema, kind: KindId) -> u64 {
    let of_event = |event: &rules::schema::EventType| {
        event.fields.iter().filter(|it| schema.role_kind(it.field) == Some(kind)).count() as u64
    };
    schema.events.iter().map(of_event).max().unwrap_or_default()
}

/// How much came, and in which time.
#[derive(Clone, Copy, Debug)]
struct Seen {
    records: u64,
    /// Microseconds of event time, at least 1.
    span: u64,
}

impl Seen {
    /// Of a kind whose events name so many of its entities each, with so many in memory.
    fn growth(self, roles: u64, entities: u64, new: &KindPlan, old: &KindPlan) -> Growth {
        let bytes = |plan: &KindPlan, within: &dyn Fn(Micros) -> u64| {
            let each = |events: u64| events.saturating_mul(roles).div_ceil(entities.max(1));
            let values = if plan.cost().value_bytes == 0 { 0 } else { each(self.held(plan.keep)) };
            plan.bytes(each(within(plan.keep_rows)), values).saturating_mul(entities)
        };
        let later = |it: &KindPlan| bytes(it, &|span| self.later(span));
        Growth { building: bytes(new, &|span| self.held(span)), later: later(new).saturating_sub(later(old)) }
    }

    /// How many of its events are no older than this.
    fn held(self, span: Micros) -> u64 {
        self.within(span.unsigned_abs().min(self.span), self.span)
    }

    /// How many will be, if they go on coming as they did.
    fn later(self, span: Micros) -> u64 {
        self.within(span.unsigned_abs(), self.span.max(DAY.unsigned_abs())).max(self.held(span))
    }

    fn within(self, part: u64, of: u64) -> u64 {
        let records = u128::from(self.records) * u128::from(part) / u128::from(of);
        u64::try_from(records).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use rules::time::{HOUR, MINUTE};

    use super::*;

    /// Of so many records in a span, those of a window: that are held, and that there will be.
    #[track_caller]
    fn check(records: u64, span: Micros, window: Micros, expected: (u64, u64)) {
        let seen = Seen { records, span: span.unsigned_abs() };
        assert_eq!((seen.held(window), seen.later(window)), expected);
    }

    #[test]
    fn few_are_counted_and_many_about() {
        let key = engine::entity::HashKey::new([7; 16]);
        let count = |different: u64| {
            let mut distinct = Distinct::default();
            (0..2 * different).for_each(|at| distinct.add(key.hash128(&(at % different).to_string())));
            distinct.count()
        };
        assert_eq!([0, 1, 10_000].map(count), [0, 1, 10_000]);
        let about = count(200_000);
        assert!((190_000..=210_000).contains(&about), "{about}");
    }

    #[test]
    fn what_comes_goes_on_coming() {
        check(1_000, 10 * DAY, DAY, (100, 100));
        check(1_000, 10 * DAY, 30 * DAY, (1_000, 3_000));
        check(1_000, 10 * DAY, 0, (0, 0));
        // What came in less than a day is what comes in a day.
        check(1_000, MINUTE, 30 * DAY, (1_000, 30_000));
        check(1_000, HOUR, HOUR, (1_000, 1_000));
        check(u64::MAX, 1, 400 * DAY, (u64::MAX, u64::MAX));
    }
}
