//! Blocks of a function of the program, the order to translate them in, and which registers are live at their entries.

use skep_isa::{CallTarget, Op, Reg};
use skep_verifier::Subprog;
use skep_vm::native::{Binding, Called};

use super::Unsupported;

/// A way from a block to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The other's number.
    pub(super) to: usize,
    /// By a jump, not by going on behind it.
    pub(super) taken: bool,
}

/// Instructions with one entry and one end.
#[derive(Debug)]
pub(super) struct Part {
    /// First slot.
    pub(super) start: usize,
    /// Slot behind the last.
    pub(super) end: usize,
    /// Ways on that the verifier has seen; that of a jump that is taken first.
    pub(super) ways: Vec<Way>,
}

impl Part {
    /// Slots.
    fn len(&self) -> usize {
        self.end - self.start
    }

    /// What it takes to compile it in a piece: about as much as so many instructions.
    pub(super) fn weight(&self) -> usize {
        self.len() + BLOCK_IN_PIECE
    }
}

/// A function's blocks; the first one is its beginning.
pub(super) struct Cfg {
    pub(super) blocks: Vec<Part>,
    /// Numbers of the blocks in reverse postorder.
    pub(super) order: Vec<usize>,
    /// By block, its place in this order, if it can be reached.
    pub(super) place: Vec<usize>,
    /// By block, the registers live at its entry: bit n stands for `rn`; never `r10`.
    pub(super) live_in: Vec<u16>,
    /// By block, the ways to it; the first one has one from outside.
    ways_in: Vec<u32>,
    /// Some instruction names `r10`.
    pub(super) uses_frame: bool,
    /// Some way leads back in the order.
    pub(super) has_loops: bool,
    /// Some instruction is a `may_goto`.
    pub(super) has_may_goto: bool,
    /// What it takes to compile it.
    weight: usize,
}

/// What a block takes to compile beside its instructions, in instructions: registers are handed on there.
const BLOCK: usize = 3;
/// The same in a piece: what is handed on is looked for among all that is, so that pieces of many blocks are to be small.
const BLOCK_IN_PIECE: usize = 12;

/// What an instruction leads to.
#[derive(Clone, Copy)]
enum Flow {
    /// The next one.
    On,
    /// Out of the function.
    Out,
    /// These slots: by a jump, and behind it.
    To(Option<usize>, Option<usize>),
}

/// All but `r10`.
const REGS: u16 = 0x3ff;
/// `r1` to `r5`.
const ARGS: u16 = 0x3e;

impl Cfg {
    /// `most`: the weight from which on a function is cut; then its blocks are at most half as long.
    pub(super) fn new(
        binding: &Binding<'_>,
        ops: &[Option<Op>],
        part: &Subprog,
        most: usize,
    ) -> Result<Self, Unsupported> {
        let longest = if part.end - part.start > most { (most / 2).max(1) } else { usize::MAX };
        let flow = |pc: usize, op: &Op| flow(binding, ops, pc, op);
        let mut leader = vec![false; part.end - part.start];
        leader[0] = true;
        let (mut uses_frame, mut has_may_goto) = (false, false);
        let insns = ops.iter().enumerate().take(part.end).skip(part.start);
        for (pc, op) in insns.filter_map(|(pc, op)| Some((pc, op.as_ref()?))) {
            uses_frame |= op.uses().contains(Reg::FP);
            has_may_goto |= matches!(op, Op::MayGoto { .. });
            if let Flow::To(a, b) = flow(pc, op) {
                for to in [a, b].into_iter().flatten() {
                    let Some(at) = to.checked_sub(part.start).and_then(|at| leader.get_mut(at)) else {
                        return Err(Unsupported { pc, what: "jumps out of its function".into() });
                    };
                    *at = true;
                }
            }
        }
        let mut blocks: Vec<Part> = Vec::new();
        // By slot, the number of the block that begins there.
        let mut number = vec![usize::MAX; leader.len()];
        let mut targets: Vec<Vec<(usize, bool)>> = Vec::new();
        let mut open = false;
        let mut pc = part.start;
        while pc < part.end {
            let Some(op) = &ops[pc] else {
                open = false;
                pc += 1;
                continue;
            };
            let next = pc + op.slots();
            let full = blocks.last().is_some_and(|b| b.len() >= longest);
            if leader[pc - part.start] || !open || full {
                if open {
                    targets.last_mut().expect("a block is open").push((pc, false));
                }
                number[pc - part.start] = blocks.len();
                blocks.push(Part { start: pc, end: pc, ways: Vec::new() });
                targets.push(Vec::new());
                open = true;
            }
            blocks.last_mut().expect("a block is open").end = next;
            match flow(pc, op) {
                Flow::On => {}
                Flow::Out => open = false,
                Flow::To(taken, behind) => {
                    let to = [(taken, true), (behind, false)];
                    let to = to.into_iter().filter_map(|(slot, taken)| Some((slot?, taken)));
                    targets.last_mut().expect("a block is open").extend(to);
                    open = false;
                }
            }
            pc = next;
        }
        let mut ways_in = vec![0; blocks.len()];
        ways_in[0] = 1;
        for (block, targets) in blocks.iter_mut().zip(&targets) {
            for &(slot, taken) in targets {
                let to = number[slot - part.start];
                block.ways.push(Way { to, taken });
                ways_in[to] += 1;
            }
        }
        let order = order(&blocks);
        let mut reached = vec![false; blocks.len()];
        order.iter().for_each(|&b| reached[b] = true);
        for (block, _) in blocks.iter().zip(&reached).filter(|(_, reached)| !**reached) {
            block.ways.iter().for_each(|way| ways_in[way.to] -= 1);
        }
        let live_in = live(binding, ops, &blocks, &order);
        let mut place = vec![usize::MAX; blocks.len()];
        order.iter().enumerate().for_each(|(i, b)| place[*b] = i);
        let back = |b: &usize| blocks[*b].ways.iter().any(|way| place[way.to] <= place[*b]);
        let has_loops = order.iter().any(back);
        let weight = order.iter().map(|b| blocks[*b].len() + BLOCK).sum();
        Ok(Self { blocks, order, place, live_in, ways_in, uses_frame, has_loops, has_may_goto, weight })
    }

