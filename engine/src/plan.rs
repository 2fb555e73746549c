//! What state a rule set needs, kind by kind: the columns, membership conditions and windows of histories, and what is
//! kept without a window.
//!
//! A **condition** is everything about a past event's membership but its time: its type, the role in which this
//! entity stands in it, the `where`, and that the argument is present. It is one bit of the event's row. Features that
//! ask the same share the bit.

use rules::past::Mutable;
use rules::program::Frame;
use rules::schema::{EventTypeId, FieldId, KindId};
use rules::time::Micros;
use rules::typed::{Aggregate, AggregateFunction, Expr, ExprKind, FeatureId};
use rules::value::{Form, Value};
use smallvec::SmallVec;

use crate::entity::EntityKey;
use crate::history::{self, ColumnId, ConditionId, HistoryPlan, Row, WindowId};

mod build;

/// The state of a whole rule set.
#[derive(Clone, Debug)]
pub struct Plan {
    /// By kind.
    pub kinds: Vec<KindPlan>,
    /// By feature: how the engine answers it.
    pub features: Vec<FeaturePlan>,
    /// Features captured at every event, in the order in which they are computed.
    pub captured: Vec<FeatureId>,
    /// By field: the features of the entity in this role that are answered together.
    pub(crate) batches: Vec<Vec<Batched>>,
}

impl Plan {
    /// The plan of a kind.
    pub fn kind(&self, id: KindId) -> Option<&KindPlan> {
        self.kinds.get(id.index())
    }

    /// How the engine answers a feature.
    pub fn feature(&self, id: FeatureId) -> Option<&FeaturePlan> {
        self.features.get(id.index())
    }

    /// Those entities of an event that have a state, in the same order.
    pub fn stateful(&self, entities: &[EntityKey]) -> SmallVec<[EntityKey; 4]> {
        entities.iter().copied().filter(|it| self.has_state(it.kind)).collect()
    }

    /// Whether entities of a kind have a state.
    pub fn has_state(&self, kind: KindId) -> bool {
        self.kind(kind).is_some_and(|kind| kind.has_state)
    }
}

/// A count or an exact sum over a window without a `where` of its own: two loads and a subtraction once the entity's
/// totals are known, so that all of a role are answered as soon as one is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Batched {
    pub(crate) feature: FeatureId,
    /// Which totals.
    pub(crate) part: history::Part,
    /// The types of events that count themselves.
    pub(crate) of: Vec<EventTypeId>,
    /// Of a sum: the field that an event that counts itself adds; of a count none.
    pub(crate) sum: Option<FieldId>,
}

/// The state of one kind's entities.
#[derive(Clone, Debug)]
pub struct KindPlan {
    /// What stands in each column of a row.
    pub columns: Vec<Column>,
    /// What each bit of a row says.
    pub conditions: Vec<Condition>,
    /// Whether anything is remembered of this kind's entities: by a feature, a list, or an alert raised `once per` one
    /// of them. Otherwise they have no state: there is nothing to look up, to lock or to write.
    pub has_state: bool,
    /// Whether rows of this kind are kept at all.
    pub has_history: bool,
    /// The windows over them.
    pub history: HistoryPlan,
    /// What is kept without rows.
    pub occurrences: Vec<OccurrencePlan>,
    /// An entity may leave memory when its last event is older than this.
    pub keep: Micros,
    /// Rows older than this behind the engine clock are dropped.
    pub keep_rows: Micros,
}

impl KindPlan {
    /// Puts a past event into a frame: its time and the columns that conditions read.
    pub(crate) fn load(&self, row: Row<'_>, frame: &mut Frame) {
        frame.forget_features();
        frame.time = row.key().time;
        frame.mutable = Mutable::unpack(row.state());
        for (id, column) in ColumnId::all().zip(&self.columns) {
            let present = column.present.is_none_or(|it| row.member(it));
            let slot = present.then(|| row.value(id));
            match column.source {
                ColumnSource::Field(field) => frame.set_field(field, slot),
                ColumnSource::Captured(feature, form) => {
                    frame.set_feature(feature, Value::from_slot(slot, form));
                }
                ColumnSource::EventType => {
                    frame.event_type =
                        EventTypeId(slot.and_then(|it| u16::try_from(it).ok()).unwrap_or(u16::MAX));
                }
                ColumnSource::Argument(..) => {}
            }
        }
    }
}

/// What stands in a column.
#[derive(Clone, PartialEq, Debug)]
pub struct Column {
    /// Where it comes from.
    pub source: ColumnSource,
    /// The condition that says whether it is present; none = always.
    pub present: Option<ConditionId>,
}

/// Where a column comes from.
#[derive(Clone, PartialEq, Debug)]
pub enum ColumnSource {
    /// A field of the event.
    Field(FieldId),
    /// A feature as it was at the event's time.
    Captured(FeatureId, Form),
    /// The event's type.
    EventType,
    /// An aggregate's argument that is more than a field or a feature.
    Argument(FeatureId, Form),
}

