//! What programs see of the sockets that helpers and contexts give them: one row per field.
//!
//! The kernel keeps a socket in structures of its own; programs load from it as from a context. Nothing is stored.

use crate::context::{Access, Context, CtxField, CtxShape, CtxValue, f};

const fn number(name: &'static str, off: u16, size: u16, access: Access) -> CtxField {
    f(name, off, size, access, CtxValue::Scalar)
}

/// Bytes of `struct bpf_sock`.
const SOCK_BYTES: u32 = 80;

/// `struct bpf_sock` of a full socket (`bpf_sock_is_valid_access`, net/core/filter.c, Linux 6.18).
pub const SOCK: Context = Context {
    name: "bpf_sock",
    size: SOCK_BYTES,
    shape: CtxShape::Fields(&[
        number("bound_dev_if", 0, 4, Access::Exact),
        number("family", 4, 4, Access::NarrowFirst),
        number("type", 8, 4, Access::NarrowFirst),
        number("protocol", 12, 4, Access::NarrowFirst),
        number("mark", 16, 4, Access::Exact),
        number("priority", 20, 4, Access::Exact),
        number("src_ip4", 24, 4, Access::Narrow),
        number("src_ip6", 28, 16, Access::NarrowElement(4)),
        number("src_port", 44, 4, Access::NarrowFirst),
        number("dst_port", 48, 4, Access::Padded(2)),
        number("dst_ip4", 52, 4, Access::Narrow),
        number("dst_ip6", 56, 16, Access::NarrowElement(4)),
        number("state", 72, 4, Access::NarrowFirst),
        number("rx_queue_mapping", 76, 4, Access::NarrowFirst),
    ]),
};

/// `struct bpf_sock` of a socket that may be a request or one that waits (`bpf_sock_common_is_valid_access`,
/// net/core/filter.c, Linux 6.18).
pub const SOCK_COMMON: Context = Context {
    name: "bpf_sock",
    size: SOCK_BYTES,
    shape: CtxShape::Fields(&[
        number("bound_dev_if", 0, 4, Access::Exact),
        number("family", 4, 4, Access::NarrowFirst),
        number("src_ip4", 24, 4, Access::Narrow),
        number("src_ip6", 28, 16, Access::NarrowElement(4)),
        number("src_port", 44, 4, Access::NarrowFirst),
        number("dst_port", 48, 4, Access::Padded(2)),
        number("dst_ip4", 52, 4, Access::Narrow),
        number("dst_ip6", 56, 16, Access::NarrowElement(4)),
        number("state", 72, 4, Access::NarrowFirst),
        number("rx_queue_mapping", 76, 4, Access::NarrowFirst),
    ]),
};

/// `struct bpf_tcp_sock` (`bpf_tcp_sock_is_valid_access`, net/core/filter.c, Linux 6.18).
pub const TCP_SOCK: Context = Context {
    name: "bpf_tcp_sock",
    size: 116,
    shape: CtxShape::Fields(&[
        number("snd_cwnd", 0, 4, Access::Exact),
        number("srtt_us", 4, 4, Access::Exact),
        number("rtt_min", 8, 4, Access::Exact),
        number("snd_ssthresh", 12, 4, Access::Exact),
        number("rcv_nxt", 16, 4, Access::Exact),
        number("snd_nxt", 20, 4, Access::Exact),
        number("snd_una", 24, 4, Access::Exact),
        number("mss_cache", 28, 4, Access::Exact),
        number("ecn_flags", 32, 4, Access::Exact),
        number("rate_delivered", 36, 4, Access::Exact),
        number("rate_interval_us", 40, 4, Access::Exact),
        number("packets_out", 44, 4, Access::Exact),
        number("retrans_out", 48, 4, Access::Exact),
        number("total_retrans", 52, 4, Access::Exact),
        number("segs_in", 56, 4, Access::Exact),
        number("data_segs_in", 60, 4, Access::Exact),
        number("segs_out", 64, 4, Access::Exact),
        number("data_segs_out", 68, 4, Access::Exact),
        number("lost_out", 72, 4, Access::Exact),
        number("sacked_out", 76, 4, Access::Exact),
        number("bytes_received", 80, 8, Access::Exact),
        number("bytes_acked", 88, 8, Access::Exact),
        number("dsack_dups", 96, 4, Access::Exact),
        number("delivered", 100, 4, Access::Exact),
        number("delivered_ce", 104, 4, Access::Exact),
        number("icsk_retransmits", 108, 4, Access::Exact),
    ]),
};

/// `struct bpf_xdp_sock` (`bpf_xdp_sock_is_valid_access`, net/core/filter.c, Linux 6.18).
pub const XDP_SOCK: Context = Context {
    name: "bpf_xdp_sock",
    size: 4,
    shape: CtxShape::Fields(&[number("queue_id", 0, 4, Access::Exact)]),
};
