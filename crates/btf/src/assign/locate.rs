//! Paths to spots.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{MAX_DEPTH, Misfit, Spot, type_name};
use crate::Btf;
use crate::types::{Member, Type, TypeId};

/// The part of a value of type `ty` that a path names: `.member` and `[index]`, any number of them; members of
/// anonymous members are named from the outside, as in C.
///
/// # Errors
/// A part that the type does not have, with the names or the length that it has.
pub fn locate(btf: &Btf, ty: TypeId, path: &str) -> Result<Spot, Misfit> {
    let mut spot = Spot::whole(ty);
    let mut rest = path;
    while !rest.is_empty() {
        let done = &path[..path.len() - rest.len()];
        if let Some(tail) = rest.strip_prefix('.') {
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            let (name, after) = tail.split_at(end);
            spot = member(btf, spot, name).map_err(|e| Misfit::new(format!("{}{e}", at(done))))?;
            rest = after;
        } else if let Some(tail) = rest.strip_prefix('[') {
            let Some((index, after)) = tail.split_once(']') else {
                return Err(Misfit::new(format!("`{rest}` lacks its `]`")));
            };
            spot = element(btf, spot, index.trim()).map_err(|e| Misfit::new(format!("{}{e}", at(done))))?;
            rest = after;
        } else {
            return Err(Misfit::new(format!("`{rest}` is neither `.member` nor `[index]`")));
        }
    }
    Ok(spot)
}

fn at(done: &str) -> String {
    if done.is_empty() { String::new() } else { format!("`{done}`: ") }
}

fn member(btf: &Btf, spot: Spot, name: &str) -> Result<Spot, String> {
    let t = btf.resolved(spot.ty);
    if !matches!(t, Type::Struct { .. } | Type::Union { .. }) {
        return Err(format!("`{}` has no members, and `.{name}` is asked for", type_name(btf, spot.ty)));
    }
    let found = find_member(btf, t.members(), name, spot.off_bits, 0);
    found.ok_or_else(|| {
        let mut names = Vec::new();
        member_names(btf, t.members(), &mut names, 0);
        format!("`{}` has no member `{name}`; it has {}", type_name(btf, spot.ty), names.join(", "))
    })
}

/// A member by its name, in anonymous members too.
pub(super) fn find_member(
    btf: &Btf,
    members: &[Member],
    name: &str,
    base_bits: u64,
    depth: u32,
) -> Option<Spot> {
    members.iter().find_map(|m| {
        let off_bits = base_bits + u64::from(m.off_bits);
        if m.name.is_none() {
            let inner = btf.resolved(m.ty).members();
            return if depth < MAX_DEPTH { find_member(btf, inner, name, off_bits, depth + 1) } else { None };
        }
        (btf.str(m.name) == name).then_some(Spot { ty: m.ty, off_bits, bitfield_bits: m.bitfield_bits })
    })
}

/// Names of members, those of anonymous members in their place.
pub(super) fn member_names<'a>(btf: &'a Btf, members: &[Member], out: &mut Vec<&'a str>, depth: u32) {
    for m in members {
        match btf.str(m.name) {
            "" if depth < MAX_DEPTH => member_names(btf, btf.resolved(m.ty).members(), out, depth + 1),
            "" => {}
            name => out.push(name),
        }
    }
}

fn element(btf: &Btf, spot: Spot, index: &str) -> Result<Spot, String> {
    let Type::Array { element, len, .. } = btf.resolved(spot.ty) else {
        return Err(format!("`{}` has no elements, and `[{index}]` is asked for", type_name(btf, spot.ty)));
    };
    let i: u32 = index.parse().map_err(|_| format!("`[{index}]` is no index: write a number"))?;
    if i >= *len {
        return Err(format!(
            "`{}` has no element {i}: there are 0 to {}",
            type_name(btf, spot.ty),
            i64::from(*len) - 1
        ));
    }
    let step = btf.size_of(*element).unwrap_or(0);
    let off_bits = spot.off_bits + u64::from(i) * u64::from(step) * 8;
    Ok(Spot { ty: *element, off_bits, bitfield_bits: 0 })
}
