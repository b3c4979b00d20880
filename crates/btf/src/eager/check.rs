//! Whether types fit together, as [`check`](crate::check) says it, of decoded types.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::Eager;
use crate::facts::Facts;
use crate::types::*;
use crate::{At, Error};

/// Facts of the own types of `btf`, whose base is checked already.
pub(super) fn check(btf: &Eager<'_>) -> Result<Vec<Facts>, Error> {
    for (id, t) in btf.iter_own() {
        names(id.0, t, btf)?;
        references(id.0, t, btf)?;
    }
    let void = usize::from(btf.base().is_none());
    let mut known = Known { btf, facts: Vec::with_capacity(btf.len()) };
    known.facts.resize(void + btf.iter_own().count(), Facts { size: None, resolved: TypeId::VOID });
    let first = btf.base().map_or(0, |b| b.len());
    post_order(btf, first, contained, "contains itself", |id| {
        let facts = of(id, &known)?;
        let own = known.own(id);
        known.facts[own] = facts;
        Ok(())
    })?;
    post_order(btf, first, spelled, "refers to itself through pointers or typedefs only", |_| Ok(()))?;
    Ok(known.facts)
}

/// Facts while they are being found: each own type's once it has been left.
struct Known<'a> {
    btf: &'a Eager<'a>,
    facts: Vec<Facts>,
}

impl Known<'_> {
    /// Index of an own type.
    fn own(&self, id: TypeId) -> usize {
        own(self.btf, id).expect("ids are checked, and the base's are never left")
    }

    fn facts(&self, id: TypeId) -> Facts {
        match own(self.btf, id) {
            Some(own) => self.facts[own],
            None => self.btf.facts(id).expect("ids are checked"),
        }
    }

    /// The type behind typedefs, qualifiers and type tags.
    fn resolved(&self, id: TypeId) -> &Type {
        self.btf.ty(self.facts(id).resolved).expect("ids are checked")
    }
}

/// Index among own types, `void` included; `None` for the base's.
fn own(btf: &Eager<'_>, id: TypeId) -> Option<usize> {
    match btf.base() {
        Some(base) => (id.0 as usize).checked_sub(base.len()),
        None => Some(id.0 as usize),
    }
}

#[cold]
fn bad(id: u32, what: impl Into<String>) -> Error {
    Error::malformed(At::Type(id), what)
}

fn names(id: u32, t: &Type, btf: &Eager<'_>) -> Result<(), Error> {
    let check = |n: Name| {
        if btf.name_at(n.0).is_some() {
            return Ok(());
        }
        let end = btf.strings_end();
        Err(bad(id, format!("name offset {:#x} is not in the string section ({end:#x} bytes)", n.0)))
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
fn references(id: u32, t: &Type, btf: &Eager<'_>) -> Result<(), Error> {
    let get = |target: TypeId, role: &dyn fmt::Display| {
        btf.ty(target).ok_or_else(|| {
            bad(id, format!("{role} is type {target}, but there are only {} types", btf.len()))
        })
    };
    // Not what only a section, a tag or nothing may refer to.
    let plain = |target: TypeId, role: &dyn fmt::Display| match get(target, role)? {
        t @ (Type::Func { .. } | Type::Var { .. } | Type::Datasec { .. } | Type::DeclTag { .. }) => {
            Err(bad(id, format!("{role} is type {target}, a {}", t.kind().name())))
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
                Type::Func { proto, .. } => match btf.ty(*proto) {
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

/// Calls `leave` for each type from `first` on once, after it was called for what `edge` leads to.
fn post_order(
    btf: &Eager<'_>,
    first: usize,
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
    let mut marks = vec![Mark::New; btf.len() - first];
    let mut stack: Vec<(TypeId, usize)> = Vec::new();
    for root in (first as u32..btf.len() as u32).map(TypeId) {
        if marks[(root.0 as usize) - first] == Mark::New {
            marks[(root.0 as usize) - first] = Mark::Open;
            stack.push((root, 0));
        }
        while let Some((id, next)) = stack.last_mut() {
            let id = *id;
            let Some(to) = btf.ty(id).and_then(|t| edge(t, *next)) else {
                leave(id)?;
                marks[(id.0 as usize) - first] = Mark::Done;
                stack.pop();
                continue;
            };
            *next += 1;
            // What is before cannot lead back: it is of the base.
            let Some(own) = (to.0 as usize).checked_sub(first) else { continue };
            match marks[own] {
                Mark::Done => {}
                Mark::Open => return Err(bad(to.0, cycle)),
                Mark::New => {
                    marks[own] = Mark::Open;
                    stack.push((to, 0));
                }
            }
        }
    }
    Ok(())
}

/// Size of a type, with the rules for its own parts, whose facts are known.
fn of(id: TypeId, known: &Known<'_>) -> Result<Facts, Error> {
    let size_of = |part: TypeId, role: &dyn fmt::Display| {
        known.facts(part).size.ok_or_else(|| {
            let kind = known.resolved(part).kind().name();
            bad(id.0, format!("{role} is type {part}, a {kind}, which has no size"))
        })
    };
    let own = |size| Ok(Facts { size, resolved: id });
    match known.btf.ty(id).expect("own types are there") {
        Type::Void | Type::Fwd { .. } | Type::Func { .. } | Type::FuncProto { .. } => own(None),
        Type::DeclTag { .. } => own(None),
        // As compilers leave it: the linker fills in sizes and offsets.
        Type::Datasec { size: 0, .. } => own(None),
        Type::Datasec { size, entries, .. } => {
            for (i, e) in entries.iter().enumerate() {
                let of_type = known.facts(e.ty).size.unwrap_or(0);
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
        Type::Ptr { .. } => own(Some(known.btf.pointer_size())),
        // Map attributes are written as lengths of arrays that nobody makes: too large is not wrong.
        Type::Array { element, len, .. } => own(size_of(*element, &"element")?.checked_mul(*len)),
        Type::Struct { size, members, .. } => {
            let mut last = 0;
            for (i, m) in members.iter().enumerate() {
                member(id, i, m, *size, known)?;
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
                member(id, i, m, *size, known)?;
                if m.off_bits != 0 {
                    return Err(bad(id.0, format!("member {i} of a UNION is at bit {}, not 0", m.off_bits)));
                }
            }
            own(Some(*size))
        }
        // An extern variable may be of an incomplete type.
        Type::Var { ty, .. } => own(known.facts(*ty).size),
        Type::Typedef { target, .. }
        | Type::Volatile { target }
        | Type::Const { target }
        | Type::Restrict { target }
        | Type::TypeTag { target, .. } => Ok(known.facts(*target)),
    }
}

/// A field has a size and lies within its struct; a bit-field is of a type that can be cut.
fn member(id: TypeId, i: usize, m: &Member, size: u32, known: &Known<'_>) -> Result<(), Error> {
    let part = known.facts(m.ty);
    let target = known.resolved(m.ty);
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
