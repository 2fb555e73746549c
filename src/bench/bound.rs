//! What a bench holds against a bound.

use std::fmt;

use anyhow::ensure;

/// Something held against a bound.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) holds: bool,
    pub(super) words: String,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.holds { "holds " } else { "missed" }, self.words)
    }
}

/// Every bound that does not hold, in words.
pub(super) fn missed(bounds: impl IntoIterator<Item = Bound>) -> Vec<String> {
    bounds.into_iter().filter(|it| !it.holds).map(|it| it.words).collect()
}

/// An error that names what was missed, where that is to be one: with `--check`.
///
/// # Errors
/// If anything was missed, and it is.
pub(super) fn hold(check: bool, missed: &[String]) -> anyhow::Result<()> {
    ensure!(!check || missed.is_empty(), "missed: {}", missed.join("; "));
    Ok(())
}
