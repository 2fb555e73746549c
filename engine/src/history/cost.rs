//! What a history costs, as arithmetic over its plan.

use super::distinct::Values;
use super::plan::HistoryPlan;
use super::short;

impl HistoryPlan {
    /// Bytes on the heap of a history of so many rows: what [`super::History::bytes`] comes to, where values of distinct
    /// windows seldom repeat; histories of pairs come on top. One that is a little shorter than the short form's most has
    /// been longer in a burst, most likely, and stays long until it has lost a quarter.
    pub fn bytes_estimate(&self, rows: usize) -> usize {
        let word = size_of::<u64>();
        if rows <= self.sizes.back {
            return if rows == 0 { 0 } else { short::capacity_for(self, rows) * self.layout.width() * word };
        }
        // On the whole the first block is half left, the last half filled, and one more is kept ready.
        let block = self.sizes.block_for(rows);
        let slots = rows + 2 * block;
        let blocks = slots.div_ceil(block);
        let per_block = self.totals * size_of::<i128>() + self.extremes.len() * 3 * word + 8 * word;
        let reach = self.reach().max(1).unsigned_abs();
        let values = self.distincts.iter().map(|lane| {
            // A row's value stays while its window reaches it; a block's go together.
            let share = u128::from(lane.reach.unsigned_abs()) * rows as u128 / u128::from(reach);
            Values::bytes_estimate(usize::try_from(share).unwrap_or(rows) + block)
        });
        let values: usize = values.sum();
        slots * self.layout.width() * word
            + blocks * per_block
            + (3 * self.totals + self.below) * size_of::<i128>()
            + values
    }
}
