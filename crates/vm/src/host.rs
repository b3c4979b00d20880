//! What a program can learn from outside, behind one seam: a test fixes it, a recording replays it.

use alloc::sync::Arc;

use crate::Program;
use crate::helpers::embedder::HelperCall;
use crate::trap::TrapKind;

/// The world outside the virtual machine.
///
/// Called on the run path: implementations must not allocate or take locks that a caller of `run` may hold.
pub trait Host {
    /// Nanoseconds since boot without time in suspend (`CLOCK_MONOTONIC`).
    fn ktime_ns(&self) -> u64;
    /// Nanoseconds since boot with time in suspend (`CLOCK_BOOTTIME`).
    fn boot_ns(&self) -> u64;
    /// A pseudo-random number.
    fn prandom_u32(&self) -> u32;
    /// What `bpf_get_smp_processor_id` gives on virtual CPU `vcpu`: itself, unless a replay knows better.
    fn processor_id(&self, vcpu: u32) -> u32;
    /// Takes a line of `bpf_trace_printk`, without its final newline if it had one.
    fn printk(&self, line: &[u8]);
    /// Runs the body of an embedder's helper, of an id from [`EMBEDDER_HELPERS`](crate::EMBEDDER_HELPERS) on; `None`
    /// when there is no such helper.
    fn call_helper(&self, id: u32, call: &mut HelperCall<'_, '_, '_, '_>) -> Option<Result<u64, TrapKind>> {
        let _ = (id, call);
        None
    }
}

/// Finds the programs that tail calls lead to.
pub trait Programs {
    /// The loaded program of an id, as program-array slots hold it.
    fn program(&self, id: u32) -> Option<Arc<Program>>;
}

/// No programs: every tail call falls through.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPrograms;

impl Programs for NoPrograms {
    fn program(&self, _: u32) -> Option<Arc<Program>> {
        None
    }
}

/// A host where nothing happens: the clock stands, every random number is 0, lines are dropped.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullHost;

impl Host for NullHost {
    fn ktime_ns(&self) -> u64 {
        0
    }

    fn boot_ns(&self) -> u64 {
        0
    }

    fn prandom_u32(&self) -> u32 {
        0
    }

    fn processor_id(&self, vcpu: u32) -> u32 {
        vcpu
    }

    fn printk(&self, _: &[u8]) {}
}
