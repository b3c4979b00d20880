//! What each arithmetic operation does to one lane.
//!
//! Every function assumes reduced operands of one width `w`, and gives a reduced lane of that width that has
//! `op(x, y) mod 2^w` for all members `x`, `y`. Constants fold exactly, since a reduced lane with one member on
//! each side leaves exact rules nothing to lose, or by the explicit first line where it does not.
//! Division follows RFC 9669 section 4.1: by zero gives 0, modulo zero leaves the dividend, and the least
//! signed value divided by -1 is itself.

use super::lane::{Lane, Span};
use super::rules::exact::{self, Exact, Whole};
use super::rules::limits::{self, Ends};
use super::rules::{self, Bounds, Bv, move_bits};
use super::tnum::Tnum;

impl Lane {
    fn combine(self, tnum: Tnum, bounds: &Bounds<Bv>) -> Lane {
        Lane { tnum: tnum.low(self.width), ..self }.with_bounds(bounds).reduced_or_top()
    }

    /// `self` with the bits of `tnum` as well, which every member is known to have.
    fn with_tnum(self, tnum: Tnum) -> Lane {
        match self.tnum.meet(tnum.low(self.width)) {
            Some(tnum) => Lane { tnum, ..self }.reduced_or_top(),
            None => self,
        }
    }

    /// The two readings of one result: what `self` and `other` both say of it.
    fn and_also(self, other: Lane) -> Lane {
        self.meet(&other).unwrap_or(self)
    }

    /// Sum. Keeps an interval as long as the sums of its ends do not straddle the seam of that reading; a run
    /// that wraps as a whole is kept. Loses: the bounds of a reading whose seam lies inside.
    pub fn add(&self, rhs: &Lane) -> Lane {
        let bounds = rules::bounds_add(&self.bounds(), &rhs.bounds(), &self.sign_bit());
        self.combine(self.tnum.add(rhs.tnum), &bounds)
    }

    /// Difference. As [`Lane::add`].
    pub fn sub(&self, rhs: &Lane) -> Lane {
        let bounds = rules::bounds_sub(&self.bounds(), &rhs.bounds(), &self.sign_bit());
        self.combine(self.tnum.sub(rhs.tnum), &bounds)
    }

    /// Product. The exact unsigned and signed products lie between those of the ends (a bilinear function is
    /// extreme at corners); each run is kept if it is shorter than `2^w`. Loses: gaps, and runs that wrap.
    pub fn mul(&self, rhs: &Lane) -> Lane {
        let wide = |lane: &Lane| (u128::from(lane.umin), u128::from(lane.umax));
        let (lo, hi) = exact::whole_mul(&wide(self), &wide(rhs));
        let unsigned = Lane::from_run(self.width, lo as u64, hi - lo);
        let wide = |lane: &Lane| (i128::from(lane.smin), i128::from(lane.smax));
        let (lo, hi) = exact::corners(&wide(self), &wide(rhs), i128::times);
        let signed = Lane::from_integers(self.width, lo, hi);
        unsigned.and_also(signed).with_tnum(self.tnum.mul_width(self.width, rhs.tnum))
    }

    /// Unsigned quotient. Falls with the divisor and rises with the dividend, so the ends give the interval;
    /// a divisor that may be zero adds 0. Keeps known bits for a constant power of two.
    pub fn div(&self, rhs: &Lane) -> Lane {
        if rhs.umax == 0 {
            return Lane::known(self.width, 0);
        }
        let (least, most) = exact::whole_div(&(self.umin, self.umax), &(rhs.umin.max(1), rhs.umax));
        let least = if rhs.umin == 0 { 0 } else { least };
        let lane = Lane::from_unsigned(self.width, least, most);
        if rhs.is_const() && rhs.umin.is_power_of_two() {
            return lane.with_tnum(self.tnum.rsh(rhs.umin.trailing_zeros()));
        }
        lane
    }

    /// Unsigned remainder. Below the divisor and not above the dividend; a dividend that is always below the
    /// divisor stays as it is; if all dividends share one quotient the interval moves as a whole. Low bits
    /// stay known as far as the divisor is a multiple of that power of two (zero is, too).
    pub fn modulo(&self, rhs: &Lane) -> Lane {
        let wide = |lane: &Lane| (i128::from(lane.umin), i128::from(lane.umax));
        self.remainder(rhs, &wide(self), &wide(rhs))
    }

