//! Makes programs.
//!
//! A program is a tree of blocks (arithmetic, stack, branches, bounded loops, maps, packets, calls) written
//! out in order, while a small model knows which registers and stack slots hold numbers. Pointers live only
//! inside the pattern that makes them, so nearly all programs are legal. At the end every register that holds
//! a number, and a mark for each side of a branch that was reached, go into the map `out`: all 64 bits are
//! compared. One program in eight is then altered in one instruction, to compare verdicts.
//!
//! ```text
//! fp-64 ..-8     eight slots for numbers
//! fp-96 ..-72    key, value, packet bytes of the patterns
//! fp-256..-104   the value of `out`: registers 0 to 9, then marks
//! ```

use std::sync::Arc;

use skep_abi::{MapType, ProgramType};
use skep_isa::table::{self, Row};
use skep_isa::{AluOp, AtomicOp, CallTarget, Imm64, Insn, JumpOp, Op, Operand, PacketMode, Reg, Size, Width};
use skep_spec::{MapDef, ProgramSpec};

use super::rng::Rng;
use crate::oracle::Input;

/// Bytes of `out`: ten registers and the marks.
const OUT: usize = 80 + MARKS;
/// Marks of branch sides in the main function.
const MARKS: usize = 72;
/// Offset of the value of `out` from the frame pointer.
const OUT_OFF: i16 = -256;
const SLOTS: i16 = 8;
const KEY: i16 = -72;
const VALUE: i16 = -88;
const BYTES: i16 = -96;

/// Indices of the maps in every program.
const MAP_OUT: i32 = 0;
const MAP_ARRAY: i32 = 1;
const MAP_HASH: i32 = 2;
const MAP_PERCPU_ARRAY: i32 = 3;
const MAP_PERCPU_HASH: i32 = 4;
const MAP_RING: i32 = 5;
/// Bytes of a value of the maps between `out` and the ring buffer.
const VALUE_BYTES: u32 = 16;

/// A program and what to run it on.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The program.
    pub spec: ProgramSpec,
    /// Inputs, in order.
    pub inputs: Vec<Input>,
    /// Whether an instruction was altered at random, so that it may be illegal.
    pub altered: bool,
    /// The row of the conditional jump behind each pair of marks: not taken, taken.
    pub branches: Vec<&'static str>,
}

impl Generated {
    /// The sides that a run of this program reached: `(row, taken)`, from the final contents of `out`.
    pub fn sides<'a>(&'a self, out: &'a [u8]) -> impl Iterator<Item = (&'static str, bool)> + 'a {
        let marks = out.get(80..).unwrap_or(&[]);
        self.branches.iter().zip(marks.chunks(2)).flat_map(|(&row, pair)| {
            let mut sides = Vec::new();
            sides.extend((pair.first() == Some(&1)).then_some((row, false)));
            sides.extend((pair.get(1) == Some(&1)).then_some((row, true)));
            sides
        })
    }
}

/// The program of a seed.
pub fn generate(seed: u64) -> Generated {
    let mut rng = Rng::new(seed);
    let prog_type = *rng.pick(&[ProgramType::SYSCALL, ProgramType::SOCKET_FILTER, ProgramType::XDP]);
    let mut g = Gen {
        rng,
        prog_type,
        code: Vec::new(),
        numbers: [false; 10],
        slots: [false; SLOTS as usize],
        reserved: Vec::new(),
        branches: Vec::new(),
        calls: Vec::new(),
        main: true,
        abs_loads: false,
    };
    g.abs_loads = prog_type == ProgramType::SOCKET_FILTER && g.rng.chance(60);
    g.main_function();
    let insns = g.code.clone();
    let mut generated = Generated {
        spec: ProgramSpec {
            name: format!("seed_{seed:x}"),
            maps: maps(),
            ..ProgramSpec::new(prog_type, insns)
        },
        inputs: (0..4).map(|_| g.input()).collect(),
        altered: g.rng.chance(12),
        branches: g.branches.clone(),
    };
    if generated.altered {
        g.alter(&mut generated.spec.insns);
    }
    generated
}

