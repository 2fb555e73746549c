//! Carries events to the engine and decisions away.

pub mod gate;
pub mod intake;
pub mod disk;
pub mod journal;
pub mod record;
pub mod snapshot;
pub mod source;

#[cfg(test)]
mod testing;
