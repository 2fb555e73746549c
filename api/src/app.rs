//! What all routes share.

use std::sync::Arc;
use std::time::Duration;

use desk::Desk;
use tokio::sync::Semaphore;

use crate::docs::Document;
use crate::keys::Keys;
use crate::limits::{BODY_TIME_MAX, HEADER_TIME_MAX};
use crate::metrics::Metrics;
use crate::risk::door::Door;
use crate::risk::follow::Told;
use crate::risk::rules::{Activation, Jobs, Trial};
use crate::traffic::Traffic;

/// What all routes share.
#[derive(Debug)]
pub(crate) struct App {
    /// Where events are decided.
    pub(crate) door: Arc<Door>,
    /// What people keep.
    pub(crate) desk: Desk,
    /// Who may call.
    pub(crate) keys: Arc<Keys>,
    /// What is counted and timed.
    pub(crate) metrics: Arc<Metrics>,
    /// What every request passes.
    pub(crate) traffic: Arc<Traffic>,
    /// How far the alerts are told.
    pub(crate) told: Told,
    /// Taken while a large body is in memory.
    pub(crate) large_bodies: Arc<Semaphore>,
    /// Taken while the events of a batch are decided.
    pub(crate) batches: Semaphore,
    /// Rule sets on their way into force.
    pub(crate) jobs: Jobs,
    /// Runs the tests of a rule set.
    pub(crate) trial: Arc<dyn Trial>,
    /// Puts rule sets in force.
    pub(crate) activation: Arc<dyn Activation>,
    /// The OpenAPI document.
    pub(crate) document: Document,
    /// How far behind the engine clock an event's time may lie.
    pub(crate) past_max: Duration,
    /// How long a client is waited for.
    pub(crate) patience: Patience,
}

/// How long a client is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// Until the headers of a request are there; behind it the connection is closed.
    pub headers: Duration,
    /// Until the body is there.
    pub body: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { headers: HEADER_TIME_MAX, body: BODY_TIME_MAX }
    }
}
