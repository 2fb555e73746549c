//! What state costs, as arithmetic over the plan: the figures that a bench holds against what it measures.
//!
//! Counted is what the state asks the allocator for. Left out: what the allocator adds, memberships of lists and times
//! of alerts.

use crate::entity::EntityKey;
use crate::history::Key;
use crate::occurrence::Last;
use crate::plan::{KindPlan, OccurrenceShape};
use crate::state::{EntityState, Occurrences};

/// What the state of a kind's entities costs, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KindCost {
    /// Of each entity in memory, whatever it did: its state, its lock, its place in the directory.
    pub entity_bytes: usize,
    /// Of each event that its history holds, without what a history adds of its own ([`KindPlan::bytes`]); 0 if none
    /// is kept.
    pub row_bytes: usize,
    /// Of each value or second entity that it met, over all occurrences that keep one apiece; 0 if there are none.
    pub value_bytes: usize,
}

/// Words beside a state: two counts of who holds it, and its lock.
const HOLDER_BYTES: usize = 3 * size_of::<usize>();

/// More events than any entity has; so many are counted without overflow.
const ROWS_MAX: u64 = 1 << 36;

impl KindPlan {
    /// What the state of this kind's entities costs.
    pub fn cost(&self) -> KindCost {
        let value_bytes = self.occurrences.iter().map(|it| match it.shape {
            OccurrenceShape::Entity => 0,
            OccurrenceShape::Value => in_map(size_of::<(i64, [Option<Key>; 2])>()),
            OccurrenceShape::Pair => in_map(size_of::<(i64, Last)>()),
        });
        let entity = HOLDER_BYTES
            + size_of::<EntityState>()
            + in_map(size_of::<(EntityKey, usize)>())
            + self.occurrences.len() * size_of::<Occurrences>();
        let row = size_of::<u64>() * self.history.layout.width();
        KindCost {
            entity_bytes: if self.has_state { entity } else { 0 },
            row_bytes: if self.has_history { row } else { 0 },
            value_bytes: value_bytes.sum(),
        }
    }

    /// Of one entity that remembers so many events and met so many values: with the spare room, the totals and the
    /// cursors that a history of this length has.
    pub fn bytes(&self, rows: u64, values: u64) -> u64 {
        let cost = self.cost();
        let rows = if self.has_history { rows.min(ROWS_MAX) } else { 0 };
        let history = self.history.bytes_estimate(usize::try_from(rows).unwrap_or(usize::MAX));
        (cost.entity_bytes as u64)
            .saturating_add(history as u64)
            .saturating_add(values.saturating_mul(cost.value_bytes as u64))
    }
}

/// Of an item in a hash map: a control byte beside it, in a table that doubles when it is 7/8 full, so that it is two
/// thirds full on average.
const fn in_map(item: usize) -> usize {
    (item + 1) * 3 / 2
}

#[cfg(test)]
mod tests {
    use crate::history::{History, NewRow};
    use crate::plan::Plan;

    use super::*;

    const SCHEMA: &str = "schema s 1\nzone \"UTC\"\ncurrency EUR\nentity user\nentity shop shared\n\
                          event payment\n  user: user\n  shop: shop\n  amount: money\n";

    fn plan(features: &str) -> Plan {
        let text = format!("use schema s\n{features}");
        Plan::of(&rules::testing::rule_set(SCHEMA, &text)).unwrap()
    }

    #[test]
    fn a_kind_of_which_nothing_is_kept_costs_nothing() {
        let check = |rules: &str, shop_has_state: bool| {
            let plan = plan(&format!("feature n = count(payment) by user over 1h\n{rules}record n\n"));
            let [user, shop] = [&plan.kinds[0], &plan.kinds[1]];
            assert!(user.has_state && 0 < user.cost().row_bytes);
            assert_eq!(shop.has_state, shop_has_state, "{rules}");
            let entity_bytes = if shop_has_state { user.cost().entity_bytes as u64 } else { 0 };
            assert_eq!((shop.cost().row_bytes, shop.bytes(1_000, 1_000)), (0, entity_bytes), "{rules}");
        };
        let alert = |role: &str| {
            format!("rule r \"often\"\n  on payment\n  when n > 3\n  then alert medium once per {role} 1h\n")
        };
        check("", false);
        check(&alert("user"), false);
        check(&alert("shop"), true);
        check("list watched : user\n", false);
        check("list watched : shop\n", true);
        check("table limits : shop -> money\n", true);
    }

    #[test]
    fn values_cost_where_they_are_kept_apart() {
        let apart = plan("feature f = first_seen(shop) by user\nrecord f\n").kinds[0].cost();
        let single = plan("feature t = time_since(payment) by user\nrecord t\n").kinds[0].cost();
        assert!(apart.value_bytes >= size_of::<(i64, [Option<Key>; 2])>());
        assert_eq!(single.value_bytes, 0);
        assert_eq!(single.entity_bytes, apart.entity_bytes);
    }

    #[test]
    fn what_is_stated_of_an_entity_is_what_its_history_takes() {
        let plan = plan(
            "feature n = count(payment) by user over 1d\n\
             feature s = sum(payment.amount) by user over 30d\n\
             feature d = distinct(payment.shop) by user over 7d\nrecord n, s, d\n",
        );
        let kind = &plan.kinds[0];
        for rows in [1_u32, 8, 20, 33, 60, 200, 1_000, 10_000] {
            let mut history = History::new();
            let month = 30 * rules::time::DAY;
            for row in 0..2 * rows {
                let time = i64::from(row) * month / i64::from(rows);
                // No shop is met twice: what is stated is for values that seldom repeat.
                let values = [i64::from(row % 7), i64::from(row)];
                let row = NewRow { key: Key::new(time, row.into()), members: &[], state: 0, values: &values };
                history.insert(&kind.history, row);
                history.trim(&kind.history, time - month);
            }
            let stated = kind.bytes(u64::from(rows), 0);
            let taken = (kind.cost().entity_bytes + history.bytes()) as u64;
            assert!(taken <= stated + stated / 3 && stated <= taken + taken / 2, "{rows}: {stated}, {taken}");
        }
    }
}
