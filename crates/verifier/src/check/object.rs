//! Objects of the kernel as arguments of helpers.

use alloc::format;

use skep_isa::Reg;

use super::memory::unmodified;
use crate::Code;
use crate::kernel;
use crate::program::Program;
use crate::state::{Kind, Marks, State, type_name};
use crate::violation::{Check, Explain, refuse};

/// Whether helpers take objects with these marks for structures of the kernel (`btf_ptr_types`).
pub(super) fn is_given(kind: Kind) -> bool {
    matches!(kind, Kind::Btf { marks: Marks::NONE | Marks::TRUSTED | Marks::RCU, .. })
}

/// The same for sockets (`btf_id_sock_common_types`).
pub(super) fn is_given_as_socket(kind: Kind) -> bool {
    matches!(kind, Kind::Btf { marks: Marks::NONE | Marks::TRUSTED, .. })
}

/// The register points to a structure of this name, or to one that begins with it (`btf_struct_ids_match`).
pub(super) fn is_a(p: &Program<'_>, s: &State, reg: Reg, name: &'static str) -> Check<()> {
    let value = s.reg(reg);
    let Kind::Btf { id, .. } = value.kind else { return Ok(()) };
    let types = kernel::of(p)?;
    let (Ok(off), Some(0)) = (u32::try_from(value.off), value.val.as_const()) else {
        return unmodified(s, reg);
    };
    if types.is_a(id, off, name) {
        return Ok(());
    }
    let is = types.name(id);
    refuse(Code::BadArgument, format!("R{} is of type {is} but {name} is expected", reg.0)).explain(
        format!("a pointer to struct {name}"),
        format!("r{} is a {}{is}", reg.0, type_name(value)),
        "pass the object itself, or the member that is of this type",
    )
}

/// A helper may read `size` bytes of the object.
pub(super) fn readable(p: &Program<'_>, s: &State, reg: Reg, size: i64, writes: bool) -> Check<()> {
    let value = s.reg(reg);
    let Kind::Btf { id, marks } = value.kind else { return Ok(()) };
    if writes {
        let words =
            format!("the helper may write into memory pointed by R{} type={}", reg.0, type_name(value));
        return refuse(Code::ForbiddenAccess, words);
    }
    super::memory::object_load(p, s, reg, (id, marks), value.off, size as usize).map(drop)
}
