//! ELF section names and what libbpf 1.7 makes of them.

use crate::{AttachType, ProgramType};

/// How the name in the table is compared with a section's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SectionMatch {
    /// The whole name.
    Exact,
    /// The name alone, or followed by `/` and a target (libbpf writes these with `+`).
    Prefix,
}

/// What else a section name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SectionFlags(pub u32);

impl SectionFlags {
    /// Nothing.
    pub const NONE: u32 = 0;
    /// `expected_attach_type` may be left out on old kernels.
    pub const EXP_ATTACH_OPT: u32 = 1;
    /// Attached through `BPF_PROG_ATTACH`.
    pub const ATTACHABLE: u32 = 2;
    /// Both of the above.
    pub const ATTACHABLE_OPT: u32 = 3;
    /// The target is named by a BTF id.
    pub const ATTACH_BTF: u32 = 4;
    /// Loaded with `BPF_F_SLEEPABLE`.
    pub const SLEEPABLE: u32 = 8;
    /// Loaded with `BPF_F_XDP_HAS_FRAGS`.
    pub const XDP_FRAGS: u32 = 16;
    /// Attached as USDT.
    pub const USDT: u32 = 32;

    /// Whether all bits of `flag` are set.
    pub const fn has(self, flag: u32) -> bool {
        self.0 & flag == flag
    }
}

/// A row: a section name and the program that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Section {
    /// Name, without the `+` of libbpf's table.
    pub name: &'static str,
    /// How it is compared.
    pub matching: SectionMatch,
    /// Program type.
    pub prog_type: ProgramType,
    /// `expected_attach_type`; 0 where none is named.
    pub attach_type: AttachType,
    /// The rest.
    pub flags: SectionFlags,
}

impl Section {
    /// Whether `name` belongs to this row.
    pub fn matches(&self, name: &str) -> bool {
        match self.matching {
            SectionMatch::Exact => name == self.name,
            SectionMatch::Prefix => {
                name.strip_prefix(self.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }

    /// The part behind the `/`: `sched/sched_switch` of `tp/sched/sched_switch`.
    pub fn target<'n>(&self, name: &'n str) -> Option<&'n str> {
        match self.matching {
            SectionMatch::Exact => None,
            SectionMatch::Prefix => name.strip_prefix(self.name)?.strip_prefix('/'),
        }
    }
}

/// The row of a section name (without a leading `?`); the first match counts, as in libbpf.
pub fn find_section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|s| s.matches(name))
}

macro_rules! sections {
    ($($name:literal $matching:ident $prog:ident $attach:ident $($flag:ident)|+,)*) => {
        /// libbpf 1.7's table, in its order.
        pub static SECTIONS: &[Section] = &[$(Section {
            name: $name,
            matching: SectionMatch::$matching,
            prog_type: ProgramType::$prog,
            attach_type: AttachType::$attach,
            flags: SectionFlags($(SectionFlags::$flag)|+),
        },)*];
    };
}

