//! What became known later about an event.

use engine::entity::{EntityKey, HashKey};
use engine::event::{Amendment, Change};
use prost::Message;
use rules::past::Outcome;
use rules::schema::KindId;
use rules::time::Micros;

use super::RowPlace;

/// Sets the ids of amendments apart from those of events.
const AMENDMENT_IDS: u128 = 0x616d_656e_646d_656e_7473_0000_0000_0000;

/// The hash under which an amendment of this id is remembered.
pub(crate) fn id_of_amendment(key: HashKey, id: &str) -> u128 {
    key.hash128(id) ^ AMENDMENT_IDS
}

/// An amendment, with the place of its event, so that whoever folds needs no index.
#[derive(Clone, PartialEq, Message)]
pub struct Amend {
    /// Its own id; empty where Weir itself amends.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The event that it speaks of.
    #[prost(string, tag = "2")]
    pub event_id: String,
    /// When it became known, microseconds UTC.
    #[prost(sfixed64, tag = "3")]
    pub time: i64,
    /// Whether the caller said when.
    #[prost(bool, tag = "4")]
    pub time_given: bool,
    /// Which column: 1 label, 2 challenge, 3 result, 4 outcome.
    #[prost(uint32, tag = "5")]
    pub column: u32,
    /// The value's number.
    #[prost(uint32, tag = "6")]
    pub value: u32,
    /// Of a label: the kind of fraud, in the caller's words.
    #[prost(string, optional, tag = "7")]
    pub label_kind: Option<String>,
    /// Of the body as received: BLAKE3, 128 bits; empty where Weir itself amends.
    #[prost(bytes = "vec", tag = "8")]
    pub body_digest: Vec<u8>,
    /// Why: see [`Cause`].
    #[prost(enumeration = "Cause", tag = "9")]
    pub cause: i32,
    /// When the event stands in its entities' histories. Of a recheck: where its original does.
    #[prost(sfixed64, tag = "10")]
    pub at: i64,
    /// Offset of the record that put it there.
    #[prost(uint64, tag = "11")]
    pub position: u64,
    /// Its entities' kinds.
    #[prost(uint32, repeated, tag = "12")]
    pub kinds: Vec<u32>,
    /// Its entities' hashes, 16 bytes each, little-endian.
    #[prost(bytes = "vec", tag = "13")]
    pub hashes: Vec<u8>,
}

/// Why an event is amended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, prost::Enumeration)]
#[repr(i32)]
pub enum Cause {
    /// Somebody says so.
    Said = 0,
    /// The deadline of its decision passed before that was durable, and the caller got the fallback.
    Deadline = 1,
}

impl Amend {
    /// Takes what somebody says of an event at a place.
    pub fn set(&mut self, amendment: &Amendment, digest: &[u8; 16], place: &RowPlace) {
        self.id.clone_from(&amendment.id);
        self.event_id.clone_from(&amendment.event_id);
        (self.time, self.time_given) = (amendment.time, amendment.time_given);
        self.body_digest.clear();
        self.body_digest.extend_from_slice(digest);
        self.cause = Cause::Said.into();
        self.set_change(&amendment.change);
        self.set_place(place);
    }

    /// Takes the fallback that the caller of an event at a place has got.
    pub fn set_fallback(&mut self, event_id: &str, time: Micros, outcome: Outcome, place: &RowPlace) {
        self.id.clear();
        self.event_id.clear();
        self.event_id.push_str(event_id);
        (self.time, self.time_given) = (time, false);
        self.body_digest.clear();
        self.cause = Cause::Deadline.into();
        self.set_change(&Change::Outcome(outcome));
        self.set_place(place);
    }

    fn set_change(&mut self, change: &Change) {
        let (.., kind) = change.words();
        self.label_kind = kind.map(str::to_owned);
        (self.column, self.value) = change.numbers();
    }

    fn set_place(&mut self, place: &RowPlace) {
        (self.at, self.position) = (place.at, place.position);
        self.kinds.clear();
        self.kinds.extend(place.entities.iter().map(|it| u32::from(it.kind.0)));
        self.hashes.clear();
        self.hashes.extend(place.entities.iter().flat_map(|it| it.hash().to_le_bytes()));
    }

    /// What it sets; none if this version does not know it.
    pub fn change(&self) -> Option<Change> {
        Change::from_numbers((self.column, self.value), self.label_kind.clone())
    }

    /// The outcome that it sets; none if it sets something else.
    pub fn outcome(&self) -> Option<Outcome> {
        match self.change()? {
            Change::Outcome(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Where its event stands; none if the entities are damaged.
    pub fn place(&self) -> Option<RowPlace> {
        let (hashes, rest) = self.hashes.as_chunks::<16>();
        let entity = |(kind, hash): (&u32, &[u8; 16])| {
            let kind = KindId(u16::try_from(*kind).ok()?);
            Some(EntityKey::new(kind, u128::from_le_bytes(*hash)))
        };
        let whole = rest.is_empty() && hashes.len() == self.kinds.len();
        let entities = self.kinds.iter().zip(hashes).map(entity).collect::<Option<_>>();
        Some(RowPlace { at: self.at, position: self.position, entities: entities.filter(|_| whole)? })
    }

    /// What was said; none if this version does not know it.
    pub fn amendment(&self) -> Option<Amendment> {
        Some(Amendment {
            id: self.id.clone(),
            event_id: self.event_id.clone(),
            time: self.time,
            time_given: self.time_given,
            change: self.change()?,
        })
    }
}
