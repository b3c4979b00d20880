//! clang's eBPF ELF objects to specs.
//!
//! [`Object::parse`] reads a relocatable ELF file as libbpf does and yields a
//! [`ProgramSpec`](skep_spec::ProgramSpec) for each program and a [`MapDef`](skep_spec::MapDef) for each map.
//! It is deterministic: nothing of the host is asked.
//!
//! What is wrong with the *file* (cut, contradictory, not eBPF) is an error of [`Object::parse`]. What is wrong
//! with *one program or map* (a section name that means nothing, a kernel symbol, a map attribute that is not
//! known) is an error in its place, and leaves the others alone.
//!
//! ```text
//! elf      bytes → sections, symbols, relocations, all indices checked
//! btf      .BTF with what only the symbol table knows filled in
//! data     .data, .rodata, .bss → maps of one element
//! maps     .maps + BTF → maps
//! funcs    executable sections → functions
//! link     a function and all that it calls → instructions of one program
//! program  section name → program type; lines and functions of the linked instructions
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod btf;
mod data;
mod elf;
mod error;
mod funcs;
mod link;
mod maps;
mod object;
mod program;

pub use error::{Error, Place};
pub use object::{Map, Object, Program, Slot, SlotTarget};
