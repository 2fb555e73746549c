//! `weir serve`: the gate behind HTTP.

mod config;
mod data;
mod greeting;
mod memory;
mod trial;

use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use api::{Activation, Parts, Server, now};
use clap::Args;
use desk::Desk;
use desk::key::{Role, Secret};
use rustix::process::{Resource, getrlimit};
use stream::gate::Gate;
use tokio::net::{TcpListener, TcpSocket};

use crate::directory;
use crate::stdout;
pub(crate) use config::{Config, Durability};
pub(crate) use greeting::Greeting;
use memory::Limit;

/// Decide events over HTTP.
///
/// Without options it serves a starter rule set for a wallet on `127.0.0.1:7878`, keeps its data in `weir-data`, and
/// prints how to send a first decision.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where journal, snapshots and database are kept [default: weir-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A PostgreSQL database for keys, rule sets and alerts, such as `postgres://weir@db.example/weir`; a password may
    /// stand in PGPASSWORD [default: the file weir.db in the data directory]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Where to listen [default: 127.0.0.1:7878]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// The rule set for the first start: a folder of rule files, or one rule file [default: a starter for a wallet]
    #[arg(long, value_name = "PATH")]
    rules: Option<PathBuf>,
    /// Put what `--rules` names in force at a later start too; otherwise a difference is only said
    #[arg(long)]
    activate: bool,
    /// When a decision may be answered: on the disk, or with the operating system [default: fsync]
    #[arg(long, value_name = "POLICY")]
    durability: Option<Durability>,
    /// How much memory it may take, such as `2GiB` or `60%` of the machine's [default: 60%]
    #[arg(long, value_name = "SIZE")]
    memory: Option<Limit>,
    /// How far behind the newest event an event's time may lie, such as `36h` or `7d`; ids are known for 24h, so that what is
    /// sent again later than that is a new event [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = config::past_max)]
    past_max: Option<Duration>,
    /// A TOML file of the same options, such as `past_max = "7d"`; what stands on the command line counts more
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Files that a server may want open at once: connections, and two for each segment of its journal.
const OPEN_FILES_WANTED: u64 = 4_096;

/// Says where too few files may be open, as many as the system allows.
fn note_open_files() {
    directory::raise_open_files();
    if let Some(files) = getrlimit(Resource::Nofile).current.filter(|it| *it < OPEN_FILES_WANTED) {
        tracing::warn!(
            "only {files} files may be open at once, and half of them are for connections: raise the limit of \
             open files"
        );
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let config = Config::of(options)?;
    start_log("warn,weir=info,api=info,desk=info,stream=info");
    note_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let socket = bind(config.listen)?;
        serve(config, || socket.listen(BACKLOG), greet, told_to_stop()).await
    });
    // What is still being opened or built is left as a crash would leave it.
    runtime.shutdown_background();
    ended
}

/// Says on standard output where the server is. It serves all the same where nobody reads that
/// (`weir serve | head -1`), or it cannot be written.
fn greet(greeting: &Greeting<'_>) {
    match stdout::show(&greeting.text()) {
        Err(cause) if !stdout::is_left(&cause) => tracing::warn!("the greeting cannot be shown: {cause}"),
        _ => {}
    }
}

