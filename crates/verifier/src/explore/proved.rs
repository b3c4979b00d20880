//! What engines may rely on, collected from all paths: see [`crate::InsnFacts`] for why it holds on paths, too, that were
//! not explored to their end.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use skep_abi::ArgKind;
use skep_isa::{AluOp, CallTarget, Op, Operand, Reg, Width};

use crate::check::{Facts, Target};
use crate::contract::{self, DynptrChange, Returned};
use crate::kernel::IterStep;
use crate::liveness;
use crate::program::Program;
use crate::state::{Dynptr, Kind, State, place};
use crate::{FrameBytes, InsnFacts};

/// What all paths agree on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Agreed<T> {
    /// No path has said anything.
    #[default]
    Open,
    One(T),
    /// There is no such thing on some path, or another on another.
    No,
}

impl<T: Copy + PartialEq> Agreed<T> {
    fn add(&mut self, now: Option<T>) {
        *self = match (*self, now) {
            (Self::Open, Some(now)) => Self::One(now),
            (Self::One(before), Some(now)) if before == now => Self::One(now),
            (Self::Open | Self::One(_) | Self::No, _) => Self::No,
        };
    }

    fn get(self) -> Option<T> {
        match self {
            Self::One(value) => Some(value),
            Self::Open | Self::No => None,
        }
    }
}

/// Of one instruction.
#[derive(Debug, Default)]
struct Noted {
    /// Bytes that it, or what it calls, may touch of the frame that it runs in.
    frame: FrameBytes,
    map: Agreed<u16>,
    key: Agreed<u32>,
    callback: Agreed<u16>,
}

/// Of a function.
#[derive(Clone, Debug, Default)]
struct OfFrame {
    /// Bytes that accesses may touch which are not known to go to the stack.
    escaped: FrameBytes,
    /// Bytes that are read as data: by calls, or by accesses that may lie at several places.
    as_data: FrameBytes,
    /// Bytes that the address of another function's frame, or of this one's, is stored in: the function, the bytes.
    addresses: Vec<(usize, FrameBytes)>,
}

/// What was collected.
#[derive(Debug)]
pub(super) struct Proved {
    insns: BTreeMap<usize, Noted>,
    frames: Vec<OfFrame>,
}

impl Proved {
    pub(super) fn new(p: &Program<'_>) -> Self {
        let mut frames = Vec::new();
        frames.resize(p.subprogs.len(), OfFrame::default());
        Self { insns: BTreeMap::new(), frames }
    }

    /// Notes what the instruction at `pc` does in a state that it was found safe in.
    pub(super) fn note(&mut self, p: &Program<'_>, s: &State, pc: usize, op: Op, facts: &Facts) {
        if let Some(target) = facts.target {
            self.access(s, pc, op, target);
        }
        match op {
            Op::Call(CallTarget::Subprog(_)) if facts.helper.is_none() => {}
            Op::Call(_) => self.call(p, s, pc, op, facts),
            Op::Alu { width, op, dst, src } => self.alu(s, width, op, dst, src),
            _ => {}
        }
    }

    /// An access to memory.
    fn access(&mut self, s: &State, pc: usize, op: Op, target: Target) {
        let (base, size, stored, data) = match op {
            Op::Load { size, src, .. } | Op::LoadAcquire { size, src, .. } => (src, size, None, false),
            Op::Store { size, dst, src: Operand::Reg(src), .. } | Op::StoreRelease { size, dst, src, .. } => {
                (dst, size, Some(src), false)
            }
            Op::Store { size, dst, .. } => (dst, size, None, false),
            Op::Atomic { size, dst, src, .. } => (dst, size, Some(src), true),
            _ => return,
        };
        let pointer = stored.and_then(|reg| frame_of(s, reg));
        let Target::Stack { frame, min, max } = target else {
            if let Some(to) = pointer {
                self.escape(s, to, FrameBytes::ALL);
            }
            return;
        };
        // Most accesses say all about themselves.
        if base == Reg::FP && pointer.is_none() && !data {
            return;
        }
        let bytes = FrameBytes::range(min.into(), i64::from(max) + size.bytes() as i64);
        let of = s.frames[frame].subprog;
        if let Some(to) = pointer {
            self.frames[of].store_address(s.frames[to].subprog, bytes);
        }
        if data || min != max {
            self.frames[of].as_data = self.frames[of].as_data.or(bytes);
        }
        if base != Reg::FP {
            self.touch(s, pc, frame, bytes);
        }
    }

    /// An address is no address any more once it is computed with in other ways than these.
    fn alu(&mut self, s: &State, width: Width, op: AluOp, dst: Reg, src: Operand) {
        let from = match src {
            Operand::Reg(src) => frame_of(s, src),
            Operand::Imm(_) => None,
        };
        let to = if op == AluOp::Mov { None } else { frame_of(s, dst) };
        if (from, to) == (None, None) {
            return;
        }
        let stays = width == Width::W64
            && match op {
                AluOp::Mov | AluOp::Add => true,
                // The distance of two places in one stack is none in itself.
                AluOp::Sub => from.is_none() || to.is_some(),
                _ => false,
            };
        for frame in [from, to].into_iter().flatten().filter(|_| !stays) {
            self.escape(s, frame, FrameBytes::ALL);
        }
    }

