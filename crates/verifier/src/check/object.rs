//! Objects of the kernel as arguments of helpers.

use alloc::format;

use skep_isa::Reg;

use super::memory::unmodified;
use crate::Code;
use crate::kernel;
use crate::program::Program;
use crate::state::{self, Kind, Marks, State, type_name};
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

/// The register points to a structure of the kernel of type `need`, for a global function that takes it as one that is
/// there (`check_reg_type` with `ARG_PTR_TO_BTF_ID | PTR_TRUSTED`).
pub(super) fn trusted(p: &Program<'_>, s: &State, reg: Reg, need: u32, nullable: bool) -> Check<()> {
    let value = s.reg(reg);
    let Kind::Btf { id, marks } = value.kind else {
        return not_given(p, s, reg, "ptr_, trusted_ptr_, rcu_ptr_");
    };
    if !is_given(value.kind) {
        return not_given(p, s, reg, "ptr_, trusted_ptr_, rcu_ptr_");
    }
    if value.nullable && !nullable {
        let words = format!("Possibly NULL pointer passed to helper arg{}", reg.0);
        return refuse(Code::NullPointer, words);
    }
    // Linux 6.18 takes them, and the function then passes them on as sure to be there.
    if marks == Marks::NONE && value.ref_id == 0 {
        return not_given(p, s, reg, "trusted_ptr_, rcu_ptr_");
    }
    let (Ok(off), Some(0)) = (u32::try_from(value.off), value.val.as_const()) else {
        return unmodified(s, reg);
    };
    let types = kernel::of(p)?;
    if types.contains(id, off, need) {
        return Ok(());
    }
    let (is, name) = (types.name(id), types.name(need));
    refuse(Code::BadArgument, format!("R{} is of type {is} but {name} is expected", reg.0))
}

fn not_given<T>(p: &Program<'_>, s: &State, reg: Reg, expected: &str) -> Check<T> {
    let value = s.reg(reg);
    refuse(Code::BadArgument, format!("R{} type={} expected={expected}", reg.0, type_name(value))).explain(
        "an object of the kernel that is sure to be there",
        format!("r{} is {}", reg.0, state::register(p, s.depth(), value)),
        "pass what a function that acquires returned, or an argument of the program",
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
