//! The directory of entities, and the locking of all that one event names.
//!
//! The map is a directory only: its guards are dropped before anything is locked (two guards of one shard in one
//! thread hang for ever), and what is locked are the entities' own states, in the order of their keys.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use dashmap::DashMap;
use engine::entity::EntityKey;
use engine::near;
use engine::rule_set::RuleSet;
use engine::state::EntityState;
use parking_lot::{ArcMutexGuard, Mutex, MutexGuard, RawMutex};

use super::new_state;

/// An entity's state, locked.
pub(crate) type Guard = ArcMutexGuard<RawMutex, EntityState>;
pub(crate) type Slot = Arc<Mutex<EntityState>>;
/// Prefetches a part of states that are locked: `apply::prefetch` or `decide::prefetch`.
pub(crate) type Prefetch = fn(&[MutexGuard<'_, EntityState>]);

/// All entities in memory.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    slots: DashMap<EntityKey, Slot, BuildHasherDefault<KeyHasher>>,
}

/// An [`EntityKey`] is a keyed hash already: this passes its 64 bits on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// What one thread needs to lock the entities of an event after another.
#[derive(Default)]
pub(crate) struct Locks {
    slots: Vec<Slot>,
    /// In the order of the keys that were asked for.
    pub(crate) guards: Vec<Guard>,
}

impl std::fmt::Debug for Locks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Locks").field("guards", &self.guards.len()).finish_non_exhaustive()
    }
}

/// Locks slots in their order, in place of what was locked; gives whether none of them is dead.
fn lock_all(slots: &mut Vec<Slot>, guards: &mut Vec<Guard>) -> bool {
    guards.clear();
    guards.extend(slots.drain(..).map(|slot| Mutex::lock_arc(&slot)));
    guards.iter().all(|guard| !guard.is_dead())
}

impl Directory {
    /// Locks the states of these keys, which are sorted and each there once; creates those that are not in memory, as this
    /// rule set lays them out.
    ///
    /// First all slots are cloned out of the directory, then all are locked: what one look-up waits for in memory
    /// does not hold up the next. A slot that was evicted in between is dead, and all is begun again.
    pub(crate) fn lock(&self, keys: &[EntityKey], rules: &RuleSet, locks: &mut Locks) {
        loop {
            locks.slots.clear();
            locks.slots.extend(keys.iter().map(|key| self.slot(*key, rules)));
            if lock_all(&mut locks.slots, &mut locks.guards) {
                return;
            }
            // Who evicts marks the state dead first and then takes it out of the map: let it come to that.
            std::thread::yield_now();
        }
    }

    fn slot(&self, key: EntityKey, rules: &RuleSet) -> Slot {
        if let Some(slot) = self.slots.get(&key) {
            return Arc::clone(&slot);
        }
        Arc::clone(&self.slots.entry(key).or_insert_with(|| Arc::new(Mutex::new(new_state(rules, key)))))
    }

    /// The state of a key, if it is in memory; not locked.
    pub(crate) fn get(&self, key: EntityKey) -> Option<Slot> {
        self.slots.get(&key).map(|slot| Arc::clone(&slot))
    }

    /// Locks as [`Directory::lock`] does; what [`Directory::bring_near`] found for the same keys is not looked up again.
    pub(crate) fn lock_near(
        &self,
        keys: &[EntityKey],
        near: &mut Vec<Slot>,
        rules: &RuleSet,
        locks: &mut Locks,
    ) {
        if near.is_empty() || !lock_all(near, &mut locks.guards) {
            self.lock(keys, rules, locks);
        }
    }

    /// Finds the slots of these keys, all or none, and prefetches from the states that are in memory and that nobody has what
    /// whoever locks them soon will read.
    pub(crate) fn bring_near(&self, keys: &[EntityKey], near: &mut Vec<Slot>, prefetch: Prefetch) {
        near.clear();
        near.extend(keys.iter().filter_map(|key| self.get(*key)));
        for state in near.iter().filter_map(|slot| slot.try_lock()) {
            prefetch(&[state]);
        }
        if near.len() != keys.len() {
            near.clear();
        }
    }

    /// Prefetches the states of these keys that are in memory, for whoever will lock them soon.
    pub(crate) fn prefetch(&self, keys: &[EntityKey]) {
        for slot in keys.iter().filter_map(|key| self.slots.get(key)) {
            // Its counts stand before it, and are written too.
            let counts = 2 * size_of::<usize>();
            let from = Arc::as_ptr(&slot).cast::<u8>().wrapping_sub(counts);
            near::prefetch_to_write(from, counts + size_of::<Mutex<EntityState>>());
        }
    }

    /// Takes an entity out of memory if `may_leave` says so under its lock.
    pub(crate) fn evict(&self, key: EntityKey, may_leave: impl FnOnce(&EntityState) -> bool) -> bool {
        let Some(slot) = self.get(key) else { return false };
        let mut state = slot.lock();
        if state.is_dead() || !may_leave(&state) {
            return false;
        }
        state.mark_dead();
        drop(state);
        self.slots.remove_if(&key, |_, known| Arc::ptr_eq(known, &slot)).is_some()
    }

    /// Takes out of memory whoever `may_leave`; gives how many did.
    pub(crate) fn evict_all(&self, may_leave: impl Fn(EntityKey, &EntityState) -> bool) -> usize {
        self.keys().into_iter().filter(|key| self.evict(*key, |state| may_leave(*key, state))).count()
    }

    /// How many entities are in memory.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Puts a state back under its key, in the place of what was there.
    pub(crate) fn put(&self, key: EntityKey, state: EntityState) {
        self.slots.insert(key, Arc::new(Mutex::new(state)));
    }

    /// Forgets everything, one after the other, `rest`ing behind each; whoever holds a state still has it.
    pub(crate) fn clear(&self, mut rest: impl FnMut()) {
        for key in self.keys() {
            self.slots.remove(&key);
            rest();
        }
    }

    /// The keys in memory, in no order; those that come or go meanwhile may or may not be among them.
    pub(crate) fn keys(&self) -> Vec<EntityKey> {
        self.slots.iter().map(|entry| *entry.key()).collect()
    }

    /// Looks at every state in memory, one lock at a time.
    pub(crate) fn for_each(&self, mut look: impl FnMut(EntityKey, &EntityState)) {
        for key in self.keys() {
            if let Some(slot) = self.get(key) {
                look(key, &slot.lock());
            }
        }
    }
}
