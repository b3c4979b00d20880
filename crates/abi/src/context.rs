//! What a program sees behind `r1`: one row per field.
//!
//! Scalars stand in the runtime's context image at the very offset that the program sees; fields that
//! hold pointers (a 64-bit load from a 32-bit slot for packet pointers) are kept beside the image, by
//! [`CtxValue`].

/// How a field may be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Loads of the exact size only.
    Exact,
    /// Loads of the size and of aligned smaller parts.
    Narrow,
    /// Loads of exactly one element of so many bytes of an array field.
    Element(u16),
    /// Loads of one element of so many bytes of an array field, and of aligned smaller parts.
    NarrowElement(u16),
    /// Loads of the size, and of fewer bytes from the field's first on.
    NarrowFirst,
    /// Loads of the size, and of aligned parts of the first so many bytes: the others are padding.
    Padded(u16),
    /// Loads of the size, and of aligned parts of at least so many bytes.
    NarrowFrom(u16),
    /// Loads of a word of 4 bytes, of aligned smaller parts, or of two words at a multiple of 8; stores of one or two.
    Words,
    /// Aligned loads of any size that stay in the field.
    Read,
    /// Aligned loads and stores of any size that stay in the field.
    ReadWrite,
    /// Loads as `Narrow`, stores of the exact size.
    NarrowReadExactWrite,
    /// Loads and stores of the exact size only.
    ExactReadWrite,
}

/// What a load of the field gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CtxValue {
    /// A number.
    Scalar,
    /// Start of the packet.
    PacketData,
    /// End of the packet.
    PacketEnd,
    /// Start of the metadata before the packet.
    PacketMeta,
    /// `struct bpf_sock *` or NULL.
    SockCommonOrNull,
    /// `struct bpf_flow_keys *`.
    FlowKeys,
    /// `struct bpf_sock *` of a full socket, or NULL.
    SocketOrNull,
    /// `struct bpf_sock *` of a full socket.
    Socket,
    /// The kernel's structure of this name, which is there while the program runs.
    Btf(&'static str),
    /// Memory of a tracepoint that programs may write; its size is compared when the program is attached.
    TracepointBuffer,
}

/// The kernel's own field behind one that programs see, where it is narrower. Programs notice at the edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Native {
    /// As wide.
    Same,
    /// One byte.
    Byte,
    /// Two bytes.
    Half,
    /// Two bytes, and a store of 65535 (`NO_QUEUE_MAPPING`) or more does nothing.
    Queue,
}

impl Native {
    const fn bytes(self) -> Option<u32> {
        match self {
            Self::Same => None,
            Self::Byte => Some(1),
            Self::Half | Self::Queue => Some(2),
        }
    }

    /// What the field holds after a store of `v`; `None` when it stays as it is.
    pub const fn keep(self, v: u64) -> Option<u64> {
        match self {
            Self::Same => Some(v),
            Self::Byte => Some(v & 0xff),
            Self::Half => Some(v & 0xffff),
            Self::Queue if v as u32 >= 0xffff => None,
            Self::Queue => Some(v),
        }
    }

    /// Where a load of `size` bytes at `off` in the field, whose number is of `field` bytes, finds its bytes. A load
    /// as wide as the kernel's field or wider gives the whole number wherever in the field it stands
    /// (`convert_ctx_accesses`: it shifts only what is narrower).
    pub const fn load_at(self, off: u32, size: u32, field: u32) -> u32 {
        match self.bytes() {
            Some(bytes) if size >= bytes && size < field => {
                if cfg!(target_endian = "big") {
                    field - size
                } else {
                    0
                }
            }
            _ => off,
        }
    }
}

/// A field of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CtxField {
    /// Name in the UAPI structure.
    pub name: &'static str,
    /// Byte offset.
    pub off: u16,
    /// Bytes: of the whole array for array fields.
    pub size: u16,
    /// Legal accesses.
    pub access: Access,
    /// What a load gives.
    pub value: CtxValue,
    /// The kernel's own field.
    pub native: Native,
}

