//! Stack slots that nothing else can touch become values.
//!
//! An access is known when its address is the frame's end and a constant. Bytes that calls and services may touch behind the
//! function's back stay in memory, and so does everything if an access may be anywhere in the frame. What remains falls into
//! slots: bytes that accesses join, at most eight. A slot is a variable, which gets block parameters where ways meet;
//! accesses to a part of it shift and mask.
//!
//! Nothing is read before it is written, or it was to be zero ([`Function::zeroed`]): a variable begins as zero.

use skep_isa::Size;

use super::{Bin, Block, FrameUse, Function, Op, Ty, Val};

/// Bytes of a variable.
const MOST: i64 = 8;

/// Turns the slots of a function into values. Parameters that are not needed stay, for [`super::dead`].
pub fn slots(f: &mut Function) {
    // The frame of a piece is that of the others, too.
    if f.piece {
        return;
    }
    let Some(found) = find(f) else { return };
    if found.is_empty() {
        return;
    }
    Rewrite::new(f, found).run();
}

/// The bytes `from..to` below the frame's end, as a value.
#[derive(Clone, Copy, Debug)]
struct Slot {
    from: i64,
    to: i64,
}

impl Slot {
    fn ty(self) -> Ty {
        if self.to - self.from <= 4 { Ty::I32 } else { Ty::I64 }
    }
}

/// The frame bytes of an access whose base is the frame's end.
fn bytes(f: &Function, op: &Op) -> Option<(i64, i64)> {
    let (base, off, size) = match *op {
        Op::Load { base, off, size, .. } | Op::Store { base, off, size, .. } => (base, off, size),
        _ => return None,
    };
    (f.node(base).op == Op::Frame).then_some((i64::from(off), i64::from(off) + size.bytes() as i64))
}

/// The slots that can be values, ascending; `None` when some access may be to any of them.
fn find(f: &Function) -> Option<Vec<Slot>> {
    let mut known = Vec::new();
    let mut kept: Vec<(i64, i64)> = Vec::new();
    for v in f.blocks.iter().flat_map(|b| &b.insts) {
        let op = &f.node(*v).op;
        match op {
            Op::Load { region, .. } | Op::Store { region, .. } => match bytes(f, op) {
                Some(range) => known.push(range),
                None if region.may_be_frame() => return None,
                None => {}
            },
            Op::Atomic { base, off, size, region, .. }
            | Op::LoadAcquire { base, off, size, region }
            | Op::StoreRelease { base, off, size, region, .. } => {
                if f.node(*base).op == Op::Frame {
                    kept.push((i64::from(*off), i64::from(*off) + size.bytes() as i64));
                } else if region.may_be_frame() {
                    return None;
                }
            }
            Op::Call { frame, .. } | Op::Service { frame, .. } => match frame {
                FrameUse::All => return None,
                FrameUse::Bytes(used) => kept.extend(used.iter().map(|b| (b.from.into(), b.to.into()))),
            },
            _ => {}
        }
    }
    known.sort_unstable();
    known.dedup();
    let mut slots: Vec<Slot> = Vec::new();
    for (from, to) in known {
        match slots.last_mut() {
            Some(last) if from < last.to => last.to = last.to.max(to),
            _ => slots.push(Slot { from, to }),
        }
    }
    let meets = |s: &Slot| kept.iter().any(|(from, to)| *from < s.to && s.from < *to);
    slots.retain(|s| s.to - s.from <= MOST && !meets(s));
    Some(slots)
}

struct Rewrite<'f> {
    f: &'f mut Function,
    slots: Vec<Slot>,
    /// By value: what stands in its place.
    to: Vec<Val>,
    /// By block: the value of each slot at its end.
    ends: Vec<Vec<Val>>,
    /// By block: the slots that it has parameters for, in the order of these.
    taken: Vec<Vec<usize>>,
    /// What slots begin as, by type.
    zeros: [Val; 2],
    /// The instructions of the block at hand.
    out: Vec<Val>,
}

