//! Features without a window (`first_seen`, `last`, `time_since`, `speed`): the last two occurrences, of an entity or
//! of each value. Two, so that a recheck can leave its original out.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use rules::time::Micros;

use crate::history::Key;

/// The last two occurrences of an entity, newest first in (time, position) order, each with a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Last {
    newest: Option<(Key, i64)>,
    before: Option<(Key, i64)>,
}

impl Last {
    /// Records an occurrence, whenever it was; one that was recorded already changes nothing.
    pub fn record(&mut self, key: Key, value: i64) {
        let occurrence = Some((key, value));
        if self.newest.is_none_or(|(newest, _)| newest < key) {
            self.before = self.newest;
            self.newest = occurrence;
        } else if self.newest.is_some_and(|(newest, _)| key < newest)
            && self.before.is_none_or(|(before, _)| before < key)
        {
            self.before = occurrence;
        }
    }

    /// The newest occurrence with `time > horizon`, as if that at `exclude` had never been recorded.
    pub fn get(&self, exclude: Option<Key>, horizon: Micros) -> Option<(Key, i64)> {
        let other = |occurrence: &(Key, i64)| Some(occurrence.0) != exclude;
        let newest = self.newest.filter(other).or(self.before.filter(other));
        newest.filter(|(key, _)| key.time > horizon)
    }

    /// Both, newest first, for snapshots; recording them again in any order gives the same.
    pub fn occurrences(&self) -> impl Iterator<Item = (Key, i64)> {
        self.newest.into_iter().chain(self.before)
    }
}

/// Per value (its 64-bit hash) the last two occurrences.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    values: HashMap<i64, [Option<Key>; 2], FixedState>,
}

impl Seen {
    /// Records that a value occurred; an occurrence that was recorded already changes nothing.
    pub fn record(&mut self, value: i64, key: Key) {
        let [newest, before] = self.values.entry(value).or_default();
        if newest.is_none_or(|newest| newest < key) {
            *before = newest.replace(key);
        } else if newest.is_some_and(|newest| key < newest) && before.is_none_or(|before| before < key) {
            *before = Some(key);
        }
    }

    /// Whether a value occurred with `time > horizon`, as if what occurred at `exclude` had never been recorded.
    pub fn seen(&self, value: i64, exclude: Option<Key>, horizon: Micros) -> bool {
        let keys = self.values.get(&value).into_iter().flatten().flatten();
        keys.copied().any(|key| key.time > horizon && Some(key) != exclude)
    }

    /// The occurrences of each value, in no order of values, for snapshots; recording them again in any order gives
    /// the same.
    pub fn occurrences(&self) -> impl Iterator<Item = (i64, Key)> {
        self.values.iter().flat_map(|(value, keys)| keys.iter().flatten().map(|key| (*value, *key)))
    }

    /// Drops the values that have not occurred with `time > horizon`.
    pub fn trim(&mut self, horizon: Micros) {
        self.values.retain(|_, [newest, _]| newest.is_some_and(|key| key.time > horizon));
    }

    /// Whether the next new value makes it grow.
    pub fn is_full(&self) -> bool {
        self.values.len() == self.values.capacity()
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.values.allocation_size()
    }

    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether it holds no value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Times in any order, among few values, perhaps all recorded twice, with one left out and some too old: as if all
        /// were looked through.
        #[test]
        fn two_occurrences_are_enough(
            times in proptest::collection::vec((0..30_i64, 0..3_i64), 1..40),
            left_out in proptest::option::of(0..40_usize),
            horizon in -1..31_i64,
            trim in any::<bool>(),
            twice in any::<bool>(),
        ) {
            let all: Vec<(Key, i64)> =
                times.iter().zip(0..).map(|((time, value), at)| (Key::new(*time, at), *value)).collect();
            let (mut last, mut seen) = (Last::default(), Seen::default());
            for (key, value) in all.iter().chain(all.iter().filter(|_| twice)) {
                last.record(*key, *value);
                seen.record(*value, *key);
            }
            if trim {
                seen.trim(horizon);
            }
            let exclude = left_out.and_then(|at| all.get(at)).map(|(key, _)| *key);
            let counts = |(key, _): &&(Key, i64)| key.time > horizon && Some(*key) != exclude;
            let newest = all.iter().filter(counts).max_by_key(|(key, _)| *key).copied();
            prop_assert_eq!(last.get(exclude, horizon), newest);
            let mut again = Last::default();
            last.occurrences().for_each(|(key, value)| again.record(key, value));
            prop_assert_eq!(again, last);
            for value in 0..3 {
                let expected = all.iter().filter(counts).any(|(_, it)| *it == value);
                prop_assert_eq!(seen.seen(value, exclude, horizon), expected);
            }
        }
    }
}
