//! What is known about a 64-bit register: its 64 bits and its low 32 bits, each informing the other.

use super::lane::{Lane, ROUNDS, Span, Spans};
use super::rules::{Bv, limits};
use super::tnum::{Tnum, low_mask};

/// The width of an operation or comparison.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Bits {
    /// The low 32 bits; a result is zero-extended to 64.
    B32,
    /// All 64 bits.
    B64,
}

impl Bits {
    /// How many.
    pub(super) const fn count(self) -> u32 {
        match self {
            Self::B32 => 32,
            Self::B64 => 64,
        }
    }
}

/// A non-empty set of 64-bit values, as Linux 6.18 `struct bpf_reg_state` describes a scalar.
///
/// `x` is a member iff it agrees with the [`Tnum`], lies within the unsigned and the signed 64-bit bounds, and
/// its low 32 bits lie within the unsigned and the signed 32-bit bounds. Every constructor and operation gives
/// the components mutually tightened (the kernel's `reg_bounds_sync`), so bounds are never in the wrong order.
///
/// Equality is of the description. [`Scalar::contains`] is the order by which states are pruned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Scalar {
    tnum: Tnum,
    umin: u64,
    umax: u64,
    smin: i64,
    smax: i64,
    u32_min: u32,
    u32_max: u32,
    s32_min: i32,
    s32_max: i32,
}

impl Scalar {
    /// Every 64-bit value.
    pub const UNKNOWN: Scalar = Scalar {
        tnum: Tnum::UNKNOWN,
        umin: 0,
        umax: u64::MAX,
        smin: i64::MIN,
        smax: i64::MAX,
        u32_min: 0,
        u32_max: u32::MAX,
        s32_min: i32::MIN,
        s32_max: i32::MAX,
    };

    /// Every 64-bit value; the same as [`Scalar::UNKNOWN`].
    pub const fn unknown() -> Scalar {
        Scalar::UNKNOWN
    }

    /// Exactly one value.
    pub const fn known(value: u64) -> Scalar {
        Scalar {
            tnum: Tnum::constant(value),
            umin: value,
            umax: value,
            smin: value as i64,
            smax: value as i64,
            u32_min: value as u32,
            u32_max: value as u32,
            s32_min: value as i32,
            s32_max: value as i32,
        }
    }

    /// Every number of `bits` bits (1 to 32).
    pub(super) const fn below(bits: u32) -> Scalar {
        let all = low_mask(bits);
        Scalar {
            tnum: Tnum::UNKNOWN.low(bits),
            umin: 0,
            umax: all,
            smin: 0,
            smax: all as i64,
            u32_min: 0,
            u32_max: all as u32,
            s32_min: if bits == 32 { i32::MIN } else { 0 },
            s32_max: if bits == 32 { i32::MAX } else { all as i32 },
        }
    }

    /// The values `min..=max`, read as unsigned; `None` if the ends are in the wrong order.
    pub fn from_unsigned(min: u64, max: u64) -> Option<Scalar> {
        Scalar::from_parts(Tnum::UNKNOWN, (min, max), (i64::MIN, i64::MAX))
    }

    /// The values `min..=max`, read as signed; `None` if the ends are in the wrong order.
    pub fn from_signed(min: i64, max: i64) -> Option<Scalar> {
        Scalar::from_parts(Tnum::UNKNOWN, (0, u64::MAX), (min, max))
    }

    /// Every value of the tnum.
    pub fn from_tnum(tnum: Tnum) -> Scalar {
        settle(Lane::from_tnum(64, tnum), Lane::from_tnum(32, tnum)).unwrap_or(Scalar::UNKNOWN)
    }

    /// The members of a tnum within unsigned and signed 64-bit bounds; `None` if there are none.
    pub fn from_parts(tnum: Tnum, unsigned: (u64, u64), signed: (i64, i64)) -> Option<Scalar> {
        let ((umin, umax), (smin, smax)) = (unsigned, signed);
        settle(Lane { width: 64, tnum, umin, umax, smin, smax }, Lane::unknown(32))
    }

    /// The members of all components taken together; `None` if there are none.
    ///
    /// `u32` and `s32` bound the low 32 bits. This is the kernel's `reg_bounds_sync` with a verdict: where the
    /// kernel can be left with bounds in the wrong order, this says that no value is possible.
    pub fn from_all_parts(
        tnum: Tnum,
        unsigned: (u64, u64),
        signed: (i64, i64),
        u32: (u32, u32),
        s32: (i32, i32),
    ) -> Option<Scalar> {
        let ((umin, umax), (smin, smax)) = (unsigned, signed);
        let low = Lane {
            width: 32,
            tnum: tnum.subreg(),
            umin: u64::from(u32.0),
            umax: u64::from(u32.1),
            smin: i64::from(s32.0),
            smax: i64::from(s32.1),
        };
        settle(Lane { width: 64, tnum, umin, umax, smin, smax }, low)
    }

