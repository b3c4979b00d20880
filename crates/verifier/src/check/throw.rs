//! Throwing: the program is left as it stands, so nothing may be held (`check_kfunc_call` and `check_resource_leak`,
//! kernel/bpf/verifier.c, Linux 6.18).

use alloc::format;

use skep_isa::Reg;

use super::{Facts, exit, readable};
use crate::Code;
use crate::program::Program;
use crate::state::{State, type_name};
use crate::violation::{Check, Explain, refuse};

/// What is thrown.
const COOKIE: Reg = Reg(1);

pub(super) fn call(p: &Program<'_>, s: &State) -> Check<Facts> {
    readable(s, COOKIE)?;
    let cookie = s.reg(COOKIE);
    if !cookie.is_scalar() {
        return refuse(Code::BadArgument, "R1 is not a scalar").explain(
            "a number",
            format!("r1 is a {}", type_name(cookie)),
            "throw a number",
        );
    }
    // Without a function that says otherwise, the program returns it. (Linux 6.18 forgets that in global functions.)
    let facts = match p.exception_callback {
        None => exit::thrown(p, s, COOKIE)?,
        Some(_) => Facts::default(),
    };
    exit::no_references(s, "bpf_throw")?;
    Ok(Facts { throws: true, ..facts })
}
