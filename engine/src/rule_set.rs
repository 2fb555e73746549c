//! A rule set ready to decide: checked, compiled and planned; immutable and shared by all threads.

use std::hash::Hasher as _;

use rules::program::{EffectRef, Program};
use rules::schema::EventTypeId;
use rules::time::Micros;
use rules::typed::{Effect, FeatureId, RuleId};
use siphasher::sip::SipHasher13;

use crate::entity::HashKey;
use crate::hex::hex;
use crate::history::PlanError;
use crate::lists::ValueLists;
use crate::plan::Plan;
use crate::touch::AlertName;

/// A rule set ready to decide.
#[derive(Debug)]
pub struct RuleSet {
    /// As checked.
    pub typed: rules::typed::RuleSet,
    /// As compiled.
    pub program: Program,
    /// The state that it needs.
    pub plan: Plan,
    /// What its lists of plain values hold.
    pub values: ValueLists,
    /// Its hash, in hexadecimal.
    pub name: String,
    /// The key under which its texts were hashed.
    pub key: HashKey,
    /// By event type: decisions about earlier events read something that is not complete; empty where all is.
    warming_until: Vec<Micros>,
    /// By feature: for earlier events its window is taken for empty, since nobody knows what it would look at; empty where all
    /// is known.
    blind_until: Vec<Micros>,
    /// The alerts that are raised at most `once per` an entity.
    once: Vec<(EffectRef, AlertName)>,
}

impl RuleSet {
    /// Compiles and plans a checked rule set. `values` are the contents of its lists of plain values.
    ///
    /// # Errors
    /// If the plan needs more of anything than there are numbers for.
    pub fn new(typed: rules::typed::RuleSet, key: HashKey, values: ValueLists) -> Result<Self, PlanError> {
        let program = Program::compile(&typed, &|text| key.slot(text));
        let plan = Plan::of(&typed)?;
        let once = once(&typed);
        let name = hex(&typed.hash);
        Ok(Self {
            program,
            plan,
            values,
            name,
            key,
            warming_until: Vec::new(),
            blind_until: Vec::new(),
            once,
            typed,
        })
    }

    /// This rule set, whose decisions are warming until these times, by event type.
    #[must_use]
    pub fn warming_until(self, by_event: Vec<Micros>) -> Self {
        Self { warming_until: by_event, ..self }
    }

    /// Whether a decision about an event of this type, evaluated at this time, may read what is not complete.
    pub(crate) fn is_warming(&self, event: Option<EventTypeId>, at: Micros) -> bool {
        let until = event.and_then(|it| self.warming_until.get(it.index()));
        until.is_some_and(|until| at < *until)
    }

    /// This rule set, of whose features the windows are taken for empty until these times, by feature.
    #[must_use]
    pub fn blind_until(self, by_feature: Vec<Micros>) -> Self {
        Self { blind_until: by_feature, ..self }
    }

    /// Whether the window of a feature, evaluated at this time, is taken for empty.
    pub(crate) fn is_blind(&self, feature: FeatureId, at: Micros) -> bool {
        self.blind_until.get(feature.index()).is_some_and(|until| at < *until)
    }

    /// The name of an alert; none if it is raised as often as its rule says so.
    pub(crate) fn alert_name(&self, alert: EffectRef) -> Option<AlertName> {
        self.once.iter().find(|(known, _)| *known == alert).map(|(_, name)| *name)
    }
}

/// The alerts of rules and policies that are raised at most `once per` an entity, with their names.
fn once(typed: &rules::typed::RuleSet) -> Vec<(EffectRef, AlertName)> {
    let mut all = Vec::new();
    for (rule, id) in typed.rules.iter().zip(RuleId::all()) {
        for (at, nth) in alerts(&rule.effects) {
            all.push((EffectRef::Rule(id, at), name("rule", &[&rule.name], nth)));
        }
    }
    for (policy, id) in typed.policies.iter().zip(0..) {
        let events = policy.on.iter().filter_map(|it| typed.schema.event(*it));
        let events: Vec<&str> = events.map(|it| it.name.as_str()).collect();
        for (line, place) in policy.lines.iter().zip(0..) {
            for (at, nth) in alerts(&line.effects) {
                let nth = u32::from(place) << 16 | nth;
                all.push((EffectRef::Policy(id, place, at), name("policy", &events, nth)));
            }
        }
    }
    all
}

/// The places of alerts `once per` among effects, each with its number among them.
fn alerts(effects: &[Effect]) -> impl Iterator<Item = (u16, u32)> {
    let once = |(_, it): &(u16, &Effect)| matches!(it, Effect::Alert { once: Some(_), .. });
    (0..).zip(effects).filter(once).map(|(at, _)| at).zip(0..)
}

fn name(of: &str, words: &[&str], nth: u32) -> AlertName {
    let mut hasher = SipHasher13::new();
    for word in std::iter::once(&of).chain(words) {
        hasher.write(word.as_bytes());
        hasher.write_u8(0);
    }
    hasher.write(&nth.to_le_bytes());
    AlertName(hasher.finish())
}
