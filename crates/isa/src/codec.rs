//! Slots to [`Op`] and back.

use core::fmt;

use crate::table::{self, Fields, Role, Row};
use crate::{Insn, Op, Reg, RegSet};

/// Decodes the instruction at slot `pc`.
///
/// # Errors
///
/// [`DecodeError`] when `pc` is not a slot of `insns`, the opcode is unknown, a reserved field is not zero, a
/// selector has no meaning, a register number is above 10, or the second slot of an `LDDW` is missing or has
/// anything but an immediate.
pub fn decode(insns: &[Insn], pc: usize) -> Result<Op, DecodeError> {
    let Some(insn) = insns.get(pc) else { return Err(DecodeError::past_end(pc)) };
    let Some(row) = table::with_opcode(insn.opcode).find(|r| r.fits(insn)) else {
        return Err(DecodeError::no_row(pc, insn));
    };
    for (role, reg, field) in [(row.dst, insn.dst, Field::Dst), (row.src, insn.src, Field::Src)] {
        if role.fixed().is_none() && reg > Reg::FP {
            return Err(DecodeError::field(pc, insn, field, reg.0.into()));
        }
    }
    let next_imm = match row.next_imm {
        None => 0,
        Some(role) => second_slot(insns, pc, insn, role)?,
    };
    Ok(row.op_from(Fields { dst: insn.dst, src: insn.src, off: insn.off, imm: insn.imm, next_imm }))
}

fn second_slot(insns: &[Insn], pc: usize, insn: &Insn, role: Role) -> Result<i32, DecodeError> {
    let Some(next) = insns.get(pc + 1) else { return Err(DecodeError::truncated(pc, insn)) };
    let reserved = [
        (Field::NextOpcode, i32::from(next.opcode)),
        (Field::NextDst, i32::from(next.dst.0)),
        (Field::NextSrc, i32::from(next.src.0)),
        (Field::NextOff, i32::from(next.off)),
        (Field::NextImm, if role.fixed().is_some() { next.imm } else { 0 }),
    ];
    match reserved.into_iter().find(|&(_, value)| value != 0) {
        Some((field, value)) => Err(DecodeError::field(pc, insn, field, value)),
        None => Ok(next.imm),
    }
}

/// Decodes a whole program: each instruction with its slot number.
///
/// The iterator ends after the first error.
pub fn decode_all(insns: &[Insn]) -> impl Iterator<Item = Result<(usize, Op), DecodeError>> {
    let mut pc = 0;
    core::iter::from_fn(move || {
        if pc >= insns.len() {
            return None;
        }
        let at = pc;
        let op = decode(insns, at);
        pc = op.as_ref().map_or(insns.len(), |op| at + op.slots());
        Some(op.map(|op| (at, op)))
    })
}

impl Op {
    /// The slots of this instruction: the second only for [`Op::LoadImm64`].
    ///
    /// # Panics
    ///
    /// When no instruction expresses it, see [`Op::try_encode`]. What [`decode`] and the assembler give
    /// always encodes.
    pub fn encode(&self) -> (Insn, Option<Insn>) {
        match self.try_encode() {
            Ok(slots) => slots,
            Err(e) => panic!("{e}"),
        }
    }

    /// The slots of this instruction, such that [`decode`] gives it back.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when no instruction expresses it: a size or width that the operation lacks (`le8`, a
    /// sign-extending 8-byte load, a 32-bit move from 32 bits, a 1-byte atomic add), a register above 10, or
    /// a short jump further than 16 bits.
    pub fn try_encode(&self) -> Result<(Insn, Option<Insn>), EncodeError> {
        let (row, f) = table::find(self).ok_or(EncodeError { op: *self })?;
        let insn = Insn::new(row.opcode, f.dst, f.src, f.off, f.imm);
        let next = row.next_imm.map(|_| Insn { imm: f.next_imm, ..Insn::default() });
        if f.dst > Reg::FP || f.src > Reg::FP || row.op_from(f) != *self {
            return Err(EncodeError { op: *self });
        }
        Ok((insn, next))
    }

