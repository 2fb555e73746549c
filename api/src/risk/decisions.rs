//! `POST /v1/decisions`, one or many, and the whole explanation of one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request};
use axum::response::{IntoResponse, Response};
use engine::decision::Decision;
use engine::event::{EVENT_ID_BYTES_MAX, Event};
use engine::rates::Rates;
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use serde::Serialize;
use stream::gate::{Deadline, Ticket};
use stream::intake;
use stream::record::Cause;
use utoipa::ToSchema;

use super::door::{Aftermath, Answer, Door, Reads, Recorded, Seat};
use super::incoming::{self, Untaken, refused, seated, unreadable};
use super::value::{Json as Cell, Ordered, Time, converted, of_event};
use super::wire::DecisionBody;
use crate::app::App;
use crate::aside::aside;
use crate::limits::{BATCH_EVENTS_MAX, BODY_BYTES_MAX, LARGE_BODY_BYTES_MAX};
use crate::metrics::Stage;
use crate::problem::{self, Code, Problem, Where};
use crate::request::{JsonText, Names};

/// Where an event is sent to be decided.
pub(crate) const ROUTE: &str = "/v1/decisions";
/// The header by which a caller says how long it waits.
const DEADLINE: &str = "Weir-Deadline";
/// Room for an answer: few are longer.
const ANSWER_BYTES: usize = 1_024;
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The longest deadline: nobody waits longer for an answer that must come before the money moves.
const DEADLINE_MAX: Duration = Duration::from_secs(60);

/// Decide an event
///
/// The event is decided, recorded and applied; the answer comes when its record is durable. An id that was sent before
/// gets its first decision again, with the flag `repeated`. With `recheck_of` an event is decided again, with the fields
/// that changed: what it does not say is as its original has it.
#[utoipa::path(
    post, path = "/v1/decisions", tag = "decisions", security(("key" = ["admin", "service"])),
    params(("Weir-Deadline" = Option<String>, Header, description = "How long the caller waits, such as `10ms`, or `none`; otherwise as the policy says. Behind it the declared fallback is answered, with `durable: false`", example = "10ms")),
    request_body(content_type = "application/json", content = serde_json::Value, description = "An event"),
    responses((status = 200, description = "What to do", body = DecisionBody)),
    extensions(("x-problems" = json!(["invalid_fields", "invalid_header", "event_unknown", "event_id_reused", "overloaded"])))
)]
pub(crate) async fn decide(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: JsonText<BODY_BYTES_MAX>,
) -> Result<Response, Problem> {
    let (start, text) = (Instant::now(), body.bytes);
    let deadline = deadline(&headers, start)?;
    let work = move |app: &App, seat: &mut Seat| submit(app, &text, "", start, deadline, seat);
    let answer = settle(&app, seated(&app, work).await?).await?;
    let response = json(&said(&app, &answer))?;
    app.door.done(answer);
    Ok(response)
}

/// [`decide`], without a router before it.
pub(crate) fn decide_at_once(app: Arc<App>, request: Request<Incoming>) -> impl Future<Output = Response> {
    let (Parts { headers, .. }, body) = request.into_parts();
    let decided = async move {
        let body = JsonText::receive(&headers, body, app.patience.body).await?;
        decide(State(app), headers, body).await
    };
    decided.map(IntoResponse::into_response)
}

/// An event that was decided and recorded.
struct Submitted {
    ticket: Ticket,
    event: Event,
    /// When it was: from then on it waits for the disk.
    at: Instant,
}

/// An answer in JSON, written in one piece.
fn json(body: &DecisionBody<'_>) -> Result<Response, Problem> {
    let mut text = Vec::with_capacity(ANSWER_BYTES);
    serde_json::to_writer(&mut text, body).map_err(|it| Problem::internal(&it))?;
    Ok(([(CONTENT_TYPE, JSON)], text).into_response())
}

/// Reads an event from text and decides it; `at` is the JSON pointer at which it stands in the body.
fn submit(
    app: &App,
    text: &[u8],
    at: &str,
    start: Instant,
    deadline: Deadline,
    seat: &mut Seat,
) -> Result<Submitted, Untaken> {
    let received = incoming::event(app, text, at, seat)?;
    let read = Instant::now();
    let ticket = app.door.decide(seat, deadline).map_err(|it| received.untaken(at, it, &app.metrics));
    if let Err(Untaken::InJournal) = ticket {
        // It is decided elsewhere, and timed there.
        return Err(Untaken::InJournal);
    }
    app.metrics.noted(Stage::Intake, read - start);
    let decided = app.metrics.took(Stage::Decide, read);
    Ok(Submitted { ticket: ticket?, event: std::mem::take(&mut seat.event), at: decided })
}

