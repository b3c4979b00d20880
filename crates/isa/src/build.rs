//! Instructions by constructor, for programs written in Rust.
//!
//! ```
//! use skep_isa::{AluOp, JumpOp, Reg, Size, build, text};
//!
//! let program = build::program([
//!     build::load(Size::B, Reg::R0, Reg::R1, 4),
//!     build::jump_if(JumpOp::Ne, Reg::R0, 17, 1),
//!     build::alu(AluOp::Add, Reg::R0, 25),
//!     build::exit(),
//! ]);
//! assert_eq!(program, text::assemble("
//!     r0 = *(u8 *)(r1 + 4)
//!     if r0 != 17 goto +1
//!     r0 += 25
//!     exit
//! ").unwrap());
//! ```

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

#[cfg(feature = "alloc")]
use crate::Insn;
use crate::{AluOp, AtomicOp, CallTarget, Imm64, JumpOp, Op, Operand, PacketMode, Reg, Size, Width};

impl From<Reg> for Operand {
    fn from(reg: Reg) -> Self {
        Self::Reg(reg)
    }
}

impl From<i32> for Operand {
    fn from(imm: i32) -> Self {
        Self::Imm(imm)
    }
}

/// `dst op= src`, 64 bits.
pub fn alu(op: AluOp, dst: Reg, src: impl Into<Operand>) -> Op {
    Op::Alu { width: Width::W64, op, dst, src: src.into() }
}

/// `dst op= src`, 32 bits.
pub fn alu32(op: AluOp, dst: Reg, src: impl Into<Operand>) -> Op {
    Op::Alu { width: Width::W32, op, dst, src: src.into() }
}

/// `dst = src`
pub fn mov(dst: Reg, src: impl Into<Operand>) -> Op {
    alu(AluOp::Mov, dst, src)
}

/// `dst = value ll`: two slots.
pub fn load_imm64(dst: Reg, value: u64) -> Op {
    Op::LoadImm64 { dst, value: Imm64::Const(value) }
}

/// `dst = map[fd:fd] ll`: two slots.
pub fn load_map_fd(dst: Reg, fd: i32) -> Op {
    Op::LoadImm64 { dst, value: Imm64::MapFd(fd) }
}

/// `dst = map[idx:idx] ll`: two slots. The index counts the maps of the program.
pub fn load_map_idx(dst: Reg, idx: i32) -> Op {
    Op::LoadImm64 { dst, value: Imm64::MapIdx(idx) }
}

/// `dst = *(size *)(src + off)`, zero-extended.
pub fn load(size: Size, dst: Reg, src: Reg, off: i16) -> Op {
    Op::Load { size, signed: false, dst, src, off }
}

/// `*(size *)(dst + off) = src`
pub fn store(size: Size, dst: Reg, off: i16, src: impl Into<Operand>) -> Op {
    Op::Store { size, dst, off, src: src.into() }
}

/// `lock *(size *)(dst + off) op= src`; 4 or 8 bytes.
pub fn atomic(op: AtomicOp, size: Size, dst: Reg, off: i16, src: Reg) -> Op {
    Op::Atomic { size, op, dst, src, off }
}

/// `r0 = *(size *)skb[off]`; up to 4 bytes, in host byte order.
pub fn load_packet(size: Size, off_bytes: i32) -> Op {
    Op::LoadPacket { size, mode: PacketMode::Abs, imm: off_bytes }
}

/// `goto off`, in slots from the next instruction.
pub fn jump(off: i16) -> Op {
    Op::Jump { off: off.into(), long: false }
}

/// `if dst op src goto off`, 64 bits.
pub fn jump_if(op: JumpOp, dst: Reg, src: impl Into<Operand>, off: i16) -> Op {
    Op::JumpIf { width: Width::W64, op, dst, src: src.into(), off }
}

/// `call helper`, by number.
pub fn call(helper: u32) -> Op {
    Op::Call(CallTarget::Helper(helper))
}

/// `exit`
pub fn exit() -> Op {
    Op::Exit
}

/// The slots of a program.
///
/// # Panics
///
/// When no instruction expresses one of the operations, see [`Op::try_encode`].
#[cfg(feature = "alloc")]
pub fn program(ops: impl IntoIterator<Item = Op>) -> Vec<Insn> {
    ops.into_iter()
        .flat_map(|op| {
            let (first, second) = op.encode();
            core::iter::once(first).chain(second)
        })
        .collect()
}
