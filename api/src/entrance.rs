//! What every request passes on its way to its route: it is counted and timed, there are not too many, its key may do
//! what it asks for, and its query has no parameter that nobody knows.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use tower::ServiceExt as _;

use crate::app::App;
use crate::keys::{Caller, Permissions};
use crate::limits::REQUESTS_MAX;
use crate::problem::{Code, Problem};
use crate::request::Queries;
use crate::risk::decisions;
use crate::traffic::Traffic;

/// What whoever watches the server asks, however much else is asked: one that has much to do is not to be restarted for it.
const ALWAYS: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// What every request passes.
#[derive(Debug)]
pub(crate) struct Entrance {
    /// Where it is counted.
    pub(crate) traffic: Arc<Traffic>,
    /// Where its key is looked at.
    pub(crate) permissions: Permissions,
    /// Where its query is.
    pub(crate) queries: Queries,
}

impl Entrance {
    /// Has a request answered that is on its way to a route, unless there are too many, or it is not allowed.
    async fn pass<B, F: Future<Output = Response>>(
        &self,
        route: &str,
        request: axum::http::Request<B>,
        answer: impl FnOnce(axum::http::Request<B>, Option<Arc<Caller>>) -> F,
    ) -> Response {
        let start = Instant::now();
        let metrics = &self.traffic.metrics;
        let in_flight = self.traffic.enter();
        let admitted = if are_too_many(in_flight.of, route) {
            metrics.shed("requests");
            let detail = format!("{REQUESTS_MAX} requests are being worked on already");
            Err(Problem::new(Code::Unavailable, detail).retry_after_s(1))
        } else {
            let admitted = self.permissions.admit(route, request.method(), request.headers()).await;
            admitted.and_then(|caller| {
                self.queries.check(route, request.method(), request.uri()).map(|()| caller)
            })
        };
        let response = match admitted {
            Ok(caller) => answer(request, caller).await,
            Err(problem) => problem.into_response(),
        };
        metrics.answered(route, response.status(), start.elapsed());
        response
    }
}

/// Whether there are so many requests that one of this route is not let in.
fn are_too_many(requests: usize, route: &str) -> bool {
    REQUESTS_MAX < requests && !ALWAYS.contains(&route)
}

/// The entrance of all routes of the router. One step for all that is seen to there: each layer of a router costs every
/// request a copy of what lies below it.
pub(crate) async fn enter(State(entrance): State<Arc<Entrance>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let answer = |mut request: Request, caller| {
        if let Some(caller) = caller {
            request.extensions_mut().insert::<Arc<Caller>>(caller);
        }
        next.run(request)
    };
    entrance.pass(route, request, answer).await
}

/// What answers the requests of all connections.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    /// What all routes share.
    pub(crate) app: Arc<App>,
    /// What every request passes.
    pub(crate) entrance: Arc<Entrance>,
    /// All routes, behind the same entrance.
    pub(crate) router: Router,
}

impl Front {
    /// Answers a request, whatever happens: a bug must not take the connection with it, and the panic itself is in the
    /// log already.
    pub(crate) async fn answer(&self, request: axum::http::Request<Incoming>) -> Response {
        let answer = async {
            // Asked for far more often than all else together, a decision does not pass the router, whose layers cost a
            // tenth of the whole request.
            if request.method() == Method::POST && request.uri().path() == decisions::ROUTE {
                let decide = |request, _| decisions::decide_at_once(Arc::clone(&self.app), request);
                return self.entrance.pass(decisions::ROUTE, request, decide).await;
            }
            match self.router.clone().oneshot(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        };
        let answered = AssertUnwindSafe(answer).catch_unwind().await;
        answered.unwrap_or_else(|_| Problem::internal(&"a panic").into_response())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_watches_is_let_in_among_however_many() {
        let check = |route: &str, requests: usize, refused: bool| {
            assert_eq!(are_too_many(requests, route), refused, "{route} {requests}");
        };
        check(decisions::ROUTE, REQUESTS_MAX, false);
        check(decisions::ROUTE, REQUESTS_MAX + 1, true);
        check("/v1/alerts", REQUESTS_MAX + 1, true);
        for route in ALWAYS {
            check(route, 2 * REQUESTS_MAX, false);
        }
    }
}
