//! What programs learn from this process.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use skep_vm::{COMM_BYTES, EMBEDDER_HELPERS, HelperCall, Host, Task, TrapKind};

use crate::backend::Shared;
use crate::os;

/// The host of one run, or of runs that follow each other on one thread.
pub(crate) struct RunHost<'s> {
    shared: &'s Shared,
    /// The time that programs see instead of the system's, in nanoseconds.
    now_ns: Option<u64>,
    /// State of the generator; `None` until a program asks.
    random: Cell<Option<u64>>,
}

impl<'s> RunHost<'s> {
    pub(crate) fn new(shared: &'s Shared, now_ns: Option<u64>) -> Self {
        Self { shared, now_ns, random: Cell::new(None) }
    }
}

impl Host for RunHost<'_> {
    fn ktime_ns(&self) -> u64 {
        self.now_ns.unwrap_or_else(os::monotonic_ns)
    }

    fn boot_ns(&self) -> u64 {
        self.now_ns.unwrap_or_else(os::boot_ns)
    }

    fn coarse_ns(&self) -> u64 {
        self.now_ns.unwrap_or_else(os::coarse_ns)
    }

    fn tai_ns(&self) -> u64 {
        self.now_ns.unwrap_or_else(os::tai_ns)
    }

    fn real_ns(&self) -> u64 {
        self.now_ns.unwrap_or_else(os::real_ns)
    }

    fn task(&self) -> Task {
        os::task()
    }

    fn task_object(&self) -> skep_maps::Object {
        os::task_object()
    }

    fn uid_gid(&self) -> (u32, u32) {
        os::uid_gid()
    }

    fn comm(&self) -> [u8; COMM_BYTES] {
        os::comm()
    }

    fn cgroup_ids(&self) -> &[u64] {
        &self.shared.identity.cgroups
    }

    fn pid_namespace(&self) -> Option<(u64, u64)> {
        self.shared.identity.pid_namespace
    }

    /// SplitMix64, seeded anew for each run.
    fn prandom_u32(&self) -> u32 {
        let state =
            self.random.get().unwrap_or_else(|| self.shared.seed()).wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(Some(state));
        let a = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let b = (a ^ a >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((b ^ b >> 31) >> 32) as u32
    }

    fn processor_id(&self, vcpu: u32) -> u32 {
        vcpu
    }

    fn printk(&self, line: &[u8]) {
        self.shared.printk(line);
    }

    fn call_helper(&self, id: u32, call: &mut HelperCall<'_, '_, '_, '_>) -> Option<Result<u64, TrapKind>> {
        let body = self.shared.helpers.get(id.checked_sub(EMBEDDER_HELPERS)? as usize)?;
        // A panic would end the process if it came to native code, and is the same trap in both engines. What the body was
        // lent is whole: it reached it by calls that have ended.
        let result = catch_unwind(AssertUnwindSafe(|| body(call)));
        Some(result.unwrap_or(Err(TrapKind::HelperPanicked(id))))
    }
}
