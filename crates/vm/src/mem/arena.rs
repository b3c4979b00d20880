//! Words of an arena, which is not granted like other memory: the arena itself says where a word stands.

use skep_isa::{AtomicOp, Size};
use skep_maps::Arena;

use super::word::{atomic_word, unaligned_atomic};
use super::{Word, pointer};

/// A word at the lower half of an address and an offset, zero-extended; `None` where no page is there.
pub(crate) fn arena_load(arena: &Arena, low: u32, off: i16, size: Size) -> Option<u64> {
    let at = pointer(arena.at(low, off, size.bytes() as u64)?);
    // SAFETY: the arena has said that the bytes lie in its pages, which live as long as it is borrowed; everybody accesses
    // them atomically or from outside Rust.
    Some(unsafe {
        match size {
            Size::B => u8::load(at),
            Size::H => u16::load(at),
            Size::W => u32::load(at),
            Size::DW => u64::load(at),
        }
    })
}

/// Stores the low bytes of a word where a page is there.
pub(crate) fn arena_store(arena: &Arena, low: u32, off: i16, size: Size, v: u64) {
    let Some(at) = arena.at(low, off, size.bytes() as u64).map(pointer) else { return };
    // SAFETY: as in `arena_load`.
    unsafe {
        match size {
            Size::B => u8::store(at, v),
            Size::H => u16::store(at, v),
            Size::W => u32::store(at, v),
            Size::DW => u64::store(at, v),
        }
    }
}

/// An atomic read-modify-write of a word; gives the old content, `None` where no page is there.
///
/// # Errors
/// The address, where it is not aligned and the machine does such operations not as the others do.
pub(crate) fn arena_atomic(
    arena: &Arena,
    (low, off): (u32, i16),
    (op, size): (AtomicOp, Size),
    src: u64,
    r0: u64,
) -> Result<Option<u64>, u64> {
    let bytes = size.bytes() as u64;
    let Some(addr) = arena.at(low, off, bytes) else { return Ok(None) };
    if !addr.is_multiple_of(bytes) {
        // SAFETY: as in `arena_load`.
        return unsafe { unaligned_atomic(pointer(addr), (op, size), src, r0) }.map(Some).ok_or(addr);
    }
    // SAFETY: as in `arena_load`, and aligned.
    Ok(Some(unsafe { atomic_word(pointer(addr), op, size, src, r0) }))
}
