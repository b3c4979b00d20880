//! One width of a scalar: known bits, an unsigned and a signed interval, each informing the others.
//!
//! Idea: signed and unsigned order agree on each side of the sign bit. So the members are looked at as at most
//! two *spans*, one without and one with the sign bit. On a span everything is plain: its ends are tightened to
//! members of the tnum, an empty span drops out, and the hull of what is left gives all bounds and a tnum back.

use super::rules::{self, Bounds, Bv};
use super::tnum::{Tnum, low_mask};

/// Values `lo..=hi` as bit patterns, all with the same sign bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub lo: u64,
    pub hi: u64,
}

/// The members without and those with the sign bit; `None` where there are none.
pub(super) type Spans = [Option<Span>; 2];

/// What is known about a value of `width` bits (1 to 64).
///
/// Unsigned bounds are zero-extended, signed bounds sign-extended to 64 bits; the tnum is zero above `width`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Lane {
    pub width: u32,
    pub tnum: Tnum,
    pub umin: u64,
    pub umax: u64,
    pub smin: i64,
    pub smax: i64,
}

/// A bound on the rounds of mutual tightening. Stopping early loses precision, never soundness.
pub(super) const ROUNDS: u32 = 8;

impl Lane {
    pub fn unknown(width: u32) -> Lane {
        let all = low_mask(width);
        Lane {
            width,
            tnum: Tnum::UNKNOWN.low(width),
            umin: 0,
            umax: all,
            smin: sign_extend(1 << (width - 1), width),
            smax: (all >> 1) as i64,
        }
    }

    pub fn known(width: u32, bits: u64) -> Lane {
        let bits = bits & low_mask(width);
        let signed = sign_extend(bits, width);
        Lane { width, tnum: Tnum::constant(bits), umin: bits, umax: bits, smin: signed, smax: signed }
    }

    /// Everything that `tnum` (cut to `width`) allows.
    pub fn from_tnum(width: u32, tnum: Tnum) -> Lane {
        let lane = Lane { tnum: tnum.low(width), ..Lane::unknown(width) };
        lane.reduced_or_top()
    }

    /// Everything in the unsigned interval `umin..=umax`, which must be in order and fit the width.
    pub fn from_unsigned(width: u32, umin: u64, umax: u64) -> Lane {
        Lane { umin, umax, ..Lane::unknown(width) }.reduced_or_top()
    }

    /// Everything in the signed interval `smin..=smax`, which must be in order and fit the width.
    pub fn from_signed(width: u32, smin: i64, smax: i64) -> Lane {
        Lane { smin, smax, ..Lane::unknown(width) }.reduced_or_top()
    }

    /// The values from `lo` to `hi` (integers of any size, in order) reduced modulo `2^width`.
    pub fn from_integers(width: u32, lo: i128, hi: i128) -> Lane {
        let len = hi.wrapping_sub(lo) as u128;
        Lane::from_run(width, lo as u64, len)
    }

    /// The `len + 1` values upwards from `start`, all modulo `2^width`.
    pub fn from_run(width: u32, start: u64, len: u128) -> Lane {
        let full = len >= u128::from(low_mask(width));
        let bounds = rules::bounds_wrapping(
            &Bv::new(width, start),
            &Bv::new(width, len as u64),
            &full,
            &Bv::new(width, 1 << (width - 1)),
        );
        Lane::unknown(width).with_bounds(&bounds).reduced_or_top()
    }

    pub fn is_const(&self) -> bool {
        self.tnum.is_const()
    }

    pub fn sign_bit(&self) -> Bv {
        Bv::new(self.width, 1 << (self.width - 1))
    }

    pub fn bounds(&self) -> Bounds<Bv> {
        self.bounds_in(self.width)
    }

    /// The bounds in words of at least as many bits.
    pub fn bounds_in(&self, width: u32) -> Bounds<Bv> {
        let bv = |bits| Bv::new(width, bits);
        Bounds {
            umin: bv(self.umin),
            umax: bv(self.umax),
            smin: bv(self.smin as u64),
            smax: bv(self.smax as u64),
        }
    }

    /// The bounds replaced, not yet reduced.
    pub fn with_bounds(self, b: &Bounds<Bv>) -> Lane {
        Lane { umin: b.umin.bits, umax: b.umax.bits, smin: b.smin.signed(), smax: b.smax.signed(), ..self }
    }

    /// Whether the bit pattern `x` is a member.
    pub fn has(&self, x: u64) -> bool {
        let signed = sign_extend(x, self.width);
        x <= low_mask(self.width)
            && self.tnum.has(x)
            && (self.umin..=self.umax).contains(&x)
            && (self.smin..=self.smax).contains(&signed)
    }

    /// Whether each component of `self` allows what that component of `other` allows.
    pub fn contains(&self, other: &Lane) -> bool {
        self.tnum.contains(other.tnum)
            && self.umin <= other.umin
            && self.umax >= other.umax
            && self.smin <= other.smin
            && self.smax >= other.smax
    }

