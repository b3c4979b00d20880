//! The rules of the domain that are pure bit arithmetic, written once over any [`Word`].
//!
//! Idea: a soundness proof is only worth something about the code that runs. So the rules are generic: with
//! [`Bv`] they compute (this is what [`Tnum`](super::Tnum) and the lanes call), and with a symbolic word they
//! print themselves as SMT-LIB terms, which `cargo xtask prove` hands to z3.
//! There are no branches on values in here, only [`Word::select`].

pub mod exact;
pub mod limits;
pub mod move_bits;

/// A bit vector that is computed with, or written down.
pub trait Word: Clone {
    /// What a comparison gives.
    type Bool: Clone;
    /// A constant of the same width as `self`.
    fn lit(&self, bits: u64) -> Self;
    /// Sum modulo `2^width`.
    fn add(&self, rhs: &Self) -> Self;
    /// Difference modulo `2^width`.
    fn sub(&self, rhs: &Self) -> Self;
    /// Bitwise and.
    fn and(&self, rhs: &Self) -> Self;
    /// Bitwise or.
    fn or(&self, rhs: &Self) -> Self;
    /// Bitwise exclusive or.
    fn xor(&self, rhs: &Self) -> Self;
    /// Bitwise complement.
    fn not(&self) -> Self;
    /// Shift left by less than the width.
    fn shl(&self, amount: &Self) -> Self;
    /// Logical shift right by less than the width.
    fn shr(&self, amount: &Self) -> Self;
    /// Arithmetic shift right by less than the width.
    fn sar(&self, amount: &Self) -> Self;
    /// Equality.
    fn eq(&self, rhs: &Self) -> Self::Bool;
    /// Unsigned less than.
    fn ult(&self, rhs: &Self) -> Self::Bool;
    /// Signed less than.
    fn slt(&self, rhs: &Self) -> Self::Bool;
    /// `if c { a } else { b }`.
    fn select(c: &Self::Bool, a: &Self, b: &Self) -> Self;
    /// Conjunction.
    fn both(a: &Self::Bool, b: &Self::Bool) -> Self::Bool;
    /// Negation.
    fn negate(a: &Self::Bool) -> Self::Bool;
}

/// A concrete bit vector of 1 to 64 bits; the bits above the width are zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bv {
    /// Number of bits.
    pub width: u32,
    /// The bits.
    pub bits: u64,
}

impl Bv {
    /// `bits` cut to `width` (1 to 64).
    pub fn new(width: u32, bits: u64) -> Bv {
        Bv { width, bits: bits & (u64::MAX >> (64 - width)) }
    }

    /// The value read as two's complement.
    pub fn signed(self) -> i64 {
        ((self.bits << (64 - self.width)) as i64) >> (64 - self.width)
    }
}

impl Word for Bv {
    type Bool = bool;
    fn lit(&self, bits: u64) -> Bv {
        Bv::new(self.width, bits)
    }
    fn add(&self, rhs: &Bv) -> Bv {
        self.lit(self.bits.wrapping_add(rhs.bits))
    }
    fn sub(&self, rhs: &Bv) -> Bv {
        self.lit(self.bits.wrapping_sub(rhs.bits))
    }
    fn and(&self, rhs: &Bv) -> Bv {
        self.lit(self.bits & rhs.bits)
    }
    fn or(&self, rhs: &Bv) -> Bv {
        self.lit(self.bits | rhs.bits)
    }
    fn xor(&self, rhs: &Bv) -> Bv {
        self.lit(self.bits ^ rhs.bits)
    }
    fn not(&self) -> Bv {
        self.lit(!self.bits)
    }
    fn shl(&self, amount: &Bv) -> Bv {
        self.lit(self.bits.wrapping_shl(amount.bits as u32))
    }
    fn shr(&self, amount: &Bv) -> Bv {
        self.lit(self.bits.wrapping_shr(amount.bits as u32))
    }
    fn sar(&self, amount: &Bv) -> Bv {
        self.lit(self.signed().wrapping_shr(amount.bits as u32) as u64)
    }
    fn eq(&self, rhs: &Bv) -> bool {
        self.bits == rhs.bits
    }
    fn ult(&self, rhs: &Bv) -> bool {
        self.bits < rhs.bits
    }
    fn slt(&self, rhs: &Bv) -> bool {
        self.signed() < rhs.signed()
    }
    fn select(c: &bool, a: &Bv, b: &Bv) -> Bv {
        if *c { *a } else { *b }
    }
    fn both(a: &bool, b: &bool) -> bool {
        *a && *b
    }
    fn negate(a: &bool) -> bool {
        !*a
    }
}

