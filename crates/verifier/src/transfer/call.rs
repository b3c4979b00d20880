//! Calls and returns.

use alloc::rc::Rc;
use alloc::vec;

use skep_abi::{KfuncEffect, Undisturbed};
use skep_isa::Reg as R;
use skep_spec::FieldKind;

use super::Fresh;
use crate::check::Facts;
use crate::contract::{self, Callback, CallbackArgs, Later, LockChange, Returned};
use crate::domain::{Scalar, Tnum};
use crate::program::Program;
use crate::signature::Param;
use crate::state::{Byte, DynptrType, Frame, Kept, Kind, Marks, Reference, Reg, State};

pub(super) fn lose_arguments(s: &mut State) {
    for r in 0..=5 {
        s.set(R(r), Reg::NOT_INIT);
    }
}

pub(super) fn legacy_load(s: &mut State) {
    lose_arguments(s);
    s.set(R::R0, Reg::unknown());
}

/// What is left of a pointer to something that may be gone: a number, for those who may see addresses.
pub(super) fn void(p: &Program<'_>) -> Reg {
    if p.may_leak() { Reg::unknown() } else { Reg::NOT_INIT }
}

/// The packet may have changed: nothing points into it any more.
fn void_packet(p: &Program<'_>, s: &mut State) {
    let void = void(p);
    s.for_each_reg(|r| {
        if r.kind.is_packet_any() || matches!(r.kind, Kind::Slice { packet: true, .. }) {
            *r = void.clone();
        }
    });
}

/// Ends a reference: what stands for it is gone.
pub(super) fn release(p: &Program<'_>, s: &mut State, id: u32) {
    s.refs.retain(|r| r.id != id);
    let void = void(p);
    s.for_each_reg(|r| {
        if r.ref_id == id {
            *r = void.clone();
        }
    });
}

pub(super) fn helper(p: &Program<'_>, s: &mut State, pc: usize, facts: &Facts, fresh: &mut Fresh) {
    let Some(call) = &facts.helper else { return };
    for w in &call.stack_writes {
        let stack = &mut s.frame_at_mut(w.frame).stack;
        match w.whole {
            true => stack.write(w.off, w.len, Byte::Misc),
            false => stack.smear(w.off, w.len, false),
        }
    }
    if let Some(id) = call.releases {
        if call.per_cpu_stays {
            s.for_each_reg(|r| {
                if let Kind::Local { marks, .. } = &mut r.kind
                    && marks.has(Marks::PER_CPU)
                    && r.ref_id == id
                {
                    *marks = marks.without(Marks::ALLOC).with(Marks::RCU);
                    r.ref_id = 0;
                }
            });
        }
        release(p, s, id);
    }
    if let Some(id) = call.gives_away {
        s.refs.retain(|r| r.id != id);
        s.for_each_reg(|r| {
            if r.ref_id == id {
                r.ref_id = 0;
                not_owned(p, r);
            }
        });
    }
    if let Some(change) = call.dynptr {
        super::dynptr::change(s, pc, change, &void(p), fresh);
    }
    match call.lock {
        Some(LockChange::Take(lock)) => s.locks.push(lock),
        Some(LockChange::Give) => {
            s.locks.pop();
            let void = void(p);
            s.for_each_reg(|r| {
                if matches!(r.kind, Kind::Local { marks, .. } if marks.has(Marks::NON_OWNING)) {
                    *r = void.clone();
                }
            });
            // Linux 6.18 forgets that.
            if !p.in_rcu(s) {
                may_go(s);
            }
        }
        None => {}
    }
    let map_uid = match (call.ret, s.reg(R(1))) {
        (Returned::MapValue { .. }, map) if matches!(map.kind, Kind::Map(_)) => map.map_uid,
        _ => 0,
    };
    lose_arguments(s);
    if call.changes_packet {
        void_packet(p, s);
    }
    let mut r0 = match call.ret {
        Returned::Void => Reg::NOT_INIT,
        Returned::Integer => Reg::unknown(),
        Returned::Within(min, max) => Scalar::from_signed(min, max).map_or_else(Reg::unknown, Reg::scalar),
        Returned::MapValue { map, nullable: true } => Reg::pointer_or_null(Kind::MapValue(map), fresh.id()),
        Returned::MapValue { map, nullable: false } => value(p, map, fresh),
        Returned::Object { id, marks, nullable: true } => {
            Reg::pointer_or_null(Kind::Btf { id, marks }, fresh.id())
        }
        Returned::Object { id, marks, nullable: false } => Reg::pointer(Kind::Btf { id, marks }),
        Returned::Local { id, marks, off, nullable } => {
            let mut reg = Reg::pointer(Kind::Local { id, marks });
            (reg.off, reg.nullable) = (off, nullable);
            if nullable || p.may_have_lock(&reg) {
                reg.id = fresh.id();
            }
            reg
        }
        Returned::Sock(sock) => Reg::pointer_or_null(Kind::Sock(sock), fresh.id()),
        Returned::Slice { size, dynptr, ref_id, writable, packet, stays } => {
            let mut reg =
                Reg::pointer_or_null(Kind::Slice { size, dynptr, writable, packet, stays }, fresh.id());
            reg.ref_id = ref_id;
            reg
        }
        Returned::Memory { size, writable, nullable } => {
            let kind = Kind::Mem { size, ringbuf: false, writable };
            match nullable {
                true => Reg::pointer_or_null(kind, fresh.id()),
                false => Reg::pointer(kind),
            }
        }
        Returned::Probed => Reg::pointer(Kind::Probed),
        Returned::Record { size } => {
            Reg::pointer_or_null(Kind::Mem { size, ringbuf: true, writable: true }, fresh.id())
        }
    };
    r0.map_uid = map_uid;
    if call.derived_from != 0 {
        r0.ref_id = call.derived_from;
    }
    if call.acquires {
        let id = fresh.id();
        s.refs.push(Reference { id, pc });
        if r0.nullable {
            r0.id = id;
        }
        r0.ref_id = id;
    }
    s.set(R::R0, r0);
}