    /// Whether what can be reached weighs more.
    pub(super) fn is_larger(&self, weight: usize) -> bool {
        self.weight > weight
    }

    /// Whether several ways lead to a block.
    pub(super) fn joins(&self, b: usize) -> bool {
        self.ways_in[b] > 1
    }

    /// The registers that are live at the entry of a block.
    pub(super) fn live(&self, b: usize) -> impl Iterator<Item = Reg> + use<> {
        let bits = self.live_in[b];
        (0..10).filter(move |n| bits >> n & 1 != 0).map(Reg)
    }
}

fn flow(binding: &Binding<'_>, ops: &[Option<Op>], pc: usize, op: &Op) -> Flow {
    // What is not reached, nobody goes to.
    let seen = |slot: usize| ops.get(slot).is_some_and(Option::is_some).then_some(slot);
    let target = |off: i32| usize::try_from(pc as i64 + 1 + i64::from(off)).ok().and_then(seen);
    match *op {
        Op::Jump { off, long: _ } => Flow::To(target(off), None),
        Op::JumpIf { off, .. } => {
            let facts = &binding.verified().insns()[pc];
            let taken = target(off.into()).filter(|_| facts.taken);
            Flow::To(taken, seen(pc + 1).filter(|_| facts.falls))
        }
        Op::MayGoto { off } => Flow::To(target(off.into()), seen(pc + 1)),
        Op::Exit => Flow::Out,
        Op::Call(_) if binding.called(pc) == Some(Called::Throw) => Flow::Out,
        _ if seen(pc + op.slots()).is_none() => Flow::Out,
        _ => Flow::On,
    }
}

/// Reverse postorder, in which what stands behind a jump comes next, if it can.
fn order(blocks: &[Part]) -> Vec<usize> {
    let mut seen = vec![false; blocks.len()];
    seen[0] = true;
    let mut post = Vec::with_capacity(blocks.len());
    let mut open = vec![(0, 0)];
    while let Some((block, next)) = open.last_mut() {
        match blocks[*block].ways.get(*next) {
            Some(way) => {
                *next += 1;
                if !std::mem::replace(&mut seen[way.to], true) {
                    open.push((way.to, 0));
                }
            }
            None => {
                post.push(*block);
                open.pop();
            }
        }
    }
    post.reverse();
    post
}

/// The registers that an instruction reads and those that it writes or loses.
pub(super) fn effect(binding: &Binding<'_>, pc: usize, op: &Op) -> (u16, u16) {
    match op {
        Op::Call(target) => {
            let count = arguments(binding, pc, *target);
            ((1 << (count + 1)) - 2, ARGS | 1)
        }
        // The context in `r6` is the runtime's affair.
        Op::LoadPacket { mode: skep_isa::PacketMode::Abs, .. } => (0, ARGS | 1),
        Op::LoadPacket { mode: skep_isa::PacketMode::Ind(reg), .. } => (1 << reg.index() & REGS, ARGS | 1),
        _ => (op.uses().bits() & REGS, op.defs().bits() & REGS),
    }
}

/// How many arguments a call is made with.
pub(super) fn arguments(binding: &Binding<'_>, pc: usize, target: CallTarget) -> usize {
    match (binding.called(pc), target) {
        (Some(Called::Lookup), _) => 2,
        (Some(Called::TailCall), _) => 3,
        (Some(Called::Throw), _) => 1,
        (_, CallTarget::Helper(id)) => {
            skep_abi::helper(id).map_or(5, |row| row.args.iter().flatten().count())
        }
        (_, CallTarget::Subprog(_) | CallTarget::Kfunc { .. }) => 5,
    }
}

/// Registers live at the entries of blocks, backwards until nothing changes.
fn live(binding: &Binding<'_>, ops: &[Option<Op>], blocks: &[Part], order: &[usize]) -> Vec<u16> {
    // What each block reads before it writes it, and what it writes.
    let effects: Vec<(u16, u16)> = blocks
        .iter()
        .map(|block| {
            let insns = (block.start..block.end).filter_map(|pc| Some((pc, ops[pc].as_ref()?)));
            insns.fold((0, 0), |(reads, writes), (pc, op)| {
                let (r, w) = effect(binding, pc, op);
                (reads | r & !writes, writes | w)
            })
        })
        .collect();
    let mut live = vec![0; blocks.len()];
    let mut changed = true;
    while std::mem::take(&mut changed) {
        for &b in order.iter().rev() {
            let out = blocks[b].ways.iter().fold(0, |out, way| out | live[way.to]);
            let (reads, writes) = effects[b];
            let new = reads | out & !writes;
            changed |= std::mem::replace(&mut live[b], new) != new;
        }
    }
    live
}
