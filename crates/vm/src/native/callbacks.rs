//! Helpers that call functions of the program back, for native code: the code itself calls the function, and asks in
//! between.

use super::Called;
use super::rt::{Pair, Parts, Rt};
use super::services::{open, pc};
use crate::callback::{self, Begin, CallBack, Next};
use crate::mem::{FRAMES, Saved};
use crate::trap::TrapKind;

/// The number of a kind.
pub(super) fn number(call: CallBack) -> u8 {
    match call {
        CallBack::Loop { wide: false } => Called::LOOP,
        CallBack::Loop { wide: true } => Called::WIDE_LOOP,
        CallBack::ForEach => Called::FOR_EACH,
        CallBack::Drain => Called::DRAIN,
        CallBack::TreeAdd => Called::TREE_ADD,
    }
}

/// The kind of a number.
fn kind(number: u8) -> Option<CallBack> {
    let all = [
        CallBack::Loop { wide: false },
        CallBack::Loop { wide: true },
        CallBack::ForEach,
        CallBack::Drain,
        CallBack::TreeAdd,
    ];
    all.get(usize::from(number)).copied()
}

/// What call chains are told of a caller.
fn saved(pc: usize) -> Saved {
    Saved { pc: pc + 1, callee_saved: [0; 4], entry: 0, may_goto: 0, callback: false }
}

pub(super) unsafe extern "C" fn calls(rt: *mut Rt, pc: u64, frame: u64) -> Pair {
    // SAFETY: native code calls.
    let (rt, mut parts) = unsafe { open(rt) };
    let depth = rt.depth(frame) + 1;
    if depth >= FRAMES {
        return parts.trap(pc as usize, TrapKind::CallDepth);
    }
    parts.mem.save(depth, saved(pc as usize));
    Pair::of(0)
}

pub(super) unsafe extern "C" fn begin(rt: *mut Rt, at: u64, frame: u64) -> Pair {
    // SAFETY: native code calls.
    let (rt, mut parts) = unsafe { open(rt) };
    let depth = rt.depth(frame) + 1;
    let Some(kind) = kind(at as u8).filter(|_| depth < FRAMES) else {
        return parts.trap(pc(at), TrapKind::CallDepth);
    };
    let Parts { program, mem, state } = &mut parts;
    match callback::begin(program, mem, state, kind, rt.args) {
        Err(kind) => parts.trap(pc(at), kind),
        Ok(Begin::Result(v)) => {
            rt.args[0] = v;
            Pair::of(0)
        }
        Ok(Begin::Calls { slot: _, iteration }) => {
            mem.save(depth, saved(pc(at)));
            mem.set_iteration(depth, iteration);
            go_on(rt, parts, depth, false)
        }
    }
}

pub(super) unsafe extern "C" fn next(rt: *mut Rt, returned: u64, frame: u64) -> Pair {
    // SAFETY: native code calls.
    let (rt, mut parts) = unsafe { open(rt) };
    let depth = rt.depth(frame) + 1;
    if depth >= FRAMES {
        return parts.trap(0, TrapKind::CallDepth);
    }
    go_on(rt, parts, depth, returned != 0)
}

/// The next call of the function in frame `depth`, or the helper's result.
fn go_on(rt: &mut Rt, mut parts: Parts<'_>, depth: usize, stop: bool) -> Pair {
    let Parts { program, mem, state } = &mut parts;
    match callback::next(program, mem, state, depth, stop, rt.slice) {
        Ok((step, left)) => {
            rt.slice = left;
            match step {
                Next::Call(args) => {
                    rt.args = args;
                    Pair::of(1)
                }
                Next::Result(v) => {
                    rt.args[0] = v;
                    Pair::of(0)
                }
            }
        }
        Err(kind) => {
            let pc = mem.saved(depth).pc.saturating_sub(1);
            parts.trap(pc, kind)
        }
    }
}
