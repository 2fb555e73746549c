//! Carries events to the engine and decisions away.

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
