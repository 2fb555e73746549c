//! Records: what is written down of each event, so that state and decisions can be derived again.
//!
//! Bodies are protobuf messages (fields are added, never renumbered, and unknown ones are skipped). Lists of small
//! things are packed into one field each, so that a message used for record after record allocates nothing.

mod row;

use engine::decision::{Fallback, Flags};
use engine::event::Event;
use engine::words::Ruling;
use prost::Message;
use rules::past::Outcome;
use rules::program::{Alert, EffectRef, Hit};
use rules::typed::{FeatureId, RuleId, Severity};
use rules::value::Value;

/// An event and what was decided of it: the part that must be equal between live, replay and re-derivation.
#[derive(Clone, PartialEq, Message)]
pub struct Decided {
    /// The event's id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Event time as sent or stamped, microseconds UTC.
    #[prost(sfixed64, tag = "2")]
    pub time: i64,
    /// Whether the caller sent it.
    #[prost(bool, tag = "3")]
    pub time_given: bool,
    /// The event's type and fields: see the module `row`.
    #[prost(bytes = "vec", tag = "4")]
    pub row: Vec<u8>,
    /// What the caller added for itself, JSON.
    #[prost(string, tag = "5")]
    pub extra: String,
    /// The event that this one decides again; empty = none.
    #[prost(string, tag = "6")]
    pub recheck_of: String,
    /// Of the body as received: BLAKE3, 128 bits.
    #[prost(bytes = "vec", tag = "7")]
    pub body_digest: Vec<u8>,
    /// Captured values: for each 16 bytes of its feature's definition hash, then the value (see `put_value`).
    #[prost(bytes = "vec", tag = "8")]
    pub captured: Vec<u8>,
    /// The outcome's number.
    #[prost(uint32, tag = "9")]
    pub outcome: u32,
    /// The score in millionths.
    #[prost(sint64, tag = "10")]
    pub score_e6: i64,
    /// Rules that hit, by index.
    #[prost(uint32, repeated, tag = "11")]
    pub hits: Vec<u32>,
    /// What each of them contributes, in millionths.
    #[prost(sint64, repeated, tag = "12")]
    pub contributions_e6: Vec<i64>,
    /// Alerts: the severity's number in the upper 8 bits, below it the effect that raised it (see `put_effect`).
    #[prost(fixed64, repeated, tag = "13")]
    pub alerts: Vec<u64>,
    /// Effects that follow, packed likewise.
    #[prost(fixed64, repeated, tag = "14")]
    pub actions: Vec<u64>,
    /// The challenge effect whose factors are asked for, packed likewise; 0 = none.
    #[prost(fixed64, tag = "15")]
    pub factors: u64,
    /// Features that the decision saw: for each 2 bytes of its index, then the value.
    #[prost(bytes = "vec", tag = "16")]
    pub features: Vec<u8>,
    /// late 1, too late 2, warming 4.
    #[prost(uint32, tag = "17")]
    pub flags: u32,
    /// 0 none, 1 the deadline passed.
    #[prost(uint32, tag = "18")]
    pub fallback: u32,
    /// The rule set's hash.
    #[prost(bytes = "vec", tag = "19")]
    pub rule_set: Vec<u8>,
}

impl Decided {
    /// Takes the event's part from an event.
    pub fn set_event(&mut self, event: &Event, schema_version: u32) {
        self.id.clone_from(&event.id);
        self.time = event.time;
        self.time_given = event.time_given;
        self.row.clear();
        row::encode(event, schema_version, &mut self.row);
        self.extra.clone_from(&event.extra);
        self.recheck_of.clear();
        self.recheck_of.push_str(event.recheck_of.as_deref().unwrap_or_default());
    }

    /// Takes the digest of the body as received.
    pub fn set_digest(&mut self, digest: &[u8; 16]) {
        self.body_digest.clear();
        self.body_digest.extend_from_slice(digest);
    }

    /// Takes what was decided, under the rule set of this hash.
    pub fn set_ruling(&mut self, ruling: &Ruling, rule_set: &[u8; 32]) {
        let Ruling { verdict, recorded, flags, fallback } = ruling;
        self.outcome = verdict.outcome as u32;
        self.score_e6 = verdict.score_e6;
        self.hits.clear();
        self.hits.extend(verdict.hits.iter().map(|hit| u32::from(hit.rule.0)));
        self.contributions_e6.clear();
        self.contributions_e6.extend(verdict.hits.iter().map(|hit| hit.contribution_e6));
        self.alerts.clear();
        self.alerts.extend(verdict.alerts.iter().map(|alert| put_alert(*alert)));
        self.actions.clear();
        self.actions.extend(verdict.actions.iter().map(|action| put_effect(*action)));
        self.factors = verdict.factors.map_or(0, put_effect);
        self.features.clear();
        for (id, value) in recorded {
            self.features.extend_from_slice(&id.0.to_le_bytes());
            put_value(*value, &mut self.features);
        }
        self.flags = u32::from(flags.late) | u32::from(flags.too_late) << 1 | u32::from(flags.warming) << 2;
        self.fallback = match fallback {
            None => 0,
            Some(Fallback::Deadline) => 1,
        };
        self.rule_set.clear();
        self.rule_set.extend_from_slice(rule_set);
    }

