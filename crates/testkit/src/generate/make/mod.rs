//! Makes programs.
//!
//! A program is a tree of blocks written out in order, while a small model knows which registers and stack slots
//! hold numbers. Pointers live only inside the block that makes them, so nearly all programs are legal. At the
//! end every register that holds a number, and a mark for each side of a branch that was reached, go into the
//! map `out`: all 64 bits are compared.
//!
//! ```text
//! fp-48 ..-8     six slots for numbers
//! fp-64 ..-56    the key of a map operation
//! fp-88 ..-72    a value, a record, what a function is lent
//! fp-240..-104   the value of `out`: registers 0 to 9, then marks (main functions only)
//! ```
//!
//! A main function stays below 256 bytes, so that the functions it calls may tail-call.

mod alter;
mod alu;
mod branch;
mod callbacks;
mod calls;
mod dynptrs;
mod emit;
mod helpers;
mod inner;
mod input;
mod kinds;
mod locks;
mod loops;
mod maps;
mod memory;
mod packet;
mod queues;
mod records;
mod report;
mod tails;
mod types;

use std::ops::Range;
use std::sync::Arc;

use skep_abi::AttachType;
use skep_isa::{Insn, Reg};
use skep_spec::{FuncInfo, MapDef, ProgramSpec};

use kinds::Kind;

use super::rng::Rng;
use crate::oracle::{Inside, Tail};

/// Bytes of `out`: ten registers and the marks.
pub(super) const OUT: usize = 80 + MARKS;
/// Marks of branch sides in the main function.
const MARKS: usize = 64;
const OUT_OFF: i16 = -240;
const SLOTS: usize = 6;
const KEY: i16 = -64;
const KEY_BYTES: i16 = 16;
const VALUE: i16 = -88;
const VALUE_BYTES: i16 = 24;

/// Slots after which a function takes no more blocks that grow.
const LONG: usize = 700;

const R0: Reg = Reg::R0;
const R1: Reg = Reg::R1;
const R2: Reg = Reg::R2;
const R3: Reg = Reg::R3;
const R4: Reg = Reg::R4;
const R5: Reg = Reg::R5;
const R6: Reg = Reg::R6;
const R7: Reg = Reg::R7;
const FP: Reg = Reg::FP;

/// What is known to hold numbers.
#[derive(Clone, Copy, Default)]
struct Known {
    /// Registers 0 to 9.
    regs: [bool; 10],
    slots: [bool; SLOTS],
}

impl Known {
    /// What both know.
    fn meet(&mut self, other: Self) {
        self.regs.iter_mut().zip(other.regs).for_each(|(a, b)| *a &= b);
        self.slots.iter_mut().zip(other.slots).for_each(|(a, b)| *a &= b);
    }
}

/// The function that is being written.
#[derive(Default)]
struct Frame {
    /// 0 for a main function, else one more than its callers.
    level: usize,
    known: Known,
    /// Registers that blocks leave alone: pointers, loop counters.
    held: Vec<u8>,
    /// A helper calls it: it returns 0 or 1.
    called_back: bool,
    /// Holds the context.
    ctx: Option<Reg>,
    /// Points to what the caller lends: `VALUE_BYTES` of its stack.
    lent: Option<Reg>,
}

/// A program while it is written.
struct Gen {
    rng: Rng,
    kind: &'static Kind,
    code: Vec<Insn>,
    frame: Frame,
    functions: Vec<calls::Function>,
    /// Where the functions that `bpf_loop` calls stand.
    rounds: Vec<Range<usize>>,
    /// Where the functions start.
    starts: Vec<FuncInfo>,
    /// The row of the conditional jump behind each pair of marks.
    branches: Vec<&'static str>,
    /// Instructions that bound loops: altering them costs much time and shows little.
    loop_control: Vec<usize>,
    maps: Vec<Arc<MapDef>>,
    /// The program's key in `out`.
    number: u32,
    /// Programs that may be tail-called, this one among them.
    tails: u32,
    /// Loads the packet by `LD_ABS`, which no function that is called may.
    legacy_loads: bool,
}

/// Programs over the same maps, and what is known about them.
pub(super) struct Made {
    pub spec: ProgramSpec,
    pub tails: Vec<Tail>,
    pub insides: Vec<Inside>,
    pub branches: Vec<&'static str>,
    pub loop_control: Vec<usize>,
    kind: &'static Kind,
    pub rng: Rng,
}

