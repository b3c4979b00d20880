//! One instruction slot.

use core::fmt;

/// A register number, 0–15 as encoded; programs may name 0–10, the verifier's rewrites also 11 (`ax`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Reg(pub u8);

impl Reg {
    /// Return value of calls and exit value of programs.
    pub const R0: Self = Self(0);
    /// First argument; at entry the context.
    pub const R1: Self = Self(1);
    /// Second argument.
    pub const R2: Self = Self(2);
    /// Third argument.
    pub const R3: Self = Self(3);
    /// Fourth argument.
    pub const R4: Self = Self(4);
    /// Fifth argument.
    pub const R5: Self = Self(5);
    /// Callee saved.
    pub const R6: Self = Self(6);
    /// Callee saved.
    pub const R7: Self = Self(7);
    /// Callee saved.
    pub const R8: Self = Self(8);
    /// Callee saved.
    pub const R9: Self = Self(9);
    /// Read-only frame pointer.
    pub const FP: Self = Self(10);

    /// The register as an array index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// Byte order of an encoded program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endian {
    /// Little endian (`bpfel`).
    Little,
    /// Big endian (`bpfeb`).
    Big,
}

impl Endian {
    /// The order of the machine that this code was compiled for.
    pub const NATIVE: Self = if cfg!(target_endian = "little") { Self::Little } else { Self::Big };
}

/// One 8-byte instruction slot (RFC 9669 §3.1). `LDDW` takes two.
///
/// ```text
/// +--------+----+----+----------------+--------------------------------+
/// | opcode |src |dst |      off       |              imm               |   (little endian)
/// +--------+----+----+----------------+--------------------------------+
///     8      4    4          16                       32        bits
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Insn {
    /// Operation: class in bits 0–2, the rest depends on the class.
    pub opcode: u8,
    /// Destination register, 4 bits.
    pub dst: Reg,
    /// Source register or selector, 4 bits.
    pub src: Reg,
    /// Signed offset: bytes for memory, slots for jumps, a selector for some ALU operations.
    pub off: i16,
    /// Signed immediate.
    pub imm: i32,
}

impl Insn {
    /// Bytes in a slot.
    pub const SIZE: usize = 8;

    /// A slot from its fields.
    pub const fn new(opcode: u8, dst: Reg, src: Reg, off: i16, imm: i32) -> Self {
        Self { opcode, dst, src, off, imm }
    }

    /// Reads one slot. Every byte pattern is a slot; whether it is an instruction is for decoding to say.
    pub const fn from_bytes(b: [u8; 8], endian: Endian) -> Self {
        let (off, imm) = ([b[2], b[3]], [b[4], b[5], b[6], b[7]]);
        match endian {
            Endian::Little => Self {
                opcode: b[0],
                dst: Reg(b[1] & 0xf),
                src: Reg(b[1] >> 4),
                off: i16::from_le_bytes(off),
                imm: i32::from_le_bytes(imm),
            },
            Endian::Big => Self {
                opcode: b[0],
                dst: Reg(b[1] >> 4),
                src: Reg(b[1] & 0xf),
                off: i16::from_be_bytes(off),
                imm: i32::from_be_bytes(imm),
            },
        }
    }

    /// Writes the slot. Register numbers are cut to 4 bits.
    pub const fn to_bytes(self, endian: Endian) -> [u8; 8] {
        let (dst, src) = (self.dst.0 & 0xf, self.src.0 & 0xf);
        let (regs, o, i) = match endian {
            Endian::Little => (src << 4 | dst, self.off.to_le_bytes(), self.imm.to_le_bytes()),
            Endian::Big => (dst << 4 | src, self.off.to_be_bytes(), self.imm.to_be_bytes()),
        };
        [self.opcode, regs, o[0], o[1], i[0], i[1], i[2], i[3]]
    }

    /// Whether this slot opens a two-slot `LDDW`.
    pub const fn is_wide(self) -> bool {
        self.opcode == 0x18
    }
}

impl fmt::Debug for Insn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Insn {{ opcode: {:#04x}, dst: {}, src: {}, off: {}, imm: {:#x} }}",
            self.opcode, self.dst.0, self.src.0, self.off, self.imm
        )
    }
}
