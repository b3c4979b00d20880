//! Which helpers come with which program types (`bpf_base_func_proto` and the `*_func_proto` of each
//! type, Linux 6.18), restricted to those whose contract skep knows.

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
pub const BASE_BPF: HelperGroup =
    HelperGroup { capability: Capability::Bpf, ids: &[80, 93, 94, 118, 123, 164, 181] };

/// For every program whose loader has `CAP_PERFMON`.
pub const BASE_PERFMON: HelperGroup =
    HelperGroup { capability: Capability::Perfmon, ids: &[6, 16, 35, 112, 113, 114, 115, 148, 165, 177] };

/// For every program on a `struct __sk_buff`.
pub const SK_BUFF: HelperGroup = HelperGroup { capability: Capability::None, ids: &[26] };

/// For socket filters, traffic control and control groups: loads relative to a header.
pub const SK_BUFF_RELATIVE: HelperGroup = HelperGroup { capability: Capability::None, ids: &[68] };

/// For traffic control (`tc_cls_act_func_proto`).
pub const TC: HelperGroup = HelperGroup {
    capability: Capability::None,
    ids: &[
        9, 10, 11, 13, 18, 19, 23, 24, 28, 31, 32, 34, 38, 39, 40, 41, 43, 48, 50, 69, 135, 151, 152, 155,
        163,
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
pub const LWT: HelperGroup = HelperGroup { capability: Capability::None, ids: &[24, 28, 34, 39] };

/// For lightweight tunnels that transmit (`lwt_xmit_func_proto`).
pub const LWT_XMIT: HelperGroup =
    HelperGroup { capability: Capability::None, ids: &[9, 10, 11, 13, 23, 38, 40, 41, 43, 135] };

/// For socket maps (`sk_skb_func_proto`).
pub const SK_SKB: HelperGroup = HelperGroup { capability: Capability::None, ids: &[9, 38, 39, 43, 50] };

/// For XDP.
pub const XDP: HelperGroup = HelperGroup { capability: Capability::None, ids: &[44, 54, 65, 188, 189, 190] };

/// For XDP: checksums and where the packet goes.
pub const XDP_ROUTING: HelperGroup = HelperGroup { capability: Capability::None, ids: &[23, 28, 69, 163] };

/// For programs in the network stack.
pub const NETWORK: HelperGroup = HelperGroup { capability: Capability::None, ids: &[160] };

/// For programs that trace; loading those needs `CAP_PERFMON` itself, but for `syscall`.
pub const TRACING: HelperGroup = HelperGroup { capability: Capability::None, ids: &[4, 25, 27, 45, 67] };

/// For programs in the network stack that write records, and bytes of their packets with them.
pub const EVENTS: HelperGroup = HelperGroup { capability: Capability::None, ids: &[25] };
