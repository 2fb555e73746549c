//! The decision as it goes out. The engine's types know nothing of JSON, so that renaming one of theirs stops here.

use std::borrow::Cow;

use engine::decision::{Action, ActionKind, Alert, Decision, Fallback, RuleHit, SeenFeature};
use engine::rule_set::RuleSet;
use rules::schema::Schema;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::value::{Json, Score, Time, of_feature};

/// The answer to one event.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Decision, title = "Decision")]
pub(crate) struct DecisionBody<'a> {
    /// Made of the event's id: `dec_` and 32 hexadecimal digits.
    #[schema(example = "dec_0b2e3f1a4c5d6e7f8091a2b3c4d5e6f7")]
    pub id: String,
    /// The event's id.
    pub event_id: &'a str,
    /// `allow`, `challenge`, `block`; `none` for an event that was recorded only.
    #[schema(example = "challenge")]
    pub outcome: &'static str,
    /// The sum of what the rules that hit contribute.
    #[schema(value_type = f64, example = 55)]
    pub score: Score,
    /// Rules that hit, in the order of the rule set.
    pub hits: Vec<Hit<'a>>,
    /// Sets of factors, any of which answers the challenge; empty unless the outcome is `challenge`.
    pub factors_any_of: &'a [Vec<String>],
    /// What else follows.
    pub actions: Vec<ActionBody<'a>>,
    /// What a person must see.
    pub alerts: Vec<AlertOf<'a>>,
    /// The features that it saw.
    #[schema(value_type = std::collections::BTreeMap<String, Json>)]
    pub features: Features<'a>,
    /// The hash of the rule set, in hexadecimal; empty in an explanation where that is not known any more.
    pub rule_set: &'a str,
    /// Until when the answer may be acted on.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_until: Option<Time>,
    /// `late`, `too_late`, `warming`, `repeated`.
    #[schema(value_type = Vec<String>)]
    pub flags: Vec<&'static str>,
    /// Why the outcome is not the rules' own: `deadline`. Absent where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<&'static str>,
    /// Whether the decision is on disk: `false` only where a deadline was missed.
    pub durable: bool,
}

/// A rule that hit.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub(crate) struct Hit<'a> {
    /// The rule's name.
    pub rule: &'a str,
    /// For analysts.
    pub reason: &'a str,
    /// For the customer, where the rule has one.
    pub customer_reason: Option<&'a str>,
    /// Of its gravest alert: `low`, `medium`, `high`, `critical`.
    pub severity: Option<&'static str>,
    /// To the score.
    #[schema(value_type = f64)]
    pub contribution: Score,
    /// Whether the rule is in shadow mode and so added to nothing.
    pub shadow: bool,
}

/// Something to do beside the outcome.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
#[schema(as = Action)]
pub(crate) struct ActionBody<'a> {
    /// `tag`, `freeze`, `delay`, `add`, `remove`.
    pub kind: &'static str,
    /// To whom or what.
    pub target: Cow<'a, str>,
    /// Until when.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Time>,
}

/// An alert as the decision names it.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub(crate) struct AlertOf<'a> {
    /// `low`, `medium`, `high`, `critical`.
    pub severity: &'static str,
    /// The rule that raised it; null = the policy.
    pub rule: Option<&'a str>,
}

/// The features of a decision, by name.
#[derive(Clone, Debug)]
pub(crate) struct Features<'a> {
    seen: Vec<SeenFeature<'a>>,
    schema: &'a Schema,
}

impl Serialize for Features<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.seen.iter().map(|it| (it.name, of_feature(it.value, it.ty, self.schema))))
    }
}

impl<'a> DecisionBody<'a> {
    /// A decision that was made under a rule set.
    pub(crate) fn of(decision: Decision<'a>, rules: &'a RuleSet) -> Self {
        Self {
            id: decision.id,
            event_id: decision.event_id,
            outcome: decision.outcome.name(),
            score: Score(decision.score_e6),
            hits: decision.hits.into_iter().map(hit).collect(),
            factors_any_of: decision.factors_any_of,
            actions: decision.actions.into_iter().map(action).collect(),
            alerts: decision.alerts.into_iter().map(alert).collect(),
            features: Features { seen: decision.features, schema: &rules.typed.schema },
            rule_set: decision.rule_set,
            valid_until: decision.valid_until.map(Time),
            flags: decision.flags.names().collect(),
            fallback: decision.fallback.map(|Fallback::Deadline| "deadline"),
            durable: decision.durable,
        }
    }
}

fn hit(it: RuleHit<'_>) -> Hit<'_> {
    Hit {
        rule: it.rule,
        reason: it.reason,
        customer_reason: it.customer_reason,
        severity: it.severity.map(|it| it.name()),
        contribution: Score(it.contribution_e6),
        shadow: it.shadow,
    }
}

fn action(it: Action<'_>) -> ActionBody<'_> {
    let kind = match it.kind {
        ActionKind::Tag => "tag",
        ActionKind::Freeze => "freeze",
        ActionKind::Delay => "delay",
        ActionKind::Add => "add",
        ActionKind::Remove => "remove",
    };
    ActionBody { kind, target: it.target, until: it.until.map(Time) }
}

fn alert(it: Alert<'_>) -> AlertOf<'_> {
    AlertOf { severity: it.severity.name(), rule: it.rule }
}