/// The maps of every generated program.
pub fn maps() -> Vec<Arc<MapDef>> {
    [
        MapDef::new(MapType::ARRAY, 4, OUT as u32, 1).named("out"),
        MapDef::new(MapType::ARRAY, 4, VALUE_BYTES, 4).named("array"),
        MapDef::new(MapType::HASH, 8, VALUE_BYTES, 4).named("hash"),
        MapDef::new(MapType::PERCPU_ARRAY, 4, VALUE_BYTES, 4).named("percpu_array"),
        MapDef::new(MapType::PERCPU_HASH, 8, VALUE_BYTES, 4).named("percpu_hash"),
        MapDef::new(MapType::RINGBUF, 0, 0, 4096).named("ring"),
    ]
    .map(Arc::new)
    .into()
}

struct Gen {
    rng: Rng,
    prog_type: ProgramType,
    code: Vec<Insn>,
    /// Registers 0 to 9 that hold numbers; `r6` holds the context in the main function.
    numbers: [bool; 10],
    slots: [bool; SLOTS as usize],
    /// Loop counters, which blocks leave alone.
    reserved: Vec<u8>,
    branches: Vec<&'static str>,
    /// Calls of subprograms whose distance is missing: slot, subprogram.
    calls: Vec<(usize, usize)>,
    main: bool,
    abs_loads: bool,
}

const R0: Reg = Reg::R0;
const R1: Reg = Reg::R1;
const R2: Reg = Reg::R2;
const R3: Reg = Reg::R3;
const R4: Reg = Reg::R4;
const CTX: Reg = Reg::R6;
const FP: Reg = Reg::FP;

impl Gen {
    fn op(&mut self, op: Op) -> usize {
        let at = self.code.len();
        let (first, second) = op.encode();
        self.code.push(first);
        self.code.extend(second);
        at
    }

