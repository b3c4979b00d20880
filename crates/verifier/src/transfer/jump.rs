//! Conditional jumps: what is known on either side.

use alloc::boxed::Box;
use alloc::vec::Vec;

use skep_abi::MapType;
use skep_isa::{JumpOp, Operand, Reg as R, RegSet, Width};

use crate::domain::{Bits, Branches, Cmp, Scalar};
use crate::limits;
use crate::program::Program;
use crate::state::{Delta, Kind, Range, Reg, Sock, State};

/// Where a register is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A register of a frame.
    Reg(usize, R),
    /// A stack slot of a frame.
    Slot(usize, usize),
}

/// Both sides of a branch.
pub(crate) struct Split {
    pub(crate) not_taken: State,
    pub(crate) taken: State,
    /// Registers that learned from the comparison together.
    pub(crate) linked: Vec<Place>,
}

/// Most registers that learn together (the kernel's `LINKED_REGS_MAX`).
const MOST_LINKED: usize = 6;

fn bits(width: Width) -> Bits {
    match width {
        Width::W32 => Bits::B32,
        Width::W64 => Bits::B64,
    }
}

fn cmp(op: JumpOp) -> Cmp {
    match op {
        JumpOp::Eq => Cmp::Eq,
        JumpOp::Ne => Cmp::Ne,
        JumpOp::Set => Cmp::Set,
        JumpOp::Gt => Cmp::Gt,
        JumpOp::Ge => Cmp::Ge,
        JumpOp::Lt => Cmp::Lt,
        JumpOp::Le => Cmp::Le,
        JumpOp::Sgt => Cmp::Sgt,
        JumpOp::Sge => Cmp::Sge,
        JumpOp::Slt => Cmp::Slt,
        JumpOp::Sle => Cmp::Sle,
    }
}

fn operand(s: &State, src: Operand) -> Reg {
    match src {
        Operand::Reg(r) => s.reg(r).clone(),
        Operand::Imm(i) => Reg::scalar(Scalar::known(i64::from(i) as u64)),
    }
}

/// How a comparison comes out.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// It is known.
    pub(crate) taken: Option<bool>,
    /// Of two numbers, what either side teaches if it is not.
    pub(crate) branches: Option<Box<Branches>>,
}

/// Compares what is known of both sides.
pub(crate) fn outcome(s: &State, width: Width, op: JumpOp, dst: R, src: Operand) -> Outcome {
    let (a, b) = (s.reg(dst), operand(s, src));
    if !a.is_scalar() || !b.is_scalar() {
        return Outcome { taken: of_pointers(width, op, a, &b), branches: None };
    }
    if let (Some(x), Some(y)) = (a.val.as_const(), b.val.as_const()) {
        return Outcome { taken: Some(cmp(op).holds(bits(width), x, y)), branches: None };
    }
    let branches = cmp(op).branches(bits(width), &a.val, &b.val);
    match branches.decided() {
        None => Outcome { taken: None, branches: Some(Box::new(branches)) },
        taken => Outcome { taken, branches: None },
    }
}

fn of_pointers(width: Width, op: JumpOp, a: &Reg, b: &Reg) -> Option<bool> {
    if width == Width::W64 && a.kind.is_packet_any() && b.kind.is_packet_any() {
        return against_end(op, a, b);
    }
    // The low half of an address may be 0, the whole may not.
    let (ptr, number) = if a.is_pointer() { (a, b) } else { (b, a) };
    if width == Width::W32 || !ptr.is_not_null() || !number.is_null() {
        return None;
    }
    match op {
        JumpOp::Eq => Some(false),
        JumpOp::Ne => Some(true),
        _ => None,
    }
}

