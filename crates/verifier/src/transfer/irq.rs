//! Sections without interrupts.

use super::Fresh;
use super::call::{lose_arguments, void};
use crate::check::IrqCall;
use crate::program::Program;
use crate::state::{Irq, Kept, Reference, Slot, State};

/// Begins a section, or ends the last one.
pub(super) fn call(p: &Program<'_>, s: &mut State, pc: usize, call: IrqCall, fresh: &mut Fresh) {
    s.destroy_dynptrs(call.frame, call.off(), 8, &void(p));
    let kept = match call.ends {
        Some(irq) => {
            s.irqs.retain(|r| r.id != irq.ref_id);
            Slot::INVALID
        }
        None => {
            let id = fresh.id();
            s.irqs.push(Reference { id, pc });
            Slot::keeping(Kept::Irq(Irq { ref_id: id, by_lock: call.by_lock }))
        }
    };
    let stack = &mut s.frame_at_mut(call.frame).stack;
    stack.grow(call.off());
    stack.slots[call.slot] = kept;
    lose_arguments(s);
}
