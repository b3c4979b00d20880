//! Typed skeletons: an eBPF object as Rust code over crate `skep`, for build scripts and `skep gen skeleton`.
//!
//! In `build.rs`:
//!
//! ```no_run
//! // Compiled by clang, or read if it ends in .o; written to OUT_DIR/flows.rs.
//! skep_build::skeleton("src/flows.bpf.c").unwrap_or_else(|e| panic!("{e}"));
//! ```
//!
//! and where it is used:
//!
//! ```ignore
//! include!(concat!(env!("OUT_DIR"), "/flows.rs"));
//!
//! let mut open = flows::Flows::open()?;
//! open.rodata().set_limit(100)?;              // before loading
//! let flows = open.load(&Backend::user())?;
//! let count: u64 = flows.bss().count()?;      // while programs run
//! flows.maps.table.put(&flows::types::Key { port: 80 }, &1)?;
//! flows.progs.classify.test_run(input)?;
//! ```
//!
//! What C has becomes:
//!
//! | C | Rust |
//! |---|---|
//! | integer, `bool`, `float`, pointer | the number of that size; pointers are `u64`, `char` is `u8` |
//! | enum | a struct around its number, with constants: programs may write any number |
//! | struct | a struct with the fields, laid out when it is read and written: padding is 0 |
//! | bit-field | a field of its whole type; too large a value loses its upper bits |
//! | anonymous struct | its fields in their place |
//! | union | a struct around its bytes, with a method for each member that gives it and one that sets it |
//! | ring buffer | its records, where the object says their type (`ringbuf:MAP`) or [`Build::record`] does |
//! | array | an array; one without a length is left out |
//!
//! Names that Rust keeps are raw (`r#type`), or have a `_` behind them (`self_`).
#![forbid(unsafe_code)]

mod compile;
mod error;
mod names;
mod sections;
mod skeleton;
mod types;

pub use compile::{Build, skeleton};
pub use error::Error;
pub use skeleton::{generate, generate_with};