    /// The table row of this instruction; `None` where [`Op::try_encode`] fails for its shape.
    pub fn row(&self) -> Option<&'static Row> {
        table::find(self).map(|(row, _)| row)
    }

    /// Registers whose value matters to the instruction.
    ///
    /// A call counts as reading all five argument registers, whatever its callee's arity. `exit` reads `r0`.
    /// Legacy packet loads read `r6`.
    pub fn uses(&self) -> RegSet {
        let Some((row, f)) = table::find(self) else { return RegSet::EMPTY };
        let mut set = row.implicit_uses;
        if row.dst.reads() {
            set = set.with(f.dst);
        }
        if row.src.reads() {
            set = set.with(f.src);
        }
        set
    }

    /// Registers that the instruction writes. Calls and legacy packet loads also lose `r1`–`r5`.
    pub fn defs(&self) -> RegSet {
        let Some((row, f)) = table::find(self) else { return RegSet::EMPTY };
        let mut set = row.implicit_defs;
        if row.dst.writes() {
            set = set.with(f.dst);
        }
        if row.src.writes() {
            set = set.with(f.src);
        }
        set
    }
}

/// A field of an instruction, as named in [`DecodeError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Destination register.
    Dst,
    /// Source register or selector.
    Src,
    /// 16-bit offset.
    Off,
    /// 32-bit immediate.
    Imm,
    /// Opcode of the second slot of an `LDDW`.
    NextOpcode,
    /// `dst` of the second slot.
    NextDst,
    /// `src` of the second slot.
    NextSrc,
    /// `off` of the second slot.
    NextOff,
    /// `imm` of the second slot.
    NextImm,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dst => "dst",
            Self::Src => "src",
            Self::Off => "off",
            Self::Imm => "imm",
            Self::NextOpcode => "opcode of the second slot",
            Self::NextDst => "dst of the second slot",
            Self::NextSrc => "src of the second slot",
            Self::NextOff => "off of the second slot",
            Self::NextImm => "imm of the second slot",
        })
    }
}

/// A slot that is not an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    pc: usize,
    insn: Insn,
    kind: DecodeErrorKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DecodeErrorKind {
    PastEnd,
    UnknownOpcode,
    Truncated,
    Field { field: Field, value: i32 },
}

impl DecodeError {
    #[cold]
    fn past_end(pc: usize) -> Self {
        Self { pc, insn: Insn::default(), kind: DecodeErrorKind::PastEnd }
    }

    #[cold]
    fn truncated(pc: usize, insn: &Insn) -> Self {
        Self { pc, insn: *insn, kind: DecodeErrorKind::Truncated }
    }

    #[cold]
    fn field(pc: usize, insn: &Insn, field: Field, value: i32) -> Self {
        Self { pc, insn: *insn, kind: DecodeErrorKind::Field { field, value } }
    }

    /// Finds what keeps the slot from being an instruction: the first field without which it would be one, or
    /// else the first field that the nearest row refuses.
    #[cold]
    fn no_row(pc: usize, insn: &Insn) -> Self {
        let wrong = |row: &Row| operand_fields(row, insn).into_iter().filter(|f| f.is_wrong());
        let nearest = table::with_opcode(insn.opcode).min_by_key(|row| wrong(row).count());
        match nearest.and_then(|row| wrong(row).next()) {
            Some(f) => Self::field(pc, insn, f.field, f.value),
            None => Self { pc, insn: *insn, kind: DecodeErrorKind::UnknownOpcode },
        }
    }

    /// Slot number of the instruction.
    pub const fn pc(&self) -> usize {
        self.pc
    }

    /// The slot that is not an instruction; all zero when there is none.
    pub const fn insn(&self) -> Insn {
        self.insn
    }

    /// Its opcode.
    pub const fn opcode(&self) -> u8 {
        self.insn.opcode
    }

