//! Instructions as text: disassembler and assembler over the templates of the [table](crate::table).
//!
//! A template is the text of one instruction with named holes for its operands, such as
//! `{wd} += {imm}` or `if {d} == {s} goto {jump}`. Printing fills the holes; reading matches the tokens of a
//! line against the templates of both dialects and takes the operands from the holes. `Hole` has one
//! variant per kind of operand; how each prints stands in `print`, how it reads in `template`.

#[cfg(feature = "alloc")]
mod assembler;
#[cfg(feature = "alloc")]
mod assembly;
#[cfg(feature = "alloc")]
mod error;
#[cfg(feature = "alloc")]
mod lex;
mod print;
#[cfg(feature = "alloc")]
mod template;

#[cfg(feature = "alloc")]
pub use assembler::{Assembler, assemble};
#[cfg(feature = "alloc")]
pub use assembly::{Assembly, Function, Linked, MapDecl, Relocation, RelocationKind};
#[cfg(feature = "alloc")]
pub use error::AsmError;
pub use print::{Listing, Names, Text};

/// How instructions are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// As the verifier's log of Linux 6.18: `(61) r0 = *(u32 *)(r1 +4)`, `(05) goto pc+3`.
    Kernel,
    /// As clang reads and `llvm-objdump` writes it: `w0 = *(u32 *)(r1 + 0x4)`, `goto +0x3`.
    Clang,
}

/// An operand in a text template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hole {
    /// `dst` as `r1`
    Dst,
    /// `src` as `r1`
    Src,
    /// `dst` as `w1`
    DstW,
    /// `src` as `w1`
    SrcW,
    /// `dst` of a 32-bit or smaller access: `r1` in the log, `w1` in clang's spelling; reads either.
    DstValue,
    /// `src`, likewise.
    SrcValue,
    /// `r0`, likewise.
    R0Value,
    /// `imm` of arithmetic, stores and packet loads: decimal in the log, hexadecimal in clang's spelling.
    Imm,
    /// `imm` of comparisons: unsigned hexadecimal in the log.
    Compare,
    /// `dst` and `off` as `r1 +4` or `r1 + 0x4`
    DstMem,
    /// `src` and `off`, likewise.
    SrcMem,
    /// `src` and `imm` in clang's spelling of indirect packet loads: `r1` where `imm` is 0.
    SrcImm,
    /// Jump distance in `off` or `imm`: `pc+3`, `+0x3`, or a label.
    Jump,
    /// Helper number in `imm`.
    Helper,
    /// Call distance in `imm`.
    Subprog,
    /// BTF id in `imm`, BTF index in `off`.
    Kfunc,
    /// Two address spaces in `imm`.
    Spaces,
    /// Both halves of a 64-bit immediate.
    Imm64,
    /// `imm`, signed decimal.
    Id,
    /// Second slot's `imm`, signed decimal.
    Id2,
    /// `imm`, unsigned hexadecimal.
    HexId,
    /// Second slot's `imm`, unsigned hexadecimal.
    HexId2,
    /// Second slot's `imm`, unsigned decimal.
    Offset,
    /// `imm`, decimal with sign.
    SubprogOff,
    /// A name that the caller resolves (only in the assembler's own templates).
    #[cfg(feature = "alloc")]
    Name,
}

impl Hole {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "d" => Self::Dst,
            "s" => Self::Src,
            "wd" => Self::DstW,
            "ws" => Self::SrcW,
            "vd" => Self::DstValue,
            "vs" => Self::SrcValue,
            "v0" => Self::R0Value,
            "imm" => Self::Imm,
            "cmp" => Self::Compare,
            "dmem" => Self::DstMem,
            "smem" => Self::SrcMem,
            "simm" => Self::SrcImm,
            "jump" => Self::Jump,
            "helper" => Self::Helper,
            "subprog" => Self::Subprog,
            "kfunc" => Self::Kfunc,
            "as" => Self::Spaces,
            "imm64" => Self::Imm64,
            "id" => Self::Id,
            "id2" => Self::Id2,
            "xid" => Self::HexId,
            "xid2" => Self::HexId2,
            "offset" => Self::Offset,
            "subprog_off" => Self::SubprogOff,
            #[cfg(feature = "alloc")]
            "name" => Self::Name,
            _ => return None,
        })
    }
}

/// Splits a template into literal text and holes, in order.
fn pieces(template: &str) -> impl Iterator<Item = (&str, Option<Hole>)> {
    let mut rest = template;
    core::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (literal, after) = rest.split_once('{').unwrap_or((rest, ""));
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        rest = after;
        Some((literal, Hole::named(name)))
    })
}