impl CtxField {
    /// Bytes of one number of the field: all of it, or for an array those of an element. Arrays whose row says
    /// nothing else are of `__u32`.
    pub fn element_bytes(&self) -> u16 {
        if let Access::Element(bytes) = self.access {
            return bytes;
        }
        if matches!(self.size, 1 | 2 | 4 | 8) { self.size } else { 4 }
    }

    fn allows(&self, off: u32, size: u32, write: bool) -> bool {
        let exact = off == u32::from(self.off) && size == u32::from(self.size);
        match self.access {
            Access::Exact => exact && !write,
            Access::Element(bytes) => size == u32::from(bytes) && !write,
            Access::NarrowElement(bytes) => size <= u32::from(bytes) && !write,
            Access::NarrowFirst => off == u32::from(self.off) && !write,
            Access::Padded(bytes) => {
                (exact || off + size <= u32::from(self.off) + u32::from(bytes)) && !write
            }
            Access::NarrowFrom(bytes) => size >= u32::from(bytes) && !write,
            Access::Words => size >= 4 || !write,
            Access::Narrow | Access::Read => !write,
            Access::ReadWrite => true,
            Access::NarrowReadExactWrite => !write || exact,
            Access::ExactReadWrite => exact,
        }
    }
}

/// The shape of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CtxShape {
    /// A structure whose fields are converted; anything outside the rows is refused.
    Fields(&'static [CtxField]),
    /// Plain bytes, read and (if `writable`) written at any aligned offset.
    Buffer {
        /// First byte that may be named.
        from: u32,
        /// Stores are allowed.
        writable: bool,
    },
    /// The arguments of what the program is attached to, eight bytes each, by the kernel's types. Nothing is stored.
    Arguments,
}

/// A context structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Context {
    /// C name: `__sk_buff`.
    pub name: &'static str,
    /// Bytes; for buffers the largest offset a program may name.
    pub size: u32,
    /// Contents.
    pub shape: CtxShape,
}

impl Context {
    /// The field that covers `off`, if the context has fields.
    pub fn field_at(&self, off: u32) -> Option<&'static CtxField> {
        match self.shape {
            CtxShape::Fields(fields) => {
                fields.iter().find(|f| off >= u32::from(f.off) && off < u32::from(f.off) + u32::from(f.size))
            }
            CtxShape::Buffer { .. } | CtxShape::Arguments => None,
        }
    }

    /// What an access of `size` bytes (1, 2, 4 or 8) at `off` gives, or `None` if it is not allowed. Of
    /// [`CtxShape::Arguments`] the row knows nothing: all is `None`.
    pub fn access(&self, off: u32, size: u32, write: bool) -> Option<CtxValue> {
        if !off.is_multiple_of(size) {
            return None;
        }
        match self.shape {
            CtxShape::Buffer { from, writable } => {
                (off >= from && off < self.size && (writable || !write)).then_some(CtxValue::Scalar)
            }
            CtxShape::Arguments => None,
            CtxShape::Fields(_) => {
                let field = self.field_at(off)?;
                let fits = off + size <= u32::from(field.off) + u32::from(field.size);
                (fits && field.allows(off, size, write)).then_some(field.value)
            }
        }
    }
}

pub(crate) const fn f(name: &'static str, off: u16, size: u16, access: Access, value: CtxValue) -> CtxField {
    CtxField { name, off, size, access, value, native: Native::Same }
}

/// A number of 32 bits for which the kernel has fewer.
const fn short(name: &'static str, off: u16, native: Native) -> CtxField {
    CtxField { native, ..f(name, off, 4, Access::Exact, CtxValue::Scalar) }
}