    fn mov(&mut self, dst: Reg, imm: i32) {
        self.op(Op::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Operand::Imm(imm) });
    }

    fn mov_reg(&mut self, dst: Reg, src: Reg) {
        self.op(Op::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Operand::Reg(src) });
    }

    fn add(&mut self, dst: Reg, imm: i32) {
        self.op(Op::Alu { width: Width::W64, op: AluOp::Add, dst, src: Operand::Imm(imm) });
    }

    fn load(&mut self, size: Size, dst: Reg, src: Reg, off: i16) {
        let signed = size != Size::DW && self.rng.chance(25);
        self.op(Op::Load { size, signed, dst, src, off });
    }

    fn store(&mut self, size: Size, dst: Reg, off: i16, src: Operand) {
        self.op(Op::Store { size, dst, off, src });
    }

    fn jump_if(&mut self, op: JumpOp, dst: Reg, src: Operand) -> usize {
        self.op(Op::JumpIf { width: Width::W64, op, dst, src, off: 0 })
    }

    /// Lets the jump at `at` land on the next instruction.
    fn land(&mut self, at: usize) {
        self.code[at].off = (self.code.len() - at - 1) as i16;
    }

    /// The address `fp + off`.
    fn stack_address(&mut self, dst: Reg, off: i16) {
        self.mov_reg(dst, FP);
        self.add(dst, off.into());
    }

    fn map(&mut self, dst: Reg, map: i32) {
        self.op(Op::LoadImm64 { dst, value: Imm64::MapIdx(map) });
    }

    /// A helper call: afterwards `r0` is a number, `r1` to `r5` are gone.
    fn call(&mut self, helper: u32) {
        self.op(Op::Call(CallTarget::Helper(helper)));
        self.clobber();
        self.numbers[0] = true;
    }

    fn clobber(&mut self) {
        self.numbers[..6].fill(false);
    }

    /// A register that holds a number; `r5` is given one if none does.
    fn number(&mut self) -> Reg {
        let known: Vec<u8> = (0..10).filter(|&r| self.numbers[r as usize]).collect();
        if known.is_empty() {
            self.fresh(Reg::R5);
            return Reg::R5;
        }
        Reg(*self.rng.pick(&known))
    }

    /// A register that may be overwritten.
    fn target(&mut self) -> Reg {
        loop {
            let r = self.rng.below(10) as u8;
            if !(self.reserved.contains(&r) || self.main && r == CTX.0) {
                return Reg(r);
            }
        }
    }

    fn main_function(&mut self) {
        self.mov_reg(CTX, R1);
        for off in (OUT_OFF..OUT_OFF + OUT as i16).step_by(8) {
            self.store(Size::DW, FP, off, Operand::Imm(0));
        }
        self.store(Size::DW, FP, BYTES, Operand::Imm(0));
        for r in [0, 2, 7, 8, 9] {
            self.fresh(Reg(r));
        }
        let n = 2 + self.rng.below(6);
        for _ in 0..n {
            self.block(0);
        }
        self.report();
        self.subprograms();
    }

    /// Gives a register a number from a constant or the context.
    fn fresh(&mut self, dst: Reg) {
        if self.main && self.rng.chance(50) {
            match self.prog_type {
                ProgramType::SYSCALL => {
                    let (size, off) =
                        *self.rng.pick(&[(Size::DW, 0), (Size::DW, 8), (Size::W, 16), (Size::B, 21)]);
                    self.load(size, dst, CTX, off);
                }
                ProgramType::SOCKET_FILTER => {
                    let off = *self.rng.pick(&[0, 16]);
                    self.op(Op::Load { size: Size::W, signed: false, dst, src: CTX, off });
                }
                _ => {
                    self.op(Op::Load { size: Size::W, signed: false, dst, src: CTX, off: 16 });
                }
            }
        } else if self.rng.chance(50) {
            let value = self.rng.operand();
            self.op(Op::LoadImm64 { dst, value: Imm64::Const(value) });
        } else {
            let imm = self.rng.immediate();
            self.mov(dst, imm);
        }
        self.numbers[dst.index()] = true;
    }

    fn block(&mut self, depth: usize) {
        match self.rng.below(if depth < 3 { 14 } else { 9 }) {
            0..=3 => self.arithmetic(),
            4 => self.stack(),
            5 => self.map_lookup(),
            6 => self.map_change(),
            7 => self.ring_buffer(),
            8 => self.event_data(),
            9..=11 => self.branch(depth),
            12 => self.counted_loop(depth),
            _ => self.call_subprogram(),
        }
    }

    fn blocks(&mut self, depth: usize) {
        for _ in 0..1 + self.rng.below(3) {
            self.block(depth);
        }
    }

    fn arithmetic(&mut self) {
        for _ in 0..1 + self.rng.below(6) {
            let row = *self.rng.pick(&arithmetic_rows());
            let (dst, src, imm) = (self.target(), self.number(), self.rng.immediate());
            let op = row.op(dst, src, 0, imm);
            let reads_dst = op.uses().iter().any(|r| r == dst) && !self.numbers[dst.index()];
            if reads_dst {
                self.fresh(dst);
            }
            let op = match op {
                Op::Alu {
                    width,
                    op: op @ (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh),
                    src: Operand::Imm(i),
                    ..
                } => {
                    let bits = if width == Width::W64 { 64 } else { 32 };
                    Op::Alu { width, op, dst, src: Operand::Imm(i.rem_euclid(bits)) }
                }
                Op::Alu {
                    width,
                    op: op @ (AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod),
                    src: Operand::Imm(0),
                    ..
                } => Op::Alu { width, op, dst, src: Operand::Imm(3) },
                other => other,
            };
            self.op(op);
            self.numbers[dst.index()] = true;
        }
    }

    /// Stores, then loads and atomics in slots that hold numbers.
    fn stack(&mut self) {
        let slot = self.rng.below(SLOTS as usize);
        let off = -8 * (slot as i16 + 1);
        if !self.slots[slot] {
            let src = self.number();
            self.store(Size::DW, FP, off, Operand::Reg(src));
            self.slots[slot] = true;
        }
        let size = *self.rng.pick(&[Size::B, Size::H, Size::W, Size::DW]);
        let inner = off + (self.rng.below(8 / size.bytes()) * size.bytes()) as i16;
        match self.rng.below(7) {
            0 => {
                let imm = self.rng.immediate();
                self.store(size, FP, inner, Operand::Imm(imm));
            }
            1 => {
                let src = self.number();
                self.store(size, FP, inner, Operand::Reg(src));
            }
            2..=4 => self.atomic(off),
            5 => {
                let src = self.number();
                self.op(Op::StoreRelease { size, dst: FP, off: inner, src });
                let dst = self.target();
                self.op(Op::LoadAcquire { size, dst, src: FP, off: inner });
                self.numbers[dst.index()] = true;
            }
            _ => {
                let dst = self.target();
                self.load(size, dst, FP, inner);
                self.numbers[dst.index()] = true;
            }
        }
    }

    /// An atomic operation on the stack slot at `off`, which holds a number.
    fn atomic(&mut self, off: i16) {
        let rows: Vec<&Row> =
            table::rows().iter().filter(|r| matches!(r.op(R1, R2, 0, 0), Op::Atomic { .. })).collect();
        let row = *self.rng.pick(&rows);
        let mut src = self.number();
        if self.reserved.contains(&src.0) {
            src = R0;
        }
        for r in [src, R0] {
            if !self.numbers[r.index()] {
                self.fresh(r);
            }
        }
        let op = row.op(FP, src, off, 0);
        self.op(op);
        if matches!(op, Op::Atomic { op: AtomicOp::Cmpxchg, size: Size::W, .. }) {
            // Linux may leave the high half of r0 (docs/parity.md).
            self.op(Op::Alu { width: Width::W32, op: AluOp::Mov, dst: R0, src: Operand::Reg(R0) });
        }
    }

    /// A key or value on the stack, from numbers.
    fn on_stack(&mut self, off: i16, bytes: i16) {
        for at in (off..off + bytes).step_by(8) {
            let src = self.number();
            self.store(Size::DW, FP, at, Operand::Reg(src));
        }
    }

    /// One of the maps with keys, and a key for it at `KEY`: mostly a small one, so that keys meet again.
    fn keyed_map(&mut self) -> i32 {
        let map = *self.rng.pick(&[MAP_ARRAY, MAP_HASH, MAP_PERCPU_ARRAY, MAP_PERCPU_HASH]);
        if self.rng.chance(85) {
            let key = self.rng.below(6) as i32;
            self.store(Size::DW, FP, KEY, Operand::Imm(key));
        } else {
            self.on_stack(KEY, 8);
        }
        map
    }

    fn map_lookup(&mut self) {
        let map = self.keyed_map();
        if self.rng.chance(60) {
            self.on_stack(VALUE, 16);
            self.map(R1, map);
            self.stack_address(R2, KEY);
            self.stack_address(R3, VALUE);
            self.mov(R4, 0);
            self.call(2);
        }
        self.map(R1, map);
        self.stack_address(R2, KEY);
        self.call(1);
        self.numbers[0] = false;
        let missing = self.jump_if(JumpOp::Eq, R0, Operand::Imm(0));
        self.numbers[0] = false;
        let before = self.numbers;
        let off = self.rng.below(2) as i16 * 8;
        match self.rng.below(3) {
            0 => {
                let src = self.number();
                self.store(Size::DW, R0, off, Operand::Reg(src));
            }
            1 => {
                // `r0` is the address here, so no form that needs it as an operand.
                let src = self.number();
                if !self.reserved.contains(&src.0) {
                    let fetch = self.rng.chance(50);
                    self.op(Op::Atomic {
                        size: Size::DW,
                        op: skep_isa::AtomicOp::Add { fetch },
                        dst: R0,
                        src,
                        off,
                    });
                }
            }
            _ => {
                let dst = if self.main { Reg::R7 } else { Reg::R8 };
                if !self.reserved.contains(&dst.0) {
                    self.load(Size::W, dst, R0, off);
                }
            }
        }
        self.land(missing);
        self.numbers = before;
        self.fresh(R0);
    }

    fn map_change(&mut self) {
        let map = self.keyed_map();
        if self.rng.chance(70) {
            self.on_stack(VALUE, 16);
            self.map(R1, map);
            self.stack_address(R2, KEY);
            self.stack_address(R3, VALUE);
            let flags = *self.rng.pick(&[0, 0, 0, 1, 2, 3]);
            self.mov(R4, flags);
            self.call(2);
        } else {
            self.map(R1, map);
            self.stack_address(R2, KEY);
            self.call(3);
        }
    }

    fn ring_buffer(&mut self) {
        self.on_stack(VALUE, 16);
        if self.rng.chance(50) {
            let bytes = 1 + self.rng.below(16) as i32;
            self.map(R1, MAP_RING);
            self.stack_address(R2, VALUE);
            self.mov(R3, bytes);
            self.mov(R4, 0);
            self.call(130);
        } else {
            self.map(R1, MAP_RING);
            self.mov(R2, 8);
            self.mov(R3, 0);
            self.call(131);
            self.numbers[0] = false;
            let full = self.jump_if(JumpOp::Eq, R0, Operand::Imm(0));
            self.op(Op::Load { size: Size::DW, signed: false, dst: R1, src: FP, off: VALUE });
            self.store(Size::DW, R0, 0, Operand::Reg(R1));
            self.mov_reg(R1, R0);
            self.mov(R2, 0);
            let helper = if self.rng.chance(75) { 132 } else { 133 };
            self.call(helper);
            self.land(full);
            self.clobber();
            self.fresh(R0);
        }
    }

    /// What only this program type has: packet bytes, or its buffer.
    fn event_data(&mut self) {
        if !self.main {
            return self.arithmetic();
        }
        match self.prog_type {
            ProgramType::SOCKET_FILTER if self.abs_loads && self.rng.chance(60) => {
                let size = *self.rng.pick(&[Size::B, Size::H, Size::W]);
                // Mostly inside: a load from outside ends the program.
                let reach = if self.rng.chance(80) { 14 } else { 80 };
                let imm = self.rng.below(reach) as i32;
                let mode = if self.rng.chance(30) {
                    let index = Reg::R7;
                    if !self.reserved.contains(&7) {
                        let small = self.rng.below(4) as i32;
                        self.mov(index, small);
                        self.numbers[7] = true;
                    }
                    PacketMode::Ind(index)
                } else {
                    PacketMode::Abs
                };
                self.op(Op::LoadPacket { size, mode, imm });
                self.clobber();
                self.numbers[0] = true;
            }
            ProgramType::SOCKET_FILTER => {
                self.mov_reg(R1, CTX);
                let off = self.rng.below(100) as i32;
                self.mov(R2, off);
                self.stack_address(R3, BYTES);
                let len = 1 + self.rng.below(8) as i32;
                self.mov(R4, len);
                self.call(26);
                self.op(Op::Load { size: Size::DW, signed: false, dst: R1, src: FP, off: BYTES });
                self.numbers[1] = true;
            }
            ProgramType::XDP if self.rng.chance(25) => {
                self.mov_reg(R1, CTX);
                let delta = self.rng.below(64) as i32 - 32;
                self.mov(R2, delta);
                let helper = if self.rng.chance(50) { 44 } else { 65 };
                self.call(helper);
            }
            ProgramType::XDP => {
                let size = *self.rng.pick(&[Size::B, Size::H, Size::W, Size::DW]);
                let off = self.rng.below(40) as i16;
                self.numbers[1..6].fill(false);
                self.op(Op::Load { size: Size::W, signed: false, dst: R2, src: CTX, off: 0 });
                self.op(Op::Load { size: Size::W, signed: false, dst: R3, src: CTX, off: 4 });
                self.mov_reg(R1, R2);
                self.add(R1, i32::from(off) + size.bytes() as i32);
                self.mov(R4, 0);
                let short = self.jump_if(JumpOp::Gt, R1, Operand::Reg(R3));
                if self.rng.chance(40) {
                    let imm = self.rng.immediate();
                    self.store(size, R2, off, Operand::Imm(imm));
                } else {
                    self.load(size, R4, R2, off);
                }
                self.land(short);
                self.numbers[4] = true;
            }
            _ => {
                let src = self.number();
                self.store(Size::DW, CTX, 24, Operand::Reg(src));
            }
        }
    }

    /// A mark that this side of branch `index` was reached.
    fn mark(&mut self, index: Option<usize>, taken: bool) {
        if let Some(i) = index {
            let off = OUT_OFF + 80 + 2 * i as i16 + i16::from(taken);
            self.store(Size::B, FP, off, Operand::Imm(1));
        }
    }

    fn branch(&mut self, depth: usize) {
        let row = *self.rng.pick(&branch_rows());
        let fresh = self.target();
        if self.rng.chance(40) {
            self.fresh(fresh);
        }
        let (dst, src, imm) = (self.number(), self.number(), self.rng.immediate());
        let index = (self.main && self.branches.len() < MARKS / 2).then_some(self.branches.len());
        if index.is_some() {
            self.branches.push(row.name);
        }
        let to_taken = self.op(row.op(dst, src, 0, imm));
        let (numbers, slots) = (self.numbers, self.slots);
        self.mark(index, false);
        self.blocks(depth + 1);
        let long = self.rng.chance(20);
        let to_end = self.op(Op::Jump { off: 0, long });
        self.land(to_taken);
        let (other_numbers, other_slots) = (self.numbers, self.slots);
        (self.numbers, self.slots) = (numbers, slots);
        self.mark(index, true);
        if self.rng.chance(50) {
            self.blocks(depth + 1);
        }
        if long {
            self.code[to_end].imm = (self.code.len() - to_end - 1) as i32;
        } else {
            self.land(to_end);
        }
        // Behind the branch only what both sides know is known.
        for (n, other) in self.numbers.iter_mut().zip(other_numbers) {
            *n &= other;
        }
        for (n, other) in self.slots.iter_mut().zip(other_slots) {
            *n &= other;
        }
    }

    fn counted_loop(&mut self, depth: usize) {
        let free: Vec<u8> = [9, 8].into_iter().filter(|r| !self.reserved.contains(r)).collect();
        let Some(&counter) = free.first() else { return self.arithmetic() };
        let rounds = 1 + self.rng.below(5) as i32;
        self.mov(Reg(counter), 0);
        self.reserved.push(counter);
        // The second round begins with what the first leaves: calls lose r0 to r5.
        self.clobber();
        self.numbers[counter as usize] = true;
        let slots = self.slots;
        let start = self.code.len();
        self.blocks(depth + 1);
        self.slots = slots;
        self.add(Reg(counter), 1);
        let at = self.jump_if(JumpOp::Lt, Reg(counter), Operand::Imm(rounds));
        self.code[at].off = (start as i64 - at as i64 - 1) as i16;
        self.reserved.pop();
        self.clobber();
    }

    fn call_subprogram(&mut self) {
        if !self.main {
            return self.arithmetic();
        }
        for r in 1..=2u8 {
            let src = self.number();
            self.mov_reg(Reg(r), src);
            self.numbers[r as usize] = true;
        }
        let which = self.rng.below(2);
        let at = self.op(Op::Call(CallTarget::Subprog(0)));
        self.calls.push((at, which));
        self.clobber();
        self.numbers[0] = true;
    }

    /// Writes the subprograms that were called: two numbers in, one out.
    fn subprograms(&mut self) {
        let calls = std::mem::take(&mut self.calls);
        for which in 0..2 {
            if !calls.iter().any(|c| c.1 == which) {
                continue;
            }
            let start = self.code.len();
            for &(at, _) in calls.iter().filter(|c| c.1 == which) {
                self.code[at].imm = (start - at - 1) as i32;
            }
            self.main = false;
            self.numbers = [false; 10];
            self.numbers[1..3].fill(true);
            self.slots = [false; SLOTS as usize];
            for _ in 0..1 + self.rng.below(3) {
                self.block(2);
            }
            let src = self.number();
            self.mov_reg(R0, src);
            self.op(Op::Exit);
        }
    }

    /// Puts every known number into `out`, those on the stack folded into `r7`, which is returned.
    fn report(&mut self) {
        let folded = Reg::R7;
        if !self.numbers[folded.index()] {
            self.fresh(folded);
        }
        for slot in (0..SLOTS).filter(|&s| self.slots[s as usize]).collect::<Vec<_>>() {
            self.op(Op::Load { size: Size::DW, signed: false, dst: R1, src: FP, off: -8 * (slot + 1) });
            self.op(Op::Alu { width: Width::W64, op: AluOp::Xor, dst: folded, src: Operand::Reg(R1) });
            self.numbers[1] = true;
        }
        let known = self.numbers;
        for r in (0..10u8).filter(|&r| known[r as usize]) {
            self.store(Size::DW, FP, OUT_OFF + 8 * i16::from(r), Operand::Reg(Reg(r)));
        }
        self.store(Size::W, FP, KEY, Operand::Imm(0));
        self.map(R1, MAP_OUT);
        self.stack_address(R2, KEY);
        self.stack_address(R3, OUT_OFF);
        self.mov(R4, 0);
        self.call(2);
        self.mov_reg(R0, folded);
        self.op(Op::Exit);
    }

    fn input(&mut self) -> Input {
        match self.prog_type {
            ProgramType::SYSCALL => {
                let words = [self.rng.operand(), self.rng.operand(), self.rng.operand(), 0];
                Input { ctx: words.iter().flat_map(|w| w.to_le_bytes()).collect(), data: Vec::new() }
            }
            _ => {
                let len = 14 + self.rng.below(80);
                let mut data: Vec<u8> = (0..len).map(|_| self.rng.bits() as u8).collect();
                // A test run refuses IP packets that are shorter than their header, whatever the program is.
                if matches!(data[12..14], [0x08, 0x00] | [0x86, 0xdd]) {
                    data[12] = 0;
                }
                Input { data, ctx: Vec::new() }
            }
        }
    }

    /// Changes one field of one instruction.
    fn alter(&mut self, insns: &mut [Insn]) {
        let at = self.rng.below(insns.len());
        let insn = &mut insns[at];
        match self.rng.below(5) {
            0 => insn.dst = Reg(self.rng.below(11) as u8),
            1 => insn.src = Reg(self.rng.below(11) as u8),
            2 => insn.off = insn.off.wrapping_add(self.rng.below(33) as i16 - 16),
            3 => insn.imm = self.rng.immediate(),
            _ => insn.opcode = self.rng.pick(table::rows()).opcode,
        }
    }
}

fn arithmetic_rows() -> Vec<&'static Row> {
    let computes = |r: &&Row| {
        matches!(r.op(R1, R2, 0, 1), Op::Alu { .. } | Op::Neg { .. } | Op::MovSx { .. } | Op::Swap { .. })
    };
    table::rows().iter().filter(computes).collect()
}

fn branch_rows() -> Vec<&'static Row> {
    table::rows().iter().filter(|r| matches!(r.op(R1, R2, 0, 1), Op::JumpIf { .. })).collect()
}
