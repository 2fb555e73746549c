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

mod migration;
mod table;

use std::path::Path;
use std::time::Duration;

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DbErr, SqliteTransactionMode, TransactionOptions,
};
use sea_orm_migration::MigratorTrait as _;

/// How long one writer waits for another before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Readers at a time. SQLite has one writer however many connections there are.
const CONNECTIONS_MAX: u32 = 8;

/// The desk's database.
#[derive(Clone, Debug)]
pub struct Desk {
    db: DatabaseConnection,
}

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened, or not be brought to this version's tables.
    #[error("cannot open the database `{name}`: {cause}")]
    Open {
        /// The file, or the URL without its password.
        name: String,
        /// In the database's words.
        cause: DbErr,
    },
    /// A statement failed.
    #[error("the database refused: {0}")]
    Database(#[from] DbErr),
    /// No random bytes for a key.
    #[error("the system gave no random bytes: {0}")]
    Random(getrandom::Error),
}

impl Desk {
    /// Opens the database in a file, creating it where there is none, and brings its tables to this version. Several
    /// processes may have it open.
    ///
    /// # Errors
    /// If it cannot be opened, is no such database, or was written by a newer version.
    pub async fn open(file: &Path) -> Result<Self, Error> {
        let url = format!("sqlite://{}?mode=rwc", file.display());
        Self::connect(&url, file.display().to_string()).await
    }

    /// Opens the database at a URL, `postgres://…`.
    ///
    /// # Errors
    /// As [`Desk::open`].
    #[cfg(feature = "postgres")]
    pub async fn open_url(url: &str) -> Result<Self, Error> {
        // Between `//` and `@` stand user and password.
        let name = url.split_once('@').map_or(url, |(_, rest)| rest);
        Self::connect(url, name.to_owned()).await
    }

    async fn connect(url: &str, name: String) -> Result<Self, Error> {
        let mut options = ConnectOptions::new(url);
        options.max_connections(CONNECTIONS_MAX).sqlx_logging(false);
        options.map_sqlx_sqlite_opts(|it| {
            // Written ahead, so that `weir keys` and the server work on one file at once.
            it.pragma("journal_mode", "WAL")
                .pragma("synchronous", "NORMAL")
                .foreign_keys(true)
                .busy_timeout(BUSY_TIMEOUT)
        });
        let opened = async {
            let db = Database::connect(options).await?;
            migration::Migrator::up(&db, None).await?;
            migration::ensure_projection(&db).await?;
            Ok(db)
        };
        let db = opened.await.map_err(|cause| Error::Open { name, cause })?;
        Ok(Self { db })
    }

    /// Finishes what is under way and closes the file.
    pub async fn close(self) {
        // What is committed is safe; an error here changes nothing for anybody.
        let _ = self.db.close().await;
    }
}

/// Transactions that will write say so at once: one that begins as a reader and then finds another writer fails.
fn writing() -> TransactionOptions {
    TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    }
}
