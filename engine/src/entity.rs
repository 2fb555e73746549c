//! Who an event is about: keys of entities, made from their ids under one secret key.

use rules::schema::KindId;
use siphasher::sip128::SipHasher13;

/// Names one entity: its kind, and a 128-bit keyed hash of its id. It appears in no output and decides no order that
/// anybody can see.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct EntityKey {
    /// The entity's kind.
    pub kind: KindId,
    high: u64,
    low: u64,
}

impl EntityKey {
    /// The key of an entity whose id has this [`HashKey::hash128`].
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the hash")]
    pub const fn new(kind: KindId, hash: u128) -> Self {
        Self { kind, high: (hash >> 64) as u64, low: hash as u64 }
    }

    /// The hash that the key was made of.
    pub fn hash(self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

    /// The half of the hash that stands in slots and histories.
    pub fn slot(self) -> i64 {
        self.low.cast_signed()
    }
}

/// The key is a hash already: a map's hasher need only take 64 bits of it.
impl std::hash::Hash for EntityKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.high ^ u64::from(self.kind.0).rotate_right(16));
    }
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
        self.hash128_of(text.as_bytes())
    }

    /// The hash of any bytes: who does not know the key cannot make two that have one hash.
    pub fn hash128_of(self, bytes: &[u8]) -> u128 {
        SipHasher13::new_with_key(&self.0).hash(bytes).as_u128()
    }

    /// The lower 64 bits of [`HashKey::hash128`], as they stand in slots and histories.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    pub fn slot(self, text: &str) -> i64 {
        self.hash128(text) as i64
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(secret)")
    }
}
