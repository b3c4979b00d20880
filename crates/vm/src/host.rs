//! What a program can learn from outside, behind one seam: a test fixes it, a recording replays it.

use alloc::sync::Arc;

use crate::Program;
use crate::helpers::embedder::HelperCall;
use crate::trap::TrapKind;

/// Bytes of a thread's name with its NUL (`TASK_COMM_LEN`).
pub const COMM_BYTES: usize = 16;

/// A thread by Linux's words: `pid` is the thread, `tgid` its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Task {
    /// Thread id.
    pub pid: u32,
    /// Process id.
    pub tgid: u32,
}

/// The world outside the virtual machine.
///
/// Called on the run path: implementations must not allocate or take locks that a caller of `run` may hold.
/// What has a body here is the answer of a host without tasks, with a single memory node and two clocks.
pub trait Host {
    /// Nanoseconds since boot without time in suspend (`CLOCK_MONOTONIC`).
    fn ktime_ns(&self) -> u64;
    /// Nanoseconds since boot with time in suspend (`CLOCK_BOOTTIME`).
    fn boot_ns(&self) -> u64;
    /// Nanoseconds since boot at the last timer tick (`CLOCK_MONOTONIC_COARSE`).
    fn coarse_ns(&self) -> u64 {
        self.ktime_ns()
    }
    /// Nanoseconds of international atomic time (`CLOCK_TAI`).
    fn tai_ns(&self) -> u64 {
        self.boot_ns()
    }
    /// A pseudo-random number.
    fn prandom_u32(&self) -> u32;
    /// What `bpf_get_smp_processor_id` gives on virtual CPU `vcpu`: itself, unless a replay knows better.
    fn processor_id(&self, vcpu: u32) -> u32;
    /// What `bpf_get_numa_node_id` gives on virtual CPU `vcpu`.
    fn numa_node(&self, vcpu: u32) -> u32 {
        let _ = vcpu;
        0
    }
    /// The thread that runs the program.
    fn task(&self) -> Task {
        Task::default()
    }
    /// The real user and group of the thread.
    fn uid_gid(&self) -> (u32, u32) {
        (0, 0)
    }
    /// The thread's name, ended by a NUL.
    fn comm(&self) -> [u8; COMM_BYTES] {
        [0; COMM_BYTES]
    }
    /// Ids of the process's control groups, from the root down to its own; empty where there are none.
    fn cgroup_ids(&self) -> &[u64] {
        &[]
    }
    /// Device and inode of the process id namespace that [`Self::task`] counts in, if there is one.
    fn pid_namespace(&self) -> Option<(u64, u64)> {
        None
    }
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

/// A host where nothing happens: the clock stands, every random number is 0, nobody runs, lines are dropped.
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
