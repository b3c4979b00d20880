//! The rules about the ends of intervals: what an operation, a comparison or a known low half does to them.
//!
//! An interval is a pair `(lo, hi)` of bit patterns, both inside.

use super::{Bounds, Word, smax, smin, umax, umin};

/// An interval: its least and its greatest value.
pub type Ends<W> = (W, W);

/// Bitwise and of two unsigned intervals: not above either.
pub fn ends_and<W: Word>(a: &Ends<W>, b: &Ends<W>) -> Ends<W> {
    (a.0.lit(0), umin(&a.1, &b.1))
}

/// Bitwise or of two unsigned intervals: not below either.
pub fn ends_or<W: Word>(a: &Ends<W>, b: &Ends<W>) -> Ends<W> {
    (umax(&a.0, &b.0), a.0.lit(0).not())
}

/// Bitwise exclusive or of two unsigned intervals: not above the sum.
pub fn ends_xor<W: Word>(a: &Ends<W>, b: &Ends<W>) -> Ends<W> {
    let (zero, sum) = (a.0.lit(0), a.1.add(&b.1));
    let most = W::select(&sum.ult(&a.1), &zero.not(), &sum);
    (zero, most)
}

/// Logical shift right of an unsigned interval by amounts within `by`, all below the width.
pub fn ends_shr<W: Word>(a: &Ends<W>, by: &Ends<W>) -> Ends<W> {
    (a.0.shr(&by.1), a.1.shr(&by.0))
}

/// Arithmetic shift right of a signed interval by amounts within `by`: every value moves towards 0 or -1.
pub fn ends_sar<W: Word>(a: &Ends<W>, by: &Ends<W>) -> Ends<W> {
    (smin(&a.0.sar(&by.0), &a.0.sar(&by.1)), smax(&a.1.sar(&by.0), &a.1.sar(&by.1)))
}

/// An unsigned interval without `x`, which moves an end that is `x`. It must not be `x` alone.
pub fn ends_without<W: Word>(a: &Ends<W>, x: &W) -> Ends<W> {
    let one = x.lit(1);
    (W::select(&a.0.eq(x), &a.0.add(&one), &a.0), W::select(&a.1.eq(x), &a.1.sub(&one), &a.1))
}

/// What `a <= b` (unsigned) teaches; keeps the signed bounds.
pub fn bounds_assume_ule<W: Word>(a: &Bounds<W>, b: &Bounds<W>) -> (Bounds<W>, Bounds<W>) {
    (
        Bounds { umax: umin(&a.umax, &b.umax), ..a.clone_parts() },
        Bounds { umin: umax(&a.umin, &b.umin), ..b.clone_parts() },
    )
}

/// What `a <= b` (signed) teaches; keeps the unsigned bounds.
pub fn bounds_assume_sle<W: Word>(a: &Bounds<W>, b: &Bounds<W>) -> (Bounds<W>, Bounds<W>) {
    (
        Bounds { smax: smin(&a.smax, &b.smax), ..a.clone_parts() },
        Bounds { smin: smax(&a.smin, &b.smin), ..b.clone_parts() },
    )
}

/// The least value that is at least `x` and has its low half (the bits of `half`, `2^k - 1`) in one of two
/// intervals, and whether there is one.
///
/// An interval with its ends in the wrong order is empty; the first lies below the second. If the low half of
/// `x` is not above both, it goes up to the next that is allowed; else it starts anew under the next high half.
pub fn next_with_low<W: Word>(x: &W, half: &W, allowed: &[Ends<W>; 2]) -> (W, W::Bool) {
    let (high, low) = (x.and(&half.not()), x.and(half));
    let [first, second] = allowed;
    let filled = |e: &Ends<W>| W::negate(&e.1.ult(&e.0));
    let reaches = |e: &Ends<W>| W::both(&filled(e), &W::negate(&e.1.ult(&low)));
    let in_first = reaches(first);
    let stays = either::<W>(&in_first, &reaches(second));
    let here = high.or(&umax(&low, &W::select(&in_first, &first.0, &second.0)));
    let up = high.add(half).add(&x.lit(1));
    let there = up.or(&W::select(&filled(first), &first.0, &second.0));
    let room = W::both(&either::<W>(&filled(first), &filled(second)), &W::negate(&up.ult(x)));
    (W::select(&stays, &here, &there), either::<W>(&stays, &room))
}

/// The greatest value that is at most `x` and has its low half in one of two intervals: [`next_with_low`] of
/// the complements.
pub fn prev_with_low<W: Word>(x: &W, half: &W, allowed: &[Ends<W>; 2]) -> (W, W::Bool) {
    let mirrored = |e: &Ends<W>| (half.xor(&e.1), half.xor(&e.0));
    let (next, exists) = next_with_low(&x.not(), half, &[mirrored(&allowed[1]), mirrored(&allowed[0])]);
    (next.not(), exists)
}

fn either<W: Word>(a: &W::Bool, b: &W::Bool) -> W::Bool {
    W::negate(&W::both(&W::negate(a), &W::negate(b)))
}
