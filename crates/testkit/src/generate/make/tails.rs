//! Tail calls.

use std::sync::Arc;

use skep_abi::MapType;
use skep_isa::{AluOp, AtomicOp, Imm64, Op, Operand, Size, Width};
use skep_spec::MapDef;

use super::{Gen, R0, R1, R2, R3};

/// Slots of the program array: more than there are programs, so that some calls fall through.
const SLOTS: u32 = 4;

impl Gen {
    /// In a main function or one that it calls and gives the context to; deeper, Linux finds too much stack in
    /// use.
    pub(super) fn may_tail_call(&self) -> bool {
        self.tails > 0 && self.frame.level < 2 && self.frame.ctx.is_some()
    }

    pub(super) fn tail_call(&mut self) {
        let Some(ctx) = self.frame.ctx else { return self.arithmetic() };
        let array = self.program_array();
        match self.rng.below(4) {
            // A slot that the run chooses.
            0 => {
                let src = self.number_but(&[R3]);
                self.alu(Width::W32, AluOp::Mov, R3, Operand::Reg(src));
                self.alu(Width::W64, AluOp::And, R3, Operand::Imm(7));
            }
            1 => {
                let slot = self.rng.below(SLOTS as usize + 1) as i32;
                self.mov(R3, slot);
            }
            _ => {
                let slot = self.rng.below(self.tails as usize) as i32;
                self.mov(R3, slot);
            }
        }
        self.mov_reg(R1, ctx);
        self.map(R2, array);
        self.call("bpf_tail_call");
        // It returned, so it did not happen; r0 holds nothing.
        self.set_known(R0, false);
        if self.rng.chance(50) {
            self.fresh(R0);
        }
    }

    fn program_array(&mut self) -> i32 {
        let at = self.maps.iter().position(|m| m.kind == MapType::PROG_ARRAY).unwrap_or_else(|| {
            self.maps.push(Arc::new(MapDef::new(MapType::PROG_ARRAY, 4, 4, SLOTS).named("programs")));
            self.maps.len() - 1
        });
        at as i32
    }

    /// Counts how many programs ran: tail calls end at a limit.
    pub(super) fn count_run(&mut self) {
        let map = self.maps.iter().position(|m| m.name == "runs").unwrap_or_else(|| {
            self.maps.push(Arc::new(MapDef::new(MapType::ARRAY, 4, 8, 1).named("runs")));
            self.maps.len() - 1
        });
        let value = Imm64::MapValueIdx { idx: map as i32, off_bytes: 0 };
        self.op(Op::LoadImm64 { dst: R1, value });
        self.mov(R2, 1);
        self.op(Op::Atomic { size: Size::DW, op: AtomicOp::Add { fetch: false }, dst: R1, src: R2, off: 0 });
    }
}
