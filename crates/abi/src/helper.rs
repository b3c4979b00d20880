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
    /// A full socket as helpers give it (`ARG_PTR_TO_SOCKET`).
    Socket,
    /// The kernel's structure of this name (`ARG_PTR_TO_BTF_ID`).
    Btf(&'static str),
    /// A variable of the kernel that each CPU has (`ARG_PTR_TO_PERCPU_BTF_ID`).
    PerCpuVariable,
    /// A `struct bpf_timer` in a map value.
    Timer,
    /// Where a map value or an object keeps a pointer to an object (`ARG_KPTR_XCHG_DEST`).
    KptrField,
    /// The object that such a place is for, as a reference that ends with the call.
    Kptr,
    /// A `struct bpf_dynptr` on the stack.
    Dynptr(DynptrUse),
}

/// What a helper does with a dynptr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DynptrUse {
    /// Makes one to memory.
    Made,
    /// Makes one that is a ring buffer record.
    MadeRecord,
    /// Ends one that is a ring buffer record.
    EndsRecord,
    /// Uses one of any kind.
    Used,
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
    /// A value of the map argument.
    MapValue,
    /// The kernel's structure of this name.
    Btf(&'static str),
    /// The kernel's structure of this name, or NULL.
    BtfOrNull(&'static str),
    /// The variable of the argument, as memory or by its type.
    Variable,
    /// The same, or NULL.
    VariableOrNull,
    /// The object that the `KptrField` argument held, or NULL.
    KptrOrNull,
    /// Memory of the dynptr argument of the size given by the `AllocSize` argument, or NULL.
    DynptrMemOrNull,
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
    ($($id:literal $name:literal ($($args:tt)*) -> $ret:ident $(($of:literal))?, $flags:expr, $maj:literal.$min:literal, $doc:literal;)*) => {
        &[$(HelperProto {
            id: $id,
            name: $name,
            args: args!([] $($args)*),
            ret: Ret::$ret $(($of))?,
            flags: HelperFlags($flags),
            since: ($maj, $min),
            doc: $doc,
        },)*]
    };
}

pub mod own;

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
    AlignedMem, AllocSize, AnySock, Anything, Btf, ConstStr, Ctx, Dynptr, FixedMem, Func, Kptr, KptrField,
    Map, MapKey, MapValue, Mem, PerCpuVariable, RingbufRecord, Size, SizeOrZero, SockCommon, SpinLock,
    StackOrNull, Timer,
};
use DynptrUse::{EndsRecord, Made, MadeRecord, Used};
use HelperFlags as F;
use MemAccess::{Read, ReadWrite, Write};

