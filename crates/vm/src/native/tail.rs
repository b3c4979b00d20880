//! Tail calls of native code.
//!
//! From a program's main function one is a jump: the program is left, the other entered, and the code goes on there in
//! the same frame. From another function it is a call, as in the interpreter, since that function's caller goes on
//! afterwards; and so is one to a program that has to be interpreted.
//!
//! This is the long way. A program that a run has gone on with so becomes a [`Link`](super::Link), and later tail calls to
//! it are a few loads and a jump in the code itself. What a program leaves open nobody has to look for then: the verifier lets
//! none make a tail call with a lock, a reference or a record.

use super::rt::{Pair, Parts, Rt, TRAPPED};
use super::run::ready;
use super::services::open;
use crate::interp;

/// The function goes on.
const GO_ON: u64 = 0;
/// The function returns.
const RETURN: u64 = 1;

pub(super) unsafe extern "C" fn tail_call(
    rt: *mut Rt,
    ctx: u64,
    map: u64,
    index: u64,
    frame: u64,
    pc: u64,
) -> Pair {
    // SAFETY: native code calls.
    let (rt, mut parts) = unsafe { open(rt) };
    let Parts { program, mem, state } = &mut parts;
    let target = match interp::tail_call(program, state, [ctx, map, index]) {
        Ok(Some(target)) => target,
        Ok(None) => {
            rt.args[0] = 0;
            return Pair::of(GO_ON);
        }
        Err(kind) => return parts.trap(pc as usize, kind),
    };
    let depth = rt.depth(frame);
    let native = ready(&target, mem, state, depth);
    let outermost = depth == rt.base;
    if outermost {
        // SAFETY: native code calls, and nothing of the program is used from here on but its code, which is kept.
        unsafe { rt.leave() };
        if let Some(jump) = native.map(|n| n.code.jump).filter(|jump| *jump > RETURN as usize) {
            // SAFETY: as above.
            unsafe { rt.link(&target, jump) };
            rt.go_on_with(target);
            // SAFETY: as above; `run` leaves what is entered here.
            unsafe { rt.enter() };
            return Pair::of(jump as u64);
        }
    }
    // SAFETY: as above.
    let Parts { program, mem, state } = unsafe { rt.parts() };
    let Some(value) = interp::follow(&target, mem, state, ctx, depth) else {
        return Pair { value: 0, stop: TRAPPED };
    };
    if !outermost {
        mem.grant_stack();
        mem.set_ctx(program.ctx.kind);
        rt.refresh(mem, state);
    }
    rt.args[0] = value;
    Pair::of(RETURN)
}
