//! What happens now: the simulated days go on, faster than they would, each event stamped when it is sent; and alerts
//! come back over the server's live stream, as any program would get them.

use std::iter::Peekable;
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, bail};
use api::now;
use hyper::body::Incoming;
use rules::time::Micros;
use serde::{Deserialize, Deserializer};
use sse_stream::SseStream;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;

use crate::send::answer::Told;
use crate::send::body::Sent;
use crate::send::client::Client;
use crate::send::lanes::post;
use crate::simulate::{Entry, Timeline};

/// Something to be shown.
#[derive(Debug)]
pub(super) enum Seen {
    /// The server's answer to what happened.
    Answer { entry: Entry, told: Told, took: Duration, retries: u64 },
    /// Somebody must look.
    Alert(Alert),
}

/// An alert, as the live stream has it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Alert {
    pub(super) event_id: String,
    /// Of the event.
    #[serde(deserialize_with = "micros")]
    pub(super) time: Micros,
    pub(super) severity: String,
    /// None: the policy.
    pub(super) rule: Option<String>,
    pub(super) reason: Option<String>,
    entities: Vec<Party>,
}

#[derive(Clone, Debug, Deserialize)]
struct Party {
    role: String,
    id: String,
}

impl Alert {
    /// The customer that it is about.
    pub(super) fn user(&self) -> &str {
        self.entities.iter().find(|it| it.role == "user").map_or("", |it| &it.id)
    }

    /// What raised it.
    pub(super) fn raised_by(&self) -> &str {
        self.rule.as_deref().unwrap_or("policy")
    }
}

fn micros<'de, D: Deserializer<'de>>(from: D) -> Result<Micros, D::Error> {
    let text = String::deserialize(from)?;
    let time: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
    Ok(time.as_microsecond())
}

/// Sends what happens, so many events a second, and labels as they become known. A server that falls behind is given
/// what it missed as soon as it takes it.
pub(super) async fn play(
    mut client: Client,
    timeline: Peekable<Timeline>,
    rate: u32,
    seen: mpsc::Sender<Seen>,
) -> anyhow::Result<()> {
    let mut due = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
    for entry in timeline {
        let sent = match entry {
            Entry::Event { .. } => Sent::Event,
            Entry::Label { .. } => Sent::Amendment,
        };
        if sent == Sent::Event {
            due.tick().await;
        }
        let entry = entry.at(now());
        let (told, took, retries) = post(&mut client, sent, entry.json()).await?;
        if let Told::Refused(reason) = &told {
            bail!("the server refuses what is simulated: {reason}");
        }
        if seen.send(Seen::Answer { entry, told, took, retries }).await.is_err() {
            return Ok(());
        }
    }
    bail!("the simulation is at its end: ten years have passed")
}

/// Hands on alerts from the server's stream, over the connection that is taken by it.
pub(super) async fn watch(
    connection: Client,
    alerts: Incoming,
    seen: mpsc::Sender<Seen>,
) -> anyhow::Result<()> {
    let mut events = pin!(SseStream::new(alerts));
    while let Some(event) = events.next().await {
        let event = event.context("the stream of alerts broke off")?;
        let (Some("alert"), Some(data)) = (event.event.as_deref(), event.data) else { continue };
        let alert = serde_json::from_str(&data).context("an alert is not as this program knows it")?;
        if seen.send(Seen::Alert(alert)).await.is_err() {
            break;
        }
    }
    drop(connection);
    Ok(())
}
