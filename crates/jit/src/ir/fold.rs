//! Folds what is known: constants, identities, and operations whose upper half nobody needs.
//!
//! One walk over the blocks in order. Each instruction is looked at with its operands as they are by then, and becomes
//! another, or goes in favour of a value that there is already. Branches that are decided become jumps.

use skep_isa::Size;

use super::eval;
use super::{Bin, Block, Cond, Function, Op, Term, Ty, Val};

/// Most steps that one instruction takes: each rule makes it simpler, so few take more than three.
const STEPS: usize = 8;

/// Folds a function. What is no longer used stays, for [`super::dead`].
///
/// Gives whether anything changed.
pub fn fold(f: &mut Function) -> bool {
    let mut changed = false;
    let mut to: Vec<Val> = (0..f.nodes.len() as u32).map(Val).collect();
    for block in f.order() {
        let insts = core::mem::take(&mut f.blocks[block.0 as usize].insts);
        let mut fold = Fold { f, to: &mut to, out: Vec::with_capacity(insts.len()), changed: false };
        for v in insts {
            fold.instruction(v);
        }
        changed |= fold.changed;
        let out = fold.out;
        f.blocks[block.0 as usize].insts = out;
        changed |= terminator(f, &mut to, block);
    }
    if changed {
        f.replace(&to);
    }
    changed
}

struct Fold<'f> {
    f: &'f mut Function,
    to: &'f mut Vec<Val>,
    /// The instructions of the block so far.
    out: Vec<Val>,
    changed: bool,
}

/// What an instruction comes to.
enum Becomes {
    /// Nothing better.
    Itself,
    /// A value that there is.
    Value(Val),
    /// Another instruction in its place.
    Op(Op),
}

fn find(to: &[Val], mut v: Val) -> Val {
    while to[v.0 as usize] != v {
        v = to[v.0 as usize];
    }
    v
}

