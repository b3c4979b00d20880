//! The rows.

use super::{Fields, Group, Role, Row};
use crate::op::AluOp::*;
use crate::op::Operand::*;
use crate::op::Size::*;
use crate::op::SwapKind::*;
use crate::op::Width::*;
use crate::op::{AtomicOp, CallTarget, Imm64, JumpOp, Op, PacketMode};
use crate::{RegSet, insn};

/// Defines the table.
///
/// A row reads: name, opcode, the roles of `(dst, src, off, imm)` and for two slots also of the second slot's
/// `imm`, conformance group, section of RFC 9669, text in the kernel's spelling (`|` clang's, where the
/// template differs), the decoded form, `[implicit uses => implicit defs]`, conversions, documentation.
///
/// The decoded form is written once and serves as an expression (decoding) and as a pattern (encoding). It
/// speaks of the raw fields by the names in the table's first line; where the types differ, `where` first
/// computes its names from the fields, then the fields from its names. So
///
/// ```text
/// ja 0x05 (0, 0, jump, 0) Base32 "4.3" "goto {jump}"
///     = (Jump { off: wide, long: false })
///     where { let wide = i32::from(off); } { let off = wide as i16; }, "Jumps, 16-bit offset.";
/// ```
///
/// becomes a constant and a match arm:
///
/// ```text
/// Row { name: "ja", opcode: 0x05, dst: Role::Is(0), …, off: Role::Jump, …,
///       make: |f| { let off = f.off; …; let wide = i32::from(off); Op::Jump { off: wide, long: false } } }
/// Op::Jump { off: wide, long: false } => {
///     let off = wide as i16;
///     Some((Index::ja, Fields { dst: Reg(0), src: Reg(0), off, imm: 0, next_imm: 0 }))
/// }
/// ```
macro_rules! table {
    (
        ($d:ident $s:ident $o:ident $i:ident $n:ident)
        $(
            $name:ident $opcode:literal ($rd:tt, $rs:tt, $ro:tt, $ri:tt $(, $rn:tt)?)
            $group:ident $rfc:literal $kernel:literal $(| $clang:literal)?
            = ($($form:tt)*)
            $([$($use:ident)* => $($def:ident)*])?
            $(where { $($from:tt)* } { $($to:tt)* })?
            , $doc:literal;
        )*
    ) => {
        /// Row numbers, by name.
        #[allow(non_camel_case_types, reason = "the row's own name")]
        #[derive(Clone, Copy)]
        enum Index { $($name),* }

        const COUNT: usize = [$(Index::$name),*].len();

        /// All instructions.
        #[allow(unused_variables, reason = "not every row has every field")]
        pub static ROWS: [Row; COUNT] = [$(
            Row {
                name: stringify!($name),
                opcode: $opcode,
                dst: role!($rd),
                src: role!($rs),
                off: role!($ro),
                imm: role!($ri),
                next_imm: first!($(Some(role!($rn)),)? None),
                implicit_uses: RegSet::from_bits(0 $($(| bit!($use))*)?),
                implicit_defs: RegSet::from_bits(0 $($(| bit!($def))*)?),
                group: Group::$group,
                rfc: $rfc,
                kernel_text: $kernel,
                clang_text: first!($($clang,)? $kernel),
                doc: $doc,
                make: |f| {
                    let ($d, $s, $o, $i, $n) = (f.dst, f.src, f.off, f.imm, f.next_imm);
                    $($($from)*)?
                    Op::$($form)*
                },
            }
        ),*];

        /// The row that expresses `op`, and the fields that it gets there.
        pub(crate) fn find(op: &Op) -> Option<(&'static Row, Fields)> {
            let (index, fields) = match *op {
                $(
                    Op::$($form)* => {
                        $($($to)*)?
                        (Index::$name, Fields {
                            dst: reg!($rd, $d),
                            src: reg!($rs, $s),
                            off: int!($ro, $o),
                            imm: int!($ri, $i),
                            next_imm: first!($(int!($rn, $n),)? 0),
                        })
                    }
                )*
                _ => return None,
            };
            Some((&ROWS[index as usize], fields))
        }
    };
}

macro_rules! first {
    ($a:expr) => {
        $a
    };
    ($a:expr, $b:expr) => {
        $a
    };
}

macro_rules! role {
    ($v:literal) => {
        Role::Is($v)
    };
    (r) => {
        Role::Read
    };
    (w) => {
        Role::Write
    };
    (rw) => {
        Role::ReadWrite
    };
    (mem) => {
        Role::Mem
    };
    (jump) => {
        Role::Jump
    };
    (index) => {
        Role::Index
    };
    (imm) => {
        Role::Const
    };
    (id) => {
        Role::Id
    };
    (spaces) => {
        Role::Spaces
    };
    (any) => {
        Role::Any
    };
}

macro_rules! reg {
    ($v:literal, $reg:ident) => {
        insn::Reg($v)
    };
    ($role:ident, $reg:ident) => {
        $reg
    };
}

macro_rules! int {
    ($v:literal, $int:ident) => {
        $v
    };
    ($role:ident, $int:ident) => {
        $int
    };
}

#[rustfmt::skip]
macro_rules! bit {
    (r0) => { 1 << 0 };
    (r1) => { 1 << 1 };
    (r2) => { 1 << 2 };
    (r3) => { 1 << 3 };
    (r4) => { 1 << 4 };
    (r5) => { 1 << 5 };
    (r6) => { 1 << 6 };
}

const fn join64(lo: i32, hi: i32) -> u64 {
    (hi as u32 as u64) << 32 | lo as u32 as u64
}

const fn split64(value: u64) -> (i32, i32) {
    (value as i32, (value >> 32) as i32)
}