    /// Signed quotient, rounded towards zero. For divisors of one sign it is extreme at the corners; the two
    /// signs are taken apart, and a divisor that may be zero adds 0. Loses: known bits.
    pub fn sdiv(&self, rhs: &Lane) -> Lane {
        let wide = |lo: i64, hi: i64| (i128::from(lo), i128::from(hi));
        let part = |lo: i64, hi: i64| {
            (lo <= hi).then(|| {
                let dividends = wide(self.smin, self.smax);
                let (lo, hi) = exact::corners(&dividends, &wide(lo, hi), i128::quotient);
                Lane::from_integers(self.width, lo, hi)
            })
        };
        let negative = part(rhs.smin, rhs.smax.min(-1));
        let positive = part(rhs.smin.max(1), rhs.smax);
        let zero = rhs.has(0).then(|| Lane::known(self.width, 0));
        let mut parts = [negative, positive, zero].into_iter().flatten();
        let first = parts.next().unwrap_or(Lane::unknown(self.width));
        parts.fold(first, |all, part| all.join(&part)).reduced_or_top()
    }

    /// Signed remainder, with the sign of the dividend. Smaller in size than the divisor and not larger than
    /// the dividend; a dividend that is always smaller in size stays as it is. Low bits as [`Lane::modulo`].
    pub fn smodulo(&self, rhs: &Lane) -> Lane {
        let wide = |lane: &Lane| (i128::from(lane.smin), i128::from(lane.smax));
        self.remainder(rhs, &wide(self), &wide(rhs))
    }

    /// The remainder of two intervals in one reading.
    fn remainder(&self, rhs: &Lane, a: &Whole<i128>, b: &Whole<i128>) -> Lane {
        if exact::whole_rem_stays(a, b) {
            return *self;
        }
        // Not 0, or it would stay.
        let moved = rhs.is_const().then(|| exact::whole_rem_moves(a, &b.0));
        let (lo, hi) = match moved {
            Some((moved, true)) => moved,
            _ => exact::whole_rem(a, b, &rhs.has(0)),
        };
        Lane::from_integers(self.width, lo, hi).with_tnum(self.tnum.residue(rhs.tnum))
    }

    /// Bitwise and. Span by span, with the tnum of each span: not above either operand.
    pub fn and(&self, rhs: &Lane) -> Lane {
        self.bitwise(rhs, Tnum::and, limits::ends_and)
    }

    /// Bitwise or. Span by span, with the tnum of each span: not below either operand.
    pub fn or(&self, rhs: &Lane) -> Lane {
        self.bitwise(rhs, Tnum::or, limits::ends_or)
    }

    /// Bitwise exclusive or. Span by span, with the tnum of each span: not above the sum of the operands.
    pub fn xor(&self, rhs: &Lane) -> Lane {
        self.bitwise(rhs, Tnum::xor, limits::ends_xor)
    }

    /// Loses: correlation between the bits of one span beyond the bound that `limits` gives.
    fn bitwise(
        &self,
        rhs: &Lane,
        op: impl Fn(Tnum, Tnum) -> Tnum,
        limits: fn(&Ends<Bv>, &Ends<Bv>) -> Ends<Bv>,
    ) -> Lane {
        let known = |lane: &Lane, s: Span| lane.tnum.meet(Tnum::range(s.lo, s.hi)).unwrap_or(lane.tnum);
        let mut result: Option<Lane> = None;
        for x in self.spans().into_iter().flatten() {
            for y in rhs.spans().into_iter().flatten() {
                let (lo, hi) = limits(&self.ends(x.lo, x.hi), &self.ends(y.lo, y.hi));
                let tnum = op(known(self, x), known(rhs, y));
                let part = Lane { tnum, umin: lo.bits, umax: hi.bits, ..Lane::unknown(self.width) };
                let part = part.reduced_or_top();
                result = Some(result.map_or(part, |all| all.join(&part)));
            }
        }
        result.unwrap_or(Lane::unknown(self.width)).with_tnum(op(self.tnum, rhs.tnum))
    }

    /// An interval of bit patterns of this width.
    fn ends(&self, lo: u64, hi: u64) -> Ends<Bv> {
        (Bv::new(self.width, lo), Bv::new(self.width, hi))
    }

    /// The least and greatest shift amount: `self` modulo the width, which is a power of two.
    fn amounts(&self) -> (Tnum, u32, u32) {
        if self.umax < u64::from(self.width) {
            return (self.tnum, self.umin as u32, self.umax as u32);
        }
        let amount = self.and(&Lane::known(self.width, u64::from(self.width - 1)));
        (amount.tnum, amount.umin as u32, amount.umax as u32)
    }