impl Fold<'_> {
    fn instruction(&mut self, v: Val) {
        let to = &*self.to;
        self.f.nodes[v.0 as usize].op.map_operands(&mut |o| find(to, o));
        for _ in 0..STEPS {
            match self.simpler(v) {
                Becomes::Itself => break,
                Becomes::Value(other) => {
                    (self.to[v.0 as usize], self.changed) = (other, true);
                    return;
                }
                Becomes::Op(op) => (self.f.nodes[v.0 as usize].op, self.changed) = (op, true),
            }
        }
        self.out.push(v);
    }

    fn op(&self, v: Val) -> &Op {
        &self.f.node(v).op
    }

    fn constant(&self, v: Val) -> Option<u64> {
        self.f.constant(v)
    }

    /// The value that has zeros put above it here.
    fn zext(&self, v: Val) -> Option<Val> {
        match *self.op(v) {
            Op::Zext(x) => Some(x),
            _ => None,
        }
    }

    /// Adds an instruction before the one at hand.
    fn put(&mut self, op: Op, ty: Ty, pc: u32) -> Val {
        let v = self.f.add(op, ty, pc);
        self.to.push(v);
        self.out.push(v);
        self.changed = true;
        v
    }

    fn put_constant(&mut self, value: u64, ty: Ty, pc: u32) -> Val {
        let value = if ty == Ty::I32 { u64::from(value as u32) } else { value };
        self.put(Op::Const(value), ty, pc)
    }

    /// The low half as a value of its own, without an instruction where there is one: of what has zeros or signs above it, and
    /// of constants.
    fn low(&mut self, v: Val, pc: u32) -> Option<Val> {
        match *self.op(v) {
            Op::Zext(x) | Op::Sext(Size::W, x) if self.f.ty(x) == Ty::I32 => Some(x),
            Op::Const(c) => Some(self.put_constant(c, Ty::I32, pc)),
            _ => None,
        }
    }

    fn simpler(&mut self, v: Val) -> Becomes {
        let node = self.f.node(v);
        let (ty, pc) = (node.ty, node.pc);
        match node.op {
            Op::Bin(bin, a, b) => self.bin(bin, a, b, ty, pc),
            Op::Trunc(a) => self.trunc(a, pc),
            Op::Zext(a) => match *self.op(a) {
                Op::Const(c) => Becomes::Op(Op::Const(c)),
                // A load has zeros above what it loads, of whatever type.
                _ => Becomes::Itself,
            },
            Op::Sext(size, a) => self.sext(size, a, ty),
            Op::Swap(size, a) => match *self.op(a) {
                Op::Const(c) => Becomes::Op(Op::Const(eval::swap(size, c))),
                _ => Becomes::Itself,
            },
            Op::Cmp(cond, a, b) => match self.decided(cond, a, b) {
                Some(holds) => Becomes::Op(Op::Const(u64::from(holds))),
                None => Becomes::Itself,
            },
            Op::Select(cond, a, b, x, y) => match self.decided(cond, a, b) {
                Some(true) => Becomes::Value(x),
                Some(false) => Becomes::Value(y),
                None if x == y => Becomes::Value(x),
                None => Becomes::Itself,
            },
            _ => self.address(v),
        }
    }

    /// A constant that is added to an address goes into the access.
    fn address(&mut self, v: Val) -> Becomes {
        let (base, off) = match self.op(v) {
            Op::Load { base, off, .. }
            | Op::Store { base, off, .. }
            | Op::Atomic { base, off, .. }
            | Op::LoadAcquire { base, off, .. }
            | Op::StoreRelease { base, off, .. } => (*base, *off),
            _ => return Becomes::Itself,
        };
        let Op::Bin(Bin::Add, inner, c) = *self.op(base) else { return Becomes::Itself };
        if self.constant(c).is_none() {
            // A constant inside the sum comes out of it, and then goes into the access.
            let Some(outside) = self.constant_last(inner, c) else { return Becomes::Itself };
            return self.moved(v, outside, off);
        }
        let Some(sum) = self.constant(c).and_then(|c| i64::from(off).checked_add(c as i64)) else {
            return Becomes::Itself;
        };
        let Ok(sum) = i32::try_from(sum) else { return Becomes::Itself };
        self.moved(v, inner, sum)
    }

    /// The access with its address written otherwise.
    fn moved(&self, v: Val, to: Val, by: i32) -> Becomes {
        let mut op = self.op(v).clone();
        if let Op::Load { base, off, .. }
        | Op::Store { base, off, .. }
        | Op::Atomic { base, off, .. }
        | Op::LoadAcquire { base, off, .. }
        | Op::StoreRelease { base, off, .. } = &mut op
        {
            (*base, *off) = (to, by);
        }
        Becomes::Op(op)
    }

    /// The sum of two values, one of which is a sum with a constant, as a sum with this constant.
    fn constant_last(&mut self, a: Val, b: Val) -> Option<Val> {
        let split = |v: Val| match *self.op(v) {
            Op::Bin(Bin::Add, x, c) => self.constant(c).map(|_| (x, c)),
            _ => None,
        };
        let (x, y, c) = match (split(a), split(b)) {
            (Some((x, c)), _) => (x, b, c),
            (None, Some((y, c))) => (a, y, c),
            (None, None) => return None,
        };
        let pc = self.f.node(a).pc;
        let sum = self.put(Op::Bin(Bin::Add, x, y), Ty::I64, pc);
        Some(self.put(Op::Bin(Bin::Add, sum, c), Ty::I64, pc))
    }

    fn decided(&self, cond: Cond, a: Val, b: Val) -> Option<bool> {
        decided(self.f, cond, a, b)
    }

    fn trunc(&mut self, a: Val, pc: u32) -> Becomes {
        match *self.op(a) {
            Op::Const(c) => Becomes::Op(Op::Const(u64::from(c as u32))),
            Op::Zext(x) => Becomes::Value(x),
            Op::Sext(size, x) => match (size, self.f.ty(x)) {
                (Size::W | Size::DW, Ty::I32) => Becomes::Value(x),
                (Size::W | Size::DW, _) => Becomes::Op(Op::Trunc(x)),
                (Size::B | Size::H, Ty::I32) => Becomes::Op(Op::Sext(size, x)),
                (Size::B | Size::H, _) => {
                    let low = self.put(Op::Trunc(x), Ty::I32, pc);
                    Becomes::Op(Op::Sext(size, low))
                }
            },
            // The low half of these depends on the low halves alone.
            Op::Bin(bin @ (Bin::Add | Bin::Sub | Bin::Mul | Bin::And | Bin::Or | Bin::Xor), x, y) => {
                match (self.low(x, pc), self.low(y, pc)) {
                    (Some(x), Some(y)) => Becomes::Op(Op::Bin(bin, x, y)),
                    _ => Becomes::Itself,
                }
            }
            Op::Bin(Bin::Shl, x, n) => match (self.constant(n), self.low(x, pc)) {
                (Some(n @ 0..32), Some(x)) => {
                    let n = self.put_constant(n, Ty::I32, pc);
                    Becomes::Op(Op::Bin(Bin::Shl, x, n))
                }
                _ => Becomes::Itself,
            },
            Op::Bin(Bin::Shr, x, n) => match (self.constant(n), self.zext(x)) {
                (Some(n @ 0..32), Some(x)) => {
                    let n = self.put_constant(n, Ty::I32, pc);
                    Becomes::Op(Op::Bin(Bin::Shr, x, n))
                }
                _ => Becomes::Itself,
            },
            _ => Becomes::Itself,
        }
    }

    fn sext(&mut self, size: Size, a: Val, ty: Ty) -> Becomes {
        if let Some(c) = self.constant(a) {
            return Becomes::Op(Op::Const(eval::sext(size, ty, c)));
        }
        match (size, ty, self.f.ty(a), self.op(a)) {
            (Size::DW, ..) | (Size::W, Ty::I32, ..) => Becomes::Value(a),
            // What is above does not matter.
            (Size::B | Size::H | Size::W, Ty::I64, Ty::I64, Op::Zext(x)) => Becomes::Op(Op::Sext(size, *x)),
            (Size::W, Ty::I64, Ty::I64, Op::Sext(Size::W, x)) => Becomes::Op(Op::Sext(size, *x)),
            _ => Becomes::Itself,
        }
    }

    fn bin(&mut self, bin: Bin, a: Val, b: Val, ty: Ty, pc: u32) -> Becomes {
        let (ca, cb) = (self.constant(a), self.constant(b));
        if let (Some(x), Some(y)) = (ca, cb) {
            return Becomes::Op(Op::Const(eval::bin(bin, ty, x, y)));
        }
        // Constants stand on the right.
        if ca.is_some() && is_commutative(bin) {
            return Becomes::Op(Op::Bin(bin, b, a));
        }
        if let Some(c) = cb
            && let Some(becomes) = self.by_constant(bin, a, c, ty, pc)
        {
            return becomes;
        }
        if a == b && matches!(bin, Bin::Sub | Bin::Xor) {
            return Becomes::Op(Op::Const(0));
        }
        if a == b && matches!(bin, Bin::And | Bin::Or) {
            return Becomes::Value(a);
        }
        if ty == Ty::I64 { self.halves(bin, a, b, pc) } else { Becomes::Itself }
    }

    /// 64-bit operations on values with zeros above, whose result has zeros above, are done in 32 bits.
    fn halves(&mut self, bin: Bin, a: Val, b: Val, pc: u32) -> Becomes {
        let (Some(x), Some(y)) = (self.zext(a), self.zext(b)) else { return Becomes::Itself };
        match bin {
            Bin::And | Bin::Or | Bin::Xor | Bin::Udiv | Bin::Urem => {
                let low = self.put(Op::Bin(bin, x, y), Ty::I32, pc);
                Becomes::Op(Op::Zext(low))
            }
            Bin::Add | Bin::Sub | Bin::Mul | Bin::Shl | Bin::Shr | Bin::Sar | Bin::Sdiv | Bin::Srem => {
                Becomes::Itself
            }
        }
    }

    fn by_constant(&mut self, bin: Bin, a: Val, c: u64, ty: Ty, pc: u32) -> Option<Becomes> {
        let bits = bits(ty);
        let all = if ty == Ty::I32 { u64::from(u32::MAX) } else { u64::MAX };
        let same = match bin {
            Bin::Add | Bin::Sub | Bin::Or | Bin::Xor => c == 0,
            Bin::Shl | Bin::Shr | Bin::Sar => c.is_multiple_of(bits),
            Bin::Mul | Bin::Udiv | Bin::Sdiv => c == 1,
            Bin::And => c == all,
            Bin::Urem | Bin::Srem => c == 0,
        };
        if same {
            return Some(Becomes::Value(a));
        }
        let zero = match bin {
            Bin::Mul | Bin::And | Bin::Udiv | Bin::Sdiv => c == 0,
            Bin::Urem | Bin::Srem => c == 1,
            Bin::Add | Bin::Sub | Bin::Or | Bin::Xor | Bin::Shl | Bin::Shr | Bin::Sar => false,
        };
        if zero {
            return Some(Becomes::Op(Op::Const(0)));
        }
        if bin == Bin::Sub {
            let c = self.put_constant(c.wrapping_neg(), ty, pc);
            return Some(Becomes::Op(Op::Bin(Bin::Add, a, c)));
        }
        if let Op::Bin(inner, x, n) = *self.op(a)
            && let Some(d) = self.constant(n)
            && let Some(becomes) = self.chain((inner, x, d), (bin, c), ty, pc)
        {
            return Some(becomes);
        }
        if let Some(x) = self.zext(a).filter(|_| ty == Ty::I64) {
            return self.low_by_constant(bin, x, c, pc);
        }
        None
    }

    /// `bin` by `c` after `inner` of `x` by `d`.
    fn chain(
        &mut self,
        (inner, x, d): (Bin, Val, u64),
        (bin, c): (Bin, u64),
        ty: Ty,
        pc: u32,
    ) -> Option<Becomes> {
        let bits = bits(ty);
        let large = |c: u64| ty == Ty::I64 && i32::try_from(c as i64).is_err();
        if bin == Bin::Add && inner == Bin::Add && large(c) != large(d) {
            // The address of a map stays one value, and what is added to it goes into the access.
            if large(d) {
                return None;
            }
            let (c, d) = (self.put_constant(c, ty, pc), self.put_constant(d, ty, pc));
            let sum = self.put(Op::Bin(Bin::Add, x, c), ty, pc);
            return Some(Becomes::Op(Op::Bin(Bin::Add, sum, d)));
        }
        let joined = match (bin, inner) {
            (Bin::Add, Bin::Add) => Some((Bin::Add, d.wrapping_add(c))),
            (Bin::And, Bin::And) => Some((Bin::And, d & c)),
            (Bin::Or, Bin::Or) => Some((Bin::Or, d | c)),
            (Bin::Xor, Bin::Xor) => Some((Bin::Xor, d ^ c)),
            (Bin::Shl, Bin::Shl) | (Bin::Shr, Bin::Shr) if d % bits + c % bits < bits => {
                Some((bin, d % bits + c % bits))
            }
            _ => None,
        };
        if let Some((bin, c)) = joined {
            let c = self.put_constant(c, ty, pc);
            return Some(Becomes::Op(Op::Bin(bin, x, c)));
        }
        let (d, c) = (d % bits, c % bits);
        if inner != Bin::Shl || d != c {
            return None;
        }
        let size = match bits - c {
            8 => Size::B,
            16 => Size::H,
            32 => Size::W,
            _ => return self.mask(bin, x, c, ty, pc),
        };
        match (bin, size, ty) {
            (Bin::Sar, ..) => Some(Becomes::Op(Op::Sext(size, x))),
            (Bin::Shr, Size::W, Ty::I64) => {
                let low = match self.low(x, pc) {
                    Some(low) => low,
                    None => self.put(Op::Trunc(x), Ty::I32, pc),
                };
                Some(Becomes::Op(Op::Zext(low)))
            }
            (Bin::Shr, ..) => self.mask(bin, x, c, ty, pc),
            _ => None,
        }
    }

    /// A shift up and down again keeps the low bits.
    fn mask(&mut self, bin: Bin, x: Val, c: u64, ty: Ty, pc: u32) -> Option<Becomes> {
        if bin != Bin::Shr || c == 0 {
            return None;
        }
        let mask = self.put_constant(u64::MAX >> (64 - (bits(ty) - c)), ty, pc);
        Some(Becomes::Op(Op::Bin(Bin::And, x, mask)))
    }

    /// A 64-bit operation by a constant on `x` with zeros above.
    fn low_by_constant(&mut self, bin: Bin, x: Val, c: u64, pc: u32) -> Option<Becomes> {
        let small = u32::try_from(c).is_ok();
        let possible = match bin {
            // The constant's upper half meets zeros.
            Bin::And => true,
            Bin::Or | Bin::Xor => small,
            Bin::Udiv | Bin::Urem => small && c != 0,
            Bin::Shr => c % 64 < 32,
            Bin::Add | Bin::Sub | Bin::Mul | Bin::Shl | Bin::Sar | Bin::Sdiv | Bin::Srem => false,
        };
        if !possible {
            return None;
        }
        let c = if bin == Bin::Shr { c % 64 } else { c };
        let c = self.put_constant(c, Ty::I32, pc);
        let low = self.put(Op::Bin(bin, x, c), Ty::I32, pc);
        Some(Becomes::Op(Op::Zext(low)))
    }
}