impl<'f> Rewrite<'f> {
    fn new(f: &'f mut Function, slots: Vec<Slot>) -> Self {
        let zeros = [f.add(Op::Const(0), Ty::I32, 0), f.add(Op::Const(0), Ty::I64, 0)];
        let to = (0..f.nodes.len() as u32).map(Val).collect();
        let (ends, taken) = (vec![Vec::new(); f.blocks.len()], vec![Vec::new(); f.blocks.len()]);
        Self { f, slots, to, ends, taken, zeros, out: Vec::new() }
    }

    fn zero(&self, slot: usize) -> Val {
        match self.slots[slot].ty() {
            Ty::I32 => self.zeros[0],
            Ty::I64 | Ty::None => self.zeros[1],
        }
    }

    fn run(mut self) {
        let live = self.live();
        let order = self.f.order();
        let predecessors = super::dead::predecessors(self.f);
        let mut done = vec![false; self.f.blocks.len()];
        for &b in &order {
            let at = b.0 as usize;
            // All of a single predecessor's values are known by now.
            let from = match predecessors[at][..] {
                [(from, _)] if done[from.0 as usize] => Some(from),
                _ => None,
            };
            let mut values = match from {
                _ if at == 0 => (0..self.slots.len()).map(|s| self.zero(s)).collect(),
                Some(from) => self.ends[from.0 as usize].clone(),
                None => self.parameters(b, &live[at]),
            };
            self.block(b, &mut values);
            self.ends[at] = values;
            done[at] = true;
        }
        for &b in &order {
            let ends = &self.ends[b.0 as usize];
            for edge in self.f.blocks[b.0 as usize].term.edges_mut() {
                edge.args.extend(self.taken[edge.to.0 as usize].iter().map(|s| ends[*s]));
            }
        }
        let mut entry = self.zeros.to_vec();
        entry.append(&mut self.f.blocks[0].insts);
        self.f.blocks[0].insts = entry;
        self.f.replace(&self.to);
    }

    /// By block: whether the slot may still be read as it is at the block's start.
    fn live(&self) -> Vec<Vec<bool>> {
        let n = self.slots.len();
        let count = self.f.blocks.len();
        let (mut reads, mut writes) = (vec![vec![false; n]; count], vec![vec![false; n]; count]);
        for (b, block) in self.f.blocks() {
            let at = b.0 as usize;
            for v in &block.insts {
                let op = &self.f.node(*v).op;
                let Some((slot, from, to)) = self.slot(op) else { continue };
                let whole = self.slots[slot].from == from && self.slots[slot].to == to;
                match op {
                    Op::Store { .. } if whole => writes[at][slot] = true,
                    // A part is written into what was there.
                    _ => reads[at][slot] |= !writes[at][slot],
                }
            }
        }
        let order = self.f.order();
        let mut live = reads.clone();
        loop {
            let mut changed = false;
            for &b in order.iter().rev() {
                let at = b.0 as usize;
                for edge in self.f.blocks[at].term.edges() {
                    for slot in 0..n {
                        if live[edge.to.0 as usize][slot] && !writes[at][slot] && !live[at][slot] {
                            live[at][slot] = true;
                            changed = true;
                        }
                    }
                }
            }
            if !changed {
                return live;
            }
        }
    }

    /// The slot of an access, and its bytes.
    fn slot(&self, op: &Op) -> Option<(usize, i64, i64)> {
        let (from, to) = bytes(self.f, op)?;
        let at = self.slots.partition_point(|s| s.to <= from);
        let slot = self.slots.get(at)?;
        (slot.from <= from && to <= slot.to).then_some((at, from, to))
    }

    /// A parameter for each slot that may be read.
    fn parameters(&mut self, b: Block, live: &[bool]) -> Vec<Val> {
        let mut values = Vec::with_capacity(self.slots.len());
        for (slot, live) in live.iter().enumerate() {
            if !live {
                values.push(self.zero(slot));
                continue;
            }
            let (ty, pc) = (self.slots[slot].ty(), self.f.blocks[b.0 as usize].term_pc);
            let param = self.add(Op::Param, ty, pc);
            self.f.blocks[b.0 as usize].params.push(param);
            self.taken[b.0 as usize].push(slot);
            values.push(param);
        }
        values
    }

