//! The prepared form of a program: one fixed-size operation per slot, selectors resolved, jump targets
//! absolute.
//!
//! An index into the prepared code is a slot number of the program, so traps and traces need no translation.
//! Behind the last slot stands [`Code::Outside`], and every jump that leaves the program leads there.

use alloc::vec::Vec;

use skep_isa::{
    AluOp, AtomicOp, CallTarget, DecodeError, Imm64, Insn, JumpOp, Op, Operand, PacketMode, Reg, Size,
    SwapKind, Width, decode,
};

/// Lists the two-operand operations and comparisons with the names of their prepared forms: 64-bit by
/// register and by constant, 32-bit by register and by constant.
///
/// `operations!(m)` becomes `m! { alu { Add Add64 Add64Imm Add32 Add32Imm; … } jump { Eq Jeq64 …; … } }`;
/// the consumers are the enum, the preparation and the dispatch.
macro_rules! operations {
    ($consumer:ident) => {
        $consumer! {
            alu {
                Add Add64 Add64Imm Add32 Add32Imm;
                Sub Sub64 Sub64Imm Sub32 Sub32Imm;
                Mul Mul64 Mul64Imm Mul32 Mul32Imm;
                Div Div64 Div64Imm Div32 Div32Imm;
                Sdiv Sdiv64 Sdiv64Imm Sdiv32 Sdiv32Imm;
                Or Or64 Or64Imm Or32 Or32Imm;
                And And64 And64Imm And32 And32Imm;
                Lsh Lsh64 Lsh64Imm Lsh32 Lsh32Imm;
                Rsh Rsh64 Rsh64Imm Rsh32 Rsh32Imm;
                Mod Mod64 Mod64Imm Mod32 Mod32Imm;
                Smod Smod64 Smod64Imm Smod32 Smod32Imm;
                Xor Xor64 Xor64Imm Xor32 Xor32Imm;
                Mov Mov64 Mov64Imm Mov32 Mov32Imm;
                Arsh Arsh64 Arsh64Imm Arsh32 Arsh32Imm;
            }
            jump {
                Eq Jeq64 Jeq64Imm Jeq32 Jeq32Imm;
                Ne Jne64 Jne64Imm Jne32 Jne32Imm;
                Set Jset64 Jset64Imm Jset32 Jset32Imm;
                Gt Jgt64 Jgt64Imm Jgt32 Jgt32Imm;
                Ge Jge64 Jge64Imm Jge32 Jge32Imm;
                Lt Jlt64 Jlt64Imm Jlt32 Jlt32Imm;
                Le Jle64 Jle64Imm Jle32 Jle32Imm;
                Sgt Jsgt64 Jsgt64Imm Jsgt32 Jsgt32Imm;
                Sge Jsge64 Jsge64Imm Jsge32 Jsge32Imm;
                Slt Jslt64 Jslt64Imm Jslt32 Jslt32Imm;
                Sle Jsle64 Jsle64Imm Jsle32 Jsle32Imm;
            }
        }
    };
}
pub(crate) use operations;

macro_rules! define {
    (
        alu { $($alu:ident $a64:ident $a64i:ident $a32:ident $a32i:ident;)* }
        jump { $($jump:ident $j64:ident $j64i:ident $j32:ident $j32i:ident;)* }
    ) => {
        /// A prepared operation. `d` and `s` are registers, `to` a slot number.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Code {
            $(
                $a64 { d: R, s: R },
                $a64i { d: R, imm: i32 },
                $a32 { d: R, s: R },
                $a32i { d: R, imm: i32 },
            )*
            $(
                $j64 { d: R, s: R, to: u32 },
                $j64i { d: R, imm: i32, to: u32 },
                $j32 { d: R, s: R, to: u32 },
                $j32i { d: R, imm: i32, to: u32 },
            )*
            Neg { width: Width, d: R },
            MovSx { width: Width, from: Size, d: R, s: R },
            Swap { kind: SwapKind, size: Size, d: R },
            /// Two slots.
            Const { d: R, value: u64 },
            LoadB { d: R, s: R, off: i16 },
            LoadH { d: R, s: R, off: i16 },
            LoadW { d: R, s: R, off: i16 },
            LoadDw { d: R, s: R, off: i16 },
            LoadSx { size: Size, d: R, s: R, off: i16 },
            StoreB { d: R, s: R, off: i16 },
            StoreH { d: R, s: R, off: i16 },
            StoreW { d: R, s: R, off: i16 },
            StoreDw { d: R, s: R, off: i16 },
            StoreImm { size: Size, d: R, off: i16, imm: i32 },
            Atomic { size: Size, op: AtomicOp, d: R, s: R, off: i16 },
            LoadAcquire { size: Size, d: R, s: R, off: i16 },
            StoreRelease { size: Size, d: R, s: R, off: i16 },
            PacketAbs { size: Size, imm: i32 },
            PacketInd { size: Size, s: R, imm: i32 },
            Jump { to: u32 },
            MayGoto { to: u32 },
            /// `index` into the helper table.
            Helper { index: u16 },
            TailCall,
            Subprog { to: u32 },
            Exit,
            /// Anything that traps when it is reached.
            Refuse(Refusal),
            /// Behind the last slot.
            Outside,
        }

        fn alu(op: AluOp, width: Width, dst: Reg, src: Operand) -> Code {
            let d = R::from(dst);
            match (op, width, src) {
                $(
                    (AluOp::$alu, Width::W64, Operand::Reg(s)) => Code::$a64 { d, s: s.into() },
                    (AluOp::$alu, Width::W64, Operand::Imm(imm)) => Code::$a64i { d, imm },
                    (AluOp::$alu, Width::W32, Operand::Reg(s)) => Code::$a32 { d, s: s.into() },
                    (AluOp::$alu, Width::W32, Operand::Imm(imm)) => Code::$a32i { d, imm },
                )*
            }
        }

        fn jump_if(op: JumpOp, width: Width, dst: Reg, src: Operand, to: u32) -> Code {
            let d = R::from(dst);
            match (op, width, src) {
                $(
                    (JumpOp::$jump, Width::W64, Operand::Reg(s)) => Code::$j64 { d, s: s.into(), to },
                    (JumpOp::$jump, Width::W64, Operand::Imm(imm)) => Code::$j64i { d, imm, to },
                    (JumpOp::$jump, Width::W32, Operand::Reg(s)) => Code::$j32 { d, s: s.into(), to },
                    (JumpOp::$jump, Width::W32, Operand::Imm(imm)) => Code::$j32i { d, imm, to },
                )*
            }
        }
    };
}
operations!(define);

