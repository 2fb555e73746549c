//! An event prepared for the engine: fields in slots, entities as keys.

use rules::program::Frame;
use rules::schema::{Currency, EventTypeId, FieldId, FieldType, Schema};

use crate::entity::{EntityKey, HashKey};
use crate::event::{Event, FieldValue};
use crate::rates::Rates;

/// One event as rules, windows and locks need it. Made once per thread, loaded for event after event.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Fields in slots and features computed so far; its time is the event's own until the engine has clamped it.
    pub frame: Frame,
    /// Who is in which role.
    pub roles: Roles,
}

/// The entities of one event, and the roles in which they stand in it.
#[derive(Clone, Debug)]
pub struct Roles {
    /// Each entity once, in the canonical order of locking.
    pub entities: Vec<EntityKey>,
    /// The roles that are present, in the order of the event's fields.
    named: Vec<(FieldId, EntityKey)>,
    /// By field: which of `entities` is in this role.
    by_field: Vec<Option<u8>>,
}

/// Why an event cannot be prepared.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no rate for `{}` in field `{field}`: add it to the rate table, or send another currency", currency.code())]
pub struct NoRate {
    /// The field that holds the amount.
    pub field: String,
    /// The currency that the rate table lacks.
    pub currency: Currency,
}

impl Facts {
    /// Empty facts for a schema and a rule set of so many features.
    pub fn new(schema: &Schema, features: usize) -> Self {
        Self {
            frame: Frame::new(schema.fields.len(), features),
            roles: Roles {
                entities: Vec::new(),
                named: Vec::new(),
                by_field: vec![None; schema.fields.len()],
            },
        }
    }

    /// Loads an event: hashes ids and texts, converts money.
    ///
    /// # Errors
    /// If an amount is in a currency for which `rates` has no rate.
    pub fn load(
        &mut self,
        event: &Event,
        schema: &Schema,
        key: HashKey,
        rates: &Rates,
    ) -> Result<(), NoRate> {
        let event_type = event.event_type.unwrap_or(EventTypeId(0));
        self.frame.begin(event_type, event.time);
        self.roles.clear();
        let Some(event_type) = schema.events.get(event_type.index()) else { return Ok(()) };
        for (at, field) in event_type.fields.iter().enumerate() {
            let Some(declared) = schema.field(field.field) else { continue };
            let slot = match (event.value(at), declared.ty) {
                (FieldValue::Missing, _) => None,
                (FieldValue::Number(number), _) => Some(number),
                (FieldValue::Money { minor, currency }, ty) => {
                    let wanted = match ty {
                        FieldType::Money { currency: Some(fixed) } => fixed,
                        _ => schema.currency,
                    };
                    let converted = rates.convert(minor, currency, wanted);
                    Some(converted.ok_or_else(|| NoRate { field: declared.name.clone(), currency })?)
                }
                (FieldValue::Text(text), FieldType::Entity(kind)) => {
                    let entity = EntityKey::new(kind, key.hash128(text));
                    self.roles.named.push((field.field, entity));
                    Some(entity.slot())
                }
                (FieldValue::Text(text), _) => Some(key.slot(text)),
            };
            self.frame.set_field(field.field, slot);
        }
        self.roles.settle();
        Ok(())
    }
}

impl Roles {
    fn clear(&mut self) {
        self.entities.clear();
        self.named.clear();
        self.by_field.fill(None);
    }

    /// Sorts the entities, leaves each once, and notes who is in which role.
    fn settle(&mut self) {
        self.entities.extend(self.named.iter().map(|(_, entity)| *entity));
        self.entities.sort_unstable();
        self.entities.dedup();
        for (field, entity) in &self.named {
            let at = self.entities.iter().position(|it| it == entity);
            if let Some(role) = self.by_field.get_mut(field.index()) {
                *role = at.and_then(|at| u8::try_from(at).ok());
            }
        }
    }

    /// The entity in a role.
    pub fn key_in(&self, role: FieldId) -> Option<EntityKey> {
        self.entity_in(role).and_then(|at| self.entities.get(at)).copied()
    }

    /// Which of [`Roles::entities`] is in a role; none if the role is missing.
    pub fn entity_in(&self, role: FieldId) -> Option<usize> {
        self.by_field.get(role.index()).copied().flatten().map(usize::from)
    }
}
