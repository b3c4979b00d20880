//! Tristate numbers: each bit of a word is zero, one, or unknown.

use super::rules::{self, Bv, Known, Word, move_bits};

/// A set of 64-bit values given bit by bit.
///
/// `x` is a member iff `x & !mask == value`. A tnum is never empty.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tnum {
    value: u64,
    mask: u64,
}

impl Tnum {
    /// Every value.
    pub const UNKNOWN: Tnum = Tnum { value: 0, mask: u64::MAX };

    /// A tnum from its parts; `None` if a bit is claimed both one and unknown.
    pub const fn new(value: u64, mask: u64) -> Option<Tnum> {
        if value & mask == 0 { Some(Tnum { value, mask }) } else { None }
    }

    /// Exactly one value.
    pub const fn constant(value: u64) -> Tnum {
        Tnum { value, mask: 0 }
    }

    /// Every value; the same as [`Tnum::UNKNOWN`].
    pub const fn unknown() -> Tnum {
        Tnum::UNKNOWN
    }

    /// The smallest tnum with all of `min..=max`: the leading bits on which both ends agree.
    ///
    /// Ends in the wrong order give the tnum of the reversed range. Loses: everything inside the range below
    /// the first bit that differs.
    pub fn range(min: u64, max: u64) -> Tnum {
        let differ = min ^ max;
        let below = if differ == 0 { 0 } else { u64::MAX >> differ.leading_zeros() };
        Tnum::from_known(rules::known_prefix(&Bv::new(64, min), &Bv::new(64, below)))
    }

    /// The bits known to be one; also the least member, read as unsigned.
    pub const fn value(self) -> u64 {
        self.value
    }

    /// The bits that are not known.
    pub const fn mask(self) -> u64 {
        self.mask
    }

    /// The greatest member, read as unsigned.
    pub const fn max(self) -> u64 {
        self.value | self.mask
    }

    /// Whether there is exactly one member.
    pub const fn is_const(self) -> bool {
        self.mask == 0
    }

    /// Whether nothing is known.
    pub const fn is_unknown(self) -> bool {
        self.mask == u64::MAX
    }

    /// Whether every member is a multiple of `size`, a power of two; 0 counts as 1.
    pub const fn is_aligned(self, size: u64) -> bool {
        size == 0 || self.max() & (size - 1) == 0
    }

    /// Number of low bits known to be zero.
    pub const fn trailing_zeros(self) -> u32 {
        self.max().trailing_zeros()
    }

    /// Whether `x` is a member.
    pub const fn has(self, x: u64) -> bool {
        x & !self.mask == self.value
    }

    /// Whether every member of `other` is a member of `self`.
    pub const fn contains(self, other: Tnum) -> bool {
        other.mask & !self.mask == 0 && other.value & !self.mask == self.value
    }

    /// Whether `self` and `other` have a member in common.
    pub const fn overlaps(self, other: Tnum) -> bool {
        (self.value ^ other.value) & !(self.mask | other.mask) == 0
    }

    /// The members of both, exactly; `None` if there are none.
    pub fn meet(self, other: Tnum) -> Option<Tnum> {
        self.overlaps(other).then(|| self.with(other, rules::known_meet))
    }

    /// The smallest tnum with all members of both. Loses: which bits go together.
    pub fn join(self, other: Tnum) -> Tnum {
        self.with(other, rules::known_join)
    }

    /// The least member that is at least `from`, unsigned; `None` if all are below. Exact.
    pub fn next_member(self, from: u64) -> Option<u64> {
        // Mostly it is one itself.
        if self.has(from) {
            return Some(from);
        }
        let (next, exists) = rules::known_next(64, &self.known(64), &Bv::new(64, from));
        exists.then_some(next.bits)
    }

    /// The greatest member that is at most `from`, unsigned; `None` if all are above. Exact.
    pub fn prev_member(self, from: u64) -> Option<u64> {
        if self.has(from) {
            return Some(from);
        }
        let (prev, exists) = rules::known_prev(64, &self.known(64), &Bv::new(64, from));
        exists.then_some(prev.bits)
    }

