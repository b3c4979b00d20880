//! Programs that may be illegal.

use skep_isa::{Insn, Reg, table};

use super::Made;

impl Made {
    /// Changes one field of one instruction of the first program. What bounds a loop is mostly left alone: to find
    /// that a loop does not end costs a million instructions.
    pub fn alter(&mut self) {
        let mut at = self.rng.below(self.spec.insns.len());
        while self.loop_control.contains(&at) && !self.rng.chance(2) {
            at = self.rng.below(self.spec.insns.len());
        }
        let insn: &mut Insn = &mut self.spec.insns[at];
        match self.rng.below(5) {
            0 => insn.dst = Reg(self.rng.below(11) as u8),
            1 => insn.src = Reg(self.rng.below(11) as u8),
            2 => insn.off = insn.off.wrapping_add(self.rng.below(33) as i16 - 16),
            3 => insn.imm = self.rng.immediate(),
            _ => insn.opcode = self.rng.pick(table::rows()).opcode,
        }
    }
}
