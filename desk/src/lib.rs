//! What the fraud desk keeps, in SQL: API keys, versions of rule sets, alerts, and what people did with them.
//!
//! Two sorts of table live here. What people made (keys, rule sets, work on alerts) is kept and migrated. What the
//! journal says (alerts) is a *projection*: rows and the position up to which they tell are written in one
//! transaction, and once dropped it is written again from the journal. Work on an alert therefore hangs on the alert's
//! deterministic id, and never on its row.
//!
//! Nothing here reads a clock: whoever writes says when.

pub mod alert;
pub mod key;
pub mod rule_sets;

mod database;
mod journal;
mod migration;
#[cfg(feature = "postgres")]
mod postgres;
mod table;
#[cfg(any(test, feature = "test-support"))]
pub mod testing;

use std::path::Path;
use std::time::Duration;

use sea_orm::{
    ConnectOptions, DatabaseConnection, DbErr, RuntimeErr, SqliteTransactionMode, TransactionOptions,
};

pub use database::{Database, Url};

/// How long one writer waits for another before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before the next try where SQLite does not wait, and how often: as long as it would.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
const BUSY_TRIES: u128 = BUSY_TIMEOUT.as_millis() / BUSY_PAUSE.as_millis();
/// At a time. SQLite has one writer however many connections there are.
const CONNECTIONS_MAX: u32 = 8;

/// The desk's database.
#[derive(Clone, Debug)]
pub struct Desk {
    db: DatabaseConnection,
}

/// Why the database did not do what was asked. No password is in it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL says nothing that can be used.
    #[error("the URL of the database {0}; it looks like `postgres://USER:PASSWORD@HOST/DATABASE`")]
    Url(String),
    /// The URL is PostgreSQL's, and this build is without it.
    #[error(
        "the database is in PostgreSQL, which this build does not speak: build with the feature `postgres`"
    )]
    NotBuilt,
    /// The server does not let us in.
    #[error("cannot reach the database `{name}`: {why}")]
    Unreachable {
        /// The URL without user and password.
        name: String,
        /// In the server's words, or the system's.
        why: String,
    },
    /// It cannot be opened, or not be brought to this version's tables.
    #[error("cannot open the database `{name}`: {cause}")]
    Open {
        /// The file, or the URL without user and password.
        name: String,
        /// In the database's words.
        cause: DbErr,
    },
    /// It tells what another journal says.
    #[error(
        "the database belongs to another journal: name the data directory that it was first served with, or an \
         empty database"
    )]
    AnotherJournal,
    /// A statement failed.
    #[error("the database refused: {0}")]
    Database(#[from] DbErr),
    /// No random bytes for a key.
    #[error("the system gave no random bytes: {0}")]
    Random(getrandom::Error),
}

impl Error {
    /// Whether the database could not be asked, so that asking again later may do.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Database(DbErr::ConnectionAcquire(_) | DbErr::Conn(_)))
    }
}

impl Desk {
    /// Opens a database, creating the file where there is none, and brings its tables to this version.
    /// Several processes may have it open.
    ///
    /// # Errors
    /// If it cannot be reached or opened, is no such database, or was written by a newer version.
    pub async fn open(database: &Database) -> Result<Self, Error> {
        let unopened = |cause| Error::Open { name: database.to_string(), cause };
        let db = match database {
            Database::File(file) => open_file(file).await.map_err(unopened)?,
            #[cfg(feature = "postgres")]
            Database::Server(url) => postgres::connect(url).await?,
            #[cfg(not(feature = "postgres"))]
            Database::Server(_) => return Err(Error::NotBuilt),
        };
        migration::bring_up(&db).await.map_err(unopened)?;
        Ok(Self { db })
    }

    /// Finishes what is under way and closes the connections.
    pub async fn close(self) {
        // What is committed is safe; an error here changes nothing for anybody.
        let _ = self.db.close().await;
    }
}

async fn open_file(file: &Path) -> Result<DatabaseConnection, DbErr> {
    // In a URL the file's name would have to be without `?` and `%`.
    let (mut options, file) = (ConnectOptions::new("sqlite://weir.db?mode=rwc"), file.to_owned());
    options.max_connections(CONNECTIONS_MAX).sqlx_logging(false);
    options.map_sqlx_sqlite_opts(move |it| {
        // Written ahead, so that `weir keys` and the server work on one file at once.
        it.filename(&file)
            .pragma("journal_mode", "WAL")
            .pragma("synchronous", "NORMAL")
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
    });
    for _ in 1..BUSY_TRIES {
        match sea_orm::Database::connect(options.clone()).await {
            Err(error) if is_busy(&error) => tokio::time::sleep(BUSY_PAUSE).await,
            done => return done,
        }
    }
    sea_orm::Database::connect(options).await
}

/// Whether somebody else is just writing the file. Of two that turn a new one to WAL at once SQLite tells one so without
/// letting it wait ([`SQLITE_BUSY`](https://sqlite.org/rescode.html#busy)).
fn is_busy(error: &DbErr) -> bool {
    let DbErr::Conn(RuntimeErr::SqlxError(cause)) = error else { return false };
    cause.as_database_error().and_then(|it| it.code()).is_some_and(|code| code == "5")
}

/// A text from outside as the tables keep it: PostgreSQL has no U+0000, so its picture stands for it, in a file too.
fn kept(text: &str) -> String {
    text.replace('\0', "\u{2400}")
}

/// Transactions that will write say so at once: one that begins as a reader and then finds another writer fails.
fn writing() -> TransactionOptions {
    TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::over_each;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn several_may_open_a_new_database_at_once() {
        over_each(async |database| {
            let opening = [(); 6].map(|()| {
                let database = database.clone();
                tokio::spawn(async move { Desk::open(&database).await })
            });
            for it in opening {
                assert!(it.await.unwrap().unwrap().keys().await.unwrap().is_empty());
            }
        })
        .await
        .unwrap();
    }
}
