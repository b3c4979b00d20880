//! Functions: two numbers in, perhaps a piece of the caller's stack and the context, one number out.

use skep_isa::{AluOp, CallTarget, JumpOp, Op, Operand, Reg, Size, Width};

use super::types::{Role, info};
use super::{FP, Frame, Gen, R0, R1, R3, R4, R6, R7, VALUE, VALUE_BYTES};

/// Functions of a program.
const MOST: usize = 4;

/// Who calls a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Another function.
    Function,
    /// `bpf_loop`.
    Loop,
    /// `bpf_for_each_map_elem`.
    ForEach {
        /// The elements come in the same order everywhere.
        ordered: bool,
        /// Bytes of a value.
        value: u32,
    },
}

/// A function that is called somewhere.
pub(super) struct Function {
    /// 1 for those that main functions call.
    pub level: usize,
    /// Takes a piece of the caller's stack.
    pub lent: bool,
    /// Takes the context.
    pub ctx: bool,
    pub caller: Caller,
    /// Calls, or loads of its address, whose distance is missing.
    pub calls: Vec<usize>,
}

impl Gen {
    pub(super) fn call_function(&mut self) {
        let level = self.frame.level + 1;
        let ctx = self.frame.ctx;
        let fits =
            |f: &Function| f.caller == Caller::Function && f.level == level && (!f.ctx || ctx.is_some());
        let there: Vec<usize> = (0..self.functions.len()).filter(|&i| fits(&self.functions[i])).collect();
        let which = if there.is_empty() || self.rng.chance(40) && self.functions.len() < MOST {
            if self.functions.len() >= MOST {
                return self.arithmetic();
            }
            let (lent, ctx) = (self.rng.chance(60), ctx.is_some() && self.rng.chance(60));
            let caller = Caller::Function;
            self.functions.push(Function { level, lent, ctx, caller, calls: Vec::new() });
            self.functions.len() - 1
        } else {
            *self.rng.pick(&there)
        };
        let (lent, takes_ctx) = (self.functions[which].lent, self.functions[which].ctx);
        if lent {
            self.on_stack(VALUE, VALUE_BYTES);
        }
        for r in [1, 2].map(Reg) {
            let src = self.number();
            self.mov_reg(r, src);
            self.set_known(r, true);
        }
        if lent {
            self.stack_address(R3, VALUE);
        }
        if let Some(ctx) = ctx.filter(|_| takes_ctx) {
            self.mov_reg(R4, ctx);
        }
        let at = self.op(Op::Call(CallTarget::Subprog(0)));
        self.functions[which].calls.push(at);
        self.clobber();
        self.set_known(R0, true);
        if lent {
            // What the function left there.
            let off = VALUE + 8 * self.rng.below(VALUE_BYTES as usize / 8) as i16;
            self.load(Size::DW, R1, FP, off);
            self.set_known(R1, true);
        }
    }

    /// Returns from a function if a number says so.
    pub(super) fn early_return(&mut self) {
        let r = self.number();
        let imm = self.rng.immediate();
        let stay = self.jump_if(JumpOp::Ne, r, Operand::Imm(imm));
        let before = self.known();
        self.return_number();
        self.frame.known = before;
        self.land(stay);
    }

    pub(super) fn has_room_for_functions(&self) -> bool {
        self.functions.len() < MOST
    }

    fn return_number(&mut self) {
        let src = self.number();
        self.mov_reg(R0, src);
        if self.frame.called_back {
            // Go on, or stop.
            self.alu(Width::W64, AluOp::And, R0, Operand::Imm(1));
        }
        self.op(Op::Exit);
    }

    fn begin_function(&mut self, lent: bool, ctx: bool) {
        self.frame.known.regs[1..3].fill(true);
        if lent {
            self.mov_reg(R6, R3);
            self.frame.held.push(R6.0);
            self.frame.lent = Some(R6);
        }
        if ctx {
            self.mov_reg(R7, R4);
            self.frame.held.push(R7.0);
            self.frame.ctx = Some(R7);
        }
    }

    /// Writes the functions that are called, and those that they call.
    pub(super) fn write_functions(&mut self) {
        let mut next = 0;
        while next < self.functions.len() {
            let Function { level, lent, ctx, caller, .. } = self.functions[next];
            let start = self.code.len();
            self.starts.push(info(Role::Static, start));
            self.frame = Frame { level, called_back: caller != Caller::Function, ..Frame::default() };
            match caller {
                Caller::Function => self.begin_function(lent, ctx),
                Caller::Loop => self.begin_round(),
                Caller::ForEach { ordered, value } => self.begin_element(ordered, value),
            }
            if matches!(caller, Caller::ForEach { ordered: false, .. }) {
                self.mov(R0, 0);
                self.op(Op::Exit);
            } else {
                for _ in 0..1 + self.rng.below(3) {
                    self.block(2);
                }
                self.return_number();
            }
            // Calls of itself there are none: only of functions of the next level.
            for at in std::mem::take(&mut self.functions[next].calls) {
                self.code[at].imm = (start as i64 - at as i64 - 1) as i32;
            }
            if caller == Caller::Loop {
                self.rounds.push(start..self.code.len());
            }
            next += 1;
        }
        self.functions.clear();
    }
}
