//! What a program leaves behind.

use skep_isa::{AluOp, Op, Operand, Reg, Size, Width};

use super::{FP, Gen, KEY, OUT, OUT_OFF, R0, R1, R2, R3, R4, R7, SLOTS};

/// The map of results is the first.
const MAP_OUT: i32 = 0;

impl Gen {
    /// Clears what the report will hold.
    pub(super) fn clear_out(&mut self) {
        for off in (OUT_OFF..OUT_OFF + OUT as i16).step_by(8) {
            self.store(Size::DW, FP, off, Operand::Imm(0));
        }
        if self.tails > 0 {
            self.count_run();
        }
    }

    /// Puts every known number into `out`, those on the stack folded into `r7`, which is returned.
    pub(super) fn report(&mut self) {
        let folded = R7;
        if !self.knows(folded) {
            self.fresh(folded);
        }
        for slot in (0..SLOTS).filter(|&s| self.frame.known.slots[s]).collect::<Vec<_>>() {
            self.plain_load(Size::DW, R1, FP, -8 * (slot as i16 + 1));
            self.alu(Width::W64, AluOp::Xor, folded, Operand::Reg(R1));
            self.set_known(R1, true);
        }
        for r in (0..10u8).map(Reg).filter(|&r| self.knows(r)).collect::<Vec<_>>() {
            self.store(Size::DW, FP, OUT_OFF + 8 * i16::from(r.0), Operand::Reg(r));
        }
        let key = self.number as i32;
        self.store(Size::W, FP, KEY, Operand::Imm(key));
        self.map(R1, MAP_OUT);
        self.stack_address(R2, KEY);
        self.stack_address(R3, OUT_OFF);
        self.mov(R4, 0);
        self.call("bpf_map_update_elem");
        if self.may_tail_call() && self.rng.chance(60) {
            self.tail_call();
        }
        self.mov_reg(R0, folded);
        if let Some(most) = self.kind.most {
            self.alu(Width::W32, AluOp::And, R0, Operand::Imm(most as i32));
        }
        self.op(Op::Exit);
    }
}