/// Whether the comparison's result is known.
fn decided(f: &Function, cond: Cond, a: Val, b: Val) -> Option<bool> {
    if let (Some(x), Some(y)) = (f.constant(a), f.constant(b)) {
        return Some(eval::holds(cond, f.ty(a), x, y));
    }
    let same = a == b;
    match (cond, f.constant(b)) {
        (Cond::Ult, Some(0)) | (Cond::Set, Some(0)) => Some(false),
        (Cond::Uge, Some(0)) | (Cond::Clear, Some(0)) => Some(true),
        (Cond::Eq | Cond::Ule | Cond::Uge | Cond::Sle | Cond::Sge, _) if same => Some(true),
        (Cond::Ne | Cond::Ult | Cond::Ugt | Cond::Slt | Cond::Sgt, _) if same => Some(false),
        _ => None,
    }
}

/// Decides or narrows a block's end. Whether it did.
fn terminator(f: &mut Function, to: &mut Vec<Val>, block: Block) -> bool {
    let mut changed = false;
    let at = block.0 as usize;
    let mut term = core::mem::replace(&mut f.blocks[at].term, Term::Unreachable);
    term.map_operands(&mut |v| find(to, v));
    if let Term::Branch { cond, a, b, then, other } = term {
        let pc = f.blocks[at].term_pc;
        let before = (cond, a, b);
        let (cond, a, b) = operands(f, to, at, (cond, a, b), pc);
        term = match decided(f, cond, a, b) {
            Some(true) => Term::Jump(then),
            Some(false) => Term::Jump(other),
            None if then == other => Term::Jump(then),
            None => Term::Branch { cond, a, b, then, other },
        };
        changed = before != (cond, a, b) || matches!(term, Term::Jump(_));
    }
    f.blocks[at].term = term;
    changed
}

