//! What native code asks for.

use skep_isa::{Op, Size};

use super::rt::{Pair, Parts, Rt, STEPS, THROWN};
use super::{callbacks, tail};
use crate::arena;
use crate::helpers::{self, Call, Place, StackHelper};
use crate::interp;
use crate::mem::Mem;
use crate::trap::TrapKind;

/// The functions that native code calls. Each has the C calling convention; numbers are 64 bits. `at` is the calling
/// instruction's slot and a small number, as [`at`] puts them together: traps name the slot. `frame` is the calling
/// function's `r10`.
///
/// Unless [`Pair::stop`] is 0 the calling function returns at once with it.
#[derive(Clone, Copy, Debug)]
pub struct Services {
    /// `(rt, at)`: calls the body in slot `at & 0xffff` of the table with [`Rt::args`], of which those count that its prototype
    /// has. Gives `r0`.
    pub helper: unsafe extern "C" fn(*mut Rt, u64) -> Pair,
    /// `(rt, map, key, pc)`: `bpf_map_lookup_elem`. Gives `r0`.
    pub lookup: unsafe extern "C" fn(*mut Rt, u64, u64, u64) -> Pair,
    /// `(rt, at, frame)`: `bpf_get_stackid` (number 0) or `bpf_get_stack` (1) with [`Rt::args`]. Gives `r0`.
    pub stack: unsafe extern "C" fn(*mut Rt, u64, u64) -> Pair,
    /// `(rt, pc, frame)`: the function is about to call another of the program. Only for programs that ask for
    /// [`Self::stack`] in other functions than the main one; calls back are noted already.
    pub calls: unsafe extern "C" fn(*mut Rt, u64, u64) -> Pair,
    /// `(rt, at, frame)`: starts a call back of the kind of that number ([`super::Called::CallBack`]) with [`Rt::args`]. Gives 1
    /// when the function is to be called with [`Rt::args`], in the frame below; 0 when the first of these is the helper's
    /// result.
    pub call_back_begin: unsafe extern "C" fn(*mut Rt, u64, u64) -> Pair,
    /// `(rt, returned, frame)`: goes on with it, after the function has returned. As [`Self::call_back_begin`].
    pub call_back_next: unsafe extern "C" fn(*mut Rt, u64, u64) -> Pair,
    /// `(rt, at, off)`: a legacy packet load of so many bytes at an offset (sign-extended from 32 bits). Gives 1 when
    /// the first of [`Rt::args`] is the number, 0 when the function is to return 0.
    pub packet_load: unsafe extern "C" fn(*mut Rt, u64, u64) -> Pair,
    /// `(rt, addr, at)`: a load of so many bytes that is no plain one. Gives them, zero-extended.
    pub load_elsewhere: unsafe extern "C" fn(*mut Rt, u64, u64) -> Pair,
    /// `(rt, addr, at, value)`: a store of so many bytes that is no plain one.
    pub store_elsewhere: unsafe extern "C" fn(*mut Rt, u64, u64, u64) -> Pair,
    /// `(rt, index, base, src, r0)`: the arena access of that number ([`super::Binding::arena_access`]), with the contents of its
    /// base register, its source register (a constant it has itself) and `r0` as far as it reads it. Gives what the register
    /// holds then that it writes (`dst` of a load, `src` of an atomic fetch, `r0` of a compare-exchange).
    pub arena: unsafe extern "C" fn(*mut Rt, u64, u64, u64, u64) -> Pair,
    /// `(rt, addr)`: a cast of an address from address space 0 to 1.
    pub cast_user: unsafe extern "C" fn(*mut Rt, u64) -> Pair,
    /// `(rt, ctx, map, index, frame, pc)`: `bpf_tail_call`. From the main function there is a shorter way: where the slot of the
    /// map holds the id of one of [`Rt::links`], and [`Rt::tail_calls`] is below [`MAX_TAIL_CALLS`](crate::MAX_TAIL_CALLS), that is
    /// raised, [`Rt::program`] becomes the link's, and its code is jumped to. Gives 0 when the function goes on, with the first of [`Rt::args`]
    /// as `r0`; 1 when it returns that; else where to jump to ([`super::Code::jump`]) with `rt`, the frame and `ctx`, the
    /// function's own frame on the machine's stack being gone.
    pub tail_call: unsafe extern "C" fn(*mut Rt, u64, u64, u64, u64, u64) -> Pair,
    /// `(rt, pc)`: whether the run may go on; asked when [`Rt::steps`] are used up, which it fills up again.
    pub tick: unsafe extern "C" fn(*mut Rt, u64) -> Pair,
    /// `(rt, cookie)`: `bpf_throw`.
    pub throw: unsafe extern "C" fn(*mut Rt, u64) -> Pair,
    /// `(rt, addr, at)`: whether so many bytes may be loaded, or with [`WRITE`] added to the number stored. For code that
    /// checks what was proved.
    pub check: unsafe extern "C" fn(*mut Rt, u64, u64) -> Pair,
}

