//! What another rule set would take in memory, from what this gate has seen.
//!
//! From above: every record is taken for an event of the type that names the most entities of a kind, spread evenly over
//! those in memory. How often they come is what the journal says of its whole span, taken for a day if it is shorter. What is
//! kept without a window grows with new values, which grow rare: only those that the journal may hold are counted.

use engine::plan::KindPlan;
use rules::schema::{KindId, Schema};
use rules::time::{DAY, Micros};

use super::Gate;
use super::build::{BuildError, first_event, widened};
use crate::bundle::Bundle;

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
        let old = self.current.get();
        let wide = widened(&old, bundle)?;
        let Some(seen) = self.traffic()? else { return Ok(Growth::default()) };
        let mut entities = vec![0; wide.rules.plan.kinds.len()];
        for key in self.directory().keys() {
            if let Some(count) = entities.get_mut(key.kind.index()) {
                *count += 1;
            }
        }
        let plans = wide.rules.plan.kinds.iter().zip(&old.rules.plan.kinds);
        let kinds = (0u16..).map(KindId).zip(entities).zip(plans);
        let of_kind = |((kind, entities), (new, old))| {
            seen.growth(roles(&wide.rules.typed.schema, kind), entities, new, old)
        };
        let add = |sum: Growth, it: Growth| Growth {
            building: sum.building.saturating_add(it.building),
            later: sum.later.saturating_add(it.later),
        };
        Ok(kinds.map(of_kind).fold(Growth::default(), add))
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
