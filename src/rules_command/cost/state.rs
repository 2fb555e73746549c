//! The state and the work of a rule set, in numbers and names.

use engine::plan::{Column, ColumnSource, FeaturePlan, KindPlan, OccurrenceShape};
use engine::rule_set::RuleSet;
use rules::notation::duration;
use rules::schema::{EventTypeId, FieldId, KindId};
use rules::typed::{Captured, Feature, FeatureId};
use serde::Serialize;

use crate::rules_command::value::span;

/// What a rule set needs.
#[derive(Debug, Serialize)]
pub(super) struct Cost {
    pub(super) kinds: Vec<Kind>,
    pub(super) columns: Vec<ColumnUse>,
    pub(super) features: Vec<FeatureCost>,
    pub(super) events: Vec<EventCost>,
}

/// The state of the entities of one kind.
#[derive(Debug, Serialize)]
pub(super) struct Kind {
    pub(super) kind: String,
    /// Of each entity, before any event.
    pub(super) entity_bytes: usize,
    /// Of each remembered event.
    pub(super) event_bytes: usize,
    /// Of each value that is kept apart.
    pub(super) value_bytes: usize,
    pub(super) columns: usize,
    pub(super) windows: usize,
    /// What is kept without remembering events.
    pub(super) occurrences: usize,
    /// How long events are remembered.
    pub(super) events_kept: String,
    /// After how long without an event an entity may leave memory.
    pub(super) entity_kept: String,
}

/// A column of the remembered events.
#[derive(Debug, Serialize)]
pub(super) struct ColumnUse {
    pub(super) kind: String,
    pub(super) column: String,
    /// The features that read it.
    pub(super) read_by: Vec<String>,
}

/// How a feature is answered.
#[derive(Debug, Serialize)]
pub(super) struct FeatureCost {
    pub(super) feature: String,
    pub(super) by: String,
    pub(super) answered: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) over: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delay: Option<String>,
    /// How long what it looks at is kept; empty where nothing is.
    pub(super) kept: String,
    /// Whether it is computed at every event and kept with it.
    pub(super) captured: bool,
}

/// The work of an event.
#[derive(Debug, Serialize)]
pub(super) struct EventCost {
    pub(super) event: String,
    /// Rules that run.
    pub(super) rules: usize,
    /// Entities that are locked, at most.
    pub(super) entities: usize,
    /// Features computed whether or not a rule asks for them.
    pub(super) captured: usize,
}

impl Cost {
    pub(super) fn of(rules: &RuleSet) -> Self {
        let kinds = KindId::all().zip(&rules.plan.kinds);
        let columns = kinds.clone().flat_map(|(id, plan)| {
            plan.columns.iter().map(move |column| ColumnUse {
                kind: rules.typed.schema.kind_name(id).to_owned(),
                column: column_name(rules, column),
                read_by: readers(rules, id, column),
            })
        });
        let features = FeatureId::all().zip(&rules.typed.features);
        let events = EventTypeId::all().zip(&rules.typed.schema.events);
        Self {
            columns: columns.collect(),
            kinds: kinds.map(|(id, plan)| kind(rules, id, plan)).collect(),
            features: features.map(|(id, it)| feature(rules, id, it)).collect(),
            events: events.map(|(id, it)| event(rules, id, &it.name)).collect(),
        }
    }
}

fn kind(rules: &RuleSet, id: KindId, plan: &KindPlan) -> Kind {
    let cost = plan.cost();
    Kind {
        kind: rules.typed.schema.kind_name(id).to_owned(),
        entity_bytes: cost.entity_bytes,
        event_bytes: cost.row_bytes,
        value_bytes: cost.value_bytes,
        columns: plan.columns.len(),
        windows: plan.history.input().windows.len(),
        occurrences: plan.occurrences.len(),
        events_kept: if plan.has_history { span(plan.keep_rows) } else { String::new() },
        entity_kept: span(plan.keep),
    }
}

fn field_name(rules: &RuleSet, id: FieldId) -> &str {
    rules.typed.schema.field(id).map_or("", |it| it.name.as_str())
}

fn feature_name(rules: &RuleSet, id: FeatureId) -> &str {
    rules.typed.feature(id).map_or("", |it| it.name.as_str())
}

fn column_name(rules: &RuleSet, column: &Column) -> String {
    match column.source {
        ColumnSource::Field(field) => field_name(rules, field).to_owned(),
        ColumnSource::Captured(feature, _) => format!("{}, as it was", feature_name(rules, feature)),
        ColumnSource::EventType => "type of the event".to_owned(),
        ColumnSource::Argument(feature, _) => format!("what {} looks at", feature_name(rules, feature)),
    }
}

/// The features of a kind that read a column.
fn readers(rules: &RuleSet, kind: KindId, column: &Column) -> Vec<String> {
    let features = FeatureId::all().zip(&rules.typed.features);
    let reads = features.filter(|(id, feature)| {
        feature.aggregate().is_some_and(|it| {
            it.over.is_some()
                && it.by.first().and_then(|role| rules.typed.schema.role_kind(*role)) == Some(kind)
                && column.source.is_read_by(*id, it)
        })
    });
    reads.map(|(_, it)| it.name.clone()).collect()
}

fn feature(rules: &RuleSet, id: FeatureId, feature: &Feature) -> FeatureCost {
    let aggregate = feature.aggregate();
    let by = aggregate.map(|it| it.by.iter().map(|it| field_name(rules, *it)).collect::<Vec<_>>().join(", "));
    let plan = rules.plan.feature(id);
    let lateness = rules.typed.schema.lateness;
    let kept = match (plan, aggregate) {
        (Some(FeaturePlan::Occurrence { .. }), _) => Some(rules.typed.schema.keep),
        (_, Some(it)) => it.over.map(|over| over + it.delay.unwrap_or(0) + lateness),
        _ => None,
    };
    FeatureCost {
        feature: feature.name.clone(),
        by: by.unwrap_or_default(),
        answered: plan.map_or("", |it| answered(rules, it)),
        over: aggregate.and_then(|it| it.over).map(duration),
        delay: aggregate.and_then(|it| it.delay).map(duration),
        kept: kept.map(span).unwrap_or_default(),
        captured: feature.captured != Captured::No,
    }
}

/// How the engine comes by a feature's value.
fn answered(rules: &RuleSet, plan: &FeaturePlan) -> &'static str {
    match plan {
        FeaturePlan::Computed => "computed",
        FeaturePlan::Window(_) => "window",
        FeaturePlan::Scan(_) => "scan of the window's events",
        FeaturePlan::Occurrence { role, at, .. } => {
            let kind = rules.typed.schema.role_kind(*role).and_then(|it| rules.plan.kind(it));
            match kind.and_then(|it| it.occurrences.get(*at)).map(|it| it.shape) {
                Some(OccurrenceShape::Value) => "last two of each value",
                Some(OccurrenceShape::Pair) => "last two of each pair",
                _ => "last two",
            }
        }
    }
}

fn event(rules: &RuleSet, id: EventTypeId, name: &str) -> EventCost {
    let schema = &rules.typed.schema;
    let fields = schema.event(id).map_or(&[][..], |it| &it.fields);
    let kinds = fields.iter().filter_map(|it| schema.role_kind(it.field));
    let captured = rules.plan.captured.iter().filter_map(|it| rules.typed.feature(*it));
    EventCost {
        event: name.to_owned(),
        rules: rules.typed.rules.iter().filter(|it| it.runs_on(id)).count(),
        entities: kinds.filter(|kind| rules.plan.has_state(*kind)).count(),
        captured: captured.filter(|it| it.domain.contains(&id)).count(),
    }
}
