//! Whether types fit together: ids and names in range, sizes that add up, nothing that contains itself.
//!
//! Two walks over the graph of types, both iterative (the input decides how deep it is):
//! 1. along what *contains* (fields, elements, typedefs, qualifiers, variables): a cycle there would be a
//!    value of infinite size. In post-order, so a type's size is known before that of what contains it.
//! 2. along what is *spelled out* in a type's C name (pointers, elements, typedefs, qualifiers): a cycle there
//!    would be a name of infinite length.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::types::*;
use crate::{At, Error};

/// What is known of a type once it has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Bytes of a value, if it can have one.
    pub(crate) size: Option<u32>,
    /// Behind typedefs, qualifiers and type tags.
    pub(crate) resolved: TypeId,
}

pub(crate) fn check(types: &[Type], strings: &str) -> Result<Vec<Facts>, Error> {
    for (id, t) in types.iter().enumerate().skip(1) {
        names(id as u32, t, strings)?;
        references(id as u32, t, types)?;
    }
    let mut facts = vec![Facts { size: None, resolved: TypeId::VOID }; types.len()];
    post_order(types, contained, "contains itself", |id| {
        let known = of(id, types, &facts)?;
        facts[id.index()] = known;
        Ok(())
    })?;
    post_order(types, spelled, "refers to itself through pointers or typedefs only", |_| Ok(()))?;
    Ok(facts)
}

#[cold]
fn bad(id: u32, what: impl Into<String>) -> Error {
    Error::malformed(At::Type(id), what)
}

fn names(id: u32, t: &Type, strings: &str) -> Result<(), Error> {
    let check = |n: Name| {
        if strings.is_char_boundary(n.0 as usize) && (n.0 as usize) < strings.len() {
            return Ok(());
        }
        Err(bad(
            id,
            format!("name offset {:#x} is not in the string section ({:#x} bytes)", n.0, strings.len()),
        ))
    };
    check(t.name())?;
    match t {
        Type::Struct { members, .. } | Type::Union { members, .. } => {
            members.iter().try_for_each(|m| check(m.name))
        }
        Type::Enum { values, .. } | Type::Enum64 { values, .. } => {
            values.iter().try_for_each(|v| check(v.name))
        }
        Type::FuncProto { params, .. } => params.iter().try_for_each(|p| check(p.name)),
        _ => Ok(()),
    }
}

/// Ids in range, and of kinds that may be referred to from there.
fn references(id: u32, t: &Type, types: &[Type]) -> Result<(), Error> {
    let get = |target: TypeId, role: &dyn fmt::Display| {
        types.get(target.index()).ok_or_else(|| {
            bad(id, format!("{role} is type {target}, but there are only {} types", types.len()))
        })
    };
    // Not what only a section, a tag or nothing may refer to.
    let plain = |target: TypeId, role: &dyn fmt::Display| match get(target, role)? {
        Type::Func { .. } | Type::Var { .. } | Type::Datasec { .. } | Type::DeclTag { .. } => {
            let kind = types[target.index()].kind().name();
            Err(bad(id, format!("{role} is type {target}, a {kind}")))
        }
        _ => Ok(()),
    };
    match t {
        Type::Void | Type::Int { .. } | Type::Fwd { .. } | Type::Float { .. } => Ok(()),
        Type::Enum { .. } | Type::Enum64 { .. } => Ok(()),
        Type::Ptr { target } => plain(*target, &"target"),
        Type::Typedef { target, .. }
        | Type::Volatile { target }
        | Type::Const { target }
        | Type::Restrict { target }
        | Type::TypeTag { target, .. } => plain(*target, &"target"),
        Type::Array { element, index, .. } => {
            plain(*element, &"element")?;
            plain(*index, &"index")
        }
        Type::Struct { members, .. } | Type::Union { members, .. } => {
            (0usize..).zip(members).try_for_each(|(i, m)| plain(m.ty, &format_args!("member {i}")))
        }
        Type::Func { proto, .. } => match get(*proto, &"prototype")? {
            Type::FuncProto { .. } => Ok(()),
            other => Err(bad(id, format!("prototype is type {proto}, a {}", other.kind().name()))),
        },
        Type::FuncProto { ret, params } => {
            plain(*ret, &"return type")?;
            (0usize..).zip(params).try_for_each(|(i, p)| plain(p.ty, &format_args!("parameter {i}")))
        }
        Type::Var { ty, .. } => plain(*ty, &"type of the variable"),
        Type::Datasec { entries, .. } => {
            (0usize..).zip(entries).try_for_each(|(i, e)| match get(e.ty, &"entry")? {
                Type::Var { .. } | Type::Func { .. } => Ok(()),
                other => Err(bad(id, format!("entry {i} is type {}, a {}", e.ty, other.kind().name()))),
            })
        }
        Type::DeclTag { target, component, .. } => {
            let tagged = get(*target, &"target")?;
            let (parts, what) = match tagged {
                Type::Struct { members, .. } | Type::Union { members, .. } => (members.len(), "members"),
                Type::Func { proto, .. } => match types.get(proto.index()) {
                    Some(Type::FuncProto { params, .. }) => (params.len(), "parameters"),
                    _ => (0, "parameters"),
                },
                Type::Var { .. } | Type::Typedef { .. } => (0, "parts"),
                other => {
                    return Err(bad(id, format!("target is type {target}, a {}", other.kind().name())));
                }
            };
            match component {
                Some(c) if *c as usize >= parts => {
                    Err(bad(id, format!("component_idx is {c}, but type {target} has {parts} {what}")))
                }
                _ => Ok(()),
            }
        }
    }
}

