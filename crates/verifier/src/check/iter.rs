//! Calls that begin, advance and end the kernel's open-coded iterators (`process_iter_arg`, kernel/bpf/verifier.c,
//! Linux 6.18).

use alloc::format;
use alloc::rc::Rc;

use skep_isa::Reg;

use crate::Code;
use crate::kernel::{IterFunction, IterStep};
use crate::program::Program;
use crate::state::{Byte, Iter, Kept, Kind, Marks, State, place};
use crate::violation::{Check, Explain, refuse};

/// An iterator on the stack, and what a call does with it.
#[derive(Clone, Debug)]
pub(crate) struct IterCall {
    pub(crate) function: Rc<IterFunction>,
    pub(crate) frame: usize,
    /// The slot that begins it, which has the lowest address.
    pub(crate) first: usize,
    /// What is known of it; nothing before it begins.
    pub(crate) iter: Option<Iter>,
    /// It is good as long as nothing goes away, and nothing does now.
    pub(crate) marks: Marks,
}

/// The offset of the iterator that a register points to, and its frame.
fn offset(s: &State, reg: Reg, f: &IterFunction) -> Check<(usize, i32)> {
    let value = s.reg(reg);
    let arg = reg.0 - 1;
    let advice = |known: &str| {
        (
            format!("the address of a struct bpf_iter_{} that is a local variable", f.name),
            format!("r{} {known}", reg.0),
            "declare the iterator in the function, and pass its address",
        )
    };
    let (code, words, known) = match (value.kind, value.val.as_const()) {
        (Kind::Stack { frame }, Some(var)) => {
            let off = i64::from(value.off).wrapping_add(var as i64);
            let size = 8 * f.slots as i64;
            if off % 8 == 0 && off + size <= 0 && off >= -i64::from(crate::limits::STACK) {
                return Ok((frame.into(), off as i32));
            }
            (
                Code::BadArgument,
                format!("cannot pass in iter at an offset={off}"),
                "is not at a multiple of 8 with room for it",
            )
        }
        (Kind::Stack { .. }, None) => (
            Code::BadArgument,
            format!("R{} iter has to be at a constant offset", reg.0),
            "may point to several places",
        ),
        _ => (
            Code::BadArgument,
            format!("arg#{arg} expected pointer to an iterator on stack"),
            "does not point to the stack",
        ),
    };
    let (required, known, remedy) = advice(known);
    refuse(code, words).explain(required, known, remedy)
}

/// The iterator that a register points to, for a function that begins or uses it.
pub(super) fn argument(
    _p: &Program<'_>,
    s: &State,
    reg: Reg,
    f: &Rc<IterFunction>,
    marks: Marks,
) -> Check<IterCall> {
    let (frame, off) = offset(s, reg, f)?;
    let stack = &s.frames[frame].stack;
    let first = place(off).0;
    let call = IterCall { function: Rc::clone(f), frame, first, iter: None, marks };
    if f.step == IterStep::New {
        let fresh = (off..off + 8 * f.slots as i32).all(|at| stack.byte(at) != Byte::Iter);
        if fresh {
            super::dynptr::may_be_destroyed(stack, off, 8 * f.slots)?;
            return Ok(call);
        }
        return refuse(
            Code::BadArgument,
            format!("expected uninitialized iter_{} as arg #{}", f.name, reg.0 - 1),
        )
        .explain(
            "a place where no iterator is",
            "one was begun there, and not ended",
            "end it first, or use another variable",
        );
    }
    let slot = |i: usize| match stack.slots.get(first.checked_sub(i)?)?.kept()? {
        Kept::Iter(iter) if iter.id == f.id => Some(iter),
        Kept::Iter(_) | Kept::Irq(_) => None,
    };
    let begun = (0..f.slots).all(|i| slot(i).is_some_and(|iter| (iter.ref_id != 0) == (i == 0)));
    let Some(iter) = slot(0).filter(|_| begun) else {
        return refuse(
            Code::BadArgument,
            format!("expected an initialized iter_{} as arg #{}", f.name, reg.0 - 1),
        )
        .explain(
            format!("an iterator that bpf_iter_{}_new began", f.name),
            "on this path there is none, or it was ended or written over",
            "begin it on every path, and end it once",
        );
    };
    if iter.marks.has(Marks::UNTRUSTED) {
        let words = format!("expected an RCU CS when using bpf_iter_{}_{}", f.name, word(f.step));
        return refuse(Code::Lock, words).explain(
            "the section in which the iterator began",
            "bpf_rcu_read_unlock has ended it, or it never began",
            "begin, use and end the iterator in one bpf_rcu_read_lock section",
        );
    }
    Ok(IterCall { iter: Some(iter.clone()), ..call })
}

fn word(step: IterStep) -> &'static str {
    match step {
        IterStep::New => "new",
        IterStep::Next => "next",
        IterStep::Destroy => "destroy",
    }
}
