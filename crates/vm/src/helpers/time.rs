//! Clocks, random numbers and the CPU number: what the host says.

use super::{Args, Call};
use crate::trap::TrapKind;

/// `bpf_ktime_get_ns()`.
pub(super) fn ktime_get_ns(call: &mut Call<'_, '_, '_>, _: Args) -> Result<u64, TrapKind> {
    Ok(call.state.host.ktime_ns())
}

/// `bpf_ktime_get_boot_ns()`.
pub(super) fn ktime_get_boot_ns(call: &mut Call<'_, '_, '_>, _: Args) -> Result<u64, TrapKind> {
    Ok(call.state.host.boot_ns())
}

/// `bpf_get_prandom_u32()`.
pub(super) fn get_prandom_u32(call: &mut Call<'_, '_, '_>, _: Args) -> Result<u64, TrapKind> {
    Ok(call.state.host.prandom_u32().into())
}

/// `bpf_get_smp_processor_id()`.
pub(super) fn get_smp_processor_id(call: &mut Call<'_, '_, '_>, _: Args) -> Result<u64, TrapKind> {
    Ok(call.state.host.processor_id(call.state.vcpu).into())
}
