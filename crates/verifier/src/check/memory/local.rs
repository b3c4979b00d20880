//! Objects of the program's own types (`check_ptr_to_btf_access`, `btf_struct_access`, Linux 6.18).

use alloc::format;

use skep_isa::Reg;

use super::object::place_in;
use super::{Intent, Target};
use crate::Code;
use crate::kernel::{self, Loaded, Member};
use crate::program::Program;
use crate::state::{Kind, Marks, State};
use crate::violation::{Check, Explain, refuse};

/// An access of `size` bytes at `off`, which includes the fixed part.
pub(super) fn access(
    p: &Program<'_>,
    s: &State,
    base: Reg,
    (id, marks): (u32, Marks),
    off: i32,
    size: usize,
    intent: Intent,
) -> Check<Target> {
    let name = p.object_name(id);
    if !p.may_leak() {
        let words = format!("'struct {name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN");
        return refuse(Code::PointerLeak, words);
    }
    let at = place_in(s, base, name, marks, off)?;
    member(p, (id, marks), at, size as u32, intent)
}

fn member(p: &Program<'_>, (id, marks): (u32, Marks), off: u32, size: u32, intent: Intent) -> Check<Target> {
    let name = p.object_name(id);
    let allocated = marks.has(Marks::ALLOC);
    if intent.writes() && (marks.has(Marks::UNTRUSTED) || !allocated) {
        return refuse(Code::ForbiddenAccess, "only read is supported").explain(
            "a load",
            format!("the struct {name} may be gone, or is not an object that the program allocated"),
            "take the object out of the map with bpf_kptr_xchg",
        );
    }
    if allocated && let Some(fields) = p.object_fields(id) {
        let touches = |at: u32, len: u32| off < at.saturating_add(len) && at < off.saturating_add(size);
        if let Some(f) = fields.all().iter().find(|f| touches(f.off_bytes, f.kind.size())) {
            let field = f.kind.name();
            let words = format!("direct access to {field} is disallowed");
            return refuse(Code::ForbiddenAccess, words).explain(
                format!("an access beside the {field}, which is at {}", f.off_bytes),
                format!("{size} bytes at {off} of struct {name}"),
                "access the other members; this one is for its own helpers and functions",
            );
        }
    }
    let Some(btf) = p.spec.btf.as_deref() else { return refuse(Code::OutOfBounds, "no types") };
    let beyond =
        allocated && p.object_size(id).is_some_and(|len| u64::from(off) + u64::from(size) > len.into());
    let found = match beyond {
        true => Err(format!("access beyond struct {name} at off {off} size {size}")),
        false => kernel::member_at(btf, id, off, size),
    };
    match found {
        Ok(Member::Pointer(to)) if !allocated => {
            let kind = Kind::Local { id: to, marks: Marks::UNTRUSTED };
            Ok(Target::Kernel(Loaded { kind, nullable: false }))
        }
        Ok(Member::Memory) => Ok(Target::Kernel(Loaded { kind: Kind::Probed, nullable: false })),
        // In objects of its own a pointer to an object is a number.
        Ok(Member::Number | Member::Pointer(_)) => Ok(Target::Kernel(Loaded::NUMBER)),
        Err(words) => refuse(Code::OutOfBounds, words).explain(
            format!("an access to a member of struct {name}, at its size"),
            format!("{size} bytes at {off} are none"),
            "access the member by its name",
        ),
    }
}
