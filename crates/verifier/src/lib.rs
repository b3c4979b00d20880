//! Proves that an eBPF program terminates and stays in bounds, with Linux 6.18's verdicts.
//!
//! [`verify`] takes a program and the environment it will run in, and gives a [`Verified`] or a
//! [`Rejection`]. What it does not know yet it refuses with [`Code::Unsupported`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod code;
mod digest;
pub mod domain;
mod limits;
mod options;
mod rejection;
mod report;
mod verified;

use skep_spec::{Environment, ProgramSpec};

pub use code::Code;
pub use digest::Digest;
pub use options::Options;
pub use rejection::{Decision, Known, Rejection};
pub use verified::{AccessBase, InsnFacts, Stats, Subprog, Verified};

/// Verifies a program for an environment.
///
/// # Errors
///
/// A [`Rejection`] that names the instruction and what it lacks.
pub fn verify(spec: &ProgramSpec, env: &Environment, options: &Options) -> Result<Verified, Rejection> {
    let _ = (spec, env, options);
    Err(Rejection(alloc::boxed::Box::new(rejection::Inner {
        code: Code::Unsupported,
        pc: 0,
        message: "not supported yet: verification".into(),
        advice: rejection::Advice::default(),
        insn: alloc::string::String::new(),
        source_line: report::source_line(spec, 0),
        path: alloc::vec::Vec::new(),
        state: alloc::vec::Vec::new(),
        stats: Stats::default(),
        log: alloc::string::String::new(),
    })))
}
