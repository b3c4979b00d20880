//! Types compared without what they refer to.

use core::hash::{Hash, Hasher};

use super::table::Quick;
use crate::{Kind, Type, TypeId};

/// Members, values, parameters or entries.
pub(super) fn parts(t: &Type) -> usize {
    match t {
        Type::Struct { members, .. } | Type::Union { members, .. } => members.len(),
        Type::Enum { values, .. } | Type::Enum64 { values, .. } => values.len(),
        Type::FuncProto { params, .. } => params.len(),
        Type::Datasec { entries, .. } => entries.len(),
        Type::Void
        | Type::Int { .. }
        | Type::Ptr { .. }
        | Type::Array { .. }
        | Type::Fwd { .. }
        | Type::Typedef { .. }
        | Type::Volatile { .. }
        | Type::Const { .. }
        | Type::Restrict { .. }
        | Type::Func { .. }
        | Type::Var { .. }
        | Type::Float { .. }
        | Type::DeclTag { .. }
        | Type::TypeTag { .. } => 0,
    }
}

/// The hash that a type is found by among those that stand for themselves; `None` for what is never made one.
///
/// Types that may be one have the same hash: structs, unions and typedefs whatever they refer to, enums by their
/// name only if they have one (one without values is the same as one with). The rest counts with what it refers to, so it must
/// refer to what stands for itself.
pub(super) fn hash<'a>(t: &Type, get: impl Fn(TypeId) -> &'a Type) -> Option<u64> {
    let mut h = Quick::default();
    match t {
        Type::Void | Type::Var { .. } | Type::Datasec { .. } => return None,
        Type::Enum { name, .. } | Type::Enum64 { name, .. } if !name.is_none() => {
            (Kind::Enum as u8, name).hash(&mut h);
        }
        Type::Typedef { name, .. } => (Kind::Typedef as u8, name).hash(&mut h),
        Type::Struct { name, size, members } | Type::Union { name, size, members } => {
            (t.kind() as u8, name, size, members.len()).hash(&mut h);
            for m in members {
                (m.name, m.off_bits, m.bitfield_bits).hash(&mut h);
                // The kernel has 1,600 unions without a name whose second member only has another typedef.
                if name.is_none() {
                    outline(m.ty, &get, &mut h);
                }
            }
        }
        Type::Int { .. }
        | Type::Ptr { .. }
        | Type::Array { .. }
        | Type::Enum { .. }
        | Type::Enum64 { .. }
        | Type::Fwd { .. }
        | Type::Volatile { .. }
        | Type::Const { .. }
        | Type::Restrict { .. }
        | Type::Func { .. }
        | Type::FuncProto { .. }
        | Type::Float { .. }
        | Type::DeclTag { .. }
        | Type::TypeTag { .. } => t.hash(&mut h),
    }
    Some(h.finish())
}

/// What types are called that may be the same, down to the first with a name of its own.
fn outline<'a>(mut id: TypeId, get: &impl Fn(TypeId) -> &'a Type, h: &mut Quick) {
    for _ in 0..8 {
        let t = get(id);
        match *t {
            Type::Ptr { target }
            | Type::Volatile { target }
            | Type::Const { target }
            | Type::Restrict { target }
            | Type::TypeTag { target, .. }
            | Type::Array { element: target, .. } => id = target,
            // One of them may be the declaration of another: nothing but the name must count.
            _ => return t.name().hash(h),
        }
        h.write_u8(t.kind() as u8);
    }
}

/// Whether two types differ at most in what they refer to. Enums do not when one of them has no values.
pub(super) fn equal(a: &Type, b: &Type) -> bool {
    use Type::*;
    match (a, b) {
        (Ptr { .. }, Ptr { .. })
        | (Volatile { .. }, Volatile { .. })
        | (Const { .. }, Const { .. })
        | (Restrict { .. }, Restrict { .. }) => true,
        (Typedef { name: a, .. }, Typedef { name: b, .. }) => a == b,
        (Array { len: a, .. }, Array { len: b, .. }) => a == b,
        (Struct { name: n, size: s, members: a }, Struct { name, size, members: b })
        | (Union { name: n, size: s, members: a }, Union { name, size, members: b }) => {
            let same = |(a, b): (&crate::Member, &crate::Member)| {
                (a.name, a.off_bits, a.bitfield_bits) == (b.name, b.off_bits, b.bitfield_bits)
            };
            n == name && s == size && a.len() == b.len() && a.iter().zip(b).all(same)
        }
        (Func { name: n, linkage: l, .. }, Func { name, linkage, .. }) => n == name && l == linkage,
        (FuncProto { params: a, .. }, FuncProto { params: b, .. }) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.name == b.name)
        }
        (TypeTag { name: n, attribute: x, .. }, TypeTag { name, attribute, .. }) => {
            n == name && x == attribute
        }
        (Enum { .. } | Enum64 { .. }, Enum { .. } | Enum64 { .. }) => enums(a, b),
        // These refer to nothing, or are never reached from a struct.
        (a, b) => a == b,
    }
}

/// Whether two enums are the same, or one of them is a declaration of the other.
pub(super) fn enums(a: &Type, b: &Type) -> bool {
    let declares = a.values().is_empty() || b.values().is_empty();
    a == b || (declares && a.name() == b.name() && !a.name().is_none())
}
