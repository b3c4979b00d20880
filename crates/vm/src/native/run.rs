//! Runs of native code.

use skep_maps::{Element, Key};

use super::code::{Entry, Native};
use super::rt::{Pair, Parts, RETURNED, Rt, THROWN};
use crate::Program;
use crate::interp::{self, State};
use crate::mem::{CALL_FRAMES, FRAMES, Mem};
use crate::trap::TrapKind;

/// The native code of a program, if a run in this state can use it from frame `depth` on.
#[inline]
pub(crate) fn ready<'p>(
    program: &'p Program,
    mem: &Mem<'_>,
    state: &State<'_>,
    depth: usize,
) -> Option<&'p Native> {
    let native = program.native()?;
    let lent = mem.ctx_bytes() >= native.code.ctx_bytes.max(program.ctx.need);
    let packet = match state.packet {
        Some(_) => mem.packet_writable() || !program.writes_packet(),
        None => !program.has_packet(),
    };
    // Where a tail call out of deep functions leaves too few frames, the interpreter counts them.
    let fits = depth + CALL_FRAMES <= FRAMES;
    let keys = state.flow_keys != 0 || !program.ctx.has_flow_keys;
    let there = state.may_run_native() && native.runs_on(state.vcpu);
    (there && lent && packet && keys && fits).then_some(native)
}

/// Runs native code from its main function in frame `depth`, and the programs that it tail-calls. `None` after a trap.
#[inline]
pub(crate) fn run(
    program: &Program,
    native: &Native,
    mem: &mut Mem<'_>,
    state: &mut State<'_>,
    (ctx, depth): (u64, usize),
) -> Option<u64> {
    start(program, native, mem, state, (ctx, depth), false)
}

/// As [`run`]; the first native program of a run uses the stack's links.
#[inline(always)]
fn start(
    program: &Program,
    native: &Native,
    mem: &mut Mem<'_>,
    state: &mut State<'_>,
    (ctx, depth): (u64, usize),
    first: bool,
) -> Option<u64> {
    let mut rt = Rt::new(program, mem, state, depth);
    if first && native.calls_on {
        // SAFETY: `rt` is made of `mem` and `state`, which nobody uses until it has gone; the run begins here.
        unsafe { rt.use_links() };
    }
    // SAFETY: as above; `enter` leaves.
    unsafe { rt.enter() };
    enter(&mut rt, native.code.entry, [ctx, 0, 0, 0, 0])
}

/// As [`run`], at a run's beginning.
#[inline]
pub(crate) fn run_first(
    program: &Program,
    native: &Native,
    mem: &mut Mem<'_>,
    state: &mut State<'_>,
) -> Option<u64> {
    state.begin_native();
    if state.is_over() {
        state.set_trap(program, 0, TrapKind::Deadline);
        return None;
    }
    let result = start(program, native, mem, state, (state.r1, 0), true);
    state.fuel = state.limit;
    result
}

/// The native code of a function that is entered from outside, if a run in this state can use it.
pub(crate) fn entry(program: &Program, state: &State<'_>, slot: usize) -> Option<Entry> {
    program.native().filter(|n| state.may_run_native() && n.runs_on(state.vcpu))?.function(slot)
}

/// Runs the native code of a function that a timer or work calls: see [`interp::run_callback`].
pub(crate) fn run_due(
    program: &Program,
    entry: Entry,
    mem: &mut Mem<'_>,
    state: &mut State<'_>,
    (map, key_size, element): (u64, u32, Element),
) -> Option<u64> {
    state.begin_native();
    let mut rt = Rt::new(program, mem, state, 0);
    // SAFETY: as in `run`.
    unsafe { rt.enter() };
    // SAFETY: as in `run`; native code does not run yet.
    let Parts { mem, .. } = unsafe { rt.parts() };
    let key = match element.key {
        Key::Index(index) => mem.grant_index(0, index),
        Key::At(addr) => mem.grant_key(0, addr, key_size),
    };
    let result = enter(&mut rt, entry, [map, key, element.value, 0, 0]);
    state.fuel = state.limit;
    result
}

/// Enters a function of native code, and ends the run of its program.
#[inline]
fn enter(rt: &mut Rt, entry: Entry, args: [u64; 5]) -> Option<u64> {
    let frame = rt.frame(rt.base);
    let [r1, r2, r3, r4, r5] = args;
    // SAFETY: the code belongs to the program that was entered (`Program::set_native`) and does what that does (its maker
    // has said so); the program is verified, and was given what its proof takes for granted (`ready`).
    let mut end = unsafe { entry(&raw mut *rt, frame, r1, r2, r3, r4, r5) };
    while end.stop == THROWN {
        end = caught(rt, frame);
    }
    // SAFETY: native code has returned.
    unsafe { rt.leave() };
    (end.stop == RETURNED).then_some(end.value)
}

/// Goes on where the program has said what is called when it throws, in its main function's frame.
#[cold]
fn caught(rt: &mut Rt, frame: u64) -> Pair {
    // SAFETY: native code has returned.
    let Parts { program, mem, state } = unsafe { rt.parts() };
    let (cookie, base) = (rt.cookie, rt.base);
    (base + 1..FRAMES).for_each(|depth| mem.take_key(depth));
    let Some(to) = program.thrown_to() else { return Pair::of(cookie) };
    let entry = program.native().and_then(|n| n.function(to as usize));
    match entry {
        // SAFETY: as in `enter`.
        Some(entry) => unsafe { entry(&raw mut *rt, frame, cookie, 0, 0, 0, 0) },
        None => match interp::run_function(program, mem, state, (cookie, base, to as usize)) {
            Some(v) => Pair::of(v),
            None => Pair { value: 0, stop: super::TRAPPED },
        },
    }
}
