//! The embedded eBPF backend: programs run in this process, by the interpreter, on packets of sockets and captures.
//!
//! [`UserBackend`] is a [`skep_spec::Backend`]: maps stand in memfds, programs are verified before they load.
//! [`Runner`] feeds packets to one program; `vcpu` says which virtual CPU a run has.
//!
//! ```
//! use std::sync::Arc;
//! use skep_abi::MapType;
//! use skep_spec::{Backend, MapDef};
//!
//! let backend = skep_user::UserBackend::new();
//! let map = backend.create_map(&MapDef::new(MapType::ARRAY, 4, 8, 2).named("counts"))?;
//! map.update(&1u32.to_ne_bytes(), &7u64.to_ne_bytes(), 0)?;
//! assert_eq!(map.lookup(&1u32.to_ne_bytes(), 0)?, 7u64.to_ne_bytes());
//! # Ok::<(), skep_spec::Error>(())
//! ```
//!
//! `unsafe` stands in `sys` alone: thin layers over system calls and memory shared with the kernel, and a cell that runs
//! read without locks.
#![deny(unsafe_code)]

mod backend;
mod ctx;
mod descriptors;
mod engine;
pub mod forward;
mod host;
mod identity;
mod kfuncs;
#[cfg(target_os = "linux")]
mod link;
mod map;
mod objects;
mod os;
#[cfg(target_os = "linux")]
mod passed;
mod perf;
mod pins;
mod produce;
mod program;
mod programs;
mod runner;
pub mod source;
#[allow(
    unsafe_code,
    reason = "system calls, memory shared with the kernel, and values that are read without locks"
)]
mod sys;
mod test_run;
pub mod timers;
mod vcpu;

pub use backend::{HelperBody, Printk, UserBackend, UserOptions};
pub use engine::Engine;
pub use kfuncs::{bind_kfuncs, kfunc_types};
pub use os::page_size;
#[cfg(target_os = "linux")]
pub use passed::MapFds;
pub use program::UserProgram;
pub use runner::Runner;
pub use sys::published::Published;
pub use test_run::TestRun;
pub use vcpu::CPU_PATIENCE;
