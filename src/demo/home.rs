//! Where the demo lives: its data directory and its port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::serve;

/// A data directory.
#[derive(Debug)]
pub(super) enum Home {
    /// Removed when it is dropped.
    Temporary(TempDir),
    /// Named by whoever wants to go on with it.
    Kept(PathBuf),
}

impl Home {
    /// A named one must hold nothing: what is simulated never goes among what is real.
    pub(super) fn of(named: Option<&Path>) -> anyhow::Result<Self> {
        let Some(folder) = named else {
            let folder = tempfile::Builder::new().prefix("weir-demo-").tempdir();
            return Ok(Self::Temporary(folder.context("cannot make a temporary directory")?));
        };
        let shown = folder.display();
        match folder.read_dir() {
            Ok(mut entries) => ensure!(
                entries.next().is_none(),
                "`{shown}` holds something already: name a directory that is new or empty (`weir serve --data {shown}` \
                 goes on with the data of an earlier demo)"
            ),
            // The server makes it.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(cause).with_context(|| format!("cannot read the directory `{shown}`")),
        }
        Ok(Self::Kept(folder.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }
}

/// The first port that is tried, and how many after it.
const PORT: u16 = 8080;
const PORTS: u16 = 20;

/// Listens where it is told to, otherwise near [`PORT`], otherwise anywhere on this machine.
pub(super) async fn listen(named: Option<SocketAddr>) -> anyhow::Result<TcpListener> {
    if let Some(address) = named {
        return serve::listen(address).await;
    }
    let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    for port in PORT..PORT + PORTS {
        if let Ok(listener) = TcpListener::bind(here(port)).await {
            return Ok(listener);
        }
    }
    serve::listen(here(0)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_directory_is_new_or_empty_and_a_temporary_one_goes() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("new");
        for good in [folder.path(), &new] {
            assert_eq!(Home::of(Some(good)).unwrap().path(), good);
        }
        std::fs::write(folder.path().join("weir.db"), "").unwrap();
        let wrong = [
            (folder.path().to_owned(), "holds something already"),
            (folder.path().join("weir.db"), "cannot read the directory"),
        ];
        for (named, expected) in wrong {
            let error = Home::of(Some(&named)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let home = Home::of(None).unwrap();
        let path = home.path().to_owned();
        assert!(path.is_dir());
        drop(home);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_passed_over() {
        let [first, second] = [listen(None).await.unwrap(), listen(None).await.unwrap()];
        assert_ne!(first.local_addr().unwrap(), second.local_addr().unwrap());
        let taken = first.local_addr().unwrap();
        let error = listen(Some(taken)).await.unwrap_err().to_string();
        assert_eq!(error, format!("cannot listen on `{taken}`"));
    }
}
