//! One event in, one decision out: pure and synchronous, without a clock, a socket or a file.
//!
//! Modules in the order in which a transaction meets them.

pub mod entity;
pub mod event;
pub mod history;
pub mod occurrence;
pub mod position;
pub mod rates;