// `"tp" Prefix TRACEPOINT UNSPEC NONE,` becomes
// `Section { name: "tp", matching: SectionMatch::Prefix, prog_type: ProgramType::TRACEPOINT, … }`.
sections! {
    "socket" Exact SOCKET_FILTER UNSPEC NONE,
    "sk_reuseport/migrate" Exact SK_REUSEPORT SK_REUSEPORT_SELECT_OR_MIGRATE ATTACHABLE,
    "sk_reuseport" Exact SK_REUSEPORT SK_REUSEPORT_SELECT ATTACHABLE,
    "kprobe" Prefix KPROBE UNSPEC NONE,
    "uprobe" Prefix KPROBE UNSPEC NONE,
    "uprobe.s" Prefix KPROBE UNSPEC SLEEPABLE,
    "kretprobe" Prefix KPROBE UNSPEC NONE,
    "uretprobe" Prefix KPROBE UNSPEC NONE,
    "uretprobe.s" Prefix KPROBE UNSPEC SLEEPABLE,
    "kprobe.multi" Prefix KPROBE TRACE_KPROBE_MULTI NONE,
    "kretprobe.multi" Prefix KPROBE TRACE_KPROBE_MULTI NONE,
    "kprobe.session" Prefix KPROBE TRACE_KPROBE_SESSION NONE,
    "uprobe.multi" Prefix KPROBE TRACE_UPROBE_MULTI NONE,
    "uretprobe.multi" Prefix KPROBE TRACE_UPROBE_MULTI NONE,
    "uprobe.session" Prefix KPROBE TRACE_UPROBE_SESSION NONE,
    "uprobe.multi.s" Prefix KPROBE TRACE_UPROBE_MULTI SLEEPABLE,
    "uretprobe.multi.s" Prefix KPROBE TRACE_UPROBE_MULTI SLEEPABLE,
    "uprobe.session.s" Prefix KPROBE TRACE_UPROBE_SESSION SLEEPABLE,
    "ksyscall" Prefix KPROBE UNSPEC NONE,
    "kretsyscall" Prefix KPROBE UNSPEC NONE,
    "usdt" Prefix KPROBE UNSPEC USDT,
    "usdt.s" Prefix KPROBE UNSPEC USDT|SLEEPABLE,
    "tc/ingress" Exact SCHED_CLS TCX_INGRESS NONE,
    "tc/egress" Exact SCHED_CLS TCX_EGRESS NONE,
    "tcx/ingress" Exact SCHED_CLS TCX_INGRESS NONE,
    "tcx/egress" Exact SCHED_CLS TCX_EGRESS NONE,
    "tc" Exact SCHED_CLS UNSPEC NONE,
    "classifier" Exact SCHED_CLS UNSPEC NONE,
    "action" Exact SCHED_ACT UNSPEC NONE,
    "netkit/primary" Exact SCHED_CLS NETKIT_PRIMARY NONE,
    "netkit/peer" Exact SCHED_CLS NETKIT_PEER NONE,
    "tracepoint" Prefix TRACEPOINT UNSPEC NONE,
    "tp" Prefix TRACEPOINT UNSPEC NONE,
    "raw_tracepoint" Prefix RAW_TRACEPOINT UNSPEC NONE,
    "raw_tp" Prefix RAW_TRACEPOINT UNSPEC NONE,
    "raw_tracepoint.w" Prefix RAW_TRACEPOINT_WRITABLE UNSPEC NONE,
    "raw_tp.w" Prefix RAW_TRACEPOINT_WRITABLE UNSPEC NONE,
    "tp_btf" Prefix TRACING TRACE_RAW_TP ATTACH_BTF,
    "fentry" Prefix TRACING TRACE_FENTRY ATTACH_BTF,
    "fmod_ret" Prefix TRACING MODIFY_RETURN ATTACH_BTF,
    "fexit" Prefix TRACING TRACE_FEXIT ATTACH_BTF,
    "fentry.s" Prefix TRACING TRACE_FENTRY ATTACH_BTF|SLEEPABLE,
    "fmod_ret.s" Prefix TRACING MODIFY_RETURN ATTACH_BTF|SLEEPABLE,
    "fexit.s" Prefix TRACING TRACE_FEXIT ATTACH_BTF|SLEEPABLE,
    "fsession" Prefix TRACING TRACE_FSESSION ATTACH_BTF,
    "fsession.s" Prefix TRACING TRACE_FSESSION ATTACH_BTF|SLEEPABLE,
    "freplace" Prefix EXT UNSPEC ATTACH_BTF,
    "lsm" Prefix LSM LSM_MAC ATTACH_BTF,
    "lsm.s" Prefix LSM LSM_MAC ATTACH_BTF|SLEEPABLE,
    "lsm_cgroup" Prefix LSM LSM_CGROUP ATTACH_BTF,
    "iter" Prefix TRACING TRACE_ITER ATTACH_BTF,
    "iter.s" Prefix TRACING TRACE_ITER ATTACH_BTF|SLEEPABLE,
    "syscall" Exact SYSCALL UNSPEC SLEEPABLE,
    "xdp.frags/devmap" Exact XDP XDP_DEVMAP XDP_FRAGS,
    "xdp/devmap" Exact XDP XDP_DEVMAP ATTACHABLE,
    "xdp.frags/cpumap" Exact XDP XDP_CPUMAP XDP_FRAGS,
    "xdp/cpumap" Exact XDP XDP_CPUMAP ATTACHABLE,
    "xdp.frags" Exact XDP XDP XDP_FRAGS,
    "xdp" Exact XDP XDP ATTACHABLE_OPT,
    "perf_event" Exact PERF_EVENT UNSPEC NONE,
    "lwt_in" Exact LWT_IN UNSPEC NONE,
    "lwt_out" Exact LWT_OUT UNSPEC NONE,
    "lwt_xmit" Exact LWT_XMIT UNSPEC NONE,
    "lwt_seg6local" Exact LWT_SEG6LOCAL UNSPEC NONE,
    "sockops" Exact SOCK_OPS CGROUP_SOCK_OPS ATTACHABLE_OPT,
    "sk_skb/stream_parser" Exact SK_SKB SK_SKB_STREAM_PARSER ATTACHABLE_OPT,
    "sk_skb/stream_verdict" Exact SK_SKB SK_SKB_STREAM_VERDICT ATTACHABLE_OPT,
    "sk_skb/verdict" Exact SK_SKB SK_SKB_VERDICT ATTACHABLE_OPT,
    "sk_skb" Exact SK_SKB UNSPEC NONE,
    "sk_msg" Exact SK_MSG SK_MSG_VERDICT ATTACHABLE_OPT,
    "lirc_mode2" Exact LIRC_MODE2 LIRC_MODE2 ATTACHABLE_OPT,
    "flow_dissector" Exact FLOW_DISSECTOR FLOW_DISSECTOR ATTACHABLE_OPT,
    "cgroup_skb/ingress" Exact CGROUP_SKB CGROUP_INET_INGRESS ATTACHABLE_OPT,
    "cgroup_skb/egress" Exact CGROUP_SKB CGROUP_INET_EGRESS ATTACHABLE_OPT,
    "cgroup/skb" Exact CGROUP_SKB UNSPEC NONE,
    "cgroup/sock_create" Exact CGROUP_SOCK CGROUP_INET_SOCK_CREATE ATTACHABLE,
    "cgroup/sock_release" Exact CGROUP_SOCK CGROUP_INET_SOCK_RELEASE ATTACHABLE,
    "cgroup/sock" Exact CGROUP_SOCK CGROUP_INET_SOCK_CREATE ATTACHABLE_OPT,
    "cgroup/post_bind4" Exact CGROUP_SOCK CGROUP_INET4_POST_BIND ATTACHABLE,
    "cgroup/post_bind6" Exact CGROUP_SOCK CGROUP_INET6_POST_BIND ATTACHABLE,
    "cgroup/bind4" Exact CGROUP_SOCK_ADDR CGROUP_INET4_BIND ATTACHABLE,
    "cgroup/bind6" Exact CGROUP_SOCK_ADDR CGROUP_INET6_BIND ATTACHABLE,
    "cgroup/connect4" Exact CGROUP_SOCK_ADDR CGROUP_INET4_CONNECT ATTACHABLE,
    "cgroup/connect6" Exact CGROUP_SOCK_ADDR CGROUP_INET6_CONNECT ATTACHABLE,
    "cgroup/connect_unix" Exact CGROUP_SOCK_ADDR CGROUP_UNIX_CONNECT ATTACHABLE,
    "cgroup/sendmsg4" Exact CGROUP_SOCK_ADDR CGROUP_UDP4_SENDMSG ATTACHABLE,
    "cgroup/sendmsg6" Exact CGROUP_SOCK_ADDR CGROUP_UDP6_SENDMSG ATTACHABLE,
    "cgroup/sendmsg_unix" Exact CGROUP_SOCK_ADDR CGROUP_UNIX_SENDMSG ATTACHABLE,
    "cgroup/recvmsg4" Exact CGROUP_SOCK_ADDR CGROUP_UDP4_RECVMSG ATTACHABLE,
    "cgroup/recvmsg6" Exact CGROUP_SOCK_ADDR CGROUP_UDP6_RECVMSG ATTACHABLE,
    "cgroup/recvmsg_unix" Exact CGROUP_SOCK_ADDR CGROUP_UNIX_RECVMSG ATTACHABLE,
    "cgroup/getpeername4" Exact CGROUP_SOCK_ADDR CGROUP_INET4_GETPEERNAME ATTACHABLE,
    "cgroup/getpeername6" Exact CGROUP_SOCK_ADDR CGROUP_INET6_GETPEERNAME ATTACHABLE,
    "cgroup/getpeername_unix" Exact CGROUP_SOCK_ADDR CGROUP_UNIX_GETPEERNAME ATTACHABLE,
    "cgroup/getsockname4" Exact CGROUP_SOCK_ADDR CGROUP_INET4_GETSOCKNAME ATTACHABLE,
    "cgroup/getsockname6" Exact CGROUP_SOCK_ADDR CGROUP_INET6_GETSOCKNAME ATTACHABLE,
    "cgroup/getsockname_unix" Exact CGROUP_SOCK_ADDR CGROUP_UNIX_GETSOCKNAME ATTACHABLE,
    "cgroup/sysctl" Exact CGROUP_SYSCTL CGROUP_SYSCTL ATTACHABLE,
    "cgroup/getsockopt" Exact CGROUP_SOCKOPT CGROUP_GETSOCKOPT ATTACHABLE,
    "cgroup/setsockopt" Exact CGROUP_SOCKOPT CGROUP_SETSOCKOPT ATTACHABLE,
    "cgroup/dev" Exact CGROUP_DEVICE CGROUP_DEVICE ATTACHABLE_OPT,
    "struct_ops" Prefix STRUCT_OPS UNSPEC NONE,
    "struct_ops.s" Prefix STRUCT_OPS UNSPEC SLEEPABLE,
    "sk_lookup" Exact SK_LOOKUP SK_LOOKUP ATTACHABLE,
    "netfilter" Exact NETFILTER NETFILTER NONE,
}
