//! Which helpers come with which program types (`bpf_base_func_proto` and the `*_func_proto` of each
//! type, Linux 6.18).

use super::{Capability, HelperGroup};

/// For every program.
pub const BASE: HelperGroup = HelperGroup {
    capability: Capability::None,
    ids: &[
        1, 2, 3, 5, 7, 8, 12, 14, 15, 42, 87, 88, 89, 105, 106, 120, 125, 130, 131, 132, 133, 134, 182, 195,
        208,
    ],
};

/// For every program whose loader has `CAP_BPF`.
pub const BASE_BPF: HelperGroup = HelperGroup {
    capability: Capability::Bpf,
    ids: &[
        17, 37, 80, 93, 94, 118, 123, 153, 154, 156, 157, 164, 169, 170, 171, 172, 181, 194, 197, 198, 199,
        200, 201, 202, 203, 209, 210, 211,
    ],
};

/// For every program whose loader has `CAP_PERFMON`.
pub const BASE_PERFMON: HelperGroup = HelperGroup {
    capability: Capability::Perfmon,
    ids: &[6, 16, 22, 35, 55, 109, 112, 113, 114, 115, 117, 141, 148, 149, 158, 165, 175, 176, 177, 180, 191],
};

/// For socket filters (`sk_filter_func_proto`).
pub const SOCKET_FILTER: HelperGroup = HelperGroup { capability: Capability::None, ids: &[46, 47, 122] };

/// For every program on a `struct __sk_buff`.
pub const SK_BUFF: HelperGroup = HelperGroup { capability: Capability::None, ids: &[26] };

/// For socket filters, traffic control and control groups: loads relative to a header.
pub const SK_BUFF_RELATIVE: HelperGroup = HelperGroup { capability: Capability::None, ids: &[68] };

/// For traffic control (`tc_cls_act_func_proto`).
pub const TC: HelperGroup = HelperGroup {
    capability: Capability::None,
    ids: &[
        9, 10, 11, 13, 18, 19, 20, 21, 23, 24, 28, 29, 30, 31, 32, 33, 34, 38, 39, 40, 41, 43, 46, 47, 48,
        50, 66, 69, 97, 122, 124, 135, 151, 152, 155, 163, 192,
    ],
};

/// Sockets looked up, and given back.
pub const SOCKETS: HelperGroup = HelperGroup { capability: Capability::None, ids: &[84, 85, 86, 99] };

/// For socket lookups: sockets given back.
pub const SOCKET_RELEASE: HelperGroup = HelperGroup { capability: Capability::None, ids: &[86] };

/// SYN cookies.
pub const SYN_COOKIES: HelperGroup = HelperGroup { capability: Capability::None, ids: &[100, 110] };

/// For traffic control and control groups: what a packet's socket is.
pub const SOCKET_KINDS: HelperGroup = HelperGroup { capability: Capability::None, ids: &[95, 96, 98] };

/// What maps keep with sockets.
pub const SOCKET_STORAGE: HelperGroup = HelperGroup { capability: Capability::None, ids: &[107, 108] };

/// For control groups: the control group of a socket.
pub const SOCKET_CGROUP: HelperGroup = HelperGroup { capability: Capability::None, ids: &[128, 129] };

/// For traffic control and control groups: the control group of the packet's socket.
pub const SK_BUFF_CGROUP: HelperGroup = HelperGroup { capability: Capability::None, ids: &[79, 83] };

/// For lightweight tunnels (`lwt_out_func_proto`).
pub const LWT: HelperGroup = HelperGroup { capability: Capability::None, ids: &[24, 28, 33, 34, 39] };

/// For lightweight tunnels that put a header before the packet (`lwt_in_func_proto`).
pub const LWT_ENCAP: HelperGroup = HelperGroup { capability: Capability::None, ids: &[73] };

/// For segments of a route (`lwt_seg6local_func_proto`).
pub const LWT_SEG6LOCAL: HelperGroup = HelperGroup { capability: Capability::None, ids: &[74, 75, 76] };

/// For lightweight tunnels that transmit (`lwt_xmit_func_proto`).
pub const LWT_XMIT: HelperGroup = HelperGroup {
    capability: Capability::None,
    ids: &[9, 10, 11, 13, 20, 21, 23, 29, 30, 38, 40, 41, 43, 135],
};

/// For socket maps (`sk_skb_func_proto`).
pub const SK_SKB: HelperGroup =
    HelperGroup { capability: Capability::None, ids: &[9, 38, 39, 43, 46, 47, 50, 52, 72] };

/// For control groups (`cg_skb_func_proto`).
pub const CGROUP_SKB: HelperGroup = HelperGroup { capability: Capability::None, ids: &[46, 47, 97, 122] };

/// For control groups: what a map keeps with the control group.
pub const CGROUP_STORAGE: HelperGroup = HelperGroup { capability: Capability::None, ids: &[81] };

/// For XDP.
pub const XDP: HelperGroup = HelperGroup { capability: Capability::None, ids: &[44, 54, 65, 188, 189, 190] };

/// For XDP: where the packet goes, by a map.
pub const XDP_MAPS: HelperGroup = HelperGroup { capability: Capability::None, ids: &[51] };

/// For XDP and traffic control: SYN cookies without a socket.
pub const RAW_SYN_COOKIES: HelperGroup =
    HelperGroup { capability: Capability::None, ids: &[204, 205, 206, 207] };

/// For XDP: checksums and where the packet goes.
pub const XDP_ROUTING: HelperGroup = HelperGroup { capability: Capability::None, ids: &[23, 28, 69, 163] };

