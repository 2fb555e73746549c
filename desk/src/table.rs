//! The tables' rows, as the mapper knows them. Only this crate sees them.
#![expect(unreachable_pub, reason = "what the derives make is public, so the rows must be")]

pub mod alert_act;
pub mod alert;
pub mod alert_entity;
pub mod alert_state;
pub mod api_key;
pub mod journal;
pub mod projection;
pub mod rule_set;
