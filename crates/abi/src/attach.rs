//! Attach types (`enum bpf_attach_type`).

/// Where a program hangs; an open number, since kernels add to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct AttachType(pub u32);

impl AttachType {
    /// No attach type named: 0, which is also `cgroup_inet_ingress`.
    pub const UNSPEC: Self = Self(0);
}

macro_rules! attach_types {
    ($($num:literal $id:ident $name:literal),* $(,)?) => {
        impl AttachType {
            $(#[doc = concat!("`", $name, "`")] pub const $id: Self = Self($num);)*

            /// bpftool's name, as `cgroup_inet_ingress`; `None` for numbers that 6.18 does not know.
            pub fn name(self) -> Option<&'static str> {
                match self.0 { $($num => Some($name),)* _ => None }
            }

            /// The attach type with that name.
            pub fn by_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self($num)),)* _ => None }
            }
        }
    };
}

// Each row becomes a constant and an arm of `name` and of `by_name`.
attach_types! {
    0 CGROUP_INET_INGRESS "cgroup_inet_ingress",
    1 CGROUP_INET_EGRESS "cgroup_inet_egress",
    2 CGROUP_INET_SOCK_CREATE "cgroup_inet_sock_create",
    3 CGROUP_SOCK_OPS "cgroup_sock_ops",
    4 SK_SKB_STREAM_PARSER "sk_skb_stream_parser",
    5 SK_SKB_STREAM_VERDICT "sk_skb_stream_verdict",
    6 CGROUP_DEVICE "cgroup_device",
    7 SK_MSG_VERDICT "sk_msg_verdict",
    8 CGROUP_INET4_BIND "cgroup_inet4_bind",
    9 CGROUP_INET6_BIND "cgroup_inet6_bind",
    10 CGROUP_INET4_CONNECT "cgroup_inet4_connect",
    11 CGROUP_INET6_CONNECT "cgroup_inet6_connect",
    12 CGROUP_INET4_POST_BIND "cgroup_inet4_post_bind",
    13 CGROUP_INET6_POST_BIND "cgroup_inet6_post_bind",
    14 CGROUP_UDP4_SENDMSG "cgroup_udp4_sendmsg",
    15 CGROUP_UDP6_SENDMSG "cgroup_udp6_sendmsg",
    16 LIRC_MODE2 "lirc_mode2",
    17 FLOW_DISSECTOR "flow_dissector",
    18 CGROUP_SYSCTL "cgroup_sysctl",
    19 CGROUP_UDP4_RECVMSG "cgroup_udp4_recvmsg",
    20 CGROUP_UDP6_RECVMSG "cgroup_udp6_recvmsg",
    21 CGROUP_GETSOCKOPT "cgroup_getsockopt",
    22 CGROUP_SETSOCKOPT "cgroup_setsockopt",
    23 TRACE_RAW_TP "trace_raw_tp",
    24 TRACE_FENTRY "trace_fentry",
    25 TRACE_FEXIT "trace_fexit",
    26 MODIFY_RETURN "modify_return",
    27 LSM_MAC "lsm_mac",
    28 TRACE_ITER "trace_iter",
    29 CGROUP_INET4_GETPEERNAME "cgroup_inet4_getpeername",
    30 CGROUP_INET6_GETPEERNAME "cgroup_inet6_getpeername",
    31 CGROUP_INET4_GETSOCKNAME "cgroup_inet4_getsockname",
    32 CGROUP_INET6_GETSOCKNAME "cgroup_inet6_getsockname",
    33 XDP_DEVMAP "xdp_devmap",
    34 CGROUP_INET_SOCK_RELEASE "cgroup_inet_sock_release",
    35 XDP_CPUMAP "xdp_cpumap",
    36 SK_LOOKUP "sk_lookup",
    37 XDP "xdp",
    38 SK_SKB_VERDICT "sk_skb_verdict",
    39 SK_REUSEPORT_SELECT "sk_reuseport_select",
    40 SK_REUSEPORT_SELECT_OR_MIGRATE "sk_reuseport_select_or_migrate",
    41 PERF_EVENT "perf_event",
    42 TRACE_KPROBE_MULTI "trace_kprobe_multi",
    43 LSM_CGROUP "lsm_cgroup",
    44 STRUCT_OPS "struct_ops",
    45 NETFILTER "netfilter",
    46 TCX_INGRESS "tcx_ingress",
    47 TCX_EGRESS "tcx_egress",
    48 TRACE_UPROBE_MULTI "trace_uprobe_multi",
    49 CGROUP_UNIX_CONNECT "cgroup_unix_connect",
    50 CGROUP_UNIX_SENDMSG "cgroup_unix_sendmsg",
    51 CGROUP_UNIX_RECVMSG "cgroup_unix_recvmsg",
    52 CGROUP_UNIX_GETPEERNAME "cgroup_unix_getpeername",
    53 CGROUP_UNIX_GETSOCKNAME "cgroup_unix_getsockname",
    54 NETKIT_PRIMARY "netkit_primary",
    55 NETKIT_PEER "netkit_peer",
    56 TRACE_KPROBE_SESSION "trace_kprobe_session",
    57 TRACE_UPROBE_SESSION "trace_uprobe_session",
    58 TRACE_FSESSION "trace_fsession",
}
