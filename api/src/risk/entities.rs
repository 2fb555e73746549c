//! `GET /v1/entities/{kind}/{id}`: what is known of one entity now.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use engine::decide::{self, Case, Moment, Scratch};
use engine::decision::Flags;
use engine::event::{ENTITY_ID_BYTES_MAX, Event};
use engine::state::EntityState;
use rules::schema::{EventTypeId, FieldId, KindId};
use rules::time::Micros;
use rules::typed::{Aggregate, AggregateFunction, Feature, FeatureId};
use rules::value::Value;
use serde::Serialize;
use stream::in_force::InForce;
use stream::intake;
use utoipa::ToSchema;

use super::door::Door;
use super::incoming::{all_durable, unreadable};
use super::lists::value_of;
use super::value::{Json as Cell, Ordered, Score, Time, of_event, of_feature};
use crate::app::App;
use crate::aside::aside;
use crate::limits::RECENT_EVENTS_MAX;
use crate::problem::{Code, Problem, Where};
use crate::request::Names;

/// An entity as it is known now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Entity, title = "Entity")]
pub(crate) struct EntityBody {
    /// Its kind.
    kind: String,
    /// Its id.
    id: String,
    /// Whether anything is remembered of it: otherwise no feature could still see any of its events, and it is in no list.
    known: bool,
    /// The greatest time of its events.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_event: Option<Time>,
    /// The lists that it is in.
    lists: Vec<MembershipBody>,
    /// What the features that are its own are at the engine clock, without any new event: null where nothing is known.
    #[schema(value_type = std::collections::BTreeMap<String, Cell>)]
    features: Ordered<Cell>,
    /// Its newest events with what was decided, newest first.
    recent: Vec<RecentBody>,
}

/// One list that an entity is in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Membership)]
pub(crate) struct MembershipBody {
    /// The list's name.
    list: String,
    /// Until when; null = until removed.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Time>,
    /// Of a table: the value.
    value: Cell,
}

/// One of an entity's events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecentEvent)]
pub(crate) struct RecentBody {
    /// As it was sent.
    #[schema(value_type = serde_json::Value)]
    event: Ordered<Cell>,
    /// What was decided; `none`: it was recorded only.
    outcome: &'static str,
    /// Of the decision.
    #[schema(value_type = f64)]
    score: Score,
    /// The rules that hit.
    hits: Vec<String>,
}

/// Show an entity
///
/// Its features as they stand now, the lists that it is in, and its newest events.
#[utoipa::path(
    get, path = "/v1/entities/{kind}/{id}", tag = "entities", security(("key" = ["admin", "analyst"])),
    operation_id = "show_entity",
    params(
        ("kind" = String, Path, description = "An entity kind of the schema", example = "user"),
        ("id" = String, Path, description = "The entity's id", example = "u1"),
    ),
    responses((status = 200, description = "The entity; of one that was never named `known` is false", body = EntityBody)),
    extensions(("x-problems" = json!(["kind_unknown"])))
)]
pub(crate) async fn show(State(app): State<Arc<App>>, mut names: Names) -> Result<Json<EntityBody>, Problem> {
    let in_force = app.door.in_force();
    let kind = names.text("kind");
    let kind_id = kind_of(&in_force, &kind)
        .map_err(|detail| Problem::at(Code::KindUnknown, Where::Parameter("kind".to_owned()), detail))?;
    let id = names.id("id", ENTITY_ID_BYTES_MAX)?;
    let here = Arc::clone(&app);
    let known = aside(move || known(&here.door, (kind_id, kind), id)).await?;
    // Its features and lists have seen what may not be on the disk yet.
    all_durable(&app).await?;
    Ok(Json(known))
}

fn known(door: &Door, (kind_id, kind): (KindId, String), id: String) -> Result<EntityBody, Problem> {
    let recent = door.about(kind_id, &id, RECENT_EVENTS_MAX).map_err(|it| unreadable(&it))?;
    // Of one of whose kind nothing is remembered the journal knows too.
    let last_event = recent.iter().map(|it| it.event.time).max();
    let recent = recent.iter().map(|it| {
        let decision = it.decision();
        RecentBody {
            event: of_event(&it.event, &it.rules.typed.schema),
            outcome: decision.outcome.name(),
            score: Score(decision.score_e6),
            hits: decision.hits.iter().map(|it| it.rule.to_owned()).collect(),
        }
    });
    let mut body = EntityBody {
        known: false,
        last_event: last_event.map(Time),
        lists: Vec::new(),
        features: Ordered(Vec::new()),
        recent: recent.collect(),
        kind,
        id,
    };
    let (clock, entity) = (door.clock(), door.entity(kind_id, &body.id));
    door.look(entity, |in_force, state| fill(&mut body, in_force, kind_id, clock, state));
    Ok(body)
}