/// To standard error, as `WEIR_LOG` says, otherwise what is worth knowing.
pub(crate) fn start_log(worth_knowing: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("WEIR_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(worth_knowing));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Whoever collected the log may have gone. To tell standard error that it takes nothing would end the thread that has
    // something else to do, such as to stop the server.
    let log = log.with_ansi(std::io::stderr().is_terminal()).log_internal_errors(false).try_init();
    // There is one already: whoever set it up gets these lines too.
    drop(log);
}

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1_024;

/// Takes a port and leaves connections refused: a port that is taken is told before long work begins, and nobody is kept
/// waiting while it goes on.
fn bind(address: SocketAddr) -> anyhow::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let bound = socket.and_then(|socket| {
        // As a listener does: the port of a server that has just ended is free.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    });
    bound.with_context(|| format!("cannot listen on `{address}`"))
}

pub(crate) async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on `{address}`"))
}

/// Serves until it is told to stop, or until the journal has failed. It listens once the data directory is open; what is
/// said at the start is then handed to `greet`.
pub(crate) async fn serve(
    config: Config,
    listen: impl FnOnce() -> io::Result<TcpListener> + Send,
    greet: impl FnOnce(&Greeting<'_>) + Send,
    told_to_stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    memory::check_room(config.memory)?;
    stream::disk::Folder::create(&config.data)
        .with_context(|| format!("cannot create the data directory `{}`", config.data.display()))?;
    let mut told_to_stop = Box::pin(told_to_stop);
    // First, so that a directory is not begun for a database that is not there.
    let desk = Desk::open(&config.database).await?;
    let opening = config.clone();
    let opened = tokio::select! {
        biased;
        () = &mut told_to_stop => {
            tracing::info!("stopped before the data directory was open");
            return Ok(());
        }
        opened = tokio::task::spawn_blocking(move || data::open(&opening)) => opened?,
    };
    let data = Arc::new(opened?);
    let gate = Arc::clone(&data.gate);
    let forgotten = desk.belong_to(gate.key(), data.found).await?;
    if 0 < forgotten {
        tracing::warn!("{forgotten} alerts are forgotten: a crash took the records that they were told of");
    }
    let parts = Parts {
        gate: Arc::clone(&gate),
        desk: desk.clone(),
        trial: Arc::new(trial::Tests),
        activation: Arc::clone(&data) as Arc<dyn Activation>,
        past_max: config.past_max,
        patience: api::Patience::default(),
    };
    let server = Server::new(parts).await?;
    if data.found == 0 {
        memory::check_room(config.memory)?;
    }
    let listener = listen().with_context(|| format!("cannot listen on `{}`", config.listen))?;
    let address = listener.local_addr()?;
    // Last of all, so that it is shown if it is made.
    let key = first_key(&desk).await?;
    greet(&Greeting { address, config: &config, gate: &gate, rules: &data.rules, key: key.as_ref() });

    let traffic = server.traffic();
    let housekeeping = [
        tokio::spawn(memory::watch(config.memory, server.traffic(), server.metrics())),
        tokio::spawn(evict(Arc::clone(&gate))),
        tokio::spawn(Arc::clone(&data).keep(server.metrics())),
    ];
    let stopper = tokio::spawn(stop(Arc::clone(&gate), traffic, told_to_stop));
    server.serve(listener).await;
    housekeeping.iter().for_each(tokio::task::JoinHandle::abort);
    desk.close().await;
    let failed = stopper.await.context("the task that stops the server broke off")?;
    let closed = tokio::task::spawn_blocking(move || data.close()).await?;
    match failed {
        None => closed,
        // Closing tells what it was that failed.
        Some(why) => Err(closed.err().map_or_else(|| anyhow::anyhow!("{why}"), |cause| cause.context(why))),
    }
}

/// An admin key, where there is no key at all: at the first start.
async fn first_key(desk: &Desk) -> anyhow::Result<Option<Secret>> {
    if !desk.keys().await?.is_empty() {
        return Ok(None);
    }
    Ok(Some(desk.create_key(Role::Admin, "first start", now()).await?))
}

/// How often the idle leave memory.
const EVICT_EVERY: Duration = Duration::from_secs(60);

/// Takes the idle out of memory from time to time.
async fn evict(gate: Arc<Gate>) {
    let mut ticks = tokio::time::interval(EVICT_EVERY);
    loop {
        ticks.tick().await;
        let gate = Arc::clone(&gate);
        // It is cut short only when the server stops.
        let _ = tokio::task::spawn_blocking(move || gate.evict_idle()).await;
    }
}

/// Stops the server when it is told to, or when the journal has failed; gives the latter as words.
async fn stop(
    gate: Arc<Gate>,
    traffic: Arc<api::Traffic>,
    told_to_stop: impl Future<Output = ()>,
) -> Option<&'static str> {
    let mut progress = gate.journal().watch();
    let poisoned = async {
        if progress.wait_for(|it| it.poisoned).await.is_err() {
            // A journal that tells nothing more has not failed.
            std::future::pending::<()>().await;
        }
    };
    let why = tokio::select! {
        () = told_to_stop => None,
        () = poisoned => {
            Some("the journal could not be written, so nothing more was answered: start again, and what the disk has is recovered")
        }
    };
    if why.is_none() {
        tracing::info!("stopping: what was accepted is finished");
    }
    traffic.stop();
    gate.stop_building();
    why
}

/// Comes when the process is asked to end, from this call on: whoever hears that the server runs may stop it at once.
#[cfg(unix)]
pub(crate) fn told_to_stop() -> impl Future<Output = ()> + Send + 'static {
    use tokio::signal::unix::{SignalKind, signal};
    let [terminate, interrupt] = [SignalKind::terminate(), SignalKind::interrupt()].map(|it| signal(it).ok());
    let told = async |signal: Option<tokio::signal::unix::Signal>| match signal {
        Some(mut signal) => drop(signal.recv().await),
        // Nobody listens for it: then it ends the process.
        None => std::future::pending().await,
    };
    async move {
        tokio::select! {
            () = told(terminate) => {}
            () = told(interrupt) => {}
        }
    }
}

/// Comes when the process is asked to end.
#[cfg(not(unix))]
pub(crate) async fn told_to_stop() {
    let _ = tokio::signal::ctrl_c().await;
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_told_to_stop_before_it_is_open_neither_listens_nor_waits() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::at(folder.path().to_owned(), ([127, 0, 0, 1], 0).into());
        let listen = || unreachable!("it does not listen");
        serve(config, listen, |_| unreachable!("it does not run"), async {}).await.unwrap();
    }

    #[tokio::test]
    async fn a_port_is_taken_at_once_and_refuses_until_it_is_listened_to() {
        let socket = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = socket.local_addr().unwrap();
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
        let _listener = socket.listen(BACKLOG).unwrap();
        assert!(tokio::net::TcpStream::connect(address).await.is_ok());
        assert!(bind(address).unwrap_err().to_string().contains("cannot listen on"));
    }

    #[tokio::test]
    async fn who_is_told_to_stop_before_it_waits_for_that_stops() {
        let told = super::told_to_stop();
        let id = std::process::id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        told.await;
    }
}