/// Added to the number of [`Services::check`]: a store.
pub const WRITE: u16 = 1 << 15;

/// A slot and a small number in one.
pub const fn at(pc: u32, number: u16) -> u64 {
    (pc as u64) << 16 | number as u64
}

/// The slot of an [`at`].
#[inline(always)]
pub(super) const fn pc(at: u64) -> usize {
    (at >> 16) as usize
}

/// The functions.
pub fn services() -> &'static Services {
    static SERVICES: Services = Services {
        helper,
        lookup,
        stack,
        calls: callbacks::calls,
        call_back_begin: callbacks::begin,
        call_back_next: callbacks::next,
        packet_load,
        load_elsewhere,
        store_elsewhere,
        arena: arena_access,
        cast_user,
        tail_call: tail::tail_call,
        tick,
        throw,
        check,
    };
    &SERVICES
}

/// What a service works on.
///
/// # Safety
/// Native code calls, in a run that [`super::run`] began, with the `rt` that it was given.
#[inline(always)]
pub(super) unsafe fn open<'r>(rt: *mut Rt) -> (&'r mut Rt, Parts<'r>) {
    // SAFETY: native code has `rt` from `super::run`, whose `Rt` lives while it runs and which does not touch it
    // meanwhile; native code itself runs on only when the service has returned. So nobody else uses what it points to,
    // which `Rt::parts` asks for, too.
    unsafe {
        let rt = &mut *rt;
        rt.catch_up();
        let parts = rt.parts();
        (rt, parts)
    }
}

unsafe extern "C" fn helper(rt: *mut Rt, at: u64) -> Pair {
    // SAFETY: native code calls.
    let (rt, mut parts) = unsafe { open(rt) };
    // Loops over iterators have no other place to look.
    match rt.steps.checked_sub(1) {
        Some(left) => rt.steps = left,
        None => {
            rt.steps = STEPS;
            if parts.state.is_over() {
                return parts.trap(pc(at), TrapKind::Deadline);
            }
        }
    }
    let Parts { program, mem, state } = &mut parts;
    let result = helpers::call(at as u16, &mut Call { program, mem, state }, rt.args);
    rt.refresh(mem, state);
    parts.give(pc(at), result)
}

unsafe extern "C" fn lookup(rt: *mut Rt, map: u64, key: u64, pc: u64) -> Pair {
    // SAFETY: native code calls.
    let (_, mut parts) = unsafe { open(rt) };
    let Parts { program, mem, state } = &mut parts;
    if let Some(value) = helpers::lookup_in_array(program, mem, map, key) {
        return Pair::of(value);
    }
    let result = helpers::lookup(program, mem, state.vcpu, map, key);
    parts.give(pc as usize, result)
}

unsafe extern "C" fn stack(rt: *mut Rt, at: u64, frame: u64) -> Pair {
    // SAFETY: native code calls.
    let (rt, mut parts) = unsafe { open(rt) };
    let helper = if at as u16 == 0 { StackHelper::GetStackid } else { StackHelper::GetStack };
    let place = Place { pc: pc(at), depth: rt.depth(frame), base: rt.base };
    let Parts { program, mem, state } = &mut parts;
    let result = helpers::stack(helper, &mut Call { program, mem, state }, place, rt.args);
    parts.give(pc(at), result)
}

/// The size that a number stands for: 1, 2, 4 or 8 bytes.
fn size(number: u64) -> Size {
    match number as u16 & !WRITE {
        1 => Size::B,
        2 => Size::H,
        4 => Size::W,
        _ => Size::DW,
    }
}

unsafe extern "C" fn packet_load(rt: *mut Rt, at: u64, off: u64) -> Pair {
    // SAFETY: native code calls.
    let (rt, mut parts) = unsafe { open(rt) };
    let Parts { program, mem, state } = &mut parts;
    let (size, off) = (size(at), off as i32);
    let found = match interp::load_packet_forward(program, mem, state, size, off) {
        Some(v) => Ok(Some(v)),
        None => interp::load_packet(program, mem, state, size, off),
    };
    match found {
        Ok(Some(v)) => {
            rt.args[0] = v;
            Pair::of(1)
        }
        Ok(None) => Pair::of(0),
        Err(kind) => parts.trap(pc(at), kind),
    }
}

