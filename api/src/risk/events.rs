//! `POST /v1/events` and `POST /v1/amendments`: what is to be known, and is not asked about.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::door::Seat;
use super::incoming::{self, durable, refused, seated, untaken_amendment};
use crate::app::App;
use crate::limits::BODY_BYTES_MAX;
use crate::problem::Problem;
use crate::request::JsonText;

/// An event that was recorded.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecordedEvent)]
pub(crate) struct EventBody {
    /// The event's id.
    event_id: String,
    /// `late`, `too_late` (then it is kept, and no feature sees it), `repeated`.
    #[schema(value_type = Vec<String>)]
    flags: Vec<&'static str>,
    /// Always true: the answer comes when it is on disk.
    durable: bool,
}

/// Record an event
///
/// Without a verdict: its windows know it from then on. For what happens whatever is said about it, such as a login that
/// somebody else let pass.
#[utoipa::path(
    post, path = "/v1/events", tag = "decisions", security(("key" = ["admin", "service"])),
    request_body(content_type = "application/json", content = serde_json::Value, description = "An event"),
    responses((status = 200, description = "It is recorded", body = EventBody)),
    extensions(("x-problems" = json!(["invalid_fields", "event_id_reused", "overloaded"])))
)]
pub(crate) async fn record(
    State(app): State<Arc<App>>,
    body: JsonText<BODY_BYTES_MAX>,
) -> Result<Json<EventBody>, Problem> {
    let work = move |app: &App, seat: &mut Seat| {
        let received = incoming::event(app, &body.bytes, "", seat)?;
        let ticket = app.door.record(seat).map_err(|it| received.untaken("", it, &app.metrics))?;
        Ok((ticket, std::mem::take(&mut seat.event)))
    };
    let (ticket, event) = seated(&app, work).await?;
    let answer = app.door.settle(ticket, event).await.map_err(|it| refused("", it.into(), &app.metrics))?;
    let decision = answer.decision();
    let (flags, durable) = (decision.flags.names().collect(), decision.durable);
    Ok(Json(EventBody { event_id: answer.event.id, flags, durable }))
}

/// An amendment that was recorded.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecordedAmendment)]
pub(crate) struct AmendmentBody {
    /// Its own id.
    id: String,
    /// The event that it is about.
    event_id: String,
    /// Whether it had been made before: then nothing has changed.
    repeated: bool,
    /// Always true: the answer comes when it is on disk.
    durable: bool,
}

/// Amend an event
///
/// Says what became known of a past event: its label, the result of its challenge, what became of the operation. It is
/// seen by every decision made after it.
#[utoipa::path(
    post, path = "/v1/amendments", tag = "decisions", security(("key" = ["admin", "analyst", "service"])),
    request_body(
        content_type = "application/json", content = serde_json::Value, description = "An amendment: exactly one of `label`, `challenge`, `result`, `outcome`"
    ),
    responses((status = 200, description = "It is recorded", body = AmendmentBody)),
    extensions(("x-problems" = json!(["invalid_fields", "event_unknown", "event_id_reused", "overloaded"])))
)]
pub(crate) async fn amend(
    State(app): State<Arc<App>>,
    body: JsonText<BODY_BYTES_MAX>,
) -> Result<Json<AmendmentBody>, Problem> {
    let amendment = incoming::amendment(&body.bytes)?;
    let sent = amendment.clone();
    let work = move |app: &App, seat: &mut Seat| {
        app.door.amend(&sent, seat).map_err(|it| untaken_amendment(it, &app.metrics))
    };
    let amended = seated(&app, work).await?;
    durable(&app, amended.position).await?;
    let repeated = amended.event.is_none();
    Ok(Json(AmendmentBody { id: amendment.id, event_id: amendment.event_id, repeated, durable: true }))
}
