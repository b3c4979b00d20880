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
    // The verifier has promised the program a number below the environment's CPUs.
    Ok(call.state.host.processor_id(call.state.vcpu).min(call.program.last_cpu).into())
}

/// `bpf_get_numa_node_id()`.
pub(super) fn get_numa_node_id(call: &mut Call<'_, '_, '_>, _: Args) -> Result<u64, TrapKind> {
    Ok(call.state.host.numa_node(call.state.vcpu).into())
}

/// `bpf_ktime_get_coarse_ns()`.
pub(super) fn ktime_get_coarse_ns(call: &mut Call<'_, '_, '_>, _: Args) -> Result<u64, TrapKind> {
    Ok(call.state.host.coarse_ns())
}

/// `bpf_ktime_get_tai_ns()`.
pub(super) fn ktime_get_tai_ns(call: &mut Call<'_, '_, '_>, _: Args) -> Result<u64, TrapKind> {
    Ok(call.state.host.tai_ns())
}

/// Timer ticks in a second: Linux's usual choice (`CONFIG_HZ`).
const HZ: u64 = 250;
/// What the counter begins with (`INITIAL_JIFFIES`): five minutes before 32 bits wrap.
const INITIAL_JIFFIES: u64 = (300 * HZ as u32).wrapping_neg() as u64;

/// `bpf_jiffies64()`: 250 ticks a second, counted by the coarse clock.
pub(super) fn jiffies64(call: &mut Call<'_, '_, '_>, _: Args) -> Result<u64, TrapKind> {
    Ok(INITIAL_JIFFIES + call.state.host.coarse_ns() / (1_000_000_000 / HZ))
}
