//! Numbers in shared memory, for views of values.

use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32};

use skep_spec::Cell;

use super::Block;

impl Block {
    /// The number of `width` bytes at an offset; `None` where the machine has none of that width, and where it is not
    /// aligned. Panics outside the block.
    pub(crate) fn cell(&self, off: usize, width: usize) -> Option<Cell<'_>> {
        let p = self.span(off, width);
        if !matches!(width, 1 | 2 | 4 | 8) || !p.addr().is_multiple_of(width) {
            return None;
        }
        // SAFETY: in bounds by `span`, aligned; valid while `self` lives, and only accessed atomically by `Cell`.
        unsafe {
            match width {
                1 => Some(Cell::U8(AtomicU8::from_ptr(p))),
                2 => Some(Cell::U16(AtomicU16::from_ptr(p.cast()))),
                4 => Some(Cell::U32(AtomicU32::from_ptr(p.cast()))),
                #[cfg(target_has_atomic = "64")]
                8 => Some(Cell::U64(core::sync::atomic::AtomicU64::from_ptr(p.cast()))),
                _ => None,
            }
        }
    }
}
