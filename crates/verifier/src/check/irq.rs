//! Calls that turn interrupts off and on again (`process_irq_flag`, kernel/bpf/verifier.c, Linux 6.18). Whether they were on
//! before is kept on the program's stack.

use alloc::format;

use skep_isa::Reg;

use crate::state::{Byte, Irq, Kept, Kind, State, place};
use crate::violation::{Check, Explain, refuse};
use crate::{Code, limits};

/// Where the flags are kept, and what the call does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IrqCall {
    pub(crate) frame: usize,
    pub(crate) slot: usize,
    pub(crate) by_lock: bool,
    /// The section that ends; none if one begins.
    pub(crate) ends: Option<Irq>,
}

impl IrqCall {
    /// Offset of the flags in the frame.
    pub(crate) fn off(self) -> i32 {
        -8 * (self.slot as i32 + 1)
    }
}

/// The flags that a register points to. `begins`: interrupts are turned off; `by_lock`: together with taking a lock.
pub(super) fn argument(s: &State, reg: Reg, begins: bool, by_lock: bool) -> Check<IrqCall> {
    let value = s.reg(reg);
    let arg = reg.0 - 1;
    let required = "the address of an unsigned long that is a local variable";
    let Kind::Stack { frame } = value.kind else {
        let words = format!("arg#{arg} doesn't point to an irq flag on stack");
        return refuse(Code::BadArgument, words).explain(
            required,
            format!("r{} does not point to the stack", reg.0),
            "keep the flags in a local variable",
        );
    };
    let off = value.val.as_const().map(|var| i64::from(value.off).wrapping_add(var as i64));
    let Some(off) = off.filter(|off| off % 8 == 0 && (-i64::from(limits::STACK)..0).contains(off)) else {
        let words = match off {
            Some(off) => format!("cannot pass in irq_flag at an offset={off}"),
            None => format!("R{} irq_flag has to be at a constant offset", reg.0),
        };
        return refuse(Code::BadArgument, words).explain(
            required,
            "it is not at one place that is a multiple of 8",
            "keep the flags in a local variable",
        );
    };
    let (frame, slot) = (usize::from(frame), place(off as i32).0);
    let stack = &s.frames[frame].stack;
    let call = IrqCall { frame, slot, by_lock, ends: None };
    if begins {
        if (off as i32..off as i32 + 8).all(|at| stack.byte(at) != Byte::Irq) {
            super::dynptr::may_be_destroyed(stack, off as i32, 8)?;
            return Ok(call);
        }
        return refuse(Code::BadArgument, format!("expected uninitialized irq flag as arg#{arg}")).explain(
            "a place where no flags are kept",
            "those of a section that has not ended are",
            "use another variable for the inner section",
        );
    }
    let Some(Kept::Irq(irq)) = stack.slots.get(slot).and_then(|slot| slot.kept()) else {
        return refuse(Code::BadArgument, format!("expected an initialized irq flag as arg#{arg}")).explain(
            "flags that the call that turned interrupts off has kept",
            "on this path there are none, or they were used or written over",
            "turn interrupts off on every path, and on once",
        );
    };
    if irq.by_lock != by_lock {
        let name = |lock| if lock { "lock" } else { "native" };
        let words = format!(
            "irq flag acquired by {} kfuncs cannot be restored with {} kfuncs",
            name(irq.by_lock),
            name(by_lock)
        );
        return refuse(Code::Lock, words);
    }
    match s.irqs.last() {
        Some(last) if last.id == irq.ref_id => Ok(IrqCall { ends: Some(*irq), ..call }),
        last => {
            let (id, pc) = last.map_or((0, 0), |last| (last.id, last.pc));
            let words =
                format!("cannot restore irq state out of order, expected id={id} acquired at insn_idx={pc}");
            refuse(Code::Lock, words).explain(
                "the section that was begun last ends first",
                format!("insn {pc} began another after this one"),
                "restore in the opposite order",
            )
        }
    }
}
