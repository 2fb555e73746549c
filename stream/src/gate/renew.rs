//! Another rule set over the same state.

use std::sync::Arc;

use engine::rule_set::RuleSet;

use super::Gate;

/// Why a rule set cannot take over what is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the rule set asks for another state: schema, features and lists must be the same")]
pub struct OtherState;

impl Gate {
    /// Puts another rule set in force that asks for the same state, and may differ in its rules, its policies and the
    /// contents of its lists of plain values. Whatever is remembered stays.
    ///
    /// # Errors
    /// If schema, features, lists or key are others; then nothing has changed.
    pub fn renew(&mut self, rules: Arc<RuleSet>) -> Result<(), OtherState> {
        if !asks_the_same(&self.rules, &rules) {
            return Err(OtherState);
        }
        self.rules = rules;
        Ok(())
    }
}

fn asks_the_same(one: &RuleSet, other: &RuleSet) -> bool {
    let (a, b) = (&one.typed, &other.typed);
    let schema = (&a.schema.name, a.schema.version) == (&b.schema.name, b.schema.version)
        && a.schema.kinds == b.schema.kinds
        && a.schema.events == b.schema.events
        && a.schema.fields == b.schema.fields;
    let features = a.features.iter().map(|it| (it.hash, it.captured));
    let lists = a.lists.iter().map(|it| (&it.name, it.of));
    one.key == other.key
        && schema
        && features.eq(b.features.iter().map(|it| (it.hash, it.captured)))
        && lists.eq(b.lists.iter().map(|it| (&it.name, it.of)))
}

#[cfg(test)]
mod tests {
    use engine::entity::HashKey;
    use engine::event::Event;
    use engine::lists::ValueLists;
    use engine::rates::Rates;
    use rules::diagnostic::Source;
    use rules::past::Outcome;
    use rules::schema::EventTypeId;

    use super::*;
    use crate::journal::Forgetful;

    const SCHEMA: &str = "schema s 1\nzone \"UTC\"\ncurrency EUR\nentity user\nevent payment\n  user: user\n";

    fn compiled(window: &str, effect: &str) -> Arc<RuleSet> {
        let text = format!(
            "use schema s\nfeature n = count(payment) by user over {window}\n\
             rule r \"R\" on payment when n >= 2 then {effect}\n"
        );
        let sources =
            [Source { name: "s.schema.weir", text: SCHEMA }, Source { name: "s.weir", text: &text }];
        let typed = rules::check::check(&sources).rule_set.unwrap();
        Arc::new(RuleSet::new(typed, HashKey::new([0; 16]), ValueLists::default()).unwrap())
    }

    #[test]
    fn what_is_remembered_stays_and_another_state_is_refused() {
        let rules = compiled("1h", "block");
        let rates = Arc::new(Rates::new(rules.typed.schema.currency));
        let mut gate = Gate::new(rules, rates, Box::new(Forgetful::default()));
        let mut worker = gate.worker(Vec::new());
        let mut pay = |gate: &Gate, id: &str| {
            let mut event = Event::default();
            event.begin(EventTypeId(0), 1);
            event.id.push_str(id);
            event.set_text(0, "u1");
            gate.submit(&event, &mut worker).unwrap().ruling.verdict.outcome
        };
        assert_eq!(pay(&gate, "p1"), Outcome::Allow);
        gate.renew(compiled("1h", "challenge")).unwrap();
        assert_eq!(pay(&gate, "p2"), Outcome::Challenge, "the first payment is remembered");
        assert_eq!(gate.renew(compiled("2h", "block")), Err(OtherState));
        assert_eq!(pay(&gate, "p3"), Outcome::Challenge, "and nothing has changed");
    }
}
