//! PostgreSQL: from a URL to a pool of connections, and what a server says in words.

use std::time::Duration;

use sea_orm::{DatabaseConnection, SqlxPostgresConnector};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{Connection as _, Error as Cause};

use crate::{CONNECTIONS_MAX, Error, Url};

/// How long a server is waited for at the start.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a statement waits for a connection: for another to be free, or for the server to be back.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a URL says, with what the environment (`PGPASSWORD`, `PGSSLMODE`, …) and `~/.pgpass` add to it.
pub(crate) fn options(url: &Url) -> Result<PgConnectOptions, Error> {
    let wrong = |cause: Cause| {
        let why = cause.to_string();
        Error::Url(format!("cannot be read: {}", why.trim_start_matches("error with configuration: ")))
    };
    let options: PgConnectOptions = url.reveal().parse().map_err(wrong)?;
    Ok(if options.get_application_name().is_some() { options } else { options.application_name("weir") })
}

/// A pool whose first connection has been made. One that breaks later is made anew.
pub(crate) async fn connect(url: &Url) -> Result<DatabaseConnection, Error> {
    let options = options(url)?;
    let unreachable = |why| Error::Unreachable { name: url.to_string(), why };
    // By hand: a pool takes a refusal for a server that is about to start, waits, and does not say why.
    let first = tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options)).await;
    let first =
        first.map_err(|_| unreachable(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())))?;
    // It has shown what it was made to show; how it ends does not matter.
    let _ = first.map_err(|it| unreachable(words(it)))?.close().await;
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(ACQUIRE_TIMEOUT);
    Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool.connect_lazy_with(options)))
}

fn words(cause: Cause) -> String {
    match cause {
        Cause::Database(it) => it.message().to_owned(),
        Cause::Io(it) => it.to_string(),
        other => other.to_string(),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::net::TcpListener;

    use sea_orm::ConnectionTrait as _;

    use super::*;
    use crate::key::Role;
    use crate::testing::postgres;
    use crate::{Database, Desk};

    async fn open(url: &str) -> Result<Desk, Error> {
        Desk::open(&Database::Server(Url::parse(url)?)).await
    }

    #[tokio::test]
    async fn what_does_not_open_says_why_and_no_password() {
        let check = async |url: &str, expected: &str| {
            let error = open(url).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("secret") && !error.contains("hidden"), "{error}");
        };
        // A port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let nobody = format!("postgres://ann:hidden@127.0.0.1:{port}/weir");
        check(&nobody, &format!("`postgres://127.0.0.1:{port}/weir`: Connection refused")).await;
        check("postgres://ann:hidden@localhost/weir?host=/nowhere", "No such file").await;
        let Some(url) = postgres().unwrap() else { return };
        let wrong = |from: &str, to: &str| url.replacen(from, to, 1);
        check(&wrong(":secret@", ":hidden@"), "password authentication failed for user \"weir\"").await;
        check(&wrong("//weir:", "//ann:"), "password authentication failed for user \"ann\"").await;
        check(&wrong("/test", "/other"), "does not exist").await;
    }

    /// As after a restart of the server, which ends all sessions.
    #[tokio::test]
    async fn connections_that_broke_are_made_anew() {
        let Some(url) = postgres().unwrap() else { return };
        let [desk, other] = [open(&url).await.unwrap(), open(&url).await.unwrap()];
        let end_sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        for n in 1..=3 {
            desk.create_key(Role::Analyst, "Ann's", n).await.unwrap();
            other.db.execute_unprepared(end_sessions).await.unwrap();
            assert_eq!(desk.keys().await.unwrap().len(), usize::try_from(n).unwrap());
        }
    }
}
