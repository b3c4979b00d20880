//! The text of the SSA form, as [`Display`](fmt::Display) writes and [`Module::parse`] reads it.
//!
//! ```text
//! context 16
//!
//! function 0 "count" slot 0 zeroed 8 {
//! block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64):
//!   v5: i64 = load u8 packet [v0 + 14]
//!   v6: i32 = trunc v5 @1
//!   v7: i32 = const 17
//!   branch eq v6, v7 -> block1(v5), block2 @2
//! ```
//!
//! `@2` is the program's slot from there on. Instructions that give nothing have no number. Values that no block has are
//! left out; so a text is that of the module which it is read as, but not each module the same as the one read from
//! its text.

use core::fmt;

use skep_isa::{AtomicOp, Size};

use super::{
    Bin, BlockData, Cell, Cond, Edge, FrameUse, Function, Module, Op, Region, Service, Term, Ty, Val,
};

/// Names of arithmetic.
pub(super) const BINS: [(Bin, &str); 13] = [
    (Bin::Add, "add"),
    (Bin::Sub, "sub"),
    (Bin::Mul, "mul"),
    (Bin::And, "and"),
    (Bin::Or, "or"),
    (Bin::Xor, "xor"),
    (Bin::Shl, "shl"),
    (Bin::Shr, "shr"),
    (Bin::Sar, "sar"),
    (Bin::Udiv, "udiv"),
    (Bin::Urem, "urem"),
    (Bin::Sdiv, "sdiv"),
    (Bin::Srem, "srem"),
];

/// Names of comparisons.
pub(super) const CONDS: [(Cond, &str); 12] = [
    (Cond::Eq, "eq"),
    (Cond::Ne, "ne"),
    (Cond::Ult, "ult"),
    (Cond::Ule, "ule"),
    (Cond::Ugt, "ugt"),
    (Cond::Uge, "uge"),
    (Cond::Slt, "slt"),
    (Cond::Sle, "sle"),
    (Cond::Sgt, "sgt"),
    (Cond::Sge, "sge"),
    (Cond::Set, "set"),
    (Cond::Clear, "clear"),
];

/// Names of regions.
pub(super) const REGIONS: [(Region, &str); 6] = [
    (Region::Frame, "frame"),
    (Region::Ctx, "ctx"),
    (Region::Packet, "packet"),
    (Region::Map, "map"),
    (Region::Other, "other"),
    (Region::Any, "any"),
];

/// Names of what the runtime keeps.
pub(super) const CELLS: [(Cell, &str); 5] = [
    (Cell::PacketData, "packet_data"),
    (Cell::PacketEnd, "packet_end"),
    (Cell::PacketMeta, "packet_meta"),
    (Cell::FlowKeys, "flow_keys"),
    (Cell::Vcpu, "vcpu"),
];

/// Names of sizes.
pub(super) const SIZES: [(Size, &str); 4] =
    [(Size::B, "u8"), (Size::H, "u16"), (Size::W, "u32"), (Size::DW, "u64")];

/// Names of types.
pub(super) const TYPES: [(Ty, &str); 2] = [(Ty::I32, "i32"), (Ty::I64, "i64")];

/// Names of atomic operations.
pub(super) const ATOMICS: [(AtomicOp, &str); 10] = [
    (AtomicOp::Add { fetch: false }, "add"),
    (AtomicOp::Or { fetch: false }, "or"),
    (AtomicOp::And { fetch: false }, "and"),
    (AtomicOp::Xor { fetch: false }, "xor"),
    (AtomicOp::Add { fetch: true }, "fetch_add"),
    (AtomicOp::Or { fetch: true }, "fetch_or"),
    (AtomicOp::And { fetch: true }, "fetch_and"),
    (AtomicOp::Xor { fetch: true }, "fetch_xor"),
    (AtomicOp::Xchg, "xchg"),
    (AtomicOp::Cmpxchg, "cmpxchg"),
];

