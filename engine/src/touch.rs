//! What a ruling does to an entity, beside the event's own row.

use rules::time::Micros;
use rules::typed::ListId;

use crate::lists::Membership;

/// What a ruling does to the entity in a role, beside the event's own row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Touch {
    /// It enters a list, or is in it until another time.
    Enters(Membership),
    /// It leaves a list.
    Leaves(ListId),
    /// An alert was raised about it that is raised at most `once per` such an entity.
    Alerted(AlertName, Micros),
}

/// Names an alert that is raised at most `once per` an entity, in every rule set in which its rule has its name (or its
/// policy its event types and its line the same place): a hash of that, under no key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AlertName(pub u64);
