//! Helpers: their numbers, names and prototypes.

pub mod ids;
mod names;

pub use names::{HELPER_NAMES, helper_name};

/// How a helper uses memory that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemAccess {
    /// Reads it: must be initialised.
    Read,
    /// Fills it: need not be initialised.
    Write,
    /// Reads and writes it.
    ReadWrite,
}

/// What an argument must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArgKind {
    /// Any initialised value.
    Anything,
    /// The program's context.
    Ctx,
    /// A map known at verification time (`CONST_PTR_TO_MAP`).
    Map,
    /// `key_size` readable bytes of the map argument.
    MapKey,
    /// `value_size` bytes of the map argument, used as said.
    MapValue(MemAccess),
    /// Memory whose size in bytes is the next argument.
    Mem(MemAccess),
    /// Memory of a fixed size in bytes.
    FixedMem(MemAccess, u32),
    /// The same at a multiple of its size (`MEM_ALIGNED`).
    AlignedMem(MemAccess, u32),
    /// Size in bytes of the memory before it, at least 1.
    Size,
    /// Size in bytes of the memory before it, 0 allowed.
    SizeOrZero,
    /// A constant: the size in bytes of the memory that the call returns.
    AllocSize,
    /// A ring buffer record from `bpf_ringbuf_reserve`.
    RingbufRecord,
    /// A NUL-terminated string in read-only map memory.
    ConstStr,
    /// A static subprogram, called back.
    Func,
    /// A pointer into the stack, or NULL, handed to the callback.
    StackOrNull,
    /// A `struct bpf_spin_lock` in a map value.
    SpinLock,
    /// A socket of any kind as helpers give it (`ARG_PTR_TO_SOCK_COMMON`).
    SockCommon,
    /// The same, or the kernel's own structure of one (`ARG_PTR_TO_BTF_ID_SOCK_COMMON`).
    AnySock,
}

/// First id of an embedder's helpers; Linux counts from 1 and is far from it.
pub const EMBEDDER_HELPERS: u32 = 0x1_0000;

/// An argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arg {
    /// What it must be.
    pub kind: ArgKind,
    /// NULL is allowed as well.
    pub nullable: bool,
}

/// What a call leaves in `r0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ret {
    /// A number.
    Integer,
    /// A negative error number, or a length of at most the `Size` argument.
    LengthOrError,
    /// The number of a CPU.
    Cpu,
    /// Nothing: `r0` is unreadable afterwards.
    Void,
    /// A value of the map argument, or NULL.
    MapValueOrNull,
    /// A ring buffer record of the size given by the `AllocSize` argument, or NULL.
    RingbufRecordOrNull,
    /// A `struct bpf_sock` of a full socket, or NULL.
    SocketOrNull,
    /// A `struct bpf_sock` of any socket, a request or one that waits included, or NULL.
    SockCommonOrNull,
    /// A `struct bpf_tcp_sock`, or NULL.
    TcpSockOrNull,
}

/// Properties of a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct HelperFlags(pub u32);

impl HelperFlags {
    /// Nothing special.
    pub const NONE: u32 = 0;
    /// Returns a reference that must be released.
    pub const ACQUIRES: u32 = 1;
    /// Releases the reference in its reference argument.
    pub const RELEASES: u32 = 2;
    /// All packet pointers are void afterwards.
    pub const INVALIDATES_PACKET: u32 = 4;
    /// May sleep.
    pub const MIGHT_SLEEP: u32 = 8;
    /// Only for programs under a GPL-compatible licence.
    pub const GPL_ONLY: u32 = 16;
    /// `packet` pointers are allowed as memory arguments (`pkt_access`).
    pub const PACKET_ARGS: u32 = 32;
    /// The result is the argument that is a reference in another form: it ends with it (`is_ptr_cast_function`).
    pub const CASTS: u32 = 64;

    /// Whether all bits of `flag` are set.
    pub const fn has(self, flag: u32) -> bool {
        self.0 & flag == flag
    }
}

