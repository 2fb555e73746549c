//! Who an event is about: keys of entities, made from their ids under one secret key.

use std::hash::Hasher as _;

use rules::schema::KindId;
use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// Names one entity: its kind, and a 128-bit keyed hash of its id. It appears in no output and decides no order that
/// anybody can see.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EntityKey {
    /// The entity's kind.
    pub kind: KindId,
    /// Of the id's text.
    pub hash: u128,
}

/// The secret under which ids and texts are hashed: made once, at the journal's birth, and stored with it, so that
/// nobody outside can choose ids that collide.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey([u8; 16]);

impl HashKey {
    /// The key of these bytes.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The key's bytes, to be stored.
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// SipHash-1-3 (Aumasson and Bernstein) of a text, 128 bits.
    pub fn hash128(self, text: &str) -> u128 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(text.as_bytes());
        hasher.finish128().as_u128()
    }

    /// The first 64 bits of [`HashKey::hash128`], as they stand in slots and histories.
    pub fn slot(self, text: &str) -> i64 {
        Self::slot_of(self.hash128(text))
    }

    /// The part of a 128-bit hash that stands in slots and histories.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    pub fn slot_of(hash: u128) -> i64 {
        hash as i64
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(secret)")
    }
}
