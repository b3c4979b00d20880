//! What is known about one register, or one spilled register.

use skep_abi::Context;

use super::{DynptrType, Range};
use crate::domain::Scalar;

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing that may be read.
    NotInit,
    /// A number.
    Scalar,
    /// The program's context.
    Ctx,
    /// A map, by index: one of the program's, or one that looks like an inner map.
    Map(u16),
    /// A value of a map; of a map of maps only while it may be NULL, then it is the map inside.
    MapValue(u16),
    /// A key of a map, as the callback of `bpf_for_each_map_elem` sees it.
    MapKey(u16),
    /// A function of the program, by the index of its subprogram.
    Func(u16),
    /// Packet data, and what is known of its end.
    Packet { range: Range },
    /// Metadata before the packet; `range` bytes from the variable part on are known to be there.
    PacketMeta { range: u32 },
    /// End of the packet.
    PacketEnd,
    /// The frame pointer of a frame of the call chain, by its index.
    Stack { frame: u8 },
    /// Memory that a helper or a function of the kernel returned.
    Mem { size: u32, ringbuf: bool, writable: bool },
    /// A part of the memory of a dynptr, by the dynptr's id. `packet`: void when the packet changes; `stays`: good when the
    /// dynptr is written over.
    Slice { size: u32, dynptr: u32, writable: bool, packet: bool, stays: bool },
    /// A dynptr that a function was given; its id tells its slices from others.
    Dynptr(DynptrType),
    /// `struct bpf_flow_keys`, which a flow dissector fills in.
    FlowKeys,
    /// Memory of a tracepoint, whose size is compared when the program is attached.
    TracepointBuffer,
    /// A socket of the kernel.
    Sock(Sock),
    /// An object of the kernel, by the number of its type in the kernel's own.
    Btf { id: u32, marks: Marks },
    /// An object by the number of its type in the program's own: one that it allocated, or has from a map.
    Local { id: u32, marks: Marks },
    /// Memory of which nothing is known, so that loads may find nothing there.
    Probed,
    /// Memory of the program's arena, anywhere in it.
    Arena,
    /// Bytes that an iterator hands out; how many is found out when it is attached.
    Buffer { writable: bool },
}

/// How far an object of the kernel is sure to stay, and whose memory it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks(u8);

impl Marks {
    /// As pointers once were: helpers take it.
    pub(crate) const NONE: Self = Self(0);
    /// The object is there while the program runs.
    pub(crate) const TRUSTED: Self = Self(1);
    /// It is there as long as nothing goes away (RCU).
    pub(crate) const RCU: Self = Self(2);
    /// It may be gone; loads are still possible.
    pub(crate) const UNTRUSTED: Self = Self(4);
    /// It is in the user's memory.
    pub(crate) const USER: Self = Self(8);
    /// Each CPU has one.
    pub(crate) const PER_CPU: Self = Self(16);

    /// A program has allocated it (`MEM_ALLOC`).
    pub(crate) const ALLOC: Self = Self(32);
    /// Another owns it, while a lock is held (`NON_OWN_REF`).
    pub(crate) const NON_OWNING: Self = Self(64);

    pub(crate) const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 == mark.0
    }

    pub(crate) const fn with(self, mark: Self) -> Self {
        Self(self.0 | mark.0)
    }

    pub(crate) const fn without(self, mark: Self) -> Self {
        Self(self.0 & !mark.0)
    }

    /// Trusted and nothing else (`is_trusted_reg`).
    pub(crate) fn is_trusted(self) -> bool {
        self == Self::TRUSTED
    }
}

impl Marks {
    /// Allocated, for each CPU or not.
    pub(crate) fn is_given_away(self) -> bool {
        self.has(Self::ALLOC) && self.without(Self::ALLOC | Self::PER_CPU) == Self::NONE
    }

    /// Allocated and nothing that makes it less sure (`is_trusted_reg`).
    pub(crate) fn is_owned(self) -> bool {
        self.has(Self::ALLOC) && self.without(Self::ALLOC | Self::NON_OWNING) == Self::NONE
    }
}

impl core::ops::BitOr for Marks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

/// What is known of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sock {
    /// Any: perhaps a request or one that waits (`PTR_TO_SOCK_COMMON`).
    Common,
    /// A full socket (`PTR_TO_SOCKET`).
    Full,
    /// A TCP socket, as a `struct bpf_tcp_sock` (`PTR_TO_TCP_SOCK`).
    Tcp,
    /// An XDP socket (`PTR_TO_XDP_SOCK`).
    Xdp,
}

impl Sock {
    /// The fields that programs may load.
    pub(crate) fn fields(self) -> &'static Context {
        match self {
            Self::Common => &skep_abi::SOCK_COMMON,
            Self::Full => &skep_abi::SOCK,
            Self::Tcp => &skep_abi::TCP_SOCK,
            Self::Xdp => &skep_abi::XDP_SOCK,
        }
    }
}