    /// The shift amount if it is constant.
    pub fn amount(&self) -> Option<u32> {
        let (_, least, most) = self.amounts();
        (least == most).then_some(least)
    }

    /// Shift left by `rhs` modulo the width. The exact products by `2^amount` lie between those at the ends,
    /// and a run shorter than `2^w` is kept, as in [`Lane::mul`]. A constant amount is exact on the bits that
    /// stay.
    pub fn lsh(&self, rhs: &Lane) -> Lane {
        let (amounts, least, most) = rhs.amounts();
        if least == most {
            return self.truncate(self.width - least).append_zeros(least);
        }
        // `x << n` is the product of `x` and `2^n`, which rises with `n`.
        let value = (u128::from(self.umin), u128::from(self.umax));
        let (lo, hi) = exact::whole_mul(&value, &(1 << least, 1 << most));
        let unsigned = Lane::from_run(self.width, lo as u64, hi - lo);
        let value = (i128::from(self.smin), i128::from(self.smax));
        let (lo, hi) = exact::corners(&value, &(1 << least, 1 << most), i128::times);
        let signed = Lane::from_integers(self.width, lo, hi);
        let tnum = self.tnum.shift_by(amounts, least, most, |t, n| t.lsh(n).low(self.width));
        unsigned.and_also(signed).with_tnum(tnum)
    }

    /// The value with `count` zero bits below it, in a lane that is wider by as many. Exact.
    pub fn append_zeros(&self, count: u32) -> Lane {
        Lane {
            width: self.width + count,
            tnum: self.tnum.lsh(count),
            umin: self.umin << count,
            umax: self.umax << count,
            smin: self.smin << count,
            smax: self.smax << count,
        }
        .reduced_or_top()
    }

    /// Logical shift right by `rhs` modulo the width: falls with the amount, rises with the value.
    pub fn rsh(&self, rhs: &Lane) -> Lane {
        let (amounts, least, most) = rhs.amounts();
        let tnum = self.tnum.shift_by(amounts, least, most, Tnum::rsh);
        let by = self.ends(u64::from(least), u64::from(most));
        let (lo, hi) = limits::ends_shr(&self.ends(self.umin, self.umax), &by);
        Lane::from_unsigned(self.width, lo.bits, hi.bits).with_tnum(tnum)
    }

    /// Arithmetic shift right by `rhs` modulo the width: moves every value towards 0 or -1.
    pub fn arsh(&self, rhs: &Lane) -> Lane {
        let (amounts, least, most) = rhs.amounts();
        let tnum = self.tnum.shift_by(amounts, least, most, |t, n| t.arsh(n, self.width));
        let by = self.ends(u64::from(least), u64::from(most));
        let (lo, hi) = limits::ends_sar(&self.ends(self.smin as u64, self.smax as u64), &by);
        Lane::from_signed(self.width, lo.signed(), hi.signed()).with_tnum(tnum)
    }

    /// The low `bits` bits (at most the width) as a lane of that width. Keeps each span that does not cover
    /// all of them as a run modulo `2^bits`.
    pub fn truncate(&self, bits: u32) -> Lane {
        if bits == self.width {
            return *self;
        }
        let mut result: Option<Lane> = None;
        for span in self.spans().into_iter().flatten() {
            let part = Lane::from_run(bits, span.lo, u128::from(span.hi - span.lo));
            result = Some(result.map_or(part, |all| all.join(&part)));
        }
        result.unwrap_or(Lane::unknown(bits)).with_tnum(self.tnum.low(bits))
    }

    /// The same value in `width` bits, zeros above. Exact.
    pub fn zero_extend(&self, width: u32) -> Lane {
        let wider = Lane { tnum: self.tnum, ..Lane::unknown(width) };
        wider
            .with_bounds(&move_bits::bounds_zero_extended(&self.bounds_in(width), &wider.sign_bit()))
            .reduced_or_top()
    }

    /// The same signed value in `width` bits, copies of the sign above. Exact on the signed bounds and bits.
    pub fn sign_extend(&self, width: u32) -> Lane {
        let tnum = self.tnum.sign_extend(self.width).low(width);
        let bounds = move_bits::bounds_sign_extended(&self.bounds_in(width));
        Lane { tnum, ..Lane::unknown(width) }.with_bounds(&bounds).reduced_or_top()
    }

    /// The low `bits` bits (16, 32 or 64) with their bytes reversed, zeros above. Keeps known bits exactly;
    /// loses all other bounds, for order does not survive.
    pub fn reverse_bytes(&self, bits: u32) -> Lane {
        Lane::from_tnum(self.width, self.tnum.reverse_bytes(bits))
    }
}
