//! The table of ids and repeats in columns, shard by shard, each in its order.

use std::io;
use std::ops::ControlFlow;

use rules::time::Micros;

use super::block::{BlockKind, BlockWriter, Columns, Cut};
use crate::state::recent::{AT_ONCE, Recent, Remembered};

mod column {
    pub(super) const ID: usize = 0;
    pub(super) const DIGEST: usize = 1;
    pub(super) const CLOCK: usize = 2;
    pub(super) const POSITION: usize = 3;
    pub(super) const RECORD_BYTES: usize = 4;
    pub(super) const RECORD: usize = 5;
}

/// Writes all ids whose clock is above `since`; gives how many, and the position above all of theirs. A shard is locked
/// while a few are copied: a decision whose id is among its ids waits for that.
///
/// What was in flight when this was begun has landed in what is written, whatever its position.
pub(super) fn write(out: &mut BlockWriter, recent: &Recent, since: Micros) -> io::Result<(u64, u64)> {
    let (mut block, mut ids, mut below) = (Columns::default(), 0, 0);
    for shard in 0..recent.shards() {
        recent.land_all(shard);
        let order = recent.order(shard, since);
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            // A block ends where it is full, whichever shards its ids come from: the same ids give the same bytes.
            let shown = recent.copy(shard, rest.get(..AT_ONCE).unwrap_or(rest), |it| {
                put(it, &mut block);
                ids += 1;
                below = below.max(it.newest + 1);
                if block.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            rest = rest.get(shown..).unwrap_or_default();
            if block.is_full() {
                out.write(BlockKind::Recent, &mut block)?;
            }
            out.ease()?;
        }
    }
    if !block.is_empty() {
        out.write(BlockKind::Recent, &mut block)?;
    }
    Ok((ids, below))
}

fn put(it: Remembered<'_>, block: &mut Columns) {
    // Records are put into the table with lengths of 32 bits.
    let bytes = u32::try_from(it.record.len()).unwrap_or(u32::MAX);
    block.put(column::ID, &it.id.to_le_bytes());
    block.put(column::DIGEST, &it.digest);
    block.put(column::CLOCK, &it.clock.to_le_bytes());
    block.put(column::POSITION, &it.position.to_le_bytes());
    block.put(column::RECORD_BYTES, &bytes.to_le_bytes());
    block.put(column::RECORD, it.record);
}

/// Gives the ids of a block to `take`, and how many there were; none if it is not as one is written. Ids of records from
/// `start` on are left out: whoever reads the journal from there sees them again.
pub(super) fn read(block: &mut Cut, start: u64, mut take: impl FnMut(Remembered<'_>)) -> Option<u64> {
    let mut ids = 0;
    while !block.is_empty(column::ID) {
        let id = u128::from_le_bytes(block.take(column::ID)?);
        let digest = block.take(column::DIGEST)?;
        let (clock, position) = (block.i64(column::CLOCK)?, block.u64(column::POSITION)?);
        let bytes = usize::try_from(block.u32(column::RECORD_BYTES)?).ok()?;
        let record = block.slice(column::RECORD, bytes)?;
        ids += 1;
        if start <= position {
            continue;
        }
        // A snapshot counts once all that it tells of is durable.
        take(Remembered::of(id, digest, clock, position, record));
    }
    block.is_used_up().then_some(ids)
}
