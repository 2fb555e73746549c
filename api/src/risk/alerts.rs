//! Alerts: page by page, one by one, live; and what people do with them.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Sse;
use axum::response::sse::{Event as Sent, KeepAlive};
use axum::{Extension, Json};
use desk::alert::{Act, Alert, Filter, Page, Status, record_of};
use engine::event::ENTITY_ID_BYTES_MAX;
use rules::typed::Severity;
use serde::Serialize;
use stream::in_force::InForce;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::ToSchema;

use super::entities::kind_of;
use super::value::{Score, Time};
use crate::app::App;
use crate::clock::now;
use crate::keys::Caller;
use crate::limits::{KEYS_REFRESH, NOTE_BYTES_MAX, PAGE_MAX, STREAM_KEEP_ALIVE};
use crate::page::{Asked, Cursor};
use crate::problem::{Code, Problem, Where};
use crate::request::{JsonText, Names, Params};

/// The header by which a stream resumes.
const LAST_EVENT_ID: &str = "Last-Event-ID";
/// A place in the stream that is before all alerts.
const BEFORE_ALL: i64 = -1;

/// An alert: a decision that a person must see.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Alert, title = "Alert")]
pub(crate) struct AlertBody {
    /// `alt_` and 32 hexadecimal digits: the same however often alerts are told again.
    id: String,
    /// Of the decision that raised it.
    decision_id: String,
    /// Of the event that was decided.
    event_id: String,
    /// Of the event.
    event_type: String,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    time: Time,
    /// `low`, `medium`, `high`, `critical`.
    severity: &'static str,
    /// The rule that raised it; null = the policy.
    rule: Option<String>,
    /// The rule's reason.
    reason: Option<String>,
    /// What was answered: what was decided, or the declared fallback where the deadline had passed before that was durable.
    /// The live stream may tell an alert before that is known, and then says what was decided.
    outcome: &'static str,
    /// Of the decision.
    #[schema(value_type = f64)]
    score: Score,
    /// Whom it is about.
    entities: Vec<PartyBody>,
    /// `open`, `in_review`, `confirmed`, `dismissed`.
    status: &'static str,
}

/// Who stands in a role of an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Party)]
pub(crate) struct PartyBody {
    /// The field's name.
    role: String,
    /// The entity's kind.
    kind: String,
    /// The entity's id.
    id: String,
}

impl From<Alert> for AlertBody {
    fn from(it: Alert) -> Self {
        let party = |it: desk::alert::Party| PartyBody { role: it.role, kind: it.kind, id: it.id };
        Self {
            id: it.id,
            decision_id: it.decision_id,
            event_id: it.event_id,
            event_type: it.event_type,
            time: Time(it.at),
            severity: it.severity.name(),
            rule: it.rule,
            reason: it.reason,
            outcome: it.outcome.name(),
            score: Score(it.score_e6),
            entities: it.entities.into_iter().map(party).collect(),
            status: it.status.name(),
        }
    }
}

/// A page of alerts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alerts)]
pub(crate) struct AlertsBody {
    /// Newest first.
    alerts: Vec<AlertBody>,
    /// The cursor of the next page; null = this was the last.
    next: Option<Cursor>,
}

/// List alerts
///
/// Newest first. Alerts are told from the durable journal, a moment behind the decisions that raise them.
#[utoipa::path(
    get, path = "/v1/alerts", tag = "alerts", security(("key" = ["admin", "analyst"])),
    params(
        ("severity" = Option<String>, Query, description = "At least so bad: `low`, `medium`, `high`, `critical`", example = "high"),
        ("status" = Option<String>, Query, description = "`open`, `in_review`, `confirmed`, `dismissed`"),
        ("rule" = Option<String>, Query, description = "Raised by this rule"),
        ("kind" = Option<String>, Query, description = "About an entity of this kind: with `id`"),
        ("id" = Option<String>, Query, description = "About this entity: with `kind`"),
        ("from" = Option<String>, Query, description = "Event time at or after, RFC 3339"),
        ("until" = Option<String>, Query, description = "Event time before, RFC 3339"),
        ("limit" = Option<u64>, Query, description = "Most entries, 1 to 500; otherwise 50"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, description = "A page", body = AlertsBody))
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    mut params: Params,
) -> Result<Json<AlertsBody>, Problem> {
    let asked = Asked::of(&mut params)?;
    let filter = filter(&app.door.in_force(), params)?;
    let found = app.desk.alerts(&filter, Page::Before(asked.before), asked.limit_and_one()).await?;
    let (alerts, next) = asked.page(found, |it| it.seq);
    Ok(Json(AlertsBody { alerts: alerts.into_iter().map(AlertBody::from).collect(), next }))
}

