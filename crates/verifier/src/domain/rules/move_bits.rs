//! The rules about bits that keep their meaning elsewhere: extensions to more bits, reversed bytes, and the low bits of
//! a remainder.

use super::{Bounds, Known, Word};

/// Bounds of the same pattern with zeros above, in words of more bits: the unsigned ones stay.
pub fn bounds_zero_extended<W: Word>(narrow: &Bounds<W>, sign_bit: &W) -> Bounds<W> {
    Bounds { smin: sign_bit.clone(), smax: sign_bit.not(), ..narrow.clone_parts() }
}

/// Bounds of the same signed value, in words of more bits: the signed ones stay.
pub fn bounds_sign_extended<W: Word>(narrow: &Bounds<W>) -> Bounds<W> {
    let zero = narrow.smin.lit(0);
    Bounds { umax: zero.not(), umin: zero, ..narrow.clone_parts() }
}

/// The low `count` pieces of `piece` bits each, in the opposite order, zeros above. The word may be wider.
pub fn reversed<W: Word>(x: &W, count: u32, piece: u32) -> W {
    let (zero, one_piece) = (x.lit(0), x.lit((1 << piece) - 1));
    let at = |i: u32| x.lit(u64::from(i * piece));
    (0..count).fold(zero, |all, i| {
        let taken = x.shr(&at(i)).and(&one_piece);
        all.or(&taken.shl(&at(count - 1 - i)))
    })
}

/// [`reversed`] of a tnum. Exact: value and mask change places alike.
pub fn known_reversed<W: Word>(t: &Known<W>, count: u32, piece: u32) -> Known<W> {
    Known { value: reversed(&t.value, count, piece), mask: reversed(&t.mask, count, piece) }
}

/// The low bits that are zero in every member, as a mask `2^k - 1`.
pub fn known_low_zeros<W: Word>(t: &Known<W>) -> W {
    let possible = t.value.or(&t.mask);
    possible.and(&possible.lit(0).sub(&possible)).sub(&possible.lit(1))
}

/// Everything that agrees with some member of `t` in the bits of `kept`.
pub fn known_agreeing<W: Word>(t: &Known<W>, kept: &W) -> Known<W> {
    Known { value: t.value.and(kept), mask: t.mask.or(&kept.not()) }
}
