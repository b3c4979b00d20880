//! The stack of a frame, byte by byte.
//!
//! Slot `i` covers the bytes from `fp - 8(i + 1)` up; byte 0 of a slot has the lowest address.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::{Dynptr, Kept, Reg};

/// What one byte holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Byte {
    /// Not written yet.
    Invalid,
    /// Part of a spilled register, which starts at byte 0 of the slot.
    Spill,
    /// Anything.
    Misc,
    /// Zero.
    Zero,
    /// Part of an iterator.
    Iter,
    /// Part of the flags of a section without interrupts.
    Irq,
    /// Part of a dynptr.
    Dynptr,
}

/// Eight bytes of stack.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slot {
    pub(crate) bytes: [Byte; 8],
    /// The register whose low bytes are spilled here; there iff byte 0 is [`Byte::Spill`].
    pub(crate) spilled: Option<Rc<Reg>>,
    /// What a function of the kernel keeps here.
    pub(crate) kept: Option<Rc<Kept>>,
}

impl Slot {
    pub(crate) const INVALID: Self = Self { bytes: [Byte::Invalid; 8], spilled: None, kept: None };

    /// What a function of the kernel keeps in the whole slot.
    pub(crate) fn kept(&self) -> Option<&Kept> {
        let kept = self.kept.as_deref()?;
        let byte = match kept {
            Kept::Iter(_) => Byte::Iter,
            Kept::Irq(_) => Byte::Irq,
        };
        (self.bytes == [byte; 8]).then_some(kept)
    }

    /// A slot in which a function of the kernel keeps something.
    pub(crate) fn keeping(kept: Kept) -> Self {
        let byte = match kept {
            Kept::Iter(_) => Byte::Iter,
            Kept::Irq(_) => Byte::Irq,
        };
        Self { bytes: [byte; 8], spilled: None, kept: Some(Rc::new(kept)) }
    }

    /// The spilled register and how many bytes of it are there.
    pub(crate) fn spill(&self) -> Option<(&Rc<Reg>, usize)> {
        let size = self.bytes.iter().take_while(|b| **b == Byte::Spill).count();
        self.spilled.as_ref().filter(|_| size > 0).map(|r| (r, size))
    }

    /// Whether it is nothing but bytes, so that it may be forgotten where nobody reads it.
    pub(super) fn is_bytes(&self) -> bool {
        self.bytes.iter().all(|b| match b {
            Byte::Invalid | Byte::Spill | Byte::Misc | Byte::Zero => true,
            Byte::Iter | Byte::Irq | Byte::Dynptr => false,
        })
    }

    /// Forgets the register, or what is kept: whatever was written of the slot holds anything (`scrub_spilled_slot`).
    fn scrub(&mut self) {
        let held = (self.spilled.take().is_some(), self.kept.take().is_some());
        if held == (false, false) {
            return;
        }
        for b in self.bytes.iter_mut().filter(|b| **b != Byte::Invalid) {
            *b = Byte::Misc;
        }
    }

    /// Forgets the register, or what is kept; its bytes hold anything.
    fn forget(&mut self) {
        self.spilled = None;
        self.kept = None;
        for b in &mut self.bytes {
            if matches!(*b, Byte::Spill | Byte::Iter | Byte::Irq) {
                *b = Byte::Misc;
            }
        }
    }

    /// A number if the slot holds a whole spilled one, or eight bytes of anything.
    pub(crate) fn as_scalar(&self) -> Option<Rc<Reg>> {
        match self.spill() {
            Some((reg, 8)) if reg.is_scalar() => Some(Rc::clone(reg)),
            None if self.bytes == [Byte::Misc; 8] => Some(Rc::new(Reg::unknown())),
            _ => None,
        }
    }
}

/// A stack; it grows downwards as far as it is used.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Stack {
    pub(crate) slots: Vec<Slot>,
    /// Ascending by slot.
    pub(crate) dynptrs: Vec<Dynptr>,
}

/// A byte's slot and place in it. `off` is negative and within the stack limit.
pub(crate) fn place(off: i32) -> (usize, usize) {
    let from_top = (-1 - off) as usize;
    (from_top / 8, 7 - from_top % 8)
}