/// Known bits: a member agrees with `value` wherever `mask` is 0. `value & mask` is 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known<W> {
    /// The bits known to be one.
    pub value: W,
    /// The bits that are not known.
    pub mask: W,
}

impl<W: Word> Known<W> {
    fn settled(value: W, mask: W) -> Known<W> {
        Known { value: value.and(&mask.not()), mask }
    }
}

/// Sum of two tnums.
///
/// The least sum is the sum of the values; adding all unknown bits gives the greatest. A bit is known iff no
/// operand is unknown there and the carry into it is the same in both extremes.
pub fn known_add<W: Word>(a: &Known<W>, b: &Known<W>) -> Known<W> {
    let least = a.value.add(&b.value);
    let greatest = least.add(&a.mask.add(&b.mask));
    let carries_differ = least.xor(&greatest);
    Known::settled(least, carries_differ.or(&a.mask).or(&b.mask))
}

/// Difference of two tnums: like [`known_add`], with the extremes `a` greatest, `b` least, and the reverse.
pub fn known_sub<W: Word>(a: &Known<W>, b: &Known<W>) -> Known<W> {
    let difference = a.value.sub(&b.value);
    let greatest = difference.add(&a.mask);
    let least = difference.sub(&b.mask);
    let borrows_differ = greatest.xor(&least);
    Known::settled(difference, borrows_differ.or(&a.mask).or(&b.mask))
}

/// Bitwise and: one where both are known ones, zero where either is a known zero.
pub fn known_and<W: Word>(a: &Known<W>, b: &Known<W>) -> Known<W> {
    let ones = a.value.and(&b.value);
    let possible = a.value.or(&a.mask).and(&b.value.or(&b.mask));
    Known { mask: possible.xor(&ones), value: ones }
}

/// Bitwise or: one where either is a known one, zero where both are known zeros.
pub fn known_or<W: Word>(a: &Known<W>, b: &Known<W>) -> Known<W> {
    let ones = a.value.or(&b.value);
    let possible = ones.or(&a.mask).or(&b.mask);
    Known { mask: possible.xor(&ones), value: ones }
}

/// Bitwise exclusive or: known where both are known.
pub fn known_xor<W: Word>(a: &Known<W>, b: &Known<W>) -> Known<W> {
    Known::settled(a.value.xor(&b.value), a.mask.or(&b.mask))
}

/// The tnum of everything that is in `a` or in `b`: known where both are known and agree.
pub fn known_join<W: Word>(a: &Known<W>, b: &Known<W>) -> Known<W> {
    Known::settled(a.value.and(&b.value), a.mask.or(&b.mask).or(&a.value.xor(&b.value)))
}

/// The tnum of everything that is in both, provided that there is anything.
pub fn known_meet<W: Word>(a: &Known<W>, b: &Known<W>) -> Known<W> {
    Known::settled(a.value.or(&b.value), a.mask.and(&b.mask))
}

/// Shift left by a constant.
pub fn known_shl<W: Word>(a: &Known<W>, amount: &W) -> Known<W> {
    Known { value: a.value.shl(amount), mask: a.mask.shl(amount) }
}

/// Logical shift right by a constant.
pub fn known_shr<W: Word>(a: &Known<W>, amount: &W) -> Known<W> {
    Known { value: a.value.shr(amount), mask: a.mask.shr(amount) }
}

