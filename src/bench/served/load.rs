//! The client, the same for whoever answers: connections that are kept, one request at a time on each.
//!
//! In a closed loop each connection asks again when it has its answer. In an open loop payments come when they come,
//! and what a payment waits for a free connection is part of its time: a server that stalls is not spared those that
//! would have come meanwhile.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::payments::Payments;
use crate::send::client;

/// Payments of one batch of the warm-up.
const BATCH: u64 = 1_000;
/// How many answers a second of a closed loop are made ready for.
const CLOSED_RATE_MAX: u32 = 50_000;

/// Where requests go, and with which headers.
#[derive(Clone)]
pub(in crate::bench) struct Target {
    address: SocketAddr,
    headers: HeaderMap,
}

impl Target {
    pub(in crate::bench) fn new(address: SocketAddr, key: &str) -> anyhow::Result<Self> {
        let headers = [
            (HOST, HeaderValue::try_from(address.to_string())?),
            (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {key}"))?),
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            // Every answer is the decision itself, never a fallback.
            (HeaderName::from_static("weir-deadline"), HeaderValue::from_static("none")),
        ];
        Ok(Self { address, headers: headers.into_iter().collect() })
    }
}

/// When the next payment is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::bench) enum Loop {
    /// When the one before is answered.
    Closed,
    /// At its time.
    Open { per_second: u32 },
}

impl Loop {
    /// How many payments a run may take, to be made beforehand.
    pub(in crate::bench) fn payments(self, time: Duration) -> usize {
        let per_second = match self {
            Self::Closed => CLOSED_RATE_MAX,
            Self::Open { per_second } => per_second,
        };
        payments_in(time, per_second) as usize
    }
}

impl fmt::Display for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
        })
    }
}

fn payments_in(time: Duration, per_second: u32) -> u32 {
    u32::try_from(time.as_micros() * u128::from(per_second) / 1_000_000).unwrap_or(u32::MAX)
}

/// What came of the payments of a row.
#[derive(Debug, Default)]
pub(in crate::bench) struct Seen {
    /// What each answer took: in an open loop from when its payment was due.
    pub(in crate::bench) took: Vec<Duration>,
    /// Answers that were none.
    pub(in crate::bench) refused: u64,
    /// What the first of them said.
    pub(in crate::bench) refusal: Option<String>,
    /// From the first payment to the last answer.
    pub(in crate::bench) elapsed: Duration,
}

impl Seen {
    pub(in crate::bench) fn answered(&self) -> u64 {
        self.took.len() as u64
    }

    /// What was seen at another time.
    pub(in crate::bench) fn add(&mut self, other: Self) {
        let elapsed = self.elapsed + other.elapsed;
        self.join(other);
        self.elapsed = elapsed;
    }

    /// What was seen at the same time over another connection.
    fn join(&mut self, other: Self) {
        self.took.extend(other.took);
        self.refused += other.refused;
        self.refusal = self.refusal.take().or(other.refusal);
    }

    fn note(&mut self, answer: Result<(), String>, took: Duration) {
        match answer {
            Ok(()) => self.took.push(took),
            Err(refusal) => {
                self.refused += 1;
                self.refusal.get_or_insert(refusal);
            }
        }
    }
}

/// One connection.
pub(in crate::bench) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    headers: HeaderMap,
    decisions: Uri,
}

impl Connection {
    pub(in crate::bench) async fn open(target: &Target) -> anyhow::Result<Self> {
        let sender = client::connect(target.address).await.context("the server cannot be reached")?;
        Ok(Self { sender, headers: target.headers.clone(), decisions: Uri::from_static("/v1/decisions") })
    }

