//! One event in, one decision out: pure and synchronous, without a clock, a socket or a file.
//!
//! Modules in the order in which they use each other: each names only those that stand before it.

pub mod hex;
pub mod near;
pub mod position;
pub mod rollout;
pub mod entity;
pub mod event;
pub mod rates;
pub mod history;
pub mod occurrence;
pub mod lists;
pub mod touch;
mod scan;
pub mod plan;
pub mod state;
pub mod cost;
pub mod rule_set;
pub mod facts;
pub mod decision;
pub mod words;
mod past;
pub mod decide;
pub mod apply;
