//! Values as text, by their type.
//!
//! [`tree`](fn@tree) takes bytes apart; [`format_value`] writes the result on one line, as C would write an initialiser:
//! `{.pid = 17, .comm = "sh", .state = RUNNING, .addr = {10, 0, 0, 1}}`.

mod text;
mod tree;

use alloc::string::String;

use crate::{Btf, Endian, Error, TypeId};

pub use tree::{Tree, tree, tree_at};

/// How to take a value apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Byte order of the value; the host's by default.
    pub endian: Endian,
    /// Most fields and elements that one value may have before it is refused as too large: 1,048,576 by
    /// default. Types may overlap (unions), so a few bytes can hold very many.
    pub max_nodes: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { endian: Endian::NATIVE, max_nodes: 1 << 20 }
    }
}

/// A value of a type on one line.
///
/// # Errors
/// As [`tree`](fn@tree).
pub fn format_value(btf: &Btf, ty: TypeId, bytes: &[u8], options: &Options) -> Result<String, Error> {
    Ok(alloc::format!("{}", tree(btf, ty, bytes, options)?))
}