/// The fields of `struct __sk_buff` (include/uapi/linux/bpf.h, Linux 6.18). Types differ in which they have and in
/// what they may do with them, not in where they stand.
const SK_BUFF: &[CtxField] = &[
    f("len", 0, 4, Access::Exact, CtxValue::Scalar),
    short("pkt_type", 4, Native::Byte),
    f("mark", 8, 4, Access::Exact, CtxValue::Scalar),
    short("queue_mapping", 12, Native::Queue),
    short("protocol", 16, Native::Half),
    f("vlan_present", 20, 4, Access::Exact, CtxValue::Scalar),
    short("vlan_tci", 24, Native::Half),
    short("vlan_proto", 28, Native::Half),
    f("priority", 32, 4, Access::Exact, CtxValue::Scalar),
    f("ingress_ifindex", 36, 4, Access::Exact, CtxValue::Scalar),
    f("ifindex", 40, 4, Access::Exact, CtxValue::Scalar),
    short("tc_index", 44, Native::Half),
    f("cb", 48, 20, Access::Exact, CtxValue::Scalar),
    f("hash", 68, 4, Access::Exact, CtxValue::Scalar),
    short("tc_classid", 72, Native::Half),
    f("data", 76, 4, Access::Exact, CtxValue::PacketData),
    f("data_end", 80, 4, Access::Exact, CtxValue::PacketEnd),
    f("napi_id", 84, 4, Access::Exact, CtxValue::Scalar),
    short("family", 88, Native::Half),
    f("remote_ip4", 92, 4, Access::Exact, CtxValue::Scalar),
    f("local_ip4", 96, 4, Access::Exact, CtxValue::Scalar),
    f("remote_ip6", 100, 16, Access::Exact, CtxValue::Scalar),
    f("local_ip6", 116, 16, Access::Exact, CtxValue::Scalar),
    short("remote_port", 132, Native::Half),
    short("local_port", 136, Native::Half),
    f("data_meta", 140, 4, Access::Exact, CtxValue::PacketMeta),
    f("flow_keys", 144, 8, Access::Exact, CtxValue::FlowKeys),
    f("tstamp", 152, 8, Access::Exact, CtxValue::Scalar),
    f("wire_len", 160, 4, Access::Exact, CtxValue::Scalar),
    short("gso_segs", 164, Native::Half),
    f("sk", 168, 8, Access::Exact, CtxValue::SockCommonOrNull),
    short("gso_size", 176, Native::Half),
    f("tstamp_type", 180, 1, Access::Exact, CtxValue::Scalar),
    f("hwtstamp", 184, 8, Access::Exact, CtxValue::Scalar),
];

/// A field of `struct __sk_buff` by its name, accessed so; an unknown name does not compile.
const fn skb(name: &str, access: Access) -> CtxField {
    CtxField { access, ..*sk_buff_field(name) }
}

/// A field of `struct __sk_buff` by its name. Meant for constants: an unknown name panics, so that it does not
/// compile there.
pub const fn sk_buff_field(name: &str) -> &'static CtxField {
    let mut i = 0;
    while i < SK_BUFF.len() {
        if same(SK_BUFF[i].name.as_bytes(), name.as_bytes()) {
            return &SK_BUFF[i];
        }
        i += 1;
    }
    panic!("no field of struct __sk_buff")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

/// Bytes of `struct __sk_buff`.
pub const SK_BUFF_BYTES: u32 = 192;

/// `struct __sk_buff` with these of its fields.
const fn sk_buff(fields: &'static [CtxField]) -> Context {
    Context { name: "__sk_buff", size: SK_BUFF_BYTES, shape: CtxShape::Fields(fields) }
}

/// `struct __sk_buff` for socket filters (`sk_filter_is_valid_access`, net/core/filter.c, Linux 6.18).
pub const SK_BUFF_SOCKET_FILTER: Context = sk_buff(&[
    skb("len", Access::Narrow),
    skb("pkt_type", Access::Narrow),
    skb("mark", Access::Narrow),
    skb("queue_mapping", Access::Narrow),
    skb("protocol", Access::Narrow),
    skb("vlan_present", Access::Narrow),
    skb("vlan_tci", Access::Narrow),
    skb("vlan_proto", Access::Narrow),
    skb("priority", Access::Narrow),
    skb("ingress_ifindex", Access::Narrow),
    skb("ifindex", Access::Narrow),
    skb("tc_index", Access::Narrow),
    skb("cb", Access::ReadWrite),
    skb("hash", Access::Narrow),
    skb("napi_id", Access::Narrow),
    skb("gso_segs", Access::Narrow),
    skb("sk", Access::Exact),
    skb("gso_size", Access::Narrow),
]);