/// Waits until a decision may be answered.
fn settle(app: &App, submitted: Submitted) -> impl Future<Output = Result<Answer, Problem>> + Send + use<'_> {
    let Submitted { ticket, event, at } = submitted;
    let answer = app.door.settle(ticket, event);
    async move {
        let answer = answer.await.map_err(|it| refused("", it.into(), &app.metrics))?;
        app.metrics.took(Stage::Durable, at);
        Ok(answer)
    }
}

fn said<'a>(app: &App, answer: &'a Answer) -> DecisionBody<'a> {
    let decision = answer.decision();
    app.metrics.decided(&decision);
    DecisionBody::of(decision, &answer.rules)
}

fn deadline(headers: &HeaderMap, since: Instant) -> Result<Deadline, Problem> {
    let Some(given) = headers.get(DEADLINE) else { return Ok(Deadline::Policy { since }) };
    if headers.get_all(DEADLINE).iter().nth(1).is_some() {
        let detail = "is there twice: say once how long you wait".to_owned();
        return Err(Problem::at(Code::InvalidHeader, Where::Header(DEADLINE.to_owned()), detail));
    }
    if given == "none" {
        return Ok(Deadline::Never);
    }
    let span = intake::time::duration(given.as_bytes(), None).ok();
    let span = span.and_then(|it| u64::try_from(it).ok()).map(Duration::from_micros);
    match span.filter(|it| Duration::ZERO < *it && *it <= DEADLINE_MAX) {
        Some(span) => Ok(Deadline::By(since + span)),
        None => {
            let detail = format!(
                "{} is neither `none` nor a time of at most {}s in whole units, such as `10ms` or `2s`",
                intake::shown(given.as_bytes()),
                DEADLINE_MAX.as_secs()
            );
            Err(Problem::at(Code::InvalidHeader, Where::Header(DEADLINE.to_owned()), detail))
        }
    }
}

/// What became of a batch, in its order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchBody<'a> {
    /// One for each event.
    results: Vec<ResultBody<'a>>,
}

/// What became of one event of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Result)]
pub(crate) struct ResultBody<'a> {
    /// As the status of an answer of its own.
    status: u16,
    /// Where it was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<DecisionBody<'a>>,
    /// Where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<problem::Body>,
}

impl<'a> From<Result<DecisionBody<'a>, &Problem>> for ResultBody<'a> {
    fn from(result: Result<DecisionBody<'a>, &Problem>) -> Self {
        match result {
            Ok(decision) => Self { status: 200, decision: Some(decision), problem: None },
            Err(problem) => {
                Self { status: problem.code.status().as_u16(), decision: None, problem: Some(problem.body()) }
            }
        }
    }
}

/// Decide many events
///
/// They are decided one after another, in their order, each for itself: one that is refused does not hold up the next.
/// All wait for the disk together.
#[utoipa::path(
    post, path = "/v1/decisions/batch", tag = "decisions", security(("key" = ["admin", "service"])),
    params(("Weir-Deadline" = Option<String>, Header, description = "As for one event; counted from when the request came in")),
    request_body(content_type = "application/json", content = serde_json::Value, description = "An object whose `events` is an array of at most 1000 events"),
    responses((status = 200, description = "What became of each, in order", body = BatchBody)),
    extensions(("x-problems" = json!(["invalid_fields", "invalid_header"])))
)]
pub(crate) async fn decide_batch(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: JsonText<LARGE_BODY_BYTES_MAX>,
) -> Result<Response, Problem> {
    let start = Instant::now();
    let deadline = deadline(&headers, start)?;
    // One for each processor: they decide beside the threads that others wait for.
    let _turn = app.batches.acquire().await.map_err(|it| Problem::internal(&it))?;
    let here = Arc::clone(&app);
    // So many would hold up the requests of others, and some may want the journal read.
    let submitted = aside(move || {
        let events = body.read(&["events"], |it| it.array("events"))?;
        if BATCH_EVENTS_MAX < events.len() {
            let detail = format!("{} events: at most {BATCH_EVENTS_MAX} at once", events.len());
            return Err(Problem::field("/events", detail));
        }
        let submitted = events.iter().enumerate().map(|(at, text)| {
            let at = format!("/events/{at}");
            let one = |seat: &mut Seat| submit(&here, text.as_bytes(), &at, Instant::now(), deadline, seat);
            here.door.seated(Reads::Journal, one).map_err(Untaken::problem)
        });
        Ok(submitted.collect::<Vec<_>>())
    })
    .await?;
    let mut answers = Vec::with_capacity(submitted.len());
    for submitted in submitted {
        answers.push(match submitted {
            Ok(submitted) => settle(&app, submitted).await,
            Err(problem) => Err(problem),
        });
    }
    let results = answers.iter().map(|it| it.as_ref().map(|answer| said(&app, answer)).into());
    Ok(Json(BatchBody { results: results.collect() }).into_response())
}

