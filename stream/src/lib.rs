//! Carries events to the engine and decisions away. Modules stand in the order in which they use each other.
//!
//! First what others lean on: `aside` and `pace` (threads whose work can wait), `text` (files of text), `intake` (text and
//! JSON to checked fields), `bundle` (a rule set as texts), `record` (what is written down). Then an event's way in, `source`
//! (files) and its way down, `disk` and `journal`. What is remembered is `state`, what decides is `in_force`, what it does
//! not know yet `warming`; they meet in `gate`, the one door. Then what begins again from what was written: `snapshot`,
//! `fold` (the state from the records), `build` (state for new rules), `recover` (a start) and `prune`.

mod aside;
mod pace;
pub mod text;
pub mod intake;
pub mod bundle;
pub mod record;
pub mod source;
pub mod disk;
pub mod journal;
mod warming;
mod state;
pub mod in_force;
pub mod gate;
pub mod snapshot;
pub mod fold;
pub mod build;
pub mod recover;
pub mod prune;

#[cfg(test)]
mod testing;
