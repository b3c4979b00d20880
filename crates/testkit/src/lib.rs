//! What tests are made of: oracles behind one trait, the file-test runner, generators, fuzz targets.
//!
//! Development only: no crate of the product depends on it.
//!
//! - [`oracle`]: who can say what a program does: the interpreter, the running kernel.
//! - [`case`]: file tests.
//! - [`functions`]: types for assembled programs with callbacks.
//! - [`fuzz`]: fuzz targets, and campaigns that need no nightly compiler.
//! - [`generate`]: random programs, shrinking, coverage.
//! - [`kernel`]: the running kernel, to be asked.
//! - [`parity`]: the page that compares skep with Linux.
//! - [`rows`]: a program and operands for every row of the instruction table; [`rowfiles`] writes them as
//!   file tests.
//! - [`sketch`]: what tests write random programs with.
//! - `selftests`: the kernel's own verifier tests as a measure.
//! - [`verdicts`]: programs with the kernel's verdict.
#![forbid(unsafe_code)]

pub mod build;
pub mod case;
pub mod functions;
pub mod fuzz;
pub mod generate;
pub mod kernel;
mod map_states;
pub mod objects;
pub mod oracle;
pub mod parity;
pub mod rowfiles;
pub mod rows;
#[cfg(target_os = "linux")]
pub mod selftests;
pub mod sketch;
pub mod verdicts;
