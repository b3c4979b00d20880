//! Iterators on the stack.

use alloc::rc::Rc;

use super::Fresh;
use super::call::{lose_arguments, release, void};
use crate::check::IterCall;
use crate::kernel::{Element, IterStep};
use crate::program::Program;
use crate::state::{Iter, Kept, Kind, Marks, Reference, Reg, Slot, State};

/// What a call that begins or ends an iterator does; one that advances it has two outcomes ([`advance`]).
pub(super) fn call(p: &Program<'_>, s: &mut State, pc: usize, call: &IterCall, fresh: &mut Fresh) {
    match call.function.step {
        IterStep::New => {
            let off = -8 * (call.first as i32 + 1);
            s.destroy_dynptrs(call.frame, off, 8 * call.function.slots, &void(p));
            begin(s, pc, call, fresh);
        }
        IterStep::Destroy => end(p, s, call),
        IterStep::Next => {}
    }
    lose_arguments(s);
    if call.function.step == IterStep::New {
        s.set(skep_isa::Reg::R0, Reg::unknown());
    }
}

fn slots<'s>(s: &'s mut State, call: &IterCall) -> impl Iterator<Item = &'s mut Slot> {
    let last = (call.first + 1).saturating_sub(call.function.slots);
    let stack = &mut s.frame_at_mut(call.frame).stack;
    stack.grow(-8 * (call.first as i32 + 1));
    stack.slots[last..=call.first].iter_mut().rev()
}

fn begin(s: &mut State, pc: usize, call: &IterCall, fresh: &mut Fresh) {
    let id = fresh.id();
    s.refs.push(Reference { id, pc });
    for (i, slot) in slots(s, call).enumerate() {
        *slot = Slot::keeping(Kept::Iter(Iter {
            id: call.function.id,
            name: Rc::clone(&call.function.name),
            ref_id: if i == 0 { id } else { 0 },
            drained: false,
            depth: 0,
            marks: call.marks,
        }));
    }
}

fn end(p: &Program<'_>, s: &mut State, call: &IterCall) {
    if let Some(iter) = &call.iter {
        release(p, s, iter.ref_id);
    }
    for slot in slots(s, call) {
        *slot = Slot::INVALID;
    }
}

/// The iterator has given an element, or says that there is none more.
pub(crate) fn advance(s: &mut State, call: &IterCall, gives: bool, fresh: &mut Fresh) {
    lose_arguments(s);
    let (Some(before), Some(element)) = (&call.iter, call.function.element) else { return };
    let first = &mut s.frame_at_mut(call.frame).stack.slots[call.first];
    // Linux follows what the first slot says.
    *first = Slot::keeping(Kept::Iter(Iter {
        drained: !gives,
        depth: before.depth + u32::from(gives),
        ..before.clone()
    }));
    if !gives {
        s.set(skep_isa::Reg::R0, Reg::scalar(crate::domain::Scalar::known(0)));
        return;
    }
    let mut r0 = Reg::pointer(match element {
        Element::Mem(size) => Kind::Mem { size, ringbuf: false, writable: false },
        Element::Object(id) => {
            let marks = if before.marks.has(Marks::RCU) { Marks::RCU } else { Marks::TRUSTED };
            Kind::Btf { id, marks }
        }
    });
    r0.id = fresh.id();
    if let Element::Mem(_) = element {
        r0.ref_id = before.ref_id;
    }
    s.set(skep_isa::Reg::R0, r0);
}
