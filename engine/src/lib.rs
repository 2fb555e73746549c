//! One event in, one decision out: pure and synchronous, without a clock, a socket or a file.
//!
//! Modules in the order in which a transaction meets them.

pub mod event;
pub mod rates;
pub mod entity;
pub mod facts;
pub mod history;
pub mod occurrence;
pub mod lists;
pub mod touch;
pub mod state;
pub mod plan;
pub mod rule_set;
pub mod rollout;
mod past;
mod scan;
pub mod decide;
pub mod apply;
pub mod words;
pub mod decision;
pub mod position;
pub mod near;
pub mod hex;
