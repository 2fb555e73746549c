//! What a replay keeps beside the gate's state, so that many files in many runs equal one run: the labels that are
//! not known yet, the row counter and the latest time.

use std::collections::HashMap;

use anyhow::Context as _;
use engine::entity::EntityKey;
use engine::event::{Amendment, Change};
use prost::Message;
use rules::schema::KindId;
use stream::record::RowPlace;
use stream::snapshot::Extra;
use stream::source::{Known, RowAt, SourceState};

/// The name of the blob in a snapshot.
const NAME: &str = "replay";

/// A source's state as bytes.
#[derive(Clone, PartialEq, Message)]
struct Saved {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(sfixed64, optional, tag = "2")]
    clock: Option<i64>,
    #[prost(message, repeated, tag = "3")]
    pending: Vec<SavedAmendment>,
}

/// An amendment that is not known yet.
#[derive(Clone, PartialEq, Message)]
struct SavedAmendment {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    event_id: String,
    #[prost(sfixed64, tag = "3")]
    time: i64,
    #[prost(bool, tag = "4")]
    time_given: bool,
    /// 1 label, 2 challenge, 3 result, 4 outcome.
    #[prost(uint32, tag = "5")]
    column: u32,
    /// The value's number.
    #[prost(uint32, tag = "6")]
    value: u32,
    /// Of a label.
    #[prost(string, optional, tag = "7")]
    kind: Option<String>,
    #[prost(message, optional, tag = "8")]
    place: Option<SavedPlace>,
}

/// Where an event stands.
#[derive(Clone, PartialEq, Message)]
struct SavedPlace {
    #[prost(uint64, tag = "1")]
    offset: u64,
    #[prost(sfixed64, tag = "2")]
    time: i64,
    #[prost(uint32, repeated, tag = "3")]
    kinds: Vec<u32>,
    /// 16 bytes an entity, little-endian.
    #[prost(bytes = "vec", tag = "4")]
    hashes: Vec<u8>,
}

/// Puts a source's state among a snapshot's blobs; `places` are those of events whose labels wait, by row.
pub(super) fn save(state: &SourceState, places: &HashMap<RowAt, RowPlace>, extra: &mut Extra) {
    let pending = state.pending.iter().map(|known| {
        let place = known.at.and_then(|at| places.get(&at)).or(known.place.as_ref());
        SavedAmendment { place: place.map(save_place), ..save_amendment(&known.amendment) }
    });
    let saved = Saved { sequence: state.sequence, clock: state.clock, pending: pending.collect() };
    extra.insert(NAME.to_owned(), saved.encode_to_vec());
}

/// The source's state among a snapshot's blobs; that of a first run if there is none.
pub(super) fn restore(extra: &Extra) -> anyhow::Result<SourceState> {
    let Some(bytes) = extra.get(NAME) else { return Ok(SourceState::default()) };
    let saved =
        Saved::decode(bytes.as_slice()).context("the snapshot's part for `replay` is not readable")?;
    let pending = saved.pending.into_iter().map(restore_amendment).collect::<Option<_>>();
    let pending =
        pending.context("the snapshot's part for `replay` is damaged, or was written by a later version")?;
    Ok(SourceState { sequence: saved.sequence, clock: saved.clock, pending })
}

fn save_amendment(amendment: &Amendment) -> SavedAmendment {
    let ((column, value), (.., kind)) = (amendment.change.numbers(), amendment.change.words());
    SavedAmendment {
        id: amendment.id.clone(),
        event_id: amendment.event_id.clone(),
        time: amendment.time,
        time_given: amendment.time_given,
        column,
        value,
        kind: kind.map(str::to_owned),
        place: None,
    }
}

fn restore_amendment(saved: SavedAmendment) -> Option<Known> {
    let change = Change::from_numbers((saved.column, saved.value), saved.kind)?;
    let SavedAmendment { id, event_id, time, time_given, .. } = saved;
    let amendment = Amendment { id, event_id, time, time_given, change };
    let place = match saved.place {
        Some(place) => Some(restore_place(&place)?),
        None => None,
    };
    Some(Known { amendment, place, at: None })
}

fn save_place(place: &RowPlace) -> SavedPlace {
    SavedPlace {
        offset: place.position,
        time: place.at,
        kinds: place.entities.iter().map(|it| u32::from(it.kind.0)).collect(),
        hashes: place.entities.iter().flat_map(|it| it.hash().to_le_bytes()).collect(),
    }
}

fn restore_place(saved: &SavedPlace) -> Option<RowPlace> {
    let (hashes, rest) = saved.hashes.as_chunks::<16>();
    if hashes.len() != saved.kinds.len() || !rest.is_empty() {
        return None;
    }
    let entity = |(kind, hash): (&u32, &[u8; 16])| {
        Some(EntityKey::new(KindId(u16::try_from(*kind).ok()?), u128::from_le_bytes(*hash)))
    };
    Some(RowPlace {
        position: saved.offset,
        at: saved.time,
        entities: saved.kinds.iter().zip(hashes).map(entity).collect::<Option<_>>()?,
    })
}
