//! Program types (`enum bpf_prog_type`) and what each sees and may do.

use crate::AttachType;
use crate::context::{
    Context, PERF_EVENT_DATA, PT_REGS, RAW_TRACEPOINT_ARGS, SK_BUFF_CGROUP, SK_BUFF_CGROUP_UNPRIVILEGED,
    SK_BUFF_FLOW_DISSECTOR, SK_BUFF_LWT, SK_BUFF_SK_SKB, SK_BUFF_SOCKET_FILTER, SK_BUFF_TC, SK_LOOKUP,
    SYSCALL_BUFFER, TRACED_ARGUMENTS, TRACEPOINT_RECORD, XDP_MD,
};
use crate::helper::{Capability, HelperGroup, HelperProto};
use crate::helper::{ids, own};

/// A program type; an open number, since kernels add to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ProgramType(pub u32);

macro_rules! program_types {
    ($($num:literal $id:ident $name:literal),* $(,)?) => {
        impl ProgramType {
            $(#[doc = concat!("`", $name, "`")] pub const $id: Self = Self($num);)*

            /// bpftool's name, as `socket_filter`; `None` for numbers that 6.18 does not know.
            pub fn name(self) -> Option<&'static str> {
                match self.0 { $($num => Some($name),)* _ => None }
            }

            /// The type with that name.
            pub fn by_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self($num)),)* _ => None }
            }
        }
    };
}

// Each row becomes a constant and an arm of `name` and of `by_name`.
program_types! {
    0 UNSPEC "unspec",
    1 SOCKET_FILTER "socket_filter",
    2 KPROBE "kprobe",
    3 SCHED_CLS "sched_cls",
    4 SCHED_ACT "sched_act",
    5 TRACEPOINT "tracepoint",
    6 XDP "xdp",
    7 PERF_EVENT "perf_event",
    8 CGROUP_SKB "cgroup_skb",
    9 CGROUP_SOCK "cgroup_sock",
    10 LWT_IN "lwt_in",
    11 LWT_OUT "lwt_out",
    12 LWT_XMIT "lwt_xmit",
    13 SOCK_OPS "sock_ops",
    14 SK_SKB "sk_skb",
    15 CGROUP_DEVICE "cgroup_device",
    16 SK_MSG "sk_msg",
    17 RAW_TRACEPOINT "raw_tracepoint",
    18 CGROUP_SOCK_ADDR "cgroup_sock_addr",
    19 LWT_SEG6LOCAL "lwt_seg6local",
    20 LIRC_MODE2 "lirc_mode2",
    21 SK_REUSEPORT "sk_reuseport",
    22 FLOW_DISSECTOR "flow_dissector",
    23 CGROUP_SYSCTL "cgroup_sysctl",
    24 RAW_TRACEPOINT_WRITABLE "raw_tracepoint_writable",
    25 CGROUP_SOCKOPT "cgroup_sockopt",
    26 TRACING "tracing",
    27 STRUCT_OPS "struct_ops",
    28 EXT "ext",
    29 LSM "lsm",
    30 SK_LOOKUP "sk_lookup",
    31 SYSCALL "syscall",
    32 NETFILTER "netfilter",
}

/// What a program may do with packet pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketAccess {
    /// No packet pointers.
    None,
    /// Loads.
    Read,
    /// Loads and stores.
    ReadWrite,
}

/// The values that a program may return in `r0`, inclusive, compared as the kernel does (signed 32 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReturnRange {
    /// Any scalar.
    Any,
    /// Within these bounds.
    Within(i32, i32),
}

/// What a program of a type sees and may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramTypeRow {
    /// The type.
    pub id: ProgramType,
    /// What `r1` points to.
    pub ctx: Context,
    /// The same for a loader without `CAP_BPF`, where it differs.
    pub ctx_unprivileged: Option<Context>,
    /// Direct packet access.
    pub packet: PacketAccess,
    /// `ld_abs`/`ld_ind` (RFC 9669 §5.5) are allowed.
    pub legacy_loads: bool,
    /// Legal return values.
    pub returns: ReturnRange,
    /// The same under expected attach types that have their own.
    pub attach_returns: &'static [(AttachType, ReturnRange)],
    /// The expected attach types that a program may be loaded with; empty where loading does not look at them.
    pub attach_types: &'static [AttachType],
    /// Whether the program may run with only `unprivileged_bpf_disabled = 0` and no capabilities.
    pub unprivileged: bool,
    /// The stack limit counts per frame (private stacks), not over the call chain.
    pub private_stack: bool,
    /// The program may sleep only if loaded so; `syscall` always does.
    pub always_sleepable: bool,
    /// Helpers by family.
    pub helpers: &'static [HelperGroup],
    /// Prototypes that the type has in place of the common ones.
    pub own_helpers: &'static [HelperProto],
}

