//! Why a record cannot be folded.

use engine::facts::Incomparable;

use super::Untested;
use crate::bundle::BundleError;

/// A record that does not say what it must.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("record {offset} cannot be applied: {what}")]
pub struct FoldError {
    /// Which.
    pub offset: u64,
    /// What is wrong with it.
    pub what: Failed,
}

/// What is wrong with a record.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Failed {
    /// It is shorter than a stamp.
    #[error("it is too short")]
    Stamp,
    /// Its message cannot be read.
    #[error("its message cannot be read: {0}")]
    Message(String),
    /// Nothing is in force under its number.
    #[error("no record before it says what is in force under number {0}")]
    Number(u32),
    /// Its event's row or digest is damaged.
    #[error("its event's row is damaged")]
    Event,
    /// Its amendment is damaged, or sets what this version does not know.
    #[error("what it amends is not known to this version")]
    Amendment,
    /// Its entity is damaged.
    #[error("its entity is damaged")]
    Entity,
    /// An amount of its event cannot be compared.
    #[error("{0}")]
    Rate(Incomparable),
    /// A rule set that does not compile any more.
    #[error("its rule set does not compile: {0}")]
    Bundle(BundleError),
    /// A rule set that means something else by now.
    #[error("its texts are not those of the rule set that it names")]
    Hash,
    /// A rule set of a later version.
    #[error("its rules mean what a later version computes (semantics {0}): use a later version")]
    Semantics(u32),
    /// A rule set that asks for other state.
    #[error("its rule set asks for another state: {0}")]
    OtherState(String),
    /// A journal on which the rules under test cannot be tried.
    #[error(transparent)]
    Untested(Untested),
    /// A rate table that is none.
    #[error("{0}")]
    Rates(String),
    /// A list that is not there, or cannot hold the value.
    #[error("{0}")]
    List(String),
}

pub(super) fn unreadable(cause: prost::DecodeError) -> Failed {
    Failed::Message(cause.to_string())
}
