//! Standard error, for words beside the output. Whether anybody hears them changes nothing: `eprintln!` would panic where
//! nobody does.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Says a text, and ends the line.
pub(crate) fn say(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says what somebody should know, though nothing failed.
pub(crate) fn note(text: &str) {
    say(format_args!("note: {text}"));
}

/// Says why it failed.
pub(crate) fn error(why: impl Display) {
    say(format_args!("error: {why}"));
}

/// Shows a text as it stands.
pub(crate) fn show(text: impl Display) {
    let _ = write!(io::stderr(), "{text}");
}
