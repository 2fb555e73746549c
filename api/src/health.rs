//! Whether the server lives, whether it takes work, and what it counts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::problem::{Code, Problem};

/// Whether the server lives
///
/// If this does not answer, start it again.
#[utoipa::path(
    get, path = "/livez", tag = "operation",
    responses((status = 200, description = "It lives", body = String, content_type = "text/plain"))
)]
pub(crate) async fn livez() -> &'static str {
    "ok\n"
}

/// What the server is ready with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ready {
    /// Always true: what is not ready answers 503.
    ready: bool,
    /// The hash of the rule set in force.
    rule_set: String,
    /// Records that wait for the disk.
    queue_records: u64,
}

/// Whether the server takes work
///
/// 503 while it stops, at the memory limit, and when the disk has failed.
#[utoipa::path(
    get, path = "/readyz", tag = "operation",
    responses((status = 200, description = "It takes work", body = Ready))
)]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Ready>, Problem> {
    let not = |why: &str| Err(Problem::new(Code::Unavailable, why).retry_after_s(1));
    if app.traffic.is_stopping() {
        return not("the server is stopping");
    }
    if app.door.poisoned() {
        return not("the journal cannot be written any more: the process must start again");
    }
    if app.traffic.memory_full() {
        return not("the memory limit is reached: nothing new is decided, reads go on");
    }
    let rule_set = engine::hex::hex(&app.door.in_force().rules.typed.hash);
    let queue_records = app.door.records_ahead();
    Ok(Json(Ready { ready: true, rule_set, queue_records }))
}

/// Metrics
///
/// For Prometheus: decisions by outcome, hits by rule, latency by stage, queue depth, sizes of the state, what was shed.
#[utoipa::path(
    get, path = "/metrics", tag = "operation", security(("key" = ["admin", "operator"])),
    responses((status = 200, description = "In the text format", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let ahead = app.door.records_ahead();
    app.metrics.queue_depth.set(i64::try_from(ahead).unwrap_or(i64::MAX));
    app.metrics.in_flight.set(i64::try_from(app.traffic.in_flight()).unwrap_or(i64::MAX));
    let told = app.door.progress().borrow().durable.saturating_sub(app.told.next());
    app.metrics.projection_lag.set(i64::try_from(told).unwrap_or(i64::MAX));
    let text = app.metrics.text().map_err(|it| Problem::internal(&it))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
