//! The eBPF instruction set: RFC 9669 and what Linux has beyond it.
//!
//! [`Insn`] is one 8-byte slot as it stands in a program; [`Op`] is what it means once decoded.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod codec;
pub mod eval;
mod insn;
mod op;
mod regset;
pub mod table;
pub mod text;

pub use codec::{DecodeError, EncodeError, Field, decode, decode_all};
pub use insn::{Endian, Insn, Reg};
pub use op::{AluOp, AtomicOp, CallTarget, Imm64, JumpOp, Op, Operand, PacketMode, Size, SwapKind, Width};
pub use regset::RegSet;
