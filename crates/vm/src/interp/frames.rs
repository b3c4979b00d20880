//! The functions that a program is in.

use crate::Program;
use crate::mem::{CALL_FRAMES, FRAMES, Mem, Saved};

/// The functions that an [`exec`](super::exec) is in: what only calls and returns look at, in memory so that the
/// registers of the processor are left to the rest.
pub(super) struct Frames {
    /// Frame of the first function.
    pub(super) base: usize,
    /// Frame of the function that runs.
    pub(super) depth: usize,
    /// Its first slot.
    pub(super) entry: usize,
    /// Its passes of `may_goto`.
    pub(super) may_goto: u32,
}

impl Frames {
    #[inline(always)]
    pub(super) fn is_outermost(&self) -> bool {
        self.depth == self.base
    }

    /// Whether a helper calls the function that runs.
    #[inline(always)]
    pub(super) fn is_called_back(&self, mem: &Mem<'_>) -> bool {
        mem.saved(self.depth).callback
    }

    /// Enters a function, by its slot and whether a helper calls it, in a frame of its own; its caller goes on at
    /// `next`. `false` when there are too many frames.
    #[inline(never)]
    pub(super) fn call(
        &mut self,
        program: &Program,
        mem: &mut Mem<'_>,
        regs: &mut [u64; 16],
        next: usize,
        (to, callback): (usize, bool),
    ) -> bool {
        if self.depth - self.base + 1 == CALL_FRAMES || self.depth + 1 == FRAMES {
            return false;
        }
        self.depth += 1;
        let callee_saved = [regs[6], regs[7], regs[8], regs[9]];
        let Self { entry, may_goto, .. } = *self;
        mem.save(self.depth, Saved { pc: next, callee_saved, entry, may_goto, callback });
        (self.entry, self.may_goto) = (to, 0);
        regs[10] = mem.enter_frame(self.depth, program.stack_used);
        true
    }

    /// Leaves all functions but the first, whose frame the one at slot `to` gets.
    #[inline(never)]
    pub(super) fn unwind(&mut self, program: &Program, mem: &mut Mem<'_>, regs: &mut [u64; 16], to: usize) {
        (self.base + 1..=self.depth).for_each(|depth| mem.take_key(depth));
        (self.depth, self.entry, self.may_goto) = (self.base, to, 0);
        regs[10] = mem.enter_frame(self.depth, program.stack_used);
    }

    /// Goes back to the caller; gives the slot where it goes on.
    #[inline(never)]
    pub(super) fn leave(&mut self, mem: &mut Mem<'_>, regs: &mut [u64; 16]) -> usize {
        let Saved { pc, callee_saved, entry, may_goto, callback: _ } = mem.saved(self.depth);
        self.depth -= 1;
        (self.entry, self.may_goto) = (entry, may_goto);
        regs[6..10].copy_from_slice(&callee_saved);
        regs[10] = mem.set_depth(self.depth);
        pc
    }
}
