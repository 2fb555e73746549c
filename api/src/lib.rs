//! HTTP: the server, keys, errors, paging, live streams; and beside each other the routers, of which [`risk`] is one.
//!
//! A request passes, in this order: its connection's limits ([`server`], [`connection`]), the count of requests
//! ([`entrance`]), its key ([`keys`]), its body ([`request`]), its route. Whatever goes wrong on the way is a
//! [`problem::Problem`].

mod app;
mod aside;
mod clock;
mod connection;
mod docs;
mod entrance;
mod health;
mod keys;
mod limits;
mod metrics;
mod operations;
mod page;
mod problem;
mod request;
mod risk;
mod server;
mod sizes;
mod traffic;

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, middleware};
use desk::Desk;
use stream::gate::Gate;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::docs::Document;
use crate::entrance::{Entrance, Front};
use crate::keys::{Keys, Permissions};
use crate::limits::LARGE_BODIES_MAX;
use crate::problem::Problem;
use crate::request::Queries;
use crate::risk::door::Door;
use crate::risk::follow::{self, Told};
use crate::risk::rules::Jobs;

pub use crate::app::Patience;
pub use crate::clock::now;
pub use crate::limits::{PAST_MAX, STOP_TIME_MAX};
pub use crate::metrics::Metrics;
pub use crate::problem::Code;
pub use crate::risk::event_json;
pub use crate::risk::rules::{Activation, TestResults, Trial};
pub use crate::traffic::Traffic;

/// A server that is ready to serve.
#[derive(Debug)]
pub struct Server {
    front: Front,
}

/// The documentation's pages, which need no key.
const PAGES: [&str; 3] = ["/docs", "/docs/", "/docs/{*file}"];

/// What a server is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where events are decided.
    pub gate: Arc<Gate>,
    /// What people keep.
    pub desk: Desk,
    /// Runs the tests of a rule set.
    pub trial: Arc<dyn Trial>,
    /// Puts rule sets in force.
    pub activation: Arc<dyn Activation>,
    /// How far behind the engine clock an event's time may lie.
    pub past_max: Duration,
    /// How long a client is waited for.
    pub patience: Patience,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum NoServer {
    /// The database failed.
    #[error(transparent)]
    Desk(#[from] desk::Error),
    /// Two metrics have one name.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

impl Server {
    /// Puts the parts together.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn new(parts: Parts) -> Result<Self, NoServer> {
        let Parts { gate, desk, trial, activation, past_max, patience } = parts;
        let keys = Arc::new(Keys::read(desk.clone()).await?);
        risk::rules::note_in_force(&desk, &gate.in_force()).await?;
        let metrics = Arc::new(Metrics::new()?);
        let (router, document) = routes().split_for_parts();
        let permissions = Permissions::of(&document, &PAGES, Arc::clone(&keys));
        let app = Arc::new(App {
            door: Arc::new(Door::new(gate)),
            desk,
            keys,
            traffic: Arc::new(Traffic::new(Arc::clone(&metrics))),
            metrics,
            told: Told::default(),
            large_bodies: Arc::new(Semaphore::new(LARGE_BODIES_MAX)),
            batches: Semaphore::new(std::thread::available_parallelism().map_or(1, NonZero::get)),
            jobs: Jobs::default(),
            trial,
            activation,
            document: Document::of(&document),
            past_max,
            patience,
        });
        let traffic = Arc::clone(&app.traffic);
        let entrance = Arc::new(Entrance { traffic, permissions, queries: Queries::of(&document) });
        let [moved, page, file] = PAGES;
        let router = router
            .route(moved, get(docs::page_moved))
            .route(page, get(docs::page))
            .route(file, get(docs::page_file))
            .route_layer(middleware::from_fn_with_state(Arc::clone(&entrance), entrance::enter))
            .method_not_allowed_fallback(method_not_allowed)
            .fallback(no_such_route)
            .with_state(Arc::clone(&app));
        Ok(Self { front: Front { app, entrance, router } })
    }

    /// What every request passes: to stop the server, and to tell it of the memory limit.
    pub fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.front.app.traffic)
    }

    /// What is counted and timed.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.front.app.metrics)
    }

    /// Serves until it is stopped; what was accepted is then finished, and all its alerts are told.
    pub async fn serve(self, listener: TcpListener) {
        let Self { front } = self;
        let app = Arc::clone(&front.app);
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&app.keys).keep_fresh());
        tasks.spawn(sizes::keep_counted(Arc::clone(&app)));
        let follower = {
            let app = Arc::clone(&app);
            let stopping = app.traffic.stopping();
            tokio::spawn(async move {
                follow::follow(Arc::clone(&app.door), app.desk.clone(), &app.told, stopping).await;
            })
        };
        server::serve(listener, front).await;
        // It ends by itself when everything durable is told; not told is told at the next start.
        let _ = tokio::time::timeout(STOP_TIME_MAX, follower).await;
        tasks.shutdown().await;
    }
}

/// All documented routes.
fn routes() -> OpenApiRouter<Arc<App>> {
    risk::routes()
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(openapi))
        .routes(routes!(docs::about_problem))
}

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "documentation",
    responses((status = 200, description = "OpenAPI 3.1, with the event types of the rule set in force", body = serde_json::Value))
)]
async fn openapi(State(app): State<Arc<App>>) -> Json<serde_json::Value> {
    Json(app.document.with(&app.door.in_force().rules.typed.schema))
}

async fn no_such_route(request: axum::extract::Request) -> Problem {
    let path = stream::intake::shown(request.uri().path());
    Problem::new(Code::NoSuchRoute, format!("there is nothing at {path}: `/docs` shows what there is"))
}

async fn method_not_allowed(request: axum::extract::Request) -> Problem {
    let detail = format!("`{}` is not possible here: the header `Allow` names what is", request.method());
    Problem::new(Code::MethodNotAllowed, detail)
}

/// An event that a schema takes, as JSON, to begin with.
pub fn example_event(schema: &::rules::schema::Schema) -> String {
    serde_json::to_string(&docs::example(schema)).unwrap_or_default()
}