impl Kind {
    /// Whether it points into the packet or before it.
    pub(crate) fn is_packet(self) -> bool {
        matches!(self, Self::Packet { .. } | Self::PacketMeta { .. })
    }

    /// Whether it is one of the packet's three pointers.
    pub(crate) fn is_packet_any(self) -> bool {
        self.is_packet() || self == Self::PacketEnd
    }
}

/// How far a number is from the others of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delta {
    pub(crate) by: i32,
    /// It was added in 32 bits, so that the number is the low half of the sum (`BPF_ADD_CONST32`).
    pub(crate) narrow: bool,
}

/// A register.
///
/// A pointer is its base plus `off` plus a member of `val`; a number is a member of `val`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reg {
    pub(crate) kind: Kind,
    /// May be NULL instead.
    pub(crate) nullable: bool,
    /// Fixed part of a pointer, bytes.
    pub(crate) off: i32,
    /// The number, or a pointer's variable part.
    pub(crate) val: Scalar,
    /// Registers of one id hold the same number (up to `delta`), the same perhaps-NULL pointer, or packet
    /// pointers with the same variable part. 0: no relation.
    pub(crate) id: u32,
    /// A number's distance from the others of its id.
    pub(crate) delta: Option<Delta>,
    /// The reference that the pointer stands for; 0: none.
    pub(crate) ref_id: u32,
    /// Of maps in maps of maps, and of their values, that have timers or work: tells one such map from another. 0: of
    /// others (`map_uid`).
    pub(crate) map_uid: u32,
    /// Some continuation's safety rests on the number.
    pub(crate) precise: bool,
}

impl Reg {
    pub(crate) const NOT_INIT: Self = Self::of(Kind::NotInit, Scalar::UNKNOWN);

    const fn of(kind: Kind, val: Scalar) -> Self {
        Self { kind, nullable: false, off: 0, val, id: 0, delta: None, ref_id: 0, map_uid: 0, precise: false }
    }

    /// A number.
    pub(crate) const fn scalar(val: Scalar) -> Self {
        Self::of(Kind::Scalar, val)
    }

    /// Any number.
    pub(crate) const fn unknown() -> Self {
        Self::scalar(Scalar::UNKNOWN)
    }

    /// A pointer to the start of something.
    pub(crate) const fn pointer(kind: Kind) -> Self {
        Self::of(kind, Scalar::known(0))
    }

    /// A pointer that may be NULL instead.
    pub(crate) const fn pointer_or_null(kind: Kind, id: u32) -> Self {
        let mut reg = Self::pointer(kind);
        reg.nullable = true;
        reg.id = id;
        reg
    }

    pub(crate) fn is_scalar(&self) -> bool {
        self.kind == Kind::Scalar
    }

    pub(crate) fn is_init(&self) -> bool {
        self.kind != Kind::NotInit
    }

    pub(crate) fn is_pointer(&self) -> bool {
        self.is_init() && !self.is_scalar()
    }

    /// The number, if there is only one.
    pub(crate) fn as_const(&self) -> Option<u64> {
        if self.is_scalar() { self.val.as_const() } else { None }
    }

    /// A number known to be 0, which stands for NULL as well.
    pub(crate) fn is_null(&self) -> bool {
        self.as_const() == Some(0)
    }

    /// Equal apart from whether anything rests on it.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        (self.kind, self.nullable, self.off, self.id, self.delta, self.ref_id, self.map_uid)
            == (other.kind, other.nullable, other.off, other.id, other.delta, other.ref_id, other.map_uid)
            && self.val == other.val
    }

    /// Forgets the relation to registers of the same id.
    pub(crate) fn unlink(&mut self) {
        self.id = 0;
        self.delta = None;
    }

    /// The bits that the number may need.
    pub(crate) fn width(&self) -> u32 {
        64 - self.val.umax().leading_zeros()
    }

    /// Whether a pointer certainly is not NULL in a comparison with 0.
    pub(crate) fn is_not_null(&self) -> bool {
        !self.nullable
            && match self.kind {
                Kind::MapValue(_) | Kind::MapKey(_) | Kind::Mem { .. } | Kind::Map(_) => true,
                Kind::Slice { .. } => true,
                Kind::Sock(sock) => sock != Sock::Xdp,
                Kind::Btf { marks, .. } => marks.is_trusted() || self.ref_id != 0,
                Kind::Local { marks, .. } => marks.is_owned() || self.ref_id != 0,
                Kind::NotInit
                | Kind::Scalar
                | Kind::Ctx
                | Kind::Func(_)
                | Kind::Packet { .. }
                | Kind::PacketMeta { .. }
                | Kind::PacketEnd
                | Kind::Stack { .. }
                | Kind::Dynptr(_)
                | Kind::FlowKeys
                | Kind::TracepointBuffer
                | Kind::Probed
                | Kind::Arena
                | Kind::Buffer { .. } => false,
            }
    }
}