/// Arithmetic shift right by a constant: the sign bit is copied with what is known or unknown about it.
pub fn known_sar<W: Word>(a: &Known<W>, amount: &W) -> Known<W> {
    Known { value: a.value.sar(amount), mask: a.mask.sar(amount) }
}

/// The value without its `up` highest bits read as two's complement: an unknown sign makes all above unknown.
pub fn known_sign_extend<W: Word>(a: &Known<W>, up: &W) -> Known<W> {
    known_sar(&known_shl(a, up), up)
}

/// Everything that agrees with `from` above the bits of `below`, which is `2^k - 1`.
pub fn known_prefix<W: Word>(from: &W, below: &W) -> Known<W> {
    Known { value: from.and(&below.not()), mask: below.clone() }
}

/// What `x & y != 0` teaches of both, and whether it is possible: if only one bit can be common, it is.
pub fn known_sharing<W: Word>(a: &Known<W>, b: &Known<W>) -> (Known<W>, W::Bool) {
    let (zero, one) = (a.value.lit(0), a.value.lit(1));
    let possible = a.value.or(&a.mask).and(&b.value.or(&b.mask));
    let single = possible.and(&possible.sub(&one)).eq(&zero);
    let certain = W::select(&single, &possible, &zero);
    (Known { mask: certain.not(), value: certain }, W::negate(&possible.eq(&zero)))
}

/// What `x & y == 0` teaches of `x`: a bit known to be one in `y` is zero.
pub fn known_apart<W: Word>(y: &Known<W>) -> Known<W> {
    Known { value: y.value.lit(0), mask: y.value.not() }
}

/// Product of two tnums of `width` bits, by long multiplication.
///
/// For each bit of `a`: a known one adds the shifted `b`; an unknown bit joins "added" and "not added". Each
/// partial sum contains the concrete partial sum, so the last one contains the product.
pub fn known_mul<W: Word>(width: u32, a: &Known<W>, b: &Known<W>) -> Known<W> {
    let zero = a.value.lit(0);
    let mut sum = Known { value: zero.clone(), mask: zero.clone() };
    for i in 0..width {
        sum = known_mul_step(&sum, a, b, &zero.lit(u64::from(i)));
    }
    sum
}

/// One step of [`known_mul`]: the sum with bit `i` of `a` times `b`.
pub fn known_mul_step<W: Word>(sum: &Known<W>, a: &Known<W>, b: &Known<W>, i: &W) -> Known<W> {
    let zero = i.lit(0);
    let bit = i.lit(1).shl(i);
    let added = known_add(sum, &known_shl(b, i));
    let either = known_join(sum, &added);
    let is_zero = a.value.or(&a.mask).and(&bit).eq(&zero);
    let is_one = a.value.and(&bit).eq(&bit);
    let pick = |none: &W, one: &W, unknown: &W| W::select(&is_zero, none, &W::select(&is_one, one, unknown));
    Known {
        value: pick(&sum.value, &added.value, &either.value),
        mask: pick(&sum.mask, &added.mask, &either.mask),
    }
}

/// The least member that is at least `from`, and whether there is one.
///
/// The pattern that copies `from` into the unknown bits is a member. Where it first differs from `from`
/// decides: if it is above there, what follows may drop to its least; if it is below, the nearest unknown bit
/// further up that is zero must become one, and what follows drops to its least. Exact.
pub fn known_next<W: Word>(width: u32, t: &Known<W>, from: &W) -> (W, W::Bool) {
    let zero = from.lit(0);
    let copy = t.value.or(&from.and(&t.mask));
    let least_in = |bits: &W, keep: &W| keep.and(&bits.not()).or(&t.value.and(bits));
    // All bits from the first difference down.
    let mut below = copy.xor(from);
    let mut step = 1;
    while step < width {
        below = below.or(&below.shr(&zero.lit(u64::from(step))));
        step *= 2;
    }
    let dropped = least_in(&below, &copy);
    let raisable = t.mask.and(&copy.not()).and(&below.not());
    let raised = raisable.and(&zero.sub(&raisable));
    let from_raised = raised.or(&raised.sub(&zero.lit(1)));
    let climbed = least_in(&from_raised, &copy).or(&raised);
    let must_climb = copy.ult(from);
    let missing = W::both(&must_climb, &raisable.eq(&zero));
    (W::select(&must_climb, &climbed, &dropped), W::negate(&missing))
}