    async fn send(&mut self, method: Method, to: Uri, body: Bytes) -> anyhow::Result<Response<Incoming>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = to;
        request.headers_mut().clone_from(&self.headers);
        // It may not have noticed yet that the answer before was read to its end.
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }

    /// Asks for something that is never refused, and gives the answer's body.
    pub(in crate::bench) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<Bytes> {
        let answer = self.send(method.clone(), path.parse()?, body).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{method} {path} is refused: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }

    /// Asks for a decision; gives what was said instead of one. The answer has come as a whole.
    async fn decide(&mut self, payment: Bytes) -> anyhow::Result<Result<(), String>> {
        let answer = self.send(Method::POST, self.decisions.clone(), payment).await?;
        let (head, mut body) = answer.into_parts();
        if head.status != StatusCode::OK {
            let said = body.collect().await?.to_bytes();
            return Ok(Err(format!("{}: {}", head.status, String::from_utf8_lossy(&said))));
        }
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(Ok(()))
    }
}

/// Lets a server decide so many payments, in their order; gives how many it decided.
pub(in crate::bench) async fn warm_up(
    target: &Target,
    payments: &Payments,
    count: u64,
) -> anyhow::Result<u64> {
    #[derive(serde::Deserialize)]
    struct Batch {
        results: Vec<Decided>,
    }
    #[derive(serde::Deserialize)]
    struct Decided {
        status: u16,
    }
    let mut connection = Connection::open(target).await?;
    let mut decided = 0;
    let mut left = count;
    while 0 < left {
        let size = left.min(BATCH);
        left -= size;
        let batch = payments.batch(size as usize);
        let body = connection.ask(Method::POST, "/v1/decisions/batch", batch).await?;
        let Batch { results } = serde_json::from_slice(&body)?;
        decided += results.iter().filter(|it| it.status == 200).count() as u64;
    }
    Ok(decided)
}

/// Sends payments over so many connections for so long.
pub(in crate::bench) async fn run(
    target: &Target,
    payments: &Arc<Payments>,
    way: Loop,
    connections: u16,
    time: Duration,
) -> anyhow::Result<Seen> {
    let Loop::Open { per_second } = way else {
        let open = connect(target, connections).await?;
        let start = Instant::now();
        return gather(start, open.into_iter().map(|it| closed(it, Arc::clone(payments), start + time)))
            .await;
    };
    let offered = payments_in(time, per_second);
    run_while(target, payments, per_second, connections, move |number| number < offered).await
}

/// Sends payments in an open loop over so many connections for as long as one more may come, which is asked with its
/// number.
pub(in crate::bench) async fn run_while(
    target: &Target,
    payments: &Arc<Payments>,
    per_second: u32,
    connections: u16,
    more: impl FnMut(u32) -> bool + Send + 'static,
) -> anyhow::Result<Seen> {
    let open = connect(target, connections).await?;
    let start = Instant::now();
    let schedule = Arc::new(Schedule::new(start, per_second));
    let passing = Arc::clone(&schedule);
    let passing = tokio::task::spawn_blocking(move || passing.pass(connections, more));
    let seen =
        gather(start, open.into_iter().map(|it| scheduled(it, Arc::clone(payments), Arc::clone(&schedule))));
    let seen = seen.await?;
    passing.await?;
    Ok(seen)
}

async fn connect(target: &Target, connections: u16) -> anyhow::Result<Vec<Connection>> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(target).await?);
    }
    Ok(open)
}

/// What all connections have seen together.
async fn gather(
    start: Instant,
    connections: impl Iterator<Item = impl Future<Output = anyhow::Result<Seen>> + Send + 'static>,
) -> anyhow::Result<Seen> {
    let mut tasks: JoinSet<_> = connections.collect();
    let mut all = Seen::default();
    while let Some(seen) = tasks.join_next().await {
        all.join(seen.context("a connection broke off")??);
    }
    all.elapsed = start.elapsed();
    Ok(all)
}

async fn closed(mut connection: Connection, payments: Arc<Payments>, end: Instant) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    loop {
        let payment = payments.next();
        let start = Instant::now();
        if end <= start {
            return Ok(seen);
        }
        let answer = connection.decide(payment).await?;
        seen.note(answer, start.elapsed());
    }
}