impl ProgramTypeRow {
    /// The type's own prototype of helper `id`, if it is not the common one.
    pub fn own_helper(&self, id: u32) -> Option<&'static HelperProto> {
        self.own_helpers.iter().find(|h| h.id == id)
    }

    /// Whether the type offers helper `id` to a holder of the capabilities that `has` confirms.
    pub fn helper_capability(&self, id: u32) -> Option<Capability> {
        self.helpers.iter().find(|g| g.ids.contains(&id)).map(|g| g.capability)
    }

    /// The context as a loader of these rights sees it.
    pub fn ctx_for(&self, capability: Capability) -> &Context {
        match &self.ctx_unprivileged {
            Some(ctx) if capability < Capability::Bpf => ctx,
            _ => &self.ctx,
        }
    }

    /// Legal return values of a program with an expected attach type; `None` where it may not be loaded with it.
    pub fn returns_for(&self, attach: AttachType) -> Option<ReturnRange> {
        if !self.attach_types.is_empty() && !self.attach_types.contains(&attach) {
            return None;
        }
        let own = self.attach_returns.iter().find(|(t, _)| *t == attach);
        Some(own.map_or(self.returns, |(_, returns)| *returns))
    }
}

/// The helpers that all programs have, and more.
macro_rules! base_and {
    ($($group:ident),*) => {
        &[ids::BASE, ids::BASE_BPF, ids::BASE_PERFMON $(, ids::$group)*]
    };
}

/// What most types have: privileged loaders only, any return value, no packet, one stack for all functions, no
/// sleep, and the helpers that all programs have. `ctx` is each type's own.
const PLAIN: ProgramTypeRow = ProgramTypeRow {
    id: ProgramType::UNSPEC,
    ctx: SYSCALL_BUFFER,
    ctx_unprivileged: None,
    packet: PacketAccess::None,
    legacy_loads: false,
    returns: ReturnRange::Any,
    attach_returns: &[],
    attach_types: &[],
    unprivileged: false,
    private_stack: false,
    always_sleepable: false,
    helpers: base_and!(),
    own_helpers: &[],
};

/// The same for programs on a `struct __sk_buff`.
const ON_SK_BUFF: ProgramTypeRow =
    ProgramTypeRow { helpers: base_and!(NETWORK, KERNEL_SOCKETS, EVENTS, SK_BUFF), ..PLAIN };

/// Lightweight tunnels.
const LWT: ProgramTypeRow = ProgramTypeRow {
    ctx: SK_BUFF_LWT,
    packet: PacketAccess::Read,
    helpers: base_and!(NETWORK, KERNEL_SOCKETS, EVENTS, SK_BUFF, LWT),
    own_helpers: own::ON_PACKETS,
    ..PLAIN
};

/// Traffic control.
const TC: ProgramTypeRow = ProgramTypeRow {
    ctx: SK_BUFF_TC,
    packet: PacketAccess::ReadWrite,
    legacy_loads: true,
    helpers: base_and!(
        NETWORK,
        KERNEL_SOCKETS,
        EVENTS,
        SK_BUFF,
        SK_BUFF_RELATIVE,
        SK_BUFF_CGROUP,
        TC,
        RAW_SYN_COOKIES,
        SOCKETS,
        SYN_COOKIES,
        SOCKET_KINDS,
        SOCKET_STORAGE
    ),
    own_helpers: own::ON_PACKETS,
    ..PLAIN
};

/// The same for programs that trace.
const THAT_TRACES: ProgramTypeRow = ProgramTypeRow { helpers: base_and!(TRACING, TRACED_EVENTS), ..PLAIN };

/// The rows of types that only a kernel runs, since their context is the kernel's own.
pub static KERNEL_PROGRAM_TYPES: &[ProgramTypeRow] = &[ProgramTypeRow {
    id: ProgramType::TRACING,
    ctx: TRACED_ARGUMENTS,
    attach_returns: &[(AttachType::TRACE_ITER, ReturnRange::Within(0, 1))],
    attach_types: &[AttachType::TRACE_RAW_TP, AttachType::TRACE_ITER],
    private_stack: true,
    helpers: base_and!(TRACING, KERNEL_SOCKETS, SOCKET_STORAGE, TYPED_TRACING),
    own_helpers: own::SYSCALL,
    ..THAT_TRACES
}];

