//! `weir replay`: historical files through the gate, decisions and features out.
//!
//! ```text
//! reader thread: unpack, parse, map ──batches──► this thread: decide, apply, tally ──► writer thread: rows
//! ```
//!
//! The gate is that of the server, over a journal that keeps nothing unless `--data` says where. Nothing of what is written
//! depends on the clock of the machine or on how the work was split.
//!
//! A journal goes the same way ([`journal`]), through a fold in the place of the gate.

mod apart;
mod begin;
mod idle;
mod journal;
mod options;
mod output;
mod reader;
mod rejects;
mod run;
mod state;
mod summary;
mod tally;
mod text;
mod texts;
mod writer;

pub(crate) use apart::{check as check_apart, read as read_apart, read_once};
pub(crate) use begin::first_gate;
pub(crate) use options::{Options, jump_max};
pub(crate) use output::{Decisions, csv_name, is_device, is_standard_output, table_name};
pub(crate) use reader::{Batch, Reader};
pub(crate) use rejects::{Rejects, check_rejects};
pub(crate) use run::{Ran, open, replay, run};
pub(crate) use text::rfc3339;
