//! Connections side by side. What is about one event goes over one connection, one after another, so that a label never
//! overtakes its event; over one connection the order is exactly the file's.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::Context as _;
use hyper::Method;
use stream::source::RowAt;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::answer::{self, Told};
use super::body::Sent;
use super::client::{Client, Server};

/// What may wait for a connection: enough that it never waits for the reader.
const QUEUE_LENGTH: usize = 64;

/// Something to be sent.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) at: Option<RowAt>,
    pub(super) sent: Sent,
    pub(super) body: Vec<u8>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) at: Option<RowAt>,
    pub(super) told: Told,
    pub(super) took: Duration,
    pub(super) retries: u64,
}

/// The connections.
#[derive(Debug)]
pub(super) struct Lanes {
    queues: Vec<mpsc::Sender<Job>>,
    tasks: Vec<JoinHandle<anyhow::Result<()>>>,
    done: Receiver<Done>,
}

impl Lanes {
    /// Connects as often as asked.
    pub(super) fn open(runtime: &Runtime, server: &Server, connections: usize) -> anyhow::Result<Self> {
        let (done_in, done) = channel();
        let (mut queues, mut tasks) = (Vec::new(), Vec::new());
        for _ in 0..connections {
            let client = runtime.block_on(Client::connect(server.clone()))?;
            let (queue, jobs) = mpsc::channel(QUEUE_LENGTH);
            queues.push(queue);
            tasks.push(runtime.spawn(lane(client, jobs, done_in.clone())));
        }
        Ok(Self { queues, tasks, done })
    }

    /// Hands a job to the connection of its event; false if that has ended, for a reason that [`Lanes::finish`] gives.
    pub(super) fn send(&self, event_id: &str, job: Job) -> bool {
        // Only spread: any hash will do, as long as it stays the same while the run lasts.
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(event_id);
        let lanes = self.queues.len().max(1) as u64;
        let queue = usize::try_from(hash % lanes).ok().and_then(|it| self.queues.get(it));
        queue.is_some_and(|it| it.blocking_send(job).is_ok())
    }

    /// What is done so far, and was not yet given out.
    pub(super) fn done(&self) -> impl Iterator<Item = Done> {
        self.done.try_iter()
    }

    /// Waits until all is sent, or one connection has failed. Gives what is done since [`Lanes::done`], whatever
    /// became of the rest.
    pub(super) fn finish(self, runtime: &Runtime) -> (Vec<Done>, anyhow::Result<()>) {
        drop(self.queues);
        let outcomes =
            self.tasks.into_iter().map(|it| runtime.block_on(it).context("a connection broke off"));
        // Every task is waited for, so that nothing is done afterwards.
        let outcomes: Vec<_> = outcomes.map(|it| it.and_then(|it| it)).collect();
        (self.done.try_iter().collect(), outcomes.into_iter().collect())
    }
}

/// Sends one after another. The label of a row whose event was refused is of no event: it would go to the one whose id the
/// row bears.
async fn lane(mut client: Client, mut jobs: mpsc::Receiver<Job>, done: Sender<Done>) -> anyhow::Result<()> {
    let mut refused = HashSet::new();
    while let Some(Job { at, sent, body }) = jobs.recv().await {
        if sent == Sent::Amendment && at.is_some_and(|it| refused.remove(&it)) {
            continue;
        }
        let (told, took, retries) = post(&mut client, sent, body).await?;
        if sent == Sent::Event && matches!(told, Told::Refused(_)) {
            refused.extend(at);
        }
        if done.send(Done { at, told, took, retries }).is_err() {
            break;
        }
    }
    Ok(())
}

/// Sends an event or an amendment and waits for what becomes of it.
pub(crate) async fn post(
    client: &mut Client,
    sent: Sent,
    body: Vec<u8>,
) -> anyhow::Result<(Told, Duration, u64)> {
    let answer = client.ask(Method::POST, sent.path(), body).await?;
    Ok((answer::read(&answer, sent)?, answer.took, answer.retries))
}