/// The name of a thing in its table.
fn name<T: PartialEq + Copy>(table: &[(T, &'static str)], thing: T) -> &'static str {
    table.iter().find(|row| row.0 == thing).map_or("none", |row| row.1)
}

impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl fmt::Display for super::Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block{}", self.0)
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name(&TYPES, *self))
    }
}

/// Values with commas between.
struct List<'a>(&'a [Val]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, v) in self.0.iter().enumerate() {
            write!(f, "{}{v}", if i > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// `[base + off]`
struct At(Val, i32);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            0 => write!(f, "[{}]", self.0),
            off if off < 0 => write!(f, "[{} - {}]", self.0, off.unsigned_abs()),
            off => write!(f, "[{} + {off}]", self.0),
        }
    }
}

/// A constant: near 0 with its sign, else in hexadecimal.
struct Number(u64, Ty);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = if self.1 == Ty::I32 { i64::from(self.0 as i32) } else { self.0 as i64 };
        if (-0x1_0000..0x1_0000).contains(&signed) {
            write!(f, "{signed}")
        } else {
            write!(f, "{:#x}", self.0)
        }
    }
}

impl fmt::Display for FrameUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str(" frame all"),
            Self::Bytes(ranges) => {
                for (i, r) in ranges.iter().enumerate() {
                    write!(f, "{} {}..{}", if i > 0 { "," } else { " frame" }, r.from, r.to)?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Helper { index } => write!(f, "helper {index}"),
            Self::Lookup => f.write_str("lookup"),
            Self::Quick { function, kept } => write!(f, "quick {function} {kept}"),
            Self::Find { function, map } => write!(f, "find {function} {map}"),
            Self::Stack { buffer: false } => f.write_str("get_stackid"),
            Self::Stack { buffer: true } => f.write_str("get_stack"),
            Self::CallBackBegin { kind } => write!(f, "call_back {kind}"),
            Self::CallBackNext => f.write_str("call_back_next"),
            Self::PacketLoad { size } => write!(f, "packet_load {}", name(&SIZES, size)),
            Self::LoadElsewhere { size } => write!(f, "load_elsewhere {}", name(&SIZES, size)),
            Self::StoreElsewhere { size } => write!(f, "store_elsewhere {}", name(&SIZES, size)),
            Self::Arena { index } => write!(f, "arena {index}"),
            Self::Tick => f.write_str("tick"),
            Self::Check { size, write } => {
                write!(f, "{} {}", if write { "check_store" } else { "check_load" }, name(&SIZES, size))
            }
            Self::Throw => f.write_str("throw"),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |s: Size| name(&SIZES, s);
        let region = |r: Region| name(&REGIONS, r);
        let cond = |c: Cond| name(&CONDS, c);
        match self {
            Self::Param => f.write_str("param"),
            // The type is the node's: see `Line`.
            Self::Const(c) => write!(f, "const {}", Number(*c, Ty::I64)),
            Self::Bin(op, a, b) => write!(f, "{} {a}, {b}", name(&BINS, *op)),
            Self::Trunc(a) => write!(f, "trunc {a}"),
            Self::Zext(a) => write!(f, "zext {a}"),
            Self::Sext(s, a) => write!(f, "sext {} {a}", size(*s)),
            Self::Swap(s, a) => write!(f, "swap {} {a}", size(*s)),
            Self::Cmp(c, a, b) => write!(f, "cmp {} {a}, {b}", cond(*c)),
            Self::Select(c, a, b, x, y) => write!(f, "select {} {a}, {b} ? {x} : {y}", cond(*c)),
            Self::Frame => f.write_str("frame"),
            Self::Cell(cell) => write!(f, "cell {}", name(&CELLS, *cell)),
            Self::Arg(n) => write!(f, "arg {n}"),
            Self::Kept(n) => write!(f, "kept {n}"),
            Self::Load { size: s, base, off, region: r } => {
                write!(f, "load {} {} {}", size(*s), region(*r), At(*base, *off))
            }
            Self::Store { size: s, base, off, region: r, value } => {
                write!(f, "store {} {} {}, {value}", size(*s), region(*r), At(*base, *off))
            }
            Self::Atomic { op, size: s, base, off, region: r, value, expected } => {
                let at = At(*base, *off);
                write!(f, "atomic {} {} {} {at}, {value}", name(&ATOMICS, *op), size(*s), region(*r))?;
                if *op == AtomicOp::Cmpxchg { write!(f, " if {expected}") } else { Ok(()) }
            }
            Self::LoadAcquire { size: s, base, off, region: r } => {
                write!(f, "load_acquire {} {} {}", size(*s), region(*r), At(*base, *off))
            }
            Self::StoreRelease { size: s, base, off, region: r, value } => {
                write!(f, "store_release {} {} {}, {value}", size(*s), region(*r), At(*base, *off))
            }
            Self::Call { func, args, frame } => write!(f, "call {}({}){frame}", func.0, List(&args[..])),
            Self::Service { service, args, frame } => write!(f, "{service}({}){frame}", List(args)),
            Self::TailCall { args } => write!(f, "tail_call({})", List(&args[..])),
        }
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to)?;
        if self.args.is_empty() { Ok(()) } else { write!(f, "({})", List(&self.args)) }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jump(to) => write!(f, "jump {to}"),
            Self::Branch { cond, a, b, then, other } => {
                write!(f, "branch {} {a}, {b} -> {then}, {other}", name(&CONDS, *cond))
            }
            Self::MayGoto { spent, other } => write!(f, "may_goto -> {spent}, {other}"),
            Self::Leave { to, kept } => {
                write!(f, "leave {}(", to.0)?;
                for (i, (n, v)) in kept.iter().enumerate() {
                    write!(f, "{}{n}: {v}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
            Self::Return(v) => write!(f, "return {v}"),
            Self::Unreachable => f.write_str("unreachable"),
        }
    }
}

/// Writes ` @slot` where the slot changes.
fn write_slot(f: &mut fmt::Formatter<'_>, now: &mut u32, pc: u32) -> fmt::Result {
    if core::mem::replace(now, pc) == pc { Ok(()) } else { write!(f, " @{pc}") }
}

impl Function {
    fn write_block(
        &self,
        f: &mut fmt::Formatter<'_>,
        number: usize,
        block: &BlockData,
        slot: &mut u32,
    ) -> fmt::Result {
        write!(f, "block{number}")?;
        for (i, p) in block.params.iter().enumerate() {
            let node = self.node(*p);
            write!(f, "{}{p}: {}", if i > 0 { ", " } else { "(" }, node.ty)?;
            write_slot(f, slot, node.pc)?;
        }
        writeln!(f, "{}", if block.params.is_empty() { ":" } else { "):" })?;
        for v in &block.insts {
            let node = self.node(*v);
            f.write_str("  ")?;
            if node.ty != Ty::None {
                write!(f, "{v}: {} = ", node.ty)?;
            }
            match node.op {
                Op::Const(c) => write!(f, "const {}", Number(c, node.ty))?,
                _ => write!(f, "{}", node.op)?,
            }
            if node.proved {
                f.write_str(" nonzero")?;
            }
            write_slot(f, slot, node.pc)?;
            f.write_str("\n")?;
        }
        write!(f, "  {}", block.term)?;
        write_slot(f, slot, block.term_pc)?;
        f.write_str("\n")
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} slot {}", self.name, self.slot)?;
        if self.piece {
            f.write_str(" piece")?;
        }
        if self.zeroed > 0 {
            write!(f, " zeroed {}", self.zeroed)?;
        }
        f.write_str(" {\n")?;
        let mut slot = self.slot;
        for (i, block) in self.blocks.iter().enumerate() {
            self.write_block(f, i, block, &mut slot)?;
        }
        f.write_str("}\n")
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctx_bytes > 0 {
            writeln!(f, "context {}\n", self.ctx_bytes)?;
        }
        for (i, function) in self.functions.iter().enumerate() {
            write!(f, "{}function {i} {function}", if i > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}