// `5 "bpf_ktime_get_ns" () -> Integer, F::NONE, 4 . 1, "…";` becomes
// `HelperProto { id: 5, name: "bpf_ktime_get_ns", args: [None; 5], ret: Ret::Integer, … }`;
// an argument `or_null(Mem(Read))` is one that NULL will do for.
/// The helpers of Linux 6.18: what most program types find under each number.
pub static HELPERS: &[HelperProto] = helpers! {
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
    17 "bpf_get_cgroup_classid" () -> Integer, F::NONE, 4 . 3,
        "Class of the process's control group (net_cls).";
    18 "bpf_skb_vlan_push" (Ctx, Anything, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 3,
        "Adds an outermost VLAN tag.";
    19 "bpf_skb_vlan_pop" (Ctx) -> Integer, F::INVALIDATES_PACKET, 4 . 3,
        "Takes the outermost VLAN tag off.";
    20 "bpf_skb_get_tunnel_key" (Ctx, Mem(Write), Size, Anything) -> Integer, F::NONE, 4 . 3,
        "Addresses and flags of the tunnel that the packet came through.";
    21 "bpf_skb_set_tunnel_key" (Ctx, Mem(Read), Size, Anything) -> Integer, F::NONE, 4 . 3,
        "Says how a tunnel device is to wrap the packet.";
    22 "bpf_perf_event_read" (Map, Anything) -> Integer, F::GPL_ONLY, 4 . 3,
        "The counter in a slot of a perf event array.";
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
    29 "bpf_skb_get_tunnel_opt" (Ctx, Mem(Write), Size) -> Integer, F::NONE, 4 . 6,
        "Options of the tunnel that the packet came through.";
    30 "bpf_skb_set_tunnel_opt" (Ctx, Mem(Read), Size) -> Integer, F::NONE, 4 . 6,
        "Options for the tunnel device that is to wrap the packet.";
    31 "bpf_skb_change_proto" (Ctx, Anything, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 8,
        "Makes room for turning IPv4 into IPv6, or the reverse.";
    32 "bpf_skb_change_type" (Ctx, Anything) -> Integer, F::NONE, 4 . 8,
        "Sets the type of the packet.";
    33 "bpf_skb_under_cgroup" (Ctx, Map, Anything) -> Integer, F::NONE, 4 . 8,
        "Whether the packet's socket is below the control group in a slot of a map.";
    34 "bpf_get_hash_recalc" (Ctx) -> Integer, F::NONE, 4 . 8,
        "The hash of the packet's flow, computed if it is not known.";
    35 "bpf_get_current_task" () -> Integer, F::GPL_ONLY, 4 . 8,
        "A number that stands for the thread.";
    36 "bpf_probe_write_user" (Anything, Mem(Read), Size) -> Integer, F::GPL_ONLY, 4 . 8,
        "Overwrites memory of the user.";
    37 "bpf_current_task_under_cgroup" (Map, Anything) -> Integer, F::NONE, 4 . 9,
        "Whether the process is below the control group in a slot of a map.";
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
    46 "bpf_get_socket_cookie" (Ctx) -> Integer, F::NONE, 4 . 12,
        "A number of the socket that no other socket has had.";
    47 "bpf_get_socket_uid" (Ctx) -> Integer, F::NONE, 4 . 12,
        "The user who owns the packet's socket.";
    48 "bpf_set_hash" (Ctx, Anything) -> Integer, F::NONE, 4 . 13,
        "Sets the hash of the packet's flow.";
    49 "bpf_setsockopt" (Ctx, Anything, Anything, Mem(Read), Size) -> Integer, F::NONE, 4 . 13,
        "setsockopt(2) of the context's socket.";
    50 "bpf_skb_adjust_room" (Ctx, Anything, Anything, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 13,
        "Adds or removes bytes behind the Ethernet or the network header.";
    51 "bpf_redirect_map" (Map, Anything, Anything) -> Integer, F::NONE, 4 . 14,
        "Says that the packet goes to the device, CPU or socket in a slot of a map.";
    52 "bpf_sk_redirect_map" (Ctx, Map, Anything, Anything) -> Integer, F::NONE, 4 . 14,
        "Says that the packet goes to the socket in a slot of a map.";
    53 "bpf_sock_map_update" (Ctx, Map, MapKey, Anything) -> Integer, F::PACKET_ARGS, 4 . 14,
        "Puts the context's socket into a map.";
    54 "bpf_xdp_adjust_meta" (Ctx, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 15,
        "Moves the start of the metadata before the packet.";
    55 "bpf_perf_event_read_value" (Map, Anything, Mem(Write), Size) -> Integer, F::GPL_ONLY, 4 . 15,
        "The counter in a slot of a perf event array, and how long it counted.";
    56 "bpf_perf_prog_read_value" (Ctx, Mem(Write), Size) -> Integer, F::GPL_ONLY, 4 . 15,
        "The counter of the event that the program runs for, and how long it counted.";
    57 "bpf_getsockopt" (Ctx, Anything, Anything, Mem(Write), Size) -> Integer, F::NONE, 4 . 15,
        "getsockopt(2) of the context's socket.";
    58 "bpf_override_return" (Ctx, Anything) -> Integer, F::GPL_ONLY, 4 . 16,
        "Makes the probed function return at once, with a value.";
    59 "bpf_sock_ops_cb_flags_set" (Ctx, Anything) -> Integer, F::NONE, 4 . 16,
        "Says which events of the connection the program is called for.";
    60 "bpf_msg_redirect_map" (Ctx, Map, Anything, Anything) -> Integer, F::NONE, 4 . 17,
        "Says that the message goes to the socket in a slot of a map.";
    61 "bpf_msg_apply_bytes" (Ctx, Anything) -> Integer, F::NONE, 4 . 17,
        "Says for how many bytes the verdict holds.";
    62 "bpf_msg_cork_bytes" (Ctx, Anything) -> Integer, F::NONE, 4 . 17,
        "Waits for so many bytes before the program is called again.";
    63 "bpf_msg_pull_data" (Ctx, Anything, Anything, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 17,
        "Makes bytes of the message accessible by address.";
    64 "bpf_bind" (Ctx, Mem(Read), Size) -> Integer, F::NONE, 4 . 17,
        "Binds the connecting socket to an address.";
    65 "bpf_xdp_adjust_tail" (Ctx, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 18,
        "Moves the end of the packet.";
    66 "bpf_skb_get_xfrm_state" (Ctx, Anything, Mem(Write), Size, Anything) -> Integer, F::NONE, 4 . 18,
        "A transformation (IPsec) that the packet went through.";
    67 "bpf_get_stack" (Ctx, Mem(Write), SizeOrZero, Anything) -> LengthOrError, F::GPL_ONLY, 4 . 18,
        "Copies the call chain.";
    68 "bpf_skb_load_bytes_relative" (Ctx, Anything, Mem(Write), Size, Anything) -> Integer, F::NONE, 4 . 18,
        "Copies bytes of the packet, counted from a header.";
    69 "bpf_fib_lookup" (Ctx, Mem(ReadWrite), Size, Anything) -> Integer, F::GPL_ONLY, 4 . 18,
        "Looks a route up, and the neighbour that it leads to.";
    70 "bpf_sock_hash_update" (Ctx, Map, MapKey, Anything) -> Integer, F::PACKET_ARGS, 4 . 18,
        "Puts the context's socket into a hash map.";
    71 "bpf_msg_redirect_hash" (Ctx, Map, MapKey, Anything) -> Integer, F::NONE, 4 . 18,
        "Says that the message goes to the socket of a key.";
    72 "bpf_sk_redirect_hash" (Ctx, Map, MapKey, Anything) -> Integer, F::NONE, 4 . 18,
        "Says that the packet goes to the socket of a key.";
    73 "bpf_lwt_push_encap" (Ctx, Anything, Mem(Read), Size) -> Integer, F::INVALIDATES_PACKET, 4 . 18,
        "Puts a header of a tunnel before the packet.";
    74 "bpf_lwt_seg6_store_bytes" (Ctx, Anything, Mem(Read), Size) -> Integer, F::INVALIDATES_PACKET, 4 . 18,
        "Overwrites bytes of the outermost segment routing header.";
    75 "bpf_lwt_seg6_adjust_srh" (Ctx, Anything, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 18,
        "Makes the outermost segment routing header longer or shorter.";
    76 "bpf_lwt_seg6_action" (Ctx, Anything, Mem(Read), Size) -> Integer, F::INVALIDATES_PACKET, 4 . 18,
        "Does what a segment asks for.";
    77 "bpf_rc_repeat" (Ctx) -> Integer, F::GPL_ONLY, 4 . 18,
        "Reports that the remote control's key is still down.";
    78 "bpf_rc_keydown" (Ctx, Anything, Anything, Anything) -> Integer, F::GPL_ONLY, 4 . 18,
        "Reports a key of the remote control.";
    79 "bpf_skb_cgroup_id" (Ctx) -> Integer, F::NONE, 4 . 18,
        "Id of the control group of the packet's socket.";
    80 "bpf_get_current_cgroup_id" () -> Integer, F::NONE, 4 . 18,
        "Id of the process's control group.";
    81 "bpf_get_local_storage" (Map, Anything) -> MapValue, F::NONE, 4 . 19,
        "The value that a map keeps with the control group.";
    82 "bpf_sk_select_reuseport" (Ctx, Map, MapKey, Anything) -> Integer, F::NONE, 4 . 19,
        "Picks the socket of a key for the packet.";
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
    90 "bpf_msg_push_data" (Ctx, Anything, Anything, Anything) -> Integer, F::INVALIDATES_PACKET, 4 . 20,
        "Inserts bytes into the message.";
    91 "bpf_msg_pop_data" (Ctx, Anything, Anything, Anything) -> Integer, F::INVALIDATES_PACKET, 5 . 0,
        "Takes bytes out of the message.";
    92 "bpf_rc_pointer_rel" (Ctx, Anything, Anything) -> Integer, F::GPL_ONLY, 5 . 0,
        "Reports a movement of the remote control's pointer.";
    93 "bpf_spin_lock" (SpinLock) -> Void, F::NONE, 5 . 1,
        "Takes the lock in a map value.";
    94 "bpf_spin_unlock" (SpinLock) -> Void, F::NONE, 5 . 1,
        "Gives the lock in a map value back.";
    95 "bpf_sk_fullsock" (SockCommon) -> SocketOrNull, F::CASTS, 5 . 1,
        "The full socket that this is, or NULL for a request or one that waits.";
    96 "bpf_tcp_sock" (SockCommon) -> TcpSockOrNull, F::CASTS, 5 . 1,
        "The TCP socket that this is, or NULL.";
    97 "bpf_skb_ecn_set_ce" (Ctx) -> Integer, F::NONE, 5 . 1,
        "Marks the packet as having met congestion.";
    98 "bpf_get_listener_sock" (SockCommon) -> SocketOrNull, F::NONE, 5 . 1,
        "The listening socket that this is, or that this request came to, or NULL.";
    99 "bpf_skc_lookup_tcp" (Ctx, Mem(Read), SizeOrZero, Anything, Anything) -> SockCommonOrNull,
        F::ACQUIRES | F::PACKET_ARGS, 5 . 2,
        "Looks a TCP socket up; requests and sockets that wait count as well.";
    100 "bpf_tcp_check_syncookie" (AnySock, Mem(Read), Size, Mem(Read), Size) -> Integer,
        F::GPL_ONLY | F::PACKET_ARGS, 5 . 2,
        "Whether the IP and TCP headers carry a valid SYN cookie for the listening socket.";
    101 "bpf_sysctl_get_name" (Ctx, Mem(Write), Size, Anything) -> Integer, F::NONE, 5 . 2,
        "The name of the setting that is accessed.";
    102 "bpf_sysctl_get_current_value" (Ctx, Mem(Write), Size) -> Integer, F::NONE, 5 . 2,
        "The setting's value.";
    103 "bpf_sysctl_get_new_value" (Ctx, Mem(Write), Size) -> Integer, F::NONE, 5 . 2,
        "The value that is being written.";
    104 "bpf_sysctl_set_new_value" (Ctx, Mem(Read), Size) -> Integer, F::NONE, 5 . 2,
        "Replaces the value that is being written.";
    105 "bpf_strtol" (Mem(Read), Size, Anything, AlignedMem(Write, 8)) -> Integer, F::NONE, 5 . 2,
        "Reads a signed number from text; gives the characters used.";
    106 "bpf_strtoul" (Mem(Read), Size, Anything, AlignedMem(Write, 8)) -> Integer, F::NONE, 5 . 2,
        "Reads an unsigned number from text; gives the characters used.";
    107 "bpf_sk_storage_get" (Map, AnySock, or_null(MapValue(Read)), Anything) -> MapValueOrNull, F::NONE, 5 . 2,
        "The value that a map keeps with a socket, made if asked to, or NULL.";
    108 "bpf_sk_storage_delete" (Map, AnySock) -> Integer, F::NONE, 5 . 2,
        "Deletes the value that a map keeps with a socket.";
    109 "bpf_send_signal" (Anything) -> Integer, F::NONE, 5 . 3,
        "Sends a signal to the process.";
    110 "bpf_tcp_gen_syncookie" (AnySock, Mem(Read), Size, Mem(Read), Size) -> Integer,
        F::GPL_ONLY | F::PACKET_ARGS, 5 . 3,
        "A SYN cookie, and the largest segment, for the IP and TCP headers.";
    111 "bpf_skb_output" (Btf("sk_buff"), Map, Anything, Mem(Read), SizeOrZero) -> Integer, F::GPL_ONLY, 5 . 5,
        "As bpf_perf_event_output, of a packet that the program traces.";
    112 "bpf_probe_read_user" (Mem(Write), SizeOrZero, Anything) -> Integer, F::GPL_ONLY, 5 . 5,
        "Copies memory of the user that may not be there.";
    113 "bpf_probe_read_kernel" (Mem(Write), SizeOrZero, Anything) -> Integer, F::GPL_ONLY, 5 . 5,
        "Copies memory of the kernel that may not be there.";
    114 "bpf_probe_read_user_str" (Mem(Write), SizeOrZero, Anything) -> LengthOrError, F::GPL_ONLY, 5 . 5,
        "Copies a string of the user that may not be there.";
    115 "bpf_probe_read_kernel_str" (Mem(Write), SizeOrZero, Anything) -> LengthOrError, F::GPL_ONLY, 5 . 5,
        "Copies a string of the kernel that may not be there.";
    116 "bpf_tcp_send_ack" (Btf("tcp_sock"), Anything) -> Integer, F::NONE, 5 . 6,
        "Sends an acknowledgement.";
    117 "bpf_send_signal_thread" (Anything) -> Integer, F::NONE, 5 . 6,
        "Sends a signal to the thread.";
    118 "bpf_jiffies64" () -> Integer, F::NONE, 5 . 5,
        "Timer ticks; begins five minutes before the lower half wraps.";
    119 "bpf_read_branch_records" (Ctx, or_null(Mem(Write)), SizeOrZero, Anything) -> Integer, F::GPL_ONLY, 5 . 6,
        "The last branches that the CPU recorded.";
    120 "bpf_get_ns_current_pid_tgid" (Anything, Anything, Mem(Write), Size) -> Integer, F::NONE, 5 . 6,
        "Thread and process as the process id namespace with that device and inode numbers them.";
    121 "bpf_xdp_output" (Btf("xdp_buff"), Map, Anything, Mem(Read), SizeOrZero) -> Integer, F::GPL_ONLY, 5 . 6,
        "As bpf_perf_event_output, of a packet that the program traces.";
    122 "bpf_get_netns_cookie" (or_null(Ctx)) -> Integer, F::NONE, 5 . 7,
        "A number of the network namespace that no other has had.";
    123 "bpf_get_current_ancestor_cgroup_id" (Anything) -> Integer, F::NONE, 5 . 7,
        "Id of the control group at a level above the process's, or 0.";
    124 "bpf_sk_assign" (Ctx, AnySock, Anything) -> Integer, F::NONE, 5 . 7,
        "Gives the packet to a socket.";
    125 "bpf_ktime_get_boot_ns" () -> Integer, F::NONE, 5 . 8,
        "Nanoseconds since boot with time in suspend (CLOCK_BOOTTIME).";
    126 "bpf_seq_printf" (Btf("seq_file"), Mem(Read), Size, or_null(Mem(Read)), SizeOrZero) -> Integer,
        F::GPL_ONLY, 5 . 7,
        "Formats an array of u64 into what an iterator gives its reader.";
    127 "bpf_seq_write" (Btf("seq_file"), Mem(Read), SizeOrZero) -> Integer, F::GPL_ONLY, 5 . 7,
        "Adds bytes to what an iterator gives its reader.";
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
    136 "bpf_skc_to_tcp6_sock" (AnySock) -> BtfOrNull("tcp6_sock"), F::CASTS, 5 . 9,
        "The kernel's structure of the socket, if it is one of TCP over IPv6.";
    137 "bpf_skc_to_tcp_sock" (AnySock) -> BtfOrNull("tcp_sock"), F::CASTS, 5 . 9,
        "The kernel's structure of the socket, if it is one of TCP.";
    138 "bpf_skc_to_tcp_timewait_sock" (AnySock) -> BtfOrNull("tcp_timewait_sock"), F::CASTS, 5 . 9,
        "The kernel's structure of the socket, if it is one that waits.";
    139 "bpf_skc_to_tcp_request_sock" (AnySock) -> BtfOrNull("tcp_request_sock"), F::CASTS, 5 . 9,
        "The kernel's structure of the socket, if it is a request.";
    140 "bpf_skc_to_udp6_sock" (AnySock) -> BtfOrNull("udp6_sock"), F::CASTS, 5 . 9,
        "The kernel's structure of the socket, if it is one of UDP over IPv6.";
    141 "bpf_get_task_stack" (Btf("task_struct"), Mem(Write), SizeOrZero, Anything) -> LengthOrError, F::NONE, 5 . 9,
        "Copies the call chain of a thread.";
    142 "bpf_load_hdr_opt" (Ctx, Mem(Write), Size, Anything) -> Integer, F::NONE, 5 . 10,
        "Copies an option of the TCP header.";
    143 "bpf_store_hdr_opt" (Ctx, Mem(Read), Size, Anything) -> Integer, F::INVALIDATES_PACKET, 5 . 10,
        "Adds an option to the TCP header.";
    144 "bpf_reserve_hdr_opt" (Ctx, Anything, Anything) -> Integer, F::NONE, 5 . 10,
        "Keeps room for options of the TCP header.";
    145 "bpf_inode_storage_get" (Map, or_null(Btf("inode")), or_null(MapValue(Read)), Anything) -> MapValueOrNull,
        F::NONE, 5 . 10,
        "The value that a map keeps with a file, made if asked to, or NULL.";
    146 "bpf_inode_storage_delete" (Map, or_null(Btf("inode"))) -> Integer, F::NONE, 5 . 10,
        "Deletes the value that a map keeps with a file.";
    147 "bpf_d_path" (Btf("path"), Mem(Write), SizeOrZero) -> Integer, F::NONE, 5 . 10,
        "The path of a file.";
    148 "bpf_copy_from_user" (Mem(Write), SizeOrZero, Anything) -> Integer, F::MIGHT_SLEEP, 5 . 10,
        "Copies memory of the user, waiting until it is there.";
    149 "bpf_snprintf_btf" (Mem(Write), Size, Mem(Read), Size, Anything) -> Integer, F::NONE, 5 . 10,
        "Prints a value of the kernel by its type into a buffer.";
    150 "bpf_seq_printf_btf" (Btf("seq_file"), Mem(Read), SizeOrZero, Anything) -> Integer, F::GPL_ONLY, 5 . 10,
        "Prints a value of the kernel by its type into what an iterator gives its reader.";
    151 "bpf_skb_cgroup_classid" (Ctx) -> Integer, F::NONE, 5 . 10,
        "Class of the control group of the packet's socket.";
    152 "bpf_redirect_neigh" (Anything, or_null(Mem(Read)), SizeOrZero, Anything) -> Integer, F::NONE, 5 . 10,
        "As bpf_redirect, with the addresses of the next hop filled in.";
    153 "bpf_per_cpu_ptr" (PerCpuVariable, Anything) -> VariableOrNull, F::NONE, 5 . 10,
        "A CPU's copy of a variable of the kernel, or NULL.";
    154 "bpf_this_cpu_ptr" (PerCpuVariable) -> Variable, F::NONE, 5 . 10,
        "This CPU's copy of a variable of the kernel.";
    155 "bpf_redirect_peer" (Anything, Anything) -> Integer, F::NONE, 5 . 10,
        "As bpf_redirect into the peer of an interface in another namespace.";
    156 "bpf_task_storage_get" (Map, or_null(Btf("task_struct")), or_null(MapValue(Read)), Anything) -> MapValueOrNull,
        F::NONE, 5 . 11,
        "The value that a map keeps with a thread, made if asked to, or NULL.";
    157 "bpf_task_storage_delete" (Map, or_null(Btf("task_struct"))) -> Integer, F::NONE, 5 . 11,
        "Deletes the value that a map keeps with a thread.";
    158 "bpf_get_current_task_btf" () -> Btf("task_struct"), F::GPL_ONLY, 5 . 11,
        "The kernel's structure of the thread.";
    159 "bpf_bprm_opts_set" (Btf("linux_binprm"), Anything) -> Integer, F::NONE, 5 . 11,
        "Sets options of a program that is being executed.";
    160 "bpf_ktime_get_coarse_ns" () -> Integer, F::NONE, 5 . 11,
        "Nanoseconds since boot at the last timer tick (CLOCK_MONOTONIC_COARSE).";
    161 "bpf_ima_inode_hash" (Btf("inode"), Mem(Write), Size) -> Integer, F::MIGHT_SLEEP, 5 . 11,
        "The hash that was measured of a file.";
    162 "bpf_sock_from_file" (Btf("file")) -> BtfOrNull("socket"), F::NONE, 5 . 11,
        "The socket that a file is, or NULL.";
    163 "bpf_check_mtu" (Ctx, Anything, AlignedMem(ReadWrite, 4), Anything, Anything) -> Integer, F::GPL_ONLY, 5 . 12,
        "Compares the packet's length with the largest of an interface.";
    164 "bpf_for_each_map_elem" (Map, Func, StackOrNull, Anything) -> Integer, F::NONE, 5 . 13,
        "Calls a function for each element of a map; the number of elements called for.";
    165 "bpf_snprintf" (or_null(Mem(Write)), SizeOrZero, ConstStr, or_null(Mem(Read)), SizeOrZero) -> Integer,
        F::GPL_ONLY, 5 . 13,
        "Formats an array of u64 into a buffer; gives the uncut length with its NUL.";
    166 "bpf_sys_bpf" (Anything, Mem(Read), Size) -> Integer, F::NONE, 5 . 14,
        "bpf(2).";
    167 "bpf_btf_find_by_name_kind" (Mem(Read), Size, Anything, Anything) -> Integer, F::NONE, 5 . 14,
        "The id of a type of the kernel, and the object that it is in.";
    168 "bpf_sys_close" (Anything) -> Integer, F::NONE, 5 . 14,
        "close(2).";
    169 "bpf_timer_init" (Timer, Map, Anything) -> Integer, F::GPL_ONLY, 5 . 15,
        "Prepares the timer in a map value.";
    170 "bpf_timer_set_callback" (Timer, Func) -> Integer, F::GPL_ONLY, 5 . 15,
        "Says what the timer calls.";
    171 "bpf_timer_start" (Timer, Anything, Anything) -> Integer, F::GPL_ONLY, 5 . 15,
        "Starts the timer.";
    172 "bpf_timer_cancel" (Timer) -> Integer, F::GPL_ONLY, 5 . 15,
        "Stops the timer and waits for its function.";
    173 "bpf_get_func_ip" (Ctx) -> Integer, F::GPL_ONLY, 5 . 15,
        "The address of the traced function.";
    174 "bpf_get_attach_cookie" (Ctx) -> Integer, F::NONE, 5 . 15,
        "The number that was given when the program was attached.";
    175 "bpf_task_pt_regs" (Btf("task_struct")) -> Btf("pt_regs"), F::GPL_ONLY, 5 . 15,
        "The registers that the thread entered the kernel with.";
    // Its flags are not looked at (Linux 6.18 has no type for them).
    176 "bpf_get_branch_snapshot" (Mem(Write), SizeOrZero) -> Integer, F::GPL_ONLY, 5 . 16,
        "The last branches that the CPU took.";
    177 "bpf_trace_vprintk" (Mem(Read), Size, or_null(Mem(Read)), SizeOrZero) -> Integer, F::GPL_ONLY, 5 . 16,
        "Prints a line formatted from an array of u64 to the trace log.";
    178 "bpf_skc_to_unix_sock" (AnySock) -> BtfOrNull("unix_sock"), F::NONE, 5 . 16,
        "The kernel's structure of the socket, if it is a local one.";
    179 "bpf_kallsyms_lookup_name" (Mem(Read), SizeOrZero, Anything, AlignedMem(Write, 8)) -> Integer, F::NONE, 5 . 16,
        "The address of a symbol of the kernel.";
    180 "bpf_find_vma" (Btf("task_struct"), Anything, Func, StackOrNull, Anything) -> Integer, F::NONE, 5 . 17,
        "Calls a function with the area of memory that holds an address.";
    181 "bpf_loop" (Anything, Func, StackOrNull, Anything) -> Integer, F::NONE, 5 . 17,
        "Calls a function up to a number of times; how often it was called.";
    182 "bpf_strncmp" (Mem(Read), Size, ConstStr) -> Integer, F::NONE, 5 . 17,
        "Compares text with a constant.";
    183 "bpf_get_func_arg" (Ctx, Anything, AlignedMem(Write, 8)) -> Integer, F::NONE, 5 . 17,
        "An argument of the traced function.";
    184 "bpf_get_func_ret" (Ctx, AlignedMem(Write, 8)) -> Integer, F::NONE, 5 . 17,
        "The return value of the traced function.";
    185 "bpf_get_func_arg_cnt" (Ctx) -> Integer, F::NONE, 5 . 17,
        "How many arguments the traced function has.";
    186 "bpf_get_retval" () -> Integer, F::NONE, 5 . 18,
        "What the system call would return so far.";
    187 "bpf_set_retval" (Anything) -> Integer, F::NONE, 5 . 18,
        "Says what the system call returns.";
    188 "bpf_xdp_get_buff_len" (Ctx) -> Integer, F::NONE, 5 . 18,
        "Bytes of the packet, with those that are not in its first page.";
    189 "bpf_xdp_load_bytes" (Ctx, Anything, Mem(Write), Size) -> Integer, F::NONE, 5 . 18,
        "Copies bytes of the packet, wherever they stand.";
    190 "bpf_xdp_store_bytes" (Ctx, Anything, Mem(Read), Size) -> Integer, F::NONE, 5 . 18,
        "Copies bytes into the packet, wherever it stands.";
    191 "bpf_copy_from_user_task" (Mem(Write), SizeOrZero, Anything, Btf("task_struct"), Anything) -> Integer,
        F::GPL_ONLY | F::MIGHT_SLEEP, 5 . 18,
        "Copies memory of another process, waiting until it is there.";
    192 "bpf_skb_set_tstamp" (Ctx, Anything, Anything) -> Integer, F::NONE, 5 . 18,
        "Sets when the packet is to leave.";
    193 "bpf_ima_file_hash" (Btf("file"), Mem(Write), Size) -> Integer, F::MIGHT_SLEEP, 5 . 18,
        "The hash of a file, measured if it has not been.";
    194 "bpf_kptr_xchg" (KptrField, or_null(Kptr)) -> KptrOrNull, F::ACQUIRES, 5 . 19,
        "Puts an object into a map value or another object, and gives what was there.";
    195 "bpf_map_lookup_percpu_elem" (Map, MapKey, Anything) -> MapValueOrNull, F::PACKET_ARGS, 5 . 19,
        "Pointer to the value of a key that another CPU has, or NULL.";
    196 "bpf_skc_to_mptcp_sock" (AnySock) -> BtfOrNull("mptcp_sock"), F::CASTS, 5 . 19,
        "The kernel's structure of the socket, if it is one of MPTCP.";
    197 "bpf_dynptr_from_mem" (Mem(ReadWrite), SizeOrZero, Anything, Dynptr(Made)) -> Integer, F::NONE, 5 . 19,
        "Makes a dynptr to memory.";
    198 "bpf_ringbuf_reserve_dynptr" (Map, Anything, Anything, Dynptr(MadeRecord)) -> Integer, F::NONE, 5 . 19,
        "Reserves a record of any size in a ring buffer.";
    199 "bpf_ringbuf_submit_dynptr" (Dynptr(EndsRecord), Anything) -> Void, F::RELEASES, 5 . 19,
        "Publishes a reserved record.";
    200 "bpf_ringbuf_discard_dynptr" (Dynptr(EndsRecord), Anything) -> Void, F::RELEASES, 5 . 19,
        "Drops a reserved record.";
    201 "bpf_dynptr_read" (Mem(Write), SizeOrZero, Dynptr(Used), Anything, Anything) -> Integer, F::NONE, 5 . 19,
        "Copies bytes that a dynptr names.";
    202 "bpf_dynptr_write" (Dynptr(Used), Anything, Mem(Read), SizeOrZero, Anything) -> Integer, F::NONE, 5 . 19,
        "Copies bytes to where a dynptr points.";
    203 "bpf_dynptr_data" (Dynptr(Used), Anything, AllocSize) -> DynptrMemOrNull, F::NONE, 5 . 19,
        "The address of bytes that a dynptr names, or NULL.";
    204 "bpf_tcp_raw_gen_syncookie_ipv4" (FixedMem(Read, 20), Mem(Read), SizeOrZero) -> Integer,
        F::GPL_ONLY | F::PACKET_ARGS, 6 . 0,
        "A SYN cookie for an IPv4 and a TCP header.";
    205 "bpf_tcp_raw_gen_syncookie_ipv6" (FixedMem(Read, 40), Mem(Read), SizeOrZero) -> Integer,
        F::GPL_ONLY | F::PACKET_ARGS, 6 . 0,
        "A SYN cookie for an IPv6 and a TCP header.";
    206 "bpf_tcp_raw_check_syncookie_ipv4" (FixedMem(Read, 20), FixedMem(Read, 20)) -> Integer,
        F::GPL_ONLY | F::PACKET_ARGS, 6 . 0,
        "Whether an IPv4 and a TCP header carry a valid SYN cookie.";
    207 "bpf_tcp_raw_check_syncookie_ipv6" (FixedMem(Read, 40), FixedMem(Read, 20)) -> Integer,
        F::GPL_ONLY | F::PACKET_ARGS, 6 . 0,
        "Whether an IPv6 and a TCP header carry a valid SYN cookie.";
    208 "bpf_ktime_get_tai_ns" () -> Integer, F::NONE, 6 . 1,
        "Nanoseconds of international atomic time (CLOCK_TAI).";
    209 "bpf_user_ringbuf_drain" (Map, Func, StackOrNull, Anything) -> Integer, F::NONE, 6 . 1,
        "Calls a function for each record that user space has written.";
    210 "bpf_cgrp_storage_get" (Map, or_null(Btf("cgroup")), or_null(MapValue(Read)), Anything) -> MapValueOrNull,
        F::NONE, 6 . 2,
        "The value that a map keeps with a control group, made if asked to, or NULL.";
    211 "bpf_cgrp_storage_delete" (Map, or_null(Btf("cgroup"))) -> Integer, F::NONE, 6 . 2,
        "Deletes the value that a map keeps with a control group.";
};

/// The row of a helper id.
pub fn helper(id: u32) -> Option<&'static HelperProto> {
    HELPERS.binary_search_by_key(&id, |h| h.id).ok().map(|i| &HELPERS[i])
}

/// The row of a helper name, with or without `bpf_`.
pub fn helper_by_name(name: &str) -> Option<&'static HelperProto> {
    let bare = name.strip_prefix("bpf_").unwrap_or(name);
    HELPERS.iter().find(|h| h.name.strip_prefix("bpf_") == Some(bare))
}
