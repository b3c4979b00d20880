//! Spin locks in map values (kernel/bpf/helpers.c). A run holds one at most.

use alloc::sync::Arc;

use skep_maps::Map;
use skep_spec::SPIN_LOCK_SIZE;

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
    match own.or_else(|| holder(call.program, lock, vcpu)?.spin_lock(lock, vcpu)) {
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
        let _given = own || holder(program, lock, vcpu).is_some_and(|m| m.spin_unlock(lock));
    }
}

/// The map, in one of the program's maps of maps, that has a lock at an address.
fn holder(program: &Program, lock: u64, vcpu: u32) -> Option<Arc<Map>> {
    program.bound.outer().iter().find_map(|m| Some(m.inner_holding(lock, LOCK, vcpu)?.0))
}
