//! What programs on sockets and control groups see behind `r1`: one row per field (net/core/filter.c,
//! kernel/bpf/cgroup.c, Linux 6.18).

use crate::context::{Access, Context, CtxField, CtxShape, CtxValue, f};

const fn number(name: &'static str, off: u16, size: u16, access: Access) -> CtxField {
    f(name, off, size, access, CtxValue::Scalar)
}

const fn fields(name: &'static str, size: u32, fields: &'static [CtxField]) -> Context {
    Context { name, size, shape: CtxShape::Fields(fields) }
}

/// Bytes of `struct bpf_sock`.
const SOCK_BYTES: u32 = 80;

/// `struct bpf_sock` when it is created and released (`sock_filter_is_valid_access`).
pub const CGROUP_SOCK: Context = fields(
    "bpf_sock",
    SOCK_BYTES,
    &[
        number("bound_dev_if", 0, 4, Access::ExactReadWrite),
        number("family", 4, 4, Access::NarrowFirst),
        number("type", 8, 4, Access::NarrowFirst),
        number("protocol", 12, 4, Access::NarrowFirst),
        number("mark", 16, 4, Access::ExactReadWrite),
        number("priority", 20, 4, Access::ExactReadWrite),
        number("dst_port", 48, 4, Access::Padded(2)),
        number("dst_ip4", 52, 4, Access::Narrow),
        number("dst_ip6", 56, 16, Access::NarrowElement(4)),
        number("state", 72, 4, Access::NarrowFirst),
        number("rx_queue_mapping", 76, 4, Access::NarrowFirst),
    ],
);

/// The same once it is bound to an IPv4 address.
pub const CGROUP_SOCK_POST_BIND4: Context = fields(
    "bpf_sock",
    SOCK_BYTES,
    &[
        number("family", 4, 4, Access::NarrowFirst),
        number("type", 8, 4, Access::NarrowFirst),
        number("protocol", 12, 4, Access::NarrowFirst),
        number("src_ip4", 24, 4, Access::Narrow),
        number("src_port", 44, 4, Access::NarrowFirst),
        number("dst_port", 48, 4, Access::Padded(2)),
        number("dst_ip4", 52, 4, Access::Narrow),
        number("dst_ip6", 56, 16, Access::NarrowElement(4)),
        number("state", 72, 4, Access::NarrowFirst),
        number("rx_queue_mapping", 76, 4, Access::NarrowFirst),
    ],
);

/// The same once it is bound to an IPv6 address.
pub const CGROUP_SOCK_POST_BIND6: Context = fields(
    "bpf_sock",
    SOCK_BYTES,
    &[
        number("family", 4, 4, Access::NarrowFirst),
        number("type", 8, 4, Access::NarrowFirst),
        number("protocol", 12, 4, Access::NarrowFirst),
        number("src_ip6", 28, 16, Access::NarrowElement(4)),
        number("src_port", 44, 4, Access::NarrowFirst),
        number("dst_port", 48, 4, Access::Padded(2)),
        number("dst_ip4", 52, 4, Access::Narrow),
        number("dst_ip6", 56, 16, Access::NarrowElement(4)),
        number("state", 72, 4, Access::NarrowFirst),
        number("rx_queue_mapping", 76, 4, Access::NarrowFirst),
    ],
);

