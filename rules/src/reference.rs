//! What a rule set means, written to be read: the oracle of the tests.
//!
//! Nothing here is fast. A feature is computed by looking at the whole past again, an expression by walking its
//! tree. It shares no code with [`crate::program`] or with the engine but values, places, the time-zone library and
//! the [`Verdict`] that both give; where they disagree with it, they are wrong, or it is, and the design says which.
//!
//! What is left to the caller: `lateness` (times are as applied), expiry of list entries (lists are as they stand
//! now), `once per` of alerts, and who is in a rule's share.

mod aggregate;
mod expr;
#[cfg(any(test, feature = "test-support"))]
pub mod generate;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use crate::past::Mutable;
use crate::program::Verdict;
use crate::schema::{EventTypeId, FieldId};
use crate::time::Micros;
use crate::typed::{Definition, FeatureId, ListId, RuleId, RuleSet};
use crate::value::Value;
use expr::View;

/// An event, and where it stands among the records.
#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    /// Its record's position: the only clock of knowledge.
    pub position: u64,
    /// Its type.
    pub event_type: EventTypeId,
    /// The time at which it was evaluated and applied: its own, or if it was too late the edge of the lateness.
    pub time: Micros,
    /// By [`FieldId`], in slots; none = missing.
    pub fields: Vec<Option<i64>>,
}

/// An event that was applied, with all that became of it.
#[derive(Clone, PartialEq, Debug)]
pub struct PastEvent {
    /// The event.
    pub event: Event,
    /// Its mutable columns from each position on, in order: first what its own record said, then each amendment.
    pub changes: Vec<(u64, Mutable)>,
    /// By [`FeatureId`]: features as they were at its time. Only those that are captured are read.
    pub captured: Vec<Value>,
}

/// Lists and tables as they stand when an event is decided. Entities and texts as in slots.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lists {
    /// What is in each list, of entities or of values.
    pub items: BTreeSet<(ListId, i64)>,
    /// What stands beside each entity of each table.
    pub tables: BTreeMap<(ListId, i64), i64>,
}

/// Everything that a decision may depend on but the event itself.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// What is in force.
    pub rules: &'a RuleSet,
    /// The slot of a text or of an entity's id.
    pub texts: &'a dyn Fn(&str) -> i64,
    /// All that was applied, in any order. What stands at or above the new event's position is not seen.
    pub past: &'a [PastEvent],
    /// Of a recheck: the position of its original, which is left out.
    pub excluded: Option<u64>,
    /// Lists and tables.
    pub lists: &'a Lists,
    /// Whether the entity of this slot is in a rule's share of so many millionths.
    pub in_share: &'a dyn Fn(RuleId, i64, u32) -> bool,
}

impl PastEvent {
    /// What was known of it to the record at a position: what records at smaller positions said.
    pub fn known_at(&self, position: u64) -> Mutable {
        let known = self.changes.iter().rfind(|(since, _)| *since < position);
        known.map_or_else(Mutable::default, |(_, mutable)| *mutable)
    }
}

impl Event {
    /// A field's slot.
    pub fn field(&self, id: FieldId) -> Option<i64> {
        self.fields.get(id.index()).copied().flatten()
    }
}

impl World<'_> {
    /// The values of all features for a new event, by [`FeatureId`]. Outside a feature's domain they mean nothing.
    pub fn features(&self, event: &Event) -> Vec<Value> {
        let mut known = Vec::with_capacity(self.rules.features.len());
        for feature in &self.rules.features {
            // A feature reads only those before it.
            let current = View::current(self, event, &known);
            let value = match &feature.definition {
                Definition::Expr(expr) => current.eval(expr),
                Definition::Aggregate(it) => aggregate::compute(&current, it),
            };
            known.push(value);
        }
        known
    }

    /// The value of one feature for a new event; missing if there is no such feature.
    pub fn feature(&self, event: &Event, id: FeatureId) -> Value {
        self.features(event).get(id.index()).copied().unwrap_or_default()
    }

    /// What the rules and the policy say of a new event whose [`World::features`] are these.
    pub fn verdict(&self, event: &Event, features: &[Value]) -> Verdict {
        verdict::decide(&View::current(self, event, features))
    }
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("past", &self.past.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
