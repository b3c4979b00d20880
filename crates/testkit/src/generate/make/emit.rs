//! Single instructions, and the registers that they may use.

use skep_abi::helper_by_name;
use skep_isa::{AluOp, CallTarget, Imm64, JumpOp, Op, Operand, Reg, Size, Width};

use super::{FP, Gen, Known, R5};

impl Gen {
    pub(super) fn op(&mut self, op: Op) -> usize {
        let at = self.code.len();
        let (first, second) = op.encode();
        self.code.push(first);
        self.code.extend(second);
        at
    }

    pub(super) fn alu(&mut self, width: Width, op: AluOp, dst: Reg, src: Operand) -> usize {
        self.op(Op::Alu { width, op, dst, src })
    }

    pub(super) fn mov(&mut self, dst: Reg, imm: i32) {
        self.alu(Width::W64, AluOp::Mov, dst, Operand::Imm(imm));
    }

    pub(super) fn mov_reg(&mut self, dst: Reg, src: Reg) {
        self.alu(Width::W64, AluOp::Mov, dst, Operand::Reg(src));
    }

    pub(super) fn add(&mut self, dst: Reg, imm: i32) -> usize {
        self.alu(Width::W64, AluOp::Add, dst, Operand::Imm(imm))
    }

    /// A load, sometimes a sign-extending one.
    pub(super) fn load(&mut self, size: Size, dst: Reg, src: Reg, off: i16) {
        let signed = size != Size::DW && self.rng.chance(25);
        self.op(Op::Load { size, signed, dst, src, off });
    }

    /// A load from a stack, sometimes a sign-extending one. Linux takes what that gives of a spilled number for the number
    /// itself (docs/parity.md): a byte that is stored there first makes it no spill.
    pub(super) fn stack_load(&mut self, size: Size, dst: Reg, src: Reg, off: i16) {
        let signed = size != Size::DW && self.rng.chance(25);
        if signed {
            let byte = 1 + self.rng.below(255) as i32;
            self.store(Size::B, src, off, Operand::Imm(byte));
        }
        self.op(Op::Load { size, signed, dst, src, off });
    }

    /// A load without sign: of a context, of an address.
    pub(super) fn plain_load(&mut self, size: Size, dst: Reg, src: Reg, off: i16) {
        self.op(Op::Load { size, signed: false, dst, src, off });
    }

    pub(super) fn store(&mut self, size: Size, dst: Reg, off: i16, src: Operand) {
        self.op(Op::Store { size, dst, off, src });
    }

    pub(super) fn jump_if(&mut self, op: JumpOp, dst: Reg, src: Operand) -> usize {
        self.op(Op::JumpIf { width: Width::W64, op, dst, src, off: 0 })
    }

    pub(super) fn goto(&mut self) -> usize {
        self.op(Op::Jump { off: 0, long: false })
    }

    /// Lets the jump at `at` land on the next instruction.
    pub(super) fn land(&mut self, at: usize) {
        self.code[at].off = (self.code.len() - at - 1) as i16;
    }

    /// Lets the jump at `at` go back to `start`.
    pub(super) fn land_back(&mut self, at: usize, start: usize) {
        self.code[at].off = (start as i64 - at as i64 - 1) as i16;
    }

    /// The address `fp + off`.
    pub(super) fn stack_address(&mut self, dst: Reg, off: i16) {
        self.mov_reg(dst, FP);
        self.add(dst, off.into());
    }

    pub(super) fn map(&mut self, dst: Reg, map: i32) {
        self.op(Op::LoadImm64 { dst, value: Imm64::MapIdx(map) });
    }

    /// A helper call: afterwards `r0` is a number, `r1` to `r5` are gone.
    pub(super) fn call(&mut self, name: &str) {
        let helper = helper_by_name(name).unwrap_or_else(|| panic!("no helper `{name}`"));
        self.op(Op::Call(CallTarget::Helper(helper.id)));
        self.clobber();
        self.frame.known.regs[0] = true;
    }

    /// What a call leaves of numbers: none in `r0` to `r5`.
    pub(super) fn clobber(&mut self) {
        self.frame.known.regs[..6].fill(false);
    }

    pub(super) fn knows(&self, r: Reg) -> bool {
        self.frame.known.regs[r.index()]
    }

    /// Says whether a register holds a number.
    pub(super) fn set_known(&mut self, r: Reg, known: bool) {
        self.frame.known.regs[r.index()] = known;
    }

    pub(super) fn known(&self) -> Known {
        self.frame.known
    }

    pub(super) fn is_held(&self, r: Reg) -> bool {
        self.frame.held.contains(&r.0)
    }

    /// A register that holds a number; `r5` is given one if none does.
    pub(super) fn number(&mut self) -> Reg {
        self.number_but(&[])
    }

    /// The same, not one of some that hold something else for now; `r5` is not among those.
    pub(super) fn number_but(&mut self, busy: &[Reg]) -> Reg {
        let free = |r: &Reg| self.knows(*r) && !busy.contains(r);
        let known: Vec<Reg> = (0..10).map(Reg).filter(free).collect();
        if known.is_empty() {
            self.fresh(R5);
            return R5;
        }
        *self.rng.pick(&known)
    }

    /// A register that may be overwritten.
    pub(super) fn target(&mut self) -> Reg {
        loop {
            let r = Reg(self.rng.below(10) as u8);
            if !self.is_held(r) {
                return r;
            }
        }
    }

    /// A register that calls keep and that may be overwritten.
    pub(super) fn kept_target(&mut self) -> Option<Reg> {
        [7, 8, 9].map(Reg).into_iter().find(|r| !self.is_held(*r))
    }

    /// Gives a register a number from a constant or the context.
    pub(super) fn fresh(&mut self, dst: Reg) {
        let ctx = self.frame.ctx.filter(|_| self.rng.chance(50) && !self.kind.numbers.is_empty());
        match ctx {
            Some(ctx) => {
                let (size, off) = *self.rng.pick(&self.kind.numbers);
                self.plain_load(size, dst, ctx, off);
            }
            None if self.rng.chance(50) => {
                let value = self.rng.operand();
                self.op(Op::LoadImm64 { dst, value: Imm64::Const(value) });
            }
            None => {
                let imm = self.rng.immediate();
                self.mov(dst, imm);
            }
        }
        self.set_known(dst, true);
    }

    /// Writes numbers to the stack: a value, part of a key.
    pub(super) fn on_stack(&mut self, off: i16, bytes: i16) {
        for at in (off..off + bytes).step_by(8) {
            if self.rng.chance(80) {
                let src = self.number();
                self.store(Size::DW, FP, at, Operand::Reg(src));
            } else {
                let imm = self.rng.immediate();
                self.store(Size::DW, FP, at, Operand::Imm(imm));
            }
        }
    }
}