impl Stack {
    /// Bytes in use.
    pub(crate) fn depth(&self) -> u32 {
        self.slots.len() as u32 * 8
    }

    /// Makes room down to `fp + off`.
    pub(crate) fn grow(&mut self, off: i32) {
        let slots = place(off).0 + 1;
        if slots > self.slots.len() {
            self.slots.resize(slots, Slot::INVALID);
        }
    }

    /// What a byte holds.
    pub(crate) fn byte(&self, off: i32) -> Byte {
        let (slot, byte) = place(off);
        self.slots.get(slot).map_or(Byte::Invalid, |s| s.bytes[byte])
    }

    /// The slot that covers a byte.
    pub(crate) fn slot(&self, off: i32) -> Option<&Slot> {
        self.slots.get(place(off).0)
    }

    /// Writes the low `size` bytes of a register at an offset that is a multiple of 8.
    ///
    /// Bytes above them lose a spilled register; what was never written stays so only for those who may
    /// read it (`may_leak`).
    pub(crate) fn spill(&mut self, off: i32, size: usize, reg: Reg, may_leak: bool) {
        self.grow(off);
        let slot = &mut self.slots[place(off).0];
        slot.spilled = Some(Rc::new(reg));
        slot.kept = None;
        for (i, b) in slot.bytes.iter_mut().enumerate() {
            let keeps = *b == Byte::Zero || (may_leak && *b == Byte::Invalid);
            *b = match i < size {
                true => Byte::Spill,
                false if keeps => *b,
                false => Byte::Misc,
            };
        }
    }

    /// Writes bytes that are anything, or zero. A spilled register that they touch is lost.
    pub(crate) fn write(&mut self, off: i32, size: usize, byte: Byte) {
        debug_assert!(self.dynptrs_in(off, size).next().is_none(), "dynptrs are destroyed first");
        self.grow(off);
        for at in off..off + size as i32 {
            let (slot, i) = place(at);
            self.slots[slot].scrub();
            self.slots[slot].bytes[i] = byte;
        }
    }

    /// Something between `off` and `off + len` is written, perhaps with zeros, or nothing is.
    ///
    /// Keeps zeros where zeros are written; all else that was there may have become anything.
    pub(crate) fn smear(&mut self, off: i32, len: usize, zeros: bool) {
        debug_assert!(self.dynptrs_in(off, len).next().is_none(), "dynptrs are destroyed first");
        self.grow(off);
        for at in off..off + len as i32 {
            let (slot, i) = place(at);
            let slot = &mut self.slots[slot];
            let zero_spill = slot.spill().is_some_and(|(r, _)| r.is_null());
            if zeros && zero_spill && slot.bytes[i] == Byte::Spill {
                continue;
            }
            let was_zero = slot.bytes[i] == Byte::Zero;
            slot.forget();
            slot.bytes[i] = if zeros && was_zero { Byte::Zero } else { Byte::Misc };
        }
    }

    /// Whether a function of the kernel keeps something in any of the slots of these bytes.
    pub(crate) fn keeps(&self, off: i32, len: usize) -> bool {
        (off..off + len as i32)
            .any(|at| self.slot(at).is_some_and(|slot| slot.kept.is_some() || slot.bytes[0] == Byte::Dynptr))
    }

    /// Whether all of `size` bytes are zero: written as zeros or, if `spills` count, parts of a spilled 0.
    pub(crate) fn all_zero(&self, off: i32, size: usize, spills: bool) -> bool {
        (off..off + size as i32).all(|at| match self.byte(at) {
            Byte::Zero => true,
            Byte::Spill => spills && self.slot(at).and_then(Slot::spill).is_some_and(|(r, _)| r.is_null()),
            Byte::Invalid | Byte::Misc | Byte::Iter | Byte::Irq | Byte::Dynptr => false,
        })
    }
}

/// Whether a read of `size` bytes at byte `i` of a slot gives the low bytes of a spill of `spill_size`.
pub(crate) fn reads_low_part(i: usize, size: usize, spill_size: usize) -> bool {
    let low = if cfg!(target_endian = "big") { spill_size.wrapping_sub(size) } else { 0 };
    size <= spill_size && i == low
}