    /// Fills a ruling with what was decided.
    pub fn ruling(&self, into: &mut Ruling) {
        into.clear();
        into.verdict.outcome = self.outcome().unwrap_or(Outcome::Block);
        into.verdict.score_e6 = self.score_e6;
        into.verdict.hits.extend(self.hits());
        into.verdict.alerts.extend(self.alerts.iter().filter_map(|packed| take_alert(*packed)));
        into.verdict.actions.extend(self.actions.iter().filter_map(|packed| take_effect(*packed)));
        into.verdict.factors = take_effect(self.factors);
        into.recorded.extend(self.features());
        let flag = |bit: u32| self.flags >> bit & 1 == 1;
        into.flags = Flags { late: flag(0), too_late: flag(1), warming: flag(2), repeated: false };
        into.fallback = (self.fallback == 1).then_some(Fallback::Deadline);
    }

    /// Writes this message over what the buffer holds.
    pub fn write(&self, into: &mut Vec<u8>) {
        into.clear();
        // A vector always has room.
        let _ = self.encode(into);
    }

    /// Reads a message.
    ///
    /// # Errors
    /// If the bytes are not one.
    pub fn read(bytes: &[u8]) -> Result<Self, prost::DecodeError> {
        Self::decode(bytes)
    }

    /// The event that was decided; none if the row is damaged.
    pub fn event(&self) -> Option<Event> {
        let mut event = Event::default();
        row::decode(&self.row, &mut event)?;
        event.id.clone_from(&self.id);
        event.time = self.time;
        event.time_given = self.time_given;
        event.extra.clone_from(&self.extra);
        event.recheck_of = (!self.recheck_of.is_empty()).then(|| self.recheck_of.clone());
        Some(event)
    }

    /// The outcome, if this version knows it.
    pub fn outcome(&self) -> Option<Outcome> {
        Outcome::from_number(u8::try_from(self.outcome).ok()?)
    }

    /// The hits in file order.
    pub fn hits(&self) -> impl Iterator<Item = Hit> {
        let both = self.hits.iter().zip(&self.contributions_e6);
        both.filter_map(|(rule, contribution)| {
            Some(Hit { rule: RuleId(u16::try_from(*rule).ok()?), contribution_e6: *contribution })
        })
    }

    /// Adds a captured value under its feature's definition hash.
    pub fn push_captured(&mut self, definition: &[u8; 16], value: Value) {
        self.captured.extend_from_slice(definition);
        put_value(value, &mut self.captured);
    }

    /// The recorded features.
    pub fn features(&self) -> impl Iterator<Item = (FeatureId, Value)> {
        let mut rest = self.features.as_slice();
        std::iter::from_fn(move || {
            let (id, after) = rest.split_first_chunk()?;
            let (value, after) = take_value(after)?;
            rest = after;
            Some((FeatureId(u16::from_le_bytes(*id)), value))
        })
    }
}

/// A value in bytes: its form (0 missing, 1 flag, 2 exact, 3 real), then 0, 1, 16 or 8 bytes little-endian.
fn put_value(value: Value, into: &mut Vec<u8>) {
    match value {
        Value::Missing => into.push(0),
        Value::Flag(flag) => into.extend_from_slice(&[1, u8::from(flag)]),
        Value::Exact(exact) => {
            into.push(2);
            into.extend_from_slice(&exact.to_le_bytes());
        }
        Value::Real(real) => {
            into.push(3);
            into.extend_from_slice(&real.to_bits().to_le_bytes());
        }
    }
}

/// The value at the front, and what follows it; none if the bytes are damaged.
fn take_value(bytes: &[u8]) -> Option<(Value, &[u8])> {
    let (form, rest) = bytes.split_first()?;
    Some(match form {
        0 => (Value::Missing, rest),
        1 => rest.split_first().map(|(flag, rest)| (Value::Flag(*flag != 0), rest))?,
        2 => {
            rest.split_first_chunk().map(|(bytes, rest)| (Value::Exact(i128::from_le_bytes(*bytes)), rest))?
        }
        3 => rest
            .split_first_chunk()
            .map(|(bytes, rest)| (Value::Real(f64::from_bits(u64::from_le_bytes(*bytes))), rest))?,
        _ => return None,
    })
}

fn put_alert(alert: Alert) -> u64 {
    (alert.severity as u64) << 56 | put_effect(alert.effect)
}

fn take_alert(packed: u64) -> Option<Alert> {
    let severity = match packed >> 56 {
        0 => Severity::Low,
        1 => Severity::Medium,
        2 => Severity::High,
        _ => Severity::Critical,
    };
    Some(Alert { severity, effect: take_effect(packed & ((1 << 56) - 1))? })
}

/// An effect's place in 56 bits, never 0: 1 for a rule or 2 for a policy, then three times 16 bits.
fn put_effect(effect: EffectRef) -> u64 {
    let pack =
        |tag: u64, a: u16, b: u16, c: u16| tag << 48 | u64::from(a) << 32 | u64::from(b) << 16 | u64::from(c);
    match effect {
        EffectRef::Rule(rule, at) => pack(1, rule.0, at, 0),
        EffectRef::Policy(policy, line, at) => pack(2, policy, line, at),
    }
}

/// The effect that [`put_effect`] packed; none for 0 and for what this version does not know.
#[expect(clippy::cast_possible_truncation, reason = "sixteen bits at a time")]
fn take_effect(packed: u64) -> Option<EffectRef> {
    let (a, b, c) = ((packed >> 32) as u16, (packed >> 16) as u16, packed as u16);
    match packed >> 48 {
        1 => Some(EffectRef::Rule(RuleId(a), b)),
        2 => Some(EffectRef::Policy(a, b, c)),
        _ => None,
    }
}
