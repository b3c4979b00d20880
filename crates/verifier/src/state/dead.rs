//! What nobody reads any more is forgotten (`clean_func_state` in kernel/bpf/verifier.c, Linux 6.18).

use skep_isa::RegSet;

use super::{Frame, Reg, Slot};

/// Whether slot `i` may be forgotten, given those that are read.
fn dead(i: usize, slot: &Slot, live: u64) -> bool {
    live.checked_shr(i as u32).unwrap_or(0) & 1 == 0 && *slot != Slot::INVALID && slot.is_bytes()
}

impl Frame {
    /// Whether anything is known of registers other than `regs`, or of slots other than those in the set.
    pub(crate) fn has_dead(&self, regs: RegSet, slots: u64) -> bool {
        let dead_reg = |(i, reg): (usize, &Reg)| reg.is_init() && !regs.contains(skep_isa::Reg(i as u8));
        self.regs[..10].iter().enumerate().any(dead_reg)
            || self.stack.slots.iter().enumerate().any(|(i, slot)| dead(i, slot, slots))
    }

    /// Forgets what is known of registers other than `regs`, and of slots other than those in the set; bit i of it is
    /// slot i.
    pub(crate) fn forget_dead(&mut self, regs: RegSet, slots: u64) {
        for (i, reg) in self.regs[..10].iter_mut().enumerate() {
            if !regs.contains(skep_isa::Reg(i as u8)) {
                *reg = Reg::NOT_INIT;
            }
        }
        for (i, slot) in self.stack.slots.iter_mut().enumerate() {
            if dead(i, slot, slots) {
                *slot = Slot::INVALID;
            }
        }
        let used = self.stack.slots.iter().rposition(|s| *s != Slot::INVALID).map_or(0, |i| i + 1);
        self.stack.slots.truncate(used);
    }
}
