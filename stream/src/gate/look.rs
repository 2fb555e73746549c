//! Looking at one entity as it is now.

use engine::entity::EntityKey;
use engine::state::EntityState;

use super::Gate;
use crate::in_force::InForce;

impl Gate {
    /// Looks at an entity under its lock, beside what is in force; none if it is not in memory. Whoever looks may ask
    /// windows, which moves their cursors: a cache, which no value shows.
    pub fn look<T>(&self, key: EntityKey, look: impl FnOnce(&InForce, &mut EntityState) -> T) -> Option<T> {
        let (in_force, directory) = self.current.with_directory();
        let slot = directory.get(key)?;
        let mut state = slot.lock();
        (!state.is_dead()).then(|| look(&in_force, &mut state))
    }
}
