//! Writing a decision's record straight into its body: the bytes that [`Decided`] has as a message, field after field,
//! without filling one first. It is what every decision pays for, under its locks.
//!
//! The event comes first, and is written when it comes in: its digest, by which a repeat is told, is that of these
//! bytes, but for what the schema derives.

use engine::decision::Fallback;
use engine::entity::HashKey;
use engine::event::Event;
use engine::words::Ruling;
use prost::Message as _;
use prost::encoding::{WireType, encode_varint};
use rules::schema::Schema;
use rules::typed::{FeatureId, RuleSet};
use rules::value::Value;

use super::decided::{FALLBACK_DEADLINE, put_alert, put_effect};
use super::row;
use super::value::{put_value, value_bytes};
use super::{Original, Stamp};

/// Begins a body, over what the buffer holds: room for the stamp, and the event as received.
pub(crate) fn begin(event: &Event, body: &mut Vec<u8>) {
    begin_without(event, |_| false, body);
}

/// Begins a body, and gives its digest: 128 bits of a keyed hash over the fields as they were sent, before stamping and
/// conversion. Two bodies are the same body exactly if their digests are equal. What is derived is not sent: a schema that
/// derives more makes no other body of it.
pub(crate) fn begin_new(event: &Event, schema: &Schema, key: HashKey, body: &mut Vec<u8>) -> [u8; 16] {
    let digest = |begun: &[u8]| key.hash128_of(begun.get(Stamp::BYTES..).unwrap_or_default()).to_le_bytes();
    let fields = event.fields_declared(schema);
    if fields.iter().all(|it| it.derived.is_none()) {
        begin(event, body);
        return digest(body);
    }
    begin_without(event, |at| fields.get(at).is_some_and(|it| it.derived.is_some()), body);
    let of_sent = digest(body);
    begin(event, body);
    of_sent
}

fn begin_without(event: &Event, out: impl Fn(usize) -> bool, body: &mut Vec<u8>) {
    body.clear();
    body.resize(Stamp::BYTES, 0);
    bytes(1, event.id.as_bytes(), body);
    if event.time_given {
        fixed(2, event.time.cast_unsigned(), body);
    }
    delimited(3, body, |body| row::encode(event, out, body));
    bytes(4, event.extra.as_bytes(), body);
    bytes(5, event.recheck_of.as_deref().unwrap_or_default().as_bytes(), body);
}

/// What stands behind the event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending<'a> {
    /// What was sampled under the locks.
    pub(crate) stamp: Stamp,
    /// The event that the body was begun with.
    pub(crate) event: &'a Event,
    /// What it was decided by.
    pub(crate) rules: &'a RuleSet,
    /// The captured values.
    pub(crate) captured: &'a [(FeatureId, Value)],
    /// What was decided.
    pub(crate) ruling: &'a Ruling,
    /// Of a recheck: where its original stands.
    pub(crate) original: Option<Original>,
    /// Of the body as received.
    pub(crate) digest: &'a [u8; 16],
}

