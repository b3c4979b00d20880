//! References that callees are given: what acquired them, and where they point to.

use alloc::format;

use skep_isa::Reg;

use super::memory::unmodified;
use crate::Code;
use crate::program::Program;
use crate::state::{self, State};
use crate::violation::{Check, Explain, refuse};

/// Adds what a register refers to to what a call was given: a callee that releases it takes only one
/// (`meta->ref_obj_id`).
pub(super) fn given(s: &State, reg: Reg, so_far: u32) -> Check<u32> {
    let value = s.reg(reg);
    if so_far != 0 && value.ref_id != 0 {
        let words = format!("more than one arg with ref_obj_id R{} {} {so_far}", reg.0, value.ref_id);
        return refuse(Code::Reference, words);
    }
    Ok(so_far.max(value.ref_id))
}

/// What is released must be a reference.
pub(super) fn held(p: &Program<'_>, s: &State, reg: Reg) -> Check<()> {
    if s.reg(reg).ref_id != 0 {
        return Ok(());
    }
    let words = format!("R{} must be referenced when passed to release function", reg.0);
    refuse(Code::Reference, words).explain(
        "what a function that acquires returned",
        format!("r{} is {}", reg.0, state::register(p, s.depth(), s.reg(reg))),
        "release only what was acquired, and once",
    )
}

/// What is released must be as it was acquired (`check_func_arg_reg_off` with `OBJ_RELEASE`).
pub(super) fn unmoved(s: &State, reg: Reg) -> Check<()> {
    if s.reg(reg).off == 0 {
        return unmodified(s, reg);
    }
    let words =
        format!("R{} must have zero offset when passed to release func or trusted arg to kfunc", reg.0);
    refuse(Code::BadArgument, words).explain(
        "the pointer as it was acquired",
        "a pointer into it",
        "pass the unchanged pointer",
    )
}
