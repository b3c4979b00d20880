//! Writing programs in Rust.

use skep_isa::table::{self, Fields};
use skep_isa::{CallTarget, Imm64, Insn, JumpOp, Op, Operand, Reg, Size, Width};

/// Instructions in order.
#[derive(Clone, Debug, Default)]
pub struct Code {
    insns: Vec<Insn>,
}

impl Code {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an instruction.
    pub fn op(&mut self, op: Op) -> &mut Self {
        let (first, second) = op.encode();
        self.insns.push(first);
        self.insns.extend(second);
        self
    }

    /// Adds an instruction of a row of the table by its name.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&mut self, name: &str, fields: Fields) -> &mut Self {
        let row = table::named(name).unwrap_or_else(|| panic!("no instruction row `{name}`"));
        self.op(row.op_from(fields))
    }

    /// `dst = imm`
    pub fn mov(&mut self, dst: Reg, imm: i32) -> &mut Self {
        self.row("mov64_imm", Fields { dst, imm, ..Fields::default() })
    }

    /// `dst = src`
    pub fn mov_reg(&mut self, dst: Reg, src: Reg) -> &mut Self {
        self.row("mov64_reg", Fields { dst, src, ..Fields::default() })
    }

    /// `dst += imm`
    pub fn add(&mut self, dst: Reg, imm: i32) -> &mut Self {
        self.row("add64_imm", Fields { dst, imm, ..Fields::default() })
    }

    /// `dst = *(size *)(src + off)`
    pub fn load(&mut self, size: Size, dst: Reg, src: Reg, off: i16) -> &mut Self {
        self.op(Op::Load { size, signed: false, dst, src, off })
    }

    /// `*(size *)(dst + off) = src`
    pub fn store(&mut self, size: Size, dst: Reg, off: i16, src: Reg) -> &mut Self {
        self.op(Op::Store { size, dst, off, src: Operand::Reg(src) })
    }

    /// `*(size *)(dst + off) = imm`
    pub fn store_imm(&mut self, size: Size, dst: Reg, off: i16, imm: i32) -> &mut Self {
        self.op(Op::Store { size, dst, off, src: Operand::Imm(imm) })
    }

    /// `if dst op imm goto off`
    pub fn jump_imm(&mut self, op: JumpOp, dst: Reg, imm: i32, off: i16) -> &mut Self {
        self.op(Op::JumpIf { width: Width::W64, op, dst, src: Operand::Imm(imm), off })
    }

    /// `dst = map[idx:index]`
    pub fn map(&mut self, dst: Reg, index: i32) -> &mut Self {
        self.op(Op::LoadImm64 { dst, value: Imm64::MapIdx(index) })
    }

    /// `call helper`
    pub fn call(&mut self, helper: u32) -> &mut Self {
        self.op(Op::Call(CallTarget::Helper(helper)))
    }

    /// `exit`
    pub fn exit(&mut self) -> &mut Self {
        self.op(Op::Exit)
    }

    /// Slots so far.
    pub fn len(&self) -> usize {
        self.insns.len()
    }

    /// Whether there is nothing yet.
    pub fn is_empty(&self) -> bool {
        self.insns.is_empty()
    }

    /// The slots.
    pub fn finish(&mut self) -> Vec<Insn> {
        std::mem::take(&mut self.insns)
    }
}
