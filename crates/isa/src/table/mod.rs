//! The table of all instructions, from which decoding, encoding, text, use/def and documentation derive.
//!
//! Each [`Row`] is one instruction: an opcode, and for each other field of the slot either the value that it
//! must have (a selector, or zero where the field is reserved) or the part that the operand plays. Rows may
//! share an opcode; their fixed fields tell them apart.

mod rows;

use core::fmt;

use crate::{Insn, Op, Reg, RegSet};

pub use rows::ROWS;
pub(crate) use rows::find;

/// All rows, in the order of the documentation.
pub fn rows() -> &'static [Row] {
    &ROWS
}

/// The rows that have this opcode.
pub fn with_opcode(opcode: u8) -> impl Iterator<Item = &'static Row> + Clone {
    let (start, len) = BY_OPCODE.ranges[opcode as usize];
    BY_OPCODE.order[start as usize..start as usize + len as usize].iter().map(|&i| &ROWS[i as usize])
}

/// The row of this name.
pub fn named(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|r| r.name == name)
}

/// Conformance groups of RFC 9669 §2.4, and what only Linux or compilers know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// `base32`
    Base32,
    /// `base64`
    Base64,
    /// `divmul32`: 32-bit division and remainder.
    Divmul32,
    /// `divmul64`: 64-bit division and remainder.
    Divmul64,
    /// `atomic32`
    Atomic32,
    /// `atomic64`
    Atomic64,
    /// `packet`: legacy packet access, deprecated.
    Packet,
    /// Not in RFC 9669.
    Linux,
}

impl Group {
    /// The group's name as RFC 9669 spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base32 => "base32",
            Self::Base64 => "base64",
            Self::Divmul32 => "divmul32",
            Self::Divmul64 => "divmul64",
            Self::Atomic32 => "atomic32",
            Self::Atomic64 => "atomic64",
            Self::Packet => "packet",
            Self::Linux => "linux",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a field of an instruction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The field must have this value: a selector, or 0 where it is reserved.
    Is(i32),
    /// A register that is read.
    Read,
    /// A register that is written.
    Write,
    /// A register that is read, then written.
    ReadWrite,
    /// A byte offset from a base register.
    Mem,
    /// A jump distance in slots from the next instruction.
    Jump,
    /// Index into `fd_array`.
    Index,
    /// An arithmetic constant.
    Const,
    /// A number that names something: a helper, a BTF id, a file descriptor.
    Id,
    /// Two address spaces, destination in the high half.
    Spaces,
    /// Any value.
    Any,
}

impl Role {
    /// The one value that the field may have, if it is fixed.
    pub const fn fixed(self) -> Option<i32> {
        match self {
            Self::Is(v) => Some(v),
            Self::Read
            | Self::Write
            | Self::ReadWrite
            | Self::Mem
            | Self::Jump
            | Self::Index
            | Self::Const
            | Self::Id
            | Self::Spaces
            | Self::Any => None,
        }
    }

    /// Whether the field names a register that is read.
    pub const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    /// Whether the field names a register that is written.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

/// The operand fields of an instruction, raw. `next_imm` is the `imm` of an `LDDW`'s second slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Fields {
    /// Destination register.
    pub dst: Reg,
    /// Source register.
    pub src: Reg,
    /// 16-bit offset.
    pub off: i16,
    /// 32-bit immediate.
    pub imm: i32,
    /// 32-bit immediate of the second slot, 0 where there is none.
    pub next_imm: i32,
}

