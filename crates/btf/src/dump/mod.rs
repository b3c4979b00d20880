//! Types as C: a header that gives every struct, union and enum the layout that the BTF says.
//!
//! [`to_c`] writes what `bpftool btf dump … format c` does: a `vmlinux.h`, from any BTF on any machine. It is for
//! clang's bpf target with 64-bit pointers.
//!
//! ```text
//! names    identifiers that C takes, each only once: `foo___2` for a second `foo`
//! layout   alignment that C would give a type, and whether it takes `packed` to get the offsets
//! order    what must be declared before what
//! decl     `int (*name[3])(void)`
//! body     members, with unnamed bit-fields where there are gaps
//! ```
//!
//! Types that C cannot express (fields that overlap) become an array of bytes of their size, with a comment.
//!
//! ```
//! use skep_btf::{Builder, IntEncoding, dump};
//! let mut b = Builder::new();
//! let int = b.int("int", 4, IntEncoding::Signed);
//! b.structure("event", 16, &[("pid", int, 0), ("late", int, 64)]);
//! let text = dump::to_c(&b.finish()?)?;
//! assert!(text.contains("struct event {\n\tint pid;\n\tint: 32;\n\tint late;\n\tint: 32;\n};\n"), "{text}");
//! # Ok::<(), skep_btf::Error>(())
//! ```

mod body;
mod decl;
mod layout;
mod names;
mod order;

use alloc::format;
use alloc::string::String;

use crate::{At, Btf, Error, Type, TypeId};
use layout::Layouts;
use names::Names;

/// Most bytes of text: anonymous structs may repeat each other, so a small file could ask for very many.
const MAX_TEXT: usize = 128 << 20;
/// Deepest nesting of anonymous types, and longest chain of pointers, elements and qualifiers.
const MAX_DEPTH: u32 = 256;

/// All own types as a header that can be included twice, with what they need of a base.
///
/// # Errors
/// Types that C cannot declare in any order, or that nest deeper than 256 levels.
pub fn to_c(btf: &Btf) -> Result<String, Error> {
    let mut out = String::from(
        "#ifndef __VMLINUX_H__\n#define __VMLINUX_H__\n\n#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n\
         #pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)\n#endif\n\n",
    );
    out.push_str(&types_to_c(btf, btf.iter_own().map(|(id, _)| id))?);
    out.push_str(
        "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n#pragma clang attribute pop\n#endif\n\n#endif /* __VMLINUX_H__ */\n",
    );
    Ok(out)
}

/// The declarations of some types and of all that they need, without a frame around them.
///
/// # Errors
/// As [`to_c`].
pub fn types_to_c(btf: &Btf, roots: impl IntoIterator<Item = TypeId>) -> Result<String, Error> {
    let mut c = Writer {
        btf,
        layouts: Layouts::new(btf)?,
        names: Names::new(btf),
        referenced: referenced(btf),
        out: String::new(),
    };
    c.odd_base_types();
    c.in_order(roots)?;
    Ok(c.out)
}

/// All that one dump knows and has written.
struct Writer<'a> {
    btf: &'a Btf,
    layouts: Layouts,
    names: Names<'a>,
    /// By id: whether another type says it, so that an anonymous enum stands there.
    referenced: alloc::vec::Vec<bool>,
    out: String,
}

#[cold]
fn too_deep(id: TypeId) -> Error {
    Error::unsupported(At::Type(id.0), format!("it nests deeper than {MAX_DEPTH} levels"))
}

impl Writer<'_> {
    fn ty(&self, id: TypeId) -> &Type {
        self.btf.ty(id).unwrap_or(&Type::Void)
    }

    fn bounded(&self, id: TypeId) -> Result<(), Error> {
        if self.out.len() > MAX_TEXT {
            return Err(Error::unsupported(At::Type(id.0), "the types make more than 128 MiB of C"));
        }
        Ok(())
    }
}

/// Which types others refer to.
fn referenced(btf: &Btf) -> alloc::vec::Vec<bool> {
    let mut out = alloc::vec![false; btf.len()];
    for (_, t) in btf.iter() {
        t.each_reference(|id| {
            if let Some(slot) = out.get_mut(id.0 as usize) {
                *slot = true;
            }
        });
    }
    out
}
