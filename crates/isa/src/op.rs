//! What an instruction means: the decoded form that every consumer matches on.

use crate::Reg;

/// Operand width of ALU operations and comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// 32 bits; results are zero-extended.
    W32,
    /// 64 bits.
    W64,
}

/// Size of a memory access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Size {
    /// 1 byte.
    B,
    /// 2 bytes.
    H,
    /// 4 bytes.
    W,
    /// 8 bytes.
    DW,
}

impl Size {
    /// The size in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::B => 1,
            Self::H => 2,
            Self::W => 4,
            Self::DW => 8,
        }
    }

    /// The size in bits.
    pub const fn bits(self) -> u32 {
        self.bytes() as u32 * 8
    }
}

/// Second operand: a register or a sign-extended 32-bit constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// The value of a register.
    Reg(Reg),
    /// A constant.
    Imm(i32),
}

/// Two-operand arithmetic (RFC 9669 §4.1; signed forms: cpu v4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AluOp {
    /// `dst += src`
    Add,
    /// `dst -= src`
    Sub,
    /// `dst *= src`
    Mul,
    /// `dst /= src`, unsigned; 0 when `src` is 0.
    Div,
    /// `dst s/= src`, signed, truncating; 0 when `src` is 0.
    Sdiv,
    /// `dst |= src`
    Or,
    /// `dst &= src`
    And,
    /// `dst <<= src`, shift count masked to the width.
    Lsh,
    /// `dst >>= src`, logical.
    Rsh,
    /// `dst %= src`, unsigned; `dst` when `src` is 0.
    Mod,
    /// `dst s%= src`, signed; `dst` when `src` is 0.
    Smod,
    /// `dst ^= src`
    Xor,
    /// `dst = src`
    Mov,
    /// `dst s>>= src`, arithmetic.
    Arsh,
}

/// Comparisons of conditional jumps (RFC 9669 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JumpOp {
    /// `dst == src`
    Eq,
    /// `dst != src`
    Ne,
    /// `dst & src` is not zero.
    Set,
    /// `dst > src`, unsigned.
    Gt,
    /// `dst >= src`, unsigned.
    Ge,
    /// `dst < src`, unsigned.
    Lt,
    /// `dst <= src`, unsigned.
    Le,
    /// `dst > src`, signed.
    Sgt,
    /// `dst >= src`, signed.
    Sge,
    /// `dst < src`, signed.
    Slt,
    /// `dst <= src`, signed.
    Sle,
}

/// Byte swaps (RFC 9669 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SwapKind {
    /// Host to little endian, truncating (`le16` …).
    Le,
    /// Host to big endian, truncating (`be16` …).
    Be,
    /// Unconditional swap (`bswap16` …, cpu v4).
    Bswap,
}

/// Atomic read-modify-write (RFC 9669 §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtomicOp {
    /// `*addr += src`; with fetch, `src` receives the old value.
    Add {
        /// Whether the old value is returned in `src`.
        fetch: bool,
    },
    /// `*addr |= src`
    Or {
        /// Whether the old value is returned in `src`.
        fetch: bool,
    },
    /// `*addr &= src`
    And {
        /// Whether the old value is returned in `src`.
        fetch: bool,
    },
    /// `*addr ^= src`
    Xor {
        /// Whether the old value is returned in `src`.
        fetch: bool,
    },
    /// `src = xchg(*addr, src)`
    Xchg,
    /// `r0 = cmpxchg(*addr, r0, src)`
    Cmpxchg,
}

impl AtomicOp {
    /// Whether a register receives the old value.
    pub const fn fetches(self) -> bool {
        match self {
            Self::Add { fetch } | Self::Or { fetch } | Self::And { fetch } | Self::Xor { fetch } => fetch,
            Self::Xchg | Self::Cmpxchg => true,
        }
    }
}

/// Addressing of the legacy packet loads (RFC 9669 §5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketMode {
    /// `r0 = *(size *)skb[imm]`
    Abs,
    /// `r0 = *(size *)skb[src + imm]`
    Ind(Reg),
}

/// What the 64-bit immediate of `LDDW` denotes (RFC 9669 §5.4), chosen by the `src` field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Imm64 {
    /// `src` 0: a plain constant.
    Const(u64),
    /// `src` 1: the map with this file descriptor.
    MapFd(i32),
    /// `src` 2: the address of the value of this single-element map, plus an offset in bytes.
    MapValueFd {
        /// File descriptor.
        fd: i32,
        /// Byte offset into the value.
        off_bytes: u32,
    },
    /// `src` 3: the address (and kernel BTF) of a variable.
    Variable {
        /// BTF id of the `VAR`, or of the ksym.
        btf_id: i32,
        /// File descriptor of the module's BTF, 0 for vmlinux.
        btf_fd: i32,
    },
    /// `src` 4: the address of a subprogram, in slots from the one behind the `LDDW`'s first.
    Code(i32),
    /// `src` 5: the map with this index in the program's map list (`fd_array`).
    MapIdx(i32),
    /// `src` 6: like `MapValueFd`, by index.
    MapValueIdx {
        /// Index into the program's map list.
        idx: i32,
        /// Byte offset into the value.
        off_bytes: u32,
    },
}

/// What a `call` calls (RFC 9669 §4.3.1), chosen by the `src` field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallTarget {
    /// `src` 0: helper by static id.
    Helper(u32),
    /// `src` 1: a subprogram, relative to the next instruction, in slots.
    Subprog(i32),
    /// `src` 2: a kernel function by BTF id.
    Kfunc {
        /// BTF id of the `FUNC`.
        btf_id: i32,
        /// Index into `fd_array` of the module's BTF; 0 is vmlinux.
        btf_idx: i16,
    },
}

