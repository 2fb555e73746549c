//! An event prepared for the engine: fields in slots, entities as keys.

use rules::program::Frame;
use rules::schema::{Currency, EventTypeId, FieldId, FieldType, KindId};

use crate::entity::EntityKey;
use crate::event::{AMOUNT_MAX, Event, FieldValue};
use crate::plan::Plan;
use crate::rates::{NotConverted, Rates};
use crate::rule_set::RuleSet;

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
    /// Those of them that have a state, in the same order: they are locked, read and written, and nobody else.
    pub stateful: Vec<EntityKey>,
    /// The roles that are present, in the order of the event's fields.
    named: Vec<(FieldId, EntityKey)>,
    /// By field: which of `stateful` is in this role.
    by_field: Vec<Option<u8>>,
}

/// Why an event cannot be prepared: an amount cannot be compared with others.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Incomparable {
    /// The rate table lacks a currency.
    #[error("no rate for `{}` in field `{field}`: add it to the rate table, or send another currency", currency.code())]
    NoRate {
        /// The field that holds the amount.
        field: String,
        /// The currency that is missing.
        currency: Currency,
    },
    /// It is more than is counted, once it is converted.
    #[error(
        "field `{field}` comes to more than {AMOUNT_MAX} in minor units of `{}`, the greatest amount there is: send less, \
         or mend the rate of `{}`",
        into.code(), currency.code()
    )]
    TooLarge {
        /// The field that holds the amount.
        field: String,
        /// The currency that it is in.
        currency: Currency,
        /// The one that it is converted to.
        into: Currency,
    },
}

impl Facts {
    /// Empty facts for a rule set.
    pub fn new(rules: &RuleSet) -> Self {
        let fields = rules.typed.schema.fields.len();
        Self {
            frame: Frame::new(fields, rules.typed.features.len()),
            roles: Roles {
                entities: Vec::new(),
                stateful: Vec::new(),
                named: Vec::new(),
                by_field: vec![None; fields],
            },
        }
    }

    /// Loads an event under the rule set that the facts were made for: hashes ids and texts, converts money.
    ///
    /// # Errors
    /// If an amount is in a currency for which `rates` has no rate, or too large once it is converted.
    pub fn load(&mut self, event: &Event, rules: &RuleSet, rates: &Rates) -> Result<(), Incomparable> {
        let (schema, key) = (&rules.typed.schema, rules.key);
        let event_type = event.event_type.unwrap_or(EventTypeId(0));
        self.frame.begin(event_type, event.time);
        self.roles.clear();
        let Some(event_type) = schema.event(event_type) else { return Ok(()) };
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
                    Some(converted.map_err(|why| incomparable(why, &declared.name, currency, wanted))?)
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
        self.roles.settle(&rules.plan);
        Ok(())
    }
}

fn incomparable(why: NotConverted, field: &str, currency: Currency, into: Currency) -> Incomparable {
    let field = field.to_owned();
    match why {
        NotConverted::NoRate => Incomparable::NoRate { field, currency },
        NotConverted::TooLarge => Incomparable::TooLarge { field, currency, into },
    }
}

impl Roles {
    /// Loads who stands in the roles of an event, and nothing else of it.
    pub fn load(&mut self, event: &Event, rules: &RuleSet) {
        self.clear();
        let named = event.roles(&rules.typed.schema);
        let key =
            |(role, kind, id): (FieldId, KindId, &str)| (role, EntityKey::new(kind, rules.key.hash128(id)));
        self.named.extend(named.map(key));
        self.settle(&rules.plan);
    }

    /// Puts into `keys` whom [`Roles::stateful`] names once an event is loaded, and nothing else of it.
    pub fn stateful_in(event: &Event, rules: &RuleSet, keys: &mut Vec<EntityKey>) {
        keys.clear();
        let named = event.roles(&rules.typed.schema).filter(|(_, kind, _)| rules.plan.has_state(*kind));
        keys.extend(named.map(|(_, kind, id)| EntityKey::new(kind, rules.key.hash128(id))));
        keys.sort_unstable();
        keys.dedup();
    }

    fn clear(&mut self) {
        self.entities.clear();
        self.stateful.clear();
        self.named.clear();
        self.by_field.fill(None);
    }

    /// Sorts the entities, leaves each once, and notes who has a state and who is in which role.
    fn settle(&mut self, plan: &Plan) {
        self.entities.extend(self.named.iter().map(|(_, entity)| *entity));
        self.entities.sort_unstable();
        self.entities.dedup();
        self.stateful.extend(plan.stateful(&self.entities));
        for (field, entity) in &self.named {
            let at = self.stateful.iter().position(|it| it == entity);
            if let Some(role) = self.by_field.get_mut(field.index()) {
                *role = at.and_then(|at| u8::try_from(at).ok());
            }
        }
    }

    /// The entity in a role, with a state or without.
    pub fn key_in(&self, role: FieldId) -> Option<EntityKey> {
        self.named.iter().find(|(named, _)| *named == role).map(|(_, entity)| *entity)
    }

    /// Which of [`Roles::stateful`] is in a role; none if the role is missing, or has no state.
    pub fn entity_in(&self, role: FieldId) -> Option<usize> {
        self.by_field.get(role.index()).copied().flatten().map(usize::from)
    }
}