fn filter(in_force: &InForce, mut params: Params) -> Result<Filter, Problem> {
    Ok(Filter {
        severity_min: params.one_of("severity", Severity::ALL, Severity::name)?,
        status: params.one_of("status", &Status::ALL, Status::name)?,
        rule: params.text("rule"),
        from: params.time("from")?,
        until: params.time("until")?,
        entity: match (params.text("kind"), params.id("id", ENTITY_ID_BYTES_MAX)?) {
            (Some(kind), Some(id)) => {
                kind_of(in_force, &kind).map_err(|it| Problem::parameter("kind", it))?;
                Some((kind, id))
            }
            (None, None) => None,
            (None, Some(_)) => {
                return Err(Problem::parameter("kind", "missing: an entity has a `kind` and an `id`"));
            }
            (Some(_), None) => {
                return Err(Problem::parameter("id", "missing: an entity has a `kind` and an `id`"));
            }
        },
    })
}

/// An alert, and what people did with it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertHistory {
    /// The alert.
    alert: AlertBody,
    /// What was done, oldest first.
    acts: Vec<ActBody>,
}

/// One thing that somebody did with an alert.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Act)]
pub(crate) struct ActBody {
    /// What the status was set to; null: it stayed.
    status: Option<&'static str>,
    /// What was written about it.
    note: Option<String>,
    /// The name of the key that did it.
    by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    time: Time,
}

/// Show an alert
#[utoipa::path(
    get, path = "/v1/alerts/{id}", tag = "alerts", security(("key" = ["admin", "analyst"])),
    operation_id = "show_alert",
    params(("id" = String, Path, description = "The alert's id")),
    responses((status = 200, description = "The alert, and what was done with it", body = AlertHistory)),
    extensions(("x-problems" = json!(["alert_unknown"])))
)]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    mut names: Names,
) -> Result<Json<AlertHistory>, Problem> {
    Ok(Json(history(&app, &names.text("id")).await?))
}

async fn history(app: &App, id: &str) -> Result<AlertHistory, Problem> {
    let found = app.desk.alert(id).await?;
    let unknown =
        || Problem::at(Code::AlertUnknown, Where::Parameter("id".to_owned()), "there is no such alert");
    let alert = found.map(AlertBody::from).ok_or_else(unknown)?;
    let act = |it: Act| ActBody {
        status: it.status.map(Status::name),
        note: it.note,
        by: it.by,
        time: Time(it.at),
    };
    let acts = app.desk.acts_on_alert(id).await?.into_iter().map(act).collect();
    Ok(AlertHistory { alert, acts })
}

/// What is done with an alert.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAct)]
pub(crate) struct NewAct {
    /// `open`, `in_review`, `confirmed`, `dismissed`; left out: it stays.
    status: Option<String>,
    /// At most 4096 bytes.
    note: Option<String>,
}

/// Work on an alert
///
/// Sets its status, or writes a note, or both. What was done stays, whatever becomes of the alert's row.
#[utoipa::path(
    post, path = "/v1/alerts/{id}/acts", tag = "alerts", security(("key" = ["admin", "analyst"])),
    params(("id" = String, Path, description = "The alert's id")),
    request_body(content = NewAct, example = json!({ "status": "in_review", "note": "called the customer" })),
    responses((status = 200, description = "The alert, and what was done with it", body = AlertHistory)),
    extensions(("x-problems" = json!(["alert_unknown", "invalid_fields"])))
)]
pub(crate) async fn act(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Arc<Caller>>,
    mut names: Names,
    body: JsonText<{ 4 * NOTE_BYTES_MAX }>,
) -> Result<Json<AlertHistory>, Problem> {
    let NewAct { status, note } = body.read(&["status", "note"], |it| {
        let mut text = |name| it.text(name).map(Cow::into_owned);
        Some(NewAct { status: text("status"), note: text("note") })
    })?;
    let status = match status {
        None => None,
        Some(name) => Some(Status::from_name(&name).ok_or_else(|| {
            let names = stream::intake::listed(Status::ALL.iter().map(|it| it.name()));
            Problem::field("/status", format!("{} is none of {names}", stream::intake::shown(&name)))
        })?),
    };
    if status.is_none() && note.is_none() {
        return Err(Problem::field("", "nothing to do: send a `status`, a `note`, or both"));
    }
    if note.as_ref().is_some_and(|it| NOTE_BYTES_MAX < it.len()) {
        return Err(Problem::field("/note", format!("longer than {NOTE_BYTES_MAX} bytes")));
    }
    // Only of what there is: a note on nothing is a slip.
    let id = names.text("id");
    history(&app, &id).await?;
    let act = Act { status, note, by: caller.name.clone(), at: now() };
    app.desk.act_on_alert(&id, &act).await?;
    Ok(Json(history(&app, &id).await?))
}