/// The greatest member that is at most `from`, and whether there is one: [`known_next`] of the complements.
pub fn known_prev<W: Word>(width: u32, t: &Known<W>, from: &W) -> (W, W::Bool) {
    let mirrored = Known { value: t.value.or(&t.mask).not(), mask: t.mask.clone() };
    let (next, exists) = known_next(width, &mirrored, &from.not());
    (next.not(), exists)
}

/// Unsigned and signed interval of one width; all four are bit patterns of that width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds<W> {
    /// Least unsigned value.
    pub umin: W,
    /// Greatest unsigned value.
    pub umax: W,
    /// Least signed value.
    pub smin: W,
    /// Greatest signed value.
    pub smax: W,
}

fn umax<W: Word>(a: &W, b: &W) -> W {
    W::select(&a.ult(b), b, a)
}
fn umin<W: Word>(a: &W, b: &W) -> W {
    W::select(&a.ult(b), a, b)
}
fn smax<W: Word>(a: &W, b: &W) -> W {
    W::select(&a.slt(b), b, a)
}
fn smin<W: Word>(a: &W, b: &W) -> W {
    W::select(&a.slt(b), a, b)
}

/// The bounds that hold for members of both.
pub fn bounds_meet<W: Word>(a: &Bounds<W>, b: &Bounds<W>) -> Bounds<W> {
    Bounds {
        umin: umax(&a.umin, &b.umin),
        umax: umin(&a.umax, &b.umax),
        smin: smax(&a.smin, &b.smin),
        smax: smin(&a.smax, &b.smax),
    }
}

/// Bounds of the `len + 1` values from `start` upwards modulo `2^width`; of everything if `full`.
///
/// Walking up from `start` crosses the unsigned seam (all ones to 0) iff the end is unsigned-below the start,
/// and the signed seam (greatest to least) iff it is signed-below it, for `len` fits the width and so each
/// seam is crossed at most once. An interval with a seam inside it is lost in that reading only.
pub fn bounds_wrapping<W: Word>(start: &W, len: &W, full: &W::Bool, sign_bit: &W) -> Bounds<W> {
    let end = start.add(len);
    let whole = W::negate(full);
    let no_carry = W::both(&whole, &W::negate(&end.ult(start)));
    let no_flip = W::both(&whole, &W::negate(&end.slt(start)));
    let zero = start.lit(0);
    Bounds {
        umin: W::select(&no_carry, start, &zero),
        umax: W::select(&no_carry, &end, &zero.not()),
        smin: W::select(&no_flip, start, sign_bit),
        smax: W::select(&no_flip, &end, &sign_bit.not()),
    }
}

/// A run of values upwards from `start`, modulo `2^width`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run<W: Word> {
    /// The first value.
    pub start: W,
    /// How many follow it.
    pub len: W,
    /// Whether that count did not fit, so that the run is everything.
    pub full: W::Bool,
}

/// The run of all sums of a value in `a` and one in `b`, each an interval `(lo, hi)` in one reading.
///
/// The lengths add up; the start is the sum of the starts. In which reading the ends are in order does not
/// matter, for `x - lo` is at most `hi - lo` as an unsigned number in both.
pub fn run_add<W: Word>(a: (&W, &W), b: (&W, &W)) -> Run<W> {
    let first = a.1.sub(a.0);
    let len = first.add(&b.1.sub(b.0));
    Run { start: a.0.add(b.0), full: len.ult(&first), len }
}

/// The run of all differences: the least is `a` least minus `b` greatest.
pub fn run_sub<W: Word>(a: (&W, &W), b: (&W, &W)) -> Run<W> {
    let first = a.1.sub(a.0);
    let len = first.add(&b.1.sub(b.0));
    Run { start: a.0.sub(b.1), full: len.ult(&first), len }
}

