//! Where a row's parts stand among its words.

use super::NewRow;
use super::column::ColumnId;
use super::table::{PACKED, PACKED_BITS};

/// The words of a row: time, packed, further member words, values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    /// Member bits that the caller fills.
    pub(crate) conditions: usize,
    /// Member words beside the packed one.
    extra: usize,
    /// Value columns.
    values: usize,
    /// By member word, packed one first: the bits that an amendment may change.
    mutable: Vec<u64>,
}

/// A member bit: which column of a table it stands in, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bit {
    pub(crate) column: usize,
    pub(crate) shift: usize,
}

impl Bit {
    /// The first bits stand beside position and state, the others in words of their own.
    pub(crate) fn new(bit: usize) -> Self {
        match bit.checked_sub(PACKED_BITS) {
            None => Self { column: PACKED, shift: bit },
            Some(over) => Self { column: PACKED + 1 + over / 64, shift: over % 64 },
        }
    }
}

impl Layout {
    /// For conditions (which of them are mutable), so many hidden bits behind them, and so many values.
    pub(crate) fn new(conditions: &[bool], hidden: usize, values: usize) -> Self {
        let extra = (conditions.len() + hidden).saturating_sub(PACKED_BITS).div_ceil(64);
        let mut mutable = vec![0; 1 + extra];
        for (at, _) in conditions.iter().enumerate().filter(|(_, mutable)| **mutable) {
            let bit = Bit::new(at);
            if let Some(word) = mutable.get_mut(bit.column - PACKED) {
                *word |= 1 << bit.shift;
            }
        }
        Self { conditions: conditions.len(), extra, values, mutable }
    }

    /// Words of a row.
    pub(crate) fn width(&self) -> usize {
        2 + self.extra + self.values
    }

    /// The table column of a value.
    #[inline]
    pub(crate) fn value(&self, column: ColumnId) -> usize {
        2 + self.extra + column.index()
    }

    /// The table columns of all values.
    pub(crate) fn value_columns(&self) -> std::ops::Range<usize> {
        2 + self.extra..self.width()
    }

    /// Member words, packed one first.
    pub(crate) fn member_columns(&self) -> std::ops::RangeInclusive<usize> {
        PACKED..=PACKED + self.extra
    }

    /// The bits of a member column that an amendment may change.
    pub(crate) fn mutable(&self, column: usize) -> u64 {
        self.mutable.get(column - PACKED).copied().unwrap_or(0)
    }

    /// What is left of a member column without the hidden bits.
    pub(crate) fn visible(&self, column: usize) -> u64 {
        let beside = if column == PACKED { !((1 << PACKED_BITS) - 1) } else { 0 };
        beside | self.pack_words(column, |at| self.mask(at))
    }

    /// What stands in a member column, of the caller's words; hidden bits are zero.
    pub(crate) fn pack_members(&self, column: usize, word: impl Fn(usize) -> u64) -> u64 {
        self.pack_words(column, |at| word(at) & self.mask(at))
    }

    /// The bits of the caller's member word `at` that are conditions.
    fn mask(&self, at: usize) -> u64 {
        let left = self.conditions.saturating_sub(64 * at);
        if left < 64 { (1 << left) - 1 } else { u64::MAX }
    }

    fn pack_words(&self, column: usize, word: impl Fn(usize) -> u64) -> u64 {
        match column.checked_sub(PACKED + 1) {
            None => word(0) & ((1 << PACKED_BITS) - 1),
            Some(at) => word(at) >> PACKED_BITS | word(at + 1) << (64 - PACKED_BITS),
        }
    }

    /// The caller's member word `at`, of what stands in the columns.
    pub(crate) fn members(&self, at: usize, column: impl Fn(usize) -> u64) -> u64 {
        let extra = |index: usize| if index < self.extra { column(PACKED + 1 + index) } else { 0 };
        let low = match at.checked_sub(1) {
            None => column(PACKED) & ((1 << PACKED_BITS) - 1),
            Some(before) => extra(before) >> (64 - PACKED_BITS),
        };
        (low | extra(at) << PACKED_BITS) & self.mask(at)
    }

    /// Fills a row's words.
    pub(crate) fn pack(&self, row: NewRow<'_>, words: &mut [u64]) {
        for column in self.member_columns() {
            if let Some(word) = words.get_mut(column) {
                *word = self.pack_members(column, |at| row.members.get(at).copied().unwrap_or(0));
            }
        }
        super::table::pack_head(words, row.key, row.state);
        let values = row.values.iter().copied().chain(std::iter::repeat(0));
        for (word, value) in words.iter_mut().skip(2 + self.extra).zip(values) {
            *word = value.cast_unsigned();
        }
    }
}