/// `ptr op end`, where an earlier comparison has shown that the packet ends before the address or at it
/// (`is_pkt_ptr_branch_taken`).
fn against_end(op: JumpOp, a: &Reg, b: &Reg) -> Option<bool> {
    let (range, op) = match (a.kind, b.kind) {
        (Kind::Packet { range }, Kind::PacketEnd) => (range, op),
        (Kind::PacketEnd, Kind::Packet { range }) => (range, turned(op)),
        _ => return None,
    };
    match (range, op) {
        (Range::BeyondEnd, JumpOp::Gt | JumpOp::Ge) | (Range::AtEnd, JumpOp::Ge) => Some(true),
        (Range::BeyondEnd, JumpOp::Le | JumpOp::Lt) | (Range::AtEnd, JumpOp::Lt) => Some(false),
        _ => None,
    }
}

/// The comparison with its sides exchanged.
fn turned(op: JumpOp) -> JumpOp {
    match op {
        JumpOp::Gt => JumpOp::Lt,
        JumpOp::Ge => JumpOp::Le,
        JumpOp::Lt => JumpOp::Gt,
        JumpOp::Le => JumpOp::Ge,
        JumpOp::Sgt => JumpOp::Slt,
        JumpOp::Sge => JumpOp::Sle,
        JumpOp::Slt => JumpOp::Sgt,
        JumpOp::Sle => JumpOp::Sge,
        JumpOp::Eq | JumpOp::Ne | JumpOp::Set => op,
    }
}

/// `if ptr == 0` or `if ptr != 0`, where the pointer may be NULL.
pub(crate) fn is_null_check(s: &State, width: Width, op: JumpOp, dst: R, src: Operand) -> bool {
    width == Width::W64
        && src == Operand::Imm(0)
        && matches!(op, JumpOp::Eq | JumpOp::Ne)
        && s.reg(dst).is_pointer()
        && s.reg(dst).nullable
}

/// A comparison of a packet pointer with the packet's end, or of metadata with the packet's start.
pub(crate) fn is_packet_check(s: &State, width: Width, op: JumpOp, dst: R, src: Operand) -> bool {
    let Operand::Reg(src) = src else { return false };
    width == Width::W64
        && matches!(op, JumpOp::Gt | JumpOp::Ge | JumpOp::Lt | JumpOp::Le)
        && (before_end(s.reg(dst), s.reg(src)) || before_end(s.reg(src), s.reg(dst)))
}

fn before_end(ptr: &Reg, end: &Reg) -> bool {
    let start = |r: &Reg| matches!(r.kind, Kind::Packet { .. }) && r.off == 0 && r.val.as_const() == Some(0);
    match ptr.kind {
        Kind::Packet { .. } => end.kind == Kind::PacketEnd,
        Kind::PacketMeta { .. } => start(end),
        _ => false,
    }
}

/// The states on both sides. The outcome was not known.
pub(crate) fn split(
    p: &Program<'_>,
    s: &State,
    pc: usize,
    (width, op): (Width, JumpOp),
    (dst, src): (R, Operand),
    branches: Option<&Branches>,
) -> Split {
    let mut not_taken = s.clone();
    let linked = linked(p, &mut not_taken, pc, dst, src);
    let mut taken = not_taken.clone();
    let (a, b) = (s.reg(dst).clone(), operand(s, src));
    if a.is_scalar() && b.is_scalar() {
        let both = match branches {
            Some(both) => *both,
            None => cmp(op).branches(bits(width), &a.val, &b.val),
        };
        // If neither side is possible nothing is: going on with what was known is sound as well.
        for (state, values) in [(&mut taken, both.taken), (&mut not_taken, both.not_taken)] {
            if let Some((x, y)) = values {
                match src {
                    // A comparison with itself: both answers are about the same number.
                    Operand::Reg(src) if src == dst => state.reg_mut(dst).val = x.meet(&y).unwrap_or(x),
                    Operand::Reg(src) => {
                        state.reg_mut(dst).val = x;
                        state.reg_mut(src).val = y;
                    }
                    Operand::Imm(_) => state.reg_mut(dst).val = x,
                }
            }
            if let Operand::Reg(src) = src {
                spread(p, state, pc, src);
            }
            spread(p, state, pc, dst);
        }
    } else if is_null_check(s, width, op, dst, src) {
        resolve(p, &mut taken, a.id, op == JumpOp::Eq);
        resolve(p, &mut not_taken, a.id, op == JumpOp::Ne);
    } else if let Operand::Reg(src) = src {
        if is_packet_check(s, width, op, dst, Operand::Reg(src)) {
            packet_check(&mut not_taken, &mut taken, op, dst, src);
        } else if width == Width::W64 && a.is_pointer() && b.is_pointer() && equality_tells(&a, &b) {
            // As in Linux, of this register alone, not of its copies.
            let which = if a.nullable { dst } else { src };
            match op {
                JumpOp::Eq => not_null(p, taken.reg_mut(which)),
                JumpOp::Ne => not_null(p, not_taken.reg_mut(which)),
                _ => {}
            }
        }
    }
    Split { not_taken, taken, linked }
}

