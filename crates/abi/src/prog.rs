//! Program types (`enum bpf_prog_type`) and what each sees and may do.

use crate::AttachType;
use crate::context::{
    Context, PERF_EVENT_DATA, PT_REGS, RAW_TRACEPOINT_ARGS, SK_BUFF_CGROUP, SK_BUFF_CGROUP_UNPRIVILEGED,
    SK_BUFF_FLOW_DISSECTOR, SK_BUFF_LWT, SK_BUFF_SK_SKB, SK_BUFF_SOCKET_FILTER, SK_BUFF_TC, SK_LOOKUP,
    SYSCALL_BUFFER, TRACEPOINT_RECORD, XDP_MD, XDP_MD_DEVMAP,
};
use crate::helper::{Capability, HelperGroup, HelperProto};
use crate::helper::{ids, own};
use crate::socket_context::{
    CGROUP_DEVICE, CGROUP_SOCK, CGROUP_SOCK_POST_BIND4, CGROUP_SOCK_POST_BIND6, CGROUP_SYSCTL, GETSOCKOPT,
    LIRC_MODE2, NETFILTER, RAW_TRACEPOINT_WRITABLE_ARGS, SETSOCKOPT, SK_MSG, SK_REUSEPORT, SOCK_ADDR,
    SOCK_ADDR4, SOCK_ADDR4_SENDMSG, SOCK_ADDR6, SOCK_ADDR6_SENDMSG, SOCK_OPS,
};

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
    /// Loads; helpers do not take them as memory.
    Load,
    /// Loads.
    Read,
    /// Loads and stores.
    ReadWrite,
    /// Loads and stores, and every helper takes them as memory.
    Lent,
}

impl PacketAccess {
    /// Whether programs store into packets.
    pub const fn writes(self) -> bool {
        match self {
            Self::None | Self::Load | Self::Read => false,
            Self::ReadWrite | Self::Lent => true,
        }
    }

    /// Whether a helper that takes packet pointers as memory, or one that does not, gets them.
    pub const fn passes(self, packet_args: bool) -> bool {
        match self {
            Self::None | Self::Load => false,
            Self::Read | Self::ReadWrite => packet_args,
            Self::Lent => true,
        }
    }
}

/// Whether programs of a type sleep (`can_be_sleepable`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sleep {
    /// They may not be loaded so.
    Never,
    /// Those loaded with `BPF_F_SLEEPABLE`.
    IfLoadedSo,
    /// All.
    Always,
}

/// The values that a program may return in `r0`, inclusive, compared as the kernel does (signed 32 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReturnRange {
    /// Any scalar.
    Any,
    /// Within these bounds.
    Within(i32, i32),
    /// The low 32 bits within these bounds.
    LowWithin(i32, i32),
    /// Nothing is returned: `r0` need not even be set.
    Nothing,
}

/// What differs under some expected attach types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttachRules {
    /// These.
    pub attach_types: &'static [AttachType],
    /// What `r1` points to, if it is another.
    pub ctx: Option<Context>,
    /// Legal return values, if they are others.
    pub returns: Option<ReturnRange>,
    /// Whether the program may sleep, if that differs.
    pub sleep: Option<Sleep>,
    /// Helpers beside those of the type.
    pub helpers: &'static [HelperGroup],
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
    /// What differs by expected attach type; all rules with the type count, of contexts and return values the first.
    pub attach_rules: &'static [AttachRules],
    /// The expected attach types that a program may be loaded with; empty where loading does not look at them.
    pub attach_types: &'static [AttachType],
    /// What a loader needs; a program that none is needed for still needs `unprivileged_bpf_disabled = 0`.
    pub needs: Capability,
    /// The stack limit counts per frame (private stacks), not over the call chain.
    pub private_stack: bool,
    /// Whether the program may sleep.
    pub sleep: Sleep,
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

    fn rules_under(&self, attach: AttachType) -> impl Iterator<Item = &'static AttachRules> {
        self.attach_rules.iter().filter(move |r| r.attach_types.contains(&attach))
    }

    /// The groups that are offered under some expected attach type or other.
    pub fn all_helpers(&self) -> impl Iterator<Item = &'static HelperGroup> {
        self.helpers.iter().chain(self.attach_rules.iter().flat_map(|r| r.helpers))
    }

    /// What a loader needs for helper `id` in a program with an expected attach type; `None` where it is not offered.
    pub fn helper_capability(&self, id: u32, attach: AttachType) -> Option<Capability> {
        let more = self.rules_under(attach).flat_map(|r| r.helpers);
        self.helpers.iter().chain(more).find(|g| g.ids.contains(&id)).map(|g| g.capability)
    }

    /// The context as a loader of these rights sees it under an expected attach type.
    pub fn ctx_for(&self, capability: Capability, attach: AttachType) -> &Context {
        match &self.ctx_unprivileged {
            Some(ctx) if capability < Capability::Bpf => ctx,
            _ => self.rules_under(attach).find_map(|r| r.ctx.as_ref()).unwrap_or(&self.ctx),
        }
    }

    /// Whether a program with an expected attach type may sleep.
    pub fn sleep_for(&self, attach: AttachType) -> Sleep {
        self.rules_under(attach).find_map(|r| r.sleep).unwrap_or(self.sleep)
    }

    /// Legal return values of a program with an expected attach type; `None` where it may not be loaded with it.
    pub fn returns_for(&self, attach: AttachType) -> Option<ReturnRange> {
        if !self.attach_types.is_empty() && !self.attach_types.contains(&attach) {
            return None;
        }
        Some(self.rules_under(attach).find_map(|r| r.returns).unwrap_or(self.returns))
    }
}

