//! What a program can learn from outside, behind one seam: a test fixes it, a recording replays it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::Program;
use crate::helpers::embedder::HelperCall;
use crate::packet::ETH_HLEN;
use crate::trap::TrapKind;

/// A network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Most bytes of a packet behind its Ethernet header.
    pub mtu: u32,
    /// Bytes of its Ethernet header (`hard_header_len`).
    pub header: u32,
}

impl Interface {
    /// Number of the loopback device.
    pub const LOOPBACK: u32 = 1;
}

/// A `struct bpf_fib_lookup`, as the program gave it: the question, and room for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FibLookup(pub [u8; FibLookup::BYTES]);

impl FibLookup {
    /// Bytes of the structure.
    pub const BYTES: usize = 64;
    /// A route and a neighbour have been found (`BPF_FIB_LKUP_RET_SUCCESS`).
    pub const SUCCESS: i32 = 0;
    /// No route (`BPF_FIB_LKUP_RET_NOT_FWDED`).
    pub const NOT_FWDED: i32 = 4;
    /// The packet is too long (`BPF_FIB_LKUP_RET_FRAG_NEEDED`).
    pub const FRAG_NEEDED: i32 = 8;

    /// Address family: 2 for IPv4, 10 for IPv6.
    pub fn family(&self) -> u8 {
        self.0[0]
    }

    /// Length of the packet from its network header, 0 if the packet at hand is meant.
    pub fn tot_len(&self) -> u16 {
        u16::from_ne_bytes([self.0[6], self.0[7]])
    }

    /// Answers with the largest length on the route (in place of `tot_len`).
    pub fn set_mtu_result(&mut self, mtu: u16) {
        self.0[6..8].copy_from_slice(&mtu.to_ne_bytes());
    }

    /// The interface that the packet comes in by, and in the answer the one it goes out by.
    pub fn ifindex(&self) -> u32 {
        u32::from_ne_bytes([self.0[8], self.0[9], self.0[10], self.0[11]])
    }

    /// Answers with the interface that the packet goes out by.
    pub fn set_ifindex(&mut self, ifindex: u32) {
        self.0[8..12].copy_from_slice(&ifindex.to_ne_bytes());
    }

    /// Source and destination in network byte order; IPv4 addresses in the first four bytes.
    pub fn addresses(&self) -> ([u8; 16], [u8; 16]) {
        (core::array::from_fn(|i| self.0[16 + i]), core::array::from_fn(|i| self.0[32 + i]))
    }

    /// Answers with the next hop's address, in place of the destination.
    pub fn set_next_hop(&mut self, addr: [u8; 16]) {
        self.0[32..48].copy_from_slice(&addr);
    }

    /// Answers with the Ethernet addresses of the outgoing interface and of the neighbour.
    pub fn set_ethernet(&mut self, source: [u8; 6], destination: [u8; 6]) {
        self.0[52..58].copy_from_slice(&source);
        self.0[58..].copy_from_slice(&destination);
    }
}

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
    /// Nanoseconds of the wall clock since 1970 (`CLOCK_REALTIME`).
    fn real_ns(&self) -> u64 {
        self.tai_ns()
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
    /// What stands for the thread that runs the program in local storage: no other that lives has the same.
    fn task_object(&self) -> skep_maps::Object {
        [0, self.task().pid.into()]
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
    /// A network interface by its number; where nothing is said, there is only the loopback device.
    fn interface(&self, ifindex: u32) -> Option<Interface> {
        (ifindex == Interface::LOOPBACK).then_some(Interface { mtu: 65536, header: ETH_HLEN as u32 })
    }
    /// Looks a route up for `bpf_fib_lookup`: writes what it finds into `query` and gives the helper's result
    /// (`BPF_FIB_LKUP_RET_*`, or a negative error number). Where nothing is said, there is no route:
    /// `BPF_FIB_LKUP_RET_NOT_FWDED`. The interface of the query exists.
    fn fib_lookup(&self, query: &mut FibLookup, flags: u32) -> i32 {
        let _ = (query, flags);
        FibLookup::NOT_FWDED
    }
    /// Runs the body of an embedder's helper, of an id from [`EMBEDDER_HELPERS`](crate::EMBEDDER_HELPERS) on; `None`
    /// when there is no such helper.
    ///
    /// A panic must not leave this function: native code would end the process. A host that calls others' code catches it,
    /// and gives [`TrapKind::HelperPanicked`].
    fn call_helper(&self, id: u32, call: &mut HelperCall<'_, '_, '_, '_>) -> Option<Result<u64, TrapKind>> {
        let _ = (id, call);
        None
    }
}

/// Finds the programs that tail calls lead to.
pub trait Programs {
    /// The loaded program of an id, as program-array slots hold it.
    fn program(&self, id: u32) -> Option<Arc<Program>>;

    /// A number of [`fresh_version`] that is another one whenever [`Self::program`] might no longer give the program that it
    /// has given for an id, which is the program's own; `None` when nobody can tell.
    ///
    /// While it is the same, native runs ask for a program once: they keep it with their [`Stack`](crate::Stack), and a tail call
    /// to it is a jump. A run that has begun goes on by what it knows.
    fn version(&self) -> Option<u64> {
        None
    }
}

/// A number that nobody in this process has had: for [`Programs::version`].
pub fn fresh_version() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
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
