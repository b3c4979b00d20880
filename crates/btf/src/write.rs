//! Types to the bytes of a `.BTF` section.

use alloc::vec::Vec;
use core::borrow::Borrow;

use crate::Endian;
use crate::parse::{HEADER_LEN, MAGIC};
use crate::types::*;

struct Writer {
    out: Vec<u8>,
    endian: Endian,
}

impl Writer {
    fn word(&mut self, w: u32) {
        self.out.extend_from_slice(&self.endian.u32_bytes(w));
    }

    fn words<const N: usize>(&mut self, ws: [u32; N]) {
        ws.into_iter().for_each(|w| self.word(w));
    }

    /// Opens a type: see the layout in [`Record`](crate::raw::Record).
    fn record(&mut self, t: &Type, kflag: bool, vlen: u32, word: u32) {
        let info = u32::from(kflag) << 31 | (t.kind() as u32) << 24 | vlen;
        self.words([t.name().0, info, word]);
    }

    fn ty(&mut self, t: &Type) {
        match t {
            Type::Void => {}
            Type::Int { size, encoding, off_bits, bits, .. } => {
                self.record(t, false, 0, *size);
                let encoding: u32 = match encoding {
                    IntEncoding::Unsigned => 0,
                    IntEncoding::Signed => 1,
                    IntEncoding::Char => 2,
                    IntEncoding::Bool => 4,
                };
                self.word(encoding << 24 | u32::from(*off_bits) << 16 | u32::from(*bits));
            }
            Type::Array { element, index, len } => {
                self.record(t, false, 0, 0);
                self.words([element.0, index.0, *len]);
            }
            Type::Struct { size, members, .. } | Type::Union { size, members, .. } => {
                let kflag = members.iter().any(|m| m.bitfield_bits != 0);
                self.record(t, kflag, members.len() as u32, *size);
                for m in members {
                    self.words([m.name.0, m.ty.0, u32::from(m.bitfield_bits) << 24 | m.off_bits]);
                }
            }
            Type::Enum { size, signed, values, .. } => {
                self.record(t, *signed, values.len() as u32, *size);
                values.iter().for_each(|v| self.words([v.name.0, v.value as u32]));
            }
            Type::Enum64 { size, signed, values, .. } => {
                self.record(t, *signed, values.len() as u32, *size);
                values.iter().for_each(|v| self.words([v.name.0, v.value as u32, (v.value >> 32) as u32]));
            }
            Type::Fwd { is_union, .. } => self.record(t, *is_union, 0, 0),
            Type::Ptr { target }
            | Type::Typedef { target, .. }
            | Type::Volatile { target }
            | Type::Const { target }
            | Type::Restrict { target } => self.record(t, false, 0, target.0),
            Type::TypeTag { target, attribute, .. } => self.record(t, *attribute, 0, target.0),
            Type::Func { proto, linkage, .. } => {
                let linkage = match linkage {
                    FuncLinkage::Static => 0,
                    FuncLinkage::Global => 1,
                    FuncLinkage::Extern => 2,
                };
                self.record(t, false, linkage, proto.0);
            }
            Type::FuncProto { ret, params } => {
                self.record(t, false, params.len() as u32, ret.0);
                params.iter().for_each(|p| self.words([p.name.0, p.ty.0]));
            }
            Type::Var { ty, linkage, .. } => {
                self.record(t, false, 0, ty.0);
                self.word(match linkage {
                    VarLinkage::Static => 0,
                    VarLinkage::Global => 1,
                    VarLinkage::Extern => 2,
                });
            }
            Type::Datasec { size, entries, .. } => {
                self.record(t, false, entries.len() as u32, *size);
                entries.iter().for_each(|e| self.words([e.ty.0, e.off_bytes, e.size]));
            }
            Type::Float { size, .. } => self.record(t, false, 0, *size),
            Type::DeclTag { target, component, attribute, .. } => {
                self.record(t, *attribute, 0, target.0);
                self.word(component.unwrap_or(u32::MAX));
            }
        }
    }
}

/// Header, types, strings, without gaps, as the kernel wants them.
pub(crate) fn write<T: Borrow<Type>>(
    types: impl Iterator<Item = T>,
    strings: &str,
    endian: Endian,
) -> Vec<u8> {
    let mut w = Writer { out: Vec::new(), endian };
    w.out.extend_from_slice(&endian.u16_bytes(MAGIC));
    w.out.extend_from_slice(&[1, 0]);
    w.words([HEADER_LEN as u32, 0, 0, 0, strings.len() as u32]);
    types.for_each(|t| w.ty(t.borrow()));
    let type_len = (w.out.len() - HEADER_LEN) as u32;
    w.out[12..16].copy_from_slice(&endian.u32_bytes(type_len));
    w.out[16..20].copy_from_slice(&endian.u32_bytes(type_len));
    w.out.extend_from_slice(strings.as_bytes());
    w.out
}
