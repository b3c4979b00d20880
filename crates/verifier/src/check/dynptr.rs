//! Dynptrs as arguments: where one may be made, and which one a call uses (`process_dynptr_func` in
//! kernel/bpf/verifier.c, Linux 6.18).

use alloc::format;
use alloc::string::String;

use skep_isa::Reg;

use super::memory::{stack_bounds, unmodified};
use crate::Code;
use crate::program::Program;
use crate::state::{Dynptr, DynptrType, Kind, Stack, State, type_name};
use crate::violation::{Check, Explain, refuse};

/// A dynptr that a call uses, on the stack or as a function's argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) kind: DynptrType,
    pub(crate) id: u32,
    pub(crate) ref_id: u32,
    /// It is an argument, which nobody changes.
    pub(crate) constant: bool,
}

/// Where a call makes a dynptr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) frame: usize,
    /// The first of its slots.
    pub(crate) slot: usize,
}

impl Place {
    /// Offset of its first byte from the frame pointer.
    pub(crate) fn off(self) -> i32 {
        -8 * (self.slot as i32 + 1)
    }
}

/// The slot that a register names as the first of a dynptr (`dynptr_get_spi`).
fn place(s: &State, reg: Reg) -> Check<Place> {
    let value = s.reg(reg);
    let Kind::Stack { frame } = value.kind else {
        return refuse(Code::BadArgument, format!("R{} is no pointer to the stack", reg.0));
    };
    let no = |words: String, known: String| {
        refuse(Code::BadArgument, words).explain(
            "the address of a struct bpf_dynptr: a constant multiple of 8 from the frame pointer, 16 bytes below it or more",
            known,
            "pass the address of a local struct bpf_dynptr itself",
        )
    };
    let Some(var) = value.val.as_const() else {
        return no(
            "dynptr has to be at a constant offset".into(),
            format!("r{} has moved by an unknown number", reg.0),
        );
    };
    let off = (var as i64).wrapping_add(value.off.into());
    if off % 8 != 0 || off > -(Dynptr::BYTES as i64) {
        return no(format!("cannot pass in dynptr at an offset={off}"), format!("r{} is fp{off:+}", reg.0));
    }
    // Far below the stack lies no slot at all.
    let slot = usize::try_from(off.saturating_neg() / 8 - 1).unwrap_or(usize::MAX);
    Ok(Place { frame: frame.into(), slot })
}

/// Where a call may make a dynptr. Others that are there are destroyed, if nothing is lost with them.
pub(super) fn made(p: &Program<'_>, s: &State, reg: Reg) -> Check<Place> {
    if let Kind::Dynptr(_) = s.reg(reg).kind {
        return uninitialised();
    }
    let at = place(s, reg).or_else(|v| match s.reg(reg).kind {
        Kind::Stack { .. } => Err(v),
        _ => uninitialised(),
    })?;
    stack_bounds(p, s, reg, s.reg(reg).off, Dynptr::BYTES as i64, " write to")?;
    may_be_destroyed(&s.frames[at.frame].stack, at.off(), Dynptr::BYTES)?;
    Ok(at)
}

fn uninitialised<T>() -> Check<T> {
    refuse(Code::BadArgument, "Dynptr has to be an uninitialized dynptr").explain(
        "room on the stack for a new struct bpf_dynptr",
        "the dynptr that the function was given",
        "declare another struct bpf_dynptr",
    )
}

/// The dynptr that a call uses.
pub(super) fn used(s: &State, reg: Reg) -> Check<Given> {
    let value = s.reg(reg);
    if let Kind::Dynptr(kind) = value.kind {
        unmodified(s, reg)?;
        return Ok(Given { kind, id: value.id, ref_id: value.ref_id, constant: true });
    }
    let at = place(s, reg)?;
    match s.frames[at.frame].stack.dynptr(at.slot) {
        Some(d) => Ok(Given { kind: d.kind, id: d.id, ref_id: d.ref_id, constant: false }),
        None => refuse(Code::BadArgument, format!("Expected an initialized dynptr as arg #{}", reg.0 - 1))
            .explain(
                "a struct bpf_dynptr that a call has made",
                format!("none is at fp{:+}, or it was overwritten or released", at.off()),
                "make it first on every path, with bpf_dynptr_from_mem or the like",
            ),
    }
}

/// The ring buffer record that a call ends.
pub(super) fn ended(s: &State, reg: Reg) -> Check<u32> {
    if let Kind::Dynptr(_) = s.reg(reg).kind {
        return refuse(Code::Reference, "cannot release unowned const bpf_dynptr").explain(
            "a dynptr that bpf_ringbuf_reserve_dynptr made",
            "the dynptr that the function was given",
            "let the caller release it",
        );
    }
    // Only ring buffer records are references.
    if let Ok(Given { ref_id: id @ 1.., .. }) = used(s, reg) {
        return Ok(id);
    }
    refuse(Code::Reference, format!("arg {} is an unacquired reference", reg.0)).explain(
        "a dynptr that bpf_ringbuf_reserve_dynptr made",
        format!("r{} is a {}, where no such dynptr is", reg.0, type_name(s.reg(reg))),
        "release only what was reserved, and once",
    )
}

/// Bytes of a stack may be overwritten: no reference is lost with a dynptr that they are part of
/// (`destroy_if_dynptr_stack_slot`).
pub(super) fn may_be_destroyed(stack: &Stack, off: i32, len: usize) -> Check<()> {
    match stack.dynptrs_in(off, len).find(|d| d.ref_id != 0) {
        None => Ok(()),
        Some(_) => refuse(Code::Reference, "cannot overwrite referenced dynptr").explain(
            "stack bytes that are not part of a dynptr of a ring buffer",
            "its record could not be submitted or discarded any more",
            "call bpf_ringbuf_submit_dynptr or bpf_ringbuf_discard_dynptr first",
        ),
    }
}

/// Bytes that a call fills are not part of a dynptr: it may be the one that the call uses.
pub(super) fn stay(stack: &Stack, off: i32, len: usize) -> Check<()> {
    let Some(d) = stack.dynptrs_in(off, len).next() else { return Ok(()) };
    let at = off.max(-8 * (d.slot as i32 + 1));
    refuse(Code::ForbiddenAccess, format!("potential write to dynptr at off={at} disallowed")).explain(
        "a buffer that is not part of a dynptr",
        "the call would fill the struct bpf_dynptr itself",
        "give it a buffer of its own",
    )
}
