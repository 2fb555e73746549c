//! A server in this process, and a client on a runtime of its own that sends it the canonical payments.

pub(super) mod load;
pub(super) mod payments;
pub(super) mod servers;
