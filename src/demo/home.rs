//! Where the demo lives: its data directory and its port.

use std::fs::File;
use std::io::{self, Read as _};
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
            remove_left_behind(&std::env::temp_dir());
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir();
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

/// What the names of temporary directories begin with.
const PREFIX: &str = "weir-demo-";

/// Removes the temporary directories of demos that were killed, so far as it may. What is not surely one of them stays.
fn remove_left_behind(folder: &Path) {
    let Ok(entries) = folder.read_dir() else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_str().is_some_and(|it| it.starts_with(PREFIX));
        if ours && entry.file_type().is_ok_and(|it| it.is_dir()) && has_lost_its_owner(&entry.path()) {
            // It is in nobody's way: the next demo tries again.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether a process has owned this data directory and ended. Who begins takes the lock first and then writes its name
/// into it, so that an empty lock is of one that has just begun.
fn has_lost_its_owner(data: &Path) -> bool {
    let Ok(mut lock) = File::open(data.join("lock")) else { return false };
    let mut owner = String::new();
    lock.try_lock().is_ok() && lock.read_to_string(&mut owner).is_ok() && owner.starts_with("process ")
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

    #[test]
    fn what_a_killed_demo_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, lock: Option<&str>| {
            let data = folder.path().join(name);
            std::fs::create_dir_all(data.join("journal")).unwrap();
            if let Some(text) = lock {
                std::fs::write(data.join("lock"), text).unwrap();
            }
            data
        };
        let killed = make("weir-demo-killed", Some("process 1"));
        let others = [
            make("weir-demo-runs", Some("process 2")),
            make("weir-demo-takes-its-lock", Some("")),
            make("weir-demo-begins", None),
            make("something-else", Some("process 1")),
        ];
        let runs = File::open(others[0].join("lock")).unwrap();
        runs.try_lock().unwrap();
        remove_left_behind(folder.path());
        assert!(!killed.exists());
        for other in others {
            assert!(other.exists(), "{}", other.display());
        }
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