/// The `i`th type whose value is part of a value of `t`, or that `t` stands for.
fn contained(t: &Type, i: usize) -> Option<TypeId> {
    match t {
        Type::Struct { members, .. } | Type::Union { members, .. } => members.get(i).map(|m| m.ty),
        Type::Array { element, .. } => (i == 0).then_some(*element),
        Type::Var { ty, .. } => (i == 0).then_some(*ty),
        Type::Datasec { entries, .. } => entries.get(i).map(|e| e.ty),
        _ => t.modified().filter(|_| i == 0),
    }
}

/// The `i`th type that the C name of `t` spells out.
fn spelled(t: &Type, i: usize) -> Option<TypeId> {
    match t {
        Type::Ptr { target } => (i == 0).then_some(*target),
        Type::Array { element, .. } => (i == 0).then_some(*element),
        _ => t.modified().filter(|_| i == 0),
    }
}

/// Calls `leave` for each type once, after it was called for what `edge` leads to.
fn post_order(
    types: &[Type],
    edge: fn(&Type, usize) -> Option<TypeId>,
    cycle: &str,
    mut leave: impl FnMut(TypeId) -> Result<(), Error>,
) -> Result<(), Error> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; types.len()];
    let mut stack: Vec<(TypeId, usize)> = Vec::new();
    for root in (0..types.len() as u32).map(TypeId) {
        if marks[root.index()] == Mark::New {
            marks[root.index()] = Mark::Open;
            stack.push((root, 0));
        }
        while let Some((id, next)) = stack.last_mut() {
            let id = *id;
            let Some(to) = edge(&types[id.index()], *next) else {
                leave(id)?;
                marks[id.index()] = Mark::Done;
                stack.pop();
                continue;
            };
            *next += 1;
            match marks[to.index()] {
                Mark::Done => {}
                Mark::Open => return Err(bad(to.0, cycle)),
                Mark::New => {
                    marks[to.index()] = Mark::Open;
                    stack.push((to, 0));
                }
            }
        }
    }
    Ok(())
}