/// `struct __sk_buff` for traffic control (`tc_cls_act_is_valid_access`, net/core/filter.c, Linux 6.18).
pub const SK_BUFF_TC: Context = sk_buff(&[
    skb("len", Access::Narrow),
    skb("pkt_type", Access::Narrow),
    skb("mark", Access::NarrowReadExactWrite),
    skb("queue_mapping", Access::NarrowReadExactWrite),
    skb("protocol", Access::Narrow),
    skb("vlan_present", Access::Narrow),
    skb("vlan_tci", Access::Narrow),
    skb("vlan_proto", Access::Narrow),
    skb("priority", Access::NarrowReadExactWrite),
    skb("ingress_ifindex", Access::Narrow),
    skb("ifindex", Access::Narrow),
    skb("tc_index", Access::NarrowReadExactWrite),
    skb("cb", Access::ReadWrite),
    skb("hash", Access::Narrow),
    skb("tc_classid", Access::NarrowReadExactWrite),
    skb("data", Access::Exact),
    skb("data_end", Access::Exact),
    skb("napi_id", Access::Narrow),
    skb("data_meta", Access::Exact),
    skb("tstamp", Access::ExactReadWrite),
    skb("wire_len", Access::Narrow),
    skb("gso_segs", Access::Narrow),
    skb("sk", Access::Exact),
    skb("gso_size", Access::Narrow),
    skb("tstamp_type", Access::Exact),
    skb("hwtstamp", Access::Exact),
]);

/// `struct __sk_buff` for control groups, whose loader has `CAP_BPF` (`cg_skb_is_valid_access`, net/core/filter.c,
/// Linux 6.18).
pub const SK_BUFF_CGROUP: Context = sk_buff(&[
    skb("len", Access::Narrow),
    skb("pkt_type", Access::Narrow),
    skb("mark", Access::NarrowReadExactWrite),
    skb("queue_mapping", Access::Narrow),
    skb("protocol", Access::Narrow),
    skb("vlan_present", Access::Narrow),
    skb("vlan_tci", Access::Narrow),
    skb("vlan_proto", Access::Narrow),
    skb("priority", Access::NarrowReadExactWrite),
    skb("ingress_ifindex", Access::Narrow),
    skb("ifindex", Access::Narrow),
    skb("tc_index", Access::Narrow),
    skb("cb", Access::ReadWrite),
    skb("hash", Access::Narrow),
    skb("data", Access::Exact),
    skb("data_end", Access::Exact),
    skb("napi_id", Access::Narrow),
    skb("family", Access::Narrow),
    skb("remote_ip4", Access::Exact),
    skb("local_ip4", Access::Exact),
    skb("remote_ip6", Access::Element(4)),
    skb("local_ip6", Access::Element(4)),
    skb("remote_port", Access::Narrow),
    skb("local_port", Access::Narrow),
    skb("tstamp", Access::ExactReadWrite),
    skb("gso_segs", Access::Narrow),
    skb("sk", Access::Exact),
    skb("gso_size", Access::Narrow),
    skb("hwtstamp", Access::Exact),
]);

