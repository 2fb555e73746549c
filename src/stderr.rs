//! Standard error, for words beside the output. Whether anybody hears them changes nothing: `eprintln!` would panic where
//! nobody does.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Says a text, and ends the line.
pub(crate) fn say(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Shows a text as it stands.
pub(crate) fn show(text: impl Display) {
    let _ = write!(io::stderr(), "{text}");
}