/// Size of a type, with the rules for its own parts, whose facts are known.
fn of(id: TypeId, types: &[Type], facts: &[Facts]) -> Result<Facts, Error> {
    let size_of = |part: TypeId, role: &dyn fmt::Display| {
        facts[part.index()].size.ok_or_else(|| {
            let kind = types[facts[part.index()].resolved.index()].kind().name();
            bad(id.0, format!("{role} is type {part}, a {kind}, which has no size"))
        })
    };
    let own = |size| Ok(Facts { size, resolved: id });
    match &types[id.index()] {
        Type::Void | Type::Fwd { .. } | Type::Func { .. } | Type::FuncProto { .. } => own(None),
        Type::DeclTag { .. } => own(None),
        // As compilers leave it: the linker fills in sizes and offsets.
        Type::Datasec { size: 0, .. } => own(None),
        Type::Datasec { size, entries, .. } => {
            for (i, e) in entries.iter().enumerate() {
                let of_type = facts[e.ty.index()].size.unwrap_or(0);
                if u64::from(e.off_bytes) + u64::from(e.size.max(of_type)) > u64::from(*size) {
                    let what =
                        format!("entry {i} at byte {} exceeds the section's {size} bytes", e.off_bytes);
                    return Err(bad(id.0, what));
                }
            }
            own(Some(*size))
        }
        Type::Int { size, off_bits, bits, .. } => {
            if !matches!(size, 1 | 2 | 4 | 8 | 16) {
                return Err(bad(id.0, format!("size {size} of an INT is not 1, 2, 4, 8 or 16")));
            }
            if *bits == 0 || u32::from(*off_bits) + u32::from(*bits) > size * 8 {
                let what = format!("bits {off_bits}+{bits} do not lie within the {size} bytes of the INT");
                return Err(bad(id.0, what));
            }
            own(Some(*size))
        }
        Type::Float { size, .. } if !matches!(size, 2 | 4 | 8 | 12 | 16) => {
            Err(bad(id.0, format!("size {size} of a FLOAT is not 2, 4, 8, 12 or 16")))
        }
        Type::Enum { size, .. } | Type::Enum64 { size, .. } if !matches!(size, 1 | 2 | 4 | 8) => {
            Err(bad(id.0, format!("size {size} of an enum is not 1, 2, 4 or 8")))
        }
        Type::Float { size, .. } | Type::Enum { size, .. } | Type::Enum64 { size, .. } => own(Some(*size)),
        Type::Ptr { .. } => own(Some(8)),
        // Map attributes are written as lengths of arrays that nobody makes: too large is not wrong.
        Type::Array { element, len, .. } => own(size_of(*element, &"element")?.checked_mul(*len)),
        Type::Struct { size, members, .. } => {
            let mut last = 0;
            for (i, m) in members.iter().enumerate() {
                member(id, i, m, *size, types, facts)?;
                if m.off_bits < last {
                    return Err(bad(
                        id.0,
                        format!("member {i} at bit {} lies before its predecessor", m.off_bits),
                    ));
                }
                last = m.off_bits;
            }
            own(Some(*size))
        }
        Type::Union { size, members, .. } => {
            for (i, m) in members.iter().enumerate() {
                member(id, i, m, *size, types, facts)?;
                if m.off_bits != 0 {
                    return Err(bad(id.0, format!("member {i} of a UNION is at bit {}, not 0", m.off_bits)));
                }
            }
            own(Some(*size))
        }
        // An extern variable may be of an incomplete type.
        Type::Var { ty, .. } => own(facts[ty.index()].size),
        Type::Typedef { target, .. }
        | Type::Volatile { target }
        | Type::Const { target }
        | Type::Restrict { target }
        | Type::TypeTag { target, .. } => Ok(facts[target.index()]),
    }
}

/// A field has a size and lies within its struct; a bit-field is of a type that can be cut.
fn member(id: TypeId, i: usize, m: &Member, size: u32, types: &[Type], facts: &[Facts]) -> Result<(), Error> {
    let part = facts[m.ty.index()];
    let target = &types[part.resolved.index()];
    let Some(part_size) = part.size else {
        let kind = target.kind().name();
        return Err(bad(id.0, format!("member {i} is of type {}, a {kind}, which has no size", m.ty)));
    };
    let width = match (m.bitfield_bits, target) {
        (0, Type::Int { off_bits, bits, .. }) => u64::from(*off_bits) + u64::from(*bits),
        (0, _) if !m.off_bits.is_multiple_of(8) => {
            return Err(bad(id.0, format!("member {i} at bit {} does not start at a byte", m.off_bits)));
        }
        (0, _) => u64::from(part_size) * 8,
        (n, Type::Int { off_bits: 0, .. } | Type::Enum { .. } | Type::Enum64 { .. }) => {
            if u32::from(n) > part_size * 8 {
                let what =
                    format!("bit-field member {i} has {n} bits, more than its type of {part_size} bytes");
                return Err(bad(id.0, what));
            }
            n.into()
        }
        (_, other) => {
            return Err(bad(
                id.0,
                format!("bit-field member {i} is of type {}, a {}", m.ty, other.kind().name()),
            ));
        }
    };
    if u64::from(m.off_bits) + width > u64::from(size) * 8 {
        return Err(bad(
            id.0,
            format!("member {i} takes bits {}+{width}, outside the {size} bytes of its type", m.off_bits),
        ));
    }
    Ok(())
}
