//! The stream from outside: the gate under threads.

mod locks;
mod reference;
mod support;
