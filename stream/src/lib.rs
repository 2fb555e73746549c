//! Carries events to the engine and decisions away.
