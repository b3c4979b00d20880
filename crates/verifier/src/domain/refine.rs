//! What a comparison teaches about both its operands, and whether its outcome is known.

use super::lane::Lane;
use super::rules::{self, Bv, limits};
use super::scalar::{Bits, Scalar, settle};

/// A comparison of two numbers of one width.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cmp {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// A bit in common: `lhs & rhs != 0`.
    Set,
    /// Greater, unsigned.
    Gt,
    /// Greater or equal, unsigned.
    Ge,
    /// Less, unsigned.
    Lt,
    /// Less or equal, unsigned.
    Le,
    /// Greater, signed.
    Sgt,
    /// Greater or equal, signed.
    Sge,
    /// Less, signed.
    Slt,
    /// Less or equal, signed.
    Sle,
}

/// What both operands are on each side of a branch; `None` for a side that cannot be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Branches {
    /// Left and right operand where the comparison holds.
    pub taken: Option<(Scalar, Scalar)>,
    /// Left and right operand where it does not.
    pub not_taken: Option<(Scalar, Scalar)>,
}

impl Branches {
    /// Whether the comparison is known to hold (`Some(true)`), known not to (`Some(false)`), or open.
    pub fn decided(&self) -> Option<bool> {
        match (self.taken.is_some(), self.not_taken.is_some()) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            (true, true) | (false, false) => None,
        }
    }
}

/// The comparisons and their negations, brought to as few shapes as possible.
#[derive(Clone, Copy)]
enum Fact {
    Eq,
    Ne,
    Set,
    Clear,
    Less { signed: bool },
    NotGreater { signed: bool },
}

impl Cmp {
    /// All comparisons.
    pub const ALL: [Cmp; 11] = [
        Cmp::Eq,
        Cmp::Ne,
        Cmp::Set,
        Cmp::Gt,
        Cmp::Ge,
        Cmp::Lt,
        Cmp::Le,
        Cmp::Sgt,
        Cmp::Sge,
        Cmp::Slt,
        Cmp::Sle,
    ];

    /// Whether the comparison holds for two numbers.
    pub fn holds(self, bits: Bits, x: u64, y: u64) -> bool {
        let (x, y, sx, sy) = match bits {
            Bits::B64 => (x, y, x as i64, y as i64),
            Bits::B32 => (u64::from(x as u32), u64::from(y as u32), i64::from(x as i32), i64::from(y as i32)),
        };
        match self {
            Cmp::Eq => x == y,
            Cmp::Ne => x != y,
            Cmp::Set => x & y != 0,
            Cmp::Gt => x > y,
            Cmp::Ge => x >= y,
            Cmp::Lt => x < y,
            Cmp::Le => x <= y,
            Cmp::Sgt => sx > sy,
            Cmp::Sge => sx >= sy,
            Cmp::Slt => sx < sy,
            Cmp::Sle => sx <= sy,
        }
    }

    /// The fact that holds if the comparison comes out as `taken`, and whether it is about `(rhs, lhs)`.
    fn fact(self, taken: bool) -> (Fact, bool) {
        let less = |signed, swapped| (Fact::Less { signed }, swapped);
        let not_greater = |signed, swapped| (Fact::NotGreater { signed }, swapped);
        match (self, taken) {
            (Cmp::Eq, true) | (Cmp::Ne, false) => (Fact::Eq, false),
            (Cmp::Ne, true) | (Cmp::Eq, false) => (Fact::Ne, false),
            (Cmp::Set, true) => (Fact::Set, false),
            (Cmp::Set, false) => (Fact::Clear, false),
            (Cmp::Lt, true) | (Cmp::Ge, false) => less(false, false),
            (Cmp::Gt, true) | (Cmp::Le, false) => less(false, true),
            (Cmp::Le, true) | (Cmp::Gt, false) => not_greater(false, false),
            (Cmp::Ge, true) | (Cmp::Lt, false) => not_greater(false, true),
            (Cmp::Slt, true) | (Cmp::Sge, false) => less(true, false),
            (Cmp::Sgt, true) | (Cmp::Sle, false) => less(true, true),
            (Cmp::Sle, true) | (Cmp::Sgt, false) => not_greater(true, false),
            (Cmp::Sge, true) | (Cmp::Slt, false) => not_greater(true, true),
        }
    }

    /// What both operands are if the comparison comes out as `taken`; `None` if it cannot.
    ///
    /// Keeps every pair of members for which it does come out so. `None` is certain: such a branch is dead.
    /// Loses: that the two operands go together (the answer is a pair of sets, not a set of pairs).
    pub fn refine(self, bits: Bits, lhs: &Scalar, rhs: &Scalar, taken: bool) -> Option<(Scalar, Scalar)> {
        let (fact, swapped) = self.fact(taken);
        if swapped {
            let (b, a) = fact.assume(bits, rhs, lhs)?;
            Some((a, b))
        } else {
            fact.assume(bits, lhs, rhs)
        }
    }

