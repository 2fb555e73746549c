//! A client of a server: payments at a steady rate, and meanwhile another rule set comes into force.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use hyper::Method;
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::json;
use stream::bundle::Bundle;

use crate::bench::served::load::{self, Connection, Loop, Seen, Target};
use crate::bench::served::payments::Payments;

/// How often a job is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Payments come for so long before and behind a change, so that what it leaves behind is seen too.
const AROUND: Duration = Duration::from_millis(500);

/// What is seen of a job.
#[derive(Debug, Deserialize)]
struct Job {
    id: u64,
    state: String,
    #[serde(default)]
    problem: serde_json::Value,
    #[serde(default)]
    building: Option<Building>,
}

#[derive(Debug, Deserialize)]
struct Building {
    of: u64,
}

/// What was seen of a change.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// From sending the rule set until it was in force.
    pub(super) took: Duration,
    /// Records of the journal that state was built from; none if there was nothing to build.
    pub(super) built_from: Option<u64>,
    /// Of the payments meanwhile.
    pub(super) seen: Seen,
}

/// Who sends payments and rule sets.
pub(super) struct Client<'a> {
    target: &'a Target,
    payments: &'a Arc<Payments>,
    rate: u32,
    connections: u16,
}

impl<'a> Client<'a> {
    pub(super) fn new(target: &'a Target, payments: &'a Arc<Payments>, rate: u32, connections: u16) -> Self {
        Self { target, payments, rate, connections }
    }

    /// Waits until the server has looked for alerts in all that it found in its journal: it does so once.
    pub(super) async fn alerts_told(&self) -> anyhow::Result<()> {
        let mut control = Connection::open(self.target).await?;
        loop {
            let metrics = control.ask(Method::GET, "/metrics", Bytes::new()).await?;
            let metrics = String::from_utf8_lossy(&metrics);
            let lag = metrics.lines().find_map(|it| it.strip_prefix("weir_alerts_lag_records "));
            if lag.context("the server does not say how far alerts are told")? == "0" {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Payments while nothing comes into force.
    pub(super) async fn calm(&self, time: Duration) -> anyhow::Result<Seen> {
        let way = Loop::Open { per_second: self.rate };
        load::run(self.target, self.payments, way, self.connections, time).await
    }

    /// Payments while a rule set comes into force.
    pub(super) async fn change(&self, bundle: &Bundle) -> anyhow::Result<Change> {
        let done = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&done);
        let more = move |_| !ended.load(Ordering::Relaxed);
        let load = load::run_while(self.target, self.payments, self.rate, self.connections, more);
        let change = async {
            let changed = change_rules(self.target, bundle).await;
            done.store(true, Ordering::Relaxed);
            changed
        };
        let (seen, change) = tokio::join!(load, change);
        Ok(Change { seen: seen?, ..change? })
    }
}

/// Sends a rule set and waits until it is in force.
async fn change_rules(target: &Target, bundle: &Bundle) -> anyhow::Result<Change> {
    tokio::time::sleep(AROUND).await;
    // A connection that nobody uses is closed after some seconds: this one is new.
    let mut control = Connection::open(target).await?;
    let files: serde_json::Map<_, _> =
        bundle.sources.iter().map(|it| (it.name.clone(), it.text.clone().into())).collect();
    let body = json!({ "files": files }).to_string();
    let (start, mut built_from) = (Instant::now(), None);
    let sent = control.ask(Method::PUT, "/v1/rules", body.into()).await?;
    let mut job: Job = serde_json::from_slice(&sent)?;
    while job.state == "activating" {
        tokio::time::sleep(LOOK_EVERY).await;
        let path = format!("/v1/rules/jobs/{}", job.id);
        job = serde_json::from_slice(&control.ask(Method::GET, &path, Bytes::new()).await?)?;
        built_from = job.building.as_ref().map(|it| it.of).or(built_from);
    }
    let took = start.elapsed();
    ensure!(job.state == "active", "the rule set is not put in force: {}", job.problem);
    tokio::time::sleep(AROUND).await;
    Ok(Change { took, built_from, seen: Seen::default() })
}
