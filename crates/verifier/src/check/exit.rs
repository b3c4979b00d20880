//! Leaving a function or the program.

use alloc::format;

use skep_abi::ReturnRange;
use skep_isa::{Reg, RegSet};

use super::{Facts, leak, leaks, readable};
use crate::Code;
use crate::program::Program;
use crate::state::{Kind, State, type_name};
use crate::violation::{Check, Explain, refuse};

pub(super) fn exit(p: &Program<'_>, s: &State) -> Check<Facts> {
    if s.depth() > 0 {
        // An uninitialised r0 is for the caller to trip over.
        if matches!(s.reg(Reg::R0).kind, Kind::Stack { .. }) {
            return refuse(Code::PointerLeak, "cannot return stack pointer to the caller").explain(
                "a return value that outlives the function",
                "r0 points into the stack",
                "let the caller pass a buffer",
            );
        }
        return Ok(Facts::default());
    }
    no_references(s, "BPF_EXIT instruction in main prog")?;
    readable(s, Reg::R0)?;
    if leaks(p, s, Reg::R0) {
        return leak(s, Reg::R0, "R0 leaks addr as return value".into());
    }
    let ReturnRange::Within(lo, hi) = p.row.returns else { return Ok(Facts::default()) };
    let r0 = s.reg(Reg::R0);
    let required = format!("a return value in [{lo}, {hi}]");
    if !r0.is_scalar() {
        let words = format!("At program exit the register R0 is not a known value ({})", type_name(r0));
        return refuse(Code::BadReturnValue, words).explain(
            required,
            "r0 is a pointer",
            "set r0 before exit",
        );
    }
    let (min, max) = (r0.val.smin(), r0.val.smax());
    if min < lo.into() || max > hi.into() {
        let known = match (min, max) {
            (i64::MIN, i64::MAX) => "has unknown scalar value".into(),
            _ => format!("has smin={min} smax={max}"),
        };
        let words = format!("At program exit the register R0 {known} should have been in [{lo}, {hi}]");
        let have = format!("r0 is in [{min}, {max}]");
        return refuse(Code::BadReturnValue, words).explain(required, have, "set r0 before exit");
    }
    Ok(Facts::precise(RegSet::EMPTY.with(Reg::R0)))
}

/// Nothing is held that must be released.
pub(super) fn no_references(s: &State, what: &str) -> Check<()> {
    let Some(r) = s.refs.first() else { return Ok(()) };
    let words = match what {
        "BPF_EXIT instruction in main prog" => {
            format!("Unreleased reference id={} alloc_insn={}", r.id, r.pc)
        }
        _ => format!("{what} would lead to reference leak (id={} alloc_insn={})", r.id, r.pc),
    };
    refuse(Code::Reference, words).explain(
        "every reference is released",
        format!("what insn {} returned is still held", r.pc),
        "release it on this path as well: bpf_ringbuf_submit or bpf_ringbuf_discard",
    )
}
