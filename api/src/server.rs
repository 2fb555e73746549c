//! The server: connections accepted, limits held, and an end that finishes what was accepted.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::connection;
use crate::entrance::Front;
use crate::limits::{CONNECTIONS_MAX, STOP_TIME_MAX};

/// Connections at once: half of the files that the process may open are for them, and the other half for what they need
/// before all, the journal.
fn connections_max() -> u32 {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    files.map_or(CONNECTIONS_MAX, |it| u32::try_from(it / 2).unwrap_or(u32::MAX).clamp(1, CONNECTIONS_MAX))
}

/// Serves until [`Traffic::stop`](crate::traffic::Traffic::stop), then finishes what was accepted, for at most
/// [`STOP_TIME_MAX`].
pub(crate) async fn serve(listener: TcpListener, front: Front) {
    let traffic = Arc::clone(&front.app.traffic);
    let front = Arc::new(front);
    let mut stopping = traffic.stopping();
    let connections_max = connections_max();
    let connections = Arc::new(Semaphore::new(connections_max as usize));
    loop {
        let accepted = async {
            // The semaphore is never closed, so there is always a permit in the end.
            let permit = Arc::clone(&connections).acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            it = accepted => it,
            _ = stopping.wait_for(|it| *it) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Such as: too many open files. Others may close theirs meanwhile.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let served = connection::serve(stream, Arc::clone(&front));
        tokio::spawn(async move {
            served.await;
            drop(permit);
        });
    }
    drop(listener);
    // Each connection has one of them until it ends.
    let all = connections.acquire_many(connections_max);
    if tokio::time::timeout(STOP_TIME_MAX, all).await.is_err() {
        tracing::warn!(
            "some connections were still busy after {} s and were closed",
            STOP_TIME_MAX.as_secs()
        );
    }
}
