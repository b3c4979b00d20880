//! File tests: a program, what is expected of it, and who is to confirm it, in one readable file.
//!
//! The format stands in `tests/cases/README.md`. [`source`] makes programs of a file, [`expect`] reads and
//! writes its expectations, [`check`] holds them against the oracles.

mod bytes;
pub mod check;
pub mod expect;
pub mod source;

pub use bytes::{hex, parse_bytes, show_bytes};
