//! Branches, with a mark for each side that is reached.

use std::sync::OnceLock;

use skep_isa::table::{self, Row};
use skep_isa::{Op, Operand, Size};

use super::{FP, Gen, MARKS, OUT_OFF, R1, R2};

impl Gen {
    /// A mark that this side of branch `index` was reached.
    fn mark(&mut self, index: Option<usize>, taken: bool) {
        if let Some(i) = index {
            let off = OUT_OFF + 80 + 2 * i as i16 + i16::from(taken);
            self.store(Size::B, FP, off, Operand::Imm(1));
        }
    }

    pub(super) fn branch(&mut self, depth: usize) {
        let row = *self.rng.pick(rows());
        let fresh = self.target();
        if self.rng.chance(40) {
            self.fresh(fresh);
        }
        let (dst, src, imm) = (self.number(), self.number(), self.rng.immediate());
        if self.rng.chance(10) && !self.is_held(dst) {
            // So that `==` holds now and then.
            self.mov(dst, imm);
        }
        let marked = self.frame.level == 0 && self.branches.len() < MARKS / 2;
        let index = marked.then_some(self.branches.len());
        if marked {
            self.branches.push(row.name);
        }
        let to_taken = self.op(row.op(dst, src, 0, imm));
        let before = self.known();
        self.mark(index, false);
        self.blocks(depth + 1);
        let long = self.rng.chance(20);
        let to_end = self.op(Op::Jump { off: 0, long });
        self.land(to_taken);
        let other = self.known();
        self.frame.known = before;
        self.mark(index, true);
        if self.rng.chance(50) {
            self.blocks(depth + 1);
        }
        if long {
            self.code[to_end].imm = (self.code.len() - to_end - 1) as i32;
        } else {
            self.land(to_end);
        }
        // Behind the branch only what both sides know is known.
        self.frame.known.meet(other);
    }
}

fn rows() -> &'static [&'static Row] {
    static ROWS: OnceLock<Vec<&'static Row>> = OnceLock::new();
    let branches = |r: &&Row| matches!(r.op(R1, R2, 0, 1), Op::JumpIf { .. });
    ROWS.get_or_init(|| table::rows().iter().filter(branches).collect())
}