/// Another owns the object, while the lock is held; one whose owners are counted stays a while longer
/// (`ref_set_non_owning`).
fn not_owned(p: &Program<'_>, reg: &mut Reg) {
    let Kind::Local { id, marks } = &mut reg.kind else { return };
    *marks = marks.with(Marks::NON_OWNING);
    if p.object_fields(*id).is_some_and(|f| f.has(FieldKind::Refcount)) {
        *marks = marks.with(Marks::RCU);
    }
}

/// What was only known to stay as long as nothing goes away may be gone.
fn may_go(s: &mut State) {
    s.for_each_reg(|r| {
        if let Kind::Btf { marks, .. } | Kind::Local { marks, .. } = &mut r.kind
            && marks.has(Marks::RCU)
        {
            *marks = marks.without(Marks::RCU).with(Marks::UNTRUSTED);
            r.nullable = false;
        }
    });
    s.for_each_kept(|kept| {
        if let Kept::Iter(iter) = kept
            && iter.marks.has(Marks::RCU)
        {
            iter.marks = Marks::UNTRUSTED;
        }
    });
}

/// A call of a function of the kernel. What was only known to stay during a section may be gone behind it.
pub(super) fn kfunc(p: &Program<'_>, s: &mut State, pc: usize, facts: &Facts, fresh: &mut Fresh) {
    helper(p, s, pc, facts, fresh);
    match facts.kfunc {
        Some(KfuncEffect::Enters(Undisturbed::Rcu)) => s.sections.rcu = true,
        Some(KfuncEffect::Enters(Undisturbed::Preemption)) => s.sections.preempt += 1,
        Some(KfuncEffect::Leaves(Undisturbed::Preemption)) => s.sections.preempt -= 1,
        Some(KfuncEffect::Leaves(Undisturbed::Rcu)) => {
            s.sections.rcu = false;
            may_go(s);
        }
        // The flags' place on the stack says more.
        Some(KfuncEffect::Enters(Undisturbed::Interrupts) | KfuncEffect::Leaves(Undisturbed::Interrupts)) => {
        }
        Some(
            KfuncEffect::None
            | KfuncEffect::CastsContext
            | KfuncEffect::CastsReadOnly
            | KfuncEffect::SessionCookie
            | KfuncEffect::TakesLock
            | KfuncEffect::GivesLock
            | KfuncEffect::Traps
            | KfuncEffect::Throws
            | KfuncEffect::NeedsDevice,
        )
        | None => {}
    }
}

/// The lock was not taken: `r0` is an error. Linux 6.18 takes its high half for copies of the sign, but the function
/// returns 32 bits.
pub(crate) fn lock_fails(s: &mut State) {
    lose_arguments(s);
    let failed = (-contract::MAX_ERRNO as i32, -1);
    let (any, signed) = ((0, u64::MAX), (i64::MIN, i64::MAX));
    let r0 = Scalar::from_all_parts(Tnum::UNKNOWN, any, signed, (0, u32::MAX), failed);
    s.set(R::R0, r0.map_or_else(Reg::unknown, Reg::scalar));
}

/// A pointer to a map's value, told apart from those to others if it has a lock.
fn value(p: &Program<'_>, map: u16, fresh: &mut Fresh) -> Reg {
    let mut reg = Reg::pointer(Kind::MapValue(map));
    if p.may_have_lock(&reg) {
        reg.id = fresh.id();
    }
    reg
}

/// Enters a function of the program: a new frame with the arguments.
pub(crate) fn enter(s: &mut State, pc: usize, subprog: usize) {
    let mut callee = Frame::new(s.frames.len() as u8, pc, subprog);
    callee.regs[1..=5].clone_from_slice(&s.frame().regs[1..=5]);
    lose_arguments(s);
    s.frames.push(Rc::new(callee));
}