    /// The hull of both. Loses: gaps, and which component went with which.
    pub fn join(&self, other: &Lane) -> Lane {
        Lane {
            width: self.width,
            tnum: self.tnum.join(other.tnum),
            umin: self.umin.min(other.umin),
            umax: self.umax.max(other.umax),
            smin: self.smin.min(other.smin),
            smax: self.smax.max(other.smax),
        }
    }

    /// What both allow, not yet reduced; `None` if their known bits contradict.
    pub fn meet_raw(&self, other: &Lane) -> Option<Lane> {
        Some(Lane {
            width: self.width,
            tnum: self.tnum.meet(other.tnum)?,
            umin: self.umin.max(other.umin),
            umax: self.umax.min(other.umax),
            smin: self.smin.max(other.smin),
            smax: self.smax.min(other.smax),
        })
    }

    /// What both allow; `None` if nothing is in both.
    pub fn meet(&self, other: &Lane) -> Option<Lane> {
        self.meet_raw(other)?.reduce()
    }

    /// The members split at the sign bit, by the bounds alone.
    pub fn spans(&self) -> Spans {
        let [plain, signed] = rules::bounds_split(&self.bounds(), &self.sign_bit());
        let span = |(lo, hi): (Bv, Bv)| (lo.bits <= hi.bits).then_some(Span { lo: lo.bits, hi: hi.bits });
        [span(plain), span(signed)]
    }

    /// The bounds that just cover `spans`; `None` if both are empty.
    pub fn with_spans(self, spans: &Spans) -> Option<Lane> {
        let least = spans[0].or(spans[1])?;
        let most = spans[1].or(spans[0])?;
        let signed = |x| sign_extend(x, self.width);
        Some(Lane {
            umin: least.lo,
            umax: most.hi,
            // Signed, the span with the sign bit comes first.
            smin: signed(most.lo),
            smax: signed(least.hi),
            ..self
        })
    }

    /// Lets the tnum and the two intervals tighten each other to a fixed point; `None` if nothing is left.
    ///
    /// Keeps every member. On each span the ends move to the nearest member of the tnum; the tnum meets the
    /// leading bits that the ends of each span agree on. Sound: only values that fail one component go. With
    /// contradictory components the answer is `None`, never bounds in the wrong order.
    pub fn reduce(mut self) -> Option<Lane> {
        let top = Lane::unknown(self.width);
        if (Lane { tnum: top.tnum, ..self }) == top {
            return Some(self.bounded_by_tnum());
        }
        for _ in 0..ROUNDS {
            if self.tnum.is_const() {
                let x = self.tnum.value();
                return self.has(x).then(|| Lane::known(self.width, x));
            }
            let before = self;
            let tnum = self.tnum;
            let tight = |span: Option<Span>| {
                let span = span?;
                let (lo, hi) = (tnum.next_member(span.lo)?, tnum.prev_member(span.hi)?);
                (lo <= hi).then_some(Span { lo, hi })
            };
            let [plain, signed] = self.spans();
            let spans = [tight(plain), tight(signed)];
            self = self.with_spans(&spans)?;
            let range = |s: Span| Tnum::range(s.lo, s.hi);
            let cover = match spans {
                [Some(a), Some(b)] => range(a).join(range(b)),
                [Some(one), None] | [None, Some(one)] => range(one),
                [None, None] => return None,
            };
            self.tnum = tnum.meet(cover)?;
            if self == before {
                break;
            }
        }
        Some(self)
    }

    /// What [`Lane::reduce`] comes to where the bounds say nothing: the least and greatest member of the tnum on each side
    /// of the sign bit. Their common leading bits are known bits of the tnum, so that it stays as it is.
    fn bounded_by_tnum(self) -> Lane {
        let (value, mask) = (self.tnum.value(), self.tnum.mask());
        let sign = 1 << (self.width - 1);
        let (umin, umax) = (value, value | mask);
        let (least, most) = match mask & sign {
            0 => (umin, umax),
            _ => (umin | sign, umax & !sign),
        };
        Lane { umin, umax, smin: sign_extend(least, self.width), smax: sign_extend(most, self.width), ..self }
    }

    /// [`Lane::reduce`] for a lane that is known to have members.
    pub fn reduced_or_top(self) -> Lane {
        let reduced = self.reduce();
        #[cfg(test)]
        assert!(reduced.is_some(), "a transfer lost all members: {self:?}");
        // If that reasoning were wrong, "anything" would still be sound.
        reduced.unwrap_or(Lane::unknown(self.width))
    }
}

/// The low `width` bits (1 to 64) of `x` read as two's complement.
pub(super) fn sign_extend(x: u64, width: u32) -> i64 {
    Bv::new(width, x).signed()
}