/// Whether a pointer that equals another one that is not NULL is not NULL either. Objects of the kernel that are not
/// marked may be NULL, and what may be anywhere (there, Linux 6.18 forgets it).
fn equality_tells(a: &Reg, b: &Reg) -> bool {
    let marked = |r: &Reg| !matches!(r.kind, Kind::Btf { .. } | Kind::Local { .. } | Kind::Probed);
    a.nullable != b.nullable && marked(a) && marked(b)
}

/// The registers of a frame that are read after an instruction at `pc`: others learn nothing (`collect_linked_regs`).
fn live(p: &Program<'_>, s: &State, pc: usize, frame: usize) -> RegSet {
    p.live[s.frames.get(frame + 1).map_or(pc, |callee| callee.callsite)]
}

/// Finds the registers that share an id with an operand; those too many lose it.
fn linked(p: &Program<'_>, s: &mut State, pc: usize, dst: R, src: Operand) -> Vec<Place> {
    let mut ids: Vec<u32> = Vec::new();
    if let Operand::Reg(src) = src
        && s.reg(src).is_scalar()
    {
        ids.push(s.reg(src).id);
    }
    if s.reg(dst).is_scalar() {
        ids.push(s.reg(dst).id);
    }
    ids.retain(|id| *id != 0);
    ids.dedup();
    let mut found = Vec::new();
    let mut extra = Vec::new();
    for id in ids {
        let mut note = |place, reg: &Reg| {
            if reg.is_scalar() && reg.id == id {
                if found.len() < MOST_LINKED { found.push(place) } else { extra.push(place) }
            }
        };
        for (f, frame) in s.frames.iter().enumerate() {
            for r in live(p, s, pc, f).iter().filter(|r| *r != R::FP) {
                note(Place::Reg(f, r), &frame.regs[r.index()]);
            }
            for (i, slot) in frame.stack.slots.iter().enumerate() {
                if let Some((reg, _)) = slot.spill() {
                    note(Place::Slot(f, i), reg);
                }
            }
        }
    }
    for place in extra {
        match place {
            Place::Reg(f, r) => s.frame_at_mut(f).regs[r.index()].unlink(),
            Place::Slot(f, i) => {
                if let Some(reg) = &mut s.frame_at_mut(f).stack.slots[i].spilled {
                    alloc::rc::Rc::make_mut(reg).unlink();
                }
            }
        }
    }
    if found.len() > 1 { found } else { Vec::new() }
}

/// Tells the registers of the same id what was learned about one of them.
fn spread(p: &Program<'_>, s: &mut State, pc: usize, from: R) {
    let known = s.reg(from).clone();
    if !known.is_scalar() || known.id == 0 {
        return;
    }
    let live: Vec<_> = (0..s.frames.len()).map(|f| live(p, s, pc, f)).collect();
    s.for_each_linked(known.id, &live, |reg| {
        if let Some(val) = beside(&known, reg) {
            reg.val = val;
        }
    });
}