    /// The field that has a value it may not have.
    pub const fn field_name(&self) -> Option<Field> {
        match self.kind {
            DecodeErrorKind::Field { field, .. } => Some(field),
            DecodeErrorKind::PastEnd | DecodeErrorKind::UnknownOpcode | DecodeErrorKind::Truncated => None,
        }
    }

    /// The value of that field.
    pub const fn value(&self) -> Option<i32> {
        match self.kind {
            DecodeErrorKind::Field { value, .. } => Some(value),
            DecodeErrorKind::PastEnd | DecodeErrorKind::UnknownOpcode | DecodeErrorKind::Truncated => None,
        }
    }

    /// Whether no instruction has this opcode.
    pub const fn is_unknown_opcode(&self) -> bool {
        matches!(self.kind, DecodeErrorKind::UnknownOpcode)
    }

    /// Whether the program ends inside or before the instruction.
    pub const fn is_truncated(&self) -> bool {
        matches!(self.kind, DecodeErrorKind::Truncated | DecodeErrorKind::PastEnd)
    }
}

/// An operand field of a slot beside what a row allows there.
struct OperandField {
    field: Field,
    value: i32,
    role: Role,
}

impl OperandField {
    fn is_wrong(&self) -> bool {
        self.role.fixed().is_some_and(|v| v != self.value)
    }
}

fn operand_fields(row: &Row, insn: &Insn) -> [OperandField; 4] {
    [
        OperandField { field: Field::Src, value: insn.src.0.into(), role: row.src },
        OperandField { field: Field::Off, value: insn.off.into(), role: row.off },
        OperandField { field: Field::Imm, value: insn.imm, role: row.imm },
        OperandField { field: Field::Dst, value: insn.dst.0.into(), role: row.dst },
    ]
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pc, opcode) = (self.pc, self.insn.opcode);
        match self.kind {
            DecodeErrorKind::PastEnd => write!(f, "insn {pc}: the program has no such slot"),
            DecodeErrorKind::UnknownOpcode => write!(f, "insn {pc}: unknown opcode {opcode:#04x}"),
            DecodeErrorKind::Truncated => {
                write!(f, "insn {pc}: opcode {opcode:#04x} takes two slots, the program ends after one")
            }
            DecodeErrorKind::Field { field, value } => {
                write!(f, "insn {pc}: opcode {opcode:#04x}: {field} is {value}, ")?;
                self.write_allowed(field, f)
            }
        }
    }
}

impl DecodeError {
    /// Writes what the field may be, from all rows of the opcode whose other fields fit (or all if none).
    fn write_allowed(&self, field: Field, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits_else = |row: &&Row| {
            operand_fields(row, &self.insn).into_iter().all(|o| o.field == field || !o.is_wrong())
        };
        let all = table::with_opcode(self.insn.opcode);
        let narrow = all.clone().any(|row| fits_else(&row));
        let mut allowed = all
            .filter(|row| !narrow || fits_else(row))
            .flat_map(|row| operand_fields(row, &self.insn))
            .filter(|o| o.field == field)
            .filter_map(|o| o.role.fixed());
        let second_slot = matches!(
            field,
            Field::NextOpcode | Field::NextDst | Field::NextSrc | Field::NextOff | Field::NextImm
        );
        match allowed.next() {
            Some(_) if second_slot => f.write_str("must be 0"),
            None if second_slot => f.write_str("must be 0"),
            None => f.write_str("registers go from 0 to 10"),
            Some(first) => {
                write!(f, "must be {first}")?;
                let mut last = first;
                for v in allowed {
                    if v != last {
                        write!(f, " or {v}")?;
                    }
                    last = v;
                }
                Ok(())
            }
        }
    }
}

impl core::error::Error for DecodeError {}

/// An [`Op`] that no instruction expresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError {
    op: Op,
}

impl EncodeError {
    /// The operation.
    pub const fn op(&self) -> Op {
        self.op
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no instruction expresses {:?}", self.op)
    }
}

impl core::error::Error for EncodeError {}
