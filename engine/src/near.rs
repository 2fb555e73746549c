//! Memory that is asked for before it is needed: where one cache line after the other is waited for, a decision is mostly
//! waiting. Asking is a hint; the processor goes on at once.

use branches::{prefetch_read_data, prefetch_write_data};

/// Bytes of a cache line.
pub(crate) const LINE_BYTES: usize = 64;

/// Asks for the cache line in which something begins, to be read.
#[inline]
pub(crate) fn prefetch<T>(it: &T) {
    prefetch_read_data::<T, 0>(it);
}

/// Asks for the cache lines from an address on, to be read and written. What stands there does not matter, nor whether
/// anything does.
#[inline]
pub fn prefetch_to_write<T>(from: *const T, bytes: usize) {
    let from = from.cast::<u8>();
    // The last byte may stand in a line of its own.
    let last = bytes.saturating_sub(1);
    (0..last)
        .step_by(LINE_BYTES)
        .chain([last])
        .for_each(|at| prefetch_write_data::<u8, 0>(from.wrapping_add(at)));
}