/// What a number is, of which another one of the same id is known (`sync_linked_regs`). Nothing new if one was moved in
/// 32 bits and the other in 64; and what was moved in 32 bits says of one that was not its low half alone: the upper one
/// must be known to be 0, which Linux 6.18 takes for granted.
fn beside(known: &Reg, reg: &Reg) -> Option<Scalar> {
    let by = |delta: Option<Delta>| i64::from(delta.map_or(0, |d| d.by));
    if reg.delta == known.delta {
        return Some(known.val);
    }
    let sum = known.val.add(Bits::B64, &Scalar::known((by(reg.delta) - by(known.delta)) as u64));
    match (known.delta.map(|d| d.narrow), reg.delta.map(|d| d.narrow)) {
        (Some(true), Some(false)) | (Some(false), Some(true)) => None,
        (_, Some(true)) => Some(sum.truncate(32)),
        (Some(true), None) => (reg.val.umax() <= u32::MAX.into()).then(|| sum.truncate(32)),
        (Some(false) | None, Some(false) | None) => Some(sum),
    }
}

/// What a pointer that may be NULL is where it is not (`mark_ptr_not_null_reg`).
pub(crate) fn not_null(p: &Program<'_>, reg: &mut Reg) {
    reg.nullable = false;
    let Kind::MapValue(map) = reg.kind else { return };
    match p.map(map).kind {
        MapType::XSKMAP => reg.kind = Kind::Sock(Sock::Xdp),
        kind if kind.holds_sockets() => reg.kind = Kind::Sock(Sock::Full),
        // What a map of maps holds.
        _ => {
            if let Some(inner) = p.inner(map) {
                reg.kind = Kind::Map(inner);
                reg.map_uid = if p.has_later(inner) { reg.id } else { 0 };
            }
        }
    }
}

/// Every copy of a perhaps-NULL pointer is NULL, or is not.
fn resolve(p: &Program<'_>, s: &mut State, id: u32, is_null: bool) {
    if is_null {
        s.refs.retain(|r| r.id != id);
    }
    s.for_each_reg(|reg| {
        if !reg.is_pointer() || !reg.nullable || reg.id != id {
            return;
        }
        if is_null {
            *reg = Reg::scalar(Scalar::known(0));
        } else {
            not_null(p, reg);
            // Values and objects with a lock stay told apart by it.
            if !p.may_have_lock(reg) {
                reg.id = 0;
            }
        }
    });
}

/// What `dst op src` says about the bytes before the end, on one side, and on the other about the address.
fn packet_check(not_taken: &mut State, taken: &mut State, op: JumpOp, dst: R, src: R) {
    // The pointer is on the left, or the comparison is turned around.
    let (ptr, op) = match before_end(taken.reg(dst), taken.reg(src)) {
        true => (dst, op),
        false => (src, turned(op)),
    };
    // On one side ptr <= end, or even ptr < end, which shows one byte more.
    let (there, behind, more) = match op {
        JumpOp::Gt => (not_taken, taken, 0),
        JumpOp::Ge => (not_taken, taken, 1),
        JumpOp::Lt => (taken, not_taken, 1),
        JumpOp::Le => (taken, not_taken, 0),
        _ => return,
    };
    let known = there.reg(ptr).clone();
    extend(there, &known, more);
    // Of this register only, whatever its copies (`mark_pkt_end`).
    if let Kind::Packet { range } = &mut behind.reg_mut(ptr).kind {
        *range = if more == 0 { Range::BeyondEnd } else { Range::AtEnd };
    }
}

/// `ptr.off + more` bytes from the variable part on are there, for all pointers with the same one.
fn extend(s: &mut State, ptr: &Reg, more: u32) {
    if ptr.off < 0 || (ptr.off == 0 && more > 0) {
        return;
    }
    let off = ptr.off as u32;
    if ptr.val.umax() > limits::PACKET_OFF || ptr.val.umax() + u64::from(off) > limits::PACKET_OFF {
        return;
    }
    let known = off + more;
    let (id, meta) = (ptr.id, matches!(ptr.kind, Kind::PacketMeta { .. }));
    s.for_each_reg(|reg| match &mut reg.kind {
        Kind::Packet { range } if !meta && reg.id == id => *range = range.or_more(known),
        Kind::PacketMeta { range } if meta && reg.id == id => *range = known.max(*range),
        _ => {}
    });
}
