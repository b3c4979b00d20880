//! eBPF as a whole system: one API over an embedded virtual machine and the Linux kernel.
//!
//! An [`Object`] is a file of programs and maps. A [`Backend`] runs them: the virtual machine in this process,
//! which needs no privilege, or the kernel. Loading gives [`Program`]s and [`Map`]s; attaching gives a [`Link`].
#![forbid(unsafe_code)]

mod assembly;
mod backend;
mod error;
mod loaded;
mod map;
mod object;
mod packets;
mod value;
#[cfg(target_os = "linux")]
mod watch;

pub use backend::Backend;
pub use error::{Error, ErrorKind};
pub use loaded::{Link, Loaded, Program};
pub use map::{Element, Map, RingBuffer};
pub use object::{Object, ProgramEntry, SlotEntry};
pub use packets::{Runner, Tally, Verdict, XdpAction};
pub use value::Value;
#[cfg(target_os = "linux")]
pub use watch::Watch;

pub use skep_abi as abi;
pub use skep_btf as btf;
pub use skep_isa as isa;
pub use skep_linux as linux;
pub use skep_spec as spec;
pub use skep_user as user;
pub use skep_user::source;
pub use skep_verifier as verifier;