/// The same without `CAP_BPF`: no packet pointers, and the time is read-only.
pub const SK_BUFF_CGROUP_UNPRIVILEGED: Context = sk_buff(&[
    skb("len", Access::Narrow),
    skb("pkt_type", Access::Narrow),
    skb("mark", Access::NarrowReadExactWrite),
    skb("queue_mapping", Access::Narrow),
    skb("protocol", Access::Narrow),
    skb("vlan_present", Access::Narrow),
    skb("vlan_tci", Access::Narrow),
    skb("vlan_proto", Access::Narrow),
    skb("priority", Access::NarrowReadExactWrite),
    skb("ingress_ifindex", Access::Narrow),
    skb("ifindex", Access::Narrow),
    skb("tc_index", Access::Narrow),
    skb("cb", Access::ReadWrite),
    skb("hash", Access::Narrow),
    skb("napi_id", Access::Narrow),
    skb("family", Access::Narrow),
    skb("remote_ip4", Access::Exact),
    skb("local_ip4", Access::Exact),
    skb("remote_ip6", Access::Element(4)),
    skb("local_ip6", Access::Element(4)),
    skb("remote_port", Access::Narrow),
    skb("local_port", Access::Narrow),
    skb("tstamp", Access::Exact),
    skb("gso_segs", Access::Narrow),
    skb("sk", Access::Exact),
    skb("gso_size", Access::Narrow),
    skb("hwtstamp", Access::Exact),
]);

/// `struct __sk_buff` for flow dissectors (`flow_dissector_is_valid_access`, net/core/filter.c, Linux 6.18).
pub const SK_BUFF_FLOW_DISSECTOR: Context =
    sk_buff(&[skb("data", Access::Exact), skb("data_end", Access::Exact), skb("flow_keys", Access::Exact)]);

/// Bytes of `struct bpf_flow_keys`, all of which a flow dissector reads and writes.
pub const FLOW_KEYS_BYTES: u32 = 56;

/// `struct bpf_sk_lookup` (`sk_lookup_is_valid_access`, net/core/filter.c, Linux 6.18).
pub const SK_LOOKUP: Context = Context {
    name: "bpf_sk_lookup",
    size: 72,
    shape: CtxShape::Fields(&[
        f("sk", 0, 8, Access::Exact, CtxValue::SocketOrNull),
        CtxField { access: Access::Narrow, ..short("family", 8, Native::Half) },
        CtxField { access: Access::Narrow, ..short("protocol", 12, Native::Half) },
        f("remote_ip4", 16, 4, Access::Narrow, CtxValue::Scalar),
        f("remote_ip6", 20, 16, Access::NarrowElement(4), CtxValue::Scalar),
        // Two bytes and two of padding, readable as one word.
        f("remote_port", 36, 4, Access::Narrow, CtxValue::Scalar),
        f("local_ip4", 40, 4, Access::Narrow, CtxValue::Scalar),
        f("local_ip6", 44, 16, Access::NarrowElement(4), CtxValue::Scalar),
        CtxField { access: Access::Narrow, ..short("local_port", 60, Native::Half) },
        f("ingress_ifindex", 64, 4, Access::Narrow, CtxValue::Scalar),
    ]),
};

/// `struct __sk_buff` for lightweight tunnels (`lwt_is_valid_access`, net/core/filter.c, Linux 6.18).
pub const SK_BUFF_LWT: Context = sk_buff(&[
    skb("len", Access::Narrow),
    skb("pkt_type", Access::Narrow),
    skb("mark", Access::NarrowReadExactWrite),
    skb("queue_mapping", Access::Narrow),
    skb("protocol", Access::Narrow),
    skb("vlan_present", Access::Narrow),
    skb("vlan_tci", Access::Narrow),
    skb("vlan_proto", Access::Narrow),
    skb("priority", Access::NarrowReadExactWrite),
    skb("ingress_ifindex", Access::Narrow),
    skb("ifindex", Access::Narrow),
    skb("tc_index", Access::Narrow),
    skb("cb", Access::ReadWrite),
    skb("hash", Access::Narrow),
    skb("data", Access::Exact),
    skb("data_end", Access::Exact),
    skb("napi_id", Access::Narrow),
    skb("gso_segs", Access::Narrow),
    skb("sk", Access::Exact),
    skb("gso_size", Access::Narrow),
]);