async fn scheduled(
    mut connection: Connection,
    payments: Arc<Payments>,
    schedule: Arc<Schedule>,
) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    while let Some(due) = schedule.next().await {
        let answer = connection.decide(payments.next()).await?;
        seen.note(answer, due.elapsed());
    }
    Ok(seen)
}

/// When payments are due, at equal distances.
struct Schedule {
    start: Instant,
    every: Duration,
    /// Payments that were due so far.
    offered: AtomicU32,
    /// A permit for each payment that is due and not taken.
    due: Semaphore,
    taken: AtomicU32,
}

impl Schedule {
    fn new(start: Instant, per_second: u32) -> Self {
        let every = Duration::from_secs(1) / per_second.max(1);
        Self { start, every, offered: AtomicU32::new(0), due: Semaphore::new(0), taken: AtomicU32::new(0) }
    }

    /// Lets time pass, on a thread of its own: the runtime's timers are only good to the millisecond. At the end all
    /// connections are let through once more, to see that it is the end.
    fn pass(&self, connections: u16, mut more: impl FnMut(u32) -> bool) {
        let mut number = 0;
        while more(number) {
            thread::sleep((self.start + self.every * number).saturating_duration_since(Instant::now()));
            number += 1;
            self.offered.store(number, Ordering::Release);
            self.due.add_permits(1);
        }
        self.due.add_permits(connections.into());
    }

    /// When the next payment was due, once it is; none behind the last.
    async fn next(&self) -> Option<Instant> {
        // The semaphore is never closed.
        self.due.acquire().await.ok()?.forget();
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        (number < self.offered.load(Ordering::Acquire)).then(|| self.start + self.every * number)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::post;
    use floor::Population;

    use super::*;

    /// A server that takes its time for the first request, on a single connection.
    async fn stalling(stall: Duration, way: Loop, time: Duration) -> Seen {
        let first = Arc::new(AtomicU32::new(0));
        let answer = move || {
            let first = Arc::clone(&first);
            async move {
                if first.fetch_add(1, Ordering::Relaxed) == 0 {
                    tokio::time::sleep(stall).await;
                }
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target::new(listener.local_addr().unwrap(), "k").unwrap();
        let router = Router::new().route("/v1/decisions", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let payments = Arc::new(Payments::new(Population { users: 100, merchants: 1 }).unwrap());
        run(&target, &payments, way, 1, time).await.unwrap()
    }

    #[tokio::test]
    async fn an_open_loop_counts_what_a_stall_keeps_waiting() {
        let (stall, every) = (Duration::from_millis(100), Duration::from_millis(10));
        let way = Loop::Open { per_second: 100 };
        let seen = stalling(stall, way, Duration::from_millis(200)).await;
        assert_eq!((seen.answered(), seen.refused), (20, 0), "all that were due, however late");
        for (number, took) in (0..10).zip(&seen.took) {
            let waited = stall - every * number;
            assert!(waited <= *took, "payment {number} took {took:?}, and waited {waited:?} at least");
        }
    }

    #[tokio::test]
    async fn a_closed_loop_counts_a_stall_once() {
        let stall = Duration::from_millis(100);
        let seen = stalling(stall, Loop::Closed, stall / 2).await;
        assert_eq!(seen.answered(), 1);
        assert!(stall <= seen.took[0] && stall <= seen.elapsed);
    }

    #[tokio::test]
    async fn what_is_no_answer_is_not_counted_as_one() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target::new(listener.local_addr().unwrap(), "k").unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new()).await });
        let payments = Arc::new(Payments::new(Population { users: 100, merchants: 1 }).unwrap());
        let way = Loop::Open { per_second: 1_000 };
        let seen = run(&target, &payments, way, 4, Duration::from_millis(10)).await.unwrap();
        assert_eq!((seen.answered(), seen.refused), (0, 10));
        assert_eq!(seen.refusal.as_deref(), Some("404 Not Found: "));
    }
}
