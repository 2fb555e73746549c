//! For tests: a database of each kind that can be had here, one of its own for each test.

#[cfg(all(unix, feature = "postgres"))]
mod server;

use crate::Database;

/// Runs a test over an empty file and over an empty database of a PostgreSQL server.
///
/// # Errors
/// If there is a server's program and it does not start.
pub async fn over_each(test: impl AsyncFn(&Database)) -> std::io::Result<()> {
    let folder = tempfile::tempdir()?;
    test(&Database::File(folder.path().join("weir.db"))).await;
    if let Some(url) = postgres()? {
        let url = crate::Url::parse(&url).map_err(std::io::Error::other)?;
        // Shown where the test fails.
        println!("over {url}");
        test(&Database::Server(url)).await;
    }
    Ok(())
}

/// The URL of an empty database of a PostgreSQL server that ends with this process. None where PostgreSQL is not
/// installed, which it says.
///
/// # Errors
/// If there is a server's program and it does not start.
#[cfg(all(unix, feature = "postgres"))]
pub fn postgres() -> std::io::Result<Option<String>> {
    server::database()
}

/// None: this build is without PostgreSQL.
///
/// # Errors
/// Never.
#[cfg(not(all(unix, feature = "postgres")))]
pub fn postgres() -> std::io::Result<Option<String>> {
    Ok(None)
}