/// A helper's contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelperProto {
    /// Number in `call`.
    pub id: u32,
    /// Name, with `bpf_`.
    pub name: &'static str,
    /// Arguments in `r1`…; `None` ends the list.
    pub args: [Option<Arg>; 5],
    /// Result.
    pub ret: Ret,
    /// Properties.
    pub flags: HelperFlags,
    /// First kernel.
    pub since: (u8, u8),
    /// One line: what it does.
    pub doc: &'static str,
}

/// The capability that a program's loader needs before a helper is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// None.
    None,
    /// `CAP_BPF`.
    Bpf,
    /// `CAP_PERFMON`.
    Perfmon,
}

/// Helpers that come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelperGroup {
    /// What their user needs.
    pub capability: Capability,
    /// Their ids.
    pub ids: &'static [u32],
}

macro_rules! args {
    ([$($done:tt)*]) => {
        pad(&[$($done)*])
    };
    ([$($done:tt)*] or_null($kind:expr) $(, $($rest:tt)*)?) => {
        args!([$($done)* Some(Arg { kind: $kind, nullable: true }),] $($($rest)*)?)
    };
    ([$($done:tt)*] $kind:expr $(, $($rest:tt)*)?) => {
        args!([$($done)* Some(Arg { kind: $kind, nullable: false }),] $($($rest)*)?)
    };
}

macro_rules! helpers {
    ($($id:literal $name:literal ($($args:tt)*) -> $ret:ident, $flags:expr, $maj:literal.$min:literal, $doc:literal;)*) => {
        /// Every helper whose contract skep knows.
        pub static HELPERS: &[HelperProto] = &[$(HelperProto {
            id: $id,
            name: $name,
            args: args!([] $($args)*),
            ret: Ret::$ret,
            flags: HelperFlags($flags),
            since: ($maj, $min),
            doc: $doc,
        },)*];
    };
}

const fn pad(args: &[Option<Arg>]) -> [Option<Arg>; 5] {
    let mut out = [None; 5];
    let mut i = 0;
    while i < args.len() {
        out[i] = args[i];
        i += 1;
    }
    out
}

use ArgKind::{
    AlignedMem, AllocSize, AnySock, Anything, ConstStr, Ctx, Func, Map, MapKey, MapValue, Mem, RingbufRecord,
    Size, SizeOrZero, SockCommon, SpinLock, StackOrNull,
};
use HelperFlags as F;
use MemAccess::{Read, ReadWrite, Write};

