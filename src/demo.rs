//! `weir demo`: all of it at once, for whoever sees it for the first time: a server with the starter rules, traffic
//! with thieves in it, and what is decided, as it happens.
//!
//! ```text
//! simulator ──► HTTP client ──► server ──► answers ──┐
//!                                  └─► live stream of alerts ──► scene ──► screen, or lines
//! ```
//!
//! It is a guest at a server like any other: what it shows came over HTTP, and nothing here knows gate or journal.
//!
//! Reading order: [`home`] (where), [`history`] (what came before), [`live`] (what happens), [`scene`] (what was seen of
//! it), [`draw`] (how that looks), [`view`] (where it is shown).

mod draw;
mod history;
mod home;
mod live;
mod scene;
mod view;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use api::now;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::send::client::{Client, Server};
use crate::send::tally::Rest;
use crate::serve::{self, Config};
use crate::simulate::{self, Share, Timeline};
use crate::stdout::Stdout;
use home::Home;
use scene::{Contact, Scene};
use view::View;

/// See it work: a server with starter rules, simulated customers and thieves, and what is decided, as it happens.
///
/// It needs nothing and leaves nothing behind. On a terminal it goes on until Ctrl-C.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Events a second, as far as one connection takes them
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Another seed gives other people and other thieves
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// End after so long [default: at Ctrl-C; where the output is no terminal, after 30 seconds]
    #[arg(long = "for", value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// Where to listen [default: the first free port of 127.0.0.1 from 8080 on]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Keep its data in this new or empty directory [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Its first minute has an alert of nearly every kind.
const SEED: u64 = 9;
/// Customers of the simulated wallet.
const CUSTOMERS: u32 = 2_000;
/// Far more fraud than a wallet should see: nobody waits long for an alert.
const FRAUD: Share = Share::per_cent(8);
/// How long it goes on where nobody can press Ctrl-C.
const SECONDS_UNATTENDED: u32 = 30;
/// How often the screen is drawn.
const FRAME: Duration = Duration::from_millis(100);

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(demo(options))
}

async fn demo(options: &Options) -> anyhow::Result<()> {
    let home = Home::of(options.data.as_deref())?;
    let listener = home::listen(options.listen).await?;
    let mut view = View::new();
    serve::start_log(view.worth_logging());
    let config = Config::at(home.path().to_owned(), listener.local_addr()?);
    let (greet, greeted) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut server = tokio::spawn(serve::serve(
        config,
        || Ok(listener),
        // If nobody waits for it any more, the demo is at its end already.
        move |greeting| drop(greet.send(Contact::of(greeting))),
        // So is it if the sender is gone.
        async { stopped.await.unwrap_or(()) },
    ));
    let Ok(contact) = greeted.await else {
        server.await??;
        bail!("the server ended before it began");
    };
    let mut scene = Scene::new(contact?)?;
    let shown = tokio::select! {
        shown = show(options, &mut scene, &mut view) => shown,
        () = serve::told_to_stop() => Ok(()),
        ended = &mut server => {
            ended??;
            bail!("the server ended")
        }
    };
    let elapsed = scene.elapsed();
    view.close();
    // Either there is somebody to tell or the server is gone: it is waited for below.
    let _ = stop.send(());
    server.await??;
    shown?;
    write!(Stdout, "\n{}", scene.tally.say(elapsed, &Rest::default()))?;
    if let Home::Kept(folder) = &home {
        let folder = folder.display();
        writeln!(Stdout, "\nIts data is in `{folder}`: `weir serve --data {folder}` goes on with it")?;
    }
    Ok(())
}

/// Plays the history, then what happens now, until it is time to end.
async fn show(options: &Options, scene: &mut Scene, view: &mut View) -> anyhow::Result<()> {
    let server = Server::new(&scene.contact.url(), &scene.contact.key, "none")?;
    let mut client = Client::connect(server.clone()).await?;
    view.greet(&scene.contact)?;
    let traffic = simulate::Options::endless(options.seed, CUSTOMERS, FRAUD);
    let mut timeline = Timeline::new(&traffic).peekable();
    let start = Instant::now();
    let decided = history::play(&mut client, &mut timeline).await?;
    let seconds = options.seconds.or((!view.is_attended()).then_some(SECONDS_UNATTENDED));
    view.begin(&history::said(decided, CUSTOMERS, start.elapsed()), options.rate, seconds)?;

    let mut watcher = Client::connect(server).await?;
    let alerts = watcher.follow("/v1/alerts/stream").await?;
    scene.begin(now());
    let (seen_in, mut seen) = mpsc::channel(64);
    let mut tasks = JoinSet::new();
    tasks.spawn(live::watch(watcher, alerts, seen_in.clone()));
    tasks.spawn(live::play(client, timeline, options.rate, seen_in));
    let mut frames = tokio::time::interval(FRAME);
    let end = async {
        match seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds.into())).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    loop {
        tokio::select! {
            Some(seen) = seen.recv() => view.seen(scene, seen)?,
            _ = frames.tick() => view.draw(scene)?,
            Some(ended) = tasks.join_next() => {
                ended.context("a task of the demo broke off")??;
                bail!("the server ended");
            }
            () = &mut end => return Ok(()),
        }
    }
}
