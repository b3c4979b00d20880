//! Loops that end.

use skep_isa::{JumpOp, Op, Operand, Reg};

use super::Gen;

impl Gen {
    /// A loop over a counter, sometimes one that the verifier may leave by `may_goto` as well: at run time the
    /// counter is always first.
    pub(super) fn counted_loop(&mut self, depth: usize) {
        let Some(counter) = [9, 8].map(Reg).into_iter().find(|r| !self.is_held(*r)) else {
            return self.arithmetic();
        };
        let rounds = 1 + self.rng.below(5) as i32;
        let first = self.code.len();
        self.mov(counter, 0);
        self.frame.held.push(counter.0);
        // The second round begins with what the first leaves: calls lose r0 to r5.
        self.clobber();
        self.set_known(counter, true);
        let before = self.known();
        let start = self.code.len();
        let leave = self.rng.chance(30).then(|| self.op(Op::MayGoto { off: 0 }));
        self.blocks(depth + 1);
        // And finds numbers where the first found some.
        for r in (6..10).map(Reg).filter(|r| before.regs[r.index()]) {
            if !self.knows(r) {
                self.fresh(r);
            }
        }
        let step = self.add(counter, 1);
        // A counter that `may_goto` lets grow without bound must still bound what is behind the loop.
        let ops = [JumpOp::Lt, JumpOp::Slt, JumpOp::Ne];
        let op = *self.rng.pick(if leave.is_some() { &ops[..2] } else { &ops });
        let back = self.jump_if(op, counter, Operand::Imm(rounds));
        self.land_back(back, start);
        self.loop_control.extend([first, step, back]);
        self.loop_control.extend(leave);
        if let Some(at) = leave {
            self.land(at);
            self.frame.known.meet(before);
        }
        self.frame.known.slots = before.slots;
        self.frame.held.pop();
        self.clobber();
    }
}
