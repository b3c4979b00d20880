//! Dynptrs: handles for memory whose size is only known when the program runs, in two slots of the stack.
//!
//! The first slot is the one with the lower address. While a dynptr is there, both slots hold [`Byte::Dynptr`]: nothing
//! but calls reads them, and who writes to one of them destroys the dynptr (`destroy_if_dynptr_stack_slot` in
//! kernel/bpf/verifier.c, Linux 6.18).

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::{Byte, Kind, Reg, Slot, Stack, State, place};

/// The memory that a dynptr is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DynptrType {
    /// A map's value, or what a callback is given.
    Local,
    /// A record of a ring buffer, which must be submitted or discarded.
    Ringbuf,
    /// A socket buffer's data.
    Skb,
    /// An XDP packet.
    Xdp,
    /// A socket buffer's metadata.
    SkbMeta,
}

impl DynptrType {
    /// The kernel's word (`dynptr_type_str`).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Ringbuf => "ringbuf",
            Self::Skb => "skb",
            Self::Xdp => "xdp",
            Self::SkbMeta => "skb_meta",
        }
    }

    /// Whether its slices are void when the packet changes.
    pub(crate) fn is_packet(self) -> bool {
        matches!(self, Self::Skb | Self::Xdp | Self::SkbMeta)
    }

    /// Whether writing through it may change the packet (`bpf_dynptr_write`).
    pub(crate) fn write_changes_packet(self) -> bool {
        matches!(self, Self::Skb | Self::SkbMeta)
    }
}

/// A dynptr on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dynptr {
    /// The first slot; the second is the one before, which lies above it.
    pub(crate) slot: usize,
    pub(crate) kind: DynptrType,
    /// Tells its slices from those of others.
    pub(crate) id: u32,
    /// The reference that it stands for; 0: none.
    pub(crate) ref_id: u32,
}

impl Dynptr {
    /// Slots that a dynptr takes.
    pub(crate) const SLOTS: usize = 2;
    /// Bytes that a dynptr takes.
    pub(crate) const BYTES: usize = 16;

    fn slots(&self) -> RangeInclusive<usize> {
        self.slot + 1 - Self::SLOTS..=self.slot
    }

    /// Whether the bytes of a range that may be written are some of its own.
    fn lies_in(&self, off: i32, len: usize) -> bool {
        let (first, last) = (place(off).0, place(off + len as i32 - 1).0);
        len > 0 && *self.slots().start() <= first && last <= self.slot
    }
}

impl Stack {
    /// The dynptr whose first slot it is.
    pub(crate) fn dynptr(&self, slot: usize) -> Option<&Dynptr> {
        self.dynptrs.iter().find(|d| d.slot == slot)
    }

    /// The dynptrs that a write of `len` bytes from `off` on would destroy.
    pub(crate) fn dynptrs_in(&self, off: i32, len: usize) -> impl Iterator<Item = &Dynptr> {
        self.dynptrs.iter().filter(move |d| d.lies_in(off, len))
    }

    /// Puts a dynptr where none is.
    fn put(&mut self, dynptr: Dynptr) {
        for slot in dynptr.slots() {
            self.slots[slot] = Slot { bytes: [Byte::Dynptr; 8], ..Slot::INVALID };
        }
        let at = self.dynptrs.partition_point(|d| d.slot < dynptr.slot);
        self.dynptrs.insert(at, dynptr);
    }

    /// Takes dynptrs away; what was there is as if it had never been written. Gives their ids.
    fn remove(&mut self, gone: impl Fn(&Dynptr) -> bool) -> Vec<u32> {
        let mut ids = Vec::new();
        let slots = &mut self.slots;
        self.dynptrs.retain(|d| {
            let goes = gone(d);
            if goes {
                ids.push(d.id);
                slots[d.slots()].iter_mut().for_each(|s| s.bytes = [Byte::Invalid; 8]);
            }
            !goes
        });
        ids
    }
}

impl State {
    /// Before `len` bytes of a stack are written: the dynptrs that they are part of are no more. Void is what
    /// `bpf_dynptr_data` gave of them; what functions of the kernel gave, Linux 6.18 leaves, and the memory stays.
    pub(crate) fn destroy_dynptrs(&mut self, frame: usize, off: i32, len: usize, void: &Reg) {
        if self.frames[frame].stack.dynptrs_in(off, len).next().is_none() {
            return;
        }
        let gone = self.frame_at_mut(frame).stack.remove(|d| d.lies_in(off, len));
        self.void_slices(&gone, void, |stays| !stays);
    }

    /// A new dynptr at a slot, in the place of what was there.
    pub(crate) fn make_dynptr(&mut self, frame: usize, dynptr: Dynptr, void: &Reg) {
        let off = -8 * (dynptr.slot as i32 + 1);
        self.frame_at_mut(frame).stack.grow(off);
        self.destroy_dynptrs(frame, off, 8, void);
        self.destroy_dynptrs(frame, off + 8, 8, void);
        self.frame_at_mut(frame).stack.put(dynptr);
    }

    /// A reference was released: the dynptrs that stand for it are no more, nor are their slices.
    pub(crate) fn release_dynptrs(&mut self, ref_id: u32, void: &Reg) {
        for frame in 0..self.frames.len() {
            if self.frames[frame].stack.dynptrs.iter().any(|d| d.ref_id == ref_id) {
                let gone = self.frame_at_mut(frame).stack.remove(|d| d.ref_id == ref_id);
                self.void_slices(&gone, void, |_| true);
            }
        }
    }

    fn void_slices(&mut self, ids: &[u32], void: &Reg, goes: impl Fn(bool) -> bool) {
        self.for_each_reg(|r| {
            if let Kind::Slice { dynptr, stays, .. } = r.kind
                && ids.contains(&dynptr)
                && goes(stays)
            {
                *r = void.clone();
            }
        });
    }
}