/// The kind of a name, or what is said of a name that is none's.
pub(super) fn kind_of(in_force: &InForce, name: &str) -> Result<KindId, String> {
    let schema = &in_force.rules.typed.schema;
    schema.kind(name).ok_or_else(|| {
        let suggestion = intake::suggestion(name, schema.kinds.iter().map(|it| it.name.as_str()));
        format!("{} is no entity kind{suggestion}", intake::shown(name))
    })
}

fn fill(
    body: &mut EntityBody,
    in_force: &InForce,
    kind: KindId,
    clock: Option<Micros>,
    state: &mut EntityState,
) {
    let typed = &in_force.rules.typed;
    body.known = true;
    let last_event = Some(state.last_event()).filter(|it| *it != Micros::MIN);
    body.last_event = body.last_event.map(|it| it.0).max(last_event).map(Time);
    // Before the first event every entry is still to end.
    let holds = state.lists().iter().filter(|it| it.holds(clock.unwrap_or(Micros::MIN)));
    let membership = |it: &engine::lists::Membership| {
        let list = typed.list(it.list)?;
        let value = value_of(list, it, &typed.schema);
        Some(MembershipBody { list: list.name.clone(), until: it.until.map(Time), value })
    };
    body.lists = holds.filter_map(membership).collect();
    if let Some(clock) = clock {
        body.features = Ordered(features(in_force, kind, &body.id, clock, state));
    }
}

/// What the features by an entity are now, by the names of the rule set.
fn features(
    in_force: &InForce,
    kind: KindId,
    id: &str,
    clock: Micros,
    state: &mut EntityState,
) -> Vec<(String, Cell)> {
    let typed = &in_force.rules.typed;
    let mut scratch = Scratch::new(&in_force.rules);
    let mut loaded = None;
    let mut all = Vec::new();
    for feature in &typed.feature_order {
        let Some(declared) = typed.feature(*feature) else { continue };
        let Some(role) = own_role(declared, in_force, kind) else { continue };
        if loaded != Some(role) {
            let Some(()) = load(in_force, role, id, clock, state, &mut scratch) else { continue };
            loaded = Some(role);
        }
        let value = value(in_force, *feature, clock, state, &mut scratch);
        all.push((declared.name.clone(), of_feature(value, declared.ty, &typed.schema)));
    }
    all
}

/// The role by which a feature is an entity's own; none if it is not of the kind, of a pair, or about a new event.
fn own_role(feature: &Feature, in_force: &InForce, kind: KindId) -> Option<FieldId> {
    let Aggregate { by, function, reads_this, .. } = feature.aggregate()?;
    let [role] = by.as_slice() else { return None };
    let about_the_event = matches!(function, AggregateFunction::FirstSeen | AggregateFunction::Speed);
    let own = in_force.rules.typed.schema.role_kind(*role) == Some(kind);
    (own && !about_the_event && !reads_this).then_some(*role)
}

/// Loads what a feature needs of an event: the entity in its role, the engine clock as its time, and a type that no
/// window counts, so that what is computed is what is remembered.
fn load(
    in_force: &InForce,
    role: FieldId,
    id: &str,
    clock: Micros,
    state: &mut EntityState,
    scratch: &mut Scratch,
) -> Option<()> {
    let rules = &*in_force.rules;
    let event = probe(in_force, role, id, clock)?;
    scratch.facts.load(&event, rules, &in_force.rates).ok()?;
    scratch.facts.frame.event_type = EventTypeId(u16::MAX);
    decide::capture(case(in_force, &event, clock), &mut [state], scratch);
    Some(())
}

fn value(
    in_force: &InForce,
    feature: FeatureId,
    clock: Micros,
    state: &mut EntityState,
    scratch: &mut Scratch,
) -> Value {
    let event = Event::default();
    decide::feature(case(in_force, &event, clock), feature, &mut [state], scratch)
}

fn case<'a>(in_force: &'a InForce, event: &'a Event, clock: Micros) -> Case<'a> {
    let moment = Moment { at: clock, flags: Flags::default() };
    Case { rules: &in_force.rules, event, moment, exclude: None }
}

/// An event of any type that has the role, with nothing but the entity in it.
fn probe(in_force: &InForce, role: FieldId, id: &str, clock: Micros) -> Option<Event> {
    let events = &in_force.rules.typed.schema.events;
    let (of, declared) = (0_u16..).zip(events).find(|(_, it)| it.fields.iter().any(|it| it.field == role))?;
    let at = declared.fields.iter().position(|it| it.field == role)?;
    let mut event = Event::default();
    event.begin(EventTypeId(of), declared.fields.len());
    event.time = clock;
    event.set_text(at, id);
    Some(event)
}
