//! Work that waits for the disk or takes long, beside the threads that decide.

use crate::problem::Problem;

/// Does what reads the journal or compiles rules beside the threads that decide.
///
/// # Errors
/// As the work; and if it broke off.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|it| Problem::internal(&it))?
}