/// `struct __sk_buff` for socket maps (`sk_skb_is_valid_access`, net/core/filter.c, Linux 6.18).
pub const SK_BUFF_SK_SKB: Context = sk_buff(&[
    skb("len", Access::Narrow),
    skb("pkt_type", Access::Narrow),
    skb("queue_mapping", Access::Narrow),
    skb("protocol", Access::Narrow),
    skb("vlan_present", Access::Narrow),
    skb("vlan_tci", Access::Narrow),
    skb("vlan_proto", Access::Narrow),
    skb("priority", Access::NarrowReadExactWrite),
    skb("ingress_ifindex", Access::Narrow),
    skb("ifindex", Access::Narrow),
    skb("tc_index", Access::NarrowReadExactWrite),
    skb("cb", Access::Read),
    skb("hash", Access::Narrow),
    skb("data", Access::Exact),
    skb("data_end", Access::Exact),
    skb("napi_id", Access::Narrow),
    skb("family", Access::Narrow),
    skb("remote_ip4", Access::Exact),
    skb("local_ip4", Access::Exact),
    skb("remote_ip6", Access::Element(4)),
    skb("local_ip6", Access::Element(4)),
    skb("remote_port", Access::Narrow),
    skb("local_port", Access::Narrow),
    skb("gso_segs", Access::Narrow),
    skb("sk", Access::Exact),
    skb("gso_size", Access::Narrow),
]);

/// `struct bpf_perf_event_data` on x86-64: `struct pt_regs`, then the sample
/// (`pe_prog_is_valid_access`, kernel/trace/bpf_trace.c, Linux 6.18).
pub const PERF_EVENT_DATA: Context = Context {
    name: "bpf_perf_event_data",
    size: 184,
    shape: CtxShape::Fields(&[
        f("regs", 0, 168, Access::Element(8), CtxValue::Scalar),
        f("sample_period", 168, 8, Access::Narrow, CtxValue::Scalar),
        f("addr", 176, 8, Access::Narrow, CtxValue::Scalar),
    ]),
};

/// `struct pt_regs` on x86-64 (`kprobe_prog_is_valid_access`, kernel/trace/bpf_trace.c, Linux 6.18).
pub const PT_REGS: Context =
    Context { name: "pt_regs", size: 168, shape: CtxShape::Buffer { from: 0, writable: false } };

/// `struct xdp_md` (`xdp_is_valid_access`, net/core/filter.c, Linux 6.18).
pub const XDP_MD: Context = Context { name: "xdp_md", size: 24, shape: CtxShape::Fields(XDP_FIELDS) };

/// The same for programs that a device map runs on what it sends.
pub const XDP_MD_DEVMAP: Context =
    Context { name: "xdp_md", size: 24, shape: CtxShape::Fields(XDP_DEVMAP_FIELDS) };

const XDP_DEVMAP_FIELDS: &[CtxField] = &[
    f("data", 0, 4, Access::Exact, CtxValue::PacketData),
    f("data_end", 4, 4, Access::Exact, CtxValue::PacketEnd),
    f("data_meta", 8, 4, Access::Exact, CtxValue::PacketMeta),
    f("ingress_ifindex", 12, 4, Access::Exact, CtxValue::Scalar),
    f("rx_queue_index", 16, 4, Access::Exact, CtxValue::Scalar),
    f("egress_ifindex", 20, 4, Access::Exact, CtxValue::Scalar),
];

/// All but the last.
const XDP_FIELDS: &[CtxField] = XDP_DEVMAP_FIELDS.split_at(5).0;

/// The byte buffer of `syscall` programs (`syscall_prog_is_valid_access`: offsets below `U16_MAX`).
pub const SYSCALL_BUFFER: Context =
    Context { name: "syscall", size: 65535, shape: CtxShape::Buffer { from: 0, writable: true } };

/// The record of a tracepoint (`tp_prog_is_valid_access`: offsets from 8 to `PERF_MAX_TRACE_SIZE`).
pub const TRACEPOINT_RECORD: Context =
    Context { name: "tracepoint", size: 8192, shape: CtxShape::Buffer { from: 8, writable: false } };

/// What `tracing` programs get (`tracing_prog_is_valid_access`, kernel/trace/bpf_trace.c, Linux 6.18): up to twelve
/// arguments.
pub const TRACED_ARGUMENTS: Context = Context { name: "arguments", size: 96, shape: CtxShape::Arguments };