/// For programs in the network stack.
pub const NETWORK: HelperGroup = HelperGroup { capability: Capability::None, ids: &[160] };

/// For programs in the network stack: the kernel's structures of sockets (`bpf_sk_base_func_proto`).
pub const KERNEL_SOCKETS: HelperGroup =
    HelperGroup { capability: Capability::Perfmon, ids: &[136, 137, 138, 139, 140, 178, 196] };

/// For programs that trace; loading those needs `CAP_PERFMON` itself, but for `syscall`.
pub const TRACING: HelperGroup = HelperGroup { capability: Capability::None, ids: &[4, 25, 27, 45, 67, 173] };

/// For programs that trace events: what was given when they were attached.
pub const TRACED_EVENTS: HelperGroup = HelperGroup { capability: Capability::None, ids: &[174] };

/// For sampled events (`pe_prog_func_proto`).
pub const PERF_EVENT: HelperGroup = HelperGroup { capability: Capability::None, ids: &[56, 119] };

/// For `syscall` programs (`syscall_prog_func_proto`, `tracing_prog_func_proto`).
pub const SYSCALL: HelperGroup =
    HelperGroup { capability: Capability::None, ids: &[46, 111, 121, 162, 167, 168, 179, 188] };

/// For `syscall` programs: bpf(2).
pub const SYSCALL_BPF: HelperGroup = HelperGroup { capability: Capability::Perfmon, ids: &[166] };

/// For programs that trace by the kernel's types (`tracing_prog_func_proto`).
pub const TYPED_TRACING: HelperGroup =
    HelperGroup { capability: Capability::None, ids: &[46, 111, 121, 162, 188] };

/// For programs on tracepoints and functions by the kernel's types: what was given when they were attached.
pub const TRACING_COOKIE: HelperGroup = HelperGroup { capability: Capability::None, ids: &[174] };

/// For programs on functions by the kernel's types (`bpf_prog_has_trampoline`).
pub const FUNCTION_ARGUMENTS: HelperGroup = HelperGroup { capability: Capability::None, ids: &[183, 185] };

/// What the function has returned; an error before it did (`-EOPNOTSUPP`).
pub const FUNCTION_RESULT: HelperGroup = HelperGroup { capability: Capability::None, ids: &[184] };

/// For iterators: what they give their reader, and paths (`tracing_prog_func_proto`, `bpf_d_path_allowed`).
pub const ITERATORS: HelperGroup = HelperGroup { capability: Capability::None, ids: &[126, 127, 147, 150] };

/// For programs in the network stack that write records, and bytes of their packets with them.
pub const EVENTS: HelperGroup = HelperGroup { capability: Capability::None, ids: &[25] };

/// For the choice of a listening socket (`sk_lookup_func_proto`).
pub const SK_LOOKUP: HelperGroup = HelperGroup { capability: Capability::None, ids: &[86, 124] };

/// For control groups: what the system call returns.
pub const CGROUP_RETVAL: HelperGroup = HelperGroup { capability: Capability::None, ids: &[186, 187] };

/// For control groups, on their sockets (`sock_filter_func_proto`).
pub const CGROUP_SOCK: HelperGroup = HelperGroup { capability: Capability::None, ids: &[46, 107, 122] };

/// For events of connections (`sock_ops_func_proto`).
pub const SOCK_OPS: HelperGroup =
    HelperGroup { capability: Capability::None, ids: &[46, 49, 53, 57, 59, 70, 96, 122, 142, 143, 144] };

/// For messages on socket maps (`sk_msg_func_proto`).
pub const SK_MSG: HelperGroup =
    HelperGroup { capability: Capability::None, ids: &[60, 61, 62, 63, 71, 90, 91, 122] };

/// For control groups, on addresses (`sock_addr_func_proto`).
pub const SOCK_ADDR: HelperGroup = HelperGroup { capability: Capability::None, ids: &[46, 122] };

/// For control groups, on addresses to connect to.
pub const SOCK_ADDR_CONNECT: HelperGroup = HelperGroup { capability: Capability::None, ids: &[64] };

/// Options of sockets.
pub const SOCKOPT: HelperGroup = HelperGroup { capability: Capability::None, ids: &[49, 57] };

/// For the choice among sockets of one port (`sk_reuseport_func_proto`).
pub const SK_REUSEPORT: HelperGroup = HelperGroup { capability: Capability::None, ids: &[46, 82] };

/// For control groups, on settings of the kernel (`sysctl_func_proto`).
pub const CGROUP_SYSCTL: HelperGroup =
    HelperGroup { capability: Capability::None, ids: &[101, 102, 103, 104] };

/// For control groups, on options of sockets (`cg_sockopt_func_proto`).
pub const CGROUP_SOCKOPT: HelperGroup = HelperGroup { capability: Capability::None, ids: &[96, 122] };

/// For infrared receivers: all that they have, but for output (`lirc_mode2_func_proto`).
pub const LIRC_MODE2: HelperGroup =
    HelperGroup { capability: Capability::None, ids: &[1, 2, 3, 5, 7, 12, 77, 78, 87, 88, 89, 92, 125] };

/// For infrared receivers: output.
pub const LIRC_MODE2_PERFMON: HelperGroup = HelperGroup { capability: Capability::Perfmon, ids: &[6] };

/// For hooks of security modules: what maps keep with inodes, and how a program starts (`bpf_lsm_func_proto`).
pub const LSM: HelperGroup = HelperGroup { capability: Capability::None, ids: &[145, 146, 159] };
