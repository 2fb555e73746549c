//! The stream from outside: the gate under threads, and against the reference.
#![cfg(test)]

mod build;
mod damaged;
mod deadlines;
mod following;
mod late;
mod locks;
mod pieces;
mod prune;
mod rechecks;
mod recover;
mod reference;
mod repeats;
mod replay;
mod support;
mod verify;