/// Enters a function that the helper at `pc` calls back. The caller keeps its registers as they were before
/// the call, where the callback returns to.
pub(crate) fn call_back(p: &Program<'_>, s: &mut State, pc: usize, callback: Callback, fresh: &mut Fresh) {
    let caller = s.frame();
    let mut callee = Frame::new(s.frames.len() as u8, pc, callback.subprog.into());
    callee.callback = true;
    match callback.args {
        CallbackArgs::Loop { .. } => {
            callee.regs[1] = Reg::unknown();
            callee.regs[2] = caller.regs[3].clone();
        }
        CallbackArgs::Sample => {
            callee.regs[1] = given_dynptr(fresh);
            callee.regs[2] = caller.regs[3].clone();
        }
        CallbackArgs::MapElem { map } => {
            callee.regs[1] = caller.regs[1].clone();
            callee.regs[2] = Reg::pointer(Kind::MapKey(map));
            callee.regs[3] = value(p, map, fresh);
            // Linux 6.18 forgets which map in a map of maps it is: nothing there can be made ready.
            if callee.regs[1].map_uid != 0 {
                callee.regs[3].map_uid = fresh.id();
            }
            callee.regs[4] = caller.regs[3].clone();
        }
        CallbackArgs::Vma { id } => {
            callee.regs[1] = caller.regs[1].clone();
            callee.regs[2] = Reg::pointer(Kind::Btf { id, marks: Marks::NONE });
            callee.regs[3] = caller.regs[4].clone();
        }
        CallbackArgs::Less { id, off } => {
            let mut member = Reg::pointer(Kind::Local { id, marks: Marks::ALLOC });
            member.off = off;
            not_owned(p, &mut member);
            callee.regs[1] = member.clone();
            callee.regs[2] = member;
        }
        // Not called now: see `call_later`.
        CallbackArgs::Later(_) => {}
    }
    s.frame_mut().callback_depth += 1;
    s.callbacks += 1;
    s.frames.push(Rc::new(callee));
}

/// The entry of a function that a timer or a work queue calls at another time: with nothing of the state that it was
/// set in (`push_async_cb`, `set_timer_callback_state`).
pub(crate) fn call_later(
    p: &Program<'_>,
    setter: &State,
    subprog: u16,
    later: Later,
    fresh: &mut Fresh,
) -> State {
    let mut s = State::entry();
    let mut frame = Frame::new(0, 0, subprog.into());
    frame.later = setter.frames[0].later + 1;
    frame.any_result = later.any_result;
    frame.regs[1] = Reg::pointer(Kind::Map(later.map));
    frame.regs[2] = Reg::pointer(Kind::MapKey(later.map));
    frame.regs[3] = value(p, later.map, fresh);
    s.frames = vec![Rc::new(frame)];
    s.sleeps = later.sleeps;
    s
}

/// A dynptr that the function only uses (`mark_dynptr_cb_reg`).
fn given_dynptr(fresh: &mut Fresh) -> Reg {
    let mut reg = Reg::pointer(Kind::Dynptr(DynptrType::Local));
    reg.id = fresh.id();
    reg
}

/// The entry of a global function that is verified on its own: any arguments that it takes.
pub(crate) fn global_entry(subprog: usize, params: &[Param], fresh: &mut Fresh) -> State {
    let mut s = State::entry();
    let mut frame = Frame::new(0, 0, subprog);
    for (reg, param) in frame.regs[1..].iter_mut().zip(params) {
        *reg = match *param {
            Param::Number | Param::Arena => Reg::unknown(),
            Param::Ctx => Reg::pointer(Kind::Ctx),
            Param::Dynptr => given_dynptr(fresh),
            Param::Object { id, nullable } => {
                let kind = Kind::Btf { id, marks: Marks::TRUSTED };
                if nullable { Reg::pointer_or_null(kind, fresh.id()) } else { Reg::pointer(kind) }
            }
            Param::Untrusted { id } => Reg::pointer(Kind::Btf { id, marks: Marks::UNTRUSTED }),
            Param::Probed => Reg::pointer(Kind::Probed),
            Param::Mem { size, nullable: true } => {
                Reg::pointer_or_null(Kind::Mem { size, ringbuf: false, writable: true }, fresh.id())
            }
            Param::Mem { size, nullable: false } => {
                Reg::pointer(Kind::Mem { size, ringbuf: false, writable: true })
            }
        };
    }
    s.frames = vec![Rc::new(frame)];
    s
}

/// How a function was left.
pub(crate) enum Left {
    /// Its caller goes on behind this call.
    Called(usize),
    /// The helper called here may call back again.
    CalledBack(usize),
}

/// Leaves the running function.
pub(crate) fn leave(s: &mut State) -> Option<Left> {
    let callee = s.frames.pop()?;
    if callee.callback {
        return Some(Left::CalledBack(callee.callsite));
    }
    s.set(R::R0, callee.regs[0].clone());
    Some(Left::Called(callee.callsite))
}

/// Leaves the running function by a tail call: another program runs in its place and returns to its caller, with any
/// number, after having done anything to the packet. Gives the call that the caller goes on behind.
pub(crate) fn leave_by_tail_call(p: &Program<'_>, s: &mut State) -> Option<usize> {
    let callee = s.frames.pop()?;
    void_packet(p, s);
    s.set(R::R0, Reg::unknown());
    Some(callee.callsite)
}