/// Watch alerts
///
/// Server-sent events: each has the name `alert`, an `id`, and an alert as its data. Sent back as `Last-Event-ID`, the id
/// resumes where the connection broke off; `-1` is before all alerts, and without it the stream begins with what is raised
/// from now on. An id of what is still to be recorded is refused: it is another data directory's.
#[utoipa::path(
    get, path = "/v1/alerts/stream", tag = "alerts", security(("key" = ["admin", "analyst"])),
    params(("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last alert that was received")),
    responses((status = 200, description = "Alerts as they are raised", body = String, content_type = "text/event-stream")),
    extensions(("x-problems" = json!(["invalid_header"])))
)]
pub(crate) async fn watch(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Arc<Caller>>,
    headers: HeaderMap,
) -> Result<Sse<impl tokio_stream::Stream<Item = Result<Sent, Infallible>>>, Problem> {
    let after = match headers.get(LAST_EVENT_ID) {
        None => app.desk.alerts_told().await?.seq.unwrap_or(BEFORE_ALL),
        Some(id) => named(&app, id).await?,
    };
    let Some(place) = app.told.watcher() else {
        let detail = "as many people are watching as may";
        return Err(Problem::new(Code::Unavailable, detail).retry_after_s(5));
    };
    let (send, receive) = mpsc::channel(8);
    tokio::spawn(async move {
        let _place = place;
        // Ends when the client is gone, its key is revoked, the server stops, or the database fails, whether or not what was
        // sent is read: the client comes again.
        tokio::select! {
            biased;
            () = ended(&app, &caller) => {}
            _ = send_alerts(&app, &caller, after, &send) => {}
        }
    });
    let keep_alive = KeepAlive::new().interval(STREAM_KEEP_ALIVE);
    Ok(Sse::new(ReceiverStream::new(receive)).keep_alive(keep_alive))
}

/// The place in the stream that a client names by the last id that it received.
///
/// One behind the end of the journal would wait in silence while alerts are raised before it. Any other misses nothing that
/// is raised from now on, told already or not.
async fn named(app: &App, id: &HeaderValue) -> Result<i64, Problem> {
    let wrong =
        |detail: String| Problem::at(Code::InvalidHeader, Where::Header(LAST_EVENT_ID.to_owned()), detail);
    let seq = id.to_str().ok().and_then(|it| it.parse().ok());
    let seq = seq.ok_or_else(|| wrong("this is no id that the stream gave".to_owned()))?;
    if record_of(seq).is_none_or(|it| app.door.is_recorded(it)) {
        return Ok(seq);
    }
    let newest = match app.desk.alerts_told().await?.seq {
        Some(newest) => format!("the newest alert is `{newest}`"),
        None => "there is no alert yet".to_owned(),
    };
    Err(wrong(format!(
        "nothing so new was recorded here, and {newest}: the id is of another data directory, or of records that a crash \
         took. Leave it out to see what is raised from now on, or send `{BEFORE_ALL}` to see all alerts"
    )))
}

/// Sends alerts after one as they come; none: the stream is at its end.
async fn send_alerts(
    app: &App,
    caller: &Caller,
    mut after: i64,
    to: &mpsc::Sender<Result<Sent, Infallible>>,
) -> Option<()> {
    let told = app.told.watch();
    loop {
        let newest = *told.borrow();
        let found = app.desk.alerts(&Filter::default(), Page::After(after), PAGE_MAX).await.ok()?;
        if found.is_empty() {
            // What was told and is not there is gone: who asked for it again would ask without end.
            after = after.max(newest);
        }
        for alert in found {
            after = alert.seq;
            let sent = Sent::default().event("alert").id(after.to_string());
            to.send(Ok(sent.json_data(AlertBody::from(alert)).ok()?)).await.ok()?;
        }
        more(app, caller, after, to).await?;
    }
}

/// Waits until a stream must end, because its key is revoked or the server stops. The key is looked at as often as keys are
/// read again, so that a stream ends when requests are refused.
async fn ended(app: &App, caller: &Caller) {
    let mut stopping = app.traffic.stopping();
    while app.keys.holds(caller).await {
        tokio::select! {
            () = tokio::time::sleep(KEYS_REFRESH) => {}
            _ = stopping.wait_for(|it| *it) => return,
        }
    }
}

/// Waits until there are alerts after one for who may still see them; none: the stream is at its end.
async fn more(
    app: &App,
    caller: &Caller,
    after: i64,
    to: &mpsc::Sender<Result<Sent, Infallible>>,
) -> Option<()> {
    let mut told = app.told.watch();
    tokio::select! {
        newer = told.wait_for(|newest| after < *newest) => drop(newer.ok()?),
        () = to.closed() => return None,
    }
    app.keys.holds(caller).await.then_some(())
}
