//! An event and what was decided of it.

use engine::decision::{Fallback, Flags};
use engine::event::Event;
use engine::words::Ruling;
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use rules::past::Outcome;
use rules::program::{Alert, EffectRef, Hit};
use rules::time::Micros;
use rules::typed::{FeatureId, RuleId, Severity};
use rules::value::Value;

use super::row;
use super::value::take_value;

/// An event and what was decided of it: the part that must be equal between live, replay and re-derivation. A record
/// of kind `event` is the same without a decision: its outcome is none.
///
/// Fields 1 to 5 are the event as it was received, of which the body's digest is taken. Fields from 64 on stand last in
/// the bytes: they may differ between live and replay, and belong to no digest.
#[derive(Clone, PartialEq, Message)]
pub struct Decided {
    /// The event's id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Event time as sent, microseconds UTC; none if the caller sent none.
    #[prost(sfixed64, optional, tag = "2")]
    pub sent_at: Option<Micros>,
    /// The event's type and fields: see the module `row`.
    #[prost(bytes = "vec", tag = "3")]
    pub row: Vec<u8>,
    /// What the caller added for itself, JSON.
    #[prost(string, tag = "4")]
    pub extra: String,
    /// The event that this one decides again; empty = none.
    #[prost(string, tag = "5")]
    pub recheck_of: String,
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
    /// Event time as stamped on arrival, where the caller sent none.
    #[prost(sfixed64, optional, tag = "20")]
    pub stamped_at: Option<Micros>,
    /// Of the schema that the event was read by.
    #[prost(uint32, tag = "21")]
    pub schema_version: u32,
    /// Of a recheck: where the event stands that it decides again. Its entities are the same.
    #[prost(message, optional, tag = "64")]
    pub original: Option<Original>,
    /// Of the body as received, 16 bytes: a keyed hash, so that it differs between journals.
    #[prost(bytes = "vec", tag = "65")]
    pub body_digest: Vec<u8>,
}

/// Where an event stands in the histories of its entities.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Original {
    /// When: its own time, or the edge of the allowed lateness.
    #[prost(sfixed64, tag = "1")]
    pub at: Micros,
    /// Offset of its record.
    #[prost(uint64, tag = "2")]
    pub position: u64,
}

impl Decided {
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
        into.fallback = self.fallback();
    }

    /// Reads a message over this one, keeping its buffers.
    ///
    /// # Errors
    /// If the bytes are not one.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<(), prost::DecodeError> {
        self.clear();
        while !bytes.is_empty() {
            let (tag, wire) = decode_key(&mut bytes)?;
            match (self.plain(tag), split_plain(wire, bytes)) {
                (Some(into), Some((value, rest))) => {
                    into.clear();
                    into.extend_from_slice(value);
                    bytes = rest;
                }
                _ => self.merge_field(tag, wire, &mut bytes, DecodeContext::default())?,
            }
        }
        Ok(())
    }

    /// A field of bytes: the message's own reading would copy them twice, the first time into memory of their own.
    fn plain(&mut self, tag: u32) -> Option<&mut Vec<u8>> {
        match tag {
            3 => Some(&mut self.row),
            8 => Some(&mut self.captured),
            16 => Some(&mut self.features),
            19 => Some(&mut self.rule_set),
            65 => Some(&mut self.body_digest),
            _ => None,
        }
    }

    /// The id of a message's event, without reading the rest of it; none if the bytes do not begin with it, as those of a
    /// message do.
    pub fn event_id(mut bytes: &[u8]) -> Option<&str> {
        let (ID, wire) = decode_key(&mut bytes).ok()? else { return None };
        let (id, _) = split_plain(wire, bytes)?;
        str::from_utf8(id).ok()
    }

    /// Whether the decision of a message raised alerts, without reading the rest of it.
    ///
    /// # Errors
    /// If the bytes are no message.
    pub fn raised_alerts(mut bytes: &[u8]) -> Result<bool, prost::DecodeError> {
        while !bytes.is_empty() {
            let (tag, wire) = decode_key(&mut bytes)?;
            // An empty list is not written.
            if tag == ALERTS {
                return Ok(true);
            }
            skip_field(wire, tag, &mut bytes, DecodeContext::default())?;
        }
        Ok(false)
    }

    /// Fills an event with the one that was decided; none if the row is damaged.
    pub fn event(&self, into: &mut Event) -> Option<()> {
        row::decode(&self.row, into)?;
        into.id.clone_from(&self.id);
        into.time = self.time();
        into.time_given = self.sent_at.is_some();
        into.extra.clone_from(&self.extra);
        into.recheck_of = (!self.recheck_of.is_empty()).then(|| self.recheck_of.clone());
        Some(())
    }

    /// Event time, sent or stamped, microseconds UTC.
    pub fn time(&self) -> Micros {
        self.sent_at.or(self.stamped_at).unwrap_or(0)
    }

    /// The body's digest; none if it is not one.
    pub fn digest(&self) -> Option<[u8; 16]> {
        self.body_digest.as_slice().try_into().ok()
    }

    /// Makes the decision a fallback.
    pub fn fall_back(&mut self, outcome: Outcome) {
        self.outcome = outcome as u32;
        self.fallback = FALLBACK_DEADLINE;
    }

    /// The outcome, if this version knows it.
    pub fn outcome(&self) -> Option<Outcome> {
        Outcome::from_number(u8::try_from(self.outcome).ok()?)
    }

    /// Why the outcome is not the rules' own.
    pub fn fallback(&self) -> Option<Fallback> {
        (self.fallback == FALLBACK_DEADLINE).then_some(Fallback::Deadline)
    }

    /// The hits in file order.
    pub fn hits(&self) -> impl Iterator<Item = Hit> {
        let both = self.hits.iter().zip(&self.contributions_e6);
        both.filter_map(|(rule, contribution)| {
            Some(Hit { rule: RuleId(u16::try_from(*rule).ok()?), contribution_e6: *contribution })
        })
    }

    /// The captured values, each under its feature's definition hash.
    pub fn captured(&self) -> impl Iterator<Item = ([u8; 16], Value)> {
        let mut rest = self.captured.as_slice();
        std::iter::from_fn(move || {
            let (definition, after) = rest.split_first_chunk()?;
            let (value, after) = take_value(after)?;
            rest = after;
            Some((*definition, value))
        })
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

/// The bytes of a field behind its length, and what follows; none where they are not there.
fn split_plain(wire: WireType, mut bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if wire != WireType::LengthDelimited {
        return None;
    }
    let length = usize::try_from(decode_varint(&mut bytes).ok()?).ok()?;
    bytes.split_at_checked(length)
}

/// The tag of [`Decided::id`].
const ID: u32 = 1;

/// The tag of [`Decided::alerts`].
const ALERTS: u32 = 13;

/// The number of [`Fallback::Deadline`].
pub(super) const FALLBACK_DEADLINE: u32 = 1;

pub(super) fn put_alert(alert: Alert) -> u64 {
    (alert.severity as u64) << 56 | put_effect(alert.effect)
}

fn take_alert(packed: u64) -> Option<Alert> {
    let severity = Severity::from_number(u8::try_from(packed >> 56).ok()?)?;
    Some(Alert { severity, effect: take_effect(packed & ((1 << 56) - 1))? })
}

/// An effect's place in 56 bits, never 0: 1 for a rule or 2 for a policy, then three times 16 bits.
pub(super) fn put_effect(effect: EffectRef) -> u64 {
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
