//! Carries events to the engine and decisions away.

mod aside;
pub mod bundle;
pub mod fold;
pub mod gate;
pub mod in_force;
pub mod intake;
pub mod disk;
pub mod journal;
mod pace;
pub mod prune;
pub mod record;
pub mod recover;
pub mod snapshot;
pub mod source;
pub mod text;
mod warming;

#[cfg(test)]
mod testing;