/// `struct bpf_sock_ops` (`sock_ops_is_valid_access`).
pub const SOCK_OPS: Context = fields(
    "bpf_sock_ops",
    224,
    &[
        number("op", 0, 4, Access::Exact),
        number("reply", 4, 4, Access::ExactReadWrite),
        number("replylong", 8, 12, Access::Element(4)),
        number("family", 20, 4, Access::Exact),
        number("remote_ip4", 24, 4, Access::Exact),
        number("local_ip4", 28, 4, Access::Exact),
        number("remote_ip6", 32, 16, Access::Element(4)),
        number("local_ip6", 48, 16, Access::Element(4)),
        number("remote_port", 64, 4, Access::Exact),
        number("local_port", 68, 4, Access::Exact),
        number("is_fullsock", 72, 4, Access::Exact),
        number("snd_cwnd", 76, 4, Access::Exact),
        number("srtt_us", 80, 4, Access::Exact),
        number("bpf_sock_ops_cb_flags", 84, 4, Access::Exact),
        number("state", 88, 4, Access::Exact),
        number("rtt_min", 92, 4, Access::Exact),
        number("snd_ssthresh", 96, 4, Access::Exact),
        number("rcv_nxt", 100, 4, Access::Exact),
        number("snd_nxt", 104, 4, Access::Exact),
        number("snd_una", 108, 4, Access::Exact),
        number("mss_cache", 112, 4, Access::Exact),
        number("ecn_flags", 116, 4, Access::Exact),
        number("rate_delivered", 120, 4, Access::Exact),
        number("rate_interval_us", 124, 4, Access::Exact),
        number("packets_out", 128, 4, Access::Exact),
        number("retrans_out", 132, 4, Access::Exact),
        number("total_retrans", 136, 4, Access::Exact),
        number("segs_in", 140, 4, Access::Exact),
        number("data_segs_in", 144, 4, Access::Exact),
        number("segs_out", 148, 4, Access::Exact),
        number("data_segs_out", 152, 4, Access::Exact),
        number("lost_out", 156, 4, Access::Exact),
        number("sacked_out", 160, 4, Access::Exact),
        number("sk_txhash", 164, 4, Access::ExactReadWrite),
        number("bytes_received", 168, 8, Access::Exact),
        number("bytes_acked", 176, 8, Access::Exact),
        f("sk", 184, 8, Access::Exact, CtxValue::SocketOrNull),
        f("skb_data", 192, 8, Access::Exact, CtxValue::PacketData),
        f("skb_data_end", 200, 8, Access::Exact, CtxValue::PacketEnd),
        number("skb_len", 208, 4, Access::Exact),
        number("skb_tcp_flags", 212, 4, Access::NarrowFirst),
        number("skb_hwtstamp", 216, 8, Access::Exact),
    ],
);

/// `struct sk_msg_md` (`sk_msg_is_valid_access`).
pub const SK_MSG: Context = fields(
    "sk_msg_md",
    80,
    &[
        f("data", 0, 8, Access::Exact, CtxValue::PacketData),
        f("data_end", 8, 8, Access::Exact, CtxValue::PacketEnd),
        number("family", 16, 4, Access::Exact),
        number("remote_ip4", 20, 4, Access::Exact),
        number("local_ip4", 24, 4, Access::Exact),
        number("remote_ip6", 28, 16, Access::Element(4)),
        number("local_ip6", 44, 16, Access::Element(4)),
        number("remote_port", 60, 4, Access::Exact),
        number("local_port", 64, 4, Access::Exact),
        number("size", 68, 4, Access::Exact),
        f("sk", 72, 8, Access::Exact, CtxValue::Socket),
    ],
);

/// `struct bpf_cgroup_dev_ctx` (`cgroup_dev_is_valid_access`).
pub const CGROUP_DEVICE: Context = fields(
    "bpf_cgroup_dev_ctx",
    12,
    &[
        number("access_type", 0, 4, Access::Narrow),
        number("major", 4, 4, Access::Exact),
        number("minor", 8, 4, Access::Exact),
    ],
);

/// Bytes of `struct bpf_sock_addr`.
const SOCK_ADDR_BYTES: u32 = 72;

const USER_FAMILY: CtxField = number("user_family", 0, 4, Access::Exact);
const USER_IP4: CtxField = number("user_ip4", 4, 4, Access::NarrowReadExactWrite);
const USER_IP6: CtxField = number("user_ip6", 8, 16, Access::Words);
const USER_PORT: CtxField = number("user_port", 24, 4, Access::NarrowReadExactWrite);
const FAMILY: CtxField = number("family", 28, 4, Access::Exact);
const TYPE: CtxField = number("type", 32, 4, Access::Exact);
const PROTOCOL: CtxField = number("protocol", 36, 4, Access::Exact);
const MSG_SRC_IP4: CtxField = number("msg_src_ip4", 40, 4, Access::NarrowReadExactWrite);
const MSG_SRC_IP6: CtxField = number("msg_src_ip6", 44, 16, Access::Words);
const SK: CtxField = f("sk", 64, 8, Access::Exact, CtxValue::Socket);

/// `struct bpf_sock_addr` of a local socket (`sock_addr_is_valid_access`).
pub const SOCK_ADDR: Context =
    fields("bpf_sock_addr", SOCK_ADDR_BYTES, &[USER_FAMILY, USER_PORT, FAMILY, TYPE, PROTOCOL, SK]);

/// The same of an IPv4 socket.
pub const SOCK_ADDR4: Context =
    fields("bpf_sock_addr", SOCK_ADDR_BYTES, &[USER_FAMILY, USER_IP4, USER_PORT, FAMILY, TYPE, PROTOCOL, SK]);

/// The same of an IPv6 socket.
pub const SOCK_ADDR6: Context =
    fields("bpf_sock_addr", SOCK_ADDR_BYTES, &[USER_FAMILY, USER_IP6, USER_PORT, FAMILY, TYPE, PROTOCOL, SK]);