unsafe extern "C" fn load_elsewhere(rt: *mut Rt, addr: u64, at: u64) -> Pair {
    // SAFETY: native code calls.
    let (_, mut parts) = unsafe { open(rt) };
    let Parts { program, mem, state } = &mut parts;
    let size = size(at);
    let granted = match size {
        Size::B => mem.load::<u8>(addr),
        Size::H => mem.load::<u16>(addr),
        Size::W => mem.load::<u32>(addr),
        Size::DW => mem.load::<u64>(addr),
    };
    let result = granted.map_or_else(|| interp::load_elsewhere(program, mem, state, addr, size), Ok);
    parts.give(pc(at), result)
}

unsafe extern "C" fn store_elsewhere(rt: *mut Rt, addr: u64, at: u64, value: u64) -> Pair {
    // SAFETY: native code calls.
    let (_, mut parts) = unsafe { open(rt) };
    let Parts { program, mem, state: _ } = &mut parts;
    let size = size(at);
    let granted = match size {
        Size::B => mem.store::<u8>(addr, value),
        Size::H => mem.store::<u16>(addr, value),
        Size::W => mem.store::<u32>(addr, value),
        Size::DW => mem.store::<u64>(addr, value),
    };
    let result = granted.map_or_else(|| interp::store_elsewhere(program, mem, addr, size, value), Ok);
    parts.give(pc(at), result.map(|()| 0))
}

unsafe extern "C" fn arena_access(rt: *mut Rt, index: u64, base: u64, src: u64, r0: u64) -> Pair {
    // SAFETY: native code calls.
    let (_, mut parts) = unsafe { open(rt) };
    let program = parts.program;
    let pc = program.arena_slot(index as usize);
    let Some(op) = program.arena_ops.get(index as usize) else { return parts.trap(pc, TrapKind::NoArena) };
    let mut regs = [0; 16];
    regs[0] = r0;
    // The base last: where one register is two of them, and `r0` is not read, it holds what these say.
    let written = match *op {
        Op::Load { dst, src: at, .. } | Op::LoadAcquire { dst, src: at, .. } => {
            regs[at.index() & 15] = base;
            dst.index()
        }
        Op::Store { dst, src: value, .. } => {
            if let skep_isa::Operand::Reg(value) = value {
                regs[value.index() & 15] = src;
            }
            regs[dst.index() & 15] = base;
            0
        }
        Op::StoreRelease { dst, src: value, .. } => {
            regs[value.index() & 15] = src;
            regs[dst.index() & 15] = base;
            0
        }
        Op::Atomic { op, dst, src: value, .. } => {
            regs[value.index() & 15] = src;
            regs[dst.index() & 15] = base;
            if op == skep_isa::AtomicOp::Cmpxchg { 0 } else { value.index() }
        }
        _ => return parts.trap(pc, TrapKind::NoArena),
    };
    let result = arena::access(program, &mut regs, index as u32);
    parts.give(pc, result.map(|()| regs[written & 15]))
}

unsafe extern "C" fn cast_user(rt: *mut Rt, addr: u64) -> Pair {
    // SAFETY: native code calls.
    let (_, parts) = unsafe { open(rt) };
    Pair::of(parts.program.arena().map_or(0, |arena| arena.to_host(addr)))
}

unsafe extern "C" fn tick(rt: *mut Rt, pc: u64) -> Pair {
    // SAFETY: native code calls.
    let (rt, mut parts) = unsafe { open(rt) };
    rt.steps = STEPS;
    match parts.state.is_over() {
        false => Pair::of(0),
        true => parts.trap(pc as usize, TrapKind::Deadline),
    }
}

unsafe extern "C" fn throw(rt: *mut Rt, cookie: u64) -> Pair {
    // SAFETY: native code calls.
    let (rt, _) = unsafe { open(rt) };
    rt.cookie = cookie;
    Pair { value: cookie, stop: THROWN }
}

unsafe extern "C" fn check(rt: *mut Rt, addr: u64, at: u64) -> Pair {
    // SAFETY: native code calls.
    let (_, mut parts) = unsafe { open(rt) };
    let (size, write) = (size(at).bytes() as u64, at as u16 & WRITE != 0);
    match parts.mem.may_access(addr, size, write) {
        true => Pair::of(0),
        false => {
            let fault = Mem::fault(parts.mem, addr, size, write);
            parts.trap(pc(at), TrapKind::Memory(fault))
        }
    }
}
