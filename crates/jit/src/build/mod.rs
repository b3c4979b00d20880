//! From a verified program to SSA.
//!
//! ```text
//! cfg        blocks of a function, and which registers are live where
//! pieces     large functions, cut
//! regs       what registers hold while a block is translated
//! alu        arithmetic, comparisons, constants
//! memory     loads, stores, atomic operations, the context, the arena
//! call       helpers, functions of the program, calls back, tail calls
//! ```
//!
//! A function is translated block by block in reverse postorder. A block with one predecessor takes over what registers
//! hold there; another has a parameter for each live register, and those that are always the same value go afterwards
//! ([`Function::drop_same_params`]). 32-bit operations are done on `I32` values; a register that holds one becomes an
//! `I64` when somebody wants all of it.
//!
//! What is translated is what the verifier saw: slots that it did not reach, and ways that no jump takes, are not there.

mod alu;
mod call;
mod cfg;
mod memory;
mod pieces;
mod regs;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use skep_isa::{Imm64, JumpOp, Op as Insn, Operand, PacketMode, Reg, Width, decode_all};
use skep_verifier::{InsnFacts, Subprog};
use skep_vm::native::Binding;

use crate::ir::{Block, BlockData, Cond, Edge, Func, Function, Module, Op, Service, Term, Ty, Val};
use cfg::{Cfg, Way};
use pieces::Pieces;
use regs::Regs;

/// How a program is built.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Before every access that the verifier has proved, ask the runtime whether the run was granted it.
    pub check_accesses: bool,
    /// Instructions from which on a function is compiled in pieces of at most so many; a block counts as some more.
    pub piece: usize,
}

impl Options {
    /// What [`Options::piece`] is, unless it is said.
    pub const PIECE: usize = 4096;
}

impl Default for Options {
    fn default() -> Self {
        Self { check_accesses: false, piece: Self::PIECE }
    }
}

/// An instruction that has no form here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// Its slot.
    pub pc: usize,
    /// In words.
    pub what: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "insn {}: {}", self.pc, self.what)
    }
}

impl std::error::Error for Unsupported {}

/// A verified program in SSA: its main function first, then the others that can be reached, in the order of their slots.
///
/// # Errors
/// An instruction that has no form here, which only the interpreter runs.
pub fn build(binding: &Binding<'_>, options: &Options) -> Result<Module, Unsupported> {
    let verified = binding.verified();
    let mut ops = vec![None; binding.insns().len()];
    for (pc, op) in decode_all(binding.insns()).flatten() {
        if verified.insns().get(pc).is_some_and(|i| i.reached) {
            ops[pc] = Some(op);
        }
    }
    let parts: Vec<&Subprog> = verified.subprogs().iter().filter(|s| ops[s.start].is_some()).collect();
    let funcs = parts.iter().enumerate().map(|(i, s)| (s.start, Func(i as u32))).collect();
    let cfgs =
        parts.iter().map(|s| Cfg::new(binding, &ops, s, options.piece)).collect::<Result<Vec<_>, _>>()?;
    let mut count = parts.len();
    let pieces = cfgs.iter().map(|cfg| {
        let pieces = Pieces::new(cfg, options.piece, count);
        count += pieces.as_ref().map_or(0, Pieces::len);
        pieces
    });
    let pieces: Vec<Option<Pieces>> = pieces.collect();
    let program = Program { binding, options, funcs, named: named(binding, &ops), ops, cfgs, pieces };
    let mut module = Module { functions: Vec::with_capacity(count), ctx_bytes: 0 };
    for (i, part) in parts.iter().enumerate() {
        let builder = Builder::new(&program, i, part, None);
        match program.pieces[i] {
            Some(_) => module.functions.push(builder.shell()),
            None => builder.function(&mut module)?,
        }
    }
    for (i, part) in parts.iter().enumerate() {
        for piece in 0..program.pieces[i].as_ref().map_or(0, Pieces::len) {
            Builder::new(&program, i, part, Some(piece)).function(&mut module)?;
        }
    }
    module.debug_check("build");
    Ok(module)
}

