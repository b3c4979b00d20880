//! From an offset in a structure to what stands there (`btf_struct_walk`, kernel/bpf/btf.c, Linux 6.18).
//!
//! Idea: find the member that covers the offset; in a structure, a union or an array of such go on inside. A pointer
//! to a structure gives that structure; any other pointer gives memory of which nothing is known; all else is a
//! number, of which any bytes inside the member (of an array: inside the whole) may be loaded. What is behind a union
//! may be another of its members.

use alloc::format;
use alloc::string::String;

use skep_btf::{Btf, Member, Name, Type, TypeId};

use crate::state::Marks;

/// Structures in structures. Legal types nest at most 32 deep (`MAX_RESOLVE_DEPTH`), twice for arrays.
pub(super) const DEEPEST: u32 = 64;

/// What a load finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A number.
    Scalar,
    /// A pointer to a structure, of this member.
    Pointer { to: TypeId, field: Name, marks: Marks },
    /// A pointer to something else.
    Memory,
}

/// One step inwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Found(Found),
    /// A structure begins at the offset.
    Struct {
        id: TypeId,
    },
}

/// What `size` bytes at `off` in a structure are.
pub(super) fn access(btf: &Btf, id: TypeId, off: u32, size: u32) -> Result<Found, String> {
    let (mut at, mut off, mut in_union) = (id, off, false);
    for _ in 0..DEEPEST {
        match walk(btf, at, off, size, &mut in_union)? {
            Step::Found(found) => return Ok(found),
            Step::Struct { id } => (at, off) = (id, 0),
        }
    }
    Err(format!("structures nest more than {DEEPEST} deep"))
}

/// One step of it.
pub(super) fn step(btf: &Btf, id: TypeId, off: u32, size: u32) -> Result<Step, String> {
    walk(btf, id, off, size, &mut false)
}

fn walk(btf: &Btf, id: TypeId, off: u32, size: u32, in_union: &mut bool) -> Result<Step, String> {
    let (mut id, mut off) = (id, off);
    for _ in 0..DEEPEST {
        match within(btf, id, off, size, in_union)? {
            Inside::Is(step) => return Ok(step),
            Inside::Goes { to, off: rest } => (id, off) = (to, rest),
        }
    }
    Err(format!("structures nest more than {DEEPEST} deep"))
}

enum Inside {
    Is(Step),
    /// Somewhere in this structure.
    Goes {
        to: TypeId,
        off: u32,
    },
}

fn within(btf: &Btf, id: TypeId, off: u32, size: u32, in_union: &mut bool) -> Result<Inside, String> {
    let id = btf.resolve(id);
    let ty = btf.ty(id).unwrap_or(&Type::Void);
    let name = || btf.str(ty.name());
    let (members, bytes) = match ty {
        Type::Struct { members, size, .. } => (members, *size),
        Type::Union { members, size, .. } => {
            *in_union |= members.len() != 1;
            (members, *size)
        }
        _ => return Err(format!("Type '{}' is not a struct", name())),
    };
    let scalar = Ok(Inside::Is(Step::Found(Found::Scalar)));
    let end = u64::from(off) + u64::from(size);
    if end > bytes.into() {
        return beyond(btf, members, off)
            .ok_or_else(|| format!("access beyond struct {} at off {off} size {size}", name()));
    }
    for member in near(ty, off) {
        let start = member.off_bits / 8;
        if end <= start.into() {
            break;
        }
        if member.bitfield_bits != 0 {
            let end_bit = member.off_bits + u32::from(member.bitfield_bits);
            if off <= start && u64::from(end_bit.div_ceil(8)) <= end {
                return scalar;
            }
            continue;
        }
        if off < start {
            break;
        }
        let field = || btf.str(member.name);
        let Some((element, count, element_bytes)) = element(btf, member.ty) else {
            return Err(format!("field {} doesn't have size", field()));
        };
        let true_end = u64::from(start) + u64::from(element_bytes) * u64::from(count);
        if u64::from(off) >= true_end {
            continue;
        }
        // `element_bytes` is not 0: the member would have ended.
        let at = start + (off - start) / element_bytes * element_bytes;
        match btf.ty(element).unwrap_or(&Type::Void) {
            Type::Struct { .. } | Type::Union { .. } if off == at => {
                return Ok(Inside::Is(Step::Struct { id: element }));
            }
            Type::Struct { .. } | Type::Union { .. } => {
                return Ok(Inside::Goes { to: element, off: off - at });
            }
            Type::Ptr { target } => {
                if element_bytes != size || off != at {
                    return Err(format!(
                        "cannot access ptr member {} with moff {at} in struct {} with off {off} size {size}",
                        field(),
                        name()
                    ));
                }
                return Ok(Inside::Is(Step::Found(pointer(btf, *target, member.name, *in_union))));
            }
            _ => {}
        }
        if end > true_end && !*in_union {
            return Err(format!(
                "access beyond the end of member {} (mend:{true_end}) in struct {} with off {off} size {size}",
                field(),
                name()
            ));
        }
        return scalar;
    }
    Err(format!("struct {} doesn't have field at offset {off}", name()))
}

