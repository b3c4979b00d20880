//! The program types that programs are made of: what their rows in `abi` say, and how often.

use std::sync::OnceLock;

use skep_abi::{
    AttachType, CtxShape, CtxValue, HELPERS, HelperProto, PROGRAM_TYPES, PacketAccess, ProgramType,
    ProgramTypeRow, ReturnRange, Sleep,
};
use skep_isa::Size;

use super::super::rng::Rng;
use super::memory::SIZES;

/// How a type sees its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// There is none.
    None,
    /// By helpers alone.
    Helpers,
    /// By address: offsets of `data` and `data_end` in the context, and whether stores are allowed.
    Direct {
        /// Offset of `data`.
        data: i16,
        /// Offset of `data_end`.
        end: i16,
        /// Stores are allowed.
        stores: bool,
    },
}

/// What test runs are given as the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CtxInput {
    /// None.
    None,
    /// Words.
    Words(usize),
    /// Nothing, or a `struct __sk_buff` with the fields that a test run takes.
    SkBuff,
    /// A `struct bpf_sk_lookup`.
    SkLookup,
}

/// A type that is generated.
struct Type {
    prog_type: ProgramType,
    weight: usize,
    input: CtxInput,
    /// Context fields whose numbers are not the same everywhere, by name.
    unlike: &'static [&'static str],
}

/// Numbers of the running machine: a hash of addresses in time, a socket's family, where the packet was polled.
const SK_BUFF_UNLIKE: &[&str] = &["hash", "napi_id"];

/// Fields of which Linux keeps less than 32 bits: a narrow load behind their first byte gives it what the whole field
/// gives (`convert_ctx_accesses` shifts only what is narrower than the kernel's own field; docs/parity.md).
const SHORT: &[&str] = &[
    "pkt_type",
    "queue_mapping",
    "protocol",
    "vlan_present",
    "vlan_tci",
    "vlan_proto",
    "tc_index",
    "tc_classid",
];

const fn sk_buff(prog_type: ProgramType, weight: usize) -> Type {
    Type { prog_type, weight, input: CtxInput::SkBuff, unlike: SK_BUFF_UNLIKE }
}

const TYPES: &[Type] = &[
    Type { prog_type: ProgramType::SYSCALL, weight: 6, input: CtxInput::Words(4), unlike: &[] },
    sk_buff(ProgramType::SOCKET_FILTER, 6),
    Type { prog_type: ProgramType::XDP, weight: 6, input: CtxInput::None, unlike: &["egress_ifindex"] },
    Type { prog_type: ProgramType::RAW_TRACEPOINT, weight: 2, input: CtxInput::Words(3), unlike: &[] },
    sk_buff(ProgramType::SCHED_CLS, 6),
    sk_buff(ProgramType::SCHED_ACT, 1),
    sk_buff(ProgramType::LWT_IN, 1),
    sk_buff(ProgramType::LWT_OUT, 1),
    sk_buff(ProgramType::LWT_XMIT, 2),
    sk_buff(ProgramType::CGROUP_SKB, 2),
    Type { prog_type: ProgramType::FLOW_DISSECTOR, weight: 1, input: CtxInput::None, unlike: &[] },
    Type { prog_type: ProgramType::SK_LOOKUP, weight: 1, input: CtxInput::SkLookup, unlike: &[] },
];

/// A program type as the generator uses it.
#[derive(Debug)]
pub(super) struct Kind {
    pub row: &'static ProgramTypeRow,
    weight: usize,
    pub input: CtxInput,
    pub packet: Packet,
    /// Numbers in the context that test runs set alike everywhere.
    pub numbers: Vec<(Size, i16)>,
    /// Fields that it may store into.
    pub stores: Vec<(Size, i16)>,
    /// Largest value that it may return.
    pub most: Option<u32>,
}

impl Kind {
    fn new(of: &Type) -> Option<Self> {
        let row = PROGRAM_TYPES.iter().find(|r| r.id == of.prog_type)?;
        let (mut numbers, mut stores) = (Vec::new(), Vec::new());
        let bytes = match of.input {
            CtxInput::Words(n) => 8 * n as u32,
            CtxInput::None | CtxInput::SkBuff | CtxInput::SkLookup => row.ctx.size,
        };
        let like = |off: u32| {
            row.ctx.field_at(off).is_none_or(|f| {
                let behind = off > f.off.into() && SHORT.contains(&f.name);
                !behind && !of.unlike.contains(&f.name)
            })
        };
        for off in (0..bytes).filter(|&off| like(off)) {
            for size in SIZES {
                let at = (size, off as i16);
                let inside = off + size.bytes() as u32 <= bytes;
                let is = |write| {
                    inside && row.ctx.access(off, size.bytes() as u32, write) == Some(CtxValue::Scalar)
                };
                // Raw tracepoints have words, whatever else their rows let pass.
                if is(false) && (of.prog_type != ProgramType::RAW_TRACEPOINT || size == Size::DW) {
                    numbers.push(at);
                }
                if is(true) {
                    stores.push(at);
                }
            }
        }
        let offset = |value| {
            let at = |off: &u32| row.ctx.access(*off, 4, false) == Some(value);
            (0..row.ctx.size).step_by(4).find(at).map(|off| off as i16)
        };
        let direct = |stores| {
            let (data, end) = (offset(CtxValue::PacketData)?, offset(CtxValue::PacketEnd)?);
            Some(Packet::Direct { data, end, stores })
        };
        let packet = match (row.packet, row.ctx.shape) {
            (PacketAccess::Read, _) => direct(false),
            (PacketAccess::ReadWrite, _) => direct(true),
            (PacketAccess::Load | PacketAccess::Lent, _) => None,
            (PacketAccess::None, CtxShape::Fields(_)) => Some(Packet::Helpers),
            (PacketAccess::None, CtxShape::Buffer { .. } | CtxShape::Arguments) => None,
        };
        let most = match row.returns {
            ReturnRange::Any | ReturnRange::Nothing => None,
            ReturnRange::Within(_, most) | ReturnRange::LowWithin(_, most) => Some(most as u32),
        };
        let packet = packet.unwrap_or(Packet::None);
        Some(Self { row, weight: of.weight, input: of.input, packet, numbers, stores, most })
    }

    /// Whether the type offers a helper, with the arguments that it has elsewhere.
    pub fn has(&self, helper: u32) -> bool {
        let usual = HELPERS.iter().find(|h| h.id == helper);
        let other = |own: &HelperProto| own.id == helper && usual.is_none_or(|usual| usual.args != own.args);
        !self.row.own_helpers.iter().any(other)
            && self.row.helper_capability(helper, AttachType::UNSPEC).is_some()
    }

    /// Programs that sleep may not use program arrays, tries and the like.
    pub fn sleeps(&self) -> bool {
        self.row.sleep == Sleep::Always
    }
}

/// One of them, by weight.
pub(super) fn pick(rng: &mut Rng) -> &'static Kind {
    static KINDS: OnceLock<Vec<Kind>> = OnceLock::new();
    let kinds = KINDS.get_or_init(|| TYPES.iter().filter_map(Kind::new).collect());
    rng.weighted(kinds, |k| k.weight)
}
