//! Where a record stands in the journal.

/// A place in the journal; on one machine the partition is 0. Positions order knowledge: a record sees those of
/// smaller offset in its partition, and no others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position {
    /// Which partition's journal.
    pub partition: u32,
    /// The record's number in it, from 0.
    pub offset: u64,
}