/// The helpers that all programs have, and more.
macro_rules! base_and {
    ($($group:ident),*) => {
        &[ids::BASE, ids::BASE_BPF, ids::BASE_PERFMON $(, ids::$group)*]
    };
}

mod kernel;

pub use kernel::KERNEL_PROGRAM_TYPES;

/// No difference under these.
const fn under(attach_types: &'static [AttachType]) -> AttachRules {
    AttachRules { attach_types, ctx: None, returns: None, sleep: None, helpers: &[] }
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
    attach_rules: &[],
    attach_types: &[],
    needs: Capability::Bpf,
    private_stack: false,
    sleep: Sleep::Never,
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
const THAT_TRACES: ProgramTypeRow =
    ProgramTypeRow { needs: Capability::Perfmon, helpers: base_and!(TRACING, TRACED_EVENTS), ..PLAIN };

/// The rows of all types that skep describes and can run.
pub static PROGRAM_TYPES: &[ProgramTypeRow] = &[
    ProgramTypeRow {
        id: ProgramType::SOCKET_FILTER,
        ctx: SK_BUFF_SOCKET_FILTER,
        legacy_loads: true,
        needs: Capability::None,
        helpers: base_and!(NETWORK, KERNEL_SOCKETS, EVENTS, SK_BUFF, SK_BUFF_RELATIVE, SOCKET_FILTER),
        ..ON_SK_BUFF
    },
    ProgramTypeRow {
        id: ProgramType::XDP,
        ctx: XDP_MD,
        attach_rules: &[AttachRules { ctx: Some(XDP_MD_DEVMAP), ..under(&[AttachType::XDP_DEVMAP]) }],
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
        sleep: Sleep::Always,
        needs: Capability::Bpf,
        helpers: base_and!(TRACING, KERNEL_SOCKETS, SYSCALL, SYSCALL_BPF),
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
        attach_rules: &[AttachRules {
            returns: Some(ReturnRange::Within(0, 3)),
            ..under(&[AttachType::CGROUP_INET_EGRESS])
        }],
        attach_types: &[AttachType::CGROUP_INET_INGRESS, AttachType::CGROUP_INET_EGRESS],
        needs: Capability::None,
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
        attach_rules: &[AttachRules {
            returns: Some(ReturnRange::Within(0, 1)),
            ..under(&[AttachType::TRACE_KPROBE_SESSION, AttachType::TRACE_UPROBE_SESSION])
        }],
        private_stack: true,
        // Probes of user space; those of the kernel are refused when they are attached.
        sleep: Sleep::IfLoadedSo,
        ..THAT_TRACES
    },
    ProgramTypeRow {
        id: ProgramType::RAW_TRACEPOINT_WRITABLE,
        ctx: RAW_TRACEPOINT_WRITABLE_ARGS,
        ..THAT_TRACES
    },
    ProgramTypeRow {
        id: ProgramType::CGROUP_SOCK,
        ctx: CGROUP_SOCK,
        returns: ReturnRange::Within(0, 1),
        attach_types: &[
            // Taken for `cgroup_inet_sock_create` (`bpf_prog_load_fixup_attach_type`).
            AttachType::UNSPEC,
            AttachType::CGROUP_INET_SOCK_CREATE,
            AttachType::CGROUP_INET_SOCK_RELEASE,
            AttachType::CGROUP_INET4_POST_BIND,
            AttachType::CGROUP_INET6_POST_BIND,
        ],
        attach_rules: &[
            AttachRules { ctx: Some(CGROUP_SOCK_POST_BIND4), ..under(&[AttachType::CGROUP_INET4_POST_BIND]) },
            AttachRules { ctx: Some(CGROUP_SOCK_POST_BIND6), ..under(&[AttachType::CGROUP_INET6_POST_BIND]) },
        ],
        helpers: base_and!(NETWORK, EVENTS, CGROUP_STORAGE, CGROUP_RETVAL, CGROUP_SOCK),
        own_helpers: own::CGROUP_SOCK,
        ..PLAIN
    },
    ProgramTypeRow {
        id: ProgramType::SOCK_OPS,
        ctx: SOCK_OPS,
        packet: PacketAccess::Load,
        returns: ReturnRange::Within(0, 1),
        helpers: base_and!(NETWORK, KERNEL_SOCKETS, EVENTS, CGROUP_STORAGE, SOCK_OPS, SOCKET_STORAGE),
        ..PLAIN
    },
    ProgramTypeRow {
        id: ProgramType::CGROUP_DEVICE,
        ctx: CGROUP_DEVICE,
        returns: ReturnRange::Within(0, 1),
        attach_rules: &[AttachRules {
            helpers: &[ids::CGROUP_RETVAL],
            ..under(&[AttachType::CGROUP_DEVICE])
        }],
        helpers: base_and!(EVENTS, CGROUP_STORAGE),
        ..PLAIN
    },
    ProgramTypeRow {
        id: ProgramType::SK_MSG,
        ctx: SK_MSG,
        packet: PacketAccess::ReadWrite,
        helpers: base_and!(NETWORK, KERNEL_SOCKETS, EVENTS, SK_MSG, SOCKET_STORAGE),
        ..PLAIN
    },
    ProgramTypeRow {
        id: ProgramType::CGROUP_SOCK_ADDR,
        ctx: SOCK_ADDR,
        returns: ReturnRange::Within(0, 1),
        attach_types: SOCK_ADDR_ATTACH_TYPES,
        attach_rules: SOCK_ADDR_RULES,
        helpers: base_and!(
            NETWORK,
            KERNEL_SOCKETS,
            EVENTS,
            CGROUP_STORAGE,
            SOCK_ADDR,
            SOCKOPT,
            SOCKETS,
            SOCKET_STORAGE
        ),
        ..PLAIN
    },
    ProgramTypeRow {
        id: ProgramType::LIRC_MODE2,
        ctx: LIRC_MODE2,
        helpers: &[ids::LIRC_MODE2, ids::LIRC_MODE2_PERFMON],
        ..PLAIN
    },
    ProgramTypeRow {
        id: ProgramType::SK_REUSEPORT,
        ctx: SK_REUSEPORT,
        packet: PacketAccess::Read,
        attach_types: &[
            // Taken for `sk_reuseport_select` (`bpf_prog_load_fixup_attach_type`).
            AttachType::UNSPEC,
            AttachType::SK_REUSEPORT_SELECT,
            AttachType::SK_REUSEPORT_SELECT_OR_MIGRATE,
        ],
        helpers: base_and!(NETWORK, SK_BUFF, SK_BUFF_RELATIVE, SK_REUSEPORT),
        own_helpers: own::SOCKETS_BY_POINTER,
        ..PLAIN
    },
    ProgramTypeRow {
        id: ProgramType::CGROUP_SYSCTL,
        ctx: CGROUP_SYSCTL,
        returns: ReturnRange::Within(0, 1),
        attach_rules: &[AttachRules {
            helpers: &[ids::CGROUP_RETVAL],
            ..under(&[AttachType::CGROUP_SYSCTL])
        }],
        helpers: base_and!(NETWORK, EVENTS, CGROUP_STORAGE, CGROUP_SYSCTL),
        ..PLAIN
    },
    ProgramTypeRow {
        id: ProgramType::CGROUP_SOCKOPT,
        ctx: GETSOCKOPT,
        packet: PacketAccess::Lent,
        returns: ReturnRange::Within(0, 1),
        attach_types: &[AttachType::CGROUP_GETSOCKOPT, AttachType::CGROUP_SETSOCKOPT],
        attach_rules: &[AttachRules {
            ctx: Some(SETSOCKOPT),
            helpers: &[ids::SOCKOPT],
            ..under(&[AttachType::CGROUP_SETSOCKOPT])
        }],
        helpers: base_and!(EVENTS, CGROUP_STORAGE, CGROUP_RETVAL, CGROUP_SOCKOPT, SOCKET_STORAGE),
        own_helpers: own::CGROUP_SOCKOPT,
        ..PLAIN
    },
    ProgramTypeRow {
        id: ProgramType::NETFILTER,
        ctx: NETFILTER,
        returns: ReturnRange::Within(0, 1),
        attach_types: &[AttachType::NETFILTER],
        ..PLAIN
    },
];

const SOCK_ADDR_ATTACH_TYPES: &[AttachType] = &[
    AttachType::CGROUP_INET4_BIND,
    AttachType::CGROUP_INET6_BIND,
    AttachType::CGROUP_INET4_CONNECT,
    AttachType::CGROUP_INET6_CONNECT,
    AttachType::CGROUP_UDP4_SENDMSG,
    AttachType::CGROUP_UDP6_SENDMSG,
    AttachType::CGROUP_UDP4_RECVMSG,
    AttachType::CGROUP_UDP6_RECVMSG,
    AttachType::CGROUP_INET4_GETPEERNAME,
    AttachType::CGROUP_INET6_GETPEERNAME,
    AttachType::CGROUP_INET4_GETSOCKNAME,
    AttachType::CGROUP_INET6_GETSOCKNAME,
    AttachType::CGROUP_UNIX_CONNECT,
    AttachType::CGROUP_UNIX_SENDMSG,
    AttachType::CGROUP_UNIX_RECVMSG,
    AttachType::CGROUP_UNIX_GETPEERNAME,
    AttachType::CGROUP_UNIX_GETSOCKNAME,
];

const SOCK_ADDR_RULES: &[AttachRules] = &[
    AttachRules { ctx: Some(SOCK_ADDR4_SENDMSG), ..under(&[AttachType::CGROUP_UDP4_SENDMSG]) },
    AttachRules { ctx: Some(SOCK_ADDR6_SENDMSG), ..under(&[AttachType::CGROUP_UDP6_SENDMSG]) },
    AttachRules {
        ctx: Some(SOCK_ADDR4),
        ..under(&[
            AttachType::CGROUP_INET4_BIND,
            AttachType::CGROUP_INET4_CONNECT,
            AttachType::CGROUP_UDP4_RECVMSG,
            AttachType::CGROUP_INET4_GETPEERNAME,
            AttachType::CGROUP_INET4_GETSOCKNAME,
        ])
    },
    AttachRules {
        ctx: Some(SOCK_ADDR6),
        ..under(&[
            AttachType::CGROUP_INET6_BIND,
            AttachType::CGROUP_INET6_CONNECT,
            AttachType::CGROUP_UDP6_RECVMSG,
            AttachType::CGROUP_INET6_GETPEERNAME,
            AttachType::CGROUP_INET6_GETSOCKNAME,
        ])
    },
    AttachRules {
        // Bit 1 lets any user bind to a port below 1024.
        returns: Some(ReturnRange::Within(0, 3)),
        ..under(&[AttachType::CGROUP_INET4_BIND, AttachType::CGROUP_INET6_BIND])
    },
    AttachRules {
        // These can only look and change, not refuse.
        returns: Some(ReturnRange::Within(1, 1)),
        ..under(&[
            AttachType::CGROUP_UDP4_RECVMSG,
            AttachType::CGROUP_UDP6_RECVMSG,
            AttachType::CGROUP_UNIX_RECVMSG,
            AttachType::CGROUP_INET4_GETPEERNAME,
            AttachType::CGROUP_INET6_GETPEERNAME,
            AttachType::CGROUP_UNIX_GETPEERNAME,
            AttachType::CGROUP_INET4_GETSOCKNAME,
            AttachType::CGROUP_INET6_GETSOCKNAME,
            AttachType::CGROUP_UNIX_GETSOCKNAME,
        ])
    },
    AttachRules {
        helpers: &[ids::CGROUP_RETVAL],
        ..under(&[
            AttachType::CGROUP_INET4_BIND,
            AttachType::CGROUP_INET6_BIND,
            AttachType::CGROUP_INET4_CONNECT,
            AttachType::CGROUP_INET6_CONNECT,
            AttachType::CGROUP_UNIX_CONNECT,
            AttachType::CGROUP_UDP4_SENDMSG,
            AttachType::CGROUP_UDP6_SENDMSG,
            AttachType::CGROUP_UNIX_SENDMSG,
        ])
    },
    AttachRules {
        helpers: &[ids::SOCK_ADDR_CONNECT],
        ..under(&[AttachType::CGROUP_INET4_CONNECT, AttachType::CGROUP_INET6_CONNECT])
    },
];
