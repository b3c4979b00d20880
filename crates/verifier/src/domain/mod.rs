//! The scalar abstract domain: what is known about a number without running the program.
//!
//! A [`Scalar`] stands for a set of 64-bit values, its *members*. It is the reduced product of a [`Tnum`]
//! (which bits are known) and four intervals: the 64-bit value read as unsigned and as signed, and its low
//! 32 bits read as unsigned and as signed. That is the shape of `bpf_reg_state` in Linux 6.18, so what the
//! kernel can say about a register, this can say.
//!
//! ```text
//! rules     the arithmetic of bounds and tnums, once, over any word type (run it, or prove it with SMT)
//! tnum      known and unknown bits
//! lane      one width: a tnum, an unsigned and a signed interval that inform each other
//! transfer  what each arithmetic operation does to a lane
//! scalar    two lanes, 64 bits and the low 32, that inform each other
//! alu       what each arithmetic operation does to a scalar
//! refine    what a comparison teaches about both its operands
//! display   the kernel log's spelling
//! ```
//!
//! This module knows no eBPF: no instruction, no register, no program. There is no bottom element: an
//! operation that can come out empty returns `Option`, and `None` means "no value is possible here".
//! Soundness of a transfer: for all members `x` of `a` and `y` of `b`, `op(x, y)` is a member of the result.

mod alu;
mod display;
mod lane;
mod refine;
pub mod rules;
mod scalar;
mod tnum;
mod transfer;

#[cfg(test)]
mod tests;

pub use alu::BinOp;
pub use refine::{Branches, Cmp};
pub use scalar::{Bits, Scalar};
pub use tnum::Tnum;