/// The rows of all types that skep describes and can run.
pub static PROGRAM_TYPES: &[ProgramTypeRow] = &[
    ProgramTypeRow {
        id: ProgramType::SOCKET_FILTER,
        ctx: SK_BUFF_SOCKET_FILTER,
        legacy_loads: true,
        unprivileged: true,
        helpers: base_and!(NETWORK, KERNEL_SOCKETS, EVENTS, SK_BUFF, SK_BUFF_RELATIVE, SOCKET_FILTER),
        ..ON_SK_BUFF
    },
    ProgramTypeRow {
        id: ProgramType::XDP,
        ctx: XDP_MD,
        packet: PacketAccess::ReadWrite,
        helpers: base_and!(
            NETWORK,
            KERNEL_SOCKETS,
            EVENTS,
            XDP,
            XDP_ROUTING,
            XDP_MAPS,
            RAW_SYN_COOKIES,
            SOCKETS,
            SYN_COOKIES
        ),
        ..PLAIN
    },
    ProgramTypeRow {
        id: ProgramType::SYSCALL,
        ctx: SYSCALL_BUFFER,
        attach_types: &[AttachType::UNSPEC],
        always_sleepable: true,
        helpers: base_and!(TRACING, KERNEL_SOCKETS, SYSCALL, SYSCALL_BPF, SOCKET_STORAGE),
        own_helpers: own::SYSCALL,
        ..THAT_TRACES
    },
    ProgramTypeRow {
        id: ProgramType::TRACEPOINT,
        ctx: TRACEPOINT_RECORD,
        private_stack: true,
        ..THAT_TRACES
    },
    ProgramTypeRow {
        id: ProgramType::RAW_TRACEPOINT,
        ctx: RAW_TRACEPOINT_ARGS,
        private_stack: true,
        ..THAT_TRACES
    },
    ProgramTypeRow { id: ProgramType::SCHED_CLS, ..TC },
    ProgramTypeRow { id: ProgramType::SCHED_ACT, ..TC },
    ProgramTypeRow {
        id: ProgramType::CGROUP_SKB,
        ctx: SK_BUFF_CGROUP,
        ctx_unprivileged: Some(SK_BUFF_CGROUP_UNPRIVILEGED),
        packet: PacketAccess::Read,
        returns: ReturnRange::Within(0, 1),
        // 2 and 3 are 0 and 1 with a note of congestion.
        attach_returns: &[(AttachType::CGROUP_INET_EGRESS, ReturnRange::Within(0, 3))],
        attach_types: &[AttachType::CGROUP_INET_INGRESS, AttachType::CGROUP_INET_EGRESS],
        unprivileged: true,
        helpers: base_and!(
            NETWORK,
            KERNEL_SOCKETS,
            EVENTS,
            SK_BUFF,
            SK_BUFF_RELATIVE,
            SK_BUFF_CGROUP,
            CGROUP_SKB,
            CGROUP_STORAGE,
            SOCKETS,
            SOCKET_KINDS,
            SOCKET_STORAGE,
            SOCKET_CGROUP
        ),
        ..ON_SK_BUFF
    },
    ProgramTypeRow {
        id: ProgramType::LWT_IN,
        helpers: base_and!(NETWORK, KERNEL_SOCKETS, EVENTS, SK_BUFF, LWT, LWT_ENCAP),
        ..LWT
    },
    ProgramTypeRow { id: ProgramType::LWT_OUT, ..LWT },
    ProgramTypeRow {
        id: ProgramType::LWT_XMIT,
        packet: PacketAccess::ReadWrite,
        helpers: base_and!(NETWORK, KERNEL_SOCKETS, EVENTS, SK_BUFF, LWT, LWT_ENCAP, LWT_XMIT),
        ..LWT
    },
    ProgramTypeRow {
        id: ProgramType::LWT_SEG6LOCAL,
        helpers: base_and!(NETWORK, KERNEL_SOCKETS, EVENTS, SK_BUFF, LWT, LWT_SEG6LOCAL),
        ..LWT
    },
    ProgramTypeRow {
        id: ProgramType::SK_SKB,
        ctx: SK_BUFF_SK_SKB,
        packet: PacketAccess::ReadWrite,
        helpers: base_and!(NETWORK, KERNEL_SOCKETS, EVENTS, SK_BUFF, SK_SKB, SOCKETS),
        ..ON_SK_BUFF
    },
    ProgramTypeRow {
        id: ProgramType::FLOW_DISSECTOR,
        ctx: SK_BUFF_FLOW_DISSECTOR,
        packet: PacketAccess::Read,
        helpers: base_and!(NETWORK, KERNEL_SOCKETS, SK_BUFF),
        ..PLAIN
    },
    ProgramTypeRow {
        id: ProgramType::SK_LOOKUP,
        ctx: SK_LOOKUP,
        returns: ReturnRange::Within(0, 1),
        attach_types: &[AttachType::SK_LOOKUP],
        helpers: base_and!(NETWORK, KERNEL_SOCKETS, EVENTS, SK_LOOKUP),
        own_helpers: own::SK_LOOKUP,
        ..PLAIN
    },
    ProgramTypeRow {
        id: ProgramType::PERF_EVENT,
        ctx: PERF_EVENT_DATA,
        private_stack: true,
        helpers: base_and!(TRACING, TRACED_EVENTS, PERF_EVENT),
        own_helpers: own::PERF_EVENT,
        ..THAT_TRACES
    },
    ProgramTypeRow {
        id: ProgramType::KPROBE,
        ctx: PT_REGS,
        attach_returns: &[
            (AttachType::TRACE_KPROBE_SESSION, ReturnRange::Within(0, 1)),
            (AttachType::TRACE_UPROBE_SESSION, ReturnRange::Within(0, 1)),
        ],
        private_stack: true,
        ..THAT_TRACES
    },
];
