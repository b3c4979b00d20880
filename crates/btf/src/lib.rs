//! BTF (BPF Type Format): read, check, build, write, and print values by their type.
//!
//! [`Btf`] is a checked set of types: every type id is in range, every name is a string of the string
//! section, and nothing contains itself, so that walking it needs no further care. It comes from
//! [`Btf::parse`] (a `.BTF` section, `/sys/kernel/btf/vmlinux`) or from a [`Builder`], and goes back to bytes
//! with [`Btf::to_bytes`]. [`BtfExt`] is the `.BTF.ext` section of an object: functions, source lines and
//! CO-RE relocations by instruction; [`relo`] resolves those against another machine's types. [`dump`] writes
//! types as C. [`mod@dedup`] makes one of types that several compilations have. [`print`] turns bytes into text or a [`print::Tree`] by their type.
//!
//! The format is the one of Linux 6.18 (`include/uapi/linux/btf.h`), kinds 1 to 19; split BTF (kernel modules)
//! stands on its base.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod assign;
mod btf;
mod build;
mod check;
pub mod dedup;
pub mod dump;
#[cfg(test)]
mod eager;
mod endian;
mod error;
mod ext;
mod facts;
mod locate;
mod names;
mod parse;
pub mod print;
mod raw;
pub mod relo;
mod remap;
mod store;
mod tags;
mod types;
mod write;

pub use btf::Btf;
pub use build::Builder;
pub use endian::Endian;
pub use error::{At, Error};
pub use ext::{BtfExt, CoreRelo, ExtSection, FuncInfo, LineInfo};
pub use remap::Remap;
pub use types::{
    DatasecEntry, EnumValue, FuncLinkage, IntEncoding, Kind, Member, Name, Param, Type, TypeId, VarLinkage,
};
