//! Memory of objects: slots of powers of two, next to each other in one block.
//!
//! Programs write all of the block, so which slots are free is known apart from it.

use alloc::vec::Vec;

use crate::mem::{Block, Heap, Memory as _};
use crate::sync::AtomicU32;

/// Bytes of the smallest slot, as a power of two.
const LEAST: u32 = 4;
/// Bytes of the largest slot, as a power of two: what all CPUs have of an object stands in one.
const MOST: u32 = 17;
/// Bytes of the block. What nobody has used takes no memory.
const BYTES: usize = if cfg!(target_pointer_width = "64") { 64 << 20 } else { 4 << 20 };

/// The block.
pub(super) struct Memory(Block);

impl Memory {
    pub(super) fn new() -> Option<Self> {
        Heap.metadata(BYTES).map(Self)
    }

    pub(super) fn area(&self) -> (u64, usize) {
        (self.0.addr(0), BYTES)
    }

    /// Zeroes a slot; gives its address.
    pub(super) fn clear(&self, off: usize, len: usize) -> u64 {
        self.0.zero(off, len);
        self.0.addr(off)
    }

    /// The offset of an address of the block.
    pub(super) fn off(&self, addr: u64) -> Option<usize> {
        usize::try_from(addr.checked_sub(self.0.addr(0))?).ok().filter(|off| *off < BYTES)
    }

    /// The 4 bytes at an address of the block that is a multiple of 4.
    pub(super) fn half(&self, addr: u64) -> Option<&AtomicU32> {
        let off = self.off(addr).filter(|off| off.is_multiple_of(4))?;
        Some(self.0.u32(off))
    }

    /// The word at a multiple of 8, as programs see it.
    pub(super) fn write_word(&self, off: usize, word: u64) {
        self.0.write(off, (&word.to_ne_bytes()).into());
    }
}

/// Which slots are free, by the power of two of their bytes.
#[derive(Default)]
pub(super) struct Slabs {
    free: [Vec<usize>; (MOST + 1 - LEAST) as usize],
    /// Bytes that have been slots.
    used: usize,
}

/// The power of two of a slot that has room for some bytes.
pub(super) fn class(bytes: usize) -> Option<u32> {
    let class = bytes.max(1).checked_next_power_of_two()?.trailing_zeros().max(LEAST);
    (class <= MOST).then_some(class)
}

impl Slabs {
    /// Takes a slot; gives its offset in the block. `None` when there is no more.
    pub(super) fn take(&mut self, class: u32) -> Option<usize> {
        if let Some(off) = self.free[(class - LEAST) as usize].pop() {
            return Some(off);
        }
        let off = self.used.next_multiple_of(1 << class);
        let end = off + (1 << class);
        if end > BYTES {
            return None;
        }
        self.used = end;
        Some(off)
    }

    pub(super) fn give(&mut self, class: u32, off: usize) {
        self.free[(class - LEAST) as usize].push(off);
    }
}
