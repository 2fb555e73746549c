//! What goes out: the decision, in words.

use std::borrow::Cow;

use rules::past::Outcome;
use rules::time::Micros;
use rules::typed::{Severity, Type};
use rules::value::Value;
use smallvec::SmallVec;

use crate::event::EVENT_ID_BYTES_MAX;

/// The answer to one event: complete, so that whoever gets it needs nothing else to act on it or to explain it. Its
/// words are those of the rule set and of the event, which it borrows.
#[derive(Clone, PartialEq, Debug)]
pub struct Decision<'a> {
    /// `dec_` and the first 128 bits of BLAKE3 over tenant and event id: nothing random.
    pub id: String,
    /// The event's id.
    pub event_id: &'a str,
    /// What to do.
    pub outcome: Outcome,
    /// The score in millionths.
    pub score_e6: i64,
    /// Rules that hit, in file order.
    pub hits: Vec<RuleHit<'a>>,
    /// Sets of factors, any of which answers the challenge; empty unless the outcome is challenge.
    pub factors_any_of: &'a [Vec<String>],
    /// What else follows.
    pub actions: Vec<Action<'a>>,
    /// What a person must see.
    pub alerts: Vec<Alert<'a>>,
    /// The features that it saw: those recorded always, and those that the rules that hit read.
    pub features: Vec<SeenFeature<'a>>,
    /// The hash of the rule set, in hexadecimal.
    pub rule_set: &'a str,
    /// Until when the answer may be acted on: event time and the policy's `valid for`.
    pub valid_until: Option<Micros>,
    /// What was unusual about deciding it.
    pub flags: Flags,
    /// Why the outcome is not the rules' own.
    pub fallback: Option<Fallback>,
    /// Whether the record is on disk.
    pub durable: bool,
}

/// A rule that hit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RuleHit<'a> {
    /// The rule's name.
    pub rule: &'a str,
    /// For analysts.
    pub reason: &'a str,
    /// For the customer, where the rule has one.
    pub customer_reason: Option<&'a str>,
    /// Of its gravest alert.
    pub severity: Option<Severity>,
    /// To the score, in millionths.
    pub contribution_e6: i64,
    /// Whether the rule is in shadow mode and so added to nothing.
    pub shadow: bool,
}

/// A feature as it was when the decision was made.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SeenFeature<'a> {
    /// Its name.
    pub name: &'a str,
    /// Of what type it is.
    pub ty: Type,
    /// What it was.
    pub value: Value,
}

/// An alert: a decision that a person must see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alert<'a> {
    /// How bad.
    pub severity: Severity,
    /// The rule that raised it; none = the policy.
    pub rule: Option<&'a str>,
}

/// Something to do beside the outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Action<'a> {
    /// What.
    pub kind: ActionKind,
    /// To whom or what: an entity's id, a tag's name, a list's name with an id.
    pub target: Cow<'a, str>,
    /// Until when.
    pub until: Option<Micros>,
}

/// What an action does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ActionKind {
    /// Mark the event.
    Tag,
    /// Freeze the entity.
    Freeze,
    /// Pay out later.
    Delay,
    /// Put the entity on a list.
    Add,
    /// Take the entity off a list.
    Remove,
}

/// What was unusual about a decision.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags {
    /// The event's time lies before the engine clock.
    pub late: bool,
    /// By more than the allowed lateness, so it was evaluated at the edge of it.
    pub too_late: bool,
    /// Something that its rules may read is not complete yet.
    pub warming: bool,
    /// The event had been decided before; this is that decision.
    pub repeated: bool,
}

/// Why the outcome is not the rules' own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fallback {
    /// The deadline passed.
    Deadline,
}

impl Flags {
    /// The names of the flags that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.late, "late"),
            (self.too_late, "too_late"),
            (self.warming, "warming"),
            (self.repeated, "repeated"),
        ];
        all.into_iter().filter_map(|(set, name)| set.then_some(name))
    }
}

/// What every decision id begins with.
const DECISION: &str = "dec_";

/// The decision id of an event: `dec_` and 32 hexadecimal digits, of BLAKE3 over the tenant (4 bytes, little-endian)
/// and the event id.
pub fn decision_id(tenant: u32, event_id: &str) -> String {
    let hex = decision_hash(tenant, event_id).to_hex();
    [DECISION, hex.get(..32).unwrap_or_default()].concat()
}

/// The digits of a decision's id as a number.
pub fn decision_number(tenant: u32, event_id: &str) -> u128 {
    let hash = decision_hash(tenant, event_id);
    hash.as_bytes().first_chunk().copied().map_or(0, u128::from_be_bytes)
}

/// The number of a decision id as it is written; none of any other text.
pub fn number_of_decision(id: &str) -> Option<u128> {
    let digits = id.strip_prefix(DECISION)?;
    let written = digits.len() == 32 && digits.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    u128::from_str_radix(digits, 16).ok().filter(|_| written)
}

fn decision_hash(tenant: u32, event_id: &str) -> blake3::Hash {
    // In one piece: a hasher that goes on where it stopped is ten times as large as what is hashed.
    let mut named = SmallVec::<[u8; 4 + EVENT_ID_BYTES_MAX]>::new();
    named.extend_from_slice(&tenant.to_le_bytes());
    named.extend_from_slice(event_id.as_bytes());
    blake3::hash(&named)
}