table! {
    (dst src off imm imm2)

    // Arithmetic: 32 bits, the result zero-extended
    add32_imm 0x04 (rw, 0, 0, imm) Base32 "4.1" "{wd} += {imm}"
        = (Alu { width: W32, op: Add, dst, src: Imm(imm) }), "Adds, wrapping.";
    add32_reg 0x0c (rw, r, 0, 0) Base32 "4.1" "{wd} += {ws}"
        = (Alu { width: W32, op: Add, dst, src: Reg(src) }), "Adds, wrapping.";
    sub32_imm 0x14 (rw, 0, 0, imm) Base32 "4.1" "{wd} -= {imm}"
        = (Alu { width: W32, op: Sub, dst, src: Imm(imm) }), "Subtracts, wrapping.";
    sub32_reg 0x1c (rw, r, 0, 0) Base32 "4.1" "{wd} -= {ws}"
        = (Alu { width: W32, op: Sub, dst, src: Reg(src) }), "Subtracts, wrapping.";
    mul32_imm 0x24 (rw, 0, 0, imm) Base32 "4.1" "{wd} *= {imm}"
        = (Alu { width: W32, op: Mul, dst, src: Imm(imm) }), "Multiplies, keeping the low half.";
    mul32_reg 0x2c (rw, r, 0, 0) Base32 "4.1" "{wd} *= {ws}"
        = (Alu { width: W32, op: Mul, dst, src: Reg(src) }), "Multiplies, keeping the low half.";
    div32_imm 0x34 (rw, 0, 0, imm) Divmul32 "4.1" "{wd} /= {imm}"
        = (Alu { width: W32, op: Div, dst, src: Imm(imm) }), "Unsigned quotient; 0 for a zero divisor.";
    div32_reg 0x3c (rw, r, 0, 0) Divmul32 "4.1" "{wd} /= {ws}"
        = (Alu { width: W32, op: Div, dst, src: Reg(src) }), "Unsigned quotient; 0 for a zero divisor.";
    sdiv32_imm 0x34 (rw, 0, 1, imm) Divmul32 "4.1" "{wd} s/= {imm}"
        = (Alu { width: W32, op: Sdiv, dst, src: Imm(imm) }), "Signed quotient, truncated; 0 for a zero divisor, wraps for MIN / -1.";
    sdiv32_reg 0x3c (rw, r, 1, 0) Divmul32 "4.1" "{wd} s/= {ws}"
        = (Alu { width: W32, op: Sdiv, dst, src: Reg(src) }), "Signed quotient, truncated; 0 for a zero divisor, wraps for MIN / -1.";
    or32_imm 0x44 (rw, 0, 0, imm) Base32 "4.1" "{wd} |= {imm}"
        = (Alu { width: W32, op: Or, dst, src: Imm(imm) }), "Bitwise or.";
    or32_reg 0x4c (rw, r, 0, 0) Base32 "4.1" "{wd} |= {ws}"
        = (Alu { width: W32, op: Or, dst, src: Reg(src) }), "Bitwise or.";
    and32_imm 0x54 (rw, 0, 0, imm) Base32 "4.1" "{wd} &= {imm}"
        = (Alu { width: W32, op: And, dst, src: Imm(imm) }), "Bitwise and.";
    and32_reg 0x5c (rw, r, 0, 0) Base32 "4.1" "{wd} &= {ws}"
        = (Alu { width: W32, op: And, dst, src: Reg(src) }), "Bitwise and.";
    lsh32_imm 0x64 (rw, 0, 0, imm) Base32 "4.1" "{wd} <<= {imm}"
        = (Alu { width: W32, op: Lsh, dst, src: Imm(imm) }), "Shifts left; the count is taken modulo the width.";
    lsh32_reg 0x6c (rw, r, 0, 0) Base32 "4.1" "{wd} <<= {ws}"
        = (Alu { width: W32, op: Lsh, dst, src: Reg(src) }), "Shifts left; the count is taken modulo the width.";
    rsh32_imm 0x74 (rw, 0, 0, imm) Base32 "4.1" "{wd} >>= {imm}"
        = (Alu { width: W32, op: Rsh, dst, src: Imm(imm) }), "Logical shift right; the count is taken modulo the width.";
    rsh32_reg 0x7c (rw, r, 0, 0) Base32 "4.1" "{wd} >>= {ws}"
        = (Alu { width: W32, op: Rsh, dst, src: Reg(src) }), "Logical shift right; the count is taken modulo the width.";
    mod32_imm 0x94 (rw, 0, 0, imm) Divmul32 "4.1" "{wd} %= {imm}"
        = (Alu { width: W32, op: Mod, dst, src: Imm(imm) }), "Unsigned remainder; the dividend for a zero divisor.";
    mod32_reg 0x9c (rw, r, 0, 0) Divmul32 "4.1" "{wd} %= {ws}"
        = (Alu { width: W32, op: Mod, dst, src: Reg(src) }), "Unsigned remainder; the dividend for a zero divisor.";
    smod32_imm 0x94 (rw, 0, 1, imm) Divmul32 "4.1" "{wd} s%= {imm}"
        = (Alu { width: W32, op: Smod, dst, src: Imm(imm) }), "Signed remainder with the dividend's sign; the dividend for a zero divisor.";
    smod32_reg 0x9c (rw, r, 1, 0) Divmul32 "4.1" "{wd} s%= {ws}"
        = (Alu { width: W32, op: Smod, dst, src: Reg(src) }), "Signed remainder with the dividend's sign; the dividend for a zero divisor.";
    xor32_imm 0xa4 (rw, 0, 0, imm) Base32 "4.1" "{wd} ^= {imm}"
        = (Alu { width: W32, op: Xor, dst, src: Imm(imm) }), "Bitwise exclusive or.";
    xor32_reg 0xac (rw, r, 0, 0) Base32 "4.1" "{wd} ^= {ws}"
        = (Alu { width: W32, op: Xor, dst, src: Reg(src) }), "Bitwise exclusive or.";
    mov32_imm 0xb4 (w, 0, 0, imm) Base32 "4.1" "{wd} = {imm}"
        = (Alu { width: W32, op: Mov, dst, src: Imm(imm) }), "Copies.";
    mov32_reg 0xbc (w, r, 0, 0) Base32 "4.1" "{wd} = {ws}"
        = (Alu { width: W32, op: Mov, dst, src: Reg(src) }), "Copies.";
    arsh32_imm 0xc4 (rw, 0, 0, imm) Base32 "4.1" "{wd} s>>= {imm}"
        = (Alu { width: W32, op: Arsh, dst, src: Imm(imm) }), "Arithmetic shift right; the count is taken modulo the width.";
    arsh32_reg 0xcc (rw, r, 0, 0) Base32 "4.1" "{wd} s>>= {ws}"
        = (Alu { width: W32, op: Arsh, dst, src: Reg(src) }), "Arithmetic shift right; the count is taken modulo the width.";
    neg32 0x84 (rw, 0, 0, 0) Base32 "4.1" "{wd} = -{wd}"
        = (Neg { width: W32, dst }), "Two's complement negation.";

    // Arithmetic: 64 bits, an immediate sign-extended
    add64_imm 0x07 (rw, 0, 0, imm) Base64 "4.1" "{d} += {imm}"
        = (Alu { width: W64, op: Add, dst, src: Imm(imm) }), "Adds, wrapping.";
    add64_reg 0x0f (rw, r, 0, 0) Base64 "4.1" "{d} += {s}"
        = (Alu { width: W64, op: Add, dst, src: Reg(src) }), "Adds, wrapping.";
    sub64_imm 0x17 (rw, 0, 0, imm) Base64 "4.1" "{d} -= {imm}"
        = (Alu { width: W64, op: Sub, dst, src: Imm(imm) }), "Subtracts, wrapping.";
    sub64_reg 0x1f (rw, r, 0, 0) Base64 "4.1" "{d} -= {s}"
        = (Alu { width: W64, op: Sub, dst, src: Reg(src) }), "Subtracts, wrapping.";
    mul64_imm 0x27 (rw, 0, 0, imm) Base64 "4.1" "{d} *= {imm}"
        = (Alu { width: W64, op: Mul, dst, src: Imm(imm) }), "Multiplies, keeping the low half.";
    mul64_reg 0x2f (rw, r, 0, 0) Base64 "4.1" "{d} *= {s}"
        = (Alu { width: W64, op: Mul, dst, src: Reg(src) }), "Multiplies, keeping the low half.";
    div64_imm 0x37 (rw, 0, 0, imm) Divmul64 "4.1" "{d} /= {imm}"
        = (Alu { width: W64, op: Div, dst, src: Imm(imm) }), "Unsigned quotient; 0 for a zero divisor.";
    div64_reg 0x3f (rw, r, 0, 0) Divmul64 "4.1" "{d} /= {s}"
        = (Alu { width: W64, op: Div, dst, src: Reg(src) }), "Unsigned quotient; 0 for a zero divisor.";
    sdiv64_imm 0x37 (rw, 0, 1, imm) Divmul64 "4.1" "{d} s/= {imm}"
        = (Alu { width: W64, op: Sdiv, dst, src: Imm(imm) }), "Signed quotient, truncated; 0 for a zero divisor, wraps for MIN / -1.";
    sdiv64_reg 0x3f (rw, r, 1, 0) Divmul64 "4.1" "{d} s/= {s}"
        = (Alu { width: W64, op: Sdiv, dst, src: Reg(src) }), "Signed quotient, truncated; 0 for a zero divisor, wraps for MIN / -1.";
    or64_imm 0x47 (rw, 0, 0, imm) Base64 "4.1" "{d} |= {imm}"
        = (Alu { width: W64, op: Or, dst, src: Imm(imm) }), "Bitwise or.";
    or64_reg 0x4f (rw, r, 0, 0) Base64 "4.1" "{d} |= {s}"
        = (Alu { width: W64, op: Or, dst, src: Reg(src) }), "Bitwise or.";
    and64_imm 0x57 (rw, 0, 0, imm) Base64 "4.1" "{d} &= {imm}"
        = (Alu { width: W64, op: And, dst, src: Imm(imm) }), "Bitwise and.";
    and64_reg 0x5f (rw, r, 0, 0) Base64 "4.1" "{d} &= {s}"
        = (Alu { width: W64, op: And, dst, src: Reg(src) }), "Bitwise and.";
    lsh64_imm 0x67 (rw, 0, 0, imm) Base64 "4.1" "{d} <<= {imm}"
        = (Alu { width: W64, op: Lsh, dst, src: Imm(imm) }), "Shifts left; the count is taken modulo the width.";
    lsh64_reg 0x6f (rw, r, 0, 0) Base64 "4.1" "{d} <<= {s}"
        = (Alu { width: W64, op: Lsh, dst, src: Reg(src) }), "Shifts left; the count is taken modulo the width.";
    rsh64_imm 0x77 (rw, 0, 0, imm) Base64 "4.1" "{d} >>= {imm}"
        = (Alu { width: W64, op: Rsh, dst, src: Imm(imm) }), "Logical shift right; the count is taken modulo the width.";
    rsh64_reg 0x7f (rw, r, 0, 0) Base64 "4.1" "{d} >>= {s}"
        = (Alu { width: W64, op: Rsh, dst, src: Reg(src) }), "Logical shift right; the count is taken modulo the width.";
    mod64_imm 0x97 (rw, 0, 0, imm) Divmul64 "4.1" "{d} %= {imm}"
        = (Alu { width: W64, op: Mod, dst, src: Imm(imm) }), "Unsigned remainder; the dividend for a zero divisor.";
    mod64_reg 0x9f (rw, r, 0, 0) Divmul64 "4.1" "{d} %= {s}"
        = (Alu { width: W64, op: Mod, dst, src: Reg(src) }), "Unsigned remainder; the dividend for a zero divisor.";
    smod64_imm 0x97 (rw, 0, 1, imm) Divmul64 "4.1" "{d} s%= {imm}"
        = (Alu { width: W64, op: Smod, dst, src: Imm(imm) }), "Signed remainder with the dividend's sign; the dividend for a zero divisor.";
    smod64_reg 0x9f (rw, r, 1, 0) Divmul64 "4.1" "{d} s%= {s}"
        = (Alu { width: W64, op: Smod, dst, src: Reg(src) }), "Signed remainder with the dividend's sign; the dividend for a zero divisor.";
    xor64_imm 0xa7 (rw, 0, 0, imm) Base64 "4.1" "{d} ^= {imm}"
        = (Alu { width: W64, op: Xor, dst, src: Imm(imm) }), "Bitwise exclusive or.";
    xor64_reg 0xaf (rw, r, 0, 0) Base64 "4.1" "{d} ^= {s}"
        = (Alu { width: W64, op: Xor, dst, src: Reg(src) }), "Bitwise exclusive or.";
    mov64_imm 0xb7 (w, 0, 0, imm) Base64 "4.1" "{d} = {imm}"
        = (Alu { width: W64, op: Mov, dst, src: Imm(imm) }), "Copies.";
    mov64_reg 0xbf (w, r, 0, 0) Base64 "4.1" "{d} = {s}"
        = (Alu { width: W64, op: Mov, dst, src: Reg(src) }), "Copies.";
    arsh64_imm 0xc7 (rw, 0, 0, imm) Base64 "4.1" "{d} s>>= {imm}"
        = (Alu { width: W64, op: Arsh, dst, src: Imm(imm) }), "Arithmetic shift right; the count is taken modulo the width.";
    arsh64_reg 0xcf (rw, r, 0, 0) Base64 "4.1" "{d} s>>= {s}"
        = (Alu { width: W64, op: Arsh, dst, src: Reg(src) }), "Arithmetic shift right; the count is taken modulo the width.";
    neg64 0x87 (rw, 0, 0, 0) Base64 "4.1" "{d} = -{d}"
        = (Neg { width: W64, dst }), "Two's complement negation.";

    // Sign-extending moves (cpu v4)
    movsx32_8 0xbc (w, r, 8, 0) Base32 "4.1" "{wd} = (s8){ws}"
        = (MovSx { width: W32, from: B, dst, src }), "Sign-extends the low 8 bits to 32.";
    movsx32_16 0xbc (w, r, 16, 0) Base32 "4.1" "{wd} = (s16){ws}"
        = (MovSx { width: W32, from: H, dst, src }), "Sign-extends the low 16 bits to 32.";
    movsx64_8 0xbf (w, r, 8, 0) Base64 "4.1" "{d} = (s8){s}"
        = (MovSx { width: W64, from: B, dst, src }), "Sign-extends the low 8 bits to 64.";
    movsx64_16 0xbf (w, r, 16, 0) Base64 "4.1" "{d} = (s16){s}"
        = (MovSx { width: W64, from: H, dst, src }), "Sign-extends the low 16 bits to 64.";
    movsx64_32 0xbf (w, r, 32, 0) Base64 "4.1" "{d} = (s32){s}"
        = (MovSx { width: W64, from: W, dst, src }), "Sign-extends the low 32 bits to 64.";
    addr_space_cast 0xbf (w, r, 1, spaces) Linux "-" "{d} = addr_space_cast({s}, {as})"
        = (AddrSpaceCast { dst, src, dst_as, src_as })
        where { let (dst_as, src_as) = ((imm >> 16) as u16, imm as u16); } { let imm = i32::from(dst_as as i16) << 16 | i32::from(src_as); }, "Converts a pointer between address spaces (arenas).";

    // Byte order
    le16 0xd4 (rw, 0, 0, 16) Base32 "4.2" "{d} = le16 {d}"
        = (Swap { kind: Le, size: H, dst }), "The low 16 bits in little-endian order, zero-extended.";
    le32 0xd4 (rw, 0, 0, 32) Base32 "4.2" "{d} = le32 {d}"
        = (Swap { kind: Le, size: W, dst }), "The low 32 bits in little-endian order, zero-extended.";
    le64 0xd4 (rw, 0, 0, 64) Base64 "4.2" "{d} = le64 {d}"
        = (Swap { kind: Le, size: DW, dst }), "The low 64 bits in little-endian order, zero-extended.";
    be16 0xdc (rw, 0, 0, 16) Base32 "4.2" "{d} = be16 {d}"
        = (Swap { kind: Be, size: H, dst }), "The low 16 bits in big-endian order, zero-extended.";
    be32 0xdc (rw, 0, 0, 32) Base32 "4.2" "{d} = be32 {d}"
        = (Swap { kind: Be, size: W, dst }), "The low 32 bits in big-endian order, zero-extended.";
    be64 0xdc (rw, 0, 0, 64) Base64 "4.2" "{d} = be64 {d}"
        = (Swap { kind: Be, size: DW, dst }), "The low 64 bits in big-endian order, zero-extended.";
    bswap16 0xd7 (rw, 0, 0, 16) Base32 "4.2" "{d} = bswap16 {d}"
        = (Swap { kind: Bswap, size: H, dst }), "Reverses the low 16 bits' bytes, zero-extended (cpu v4).";
    bswap32 0xd7 (rw, 0, 0, 32) Base32 "4.2" "{d} = bswap32 {d}"
        = (Swap { kind: Bswap, size: W, dst }), "Reverses the low 32 bits' bytes, zero-extended (cpu v4).";
    bswap64 0xd7 (rw, 0, 0, 64) Base64 "4.2" "{d} = bswap64 {d}"
        = (Swap { kind: Bswap, size: DW, dst }), "Reverses the low 64 bits' bytes, zero-extended (cpu v4).";

    // Conditional jumps: 64 bits
    jeq64_imm 0x15 (r, 0, jump, imm) Base64 "4.3" "if {d} == {cmp} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Eq, dst, src: Imm(imm), off }), "Jumps if equal.";
    jeq64_reg 0x1d (r, r, jump, 0) Base64 "4.3" "if {d} == {s} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Eq, dst, src: Reg(src), off }), "Jumps if equal.";
    jgt64_imm 0x25 (r, 0, jump, imm) Base64 "4.3" "if {d} > {cmp} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Gt, dst, src: Imm(imm), off }), "Jumps if unsigned greater.";
    jgt64_reg 0x2d (r, r, jump, 0) Base64 "4.3" "if {d} > {s} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Gt, dst, src: Reg(src), off }), "Jumps if unsigned greater.";
    jge64_imm 0x35 (r, 0, jump, imm) Base64 "4.3" "if {d} >= {cmp} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Ge, dst, src: Imm(imm), off }), "Jumps if unsigned greater or equal.";
    jge64_reg 0x3d (r, r, jump, 0) Base64 "4.3" "if {d} >= {s} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Ge, dst, src: Reg(src), off }), "Jumps if unsigned greater or equal.";
    jset64_imm 0x45 (r, 0, jump, imm) Base64 "4.3" "if {d} & {cmp} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Set, dst, src: Imm(imm), off }), "Jumps if any common bit set.";
    jset64_reg 0x4d (r, r, jump, 0) Base64 "4.3" "if {d} & {s} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Set, dst, src: Reg(src), off }), "Jumps if any common bit set.";
    jne64_imm 0x55 (r, 0, jump, imm) Base64 "4.3" "if {d} != {cmp} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Ne, dst, src: Imm(imm), off }), "Jumps if not equal.";
    jne64_reg 0x5d (r, r, jump, 0) Base64 "4.3" "if {d} != {s} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Ne, dst, src: Reg(src), off }), "Jumps if not equal.";
    jsgt64_imm 0x65 (r, 0, jump, imm) Base64 "4.3" "if {d} s> {cmp} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Sgt, dst, src: Imm(imm), off }), "Jumps if signed greater.";
    jsgt64_reg 0x6d (r, r, jump, 0) Base64 "4.3" "if {d} s> {s} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Sgt, dst, src: Reg(src), off }), "Jumps if signed greater.";
    jsge64_imm 0x75 (r, 0, jump, imm) Base64 "4.3" "if {d} s>= {cmp} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Sge, dst, src: Imm(imm), off }), "Jumps if signed greater or equal.";
    jsge64_reg 0x7d (r, r, jump, 0) Base64 "4.3" "if {d} s>= {s} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Sge, dst, src: Reg(src), off }), "Jumps if signed greater or equal.";
    jlt64_imm 0xa5 (r, 0, jump, imm) Base64 "4.3" "if {d} < {cmp} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Lt, dst, src: Imm(imm), off }), "Jumps if unsigned less.";
    jlt64_reg 0xad (r, r, jump, 0) Base64 "4.3" "if {d} < {s} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Lt, dst, src: Reg(src), off }), "Jumps if unsigned less.";
    jle64_imm 0xb5 (r, 0, jump, imm) Base64 "4.3" "if {d} <= {cmp} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Le, dst, src: Imm(imm), off }), "Jumps if unsigned less or equal.";
    jle64_reg 0xbd (r, r, jump, 0) Base64 "4.3" "if {d} <= {s} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Le, dst, src: Reg(src), off }), "Jumps if unsigned less or equal.";
    jslt64_imm 0xc5 (r, 0, jump, imm) Base64 "4.3" "if {d} s< {cmp} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Slt, dst, src: Imm(imm), off }), "Jumps if signed less.";
    jslt64_reg 0xcd (r, r, jump, 0) Base64 "4.3" "if {d} s< {s} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Slt, dst, src: Reg(src), off }), "Jumps if signed less.";
    jsle64_imm 0xd5 (r, 0, jump, imm) Base64 "4.3" "if {d} s<= {cmp} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Sle, dst, src: Imm(imm), off }), "Jumps if signed less or equal.";
    jsle64_reg 0xdd (r, r, jump, 0) Base64 "4.3" "if {d} s<= {s} goto {jump}"
        = (JumpIf { width: W64, op: JumpOp::Sle, dst, src: Reg(src), off }), "Jumps if signed less or equal.";

    // Conditional jumps: 32 bits
    jeq32_imm 0x16 (r, 0, jump, imm) Base32 "4.3" "if {wd} == {cmp} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Eq, dst, src: Imm(imm), off }), "Jumps if equal.";
    jeq32_reg 0x1e (r, r, jump, 0) Base32 "4.3" "if {wd} == {ws} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Eq, dst, src: Reg(src), off }), "Jumps if equal.";
    jgt32_imm 0x26 (r, 0, jump, imm) Base32 "4.3" "if {wd} > {cmp} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Gt, dst, src: Imm(imm), off }), "Jumps if unsigned greater.";
    jgt32_reg 0x2e (r, r, jump, 0) Base32 "4.3" "if {wd} > {ws} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Gt, dst, src: Reg(src), off }), "Jumps if unsigned greater.";
    jge32_imm 0x36 (r, 0, jump, imm) Base32 "4.3" "if {wd} >= {cmp} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Ge, dst, src: Imm(imm), off }), "Jumps if unsigned greater or equal.";
    jge32_reg 0x3e (r, r, jump, 0) Base32 "4.3" "if {wd} >= {ws} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Ge, dst, src: Reg(src), off }), "Jumps if unsigned greater or equal.";
    jset32_imm 0x46 (r, 0, jump, imm) Base32 "4.3" "if {wd} & {cmp} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Set, dst, src: Imm(imm), off }), "Jumps if any common bit set.";
    jset32_reg 0x4e (r, r, jump, 0) Base32 "4.3" "if {wd} & {ws} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Set, dst, src: Reg(src), off }), "Jumps if any common bit set.";
    jne32_imm 0x56 (r, 0, jump, imm) Base32 "4.3" "if {wd} != {cmp} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Ne, dst, src: Imm(imm), off }), "Jumps if not equal.";
    jne32_reg 0x5e (r, r, jump, 0) Base32 "4.3" "if {wd} != {ws} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Ne, dst, src: Reg(src), off }), "Jumps if not equal.";
    jsgt32_imm 0x66 (r, 0, jump, imm) Base32 "4.3" "if {wd} s> {cmp} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Sgt, dst, src: Imm(imm), off }), "Jumps if signed greater.";
    jsgt32_reg 0x6e (r, r, jump, 0) Base32 "4.3" "if {wd} s> {ws} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Sgt, dst, src: Reg(src), off }), "Jumps if signed greater.";
    jsge32_imm 0x76 (r, 0, jump, imm) Base32 "4.3" "if {wd} s>= {cmp} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Sge, dst, src: Imm(imm), off }), "Jumps if signed greater or equal.";
    jsge32_reg 0x7e (r, r, jump, 0) Base32 "4.3" "if {wd} s>= {ws} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Sge, dst, src: Reg(src), off }), "Jumps if signed greater or equal.";
    jlt32_imm 0xa6 (r, 0, jump, imm) Base32 "4.3" "if {wd} < {cmp} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Lt, dst, src: Imm(imm), off }), "Jumps if unsigned less.";
    jlt32_reg 0xae (r, r, jump, 0) Base32 "4.3" "if {wd} < {ws} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Lt, dst, src: Reg(src), off }), "Jumps if unsigned less.";
    jle32_imm 0xb6 (r, 0, jump, imm) Base32 "4.3" "if {wd} <= {cmp} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Le, dst, src: Imm(imm), off }), "Jumps if unsigned less or equal.";
    jle32_reg 0xbe (r, r, jump, 0) Base32 "4.3" "if {wd} <= {ws} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Le, dst, src: Reg(src), off }), "Jumps if unsigned less or equal.";
    jslt32_imm 0xc6 (r, 0, jump, imm) Base32 "4.3" "if {wd} s< {cmp} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Slt, dst, src: Imm(imm), off }), "Jumps if signed less.";
    jslt32_reg 0xce (r, r, jump, 0) Base32 "4.3" "if {wd} s< {ws} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Slt, dst, src: Reg(src), off }), "Jumps if signed less.";
    jsle32_imm 0xd6 (r, 0, jump, imm) Base32 "4.3" "if {wd} s<= {cmp} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Sle, dst, src: Imm(imm), off }), "Jumps if signed less or equal.";
    jsle32_reg 0xde (r, r, jump, 0) Base32 "4.3" "if {wd} s<= {ws} goto {jump}"
        = (JumpIf { width: W32, op: JumpOp::Sle, dst, src: Reg(src), off }), "Jumps if signed less or equal.";

    // Other control flow
    ja 0x05 (0, 0, jump, 0) Base32 "4.3" "goto {jump}"
        = (Jump { off: wide, long: false })
        where { let wide = i32::from(off); } { let off = wide as i16; }, "Jumps, 16-bit offset.";
    ja32 0x06 (0, 0, 0, jump) Base32 "4.3" "gotol {jump}"
        = (Jump { off: imm, long: true }), "Jumps, 32-bit offset (cpu v4).";
    gotox 0x0d (r, 0, 0, 0) Linux "-" "gotox {d}"
        = (JumpIndirect { reg: dst }), "Jumps to the address in a register (unknown to Linux 6.18).";
    may_goto 0xe5 (0, 0, jump, 0) Linux "-" "may_goto {jump}"
        = (MayGoto { off }), "Jumps when the loop budget is spent (Linux 6.9).";
    call_helper 0x85 (0, 0, 0, id) Base32 "4.3.1" "call {helper}"
        = (Call(CallTarget::Helper(id))) [r1 r2 r3 r4 r5 => r0 r1 r2 r3 r4 r5]
        where { let id = imm as u32; } { let imm = id as i32; }, "Calls a helper by its number.";
    call_local 0x85 (0, 1, 0, jump) Base32 "4.3.2" "call {subprog}"
        = (Call(CallTarget::Subprog(imm))) [r1 r2 r3 r4 r5 => r0 r1 r2 r3 r4 r5], "Calls a subprogram of this program.";
    call_kfunc 0x85 (0, 2, index, id) Base32 "4.3.1" "call {kfunc}"
        = (Call(CallTarget::Kfunc { btf_id: imm, btf_idx: off })) [r1 r2 r3 r4 r5 => r0 r1 r2 r3 r4 r5], "Calls a kernel function by its BTF id; off selects the BTF from fd_array.";
    callx 0x8d (r, 0, 0, 0) Linux "-" "callx {d}"
        = (CallIndirect { reg: dst }) [r1 r2 r3 r4 r5 => r0 r1 r2 r3 r4 r5], "Calls the address in a register (clang; unknown to Linux 6.18).";
    exit 0x95 (0, 0, 0, 0) Base32 "4.3" "exit"
        = (Exit) [r0 =>], "Returns from the subprogram or the program.";

    // 64-bit immediates: two slots, the fifth field is the second slot's imm
    lddw 0x18 (w, 0, 0, any, any) Base64 "5.4" "{d} = {imm64}" | "{d} = {imm64} ll"
        = (LoadImm64 { dst, value: Imm64::Const(value) })
        where { let value = join64(imm, imm2); } { let (imm, imm2) = split64(value); }, "Loads a 64-bit constant.";
    lddw_map_fd 0x18 (w, 1, 0, id, 0) Base64 "5.4.1" "{d} = map[fd:{id}]" | "ld_pseudo {d}, 0x1, {xid}"
        = (LoadImm64 { dst, value: Imm64::MapFd(imm) }), "Loads a map by file descriptor.";
    lddw_map_value_fd 0x18 (w, 2, 0, id, any) Base64 "5.4.1" "{d} = map[fd:{id}][0]+{offset}" | "ld_pseudo {d}, 0x2, {xid}, {xid2}"
        = (LoadImm64 { dst, value: Imm64::MapValueFd { fd: imm, off_bytes } })
        where { let off_bytes = imm2 as u32; } { let imm2 = off_bytes as i32; }, "Loads an address inside a map's first value.";
    lddw_variable 0x18 (w, 3, 0, id, any) Base64 "5.4.2" "{d} = variable[btf_id:{id}, btf_fd:{id2}]" | "ld_pseudo {d}, 0x3, {xid}, {xid2}"
        = (LoadImm64 { dst, value: Imm64::Variable { btf_id: imm, btf_fd: imm2 } }), "Loads the address of a variable of the platform, by BTF id.";
    lddw_code 0x18 (w, 4, 0, jump, 0) Base64 "5.4" "{d} = subprog[{subprog_off}]" | "ld_pseudo {d}, 0x4, {xid}"
        = (LoadImm64 { dst, value: Imm64::Code(imm) }), "Loads the address of a subprogram.";
    lddw_map_idx 0x18 (w, 5, 0, id, 0) Base64 "5.4.1" "{d} = map[idx:{id}]" | "ld_pseudo {d}, 0x5, {xid}"
        = (LoadImm64 { dst, value: Imm64::MapIdx(imm) }), "Loads a map by its index in fd_array.";
    lddw_map_value_idx 0x18 (w, 6, 0, id, any) Base64 "5.4.1" "{d} = map[idx:{id}][0]+{offset}" | "ld_pseudo {d}, 0x6, {xid}, {xid2}"
        = (LoadImm64 { dst, value: Imm64::MapValueIdx { idx: imm, off_bytes } })
        where { let off_bytes = imm2 as u32; } { let imm2 = off_bytes as i32; }, "Loads an address inside the first value of a map by index.";

    // Loads and stores
    ldxw 0x61 (w, r, mem, 0) Base32 "5.1" "{vd} = *(u32 *)({smem})"
        = (Load { size: W, signed: false, dst, src, off }), "Loads 4 bytes, zero-extended.";
    stw 0x62 (r, 0, mem, imm) Base32 "5.1" "*(u32 *)({dmem}) = {imm}"
        = (Store { size: W, dst, off, src: Imm(imm) }), "Stores the low 4 bytes of a constant.";
    stxw 0x63 (r, r, mem, 0) Base32 "5.1" "*(u32 *)({dmem}) = {vs}"
        = (Store { size: W, dst, off, src: Reg(src) }), "Stores the low 4 bytes of a register.";
    ldxh 0x69 (w, r, mem, 0) Base32 "5.1" "{vd} = *(u16 *)({smem})"
        = (Load { size: H, signed: false, dst, src, off }), "Loads 2 bytes, zero-extended.";
    sth 0x6a (r, 0, mem, imm) Base32 "5.1" "*(u16 *)({dmem}) = {imm}"
        = (Store { size: H, dst, off, src: Imm(imm) }), "Stores the low 2 bytes of a constant.";
    stxh 0x6b (r, r, mem, 0) Base32 "5.1" "*(u16 *)({dmem}) = {vs}"
        = (Store { size: H, dst, off, src: Reg(src) }), "Stores the low 2 bytes of a register.";
    ldxb 0x71 (w, r, mem, 0) Base32 "5.1" "{vd} = *(u8 *)({smem})"
        = (Load { size: B, signed: false, dst, src, off }), "Loads 1 byte, zero-extended.";
    stb 0x72 (r, 0, mem, imm) Base32 "5.1" "*(u8 *)({dmem}) = {imm}"
        = (Store { size: B, dst, off, src: Imm(imm) }), "Stores the low 1 byte of a constant.";
    stxb 0x73 (r, r, mem, 0) Base32 "5.1" "*(u8 *)({dmem}) = {vs}"
        = (Store { size: B, dst, off, src: Reg(src) }), "Stores the low 1 byte of a register.";
    ldxdw 0x79 (w, r, mem, 0) Base64 "5.1" "{d} = *(u64 *)({smem})"
        = (Load { size: DW, signed: false, dst, src, off }), "Loads 8 bytes.";
    stdw 0x7a (r, 0, mem, imm) Base64 "5.1" "*(u64 *)({dmem}) = {imm}"
        = (Store { size: DW, dst, off, src: Imm(imm) }), "Stores a sign-extended constant.";
    stxdw 0x7b (r, r, mem, 0) Base64 "5.1" "*(u64 *)({dmem}) = {s}"
        = (Store { size: DW, dst, off, src: Reg(src) }), "Stores a register.";
    ldxsxw 0x81 (w, r, mem, 0) Base32 "5.2" "{d} = *(s32 *)({smem})"
        = (Load { size: W, signed: true, dst, src, off }), "Loads 32 bits, sign-extended to 64 (cpu v4).";
    ldxsxh 0x89 (w, r, mem, 0) Base32 "5.2" "{d} = *(s16 *)({smem})"
        = (Load { size: H, signed: true, dst, src, off }), "Loads 16 bits, sign-extended to 64 (cpu v4).";
    ldxsxb 0x91 (w, r, mem, 0) Base32 "5.2" "{d} = *(s8 *)({smem})"
        = (Load { size: B, signed: true, dst, src, off }), "Loads 8 bits, sign-extended to 64 (cpu v4).";

    // Atomic operations: imm selects
    atomic32_add 0xc3 (r, r, mem, 0x00) Atomic32 "5.3" "lock *(u32 *)({dmem}) += {vs}"
        = (Atomic { size: W, op: AtomicOp::Add { fetch: false }, dst, src, off }), "Atomic add.";
    atomic32_or 0xc3 (r, r, mem, 0x40) Atomic32 "5.3" "lock *(u32 *)({dmem}) |= {vs}"
        = (Atomic { size: W, op: AtomicOp::Or { fetch: false }, dst, src, off }), "Atomic or.";
    atomic32_and 0xc3 (r, r, mem, 0x50) Atomic32 "5.3" "lock *(u32 *)({dmem}) &= {vs}"
        = (Atomic { size: W, op: AtomicOp::And { fetch: false }, dst, src, off }), "Atomic and.";
    atomic32_xor 0xc3 (r, r, mem, 0xa0) Atomic32 "5.3" "lock *(u32 *)({dmem}) ^= {vs}"
        = (Atomic { size: W, op: AtomicOp::Xor { fetch: false }, dst, src, off }), "Atomic xor.";
    atomic32_fetch_add 0xc3 (r, rw, mem, 0x01) Atomic32 "5.3" "{vs} = atomic_fetch_add((u32 *)({dmem}), {vs})"
        = (Atomic { size: W, op: AtomicOp::Add { fetch: true }, dst, src, off }), "Atomic add; src receives the old value.";
    atomic32_fetch_or 0xc3 (r, rw, mem, 0x41) Atomic32 "5.3" "{vs} = atomic_fetch_or((u32 *)({dmem}), {vs})"
        = (Atomic { size: W, op: AtomicOp::Or { fetch: true }, dst, src, off }), "Atomic or; src receives the old value.";
    atomic32_fetch_and 0xc3 (r, rw, mem, 0x51) Atomic32 "5.3" "{vs} = atomic_fetch_and((u32 *)({dmem}), {vs})"
        = (Atomic { size: W, op: AtomicOp::And { fetch: true }, dst, src, off }), "Atomic and; src receives the old value.";
    atomic32_fetch_xor 0xc3 (r, rw, mem, 0xa1) Atomic32 "5.3" "{vs} = atomic_fetch_xor((u32 *)({dmem}), {vs})"
        = (Atomic { size: W, op: AtomicOp::Xor { fetch: true }, dst, src, off }), "Atomic xor; src receives the old value.";
    atomic32_xchg 0xc3 (r, rw, mem, 0xe1) Atomic32 "5.3" "{vs} = atomic_xchg((u32 *)({dmem}), {vs})" | "{vs} = xchg32_32({dmem}, {vs})"
        = (Atomic { size: W, op: AtomicOp::Xchg, dst, src, off }), "Atomic exchange.";
    atomic32_cmpxchg 0xc3 (r, r, mem, 0xf1) Atomic32 "5.3" "{v0} = atomic_cmpxchg((u32 *)({dmem}), {v0}, {vs})" | "{v0} = cmpxchg32_32({dmem}, {v0}, {vs})"
        = (Atomic { size: W, op: AtomicOp::Cmpxchg, dst, src, off }) [r0 => r0], "Stores src if memory equals r0; r0 receives the old value.";
    atomic64_add 0xdb (r, r, mem, 0x00) Atomic64 "5.3" "lock *(u64 *)({dmem}) += {s}"
        = (Atomic { size: DW, op: AtomicOp::Add { fetch: false }, dst, src, off }), "Atomic add.";
    atomic64_or 0xdb (r, r, mem, 0x40) Atomic64 "5.3" "lock *(u64 *)({dmem}) |= {s}"
        = (Atomic { size: DW, op: AtomicOp::Or { fetch: false }, dst, src, off }), "Atomic or.";
    atomic64_and 0xdb (r, r, mem, 0x50) Atomic64 "5.3" "lock *(u64 *)({dmem}) &= {s}"
        = (Atomic { size: DW, op: AtomicOp::And { fetch: false }, dst, src, off }), "Atomic and.";
    atomic64_xor 0xdb (r, r, mem, 0xa0) Atomic64 "5.3" "lock *(u64 *)({dmem}) ^= {s}"
        = (Atomic { size: DW, op: AtomicOp::Xor { fetch: false }, dst, src, off }), "Atomic xor.";
    atomic64_fetch_add 0xdb (r, rw, mem, 0x01) Atomic64 "5.3" "{s} = atomic64_fetch_add((u64 *)({dmem}), {s})" | "{s} = atomic_fetch_add((u64 *)({dmem}), {s})"
        = (Atomic { size: DW, op: AtomicOp::Add { fetch: true }, dst, src, off }), "Atomic add; src receives the old value.";
    atomic64_fetch_or 0xdb (r, rw, mem, 0x41) Atomic64 "5.3" "{s} = atomic64_fetch_or((u64 *)({dmem}), {s})" | "{s} = atomic_fetch_or((u64 *)({dmem}), {s})"
        = (Atomic { size: DW, op: AtomicOp::Or { fetch: true }, dst, src, off }), "Atomic or; src receives the old value.";
    atomic64_fetch_and 0xdb (r, rw, mem, 0x51) Atomic64 "5.3" "{s} = atomic64_fetch_and((u64 *)({dmem}), {s})" | "{s} = atomic_fetch_and((u64 *)({dmem}), {s})"
        = (Atomic { size: DW, op: AtomicOp::And { fetch: true }, dst, src, off }), "Atomic and; src receives the old value.";
    atomic64_fetch_xor 0xdb (r, rw, mem, 0xa1) Atomic64 "5.3" "{s} = atomic64_fetch_xor((u64 *)({dmem}), {s})" | "{s} = atomic_fetch_xor((u64 *)({dmem}), {s})"
        = (Atomic { size: DW, op: AtomicOp::Xor { fetch: true }, dst, src, off }), "Atomic xor; src receives the old value.";
    atomic64_xchg 0xdb (r, rw, mem, 0xe1) Atomic64 "5.3" "{s} = atomic64_xchg((u64 *)({dmem}), {s})" | "{s} = xchg_64({dmem}, {s})"
        = (Atomic { size: DW, op: AtomicOp::Xchg, dst, src, off }), "Atomic exchange.";
    atomic64_cmpxchg 0xdb (r, r, mem, 0xf1) Atomic64 "5.3" "r0 = atomic64_cmpxchg((u64 *)({dmem}), r0, {s})" | "r0 = cmpxchg_64({dmem}, r0, {s})"
        = (Atomic { size: DW, op: AtomicOp::Cmpxchg, dst, src, off }) [r0 => r0], "Stores src if memory equals r0; r0 receives the old value.";
    load_acqw 0xc3 (w, r, mem, 0x100) Linux "-" "{vd} = load_acquire((u32 *)({smem}))"
        = (LoadAcquire { size: W, dst, src, off }), "Load with acquire ordering, zero-extended (Linux 6.15).";
    store_relw 0xc3 (r, r, mem, 0x110) Linux "-" "store_release((u32 *)({dmem}), {vs})"
        = (StoreRelease { size: W, dst, src, off }), "Store with release ordering (Linux 6.15).";
    load_acqh 0xcb (w, r, mem, 0x100) Linux "-" "{vd} = load_acquire((u16 *)({smem}))"
        = (LoadAcquire { size: H, dst, src, off }), "Load with acquire ordering, zero-extended (Linux 6.15).";
    store_relh 0xcb (r, r, mem, 0x110) Linux "-" "store_release((u16 *)({dmem}), {vs})"
        = (StoreRelease { size: H, dst, src, off }), "Store with release ordering (Linux 6.15).";
    load_acqb 0xd3 (w, r, mem, 0x100) Linux "-" "{vd} = load_acquire((u8 *)({smem}))"
        = (LoadAcquire { size: B, dst, src, off }), "Load with acquire ordering, zero-extended (Linux 6.15).";
    store_relb 0xd3 (r, r, mem, 0x110) Linux "-" "store_release((u8 *)({dmem}), {vs})"
        = (StoreRelease { size: B, dst, src, off }), "Store with release ordering (Linux 6.15).";
    load_acqdw 0xdb (w, r, mem, 0x100) Linux "-" "{d} = load_acquire((u64 *)({smem}))"
        = (LoadAcquire { size: DW, dst, src, off }), "Load with acquire ordering, zero-extended (Linux 6.15).";
    store_reldw 0xdb (r, r, mem, 0x110) Linux "-" "store_release((u64 *)({dmem}), {s})"
        = (StoreRelease { size: DW, dst, src, off }), "Store with release ordering (Linux 6.15).";

    // Legacy packet access: r6 is the skb, the value arrives in host byte order
    ldabsw 0x20 (0, 0, 0, imm) Packet "5.5" "r0 = *(u32 *)skb[{imm}]"
        = (LoadPacket { size: W, mode: PacketMode::Abs, imm }) [r6 => r0 r1 r2 r3 r4 r5], "Loads from the packet at a constant offset.";
    ldabsh 0x28 (0, 0, 0, imm) Packet "5.5" "r0 = *(u16 *)skb[{imm}]"
        = (LoadPacket { size: H, mode: PacketMode::Abs, imm }) [r6 => r0 r1 r2 r3 r4 r5], "Loads from the packet at a constant offset.";
    ldabsb 0x30 (0, 0, 0, imm) Packet "5.5" "r0 = *(u8 *)skb[{imm}]"
        = (LoadPacket { size: B, mode: PacketMode::Abs, imm }) [r6 => r0 r1 r2 r3 r4 r5], "Loads from the packet at a constant offset.";
    ldindw 0x40 (0, r, 0, imm) Packet "5.5" "r0 = *(u32 *)skb[{s} + {imm}]" | "r0 = *(u32 *)skb[{simm}]"
        = (LoadPacket { size: W, mode: PacketMode::Ind(src), imm }) [r6 => r0 r1 r2 r3 r4 r5], "Loads from the packet at a register plus a constant.";
    ldindh 0x48 (0, r, 0, imm) Packet "5.5" "r0 = *(u16 *)skb[{s} + {imm}]" | "r0 = *(u16 *)skb[{simm}]"
        = (LoadPacket { size: H, mode: PacketMode::Ind(src), imm }) [r6 => r0 r1 r2 r3 r4 r5], "Loads from the packet at a register plus a constant.";
    ldindb 0x50 (0, r, 0, imm) Packet "5.5" "r0 = *(u8 *)skb[{s} + {imm}]" | "r0 = *(u8 *)skb[{simm}]"
        = (LoadPacket { size: B, mode: PacketMode::Ind(src), imm }) [r6 => r0 r1 r2 r3 r4 r5], "Loads from the packet at a register plus a constant.";
}
