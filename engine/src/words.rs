//! From numbers to words: a [`Ruling`] names rules and effects by index; a [`Decision`] says them.

use rules::past::Outcome;
use rules::program::{EffectRef, Hit, Verdict};
use rules::schema::FieldId;
use rules::time::Micros;
use rules::typed::{Effect, FeatureId, Mode, Policy, Rule, Severity};
use rules::value::Value;

use crate::decision::{
    Action, ActionKind, Alert, Decision, Fallback, Flags, RuleHit, SeenFeature, decision_id,
};
use crate::event::{Event, FieldValue};
use crate::rule_set::RuleSet;

/// When an event happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct When {
    /// Its own time: of a repeat that of the first, where the caller sent none.
    pub time: Micros,
    /// When it stands in the windows, and its actions begin: [`crate::decide::Moment::at`].
    pub at: Micros,
}

/// A decision in numbers, as the engine gives it and a record holds it. Reused from event to event.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ruling {
    /// What rules and policy say; alerts already thinned by `once per`.
    pub verdict: Verdict,
    /// The features that the decision saw, in order of their ids.
    pub recorded: Vec<(FeatureId, Value)>,
    /// What was unusual.
    pub flags: Flags,
    /// Why the outcome is not the rules' own.
    pub fallback: Option<Fallback>,
}

impl Ruling {
    /// Empties this for the next event.
    pub fn clear(&mut self) {
        self.verdict.clear();
        self.recorded.clear();
        self.flags = Flags::default();
        self.fallback = None;
    }

    /// Becomes one that no rule had a part in.
    pub fn undecided(&mut self, outcome: Outcome, fallback: Option<Fallback>, flags: Flags) {
        self.clear();
        self.verdict.outcome = outcome;
        self.flags = flags;
        self.fallback = fallback;
    }

    /// Becomes what the caller got because the deadline passed before this was durable; the rest stays.
    pub fn fall_back(&mut self, outcome: Outcome) {
        self.verdict.outcome = outcome;
        self.fallback = Some(Fallback::Deadline);
    }

    /// What a challenge asks for: what the rules that challenged name, or else the policy's first, for a fallback as for any other.
    fn factors<'a>(&self, rules: &'a RuleSet, policy: Option<&'a Policy>) -> &'a [Vec<String>] {
        if self.verdict.outcome != Outcome::Challenge {
            return &[];
        }
        let named = |it: &'a Effect| match it {
            Effect::Challenge { factors, .. } if !factors.is_empty() => Some(&factors[..]),
            _ => None,
        };
        let of_policy =
            || policy.into_iter().flat_map(|it| &it.lines).flat_map(|it| &it.effects).find_map(named);
        let of_rules = self.verdict.factors.and_then(|it| effect(rules, it)).and_then(named);
        of_rules.or_else(of_policy).unwrap_or_default()
    }

    /// The decision in words.
    pub fn say<'a>(&self, rules: &'a RuleSet, event: &'a Event, when: When, durable: bool) -> Decision<'a> {
        let typed = &rules.typed;
        let policy = policy_of(rules, event);
        let valid_for = policy.and_then(|it| it.valid_for);
        let feature = |(id, value): &(FeatureId, Value)| {
            let declared = typed.feature(*id)?;
            Some(SeenFeature { name: &declared.name, ty: declared.ty, value: *value })
        };
        Decision {
            id: decision_id(0, &event.id),
            event_id: &event.id,
            outcome: self.verdict.outcome,
            score_e6: self.verdict.score_e6,
            hits: self.verdict.hits.iter().filter_map(|hit| rule_hit(rules, hit)).collect(),
            factors_any_of: self.factors(rules, policy),
            actions: self
                .verdict
                .actions
                .iter()
                .filter_map(|it| action(rules, event, when.at, *it))
                .collect(),
            alerts: self.verdict.alerts.iter().map(|it| alert(rules, it.severity, it.effect)).collect(),
            features: self.recorded.iter().filter_map(feature).collect(),
            rule_set: &rules.name,
            valid_until: valid_for.map(|span| when.time.saturating_add(span)),
            flags: self.flags,
            fallback: self.fallback,
            durable,
        }
    }
}