/// A decoded instruction. Jump offsets count slots from the next instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `dst op= src`
    Alu {
        /// Width of the operation.
        width: Width,
        /// Operation.
        op: AluOp,
        /// Destination and first operand.
        dst: Reg,
        /// Second operand.
        src: Operand,
    },
    /// `dst = -dst`
    Neg {
        /// Width of the operation.
        width: Width,
        /// Destination.
        dst: Reg,
    },
    /// `dst = (sN)src` (cpu v4): the low `from` bits sign-extended to `width`.
    MovSx {
        /// Width of the result.
        width: Width,
        /// Source size: 8, 16, or (64-bit only) 32 bits.
        from: Size,
        /// Destination.
        dst: Reg,
        /// Source.
        src: Reg,
    },
    /// Byte swap or truncation of `dst`.
    Swap {
        /// Which order.
        kind: SwapKind,
        /// H, W or DW.
        size: Size,
        /// Destination.
        dst: Reg,
    },
    /// `dst = addr_space_cast(src, dst_as, src_as)` (Linux: arenas).
    AddrSpaceCast {
        /// Destination.
        dst: Reg,
        /// Source.
        src: Reg,
        /// Address space of the result: `imm >> 16`.
        dst_as: u16,
        /// Address space of the source: `imm & 0xffff`.
        src_as: u16,
    },
    /// `dst = imm ll`: two slots.
    LoadImm64 {
        /// Destination.
        dst: Reg,
        /// What is loaded.
        value: Imm64,
    },
    /// `dst = *(size *)(src + off)`
    Load {
        /// Access size.
        size: Size,
        /// Sign-extend to 64 bits (cpu v4).
        signed: bool,
        /// Destination.
        dst: Reg,
        /// Base.
        src: Reg,
        /// Byte offset.
        off: i16,
    },
    /// `*(size *)(dst + off) = src`
    Store {
        /// Access size.
        size: Size,
        /// Base.
        dst: Reg,
        /// Byte offset.
        off: i16,
        /// Value; an immediate is sign-extended.
        src: Operand,
    },
    /// Atomic read-modify-write at `dst + off`.
    Atomic {
        /// W or DW.
        size: Size,
        /// Operation.
        op: AtomicOp,
        /// Base.
        dst: Reg,
        /// Operand, and destination of fetching forms (but see [`AtomicOp::Cmpxchg`]).
        src: Reg,
        /// Byte offset.
        off: i16,
    },
    /// `dst = load_acquire((size *)(src + off))` (Linux 6.15).
    LoadAcquire {
        /// Access size.
        size: Size,
        /// Destination.
        dst: Reg,
        /// Base.
        src: Reg,
        /// Byte offset.
        off: i16,
    },
    /// `store_release((size *)(dst + off), src)` (Linux 6.15).
    StoreRelease {
        /// Access size.
        size: Size,
        /// Base.
        dst: Reg,
        /// Value.
        src: Reg,
        /// Byte offset.
        off: i16,
    },
    /// Legacy packet load into `r0`; ends the program with 0 when out of bounds.
    LoadPacket {
        /// B, H or W.
        size: Size,
        /// Addressing.
        mode: PacketMode,
        /// Byte offset.
        imm: i32,
    },
    /// `goto off`: 16-bit (`ja`) and 32-bit (`gotol`) forms.
    Jump {
        /// Slots from the next instruction.
        off: i32,
        /// Encoded as `gotol` (opcode 0x06, offset in `imm`).
        long: bool,
    },
    /// `if dst op src goto off`
    JumpIf {
        /// Width of the comparison.
        width: Width,
        /// Comparison.
        op: JumpOp,
        /// First operand.
        dst: Reg,
        /// Second operand.
        src: Operand,
        /// Slots from the next instruction.
        off: i16,
    },
    /// `may_goto off`: jumps when the loop budget is spent (Linux 6.9).
    MayGoto {
        /// Slots from the next instruction.
        off: i16,
    },
    /// `call target`
    Call(CallTarget),
    /// `callx reg` (clang; unknown to Linux 6.18).
    CallIndirect {
        /// Register that holds the address.
        reg: Reg,
    },
    /// `gotox reg` (newer Linux; unknown to 6.18).
    JumpIndirect {
        /// Register that holds the address.
        reg: Reg,
    },
    /// `exit`
    Exit,
}

impl Op {
    /// Slots that the instruction takes: 2 for [`Op::LoadImm64`], otherwise 1.
    pub const fn slots(&self) -> usize {
        match self {
            Self::LoadImm64 { .. } => 2,
            Self::Alu { .. }
            | Self::Neg { .. }
            | Self::MovSx { .. }
            | Self::Swap { .. }
            | Self::AddrSpaceCast { .. }
            | Self::Load { .. }
            | Self::Store { .. }
            | Self::Atomic { .. }
            | Self::LoadAcquire { .. }
            | Self::StoreRelease { .. }
            | Self::LoadPacket { .. }
            | Self::Jump { .. }
            | Self::JumpIf { .. }
            | Self::MayGoto { .. }
            | Self::Call(_)
            | Self::CallIndirect { .. }
            | Self::JumpIndirect { .. }
            | Self::Exit => 1,
        }
    }
}