/// The functions whose addresses the program loads: register content and slot.
fn named(binding: &Binding<'_>, ops: &[Option<Insn>]) -> Vec<(u64, usize)> {
    let mut all: Vec<(u64, usize)> = Vec::new();
    for (pc, op) in ops.iter().enumerate() {
        if let Some(Insn::LoadImm64 { value: Imm64::Code(_), .. }) = op
            && let Some(content) = binding.constant(pc)
            && let Some(slot) = binding.function_of(content)
        {
            all.push((content, slot));
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// What all functions of a program share.
struct Program<'p> {
    binding: &'p Binding<'p>,
    options: &'p Options,
    /// By first slot.
    funcs: BTreeMap<usize, Func>,
    /// Functions whose addresses are loaded: register content and slot.
    named: Vec<(u64, usize)>,
    /// Instructions that are reached, by slot.
    ops: Vec<Option<Insn>>,
    /// By function.
    cfgs: Vec<Cfg>,
    /// By function, how it is cut, if it is.
    pieces: Vec<Option<Pieces>>,
}

impl Program<'_> {
    /// The argument registers that a function reads: bit n stands for `rn`.
    fn reads(&self, func: Func) -> u16 {
        self.cfgs[func.0 as usize].live_in[0]
    }
}

/// A function under construction.
struct Builder<'p> {
    p: &'p Program<'p>,
    cfg: &'p Cfg,
    part: &'p Subprog,
    pieces: Option<&'p Pieces>,
    /// The piece that it is of these.
    piece: Option<usize>,
    /// Places, in order, of the program's blocks that are translated here.
    places: Range<usize>,
    f: Function,
    /// What registers hold at the entry of a block, by its place among these, once it is known.
    entry: Vec<Option<Regs>>,
    /// What they hold now.
    regs: Regs,
    /// `r10`, in functions that have it.
    frame: Option<Val>,
    /// A block that is not reached, if there is one.
    unreached: Option<Block>,
    /// Where instructions go.
    at: Block,
    /// The slot that is translated.
    pc: usize,
    /// Bytes of the context that plain accesses touch.
    ctx_bytes: usize,
}

impl<'p> Builder<'p> {
    fn new(p: &'p Program<'p>, index: usize, part: &'p Subprog, piece: Option<usize>) -> Self {
        let (cfg, pieces) = (&p.cfgs[index], p.pieces[index].as_ref());
        let places = match (pieces, piece) {
            (Some(pieces), Some(piece)) => pieces.places(piece),
            _ => 0..cfg.order.len(),
        };
        let name = name(p.binding, part.start);
        let f = Function {
            name: piece.map_or(name.clone(), |piece| format!("{name} (piece {piece})")),
            slot: cfg.blocks[cfg.order[places.start]].start as u32,
            piece: piece.is_some(),
            // The function that is called has done it for its pieces.
            zeroed: if piece.is_some() { 0 } else { part.unwritten.next_multiple_of(8).min(512) as u16 },
            nodes: Vec::new(),
            blocks: Vec::new(),
        };
        let entry = vec![None; places.len()];
        let (regs, at, pc) = (Regs::default(), Block(0), f.slot as usize);
        Self {
            p,
            cfg,
            part,
            pieces,
            piece,
            places,
            f,
            entry,
            regs,
            frame: None,
            unreached: None,
            at,
            pc,
            ctx_bytes: 0,
        }
    }

    fn unsupported<T>(&self, what: impl Into<String>) -> Result<T, Unsupported> {
        Err(Unsupported { pc: self.pc, what: what.into() })
    }

