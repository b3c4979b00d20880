//! What a type is called, and what fits into it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::locate::member_names;
use super::{MAX_DEPTH, Spot};
use crate::Btf;
use crate::types::{IntEncoding, Type, TypeId};

/// A type as C spells it, without a declarator: `unsigned int`, `struct cfg`, `char[16]`, `enum mode`.
pub fn type_name(btf: &Btf, id: TypeId) -> String {
    spell(btf, id, 0)
}

fn spell(btf: &Btf, id: TypeId, depth: u32) -> String {
    let Some(t) = btf.ty(id).filter(|_| depth < MAX_DEPTH) else { return String::from("?") };
    let tagged = |word: &str| match btf.str(t.name()) {
        "" => format!("{word} {{…}}"),
        name => format!("{word} {name}"),
    };
    match t {
        Type::Void => String::from("void"),
        Type::Int { .. } | Type::Float { .. } | Type::Typedef { .. } => btf.str(t.name()).into(),
        Type::Ptr { target } => format!("{} *", spell(btf, *target, depth + 1)),
        // The outermost length comes first.
        Type::Array { .. } => {
            let (mut id, mut lengths) = (id, String::new());
            while let (Some(Type::Array { element, len, .. }), true) = (btf.ty(id), lengths.len() < 256) {
                lengths += &format!("[{len}]");
                id = *element;
            }
            format!("{}{lengths}", spell(btf, id, depth + 1))
        }
        Type::Struct { .. } => tagged("struct"),
        Type::Union { .. } => tagged("union"),
        Type::Enum { .. } | Type::Enum64 { .. } => tagged("enum"),
        Type::Fwd { is_union: true, .. } => tagged("union"),
        Type::Fwd { .. } => tagged("struct"),
        Type::Volatile { target } => format!("volatile {}", spell(btf, *target, depth + 1)),
        Type::Const { target } => format!("const {}", spell(btf, *target, depth + 1)),
        Type::Restrict { target } | Type::TypeTag { target, .. } => spell(btf, *target, depth + 1),
        Type::Func { .. } | Type::FuncProto { .. } => String::from("function"),
        Type::Var { ty, .. } => spell(btf, *ty, depth + 1),
        Type::Datasec { .. } => format!("section {}", btf.str(t.name())),
        Type::DeclTag { .. } => String::from("tag"),
    }
}

/// Whether a type is a character; clang marks `char` as a number, so the name decides.
pub(super) fn is_char(btf: &Btf, ty: TypeId) -> bool {
    match btf.resolved(ty) {
        Type::Int { name, size: 1, encoding, bits: 8, .. } => {
            *encoding == IntEncoding::Char || btf.str(*name) == "char"
        }
        _ => false,
    }
}

/// The least and the greatest number of so many bits.
pub(super) fn range(signed: bool, bits: u32) -> (i128, u128) {
    match (signed, bits) {
        (_, 0) => (0, 0),
        (true, bits) => {
            let most = (u128::MAX >> 1) >> (128 - bits.min(128));
            (-(most as i128) - 1, most)
        }
        (false, bits) => (0, u128::MAX >> (128 - bits.min(128))),
    }
}

/// What may be stored there, in words: `0 to 255`, `true or false`, `TCP, UDP or a number from 0 to 4294967295`.
pub fn fits(btf: &Btf, spot: Spot) -> String {
    let bits = |whole: u32| if spot.bitfield_bits == 0 { whole } else { spot.bitfield_bits.into() };
    let numbers = |signed, bits| {
        let (least, most) = range(signed, bits);
        format!("{least} to {most}")
    };
    match btf.resolved(spot.ty) {
        Type::Int { encoding: IntEncoding::Bool, .. } => String::from("true or false"),
        Type::Int { .. } if is_char(btf, spot.ty) => String::from("-128 to 255, or a character as 'x'"),
        Type::Int { encoding, bits: whole, .. } => {
            numbers(*encoding == IntEncoding::Signed, bits((*whole).into()))
        }
        Type::Float { size: 4 | 8, .. } => String::from("a number"),
        Type::Float { size, .. } => format!("{size} bytes as they are"),
        Type::Ptr { .. } => numbers(false, btf.pointer_size() * 8),
        t @ (Type::Enum { size, signed, .. } | Type::Enum64 { size, signed, .. }) => {
            const SHOWN: usize = 8;
            let names: Vec<&str> = t.values().iter().take(SHOWN).map(|v| btf.str(v.name)).collect();
            let more = if t.values().len() > SHOWN { ", …" } else { "" };
            format!("{}{more} or a number from {}", names.join(", "), numbers(*signed, bits(size * 8)))
        }
        Type::Array { element, len, .. } if is_char(btf, *element) => format!("text of at most {len} bytes"),
        Type::Array { element, len, .. } => {
            format!("{{…}} with at most {len} of `{}`", type_name(btf, *element))
        }
        t @ (Type::Struct { .. } | Type::Union { .. }) => {
            let mut names = Vec::new();
            member_names(btf, t.members(), &mut names, 0);
            format!("{{.member = value, …}} with {}", names.join(", "))
        }
        Type::Var { ty, .. } => fits(btf, Spot { ty: *ty, ..spot }),
        Type::Void
        | Type::Fwd { .. }
        | Type::Typedef { .. }
        | Type::Volatile { .. }
        | Type::Const { .. }
        | Type::Restrict { .. }
        | Type::Func { .. }
        | Type::FuncProto { .. }
        | Type::Datasec { .. }
        | Type::DeclTag { .. }
        | Type::TypeTag { .. } => String::from("nothing"),
    }
}
