//! The stream from outside: the gate under threads.

mod locks;
mod support;
