//! Where each value last occurred: what flags the newest row of every value in a long history.

use std::collections::BTreeSet;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::Key;

/// The rows of one distinct lane by value.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    /// Under a condition that never changes: the last two rows of each value, two so that a recheck can leave one out.
    /// O(1).
    Fixed(HashMap<i64, Pair, FixedState>),
    /// Under one that may: all rows, so that an older one can take the place of one that is amended away. O(log n),
    /// about 40 bytes a row.
    Mutable(BTreeSet<(i64, Key)>),
}

/// The newest row of a value, and the one before it: [`FIRST`] if there was none. Split, so that it is 24 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pair {
    times: [i64; 2],
    positions: [u32; 2],
}

impl Pair {
    fn new(newest: Key, before: Key) -> Self {
        Self { times: [newest.time, before.time], positions: [newest.position, before.position] }
    }

    fn keys(self) -> [Key; 2] {
        let ([newest, before], [position, position_before]) = (self.times, self.positions);
        [Key { time: newest, position }, Key { time: before, position: position_before }]
    }
}

/// Bytes of one slot of a lane's table under a fixed condition, its control byte included.
pub(crate) const BYTES_PER_SLOT: usize = size_of::<(i64, Pair)>() + 1;

const FIRST: Key = Key { time: i64::MIN, position: 0 };
const LAST: Key = Key { time: i64::MAX, position: 0 };

impl Values {
    pub(crate) fn new(mutable: bool) -> Self {
        if mutable { Self::Mutable(BTreeSet::new()) } else { Self::Fixed(HashMap::default()) }
    }

    /// The newest row of a value, but for one.
    pub(crate) fn newest(&self, value: i64, exclude: Option<Key>) -> Option<Key> {
        let other = |key: &Key| Some(*key) != exclude;
        match self {
            Self::Fixed(values) => {
                let [newest, before] = values.get(&value)?.keys();
                Some(newest).filter(other).or(Some(before).filter(|before| *before != FIRST))
            }
            Self::Mutable(rows) => {
                rows.range((value, FIRST)..=(value, LAST)).rev().map(|(_, key)| *key).find(other)
            }
        }
    }

    /// Takes a row in. Gives the newest row of its value before that.
    pub(crate) fn insert(&mut self, value: i64, key: Key) -> Option<Key> {
        let newest = self.newest(value, None);
        match self {
            Self::Mutable(rows) => {
                rows.insert((value, key));
            }
            Self::Fixed(values) => {
                let pair = values.entry(value).or_insert(Pair::new(key, FIRST));
                let [newest, before] = pair.keys();
                if newest < key {
                    *pair = Pair::new(key, newest);
                } else if key < newest && before < key {
                    *pair = Pair::new(newest, key);
                }
            }
        }
        newest
    }

    /// Takes a row out under a mutable condition. Gives the newest row of its value after that.
    pub(crate) fn remove(&mut self, value: i64, key: Key) -> Option<Key> {
        if let Self::Mutable(rows) = self {
            rows.remove(&(value, key));
        }
        self.newest(value, None)
    }

    /// Forgets a row that leaves by age; with a fixed condition its value goes with the newest of its rows.
    pub(crate) fn drop_row(&mut self, value: i64, key: Key, is_newest: bool) {
        match self {
            Self::Mutable(rows) => {
                rows.remove(&(value, key));
            }
            Self::Fixed(values) if is_newest => {
                values.remove(&value);
            }
            Self::Fixed(_) => {}
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Fixed(values) => values.allocation_size(),
            // A B-tree's nodes are between half and entirely full: two thirds on average.
            Self::Mutable(rows) => rows.len() * size_of::<(i64, Key)>() * 3 / 2,
        }
    }
}
