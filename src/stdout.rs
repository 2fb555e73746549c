//! Standard output, whose reader may have seen enough: `weir journal export | head`. That is no error.

use std::fmt::Display;
use std::io::{self, Write};

/// Nobody reads any more.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads standard output any more")]
struct Left;

/// Standard output. If its reader has left, its error says so to [`reader_left`].
#[derive(Debug)]
pub(crate) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes).map_err(told)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush().map_err(told)
    }
}

fn told(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::BrokenPipe { left() } else { error }
}

/// The error that says that the reader has left.
pub(crate) fn left() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, Left)
}

/// Writes text and a line's end.
pub(crate) fn say(text: impl Display) -> io::Result<()> {
    writeln!(Stdout, "{text}")
}

/// Writes text at once, as it stands.
pub(crate) fn show(text: &str) -> io::Result<()> {
    Stdout.write_all(text.as_bytes())?;
    Stdout.flush()
}

/// Whether the only thing that went wrong is that nobody reads standard output any more. What broke elsewhere, such as a
/// connection, is not meant.
pub(crate) fn reader_left(error: &anyhow::Error) -> bool {
    error.chain().any(|it| it.downcast_ref().is_some_and(is_left))
}

/// Whether a writer has failed because nobody reads any more.
pub(crate) fn is_left(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Left>())
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn only_standard_output_may_break() {
        let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
        let error = Err::<(), _>(told(broken())).context("the file cannot be written").unwrap_err();
        assert!(reader_left(&error));
        assert!(!reader_left(&broken().into()), "a connection");
        assert!(!reader_left(&told(io::ErrorKind::StorageFull.into()).into()));
    }
}
