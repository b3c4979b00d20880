//! The eBPF instruction set: RFC 9669 and what Linux has beyond it.
//!
//! [`Insn`] is one 8-byte slot as it stands in a program; [`Op`] is what it means once [decoded](decode).
//! [`eval`] says what operations compute, [`text`] prints and reads them, [`build`] constructs them in Rust,
//! [`table`] is the list of all instructions that the rest derives from.
//!
//! ```
//! use skep_isa::{AluOp, Op, Width, decode, eval, text};
//!
//! let program = text::assemble("r0 = 40; r0 += 2; exit").unwrap();
//! let Ok(Op::Alu { op: AluOp::Add, width, .. }) = decode(&program, 1) else { panic!() };
//! assert_eq!(eval::alu(AluOp::Add, width, 40, 2), 42);
//! ```
//!
//! # How to add an instruction
//!
//! 1. Write its row in `table/rows.rs`: opcode and fixed fields, operand roles, text, decoded form. If no
//!    [`Op`] says what it means, add the variant in `op.rs` first; the compiler then lists every consumer
//!    that has to learn it. Decoding, encoding, validation, use/def, assembler, disassembler and the test
//!    generators follow from the row.
//! 2. An arithmetic or comparison: its meaning in [`eval`], and a definition of another kind in
//!    `tests/eval.rs`.
//! 3. An operand that prints like none before: a variant of `text::Hole`, with one arm in `text/print.rs` and
//!    one in `text/template.rs`.
//! 4. `BLESS=1 cargo test -p skep-isa --test docs` writes `docs/isa.md`. The tests against the kernel's log
//!    and `llvm-objdump` take the row up by themselves; say there if one of them does not know it.
//!
//! # Features
//!
//! `alloc` (default): the assembler and `build::program`. Everything else needs neither allocator nor `std`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod build;
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
