//! The eBPF interpreter, guest memory and helper bodies.
//!
//! A [`Program`] is prepared once and run many times, by many threads. A [`Run`] is what it is given: lent memory
//! (stack, context, packet), limits, and a [`Host`] for everything that it can learn from outside. A run gives
//! an [`Outcome`] or a [`Trap`]; it never panics and touches no memory that it was not granted, whatever the
//! program is.
//!
//! ```
//! use skep_isa::{Insn, Reg};
//! use skep_spec::{Environment, ProgramSpec};
//! use skep_vm::{NullHost, Program, Run, Stack};
//!
//! // r0 = *(u8 *)(r1 + 1); exit
//! let insns = vec![Insn::new(0x71, Reg::R0, Reg::R1, 1, 0), Insn::new(0x95, Reg::R0, Reg::R0, 0, 0)];
//! let spec = ProgramSpec { insns, ..ProgramSpec::default() };
//! let program = Program::unverified(&spec, &Environment::default(), vec![])?;
//! let (mut stack, mut memory) = (Stack::new(), [7, 8, 9]);
//! let outcome = program.run(&mut Run::new(&mut stack, &NullHost).with_ctx(&mut memory)).expect("in bounds");
//! assert_eq!(outcome.r0, 8);
//! # Ok::<(), skep_spec::Error>(())
//! ```
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

mod arena;
mod bound;
mod callback;
mod code;
mod held;
mod helpers;
mod host;
mod interp;
mod kfuncs;
mod mem;
pub mod native;
mod observe;
mod packet;
mod program;
mod run;
mod skb;
mod trap;

pub use helpers::embedder::{EMBEDDER_HELPERS, HelperCall};
pub use helpers::{CodeAddr, has_body};
pub use host::{COMM_BYTES, FibLookup, Host, Interface, NoPrograms, NullHost, Programs, Task, fresh_version};
pub use interp::{MAX_TAIL_CALLS, MAY_GOTO_LIMIT};
pub use kfuncs::types as kfunc_types;
pub use mem::{BUFFERS, CALL_FRAMES, CLONES, FRAME_BYTES, FRAMES, RECORDS, Stack};
pub use observe::{Observer, Place, Step};
pub use packet::{ETH_HLEN, Frags, Layout, SKB_HEADROOM, SKB_MAX_LEN, XDP_FRAG, XDP_FRAME, XDP_HEADROOM};
pub use program::{Program, Proof};
pub use run::{DEFAULT_FUEL, Outcome, Run};
pub use skb::SkbState;
pub use trap::{MemoryFault, NEAR, Region, Trap, TrapKind};
