//! The layout that C gives a type, as far as it decides what has to be written.

use alloc::vec;
use alloc::vec::Vec;

use crate::check::{contained, post_order};
use crate::types::{Member, Type, TypeId};
use crate::{Btf, Error};

/// How a type is laid out once it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Alignment in bytes that clang gives what we write.
    pub(super) align: u32,
    /// A struct or union that needs `packed` for its offsets or its size.
    pub(super) packed: bool,
    /// Its members overlap: C has no such struct.
    pub(super) opaque: bool,
}

/// By id.
pub(super) struct Layouts(Vec<Layout>);

/// Width of a bit-field in bits and its first bit; `None` for an ordinary field.
pub(super) fn bitfield(btf: &Btf, m: &Member) -> Option<(u64, u64)> {
    let at = u64::from(m.off_bits);
    match *btf.resolved(m.ty) {
        _ if m.bitfield_bits != 0 => Some((u64::from(m.bitfield_bits), at)),
        // As old compilers described them.
        Type::Int { size, off_bits, bits, .. } if off_bits != 0 || u32::from(bits) != size * 8 => {
            Some((bits.into(), at + u64::from(off_bits)))
        }
        _ => None,
    }
}

impl Layouts {
    pub(super) fn new(btf: &Btf) -> Result<Self, Error> {
        let mut out = Self(vec![Layout { align: 1, packed: false, opaque: false }; btf.len()]);
        let record = |id| btf.record(id).expect("ids are checked");
        post_order(
            0..btf.len() as u32,
            |_| true,
            record,
            contained,
            "contains itself",
            |id, _| {
                let layout = out.one(btf, id);
                out.0[id.0 as usize] = layout;
                Ok(())
            },
        )?;
        Ok(out)
    }

    pub(super) fn of(&self, id: TypeId) -> Layout {
        self.0.get(id.0 as usize).copied().unwrap_or(Layout { align: 1, packed: false, opaque: false })
    }

    /// Parts have been laid out.
    fn one(&self, btf: &Btf, id: TypeId) -> Layout {
        let plain = |align| Layout { align, packed: false, opaque: false };
        match btf.ty(id).unwrap_or(&Type::Void) {
            Type::Int { size, .. } | Type::Float { size, .. } => plain((*size).next_power_of_two().min(16)),
            Type::Enum { size, .. } | Type::Enum64 { size, .. } => plain(*size),
            Type::Ptr { .. } => plain(btf.pointer_size()),
            Type::Array { element, .. } => plain(self.of(*element).align),
            Type::Struct { size, members, .. } => self.composite(btf, *size, members, false),
            Type::Union { size, members, .. } => self.composite(btf, *size, members, true),
            Type::Typedef { target, .. }
            | Type::Volatile { target }
            | Type::Const { target }
            | Type::Restrict { target }
            | Type::TypeTag { target, .. } => plain(self.of(*target).align),
            Type::Void
            | Type::Fwd { .. }
            | Type::Func { .. }
            | Type::FuncProto { .. }
            | Type::Var { .. }
            | Type::Datasec { .. }
            | Type::DeclTag { .. } => plain(1),
        }
    }

    fn composite(&self, btf: &Btf, size: u32, members: &[Member], union: bool) -> Layout {
        let (mut align, mut packed, mut end) = (1, false, 0u64);
        for m in members {
            let own = self.of(m.ty).align;
            align = align.max(own);
            let (at, width, fits) = match bitfield(btf, m) {
                Some((width, at)) => {
                    // A bit-field stays within one aligned unit of its type.
                    let unit = u64::from(btf.size_of(m.ty).unwrap_or(1)) * 8;
                    (at, width, at % unit + width <= unit)
                }
                None => {
                    let at = u64::from(m.off_bits);
                    (at, u64::from(btf.size_of(m.ty).unwrap_or(0)) * 8, at.is_multiple_of(u64::from(own) * 8))
                }
            };
            packed |= !fits;
            if !union && at < end {
                return Layout { align: 1, packed: false, opaque: true };
            }
            end = at + width;
        }
        packed |= !size.is_multiple_of(align);
        Layout { align: if packed { 1 } else { align }, packed, opaque: false }
    }
}