impl ColumnSource {
    /// Whether an aggregate looks at it in past events, but for the conditions that were told when they happened.
    pub fn is_read_by(&self, feature: FeatureId, aggregate: &Aggregate) -> bool {
        let is_it = |kind: &ExprKind| match (self, kind) {
            (Self::Field(column), ExprKind::Field(field)) => column == field,
            (Self::Captured(column, _), ExprKind::Feature(feature)) => column == feature,
            (Self::EventType, ExprKind::EventType) => true,
            _ => false,
        };
        let pair = matches!(self, Self::Field(field) if aggregate.via.get(1) == Some(field));
        let argument = aggregate.argument.as_ref();
        let whole = matches!(self, Self::Argument(of, _) if *of == feature);
        // Conditions are looked at again only where an amendment or the current event may change them.
        let kept = aggregate.reads_mutable || aggregate.reads_this;
        let conditions = aggregate.condition.iter().chain(&aggregate.numerator).filter(|_| kept);
        let scanned = argument.filter(|_| aggregate.is_scanned());
        let mut in_conditions = false;
        for expr in conditions.chain(scanned) {
            expr.visit_scope(&mut |it| in_conditions |= is_it(&it.kind));
        }
        pair || whole || in_conditions || argument.is_some_and(|it| is_it(&it.kind))
    }
}

/// What one bit of a row says: all of these at once.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Condition {
    /// The types of events that match; empty = any.
    pub of: Vec<EventTypeId>,
    /// The role in which this entity stands in them; none = any.
    pub via: Option<FieldId>,
    /// Of a pair: the role that must be present beside it.
    pub beside: Option<FieldId>,
    /// The test: an aggregate's `where`, with or without its inner one.
    pub test: Option<Test>,
    /// What must be present.
    pub present: Option<ColumnSource>,
}

/// A test of a past event. Two that say the same are equal, whichever feature asked first.
#[derive(Clone, Debug)]
pub struct Test {
    /// The aggregate whose `where` it is.
    pub feature: FeatureId,
    /// Whether a ratio's inner `where` must hold too.
    pub above: bool,
    /// Whether an amendment may change its answer.
    pub mutable: bool,
    /// If so: the condition that says all but the test; none = it always holds.
    pub base: Option<ConditionId>,
    /// The outer and the inner condition.
    clauses: (Option<Expr>, Option<Expr>),
}

impl PartialEq for Test {
    fn eq(&self, other: &Self) -> bool {
        self.clauses == other.clauses
    }
}

/// Something kept per entity or per value: the last two occurrences.
#[derive(Clone, PartialEq, Debug)]
pub struct OccurrencePlan {
    /// Which events count.
    pub condition: Condition,
    /// What is kept of each; none = its time only.
    pub value: Option<ColumnSource>,
    /// What they are kept for.
    pub shape: OccurrenceShape,
    /// Of a pair: the role of the second entity.
    pub beside: Option<FieldId>,
    /// Older ones are forgotten.
    pub keep: Micros,
}

/// What a pair of last occurrences is kept for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OccurrenceShape {
    /// The entity.
    Entity,
    /// Each value.
    Value,
    /// Each second entity of a pair.
    Pair,
}

/// How the engine answers a feature.
#[derive(Clone, PartialEq, Debug)]
pub enum FeaturePlan {
    /// It does not: the program computes it.
    Computed,
    /// From a window whose rows are told by a bit.
    Window(WindowPlan),
    /// By looking at each row of a window of the right type and role: the condition reads the event being decided.
    Scan(WindowPlan),
    /// From the last two occurrences of the entity in this role.
    Occurrence {
        /// Whose.
        role: FieldId,
        /// Index in [`KindPlan::occurrences`].
        at: usize,
        /// Of a pair: the other role.
        pair: Option<FieldId>,
    },
}

/// A window over the history of the entity in a role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WindowPlan {
    /// What is computed of it.
    pub function: AggregateFunction,
    /// The form of what is summed, told apart or looked at.
    pub form: Form,
    /// Whose history.
    pub role: FieldId,
    /// Of a pair: the other role, whose slot picks the rows.
    pub pair: Option<FieldId>,
    /// The window of matching events.
    pub window: WindowId,
    /// Of a ratio: the window of those above the line.
    pub above: Option<WindowId>,
    /// When the event being decided is in it.
    pub own: Own,
    /// Whether it is answered together with others of its role.
    pub(crate) batched: bool,
}

/// When an event that is being decided counts in a window over itself. It is not among the rows yet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Own {
    /// The types that count; none where the window leaves the event out (`before`, `delay`).
    pub of: Vec<EventTypeId>,
    /// Pairs of roles that must name the same entity: that of the feature, and that in which past events match.
    pub same: Vec<(FieldId, FieldId)>,
    /// Whether there is a `where` to pass.
    pub tested: bool,
    /// The argument, where it is a field as it stands; otherwise the aggregate's program computes it.
    pub field: Option<FieldId>,
}

impl FeaturePlan {
    /// The role of the entity whose state answers.
    pub fn role(&self) -> Option<FieldId> {
        match self {
            Self::Computed => None,
            Self::Window(window) | Self::Scan(window) => Some(window.role),
            Self::Occurrence { role, .. } => Some(*role),
        }
    }

    /// Of a pair: the other role.
    pub fn pair(&self) -> Option<FieldId> {
        match self {
            Self::Computed => None,
            Self::Window(window) | Self::Scan(window) => window.pair,
            Self::Occurrence { pair, .. } => *pair,
        }
    }
}