/// Bounds of a sum: the unsigned and the signed reading each give a run of values, and both hold.
pub fn bounds_add<W: Word>(a: &Bounds<W>, b: &Bounds<W>, sign_bit: &W) -> Bounds<W> {
    let unsigned = run_add((&a.umin, &a.umax), (&b.umin, &b.umax));
    let signed = run_add((&a.smin, &a.smax), (&b.smin, &b.smax));
    bounds_of_runs(&unsigned, &signed, sign_bit)
}

/// Bounds of a difference, likewise.
pub fn bounds_sub<W: Word>(a: &Bounds<W>, b: &Bounds<W>, sign_bit: &W) -> Bounds<W> {
    let unsigned = run_sub((&a.umin, &a.umax), (&b.umin, &b.umax));
    let signed = run_sub((&a.smin, &a.smax), (&b.smin, &b.smax));
    bounds_of_runs(&unsigned, &signed, sign_bit)
}

fn bounds_of_runs<W: Word>(one: &Run<W>, other: &Run<W>, sign_bit: &W) -> Bounds<W> {
    bounds_meet(
        &bounds_wrapping(&one.start, &one.len, &one.full, sign_bit),
        &bounds_wrapping(&other.start, &other.len, &other.full, sign_bit),
    )
}

/// Splits what the two intervals allow at the sign: `[lo, hi]` of the members without and with the sign bit.
///
/// Within one half unsigned and signed order agree, so the meet is exact. A half is empty iff `lo > hi`.
pub fn bounds_split<W: Word>(b: &Bounds<W>, sign_bit: &W) -> [(W, W); 2] {
    let zero = sign_bit.lit(0);
    let minus_one = zero.not();
    let top = sign_bit.not();
    let s_lo = smax(&b.smin, &zero);
    let s_hi_negative = b.smax.slt(&zero);
    // No signed member without the sign bit: make the half empty by an upper end below every lower end is
    // impossible for lo = 0, so push the lower end above the greatest positive value instead.
    let pos_lo = W::select(&s_hi_negative, sign_bit, &umax(&b.umin, &s_lo));
    let pos_hi = umin(&umin(&b.umax, &top), &W::select(&s_hi_negative, &top, &b.smax));
    let s_lo_positive = W::negate(&b.smin.slt(&zero));
    let neg_lo = umax(&umax(&b.umin, sign_bit), &W::select(&s_lo_positive, &minus_one, &b.smin));
    let neg_hi = W::select(&s_lo_positive, &zero, &umin(&b.umax, &smin(&b.smax, &minus_one)));
    [(pos_lo, pos_hi), (neg_lo, neg_hi)]
}

/// What `a < b` (unsigned) teaches: `a` stays below `b`'s greatest, `b` above `a`'s least.
///
/// Assumes that the comparison can hold (`a.umin < b.umax`); keeps the signed bounds.
pub fn bounds_assume_ult<W: Word>(a: &Bounds<W>, b: &Bounds<W>) -> (Bounds<W>, Bounds<W>) {
    let one = a.umin.lit(1);
    (
        Bounds { umax: umin(&a.umax, &b.umax.sub(&one)), ..a.clone_parts() },
        Bounds { umin: umax(&b.umin, &a.umin.add(&one)), ..b.clone_parts() },
    )
}

/// What `a < b` (signed) teaches; the same as [`bounds_assume_ult`] on the signed bounds.
pub fn bounds_assume_slt<W: Word>(a: &Bounds<W>, b: &Bounds<W>) -> (Bounds<W>, Bounds<W>) {
    let one = a.umin.lit(1);
    (
        Bounds { smax: smin(&a.smax, &b.smax.sub(&one)), ..a.clone_parts() },
        Bounds { smin: smax(&b.smin, &a.smin.add(&one)), ..b.clone_parts() },
    )
}

impl<W: Word> Bounds<W> {
    fn clone_parts(&self) -> Bounds<W> {
        Bounds {
            umin: self.umin.clone(),
            umax: self.umax.clone(),
            smin: self.smin.clone(),
            smax: self.smax.clone(),
        }
    }
}