    /// The known bits (`var_off` in the kernel).
    pub const fn tnum(&self) -> Tnum {
        self.tnum
    }

    /// Least member, unsigned.
    pub const fn umin(&self) -> u64 {
        self.umin
    }

    /// Greatest member, unsigned.
    pub const fn umax(&self) -> u64 {
        self.umax
    }

    /// Least member, signed.
    pub const fn smin(&self) -> i64 {
        self.smin
    }

    /// Greatest member, signed.
    pub const fn smax(&self) -> i64 {
        self.smax
    }

    /// Least low half, unsigned.
    pub const fn u32_min(&self) -> u32 {
        self.u32_min
    }

    /// Greatest low half, unsigned.
    pub const fn u32_max(&self) -> u32 {
        self.u32_max
    }

    /// Least low half, signed.
    pub const fn s32_min(&self) -> i32 {
        self.s32_min
    }

    /// Greatest low half, signed.
    pub const fn s32_max(&self) -> i32 {
        self.s32_max
    }

    /// Whether there is exactly one member.
    pub const fn is_const(&self) -> bool {
        self.tnum.is_const()
    }

    /// The only member, if there is only one.
    pub const fn as_const(&self) -> Option<u64> {
        if self.is_const() { Some(self.tnum.value()) } else { None }
    }

    /// The low 32 bits of every member, if they are all the same.
    pub const fn as_const32(&self) -> Option<u32> {
        let low = self.tnum.subreg();
        if low.is_const() { Some(low.value() as u32) } else { None }
    }

    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        *self == Scalar::UNKNOWN
    }

    /// Whether `x` is a member.
    pub fn has(&self, x: u64) -> bool {
        self.lane64().has(x) && self.lane32().has(x & low_mask(32))
    }

    /// Whether every component of `self` allows what that component of `other` allows.
    ///
    /// Then every member of `other` is a member of `self`. This is the kernel's `range_within` and `tnum_in`,
    /// by which a state already explored makes a new one superfluous.
    pub fn contains(&self, other: &Scalar) -> bool {
        self.lane64().contains(&other.lane64()) && self.lane32().contains(&other.lane32())
    }

    /// The smallest description that we have of the members of both, component by component.
    ///
    /// Loses: gaps between the two, and which components went together.
    pub fn join(&self, other: &Scalar) -> Scalar {
        let joined = settle(self.lane64().join(&other.lane64()), self.lane32().join(&other.lane32()));
        joined.unwrap_or(Scalar::UNKNOWN)
    }

    /// The members of both; `None` if there are none.
    ///
    /// Keeps every common member. `None` is certain; a non-empty answer can still hide that nothing is common.
    pub fn meet(&self, other: &Scalar) -> Option<Scalar> {
        settle(self.lane64().meet_raw(&other.lane64())?, self.lane32().meet_raw(&other.lane32())?)
    }

    /// The two cases of a value that is 0 or -1, in 64 bits or in its low 32; `None` if it is not such a mask.
    ///
    /// A shift of the sign over all bits makes such a mask, and a bitwise `and` or `or` with a constant then
    /// selects one of two numbers. No single interval holds just those two, so Linux 6.18 follows both cases
    /// apart from such an instruction on (`maybe_fork_scalars`). Every member is in one of the two.
    pub fn split_mask(&self) -> Option<[Scalar; 2]> {
        let cases = |zero: Lane, ones: Lane| match zero.width {
            64 => Some([settle(zero, self.lane32())?, settle(ones, self.lane32())?]),
            _ => Some([settle(self.lane64(), zero)?, settle(self.lane64(), ones)?]),
        };
        if (self.smin, self.smax) == (-1, 0) {
            cases(Lane::known(64, 0), Lane::known(64, u64::MAX))
        } else if (self.s32_min, self.s32_max) == (-1, 0) {
            cases(Lane::known(32, 0), Lane::known(32, u64::MAX))
        } else {
            None
        }
    }

    /// Tightens all components by each other once more.
    ///
    /// A scalar is already tight when it is made, so this matters only where the first time stopped at the
    /// bound on rounds. Keeps every member.
    pub fn normalize(&self) -> Option<Scalar> {
        settle(self.lane64(), self.lane32())
    }

    /// The values of a reduced lane of 32 bits, zero-extended.
    pub(super) fn from_low(low: &Lane) -> Scalar {
        let scalar = Scalar {
            tnum: low.tnum,
            umin: low.umin,
            umax: low.umax,
            smin: low.umin as i64,
            smax: low.umax as i64,
            u32_min: low.umin as u32,
            u32_max: low.umax as u32,
            s32_min: low.smin as i32,
            s32_max: low.smax as i32,
        };
        #[cfg(test)]
        assert_eq!(settle(low.zero_extend(64), *low), Some(scalar), "{low:?} is tight");
        scalar
    }

    pub(super) fn lane64(&self) -> Lane {
        let Scalar { tnum, umin, umax, smin, smax, .. } = *self;
        Lane { width: 64, tnum, umin, umax, smin, smax }
    }

    pub(super) fn lane32(&self) -> Lane {
        Lane {
            width: 32,
            tnum: self.tnum.subreg(),
            umin: u64::from(self.u32_min),
            umax: u64::from(self.u32_max),
            smin: i64::from(self.s32_min),
            smax: i64::from(self.s32_max),
        }
    }

    pub(super) fn lane(&self, bits: Bits) -> Lane {
        match bits {
            Bits::B32 => self.lane32(),
            Bits::B64 => self.lane64(),
        }
    }
}