/// A register number that indexes sixteen registers without a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[rustfmt::skip]
pub(crate) enum R { N0, N1, N2, N3, N4, N5, N6, N7, N8, N9, N10, N11, N12, N13, N14, N15 }

impl From<Reg> for R {
    fn from(reg: Reg) -> Self {
        const ALL: [R; 16] = [
            R::N0,
            R::N1,
            R::N2,
            R::N3,
            R::N4,
            R::N5,
            R::N6,
            R::N7,
            R::N8,
            R::N9,
            R::N10,
            R::N11,
            R::N12,
            R::N13,
            R::N14,
            R::N15,
        ];
        ALL[reg.index() & 15]
    }
}

/// Why an operation traps whenever it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not an instruction; the error is kept beside the code.
    Undecodable,
    /// The second slot of an `LDDW`.
    SecondSlot,
    /// A store to `r10`.
    FramePointer,
    UnknownHelper(u32),
    Kfunc(i32),
    CallIndirect,
    JumpIndirect,
    AddrSpaceCast,
    /// An `LDDW` of a map that is not bound, or a value address of a kind that has none.
    UnboundMap(i32),
    /// An `LDDW` of a kernel variable.
    Variable(i32),
}

/// What preparation asks its caller.
pub(crate) struct Binding<'a> {
    /// The register content for the map of an index, if it is bound.
    pub(crate) map: &'a dyn Fn(u32) -> Option<u64>,
    /// The address of byte `off` of the first value of the map of an index.
    pub(crate) map_value: &'a dyn Fn(u32, u32) -> Option<u64>,
    /// The place of a helper in the helper table.
    pub(crate) helper: &'a dyn Fn(u32) -> Option<HelperSlot>,
}

/// Where a helper's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HelperSlot {
    Table(u16),
    TailCall,
}

/// Prepared code and the errors of its undecodable slots, ascending by slot.
pub(crate) struct Prepared {
    pub(crate) code: Vec<Code>,
    pub(crate) errors: Vec<DecodeError>,
    /// Some instruction names `r10` other than as the base of a store or load that stays in the frame.
    pub(crate) uses_stack: bool,
}

/// Prepares a program. Never fails: what cannot run becomes an operation that traps when it is reached.
pub(crate) fn prepare(insns: &[Insn], binding: &Binding<'_>) -> Prepared {
    let mut out =
        Prepared { code: Vec::with_capacity(insns.len() + 1), errors: Vec::new(), uses_stack: false };
    while out.code.len() < insns.len() {
        let pc = out.code.len();
        match decode(insns, pc) {
            Ok(op) => {
                out.uses_stack |= op.uses().contains(Reg::FP);
                out.code.push(lower(&op, pc, insns.len(), binding));
                for _ in 1..op.slots() {
                    out.code.push(Code::Refuse(Refusal::SecondSlot));
                }
            }
            Err(error) => {
                out.errors.push(error);
                out.code.push(Code::Refuse(Refusal::Undecodable));
            }
        }
    }
    out.code.push(Code::Outside);
    out
}