/// The members among which the one is that has the byte at `off`, and those that begin behind it. Members of a structure
/// begin one behind the other, and none but bit fields share bytes.
fn near(ty: &Type, off: u32) -> &[Member] {
    let members = ty.members();
    if !matches!(ty, Type::Struct { .. }) {
        return members;
    }
    let here = members.partition_point(|m| m.off_bits / 8 < off);
    let before = members[..here].iter().rposition(|m| m.bitfield_bits == 0);
    &members[before.unwrap_or(here)..]
}

/// What is behind a structure's end, if its last member is an array without a length.
fn beyond(btf: &Btf, members: &[Member], off: u32) -> Option<Inside> {
    let last = members.last()?;
    let Type::Array { element, len: 0, .. } = btf.resolved(last.ty) else { return None };
    let rest = off.checked_sub(last.off_bits / 8)?;
    let element = btf.resolve(*element);
    match btf.ty(element)? {
        Type::Int { .. } => Some(Inside::Is(Step::Found(Found::Scalar))),
        Type::Struct { size, .. } | Type::Union { size, .. } => {
            Some(Inside::Goes { to: element, off: rest.checked_rem(*size)? })
        }
        _ => None,
    }
}

/// The innermost element of an array of arrays, how many there are, and its bytes; other types have one.
fn element(btf: &Btf, ty: TypeId) -> Option<(TypeId, u32, u32)> {
    let (mut id, mut count) = (btf.resolve(ty), 1u32);
    for _ in 0..DEEPEST {
        let Some(Type::Array { element, len, .. }) = btf.ty(id) else { break };
        count = count.checked_mul(*len)?;
        id = btf.resolve(*element);
    }
    Some((id, count, btf.size_of(id)?))
}

fn pointer(btf: &Btf, target: TypeId, field: Name, in_union: bool) -> Found {
    let mut marks = if in_union { Marks::UNTRUSTED } else { Marks::NONE };
    marks = marks.with(tag(btf, target));
    let to = btf.resolve(target);
    match btf.ty(to) {
        Some(Type::Struct { .. } | Type::Union { .. }) => Found::Pointer { to, field, marks },
        _ => Found::Memory,
    }
}

/// What a tag on what a pointer points to says.
pub(super) fn tag(btf: &Btf, target: TypeId) -> Marks {
    match btf.ty(target) {
        Some(Type::TypeTag { name, attribute: false, .. }) => match btf.str(*name) {
            "user" => Marks::USER,
            "percpu" => Marks::PER_CPU,
            "rcu" => Marks::RCU,
            _ => Marks::NONE,
        },
        _ => Marks::NONE,
    }
}

/// Where the member of a path stands in a structure, and its bytes. Members of structures without a name count as the
/// structure's own.
pub(super) fn place(btf: &Btf, id: TypeId, path: &str) -> Option<(u32, u32)> {
    let (mut id, mut off, mut bytes) = (id, 0u32, 0);
    for part in path.split('.') {
        let (at, ty) = named(btf, id, part, 0)?;
        (id, off, bytes) = (btf.resolve(ty), off.checked_add(at)?, btf.size_of(ty)?);
    }
    Some((off, bytes))
}

fn named(btf: &Btf, id: TypeId, name: &str, depth: u32) -> Option<(u32, TypeId)> {
    if depth > DEEPEST {
        return None;
    }
    btf.resolved(id).members().iter().find_map(|member| {
        let at = member.off_bits / 8;
        if btf.is_named(member.name, "") {
            let (off, ty) = named(btf, member.ty, name, depth + 1)?;
            return Some((at.checked_add(off)?, ty));
        }
        (member.bitfield_bits == 0 && btf.is_named(member.name, name)).then_some((at, member.ty))
    })
}