fn rule_hit<'a>(rules: &'a RuleSet, hit: &Hit) -> Option<RuleHit<'a>> {
    let rule = rules.typed.rule(hit.rule)?;
    Some(RuleHit {
        rule: &rule.name,
        reason: &rule.reason,
        customer_reason: rule.tell.as_deref(),
        severity: gravest_alert(rule),
        contribution_e6: hit.contribution_e6,
        shadow: rule.mode == Mode::Shadow,
    })
}

/// The policy for an event's type: its own, else the plain one.
pub fn policy_of<'a>(rules: &'a RuleSet, event: &Event) -> Option<&'a Policy> {
    rules.typed.policies.get(rules.typed.policy_for(event.event_type?)?)
}

/// The effect at a place of the rule set.
pub fn effect(rules: &RuleSet, at: EffectRef) -> Option<&Effect> {
    match at {
        EffectRef::Rule(rule, at) => rules.typed.rule(rule)?.effects.get(usize::from(at)),
        EffectRef::Policy(policy, line, at) => {
            let line = rules.typed.policies.get(usize::from(policy))?.lines.get(usize::from(line))?;
            line.effects.get(usize::from(at))
        }
    }
}

fn gravest_alert(rule: &Rule) -> Option<Severity> {
    let severities = rule.effects.iter().filter_map(|it| match it {
        Effect::Alert { severity, .. } => Some(*severity),
        _ => None,
    });
    severities.max()
}

fn alert(rules: &RuleSet, severity: Severity, raised_by: EffectRef) -> Alert<'_> {
    let rule = match raised_by {
        EffectRef::Rule(rule, _) => rules.typed.rule(rule).map(|it| it.name.as_str()),
        EffectRef::Policy(..) => None,
    };
    Alert { severity, rule }
}

/// An effect on a missing role does nothing. What it does is done at a time.
fn action<'a>(rules: &'a RuleSet, event: &'a Event, at: Micros, of: EffectRef) -> Option<Action<'a>> {
    let until = |span: i64| Some(at.saturating_add(span));
    let list = |list: rules::typed::ListId| rules.typed.list(list).map(|it| it.name.as_str());
    Some(match effect(rules, of)? {
        Effect::Tag(name) => Action { kind: ActionKind::Tag, target: name.into(), until: None },
        Effect::Delay(span) => {
            Action { kind: ActionKind::Delay, target: (&event.id).into(), until: until(*span) }
        }
        Effect::Freeze { role, span } => Action {
            kind: ActionKind::Freeze,
            target: id_in(rules, event, *role)?.into(),
            until: until(*span),
        },
        Effect::Add { role, list: of, span } => {
            let target = format!("{} {}", list(*of)?, id_in(rules, event, *role)?);
            Action { kind: ActionKind::Add, target: target.into(), until: span.and_then(until) }
        }
        Effect::Remove { role, list: of } => {
            let target = format!("{} {}", list(*of)?, id_in(rules, event, *role)?);
            Action { kind: ActionKind::Remove, target: target.into(), until: None }
        }
        Effect::Block { .. }
        | Effect::Challenge { .. }
        | Effect::Allow
        | Effect::Score(_)
        | Effect::Alert { .. } => {
            return None;
        }
    })
}

/// The id of the entity in a role of an event.
pub(crate) fn id_in<'a>(rules: &RuleSet, event: &'a Event, role: FieldId) -> Option<&'a str> {
    let fields = &rules.typed.schema.events.get(event.event_type?.index())?.fields;
    let at = fields.iter().position(|it| it.field == role)?;
    match event.value(at) {
        FieldValue::Text(id) => Some(id),
        _ => None,
    }
}