    /// What was proved about the instruction at hand.
    fn facts(&self) -> &'p InsnFacts {
        &self.p.binding.verified().insns()[self.pc]
    }

    /// Adds an instruction to the block at hand.
    fn emit(&mut self, op: Op, ty: Ty) -> Val {
        let v = self.f.add(op, ty, self.pc as u32);
        self.f.blocks[self.at.0 as usize].insts.push(v);
        v
    }

    /// A new block without an end.
    fn block(&mut self) -> Block {
        let b = Block(self.f.blocks.len() as u32);
        let (params, insts) = (Vec::new(), Vec::new());
        self.f.blocks.push(BlockData { params, insts, term: Term::Unreachable, term_pc: self.pc as u32 });
        b
    }

    /// A parameter of a block.
    fn param(&mut self, b: Block, ty: Ty) -> Val {
        let v = self.f.add(Op::Param, ty, self.pc as u32);
        self.f.blocks[b.0 as usize].params.push(v);
        v
    }

    /// Ends the block at hand.
    fn end(&mut self, term: Term) {
        let block = &mut self.f.blocks[self.at.0 as usize];
        (block.term, block.term_pc) = (term, self.pc as u32);
    }

    /// The IR block of a block of the program.
    fn ir_block(&self, block: usize) -> Block {
        Block(1 + (self.cfg.place[block] - self.places.start) as u32)
    }

    /// What registers hold at the entry of a block of the program.
    fn entry(&mut self, block: usize) -> &mut Option<Regs> {
        &mut self.entry[self.cfg.place[block] - self.places.start]
    }

    /// Builds the function, or its piece.
    fn function(mut self, module: &mut Module) -> Result<(), Unsupported> {
        self.body()?;
        module.ctx_bytes = module.ctx_bytes.max(self.ctx_bytes);
        self.f.drop_same_params();
        self.f.compact();
        module.functions.push(self.f);
        Ok(())
    }

    fn body(&mut self) -> Result<(), Unsupported> {
        let entry = self.block();
        for reg in 1..=5 {
            let v = self.param(entry, Ty::I64);
            self.regs.set(Reg(reg), v);
        }
        if self.cfg.uses_frame {
            self.frame = Some(self.emit(Op::Frame, Ty::I64));
        }
        if self.part.global {
            self.ask(Service::Tick, &[]);
        }
        let cfg = self.cfg;
        let order = &cfg.order[self.places.clone()];
        for &b in order {
            self.pc = cfg.blocks[b].start;
            self.block();
        }
        for &b in order {
            if cfg.joins(b) {
                self.pc = cfg.blocks[b].start;
                let mut regs = Regs::default();
                for reg in cfg.live(b) {
                    let v = self.param(self.ir_block(b), Ty::I64);
                    regs.set(reg, v);
                }
                *self.entry(b) = Some(regs);
            }
        }
        self.pc = self.f.slot as usize;
        match self.piece {
            Some(piece) => self.enter(piece),
            None => {
                let edge = self.edge(0);
                self.end(Term::Jump(edge));
            }
        }
        for &b in order {
            // Its only predecessor stands before it in reverse postorder.
            let Some(regs) = self.entry(b).take() else { continue };
            self.regs = regs;
            self.at = self.ir_block(b);
            self.translate(b)?;
        }
        Ok(())
    }

    /// Translates a block of the program.
    fn translate(&mut self, b: usize) -> Result<(), Unsupported> {
        let cfg = self.cfg;
        let block = &cfg.blocks[b];
        let mut pc = block.start;
        while pc < block.end {
            self.pc = pc;
            let Some(op) = self.p.ops[pc] else {
                return self.unsupported("not an instruction that is reached");
            };
            if self.insn(&op, &block.ways)? {
                return Ok(());
            }
            pc += op.slots();
        }
        // Behind the last instruction another block begins.
        match block.ways[..] {
            [Way { to, .. }] => {
                let edge = self.edge(to);
                self.end(Term::Jump(edge));
            }
            _ => self.end(Term::Unreachable),
        }
        Ok(())
    }

    /// The way to a block of the program with what registers hold now.
    fn edge(&mut self, b: usize) -> Edge {
        if !self.places.contains(&self.cfg.place[b]) {
            return self.edge_out(b);
        }
        let to = self.ir_block(b);
        if self.cfg.joins(b) {
            let cfg = self.cfg;
            let args = cfg.live(b).map(|reg| self.wide(reg)).collect();
            return Edge { to, args };
        }
        *self.entry(b) = Some(self.regs.clone());
        Edge { to, args: Vec::new() }
    }

    /// Translates an instruction. `true` when it ended the block.
    fn insn(&mut self, op: &Insn, ways: &[Way]) -> Result<bool, Unsupported> {
        match *op {
            Insn::Alu { width, op, dst, src } => self.alu(op, width, dst, src),
            Insn::Neg { width, dst } => self.neg(width, dst),
            Insn::MovSx { width, from, dst, src } => self.movsx(width, from, dst, src),
            Insn::Swap { kind, size, dst } => self.swap(kind, size, dst),
            Insn::AddrSpaceCast { dst, src, dst_as, src_as } => self.cast((dst, src), (dst_as, src_as))?,
            Insn::LoadImm64 { dst, .. } => match self.p.binding.constant(self.pc) {
                Some(value) => {
                    let v = self.constant(value);
                    self.regs.set(dst, v);
                }
                None => return self.unsupported("loads what has no value here"),
            },
            Insn::Load { .. }
            | Insn::Store { .. }
            | Insn::Atomic { .. }
            | Insn::LoadAcquire { .. }
            | Insn::StoreRelease { .. } => self.memory(op)?,
            Insn::LoadPacket { size, mode, imm } => {
                let off = match mode {
                    PacketMode::Abs => self.constant(i64::from(imm) as u64),
                    PacketMode::Ind(src) => self.indirect_offset(src, imm),
                };
                self.packet_load(size, off);
            }
            Insn::Jump { .. } => {
                let [Way { to, .. }] = ways[..] else { return self.unsupported("jumps nowhere") };
                let edge = self.edge(to);
                self.end(Term::Jump(edge));
                return Ok(true);
            }
            Insn::JumpIf { width, op, dst, src, off: _ } => {
                self.jump_if((op, width), dst, src, ways);
                return Ok(true);
            }
            Insn::MayGoto { .. } => {
                let edge = |b: &mut Self, taken| {
                    let to = ways.iter().find(|w| w.taken == taken)?.to;
                    Some(b.edge(to))
                };
                let (spent, other) = (edge(self, true), edge(self, false));
                let (Some(spent), Some(other)) = (spent, other) else {
                    return self.unsupported("a may_goto whose two ways were not both seen");
                };
                self.end(Term::MayGoto { spent, other });
                return Ok(true);
            }
            Insn::Call(target) => return self.call(target),
            Insn::CallIndirect { .. } => {
                return self.unsupported("callx: Linux 6.18 has no such instruction");
            }
            Insn::JumpIndirect { .. } => {
                return self.unsupported("gotox: Linux 6.18 has no such instruction");
            }
            Insn::Exit => {
                let v = self.wide(Reg::R0);
                self.end(Term::Return(v));
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The way to a block that is not reached.
    fn never(&mut self) -> Edge {
        let to = *self.unreached.get_or_insert_with(|| {
            let (params, insts) = (Vec::new(), Vec::new());
            let (term, term_pc) = (Term::Unreachable, self.pc as u32);
            self.f.blocks.push(BlockData { params, insts, term, term_pc });
            Block(self.f.blocks.len() as u32 - 1)
        });
        Edge { to, args: Vec::new() }
    }

    fn jump_if(&mut self, (op, width): (JumpOp, Width), dst: Reg, src: Operand, ways: &[Way]) {
        match *ways {
            [taken, other] => {
                let (a, b) = match width {
                    Width::W64 => (self.wide(dst), self.wide_operand(src)),
                    Width::W32 => (self.low(dst), self.low_operand(src)),
                };
                let (then, other) = (self.edge(taken.to), self.edge(other.to));
                self.end(Term::Branch { cond: condition(op), a, b, then, other });
            }
            // The verifier has seen no other way. In loops the comparison tells how often they run.
            [Way { to, taken }] => {
                let edge = self.edge(to);
                let term = match src {
                    Operand::Imm(_) if self.piece.is_none() && self.cfg.has_loops => {
                        let (a, b) = match width {
                            Width::W64 => (self.wide(dst), self.wide_operand(src)),
                            Width::W32 => (self.low(dst), self.low_operand(src)),
                        };
                        let never = self.never();
                        let (then, other) = if taken { (edge, never) } else { (never, edge) };
                        Term::Branch { cond: condition(op), a, b, then, other }
                    }
                    _ => Term::Jump(edge),
                };
                self.end(term);
            }
            _ => self.end(Term::Unreachable),
        }
    }
}

/// A jump's comparison.
fn condition(op: JumpOp) -> Cond {
    match op {
        JumpOp::Eq => Cond::Eq,
        JumpOp::Ne => Cond::Ne,
        JumpOp::Set => Cond::Set,
        JumpOp::Gt => Cond::Ugt,
        JumpOp::Ge => Cond::Uge,
        JumpOp::Lt => Cond::Ult,
        JumpOp::Le => Cond::Ule,
        JumpOp::Sgt => Cond::Sgt,
        JumpOp::Sge => Cond::Sge,
        JumpOp::Slt => Cond::Slt,
        JumpOp::Sle => Cond::Sle,
    }
}

/// What people call a function: by the program's types, or its slot.
fn name(binding: &Binding<'_>, slot: usize) -> String {
    let spec = binding.verified().spec();
    match spec.function_name(slot) {
        Some(name) => name.to_owned(),
        None if slot == 0 => spec.name.clone(),
        None => format!("f{slot}"),
    }
}
