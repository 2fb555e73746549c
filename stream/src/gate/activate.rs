//! Another rule set over the same state.

use std::sync::Arc;

use engine::rule_set::RuleSet;

use super::Gate;
use crate::bundle::{Bundle, BundleError};
use crate::in_force::InForce;
use crate::state::misfit::{Misfit, grows_rightly, same_state};

/// Says of what is in force whether a rule set may come into force behind it.
pub type MayFollow<'a> = &'a dyn Fn(&InForce) -> bool;

/// Why a rule set cannot take over what is remembered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the rule set asks for another state: {0}")]
pub struct OtherState(pub(crate) Misfit);

/// Why a rule set is not put in force at once.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum NotAtOnce {
    /// Its texts have errors.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Its features look at what is not remembered: that must be built from the journal first.
    #[error("the state of {} must be built from the journal first", crate::intake::listed(features.iter().map(String::as_str)))]
    NeedsBuild {
        /// The features that are new, or whose state takes another form, in file order.
        features: Vec<String>,
    },
    /// It cannot go on with what is remembered.
    #[error(transparent)]
    OtherState(#[from] OtherState),
    /// Something else is in force than what it is to follow.
    #[error("something else came into force meanwhile: begin from that")]
    Overtaken,
    /// The disk does not keep up, or failed.
    #[error(transparent)]
    Refused(#[from] super::Refused),
}

impl Gate {
    /// Puts another rule set in force, at once, by one record, if all state that it needs is there: other thresholds,
    /// texts, policies, rules over existing features; going back. Whatever is remembered stays. Of lists of entities
    /// nothing changes; lists of plain values and rates are from here on as the bundle has them, and as they were where it
    /// says nothing of them.
    ///
    /// # Errors
    /// If its texts have errors, or it needs state that is not there; then nothing has changed.
    pub fn activate(&self, bundle: Arc<Bundle>) -> Result<Arc<InForce>, NotAtOnce> {
        self.activate_behind(bundle, None)
    }

    /// As [`Gate::activate`], if it `may_follow` what is in force until then.
    ///
    /// # Errors
    /// As [`Gate::activate`], and if it may not.
    pub fn activate_behind(
        &self,
        bundle: Arc<Bundle>,
        may_follow: Option<MayFollow<'_>>,
    ) -> Result<Arc<InForce>, NotAtOnce> {
        let mut room = self.admit_one()?;
        let activated = self.current.change(self.now(), |old, number| {
            if may_follow.is_some_and(|it| !it(old)) {
                return Err(NotAtOnce::Overtaken);
            }
            let new = old.followed_by(number, old.completing(&bundle))?;
            let built = match same_state(&old.rules, &new.rules) {
                Ok(()) => None,
                Err(Misfit::Lacking(features) | Misfit::Order(features)) => Some(features),
                Err(misfit) => return Err(OtherState(misfit).into()),
            };
            grows_rightly(&old.rules, &new.rules).map_err(OtherState)?;
            if let Some(features) = built {
                return Err(NotAtOnce::NeedsBuild { features });
            }
            self.record_rule_set(&new);
            Ok(new)
        })?;
        room.spend();
        Ok(activated)
    }

    /// Puts another rule set in force that asks for the same state, over a journal that keeps nothing.
    ///
    /// # Errors
    /// If it needs other state; then nothing has changed.
    pub fn renew(&self, rules: Arc<RuleSet>) -> Result<(), OtherState> {
        self.current.change(self.now(), |old, number| {
            same_state(&old.rules, &rules).map_err(OtherState)?;
            Ok::<_, OtherState>(InForce { number, rules, ..old.clone() })
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use engine::entity::HashKey;
    use engine::event::Event;
    use engine::lists::ValueLists;
    use engine::rates::Rates;
    use rules::past::Outcome;
    use rules::schema::EventTypeId;

    use super::*;
    use crate::gate::Deadline;
    use crate::journal::Forgetful;

    const SCHEMA: &str = "schema s 1\nzone \"UTC\"\ncurrency EUR\nentity user\nevent payment\n  user: user\n";

    fn compiled(window: &str, effect: &str) -> Arc<RuleSet> {
        let text = format!(
            "use schema s\nfeature n = count(payment) by user over {window}\n\
             rule r \"R\" on payment when n >= 2 then {effect}\n"
        );
        let typed = rules::testing::rule_set(SCHEMA, &text);
        Arc::new(RuleSet::new(typed, HashKey::new([0; 16]), ValueLists::default()).unwrap())
    }

    #[test]
    fn what_is_remembered_stays_and_another_state_is_refused() {
        let rules = compiled("1h", "block");
        let rates = Arc::new(Rates::new(rules.typed.schema.currency));
        let gate = Gate::new(rules, rates, Box::new(Forgetful::default()));
        let mut worker = gate.worker(Vec::new());
        let mut pay = |gate: &Gate, id: &str| {
            let mut event = Event::default();
            event.begin(EventTypeId(0), 1);
            event.id.push_str(id);
            event.set_text(0, "u1");
            gate.submit(&event, Deadline::Never, &mut worker).unwrap().ruling.verdict.outcome
        };
        assert_eq!(pay(&gate, "p1"), Outcome::Allow);
        gate.renew(compiled("1h", "challenge")).unwrap();
        assert_eq!(pay(&gate, "p2"), Outcome::Challenge, "the first payment is remembered");
        let refused = gate.renew(compiled("2h", "block")).unwrap_err().to_string();
        assert_eq!(refused, "the rule set asks for another state: `n` is not remembered");
        assert_eq!(pay(&gate, "p3"), Outcome::Challenge, "and nothing has changed");
    }
}