/// The member of a path, as [`place`] finds it, if it begins at `off`.
pub(super) fn place_at(btf: &Btf, id: TypeId, path: &str, off: u32) -> Option<(u32, u32)> {
    let (mut id, mut rest, mut bytes) = (id, off, 0);
    for part in path.split('.') {
        let (at, ty) = named_near(btf, id, part, rest, 0)?;
        (id, rest, bytes) = (btf.resolve(ty), rest - at, btf.size_of(ty)?);
    }
    (rest == 0).then_some((off, bytes))
}

/// The member of a name that has the byte at `off`, or begins there.
fn named_near(btf: &Btf, id: TypeId, name: &str, off: u32, depth: u32) -> Option<(u32, TypeId)> {
    if depth > DEEPEST {
        return None;
    }
    let begun = near(btf.resolved(id), off).iter().take_while(|member| member.off_bits / 8 <= off);
    begun.into_iter().find_map(|member| {
        let at = member.off_bits / 8;
        if btf.is_named(member.name, "") {
            let (more, ty) = named_near(btf, member.ty, name, off - at, depth + 1)?;
            return Some((at + more, ty));
        }
        (member.bitfield_bits == 0 && btf.is_named(member.name, name)).then_some((at, member.ty))
    })
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    /// The running kernel's types, where there are any.
    fn kernel() -> Option<Btf> {
        match std::fs::read("/sys/kernel/btf/vmlinux") {
            Ok(bytes) => Some(Btf::parse(&bytes).expect("the kernel's types are well-formed")),
            Err(why) => {
                std::println!("skipped: the kernel's types: {why}");
                None
            }
        }
    }

    #[test]
    fn members_that_are_passed_over_do_not_have_the_byte() {
        let Some(btf) = kernel() else { return };
        let mut passed = 0;
        for ty in btf.iter().map(|(_, ty)| ty).filter(|ty| matches!(ty, Type::Struct { .. })) {
            for off in ty.members().iter().flat_map(|m| [m.off_bits / 8, m.off_bits / 8 + 1]) {
                let over = ty.members().len() - near(ty, off).len();
                for member in &ty.members()[..over] {
                    let (_, count, bytes) = element(&btf, member.ty).expect("a member has a size");
                    let (start, bytes) = (member.off_bits / 8, u64::from(bytes) * u64::from(count));
                    assert!(start < off, "{}: {off}", btf.str(ty.name()));
                    let ends = u64::from(start) + bytes <= off.into();
                    assert!(member.bitfield_bits != 0 || ends, "{}: {off}", btf.str(ty.name()));
                    passed += 1;
                }
            }
        }
        assert!(passed > 100_000);
    }

    #[test]
    fn a_member_is_found_by_its_offset_as_by_its_name() {
        let Some(btf) = kernel() else { return };
        for name in ["tcp_sock", "sock", "inet_connection_sock", "task_struct", "sk_buff"] {
            let Some(id) = btf.find_by_name(Some(skep_btf::Kind::Struct), name) else { continue };
            let mut names = std::vec::Vec::new();
            named_members(&btf, id, &mut names);
            assert!(names.len() > 10, "{name}");
            for path in names {
                let Some((off, bytes)) = place(&btf, id, &path) else { continue };
                assert_eq!(place_at(&btf, id, &path, off), Some((off, bytes)), "{name}.{path}");
                assert_eq!(place_at(&btf, id, &path, off + 1), None, "{name}.{path}");
                assert_eq!(place_at(&btf, id, &path, off.wrapping_sub(1)), None, "{name}.{path}");
            }
        }
    }

    /// The names of a structure's members, and of those in a member that is a structure.
    fn named_members(btf: &Btf, id: TypeId, names: &mut std::vec::Vec<String>) {
        for member in btf.resolved(id).members() {
            match btf.str(member.name) {
                "" => named_members(btf, member.ty, names),
                name => {
                    names.push(name.into());
                    let inner = btf.resolved(member.ty).members().iter();
                    names.extend(inner.map(|m| format!("{name}.{}", btf.str(m.name))));
                }
            }
        }
    }
}