    /// Sum modulo 2^64. Exact per bit (no sound tnum is smaller).
    #[allow(
        clippy::should_implement_trait,
        reason = "an abstract operation under the name of the concrete one"
    )]
    pub fn add(self, rhs: Tnum) -> Tnum {
        self.with(rhs, rules::known_add)
    }

    /// Difference modulo 2^64. Exact per bit.
    #[allow(
        clippy::should_implement_trait,
        reason = "an abstract operation under the name of the concrete one"
    )]
    pub fn sub(self, rhs: Tnum) -> Tnum {
        self.with(rhs, rules::known_sub)
    }

    /// Negation modulo 2^64: `0 - self`.
    #[allow(
        clippy::should_implement_trait,
        reason = "an abstract operation under the name of the concrete one"
    )]
    pub fn neg(self) -> Tnum {
        Tnum::constant(0).sub(self)
    }

    /// Product modulo 2^64.
    ///
    /// Long multiplication is not symmetric in what it keeps, so both orders are taken and met. Loses: that
    /// an unknown bit of one operand meets all bits of the other at once.
    #[allow(
        clippy::should_implement_trait,
        reason = "an abstract operation under the name of the concrete one"
    )]
    pub fn mul(self, rhs: Tnum) -> Tnum {
        self.mul_width(64, rhs)
    }

    /// The low `width` bits of the product; the bits above are zero.
    pub(super) fn mul_width(self, width: u32, rhs: Tnum) -> Tnum {
        let cut = |t: Tnum| t.low(width);
        if self.is_const() && rhs.is_const() {
            return cut(Tnum::constant(self.value.wrapping_mul(rhs.value)));
        }
        if self.mask | rhs.mask == u64::MAX {
            // With an operand that is unknown throughout only the trailing zeros survive.
            if self.is_unknown() || rhs.is_unknown() {
                let zeros = self.trailing_zeros().saturating_add(rhs.trailing_zeros()).min(64);
                return cut(Tnum { value: 0, mask: u64::MAX.checked_shl(zeros).unwrap_or(0) });
            }
        }
        let order = |a: Tnum, b: Tnum| {
            cut(Tnum::from_known(rules::known_mul(width, &a.known(width), &b.known(width))))
        };
        let (one, other) = (order(self, rhs), order(rhs, self));
        one.meet(other).unwrap_or(one)
    }

    /// Bitwise and. Exact.
    pub fn and(self, rhs: Tnum) -> Tnum {
        self.with(rhs, rules::known_and)
    }

    /// Bitwise or. Exact.
    pub fn or(self, rhs: Tnum) -> Tnum {
        self.with(rhs, rules::known_or)
    }

    /// Bitwise exclusive or. Exact.
    pub fn xor(self, rhs: Tnum) -> Tnum {
        self.with(rhs, rules::known_xor)
    }

    /// Shift left by `amount`; 64 and more shift everything out.
    pub fn lsh(self, amount: u32) -> Tnum {
        self.shifted(amount, 64, rules::known_shl)
    }

    /// Logical shift right by `amount`; 64 and more shift everything out.
    pub fn rsh(self, amount: u32) -> Tnum {
        self.shifted(amount, 64, rules::known_shr)
    }

    /// Arithmetic shift right of the low `width` bits (1 to 64) by `amount`, cut to `width` bits.
    ///
    /// Amounts of `width` and more leave copies of the sign. Exact.
    pub fn arsh(self, amount: u32, width: u32) -> Tnum {
        let signed = self.sign_extend(width);
        let amount = Bv::new(64, u64::from(amount.min(width - 1)));
        Tnum::from_known(rules::known_sar(&signed.known(64), &amount)).low(width)
    }

    /// The same operation for every amount in `amounts`, joined: a shift whose amount is itself a tnum that
    /// is cut to the interval `min..=max` (at most 63).
    ///
    /// Loses: which amount gave which bits.
    pub fn shift_by(self, amounts: Tnum, min: u32, max: u32, shift: impl Fn(Tnum, u32) -> Tnum) -> Tnum {
        let mut result: Option<Tnum> = None;
        for amount in (min..=max.min(63)).filter(|&n| amounts.has(u64::from(n))) {
            let one = shift(self, amount);
            result = Some(result.map_or(one, |all| all.join(one)));
            if result == Some(Tnum::UNKNOWN) {
                break;
            }
        }
        result.unwrap_or(Tnum::UNKNOWN)
    }

    /// The low `bits` bits (0 to 64), zero above.
    pub const fn low(self, bits: u32) -> Tnum {
        let keep = low_mask(bits);
        Tnum { value: self.value & keep, mask: self.mask & keep }
    }

    /// The low `size_bytes` bytes, zero above; 8 and more keep all.
    pub const fn cast(self, size_bytes: u32) -> Tnum {
        self.low(if size_bytes >= 8 { 64 } else { size_bytes * 8 })
    }

    /// The low `bits` bits (1 to 64) read as two's complement: an unknown sign bit makes all above unknown.
    pub fn sign_extend(self, bits: u32) -> Tnum {
        let up = Bv::new(64, u64::from(64 - bits));
        Tnum::from_known(rules::known_sign_extend(&self.known(64), &up))
    }

    /// The low `bits` bits (16, 32 or 64) with their bytes reversed, zero above. Exact.
    pub fn reverse_bytes(self, bits: u32) -> Tnum {
        Tnum::from_known(move_bits::known_reversed(&self.known(64), bits / 8, 8))
    }

    /// The bits of a remainder of a member by one of `divisor` that only depend on the dividend: by a multiple of `2^k`
    /// (0 is one), dividend and remainder agree modulo `2^k`.
    pub(super) fn residue(self, divisor: Tnum) -> Tnum {
        let kept = move_bits::known_low_zeros(&divisor.known(64));
        Tnum::from_known(move_bits::known_agreeing(&self.known(64), &kept))
    }

    /// The low 32 bits, zero above.
    pub const fn subreg(self) -> Tnum {
        self.low(32)
    }

    /// This with the low 32 bits known to be zero.
    pub const fn clear_subreg(self) -> Tnum {
        Tnum { value: self.value & !low_mask(32), mask: self.mask & !low_mask(32) }
    }

    /// This with the low 32 bits taken from `subreg`.
    pub const fn with_subreg(self, subreg: Tnum) -> Tnum {
        self.with_low(32, subreg)
    }

    /// This with the low `bits` bits taken from `low`.
    pub(super) const fn with_low(self, bits: u32, low: Tnum) -> Tnum {
        let keep = low_mask(bits);
        Tnum {
            value: (self.value & !keep) | (low.value & keep),
            mask: (self.mask & !keep) | (low.mask & keep),
        }
    }

    /// This with the low 32 bits known to be `value`.
    pub const fn const_subreg(self, value: u32) -> Tnum {
        self.with_subreg(Tnum::constant(value as u64))
    }

    /// The members of `self` and of `rhs` that share a bit with a member of the other; `None` if none do.
    pub(super) fn sharing(self, rhs: Tnum) -> Option<(Tnum, Tnum)> {
        let (certain, possible) = rules::known_sharing(&self.known(64), &rhs.known(64));
        let certain = possible.then_some(Tnum::from_known(certain))?;
        Some((self.meet(certain)?, rhs.meet(certain)?))
    }

    /// The members that share no bit with some member of `rhs`; `None` if all do.
    pub(super) fn apart(self, rhs: Tnum) -> Option<Tnum> {
        self.meet(Tnum::from_known(rules::known_apart(&rhs.known(64))))
    }

    fn with(self, rhs: Tnum, rule: fn(&Known<Bv>, &Known<Bv>) -> Known<Bv>) -> Tnum {
        Tnum::from_known(rule(&self.known(64), &rhs.known(64)))
    }

    fn shifted(self, amount: u32, width: u32, rule: fn(&Known<Bv>, &Bv) -> Known<Bv>) -> Tnum {
        if amount >= width {
            return Tnum::constant(0);
        }
        Tnum::from_known(rule(&self.known(width), &Bv::new(width, u64::from(amount))))
    }

    fn known(self, width: u32) -> Known<Bv> {
        let word = Bv::new(width, 0);
        Known { value: word.lit(self.value), mask: word.lit(self.mask) }
    }

    const fn from_known(known: Known<Bv>) -> Tnum {
        Tnum { value: known.value.bits, mask: known.mask.bits }
    }
}

/// The low `bits` bits set (0 to 64).
pub(super) const fn low_mask(bits: u32) -> u64 {
    if bits == 0 { 0 } else { u64::MAX >> (64 - bits) }
}