    fn add(&mut self, op: Op, ty: Ty, pc: u32) -> Val {
        let v = self.f.add(op, ty, pc);
        self.to.push(v);
        v
    }

    fn put(&mut self, op: Op, ty: Ty, pc: u32) -> Val {
        let v = self.add(op, ty, pc);
        self.out.push(v);
        v
    }

    fn put_constant(&mut self, c: u64, ty: Ty, pc: u32) -> Val {
        self.put(Op::Const(if ty == Ty::I32 { u64::from(c as u32) } else { c }), ty, pc)
    }

    fn block(&mut self, b: Block, values: &mut [Val]) {
        let insts = core::mem::take(&mut self.f.blocks[b.0 as usize].insts);
        for v in insts {
            let node = self.f.node(v).clone();
            let Some((slot, from, to)) = self.slot(&node.op) else {
                self.out.push(v);
                continue;
            };
            match node.op {
                Op::Store { value, size, .. } => {
                    values[slot] = self.written(values[slot], slot, (from, to), (value, size), node.pc);
                }
                _ => self.to[v.0 as usize] = self.read(values[slot], slot, (from, to), node.ty, node.pc),
            }
        }
        self.f.blocks[b.0 as usize].insts = core::mem::take(&mut self.out);
    }

    /// As many bits of a value as an access has, as another type.
    fn converted(&mut self, v: Val, ty: Ty, pc: u32) -> Val {
        match (self.f.ty(v), ty) {
            (Ty::I64, Ty::I32) => self.put(Op::Trunc(v), Ty::I32, pc),
            (Ty::I32, Ty::I64) => self.put(Op::Zext(v), Ty::I64, pc),
            _ => v,
        }
    }

    /// The low bits of a value, zeros above.
    fn low(&mut self, v: Val, size: i64, pc: u32) -> Val {
        let ty = self.f.ty(v);
        if size * 8 >= if ty == Ty::I32 { 32 } else { 64 } {
            return v;
        }
        let mask = self.put_constant((1 << (size * 8)) - 1, ty, pc);
        self.put(Op::Bin(Bin::And, v, mask), ty, pc)
    }

    fn shifted(&mut self, bin: Bin, v: Val, by: i64, pc: u32) -> Val {
        if by == 0 {
            return v;
        }
        let ty = self.f.ty(v);
        let by = self.put_constant((by * 8) as u64, ty, pc);
        self.put(Op::Bin(bin, v, by), ty, pc)
    }

    /// What a load of some bytes of a slot gives.
    fn read(&mut self, now: Val, slot: usize, (from, to): (i64, i64), ty: Ty, pc: u32) -> Val {
        let first = self.place(slot, from, to);
        let shifted = self.shifted(Bin::Shr, now, first, pc);
        let low = self.low(shifted, to - from, pc);
        self.converted(low, ty, pc)
    }

    /// Where in the number some bytes of a slot begin.
    fn place(&self, slot: usize, from: i64, to: i64) -> i64 {
        if cfg!(target_endian = "little") { from - self.slots[slot].from } else { self.slots[slot].to - to }
    }

    /// What a slot is after a store to some bytes of it.
    fn written(
        &mut self,
        now: Val,
        slot: usize,
        (from, to): (i64, i64),
        (value, size): (Val, Size),
        pc: u32,
    ) -> Val {
        let ty = self.slots[slot].ty();
        let value = self.converted(value, ty, pc);
        let len = size.bytes() as i64;
        let whole = self.slots[slot].to - self.slots[slot].from == len;
        let low = self.low(value, len, pc);
        if whole {
            return low;
        }
        let first = self.place(slot, from, to);
        let placed = self.shifted(Bin::Shl, low, first, pc);
        let mask = (u64::MAX >> (64 - 8 * len)) << (8 * first);
        let others = self.put_constant(!mask, ty, pc);
        let kept = self.put(Op::Bin(Bin::And, now, others), ty, pc);
        self.put(Op::Bin(Bin::Or, kept, placed), ty, pc)
    }
}
