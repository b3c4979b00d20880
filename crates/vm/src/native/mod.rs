//! What native code stands on: how it is entered, what it is handed and what it may ask for.
//!
//! A [`Program`](crate::Program) may carry [`Native`] code that a compiler has made of it by its [`Binding`]. A run then
//! enters that code at its [`Entry`] instead of the interpreter. The code touches memory by itself, as the verifier has
//! proved it; everything else it asks [`Services`] for, functions with the C calling convention over one structure,
//! [`Rt`]. So helpers, maps, traps and tail calls are the same for both engines.
//!
//! ```text
//! Program::run → Rt, maps entered → Entry(rt, frame, r1…) ──┬─ plain loads, stores, arithmetic
//!                                                           └─ Services(rt, …) → Pair { value, stop }
//! ```
//!
//! **Frames** are those of the interpreter: 512 bytes each, the first one at the top of the stack, a callee's just below
//! its caller's; `frame` is a function's `r10`. Helpers are granted all of the stack at once. Native code zeroes what of a
//! frame may be read before it is written ([`Binding::zeroed`]).
//!
//! **Who runs natively.** Verified programs, unless the run is watched ([`Run::with_observer`](crate::Run::with_observer)) or
//! metered ([`Run::with_fuel`](crate::Run::with_fuel)), or is not given what the proof takes for granted: the context as
//! `r1`, at least as long as the code accesses it, a packet that may be written if the program does, a virtual CPU that all
//! per-CPU maps have. Others are interpreted, and meet a trap there. Native runs use no fuel; a deadline is looked at before they begin, at calls back, and each
//! 1,024 helpers, passes of `may_goto` and calls of global functions: in between is what one proof bounds.
#![allow(unsafe_code)]

mod binding;
mod callbacks;
mod code;
mod find;
mod quick;
mod rt;
mod run;
mod services;
mod tail;

pub use crate::mem::{LINKS, Link};
pub use binding::{Binding, Called, CtxLoad, CtxStore, PacketCell};
pub use code::{Code, Entry, Native};
pub use find::Find;
pub use quick::{Quick, UNKNOWN, quick};
pub use rt::{HANDED, Pair, RETURNED, Rt, THROWN, TRAPPED};
pub use services::{Services, WRITE, at, services};

pub(crate) use run::{entry, ready, run, run_due, run_first};