fn lower(op: &Op, pc: usize, len: usize, binding: &Binding<'_>) -> Code {
    if op.defs().contains(Reg::FP) {
        return Code::Refuse(Refusal::FramePointer);
    }
    let target = |off: i32| {
        let to = pc as i64 + 1 + i64::from(off);
        if (0..len as i64).contains(&to) { to as u32 } else { len as u32 }
    };
    match *op {
        Op::Alu { width, op, dst, src } => alu(op, width, dst, src),
        Op::Neg { width, dst } => Code::Neg { width, d: dst.into() },
        Op::MovSx { width, from, dst, src } => Code::MovSx { width, from, d: dst.into(), s: src.into() },
        Op::Swap { kind, size, dst } => Code::Swap { kind, size, d: dst.into() },
        Op::AddrSpaceCast { .. } => Code::Refuse(Refusal::AddrSpaceCast),
        Op::LoadImm64 { dst, value } => load_imm64(dst, value, pc, binding),
        Op::Load { size, signed: true, dst, src, off } => {
            Code::LoadSx { size, d: dst.into(), s: src.into(), off }
        }
        Op::Load { size, signed: false, dst, src, off } => {
            let (d, s) = (dst.into(), src.into());
            match size {
                Size::B => Code::LoadB { d, s, off },
                Size::H => Code::LoadH { d, s, off },
                Size::W => Code::LoadW { d, s, off },
                Size::DW => Code::LoadDw { d, s, off },
            }
        }
        Op::Store { size, dst, off, src: Operand::Imm(imm) } => {
            Code::StoreImm { size, d: dst.into(), off, imm }
        }
        Op::Store { size, dst, off, src: Operand::Reg(src) } => {
            let (d, s) = (dst.into(), src.into());
            match size {
                Size::B => Code::StoreB { d, s, off },
                Size::H => Code::StoreH { d, s, off },
                Size::W => Code::StoreW { d, s, off },
                Size::DW => Code::StoreDw { d, s, off },
            }
        }
        Op::Atomic { size, op, dst, src, off } => {
            Code::Atomic { size, op, d: dst.into(), s: src.into(), off }
        }
        Op::LoadAcquire { size, dst, src, off } => {
            Code::LoadAcquire { size, d: dst.into(), s: src.into(), off }
        }
        Op::StoreRelease { size, dst, src, off } => {
            Code::StoreRelease { size, d: dst.into(), s: src.into(), off }
        }
        Op::LoadPacket { size, mode: PacketMode::Abs, imm } => Code::PacketAbs { size, imm },
        Op::LoadPacket { size, mode: PacketMode::Ind(src), imm } => {
            Code::PacketInd { size, s: src.into(), imm }
        }
        Op::Jump { off, long: _ } => Code::Jump { to: target(off) },
        Op::JumpIf { width, op, dst, src, off } => jump_if(op, width, dst, src, target(off.into())),
        Op::MayGoto { off } => Code::MayGoto { to: target(off.into()) },
        Op::Call(CallTarget::Helper(id)) => match (binding.helper)(id) {
            Some(HelperSlot::Table(index)) => Code::Helper { index },
            Some(HelperSlot::TailCall) => Code::TailCall,
            None => Code::Refuse(Refusal::UnknownHelper(id)),
        },
        Op::Call(CallTarget::Subprog(off)) => Code::Subprog { to: target(off) },
        Op::Call(CallTarget::Kfunc { btf_id, btf_idx: _ }) => Code::Refuse(Refusal::Kfunc(btf_id)),
        Op::CallIndirect { .. } => Code::Refuse(Refusal::CallIndirect),
        Op::JumpIndirect { .. } => Code::Refuse(Refusal::JumpIndirect),
        Op::Exit => Code::Exit,
    }
}

/// A value for a code address: outside every memory, tagged with the slot number.
const CODE_TAG: u64 = 0xffff_a000_0000_0000;

fn load_imm64(dst: Reg, value: Imm64, pc: usize, binding: &Binding<'_>) -> Code {
    let value = match value {
        Imm64::Const(value) => Ok(value),
        Imm64::MapIdx(idx) => {
            u32::try_from(idx).ok().and_then(|i| (binding.map)(i)).ok_or(Refusal::UnboundMap(idx))
        }
        Imm64::MapValueIdx { idx, off_bytes } => u32::try_from(idx)
            .ok()
            .and_then(|i| (binding.map_value)(i, off_bytes))
            .ok_or(Refusal::UnboundMap(idx)),
        Imm64::MapFd(fd) | Imm64::MapValueFd { fd, .. } => Err(Refusal::UnboundMap(fd)),
        Imm64::Variable { btf_id, .. } => Err(Refusal::Variable(btf_id)),
        Imm64::Code(off) => Ok(CODE_TAG.wrapping_add((pc as u64).wrapping_add(1).wrapping_add(off as u64))),
    };
    match value {
        Ok(value) => Code::Const { d: dst.into(), value },
        Err(refusal) => Code::Refuse(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_two_words() {
        assert_eq!(size_of::<Code>(), 16);
    }
}
