//! In what a derived decision differs from the recorded one.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use engine::hex::hex;
use rules::past::Outcome;
use rules::typed::RuleSet;
use rules::value::Value;

use crate::record::Decided;

/// A record whose decision is another one when it is derived again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Of the record.
    pub offset: u64,
    /// Of the event.
    pub event_id: String,
    /// In what it differs.
    pub fields: Vec<Field>,
}

/// One thing in which a record differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// Such as `outcome`, or `feature spent_24h`.
    pub name: String,
    /// As recorded.
    pub recorded: String,
    /// As derived.
    pub derived: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {}, event `{}`", self.offset, self.event_id)?;
        for (at, Field { name, recorded, derived }) in self.fields.iter().enumerate() {
            let separator = if at == 0 { ":" } else { ";" };
            write!(f, "{separator} {name} was {recorded} and is {derived}")?;
        }
        Ok(())
    }
}

/// In what two messages differ that are not the same bytes.
pub(super) fn fields(recorded: &Decided, derived: &Decided, rules: &RuleSet) -> Vec<Field> {
    let mut fields = Fields::default();
    fields.compare("event", &event(recorded), &event(derived));
    fields.compare("body digest", &hex(&recorded.body_digest), &hex(&derived.body_digest));
    fields.values("captured", captured(recorded, rules), captured(derived, rules));
    fields.compare("outcome", &outcome(recorded), &outcome(derived));
    fields.compare("score in millionths", &recorded.score_e6, &derived.score_e6);
    fields.compare("hits", &hits(recorded, rules), &hits(derived, rules));
    fields.compare("alerts", &recorded.alerts, &derived.alerts);
    fields.compare("actions", &recorded.actions, &derived.actions);
    fields.compare("factors", &recorded.factors, &derived.factors);
    fields.values("feature", features(recorded, rules), features(derived, rules));
    fields.compare("flags", &recorded.flags, &derived.flags);
    fields.compare("fallback", &recorded.fallback, &derived.fallback);
    fields.compare("rule set", &hex(&recorded.rule_set), &hex(&derived.rule_set));
    fields.compare("place of the original", &recorded.original, &derived.original);
    if fields.0.is_empty() {
        fields.compare("bytes of a later version", &true, &false);
    }
    fields.0
}

#[derive(Default)]
struct Fields(Vec<Field>);

impl Fields {
    fn compare<T: PartialEq + Debug>(&mut self, name: &str, recorded: &T, derived: &T) {
        if recorded != derived {
            let (recorded, derived) = (format!("{recorded:?}"), format!("{derived:?}"));
            self.0.push(Field { name: name.to_owned(), recorded, derived });
        }
    }

    /// Values by name; one that only one side has is absent on the other.
    fn values(&mut self, what: &str, recorded: BTreeMap<String, Value>, derived: BTreeMap<String, Value>) {
        let absent = || "absent".to_owned();
        let shown = |value: Option<&Value>| value.map_or_else(absent, |it| format!("{it:?}"));
        let more = derived.keys().filter(|name| !recorded.contains_key(*name));
        for name in recorded.keys().chain(more) {
            let (before, after) = (recorded.get(name), derived.get(name));
            if before != after {
                let name = format!("{what} {name}");
                self.0.push(Field { name, recorded: shown(before), derived: shown(after) });
            }
        }
    }
}

fn event(of: &Decided) -> (&str, i64, bool, &[u8], &str, &str) {
    (&of.id, of.time(), of.sent_at.is_some(), &of.row, &of.extra, &of.recheck_of)
}

fn outcome(of: &Decided) -> &'static str {
    of.outcome().map_or("?", Outcome::name)
}

fn hits<'a>(of: &Decided, rules: &'a RuleSet) -> Vec<(&'a str, i64)> {
    let name = |at: usize| rules.rules.get(at).map_or("?", |it| it.name.as_str());
    of.hits().map(|hit| (name(hit.rule.index()), hit.contribution_e6)).collect()
}

fn captured(of: &Decided, rules: &RuleSet) -> BTreeMap<String, Value> {
    let name = |definition: [u8; 16]| {
        let feature = rules.features.iter().find(|it| it.hash == definition);
        feature.map_or_else(|| hex(&definition), |it| it.name.clone())
    };
    of.captured().map(|(definition, value)| (name(definition), value)).collect()
}

fn features(of: &Decided, rules: &RuleSet) -> BTreeMap<String, Value> {
    let name =
        |at: usize| rules.features.get(at).map_or_else(|| format!("number {at}"), |it| it.name.clone());
    of.features().map(|(id, value)| (name(id.index()), value)).collect()
}
