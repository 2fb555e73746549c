//! The server: connections accepted, limits held, and an end that finishes what was accepted.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanic;

use crate::app::Patience;
use crate::keys::Doors;
use crate::limits::{CONNECTIONS_MAX, REQUESTS_MAX, STOP_TIME_MAX};
use crate::metrics::Metrics;
use crate::problem::{Code, Problem};
use crate::request::Queries;

/// What every request passes, and who may tell the server to stop.
#[derive(Debug)]
pub struct Traffic {
    metrics: Arc<Metrics>,
    in_flight: AtomicUsize,
    memory_full: AtomicBool,
    stopping: watch::Sender<bool>,
}

impl Traffic {
    /// Of a server that takes work.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let (in_flight, memory_full) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self { metrics, in_flight, memory_full, stopping: watch::channel(false).0 }
    }

    /// Stops the server: what was accepted is finished, nothing more is.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Says whether the memory limit is reached: then new work is refused, and reads go on.
    pub fn set_memory_full(&self, full: bool) {
        if self.memory_full.swap(full, Ordering::Relaxed) != full {
            let said = if full { "is reached: new work is refused" } else { "is not reached any more" };
            tracing::warn!("the memory limit {said}");
        }
    }

    /// Whether new work is refused for want of memory.
    pub fn memory_full(&self) -> bool {
        self.memory_full.load(Ordering::Relaxed)
    }

    /// Becomes true when the server begins to stop.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Whether the server is stopping.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Refuses work that would need memory where there is none.
    ///
    /// # Errors
    /// At the memory limit.
    pub fn check_memory(&self) -> Result<(), Problem> {
        if !self.memory_full() {
            return Ok(());
        }
        self.metrics.shed("memory");
        let detail = "the memory limit is reached: nothing new is decided until memory is free again";
        Err(Problem::new(Code::Unavailable, detail).retry_after_s(1))
    }
}

/// What every request passes on its way to its route.
#[derive(Debug)]
pub struct Entrance {
    /// Where it is counted.
    pub traffic: Arc<Traffic>,
    /// Where its key is looked at.
    pub doors: Doors,
    /// Where its query is.
    pub queries: Queries,
}

/// Counts and times every request, and refuses those that are too many, or not allowed. One step for all of it: each
/// layer of a router costs every request a copy of what lies below it.
pub async fn enter(State(entrance): State<Arc<Entrance>>, mut request: Request, next: Next) -> Response {
    let Entrance { traffic, doors, queries } = &*entrance;
    let start = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let place = Place::take(traffic);
    let admitted = if REQUESTS_MAX < place.of {
        traffic.metrics.shed("requests");
        let detail = format!("{REQUESTS_MAX} requests are being worked on already");
        Err(Problem::new(Code::Unavailable, detail).retry_after_s(1))
    } else {
        doors.admit(&mut request).await.and_then(|()| queries.check(&request))
    };
    let response = match admitted {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    traffic.metrics.answered(route, response.status(), start.elapsed());
    response
}

/// A request's place among those being worked on, given back when it is dropped, whatever ended it.
struct Place<'a> {
    traffic: &'a Traffic,
    /// How many there are with it.
    of: usize,
}

impl<'a> Place<'a> {
    fn take(traffic: &'a Traffic) -> Self {
        let of = traffic.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        traffic.metrics.in_flight.inc();
        Self { traffic, of }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.traffic.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.traffic.metrics.in_flight.dec();
    }
}

/// Serves until [`Traffic::stop`], then finishes what was accepted, for at most [`STOP_TIME_MAX`].
pub async fn serve(listener: TcpListener, router: Router, traffic: Arc<Traffic>, patience: Patience) {
    let mut stopping = traffic.stopping();
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = async {
            // The semaphore is never closed, so there is always a permit in the end.
            let permit = Arc::clone(&connections).acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            it = accepted => it,
            _ = stopping.wait_for(|it| *it) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Such as: too many open files. Others may close theirs meanwhile.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        // A small answer goes out at once.
        let _ = stream.set_nodelay(true);
        let router = CatchPanic::custom(router.clone(), panicked);
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            router.clone().oneshot(request.map(axum::body::Body::new))
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        // What was accepted is decided whether or not its client still waits: nobody looks for its leaving, which would
        // cost each request a read. Of a stream it is seen when the next sign of life cannot be sent.
        // An answer is short: its body is copied behind its head, which costs less than writing from two places.
        http.writev(false).half_close(true).timer(TokioTimer::new()).header_read_timeout(patience.headers);
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A client that went away is no matter of ours.
            let _ = connection.await;
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(STOP_TIME_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            "some connections were still busy after {} s and were closed",
            STOP_TIME_MAX.as_secs()
        );
    }
}

/// A bug must not take the connection with it; the panic itself is in the log already.
fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    Problem::internal(&"a panic").into_response()
}
