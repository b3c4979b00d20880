//! eBPF as a whole system: one API over an embedded virtual machine and the Linux kernel.
//!
//! An [`Object`] is a file of programs and maps. A [`Backend`] runs them: the virtual machine in this process,
//! which needs no privilege, or the kernel. Loading gives [`Program`]s and [`Map`]s; attaching gives a [`Link`].
//!
//! ```
//! use skep::{Backend, Object, Runner, source::Packet};
//!
//! let text = b".license GPL
//! .map lengths type=hash key=4 value=8 max_entries=16
//! .section socket
//! count:
//!     r1 = *(u32 *)(r1 + 0)      // skb->len
//!     *(u32 *)(r10 - 4) = r1
//!     r1 = 1
//!     *(u64 *)(r10 - 16) = r1
//!     r1 = map[lengths] ll
//!     r2 = r10
//!     r2 += -4
//!     r3 = r10
//!     r3 += -16
//!     r4 = 0
//!     call bpf_map_update_elem
//!     r0 = 0
//!     exit
//! ";
//! let object = Object::parse("count.s", text)?;
//! let loaded = object.load(&Backend::user())?;
//! let program = loaded.program("count").expect("the text has it");
//!
//! // On packets of our own; `Program::attach_socket` and `Program::watch` take an interface's.
//! let frame = [0; 60];
//! let packet = Packet { data: &frame, wire_len: 60, ..Packet::default() };
//! assert_eq!(Runner::new(program)?.run(&packet)?.retval, 0);
//!
//! let lengths = loaded.map("lengths").expect("the text has it");
//! assert_eq!(lengths.get::<u32, u64>(&60)?, Some(1));
//! assert_eq!(lengths.get::<u32, u64>(&61)?, None);
//! # Ok::<(), skep::Error>(())
//! ```
//!
//! What is refused says why, as data ([`Error::rejection`]) and in words:
//!
//! ```
//! use skep::{Backend, Object};
//!
//! let object = Object::parse("bad.s", b".section socket\nbad:\nr0 = *(u64 *)(r1 + 4096)\nexit\n")?;
//! let error = object.load(&Backend::user()).unwrap_err();
//! assert!(error.is_rejected());
//! let rejection = error.rejection().expect("skep's own verifier");
//! assert_eq!((rejection.pc(), rejection.source_line().map(|l| l.line)), (0, Some(3)));
//! # Ok::<(), skep::Error>(())
//! ```
#![forbid(unsafe_code)]

mod assembly;
mod backend;
mod elements;
mod error;
mod fixture;
mod from_tree;
mod kernel;
mod link;
mod loaded;
mod map;
mod native;
mod object;
mod packets;
mod pin;
pub mod skeleton;
mod target;
mod value;
mod variable;
mod view;
mod vm;
#[cfg(target_os = "linux")]
mod watch;

pub use backend::Backend;
pub use elements::Elements;
pub use error::{Error, ErrorKind};
pub use fixture::{context_from_json, context_to_json, tree_json};
pub use from_tree::FromTree;
pub use link::static_link;
pub use loaded::{Link, Loaded, Program};
pub use map::{Element, Map, PerfBuffer, RingBuffer, UserRingBuffer};
pub use native::{NativeFunction, NativeInsn};
pub use object::{Object, ProgramEntry, SlotEntry};
pub use packets::{Runner, Tally, Verdict, Verdicts, XdpAction};
pub use skep_object::SlotTarget;
pub use target::{Target, minimal_btf, poison_at, read_btf};
pub use value::Value;
pub use variable::Variable;
pub use view::{ValueView, Word};
pub use vm::{Fired, Limits, MAX_HELPERS, Record, Tracepoint, TracepointLink, Vm, VmBuilder};
#[cfg(target_os = "linux")]
pub use watch::Watch;

pub use skep_abi as abi;
pub use skep_btf as btf;
pub use skep_btf::assign::Input;
pub use skep_isa as isa;
pub use skep_linux as linux;
pub use skep_spec as spec;
pub use skep_user as user;
pub use skep_user::Engine;
pub use skep_user::{forward, source};
pub use skep_verifier as verifier;
pub use skep_vm::{EMBEDDER_HELPERS, HelperCall, Observer, Place, Step, TrapKind};