/// Makes the programs of a seed.
pub(super) fn make(seed: u64) -> Made {
    let mut rng = Rng::new(seed);
    let kind = kinds::pick(&mut rng);
    let tails = if !kind.sleeps() && rng.chance(20) { 1 + rng.below(2) as u32 } else { 0 };
    let mut g = Gen {
        kind,
        code: Vec::new(),
        frame: Frame::default(),
        functions: Vec::new(),
        rounds: Vec::new(),
        starts: Vec::new(),
        branches: Vec::new(),
        loop_control: Vec::new(),
        maps: vec![Arc::new(maps::out(1 + tails))],
        number: 0,
        tails,
        legacy_loads: kind.row.legacy_loads && rng.chance(60),
        rng,
    };
    let n = 2 + g.rng.below(6);
    g.program(n);
    let mut all = vec![g.take_code()];
    let branches = std::mem::take(&mut g.branches);
    let loop_control = std::mem::take(&mut g.loop_control);
    for number in 1..=tails {
        g.number = number;
        let n = 1 + g.rng.below(3);
        g.program(n);
        all.push(g.take_code());
        g.branches.clear();
    }
    let attach_types = kind.row.attach_types;
    let attach_type = match attach_types {
        [] => AttachType::UNSPEC,
        some => *g.rng.pick(some),
    };
    let mut specs = all.into_iter().zip(0..).map(|((insns, func_info), number)| ProgramSpec {
        name: if number == 0 { format!("seed_{seed:x}") } else { format!("tail_{number}") },
        maps: g.maps.clone(),
        btf: Some(types::btf()),
        func_info,
        attach_type,
        ..ProgramSpec::new(kind.row.id, insns)
    });
    let spec = specs.next().unwrap_or_default();
    let map = g.maps.iter().position(|m| m.kind == skep_abi::MapType::PROG_ARRAY);
    let tails = specs.zip(0..).filter_map(|(spec, index)| Some(Tail { map: map?, index, spec })).collect();
    let insides = inner::insides(&g.maps);
    Made { spec, tails, insides, branches, loop_control, kind, rng: g.rng }
}

/// A kind of block: how often, where it may stand, what writes it.
struct Block {
    weight: usize,
    fits: fn(&Gen, usize) -> bool,
    write: fn(&mut Gen, usize),
}

const ANYWHERE: fn(&Gen, usize) -> bool = |_, _| true;

const BLOCKS: &[Block] = &[
    Block { weight: 16, fits: ANYWHERE, write: |g, _| g.arithmetic() },
    Block { weight: 6, fits: ANYWHERE, write: |g, _| g.stack() },
    Block { weight: 2, fits: |g, _| g.frame.lent.is_some(), write: |g, _| g.lent_memory() },
    Block { weight: 6, fits: Gen::grows, write: |g, depth| g.map_lookup(depth) },
    Block { weight: 5, fits: ANYWHERE, write: |g, _| g.map_change() },
    Block { weight: 3, fits: ANYWHERE, write: |g, _| g.map_value() },
    Block { weight: 3, fits: |g, d| g.grows(d) && g.may_lock(), write: |g, _| g.locked_value() },
    Block { weight: 4, fits: ANYWHERE, write: |g, _| g.ring_buffer() },
    Block { weight: 3, fits: ANYWHERE, write: |g, _| g.queue() },
    Block { weight: 2, fits: ANYWHERE, write: |g, _| g.this_cpu_value() },
    Block { weight: 2, fits: Gen::grows, write: |g, _| g.map_in_map() },
    Block { weight: 2, fits: |g, d| g.grows(d) && g.may_have_dynptrs(), write: |g, _| g.dynptr() },
    Block { weight: 5, fits: ANYWHERE, write: |g, _| g.helper_call() },
    Block { weight: 6, fits: |g, _| g.frame.ctx.is_some(), write: |g, _| g.event_data() },
    Block { weight: 12, fits: Gen::grows, write: |g, depth| g.branch(depth) },
    Block { weight: 4, fits: Gen::grows, write: |g, depth| g.counted_loop(depth) },
    Block { weight: 5, fits: |g, d| g.grows(d) && g.frame.level < 2, write: |g, _| g.call_function() },
    Block { weight: 3, fits: Gen::may_call_back, write: |g, _| g.call_back() },
    Block { weight: 1, fits: |g, _| g.frame.level > 0, write: |g, _| g.early_return() },
    Block { weight: 4, fits: |g, _| g.may_tail_call(), write: |g, _| g.tail_call() },
];

impl Gen {
    /// Whether there is room for blocks inside blocks.
    fn grows(&self, depth: usize) -> bool {
        depth < 3 && self.code.len() < LONG
    }

    fn block(&mut self, depth: usize) {
        let fitting: Vec<&Block> = BLOCKS.iter().filter(|b| (b.fits)(self, depth)).collect();
        let write = self.rng.weighted(&fitting, |b| b.weight).write;
        write(self, depth);
    }

    fn blocks(&mut self, depth: usize) {
        for _ in 0..1 + self.rng.below(3) {
            self.block(depth);
        }
    }

    fn take_code(&mut self) -> (Vec<Insn>, Vec<FuncInfo>) {
        (std::mem::take(&mut self.code), std::mem::take(&mut self.starts))
    }

    /// A main function of about `n` blocks, and the functions that it calls.
    fn program(&mut self, n: usize) {
        self.frame = Frame { ctx: Some(R6), held: vec![R6.0], ..Frame::default() };
        self.starts.push(types::info(types::Role::Main, 0));
        self.mov_reg(R6, R1);
        self.clear_out();
        self.no_growth();
        for r in [0, 2, 7, 8, 9] {
            self.fresh(Reg(r));
        }
        for _ in 0..n {
            self.block(0);
        }
        self.report();
        self.write_functions();
        self.spare_linux();
    }
}