/// One instruction.
#[derive(Debug)]
pub struct Row {
    /// Our name, unique: the kernel's mnemonic with width and operand form.
    pub name: &'static str,
    /// The opcode byte.
    pub opcode: u8,
    /// Part of the `dst` field.
    pub dst: Role,
    /// Part of the `src` field.
    pub src: Role,
    /// Part of the `off` field.
    pub off: Role,
    /// Part of the `imm` field.
    pub imm: Role,
    /// Part of the second slot's `imm`; `None` for one-slot instructions.
    pub next_imm: Option<Role>,
    /// Registers read that no field names.
    pub implicit_uses: RegSet,
    /// Registers written (or lost) that no field names.
    pub implicit_defs: RegSet,
    /// Conformance group.
    pub group: Group,
    /// Section of RFC 9669, `-` when it is not in there.
    pub rfc: &'static str,
    /// Text template in the spelling of the kernel's log.
    pub kernel_text: &'static str,
    /// Text template in clang's spelling.
    pub clang_text: &'static str,
    /// One line of documentation.
    pub doc: &'static str,
    make: fn(Fields) -> Op,
}

impl Row {
    /// The instruction with these operands. Fields that the row fixes are ignored.
    ///
    /// Values are taken as they are: a register number above 10 gives an instruction that
    /// [`decode`](crate::decode) refuses.
    pub fn op(&self, dst: Reg, src: Reg, off: i16, imm: i32) -> Op {
        self.op_from(Fields { dst, src, off, imm, next_imm: 0 })
    }

    /// Like [`Row::op`], with the second slot's immediate.
    pub fn op_from(&self, fields: Fields) -> Op {
        (self.make)(fields)
    }

    /// Slots that the instruction takes.
    pub const fn slots(&self) -> usize {
        if self.next_imm.is_some() { 2 } else { 1 }
    }

    /// A legal instruction of this row from a source of random bits. Constants and offsets favour edge values.
    pub fn sample(&self, random: &mut impl FnMut() -> u64) -> Op {
        let mut reg = || Reg((random() % 11) as u8);
        let (dst, src) = (reg(), reg());
        let off = edge(random()) as i16;
        let (imm, next_imm) = (edge(random()) as i32, edge(random()) as i32);
        let next_imm = if matches!(self.next_imm, Some(Role::Any)) { next_imm } else { 0 };
        self.op_from(Fields { dst, src, off, imm, next_imm })
    }

    /// Whether all fixed fields of the slot (apart from the opcode) have the row's values.
    pub(crate) fn fits(&self, insn: &Insn) -> bool {
        fits(self.dst, i32::from(insn.dst.0))
            && fits(self.src, i32::from(insn.src.0))
            && fits(self.off, i32::from(insn.off))
            && fits(self.imm, insn.imm)
    }
}

const fn fits(role: Role, value: i32) -> bool {
    match role.fixed() {
        Some(v) => v == value,
        None => true,
    }
}

/// Spreads random bits over small numbers, powers of two and their neighbours, and anything.
fn edge(random: u64) -> i64 {
    let (kind, r) = (random & 7, random >> 3);
    match kind {
        0 => 0,
        1 => (r % 17) as i64 - 8,
        2 => i64::from(1i32.wrapping_shl((r & 31) as u32)),
        3 => i64::from(1i32.wrapping_shl((r & 31) as u32).wrapping_sub(1)),
        4 => i64::from(1i32.wrapping_shl((r & 31) as u32).wrapping_neg()),
        _ => r as i64,
    }
}

/// Row numbers sorted by opcode, and each opcode's part of them.
struct ByOpcode {
    order: [u8; ROWS.len()],
    ranges: [(u8, u8); 256],
}

const _: () = assert!(ROWS.len() <= 255, "row numbers are bytes");

static BY_OPCODE: ByOpcode = {
    let mut index = ByOpcode { order: [0; ROWS.len()], ranges: [(0, 0); 256] };
    let (mut opcode, mut at) = (0, 0);
    while opcode < 256 {
        let start = at;
        let mut row = 0;
        while row < ROWS.len() {
            if ROWS[row].opcode as usize == opcode {
                index.order[at] = row as u8;
                at += 1;
            }
            row += 1;
        }
        index.ranges[opcode] = (start as u8, (at - start) as u8);
        opcode += 1;
    }
    index
};
