//! Arithmetic, and numbers within bounds.

use skep_isa::table::{self, Row};
use skep_isa::{AluOp, JumpOp, Op, Operand, Reg, Width};

use super::{Gen, R1, R2};

impl Gen {
    pub(super) fn arithmetic(&mut self) {
        for _ in 0..1 + self.rng.below(6) {
            let row = *self.rng.pick(rows());
            let (dst, src, imm) = (self.target(), self.number(), self.rng.immediate());
            let op = row.op(dst, src, 0, imm);
            if op.uses().iter().any(|r| r == dst) && !self.knows(dst) {
                self.fresh(dst);
            }
            self.op(legal(op));
            self.set_known(dst, true);
        }
    }

    /// Puts a number from 0 to `most`, which is one less than a power of two, into `dst`: some number, bounded in
    /// one of the ways that programs use. Returns jumps to land where the number is out of bounds.
    pub(super) fn bounded(&mut self, dst: Reg, busy: &[Reg], most: i32) -> Vec<usize> {
        let src = self.number_but(busy);
        let bits = most.count_ones() as i32;
        let width = *self.rng.pick(&[Width::W32, Width::W64]);
        let mut out = Vec::new();
        if most == 0 {
            self.mov(dst, 0);
            return out;
        }
        match self.rng.below(7) {
            0 => {
                self.mov_reg(dst, src);
                self.alu(width, AluOp::And, dst, Operand::Imm(most));
            }
            1 => {
                self.mov_reg(dst, src);
                out.push(self.jump_if(JumpOp::Gt, dst, Operand::Imm(most)));
            }
            2 => {
                self.mov_reg(dst, src);
                out.push(self.jump_if(JumpOp::Sgt, dst, Operand::Imm(most)));
                out.push(self.jump_if(JumpOp::Slt, dst, Operand::Imm(0)));
            }
            3 => {
                self.alu(Width::W32, AluOp::Mov, dst, Operand::Reg(src));
                let op = Op::JumpIf {
                    width: Width::W32,
                    op: JumpOp::Ge,
                    dst,
                    src: Operand::Imm(most + 1),
                    off: 0,
                };
                out.push(self.op(op));
            }
            4 => {
                self.alu(width, AluOp::Mov, dst, Operand::Reg(src));
                let shift = if width == Width::W64 { 64 - bits } else { 32 - bits };
                self.alu(width, AluOp::Rsh, dst, Operand::Imm(shift));
            }
            5 => {
                // Two halves that each are bounded.
                self.mov_reg(dst, src);
                self.alu(width, AluOp::And, dst, Operand::Imm(most >> 1));
                let odd = self.rng.below(2) as i32;
                self.alu(width, AluOp::Add, dst, Operand::Imm(odd));
            }
            _ => {
                // By a jump over the correction.
                self.mov_reg(dst, src);
                let fine = self.jump_if(JumpOp::Le, dst, Operand::Imm(most));
                let instead = self.rng.below(most as usize + 1) as i32;
                self.mov(dst, instead);
                self.land(fine);
            }
        }
        if self.rng.chance(20) && most > 1 {
            // Within the same bounds still.
            match self.rng.below(3) {
                0 => self.alu(width, AluOp::Rsh, dst, Operand::Imm(1)),
                1 => self.alu(width, AluOp::Or, dst, Operand::Imm(1)),
                _ => self.alu(width, AluOp::Xor, dst, Operand::Imm(most)),
            };
        }
        out
    }
}

/// The operation with an immediate that the kernel takes.
fn legal(op: Op) -> Op {
    let Op::Alu { width, op: what, dst, src: Operand::Imm(imm) } = op else { return op };
    let bits = if width == Width::W64 { 64 } else { 32 };
    let imm = match what {
        AluOp::Lsh | AluOp::Rsh | AluOp::Arsh => imm.rem_euclid(bits),
        AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod if imm == 0 => 3,
        AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod => imm,
        AluOp::Add | AluOp::Sub | AluOp::Mul | AluOp::Or | AluOp::And | AluOp::Xor | AluOp::Mov => imm,
    };
    Op::Alu { width, op: what, dst, src: Operand::Imm(imm) }
}

fn rows() -> &'static [&'static Row] {
    static ROWS: std::sync::OnceLock<Vec<&'static Row>> = std::sync::OnceLock::new();
    let computes = |r: &&Row| {
        matches!(r.op(R1, R2, 0, 1), Op::Alu { .. } | Op::Neg { .. } | Op::MovSx { .. } | Op::Swap { .. })
    };
    ROWS.get_or_init(|| table::rows().iter().filter(computes).collect())
}