/// A decision, and all that is known of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Explanation)]
pub(crate) struct ExplanationBody<'a> {
    /// As it was answered.
    decision: DecisionBody<'a>,
    /// As it was sent, with the time that it was given.
    #[schema(value_type = serde_json::Value)]
    event: Ordered<Cell>,
    /// Amounts of it that were sent in another currency than the schema's, by field, as rules saw them: in the schema's, at
    /// the rates that were in force. Null where those are not known any more; absent where nothing was converted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Cell>>)]
    converted: Option<Ordered<Cell>>,
    /// Whether it was decided; if not, it was recorded only.
    decided: bool,
    /// Whether the rule set that decided is still known. If not, what has a name in it only is left out of the decision: its
    /// hits, actions and features, and which rules raised the alerts.
    rule_set_known: bool,
    /// Where it stands in the journal.
    position: PositionBody,
    /// The engine clock at which it was decided.
    #[schema(value_type = String, format = DateTime)]
    clock: Time,
    /// What became known later, oldest first.
    amendments: Vec<AmendmentOf>,
    /// Decisions of the same event later, oldest first; the newest outcome is the event's.
    rechecks: Vec<RecheckOf>,
    /// Whether these are all amendments and rechecks; otherwise they are those among the newest records about its entities.
    complete: bool,
}

/// A place in the journal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Position)]
pub(crate) struct PositionBody {
    /// Always 0 on one machine.
    partition: u32,
    /// Of the record.
    offset: u64,
}

/// Something that became known of an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AmendmentOf)]
pub(crate) struct AmendmentOf {
    /// Its own id; empty where the server itself set the outcome.
    id: String,
    /// The event that it named: this one, or a recheck of it.
    event_id: String,
    /// What it sets: `label`, `challenge`, `result` or `outcome`.
    sets: &'static str,
    /// To what.
    to: &'static str,
    /// Of a label: the kind of fraud.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// When it became known.
    #[schema(value_type = String, format = DateTime)]
    time: Time,
    /// Why the server itself set it: `deadline` where that had passed before the decision was durable.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
}

/// A later decision of the same event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecheckOf)]
pub(crate) struct RecheckOf {
    /// Its id.
    id: String,
    /// The id of its event.
    event_id: String,
    /// What was answered.
    outcome: &'static str,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    time: Time,
}

/// Explain a decision
///
/// Everything that the decision saw and did, as the journal has it.
#[utoipa::path(
    get, path = "/v1/decisions/{id}", tag = "decisions", security(("key" = ["admin", "analyst", "service"])),
    params(("id" = String, Path, description = "The decision's id, or the event's", example = "p-1")),
    responses((status = 200, description = "The explanation", body = ExplanationBody)),
    extensions(("x-problems" = json!(["decision_unknown"])))
)]
pub(crate) async fn explain(State(app): State<Arc<App>>, mut names: Names) -> Result<Response, Problem> {
    // A decision's id is shorter than that of its event may be.
    let id = names.id("id", EVENT_ID_BYTES_MAX)?;
    aside(move || explained(&app.door, &id)).await
}

fn explained(door: &Door, id: &str) -> Result<Response, Problem> {
    let found = door.explained(id).map_err(|it| unreadable(&it))?;
    let unknown = || {
        Problem::at(
            Code::DecisionUnknown,
            Where::Parameter("id".to_owned()),
            format!("nothing is known of {}", intake::shown(id)),
        )
    };
    let found = found.ok_or_else(unknown)?;
    let aftermath = door.aftermath(&found).map_err(|it| unreadable(&it))?;
    let rates = door.rates_of(&found);
    Ok(Json(explanation(&found, rates.as_deref(), aftermath)).into_response())
}

fn explanation<'a>(found: &'a Recorded, rates: Option<&Rates>, aftermath: Aftermath) -> ExplanationBody<'a> {
    let schema = &found.rules.typed.schema;
    ExplanationBody {
        decision: DecisionBody::of(found.decision(), &found.rules),
        event: of_event(&found.event, schema),
        converted: Some(converted(&found.event, schema, rates)).filter(|it| !it.0.is_empty()),
        decided: found.decided,
        rule_set_known: found.rules_known,
        position: PositionBody { partition: 0, offset: found.offset },
        clock: Time(found.clock),
        amendments: aftermath.amendments.into_iter().map(amendment).collect(),
        rechecks: aftermath.rechecks.iter().map(recheck).collect(),
        complete: aftermath.complete,
    }
}

fn recheck(it: &Recorded) -> RecheckOf {
    let Decision { id, outcome, .. } = it.decision();
    RecheckOf { id, event_id: it.event.id.clone(), outcome: outcome.name(), time: Time(it.event.time) }
}

fn amendment((it, cause): (engine::event::Amendment, Cause)) -> AmendmentOf {
    let (sets, to, kind) = it.change.words();
    let kind = kind.map(str::to_owned);
    let cause = (cause == Cause::Deadline).then_some("deadline");
    AmendmentOf { id: it.id, event_id: it.event_id, sets, to, kind, time: Time(it.time), cause }
}
