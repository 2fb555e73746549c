//! The decision as it goes out. The engine's types know nothing of JSON, so that renaming one of theirs stops here.

use engine::decision::{Action, ActionKind, Alert, Decision, Fallback, RuleHit};
use engine::rule_set::RuleSet;
use serde::Serialize;
use utoipa::ToSchema;

use super::value::{Json, Ordered, Score, Time, of_feature};

/// The answer to one event.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
#[schema(as = Decision, title = "Decision")]
pub(crate) struct DecisionBody {
    /// Made of the event's id: `dec_` and 32 hexadecimal digits.
    #[schema(example = "dec_0b2e3f1a4c5d6e7f8091a2b3c4d5e6f7")]
    pub id: String,
    /// The event's id.
    pub event_id: String,
    /// `allow`, `challenge`, `block`; `none` for an event that was recorded only.
    #[schema(example = "challenge")]
    pub outcome: &'static str,
    /// The sum of what the rules that hit contribute.
    #[schema(value_type = f64, example = 55)]
    pub score: Score,
    /// Rules that hit, in the order of the rule set.
    pub hits: Vec<Hit>,
    /// Sets of factors, any of which answers the challenge; empty unless the outcome is `challenge`.
    pub factors_any_of: Vec<Vec<String>>,
    /// What else follows.
    pub actions: Vec<ActionBody>,
    /// What a person must see.
    pub alerts: Vec<AlertOf>,
    /// The features that it saw.
    #[schema(value_type = std::collections::BTreeMap<String, Json>)]
    pub features: Ordered<Json>,
    /// The hash of the rule set, in hexadecimal.
    pub rule_set: String,
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
pub(crate) struct Hit {
    /// The rule's name.
    pub rule: String,
    /// For analysts.
    pub reason: String,
    /// For the customer, where the rule has one.
    pub customer_reason: Option<String>,
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
pub(crate) struct ActionBody {
    /// `tag`, `freeze`, `delay`, `add`, `remove`.
    pub kind: &'static str,
    /// To whom or what.
    pub target: String,
    /// Until when.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Time>,
}

/// An alert as the decision names it.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub(crate) struct AlertOf {
    /// `low`, `medium`, `high`, `critical`.
    pub severity: &'static str,
    /// The rule that raised it; null = the policy.
    pub rule: Option<String>,
}

impl DecisionBody {
    /// A decision that was made under a rule set.
    pub(crate) fn of(decision: Decision, rules: &RuleSet) -> Self {
        let typed = &rules.typed;
        let feature = |(name, value)| {
            let declared = typed.features.iter().find(|it| it.name == name);
            let json = declared.map_or(Json::Missing(()), |it| of_feature(value, it.ty, &typed.schema));
            (name, json)
        };
        Self {
            id: decision.id,
            event_id: decision.event_id,
            outcome: decision.outcome.name(),
            score: Score(decision.score_e6),
            hits: decision.hits.into_iter().map(hit).collect(),
            factors_any_of: decision.factors_any_of,
            actions: decision.actions.into_iter().map(action).collect(),
            alerts: decision.alerts.into_iter().map(alert).collect(),
            features: Ordered(decision.features.into_iter().map(feature).collect()),
            rule_set: decision.rule_set,
            valid_until: decision.valid_until.map(Time),
            flags: decision.flags.names().collect(),
            fallback: decision.fallback.map(|Fallback::Deadline| "deadline"),
            durable: decision.durable,
        }
    }
}

fn hit(it: RuleHit) -> Hit {
    Hit {
        rule: it.rule,
        reason: it.reason,
        customer_reason: it.customer_reason,
        severity: it.severity.map(|it| it.name()),
        contribution: Score(it.contribution_e6),
        shadow: it.shadow,
    }
}

fn action(it: Action) -> ActionBody {
    let kind = match it.kind {
        ActionKind::Tag => "tag",
        ActionKind::Freeze => "freeze",
        ActionKind::Delay => "delay",
        ActionKind::Add => "add",
        ActionKind::Remove => "remove",
    };
    ActionBody { kind, target: it.target, until: it.until.map(Time) }
}

fn alert(it: Alert) -> AlertOf {
    AlertOf { severity: it.severity.name(), rule: it.rule }
}
