//! The disassembler.

use core::fmt::{self, Write};

use super::{Dialect, Hole, pieces};
use crate::table::{self, Fields, Role, Row};
use crate::{CallTarget, Insn, Op, Reg, decode};

/// Knows the names of helpers and kernel functions. Functions of `CallTarget` that give static names do.
pub trait Names {
    /// The name of what is called, `None` if unknown.
    fn name(&self, target: CallTarget) -> Option<&str>;
}

impl<F: Fn(CallTarget) -> Option<&'static str>> Names for F {
    fn name(&self, target: CallTarget) -> Option<&str> {
        self(target)
    }
}

impl Op {
    /// The instruction as text.
    ///
    /// ```
    /// use skep_isa::{Insn, Reg, decode, text::Dialect};
    /// let op = decode(&[Insn::new(0x61, Reg::R0, Reg::R1, 4, 0)], 0).unwrap();
    /// assert_eq!(op.text(Dialect::Kernel).to_string(), "(61) r0 = *(u32 *)(r1 +4)");
    /// assert_eq!(op.text(Dialect::Clang).to_string(), "w0 = *(u32 *)(r1 + 0x4)");
    /// ```
    pub fn text(&self, dialect: Dialect) -> Text<'_> {
        Text { op: *self, dialect, opcode: dialect == Dialect::Kernel, names: None }
    }
}

/// The kernel's spelling without the opcode: `r0 = *(u32 *)(r1 +4)`.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text(Dialect::Kernel).without_opcode().fmt(f)
    }
}

/// Displays one instruction. See [`Op::text`].
#[derive(Clone, Copy)]
pub struct Text<'a> {
    op: Op,
    dialect: Dialect,
    opcode: bool,
    names: Option<&'a dyn Names>,
}

impl<'a> Text<'a> {
    /// Leaves out the opcode in parentheses that opens a line in the kernel's spelling.
    ///
    /// Without it `r1 = 0x5` may be a move or an `LDDW`; the assembler takes it for a move.
    #[must_use]
    pub fn without_opcode(self) -> Self {
        Self { opcode: false, ..self }
    }

    /// Prints called functions by name.
    #[must_use]
    pub fn with_names(self, names: &'a dyn Names) -> Self {
        Self { names: Some(names), ..self }
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((row, fields)) = table::find(&self.op) else { return write!(f, "<{:?}>", self.op) };
        if self.opcode {
            write!(f, "({:02x}) ", row.opcode)?;
        }
        let template = match self.dialect {
            Dialect::Kernel => row.kernel_text,
            Dialect::Clang => row.clang_text,
        };
        for (literal, hole) in pieces(template) {
            f.write_str(literal)?;
            if let Some(hole) = hole {
                self.write_hole(hole, row, &fields, f)?;
            }
        }
        Ok(())
    }
}

