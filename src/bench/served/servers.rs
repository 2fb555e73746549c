//! Who is asked: the echo, and the server as `weir serve` runs it, each on a runtime of its own.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt as _;
use engine::event::Event;
use engine::rule_set::RuleSet;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use stream::intake::parse_json;
use stream::journal::{Cursor as _, Reader, RecordKind};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::load::Target;
use crate::directory::{self, Untouched};
use crate::serve::{self, Config, Durability};

/// As long as a plain decision.
const ECHO_BYTES: usize = 300;

/// A server that fails has ended after so long.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Who answers, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::bench) enum Policy {
    /// Reads the event and answers what it always answers.
    Echo,
    /// Decides; the answer waits for the operating system.
    Os,
    /// Decides; the answer waits for the disk.
    Fsync,
}

impl Policy {
    pub(in crate::bench) const ALL: [Self; 3] = [Self::Echo, Self::Os, Self::Fsync];
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Echo => "echo",
            Self::Os => "os",
            Self::Fsync => "fsync",
        })
    }
}

/// A runtime as `weir serve` has it, whose threads can be told apart in a profile.
pub(in crate::bench) fn runtime(name: &str) -> anyhow::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.enable_all().thread_name(format!("weir-{name}")).build()?)
}

/// A running server.
pub(in crate::bench) struct Server {
    pub(in crate::bench) policy: Policy,
    pub(in crate::bench) target: Target,
    /// Where its journal is; none of the echo.
    data: Option<PathBuf>,
    runtime: Runtime,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    /// Where the server of a policy has its data; what is there already it goes on with.
    pub(in crate::bench) fn data(policy: Policy, folder: &Path) -> PathBuf {
        folder.join(policy.to_string())
    }

    /// Starts it on a port of its own, with its data in a folder of its own below the given one.
    pub(in crate::bench) fn start(policy: Policy, folder: &Path) -> anyhow::Result<Self> {
        let runtime = runtime(&policy.to_string())?;
        let listener = runtime.block_on(serve::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        // It stops too when nobody is left to tell it.
        let stopped = async { stopped.await.unwrap_or(()) };
        let durability = match policy {
            Policy::Echo => {
                let serving = runtime.spawn(echo(listener, canonical::gate()?.rules(), stopped));
                let target = Target::new(address, "echo")?;
                return Ok(Self { policy, target, data: None, runtime, stop, serving });
            }
            Policy::Os => Durability::Os,
            Policy::Fsync => Durability::Fsync,
        };
        let data = Self::data(policy, folder);
        let mut config = Config::at(data.clone(), address);
        config.rules = Some(rules_in(folder)?);
        config.durability = durability;
        let (greet, greeted) = oneshot::channel();
        // Nobody waits for the greeting only if the bench has ended.
        let greet = |it: &serve::Greeting<'_>| drop(greet.send(it.key.map(|it| it.reveal().to_owned())));
        let serving = runtime.spawn(serve::serve(config, || Ok(listener), greet, stopped));
        let Ok(key) = runtime.block_on(greeted) else {
            runtime.block_on(serving)??;
            anyhow::bail!("the server ended before it began");
        };
        let key = key.context("the server has made no key in its new data directory")?;
        Ok(Self { policy, target: Target::new(address, &key)?, data: Some(data), runtime, stop, serving })
    }

    /// What came of asking it; if nothing did because it has ended, why that is.
    pub(in crate::bench) fn unless_ended<T>(&mut self, came: anyhow::Result<T>) -> anyhow::Result<T> {
        let Self { runtime, serving, .. } = self;
        came.map_err(|error| {
            match runtime.block_on(async { tokio::time::timeout(ENDS_WITHIN, serving).await }) {
                Ok(Ok(ended)) => ended.err().unwrap_or(error),
                Ok(Err(broke_off)) => broke_off.into(),
                Err(_) => error,
            }
        })
    }

    /// Stops it; gives how many decisions its journal then holds.
    pub(in crate::bench) fn stop(self) -> anyhow::Result<u64> {
        // Whether it hears that or has ended already, it is waited for.
        let _ = self.stop.send(());
        self.runtime.block_on(self.serving)??;
        self.data.map_or(Ok(0), |it| decisions_in(&it))
    }
}

/// Writes the rule set into a folder as files; gives the one to name: that of the rules, behind the schema.
fn rules_in(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut rules = folder.to_owned();
    for file in canonical::bundle().sources {
        rules = folder.join(file.name);
        std::fs::write(&rules, file.text).context("the rule set cannot be written")?;
    }
    Ok(rules)
}

fn decisions_in(data: &Path) -> anyhow::Result<u64> {
    let Untouched { disk, synced, directory: _directory } = directory::untouched(data)?;
    let mut records = Reader::open(disk, 0, synced)?.context("the journal is gone")?;
    let mut decisions = 0;
    while let Some(record) = records.next()? {
        decisions += u64::from(record.kind == RecordKind::Decided);
    }
    Ok(decisions)
}

/// As little as a server can do that speaks the same protocol: route, read the body into an event, answer.
async fn echo(
    listener: TcpListener,
    rules: Arc<RuleSet>,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let answer =
        Bytes::from(format!("{{\"padding\":\"{:x<1$}\"}}", "", ECHO_BYTES - "{\"padding\":\"\"}".len()));
    let router = Router::new().route("/v1/decisions", post(read_and_answer)).with_state((rules, answer));
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router).with_graceful_shutdown(stopped).await?;
    Ok(())
}

async fn read_and_answer(
    State((rules, answer)): State<(Arc<RuleSet>, Bytes)>,
    body: Bytes,
) -> Result<([(hyper::header::HeaderName, HeaderValue); 1], Bytes), StatusCode> {
    let mut event = Event::default();
    match parse_json(&body, &rules.typed.schema, &mut event) {
        Ok(_) => Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], answer)),
        Err(_) => Err(StatusCode::BAD_REQUEST),
    }
}