/// `struct bpf_raw_tracepoint_args`: twelve `u64`.
pub const RAW_TRACEPOINT_ARGS: Context = Context {
    name: "bpf_raw_tracepoint_args",
    size: 96,
    shape: CtxShape::Buffer { from: 0, writable: false },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_overlap_and_stay_inside() {
        let rows = [
            SK_BUFF_SOCKET_FILTER,
            SK_BUFF_TC,
            SK_BUFF_CGROUP,
            SK_BUFF_CGROUP_UNPRIVILEGED,
            SK_BUFF_FLOW_DISSECTOR,
            SK_BUFF_LWT,
            SK_BUFF_SK_SKB,
            SK_LOOKUP,
            PERF_EVENT_DATA,
            XDP_MD,
            XDP_MD_DEVMAP,
        ];
        for ctx in rows {
            let CtxShape::Fields(fields) = ctx.shape else { panic!("{} has fields", ctx.name) };
            for pair in fields.windows(2) {
                assert!(pair[0].off + pair[0].size <= pair[1].off, "{} {}", ctx.name, pair[1].name);
            }
            let last = fields.last().expect("there are fields");
            assert!(u32::from(last.off + last.size) <= ctx.size, "{}", ctx.name);
        }
    }

    #[test]
    fn what_stays_of_a_store() {
        assert_eq!(Native::Same.keep(0x1_2345_6789), Some(0x1_2345_6789));
        assert_eq!(Native::Half.keep(0x1_fffe), Some(0xfffe));
        assert_eq!([0xfffe, 0xffff, 0x1_0005].map(|v| Native::Queue.keep(v)), [Some(0xfffe), None, None]);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn where_a_narrow_load_finds_its_bytes() {
        assert_eq!(Native::Same.load_at(2, 2, 4), 2);
        assert_eq!([(2, 2), (3, 1), (0, 4)].map(|(off, size)| Native::Half.load_at(off, size, 4)), [0, 3, 0]);
        assert_eq!([(2, 2), (3, 1)].map(|(off, size)| Native::Byte.load_at(off, size, 4)), [0, 0]);
    }

    #[test]
    fn narrow_loads_and_refused_stores() {
        let skb = SK_BUFF_SOCKET_FILTER;
        assert_eq!(skb.access(0, 4, false), Some(CtxValue::Scalar));
        assert_eq!(skb.access(3, 1, false), Some(CtxValue::Scalar));
        assert_eq!(skb.access(0, 8, false), None, "wider than the field");
        assert_eq!(skb.access(1, 2, false), None, "unaligned");
        assert_eq!(skb.access(8, 4, true), None, "mark is read-only here");
        assert_eq!(skb.access(56, 8, true), Some(CtxValue::Scalar), "cb takes any size");
        assert_eq!(skb.access(64, 8, true), None, "past the end of cb");
        assert_eq!(skb.access(76, 4, false), None, "no packet pointers");
        assert_eq!(XDP_MD.access(0, 4, false), Some(CtxValue::PacketData));
        assert_eq!(XDP_MD.access(0, 2, false), None);
        assert_eq!(XDP_MD.access(20, 4, false), None);
        assert_eq!(XDP_MD_DEVMAP.access(20, 4, false), Some(CtxValue::Scalar));
        assert_eq!(SK_BUFF_TC.access(8, 4, true), Some(CtxValue::Scalar), "tc may set the mark");
        assert_eq!(SK_BUFF_TC.access(8, 2, true), None, "but not half of it");
        assert_eq!(SK_BUFF_SK_SKB.access(104, 4, false), Some(CtxValue::Scalar), "one word of remote_ip6");
        assert_eq!(SK_BUFF_SK_SKB.access(104, 8, false), None, "not two");
        assert_eq!(SK_LOOKUP.access(22, 2, false), Some(CtxValue::Scalar), "half of remote_ip6[0]");
        assert_eq!(SK_LOOKUP.access(24, 8, false), None, "two words of remote_ip6");
        assert_eq!(TRACEPOINT_RECORD.access(0, 8, false), None, "the common part is hidden");
    }
}