impl Ending<'_> {
    /// Appends everything behind the event, and puts the stamp before it.
    pub(crate) fn write(&self, body: &mut Vec<u8>) {
        if let Some(stamp) = body.first_chunk_mut::<{ Stamp::BYTES }>() {
            *stamp = self.stamp.to_bytes();
        }
        self.write_captured(body);
        self.write_ruling(body);
        bytes(19, &self.rules.hash, body);
        if !self.event.time_given {
            fixed(20, self.event.time.cast_unsigned(), body);
        }
        number(21, self.rules.schema.version.into(), body);
        if let Some(original) = &self.original {
            key(64, WireType::LengthDelimited, body);
            varint(original.encoded_len() as u64, body);
            // A vector always has room.
            let _ = original.encode(body);
        }
        bytes(65, self.digest, body);
    }

    fn write_captured(&self, body: &mut Vec<u8>) {
        let hashed = self
            .captured
            .iter()
            .filter_map(|(id, value)| self.rules.feature(*id).map(|feature| (&feature.hash, *value)));
        let length: usize = hashed.clone().map(|(hash, value)| hash.len() + value_bytes(value)).sum();
        if 0 < length {
            key(8, WireType::LengthDelimited, body);
            varint(length as u64, body);
            for (hash, value) in hashed {
                body.extend_from_slice(hash);
                put_value(value, body);
            }
        }
    }

    fn write_ruling(&self, body: &mut Vec<u8>) {
        let Ruling { verdict, recorded, flags, fallback } = self.ruling;
        number(9, verdict.outcome as u64, body);
        number(10, zigzag(verdict.score_e6), body);
        packed(11, verdict.hits.iter().map(|hit| u64::from(hit.rule.0)), body);
        packed(12, verdict.hits.iter().map(|hit| zigzag(hit.contribution_e6)), body);
        packed_fixed(13, verdict.alerts.iter().map(|alert| put_alert(*alert)), body);
        packed_fixed(14, verdict.actions.iter().map(|action| put_effect(*action)), body);
        if let Some(factors) = verdict.factors {
            fixed(15, put_effect(factors), body);
        }
        let length: usize = recorded.iter().map(|(_, value)| 2 + value_bytes(*value)).sum();
        if 0 < length {
            key(16, WireType::LengthDelimited, body);
            varint(length as u64, body);
            for (id, value) in recorded {
                body.extend_from_slice(&id.0.to_le_bytes());
                put_value(*value, body);
            }
        }
        let flags = u64::from(flags.late) | u64::from(flags.too_late) << 1 | u64::from(flags.warming) << 2;
        number(17, flags, body);
        number(18, fallback.map_or(0, |Fallback::Deadline| FALLBACK_DEADLINE.into()), body);
    }
}

/// Bytes whose length is known once they are written: most are few, so that room for one byte of length is right, and
/// more is made otherwise.
fn delimited(tag: u32, body: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    key(tag, WireType::LengthDelimited, body);
    let start = body.len() + 1;
    body.push(0);
    write(body);
    let end = body.len();
    let length = (end - start) as u64;
    let more = prost::encoding::encoded_len_varint(length) - 1;
    if 0 < more {
        body.resize(end + more, 0);
        body.copy_within(start..end, start + more);
    }
    if let Some(mut room) = body.get_mut(start - 1..start + more) {
        encode_varint(length, &mut room);
    }
}

/// What stands before a field: its number, and how it is written.
#[inline]
fn key(tag: u32, wire: WireType, body: &mut Vec<u8>) {
    varint(u64::from(tag << 3 | wire as u32), body);
}

/// A number of varying length: nearly all are one byte.
#[inline]
fn varint(number: u64, body: &mut Vec<u8>) {
    match u8::try_from(number) {
        Ok(byte) if byte < 0x80 => body.push(byte),
        _ => encode_varint(number, body),
    }
}

/// A text or bytes; of none nothing.
fn bytes(tag: u32, bytes: &[u8], body: &mut Vec<u8>) {
    if !bytes.is_empty() {
        key(tag, WireType::LengthDelimited, body);
        varint(bytes.len() as u64, body);
        body.extend_from_slice(bytes);
    }
}

/// A number of varying length; of 0 nothing.
fn number(tag: u32, number: u64, body: &mut Vec<u8>) {
    if number != 0 {
        key(tag, WireType::Varint, body);
        varint(number, body);
    }
}

/// A number of 8 bytes.
fn fixed(tag: u32, number: u64, body: &mut Vec<u8>) {
    key(tag, WireType::SixtyFourBit, body);
    body.extend_from_slice(&number.to_le_bytes());
}

/// Numbers of varying length, one after the other.
fn packed(tag: u32, numbers: impl ExactSizeIterator<Item = u64> + Clone, body: &mut Vec<u8>) {
    if numbers.len() == 0 {
        return;
    }
    let length: usize = numbers.clone().map(prost::encoding::encoded_len_varint).sum();
    key(tag, WireType::LengthDelimited, body);
    varint(length as u64, body);
    numbers.for_each(|number| varint(number, body));
}

/// Numbers of 8 bytes, one after the other.
fn packed_fixed(tag: u32, numbers: impl ExactSizeIterator<Item = u64>, body: &mut Vec<u8>) {
    if numbers.len() == 0 {
        return;
    }
    key(tag, WireType::LengthDelimited, body);
    varint(8 * numbers.len() as u64, body);
    numbers.for_each(|number| body.extend_from_slice(&number.to_le_bytes()));
}

/// Small magnitudes as small numbers, whatever their sign (protobuf's `sint64`).
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}
