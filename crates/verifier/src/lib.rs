//! Proves that an eBPF program terminates and stays in bounds, with Linux 6.18's verdicts.
//!
//! [`verify`] takes a program and the environment it will run in, and gives a [`Verified`] or a
//! [`Rejection`]. What it does not know yet it refuses with [`Code::Unsupported`].
//!
//! ```text
//! structure   fields, jump targets, subprograms, map references, limits
//! maps        the maps that a program names, and whether it may
//! graph       control flow as data, for people to look at
//! cfg         every instruction can be reached; where paths may meet
//! liveness    which registers matter where
//! loops       which instructions are parts of loops
//! objects     what programs allocate, and the fields that the kernel keeps
//! kernel      the kernel's own types: arguments, and what is behind pointers
//! precision   which numbers a verdict rests on
//! domain      what is known about a number
//! state       registers, stack, references; when one state covers another
//! contract    what a helper call needs and gives
//! signature   what a global function takes
//! exceptions  where a program may leave all its functions at once
//! extension   programs that replace a function of another
//! check       (instruction, state) → facts or refusal; changes nothing
//! transfer    (instruction, state, facts) → state; refuses nothing
//! explore     order of paths, pruning, loops, budgets
//! depth       the stack of call chains
//! frames      what of functions' stack frames is touched from elsewhere, and read before it is written
//! report      the kernel's log, the explanation for people, the guide to kinds of rejection
//! verdict     the rooms in their order
//! ```
//!
//! What they share: `frame_bytes`, `program`, `limits`, `options`, `violation`; what a caller gets: `verified`, `digest`, `rejection`, `code`.
//!
//! ```text
//!   ProgramSpec ─► structure ─► cfg ─► liveness ─► loops ─► explore ─► depth ─► Verified
//!                                                             │  ▲
//!                                       each instruction: check  transfer
//!                                              (Facts) └──────►──┘
//!   any of them ─► Violation ─► Rejection, by report
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod cfg;
mod check;
mod code;
mod contract;
mod depth;
mod digest;
pub mod domain;
mod exceptions;
mod explore;
mod extension;
mod frame_bytes;
mod frames;
pub mod graph;
mod kernel;
mod limits;
mod liveness;
mod loops;
mod maps;
mod objects;
mod options;
mod precision;
mod program;
mod rejection;
mod report;
mod signature;
mod state;
mod structure;
mod transfer;
mod verdict;
mod verified;
mod violation;

#[doc = include_str!("../docs/adding.md")]
pub mod adding {}

pub use code::Code;
pub use contract::verifies_helper;
pub use digest::Digest;
pub use explore::{Difference, Followed, InsnCost};
pub use frame_bytes::FrameBytes;
pub use options::Options;
pub use rejection::{Decision, Known, Rejection};
pub use report::{Example, GUIDES, Guide};
pub use verdict::{follow, safe_at_end, verify};
pub use verified::{
    AccessBase, Base, InsnFacts, Observed, ObservedSlot, Pointer, Stats, Subprog, Value, Verified,
};