    /// A call that is not followed.
    fn call(&mut self, p: &Program<'_>, s: &State, pc: usize, op: Op, facts: &Facts) {
        let helper = facts.helper.as_ref();
        let noted = self.insns.entry(pc).or_default();
        noted.map.add(helper.and_then(|h| h.map).filter(|map| usize::from(*map) < p.spec.maps.len()));
        noted.key.add(helper.and_then(|h| h.key));
        noted.callback.add(helper.and_then(|h| h.callback).map(|c| c.subprog));
        let mut touched: Vec<(usize, FrameBytes)> = Vec::new();
        let range = |off: i32, len: usize| FrameBytes::range(off.into(), i64::from(off) + len as i64);
        let made = helper.and_then(|h| match h.dynptr {
            Some(DynptrChange::Made { at, .. }) => Some((at.frame, at.off(), Dynptr::BYTES)),
            Some(DynptrChange::Ended { .. }) | None => None,
        });
        let written = helper.into_iter().flat_map(|h| &h.stack_writes).map(|w| (w.frame, w.off, w.len));
        let known = || facts.stack_reads.iter().copied().chain(written.clone()).chain(made);
        touched.extend(known().map(|(frame, off, len)| (frame, range(off, len))));
        for reg in liveness::effects(p, op).0.iter() {
            let Some(frame) = frame_of(s, reg) else { continue };
            let value = s.reg(reg);
            let from = i64::from(value.off).saturating_add(value.val.smin());
            if !is_number(p, op, reg) && known().any(|(f, off, _)| (f, i64::from(off)) == (frame, from)) {
                continue;
            }
            let stack = &s.frames[frame].stack;
            let dynptr = (-512..0).contains(&from) && stack.dynptr(place(from as i32).0).is_some();
            touched.push((frame, if dynptr { range(from as i32, Dynptr::BYTES) } else { FrameBytes::ALL }));
        }
        // What is printed stands in registers that are no arguments to the prototype, and nobody looks at.
        if op == Op::Call(CallTarget::Helper(contract::TRACE_PRINTK)) {
            touched.extend((0..s.frames.len()).map(|frame| (frame, FrameBytes::ALL)));
        }
        // A slice may be the buffer that it was to be copied to, an element a part of its iterator.
        let gives = match op {
            Op::Call(CallTarget::Kfunc { .. }) => helper.is_some_and(|h| gives_memory(h.ret)),
            _ => false,
        };
        let gives = gives || facts.iter.as_ref().is_some_and(|call| call.function.step == IterStep::Next);
        for (frame, bytes) in touched.into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
            self.touch(s, pc, frame, bytes);
            let of = &mut self.frames[s.frames[frame].subprog];
            of.as_data = of.as_data.or(bytes);
            if gives {
                of.escaped = of.escaped.or(bytes);
            }
        }
    }

    /// The running instruction touches bytes of a frame: the instruction itself of its own, and of a caller's the call
    /// there.
    fn touch(&mut self, s: &State, pc: usize, frame: usize, bytes: FrameBytes) {
        let pc = s.frames.get(frame + 1).map_or(pc, |called| called.callsite);
        let noted = self.insns.entry(pc).or_default();
        noted.frame = noted.frame.or(bytes);
    }

    fn escape(&mut self, s: &State, frame: usize, bytes: FrameBytes) {
        let of = &mut self.frames[s.frames[frame].subprog];
        of.escaped = of.escaped.or(bytes);
    }

    /// Puts what was collected into the facts of instructions; gives by instruction what of its own frame it touches, and
    /// by function what of its frame has escaped.
    pub(super) fn finish(
        self,
        p: &Program<'_>,
        insns: &mut [InsnFacts],
    ) -> (BTreeMap<usize, FrameBytes>, Vec<FrameBytes>) {
        let mut touched = BTreeMap::new();
        for (pc, noted) in self.insns {
            let facts = &mut insns[pc];
            facts.map = noted.map.get();
            facts.key = noted.key.get();
            facts.callback = noted.callback.get().map(|subprog| p.subprogs[usize::from(subprog)].start);
            if !noted.frame.is_empty() {
                touched.insert(pc, noted.frame);
            }
        }
        let mut escaped: Vec<_> = self.frames.iter().map(|f| f.escaped).collect();
        for frame in &self.frames {
            for (to, at) in &frame.addresses {
                if !at.and(frame.as_data).is_empty() {
                    escaped[*to] = FrameBytes::ALL;
                }
            }
        }
        (touched, escaped)
    }
}

impl OfFrame {
    fn store_address(&mut self, of: usize, bytes: FrameBytes) {
        match self.addresses.iter_mut().find(|(to, _)| *to == of) {
            Some((_, at)) => *at = at.or(bytes),
            None => self.addresses.push((of, bytes)),
        }
    }
}

/// The frame that a register points to.
fn frame_of(s: &State, reg: Reg) -> Option<usize> {
    match s.reg(reg).kind {
        Kind::Stack { frame } => Some(frame.into()),
        _ => None,
    }
}

/// Whether a helper takes an argument for a number, which may yet be an address for it.
fn is_number(p: &Program<'_>, op: Op, reg: Reg) -> bool {
    let Op::Call(CallTarget::Helper(id)) = op else { return false };
    let arg =
        p.env.helper_of(p.row, id).and_then(|h| h.args.get(reg.index().wrapping_sub(1)).copied().flatten());
    arg.is_none_or(|arg| arg.kind == ArgKind::Anything)
}

/// Whether what a function of the kernel returns may be memory that it was given.
fn gives_memory(ret: Returned) -> bool {
    match ret {
        Returned::Void | Returned::Integer | Returned::Within(..) => false,
        Returned::MapValue { .. }
        | Returned::Memory { .. }
        | Returned::Probed
        | Returned::Record { .. }
        | Returned::Sock(_)
        | Returned::Local { .. }
        | Returned::Slice { .. }
        | Returned::Object { .. } => true,
    }
}
