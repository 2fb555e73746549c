//! What running a program gives: the outcome and what led to it, in numbers that the rule set turns into words.

use crate::past::Outcome;
use crate::typed::{RuleId, Severity};

/// What the rules and the policy say of one event. Reused from event to event: its vectors keep their capacity.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Verdict {
    /// Never [`Outcome::None`].
    pub outcome: Outcome,
    /// The sum of the live hits' contributions, in millionths.
    pub score_e6: i64,
    /// Rules whose condition held, live and shadow alike, in file order.
    pub hits: Vec<Hit>,
    /// The challenge effect whose factors are asked for; none unless the outcome is challenge.
    pub factors: Option<EffectRef>,
    /// Alerts of live rules and of policy lines, in order, before `once per` has thinned them.
    pub alerts: Vec<Alert>,
    /// Other effects of live rules and of policy lines that change or mark something: tag, freeze, delay, add, remove.
    pub actions: Vec<EffectRef>,
}

/// A rule that hit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hit {
    /// Which.
    pub rule: RuleId,
    /// What its score effects give together, in millionths; of a shadow rule: what they would give.
    pub contribution_e6: i64,
}

/// An alert that is due unless `once per` says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alert {
    /// How bad.
    pub severity: Severity,
    /// The effect that raised it.
    pub effect: EffectRef,
}

/// One effect in a rule set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum EffectRef {
    /// Of a rule: index in its effects.
    Rule(RuleId, u16),
    /// Of a policy: index of the policy, of its line, of the line's effect.
    Policy(u16, u16, u16),
}

impl Verdict {
    /// Back to allow, score 0 and nothing else.
    pub fn clear(&mut self) {
        self.outcome = Outcome::Allow;
        self.score_e6 = 0;
        self.hits.clear();
        self.factors = None;
        self.alerts.clear();
        self.actions.clear();
    }
}
