//! Leaving a function or the program.

use alloc::format;

use skep_abi::ReturnRange;
use skep_isa::{Reg, RegSet};

use super::{Facts, leak, leaks, readable};
use crate::Code;
use crate::domain::Bits;
use crate::program::Program;
use crate::state::{Kind, Reference, State, type_name};
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
        return if s.frame().callback { callback_exit(s) } else { Ok(Facts::default()) };
    }
    no_references(s, "BPF_EXIT instruction in main prog")?;
    program_returns(p, s, Reg::R0)
}

/// What the program, a function that is verified on its own, or one that is called at another time returns
/// (`check_return_code`). What is called when the program throws returns for it.
fn program_returns(p: &Program<'_>, s: &State, reg: Reg) -> Check<Facts> {
    let first = &s.frames[0];
    let function = first.subprog != 0 && first.later == 0 && p.exception_callback != Some(first.subprog);
    returns(p, s, reg, function)
}

/// What is thrown, where the program returns that.
pub(super) fn thrown(p: &Program<'_>, s: &State, reg: Reg) -> Check<Facts> {
    returns(p, s, reg, false)
}

fn returns(p: &Program<'_>, s: &State, reg: Reg, function: bool) -> Check<Facts> {
    let first = &s.frames[0];
    if !function && first.later == 0 && p.returns == ReturnRange::Nothing {
        return Ok(Facts::default());
    }
    readable(s, reg)?;
    if leaks(p, s, reg) {
        return leak(s, reg, format!("R{} leaks addr as return value", reg.0));
    }
    let (lo, hi, low, whose) = match p.returns {
        _ if first.any_result => (i32::MIN, i32::MAX, false, "async callback return"),
        _ if first.later > 0 => (0, 0, false, "async callback return"),
        _ if function => return function_exit(s),
        ReturnRange::Any | ReturnRange::Nothing => return Ok(Facts::default()),
        ReturnRange::Within(lo, hi) => (lo, hi, false, "program exit"),
        ReturnRange::LowWithin(lo, hi) => (lo, hi, true, "program exit"),
    };
    let value = s.reg(reg);
    let required = format!("a return value in [{lo}, {hi}]");
    if !value.is_scalar() {
        let words = format!("At {whose} the register R{} is not a known value ({})", reg.0, type_name(value));
        return refuse(Code::BadReturnValue, words).explain(
            required,
            format!("r{} is a pointer", reg.0),
            "return a number",
        );
    }
    let val = if low { value.val.movsx(Bits::B64, 32) } else { value.val };
    let (min, max) = (val.smin(), val.smax());
    if min < lo.into() || max > hi.into() {
        let known = range_words(value.val.smin(), value.val.smax());
        let words = format!("At {whose} the register R{} {known} should have been in [{lo}, {hi}]", reg.0);
        let have = format!("r{} is in [{min}, {max}]", reg.0);
        return refuse(Code::BadReturnValue, words).explain(required, have, "set it to one of them first");
    }
    Ok(Facts::precise(RegSet::EMPTY.with(reg)))
}

/// A global function returns a number.
fn function_exit(s: &State) -> Check<Facts> {
    let r0 = s.reg(Reg::R0);
    if r0.is_scalar() {
        return Ok(Facts::default());
    }
    let words = format!("At subprogram exit the register R0 is not a scalar value ({})", type_name(r0));
    refuse(Code::BadReturnValue, words).explain("a number in r0", "r0 is a pointer", "set r0 before exit")
}

/// A callback says with 0 that it wants to be called again, with 1 that it does not.
fn callback_exit(s: &State) -> Check<Facts> {
    let r0 = s.reg(Reg::R0);
    let required = "a return value of 0 (go on) or 1 (stop) on every path of a callback";
    if !r0.is_scalar() {
        let have = if r0.is_init() { "r0 is a pointer" } else { "r0 was never written" };
        return refuse(Code::BadReturnValue, "R0 not a scalar value").explain(
            required,
            have,
            "set r0 before exit",
        );
    }
    let (min, max) = (r0.val.smin(), r0.val.smax());
    if min < 0 || max > 1 {
        return bad_callback_value(
            &range_words(min, max),
            format!("r0 is in [{min}, {max}]"),
            "set r0 before exit",
        );
    }
    Ok(Facts::precise(RegSet::EMPTY.with(Reg::R0)))
}

/// A tail call that succeeds makes the callback return what the other program returns, which may be anything.
pub(super) fn no_tail_call_in_callback(s: &State) -> Check<()> {
    if !s.frame().callback {
        return Ok(());
    }
    bad_callback_value(
        "has unknown scalar value",
        "another program's return value would be the callback's".into(),
        "note the wish on the stack and make the tail call after the loop",
    )
}

fn bad_callback_value<T>(what: &str, have: alloc::string::String, remedy: &str) -> Check<T> {
    let words = format!("At callback return the register R0 {what} should have been in [0, 1]");
    let required = "a return value of 0 (go on) or 1 (stop) on every path of a callback";
    refuse(Code::BadReturnValue, words).explain(required, have, remedy)
}

/// The kernel's words for a range that was found.
fn range_words(min: i64, max: i64) -> alloc::string::String {
    match (min, max) {
        (i64::MIN, i64::MAX) => "has unknown scalar value".into(),
        _ => format!("has smin={min} smax={max}"),
    }
}

/// Nothing is held that must be released.
pub(super) fn no_references(s: &State, what: &str) -> Check<()> {
    super::lock::released(s, what)?;
    let Some(r) = s.refs.first() else { return Ok(()) };
    let words = |r: &Reference| format!("Unreleased reference id={} alloc_insn={}", r.id, r.pc);
    let refusal = s.refs[1..].iter().fold(refuse(Code::Reference, words(r)), |all, r| all.then(words(r)));
    refusal.then(format!("{what} would lead to reference leak")).explain(
        "every reference is released",
        format!("what insn {} returned is still held", r.pc),
        "release it on this path as well: bpf_ringbuf_submit or bpf_ringbuf_discard",
    )
}