/// The operands of a comparison: the constant on the right, in 32 bits where the upper halves are zeros.
fn operands(
    f: &mut Function,
    to: &mut Vec<Val>,
    at: usize,
    (mut cond, mut a, mut b): (Cond, Val, Val),
    pc: u32,
) -> (Cond, Val, Val) {
    if f.constant(a).is_some() && f.constant(b).is_none() {
        (cond, a, b) = (cond.swapped(), b, a);
    }
    let low = |f: &Function, v: Val| match f.node(v).op {
        Op::Zext(x) => Some(x),
        _ => None,
    };
    let unsigned = !matches!(cond, Cond::Slt | Cond::Sle | Cond::Sgt | Cond::Sge);
    let Some(x) = low(f, a).filter(|_| f.ty(a) == Ty::I64 && unsigned) else { return (cond, a, b) };
    if let Some(y) = low(f, b) {
        return (cond, x, y);
    }
    let masks = matches!(cond, Cond::Set | Cond::Clear);
    match f.constant(b) {
        Some(c) if masks || u32::try_from(c).is_ok() => {
            let c = f.add_constant(c, Ty::I32, pc);
            to.push(c);
            f.blocks[at].insts.push(c);
            (cond, x, c)
        }
        _ => (cond, a, b),
    }
}