// `5 "bpf_ktime_get_ns" () -> Integer, F::NONE, 4 . 1, "…";` becomes
// `HelperProto { id: 5, name: "bpf_ktime_get_ns", args: [None; 5], ret: Ret::Integer, … }`;
// an argument `or_null(Mem(Read))` is one that NULL will do for.
helpers! {
    1 "bpf_map_lookup_elem" (Map, MapKey) -> MapValueOrNull, F::PACKET_ARGS, 3 . 19,
        "Pointer to the value of a key, or NULL.";
    2 "bpf_map_update_elem" (Map, MapKey, MapValue(Read), Anything) -> Integer, F::PACKET_ARGS, 3 . 19,
        "Adds or replaces an element; flags BPF_ANY, BPF_NOEXIST, BPF_EXIST.";
    3 "bpf_map_delete_elem" (Map, MapKey) -> Integer, F::PACKET_ARGS, 3 . 19,
        "Deletes an element.";
    4 "bpf_probe_read" (Mem(Write), SizeOrZero, Anything) -> Integer, F::GPL_ONLY, 4 . 1,
        "Copies memory of the user or the kernel that may not be there.";
    5 "bpf_ktime_get_ns" () -> Integer, F::NONE, 4 . 1,
        "Nanoseconds since boot without time in suspend (CLOCK_MONOTONIC).";
    6 "bpf_trace_printk" (Mem(Read), Size) -> Integer, F::GPL_ONLY, 4 . 1,
        "Prints a formatted line to the trace log.";
    7 "bpf_get_prandom_u32" () -> Integer, F::NONE, 4 . 1,
        "A pseudo-random number of 32 bits.";
    8 "bpf_get_smp_processor_id" () -> Cpu, F::NONE, 4 . 1,
        "The CPU that the program runs on.";
    9 "bpf_skb_store_bytes" (Ctx, Anything, Mem(Read), Size, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 1,
        "Overwrites bytes of the packet.";
    10 "bpf_l3_csum_replace" (Ctx, Anything, Anything, Anything, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 1,
        "Brings a checksum in the packet up to date with a change that it covers.";
    11 "bpf_l4_csum_replace" (Ctx, Anything, Anything, Anything, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 1,
        "The same for the checksum of a transport header, which may cover a pseudo-header.";
    12 "bpf_tail_call" (Ctx, Map, Anything) -> Void, F::NONE, 4 . 2,
        "Continues in another program; returns only on failure.";
    13 "bpf_clone_redirect" (Ctx, Anything, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 2,
        "Sends a copy of the packet out of an interface, or into it.";
    14 "bpf_get_current_pid_tgid" () -> Integer, F::NONE, 4 . 2,
        "The process in the upper half, the thread in the lower.";
    15 "bpf_get_current_uid_gid" () -> Integer, F::NONE, 4 . 2,
        "The group in the upper half, the user in the lower.";
    16 "bpf_get_current_comm" (Mem(Write), Size) -> Integer, F::NONE, 4 . 2,
        "Name of the thread, cut to the size and filled with zeros.";
    18 "bpf_skb_vlan_push" (Ctx, Anything, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 3,
        "Adds an outermost VLAN tag.";
    19 "bpf_skb_vlan_pop" (Ctx) -> Integer, F::INVALIDATES_PACKET, 4 . 3,
        "Takes the outermost VLAN tag off.";
    23 "bpf_redirect" (Anything, Anything) -> Integer, F::NONE, 4 . 4,
        "Says where the packet goes if the program returns so.";
    24 "bpf_get_route_realm" (Ctx) -> Integer, F::NONE, 4 . 4,
        "The realm of the packet's route.";
    25 "bpf_perf_event_output" (Ctx, Map, Anything, Mem(Read), SizeOrZero) -> Integer, F::GPL_ONLY, 4 . 4,
        "Writes a record, and bytes of the packet behind it, to a CPU's buffer of a perf event array.";
    26 "bpf_skb_load_bytes" (Ctx, Anything, Mem(Write), Size) -> Integer, F::NONE, 4 . 5,
        "Copies bytes of the packet.";
    27 "bpf_get_stackid" (Ctx, Map, Anything) -> Integer, F::GPL_ONLY, 4 . 6,
        "The number of the call chain, which is kept in a map.";
    28 "bpf_csum_diff" (or_null(Mem(Read)), SizeOrZero, or_null(Mem(Read)), SizeOrZero, Anything) -> Integer, F::PACKET_ARGS, 4 . 6,
        "The checksum of what a change takes away and adds.";
    31 "bpf_skb_change_proto" (Ctx, Anything, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 8,
        "Makes room for turning IPv4 into IPv6, or the reverse.";
    32 "bpf_skb_change_type" (Ctx, Anything) -> Integer, F::NONE, 4 . 8,
        "Sets the type of the packet.";
    34 "bpf_get_hash_recalc" (Ctx) -> Integer, F::NONE, 4 . 8,
        "The hash of the packet's flow, computed if it is not known.";
    35 "bpf_get_current_task" () -> Integer, F::GPL_ONLY, 4 . 8,
        "A number that stands for the thread.";
    38 "bpf_skb_change_tail" (Ctx, Anything, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 9,
        "Sets the length of the packet; moves its end.";
    39 "bpf_skb_pull_data" (Ctx, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 9,
        "Makes bytes of the packet accessible by address.";
    40 "bpf_csum_update" (Ctx, Anything) -> Integer, F::NONE, 4 . 9,
        "Adds to the checksum that the device computed over the packet.";
    41 "bpf_set_hash_invalid" (Ctx) -> Integer, F::NONE, 4 . 9,
        "Forgets the hash of the packet's flow.";
    42 "bpf_get_numa_node_id" () -> Integer, F::NONE, 4 . 10,
        "The memory node of the CPU that the program runs on.";
    43 "bpf_skb_change_head" (Ctx, Anything, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 10,
        "Adds zeroed bytes before the packet.";
    44 "bpf_xdp_adjust_head" (Ctx, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 10,
        "Moves the start of the packet.";
    45 "bpf_probe_read_str" (Mem(Write), SizeOrZero, Anything) -> LengthOrError, F::GPL_ONLY, 4 . 11,
        "Copies a string of the user or the kernel that may not be there.";
    48 "bpf_set_hash" (Ctx, Anything) -> Integer, F::NONE, 4 . 13,
        "Sets the hash of the packet's flow.";
    50 "bpf_skb_adjust_room" (Ctx, Anything, Anything, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 13,
        "Adds or removes bytes behind the Ethernet or the network header.";
    54 "bpf_xdp_adjust_meta" (Ctx, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 15,
        "Moves the start of the metadata before the packet.";
    65 "bpf_xdp_adjust_tail" (Ctx, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 18,
        "Moves the end of the packet.";
    67 "bpf_get_stack" (Ctx, Mem(Write), SizeOrZero, Anything) -> LengthOrError, F::GPL_ONLY, 4 . 18,
        "Copies the call chain.";
    68 "bpf_skb_load_bytes_relative" (Ctx, Anything, Mem(Write), Size, Anything) -> Integer, F::NONE, 4 . 18,
        "Copies bytes of the packet, counted from a header.";
    69 "bpf_fib_lookup" (Ctx, Mem(ReadWrite), Size, Anything) -> Integer, F::GPL_ONLY, 4 . 18,
        "Looks a route up, and the neighbour that it leads to.";
    79 "bpf_skb_cgroup_id" (Ctx) -> Integer, F::NONE, 4 . 18,
        "Id of the control group of the packet's socket.";
    80 "bpf_get_current_cgroup_id" () -> Integer, F::NONE, 4 . 18,
        "Id of the process's control group.";
    83 "bpf_skb_ancestor_cgroup_id" (Ctx, Anything) -> Integer, F::NONE, 4 . 19,
        "Id of the control group at a level above that of the packet's socket, or 0.";
    84 "bpf_sk_lookup_tcp" (Ctx, Mem(Read), SizeOrZero, Anything, Anything) -> SocketOrNull, F::ACQUIRES | F::PACKET_ARGS,
        4 . 20, "Looks a TCP socket up by addresses and ports.";
    85 "bpf_sk_lookup_udp" (Ctx, Mem(Read), SizeOrZero, Anything, Anything) -> SocketOrNull, F::ACQUIRES | F::PACKET_ARGS,
        4 . 20, "Looks a UDP socket up by addresses and ports.";
    86 "bpf_sk_release" (AnySock) -> Integer, F::RELEASES, 4 . 20,
        "Gives the reference to a socket back.";
    87 "bpf_map_push_elem" (Map, MapValue(Read), Anything) -> Integer, F::PACKET_ARGS, 4 . 20,
        "Adds a value to a queue or stack; with BPF_EXIST the oldest goes when it is full.";
    88 "bpf_map_pop_elem" (Map, MapValue(Write)) -> Integer, F::NONE, 4 . 20,
        "Takes the next value out of a queue or stack.";
    89 "bpf_map_peek_elem" (Map, MapValue(Write)) -> Integer, F::NONE, 4 . 20,
        "Copies the next value of a queue or stack.";
    93 "bpf_spin_lock" (SpinLock) -> Void, F::NONE, 5 . 1,
        "Takes the lock in a map value.";
    94 "bpf_spin_unlock" (SpinLock) -> Void, F::NONE, 5 . 1,
        "Gives the lock in a map value back.";
    95 "bpf_sk_fullsock" (SockCommon) -> SocketOrNull, F::CASTS, 5 . 1,
        "The full socket that this is, or NULL for a request or one that waits.";
    96 "bpf_tcp_sock" (SockCommon) -> TcpSockOrNull, F::CASTS, 5 . 1,
        "The TCP socket that this is, or NULL.";
    98 "bpf_get_listener_sock" (SockCommon) -> SocketOrNull, F::NONE, 5 . 1,
        "The listening socket that this is, or that this request came to, or NULL.";
    99 "bpf_skc_lookup_tcp" (Ctx, Mem(Read), SizeOrZero, Anything, Anything) -> SockCommonOrNull,
        F::ACQUIRES | F::PACKET_ARGS, 5 . 2,
        "Looks a TCP socket up; requests and sockets that wait count as well.";
    100 "bpf_tcp_check_syncookie" (AnySock, Mem(Read), Size, Mem(Read), Size) -> Integer,
        F::GPL_ONLY | F::PACKET_ARGS, 5 . 2,
        "Whether the IP and TCP headers carry a valid SYN cookie for the listening socket.";
    105 "bpf_strtol" (Mem(Read), Size, Anything, AlignedMem(Write, 8)) -> Integer, F::NONE, 5 . 2,
        "Reads a signed number from text; gives the characters used.";
    106 "bpf_strtoul" (Mem(Read), Size, Anything, AlignedMem(Write, 8)) -> Integer, F::NONE, 5 . 2,
        "Reads an unsigned number from text; gives the characters used.";
    107 "bpf_sk_storage_get" (Map, AnySock, or_null(MapValue(Read)), Anything) -> MapValueOrNull, F::NONE, 5 . 2,
        "The value that a map keeps with a socket, made if asked to, or NULL.";
    108 "bpf_sk_storage_delete" (Map, AnySock) -> Integer, F::NONE, 5 . 2,
        "Deletes the value that a map keeps with a socket.";
    110 "bpf_tcp_gen_syncookie" (AnySock, Mem(Read), Size, Mem(Read), Size) -> Integer,
        F::GPL_ONLY | F::PACKET_ARGS, 5 . 3,
        "A SYN cookie, and the largest segment, for the IP and TCP headers.";
    112 "bpf_probe_read_user" (Mem(Write), SizeOrZero, Anything) -> Integer, F::GPL_ONLY, 5 . 5,
        "Copies memory of the user that may not be there.";
    113 "bpf_probe_read_kernel" (Mem(Write), SizeOrZero, Anything) -> Integer, F::GPL_ONLY, 5 . 5,
        "Copies memory of the kernel that may not be there.";
    114 "bpf_probe_read_user_str" (Mem(Write), SizeOrZero, Anything) -> LengthOrError, F::GPL_ONLY, 5 . 5,
        "Copies a string of the user that may not be there.";
    115 "bpf_probe_read_kernel_str" (Mem(Write), SizeOrZero, Anything) -> LengthOrError, F::GPL_ONLY, 5 . 5,
        "Copies a string of the kernel that may not be there.";
    118 "bpf_jiffies64" () -> Integer, F::NONE, 5 . 5,
        "Timer ticks; begins five minutes before the lower half wraps.";
    120 "bpf_get_ns_current_pid_tgid" (Anything, Anything, Mem(Write), Size) -> Integer, F::NONE, 5 . 6,
        "Thread and process as the process id namespace with that device and inode numbers them.";
    123 "bpf_get_current_ancestor_cgroup_id" (Anything) -> Integer, F::NONE, 5 . 7,
        "Id of the control group at a level above the process's, or 0.";
    125 "bpf_ktime_get_boot_ns" () -> Integer, F::NONE, 5 . 8,
        "Nanoseconds since boot with time in suspend (CLOCK_BOOTTIME).";
    128 "bpf_sk_cgroup_id" (AnySock) -> Integer, F::NONE, 5 . 8,
        "Id of the control group of a socket.";
    129 "bpf_sk_ancestor_cgroup_id" (AnySock, Anything) -> Integer, F::NONE, 5 . 8,
        "Id of the control group at a level above that of a socket, or 0.";
    130 "bpf_ringbuf_output" (Map, Mem(Read), SizeOrZero, Anything) -> Integer, F::NONE, 5 . 8,
        "Copies a record into a ring buffer.";
    131 "bpf_ringbuf_reserve" (Map, AllocSize, Anything) -> RingbufRecordOrNull, F::ACQUIRES, 5 . 8,
        "Reserves a record in a ring buffer.";
    132 "bpf_ringbuf_submit" (RingbufRecord, Anything) -> Void, F::RELEASES, 5 . 8,
        "Publishes a reserved record.";
    133 "bpf_ringbuf_discard" (RingbufRecord, Anything) -> Void, F::RELEASES, 5 . 8,
        "Drops a reserved record.";
    134 "bpf_ringbuf_query" (Map, Anything) -> Integer, F::NONE, 5 . 8,
        "Fill state and positions of a ring buffer.";
    135 "bpf_csum_level" (Ctx, Anything) -> Integer, F::NONE, 5 . 8,
        "Asks or changes how many checksums the device has verified.";
    148 "bpf_copy_from_user" (Mem(Write), SizeOrZero, Anything) -> Integer, F::MIGHT_SLEEP, 5 . 10,
        "Copies memory of the user, waiting until it is there.";
    151 "bpf_skb_cgroup_classid" (Ctx) -> Integer, F::NONE, 5 . 10,
        "Class of the control group of the packet's socket.";
    152 "bpf_redirect_neigh" (Anything, or_null(Mem(Read)), SizeOrZero, Anything) -> Integer, F::NONE, 5 . 10,
        "As bpf_redirect, with the addresses of the next hop filled in.";
    155 "bpf_redirect_peer" (Anything, Anything) -> Integer, F::NONE, 5 . 10,
        "As bpf_redirect into the peer of an interface in another namespace.";
    160 "bpf_ktime_get_coarse_ns" () -> Integer, F::NONE, 5 . 11,
        "Nanoseconds since boot at the last timer tick (CLOCK_MONOTONIC_COARSE).";
    163 "bpf_check_mtu" (Ctx, Anything, AlignedMem(ReadWrite, 4), Anything, Anything) -> Integer, F::GPL_ONLY, 5 . 12,
        "Compares the packet's length with the largest of an interface.";
    164 "bpf_for_each_map_elem" (Map, Func, StackOrNull, Anything) -> Integer, F::NONE, 5 . 13,
        "Calls a function for each element of a map; the number of elements called for.";
    165 "bpf_snprintf" (or_null(Mem(Write)), SizeOrZero, ConstStr, or_null(Mem(Read)), SizeOrZero) -> Integer,
        F::GPL_ONLY, 5 . 13,
        "Formats an array of u64 into a buffer; gives the uncut length with its NUL.";
    177 "bpf_trace_vprintk" (Mem(Read), Size, or_null(Mem(Read)), SizeOrZero) -> Integer, F::GPL_ONLY, 5 . 16,
        "Prints a line formatted from an array of u64 to the trace log.";
    181 "bpf_loop" (Anything, Func, StackOrNull, Anything) -> Integer, F::NONE, 5 . 17,
        "Calls a function up to a number of times; how often it was called.";
    182 "bpf_strncmp" (Mem(Read), Size, ConstStr) -> Integer, F::NONE, 5 . 17,
        "Compares text with a constant.";
    188 "bpf_xdp_get_buff_len" (Ctx) -> Integer, F::NONE, 5 . 18,
        "Bytes of the packet, with those that are not in its first page.";
    189 "bpf_xdp_load_bytes" (Ctx, Anything, Mem(Write), Size) -> Integer, F::NONE, 5 . 18,
        "Copies bytes of the packet, wherever they stand.";
    190 "bpf_xdp_store_bytes" (Ctx, Anything, Mem(Read), Size) -> Integer, F::NONE, 5 . 18,
        "Copies bytes into the packet, wherever it stands.";
    195 "bpf_map_lookup_percpu_elem" (Map, MapKey, Anything) -> MapValueOrNull, F::PACKET_ARGS, 5 . 19,
        "Pointer to the value of a key that another CPU has, or NULL.";
    208 "bpf_ktime_get_tai_ns" () -> Integer, F::NONE, 6 . 1,
        "Nanoseconds of international atomic time (CLOCK_TAI).";
}

/// The row of a helper id.
pub fn helper(id: u32) -> Option<&'static HelperProto> {
    HELPERS.binary_search_by_key(&id, |h| h.id).ok().map(|i| &HELPERS[i])
}

/// The row of a helper name, with or without `bpf_`.
pub fn helper_by_name(name: &str) -> Option<&'static HelperProto> {
    let bare = name.strip_prefix("bpf_").unwrap_or(name);
    HELPERS.iter().find(|h| h.name.strip_prefix("bpf_") == Some(bare))
}
