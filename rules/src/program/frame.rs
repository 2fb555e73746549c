//! What a program reads: the frame of one event, and the source of everything that has a past.

use crate::past::Mutable;
use crate::schema::{EventTypeId, FieldId};
use crate::time::Micros;
use crate::typed::{FeatureId, ListId, RuleId};
use crate::value::Value;

/// One event as expressions see it: its fields in slots, and the features computed so far.
///
/// A frame is made once per thread and used for event after event: [`Frame::begin`] forgets everything in constant
/// time per field, and no feature's slot is ever cleared (a generation tells old from new).
#[derive(Clone, Debug)]
pub struct Frame {
    /// The event's type.
    pub event_type: EventTypeId,
    /// The time at which it is evaluated (of an event that is too late: the edge of the allowed lateness).
    pub time: Micros,
    /// By [`FieldId`], each as [`crate::schema::FieldType`] says; none = missing.
    pub fields: Vec<Option<i64>>,
    /// Of a past event: its mutable columns.
    pub mutable: Mutable,
    /// While policy lines run: the sum of contributions so far, in millionths.
    pub score_e6: i64,
    /// While a past event is looked at: the values of the current event that the aggregate reads, in the order of
    /// its program's `this` list.
    pub this: Vec<Value>,
    /// Scratch: which of the event type's rules hold.
    pub(super) held: Vec<u64>,
    generation: u32,
    features: Vec<Memo>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Memo {
    generation: u32,
    value: Value,
}

impl Frame {
    /// A frame for rule sets of so many fields and features.
    pub fn new(fields: usize, features: usize) -> Self {
        Self {
            event_type: EventTypeId(0),
            time: 0,
            fields: vec![None; fields],
            mutable: Mutable::default(),
            score_e6: 0,
            this: Vec::new(),
            held: Vec::new(),
            generation: 1,
            features: vec![Memo::default(); features],
        }
    }

    /// Starts the next event: all fields missing, no feature known.
    pub fn begin(&mut self, event_type: EventTypeId, time: Micros) {
        self.event_type = event_type;
        self.time = time;
        self.mutable = Mutable::default();
        self.score_e6 = 0;
        self.this.clear();
        self.fields.fill(None);
        self.forget_features();
    }

    /// Forgets the features, but not the fields.
    pub fn forget_features(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.features.fill(Memo::default());
            self.generation = 1;
        }
    }

    /// A field's slot.
    #[inline]
    pub fn field(&self, id: FieldId) -> Option<i64> {
        self.fields.get(id.index()).copied().flatten()
    }

    /// Sets a field's slot; an id of another schema is ignored.
    pub fn set_field(&mut self, id: FieldId, slot: Option<i64>) {
        if let Some(field) = self.fields.get_mut(id.index()) {
            *field = slot;
        }
    }

    /// A feature's value, if it has been computed (or set) since [`Frame::begin`].
    #[inline]
    pub fn known(&self, id: FeatureId) -> Option<Value> {
        self.known_in_place(id).copied()
    }

    /// A feature's value if it is known, where it stands: a value is 32 bytes, of which most readers want a few.
    #[inline]
    pub(super) fn known_in_place(&self, id: FeatureId) -> Option<&Value> {
        let memo = self.features.get(id.index())?;
        (memo.generation == self.generation).then_some(&memo.value)
    }

    /// Remembers a feature's value, computed or taken from a record.
    pub fn set_feature(&mut self, id: FeatureId, value: Value) {
        if let Some(memo) = self.features.get_mut(id.index()) {
            *memo = Memo { generation: self.generation, value };
        }
    }
}

/// Where a program gets what it cannot compute from the frame: the engine's windows and lists, or a test's.
pub trait Source {
    /// The value of an aggregate feature for the event in `frame`. Called at most once per event and feature.
    fn aggregate(&mut self, feature: FeatureId, frame: &mut Frame) -> Value;
    /// Whether the entity in this role is in a list of entities; a missing role is in none.
    fn listed(&mut self, list: ListId, role: FieldId) -> bool;
    /// Whether a value (as it stands in a slot) is in a list of values.
    fn listed_value(&mut self, list: ListId, slot: i64) -> bool;
    /// The value beside the entity in this role in a table, as it stands in a slot.
    fn table_value(&mut self, list: ListId, role: FieldId) -> Option<i64>;
    /// Whether the entity in this role is in a rule's share: a hash of the rule's name and the id's text, in
    /// millionths, below `share_e6`. A missing role is not.
    fn in_share(&mut self, rule: RuleId, role: FieldId, share_e6: u32) -> bool;
}

/// A source with nothing in it: for conditions over past events, which read only their frame.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Source for Nothing {
    fn aggregate(&mut self, _: FeatureId, _: &mut Frame) -> Value {
        Value::Missing
    }
    fn listed(&mut self, _: ListId, _: FieldId) -> bool {
        false
    }
    fn listed_value(&mut self, _: ListId, _: i64) -> bool {
        false
    }
    fn table_value(&mut self, _: ListId, _: FieldId) -> Option<i64> {
        None
    }
    fn in_share(&mut self, _: RuleId, _: FieldId, _: u32) -> bool {
        false
    }
}