    /// [`Cmp::refine`] on lanes of any one width.
    #[cfg(test)]
    pub(super) fn refine_lanes(self, a: &Lane, b: &Lane, taken: bool) -> Option<(Lane, Lane)> {
        match self.fact(taken) {
            (fact, false) => fact.assume_lanes(a, b),
            (fact, true) => fact.assume_lanes(b, a).map(|(b, a)| (a, b)),
        }
    }

    /// Both sides of a branch at once.
    pub fn branches(self, bits: Bits, lhs: &Scalar, rhs: &Scalar) -> Branches {
        Branches { taken: self.refine(bits, lhs, rhs, true), not_taken: self.refine(bits, lhs, rhs, false) }
    }

    /// Whether the comparison is known to hold (`Some(true)`), known not to (`Some(false)`), or open.
    ///
    /// The same as asking which side of [`Cmp::branches`] is dead, so the two never disagree.
    pub fn decide(self, bits: Bits, lhs: &Scalar, rhs: &Scalar) -> Option<bool> {
        if let (Some(x), Some(y)) = (lhs.as_const(), rhs.as_const()) {
            return Some(self.holds(bits, x, y));
        }
        self.branches(bits, lhs, rhs).decided()
    }
}

impl Fact {
    fn assume(self, bits: Bits, a: &Scalar, b: &Scalar) -> Option<(Scalar, Scalar)> {
        if let (Fact::Eq, Bits::B64) = (self, bits) {
            // Equal in 64 bits is equal in the low 32 as well.
            let both = a.meet(b)?;
            return Some((both, both));
        }
        let (a_lane, b_lane) = self.assume_lanes(&a.lane(bits), &b.lane(bits))?;
        let back = |scalar: &Scalar, lane: Lane| match bits {
            Bits::B32 => settle(scalar.lane64(), lane),
            Bits::B64 => settle(lane, scalar.lane32()),
        };
        Some((back(a, a_lane)?, back(b, b_lane)?))
    }

    fn assume_lanes(self, a: &Lane, b: &Lane) -> Option<(Lane, Lane)> {
        let (a, b) = match self {
            Fact::Eq => {
                let both = a.meet(b)?;
                (both, both)
            }
            Fact::Ne => match (a.is_const(), b.is_const()) {
                (true, true) if a.umin == b.umin => return None,
                (_, true) => (without(a, b.umin), *b),
                (true, false) => (*a, without(b, a.umin)),
                (false, false) => (*a, *b),
            },
            // If only one bit can be common, it is; if none can, they have none.
            Fact::Set => {
                let (x, y) = a.tnum.sharing(b.tnum)?;
                (Lane { tnum: x, ..*a }, Lane { tnum: y, ..*b })
            }
            // A bit known to be one on one side is zero on the other.
            Fact::Clear => {
                (Lane { tnum: a.tnum.apart(b.tnum)?, ..*a }, Lane { tnum: b.tnum.apart(a.tnum)?, ..*b })
            }
            Fact::Less { signed: false } => {
                if a.umin >= b.umax {
                    return None;
                }
                let (x, y) = rules::bounds_assume_ult(&a.bounds(), &b.bounds());
                (a.with_bounds(&x), b.with_bounds(&y))
            }
            Fact::Less { signed: true } => {
                if a.smin >= b.smax {
                    return None;
                }
                let (x, y) = rules::bounds_assume_slt(&a.bounds(), &b.bounds());
                (a.with_bounds(&x), b.with_bounds(&y))
            }
            Fact::NotGreater { signed: false } => {
                let (x, y) = limits::bounds_assume_ule(&a.bounds(), &b.bounds());
                (a.with_bounds(&x), b.with_bounds(&y))
            }
            Fact::NotGreater { signed: true } => {
                let (x, y) = limits::bounds_assume_sle(&a.bounds(), &b.bounds());
                (a.with_bounds(&x), b.with_bounds(&y))
            }
        };
        Some((a.reduce()?, b.reduce()?))
    }
}

/// `lane` without `x`, where that is the end of a span; a hole inside a span cannot be said.
fn without(lane: &Lane, x: u64) -> Lane {
    let spans = lane.spans().map(|span| {
        let mut span = span?;
        if span.lo == span.hi && span.lo == x {
            return None;
        }
        let word = |bits| Bv::new(lane.width, bits);
        let (lo, hi) = limits::ends_without(&(word(span.lo), word(span.hi)), &word(x));
        (span.lo, span.hi) = (lo.bits, hi.bits);
        Some(span)
    });
    lane.with_spans(&spans).unwrap_or(*lane)
}
