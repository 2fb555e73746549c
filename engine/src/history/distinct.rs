//! Where each value last occurred: what flags the newest row of every value in a long history.

use std::collections::BTreeSet;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use rules::time::Micros;

use super::Key;

/// The rows of one distinct lane by value, as far back as its widest window reaches.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    rows: Rows,
    /// At so many of them those that no window reaches any more are forgotten.
    full: usize,
}

#[derive(Clone, Debug)]
enum Rows {
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
const BYTES_PER_SLOT: usize = size_of::<(i64, Pair)>() + 1;

const FIRST: Key = Key { time: i64::MIN, position: 0 };
const LAST: Key = Key { time: i64::MAX, position: 0 };

/// Of how few rows forgetting is not worth a pass.
const FEW: usize = 64;

impl Values {
    pub(crate) fn new(mutable: bool) -> Self {
        let rows = if mutable { Rows::Mutable(BTreeSet::new()) } else { Rows::Fixed(HashMap::default()) };
        Self { rows, full: FEW }
    }

    /// The newest row of a value, but for one.
    pub(crate) fn newest(&self, value: i64, exclude: Option<Key>) -> Option<Key> {
        let other = |key: &Key| Some(*key) != exclude;
        match &self.rows {
            Rows::Fixed(values) => {
                let [newest, before] = values.get(&value)?.keys();
                Some(newest).filter(other).or(Some(before).filter(|before| *before != FIRST))
            }
            Rows::Mutable(rows) => {
                rows.range((value, FIRST)..=(value, LAST)).rev().map(|(_, key)| *key).find(other)
            }
        }
    }

    /// Takes a row in. Gives the newest row of its value before that.
    pub(crate) fn insert(&mut self, value: i64, key: Key) -> Option<Key> {
        match &mut self.rows {
            Rows::Mutable(_) => {
                let newest = self.newest(value, None);
                if let Rows::Mutable(rows) = &mut self.rows {
                    rows.insert((value, key));
                }
                newest
            }
            Rows::Fixed(values) => match values.entry(value) {
                Entry::Vacant(entry) => {
                    entry.insert(Pair::new(key, FIRST));
                    None
                }
                Entry::Occupied(mut entry) => {
                    let [newest, before] = entry.get().keys();
                    if newest < key {
                        *entry.get_mut() = Pair::new(key, newest);
                    } else if key < newest && before < key {
                        *entry.get_mut() = Pair::new(newest, key);
                    }
                    Some(newest)
                }
            },
        }
    }

    /// Takes a row out under a mutable condition. Gives the newest row of its value after that.
    pub(crate) fn remove(&mut self, value: i64, key: Key) -> Option<Key> {
        if let Rows::Mutable(rows) = &mut self.rows {
            rows.remove(&(value, key));
        }
        self.newest(value, None)
    }

    /// Forgets what no window of the lane reaches: rows with `time <= horizon`. They may stay flagged, below every
    /// edge. A pass over all, made when a quarter has come since the last, so that it costs a row a constant.
    pub(crate) fn forget(&mut self, horizon: Micros) {
        if self.len() < self.full {
            return;
        }
        match &mut self.rows {
            Rows::Fixed(values) => {
                values.retain(|_, pair| {
                    let [newest, _] = pair.keys();
                    horizon < newest.time
                });
                // What a burst left room for is given back.
                values.shrink_to(4 * values.len() + FEW);
            }
            Rows::Mutable(rows) => rows.retain(|(_, key)| horizon < key.time),
        }
        self.full = self.len() + self.len() / 4 + FEW;
    }

    fn len(&self) -> usize {
        match &self.rows {
            Rows::Fixed(values) => values.len(),
            Rows::Mutable(rows) => rows.len(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match &self.rows {
            Rows::Fixed(values) => values.allocation_size(),
            // A B-tree's nodes are between half and entirely full: two thirds on average.
            Rows::Mutable(rows) => rows.len() * size_of::<(i64, Key)>() * 3 / 2,
        }
    }

    /// Bytes of a table under a fixed condition, of which so many values are within reach while as many leave as come.
    pub(crate) fn bytes_estimate(values: usize) -> usize {
        let most = values + values / 4 + FEW;
        // A power of two of slots, of which 7/8 are used.
        (most * 8).div_ceil(7).next_power_of_two() * BYTES_PER_SLOT
    }
}
