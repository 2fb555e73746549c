//! What came before: two days and a morning of the simulated wallet, decided as fast as the server answers, so that the
//! features of its customers are worth something when the demo begins.

use std::iter::Peekable;
use std::time::Duration;

use anyhow::{Context as _, bail};
use api::now;
use hyper::{Method, StatusCode};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rules::time::{DAY, HOUR, Micros};
use serde::Deserialize;

use crate::figures::grouped;
use crate::send::answer::problem;
use crate::send::body::Sent;
use crate::send::client::Client;
use crate::send::lanes::post;
use crate::simulate::{Entry, Timeline};

/// How long it is. It ends in the middle of a morning, when honest people are about and some thieves are at work.
const LENGTH: Micros = 2 * DAY + 10 * HOUR;
/// Events of a request.
const BATCH_EVENTS: usize = 250;
/// How often a batch is sent for which the server has no room, and how long to wait in between: half a minute.
const ATTEMPTS: u32 = 300;
const PAUSE: Duration = Duration::from_millis(100);

/// Sends all that happened in the time that ends now; gives the number of events. What is left of the timeline happens
/// from now on.
pub(super) async fn play(client: &mut Client, timeline: &mut Peekable<Timeline>) -> anyhow::Result<u64> {
    let begin = timeline.peek().map_or(0, Entry::time);
    let later_by = now() - (begin + LENGTH);
    let bar =
        ProgressBar::with_draw_target(Some(LENGTH.unsigned_abs()), ProgressDrawTarget::stderr_with_hz(10));
    let style = ProgressStyle::with_template("First, two days of history  {bar:32} {percent:>3} %");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut decided = 0;
    loop {
        let (mut events, mut labels) = (Vec::new(), Vec::new());
        while events.len() < BATCH_EVENTS
            && let Some(entry) = timeline.next_if(|it| it.time() < begin + LENGTH)
        {
            bar.set_position((entry.time() - begin).unsigned_abs());
            let body = entry.at(entry.time() + later_by).json();
            match entry {
                Entry::Event { .. } => events.push(body),
                Entry::Label { .. } => labels.push(body),
            }
        }
        decided += events.len() as u64;
        let is_last = events.len() < BATCH_EVENTS;
        decide(client, &events).await?;
        // Known a little later than they should be, which no label minds: none comes before its event.
        for label in labels {
            post(client, Sent::Amendment, label).await?;
        }
        if is_last {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(decided)
}

/// What became of one event of a batch.
#[derive(Deserialize)]
struct Outcome {
    status: u16,
    problem: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    detail: String,
}

/// Has events decided in their order: again, all of them, where the server had no room for some. Those that it decided
/// are answered as then.
async fn decide(client: &mut Client, events: &[Vec<u8>]) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct Results {
        results: Vec<Outcome>,
    }
    let body = [&b"{\"events\":["[..], &events.join(&b','), b"]}"].concat();
    for _ in 0..ATTEMPTS {
        let answer = client.ask(Method::POST, "/v1/decisions/batch", body.clone()).await?;
        if answer.status != StatusCode::OK {
            bail!("the server refuses the history: {}", problem(&answer));
        }
        let Results { results } =
            serde_json::from_slice(&answer.body).context("the server's answer is no result of a batch")?;
        let Some(worst) = results.into_iter().max_by_key(|it| it.status) else { return Ok(()) };
        match worst {
            Outcome { status: 200, .. } => return Ok(()),
            Outcome { status: 429 | 503, .. } => tokio::time::sleep(PAUSE).await,
            Outcome { problem, .. } => {
                let detail = problem.map(|it| it.detail).unwrap_or_default();
                bail!("the server refuses an event of the history: {detail}");
            }
        }
    }
    bail!("the server has no room for the history: look at its disk and its memory")
}

/// What there was, in words, for a line of its own.
pub(super) fn said(decided: u64, customers: u32, took: Duration) -> String {
    format!(
        "Two days of history: {} events of {} customers, decided in {:.1} s.",
        grouped(decided),
        grouped(customers.into()),
        took.as_secs_f64()
    )
}