/// The scalar whose 64 bits are in `wide` and whose low 32 bits are in `low`; `None` if there is none.
pub(super) fn settle(wide: Lane, low: Lane) -> Option<Scalar> {
    let (wide, low) = tighten(wide, low)?;
    Some(Scalar {
        tnum: wide.tnum,
        umin: wide.umin,
        umax: wide.umax,
        smin: wide.smin,
        smax: wide.smax,
        u32_min: low.umin as u32,
        u32_max: low.umax as u32,
        s32_min: low.smin as i32,
        s32_max: low.smax as i32,
    })
}

/// Lets a lane and the lane of its low bits tighten each other to a fixed point; `None` if nothing is left.
///
/// Each round shares the low bits of the tnum, reduces both lanes, projects the wide spans down to bound the
/// low half, and moves the ends of the wide spans to the nearest value whose low half is allowed. Every step
/// removes only values that fail one component, so members are kept; a contradiction anywhere gives `None`.
///
/// This subsumes the kernel's rules: 32-bit bounds from 64-bit bounds with equal (or two adjacent) high halves,
/// signed from unsigned bounds and back on one side of the sign, `__reg_deduce_mixed_bounds`, and the special
/// case of a sign-extended value with a non-negative low half.
pub(super) fn tighten(mut wide: Lane, mut low: Lane) -> Option<(Lane, Lane)> {
    let half = low.width;
    if wide == Lane::unknown(wide.width) && low == Lane::unknown(half) {
        return Some((wide, low));
    }
    for _ in 0..ROUNDS {
        let before = (wide, low);
        low.tnum = low.tnum.meet(wide.tnum.low(half))?;
        wide.tnum = wide.tnum.with_low(half, low.tnum);
        wide = wide.reduce()?;
        if wide.is_const() {
            let low_bits = wide.tnum.value() & low_mask(half);
            return low.has(low_bits).then(|| (wide, Lane::known(half, low_bits)));
        }
        low = low.meet(&wide.truncate(half))?;
        let allowed = low.spans();
        let tight = |span: Option<Span>| {
            let span = span?;
            let lo = next_with_low(span.lo, half, &allowed)?;
            let hi = prev_with_low(span.hi, half, &allowed)?;
            (lo <= hi).then_some(Span { lo, hi })
        };
        let [plain, signed] = wide.spans();
        wide = wide.with_spans(&[tight(plain), tight(signed)])?;
        if (wide, low) == before {
            break;
        }
    }
    Some((wide, low))
}

/// The least value that is at least `x` and has its low `half` bits in one of the spans. It may be above
/// every value of the width, which the caller sees by comparing with the other end.
fn next_with_low(x: u64, half: u32, allowed: &Spans) -> Option<u64> {
    let word = |bits| Bv::new(64, bits);
    let (next, exists) = limits::next_with_low(&word(x), &word(low_mask(half)), &ends_of(allowed));
    exists.then_some(next.bits)
}

/// The greatest value that is at most `x` and has its low `half` bits in one of the spans.
fn prev_with_low(x: u64, half: u32, allowed: &Spans) -> Option<u64> {
    let word = |bits| Bv::new(64, bits);
    let (prev, exists) = limits::prev_with_low(&word(x), &word(low_mask(half)), &ends_of(allowed));
    exists.then_some(prev.bits)
}

fn ends_of(spans: &Spans) -> [limits::Ends<Bv>; 2] {
    let word = |bits| Bv::new(64, bits);
    spans.map(|span| span.map_or((word(1), word(0)), |span| (word(span.lo), word(span.hi))))
}
