//! Native code for verified programs.
//!
//! ```text
//! build      instructions and what the verifier proved → SSA
//! ir         the SSA form: functions, blocks, values; text, checks, evaluation, one file for each pass
//! lower      SSA → machine code, through Cranelift
//! code       memory that machine code runs in
//! ```
//!
//! A [`skep_vm::Program`] that has been compiled runs natively behind the same `run`; what native code cannot do by itself
//! it asks the services of [`skep_vm`]'s native seam for.
#![deny(unsafe_code)]

pub mod build;
pub mod code;
mod compile;
mod disassemble;
mod error;
pub mod ir;
pub mod lower;

pub use code::Profile;
pub use compile::{Compiled, Options, Report, compile, compile_by};
pub use disassemble::NativeInsn;
pub use error::Unsupported;
