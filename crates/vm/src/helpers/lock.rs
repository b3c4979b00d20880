//! Spin locks in map values and objects (kernel/bpf/helpers.c, rqspinlock.c, Linux 6.18). A run holds one at most, or up to
//! 31 of those that notice deadlocks.

use alloc::sync::Arc;

use skep_maps::Map;
use skep_spec::{Errno, SPIN_LOCK_SIZE};

use super::{Args, Call};
use crate::Program;
use crate::interp::State;
use crate::trap::TrapKind;

/// Bytes of a lock.
const LOCK: u64 = SPIN_LOCK_SIZE as u64;

/// `bpf_spin_lock(lock)`: waits for it, but not for ever.
pub(super) fn spin_lock(call: &mut Call<'_, '_, '_>, [lock, ..]: Args) -> Result<u64, TrapKind> {
    if call.state.held_lock.is_some() {
        return Err(TrapKind::SecondLock);
    }
    let vcpu = call.state.vcpu;
    let own = call.program.maps().iter().find_map(|m| m.spin_lock(lock, vcpu));
    let inner = || holder(call.program, lock, vcpu)?.spin_lock(lock, vcpu);
    let object = || call.program.keeper()?.spin_lock(lock, vcpu);
    match own.or_else(inner).or_else(object) {
        None => Err(TrapKind::NotALock(lock)),
        Some(Err(_)) => Err(TrapKind::LockBusy),
        Some(Ok(())) => {
            call.state.held_lock = Some(lock);
            Ok(0)
        }
    }
}

/// `bpf_spin_unlock(lock)`.
pub(super) fn spin_unlock(call: &mut Call<'_, '_, '_>, [lock, ..]: Args) -> Result<u64, TrapKind> {
    if call.state.held_lock != Some(lock) {
        return Err(TrapKind::NotALock(lock));
    }
    release(call.program, call.state);
    Ok(0)
}

/// Gives back the lock that a program holds.
pub(crate) fn release(program: &Program, state: &mut State<'_>) {
    if let Some(lock) = state.held_lock.take() {
        let vcpu = state.vcpu;
        let own = program.maps().iter().any(|m| m.spin_unlock(lock));
        let inner = || holder(program, lock, vcpu).is_some_and(|m| m.spin_unlock(lock));
        let _given = own || inner() || program.keeper().is_some_and(|k| k.unlock(lock));
    }
}

/// Takes a lock that notices deadlocks; the error is for the program.
pub(crate) fn res_lock(call: &mut Call<'_, '_, '_>, lock: u64) -> Result<Result<(), Errno>, TrapKind> {
    let vcpu = call.state.vcpu;
    let own = call.program.maps().iter().find_map(|m| m.res_lock(lock, vcpu));
    let inner = || holder(call.program, lock, vcpu)?.res_lock(lock, vcpu);
    let object = || call.program.keeper()?.res_lock(lock, vcpu);
    let taken = own.or_else(inner).or_else(object).ok_or(TrapKind::NotALock(lock))?;
    if taken.is_ok() {
        call.state.holdings.get_or_insert_default().locks.push(lock);
    }
    Ok(taken)
}

/// Gives back such a lock, which the program holds.
pub(crate) fn res_unlock(call: &mut Call<'_, '_, '_>, lock: u64) -> Result<(), TrapKind> {
    let held = call.state.holdings.as_mut().map(|h| &mut h.locks);
    let at = held.and_then(|locks| Some((locks.iter().rposition(|l| *l == lock)?, locks)));
    let (at, locks) = at.ok_or(TrapKind::NotALock(lock))?;
    locks.swap_remove(at);
    res_release(call.program, lock, call.state.vcpu);
    Ok(())
}

/// Gives back one of those that notice deadlocks.
pub(crate) fn res_release(program: &Program, lock: u64, vcpu: u32) {
    let own = program.maps().iter().any(|m| m.res_unlock(lock));
    let inner = || holder(program, lock, vcpu).is_some_and(|m| m.res_unlock(lock));
    let _given = own || inner() || program.keeper().is_some_and(|k| k.unlock(lock));
}

/// The map, in one of the program's maps of maps, that has a lock at an address.
fn holder(program: &Program, lock: u64, vcpu: u32) -> Option<Arc<Map>> {
    program.bound.outer().iter().find_map(|m| Some(m.inner_holding(lock, LOCK, vcpu)?.0))
}
