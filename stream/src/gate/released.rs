//! For the proof of the lock protocol only: locks that are released too early.

use std::sync::Arc;

use engine::apply::Applied;
use engine::history::Key;
use engine::state::EntityState;

use super::{Gate, Worker};
use crate::state::apply;

impl Gate {
    /// The locks of this kind are released between decide and apply, with a yield there, so that a test that counts
    /// on them must fail.
    pub fn release_early(&mut self, kind: rules::schema::KindId) {
        self.release_early = Some(kind);
    }

    /// Puts a state that nobody looks at in the place of each of the kind's: who holds other locks must not wait for
    /// one that stands before them.
    pub(super) fn release(&self, worker: &mut Worker) {
        let Worker { scratch, locks, .. } = worker;
        for (key, guard) in scratch.facts.roles.stateful.iter().zip(&mut locks.guards) {
            if Some(key.kind) == self.release_early {
                let nobody = Arc::new(parking_lot::Mutex::new(EntityState::new(None)));
                *guard = parking_lot::Mutex::lock_arc(&nobody);
                std::thread::yield_now();
            }
        }
    }

    pub(super) fn apply_released(&self, applied: Applied, original: Option<Key>, worker: &mut Worker) {
        if self.release_early.is_none() {
            return;
        }
        let keys = worker.scratch.facts.roles.stateful.clone();
        for (entity, key) in
            keys.into_iter().enumerate().filter(|(_, it)| Some(it.kind) == self.release_early)
        {
            let Worker { in_force, directory, scratch, locks, .. } = &mut *worker;
            let rules = &*in_force.rules;
            directory.lock(&[key], rules, locks);
            if let Some(state) = locks.guards.first_mut() {
                apply::event_of(rules, applied, original, entity, state, scratch);
            }
            locks.guards.clear();
        }
    }
}
