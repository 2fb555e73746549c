//! `weir replay`: historical files through the gate, decisions and features out.
//!
//! ```text
//! reader thread: unpack, parse, map ──batches──► this thread: decide, apply, tally ──► writer thread: rows
//! ```
//!
//! The same gate as everywhere, over a journal that keeps nothing. Nothing of what is written depends on the clock of
//! the machine or on how the work was split.

mod options;
mod output;
mod reader;
mod rejects;
mod run;
mod state;
mod summary;
mod tally;
mod text;
mod writer;

pub(crate) use options::Options;
pub(crate) use run::{first_gate, open, run};
pub(crate) use summary::{grouped, rate};
