//! Spin locks in map values (kernel/bpf/helpers.c). A run holds one at most.

use super::{Args, Call};
use crate::Program;
use crate::interp::State;
use crate::trap::TrapKind;

/// `bpf_spin_lock(lock)`: waits for it, but not for ever.
pub(super) fn spin_lock(call: &mut Call<'_, '_, '_>, [lock, ..]: Args) -> Result<u64, TrapKind> {
    if call.state.held_lock.is_some() {
        return Err(TrapKind::SecondLock);
    }
    let vcpu = call.state.vcpu;
    match call.program.maps().iter().find_map(|m| m.spin_lock(lock, vcpu)) {
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
        program.maps().iter().any(|m| m.spin_unlock(lock));
    }
}
