//! clang's eBPF ELF objects to specs.
//!
//! [`Object::parse`] reads a relocatable ELF file as libbpf does and yields a
//! [`ProgramSpec`](skep_spec::ProgramSpec) for each program and a [`MapDef`](skep_spec::MapDef) for each map.
//! It is deterministic: nothing of the host is asked. What a file needs to know of the machine that it is to run
//! on, [`Unlinked::link`] is given in [`Inputs`].
//!
//! What is wrong with the *file* (cut, contradictory, not eBPF) is an error of [`Object::parse`]. What is wrong
//! with *one program or map* (a section name that means nothing, a kernel symbol, a map attribute that is not
//! known) is an error in its place, and leaves the others alone.
//!
//! ```
//! use skep_object::Object;
//! # if cfg!(target_endian = "big") { return Ok(()) }
//! let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/protocols/protocols.bpf.o"));
//! let object = Object::parse("protocols.bpf.o", bytes)?;
//! let spec = object.program("count_protocols").expect("it is there").spec.clone()?;
//! assert_eq!(spec.maps[0].name, "packets");
//! assert_eq!(spec.maps[0].max_entries, 256);
//! # Ok::<(), skep_object::Error>(())
//! ```
//!
//! From bytes to specs:
//!
//! ```text
//! elf      bytes → sections, symbols, relocations, all indices checked
//! btf      .BTF with what only the symbol table knows filled in
//! data     .data, .rodata, .bss → maps of one element
//! maps     .maps + BTF → maps; `arena` puts variables into one, `legacy` refuses the form before
//! struct_ops  sets of the kernel's functions and the target's types → maps, and what their programs are
//! externs  what the file names and does not define
//! exceptions  functions that programs name for when they throw
//! funcs    executable sections → functions
//! relo     CO-RE relocations and the target's types → changed instructions
//! link     a function and all that it calls → instructions of one program
//! program  section name → program type; lines and functions of the linked instructions
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod arena;
mod assemble;
mod btf;
mod data;
mod elf;
mod error;
mod exceptions;
mod externs;
mod funcs;
mod header;
mod image;
mod jump_tables;
mod kconfig;
mod legacy;
mod link;
mod maps;
mod object;
mod program;
mod relo;
mod static_linker;
mod struct_ops;

pub use assemble::assemble;
pub use error::{Error, Place};
pub use externs::{Extern, ExternKind, Symbols};
pub use kconfig::Kconfig;
pub use object::{Inputs, Map, Object, Program, Slot, SlotTarget, Unlinked, btf_section};
pub use static_linker::static_link;