impl Cond {
    /// The comparison that means the same with its operands in the other order.
    pub fn swapped(self) -> Self {
        match self {
            Self::Eq | Self::Ne | Self::Set | Self::Clear => self,
            Self::Ult => Self::Ugt,
            Self::Ule => Self::Uge,
            Self::Ugt => Self::Ult,
            Self::Uge => Self::Ule,
            Self::Slt => Self::Sgt,
            Self::Sle => Self::Sge,
            Self::Sgt => Self::Slt,
            Self::Sge => Self::Sle,
        }
    }

    /// The comparison that holds when this one does not.
    pub fn negated(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Ult => Self::Uge,
            Self::Ule => Self::Ugt,
            Self::Ugt => Self::Ule,
            Self::Uge => Self::Ult,
            Self::Slt => Self::Sge,
            Self::Sle => Self::Sgt,
            Self::Sgt => Self::Sle,
            Self::Sge => Self::Slt,
            Self::Set => Self::Clear,
            Self::Clear => Self::Set,
        }
    }
}

fn is_commutative(bin: Bin) -> bool {
    match bin {
        Bin::Add | Bin::Mul | Bin::And | Bin::Or | Bin::Xor => true,
        Bin::Sub | Bin::Shl | Bin::Shr | Bin::Sar | Bin::Udiv | Bin::Urem | Bin::Sdiv | Bin::Srem => false,
    }
}

fn bits(ty: Ty) -> u64 {
    if ty == Ty::I32 { 32 } else { 64 }
}
