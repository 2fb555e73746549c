//! What routes may see of the state, and change in it beside events: entities, lists, rates.

use engine::entity::{EntityKey, HashKey};
use engine::lists::Membership;
use engine::rates::Rates;
use engine::state::EntityState;
use rules::schema::KindId;
use rules::typed::ListId;
use stream::gate::{NoChange, Refused};
use stream::in_force::InForce;

use super::Door;

impl Door {
    /// The key under which ids are hashed.
    pub(crate) fn key(&self) -> HashKey {
        self.gate.key()
    }

    /// An entity by its id.
    pub(crate) fn entity(&self, kind: KindId, id: &str) -> EntityKey {
        EntityKey::new(kind, self.key().hash128(id))
    }

    /// Looks at an entity under its lock, beside what is in force; none if it is not in memory.
    pub(crate) fn look<T>(
        &self,
        entity: EntityKey,
        look: impl FnOnce(&InForce, &mut EntityState) -> T,
    ) -> Option<T> {
        self.gate.look(entity, look)
    }

    /// Looks at every entity in memory, in no order.
    pub(crate) fn for_each_entity(&self, look: impl FnMut(EntityKey, &EntityState)) {
        self.gate.for_each_entity(look);
    }

    /// Puts an entity on a list or a table, in the place of what was there. Gives the record's offset.
    ///
    /// # Errors
    /// If nothing was recorded.
    pub(crate) fn put_on_list(&self, entity: EntityKey, membership: Membership) -> Result<u64, Refused> {
        self.gate.put_on_list(entity, membership).map(|it| it.offset)
    }

    /// Takes an entity off a list or a table. Gives the record's offset.
    ///
    /// # Errors
    /// If nothing was recorded.
    pub(crate) fn take_off_list(&self, entity: EntityKey, list: ListId) -> Result<u64, Refused> {
        self.gate.take_off_list(entity, list).map(|it| it.offset)
    }

    /// Puts a value on a list of plain values, or takes it off. Gives the offset of a record with which this one is durable.
    ///
    /// # Errors
    /// If there is no such list, it cannot hold such a value, or nothing was recorded.
    pub(crate) fn put_value(&self, list: &str, value: &str, held: bool) -> Result<u64, NoChange> {
        self.gate.put_value(list, value, held)?;
        Ok(self.last_record())
    }

    /// Puts another rate table in force. Gives the offset of a record with which this one is durable.
    ///
    /// # Errors
    /// If it leads to another currency than the schema's, or nothing was recorded.
    pub(crate) fn put_rates(&self, rates: &Rates) -> Result<u64, NoChange> {
        self.gate.put_rates(rates)?;
        Ok(self.last_record())
    }
}