impl Text<'_> {
    fn write_hole(&self, hole: Hole, row: &Row, v: &Fields, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kernel = self.dialect == Dialect::Kernel;
        let low_half = |reg: Reg| (if kernel { 'r' } else { 'w' }, reg.0);
        match hole {
            Hole::Dst => write!(f, "{}", v.dst),
            Hole::Src => write!(f, "{}", v.src),
            Hole::DstW => write!(f, "w{}", v.dst.0),
            Hole::SrcW => write!(f, "w{}", v.src.0),
            Hole::DstValue | Hole::SrcValue | Hole::R0Value => {
                let (letter, number) = low_half(match hole {
                    Hole::DstValue => v.dst,
                    Hole::SrcValue => v.src,
                    _ => Reg::R0,
                });
                write!(f, "{letter}{number}")
            }
            Hole::Imm if kernel => write!(f, "{}", v.imm),
            Hole::Compare if kernel => write!(f, "{:#x}", v.imm),
            Hole::Imm | Hole::Compare => write_hex(v.imm.into(), f),
            Hole::HexId => write!(f, "{:#x}", v.imm),
            Hole::HexId2 => write!(f, "{:#x}", v.next_imm),
            Hole::DstMem => self.write_mem(v.dst, v.off.into(), f),
            Hole::SrcMem => self.write_mem(v.src, v.off.into(), f),
            Hole::SrcImm if v.imm == 0 => write!(f, "{}", v.src),
            Hole::SrcImm => self.write_mem(v.src, v.imm, f),
            Hole::Jump if matches!(row.imm, Role::Jump) => self.write_distance(v.imm, f),
            Hole::Jump => self.write_distance(v.off.into(), f),
            Hole::Subprog => self.write_distance(v.imm, f),
            Hole::Helper => self.write_helper(v, f),
            Hole::Kfunc => self.write_kfunc(v, f),
            Hole::Spaces if kernel => write!(f, "{}, {}", v.imm as u32 >> 16, v.imm & 0xffff),
            Hole::Spaces => write!(f, "{:#x}, {:#x}", v.imm as u32 >> 16, v.imm & 0xffff),
            Hole::Imm64 => {
                let value = u64::from(v.next_imm as u32) << 32 | u64::from(v.imm as u32);
                if kernel { write!(f, "{value:#x}") } else { write_hex(value as i64, f) }
            }
            Hole::Id => write!(f, "{}", v.imm),
            Hole::Id2 => write!(f, "{}", v.next_imm),
            Hole::Offset => write!(f, "{}", v.next_imm as u32),
            Hole::SubprogOff => write!(f, "{:+}", v.imm),
            #[cfg(feature = "alloc")]
            Hole::Name => Ok(()),
        }
    }

    fn write_mem(&self, base: Reg, off: i32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dialect {
            Dialect::Kernel => write!(f, "{base} {off:+}"),
            Dialect::Clang => {
                let sign = if off < 0 { '-' } else { '+' };
                write!(f, "{base} {sign} {:#x}", off.unsigned_abs())
            }
        }
    }

    fn write_distance(&self, slots: i32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dialect {
            Dialect::Kernel => write!(f, "pc{slots:+}"),
            Dialect::Clang => {
                if slots >= 0 {
                    f.write_char('+')?;
                }
                write_hex(slots.into(), f)
            }
        }
    }

    fn write_helper(&self, v: &Fields, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.names.and_then(|names| names.name(CallTarget::Helper(v.imm as u32)));
        match (self.dialect, name) {
            (Dialect::Kernel, name) => write!(f, "{}#{}", name.unwrap_or("unknown"), v.imm),
            (Dialect::Clang, Some(name)) => f.write_str(name),
            (Dialect::Clang, None) => write!(f, "{:#x}", v.imm),
        }
    }

    fn write_kfunc(&self, v: &Fields, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = CallTarget::Kfunc { btf_id: v.imm, btf_idx: v.off };
        let name = self.names.and_then(|names| names.name(target)).unwrap_or("kernel-function");
        write!(f, "{name}#{}", v.imm)?;
        if v.off != 0 { write!(f, "@{}", v.off) } else { Ok(()) }
    }
}

/// Hexadecimal with a sign, as LLVM prints immediates.
fn write_hex(value: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let sign = if value < 0 { "-" } else { "" };
    write!(f, "{sign}{:#x}", value.unsigned_abs())
}

/// Displays a program, an instruction per line after its slot number. The assembler reads it back, unless a
/// slot does not decode: its line carries the error.
#[derive(Clone, Copy)]
pub struct Listing<'a> {
    insns: &'a [Insn],
    dialect: Dialect,
    names: Option<&'a dyn Names>,
}

impl<'a> Listing<'a> {
    /// A listing of `insns`.
    pub fn new(insns: &'a [Insn], dialect: Dialect) -> Self {
        Self { insns, dialect, names: None }
    }

    /// Prints called functions by name.
    #[must_use]
    pub fn with_names(self, names: &'a dyn Names) -> Self {
        Self { names: Some(names), ..self }
    }
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pc = 0;
        while let Some(insn) = self.insns.get(pc) {
            match decode(self.insns, pc) {
                Ok(op) => {
                    let text = Text { names: self.names, ..op.text(self.dialect) };
                    writeln!(f, "{pc}: {text}")?;
                    pc += op.slots();
                }
                Err(e) => {
                    writeln!(f, "{pc}: ({:02x}) ??? {e}", insn.opcode)?;
                    pc += 1;
                }
            }
        }
        Ok(())
    }
}