/// The same of an IPv4 socket that sends a datagram.
pub const SOCK_ADDR4_SENDMSG: Context = fields(
    "bpf_sock_addr",
    SOCK_ADDR_BYTES,
    &[USER_FAMILY, USER_IP4, USER_PORT, FAMILY, TYPE, PROTOCOL, MSG_SRC_IP4, SK],
);

/// The same of an IPv6 socket that sends a datagram.
pub const SOCK_ADDR6_SENDMSG: Context = fields(
    "bpf_sock_addr",
    SOCK_ADDR_BYTES,
    &[USER_FAMILY, USER_IP6, USER_PORT, FAMILY, TYPE, PROTOCOL, MSG_SRC_IP6, SK],
);

/// `struct sk_reuseport_md` (`sk_reuseport_is_valid_access`).
pub const SK_REUSEPORT: Context = fields(
    "sk_reuseport_md",
    56,
    &[
        f("data", 0, 8, Access::Exact, CtxValue::PacketData),
        f("data_end", 8, 8, Access::Exact, CtxValue::PacketEnd),
        number("len", 16, 4, Access::Narrow),
        number("eth_protocol", 20, 4, Access::NarrowFrom(2)),
        number("ip_protocol", 24, 4, Access::Narrow),
        number("bind_inany", 28, 4, Access::Narrow),
        number("hash", 32, 4, Access::Exact),
        f("sk", 40, 8, Access::Exact, CtxValue::Socket),
        f("migrating_sk", 48, 8, Access::Exact, CtxValue::SockCommonOrNull),
    ],
);

/// `struct bpf_sysctl` (`sysctl_is_valid_access`).
pub const CGROUP_SYSCTL: Context = fields(
    "bpf_sysctl",
    8,
    &[number("write", 0, 4, Access::Narrow), number("file_pos", 4, 4, Access::NarrowReadExactWrite)],
);

/// `struct bpf_sockopt` of getsockopt(2) (`cg_sockopt_is_valid_access`).
pub const GETSOCKOPT: Context = fields(
    "bpf_sockopt",
    40,
    &[
        f("sk", 0, 8, Access::Exact, CtxValue::Socket),
        f("optval", 8, 8, Access::Exact, CtxValue::PacketData),
        f("optval_end", 16, 8, Access::Exact, CtxValue::PacketEnd),
        number("level", 24, 4, Access::Exact),
        number("optname", 28, 4, Access::Exact),
        number("optlen", 32, 4, Access::ExactReadWrite),
        number("retval", 36, 4, Access::ExactReadWrite),
    ],
);

/// The same of setsockopt(2).
pub const SETSOCKOPT: Context = fields(
    "bpf_sockopt",
    40,
    &[
        f("sk", 0, 8, Access::Exact, CtxValue::Socket),
        f("optval", 8, 8, Access::Exact, CtxValue::PacketData),
        f("optval_end", 16, 8, Access::Exact, CtxValue::PacketEnd),
        number("level", 24, 4, Access::ExactReadWrite),
        number("optname", 28, 4, Access::ExactReadWrite),
        number("optlen", 32, 4, Access::ExactReadWrite),
    ],
);

/// `struct bpf_nf_ctx` (`nf_is_valid_access`, net/netfilter/nf_bpf_link.c).
pub const NETFILTER: Context = fields(
    "bpf_nf_ctx",
    16,
    &[
        f("state", 0, 8, Access::Exact, CtxValue::Btf("nf_hook_state")),
        f("skb", 8, 8, Access::Exact, CtxValue::Btf("sk_buff")),
    ],
);

/// A sample of an infrared receiver (`lirc_mode2_is_valid_access`, drivers/media/rc/bpf-lirc.c).
pub const LIRC_MODE2: Context = fields("lirc_mode2", 4, &[number("sample", 0, 4, Access::Exact)]);

/// The arguments of a raw tracepoint, of which the first is memory to write into
/// (`raw_tp_writable_prog_is_valid_access`, kernel/trace/bpf_trace.c).
pub const RAW_TRACEPOINT_WRITABLE_ARGS: Context = fields(
    "bpf_raw_tracepoint_args",
    96,
    &[
        // Parts of the address are numbers.
        number("args[0]+1", 1, 1, Access::Read),
        number("args[0]+2", 2, 2, Access::Read),
        number("args[0]+4", 4, 4, Access::Read),
        f("args[0]", 0, 8, Access::Exact, CtxValue::TracepointBuffer),
        number("args", 8, 88, Access::Read),
    ],
);
